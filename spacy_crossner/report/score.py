"""Entities compared by characters, so that predictions may have other tokens than the gold."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Optional

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_crossner.data.languages import is_unspaced
from spacy_crossner.data.readers import make_example
from spacy_crossner.data.view import get_view

BATCH_SIZE = 64
BINS = 10
COUNTED = ("right", "found", "gold")


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
        found, there = entities_of(doc, truth), entities_of(truth)
        sets = (found & there, found, there)
        counts.append([len(entities) for entities in sets])
        for key, entities in zip(COUNTED, sets, strict=True):
            for *_, label in entities:
                per_type.setdefault(label, Counter())[key] += 1
    return {
        **percent(*(sum(column) for column in zip(*counts, strict=True))),
        "per_type": {
            label: percent(*(n[key] for key in COUNTED)) for label, n in sorted(per_type.items())
        },
        "counts": counts,
    }


def make_input(nlp: Language, gold: Doc) -> Doc:
    """RETURNS (Doc): The doc that a pipeline gets to see of a gold doc."""
    view = get_view(gold)
    if view is not None and is_unspaced(view.lang) and not gold.has_unknown_spaces:
        return nlp.make_doc(gold.text)
    return make_example(gold).predicted


def entities_of(doc: Doc, gold: Optional[Doc] = None) -> set[tuple[int, int, str]]:
    """Read the entities of a doc.

    doc (Doc): The doc.
    gold (Optional[Doc]): What it will be compared with, on tokens of its own. Entities that touch
        a token without annotation there are left out.
    RETURNS (Set[Tuple[int, int, str]]): Character offsets and label of each entity.
    """
    unknown = [] if gold is None else [token for token in gold if token.ent_iob == 0]
    return {
        (ent.start_char, ent.end_char, ent.label_)
        for ent in doc.ents
        if not any(t.idx < ent.end_char and t.idx + len(t) > ent.start_char for t in unknown)
    }


def percent(right: int, found: int, gold: int) -> dict[str, float]:
    """RETURNS (Dict[str, float]): Precision, recall and F1 in percent."""
    return {
        "p": round(100.0 * right / max(1, found), 2),
        "r": round(100.0 * right / max(1, gold), 2),
        "f": round(float(f1(numpy.array([right, found, gold]))), 2),
    }


def f1(counts: numpy.ndarray) -> numpy.ndarray:
    """Reduce counts of entities to F1.

    counts (numpy.ndarray): Shape (..., 3): entities that are right, found, and in the gold.
    RETURNS (numpy.ndarray): F1 in percent, shape (...); 100 where there is nothing to find and
        nothing was found.
    """
    counts = numpy.asarray(counts, dtype="float64")
    both = counts[..., 1] + counts[..., 2]
    return numpy.where(both > 0, 200.0 * counts[..., 0] / numpy.maximum(both, 1.0), 100.0)


def expected_calibration_error(
    scores: numpy.ndarray, correct: numpy.ndarray, bins: int = BINS
) -> float:
    """Say how far scores are from the share of right ones, on average.

    scores (numpy.ndarray): (n,) between 0 and 1.
    correct (numpy.ndarray): (n,) whether each prediction was right.
    bins (int): Number of intervals of equal width to compare in.
    RETURNS (float): The mean difference, weighted by the number of predictions; 0 without any.
    """
    if not len(scores):
        return 0.0
    places = numpy.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for place in numpy.unique(places):
        inside = places == place
        total += inside.sum() * abs(scores[inside].mean() - correct[inside].mean())
    return float(total / len(scores))
