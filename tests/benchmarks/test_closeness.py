"""Retrieval of translations, and agreement of nearest neighbours."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.closeness import Vectors, compare, find_closest, measure_closeness
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from tests.pipelines import make_nlp

SENTENCES = [
    ("Angela Merkel visited Berlin", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("the bank in the city", []),
    ("London and Paris", [(0, 1, "LOC"), (2, 3, "LOC")]),
]


def _vectors(sentences, tokens, labels):
    return Vectors(
        numpy.asarray(sentences, dtype="float32"),
        numpy.asarray(tokens, dtype="float32"),
        numpy.array(labels),
    )


def _write(path, sentences, lang):
    vocab = spacy.blank("xx").vocab
    docs = []
    for i, (text, ents) in enumerate(sentences):
        doc = Doc(vocab, words=text.split())
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in ents])
        set_view(doc, View(group=str(i), lang=lang))
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="module")
def pipeline(tiny_encoder, tmp_path_factory):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    nlp.get_pipe("token_label_ner").add_label("PER")
    nlp.initialize()
    path = tmp_path_factory.mktemp("closeness") / "model"
    nlp.to_disk(path)
    return path


def test_compare_counts_both_directions_and_labels():
    axes = numpy.eye(3)
    source = _vectors(axes, axes, ["PER", "LOC", ""])
    # the second translation is closer to the first sentence
    target = _vectors([axes[0], axes[0], axes[2]], axes, ["PER", "ORG", ""])
    result = compare("de", source, target)
    assert (result.sentences, result.tokens) == (3, 2)
    assert result.found == pytest.approx(2 / 3)
    assert result.found_back == pytest.approx(2 / 3)
    assert result.agreement == 0.5
    # PER is at its own place; what is ORG there is LOC here
    assert result.silhouette == 1.0


def test_silhouette_tells_near_from_far():
    axes = numpy.eye(2)
    source = _vectors(axes, axes, ["PER", "LOC"])
    same = _vectors(axes, axes, ["PER", "LOC"])
    swapped = _vectors(axes, axes, ["LOC", "PER"])
    between = _vectors(axes, numpy.full((2, 2), 0.5**0.5), ["PER", "LOC"])
    assert compare("de", source, same).silhouette == 1.0
    assert compare("de", source, swapped).silhouette == -1.0
    assert compare("de", source, between).silhouette == pytest.approx(0.0, abs=1e-6)


def test_without_entities_nothing_agrees():
    axes = numpy.eye(2)
    result = compare("de", _vectors(axes, axes, ["", ""]), _vectors(axes, axes, ["", ""]))
    assert (result.tokens, result.agreement) == (0, 0.0)


def test_closest_is_the_same_in_pieces(monkeypatch):
    rng = numpy.random.default_rng(0)
    asking, asked = rng.normal(size=(50, 8)), rng.normal(size=(30, 8))
    whole = find_closest(asking, asked)
    monkeypatch.setattr("benchmarks.closeness.ROWS", 7)
    assert (find_closest(asking, asked) == whole).all()


def test_a_text_is_closest_to_itself(pipeline, tmp_path):
    source = _write(tmp_path / "en.spacy", SENTENCES, "en")
    same = _write(tmp_path / "de.spacy", SENTENCES, "de")
    (result,) = measure_closeness(pipeline, source, [same])
    assert (result.lang, result.found, result.found_back, result.agreement) == ("de", 1, 1, 1)


def test_command_prints_a_row_per_language(pipeline, tmp_path):
    source = _write(tmp_path / "en.spacy", SENTENCES, "en")
    same = _write(tmp_path / "de.spacy", SENTENCES, "de")
    result = CliRunner().invoke(app, ["closeness", str(pipeline), str(source), str(same)])
    assert result.exit_code == 0
    assert "100.0%" in result.output


def test_files_have_to_be_parallel(pipeline, tmp_path):
    source = _write(tmp_path / "en.spacy", SENTENCES, "en")
    fewer = _write(tmp_path / "de.spacy", SENTENCES[:1], "de")
    with pytest.raises(CrossnerError, match=r"CN646.*has 1 sentences, but .* has 3"):
        measure_closeness(pipeline, source, [fewer])


def test_files_need_gold(pipeline, tmp_path):
    source = _write(tmp_path / "en.spacy", [("the bank", [])], "en")
    with pytest.raises(CrossnerError, match="CN612"):
        measure_closeness(pipeline, source, [source])
    with pytest.raises(CrossnerError, match="CN610"):
        measure_closeness(pipeline, tmp_path / "no.spacy", [source])


def test_needs_a_shared_transformer(tmp_path):
    spacy.blank("xx").to_disk(tmp_path / "blank")
    with pytest.raises(CrossnerError, match="CN645"):
        measure_closeness(tmp_path / "blank", tmp_path / "en.spacy", [])
