"""The best sets of spans out of all candidates: without overlap, and with names inside of names."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

from spacy_crossner.types import Mention


def best_set(mentions: Iterable[Mention], threshold: float = 0.0) -> list[Mention]:
    """Choose the non-overlapping spans that maximize the sum of score minus threshold.

    That maximizes the expected number of correct entities, where each entity costs the threshold.
    The result is exact (weighted interval scheduling). Of sets that are equally good, the one with
    fewer spans is taken, then the one that comes first in the text.

    mentions (Iterable[Mention]): The candidates; those with gaps are left out.
    threshold (float): The score at which a span is worth nothing; not above that of any candidate.
    RETURNS (list[Mention]): The spans, best first; equals by position.
    """
    spans = sorted(
        (m for m in mentions if m.is_contiguous), key=lambda m: (m.end, -m.start, -m.score, m.label)
    )
    if all(one.end <= other.start for one, other in pairwise(spans)):
        chosen = spans
    else:
        chosen = _schedule(spans, threshold)
    return sorted(chosen, key=lambda m: (-m.score, m.start))


def nested_set(
    entities: Iterable[Mention], candidates: Iterable[Mention], threshold: float = 0.0
) -> list[Mention]:
    """Add the best candidates that lie inside or around entities, but cross none.

    entities (Iterable[Mention]): Entities without overlap.
    candidates (Iterable[Mention]): The candidates; those with gaps are left out.
    threshold (float): Least score of a candidate that is added.
    RETURNS (list[Mention]): The entities, and what was added by falling score. Two of them never
        have the same bounds.
    """
    chosen = {(m.start, m.end): m for m in entities}
    for new in sorted(candidates, key=lambda m: (-m.score, m.start, m.end, m.label)):
        crosses = any(
            start < new.start < end < new.end or new.start < start < new.end < end
            for start, end in chosen
        )
        if new.score >= threshold and new.is_contiguous and not crosses:
            chosen.setdefault((new.start, new.end), new)
    return list(chosen.values())


def _schedule(spans: list[Mention], threshold: float) -> list[Mention]:
    """Choose the best set of non-overlapping spans from spans sorted by their ends."""
    ends = [m.end for m in spans]
    # for the first k spans: the value of the best set, its size with a minus, and its last span
    best: list[tuple[float, int]] = [(0.0, 0)]
    last = [-1]
    before = []
    for k, m in enumerate(spans):
        before.append(bisect_right(ends, m.start, 0, k))
        value, size = best[before[k]]
        taken = (value + m.score - threshold, size - 1)
        better = taken > best[k]
        best.append(taken if better else best[k])
        last.append(k if better else last[k])
    chosen = []
    k = last[-1]
    while k >= 0:
        chosen.append(spans[k])
        k = last[before[k]]
    return chosen
