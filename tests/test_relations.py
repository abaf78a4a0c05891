"""The word-pair scheme: what goes in comes out, and nothing blows up."""

from itertools import combinations, pairwise

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spacy_crossner.errors import CrossnerError
from spacy_crossner.schemes import relations
from spacy_crossner.schemes.relations import (
    band_mask,
    decode,
    decode_batch,
    encode,
    flat_targets,
)
from spacy_crossner.types import Mention

LABELS = ("LOC", "ORG", "PER")
# the same examples on every run, however slow the machine
SEEDED = settings(derandomize=True, deadline=None)
WIDTH = 5


def span(start: int, end: int, label: str) -> Mention:
    return Mention(tuple(range(start, end)), label)


def round_trip(mentions, n_tokens, labels=LABELS, width=WIDTH):
    """Encode, decode, and leave the scores out."""
    index, dropped = encode(mentions, labels, n_tokens, width)
    assert not dropped
    band = flat_targets([index], [n_tokens], width, len(labels))
    found = decode(band.astype("float32"), labels, 0.5)
    assert len(found) == len({(m.tokens, m.label) for m in found})
    return {(m.tokens, m.label) for m in found}


def as_set(mentions):
    return {(m.tokens, m.label) for m in mentions}


def all_paths(head, tail):
    """Every ascending sequence of tokens from head to tail."""
    between = range(head + 1, tail)
    for size in range(len(between) + 1):
        for middle in combinations(between, size):
            yield tuple(dict.fromkeys((head, *middle, tail)))


def preference(path, edges):
    """Sorts the preferred path first: strongest, then longest, then smallest indices."""
    weakest = min((edges[pair] for pair in pairwise(path)), default=1.0)
    return -weakest, -len(path), path


def slow_decode(probs, labels, threshold):
    """The same by trying every path, to compare with."""
    n_tokens, width, _ = probs.shape
    edges = {
        (i, i + d): float(probs[i, d, 0])
        for i in range(n_tokens)
        for d in range(1, width)
        if i + d < n_tokens
    }
    found = []
    for i in range(n_tokens):
        for d in range(min(width, n_tokens - i)):
            best = min(all_paths(i, i + d), key=lambda path: preference(path, edges))
            weakest = -preference(best, edges)[0]
            whole = tuple(range(i, i + d + 1))
            if best == whole or weakest < relations.LEAP:
                best, weakest = whole, 1.0
            for label_id, label in enumerate(labels):
                score = min(float(probs[i, d, 1 + label_id]), weakest)
                score = min(max(score, relations.EPSILON), 1 - relations.EPSILON)
                if score >= threshold:
                    found.append((-score, i, i + d + 1, label_id, Mention(best, label, score)))
    return [entry[-1] for entry in sorted(found)]


def random_band(seed, n_tokens, width, levels=None):
    rng = numpy.random.default_rng(seed)
    shape = (n_tokens, width, 1 + len(LABELS))
    if levels is None:
        return rng.random(shape, dtype="float32")
    return (rng.integers(0, levels + 1, shape) / levels).astype("float32")


@st.composite
def documents(draw, contiguous):
    n_tokens = draw(st.integers(1, 12))
    mentions = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, n_tokens - 1))
        end = draw(st.integers(start + 1, min(n_tokens, start + WIDTH)))
        tokens = tuple(range(start, end))
        if not contiguous:
            kept = [token for token in tokens[1:-1] if draw(st.booleans())]
            tokens = tuple(dict.fromkeys((tokens[0], *kept, tokens[-1])))
        mentions.append(Mention(tokens, draw(st.sampled_from(LABELS))))
    return n_tokens, mentions


@SEEDED
@given(documents(contiguous=True))
def test_contiguous_sets_come_back(document):
    n_tokens, mentions = document
    assert round_trip(mentions, n_tokens) == as_set(mentions)


@settings(SEEDED, max_examples=300)
@given(documents(contiguous=False))
def test_discontinuous_sets_come_back_under_the_stated_condition(document):
    n_tokens, mentions = document
    edges = dict.fromkeys((p for m in mentions for p in pairwise(m.tokens)), 1.0)
    ends = {(m.start, m.end, m.label) for m in mentions}
    clear = len(ends) == len(as_set(mentions))
    for mention in mentions:
        paths = [
            path
            for path in all_paths(mention.start, mention.end - 1)
            if all(pair in edges for pair in pairwise(path))
        ]
        clear &= min(paths, key=lambda path: preference(path, edges)) == mention.tokens
    # the condition is exact: where it fails, something else comes back
    assert (round_trip(mentions, n_tokens) == as_set(mentions)) == clear


@SEEDED
@given(documents(contiguous=False), st.randoms(use_true_random=False))
def test_order_of_mentions_is_nothing(document, random):
    n_tokens, mentions = document
    shuffled = random.sample(mentions, len(mentions))
    numpy.testing.assert_array_equal(
        encode(mentions, LABELS, n_tokens, WIDTH)[0], encode(shuffled, LABELS, n_tokens, WIDTH)[0]
    )


