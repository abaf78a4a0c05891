"""The ONNX runtime: the same entities and scores as torch, without torch."""

import json
import pickle
import subprocess
import sys
from threading import Thread

import numpy
import onnx
import pytest
import spacy
from spacy.tokens import DocBin

from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.embedding_table import EmbeddingTable, make_table
from spacy_crossner.ml.onnx_encoder import OnnxEncoder
from spacy_crossner.ml.onnx_graph import find_graphs, make_session, run_session
from spacy_crossner.pipeline.token_pair_ner import DEFAULT_MODEL
from spacy_crossner.ship import probe
from spacy_crossner.ship import runtime as runtime_module
from spacy_crossner.ship.package import check_loss, package
from spacy_crossner.ship.runtime import to_onnx
from spacy_crossner.ship.trim import trim_pipeline
from spacy_crossner.ship.verify import verify
from tests.pipelines import TRAIN_DATA, found, make_examples, make_nlp, train

TEXTS = [text for text, _ in TRAIN_DATA]
ODD = ["", "  ", "Berlin", "Angela Merkel visited Berlin. " * 40, "x" * 300, "李明在北京大学。"]
PAIRS = "spacy-crossner.TokenPairHead"
SHARED = {key: DEFAULT_MODEL[key] for key in ("hidden_width", "max_span_length", "tok2vec")}
HEADS = {
    "label": ("token_label_ner", {}),
    "pair 1": ("token_pair_ner", {"model": {**SHARED, "@architectures": f"{PAIRS}.v1"}}),
    "pair 2": ("token_pair_ner", {"model": {**SHARED, "@architectures": f"{PAIRS}.v2"}}),
    "inner": (
        "token_pair_ner",
        {"model": {**SHARED, "@architectures": f"{PAIRS}.v2", "inner": True}},
    ),
}


@pytest.fixture(scope="module", params=HEADS)
def pipelines(request, tiny_encoder):
    """A trained pipeline and its exact conversion."""
    name, settings = HEADS[request.param]
    nlp = make_nlp(tiny_encoder, **{name: {**settings, "threshold": 0.05}})
    train(nlp, make_examples(nlp), steps=40)
    nlp.get_pipe(name).cfg.update(temperature=1.3, bias=0.4)
    return nlp, to_onnx(nlp, "float32"), name


