"""Mentions as one class per token, and back: the BIO scheme.

The classes are O, then per label B (first token of a mention) and I (any later token of it), so
that label l has the classes 1 + 2l and 2 + 2l. The scheme holds flat contiguous mentions. A
sequence is valid if each I follows a B or I of its own label in the same document; nothing else
leaves `decode`.

The score of a mention is the probability that its first token begins it, times the probabilities
that the others go on, times the probability that the next token, if the document has one, does
not.
"""

from collections.abc import Iterable, Sequence

import numpy

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.schemes.relations import (
    EPSILON,
    bound,
    document_ends,
    ranked,
    score_floor,
)
from spacy_crossner.types import Mention

# Smaller probabilities are not moved from B to I.
LEAST_MOVED = 0.01
# Classes whose probabilities change by less leave the spans around them as they are.
LEAST_CHANGED = 1e-4


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Name the classes: "O", "B-x", "I-x", "B-y", ..."""
    return ("O", *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def encode(
    mentions: Iterable[Mention], labels: Sequence[str], n_tokens: int
) -> tuple[numpy.ndarray, list[Mention]]:
    """Write mentions as classes. Of mentions that overlap, the longest stays; of equally long ones
    the first; on the same span, the one whose label comes first.

    mentions (Iterable[Mention]): The mentions, in any order.
    labels (Sequence[str]): All labels.
    n_tokens (int): Number of tokens of the document.
    RETURNS (tuple): The class of each token, int64, shape (n_tokens,); and the mentions that could
        not be written: overlapping, discontinuous, or not inside the document.
    """
    order = {label: i for i, label in enumerate(labels)}
    classes = numpy.zeros(n_tokens, dtype="int64")
    dropped = []
    written: set[tuple[tuple[int, ...], str]] = set()
    mentions = list(mentions)
    for mention in mentions:
        if mention.label not in order:
            raise CrossnerError(
                Errors.CN101.format(label=mention.label, labels=", ".join(labels) or "none")
            )
    for mention in sorted(mentions, key=lambda m: (-len(m.tokens), m.tokens, order[m.label])):
        if (mention.tokens, mention.label) in written:
            continue
        if not _fits(mention, n_tokens) or classes[mention.start : mention.end].any():
            dropped.append(mention)
            continue
        written.add((mention.tokens, mention.label))
        classes[mention.start : mention.end] = 2 + 2 * order[mention.label]
        classes[mention.start] -= 1
    return classes, dropped


def _fits(mention: Mention, n_tokens: int) -> bool:
    if not mention.tokens or mention.start < 0 or mention.end > n_tokens:
        return False
    return mention.tokens == tuple(range(mention.start, mention.end))


def decode(
    probs: numpy.ndarray, lengths: Sequence[int], labels: Sequence[str]
) -> list[list[Mention]]:
    """Read the mentions out of the most probable valid sequence of each document.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    labels (Sequence[str]): All labels.
    RETURNS (list[list[Mention]]): Per document, its mentions, best first; equals by start.
    """
    probs = _cleaned(probs)
    classes = viterbi(probs, lengths)
    starts = numpy.flatnonzero(classes % 2)
    outside = numpy.flatnonzero((classes % 2 == 1) | (classes == 0))
    outside = numpy.append(outside, len(classes))
    ends = outside[numpy.searchsorted(outside, starts, side="right")]
    label_ids = classes[starts] // 2
    if not len(starts):
        return [[] for _ in lengths]
    chosen = numpy.append(probs[numpy.arange(len(classes)), classes], 1.0)
    # every other section is what lies between two mentions
    sections = numpy.stack([starts, ends], axis=1).ravel()
    products = numpy.multiply.reduceat(chosen, sections)[::2]
    goes_on = _goes_on(probs, ends, label_ids, document_ends(lengths)[starts])
    scores = bound(products * (1.0 - goes_on))
    return ranked(starts, ends, label_ids, scores, labels, lengths)


def candidates(
    probs: numpy.ndarray,
    lengths: Sequence[int],
    labels: Sequence[str],
    threshold: float,
    max_span_length: int,
) -> list[list[Mention]]:
    """Find every span that could be a mention, whatever the best sequence is.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    labels (Sequence[str]): All labels.
    threshold (float): The least score that counts.
    max_span_length (int): The most tokens of a mention.
    RETURNS (list[list[Mention]]): Per document, the mentions that score at least the threshold,
        nested and overlapping ones included, best first; equals by start, end and label.
    """
    probs = _cleaned(probs)
    floor = score_floor(threshold)
    doc_ends = document_ends(lengths)
    starts, label_ids = numpy.nonzero(probs[:, 1::2] >= floor)
    products = probs[starts, 1 + 2 * label_ids]
    found = []
    for length in range(1, max_span_length + 1):
        if not len(starts):
            break
        ends = starts + length
        goes_on = _goes_on(probs, ends, label_ids, doc_ends[starts])
        scores = bound(products * (1.0 - goes_on))
        good = scores >= threshold
        found.append((starts[good], ends[good], label_ids[good], scores[good]))
        products = products * goes_on
        # a longer span can't score more than its words
        alive = (ends < doc_ends[starts]) & (products >= floor)
        starts, label_ids, products = starts[alive], label_ids[alive], products[alive]
    if not found:
        return [[] for _ in lengths]
    starts, ends, label_ids, scores = map(numpy.concatenate, zip(*found, strict=True))
    return ranked(starts, ends, label_ids, scores, labels, lengths)


def softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Turn logits into probabilities.

    logits (numpy.ndarray): Shape (n, n_classes).
    RETURNS (numpy.ndarray): In the same shape.
    """
    probs = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return probs / probs.sum(axis=1, keepdims=True)


