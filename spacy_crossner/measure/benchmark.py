"""Recipes x seeds on a data set: trained as `spacy train` does, tested in every target language.

Each run ends in one JSON file with its settings, costs and the counts of every test sentence. A
run whose file exists is not repeated, so that a benchmark can be killed, resumed, or shared out
among processes by recipe or seed.
"""

import gc
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import load_config
from spacy.vocab import Vocab
from thinc.api import Config, ConfigValidationError
from tqdm import tqdm
from wasabi import msg

from spacy_crossner.data.readers import make_example
from spacy_crossner.data.sentences import UNSPACED_LANGS
from spacy_crossner.data.shards import read_docs, read_groups, write_docs
from spacy_crossner.data.view import get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.measure.bootstrap import f1
from spacy_crossner.measure.calibrate import calibrate
from spacy_crossner.measure.logger import read_log
from spacy_crossner.measure.recipes import Recipe
from spacy_crossner.measure.summary import read_runs, summarize, to_markdown
from spacy_crossner.pipeline.strip import strip_training_components

BATCH_SIZE = 64
# The training loop wants to evaluate on something; what counts is measured afterwards.
MONITORED = 50
NER = ("token_label_ner", "token_pair_ner")
PACKAGES = ("spacy-crossner", "spacy", "spacy-transformers", "torch", "transformers")


@dataclass(frozen=True)
class Setup:
    """What all runs of a benchmark share.

    dataset (str): Name of the data set.
    corpus (Path): Its corpus.
    output (Path): The folder of the runs.
    encoder (Path): A Hugging Face folder.
    source (int): Number of labelled source sentences; 0 takes all.
    steps (int): Optimizer steps of each training.
    test_limit (int): Sentences of each test file; 0 takes all.
    settings (Dict[str, Any]): Settings that replace those of every recipe.
    gpu_id (int): The GPU to use, -1 for the CPU.
    """

    dataset: str
    corpus: Path
    output: Path
    encoder: Path
    source: int = 0
    steps: int = 400
    test_limit: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    gpu_id: int = -1


class Clock:
    """Adds up minutes by name: of the clock, and of the processor, which others do not slow."""

    def __init__(self) -> None:
        self.minutes: dict[str, float] = {}
        self.cpu_minutes: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Begin to measure."""
        self.began = time.perf_counter(), time.process_time()

    def note(self, name: str) -> None:
        """Add the time since then under a name."""
        for minutes, now, began in (
            (self.minutes, time.perf_counter(), self.began[0]),
            (self.cpu_minutes, time.process_time(), self.began[1]),
        ):
            minutes[name] = round(minutes.get(name, 0.0) + (now - began) / 60.0, 3)
        self.restart()


def benchmark(setup: Setup, recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[Path]:
    """Train and test every recipe with every seed, as far as that is not done.

    setup (Setup): What all runs share.
    recipes (Sequence[Recipe]): The recipes.
    seeds (Sequence[int]): The seeds.
    RETURNS (List[Path]): The files of the runs.
    """
    if setup.gpu_id >= 0:
        spacy.require_gpu(setup.gpu_id)
    plan = [(recipe, seed) for seed in seeds for recipe in recipes]
    paths = [setup.output / recipe.slug / f"seed-{seed}.json" for recipe, seed in plan]
    for path, (recipe, _) in zip(paths, plan, strict=True):
        if path.exists():
            check_settings(path, recipe, setup)
    for number, (path, (recipe, seed)) in enumerate(zip(paths, plan, strict=True), start=1):
        if path.exists():
            continue
        msg.info(f"Run {number} of {len(plan)}: {recipe.name}, seed {seed}")
        path.parent.mkdir(parents=True, exist_ok=True)
        result = run(setup, recipe, seed, path.with_suffix(""))
        write_text(path, json.dumps(result) + "\n")
        averages = ", ".join(f"{name} {test['f']}" for name, test in result["tests"].items())
        msg.good(f"{path}: F1 {averages}")
        # pipelines are full of reference cycles, and hold hundreds of megabytes
        gc.collect()
    return paths


def run(setup: Setup, recipe: Recipe, seed: int, folder: Path) -> dict[str, Any]:
    """Train a recipe once, calibrate it on source text, and test it.

    setup (Setup): What all runs share.
    recipe (Recipe): The recipe.
    seed (int): The seed.
    folder (Path): A folder for what it takes.
    RETURNS (Dict[str, Any]): Settings, costs, losses, and per test file the F1 and counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    train = folder / "train.spacy"
    write_docs(train, choose_views(setup.corpus / "parallel.spacy", setup.source, recipe))
    clock.restart()
    nlp, log = train_once(setup, recipe, seed, train)
    clock.note("train")
    dev = list(read_docs(setup.corpus / "dev.spacy", nlp.vocab))
    calibration = calibrate(nlp, map(make_example, dev))
    clock.note("calibrate")
    tests = {"dev": score_pipeline(nlp, dev)}
    for path in sorted(setup.corpus.glob("test-*.spacy")):
        gold = islice(read_docs(path, nlp.vocab), setup.test_limit or None)
        tests[path.stem.removeprefix("test-")] = score_pipeline(nlp, list(gold))
    clock.note("test")
    train.unlink()
    return {
        "recipe": recipe.name,
        "seed": seed,
        "dataset": setup.dataset,
        "settings": describe_settings(setup, recipe),
        "encoder": setup.encoder.name,
        "device": "cpu" if setup.gpu_id < 0 else "gpu",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in PACKAGES},
        "steps": steps_of(setup, recipe),
        "minutes": clock.minutes,
        "cpu_minutes": clock.cpu_minutes,
        "temperature": next(iter(calibration.values())).temperature,
        "losses": log[-1]["losses"],
        "tests": tests,
    }


