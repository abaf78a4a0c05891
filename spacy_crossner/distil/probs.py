"""What teachers say of a batch of texts, and how several of them become one: pure functions.

Teachers may differ in kind (token labels or token pairs), in what they can tell apart (an encoder's
word piece may cover several tokens) and in their labels. Each opinion is brought to the units that
all of them can express and to one scheme; then, per label, the probabilities are averaged over the
teachers that know the label.
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
    """

    scheme: str
    labels: tuple[str, ...]
    probs: numpy.ndarray
    starts: list[numpy.ndarray]
    n_tokens: list[int]

    @property
    def lengths(self) -> list[int]:
        """RETURNS (list[int]): Number of units of each text."""
        return [len(rows) for rows in self.starts]


def find_candidates(opinion: TeacherProbs, threshold: float) -> list[list[Mention]]:
    """RETURNS (list[list[Mention]]): All spans of each text that score enough, in units."""
    if opinion.scheme == "bio":
        return bio.candidates(opinion.probs, opinion.lengths, opinion.labels, threshold, PAIR_WIDTH)
    return relations.decode_batch(opinion.probs, opinion.lengths, opinion.labels, threshold)


def to_bio(opinion: TeacherProbs) -> TeacherProbs:
    """Express probabilities as BIO classes, see `relations_to_bio`.

    opinion (TeacherProbs): The probabilities.
    RETURNS (TeacherProbs): The same as BIO classes.
    """
    if opinion.scheme == "bio":
        return opinion
    probs = relations_to_bio(opinion.probs, opinion.lengths, opinion.labels)
    return replace(opinion, scheme="bio", probs=probs)


def to_relations(opinion: TeacherProbs) -> TeacherProbs:
    """Express probabilities as relations, see `bio_to_relations`.

    opinion (TeacherProbs): The probabilities.
    RETURNS (TeacherProbs): The same as relations.
    """
    if opinion.scheme == "relations":
        return opinion
    probs = bio_to_relations(opinion.probs, opinion.lengths, opinion.labels)
    return replace(opinion, scheme="relations", probs=probs)


def refine(
    opinion: TeacherProbs, starts: list[numpy.ndarray], outside: Optional[numpy.ndarray] = None
) -> TeacherProbs:
    """Express an opinion in smaller units: an entity covers all parts of its units.

    opinion (TeacherProbs): The opinion.
    starts (list[numpy.ndarray]): First token of each smaller unit of each text; they include the
        first tokens of the opinion's own units.
    outside (Optional[numpy.ndarray]): (n_units,) the probability of each to lie outside of all
        entities, if it is known already.
    RETURNS (TeacherProbs): The opinion in those units.
    """
    if _same(opinion.starts, starts):
        return opinion
    parents, is_first = [], []
    offset = 0
    for own, finer in zip(opinion.starts, starts, strict=True):
        unit_of = numpy.searchsorted(own, finer, side="right") - 1
        parents.append(offset + unit_of)
        is_first.append(own[unit_of] == finer)
        offset += len(own)
    parent, first = numpy.concatenate(parents), numpy.concatenate(is_first)
    if opinion.scheme == "bio":
        probs = opinion.probs[parent]
        probs[~first, 2::2] += probs[~first, 1::2]
        probs[~first, 1::2] = 0.0
    else:
        outside = to_bio(opinion).probs[:, 0] if outside is None else outside
        probs = _refine_relations(opinion.probs, parent, first, 1.0 - outside[parent])
    return replace(opinion, probs=probs, starts=starts)


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
    opinions: Sequence[TeacherProbs], scheme: str, labels: tuple[str, ...]
) -> tuple[TeacherProbs, list[float]]:
    """Average opinions on the same texts.

    opinions (Sequence[TeacherProbs]): The opinions, at least one.
    scheme (str): The scheme of the result.
    labels (tuple[str, ...]): The entity types of the result. Each is known to some teacher.
    RETURNS (tuple[TeacherProbs, list[float]]): The average, and for each text how far the opinions
        agree: of the tokens that any of them takes for part of an entity, the share of which all
        say the same.
    """
    first = opinions[0]
    if len(opinions) == 1 and first.labels == labels:
        joined = to_bio(first) if scheme == "bio" else to_relations(first)
        return joined, [1.0] * len(first.starts)
    shared = [
        reduce(numpy.union1d, group)
        for group in zip(*(opinion.starts for opinion in opinions), strict=True)
    ]
    fine = [refine(opinion, shared) for opinion in opinions]
    if scheme == "bio":
        probs = _average_classes([to_bio(opinion) for opinion in fine], labels)
    else:
        probs = _average_relations([to_relations(opinion) for opinion in fine], labels)
    joined = TeacherProbs(scheme, labels, probs, shared, first.n_tokens)
    return joined, measure_agreement([to_bio(opinion) for opinion in fine], labels)


