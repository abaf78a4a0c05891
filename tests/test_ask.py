"""Texts that are worth labelling next: uncertain, different, and with predictions to correct."""

from dataclasses import replace

import numpy
import pytest
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import SoftTargets, View, set_view
from spacy_crossner.distil.ask import (
    Candidate,
    ask,
    choose_diverse,
    embed,
    find_predictions,
    measure_uncertainty,
)
from spacy_crossner.errors import CrossnerError
from spacy_crossner.schemes import bio
from tests.pipelines import TRAIN_DATA

CLASSES = bio.class_names(("LOC", "PER"))


def annotated(text: str, prob: float, lang: str = "it", scheme: str = "bio") -> Doc:
    """A doc whose first token is a LOC with some probability."""
    words = text.split()
    doc = Doc(Vocab(), words=words, spaces=[True] * (len(words) - 1) + [False])
    soft = SoftTargets("bio", CLASSES, numpy.array([0]), numpy.zeros((1, 5), dtype="float16"))
    soft.probs[0, :2] = 1 - prob, prob
    if scheme == "relations":
        probs = numpy.array([[0, prob, 0]], dtype="float16")
        names = ("NNW", "THW-LOC", "THW-PER")
        soft = SoftTargets("relations", names, numpy.array([[0, 0]]), probs)
    set_view(doc, View(f"{lang}-{text}", "target", lang, labelled=False, soft=soft))
    return doc


@pytest.fixture
def corpus(tmp_path):
    docs = [annotated(f"Roma {n} e una bella cosa", 0.99) for n in range(20)]
    docs += [annotated("Torino non si vede mai", 0.55), annotated("Ancona o forse no", 0.5)]
    docs += [annotated("Zagreb je velik grad", 0.6, "hr"), annotated("Split", 0.5, "hr")]
    write_docs(tmp_path / "annotated" / "part-00001.spacy", docs)
    return tmp_path / "annotated"


def test_uncertain_texts_come_first(corpus, tmp_path):
    asked = ask(str(corpus), str(tmp_path / "ask.spacy"), 3)
    docs = list(read_docs(tmp_path / "ask.spacy", Vocab()))
    # one of the language with one text that is long enough, the others of the other
    assert {doc.text for doc in docs} == {
        "Zagreb je velik grad",
        "Torino non si vede mai",
        "Ancona o forse no",
    }
    assert asked.texts == {"hr": 1, "it": 2}
    assert "22" in str(asked)
    first = next(doc for doc in docs if doc.text.startswith("Torino"))
    assert [(ent.text, ent.label_) for ent in first.ents] == [("Torino", "LOC")]
    assert first.spans["sc"].attrs["scores"].tolist() == pytest.approx([0.55], abs=1e-3)


def test_labelled_texts_are_left_out(corpus, tmp_path):
    srsly.write_jsonl(tmp_path / "done.jsonl", [{"text": "Torino non si vede mai", "spans": []}])
    ask(corpus, tmp_path / "ask.spacy", 3, exclude=[tmp_path / "done.jsonl"])
    texts = [doc.text for doc in read_docs(tmp_path / "ask.spacy", Vocab())]
    assert "Torino non si vede mai" not in texts
    assert len(texts) == 3


def test_alike_texts_are_not_chosen_twice():
    texts = ["Roma e bella", "Roma e bella!", "Milano vince ancora"]
    candidates = [Candidate(n, text, 1.0 - n / 10) for n, text in enumerate(texts)]
    assert [one.number for one in choose_diverse(candidates, 2, 1.0)] == [0, 2]
    assert [one.number for one in choose_diverse(candidates, 2, 0.0)] == [0, 1]
    assert choose_diverse([], 2, 1.0) == []
    assert embed("a") @ embed("a") == pytest.approx(1.0)


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_uncertainty_and_predictions_of_both_schemes(scheme):
    certain, unsure = (annotated("Roma e bella", p, scheme=scheme) for p in (0.99, 0.5))
    soft = [doc._.crossner.soft for doc in (certain, unsure)]
    assert measure_uncertainty(certain, soft[0]) < measure_uncertainty(unsure, soft[1])
    (found,) = find_predictions(soft[0], 3, 0.3)
    assert (found.tokens, found.label) == ((0,), "LOC")
    assert found.score == pytest.approx(0.99, abs=2e-3)
    assert find_predictions(soft[1], 3, 0.6) == []


def test_classes_beside_relations_decide():
    classes, pairs = (
        annotated("Roma e bella", prob, scheme=scheme)._.crossner.soft
        for prob, scheme in ((0.5, "bio"), (0.99, "relations"))
    )
    doc, both = annotated("Roma e bella", 0.5), replace(pairs, bio=classes)
    assert measure_uncertainty(doc, both) == measure_uncertainty(doc, classes)
    assert find_predictions(both, 3, 0.3) == find_predictions(classes, 3, 0.3)


def test_masked_tokens_count_without_probabilities():
    doc = Doc(Vocab(), words=["a", "b", "c", "d"])
    doc.set_ents([], missing=[doc[1:3]])
    assert measure_uncertainty(doc, None) == 1.0


def test_the_command(corpus, tmp_path):
    out = tmp_path / "ask.jsonl"
    result = CliRunner().invoke(app, ["select", str(corpus), str(out), "--ask", "2"])
    assert result.exit_code == 0, result.output
    records = list(srsly.read_jsonl(out))
    assert len(records) == 2
    assert all("spans" in record for record in records)
    for options, code in (
        (["--ask", "2", "--balance"], "CN541"),
        (["--ask", "2", "--report", "report.json"], "CN541"),
        (["--ask", "2", "--min-certainty", "0.5"], "CN541"),
        (["--exclude", str(corpus)], "CN542"),
        (["--format", "jsonl"], "CN542"),
    ):
        result = CliRunner().invoke(app, ["select", str(corpus), str(out), *options])
        assert code in result.output


def test_mistakes(corpus, tmp_path):
    with pytest.raises(CrossnerError, match="CN213"):
        ask(corpus, corpus / "part-00001.spacy", 3)
    doc = Doc(Vocab(), words=TRAIN_DATA[0][0].split())
    write_docs(tmp_path / "plain.spacy", [doc])
    with pytest.raises(CrossnerError, match="CN520"):
        ask(tmp_path / "plain.spacy", tmp_path / "out.spacy", 3)
    with pytest.raises(CrossnerError, match="CN273"):
        ask(corpus, tmp_path / "out.spacy", 0)
    write_docs(tmp_path / "short.spacy", [annotated("Roma", 0.5)])
    with pytest.raises(CrossnerError, match=r"CN540.*1 texts"):
        ask(tmp_path / "short.spacy", tmp_path / "out.spacy", 3)


@pytest.mark.parametrize("format", ["prodigy", "doccano", "label-studio"])
def test_files_for_annotation_tools_have_the_predictions(corpus, tmp_path, format):
    out = tmp_path / ("ask.json" if format == "label-studio" else "ask.jsonl")
    ask(corpus, out, 3, format=format)
    text = out.read_text(encoding="utf8")
    assert "Torino" in text
    assert "LOC" in text
