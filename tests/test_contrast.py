"""The contrastive components: what they contrast, what reaches the encoder, what they cost."""

import pickle
import warnings

import numpy
import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Adam, Config

from spacy_crossner.checks import check_range
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.contrast_head import Items
from spacy_crossner.ml.encoder import get_shim
from spacy_crossner.pipeline.items import number, sample_tokens
from tests.pipelines import make_nlp

SENTENCES = [
    ("1", "source", "en", "Angela Merkel visited Berlin .", {0: "PER", 1: "PER", 3: "LOC"}),
    ("1", "translation", "de", "Angela Merkel war in Berlin .", {0: "PER", 1: "PER", 4: "LOC"}),
    ("1", "codeswitch", "en", "Angela Merkel visited la Berlin", {0: "PER", 1: "PER", 4: "LOC"}),
    ("2", "source", "en", "Acme Corp works in Paris", {0: "ORG", 1: "ORG", 4: "LOC"}),
    ("2", "translation", "es", "Acme Corp fue en Paris", {0: "ORG", 1: "ORG", 4: "LOC"}),
    ("3", "source", "en", "the river was by the city", {}),
    ("4", "target", "de", "der president war in London", {4: "LOC"}),
]
CONTRAST = {"sentence_contrast": {"weight": 0.5}, "label_contrast": {"weight": 0.5}}
every_component = pytest.mark.parametrize("name", list(CONTRAST))


def make_views(nlp: Language, sentences: list = SENTENCES, *, with_views: bool = True) -> list:
    examples = []
    for group, kind, lang, text, types in sentences:
        words = text.split(" ")
        reference = Doc(nlp.vocab, words=words)
        reference.set_ents(
            [spacy.tokens.Span(reference, i, i + 1, label=label) for i, label in types.items()]
        )
        if with_views:
            labelled = kind != "target"
            set_view(reference, View(group, kind=kind, lang=lang, labelled=labelled))
        examples.append(Example(Doc(nlp.vocab, words=words), reference))
    return examples


def start(nlp: Language, examples: list[Example]) -> Adam:
    nlp.initialize(lambda: examples)
    return Adam(0.005)


def encoder_of(nlp: Language) -> torch.nn.Module:
    return get_shim(nlp.get_pipe("transformer").model)._model


def state_of(module: torch.nn.Module) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in module.state_dict().items()}


def gradients_of(nlp: Language) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in encoder_of(nlp).named_parameters()
        if parameter.grad is not None
    }


def losses_of(nlp: Language, examples: list[Example]) -> dict[str, float]:
    """One update that accumulates gradients and steps nowhere."""
    if nlp.has_pipe("label_contrast"):
        nlp.get_pipe("label_contrast")._n_updates = 0
    return nlp.update(examples, sgd=False, losses={})


def project(nlp: Language, name: str, docs: list[Doc]) -> numpy.ndarray:
    """Projected mean vectors of docs that have gone through the encoder."""
    pipe = nlp.get_pipe(name)
    docs = list(nlp.pipe(docs))
    lengths = numpy.array([len(doc) for doc in docs], dtype="i")
    rows = numpy.arange(lengths.sum(), dtype="i")
    return pipe.model.predict(Items(docs, rows, lengths))


# ---- one forward, one backward --------------------------------------------------------------


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"sentence_contrast": {"weight": 0.5}},
        {"label_contrast": {"weight": 0.5}},
        CONTRAST,
        {**CONTRAST, "token_pair_ner": {"contrast": {"weight": 0.5}}},
        {name: {"weight": 0.0} for name in CONTRAST},
    ],
    ids=["none", "sentence", "label", "both", "all", "off"],
)
@pytest.mark.parametrize("last", [True, False])
def test_one_forward_and_one_backward_per_batch(tiny_encoder, components, last):
    order = {"token_label_ner": {}, **components} if last else {**components, "token_label_ner": {}}
    nlp = make_nlp(tiny_encoder, **order)
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    counts = {"forward": 0, "backward": 0}

    def count(key):
        def hook(*args):
            counts[key] += 1

        return hook

    encoder = encoder_of(nlp)
    encoder.register_forward_hook(count("forward"))
    encoder.encoder.layer[-1].register_full_backward_hook(count("backward"))
    for n_batches in (1, 2, 3):
        nlp.update(examples, sgd=optimizer)
        assert counts == {"forward": n_batches, "backward": n_batches}