def steps_of(setup: Setup, recipe: Recipe) -> int:
    """RETURNS (int): Optimizer steps of each training of a recipe."""
    return max(1, round(setup.steps * recipe.steps))


def describe_settings(setup: Setup, recipe: Recipe) -> dict[str, Any]:
    """RETURNS (Dict[str, Any]): All that has to be the same for a run to be the same run."""
    return {
        "config": hashlib.sha256(recipe.config.read_bytes()).hexdigest()[:16],
        "set": {**recipe.set, **setup.settings},
        "views": list(recipe.views),
        "contrast": list(recipe.contrast),
        "steps": steps_of(setup, recipe),
        "source": setup.source,
        "test_limit": setup.test_limit,
    }


def check_settings(path: Path, recipe: Recipe, setup: Setup) -> None:
    """Refuse a finished run that was made with other settings.

    path (Path): The run's file.
    recipe (Recipe): The recipe.
    setup (Setup): What all runs share.
    """
    found = json.loads(path.read_text(encoding="utf8"))["settings"]
    for key, value in describe_settings(setup, recipe).items():
        if found.get(key) != value:
            problem = f"{key} is {found.get(key)} there, and {value} here"
            raise CrossnerError(Errors.CN635.format(path=path, problem=problem))


def choose_views(path: Path, source: int, recipe: Recipe) -> Iterator[Doc]:
    """Choose what a recipe trains on.

    path (Path): The corpus of source sentences with their views.
    source (int): The number of source sentences; 0 takes all.
    recipe (Recipe): Says which views it wants, and whether their labels train.
    YIELDS (Doc): The docs.
    """
    _, groups = read_groups(path, Vocab())
    for group in islice(groups, source or None):
        for doc in group:
            view = get_view(doc)
            if view is None or view.kind == "source":
                yield doc
            elif view.kind in recipe.views:
                view.labelled = view.labelled and view.kind not in recipe.contrast
                set_view(doc, view)
                yield doc


