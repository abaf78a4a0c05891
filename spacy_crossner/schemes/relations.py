"""Mentions as relations between two tokens, and back: the word-pair scheme, in a band.

A document of n tokens has a band of shape (n, width, 1 + n_labels). Its entry [i, d, channel] is
about token i and token i + d:

* channel 0, NNW (next neighbouring word): i + d is the word after i in some mention, d >= 1;
* channel 1 + l, THW (tail and head of a word): a mention with label l starts at i and ends at
  i + d, d >= 0.

Only pairs less than `width` apart exist, so a document costs n x width whatever its length, and a
mention longer than `width` can't be held. Entries that reach beyond the document's end mean
nothing and are never read.

Decoding takes every THW entry as a candidate and looks for the candidate's words: a path from head
to tail over NNW entries. Of all paths the one whose weakest NNW is strongest is taken; among equals
the one that skips the fewest tokens, then the one with the smallest token indices.

A path without a gap has the score of its THW, whatever its NNW entries say: THW has decided that
the span exists already, and the inner words of long names, which are rare, are what NNW knows least
of, in other languages above all. A path with a gap needs NNW entries that are not below `LEAP`,
else there is no gap; and its score is the THW probability or its weakest NNW, whichever is less:
they stand and fall together, and their product would be too low.

What comes back
    Every set of contiguous mentions within `width` comes back exactly: nested, overlapping, or one
    span with several labels. THW alone decides which spans exist, the NNW entries of each hold, and
    the path without a gap wins against all others.

    A set with discontinuous mentions comes back exactly if no two of its mentions share head, tail
    and label, and if the words of each mention are the preferred path (as above) among all paths
    that the NNW entries of the whole set form between its head and tail. Where that fails, the
    relations themselves no longer tell the sets apart:

    * Same head, tail and label: {(0, 2) X, (0, 1, 2) X} has NNW 0-2, 0-1, 1-2 and one THW-X 0-2, as
      has {(0, 1, 2) X} with an NNW left over. Only (0, 1, 2) comes back.
    * Crossing paths: {(0, 2, 5) X, (1, 2, 4, 5) Y} has NNW 0-2, 2-5, 1-2, 2-4, 4-5. The paths meet
      in token 2, so that X may go on as 2-4-5 as well: (0, 2, 4, 5) X comes back, which was never
      there.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Optional

import numpy

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.types import Mention

# Keeps scores strictly between 0 and 1, whatever a model is sure of.
EPSILON = 1e-6
# Words are left out of a mention only where NNW entries that lead around them are not below this.
LEAP = 0.1
# Rows that the search for discontinuous paths works on at once: bounds its memory.
CHUNK = 4096


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Name the relations: "NNW", "THW-x", "THW-y", ..."""
    return ("NNW", *(f"THW-{label}" for label in labels))


def encode(
    mentions: Iterable[Mention], labels: Sequence[str], n_tokens: int, width: int
) -> tuple[numpy.ndarray, list[Mention]]:
    """Write mentions as relations.

    mentions (Iterable[Mention]): The mentions, in any order.
    labels (Sequence[str]): All labels, in the order of the channels.
    n_tokens (int): Number of tokens of the document.
    width (int): Width of the band, the most tokens from a mention's first to its last.
    RETURNS (tuple): The entries (i, d, channel) that hold, int32, shape (m, 3), unique and sorted;
        and the mentions that the band can't hold: too long, or not inside the document.
    """
    channels = {label: channel for channel, label in enumerate(labels, start=1)}
    entries: set[tuple[int, int, int]] = set()
    dropped = []
    for mention in mentions:
        if mention.label not in channels:
            raise CrossnerError(
                Errors.CN101.format(label=mention.label, labels=", ".join(labels) or "none")
            )
        if not _fits(mention.tokens, n_tokens, width):
            dropped.append(mention)
            continue
        entries.update((i, j - i, 0) for i, j in pairwise(mention.tokens))
        entries.add((mention.start, mention.end - 1 - mention.start, channels[mention.label]))
    return numpy.array(sorted(entries), dtype="int32").reshape(-1, 3), dropped