def same(docs, others, tolerance=1e-4):
    """Compare entities, and scores of all candidates."""
    for doc, other in zip(docs, others, strict=True):
        assert found(doc) == found(other)
        a, b = doc.spans["sc"], other.spans["sc"]
        assert [(s.start, s.end, s.label_) for s in a] == [(s.start, s.end, s.label_) for s in b]
        scores = [numpy.asarray(group.attrs["scores"]) for group in (a, b)]
        assert numpy.abs(scores[0] - scores[1]).max(initial=0.0) < tolerance


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_same_entities_and_scores(pipelines, tmp_path, monkeypatch):
    nlp, converted, name = pipelines
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # forked processes get a session without its threads
    assert converted.pipe_names == [name]
    texts = [*TEXTS, *ODD]
    expected = list(nlp.pipe(texts))
    assert any(doc.ents for doc in expected)
    same(expected, converted.pipe(texts))
    # one at a time, in small batches, in processes, in threads
    same(expected, map(converted, texts))
    same(expected, converted.pipe(texts, batch_size=2))
    same(expected, converted.pipe(texts, n_process=2, batch_size=4))
    results: dict[int, list] = {}
    threads = [
        Thread(target=lambda i=i: results.update({i: [converted(text) for text in texts]}))
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for docs in results.values():
        same(expected, docs)
    converted.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    same(expected, loaded.pipe(texts))
    loaded.to_disk(tmp_path / "pipeline")  # over the files that it reads
    same(expected, loaded.pipe(texts))
    again = spacy.load(tmp_path / "pipeline", exclude=[name])
    again.add_pipe(name, source=loaded)
    same(expected, again.pipe(texts))
    copied = spacy.util.load_model_from_config(converted.config).from_bytes(loaded.to_bytes())
    same(expected, copied.pipe(texts))


def test_pickled_components_predict_the_same(pipelines):
    """Where processes are not forked, as on Windows and macOS, `n_process=2` pickles them."""
    _, converted, name = pipelines
    doc = converted(TEXTS[0])
    pipe = converted.get_pipe(name)
    copy = pickle.loads(pickle.dumps(pipe))
    assert copy.predict([doc]) == pipe.predict([doc])
    assert copy.predict([doc])[0].entities


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_int8_is_close(pipelines):
    nlp, exact, name = pipelines
    converted = to_onnx(nlp, "int8")
    models = [pipeline.get_pipe(name).model for pipeline in (exact, converted)]
    docs = [nlp.make_doc(text) for text in TEXTS]
    a, b = (numpy.concatenate(model.get_ref("tok2vec").predict(docs)) for model in models)
    cosines = (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)
    assert cosines.mean() > 0.95
    sizes = [sum(len(graph.graph) for graph in find_graphs(model)) for model in models]
    assert sizes[1] < sizes[0]


def test_int8_texts_do_not_change_their_neighbours(pipelines):
    converted = to_onnx(pipelines[0], "int8")
    texts = [*TEXTS, *ODD]
    alone = [converted(text) for text in texts]
    for size in (2, 64):
        same(alone, converted.pipe(texts, batch_size=size), 1e-5)


def test_a_matrix_that_other_nodes_read_stays():
    matrices = {name: numpy.eye(4, dtype="float32") * (i + 1) for i, name in enumerate("abc")}
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "a"], ["y"]),
        onnx.helper.make_node("MatMul", ["y", "b"], ["z"]),
        onnx.helper.make_node("Add", ["z", "b"], ["w"]),
        onnx.helper.make_node("MatMul", ["w", "c"], ["out"]),
    ]
    shape = onnx.TensorProto.FLOAT, [4, 4]
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", *shape)],
        [onnx.helper.make_tensor_value_info("out", *shape)],
        [onnx.numpy_helper.from_array(array, name) for name, array in matrices.items()],
    )
    versions = [onnx.helper.make_opsetid("", runtime_module.OPSET)]
    plain = onnx.helper.make_model(graph, opset_imports=versions, ir_version=9).SerializeToString()
    small = runtime_module.quantize(plain)
    x = numpy.random.default_rng(0).standard_normal((4, 4)).astype("float32")
    x[1] = 0.0
    expected, found = (run_session(make_session(one, 1), {"x": x})[0] for one in (plain, small))
    assert numpy.abs(expected - found).max() < 0.05 * numpy.abs(expected).max()
    # in the order of the graph, or the same pipeline would not give the same wheel
    names = [item.name for item in onnx.load_from_string(small).graph.initializer]
    assert [name for name in names if name.endswith(".codes")] == ["a.codes", "b.codes", "c.codes"]


def test_int8_of_an_earlier_version_is_named(pipelines):
    encoder = OnnxEncoder()
    with pytest.warns(UserWarning, match="CNW71"):
        encoder.set_encoder(b"...DynamicQuantizeLinear...", None, b"", {})