# ---- gradients ------------------------------------------------------------------------------


@every_component
def test_gradient_reaches_the_encoder_and_is_right(tiny_encoder, name):
    nlp = make_nlp(tiny_encoder, **{name: {"weight": 0.5}})
    examples = make_views(nlp)
    start(nlp, examples)
    losses_of(nlp, examples)
    gradients = gradients_of(nlp)
    layers = [name for name in gradients if "encoder.layer" in name]
    assert layers
    assert all(gradients[name].any() for name in layers if "key.bias" not in name)
    # along its gradient, the loss changes as fast as the gradient is long
    steepness = sum(float((g**2).sum()) for g in gradients.values())
    parameters = dict(encoder_of(nlp).named_parameters())
    step = 0.01 / steepness**0.5
    losses = []
    for factor in (step, -2 * step):
        for key, gradient in gradients.items():
            parameters[key].data += factor * gradient
        losses.append(losses_of(nlp, examples)[name])
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(steepness, rel=0.02)


@every_component
def test_gradient_reaches_other_encoders(tiny_encoder, name):
    architecture = {"@architectures": "spacy-transformers.TransformerModel.v3"}
    spans = {"@span_getters": "spacy-transformers.doc_spans.v1"}
    config = Config(
        {
            "nlp": {"lang": "xx", "pipeline": ["transformer", name]},
            "components": {
                "transformer": {
                    "factory": "transformer",
                    "model": {**architecture, "name": str(tiny_encoder), "get_spans": spans},
                },
                name: {"factory": name, "weight": 0.5},
            },
        }
    )
    nlp = load_model_from_config(config, auto_fill=True)
    examples = make_views(nlp)
    start(nlp, examples)
    nlp.update(examples, sgd=False)
    encoder = nlp.get_pipe("transformer").model.layers[0].shims[0]._model
    assert encoder.encoder.layer[0].output.dense.weight.grad.any()


@every_component
def test_listens_to_a_tok2vec(name):
    nlp = spacy.blank("xx")
    nlp.add_pipe("tok2vec")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "*"}
    model = {"@architectures": "spacy-crossner.ContrastHead.v1", "tok2vec": listener}
    nlp.add_pipe(name, config={"weight": 0.5, "model": model})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    before = nlp.get_pipe("tok2vec").model.to_bytes()
    # spaCy's update applies a tok2vec's gradient one call late
    for _ in range(2):
        nlp.update(examples, sgd=optimizer)
    assert nlp.get_pipe("tok2vec").model.to_bytes() != before


@every_component
def test_order_of_the_batch_does_not_matter(tiny_encoder, name):
    settings = {"max_tokens": 9, "outside_ratio": 0.5} if name == "label_contrast" else {}
    nlp = make_nlp(tiny_encoder, **{name: {"weight": 0.5, **settings}})
    examples = make_views(nlp)
    start(nlp, examples)
    loss = losses_of(nlp, examples)[name]
    gradients = gradients_of(nlp)
    encoder_of(nlp).zero_grad()
    assert losses_of(nlp, examples[::-1])[name] == pytest.approx(loss, rel=1e-4)
    for key, gradient in gradients_of(nlp).items():
        assert torch.allclose(gradient, gradients[key], atol=1e-4), key


# ---- nothing to say, and weight 0 -----------------------------------------------------------

DROPOUT = {"transformer": {"transformer_config": {"hidden_dropout_prob": 0.3}}}


def trained_weights(tiny_encoder, components, *, with_views=True, n_steps=4) -> list[dict]:
    nlp = make_nlp(tiny_encoder, **DROPOUT, **components)
    examples = make_views(nlp, with_views=with_views)
    optimizer = start(nlp, examples)
    fix_random_seed(1)
    for _ in range(n_steps):
        nlp.update(examples, sgd=optimizer)
    head = nlp.get_pipe("token_label_ner").model.get_ref("head").layers[0].shims[0]._model
    return [state_of(encoder_of(nlp)), state_of(head)]