def _fits(tokens: tuple[int, ...], n_tokens: int, width: int) -> bool:
    ascending = all(i < j for i, j in pairwise(tokens))
    return (
        bool(tokens)
        and ascending
        and tokens[0] >= 0
        and tokens[-1] < min(n_tokens, tokens[0] + width)
    )


def flat_targets(
    indices: Sequence[numpy.ndarray], lengths: Sequence[int], width: int, n_labels: int
) -> numpy.ndarray:
    """Lay the relations of several documents out as one band.

    indices (Sequence[numpy.ndarray]): Per document, what `encode` made.
    lengths (Sequence[int]): Per document, its number of tokens.
    width (int): Width of the band.
    n_labels (int): Number of labels.
    RETURNS (numpy.ndarray): bool, shape (sum(lengths), width, 1 + n_labels).
    """
    band = numpy.zeros((sum(lengths), width, 1 + n_labels), dtype=bool)
    offset = 0
    for index, length in zip(indices, lengths, strict=True):
        band[offset + index[:, 0], index[:, 1], index[:, 2]] = True
        offset += length
    return band


def band_mask(lengths: Sequence[int], width: int) -> numpy.ndarray:
    """Say which pairs of a flat band lie inside one document.

    lengths (Sequence[int]): Per document, its number of tokens.
    width (int): Width of the band.
    RETURNS (numpy.ndarray): bool, shape (sum(lengths), width): whether i + d is a token of i's own
        document.
    """
    ends = document_ends(lengths)
    return numpy.arange(len(ends))[:, None] + numpy.arange(width) < ends[:, None]


def decode(probs: numpy.ndarray, labels: Sequence[str], threshold: float) -> list[Mention]:
    """Read the mentions of one document out of its relations.

    probs (numpy.ndarray): Probabilities, float, shape (n_tokens, width, 1 + n_labels).
    labels (Sequence[str]): All labels, in the order of the channels.
    threshold (float): The least score that counts.
    RETURNS (list[Mention]): Every candidate that scores at least the threshold, nested and
        overlapping ones included, best first; equals by start, end and label.
    """
    return decode_batch(probs, [len(probs)], labels, threshold)[0]


def decode_batch(
    probs: numpy.ndarray, lengths: Sequence[int], labels: Sequence[str], threshold: float
) -> list[list[Mention]]:
    """Read the mentions of several documents out of one band.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), width, 1 + n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    labels (Sequence[str]): All labels, in the order of the channels.
    threshold (float): The least score that counts.
    RETURNS (list[list[Mention]]): Per document, what `decode` returns.
    """
    heads, gaps, label_ids = numpy.nonzero(probs[:, :, 1:] >= score_floor(threshold))
    inside = heads + gaps < document_ends(lengths)[heads]
    heads, gaps, label_ids = heads[inside], gaps[inside], label_ids[inside]
    nnw = probs[:, :, 0]
    # labels of one span share its path
    width = probs.shape[1]
    pairs, pair_of = numpy.unique(heads * width + gaps, return_inverse=True)
    pair_heads, pair_gaps = numpy.divmod(pairs, width)
    weakest, has_gap = _weakest(nnw, pair_heads, pair_gaps)
    ends_meet = probs[heads, gaps, 1 + label_ids].astype("float64")
    words_meet = numpy.where(has_gap, weakest, 1.0)[pair_of]
    scores = bound(numpy.minimum(ends_meet, words_meet))
    best = scores >= threshold
    heads, gaps, label_ids, scores = heads[best], gaps[best], label_ids[best], scores[best]
    wanted = numpy.zeros(len(pairs), dtype=bool)
    wanted[pair_of[best]] = True
    searched = numpy.flatnonzero(wanted & has_gap)
    paths = dict(
        zip(
            pairs[searched].tolist(),
            _paths(nnw, pair_heads[searched], pair_gaps[searched], weakest[searched]),
            strict=True,
        )
    )
    tokens = [
        paths.get(head * width + gap) or tuple(range(head, head + gap + 1))
        for head, gap in zip(heads.tolist(), gaps.tolist(), strict=True)
    ]
    return ranked(heads, heads + gaps + 1, label_ids, scores, labels, lengths, tokens=tokens)