def test_loads_and_predicts_without_torch(pipelines, tmp_path):
    nlp, converted, _ = pipelines
    converted.to_disk(tmp_path / "pipeline")
    request = {"name": str(tmp_path / "pipeline"), "texts": TEXTS, "hide": ["torch"]}
    request["hide"] += ["transformers", "spacy_transformers"]
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request), encoding="utf8")
    result = subprocess.run(
        [sys.executable, "-I", probe.__file__, str(path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(path.read_text(encoding="utf8"))
    assert answer["hidden"] == []
    entities = [[[e.start, e.end, e.label_] for e in doc.ents] for doc in nlp.pipe(TEXTS)]
    assert [doc["ents"] for doc in answer["docs"]] == entities


def test_a_graph_can_not_be_trained(pipelines):
    converted = pipelines[1]
    examples = make_examples(converted)
    with pytest.raises(CrossnerError, match="CN734"):
        converted.update(examples)
    with pytest.raises(CrossnerError, match="CN734"):
        converted.initialize(lambda: examples)


def test_encoder_inside_and_trimmed(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=20)
    nlp.replace_listeners("transformer", "token_label_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    trim_pipeline(nlp, TEXTS)
    converted = to_onnx(nlp, "float32")
    same(nlp.pipe(TEXTS), converted.pipe(TEXTS))
    with pytest.warns(UserWarning, match="CNW02"):
        converted("北京大学中国人民银行 在上海")


def test_tables():
    generator = numpy.random.default_rng(0)
    scales = generator.normal(size=(9, 2, 1)).astype("float16") / 100
    numbers = generator.integers(-8, 8, (9, 2, 32))
    numbers[:, :, 5] = -8
    exact = (numbers * scales).astype("float16").reshape(9, 64)
    exact[3] = 0
    table = make_table(exact)
    assert table.codes.dtype == numpy.uint8
    assert table.width == 64
    ids = numpy.array([[0, 8], [3, 3]])
    assert numpy.array_equal(table.look_up(ids).astype("float16"), exact[ids])
    assert isinstance(table, EmbeddingTable)
    rough = generator.normal(size=(9, 64)).astype("float32")
    assert numpy.array_equal(make_table(rough, exact=True).look_up(ids), rough[ids])
    table = make_table(rough)
    assert table.codes.dtype == numpy.int8
    assert numpy.abs(table.look_up(ids) - rough[ids]).max() < 0.02


def test_what_can_not_be_converted(tiny_encoder, monkeypatch):
    nlp = make_nlp(tiny_encoder)
    nlp.initialize()
    with pytest.raises(CrossnerError, match=r"CN735.*transformer"):
        to_onnx(nlp)
    nlp = make_nlp(tiny_encoder, token_label_ner={}, sentence_contrast={"weight": 0.1})
    train(nlp, make_examples(nlp), steps=1)
    with pytest.raises(CrossnerError, match=r"CN736.*sentence_contrast"):
        to_onnx(nlp)
    nlp.remove_pipe("sentence_contrast")
    monkeypatch.setattr(runtime_module, "TOLERANCE", -1.0)
    with pytest.raises(CrossnerError, match="CN737"):
        to_onnx(nlp)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CrossnerError, match="CN738"):
        runtime_module.quantize(b"")


def test_a_language_without_labelled_text_takes_the_multilingual_loss(
    pipelines, tmp_path, monkeypatch
):
    nlp = pipelines[0]
    nlp.to_disk(tmp_path / "pipeline")
    docs = [example.reference.copy() for example in make_examples(nlp)]
    for number, doc in enumerate(docs):
        set_view(doc, View(str(number), "source", "de" if number else "en"))
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "dev.spacy")
    seen = {}

    def check(original, converted, docs, max_loss, name):
        seen[name] = len(docs)
        return (50.0, float(len(docs)))

    monkeypatch.setattr("spacy_crossner.ship.package.check_loss", check)
    settings = {"runtime": "onnx", "dev": [tmp_path / "dev.spacy"], "trim": False}
    wheels = package(tmp_path / "pipeline", tmp_path / "out", ["de", "fr"], **settings)
    assert seen == {"xx_crossner_trf": len(docs), "de_crossner_trf": len(docs) - 1}
    assert [wheel.loss[1] for wheel in wheels] == [len(docs), len(docs) - 1, len(docs)]


def test_package_and_verify(pipelines, tmp_path):
    nlp = pipelines[0]
    nlp.to_disk(tmp_path / "pipeline")
    docs = [example.reference for example in make_examples(nlp)]
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    settings = {"runtime": "onnx", "dev": [tmp_path / "dev.spacy"], "trim": False, "max_loss": 0.1}
    settings["weights"] = "float32"
    wheels = package(tmp_path / "pipeline", tmp_path / "out", ["de"], **settings)
    assert [wheel.path.name.split("-")[0] for wheel in wheels] == [
        "xx_crossner_trf",
        "de_crossner_trf",
    ]
    before, after = wheels[0].loss
    assert before == after > 0
    assert wheels[1].loss == wheels[0].loss
    card = tmp_path / "out" / f"{wheels[0].path.name.removesuffix('-py3-none-any.whl')}.md"
    assert "ONNX Runtime, float32 weights" in card.read_text(encoding="utf8")
    (result,) = verify([wheels[1].path], tmp_path / "pipeline", [tmp_path / "dev.spacy"])
    assert result.agreement == 1.0
    assert result.outside_same == result.outside
    DocBin(docs=[nlp.make_doc("Nothing here.")]).to_disk(tmp_path / "plain.spacy")
    settings["dev"] = [tmp_path / "plain.spacy"]
    with pytest.raises(CrossnerError, match=r"CN741.*No document in .*plain\.spacy is labelled"):
        package(tmp_path / "pipeline", tmp_path / "out", ["de"], **settings)
    with pytest.raises(
        CrossnerError, match=r"CN739.*de_x on the development text drops.*--max-loss -101"
    ):
        check_loss(nlp, nlp, docs, -101, "de_x")