@pytest.mark.parametrize(
    "mentions",
    [
        [span(0, 5, "ORG"), span(0, 3, "ORG"), span(2, 3, "LOC"), span(2, 5, "ORG")],
        [span(0, 2, "LOC"), span(0, 2, "ORG"), span(0, 2, "PER")],
        [span(0, 3, "ORG"), span(1, 4, "ORG"), span(2, 5, "ORG")],
        [Mention((0, 2), "ORG"), Mention((1, 4), "ORG")],
        [Mention((0, 2, 4), "ORG"), span(1, 3, "LOC")],
        [Mention((0, 1, 4), "ORG"), Mention((0, 3), "ORG")],
    ],
)
def test_nested_and_discontinuous_examples(mentions):
    assert round_trip(mentions, 6) == as_set(mentions)


def test_same_head_tail_and_label_are_ambiguous():
    both = [Mention((0, 2), "ORG"), span(0, 3, "ORG")]
    assert round_trip(both, 3) == {((0, 1, 2), "ORG")}
    # which labels they carry makes no difference to the path
    assert round_trip([Mention((0, 2), "ORG"), span(0, 3, "LOC")], 3) == {
        ((0, 1, 2), "ORG"),
        ((0, 1, 2), "LOC"),
    }


def test_crossing_paths_are_ambiguous():
    crossing = [Mention((0, 2, 5), "ORG"), Mention((1, 2, 4, 5), "PER")]
    assert round_trip(crossing, 6, width=6) == {((0, 2, 4, 5), "ORG"), ((1, 2, 4, 5), "PER")}


@pytest.mark.parametrize("levels", [1, 2, 4, None])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_decode_equals_trying_every_path(levels, threshold):
    for seed in range(8):
        # few levels make many ties
        probs = random_band(seed, n_tokens=9, width=7, levels=levels)
        expected = slow_decode(probs, LABELS, threshold)
        assert decode(probs, LABELS, threshold) == expected


def test_decode_in_chunks(monkeypatch):
    probs = random_band(3, n_tokens=30, width=6)
    expected = decode(probs, LABELS, 0.1)
    assert any(not mention.is_contiguous for mention in expected)
    monkeypatch.setattr(relations, "CHUNK", 3)
    assert decode(probs, LABELS, 0.1) == expected


@pytest.mark.parametrize("rubbish", [1.0, numpy.nan, numpy.inf, -5.0])
def test_nothing_beyond_the_end_is_read(rubbish):
    lengths = [4, 0, 1, 9, 2]
    probs = random_band(0, sum(lengths), WIDTH)
    mask = band_mask(lengths, WIDTH)
    probs[~mask] = rubbish
    found = decode_batch(probs, lengths, LABELS, 0.2)
    probs[~mask] = 0.0
    assert found == decode_batch(probs, lengths, LABELS, 0.2)
    starts = numpy.cumsum([0, *lengths])
    alone = [decode(probs[i:j], LABELS, 0.2) for i, j in pairwise(starts)]
    assert found == alone
    assert any(not mention.is_contiguous for mentions in found for mention in mentions)


def test_best_first_and_equals_in_order():
    probs = numpy.zeros((3, 3, 4), dtype="float32")
    probs[:, 0, 1:] = 0.5
    probs[2, 0, 2] = 0.75
    found = [(m.start, m.label, m.score) for m in decode(probs, LABELS, 0.5)]
    equals = [(i, label, 0.5) for i in range(3) for label in LABELS if (i, label) != (2, "ORG")]
    assert found == [(2, "ORG", 0.75), *equals]


def test_the_score_of_a_mention_without_gaps_is_its_thw():
    probs = numpy.zeros((4, 4, 2), dtype="float32")
    probs[0, 3, 1] = 0.5
    whole = [Mention((0, 1, 2, 3), "X", 0.5)]
    assert decode(probs, ["X"], 0.1) == whole
    probs[[0, 1, 2], 1, 0] = [1.0, 0.25, 1.0]
    assert decode(probs, ["X"], 0.1) == whole
    assert decode(probs, ["X"], 0.6) == []


def test_the_score_of_a_mention_with_gaps_is_its_thw_or_the_weakest_nnw():
    probs = numpy.zeros((4, 4, 2), dtype="float32")
    probs[0, 3, 1] = 0.5
    probs[[0, 1, 2], 1, 0] = [1.0, 0.25, 1.0]
    # a stronger way around the weak middle
    probs[1, 2, 0] = 0.75
    assert decode(probs, ["X"], 0.1) == [Mention((0, 1, 3), "X", 0.5)]
    assert decode(probs, ["X"], 0.6) == []
    probs[1, 2, 0] = 0.375
    assert decode(probs, ["X"], 0.1) == [Mention((0, 1, 3), "X", 0.375)]
    # what it scores has to reach the threshold, and no other reading takes its place
    assert decode(probs, ["X"], 0.4) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_higher_threshold_leaves_out_what_scores_less(seed):
    probs = random_band(seed, 12, WIDTH)
    found = decode(probs, LABELS, 0.05)
    for threshold in (0.1, 0.3, 0.7):
        kept = [mention for mention in found if mention.score >= threshold]
        assert decode(probs, LABELS, threshold) == kept
    assert any(not mention.is_contiguous for mention in found)


