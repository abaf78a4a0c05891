"""How much a student that learned from a list of names adds to the list, on the sample corpus."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import load_config

from spacy_crossner import annotate, evaluate
from spacy_crossner.data.markup import Marked, read_marked
from spacy_crossner.data.sample import SOURCE, make_doc
from spacy_crossner.data.shards import write_docs
from spacy_crossner.training.recipes import find_recipe

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"
DEV = SAMPLE / SOURCE / "dev.txt"
KNOWN = 0.5  # the share of the names that the list has
OUTSIDE = 0.2  # the share of the other tokens that counts as outside of names


def compare_with_rules(
    output: Path,
    encoder: Path,
    languages: Sequence[str],
    seed: int,
    steps: int,
    changes: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """Train a student on what an entity ruler finds, and compare the recall of both.

    The ruler has half of the names of the translated sample sentences. It annotates these
    sentences, without their labels, and the unlabelled ones. The test sentences are held out.

    output (Path): The folder to write to.
    encoder (Path): Hugging Face folder of the encoder.
    languages (Sequence[str]): Languages of the sample.
    seed (int): Seed of the choice of names and of the training.
    steps (int): Optimizer steps.
    changes (Optional[Mapping[str, object]]): Settings that differ from the recipe baseline.
    RETURNS (Dict[str, float]): Recall on the test sentences, in percent, of the ruler, of a ruler
        that also has half of the test names, and of the student; and the student's F1.
    """
    memory = [one for lang in languages for one in read_marked(SAMPLE / lang / "memory.txt")]
    held = [(lang, one) for lang in languages for one in read_marked(SAMPLE / lang / "test.txt")]
    tests = [make_doc(one, "source", lang) for lang, one in held]
    names = choose_names(memory, seed)
    ruler = make_ruler(names)
    helped = make_ruler(names | choose_names([one for _, one in held], seed))
    folder, dev = output / f"annotated-{seed}", output / "dev.spacy"
    annotate(ruler, iter_targets(languages), folder, lang="xx", outside=OUTSIDE, restart=True)
    write_docs(dev, (make_doc(one, "source", SOURCE) for one in read_marked(DEV)))
    overrides = {
        "paths.encoder": str(encoder),
        "paths.train": str(folder),
        "paths.dev": str(dev),
        "training.max_steps": steps,
        "training.eval_frequency": steps,
        "training.seed": seed,
        **(changes or {}),
    }
    config = load_config(find_recipe("baseline").config, overrides=overrides, interpolate=True)
    student = init_nlp(config)
    train_loop(student, None)
    (recall, f), (of_ruler, _), (of_helped, _) = (
        score(nlp, tests) for nlp in (student, ruler, helped)
    )
    return {"ruler": of_ruler, "ruler with test names": of_helped, "student": recall, "f": f}


def choose_names(sentences: Sequence[Marked], seed: int) -> set[tuple[str, str]]:
    """Choose a random share of the names; return their texts and labels."""
    names = {(one.text[start:end], label) for one in sentences for start, end, label in one.spans}
    return set(random.Random(seed).sample(sorted(names), round(len(names) * KNOWN)))


def make_ruler(names: set[tuple[str, str]]) -> Language:
    """Make a pipeline that finds these names."""
    nlp = spacy.blank("xx")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": text} for text, label in sorted(names)])
    return nlp


def iter_targets(languages: Sequence[str]) -> Iterator[Doc]:
    """Iterate over the docs that the ruler annotates."""
    for language in languages:
        for name in ("memory.txt", "unlabelled.txt"):
            for sentence in read_marked(SAMPLE / language / name):
                yield make_doc(sentence, "target", language)


def score(nlp: Language, docs: list[Doc]) -> tuple[float, float]:
    """Compute recall and F1 of exact entities, means over the languages."""
    scores = evaluate(nlp, docs).scores.values()
    return mean(one["r"] for one in scores), mean(one["f"] for one in scores)
