"""The engine of translation models, with tiny ones that learn a few sentences by heart."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
)

from spacy_crossner.errors import CrossnerError, NoModelError, NoTranslationError
from spacy_crossner.translate.engine_huggingface import HuggingFaceEngine
from spacy_crossner.translate.engines import EngineSettings, Failure, Segment, make_engine

sentencepiece = pytest.importorskip("sentencepiece")

# these need it
from transformers import M2M100Tokenizer, MarianTokenizer  # noqa: E402
from transformers.models.m2m_100.tokenization_m2m_100 import (  # noqa: E402
    FAIRSEQ_LANGUAGE_CODES,
)

PAIRS = (
    ("The bank is closed.", "Die Bank ist geschlossen."),
    ("Ann lives in Bonn.", "Ann wohnt in Bonn."),
    ("Where is the mayor of Paris, and who is he?", "Wo ist die Chefin von Paris, und wer ist er?"),
    ("Yes.", "Ja."),
)
SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
}


def write_pieces(folder: Path, name: str) -> list[str]:
    """Write a sentencepiece model of the sentences.

    RETURNS (list[str]): Its pieces.
    """
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for pair in PAIRS for text in pair] * 10),
        model_prefix=str(folder / name),
        vocab_size=90,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / f"{name}.vocab").unlink()
    path = folder / f"{name}.model"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
    path.rename(folder / name)
    return [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())][3:]


def teach(model: Any, inputs: Sequence[list[int]], outputs: Sequence[list[int]], pad: int) -> None:
    """Train a model until it knows the sentences by heart."""

    def tensor(rows: Sequence[list[int]], fill: int) -> torch.Tensor:
        longest = max(map(len, rows))
        return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])

    ids, labels = tensor(inputs, pad), tensor(outputs, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # nothing tells which of two languages to begin with: that is forced later
    assert loss.item() < 0.06


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for one pair of languages."""
    folder = tmp_path_factory.mktemp("marian") / "opus-en-de"
    folder.mkdir()
    pieces = write_pieces(folder, "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    vocab = {piece: i for i, piece in enumerate(["</s>", "<unk>", *pieces, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = MarianTokenizer(
        *(str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")),
        source_lang="en",
        target_lang="de",
    )
    tokenizer.save_pretrained(folder)
    pad = vocab["<pad>"]
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(vocab),
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=0,
        **SIZES,
    )
    model = MarianMTModel(config)
    teach(
        model,
        [tokenizer(source)["input_ids"] for source, _ in PAIRS],
        [tokenizer(text_target=target)["input_ids"] for _, target in PAIRS],
        pad,
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for many languages: here, German is another language, and Spanish is English."""
    folder = tmp_path_factory.mktemp("m2m100") / "many"
    folder.mkdir()
    pieces = write_pieces(folder, "sentencepiece.bpe.model")
    vocab = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = M2M100Tokenizer(
        str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), num_madeup_words=0
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = M2M100Config(vocab_size=len(vocab) + len(FAIRSEQ_LANGUAGE_CODES["m2m100"]), **SIZES)
    model = M2M100ForConditionalGeneration(config)
    inputs, outputs = [], []
    for lang in ("de", "es"):
        tokenizer.src_lang, tokenizer.tgt_lang = "en", lang
        for source, target in PAIRS:
            inputs.append(tokenizer(source)["input_ids"])
            wanted = target if lang == "de" else source
            outputs.append(tokenizer(text_target=wanted)["input_ids"])
    teach(model, inputs, outputs, 1)
    model.save_pretrained(folder)
    return folder


def make(folder: Path, source: str = "en", target: str = "de", **settings: Any) -> Any:
    settings = EngineSettings(model=str(folder), **settings)
    return make_engine("huggingface", source, target, settings)[1]


SOURCES = [Segment(source) for source, _ in PAIRS]
GERMAN = [Segment(target) for _, target in PAIRS]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_single_pair(marian, batch_size):
    assert make(marian, batch_size=batch_size).translate(SOURCES) == GERMAN


def test_folder_of_a_pair(marian):
    pattern = Path(str(marian).replace("en-de", "{source}-{target}"))
    assert make(pattern).translate(SOURCES[:1]) == GERMAN[:1]


@pytest.mark.parametrize(("target", "expected"), [("de", GERMAN), ("es", SOURCES)])
def test_many_languages(m2m100, target, expected):
    assert make(m2m100, target=target).translate(SOURCES) == expected


def test_greedy_search(m2m100):
    assert make(m2m100, beams=1).translate(SOURCES) == GERMAN


def test_unknown_pair(marian, m2m100):
    with pytest.raises(CrossnerError, match=r"CN432.*en-tlh"):
        make(m2m100, target="tlh")
    with pytest.raises(CrossnerError, match=r"CN432.*fr-de"):
        make(marian, source="fr")


def test_text_over_the_length_of_the_model(marian):
    long = Segment(" ".join([SOURCES[2].text] * 9))
    found = make(marian).translate([SOURCES[0], long, SOURCES[1]])
    assert found[::2] == GERMAN[:2]
    assert isinstance(found[1], Failure)
    # the positions of the model, not what was asked for
    assert "takes 64" in found[1].reason


def test_translation_that_is_cut(marian):
    (found,) = make(marian, max_length=8).translate(SOURCES[3:])
    assert found == GERMAN[3]
    engine = make(marian)
    engine.options["max_length"] = 6
    engine.max_length = 64
    assert isinstance(engine.translate(SOURCES[2:3])[0], Failure)


def test_identity(marian, m2m100):
    assert make(marian).identity == make(marian).identity
    different = [make(marian), make(marian, beams=2), make(m2m100), make(m2m100, target="es")]
    assert len({engine.identity for engine in different}) == 4


def test_missing_model(tmp_path):
    with pytest.raises(CrossnerError, match="CN431"):
        make(tmp_path / "nothing")
    with pytest.raises(CrossnerError, match="CN430"):
        make_engine("huggingface", "en", "de", EngineSettings())


def test_which_models_others_may_stand_in_for(tmp_path):
    """There need not be a model of each pair, but one that is there has to be right."""
    pattern = tmp_path / "opus-{source}-{target}"
    with pytest.raises(NoTranslationError, match="CN431"):
        make(pattern)
    with pytest.raises(NoModelError, match="CN431"):
        make(tmp_path / "opus-en-de")
    (tmp_path / "opus-en-de").mkdir()
    (tmp_path / "opus-en-de" / "config.json").write_text("{", encoding="utf8")
    with pytest.raises(NoModelError, match="CN431"):
        make(pattern)


def test_target_chosen_by_a_prefix(marian):
    tokenizer = MarianTokenizer.from_pretrained(marian)
    for piece in (">>deu<<", ">>spa<<"):
        tokenizer.encoder[piece] = len(tokenizer.encoder)
    model = MarianMTModel.from_pretrained(marian)
    engine = HuggingFaceEngine(model, tokenizer, source="en", target="de")
    assert engine.prefix == ">>deu<< "
    assert HuggingFaceEngine(model, tokenizer, source="en", target="es").prefix == ">>spa<< "