def test_words_are_left_out_only_where_the_way_around_them_is_not_improbable():
    probs = numpy.zeros((3, 3, 2), dtype="float32")
    probs[0, 2, 1] = 0.5
    probs[:2, 1, 0] = 0.01
    probs[0, 2, 0] = relations.LEAP
    assert decode(probs, ["X"], 0.05) == [Mention((0, 2), "X", pytest.approx(relations.LEAP))]
    probs[0, 2, 0] = relations.LEAP / 2
    assert decode(probs, ["X"], 0.05) == [Mention((0, 1, 2), "X", 0.5)]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_scores_stay_inside_zero_and_one(value):
    found = decode(numpy.full((6, 3, 3), value, dtype="float32"), ["X", "Y"], 0.0)
    assert len(found) == (6 + 5 + 4) * 2
    assert all(0.0 < mention.score < 1.0 for mention in found)


@pytest.mark.parametrize("kind", ["ones", "random", "leaps only"])
def test_hostile_tables_stay_bounded(kind):
    n_tokens, width = 2000, 32
    probs = numpy.ones((n_tokens, width, 2), dtype="float32")
    if kind == "random":
        probs = random_band(0, n_tokens, width)[:, :, :2].copy()
    elif kind == "leaps only":
        probs[:, 1, 0] = 0.0
    found = decode(probs, ["X"], 0.5)
    assert 0 < len(found) <= n_tokens * width
    assert len({(m.start, m.end) for m in found}) == len(found)


def test_all_ones_needs_no_search(monkeypatch):
    def refuse(*args):
        raise AssertionError("searched")

    monkeypatch.setattr(relations, "_bottlenecks", refuse)
    found = decode(numpy.ones((50, 8, 2), dtype="float32"), ["X"], 0.5)
    assert all(mention.is_contiguous for mention in found)


def test_what_the_band_cannot_hold_is_reported():
    too_long = span(0, WIDTH + 1, "LOC")
    outside = [span(8, 11, "PER"), Mention((-1, 0), "PER")]
    damaged = [Mention((), "PER"), Mention((2, 1), "PER"), Mention((3, 3), "PER")]
    held = [span(0, WIDTH, "LOC"), Mention((5, 9), "ORG")]
    index, dropped = encode([too_long, *outside, *damaged, *held], LABELS, 10, WIDTH)
    assert dropped == [too_long, *outside, *damaged]
    assert index.dtype == numpy.int32
    first = [[0, 1, 0], [0, 4, 1], [1, 1, 0], [2, 1, 0], [3, 1, 0]]
    assert index.tolist() == [*first, [5, 4, 0], [5, 4, 2]]


def test_unknown_label_is_a_mistake():
    with pytest.raises(CrossnerError, match="CN101"):
        encode([span(0, 1, "MISC")], LABELS, 3, WIDTH)


def test_nothing_at_all():
    index, dropped = encode([], LABELS, 0, WIDTH)
    assert index.shape == (0, 3)
    assert dropped == []
    assert decode(numpy.zeros((0, WIDTH, 4), dtype="float32"), LABELS, 0.5) == []
    assert decode(numpy.ones((3, WIDTH, 1), dtype="float32"), [], 0.5) == []
    assert decode_batch(numpy.zeros((0, WIDTH, 4), dtype="float32"), [], LABELS, 0.5) == []
    assert decode(numpy.ones((2, 1, 2), dtype="float32"), ["X"], 0.5)[1].tokens == (1,)


def test_flat_layout():
    lengths = [3, 0, 2]
    mentions = [[span(0, 3, "LOC")], [], [span(0, 2, "PER"), span(1, 2, "ORG")]]
    indices = [encode(m, LABELS, n, 3)[0] for m, n in zip(mentions, lengths, strict=True)]
    band = flat_targets(indices, lengths, 3, len(LABELS))
    assert band.shape == (5, 3, 4)
    numpy.testing.assert_array_equal(band[:3], flat_targets(indices[:1], [3], 3, 3))
    numpy.testing.assert_array_equal(band[3:], flat_targets(indices[2:], [2], 3, 3))
    assert band_mask(lengths, 3).tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, True, False],
        [True, False, False],
    ]
    assert not band[~band_mask(lengths, 3)].any()


@SEEDED
@given(documents(contiguous=True))
def test_mentions_know_their_shape(document):
    assume(document[1])
    for mention in document[1]:
        assert mention.is_contiguous
        assert mention.tokens == tuple(range(mention.start, mention.end))
    assert not Mention((1, 3), "X").is_contiguous
