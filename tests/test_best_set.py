"""The best set of spans without overlap, and names that are not cut."""

from itertools import combinations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_crossner.schemes import bio
from spacy_crossner.schemes.best_set import best_set, nested_set
from spacy_crossner.types import Mention

LABELS = ("LOC", "PER")


def span(start: int, end: int, label: str, score: float) -> Mention:
    return Mention(tuple(range(start, end)), label, score)


@st.composite
def candidates(draw):
    mentions = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, 7))
        end = draw(st.integers(start + 1, 9))
        score = draw(st.integers(31, 99)) / 100
        mentions.append(span(start, end, draw(st.sampled_from(LABELS)), score))
    return mentions


def worth(mentions, threshold: float) -> float:
    return sum(m.score - threshold for m in mentions)


@given(candidates())
def test_no_other_set_is_better(mentions):
    chosen = best_set(mentions, 0.3)
    assert all(m in mentions for m in chosen)
    tokens = [token for m in chosen for token in m.tokens]
    assert len(tokens) == len(set(tokens))
    best = max(
        worth(some, 0.3)
        for size in range(len(mentions) + 1)
        for some in combinations(mentions, size)
        if len({t for m in some for t in m.tokens}) == sum(len(m.tokens) for m in some)
    )
    assert worth(chosen, 0.3) == pytest.approx(best)
    assert [m.score for m in chosen] == sorted((m.score for m in chosen), reverse=True)
    assert best_set(mentions[::-1], 0.3) == chosen


def test_a_set_is_better_than_its_best_piece():
    mentions = [span(1, 3, "LOC", 0.9), span(0, 2, "PER", 0.8), span(2, 4, "PER", 0.8)]
    assert best_set(mentions, 0.3) == mentions[1:]
    assert best_set(mentions, 0.75) == mentions[:1]


def test_of_equal_sets_the_one_with_fewer_spans():
    mentions = [span(0, 1, "LOC", 0.5), span(1, 2, "LOC", 0.5), span(0, 2, "LOC", 0.75)]
    assert best_set(mentions, 0.25) == mentions[2:]


def test_gaps_are_left_out():
    mentions = [Mention((0, 2), "LOC", 0.9), span(1, 2, "LOC", 0.5)]
    assert best_set(mentions, 0.3) == mentions[1:]
    assert best_set([], 0.3) == []


@given(candidates(), st.integers(30, 100))
def test_nested_names_cross_nothing(mentions, percent):
    threshold = percent / 100
    entities = best_set(mentions, 0.3)
    chosen = nested_set(entities, mentions, threshold)
    assert all(m in chosen for m in entities)
    assert all(m in entities or (m in mentions and m.score >= threshold) for m in chosen)
    bounds = [(m.start, m.end) for m in chosen]
    assert len(bounds) == len(set(bounds))
    assert not any(a < c < b < d for a, b in bounds for c, d in bounds)
    assert sorted(nested_set(entities, mentions[::-1], threshold)) == sorted(chosen)
    # what is left out scores less, or has no place
    for m in mentions:
        assert (
            m.score < threshold
            or (m.start, m.end) in bounds
            or any(a < m.start < b < m.end or m.start < a < m.end < b for a, b in bounds)
        )


# ---- names that are not cut -----------------------------------------------------------------


def table(*rows: list[float]) -> numpy.ndarray:
    """Make BIO probabilities of one label from rows of B and I; the rest is O."""
    return numpy.array([[1.0 - sum(row), *row] for row in rows])


def test_a_name_of_two_words_is_not_cut():
    """The two words are names of one type, and it is unsure whether the second begins one."""
    probs = table([0.98, 0.0], [0.72, 0.27], [0.0, 0.0])
    cut = bio.decode(probs, [3], ["LOC"])[0]
    assert [m.tokens for m in cut] == [(1,), (0,)]
    assert [round(m.score, 2) for m in cut] == [0.72, 0.72]
    (whole,) = bio.decode(bio.favour_whole(probs, [3], 0.05), [3], ["LOC"])[0]
    assert whole.tokens == (0, 1)
    assert whole.score > 0.8


def test_a_name_of_three_words_is_not_cut():
    probs = table([0.9, 0.05], [0.05, 0.8], [0.6, 0.35], [0.0, 0.0])
    assert [m.tokens for m in bio.decode(probs, [4], ["LOC"])[0]] == [(2,), (0, 1)]
    (whole,) = bio.decode(bio.favour_whole(probs, [4], 0.05), [4], ["LOC"])[0]
    assert whole.tokens == (0, 1, 2)


def test_two_names_stay_two_where_the_head_is_sure():
    probs = table([0.99, 0.0], [0.989, 0.001], [0.0, 0.0])
    found = bio.decode(bio.favour_whole(probs, [3], 0.05), [3], ["LOC"])[0]
    assert [m.tokens for m in found] == [(0,), (1,)]


def test_favour_whole_leaves_all_else():
    rng = numpy.random.default_rng(0)
    lengths = [7, 0, 5]
    probs = rng.dirichlet(numpy.full(5, 0.3), size=12)
    before = probs.copy()
    changed = bio.favour_whole(probs, lengths, 0.1)
    assert (probs == before).all()
    assert changed.sum(axis=1) == pytest.approx(1.0)
    assert (changed[:, 0] == probs[:, 0]).all()
    assert changed[:, 1::2] + changed[:, 2::2] == pytest.approx(probs[:, 1::2] + probs[:, 2::2])
    assert (changed[:, 1::2] <= probs[:, 1::2]).all()
    assert (changed[:, 1::2] < probs[:, 1::2]).any()
    # the first token of a text has nothing before it
    assert (changed[[0, 7]] == probs[[0, 7]]).all()
    alone = [bio.favour_whole(part, [len(part)], 0.1) for part in (probs[:7], probs[7:])]
    assert changed == pytest.approx(numpy.concatenate(alone))
    assert bio.favour_whole(probs, lengths, 1.0) is probs
    assert len(bio.favour_whole(probs[:0], [0], 0.1)) == 0


def test_log_odds_are_those_of_the_candidates():
    rng = numpy.random.default_rng(1)
    lengths = [6, 1, 4]
    probs = rng.dirichlet(numpy.full(5, 0.5), size=11)
    odds = bio.log_odds(probs, lengths, numpy.arange(11), 4)
    found = bio.candidates(probs, lengths, LABELS, 0.0, 4)
    begins = [0, 6, 7]
    assert sum(map(len, found)) == 2 * (18 + 1 + 10)
    for begin, mentions in zip(begins, found, strict=True):
        for m in mentions:
            value = odds[begin + m.start, len(m.tokens) - 1, LABELS.index(m.label)]
            assert 1 / (1 + numpy.exp(-value)) == pytest.approx(m.score, abs=1e-5)
