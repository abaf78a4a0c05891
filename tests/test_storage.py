"""Storage of encoders: weights held and saved in 16 bits predict and train as they did."""

import pickle

import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.util import load_model_from_config
from transformers import AutoModel

from spacy_crossner.ml import half
from spacy_crossner.ml.encoder import get_shim
from spacy_crossner.ml.half import HalfEmbedding, lossless_half, store_embeddings_half
from tests.pipelines import TRAIN_DATA, make_config, make_examples, make_nlp, scored, train

TEXTS = [text for text, _ in TRAIN_DATA]
LEARNING = {"freeze_embeddings": False}


@pytest.fixture(scope="module")
def trained(half_encoder):
    nlp = make_nlp(half_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=10)
    return nlp


def words_of(nlp) -> torch.nn.Module:
    return get_shim(nlp.get_pipe("transformer").model)._model.get_input_embeddings()


def load_as(encoder, data, **transformer):
    config = make_config(encoder, transformer=transformer, token_label_ner={})
    return load_model_from_config(config, auto_fill=True).from_bytes(data)


def predictions(nlp) -> list:
    return [scored(doc) for doc in nlp.pipe(TEXTS)]


@given(st.sampled_from([torch.float16, torch.bfloat16, torch.float32]), st.integers(0, 20))
def test_smallest_loses_nothing(dtype, size):
    torch.manual_seed(size)
    # float16 has none of the smallest numbers
    scale = 1.0 if dtype == torch.float16 else 2**-30
    weights = (torch.rand(size, 3) * scale).to(dtype).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(half, "CHUNK", 7)
        stored = lossless_half(weights)
    assert torch.equal(stored.float(), weights)
    assert size == 0 or stored.dtype == dtype


def test_one_odd_weight_keeps_all():
    weights = torch.ones(5, 4)
    assert lossless_half(weights).dtype == torch.float16
    weights[4, 3] = 0.1
    assert lossless_half(weights) is weights
    ids = torch.arange(3)
    assert lossless_half(ids) is ids


def test_the_same_output(half_encoder):
    encoder = AutoModel.from_pretrained(half_encoder).eval()
    ids = torch.tensor([[0, 5, 9, 2, 1], [0, 7, 2, 1, 1]])
    mask = (ids != 1).long()
    with torch.no_grad():
        expected = encoder(ids, mask).last_hidden_state
        encoder.requires_grad_(False)
        store_embeddings_half(encoder)
        assert isinstance(encoder.get_input_embeddings(), HalfEmbedding)
        assert encoder.dtype == torch.float32
        assert torch.equal(encoder(ids, mask).last_hidden_state, expected)


def test_only_frozen_exact_words_are_small(half_encoder, tiny_encoder, trained):
    assert words_of(trained).weight.dtype == torch.float16
    for encoder, settings in ((half_encoder, LEARNING), (tiny_encoder, {})):
        nlp = make_nlp(encoder, transformer=settings)
        nlp.initialize()
        assert words_of(nlp).weight.dtype == torch.float32


def test_round_trips(half_encoder, trained, tmp_path):
    expected = predictions(trained)
    data = trained.to_bytes()
    trained.to_disk(tmp_path)
    for loaded in (load_as(half_encoder, data), spacy.load(tmp_path)):
        assert words_of(loaded).weight.dtype == torch.float16
        assert predictions(loaded) == expected
    pipe = trained.get_pipe("transformer")
    copy = pickle.loads(pickle.dumps(get_shim(pipe.model)._model))
    for key, value in copy.state_dict().items():
        assert torch.equal(value, get_shim(pipe.model)._model.state_dict()[key])
    assert [scored(doc) for doc in trained.pipe(TEXTS, n_process=2)] == expected


def test_pipelines_saved_in_full(half_encoder, trained):
    """As those are that were trained with all weights in 32 bits."""
    full = load_as(half_encoder, trained.to_bytes(), **LEARNING)
    assert words_of(full).weight.dtype == torch.float32
    assert predictions(full) == predictions(trained)
    loaded = load_as(half_encoder, full.to_bytes())
    assert words_of(loaded).weight.dtype == torch.float16
    assert predictions(loaded) == predictions(trained)


def test_small_words_can_learn_again(half_encoder, trained):
    nlp = load_as(half_encoder, trained.to_bytes(), **LEARNING)
    before = words_of(nlp).weight.detach().clone()
    optimizer = nlp.resume_training()
    for _ in range(2):
        nlp.update(make_examples(nlp), sgd=optimizer)
    assert not torch.equal(words_of(nlp).weight, before)


def test_encoder_inside_a_component(half_encoder, trained):
    config = trained.config.copy()
    nlp = load_model_from_config(config, auto_fill=True).from_bytes(trained.to_bytes())
    expected = predictions(nlp)
    nlp.replace_listeners("transformer", "token_label_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    loaded = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    assert predictions(loaded) == expected


def test_pipeline_without_an_encoder_yet(tiny_encoder):
    data = make_nlp(tiny_encoder).to_bytes()
    nlp = make_nlp(tiny_encoder).from_bytes(data)
    nlp.initialize()
    assert len(nlp("Angela Merkel")) == 2