def favour_whole(probs: numpy.ndarray, lengths: Sequence[int], odds: float) -> numpy.ndarray:
    """Make it less likely that a name begins directly behind another one with the same label.

    Two names of one type with nothing between them are rare, and a head that is unsure of the inner
    words of a long name takes it for several. The odds of B against I are multiplied by `odds`, to
    the extent that the token before belongs to a name with that label. B + I and O stay.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    odds (float): The factor on the odds; 1 changes nothing.
    RETURNS (numpy.ndarray): The new probabilities; a copy, if any differ.
    """
    if odds == 1.0 or not len(probs):
        return probs
    named = probs[:, 1::2] + probs[:, 2::2]
    before = numpy.zeros_like(named)
    before[1:] = named[:-1]
    sizes = numpy.asarray(lengths, dtype="int64")
    before[(numpy.cumsum(sizes) - sizes)[sizes > 0]] = 0.0
    rows, label_ids = numpy.nonzero(before * probs[:, 1::2] > LEAST_MOVED)
    begin, inside = probs[rows, 1 + 2 * label_ids], probs[rows, 2 + 2 * label_ids]
    least = numpy.finfo("float32").tiny  # both may be 0
    kept = (begin + inside) * odds * begin / numpy.maximum(odds * begin + inside, least)
    # without a jump, so that rounding errors stay small; and zero nearly everywhere, so that it is
    # quick to compute
    moved = numpy.maximum(before[rows, label_ids] * (begin - kept) - LEAST_MOVED, 0.0)
    if not moved.any():
        return probs
    probs = probs.copy()
    probs[rows, 1 + 2 * label_ids] -= moved
    probs[rows, 2 + 2 * label_ids] += moved
    return probs


def log_odds(
    probs: numpy.ndarray, lengths: Sequence[int], rows: numpy.ndarray, width: int
) -> numpy.ndarray:
    """Compute the log-odds of all spans that begin at some tokens.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    rows (numpy.ndarray): The first tokens.
    width (int): The most tokens of a span.
    RETURNS (numpy.ndarray): Shape (len(rows), width, n_labels). Spans that leave the document have
        no meaning.
    """
    probs = _cleaned(probs)
    places = rows[:, None] + numpy.arange(width + 1)
    inside = probs[numpy.minimum(places, len(probs) - 1), 2::2]
    inside[places >= document_ends(lengths)[rows][:, None]] = 0.0
    run = numpy.cumprod(inside[:, 1:-1], axis=1)
    begin = probs[rows, 1::2][:, None]
    scores = numpy.concatenate([begin, begin * run], axis=1) * (1.0 - inside[:, 1:])
    scores = numpy.clip(scores, numpy.finfo("float32").tiny, 1.0 - EPSILON)
    return numpy.log(scores) - numpy.log1p(-scores)


def either(first: numpy.ndarray, second: numpy.ndarray) -> numpy.ndarray:
    """Compute the log-odds that at least one of two independent things is so.

    first, second (numpy.ndarray): Their log-odds, of the same shape.
    RETURNS (numpy.ndarray): The log-odds, same shape.
    """
    # the odds are those of the first, of the second, and their product
    return numpy.logaddexp(numpy.logaddexp(first, second), first + second)


