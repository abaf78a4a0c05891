"""Units: tokens that share a word piece are one thing for the heads."""

import json
import shutil
import warnings

import numpy
import pytest
import spacy
import srsly
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.distil.annotate import annotate
from spacy_crossner.ml.heads import find_glued, find_units, spread_units, take_units
from spacy_crossner.pipeline.glue import join_labels, join_pairs
from spacy_crossner.pipeline.gold import Gold
from spacy_crossner.pipeline.select import trim_spaces
from spacy_crossner.pipeline.units import to_tokens, to_units
from spacy_crossner.schemes.relations import decode_batch
from spacy_crossner.training.calibrate import calibrate
from spacy_crossner.types import Mention
from tests.pipelines import make_examples, make_nlp, train


def test_tokens_with_one_vector_are_one_unit():
    rows = numpy.array([[1, 2], [1, 2], [3, 4], [1, 2], [1, 2]], dtype="f")
    vectors = [rows, rows[:0], rows[2:3]]
    vocab = Vocab()
    starts = find_units(vectors, [Doc(vocab, words=["a"] * len(rows)) for rows in vectors])
    assert [first.tolist() for first in starts] == [[0, 2, 3], [], [0]]
    assert take_units(vectors, starts)[0].tolist() == [[1, 2], [3, 4], [1, 2]]


@pytest.mark.parametrize("same_as_next", [True, False])
def test_white_space_belongs_to_the_word_before_it(same_as_next):
    words = [" ", "a", "\n", "\n", "b", "c", " ", "c", " "]
    rows = numpy.array([[1], [1], [2], [2], [2], [3], [3], [3], [0]], dtype="f")
    spaces = numpy.array([word.isspace() for word in words])
    if not same_as_next:
        rows[spaces] = 0
    vocab = spacy.blank("xx").vocab
    docs = [Doc(vocab, words=words), Doc(vocab, words=[" ", " "])]
    first, second = find_units([rows, rows[:2] * 0], docs)
    assert first.tolist() == [0, 1, 4, 5]
    assert second.tolist() == [0]
    mentions = [Mention((1,), "A"), Mention((4, 5, 6, 7), "B"), Mention((5,), "C")]
    mentions.append(Mention((2, 3), "D"))
    gold = to_units(Gold(mentions, numpy.ones((9,), dtype=bool)), first, spaces)
    # of the unit of white space nothing is said; C is half of what has one vector
    assert gold.mentions == [Mention((1,), "A"), Mention((2, 3), "B")]
    assert gold.known.tolist() == [False, True, True, False]
    found = to_tokens([Mention((1,), "A")], first, 9)
    assert trim_spaces(found, spaces) == [Mention((1,), "A")]


