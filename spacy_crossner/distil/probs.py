"""The probabilities of teachers for a batch of texts, and their average: pure functions.

Teachers may differ in scheme (token labels or pairs), in units (a word piece may cover several
tokens) and in labels. All are converted to the smallest units and to one scheme; then each label is
averaged over the teachers that know it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Optional

import numpy

from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.convert import PAIR_WIDTH, bio_to_relations, relations_to_bio
from spacy_crossner.types import Mention


@dataclass
class TeacherProbs:
    """A teacher's probabilities for a batch of texts.

    scheme (str): "bio" or "relations".
    labels (tuple): The entity types, in the order of the columns.
    probs (numpy.ndarray): (n_units, 1 + 2 * n_labels), or (n_units, width, 1 + n_labels), all
        texts one after the other.
    starts (list): (n_units,) the first token of each unit of each text.
    n_tokens (list): Number of tokens of each text.
    known (Optional[numpy.ndarray]): (n_units,) bool, False where the teacher says nothing. None if
        it always does.
    weight (float): The teacher's weight in an average.
    classes (Optional[numpy.ndarray]): (n_units, 1 + 2 * n_labels) BIO classes beside relations,
        from heads that have both.
    ents_from (str): What decides about entities where there are both: "pairs" or "classes".
    touching_odds (float): What the teacher's classes are read with, see `bio.favour_whole`.
    """

    scheme: str
    labels: tuple[str, ...]
    probs: numpy.ndarray
    starts: list[numpy.ndarray]
    n_tokens: list[int]
    known: Optional[numpy.ndarray] = None
    weight: float = 1.0
    classes: Optional[numpy.ndarray] = None
    ents_from: str = "pairs"
    touching_odds: float = 1.0

    @property
    def by_class(self) -> bool:
        """Whether BIO classes decide about entities."""
        return self.scheme == "bio" or self.ents_from == "classes"

    @property
    def shares(self) -> numpy.ndarray:
        """Get the weight of each unit.

        RETURNS (numpy.ndarray): (n_units,) the weight, 0 where nothing is known.
        """
        shares = numpy.full((len(self.probs),), self.weight)
        return shares if self.known is None else shares * self.known

    @property
    def lengths(self) -> list[int]:
        """Number of units of each text."""
        return [len(rows) for rows in self.starts]


def find_candidates(teacher: TeacherProbs, threshold: float) -> list[list[Mention]]:
    """Find all spans of each text above the threshold, in units."""
    if teacher.scheme == "bio":
        return bio.candidates(teacher.probs, teacher.lengths, teacher.labels, threshold, PAIR_WIDTH)
    return relations.decode_batch(teacher.probs, teacher.lengths, teacher.labels, threshold)


def to_bio(teacher: TeacherProbs) -> TeacherProbs:
    """Express probabilities as BIO classes: those of the teacher, or see `relations_to_bio`.

    teacher (TeacherProbs): The probabilities.
    RETURNS (TeacherProbs): The same as BIO classes.
    """
    if teacher.scheme == "bio":
        return teacher
    probs = teacher.classes
    if probs is None:
        probs = relations_to_bio(teacher.probs, teacher.lengths, teacher.labels)
    return replace(teacher, scheme="bio", probs=probs, classes=None)


def to_relations(teacher: TeacherProbs) -> TeacherProbs:
    """Express probabilities as relations, see `bio_to_relations`; BIO classes stay beside them.

    teacher (TeacherProbs): The probabilities.
    RETURNS (TeacherProbs): The same as relations.
    """
    if teacher.scheme == "relations":
        return teacher
    probs = bio_to_relations(teacher.probs, teacher.lengths, teacher.labels)
    return replace(
        teacher, scheme="relations", probs=probs, classes=teacher.probs, ents_from="classes"
    )


def refine(
    teacher: TeacherProbs, starts: list[numpy.ndarray], outside: Optional[numpy.ndarray] = None
) -> TeacherProbs:
    """Express probabilities in smaller units: an entity covers all parts of its units.

    teacher (TeacherProbs): The probabilities.
    starts (list[numpy.ndarray]): First token of each smaller unit of each text; they include the
        first tokens of the present units.
    outside (Optional[numpy.ndarray]): (n_units,) the probability of each to lie outside of all
        entities, if it is known already.
    RETURNS (TeacherProbs): The probabilities in those units.
    """
    if _same(teacher.starts, starts):
        return teacher
    parents, is_first = [], []
    offset = 0
    for own, finer in zip(teacher.starts, starts, strict=True):
        unit_of = numpy.searchsorted(own, finer, side="right") - 1
        parents.append(offset + unit_of)
        is_first.append(own[unit_of] == finer)
        offset += len(own)
    parent, first = numpy.concatenate(parents), numpy.concatenate(is_first)
    known = None if teacher.known is None else teacher.known[parent]
    refined = replace(teacher, starts=starts, known=known)
    if teacher.scheme == "bio":
        refined.probs = _refine_classes(teacher.probs, parent, first)
        return refined
    outside = to_bio(teacher).probs[:, 0] if outside is None else outside
    refined.probs = _refine_relations(teacher.probs, parent, first, 1.0 - outside[parent])
    if teacher.classes is not None:
        refined.classes = _refine_classes(teacher.classes, parent, first)
    return refined


def _refine_classes(
    table: numpy.ndarray, parent: numpy.ndarray, first: numpy.ndarray
) -> numpy.ndarray:
    probs = table[parent]
    probs[~first, 2::2] += probs[~first, 1::2]
    probs[~first, 1::2] = 0.0
    return probs


def _refine_relations(
    table: numpy.ndarray, parent: numpy.ndarray, first: numpy.ndarray, inside: numpy.ndarray
) -> numpy.ndarray:
    n, width = len(parent), table.shape[1]
    last = numpy.append(first[1:], True)
    tails = numpy.minimum(numpy.arange(n)[:, None] + numpy.arange(width), n - 1)
    gaps = parent[tails] - parent[:, None]
    probs = table[parent[:, None], gaps]
    # an entity goes from a first part to a last one, and over from a last part to a first one
    probs[:, :, 1:] *= (first[:, None] & last[tails])[:, :, None]
    probs[:, :, 0] *= last[:, None] & first[tails]
    if width > 1:
        neighbours = numpy.flatnonzero((gaps[:, 1] == 0) & ~last)
        probs[neighbours, 1, 0] = inside[neighbours]
    return probs


def join(
    teachers: Sequence[TeacherProbs], scheme: str, labels: tuple[str, ...]
) -> tuple[TeacherProbs, list[float]]:
    """Average the probabilities of teachers for the same texts.

    teachers (Sequence[TeacherProbs]): The teachers, at least one.
    scheme (str): The scheme of the result.
    labels (tuple[str, ...]): The entity types of the result. Each is known to some teacher.
    RETURNS (tuple[TeacherProbs, list[float]]): The average, and for each text how far the teachers
        agree: of the tokens that any of them takes for part of an entity, the share of which all
        say the same.
    """
    first = teachers[0]
    if len(teachers) == 1 and first.labels == labels and first.known is None:
        joined = to_bio(first) if scheme == "bio" else to_relations(first)
        return joined, [1.0] * len(first.starts)
    shared = [
        reduce(numpy.union1d, group)
        for group in zip(*(teacher.starts for teacher in teachers), strict=True)
    ]
    fine = [refine(teacher, shared) for teacher in teachers]
    by_class = [to_bio(teacher) for teacher in fine]
    if scheme == "bio":
        probs = _average_classes(by_class, labels)
    else:
        probs = _average_relations([to_relations(teacher) for teacher in fine], labels)
    joined = TeacherProbs(scheme, labels, probs, shared, first.n_tokens)
    joined.touching_odds = min(teacher.touching_odds for teacher in teachers)
    if scheme != "bio" and any(one.scheme == "bio" or one.classes is not None for one in fine):
        joined.classes = _average_classes(by_class, labels)
        if any(one.by_class for one in fine):
            joined.ents_from = "classes"
    joined.known = _find_known(fine, labels, joined)
    return joined, measure_agreement(by_class, labels)


def _same(starts: list[numpy.ndarray], others: list[numpy.ndarray]) -> bool:
    return all(len(own) == len(other) for own, other in zip(starts, others, strict=True))


def _find_known(
    teachers: list[TeacherProbs], labels: tuple[str, ...], joined: TeacherProbs
) -> Optional[numpy.ndarray]:
    """Find the units that the average may teach.

    A unit that no teacher knows all labels of could be an entity of another label. It is known only
    where another label is more probable than not.

    teachers (list[TeacherProbs]): The probabilities in the same units.
    labels (tuple[str, ...]): The labels of the average.
    joined (TeacherProbs): The average.
    RETURNS (Optional[numpy.ndarray]): (n_units,) bool; None if all units are known.
    """
    known = numpy.ones((len(joined.probs),), dtype=bool)
    for label in labels:
        shares = [teacher.shares for teacher in teachers if label in teacher.labels]
        known &= sum(shares, numpy.zeros(len(known))) > 0
    if known.all():
        return None
    return known | (to_bio(joined).probs[:, 0] < 0.5)


def _average_classes(teachers: list[TeacherProbs], labels: tuple[str, ...]) -> numpy.ndarray:
    """Average each label over the teachers that know it; O gets the rest, and a sum of labels above
    1 is scaled down."""
    probs = numpy.zeros((len(teachers[0].probs), 1 + 2 * len(labels)), dtype="float32")
    for i, label in enumerate(labels):
        for teacher, share in _share_units([one for one in teachers if label in one.labels]):
            own = 1 + 2 * teacher.labels.index(label)
            probs[:, 1 + 2 * i : 3 + 2 * i] += teacher.probs[:, own : own + 2] * share[:, None]
    probs[:, 0] = numpy.maximum(1.0 - probs.sum(axis=1), 0.0)
    return probs / probs.sum(axis=1, keepdims=True)


def _average_relations(teachers: list[TeacherProbs], labels: tuple[str, ...]) -> numpy.ndarray:
    width = max(teacher.probs.shape[1] for teacher in teachers)
    probs = numpy.zeros((len(teachers[0].probs), width, 1 + len(labels)), dtype="float32")
    agree_on_labels = all(set(teacher.labels) == set(labels) for teacher in teachers)
    for teacher, share in _share_pairs(teachers, width):
        words = probs[:, : teacher.probs.shape[1], 0]
        if agree_on_labels:
            words += teacher.probs[:, :, 0] * share[:, : words.shape[1]]
        else:
            # teachers that do not know a label do not see which words its entities join
            numpy.maximum(words, teacher.probs[:, :, 0], out=words)
    for i, label in enumerate(labels, start=1):
        knowing = [one for one in teachers if label in one.labels]
        for teacher, share in _share_pairs(knowing, width):
            own = teacher.probs[:, :, 1 + teacher.labels.index(label)]
            probs[:, : own.shape[1], i] += own * share[:, : own.shape[1]]
    return probs


Shares = list[tuple[TeacherProbs, numpy.ndarray]]


def _share_units(teachers: list[TeacherProbs]) -> Shares:
    """Compute each teacher's weight in the average, shape (n_units,)."""
    return _share(teachers, [teacher.shares for teacher in teachers])


