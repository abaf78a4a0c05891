"""What several teachers say, put together: schemes, units and label sets."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_crossner.distil.ask import find_predictions
from spacy_crossner.distil.outputs import (
    PAIRS_PER_TOKEN,
    expected_f,
    make_outputs,
    make_soft_targets,
    sharpen_probs,
)
from spacy_crossner.distil.probs import (
    TeacherProbs,
    find_candidates,
    join,
    refine,
    to_bio,
    to_relations,
)
from spacy_crossner.pipeline.soft import fill_classes, fill_relations
from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.convert import bio_to_relations, relations_to_bio
from spacy_crossner.types import Mention

LABELS = ("LOC", "PER")


def say_bio(*texts: list[list[float]], labels=LABELS) -> TeacherProbs:
    probs = numpy.array([row for rows in texts for row in rows], dtype="float32")
    starts = [numpy.arange(len(rows)) for rows in texts]
    return TeacherProbs("bio", labels, probs, starts, [len(rows) for rows in texts])


def say_relations(n: int, mentions: list[Mention], width: int = 4, labels=LABELS) -> TeacherProbs:
    """The probabilities of a teacher whose mentions have the given scores."""
    probs = numpy.zeros((n, width, 1 + len(labels)), dtype="float32")
    for m in mentions:
        probs[m.start, m.end - 1 - m.start, 1 + labels.index(m.label)] = m.score
        probs[m.start : m.end - 1, 1, 0] = 1.0
    return TeacherProbs("relations", labels, probs, [numpy.arange(n)], [n])


def keep(mentions):
    return [(m.tokens, m.label, round(m.score, 3)) for m in mentions]


# ---- schemes --------------------------------------------------------------------------------


def test_token_labels_become_relations():
    teacher = say_bio(
        [[0.1, 0, 0, 0.9, 0], [0.2, 0, 0, 0, 0.8], [1, 0, 0, 0, 0]], [[0.4, 0.6, 0, 0, 0]]
    )
    pairs = to_relations(teacher)
    assert pairs.probs.shape[0] == 4
    # head and tail of "0 1", of "0" alone, and nothing across texts
    assert pairs.probs[0, 1, 2] == pytest.approx(0.72)
    assert pairs.probs[0, 0, 2] == pytest.approx(0.18)
    assert pairs.probs[0, 1, 0] == pytest.approx(0.8)
    assert pairs.probs[2, 1, 0] == 0.0
    assert pairs.probs[3, 0, 1] == pytest.approx(0.6)
    assert keep(find_candidates(pairs, 0.5)[0])[0][:2] == ((0, 1), "PER")


def test_relations_become_token_labels():
    teacher = say_relations(4, [Mention((0, 1), "PER", 0.9), Mention((3,), "LOC", 0.4)])
    classes = to_bio(teacher).probs
    assert classes.sum(axis=1) == pytest.approx(1.0)
    assert classes[:, 0] == pytest.approx([0.1, 0.1, 1.0, 0.6])
    assert classes[0, 3] == pytest.approx(0.9)
    assert classes[1, 4] == pytest.approx(0.9)
    assert classes[3, 1] == pytest.approx(0.4)


def test_what_overlaps_shares_what_is_left():
    teacher = say_relations(2, [Mention((0, 1), "PER", 0.7), Mention((1,), "LOC", 0.6)])
    classes = to_bio(teacher).probs
    assert classes[1] == pytest.approx([0.0, 0.3, 0.0, 0.0, 0.7], abs=1e-6)
    assert classes[0] == pytest.approx([0.3, 0.0, 0.0, 0.7, 0.0], abs=1e-6)


@st.composite
def flat_mentions(draw):
    n = draw(st.integers(1, 8))
    mentions, token = [], 0
    while token < n:
        size = draw(st.integers(1, 3))
        if draw(st.booleans()) and token + size <= n:
            mentions.append(
                Mention(tuple(range(token, token + size)), draw(st.sampled_from(LABELS)))
            )
        token += size
    return n, mentions


@given(flat_mentions())
def test_sure_entities_survive_both_ways(case):
    n, mentions = case
    classes, _ = bio.encode(mentions, LABELS, n)
    sure = TeacherProbs(
        "bio", LABELS, numpy.eye(5, dtype="float32")[classes], [numpy.arange(n)], [n]
    )
    there = to_relations(sure)
    assert sorted(m[:2] for m in find_candidates(there, 0.5)[0]) == [m[:2] for m in mentions]
    back = to_bio(there)
    assert back.probs == pytest.approx(sure.probs, abs=1e-4)


# ---- units ----------------------------------------------------------------------------------


def test_smaller_units_of_token_labels():
    teacher = say_bio([[0.1, 0.6, 0.3, 0, 0], [1, 0, 0, 0, 0]])
    teacher.starts, teacher.n_tokens = [numpy.array([0, 2])], [3]
    finer = refine(teacher, [numpy.array([0, 1, 2])])
    assert finer.probs == pytest.approx(
        numpy.array([[0.1, 0.6, 0.3, 0, 0], [0.1, 0, 0.9, 0, 0], [1, 0, 0, 0, 0]])
    )


def test_smaller_units_of_relations():
    # two texts; an entity of both units of the first, whose first unit has two tokens
    teacher = say_relations(3, [Mention((0, 1), "PER", 0.9)])
    teacher.starts, teacher.n_tokens = [numpy.array([0, 2]), numpy.array([0])], [3, 1]
    finer = refine(teacher, [numpy.array([0, 1, 2]), numpy.array([0])])
    found = find_candidates(finer, 0.5)
    assert [[(m.tokens, m.label) for m in mentions] for mentions in found] == [
        [((0, 1, 2), "PER")],
        [],
    ]


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_teachers_with_other_units_meet_in_the_smallest(scheme):
    coarse = say_bio([[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]])
    coarse.starts, coarse.n_tokens = [numpy.array([0, 2])], [3]
    fine = say_bio([[0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]])
    teacher, (agreement,) = join([coarse, fine], scheme, LABELS)
    assert agreement == 1.0
    assert [output.sure for output in make_outputs(teacher, confidence=0.9, threshold=0.3)] == [
        [Mention((0, 1), "PER", pytest.approx(1.0, abs=1e-4))]
    ]


# ---- label sets -----------------------------------------------------------------------------


def test_each_label_is_averaged_over_those_that_know_it():
    first = say_bio([[0.2, 0.8, 0, 0, 0], [0.1, 0, 0, 0.9, 0]])
    second = say_bio([[0.4, 0.6, 0], [0.9, 0.1, 0]], labels=("LOC",))
    union, (agreement,) = join([first, second], "bio", LABELS)
    assert union.probs[0] == pytest.approx([0.3, 0.7, 0, 0, 0])
    # PER stays as it is, though the second teacher saw nothing there
    assert union.probs[1] == pytest.approx([0.05, 0.05, 0, 0.9, 0])
    assert agreement == 0.5
    common, _ = join([first, second], "bio", ("LOC",))
    assert common.probs[1] == pytest.approx([0.95, 0.05, 0])
    pairs, _ = join([first, second], "relations", LABELS)
    assert pairs.probs[1, 0, 2] == pytest.approx(0.9)
    assert pairs.probs[0, 0, 1] == pytest.approx(0.7)


def test_labels_may_stand_in_another_order():
    first = say_bio([[0.2, 0.8, 0, 0, 0]])
    second = say_bio([[0.2, 0, 0, 0.8, 0]], labels=("PER", "LOC"))
    teacher, (agreement,) = join([first, second], "bio", LABELS)
    assert teacher.probs[0] == pytest.approx([0.2, 0.8, 0, 0, 0])
    assert agreement == 1.0


def test_opposite_teachers_are_no_more_than_certain():
    first = say_bio([[0, 1, 0]], labels=("LOC",))
    second = say_bio([[0, 1, 0]], labels=("PER",))
    teacher, _ = join([first, second], "bio", LABELS)
    assert teacher.probs[0] == pytest.approx([0, 0.5, 0, 0.5, 0])


def test_classes_stay_beside_relations():
    """Of a head that has both, students of either scheme get what it says itself."""
    classes = say_bio([[0.1, 0, 0, 0.9, 0], [0.3, 0, 0, 0, 0.7], [1, 0, 0, 0, 0]]).probs
    both = say_relations(3, [Mention((0, 1), "PER", 0.6), Mention((0,), "LOC", 0.4)])
    both.classes = classes
    assert to_bio(both).probs.tolist() == classes.tolist()
    alone, _ = join([both], "bio", LABELS)
    assert (alone.scheme, alone.probs.tolist()) == ("bio", classes.tolist())
    other = say_bio([[0.5, 0, 0, 0.5, 0], [0.5, 0, 0, 0, 0.5], [1, 0, 0, 0, 0]])
    mean, _ = join([both, other], "relations", LABELS)
    assert mean.classes[:2, 0] == pytest.approx([0.3, 0.4])
    assert mean.probs[0, 0, 1] == pytest.approx(0.2)
    # the entities are those of what decides about the teacher's own
    short = say_bio([[0.1, 0.9, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    for decides, entity in (("pairs", ((0, 1), "PER")), ("classes", ((0,), "LOC"))):
        teacher = replace(both, classes=short.probs, ents_from=decides)
        (output,) = make_outputs(teacher, confidence=0.5, threshold=0.3)
        assert [(m.tokens, m.label) for m in output.sure] == [entity]
    assert join([short, both], "relations", LABELS)[0].ents_from == "classes"
    # soft targets do not tell, and classes are the better guess
    (shown,) = find_predictions(output.soft, 3, 0.3)
    assert (shown.tokens, shown.label) == entity
    # in smaller units, both are split
    both.starts, both.n_tokens = [numpy.array([0, 2, 3])], [4]
    fine = refine(both, [numpy.arange(4)])
    assert fine.classes.argmax(axis=1).tolist() == [3, 4, 4, 0]
    # relations alone have none
    assert (
        join([say_relations(3, []), say_relations(3, [])], "relations", LABELS)[0].classes is None
    )


@pytest.mark.parametrize("known", [None, [True, True, False]])
def test_soft_targets_of_both_schemes(known):
    both = to_relations(say_bio([[0.1, 0, 0, 0.9, 0], [0.3, 0, 0, 0, 0.7], [0.75, 0.25, 0, 0, 0]]))
    both.known = None if known is None else numpy.array(known)
    (output,) = make_outputs(both, confidence=0.9, threshold=0.3)
    soft = output.soft
    assert (soft.scheme, soft.bio.scheme) == ("relations", "bio")
    assert soft.bio.classes == bio.class_names(LABELS)
    assert fill_classes(soft.bio, numpy.arange(3), 5) == pytest.approx(both.classes, abs=1e-3)
    masked = None if known is None else [2]
    for part in (soft, soft.bio):
        assert (part.masked if known is None else part.masked.tolist()) == masked


# ---- outputs --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_what_is_not_sure_is_masked(scheme):
    teacher = say_bio(
        [[0.02, 0.98, 0, 0, 0], [1, 0, 0, 0, 0], [0.4, 0, 0, 0.6, 0], [0.95, 0, 0, 0.05, 0]]
    )
    teacher, _ = join([teacher], scheme, LABELS)
    (output,) = make_outputs(teacher, confidence=0.9, threshold=0.3)
    assert keep(output.entities) == [((0,), "LOC", 0.98), ((2,), "PER", 0.6)]
    assert [m.tokens for m in output.sure] == [(0,)]
    assert output.unsure.tolist() == [False, False, True, False]
    assert output.expected == pytest.approx(1.63, abs=0.01)
    assert output.certainty == pytest.approx(2 * 1.58 / (2 + 1.63), abs=0.01)


def test_entities_are_told_in_tokens():
    teacher = say_bio([[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0.5, 0.5, 0, 0, 0]])
    teacher.starts, teacher.n_tokens = [numpy.array([0, 1, 3])], [5]
    (output,) = make_outputs(teacher, confidence=0.9, threshold=0.3)
    assert [m.tokens for m in output.sure] == [(1, 2)]
    assert output.unsure.tolist() == [False, False, False, True, True]
    assert output.soft.index.tolist() == [1, 2, 3, 4]
    assert output.soft.probs.argmax(axis=1).tolist() == [3, 4, 0, 0]


def test_soft_targets_leave_out_what_is_surely_nothing():
    teacher = say_bio([[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]], [[0.995, 0.005, 0, 0, 0]])
    first, second = make_soft_targets(teacher, teacher.probs[:, 0])
    assert first.index.tolist() == [1]
    assert first.classes == bio.class_names(LABELS)
    assert (first.index.dtype, first.probs.dtype) == ("int32", "float16")
    assert second.index.tolist() == []
    assert second.probs.shape == (0, 5)
    pairs = make_soft_targets(to_relations(teacher), teacher.probs[:, 0])
    assert [soft.index.tolist() for soft in pairs] == [[[1, 1]], []]
    assert pairs[0].classes == ("NNW", "THW-LOC", "THW-PER")


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_sharpened_probabilities(scheme):
    rng = numpy.random.default_rng(0)
    probs = rng.dirichlet([0.5] * 5, 40) if scheme == "bio" else rng.uniform(size=(9, 4, 3))
    assert numpy.allclose(sharpen_probs(probs, scheme, 1.0), probs)
    sharp = sharpen_probs(probs, scheme, 2.0)
    assert ((sharp >= 0.0) & (sharp <= 1.0)).all()
    # twice by 2 is once by 4, the order stays, and what was sure or likelier gets surer
    assert numpy.allclose(sharpen_probs(sharp, scheme, 2.0), sharpen_probs(probs, scheme, 4.0))
    if scheme == "bio":
        assert numpy.allclose(sharp.sum(axis=1), 1.0)
        assert (sharp.argsort(axis=1) == probs.argsort(axis=1)).all()
        assert (sharp.max(axis=1) >= probs.max(axis=1)).all()
    else:
        assert numpy.allclose(sharp, probs**2 / (probs**2 + (1.0 - probs) ** 2))


def test_relations_above_one_by_rounding_are_sharpened():
    probs = numpy.array([1.0 + 1e-6, 1.0, 0.0, -0.0], dtype="float32")
    assert sharpen_probs(probs, "relations", 2.5).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_only_soft_targets_are_sharpened():
    teacher = say_bio([[0.25, 0.75, 0, 0, 0], [1, 0, 0, 0, 0]])
    plain, sharp = (
        make_outputs(teacher, confidence=0.8, threshold=0.3, sharpen=power)[0]
        for power in (1.0, 2.0)
    )
    assert plain.soft.probs.tolist() == [[0.25, 0.75, 0, 0, 0]]
    assert sharp.soft.probs[0] == pytest.approx([0.1, 0.9, 0, 0, 0], abs=1e-3)
    assert plain.sure == sharp.sure == []
    assert plain.certainty == sharp.certainty
    assert plain.entities == sharp.entities


def test_soft_targets_of_an_unsure_teacher_stay_small():
    rng = numpy.random.default_rng(0)
    lengths = [30, 25]
    probs = rng.uniform(0.02, 0.5, (55, 32, 4)).astype("float32")
    teacher = TeacherProbs(
        "relations", ("A", "B", "C"), probs, [numpy.arange(n) for n in lengths], lengths
    )
    for soft, n, begin in zip(
        make_soft_targets(teacher, numpy.zeros(55)), lengths, (0, 30), strict=True
    ):
        assert len(soft.index) == PAIRS_PER_TOKEN * n
        assert soft.index.max() < n
        mask = relations.band_mask([n], 32)
        strengths = numpy.sort((probs[begin : begin + n].max(axis=2) * mask).ravel())
        assert soft.probs.max(axis=1).min() == pytest.approx(
            strengths[-PAIRS_PER_TOKEN * n], abs=1e-3
        )
        assert soft.index.nbytes + soft.probs.nbytes <= 2048


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_students_read_targets_in_their_own_units(scheme):
    """The same text in units of [2, 1, 2] tokens, in tokens, and in larger units."""
    mention = Mention((0, 1), "PER", 0.9)
    if scheme == "bio":
        table = [[0.1, 0, 0, 0.9, 0], [0.1, 0, 0, 0, 0.9], [1, 0, 0, 0, 0]]
        teacher = say_bio(table)
    else:
        teacher = say_relations(3, [mention])
    starts = numpy.array([0, 2, 3])
    teacher.starts, teacher.n_tokens = [starts], [5]
    (output,) = make_outputs(teacher, confidence=0.8, threshold=0.3)
    for own, tokens in (([0, 2, 3], (0, 1)), ([0, 1, 2, 3, 4], (0, 1, 2)), ([0, 3], (0,))):
        own = numpy.array(own)
        if scheme == "bio":
            probs = fill_classes(output.soft, own, 5)
            (found,) = bio.decode(probs, [len(own)], LABELS)
        else:
            probs = fill_relations(output.soft, own, 4, 3)
            (found,) = relations.decode_batch(probs, [len(own)], LABELS, 0.3)
        assert [(m.tokens, m.label) for m in found] == [(tokens, "PER")]
        if len(own) == 3:
            assert probs == pytest.approx(teacher.probs, abs=1e-3)


def test_expected_f():
    assert expected_f(0.0, 0, 0.0) == 1.0
    assert expected_f(0.0, 0, 2.0) == 0.0
    assert expected_f(1.8, 2, 2.0) == pytest.approx(0.9)


@pytest.mark.parametrize("seed", range(5))
def test_classes_survive_the_way_through_relations(seed):
    """A teacher whose span scores follow from BIO classes teaches BIO students those classes."""
    rng = numpy.random.default_rng(seed)
    lengths = [6, 9]
    probs = rng.dirichlet([4.0, 0.3, 0.3, 0.2, 0.2], size=15).astype("float32")
    # an I that continues nothing is not part of any span
    for begin, length in ((0, 6), (6, 9)):
        for i in range(begin, begin + length):
            for inside, first in ((2, 1), (4, 3)):
                reach = probs[i - 1, first : inside + 1].sum() if i > begin else 0.0
                probs[i, 0] += probs[i, inside] * (1.0 - reach)
                probs[i, inside] *= reach
    band = bio_to_relations(probs, lengths, LABELS)
    back = relations_to_bio(band, lengths, LABELS)
    assert back.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    # spans below the floor are lost, and a continuation depends on what is before it
    assert numpy.abs(back[:, 1::2] - probs[:, 1::2]).max() < 0.1
    assert numpy.abs(back - probs).mean() < 0.02