def test_the_gradient_of_a_unit_goes_to_its_first_token(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    nlp.initialize(lambda: make_examples(nlp))
    head = nlp.get_pipe("token_label_ner").model.get_ref("head")
    starts = [numpy.array([0, 2]), numpy.array([0])]
    flat = numpy.arange(6, dtype="f").reshape(3, 2)
    first, second = spread_units(head, flat, starts, [3, 1])
    assert first.tolist() == [[0, 1], [0, 0], [2, 3]]
    assert second.tolist() == [[4, 5]]


def test_units_know_what_was_found():
    gold = Gold([], numpy.ones((3,), dtype=bool), weight=0.5, found=True)
    units = to_units(gold, numpy.array([0, 2]), numpy.zeros((3,), dtype=bool))
    assert (units.found, units.weight, len(units.known)) == (True, 0.5, 2)


def test_gold_in_units():
    gold = Gold(
        [Mention((0, 1), "A"), Mention((1, 2), "B"), Mention((3,), "C"), Mention((2, 4), "D")],
        numpy.array([True, True, True, True, True]),
    )
    units = to_units(gold, numpy.array([0, 2, 3, 4]), numpy.zeros((5,), dtype=bool))
    assert units.mentions == [Mention((0,), "A"), Mention((2,), "C"), Mention((1, 3), "D")]
    # B begins inside a unit: nothing is said of what it touches
    assert units.known.tolist() == [False, False, True, True]
    assert units.misaligned == 1


@given(st.data())
def test_mentions_of_whole_units_come_back(data):
    n_tokens = data.draw(st.integers(1, 12))
    inner = data.draw(st.sets(st.integers(1, n_tokens), max_size=n_tokens))
    starts = numpy.array(sorted({0} | {start for start in inner if start < n_tokens}))
    chosen = data.draw(st.sets(st.integers(0, len(starts) - 1), min_size=1))
    unit = Mention(tuple(sorted(chosen)), "X", 0.5)
    (tokens,) = to_tokens([unit], starts, n_tokens)
    spaces = numpy.zeros((n_tokens,), dtype=bool)
    gold = to_units(Gold([tokens], numpy.ones((n_tokens,), dtype=bool)), starts, spaces)
    assert [m.tokens for m in gold.mentions] == [unit.tokens]
    assert tokens.score == 0.5
    assert gold.known.all()


@pytest.fixture(scope="session")
def spacious_encoder(tiny_encoder, tmp_path_factory):
    """A tokenizer whose pieces begin with all of the white space before them, as the embedded."""
    path = tmp_path_factory.mktemp("spacious") / "encoder"
    shutil.copytree(tiny_encoder, path)
    settings = srsly.read_json(path / "tokenizer.json")
    settings["pre_tokenizer"] = settings["pre_tokenizer"]["pretokenizers"][1]
    srsly.write_json(path / "tokenizer.json", settings)
    return path


@pytest.mark.parametrize("encoder", ["tiny_encoder", "spacious_encoder"])
@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_white_space_costs_no_entity(request, tmp_path, encoder, factory):
    nlp = make_nlp(request.getfixturevalue(encoder), **{factory: {}})
    texts = [" Berlin", "the\n\nBerlin is", "in\u3000Berlin  and  Paris", "Angela  Merkel  visited"]
    names = [["Berlin"], ["Berlin"], ["Berlin", "Paris"], ["Angela  Merkel"]]
    data = [
        (text, [(text.index(name), text.index(name) + len(name), "LOC") for name in found])
        for text, found in zip(texts, names, strict=True)
    ]
    pipe = nlp.get_pipe(factory)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none is cut
        train(nlp, make_examples(nlp, data))
    assert [[ent.text for ent in nlp(text).ents] for text in texts] == names
    # threshold and temperature are fitted on the same entities
    docs = [eg.reference for eg in make_examples(nlp, data)]
    assert calibrate(nlp, docs)[pipe.name].entities == 5
    nlp.to_disk(tmp_path / "teacher")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    annotate(
        [str(tmp_path / "teacher")], tmp_path / "texts.jsonl", tmp_path / "out", confidence=0.5
    )
    shards = find_shards(tmp_path / "out")
    taught = [doc for shard in shards for doc in read_docs(shard, nlp.vocab)]
    assert [[ent.text for ent in doc.ents] for doc in taught] == names
    for doc in taught:
        view = get_view(doc)
        begins = view.soft.index.reshape(len(view.soft.index), -1)[:, 0]
        begins = begins[view.soft.probs[:, 1] > 0.5]
        assert not any(doc[int(token)].is_space for token in begins if token)


@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_entities_of_shared_pieces(tiny_encoder, factory):
    """A token that shares its piece with the one before is part of the same entity."""
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    data = [("Angela Merkel visited Berlin.", [(0, 13, "PER"), (22, 28, "LOC")])]
    train(nlp, make_examples(nlp, data))
    words = ["Angela", "Mer", "kel", "visited", "Ber", "lin", "."]
    spaces = [True, False, True, True, False, False, False]
    doc = Doc(nlp.vocab, words=words, spaces=spaces)
    for _, pipe in nlp.pipeline:
        doc = pipe(doc)
    assert [(e.text, e.label_) for e in doc.ents] == [("Angela Merkel", "PER"), ("Berlin", "LOC")]
    assert [s.text for s in doc.spans["sc"]] == ["Angela Merkel", "Berlin"]


def test_entities_go_on_in_scripts_without_spaces():
    vocab = spacy.blank("xx").vocab
    doc = Doc(vocab, words=["北京", "大学", "。", "New", "York", "李"], spaces=[0, 0, 0, 1, 0, 0])
    assert find_glued(doc, numpy.arange(6)).tolist() == [False, True, False, False, False, True]
    assert find_glued(doc, numpy.array([0, 2, 5])).tolist() == [False, False, True]
    assert find_glued(Doc(vocab), numpy.array([], dtype=int)).tolist() == []
    # vowel signs and tone marks are no letters, but go on like them; digits do not
    words = ["เชียงใหม่", "ใหญ่", "ភ្នំ", "ពេញ", "5", "ปี"]
    doc = Doc(vocab, words=words, spaces=[False] * 6)
    assert find_glued(doc, numpy.arange(6)).tolist() == [False, True, True, True, False, False]
    probs = numpy.array([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]])
    joined = join_labels(probs, numpy.array([False, True, False]))
    numpy.testing.assert_allclose(joined.sum(axis=1), 1.0)
    numpy.testing.assert_allclose(joined[1], [0.2, 0.07, 0.73])
    numpy.testing.assert_allclose(joined[[0, 2]], probs[[0, 2]])


