"""Precision and depth of the encoder, and warnings of texts that its vocabulary does not cover."""

import warnings

import numpy
import pytest
import spacy
import torch

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml import precision as precision_module
from spacy_crossner.ml.encoder import get_shim
from spacy_crossner.ml.freeze import find_layers
from spacy_crossner.ml.precision import find_precisions, has_fast_bfloat16, resolve
from spacy_crossner.ship.embedded import write_encoder
from spacy_crossner.ship.trim import trim_pipeline
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train

TEXTS = [text for text, _ in TRAIN_DATA]
CPU = torch.device("cpu")


def vectors(nlp):
    docs = [nlp.make_doc(text) for text in TEXTS]
    return nlp.get_pipe("transformer").model.predict(docs).model_output["last_hidden_state"]


def learn(encoder, precision, steps=40):
    nlp = make_nlp(encoder, transformer={"precision": precision}, token_label_ner={})
    return nlp, train(nlp, make_examples(nlp), steps=steps)


def test_bfloat16_is_close_to_float32(tiny_encoder):
    exact, _ = learn(tiny_encoder, "float32", steps=1)
    rounded, _ = learn(tiny_encoder, "bfloat16", steps=1)
    a, b = vectors(exact), vectors(rounded)
    assert b.dtype == numpy.float32
    assert not numpy.array_equal(a, b)
    cosines = (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)
    assert cosines.min() > 0.999


def test_training_in_bfloat16_learns_and_saves_float32(tiny_encoder, tmp_path):
    nlp, history = learn(tiny_encoder, "bfloat16")
    assert history[-1]["token_label_ner"] < 0.3 * history[0]["token_label_ner"]
    weights = get_shim(nlp.get_pipe("transformer").model)._model.state_dict()
    assert {w.dtype for k, w in weights.items() if "embeddings.word" not in k} == {torch.float32}
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert find_precisions(again) == ["bfloat16"]
    assert numpy.array_equal(vectors(again), vectors(nlp))
    config = {"components": {"transformer": {"model": {"precision": "float32"}}}}
    assert find_precisions(spacy.load(tmp_path / "pipeline", config=config)) == ["float32"]


def test_predictions_follow_every_change_of_the_weights(tiny_encoder):
    nlp, _ = learn(tiny_encoder, "bfloat16", steps=1)
    before = vectors(nlp)
    assert numpy.array_equal(vectors(nlp), before)
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.01
    nlp.update(make_examples(nlp), sgd=optimizer)
    trained = vectors(nlp)
    assert not numpy.array_equal(trained, before)
    module = get_shim(nlp.get_pipe("transformer").model)._model
    module.load_state_dict({key: value * 1.5 for key, value in module.state_dict().items()})
    assert not numpy.array_equal(vectors(nlp), trained)


def test_auto_asks_the_machine(monkeypatch):
    monkeypatch.delenv("SPACY_CROSSNER_PRECISION", raising=False)
    for fast, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision_module, "has_fast_bfloat16", lambda kind, fast=fast: fast)
        assert resolve("auto", CPU) == expected
        assert resolve("float32", CPU) == torch.float32
        assert resolve("bfloat16", CPU) == torch.bfloat16
    monkeypatch.setenv("SPACY_CROSSNER_PRECISION", "bf16")
    with pytest.raises(CrossnerError, match=r"CN207.*SPACY_CROSSNER_PRECISION.*bfloat16"):
        resolve("auto", CPU)
    monkeypatch.setenv("SPACY_CROSSNER_PRECISION", "bfloat16")
    assert resolve("auto", CPU) == torch.bfloat16
    monkeypatch.undo()
    assert isinstance(has_fast_bfloat16("cpu"), bool)
    assert not has_fast_bfloat16("mps")


@pytest.mark.parametrize(
    "units", [(), ("amx_tile",), ("avx512_bf16",), ("amx_tile", "avx512_bf16")]
)
def test_units_for_bfloat16(monkeypatch, units):
    for name in ("amx_tile", "avx512_bf16"):
        has = name in units
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda has=has: has, raising=False)
    assert has_fast_bfloat16("cpu") == bool(units)


def test_settings_of_precision_that_make_no_sense(tiny_encoder):
    with pytest.raises(CrossnerError, match="CN731"):
        make_nlp(tiny_encoder, transformer={"precision": "bfloat16", "mixed_precision": True})
    with pytest.raises(ValueError, match="precision"):
        make_nlp(tiny_encoder, transformer={"precision": "float8"})


def test_fewer_layers(tiny_encoder, tmp_path):
    nlp = make_nlp(tiny_encoder, transformer={"layers": 2}, token_label_ner={})
    train(nlp, make_examples(nlp), steps=1)
    encoder = get_shim(nlp.get_pipe("transformer").model)._model
    assert len(find_layers(encoder)) == encoder.config.num_hidden_layers == 2
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert numpy.array_equal(vectors(again), vectors(nlp))
    # the command gives the same encoder
    assert write_encoder(tmp_path / "encoder", str(tiny_encoder), layers=2)
    assert not write_encoder(tmp_path / "encoder", str(tiny_encoder), layers=2)
    other = make_nlp(tmp_path / "encoder", token_label_ner={})
    other.initialize(lambda: make_examples(other))
    kept = get_shim(other.get_pipe("transformer").model)._model.state_dict()
    whole = make_nlp(tiny_encoder, token_label_ner={})
    whole.initialize(lambda: make_examples(whole))
    state = get_shim(whole.get_pipe("transformer").model)._model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in kept.items())
    assert write_encoder(tmp_path / "encoder", str(tiny_encoder))
    for layers in (0, 5):
        with pytest.raises(CrossnerError, match=rf"CN732.*{layers}.*4 layers"):
            make_nlp(tiny_encoder, transformer={"layers": layers}).initialize()
        with pytest.raises(CrossnerError, match="CN732"):
            write_encoder(tmp_path / "none", str(tiny_encoder), layers=layers)


def test_warns_once_of_unknown_pieces(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    nlp("the bank in Berlin, Müller")
    with pytest.warns(UserWarning, match=r"CNW03.*HANGUL.*'부산시는"):
        nlp("부산시는 내년에 새로운 공원을 만들 계획이다.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp("김민수 씨는 서울대학교에서 물리학을 가르친다.")


def test_warns_once_of_scripts_that_were_trimmed(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    trim_pipeline(nlp, TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(nlp.pipe([*TEXTS, "Die Bank 北京 in Berlin"]))
    with pytest.warns(UserWarning, match=r"CNW02.*LATIN.*CJK.*--no-trim"):
        nlp("北京大学中国人民银行 在上海")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp("北京大学中国人民银行 在上海")