@pytest.mark.parametrize("last", [True, False])
def test_weight_0_trains_the_encoder_to_the_same_bytes(tiny_encoder, last):
    expected = trained_weights(tiny_encoder, {"token_label_ner": {}})
    off = {name: {"weight": 0.0} for name in CONTRAST}
    order = {"token_label_ner": {}, **off} if last else {**off, "token_label_ner": {}}
    assert trained_weights(tiny_encoder, order) == expected
    on = trained_weights(tiny_encoder, {"token_label_ner": {}, **CONTRAST})
    assert on[0] != expected[0]


@pytest.mark.parametrize("last", [True, False])
def test_with_nothing_to_say_others_still_train_the_encoder(tiny_encoder, last):
    # without views no sentence has a partner, and no token comes from another view
    expected = trained_weights(tiny_encoder, {"token_label_ner": {}}, with_views=False)
    order = {"token_label_ner": {}, **CONTRAST} if last else {**CONTRAST, "token_label_ner": {}}
    assert trained_weights(tiny_encoder, order, with_views=False) == expected


@every_component
def test_contrast_that_finds_nothing_says_so(tiny_encoder, name, monkeypatch):
    monkeypatch.setattr("spacy_crossner.pipeline.contrast.IDLE", 3)
    nlp = make_nlp(tiny_encoder, **{name: CONTRAST[name]})
    alone, views = make_views(nlp, SENTENCES[:1]), make_views(nlp)
    optimizer = start(nlp, views)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for batch in (alone, alone, views, alone, alone):
            nlp.update(batch, sgd=optimizer)
    with pytest.warns(UserWarning, match=f"CNW14.*'{name}'.* 3 consecutive batches"):
        nlp.update(alone, sgd=optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp.update(alone, sgd=optimizer)


def test_components_draw_no_random_numbers(tiny_encoder):
    def first_draw(components):
        nlp = make_nlp(tiny_encoder, **components)
        start(nlp, make_views(nlp))
        return torch.rand(1).item(), numpy.random.random()

    assert first_draw(CONTRAST) == first_draw({})


@every_component
def test_weight_0_is_unknown_to_the_encoder(tiny_encoder, name):
    nlp = make_nlp(tiny_encoder, token_label_ner={}, **{name: {"weight": 0.0}})
    examples = make_views(nlp)
    start(nlp, examples)
    assert nlp.get_pipe("transformer").listening_components == ["token_label_ner"]
    assert nlp.update(examples, losses={})[name] == 0.0
    assert not nlp.get_pipe(name).model.get_ref("head").layers


@every_component
def test_weight_can_be_changed_when_training_is_resumed(tiny_encoder, name, tmp_path):
    nlp = make_nlp(tiny_encoder, token_label_ner={}, **{name: {"weight": 0.0}})
    examples = make_views(nlp)
    start(nlp, examples)
    nlp.to_disk(tmp_path)
    for weight in (0.5, 0.0, 0.25):
        nlp = spacy.load(tmp_path, config={"components": {name: {"weight": weight}}})
        listening = nlp.get_pipe("transformer").listening_components
        assert (name in listening) == bool(weight)
        losses = nlp.update(examples, sgd=nlp.resume_training(), losses={})
        assert (losses[name] > 0) == bool(weight)
        nlp.to_disk(tmp_path)


# ---- what is contrasted ---------------------------------------------------------------------


def test_sentences_are_keyed_by_group(tiny_encoder):
    nlp = make_nlp(tiny_encoder, sentence_contrast={})
    examples = make_views(nlp)
    # no view, no tokens, nothing but a space
    examples += make_views(nlp, SENTENCES[:1], with_views=False)
    examples += [Example(Doc(nlp.vocab, w), Doc(nlp.vocab, w)) for w in ([], [" "], ["a", " "])]
    selection = nlp.get_pipe("sentence_contrast").select(examples)
    assert selection.keys.tolist() == [0, 0, 0, 1, 1, 2, 3, -1, -1]
    assert selection.lengths.tolist() == [5, 6, 5, 5, 5, 6, 5, 5, 1]
    assert selection.rows.tolist() == [*range(42), 43]


def test_tokens_are_keyed_by_type_and_view(tiny_encoder):
    nlp = make_nlp(tiny_encoder, label_contrast={"outside_ratio": 100.0})
    examples = make_views(nlp)
    selection = nlp.get_pipe("label_contrast").select(examples)
    words = [token.text for eg in examples for token in eg.predicted]
    chosen = [words[row] for row in selection.rows]
    by_key = {
        key: {w for w, k in zip(chosen, selection.keys, strict=True) if k == key}
        for key in set(selection.keys.tolist())
    }
    assert by_key[0] == {"Angela", "Merkel"}
    assert by_key[1] == {"Berlin", "Paris"}
    assert by_key[2] == {"Acme", "Corp"}
    # unlabelled target text takes no part, not even as outside
    assert "London" not in chosen
    assert len(chosen) == len(words) - 5
    assert set(selection.views.tolist()) == {0, 1, 2, 3}
    assert (selection.lengths == 1).all()


def test_unlabelled_and_misaligned_tokens_take_no_part(tiny_encoder):
    nlp = make_nlp(tiny_encoder, label_contrast={"outside_ratio": 100.0})
    pipe = nlp.get_pipe("label_contrast")
    reference = Doc(
        nlp.vocab, words=["New", "York", "and", "Berlin", "."], spaces=[True] * 4 + [False]
    )
    reference.set_ents(
        [spacy.tokens.Span(reference, 0, 2, "LOC"), reference[3:4]], default="missing"
    )
    other = Doc(
        nlp.vocab, words=["New", "York", "and Ber", "lin ."], spaces=[True] * 2 + [False, False]
    )
    assert other.text == reference.text
    selection = pipe.select([Example(other, reference)])
    assert selection.rows.tolist() == [0, 1]
    nothing = Doc(nlp.vocab, words=["a", "b"])
    selection = pipe.select([Example(nothing.copy(), nothing)])
    assert selection.rows.tolist() == []


def test_choice_of_tokens_is_seeded_and_changes_with_each_update(tiny_encoder):
    settings = {"max_tokens": 5, "weight": 0.5}

    def rows(seed, n_updates=0):
        nlp = make_nlp(tiny_encoder, label_contrast={**settings, "seed": seed})
        pipe = nlp.get_pipe("label_contrast")
        examples = make_views(nlp)
        start(nlp, examples)
        for _ in range(n_updates):
            nlp.update(examples, sgd=False)
        return pipe.select(examples).rows.tolist()

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)
    assert rows(0) != rows(0, n_updates=1)


