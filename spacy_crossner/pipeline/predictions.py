"""What a component predicts for a doc, and how its entities are chosen among candidates."""

from dataclasses import dataclass
from typing import Any

import numpy
from spacy.tokens import Doc

from spacy_crossner.ml.heads import find_spaces
from spacy_crossner.pipeline.select import trim_spaces
from spacy_crossner.pipeline.units import to_tokens
from spacy_crossner.schemes import bio
from spacy_crossner.schemes.best_set import best_set
from spacy_crossner.types import Mention


@dataclass
class Prediction:
    """Prediction of a component for one doc.

    entities (List[Mention]): Without overlap, best first.
    candidates (List[Mention]): All that score at least the threshold, best first.
    """

    entities: list[Mention]
    candidates: list[Mention]


def trim(prediction: Prediction, doc: Doc) -> Prediction:
    """Cut white space off: as in spaCy, no entity begins or ends with it."""
    spaces = find_spaces(doc)
    if not spaces.any():
        return prediction
    return Prediction(
        trim_spaces(prediction.entities, spaces), trim_spaces(prediction.candidates, spaces)
    )


def follow_path(
    probs: numpy.ndarray,
    candidates: list[list[Mention]],
    scores: Any,
    labels: tuple[str, ...],
    threshold: float,
) -> list[Prediction]:
    """Take the entities of each doc from its most probable sequence of BIO classes.

    probs (numpy.ndarray): (n_units, n_classes) probabilities of the classes.
    candidates (List[List[Mention]]): The candidates, in units. An entity is one of them, with the
        score that it has on the path.
    scores (Any): The head's output.
    labels (Tuple[str, ...]): The entity types.
    threshold (float): Least score of an entity.
    RETURNS (List[Prediction]): Candidates and entities, in tokens.
    """
    predictions = []
    paths = bio.decode(probs, scores.lengths, labels)
    for path, found, starts, n in zip(
        paths, candidates, scores.starts, scores.n_tokens, strict=True
    ):
        entities = [mention for mention in path if mention.score >= threshold]
        known = {mention[:2]: mention for mention in (*found, *entities)}
        spans = sorted(known.values(), key=lambda m: -m.score)
        predictions.append(Prediction(to_tokens(entities, starts, n), to_tokens(spans, starts, n)))
    return predictions


def flat_entities(
    candidates: list[list[Mention]], scores: Any, threshold: float
) -> list[Prediction]:
    """Choose the entities of each doc.

    candidates (List[List[Mention]]): The candidates, in units, best first.
    scores (Any): The head's output.
    threshold (float): Least score of a candidate.
    RETURNS (List[Prediction]): Candidates and entities, in tokens.
    """
    return [
        Prediction(
            to_tokens(best_set(mentions, threshold), starts, n), to_tokens(mentions, starts, n)
        )
        for mentions, starts, n in zip(candidates, scores.starts, scores.n_tokens, strict=True)
    ]
