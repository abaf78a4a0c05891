"""The Python interface: strings and paths, pipelines and docs, results that print."""

import subprocess
import sys

import pytest
import spacy
import srsly

import spacy_crossner
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train


@pytest.fixture
def labels(tmp_path):
    records = [
        {"text": text, "spans": [{"start": a, "end": b, "label": label} for a, b, label in spans]}
        for text, spans in TRAIN_DATA * 4
    ]
    srsly.write_jsonl(tmp_path / "labels.jsonl", records)
    return tmp_path / "labels.jsonl"


@pytest.fixture(scope="module")
def nlp(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=60)
    return nlp


def test_importing_is_cheap_and_names_are_listed():
    code = "import sys, spacy_crossner as c; assert 'torch' not in sys.modules; print(dir(c))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for name in spacy_crossner.__all__:
        assert f"'{name}'" in result.stdout
        assert getattr(spacy_crossner, name)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        spacy_crossner.nothing_like_it  # noqa: B018


def test_convert_evaluate_calibrate(labels, nlp, tmp_path):
    converted = spacy_crossner.convert(str(labels), str(tmp_path / "gold.spacy"), lang="en")
    assert converted.report.docs == 20
    assert "20 docs" in str(converted)
    assert converted.rows[1] == [("LOC", 28), ("ORG", 4), ("PER", 8)]
    nlp.to_disk(tmp_path / "nlp")
    scores = spacy_crossner.evaluate(str(tmp_path / "nlp"), str(tmp_path / "gold.spacy"))
    assert 0 < scores.f <= 100
    assert {"all", "LOC"} <= {label for _, _, label, *_ in scores.rows[1]}
    docs = [example.reference for example in make_examples(nlp)]
    assert spacy_crossner.evaluate(nlp, docs).f > 90
    for number, doc in enumerate(docs):
        set_view(doc, View(str(number), lang="de" if number % 3 else "nl"))
    apart = spacy_crossner.evaluate(nlp, docs).scores
    assert {name: (one["lang"], one["docs"]) for name, one in apart.items()} == {
        "de": ("de", len(docs) - -(-len(docs) // 3)),
        "nl": ("nl", -(-len(docs) // 3)),
    }
    write_docs(tmp_path / "mixed.spacy", docs)
    mixed = spacy_crossner.evaluate(nlp, tmp_path / "mixed.spacy").scores["mixed"]
    assert (mixed["lang"], mixed["docs"]) == ("xx", len(docs))
    calibrated = spacy_crossner.calibrate(
        str(tmp_path / "nlp"), [str(tmp_path / "gold.spacy")], str(tmp_path / "calibrated")
    )
    twice = spacy_crossner.calibrate(
        tmp_path / "nlp", [tmp_path / "gold.spacy", tmp_path / "gold.spacy"], tmp_path / "twice"
    )
    entities = [one.components["token_label_ner"].entities for one in (calibrated, twice)]
    assert entities[1] == 2 * entities[0] > 0
    assert spacy.load(calibrated.path).get_pipe("token_label_ner").temperature == pytest.approx(
        calibrated.components["token_label_ner"].temperature
    )
    assert "temperature" in str(calibrated)
    again = spacy_crossner.calibrate(nlp, docs)
    assert again.path is None
    assert (
        again.components["token_label_ner"].temperature
        == nlp.get_pipe("token_label_ner").temperature
    )


def test_annotate_and_select(nlp, tmp_path):
    texts = [text for text, _ in TRAIN_DATA]
    annotation = spacy_crossner.annotate(nlp, texts, str(tmp_path / "annotated"), lang="en")
    assert annotation.manifest.sum_up()["en"].docs == len(texts)
    assert len(list(annotation.docs())) == len(texts)
    assert "en" in str(annotation)


def test_package(nlp, tmp_path):
    nlp.to_disk(tmp_path / "nlp")
    wheels = spacy_crossner.package(
        str(tmp_path / "nlp"), str(tmp_path / "out"), ["de"], trim=False
    )
    assert [path.suffix for path in wheels.paths] == [".whl"] * len(wheels.paths)
    assert "de_" in str(wheels)


def test_data_frames(labels, nlp, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    converted = spacy_crossner.convert(labels, tmp_path / "gold.spacy")
    assert converted.to_df()["entities"].tolist() == [28, 4, 8]
    annotation = spacy_crossner.annotate(nlp, [TRAIN_DATA[0][0]], tmp_path / "out", lang="en")
    assert annotation.to_df()["lang"].tolist() == ["en"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CrossnerError, match=r"(?s)CN830.*pip install pandas"):
        converted.to_df()


def test_nothing_given(nlp):
    with pytest.raises(CrossnerError, match="CN831"):
        spacy_crossner.evaluate(nlp, [])
