"""The BIO scheme: valid sequences only, the best of them, and scores for every span."""

from itertools import chain, pairwise, product

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from seqeval.metrics.sequence_labeling import get_entities

from spacy_crossner.errors import CrossnerError
from spacy_crossner.schemes.bio import (
    candidates,
    class_names,
    decode,
    encode,
    to_iob2,
    viterbi,
)
from spacy_crossner.types import Mention

LABELS = ("LOC", "ORG", "PER")
# the same examples on every run, however slow the machine
SEEDED = settings(derandomize=True, deadline=None)
CLASSES = class_names(LABELS)


def span(start: int, end: int, label: str) -> Mention:
    return Mention(tuple(range(start, end)), label)


def read_tags(tags: list[str]) -> list[Mention]:
    return [span(start, end + 1, label) for label, start, end in get_entities(tags)]


def random_probs(seed, n_tokens, labels=LABELS, spread=0.3):
    rng = numpy.random.default_rng(seed)
    return rng.dirichlet([spread] * (1 + 2 * len(labels)), n_tokens).astype("float32")


def is_valid(classes):
    return all(
        cls == 0 or cls % 2 or before in (cls - 1, cls) for before, cls in pairwise([0, *classes])
    )


def span_score(probs, start, end, label_id):
    score = float(probs[start, 1 + 2 * label_id])
    for token in range(start + 1, end):
        score *= float(probs[token, 2 + 2 * label_id])
    if end < len(probs):
        score *= 1.0 - float(probs[end, 2 + 2 * label_id])
    return score


@st.composite
def flat_documents(draw):
    mentions, position = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = position + draw(st.integers(0, 2))
        position = start + draw(st.integers(1, 4))
        mentions.append(span(start, position, draw(st.sampled_from(LABELS))))
    return position + draw(st.integers(0, 2)), mentions


def test_class_names():
    assert class_names(["x", "y"]) == ("O", "B-x", "I-x", "B-y", "I-y")
    assert class_names([]) == ("O",)


@SEEDED
@given(flat_documents())
def test_flat_sets_come_back(document):
    n_tokens, mentions = document
    classes, dropped = encode(mentions, LABELS, n_tokens)
    assert not dropped
    one_hot = numpy.eye(len(CLASSES), dtype="float32")[classes]
    numpy.testing.assert_array_equal(viterbi(one_hot, [n_tokens]), classes)
    found = sorted(decode(one_hot, [n_tokens], LABELS)[0])
    assert [(m.tokens, m.label) for m in found] == [(m.tokens, m.label) for m in mentions]
    assert all(0.999 < mention.score < 1.0 for mention in found)


@SEEDED
@given(flat_documents())
def test_tags_come_back(document):
    n_tokens, mentions = document
    tags = to_iob2(mentions, n_tokens)
    assert read_tags(tags) == mentions
    assert tags == [CLASSES[i] for i in encode(mentions, LABELS, n_tokens)[0]]


@pytest.mark.parametrize("spread", [0.1, 1.0])
@pytest.mark.parametrize("lift", [0.0, 0.5])
def test_viterbi_equals_trying_every_sequence(spread, lift):
    labels = LABELS[:2]
    n_classes = 1 + 2 * len(labels)
    for seed in range(30):
        n_tokens = 1 + seed % 5
        probs = random_probs(seed, n_tokens, labels, spread).astype("float64") + 1e-9
        # makes sequences that the classes of single tokens don't give away
        probs[:, 2::2] += lift
        sequences = [s for s in product(range(n_classes), repeat=n_tokens) if is_valid(s)]
        rows = numpy.arange(n_tokens)
        best = max(sequences, key=lambda s: numpy.log(probs[rows, s]).sum())
        assert tuple(viterbi(probs, [n_tokens])) == best


