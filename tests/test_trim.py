"""Trimming of vocabularies: the same pieces for the texts, fewer of them, on disk as in memory."""

import numpy
import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ship.trim import (
    choose_pieces,
    find_encoders,
    main_scripts,
    renumber_tokenizer,
    script_of,
    trim_embeddings,
    trim_pipeline,
)
from tests import tiny
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, scored, train

RUSSIAN = ["▁не", "ств", "ен", "▁Москва"]
RARE = ["▁Berlin", "er", "ə", "▁qızı", "▁də", "▁Kyiv"]
TEXTS = ["Angela Merkel visited Berlin.", "der president war in Paris, 1999!"]


@pytest.fixture(scope="module")
def unigram() -> Tokenizer:
    """Common pieces of several scripts, then rare ones, as XLM-R's vocabulary lists them."""
    letters = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!-ж北京şı"]
    common = ["▁", "▁in", "▁the", "▁war", "en", "▁1", "!!", "99", "▁Paris", "▁Angela", *RUSSIAN]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *common, *letters, *RARE, "中国", "▁Путин", "▁Киев"]
    vocab = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "##er", *letters, "москва"]
    pieces += [f"##{letter}" for letter in letters]
    pieces += ["visit", "##ed", "qız", "и", "##ов"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


@pytest.fixture(scope="module")
def wide_encoder(tmp_path_factory):
    """The tiny encoder with words in a script that the texts don't have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "WORDS", [*tiny.WORDS, "не", "Москва", "города"])
        return tiny.write_tiny_encoder(tmp_path_factory.mktemp("wide") / "encoder")


def trim(tokenizer, texts):
    return renumber_tokenizer(tokenizer, choose_pieces(tokenizer, texts, main_scripts(texts)))


def test_scripts():
    assert [script_of(c) for c in "aжя北ー5-\u0301"] == [
        "LATIN",
        "CYRILLIC",
        "CYRILLIC",
        "CJK",
        "KATAKANA-HIRAGANA",
        None,
        None,
        None,
    ]
    assert main_scripts(["a" * 1000 + "ж"]) == {"LATIN"}
    assert main_scripts(["a" * 10 + "ж"]) == {"LATIN", "CYRILLIC"}
    assert main_scripts(["12 - 5"]) == set()


def test_what_stays(unigram):
    trimmed = trim(unigram, TEXTS)
    kept = set(trimmed.get_vocab())
    # the least common piece, whose score is that of unknown characters
    assert "▁Киев" in kept
    # special pieces, digits and punctuation, single characters of any script, the rare word that
    # the texts have, a rare word in plain letters
    assert {"<s>", "<pad>", "</s>", "<unk>", "<mask>"} <= kept
    assert {"!!", "99", "▁1", "ж", "北", "ə", "▁Berlin", "er", "▁Kyiv"} <= kept
    # another script, and rare words with letters that they don't have
    assert not kept & {*RUSSIAN, "▁Путин", "中国", "▁qızı", "▁də"}
    # in texts of another script, common Latin pieces stay
    kept = set(trim(unigram, ["北京, 中国"]).get_vocab())
    assert {"▁the", "en", "中国"} <= kept
    assert not kept & {"▁Berlin", "▁Kyiv", "▁не"}


@given(st.text("abcdeinrstBPÄäжşı北京中 .,!19\u00a0\uff21", max_size=40))
def test_same_pieces_for_seen_texts(unigram, text):
    trimmed = trim(unigram, [*TEXTS, text])
    before, after = unigram.encode(text), trimmed.encode(text)
    assert before.tokens == after.tokens
    assert before.offsets == after.offsets
    assert [trimmed.id_to_token(i) for i in after.ids] == [
        unigram.id_to_token(i) for i in before.ids
    ]


def test_unseen_scripts_become_characters(unigram):
    trimmed = trim(unigram, TEXTS)
    assert trimmed.encode("北京ж", add_special_tokens=False).tokens == ["▁", "北", "京", "ж"]


def test_wordpiece(wordpiece):
    texts = ["The visited"]
    trimmed = trim(wordpiece, texts)
    assert trimmed.get_vocab_size() < wordpiece.get_vocab_size()
    assert not {"##ов", "qız"} & set(trimmed.get_vocab())
    for text in (*texts, "visiter", "и"):
        assert trimmed.encode(text).tokens == wordpiece.encode(text).tokens
    assert trimmed.encode("qız").tokens == ["[CLS]", "[UNK]", "[SEP]"]
    encoding = trimmed.encode("the")
    assert encoding.ids == [trimmed.token_to_id(token) for token in encoding.tokens]


def test_other_vocabularies_are_refused():
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    with pytest.raises(CrossnerError, match=r"CN702.*BPE.*--no-trim"):
        choose_pieces(tokenizer, ["ab"], set())
    with pytest.raises(CrossnerError, match="CN701"):
        trim_pipeline(spacy.blank("xx"), ["ab"])


def test_embeddings_follow_the_tokenizer(wordpiece):
    torch.manual_seed(0)
    size = wordpiece.get_vocab_size()
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    # as many encoders do, it has a few more rows than there are pieces
    config = BertConfig(vocab_size=size + 5, hidden_size=8, pad_token_id=0, **sizes)
    encoder = BertModel(config, add_pooling_layer=False).eval()
    keep = choose_pieces(wordpiece, ["the visited"], {"LATIN"})
    before = wordpiece.encode("the visited")
    after = renumber_tokenizer(wordpiece, keep).encode("the visited")
    assert before.ids != after.ids
    with torch.no_grad():
        expected = encoder(torch.tensor([before.ids])).last_hidden_state
        trim_embeddings(encoder, keep)
        found = encoder(torch.tensor([after.ids])).last_hidden_state
    assert torch.equal(found, expected)
    assert encoder.config.vocab_size == len(keep) == encoder.get_input_embeddings().num_embeddings
    assert encoder.config.pad_token_id == encoder.get_input_embeddings().padding_idx == 0


@pytest.mark.parametrize("inside", [False, True], ids=["shared encoder", "encoder inside"])
def test_pipeline_predicts_the_same(wide_encoder, tmp_path, inside):
    nlp = make_nlp(wide_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=20)
    if inside:
        nlp.replace_listeners("transformer", "token_label_ner", ["model.tok2vec"])
        nlp.remove_pipe("transformer")
    texts = [text for text, _ in TRAIN_DATA]
    nlp.to_disk(tmp_path / "before")
    expected = [scored(doc) for doc in nlp.pipe(texts)]
    trimmed = trim_pipeline(nlp, texts)
    assert trimmed.after == trimmed.before - 3
    assert trimmed.scripts == ("LATIN",)
    assert [scored(doc) for doc in nlp.pipe(texts)] == expected
    nlp.to_disk(tmp_path / "after")
    loaded = spacy.load(tmp_path / "after")
    assert [scored(doc) for doc in loaded.pipe(texts)] == expected
    # what the texts never showed: other scripts, symbols, nothing
    with pytest.warns(UserWarning, match="CNW02"):
        assert loaded("北京大学 Москва").text
    for text in ("☃ \u200b €", ""):
        assert loaded(text).text == text
    # a trimmed pipeline can be trimmed again, and nothing is left to do
    assert trim_pipeline(loaded, texts).after == trimmed.after


def test_words_that_are_held_small_stay_so(half_encoder, tmp_path):
    nlp = make_nlp(half_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=5)
    texts = [text for text, _ in TRAIN_DATA]
    expected = [scored(doc) for doc in nlp.pipe(texts)]
    trim_pipeline(nlp, texts[:1])
    (shim,) = find_encoders(nlp)
    words = shim._hfmodel.transformer.get_input_embeddings()
    assert words.weight.dtype == torch.float16
    assert words.num_embeddings == shim._hfmodel.transformer.config.vocab_size == len(words.weight)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert [scored(doc) for doc in loaded.pipe(texts)] == expected


def test_padding_of_the_tokenizer_is_left_out(wordpiece):
    padded = Tokenizer.from_str(wordpiece.to_str())
    padded.enable_padding(pad_id=0, pad_token="[PAD]")
    assert trim(padded, ["the"]).padding is None
    assert numpy.array_equal(
        choose_pieces(padded, ["the"], set()), sorted(choose_pieces(wordpiece, ["the"], set()))
    )