def _same(starts: list[numpy.ndarray], others: list[numpy.ndarray]) -> bool:
    return all(len(own) == len(other) for own, other in zip(starts, others, strict=True))


def _average_classes(opinions: list[TeacherProbs], labels: tuple[str, ...]) -> numpy.ndarray:
    """Average over those that know a label; O is what is left, as it is with a type too many."""
    probs = numpy.zeros((len(opinions[0].probs), 1 + 2 * len(labels)), dtype="float32")
    for i, label in enumerate(labels):
        known = [opinion for opinion in opinions if label in opinion.labels]
        for opinion in known:
            own = 1 + 2 * opinion.labels.index(label)
            probs[:, 1 + 2 * i : 3 + 2 * i] += opinion.probs[:, own : own + 2] / len(known)
    probs[:, 0] = numpy.maximum(1.0 - probs.sum(axis=1), 0.0)
    return probs / probs.sum(axis=1, keepdims=True)


def _average_relations(opinions: list[TeacherProbs], labels: tuple[str, ...]) -> numpy.ndarray:
    width = max(opinion.probs.shape[1] for opinion in opinions)
    probs = numpy.zeros((len(opinions[0].probs), width, 1 + len(labels)), dtype="float32")
    agree_on_labels = all(set(opinion.labels) == set(labels) for opinion in opinions)
    for opinion in opinions:
        words = probs[:, : opinion.probs.shape[1], 0]
        if agree_on_labels:
            words += opinion.probs[:, :, 0] / len(opinions)
        else:
            # who does not know a label does not see which words its entities join
            numpy.maximum(words, opinion.probs[:, :, 0], out=words)
    for i, label in enumerate(labels, start=1):
        known = [opinion for opinion in opinions if label in opinion.labels]
        for opinion in known:
            own = opinion.probs[:, :, 1 + opinion.labels.index(label)]
            probs[:, : own.shape[1], i] += own / len(known)
    return probs


def measure_agreement(opinions: list[TeacherProbs], labels: tuple[str, ...]) -> list[float]:
    """Compare the most probable type of each token.

    opinions (list[TeacherProbs]): Opinions as token labels, in the same units.
    labels (tuple[str, ...]): The types that count.
    RETURNS (list[float]): For each text, see `join`; 1.0 where nobody sees an entity.
    """
    types = []
    for opinion in opinions:
        number_of = numpy.array(
            [0, *(labels.index(lb) + 1 if lb in labels else 0 for lb in opinion.labels)]
        )
        types.append(number_of[(opinion.probs.argmax(axis=1) + 1) // 2])
    table = numpy.stack(types)
    seen = table.any(axis=0)
    alike = seen & (table == table[:1]).all(axis=0)
    bounds = numpy.cumsum(opinions[0].lengths)[:-1]
    return [
        float(same.sum() / any_.sum()) if any_.any() else 1.0
        for same, any_ in zip(numpy.split(alike, bounds), numpy.split(seen, bounds), strict=True)
    ]
