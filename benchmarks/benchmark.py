"""Recipes x seeds on a data set: trained as `spacy train` does, tested in every target language.

A run is one training, or several in which each learns from text that the one before has annotated.
What a training gives is kept in files: nothing that is finished is repeated, so that a benchmark
can be killed, resumed, or shared out among processes, and recipes that begin in the same way share
their teachers.
"""

import gc
import hashlib
import io
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import load_config
from spacy.vocab import Vocab
from thinc.api import ConfigValidationError
from wasabi import msg

from benchmarks.summary import read_runs, summarize, to_markdown
from spacy_crossner.data.shards import read_docs, read_groups, write_docs
from spacy_crossner.data.view import get_view, set_view
from spacy_crossner.distil.annotate import annotate
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint, write_file
from spacy_crossner.pipeline.strip import strip_training_components
from spacy_crossner.report.log import read_log
from spacy_crossner.report.score import score_pipeline
from spacy_crossner.training.calibrate import calibrate
from spacy_crossner.training.recipes import Recipe

# The training loop wants to evaluate on something; what counts is measured afterwards.
MONITORED = 50
# Goes up when the files of trainings hold something else, so that older ones are not read.
FORM = 2
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
    test_limit (int): Sentences of the dev file and of each test file; 0 takes all.
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

    @cached_property
    def inputs(self) -> dict[str, str]:
        """RETURNS (Dict[str, str]): Checksums of the encoder and the corpus."""
        return {"encoder": fingerprint(self.encoder), "corpus": fingerprint(self.corpus)}


@dataclass(frozen=True)
class Stage:
    """One training of a run.

    setup (Setup): What all runs share.
    recipe (Recipe): The recipe.
    seed (int): The seed.
    teacher (Optional[Stage]): The training that it learns from.
    """

    setup: Setup
    recipe: Recipe
    seed: int
    teacher: Optional["Stage"] = None

    @property
    def steps(self) -> int:
        """RETURNS (int): Its optimizer steps."""
        factor = self.recipe.student_steps if self.teacher else 1.0
        return max(1, round(self.setup.steps * self.recipe.steps * factor))

    @property
    def changes(self) -> dict[str, Any]:
        """RETURNS (Dict[str, Any]): Settings that replace the config's."""
        student = self.recipe.student if self.teacher else {}
        return {**self.recipe.set, **student, **self.setup.settings}

    @property
    def settings(self) -> dict[str, Any]:
        """RETURNS (Dict[str, Any]): All that has to be the same for it to be the same training."""
        setup, recipe = self.setup, self.recipe
        return {
            "form": FORM,
            **setup.inputs,
            "config": fingerprint(recipe.config),
            "set": self.changes,
            "views": sorted(recipe.views),
            "contrast": sorted(recipe.contrast),
            "bitext": recipe.bitext,
            "steps": self.steps,
            "source": setup.source,
            "test_limit": setup.test_limit,
            "teacher": self.teacher
            and {
                **self.teacher.settings,
                "annotate": self.teacher.recipe.annotate,
                "continue_from_teacher": self.teacher.recipe.continue_from_teacher,
            },
        }

    @property
    def result(self) -> Path:
        """RETURNS (Path): The file of what came of it."""
        return self.setup.output / "stages" / f"{_hash(self.settings)}-{self.seed}.json"

    @property
    def annotated(self) -> Path:
        """RETURNS (Path): The folder of target text that it has annotated."""
        name = f"{self.result.stem}-{_hash(self.recipe.annotate)}"
        return self.result.parent / name

    @property
    def annotation_costs(self) -> Path:
        """RETURNS (Path): The file of what that cost."""
        return self.annotated.with_name(f"{self.annotated.name}.json")

    @property
    def pipeline(self) -> Path:
        """RETURNS (Path): The folder of its pipeline, which is kept if it is a teacher."""
        return self.result.with_name(f"{self.result.stem}-pipeline")