def make_band(n_units, width, spans):
    """Make a band of one label from spans of (first, last, probability)."""
    probs = numpy.zeros((n_units, width, 2), dtype="float32")
    for first, last, prob in spans:
        probs[first, last - first, 1] = prob
        for unit in range(first, last):
            probs[unit, 1, 0] = prob
    return probs


def read_spans(probs, lengths, threshold=0.3):
    (mentions,) = decode_batch(probs, lengths, ["LOC"], threshold)
    return {(m.start, m.end): round(m.score, 3) for m in mentions}


def test_glued_pairs_become_one_entity():
    probs = make_band(5, 4, [(0, 0, 0.9), (1, 2, 0.8), (3, 3, 0.7), (4, 4, 0.6)])
    glued = numpy.array([False, True, True, True, False])
    joined = join_pairs(probs, [5], glued)
    # four units in three parts; the last unit is glued to nothing
    assert read_spans(joined, [5]) == {(0, 4): 0.7, (4, 5): 0.6}
    assert joined[0, 0, 1] == pytest.approx(0.9 * (1 - 0.8), abs=1e-6)
    assert joined[1, 1, 1] == pytest.approx(0.8 * (1 - 0.9) * (1 - 0.7), abs=1e-6)


def test_what_is_not_glued_stays():
    probs = make_band(4, 3, [(0, 0, 0.9), (1, 1, 0.8), (3, 3, 0.5)])
    assert join_pairs(probs, [4], numpy.zeros((4,), dtype=bool)) is probs
    # glued, but to nothing of the same type
    apart = numpy.array([False, False, False, True])
    assert read_spans(join_pairs(probs, [4], apart), [4]) == read_spans(probs, [4])


def test_pairs_are_not_joined_beyond_the_band_or_the_doc():
    probs = make_band(4, 2, [(i, i, 0.9) for i in range(4)])
    joined = join_pairs(probs, [4], numpy.array([False, True, True, True]))
    assert all(end - start <= 2 for start, end in read_spans(joined, [4], 0.01))
    # what reaches into the next doc means nothing, and is not taken for a part
    probs = make_band(4, 3, [(1, 2, 0.9), (3, 3, 0.9)])
    joined = join_pairs(probs, [2, 2], numpy.array([False, True, False, True]))
    first, second = decode_batch(joined, [2, 2], ["LOC"], 0.3)
    assert first == []
    assert [(m.start, m.end) for m in second] == [(1, 2)]


@given(st.data())
def test_joined_pairs_stay_probabilities(data):
    n, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    rng = numpy.random.default_rng(data.draw(st.integers(0, 10**6)))
    probs = rng.random((n, width, 3)).astype("float32")
    glued = rng.random(n) < 0.5
    glued[0] = False
    joined = join_pairs(probs, [n], glued)
    assert joined.shape == probs.shape
    assert ((joined >= 0) & (joined <= 1)).all()


@given(st.data())
def test_docs_are_joined_as_if_they_were_alone(data):
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    scales = data.draw(
        st.lists(st.sampled_from([0.0, 0.01, 1.0]), min_size=len(lengths), max_size=len(lengths))
    )
    rng = numpy.random.default_rng(data.draw(st.integers(0, 10**6)))
    width = data.draw(st.integers(1, 4))
    docs = [
        rng.random((n, width, 3)).astype("float32") * scale
        for n, scale in zip(lengths, scales, strict=True)
    ]
    glued = [numpy.append(False, rng.random(n - 1) < 0.8)[:n] if n else [] for n in lengths]
    glued = [numpy.array(one, dtype=bool) for one in glued]
    together = join_pairs(numpy.concatenate(docs), lengths, numpy.concatenate(glued))
    alone = [join_pairs(*one) for one in zip(docs, [[n] for n in lengths], glued, strict=True)]
    numpy.testing.assert_array_equal(together, numpy.concatenate(alone))


def test_glued_text_shorter_than_the_longest_span():
    glued = numpy.array([False, True, True])
    probs = numpy.full((3, 8, 3), 0.3, dtype="float32")
    assert join_pairs(probs, [3], glued).shape == probs.shape