def train_once(
    setup: Setup, recipe: Recipe, seed: int, train: Path
) -> tuple[Language, list[dict[str, Any]]]:
    """Train a pipeline through spaCy's own loop, to its last step.

    setup (Setup): What all runs share.
    recipe (Recipe): The recipe.
    seed (int): The seed.
    train (Path): The docs to train on.
    RETURNS (Tuple): The pipeline without what only training needs, and the rows of its log.
    """
    steps = steps_of(setup, recipe)
    dev = setup.corpus / "dev.spacy"
    log = train.with_name("log.jsonl")
    # of a run that was killed
    log.unlink(missing_ok=True)
    overrides = {
        "paths.encoder": str(setup.encoder),
        "paths.train": str(train),
        "paths.dev": str(dev),
        "system.seed": seed,
        "training.max_steps": steps,
        "training.eval_frequency": steps,
        "training.logger.output_file": str(log),
        "training.logger.console_output": False,
        "training.logger.progress_bar": "train",
        "corpora.dev.limit": MONITORED,
        **recipe.set,
        **setup.settings,
    }
    try:
        config = load_config(recipe.config, overrides=overrides, interpolate=False)
        set_labels(config, chain(*(read_docs(path, Vocab()) for path in (train, dev))))
        nlp = init_nlp(config, use_gpu=setup.gpu_id)
    except ConfigValidationError as error:
        problem = str(error).strip().replace("\n", " ")
        raise CrossnerError(
            Errors.CN634.format(name=recipe.name, config=recipe.config, problem=problem)
        ) from None
    train_loop(nlp, None, use_gpu=setup.gpu_id, stdout=io.StringIO())
    return strip_training_components(nlp), read_log(log)


def set_labels(config: Config, docs: Iterable[Doc]) -> None:
    """Tell the NER component all entity types: spaCy shows it the first hundred docs only.

    config (Config): The training config.
    docs (Iterable[Doc]): All labelled docs.
    """
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    for name in config["nlp"]["pipeline"]:
        if config["components"][name]["factory"] in NER:
            config["initialize"]["components"].setdefault(name, {})["labels"] = labels


def score_pipeline(nlp: Language, gold: Sequence[Doc]) -> dict[str, Any]:
    """Compare a pipeline with gold entities, by characters.

    Texts in scripts without spaces are tokenized anew, for a user has no gold tokens either; an
    entity whose boundary lies inside a token then counts as missed. Others keep their tokens.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): Labelled docs.
    RETURNS (Dict[str, Any]): "p", "r" and "f" in percent; "per_type" with the same; and "counts":
        of each sentence, entities that are right, found, and in the gold.
    """
    docs = nlp.pipe((make_input(nlp, doc) for doc in gold), batch_size=BATCH_SIZE)
    progress = tqdm(docs, total=len(gold), disable=None, leave=False)
    per_type: dict[str, Counter[str]] = {}
    counts = []
    for doc, truth in zip(progress, gold, strict=True):
        found, there = entities_of(doc), entities_of(truth)
        counts.append([len(found & there), len(found), len(there)])
        for key, entities in (("right", found & there), ("found", found), ("gold", there)):
            for *_, label in entities:
                per_type.setdefault(label, Counter())[key] += 1
    total = [sum(column) for column in zip(*counts, strict=True)]
    return {
        **percent(*total),
        "per_type": {
            label: percent(*(n[key] for key in ("right", "found", "gold")))
            for label, n in sorted(per_type.items())
        },
        "counts": counts,
    }


def make_input(nlp: Language, gold: Doc) -> Doc:
    """RETURNS (Doc): The doc that a pipeline gets to see of a gold doc."""
    view = get_view(gold)
    if view is not None and view.lang in UNSPACED_LANGS and not gold.has_unknown_spaces:
        return nlp.make_doc(gold.text)
    return make_example(gold).predicted


def entities_of(doc: Doc) -> set[tuple[int, int, str]]:
    """RETURNS (Set[Tuple[int, int, str]]): Character offsets and label of each entity."""
    return {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}


def percent(right: int, found: int, gold: int) -> dict[str, float]:
    """RETURNS (Dict[str, float]): Precision, recall and F1 in percent."""
    return {
        "p": round(100.0 * right / max(1, found), 2),
        "r": round(100.0 * right / max(1, gold), 2),
        "f": round(float(f1([right, found, gold])), 2),  # type: ignore[arg-type]
    }


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf8")
    temporary.replace(path)


def write_tables(folder: Path, targets: Sequence[str], reference: str) -> Path:
    """Write the figures of all finished runs, as JSON and as Markdown.

    folder (Path): The folder of the runs.
    targets (Sequence[str]): Tests that the average is taken over.
    reference (str): The recipe that the others are compared with.
    RETURNS (Path): The Markdown file; the JSON file has the same name.
    """
    summary = summarize(read_runs(folder), targets, reference)
    path = folder / f"table-against-{'-'.join(reference.split())}.md"
    write_text(path.with_suffix(".json"), json.dumps(summary, indent=2) + "\n")
    write_text(path, to_markdown(summary))
    return path
