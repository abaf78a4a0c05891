"""The encoder: frozen parts, windows, alignment, storage."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.util import load_model_from_config
from transformers import (
    AutoConfig,
    AutoModel,
    DistilBertConfig,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.encoder import EncoderShim, get_shim
from spacy_crossner.ml.freeze import find_embeddings, find_layers, freeze_encoder
from spacy_crossner.ml.windows import (
    align_by_offsets,
    cut_windows,
    pack_by_length,
    truncate_long_tokens,
)
from tests.pipelines import make_config, make_examples, make_nlp, train


def shim_of(nlp) -> EncoderShim:
    return get_shim(nlp.get_pipe("transformer").model)


def weights_of(nlp) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in shim_of(nlp)._model.state_dict().items()}


def vectors_of(doc: Doc) -> numpy.ndarray:
    return doc._.trf_data.model_output.last_hidden_state[0]


@given(st.integers(1, 300), st.integers(2, 40), st.data())
def test_windows_cover_every_piece_once(n_pieces, window, data):
    stride = data.draw(st.integers(1, window))
    starts, ends, owner = cut_windows(n_pieces, window, stride)
    assert starts[0] == 0
    assert ends[-1] == n_pieces
    assert (ends - starts <= window).all()
    pieces = numpy.arange(n_pieces)
    assert (starts[owner] <= pieces).all()
    assert (pieces < ends[owner]).all()
    assert (numpy.diff(owner) >= 0).all()
    # no other window gives a piece more context on its poorer side, but for rounding
    for piece in pieces[:: max(1, n_pieces // 20)]:
        room = numpy.minimum(piece - starts, ends - 1 - piece)
        bounded = numpy.where((starts <= piece) & (piece < ends), room, -1)
        inner = owner[piece] not in (0, len(starts) - 1)
        if inner:
            assert bounded[owner[piece]] >= bounded.max() - 1


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_packed_windows_stay_in_budget(lengths, budget):
    groups = pack_by_length(numpy.array(lengths, dtype=int), budget)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        sizes = [lengths[i] for i in group]
        assert len(group) == 1 or len(group) * max(sizes) <= budget


def test_alignment_by_offsets():
    # "San Jose" as tokens "San", " ", "Jose" and pieces "San", "Jo", "se"
    starts, counts = align_by_offsets(
        numpy.array([0, 3, 4]),
        numpy.array([3, 4, 8]),
        numpy.array([0, 4, 6]),
        numpy.array([3, 6, 8]),
    )
    assert counts.tolist() == [1, 0, 2]
    assert starts[[0, 2]].tolist() == [0, 1]


@pytest.mark.parametrize("freeze_layers", [0, 0.5])
def test_training_in_groups_is_training_in_one_pass(tiny_encoder, monkeypatch, freeze_layers):
    gradients, passes = [], []
    for budget in (sys.maxsize, 24, 1):
        monkeypatch.setattr("spacy_crossner.ml.pieces.TRAIN_BUDGET", budget)
        settings = {"freeze_layers": freeze_layers, "window": 12, "stride": 8}
        nlp = make_nlp(tiny_encoder, transformer=settings, token_label_ner={})
        examples = make_examples(nlp)
        nlp.initialize(lambda examples=examples: examples)
        encoder = shim_of(nlp)._model
        sizes: list[int] = []
        encoder.register_forward_hook(
            lambda module, args, out, sizes=sizes: sizes.append(out.last_hidden_state.shape[0])
        )
        nlp.update(examples, sgd=False)
        passes.append(sizes)
        gradients.append(
            {
                name: parameter.grad.clone()
                for name, parameter in encoder.named_parameters()
                if parameter.grad is not None
            }
        )
    assert len(passes[0]) == 1
    assert len(passes[2]) == sum(passes[0]) == sum(passes[1])
    assert 1 < len(passes[1]) < len(passes[2])
    for other in gradients[1:]:
        assert other.keys() == gradients[0].keys()
        for name, gradient in other.items():
            torch.testing.assert_close(gradient, gradients[0][name], rtol=1e-4, atol=1e-6)


def test_giant_tokens_keep_both_ends():
    keep = truncate_long_tokens(numpy.array([0, 1]), numpy.array([1, 10]), 11, limit=4)
    assert numpy.flatnonzero(keep).tolist() == [0, 1, 2, 9, 10]


def test_frozen_embeddings_stay(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    before = weights_of(nlp)
    train(nlp, examples, steps=3)
    after = weights_of(nlp)
    for key, value in before.items():
        assert torch.equal(value, after[key]) == key.startswith("embeddings."), key


# the tiny encoder has four layers
@pytest.mark.parametrize("freeze_layers", [2, 0.5])
def test_frozen_layers_get_no_gradient_and_no_optimizer(tiny_encoder, freeze_layers):
    nlp = make_nlp(tiny_encoder, transformer={"freeze_layers": freeze_layers}, token_label_ner={})
    examples = make_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    before = weights_of(nlp)
    for _ in range(2):  # the default schedule begins at 0
        nlp.update(examples, sgd=optimizer)
    frozen = ("embeddings.", "encoder.layer.0.", "encoder.layer.1.")
    for key, value in weights_of(nlp).items():
        assert torch.equal(value, before[key]) == key.startswith(frozen), key
    for key, parameter in shim_of(nlp)._model.named_parameters():
        assert (parameter.grad is None) == key.startswith(frozen)
    assert not any(name.startswith(frozen) for _, name in optimizer.mom1)


def test_nothing_frozen_moves_everything(tiny_encoder):
    nlp = make_nlp(tiny_encoder, transformer={"freeze_embeddings": False}, token_label_ner={})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    before = weights_of(nlp)
    train(nlp, examples, steps=2)
    after = weights_of(nlp)
    assert not torch.equal(
        before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"]
    )


def test_wholly_frozen_encoder_trains_the_head(tiny_encoder):
    nlp = make_nlp(tiny_encoder, transformer={"freeze_layers": 4}, token_label_ner={})
    history = train(nlp, make_examples(nlp), steps=20)
    assert history[-1]["token_label_ner"] < history[0]["token_label_ner"]


def test_frozen_after_loading(tiny_encoder):
    nlp = make_nlp(tiny_encoder, transformer={"freeze_layers": 2}, token_label_ner={})
    train(nlp, make_examples(nlp), steps=1)
    config = make_config(tiny_encoder, transformer={"freeze_layers": 1}, token_label_ner={})
    loaded = load_model_from_config(config, auto_fill=True).from_bytes(nlp.to_bytes())
    frozen = [k for k, p in shim_of(loaded)._model.named_parameters() if not p.requires_grad]
    assert any(key.startswith("encoder.layer.0.") for key in frozen)
    # the config has the last word, not what was saved
    assert not any(key.startswith("encoder.layer.1.") for key in frozen)


def test_settings_that_make_no_sense(tiny_encoder, tmp_path):
    for settings, code in (
        ({"freeze_layers": 5}, "CN023"),
        ({"freeze_layers": -1}, "CN023"),
        ({"freeze_layers": 2.5}, "CN023"),
        ({"stride": 101}, "CN025"),
        ({"stride": 0}, "CN025"),
        ({"window": 500}, "CN026"),
        ({"name": str(tmp_path)}, "CN020"),
        ({"name": "no-such/encoder"}, "CN020"),
    ):
        with pytest.raises(CrossnerError, match=code):
            make_nlp(tiny_encoder, transformer=settings).initialize()


def test_the_longest_window(tiny_encoder, tmp_path):
    """The positions of RoBERTa begin behind the padding id: it reads two pieces less."""
    for file in tiny_encoder.glob("*token*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    size = AutoConfig.from_pretrained(tiny_encoder).vocab_size
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = XLMRobertaConfig(
        size, intermediate_size=32, max_position_embeddings=130, pad_token_id=1, **sizes
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    for name in (tiny_encoder, tmp_path):
        nlp = make_nlp(name, transformer={"window": 127})
        with pytest.raises(CrossnerError, match=r"CN026.*window to 126 or less"):
            nlp.initialize()
        nlp = make_nlp(name, transformer={"window": 126})
        nlp.initialize()
        assert len(vectors_of(nlp("the bank in the city " * 60))) >= 300
        longer = make_config(name, transformer={"window": 127})
        loaded = load_model_from_config(longer, auto_fill=True).from_bytes(nlp.to_bytes())
        with pytest.raises(CrossnerError, match=r"CN026.*window to 126 or less"):
            loaded("the bank")


def test_missing_weights_are_an_error(tiny_encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in tiny_encoder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    del state["encoder.layer.3.output.dense.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CrossnerError, match=r"CN020.*layer\.3"):
        make_nlp(tmp_path).initialize()


def test_weights_that_do_not_fit_are_an_error(tiny_encoder, monkeypatch):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    state = shim_of(nlp)._model.state_dict()
    state.pop("encoder.layer.3.output.dense.weight")
    monkeypatch.setattr(type(shim_of(nlp)._model), "state_dict", lambda self: state)
    data = nlp.to_bytes()
    monkeypatch.undo()
    with pytest.raises(CrossnerError, match="CN024"):
        make_nlp(tiny_encoder).from_bytes(data)


def test_freezing_of_other_architectures():
    from transformers import AutoModel as Auto

    distil = Auto.from_config(
        DistilBertConfig(dim=16, hidden_dim=16, n_layers=3, n_heads=2, vocab_size=50)
    )
    freeze_encoder(distil, embeddings=True, layers=2)
    frozen = {k for k, p in distil.named_parameters() if not p.requires_grad}
    assert {k for k in frozen if "layer.2" in k} == set()
    assert any("layer.1" in k for k in frozen)
    assert any("word_embeddings" in k for k in frozen)
    assert len(find_layers(distil)) == 3
    with pytest.raises(CrossnerError, match="CN022"):
        find_embeddings(torch.nn.Linear(2, 2))


def test_vectors_do_not_depend_on_the_batch(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    texts = ["Berlin", "", "Angela Merkel visited Berlin. " * 30, "   ", "Maria works at Acme Corp"]
    alone = [nlp(text) for text in texts]
    for size in (1, 2, 7):
        for one, many in zip(alone, nlp.pipe(texts, batch_size=size), strict=True):
            assert len(one) == len(many)
            if len(one):
                numpy.testing.assert_allclose(vectors_of(one), vectors_of(many), atol=1e-5)


def test_the_same_vectors_as_the_bare_model(tiny_encoder):
    from transformers import AutoTokenizer

    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    text = "Angela Merkel visited Berlin."
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    model = AutoModel.from_pretrained(tiny_encoder).eval()
    with torch.no_grad():
        expected = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 1:-1]
    doc = nlp(text)
    numpy.testing.assert_allclose(vectors_of(doc), expected.numpy(), atol=1e-5)
    assert doc._.trf_data.wordpieces.strings[0] == tokenizer.tokenize(text)
    assert doc._.trf_data.align.lengths.tolist() == [1] * len(doc)


def test_long_text_is_read_to_the_end(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    long = "the bank in the city was by the river . " * 100
    one, other = nlp(long + "Berlin"), nlp(long + "Paris")
    assert vectors_of(one).shape == vectors_of(other).shape
    assert numpy.abs(vectors_of(one)[-1] - vectors_of(other)[-1]).max() > 1e-3
    # far from the difference, nothing changes
    numpy.testing.assert_allclose(vectors_of(one)[:100], vectors_of(other)[:100], atol=1e-5)


def test_giant_tokens_do_not_drown_what_follows(tiny_encoder, monkeypatch):
    monkeypatch.setattr("spacy_crossner.ml.pieces._warned_of_giant", False)
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    with pytest.warns(UserWarning, match="CNW01"):
        doc = nlp("x" * 10_000 + " Angela Merkel visited Berlin.")
    assert len(vectors_of(doc)) < 200
    assert doc._.trf_data.align.lengths[-5:].tolist() == [1, 1, 1, 1, 1]


def test_gradient_of_windows_reaches_the_encoder(tiny_encoder):
    """The gradient through windows, rows and pooling equals that of plain torch."""
    nlp = make_nlp(tiny_encoder, transformer={"freeze_embeddings": False})
    nlp.initialize()
    model = nlp.get_pipe("transformer").model
    encoder = shim_of(nlp)._model
    texts = ["Angela Merkel visited Berlin.", "Paris and London"]
    docs = [nlp.make_doc(text) for text in texts]
    output, backprop = model.begin_update(docs)
    ones = [[numpy.ones_like(data.model_output.last_hidden_state)] for data in output.doc_data]
    backprop(output.unsplit_by_doc(ones))
    gradients = {k: p.grad.clone() for k, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    tokenizer = shim_of(nlp)._hfmodel.tokenizer
    total = 0.0
    for text in texts:
        hidden = encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state
        total = total + hidden[0, 1:-1].sum()
    total.backward()
    for key, parameter in encoder.named_parameters():
        torch.testing.assert_close(gradients[key], parameter.grad, atol=1e-4, rtol=1e-3)


def test_loads_offline_in_a_fresh_process(tiny_encoder, tmp_path):
    """No import of the package, no encoder folder, no network: only the saved pipeline."""
    nlp = make_nlp(tiny_encoder, transformer={"name": str(tiny_encoder)}, token_pair_ner={})
    train(nlp, make_examples(nlp), steps=1)
    nlp.config["components"]["transformer"]["model"]["name"] = "gone"
    path = tmp_path / "model"
    nlp.to_disk(path)
    config = (path / "config.cfg").read_text(encoding="utf8").replace(str(tiny_encoder), "gone")
    (path / "config.cfg").write_text(config, encoding="utf8")
    code = (
        "import socket, sys\n"
        "def refuse(*args): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "import spacy\n"
        f"nlp = spacy.load({str(path)!r})\n"
        "print(repr([float(x) for x in nlp('Angela Merkel visited Berlin.')"
        "._.trf_data.model_output.last_hidden_state[0, 0, :3]]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    expected = vectors_of(nlp("Angela Merkel visited Berlin."))[0, :3]
    numpy.testing.assert_allclose(eval(result.stdout), expected, atol=1e-5)


def test_replace_listeners(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    examples = make_examples(nlp)
    train(nlp, examples, steps=30)
    before = [[(e.text, e.label_) for e in nlp(eg.text).ents] for eg in examples]
    nlp.replace_listeners("transformer", "token_label_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    assert [[(e.text, e.label_) for e in nlp(eg.text).ents] for eg in examples] == before
    copy = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    assert [[(e.text, e.label_) for e in copy(eg.text).ents] for eg in examples] == before


def test_config_has_no_torch_dtype_trap(tiny_encoder, tmp_path):
    """An encoder stored in half precision is trained and run in single precision."""
    AutoModel.from_pretrained(tiny_encoder, torch_dtype=torch.float16).save_pretrained(tmp_path)
    for file in tiny_encoder.glob("*token*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert AutoConfig.from_pretrained(tmp_path).torch_dtype == torch.float16
    nlp = make_nlp(tmp_path)
    nlp.initialize()
    assert {p.dtype for p in shim_of(nlp)._model.parameters()} == {torch.float32}
    loaded = make_nlp(Path(tmp_path)).from_bytes(nlp.to_bytes())
    assert {p.dtype for p in shim_of(loaded)._model.parameters()} == {torch.float32}


def test_memory_of_parameters_does_not_grow_with_steps(tiny_encoder):
    """Each parameter keeps its tensor: thinc's own shim links a new one to the old at each step."""
    nlp = make_nlp(tiny_encoder, token_label_ner={}, token_pair_ner={})
    examples = make_examples(nlp)
    train(nlp, examples, steps=2)
    modules = [shim_of(nlp)._model]
    for name in ("token_label_ner", "token_pair_ner"):
        head = nlp.get_pipe(name).model.get_ref("head")
        modules.append(head.layers[0].shims[0]._model)
    places = [p.data.data_ptr() for module in modules for p in module.parameters()]
    gc.collect()
    before = sum(isinstance(item, torch.Tensor) for item in gc.get_objects())
    for _ in range(3):
        nlp.update(examples, sgd=nlp.resume_training())
    gc.collect()
    after = sum(isinstance(item, torch.Tensor) for item in gc.get_objects())
    assert [p.data.data_ptr() for module in modules for p in module.parameters()] == places
    assert after <= before + len(places)