def test_viterbi_mends_what_the_best_classes_break():
    # O I-LOC is not valid; B-LOC I-LOC is likelier than O O
    probs = numpy.array([[0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])
    assert viterbi(probs, [2]).tolist() == [1, 2]
    # apart, neither may begin with I
    assert viterbi(probs, [1, 1]).tolist() == [0, 0]
    # a run of I of one label can't follow B of another
    probs = numpy.array([[0.1, 0.5, 0.1, 0.2, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]])
    assert viterbi(probs, [2]).tolist() == [3, 4]


@settings(SEEDED, max_examples=200)
@given(
    hnp.arrays(
        st.sampled_from(["float32", "float64"]),
        st.tuples(st.integers(0, 12), st.just(len(CLASSES))),
        elements=st.one_of(
            st.sampled_from([0.0, 0.5, 1.0, numpy.nan, numpy.inf, -numpy.inf, -1.0]),
            st.floats(0, 1, width=32),
        ),
    ),
    st.data(),
)
def test_any_input_gives_valid_sequences(probs, data):
    cut = data.draw(st.integers(0, len(probs)))
    lengths = [cut, len(probs) - cut]
    found = decode(probs, lengths, LABELS)
    for mentions, length in zip(found, lengths, strict=True):
        tags = to_iob2(mentions, length)
        assert read_tags(tags) == sorted(m._replace(score=1.0) for m in mentions)
        assert all(0.0 < mention.score < 1.0 for mention in mentions)
    for mention in chain.from_iterable(candidates(probs, lengths, LABELS, 0.1, 4)):
        assert 0.1 <= mention.score < 1.0


def test_sequences_of_long_texts_are_valid():
    probs = random_probs(0, 3000)
    # nowhere a place to cut
    probs[1:, 2::2] += 1.0
    lengths = [1, 0, 1999, 1000]
    classes = viterbi(probs, lengths)
    starts = numpy.cumsum(lengths)[:-1]
    assert all(is_valid(part.tolist()) for part in numpy.split(classes, starts))


def test_batches_change_nothing():
    lengths = [3, 0, 40, 1, 7, 7, 1, 0, 12]
    probs = [random_probs(seed, length) for seed, length in enumerate(lengths)]
    alone = [decode(p, [len(p)], LABELS)[0] for p in probs]
    alone_candidates = [candidates(p, [len(p)], LABELS, 0.05, 5)[0] for p in probs]
    for seed in range(5):
        order = numpy.random.default_rng(seed).permutation(len(lengths))
        flat = numpy.concatenate([probs[i] for i in order])
        shuffled = [lengths[i] for i in order]
        assert decode(flat, shuffled, LABELS) == [alone[i] for i in order]
        expected = [alone_candidates[i] for i in order]
        assert candidates(flat, shuffled, LABELS, 0.05, 5) == expected


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.4])
def test_candidates_are_all_spans_that_score_enough(threshold):
    for seed in range(5):
        probs = random_probs(seed, 12)
        expected = [
            (-score, start, end, label_id)
            for start in range(12)
            for end in range(start + 1, min(start + 4, 12) + 1)
            for label_id in range(len(LABELS))
            if (score := span_score(probs, start, end, label_id)) >= threshold
        ]
        found = candidates(probs, [12], LABELS, threshold, 4)[0]
        spans = {(m.start, m.end, m.label) for m in found}
        assert len(spans) == len(found) == len(expected)
        assert spans == {(start, end, LABELS[i]) for _, start, end, i in expected}
        ranks = [(-m.score, m.start, m.end, LABELS.index(m.label)) for m in found]
        assert ranks == sorted(ranks)
        scores = numpy.array([-score for score, *_ in sorted(expected)])
        numpy.testing.assert_allclose([m.score for m in found], scores, atol=2e-6)


def test_decoded_mentions_carry_the_same_score():
    lengths = [40, 1, 25]
    probs = random_probs(1, sum(lengths))
    found = decode(probs, lengths, LABELS)
    every = candidates(probs, lengths, LABELS, 0.0, 40)
    assert sum(map(len, found)) > 10
    for mentions, spans in zip(found, every, strict=True):
        assert set(mentions) <= set(spans)
        assert mentions == sorted(mentions, key=lambda m: (-m.score, m.start))


def test_candidates_of_a_hostile_table_stay_bounded():
    probs = numpy.ones((2000, len(CLASSES)), dtype="float32")
    found = candidates(probs, [2000], LABELS, 0.5, 32)[0]
    # only at the end of the text does a mention not go on
    assert {m.end for m in found} == {2000}
    assert len(found) == 32 * len(LABELS)
    assert len(decode(probs, [2000], LABELS)[0]) <= 2000


def test_nothing_at_all():
    empty = numpy.zeros((0, len(CLASSES)), dtype="float32")
    for lengths, expected in ([], []), ([0, 0], [[], []]):
        assert decode(empty, lengths, LABELS) == expected
        assert candidates(empty, lengths, LABELS, 0.5, 4) == expected
    assert decode(numpy.ones((3, 1)), [3], []) == [[]]
    assert candidates(numpy.ones((3, 1)), [3], [], 0.5, 4) == [[]]
    assert encode([], LABELS, 0)[0].shape == (0,)


def test_longest_wins_and_the_rest_is_reported():
    outer, inner = span(0, 4, "ORG"), span(1, 2, "LOC")
    first, second = span(5, 7, "PER"), span(6, 8, "LOC")
    chosen, other = span(9, 10, "LOC"), span(9, 10, "PER")
    gap, outside = Mention((10, 12), "PER"), span(12, 15, "PER")
    mentions = [outside, other, second, inner, gap, first, outer, chosen, outer]
    classes, dropped = encode(mentions, LABELS, 13)
    tags = " ".join(CLASSES[i] for i in classes)
    assert tags == "B-ORG I-ORG I-ORG I-ORG O B-PER I-PER O O B-LOC O O O"
    assert sorted(dropped) == sorted([inner, second, other, gap, outside])


@SEEDED
@given(
    st.permutations([span(0, 3, "ORG"), span(2, 5, "LOC"), span(4, 6, "PER"), span(4, 5, "PER")])
)
def test_order_of_mentions_is_nothing(mentions):
    classes, dropped = encode(mentions, LABELS, 6)
    assert [CLASSES[i] for i in classes] == ["B-ORG", "I-ORG", "I-ORG", "O", "B-PER", "I-PER"]
    assert sorted(dropped) == [span(2, 5, "LOC"), span(4, 5, "PER")]


def test_unknown_label_is_a_mistake():
    with pytest.raises(CrossnerError, match="CN101"):
        encode([span(0, 1, "MISC")], LABELS, 3)


def test_only_flat_sets_become_tags():
    for mentions in (
        [span(0, 3, "ORG"), span(1, 2, "LOC")],
        [Mention((0, 2), "ORG")],
        [span(2, 4, "ORG")],
    ):
        with pytest.raises(CrossnerError, match="CN103"):
            to_iob2(mentions, 3)
