"""What a few labels of a target language add: chosen by `ask` or at random, mixed in or alone."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from statistics import mean
from typing import Any

import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab

from benchmarks.datasets import convert_labelled
from spacy_crossner import annotate, ask, evaluate, train
from spacy_crossner.checks import check_choice
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint, write_json
from spacy_crossner.training.recipes import find_recipe
from spacy_crossner.training.stages import Inputs, Job

# How the sentences are chosen. "alone" chooses as "random" does, but trains on them alone: plain
# fine-tuning, without the source sentences.
WAYS = ("ask", "random", "alone")


@dataclass
class Setup:
    """What all trainings of a comparison share.

    pipeline (Path): The trained pipeline to go on from, with a `token_label_ner`.
    corpus (Path): Folder of a data set, with `source.spacy`, `dev.spacy` and the tests.
    pools (Mapping[str, Path]): Labelled files to choose sentences from, by language.
    encoder (Path): Hugging Face folder of the encoder.
    output (Path): The folder to write to.
    limit (int): Sentences of each pool that may be chosen.
    steps (int): Optimizer steps.
    changes (Mapping[str, Any]): Settings that differ from the recipe baseline.
    """

    pipeline: Path
    corpus: Path
    pools: Mapping[str, Path]
    encoder: Path
    output: Path
    limit: int = 1000
    steps: int = 150
    changes: Mapping[str, Any] = field(default_factory=dict)


def compare_labels(
    setup: Setup, counts: Sequence[int], ways: Sequence[str], seed: int
) -> dict[str, dict[str, float]]:
    """Train on a few labelled sentences of each target language, and test. Finished runs are kept.

    setup (Setup): What all trainings share.
    counts (Sequence[int]): Numbers of sentences of each language.
    ways (Sequence[str]): Ways to choose and use them, out of WAYS.
    seed (int): Seed of the random choice and of the trainings.
    RETURNS (Dict[str, Dict[str, float]]): F1 by language and their mean, by way and count; as
        "none 0", that of the pipeline itself.
    """
    for way in ways:
        check_choice("way", way, WAYS)
    tests = {lang: setup.corpus / f"test-{lang}.spacy" for lang in setup.pools}
    pools = {lang: _read_pool(path, lang, setup.limit) for lang, path in setup.pools.items()}
    for lang, pool in pools.items():
        if len(pool) < max(counts):
            raise CrossnerError(
                Errors.CN657.format(path=setup.pools[lang], found=len(pool), count=max(counts))
            )
    _check_setup(setup)
    folder = setup.output / f"seed-{seed}"
    results = {}
    for count, way in [(0, "none"), *product(counts, ways)]:
        file = folder / f"{way}-{count}.json"
        if not file.exists():
            pipeline = setup.pipeline
            if count:
                chosen = _choose(setup, pools, way, count, seed, folder)
                pipeline = _train(setup, chosen, way, seed, file.with_suffix(""))
            write_json(file, _test(pipeline, tests))
        results[f"{way} {count}"] = srsly.read_json(file)
    return results


def _check_setup(setup: Setup) -> None:
    """Write down what decides about the runs, or refuse a folder with runs of other settings."""
    files = {"pipeline": setup.pipeline, "corpus": setup.corpus, "encoder": setup.encoder}
    settings = {
        **{name: fingerprint(path) for name, path in files.items()},
        "pools": {lang: fingerprint(path) for lang, path in setup.pools.items()},
        "limit": setup.limit,
        "steps": setup.steps,
        "changes": dict(setup.changes),
    }
    path = setup.output / "setup.json"
    settings = srsly.json_loads(srsly.json_dumps(settings))
    found = srsly.read_json(path) if path.exists() else settings
    for key, value in settings.items():
        if found.get(key) != value:
            raise CrossnerError(Errors.CN635.format(path=path, problem=f"{key} differs"))
    write_json(path, settings)


def _read_pool(path: Path, lang: str, limit: int) -> dict[str, Doc]:
    """Read labelled sentences by their text, each text once, as source sentences."""
    pool: dict[str, Doc] = {}
    for doc in convert_labelled(path, lang):
        if len(pool) == limit:
            break
        set_view(doc, View(f"{lang}-labels-{len(pool)}", "source", lang))
        pool.setdefault(doc.text.strip(), doc)
    return pool


def _choose(
    setup: Setup,
    pools: Mapping[str, Mapping[str, Doc]],
    way: str,
    count: int,
    seed: int,
    folder: Path,
) -> list[Doc]:
    """Choose sentences of each pool. `ask` sees them without labels."""
    if way != "ask":
        return [
            pool[text]
            for lang, pool in pools.items()
            for text in random.Random(f"{seed} {lang}").sample(sorted(pool), count)
        ]
    everything = list(chain.from_iterable(pool.values() for pool in pools.values()))
    annotate(setup.pipeline, everything, folder / "annotated", allow_empty=True)
    asked = folder / f"asked-{count}.spacy"
    ask(folder / "annotated", asked, count * len(pools))
    texts = [doc.text.strip() for doc in read_docs(asked, Vocab())]
    return [pool[text] for pool in pools.values() for text in texts if text in pool]


def _train(setup: Setup, chosen: Sequence[Doc], way: str, seed: int, output: Path) -> Path:
    """Go on from the pipeline with the recipe baseline, and calibrate."""
    labels = output / "labels.spacy"
    write_docs(labels, chosen)
    source = [labels] if way == "alone" else [setup.corpus / "source.spacy", labels]
    job = Job(
        find_recipe("baseline"),
        Inputs(source=source, dev=setup.corpus / "dev.spacy", encoder=setup.encoder),
        seed=seed,
        steps=setup.steps,
        changes={"paths.start_from": str(setup.pipeline), **setup.changes},
    )
    return train(job, output, quiet=True)


def _test(pipeline: Path, tests: Mapping[str, Path]) -> dict[str, float]:
    scores = evaluate(pipeline, list(tests.values())).scores
    found = {lang: scores[path.stem]["f"] for lang, path in tests.items()}
    return {**found, "mean": round(mean(found.values()), 2)}