def _share_pairs(teachers: list[TeacherProbs], width: int) -> Shares:
    """Compute each teacher's weight in the average, shape (n_units, width)."""
    weights = []
    for teacher in teachers:
        known = numpy.ones((len(teacher.probs), width), dtype=bool)
        if teacher.known is not None:
            known = relations.known_pairs(teacher.known, width)
        weights.append(teacher.weight * known)
    return _share(teachers, weights)


def _share(teachers: list[TeacherProbs], weights: list[numpy.ndarray]) -> Shares:
    total = numpy.maximum(sum(weights, numpy.zeros(())), 1e-9)
    return [
        (teacher, (weight / total).astype("float32"))
        for teacher, weight in zip(teachers, weights, strict=True)
    ]


def measure_agreement(teachers: list[TeacherProbs], labels: tuple[str, ...]) -> list[float]:
    """Measure how often teachers agree on the most probable type of a token.

    teachers (list[TeacherProbs]): The probabilities as BIO classes, in the same units.
    labels (tuple[str, ...]): The types that count.
    RETURNS (list[float]): For each text, see `join`; 1.0 if no teacher predicts an entity.
    """
    types = []
    for teacher in teachers:
        number_of = numpy.array(
            [0, *(labels.index(lb) + 1 if lb in labels else 0 for lb in teacher.labels)]
        )
        types.append(number_of[(teacher.probs.argmax(axis=1) + 1) // 2])
    table = numpy.stack(types)
    seen = table.any(axis=0)
    for teacher in teachers:
        if teacher.known is not None:
            seen &= teacher.known
    alike = seen & (table == table[:1]).all(axis=0)
    bounds = numpy.cumsum(teachers[0].lengths)[:-1]
    return [
        float(same.sum() / any_.sum()) if any_.any() else 1.0
        for same, any_ in zip(numpy.split(alike, bounds), numpy.split(seen, bounds), strict=True)
    ]
