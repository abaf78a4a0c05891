"""The paired bootstrap: what it says of systems whose difference is known."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bootstrap import compare, f1


def make_counts(rng: numpy.random.Generator, recall: float, seeds: int = 1, n: int = 300):
    gold = numpy.random.default_rng(7).integers(0, 3, size=n)
    right = rng.binomial(gold, recall, size=(seeds, n))
    found = right + rng.binomial(1, 0.2, size=(seeds, n))
    return numpy.stack([right, found, numpy.broadcast_to(gold, (seeds, n))], axis=-1)


def test_f1():
    assert f1(numpy.array([1, 2, 2])) == 50.0
    assert f1(numpy.array([[0, 0, 0], [0, 1, 0]])).tolist() == [100.0, 0.0]


def test_clear_difference():
    rng = numpy.random.default_rng(0)
    good, bad = make_counts(rng, 0.8, seeds=3), make_counts(rng, 0.5, seeds=2)
    result = compare([good], [bad])
    assert result.difference == pytest.approx(f1(good.sum(1)).mean() - f1(bad.sum(1)).mean())
    assert 0 < result.low < result.difference < result.high
    assert result.p < 0.001
    back = compare([bad], [good])
    assert back.difference == pytest.approx(-result.difference)
    assert back.p == result.p


def test_no_difference():
    counts = make_counts(numpy.random.default_rng(0), 0.6)
    result = compare([counts], [counts])
    assert (result.difference, result.low, result.high, result.p) == (0.0, 0.0, 0.0, 1.0)


def test_pairing_finds_what_is_the_same_everywhere():
    """A system that is right once more in ten sentences is surely better, however much the
    sentences differ from each other."""
    bad = make_counts(numpy.random.default_rng(0), 0.5)
    good = bad.copy()
    missed = numpy.flatnonzero(good[0, :, 0] < good[0, :, 2])[:30]
    good[0, missed, :2] += 1
    assert compare([good], [bad]).p < 0.01


def test_average_over_test_sets():
    rng = numpy.random.default_rng(0)
    pairs = [(make_counts(rng, 0.7), make_counts(rng, 0.6, n=300)) for _ in range(3)]
    whole = compare([a for a, _ in pairs], [b for _, b in pairs])
    parts = [compare([a], [b]) for a, b in pairs]
    assert whole.difference == pytest.approx(numpy.mean([part.difference for part in parts]))
    assert whole.high - whole.low < max(part.high - part.low for part in parts)


def test_other_sentences_are_refused():
    rng = numpy.random.default_rng(0)
    with pytest.raises(ValueError, match="300 and 200"):
        compare([make_counts(rng, 0.5)], [make_counts(rng, 0.5)[:, :200]])


@given(st.integers(0, 2**32 - 1))
def test_seeded(seed):
    rng = numpy.random.default_rng(seed)
    ours, theirs = make_counts(rng, 0.6, n=20), make_counts(rng, 0.5, n=20)
    one = compare([ours], [theirs], resamples=50, seed=seed)
    assert one == compare([ours], [theirs], resamples=50, seed=seed)
    assert 0.0 < one.p <= 1.0
    assert one.low <= one.high