@given(
    st.lists(st.integers(-1, 2), max_size=30),
    st.floats(0, 3),
    st.integers(2, 20),
    st.integers(0, 9),
)
def test_sampled_tokens(keys, ratio, max_tokens, seed):
    keys = numpy.array(keys, dtype="int64")
    priorities = numpy.random.default_rng(seed).random(len(keys))
    chosen = sample_tokens(keys, priorities, ratio, max_tokens)
    n_inside = (keys >= 0).sum()
    assert len(chosen) <= max_tokens
    assert (numpy.diff(chosen) > 0).all()
    assert (keys[chosen] >= 0).sum() == min(n_inside, max_tokens)
    n_outside = (keys[chosen] < 0).sum()
    assert n_outside <= ratio * n_inside
    kept = min((keys < 0).sum(), int(ratio * n_inside), max(max_tokens - n_inside, 0))
    assert n_outside == kept


def test_numbers():
    assert number(["b", None, "a", "b"]).tolist() == [0, -1, 1, 0]
    assert number([]).shape == (0,)


# ---- learning -------------------------------------------------------------------------------


def test_sentence_contrast_brings_translations_together(tiny_encoder):
    nlp = make_nlp(tiny_encoder, sentence_contrast={"weight": 1.0})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    history = [nlp.update(examples, sgd=optimizer, losses={}) for _ in range(30)]
    assert history[-1]["sentence_contrast"] < 0.2 * history[0]["sentence_contrast"]
    vectors = project(nlp, "sentence_contrast", [eg.predicted for eg in examples])
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = (unit @ unit.T - 2 * numpy.eye(len(unit))).argmax(axis=1)
    assert [SENTENCES[i][0] for i in nearest[:5]] == ["1", "1", "1", "2", "2"]


def test_label_contrast_brings_types_together(tiny_encoder):
    nlp = make_nlp(tiny_encoder, label_contrast={"weight": 1.0})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    history = [nlp.update(examples, sgd=optimizer, losses={}) for _ in range(30)]
    assert history[-1]["label_contrast"] < 0.7 * history[0]["label_contrast"]


