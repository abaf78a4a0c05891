"""Entities that go on where a script without spaces leaves no sign that they do.

A head that learned from words takes each piece of a long Chinese name for a new name. Where one
unit goes on letter to letter from another, and both are of the same type, they are one entity.
Both functions change probabilities, so that decoding, scores and soft targets agree.
"""

from collections.abc import Sequence

import numpy

from spacy_crossner.schemes.relations import band_mask, document_ends

# What is less probable than this is not worth joining.
LEAST = 0.02


def join_labels(probs: numpy.ndarray, glued: numpy.ndarray) -> numpy.ndarray:
    """Let BIO entities go on across glued units.

    probs (numpy.ndarray): (n_units, n_classes) probabilities.
    glued (numpy.ndarray): (n_units,) bool, whether a unit goes on where the one before it ends.
    RETURNS (numpy.ndarray): The probabilities, with what began an entity moved inside it.
    """
    places = numpy.flatnonzero(glued)
    if not len(places):
        return probs
    probs = probs.copy()
    inside = probs[places - 1, 1::2] + probs[places - 1, 2::2]
    moved = probs[places, 1::2] * inside
    probs[places, 1::2] -= moved
    probs[places, 2::2] += moved
    return probs


def join_pairs(probs: numpy.ndarray, lengths: Sequence[int], glued: numpy.ndarray) -> numpy.ndarray:
    """Merge adjacent entities of the word-pair scheme where units have no space between them.

    The whole is as probable as its least probable part. A part is an entity by itself only with the
    probability that nothing of its type is glued to it. Docs do not affect each other.

    probs (numpy.ndarray): (n_units, max_span_length, n_relations) probabilities.
    lengths (Sequence[int]): Number of units of each doc.
    glued (numpy.ndarray): (n_units,) bool, whether a unit goes on where the one before it ends.
    RETURNS (numpy.ndarray): The probabilities, with parts joined.
    """
    if not glued.any():
        return probs
    n_units, width, _ = probs.shape
    spans = probs[:, :, 1:] * band_mask(lengths, width)[:, :, None]
    begins = spans.max(axis=1)
    ends = numpy.zeros_like(begins)
    for gap in range(min(width, n_units)):
        ends[gap:] = numpy.maximum(ends[gap:], spans[: n_units - gap, gap])
    # how far the type before a unit goes on in it
    before = numpy.zeros_like(begins)
    before[1:] = numpy.where(glued[1:, None], ends[:-1], 0.0)
    goes_on = numpy.minimum(before, begins)
    # decided for each doc, whatever else is in the batch
    docs = numpy.repeat(numpy.arange(len(lengths)), lengths)
    most = numpy.zeros((len(lengths),), dtype=goes_on.dtype)
    numpy.maximum.at(most, docs, goes_on.max(axis=1))
    changed = most[docs] >= LEAST
    if not changed.any():
        return probs
    before_joining, probs = probs, probs.copy()
    last = document_ends(lengths) - 1
    joined = _join(spans, glued)
    after = numpy.where(glued[:, None], begins, 0.0)
    for gap in range(width):
        following = numpy.minimum(numpy.arange(n_units) + gap + 1, n_units - 1)
        # nothing follows the last unit of a doc
        alone = 1.0 - after[following] * (numpy.arange(n_units) + gap < last)[:, None]
        probs[:, gap, 1:] = joined[:, gap] * (1.0 - before) * alone
    if width > 1:
        probs[:-1, 1, 0] = numpy.maximum(probs[:-1, 1, 0], goes_on[1:].max(axis=1))
    probs[~changed] = before_joining[~changed]
    return probs


def _join(spans: numpy.ndarray, glued: numpy.ndarray) -> numpy.ndarray:
    """Compute the probability of each span, either whole or merged from adjacent parts."""
    n_units, width, _ = spans.shape
    joined = spans.copy()
    for gap in range(1, min(width, n_units)):
        for first in range(gap):
            begin = first + 1
            whole = numpy.minimum(spans[: n_units - begin, first], joined[begin:, gap - begin])
            whole[~glued[begin:]] = 0.0
            part = joined[: n_units - begin, gap]
            numpy.maximum(part, whole, out=part)
    return joined
