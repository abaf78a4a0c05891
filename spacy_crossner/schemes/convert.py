"""Probabilities of one scheme expressed in the other: BIO classes and relations."""

from collections.abc import Sequence

import numpy

from spacy_crossner.schemes import bio, relations

# Spans that score less are not converted.
CANDIDATE_FLOOR = 0.02
# Longest entity that BIO classes pass on to relations.
PAIR_WIDTH = 32


def relations_to_bio(
    probs: numpy.ndarray, lengths: Sequence[int], labels: Sequence[str]
) -> numpy.ndarray:
    """Express relations as BIO classes.

    The candidates are taken one by one, best first. Each gives its score to the classes of its
    tokens, limited to the probability that better candidates left there; the rest goes to O.
    Entities with gaps are left out.

    probs (numpy.ndarray): Probabilities, shape (sum(lengths), width, 1 + n_labels).
    lengths (Sequence[int]): Number of tokens of each document.
    labels (Sequence[str]): All labels.
    RETURNS (numpy.ndarray): float32 probabilities, shape (sum(lengths), 1 + 2 * n_labels).
    """
    classes = numpy.zeros((len(probs), 1 + 2 * len(labels)), dtype="float32")
    classes[:, 0] = 1.0
    columns = {label: 1 + 2 * i for i, label in enumerate(labels)}
    offset = 0
    found = relations.decode_batch(probs, lengths, labels, CANDIDATE_FLOOR)
    for mentions, length in zip(found, lengths, strict=True):
        table = classes[offset : offset + length]
        for mention in mentions:
            if mention.is_contiguous:
                span = slice(mention.start, mention.end)
                mass = min(mention.score, table[span, 0].min())
                column = columns[mention.label]
                table[span, 0] -= mass
                table[mention.start, column] += mass
                table[mention.start + 1 : mention.end, column + 1] += mass
        offset += length
    return numpy.maximum(classes, 0.0)


def bio_to_relations(
    probs: numpy.ndarray, lengths: Sequence[int], labels: Sequence[str], width: int = PAIR_WIDTH
) -> numpy.ndarray:
    """Express BIO classes as relations.

    THW gets the score of the span; NNW of two neighbours gets the probability that the second
    continues an entity.

    probs (numpy.ndarray): Probabilities, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Number of tokens of each document.
    labels (Sequence[str]): All labels.
    width (int): Width of the band.
    RETURNS (numpy.ndarray): float32 probabilities, shape (sum(lengths), width, 1 + n_labels).
    """
    band = numpy.zeros((len(probs), width, 1 + len(labels)), dtype="float32")
    if width > 1:
        goes_on = probs[:, 2::2].sum(axis=1)
        ends = relations.document_ends(lengths)
        inside = numpy.flatnonzero(numpy.arange(1, len(ends)) < ends[:-1])
        band[inside, 1, 0] = numpy.minimum(goes_on[inside + 1], 1.0)
    columns = {label: 1 + i for i, label in enumerate(labels)}
    offset = 0
    found = bio.candidates(probs, lengths, labels, CANDIDATE_FLOOR, width)
    for mentions, length in zip(found, lengths, strict=True):
        for m in mentions:
            band[offset + m.start, m.end - m.start - 1, columns[m.label]] = m.score
        offset += length
    return band
