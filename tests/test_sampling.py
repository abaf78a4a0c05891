"""Other cuts of words into pieces: the right pieces, at the right places, as often as due."""

import math
import random
from collections import Counter

import numpy
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.pieces import PieceTokenizer, read_text
from spacy_crossner.ml.sampling import PieceSampler
from tests.pipelines import make_examples, make_nlp

VOCAB = [("<unk>", 0.0), ("▁", -3.0), ("a", -1.5), ("b", -2.0), ("ab", -2.5), ("▁a", -2.0)]
VOCAB += [("▁ab", -3.5), ("c", -4.0), ("bc", -3.0)]


def make_tokenizer() -> Tokenizer:
    backend = Tokenizer(models.Unigram(VOCAB, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return backend


def list_cuts(word: str) -> dict[tuple[str, ...], float]:
    """All cuts of a word, by the sum of their scores."""
    if not word:
        return {(): 0.0}
    return {
        (piece, *rest): score + more
        for piece, score in VOCAB[1:]
        if word.startswith(piece)
        for rest, more in list_cuts(word[len(piece) :]).items()
    }


def cut(sampler: PieceSampler, backend: Tokenizer, text: str):
    encoding = backend.encode(text, add_special_tokens=False)
    offsets = numpy.array(encoding.offsets).reshape(-1, 2)
    return sampler.sample(text, numpy.array(encoding.ids), encoding.tokens, offsets)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_cuts_are_drawn_by_their_probability(alpha):
    sampler = PieceSampler(make_tokenizer(), alpha)
    random.seed(0)
    count = Counter(tuple(sampler.draw("▁abc")) for _ in range(20_000))
    weights = {pieces: math.exp(alpha * score) for pieces, score in list_cuts("▁abc").items()}
    assert set(count) == set(weights)
    for pieces, weight in weights.items():
        share = weight / sum(weights.values())
        assert count[pieces] / 20_000 == pytest.approx(share, abs=0.015)


def test_large_exponents_give_the_cut_of_the_tokenizer():
    backend = make_tokenizer()
    sampler = PieceSampler(backend, 1000.0)
    for text in ("ab", "abc bca", "cab a b"):
        encoding = backend.encode(text, add_special_tokens=False)
        ids, strings, offsets = cut(sampler, backend, text)
        assert (ids.tolist(), strings) == (encoding.ids, encoding.tokens)
        assert offsets.tolist() == [list(pair) for pair in encoding.offsets]


@settings(max_examples=60)
@given(st.text("abc \n1é", max_size=20))
def test_pieces_lie_where_their_letters_are(text):
    backend = make_tokenizer()
    ids, strings, offsets = cut(PieceSampler(backend, 0.1), backend, text)
    assert len(ids) == len(strings) == len(offsets)
    own = [backend.id_to_token(number) for number in ids.tolist()]
    plain = backend.encode(text, add_special_tokens=False)
    assert "".join(strings) == "".join(plain.tokens)
    for name, piece, (begin, end) in zip(own, strings, offsets.tolist(), strict=True):
        assert name in (piece, "<unk>")
        letters = text[begin:end].replace(" ", "▁")
        assert letters.lstrip("▁") == piece.lstrip("▁") or piece == "▁"
    assert (numpy.diff(offsets[:, 0]) >= 0).all()


@pytest.mark.parametrize("text", ["xyz", "bbcé", "a\u0301b"])
def test_words_that_differ_from_the_text_stay(text):
    """Unknown letters, and letters that the tokenizer writes in another way."""
    backend = make_tokenizer()
    backend.normalizer = normalizers.Replace("\u0301", "bc")
    ids, strings, _ = cut(PieceSampler(backend, 0.1), backend, text)
    plain = backend.encode(text, add_special_tokens=False)
    assert (ids.tolist(), strings) == (plain.ids, plain.tokens)


def test_tokens_keep_their_pieces(tiny_encoder):
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    backend = tokenizer.backend_tokenizer
    pieces = PieceTokenizer(backend, tokenizer.unk_token_id, tokenizer.unk_token, 0)
    doc = spacy.blank("xx")("Maria was in Berlin, and  in Spain.")
    sampler = PieceSampler(backend, 0.05)
    random.seed(0)
    own, texts = read_text(doc, pieces), [read_text(doc, pieces, sampler) for _ in range(5)]
    assert any(text.strings != own.strings for text in texts)
    for text in texts:
        ends = numpy.cumsum(text.align_lengths)
        for token, end, n in zip(doc, ends, text.align_lengths, strict=True):
            found = "".join(text.strings[i] for i in text.align[end - n : end])
            assert found.replace("▁", "") == token.text.strip()


def test_only_training_draws(tiny_encoder):
    nlp = make_nlp(tiny_encoder, transformer={"sample_pieces": 0.05}, token_label_ner={})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    model = nlp.get_pipe("transformer").model
    docs = [example.predicted for example in examples]

    def read(is_train: bool) -> list[list[str]]:
        return [data.wordpieces.strings[0] for data in model(docs, is_train)[0].doc_data]

    assert read(False) == read(False)
    assert read(True) != read(False)
    random.seed(1)
    first = read(True)
    random.seed(1)
    assert read(True) == first


def test_other_tokenizers_and_values_are_refused(tiny_encoder):
    backend = Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(CrossnerError, match=r"CN028.*WordPiece.*sample_pieces to null"):
        PieceSampler(backend, 0.1)
    with pytest.raises(CrossnerError, match="sample_pieces"):
        make_nlp(tiny_encoder, transformer={"sample_pieces": 0.0}, token_label_ner={})