def _goes_on(
    probs: numpy.ndarray, ends: numpy.ndarray, label_ids: numpy.ndarray, doc_ends: numpy.ndarray
) -> numpy.ndarray:
    """Compute the probability that each mention continues after its end, shape (m,)."""
    last = len(probs) - 1
    inside = probs[numpy.minimum(ends, last), 2 + 2 * label_ids]
    return numpy.where(ends < doc_ends, inside, 0.0)


def _cleaned(probs: numpy.ndarray) -> numpy.ndarray:
    """Convert probabilities to float64, replace NaN and clip to [0, 1]."""
    return numpy.clip(numpy.nan_to_num(probs.astype("float64")), 0.0, 1.0)


def viterbi(probs: numpy.ndarray, lengths: Sequence[int]) -> numpy.ndarray:
    """Find the most probable valid sequence of classes of each document.

    A document falls into pieces that can be solved one by one, cut before each token that some best
    sequence gives no I. That is sure where every label's I can be exchanged without loss: for its
    B, or for O at the price of beginning anew with the next token. An exchange keeps the sequence
    valid and adds no I elsewhere. All pieces advance together, and only as far as they reach.

    probs (numpy.ndarray): Probabilities, float, shape (sum(lengths), 1 + 2 * n_labels).
    lengths (Sequence[int]): Per document, its number of tokens.
    RETURNS (numpy.ndarray): The class of each token, int64, shape (sum(lengths),).
    """
    n_tokens = len(probs)
    logs = numpy.log(numpy.maximum(probs, numpy.finfo("float32").tiny))
    cut = _needs_no_inside(logs)
    doc_ends = document_ends(lengths)
    cut[:1] = True
    cut[1:] |= doc_ends[1:] != doc_ends[:-1]
    starts = numpy.flatnonzero(cut)
    sizes = numpy.diff(starts, append=n_tokens)
    order = numpy.argsort(-sizes, kind="stable")
    starts, sizes = starts[order], sizes[order]
    longest = int(sizes.max(initial=0))
    # how many pieces have a token at each step
    active = numpy.searchsorted(-sizes, -numpy.arange(longest + 1), side="left")
    classes = numpy.zeros(n_tokens, dtype="int64")
    best_before = numpy.zeros(n_tokens, dtype="int64")
    from_inside = numpy.zeros((n_tokens, logs.shape[1] // 2), dtype=bool)
    totals = logs[starts]
    totals[:, 2::2] = -numpy.inf
    for step in range(longest):
        if step:
            rows = starts[: active[step]] + step
            best = totals.argmax(axis=1)
            best_before[rows] = best
            from_inside[rows] = totals[:, 2::2] > totals[:, 1::2]
            goes_on = numpy.maximum(totals[:, 1::2], totals[:, 2::2])
            totals = logs[rows] + totals[numpy.arange(len(rows)), best, None]
            totals[:, 2::2] = logs[rows, 2::2] + goes_on
        done = active[step + 1]
        classes[starts[done : active[step]] + step] = totals[done:].argmax(axis=1)
        totals = totals[:done]
    for step in range(longest - 1, 0, -1):
        rows = starts[: active[step]] + step
        after = classes[rows]
        is_inside = (after > 0) & (after % 2 == 0)
        stays = from_inside[rows, numpy.maximum(after // 2 - 1, 0)]
        classes[rows - 1] = numpy.where(is_inside, after - ~stays, best_before[rows])
    return classes


def _needs_no_inside(logs: numpy.ndarray) -> numpy.ndarray:
    """Find the tokens where I can't improve the best path, shape (n,), bool; see `viterbi`."""
    begin, inside = logs[:, 1::2], logs[:, 2::2]
    loss_of_begin = numpy.maximum(inside - begin, 0.0)
    price = numpy.append(loss_of_begin[1:], numpy.zeros_like(loss_of_begin[:1]), axis=0)
    return ((begin >= inside) | (logs[:, :1] - price >= inside)).all(axis=1)


def to_iob2(mentions: Iterable[Mention], n_tokens: int) -> list[str]:
    """Write a flat set of mentions as IOB2 tags.

    mentions (Iterable[Mention]): The mentions.
    n_tokens (int): Number of tokens of the document.
    RETURNS (list[str]): One tag per token.
    """
    mentions = list(mentions)
    labels = sorted({mention.label for mention in mentions})
    classes, dropped = encode(mentions, labels, n_tokens)
    if dropped:
        raise CrossnerError(Errors.CN103.format(mentions=dropped))
    names = class_names(labels)
    return [names[i] for i in classes]
