"""Soft targets as dense tables, in the units and in the scheme that a head learns from."""

from collections.abc import Callable, Sequence
from typing import Optional

import numpy

from spacy_crossner.data.view import SoftTargets
from spacy_crossner.schemes.convert import bio_to_relations, relations_to_bio

Soft = Sequence[Optional[SoftTargets]]


def dense_classes(
    soft: Soft, starts: Sequence[numpy.ndarray], labels: Sequence[str]
) -> numpy.ndarray:
    """Write soft targets of either scheme as BIO classes. Relations that have classes beside them
    need no conversion.

    soft (Sequence[Optional[SoftTargets]]): The sparse targets of each doc.
    starts (Sequence[numpy.ndarray]): First token of each unit of each doc.
    labels (Sequence[str]): All labels.
    RETURNS (numpy.ndarray): (n_units, n_classes) probabilities of all docs, float32. Docs without
        targets are outside everywhere.
    """

    def convert(target: SoftTargets, first: numpy.ndarray) -> numpy.ndarray:
        width = 1 + int((target.index[:, 1] - target.index[:, 0]).max(initial=0))
        band = fill_relations(target, first, width, 1 + len(labels))
        return relations_to_bio(band, [len(first)], labels)

    def fill(target: Optional[SoftTargets], first: numpy.ndarray) -> numpy.ndarray:
        return fill_classes(target, first, 1 + 2 * len(labels))

    classes = [None if target is None else target.bio or target for target in soft]
    return _join(classes, starts, "relations", convert, fill)


def dense_relations(
    soft: Soft, starts: Sequence[numpy.ndarray], labels: Sequence[str], width: int
) -> numpy.ndarray:
    """Write soft targets of either scheme as relations.

    soft (Sequence[Optional[SoftTargets]]): The sparse targets of each doc.
    starts (Sequence[numpy.ndarray]): First token of each unit of each doc.
    labels (Sequence[str]): All labels.
    width (int): Width of the band.
    RETURNS (numpy.ndarray): (n_units, width, n_relations) probabilities of all docs, float32. Docs
        without targets have none.
    """

    def convert(target: SoftTargets, first: numpy.ndarray) -> numpy.ndarray:
        classes = fill_classes(target, first, 1 + 2 * len(labels))
        return bio_to_relations(classes, [len(first)], labels, width)

    def fill(target: Optional[SoftTargets], first: numpy.ndarray) -> numpy.ndarray:
        return fill_relations(target, first, width, 1 + len(labels))

    return _join(soft, starts, "bio", convert, fill)


def _join(
    soft: Soft, starts: Sequence[numpy.ndarray], other: str, convert: Callable, fill: Callable
) -> numpy.ndarray:
    return numpy.concatenate(
        [
            (convert if target is not None and target.scheme == other else fill)(target, first)
            for target, first in zip(soft, starts, strict=True)
        ]
    )


def fill_classes(
    soft: Optional[SoftTargets], starts: numpy.ndarray, n_classes: int
) -> numpy.ndarray:
    """Fill up BIO targets: tokens that are not listed are outside.

    soft (Optional[SoftTargets]): The sparse targets of one doc. Those of the first token of a unit
        hold for the unit.
    starts (numpy.ndarray): (n_units,) those tokens.
    n_classes (int): Number of classes.
    RETURNS (numpy.ndarray): (n_units, n_classes) probabilities, float32.
    """
    probs = numpy.zeros((len(starts), n_classes), dtype="float32")
    probs[:, 0] = 1.0
    if soft is not None and len(soft.index):
        tokens = soft.index.reshape(-1)
        units = numpy.searchsorted(starts, tokens, side="right") - 1
        is_first = starts[units] == tokens
        probs[units[is_first]] = soft.probs[is_first]
    return probs


def fill_relations(
    soft: Optional[SoftTargets], starts: numpy.ndarray, width: int, n_relations: int
) -> numpy.ndarray:
    """Fill up targets of relations: pairs that are not listed have none.

    soft (Optional[SoftTargets]): The sparse targets of one doc. Those of two tokens hold for their
        units.
    starts (numpy.ndarray): (n_units,) the first token of each unit.
    width (int): Width of the band.
    n_relations (int): Number of relations.
    RETURNS (numpy.ndarray): (n_units, width, n_relations) probabilities, float32.
    """
    probs = numpy.zeros((len(starts), width, n_relations), dtype="float32")
    if soft is not None and len(soft.index):
        firsts, lasts = (numpy.searchsorted(starts, soft.index, side="right") - 1).T
        gaps = lasts - firsts
        inside = gaps < width
        found = soft.probs.astype("float32")
        # two tokens of one unit are not neighbours that could be joined
        found[(gaps == 0) & (soft.index[:, 0] != soft.index[:, 1]), 0] = 0.0
        # an entity's head and tail are one pair of tokens, the words in between are others
        numpy.maximum.at(probs, (firsts[inside], gaps[inside]), found[inside])
    return probs


def find_taught(soft: Soft, starts: Sequence[numpy.ndarray]) -> numpy.ndarray:
    """Find the units that have soft targets.

    soft (Sequence[Optional[SoftTargets]]): The sparse targets of each doc.
    starts (Sequence[numpy.ndarray]): First token of each unit of each doc.
    RETURNS (numpy.ndarray): (n_units,) bool. False for docs without targets and for units with a
        token without teacher probabilities.
    """
    found = []
    for target, first in zip(soft, starts, strict=True):
        taught = numpy.full((len(first),), target is not None)
        if target is not None and target.masked is not None:
            taught[numpy.searchsorted(first, target.masked, side="right") - 1] = False
        found.append(taught)
    return numpy.concatenate(found)