def _weakest(
    nnw: numpy.ndarray, heads: numpy.ndarray, gaps: numpy.ndarray
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Find the weakest NNW of each pair's best path.

    nnw (numpy.ndarray): NNW probabilities, shape (n, width).
    heads (numpy.ndarray): Heads of the pairs, ascending.
    gaps (numpy.ndarray): Distances from head to tail.
    RETURNS (tuple): The weakest NNW, shape (n_pairs,); and whether its path leaves tokens out.
    """
    weakest = numpy.ones(len(heads), dtype=nnw.dtype)
    leap = numpy.zeros(len(heads), dtype=nnw.dtype)
    # fmax, because what lies beyond a document's end may be anything
    strongest_leap = numpy.fmax.reduce(nnw[:, 2:], axis=1, initial=0.0)
    for step in range(gaps.max(initial=0)):
        rows = numpy.flatnonzero(gaps > step)
        weakest[rows] = numpy.minimum(weakest[rows], nnw[heads[rows] + step, 1])
        rows = rows[gaps[rows] > step + 1]
        leap[rows] = numpy.maximum(leap[rows], strongest_leap[heads[rows] + step])
    has_gap = numpy.zeros(len(heads), dtype=bool)
    # a path with a gap must be better than the one without, and can't be better than its best leap
    search = numpy.flatnonzero((leap > weakest) & (leap >= LEAP))
    for rows in _chunks(search):
        unique_heads, head_of = numpy.unique(heads[rows], return_inverse=True)
        reach = _bottlenecks(nnw, unique_heads, gaps[rows].max())[head_of, gaps[rows]]
        has_gap[rows] = (reach > weakest[rows]) & (reach >= LEAP)
        weakest[rows] = numpy.maximum(reach, weakest[rows])
    return weakest, has_gap


def _bottlenecks(nnw: numpy.ndarray, heads: numpy.ndarray, reach: int) -> numpy.ndarray:
    """Find the strongest weakest NNW of all paths from each head to each token within reach.

    nnw (numpy.ndarray): NNW probabilities, shape (n, width).
    heads (numpy.ndarray): The heads.
    reach (int): How far to go.
    RETURNS (numpy.ndarray): Shape (n_heads, reach + 1), by distance from the head. Distances
        beyond a document's end mean nothing.
    """
    best = numpy.ones((len(heads), reach + 1), dtype=nnw.dtype)
    for gap in range(1, reach + 1):
        steps = numpy.arange(gap)
        rows = numpy.minimum(heads[:, None] + steps, len(nnw) - 1)
        best[:, gap] = numpy.minimum(best[:, :gap], nnw[rows, gap - steps]).max(axis=1)
    return best


def _paths(
    nnw: numpy.ndarray, heads: numpy.ndarray, gaps: numpy.ndarray, weakest: numpy.ndarray
) -> Iterator[tuple[int, ...]]:
    """Find the preferred path of each pair among the paths that are as strong as its best.

    nnw (numpy.ndarray): NNW probabilities, shape (n, width).
    heads (numpy.ndarray): Heads of the pairs.
    gaps (numpy.ndarray): Distances from head to tail.
    weakest (numpy.ndarray): The weakest NNW of each pair's best path.
    YIELDS (tuple[int, ...]): The path's tokens.
    """
    for rows in _chunks(numpy.arange(len(heads))):
        tails = heads[rows] + gaps[rows]
        follow = _next_tokens(nnw, tails, gaps[rows].max(), weakest[rows])
        for tail, gap, distances in zip(tails.tolist(), gaps[rows].tolist(), follow, strict=True):
            path = [tail - gap]
            while gap:
                gap = int(distances[gap])
                path.append(tail - gap)
            yield tuple(path)


def _next_tokens(
    nnw: numpy.ndarray, tails: numpy.ndarray, reach: int, weakest: numpy.ndarray
) -> numpy.ndarray:
    """Say for each token before a tail which token follows it on the preferred path to the tail.

    nnw (numpy.ndarray): NNW probabilities, shape (n, width).
    tails (numpy.ndarray): The tails.
    reach (int): How far before the tail to start.
    weakest (numpy.ndarray): Per tail, the weakest NNW that may be used.
    RETURNS (numpy.ndarray): Shape (n_tails, reach + 1); tokens by their distance from the tail.
    """
    # number of words from here to the tail, -1 where no path leads there
    words = numpy.full((len(tails), reach + 1), -1)
    words[:, 0] = 0
    follow = numpy.zeros((len(tails), reach + 1), dtype="int64")
    for distance in range(1, reach + 1):
        # from the nearest token on, so that the first maximum has the smallest index
        targets = numpy.arange(distance - 1, -1, -1)
        rows = numpy.maximum(tails - distance, 0)[:, None]
        usable = (nnw[rows, distance - targets] >= weakest[:, None]) & (words[:, targets] >= 0)
        choices = numpy.where(usable, words[:, targets] + 1, -1)
        words[:, distance] = choices.max(axis=1)
        follow[:, distance] = targets[choices.argmax(axis=1)]
    return follow


def _chunks(rows: numpy.ndarray) -> Iterator[numpy.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def document_ends(lengths: Sequence[int]) -> numpy.ndarray:
    """Say where each token's document ends in a flat batch.

    lengths (Sequence[int]): Per document, its number of tokens.
    RETURNS (numpy.ndarray): int64, shape (sum(lengths),), one past the document's last token.
    """
    sizes = numpy.asarray(lengths, dtype="int64")
    return numpy.repeat(numpy.cumsum(sizes), sizes)


def score_floor(threshold: float) -> float:
    """Compute the minimum of a factor in a score at the threshold."""
    return threshold if threshold > EPSILON else 0.0


def bound(scores: numpy.ndarray) -> numpy.ndarray:
    """Clip scores to stay strictly between 0 and 1."""
    return numpy.clip(scores, EPSILON, 1.0 - EPSILON)


def ranked(
    starts: numpy.ndarray,
    ends: numpy.ndarray,
    label_ids: numpy.ndarray,
    scores: numpy.ndarray,
    labels: Sequence[str],
    lengths: Sequence[int],
    *,
    tokens: Optional[Sequence[tuple[int, ...]]] = None,
) -> list[list[Mention]]:
    """Hand out mentions of a flat batch to their documents, best first.

    starts (numpy.ndarray): First tokens, counted through the batch.
    ends (numpy.ndarray): One past the last tokens.
    label_ids (numpy.ndarray): Indices into the labels.
    scores (numpy.ndarray): The scores.
    labels (Sequence[str]): All labels.
    lengths (Sequence[int]): Per document, its number of tokens.
    tokens (Optional[Sequence[tuple[int, ...]]]): The tokens of each mention; needed if any leaves
        some out.
    RETURNS (list[list[Mention]]): Per document, its mentions by falling score; equals by start, end
        and label. Tokens count from the document's start.
    """
    sizes = numpy.asarray(lengths, dtype="int64")
    doc_ends = numpy.cumsum(sizes)
    docs = numpy.searchsorted(doc_ends, starts, side="right")
    offsets = (doc_ends - sizes)[docs]
    found: list[list[Mention]] = [[] for _ in sizes]
    for row in numpy.lexsort((label_ids, ends, starts, -scores, docs)).tolist():
        offset = int(offsets[row])
        words = tokens[row] if tokens is not None else range(int(starts[row]), int(ends[row]))
        mention = Mention(
            tuple(word - offset for word in words), labels[label_ids[row]], float(scores[row])
        )
        found[docs[row]].append(mention)
    return found


def known_pairs(known: numpy.ndarray, width: int) -> numpy.ndarray:
    """Find the pairs between whose tokens nothing is unknown.

    known (numpy.ndarray): (n_tokens,) bool, whether a token is known.
    width (int): Width of the band.
    RETURNS (numpy.ndarray): (n_tokens, width) bool.
    """
    unknown_before = numpy.concatenate([[0], numpy.cumsum(~known)])
    first = numpy.arange(len(known))[:, None]
    last = numpy.minimum(first + numpy.arange(width), len(known) - 1)
    return unknown_before[last + 1] == unknown_before[first]
