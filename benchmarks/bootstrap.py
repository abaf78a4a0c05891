"""Is one system better than another, or was it luck? A paired bootstrap over sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from spacy_crossner.report.score import f1

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """How much better one system is than another.

    difference (float): Of their F1 in percent, averaged over seeds and test sets.
    low, high (float): Ends of the interval that 95 % of the resampled differences lie in.
    p (float): How often chance alone would make a difference of this kind, two-sided.
    """

    difference: float
    low: float
    high: float
    p: float


def compare(
    ours: Sequence[numpy.ndarray],
    theirs: Sequence[numpy.ndarray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same sentences of one or several test sets.

    In each resample, each test set is redrawn sentence by sentence, the same sentences for both
    systems and for all of their seeds. F1 is taken per seed and test set, and averaged over both.

    ours (Sequence[numpy.ndarray]): Of each test set, counts of shape (seeds, sentences, 3), as `f1`
        takes them.
    theirs (Sequence[numpy.ndarray]): The same of the other system; it may have other seeds.
    resamples (int): How often to redraw.
    seed (int): Decides what is drawn.
    RETURNS (Comparison): The difference ours - theirs.
    """
    rng = numpy.random.default_rng(seed)
    differences = numpy.zeros(resamples)
    difference = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = (numpy.asarray(counts, dtype="float64") for counts in (mine, other))
        if mine.shape[1:] != other.shape[1:]:
            raise ValueError(f"not the same sentences: {mine.shape[1]} and {other.shape[1]}")
        difference += (f1(mine.sum(1)).mean() - f1(other.sum(1)).mean()) / len(ours)
        n = mine.shape[1]
        # how often each sentence was drawn: (resamples, sentences)
        drawn = rng.multinomial(n, numpy.full(n, 1.0 / n), size=resamples).astype("float64")
        differences += (_resampled_f1(drawn, mine) - _resampled_f1(drawn, other)) / len(ours)
    tail = (1.0 - LEVEL) / 2.0
    low, high = numpy.quantile(differences, [tail, 1.0 - tail])
    # adding one keeps chance from being ruled out by a finite number of draws
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2.0 * (beyond + 1.0) / (resamples + 1.0))
    return Comparison(float(difference), float(low), float(high), float(p))


def _resampled_f1(drawn: numpy.ndarray, counts: numpy.ndarray) -> numpy.ndarray:
    """Compute the F1 of each resample, averaged over seeds; shape (resamples,)."""
    sums = numpy.einsum("rn,snk->rsk", drawn, counts, optimize=True)
    return f1(sums).mean(1)