def _hash(settings: dict[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode("utf8")).hexdigest()[:16]


def stages_of(setup: Setup, recipe: Recipe, seed: int) -> list[Stage]:
    """RETURNS (List[Stage]): The trainings of a run, teachers first."""
    first = recipe
    if recipe.teacher is not None:
        # it trains as it always does; what follows is this recipe's
        first = replace(
            recipe.teacher,
            annotate=recipe.annotate,
            continue_from_teacher=recipe.continue_from_teacher,
        )
    stages = [Stage(setup, first, seed)]
    for _ in range(recipe.rounds):
        stages.append(Stage(setup, recipe, seed, stages[-1]))
    return stages


class Clock:
    """Adds up minutes by name: of the clock, and of the processor, which others do not slow."""

    def __init__(self) -> None:
        self.minutes: dict[str, float] = {}
        self.cpu_minutes: dict[str, float] = {}
        self._began = time.perf_counter(), time.process_time()

    def note(self, name: str) -> None:
        """Put the time since the last note under a name."""
        now = time.perf_counter(), time.process_time()
        self.minutes[name] = round((now[0] - self._began[0]) / 60.0, 3)
        self.cpu_minutes[name] = round((now[1] - self._began[1]) / 60.0, 3)
        self._began = now


def benchmark(setup: Setup, recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[Path]:
    """Train and test every recipe with every seed, as far as that is not done.

    setup (Setup): What all runs share.
    recipes (Sequence[Recipe]): The recipes.
    seeds (Sequence[int]): The seeds.
    RETURNS (List[Path]): The files of the runs.
    """
    if setup.gpu_id >= 0:
        spacy.require_gpu(setup.gpu_id)
    plan = {
        setup.output / recipe.slug / f"seed-{seed}.json": stages_of(setup, recipe, seed)
        for seed in seeds
        for recipe in recipes
    }
    todo = [path for path, stages in plan.items() if not is_finished(path, stages)]
    if todo:
        check_views(setup.corpus, recipes)
    # what is a result of one recipe may be the teacher of another
    teachers = {stage.annotated for path in todo for stage in plan[path][:-1]}
    for number, path in enumerate(todo, start=1):
        stages = plan[path]
        recipe, seed = stages[-1].recipe, stages[-1].seed
        msg.info(f"Run {number} of {len(todo)}: {recipe.name}, seed {seed}")
        for stage in stages:
            run_stage(stage, annotating=stage.annotated in teachers)
        run = describe_run(stages)
        write_file(path, json.dumps(run) + "\n")
        figures = ", ".join(f"{name} {scores['f']}" for name, scores in run["tests"].items())
        msg.good(f"{path}: F1 {figures}")
    return list(plan)


def is_finished(path: Path, stages: Sequence[Stage]) -> bool:
    """Look if a run was made already; one with other settings is refused.

    path (Path): The run's file.
    stages (Sequence[Stage]): Its trainings.
    RETURNS (bool): Whether the file is there.
    """
    if not path.exists():
        return False
    found = json.loads(path.read_text(encoding="utf8"))["settings"]
    for key, value in stages[-1].settings.items():
        if found.get(key) != value:
            problem = f"{key} is {found.get(key)} there, and {value} here"
            raise CrossnerError(Errors.CN635.format(path=path, problem=problem))
    return True


def run_stage(stage: Stage, *, annotating: bool) -> None:
    """Train once, calibrate on source text as the workflow does, and test; unless that was done.

    stage (Stage): The training.
    annotating (bool): Whether to annotate the target text for a student. A recipe that annotates
        otherwise than the one that trained the teacher only has to do that.
    """
    trained = stage.result.exists() and (stage.pipeline.exists() or not annotating)
    if trained and (stage.annotated.exists() or not annotating):
        return
    stage.result.parent.mkdir(parents=True, exist_ok=True)
    # of its own, for another process may have come to the same training
    with TemporaryDirectory(prefix=".", dir=stage.result.parent) as name:
        folder = Path(name)
        if trained:
            _annotate(stage, stage.pipeline, folder)
        else:
            result = _run_stage(stage, folder, annotating)
            write_file(stage.result, json.dumps(result) + "\n")
    # pipelines are full of reference cycles, and hold hundreds of megabytes
    gc.collect()


def _run_stage(stage: Stage, folder: Path, annotating: bool) -> dict[str, Any]:
    setup = stage.setup
    write_docs(folder / "train.spacy", choose_docs(setup.corpus, setup.source, stage.recipe))
    clock = Clock()
    nlp, log = train(stage, folder)
    clock.note("train")
    dev = read_gold(setup.corpus / "dev.spacy", nlp.vocab, setup.test_limit)
    found = calibrate(nlp, dev, fit_threshold=True)
    calibration = next(iter(found.values()))
    clock.note("calibrate")
    tests = {"dev": score_pipeline(nlp, dev)}
    for path in sorted(setup.corpus.glob("test-*.spacy")):
        gold = read_gold(path, nlp.vocab, setup.test_limit)
        tests[path.stem.removeprefix("test-")] = score_pipeline(nlp, gold)
    clock.note("test")
    if annotating:
        nlp.to_disk(folder / "teacher")
        _annotate(stage, folder / "teacher", folder)
        if not stage.pipeline.exists():
            (folder / "teacher").replace(stage.pipeline)
    return {
        "device": "cpu" if setup.gpu_id < 0 else "gpu",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in PACKAGES},
        "steps": stage.steps,
        "minutes": clock.minutes,
        "cpu_minutes": clock.cpu_minutes,
        "temperature": calibration.temperature,
        "threshold": calibration.threshold,
        "bias": calibration.bias,
        "losses": log[-1]["losses"],
        "tests": tests,
    }


def _annotate(stage: Stage, pipeline: Path, folder: Path) -> None:
    clock = Clock()
    annotate(
        [str(pipeline)],
        stage.setup.corpus / "target.spacy",
        folder / "annotated",
        gpu_id=stage.setup.gpu_id,
        seed=stage.seed,
        **stage.recipe.annotate,
    )
    clock.note("annotate")
    if not stage.annotated.exists():
        # of its own, for one teacher may annotate in several ways, or for nobody in this run
        costs = {"minutes": clock.minutes, "cpu_minutes": clock.cpu_minutes}
        write_file(stage.annotation_costs, json.dumps(costs) + "\n")
        (folder / "annotated").replace(stage.annotated)


def read_gold(path: Path, vocab: Vocab, limit: int) -> list[Doc]:
    """RETURNS (List[Doc]): The first docs of a file; all if the limit is 0."""
    return list(islice(read_docs(path, vocab), limit or None))


def describe_run(stages: Sequence[Stage]) -> dict[str, Any]:
    """Put together what came of the trainings of a run.

    stages (Sequence[Stage]): The trainings.
    RETURNS (Dict[str, Any]): Settings; costs of all trainings; losses and tests of the last one,
        per test file "p", "r", "f", "per_type" and "counts"; under "teachers", the others' F1.
    """
    results = [json.loads(stage.result.read_text(encoding="utf8")) for stage in stages]
    files = [stage.annotation_costs for stage in stages[:-1]]
    costs = [*results, *(json.loads(path.read_text(encoding="utf8")) for path in files)]
    setup, recipe = stages[-1].setup, stages[-1].recipe
    return {
        "recipe": recipe.name,
        "seed": stages[-1].seed,
        "dataset": setup.dataset,
        "settings": stages[-1].settings,
        "encoder": setup.encoder.name,
        **results[-1],
        "steps": sum(result["steps"] for result in results),
        "minutes": _add_up(cost["minutes"] for cost in costs),
        "cpu_minutes": _add_up(cost["cpu_minutes"] for cost in costs),
        "teachers": [
            {name: test["f"] for name, test in result["tests"].items()} for result in results[:-1]
        ],
    }


def _add_up(costs: Iterable[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for cost in costs:
        for name, minutes in cost.items():
            total[name] = round(total.get(name, 0.0) + minutes, 3)
    return total


def check_views(corpus: Path, recipes: Sequence[Recipe]) -> None:
    """Refuse recipes that would train on nothing else than `baseline` does.

    corpus (Path): The corpus.
    recipes (Sequence[Recipe]): The recipes.
    """
    views = map(get_view, read_docs(corpus / "parallel.spacy", Vocab()))
    found = {view.kind for view in views if view is not None}
    teachers = [recipe.teacher for recipe in recipes if recipe.teacher is not None]
    for recipe in (*recipes, *teachers):
        missing = sorted(set(recipe.views) - found)
        if recipe.bitext and not (corpus / "bitext.spacy").exists():
            missing.append("bitext")
        kinds = ", ".join(missing)
        if missing and (recipe.bitext or not found.intersection(recipe.views)):
            raise CrossnerError(Errors.CN638.format(name=recipe.name, corpus=corpus, kinds=kinds))
        if missing:
            msg.warn(f"{recipe.name}: {corpus} has no views of the kind {kinds}")


def choose_docs(corpus: Path, source: int, recipe: Recipe) -> Iterator[Doc]:
    """Choose what a recipe trains on.

    corpus (Path): The corpus.
    source (int): The number of source sentences; 0 takes all.
    recipe (Recipe): Says which views it wants, and whether their labels train.
    YIELDS (Doc): The docs.
    """
    vocab = Vocab()
    _, groups = read_groups(corpus / "parallel.spacy", vocab)
    for doc in chain.from_iterable(islice(groups, source or None)):
        view = get_view(doc)
        if view is None or view.kind == "source":
            yield doc
        elif view.kind in recipe.views:
            view.labelled = view.labelled and view.kind not in recipe.contrast
            set_view(doc, view)
            yield doc
    if recipe.bitext and (corpus / "bitext.spacy").exists():
        yield from read_docs(corpus / "bitext.spacy", vocab)


def train(stage: Stage, folder: Path) -> tuple[Language, list[dict[str, Any]]]:
    """Train a pipeline through spaCy's own loop, to its last step.

    stage (Stage): The training.
    folder (Path): Holds `train.spacy`, and gets the log.
    RETURNS (Tuple): The pipeline without what only training needs, and the rows of the log.
    """
    setup, recipe = stage.setup, stage.recipe
    paths = [folder / "train.spacy"]
    if stage.teacher is not None:
        paths.append(stage.teacher.annotated)
    overrides = {
        "paths.encoder": str(setup.encoder),
        "paths.train": ",".join(map(str, paths)),
        "paths.dev": str(setup.corpus / "dev.spacy"),
        "system.seed": stage.seed,
        "training.max_steps": stage.steps,
        "training.eval_frequency": stage.steps,
        "training.logger.output_file": str(folder / "log.jsonl"),
        "training.logger.console_output": False,
        "training.logger.progress_bar": "train",
        "corpora.dev.limit": MONITORED,
        **stage.changes,
    }
    if stage.teacher is not None and recipe.continue_from_teacher:
        overrides["paths.start_from"] = str(stage.teacher.pipeline)
        if "${paths.start_from}" not in recipe.config.read_text(encoding="utf8"):
            problem = "nothing in it starts from ${paths.start_from}, and students are to go on"
            raise CrossnerError(
                Errors.CN634.format(name=recipe.name, config=recipe.config, problem=problem)
            )
    try:
        config = load_config(recipe.config, overrides=overrides, interpolate=False)
        nlp = init_nlp(config, use_gpu=setup.gpu_id)
    except ConfigValidationError as error:
        problem = str(error).strip().replace("\n", " ")
        raise CrossnerError(
            Errors.CN634.format(name=recipe.name, config=recipe.config, problem=problem)
        ) from None
    train_loop(nlp, None, use_gpu=setup.gpu_id, stdout=io.StringIO())
    return strip_training_components(nlp), read_log(folder / "log.jsonl")


def write_tables(folder: Path, targets: Sequence[str], reference: str) -> Path:
    """Write the figures of all finished runs, as JSON and as Markdown.

    folder (Path): The folder of the runs.
    targets (Sequence[str]): Tests that the average is taken over.
    reference (str): The recipe that the others are compared with.
    RETURNS (Path): The Markdown file; the JSON file has the same name.
    """
    summary = summarize(read_runs(folder), targets, reference)
    path = folder / f"table-against-{'-'.join(reference.split())}.md"
    write_file(path.with_suffix(".json"), json.dumps(summary, indent=2) + "\n")
    write_file(path, to_markdown(summary))
    return path
