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
    """Add the best candidates that lie inside or around entities and cross none of them.

    entities (Iterable[Mention]): Entities without overlap.
    candidates (Iterable[Mention]): The candidates; those with gaps are left out.
    threshold (float): Least score of a candidate that is added, the best ones first.
    RETURNS (list[Mention]): The entities and what was added. Two of them never have the same
        bounds.
    """
    whole = {(m.start, m.end): m for m in entities}
    added = [
        m
        for m in candidates
        if m.score >= threshold and m.is_contiguous and (m.start, m.end) not in whole
    ]
    chosen: list[Mention] = []
    for group in _split([*whole.values(), *added]):
        best = {place: m for m in group if (place := (m.start, m.end)) in whole}
        for new in sorted(group, key=lambda m: (-m.score, m.start, m.end, m.label)):
            near = [(a, b) for a, b in best if a < new.end and new.start < b]
            if near and all(
                (a <= new.start and new.end <= b) or (new.start <= a and b <= new.end)
                for a, b in near
            ):
                best.setdefault((new.start, new.end), new)
        chosen += best.values()
    return chosen


def _split(mentions: list[Mention]) -> list[list[Mention]]:
    """Split mentions into groups that share no token, in the order of the text."""
    groups: list[list[Mention]] = []
    end = 0
    for mention in sorted(mentions, key=lambda m: (m.start, m.end)):
        if mention.start >= end:
            groups.append([])
        groups[-1].append(mention)
        end = max(end, mention.end)
    return groups


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