@every_component
def test_hidden_layer(tiny_encoder, name):
    model = {"@architectures": "spacy-crossner.ContrastHead.v1", "hidden": 7, "nO": 5}
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp = make_nlp(tiny_encoder, **{name: {"model": {**model, "tok2vec": listener}}})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    assert nlp.update(examples, sgd=optimizer, losses={})[name] > 0
    assert project(nlp, name, [examples[0].predicted]).shape == (1, 5)
    copied = pickle.loads(pickle.dumps(nlp.get_pipe(name).model))
    assert copied.get_ref("head").get_dim("nO") == 5


# ---- a component like others ----------------------------------------------------------------


@every_component
def test_prediction_passes_through(tiny_encoder, name):
    nlp = make_nlp(tiny_encoder, **{name: {}})
    start(nlp, make_views(nlp))
    pipe = nlp.get_pipe(name)
    doc = nlp.make_doc("Angela Merkel visited Berlin.")
    before = doc.to_bytes()
    assert pipe(doc) is doc
    assert list(pipe.pipe([doc, doc])) == [doc, doc]
    pipe.set_annotations([doc], pipe.predict([doc]))
    assert doc.to_bytes() == before
    assert nlp.evaluate(make_views(nlp))["speed"] > 0


@every_component
def test_storage_round_trips(tiny_encoder, name, tmp_path):
    nlp = make_nlp(tiny_encoder, **{name: {"weight": 0.5}})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    nlp.update(examples, sgd=optimizer)
    texts = ["Angela Merkel visited Berlin.", "Paris"]
    expected = project(nlp, name, texts)
    nlp.to_disk(tmp_path)
    from_disk = spacy.load(tmp_path)
    from_bytes = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    for loaded in (from_disk, from_bytes):
        assert numpy.array_equal(project(loaded, name, texts), expected)
        # the config has the last word, and training goes on
        assert loaded.get_pipe(name).weight == 0.5
        losses = loaded.update(examples, sgd=loaded.resume_training(), losses={})
        assert losses[name] > 0


@every_component
def test_empty_docs(tiny_encoder, name):
    nlp = make_nlp(tiny_encoder, **{name: {"weight": 0.5}})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    empty = Example(Doc(nlp.vocab), Doc(nlp.vocab))
    assert nlp.update([empty], sgd=optimizer, losses={})[name] == 0.0
    loss = nlp.update([empty, *examples[:3], empty], sgd=optimizer, losses={})[name]
    assert numpy.isfinite(loss)
    one = Doc(nlp.vocab, words=["Berlin"])
    assert nlp.update([Example(one, one)], sgd=optimizer, losses={})[name] == 0.0


@every_component
def test_loss_is_the_weighted_mean(tiny_encoder, name):
    def loss(weight):
        nlp = make_nlp(tiny_encoder, **{name: {"weight": weight}})
        examples = make_views(nlp)
        start(nlp, examples)
        return losses_of(nlp, examples)[name]

    assert loss(0.5) == pytest.approx(5 * loss(0.1))


@every_component
@pytest.mark.parametrize("setting", ["weight", "temperature"])
def test_settings_are_checked(tiny_encoder, name, setting):
    with pytest.raises(CrossnerError, match=rf"CN112.*{name}\.{setting}"):
        make_nlp(tiny_encoder, **{name: {setting: -1.0}})


@pytest.mark.parametrize("value", [-0.5, float("inf"), float("nan")])
def test_numbers_out_of_range(value):
    with pytest.raises(CrossnerError, match=rf"CN112.*weight is {value}"):
        check_range("weight", value, 0.0)


@every_component
def test_needs_an_encoder(name):
    nlp = spacy.blank("xx")
    nlp.add_pipe(name)
    with pytest.raises(CrossnerError, match="CN301"):
        nlp.initialize()


@every_component
def test_listeners_can_be_replaced(tiny_encoder, name):
    nlp = make_nlp(tiny_encoder, token_label_ner={}, **{name: {"weight": 0.5}})
    examples = make_views(nlp)
    optimizer = start(nlp, examples)
    nlp.replace_listeners("transformer", name, ["model.tok2vec"])
    assert nlp.get_pipe("transformer").listening_components == ["token_label_ner"]
    assert nlp.update(examples, sgd=optimizer, losses={})[name] > 0
