"""`crossner try`: the entities of a text in the terminal, and as a page."""

import pytest
import spacy
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.errors import CrossnerError
from spacy_crossner.start.try_out import find_entities, list_entities, render_terminal
from tests.pipelines import make_examples, make_nlp, train

TEXT = "Maria Silva lives in Paris"


@pytest.fixture(scope="module")
def pipeline(tiny_encoder, tmp_path_factory):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=60)
    path = tmp_path_factory.mktemp("try") / "nlp"
    nlp.to_disk(path)
    return path


def test_entities_are_printed_with_scores(pipeline, tmp_path):
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["try", str(pipeline), TEXT, "--output", str(page)])
    assert result.exit_code == 0, result.output
    assert "[Maria Silva PER]" in result.output
    row = next(line for line in result.output.splitlines() if line.startswith("Paris"))
    label, score, characters = row.split()[1:]
    assert (label, characters) == ("LOC", "21-26")
    assert 0.3 < float(score) <= 1.0
    html = page.read_text(encoding="utf8")
    assert "Maria Silva" in html
    assert f"LOC {score}" in html


def test_texts_from_standard_input_and_a_threshold(pipeline):
    result = CliRunner().invoke(app, ["try", str(pipeline), "--threshold", "1.0"], input=TEXT)
    assert result.exit_code == 0, result.output
    assert "No entities." in result.output
    result = CliRunner().invoke(app, ["try", str(pipeline)], input="")
    assert result.exit_code == 1
    assert "CN832" in result.output


@pytest.mark.parametrize("data", [b"Paris \xff", b"\xed\xa0\x80"])
def test_input_that_is_not_text(pipeline, data):
    result = CliRunner().invoke(app, ["try", str(pipeline)], input=b"Paris\n" + data)
    assert result.exit_code == 1
    assert "CN233" in result.output
    assert "text 2" in result.output


def test_pipelines_without_scores():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Paris"}])
    docs = find_entities(nlp, [TEXT])
    assert list_entities(docs) == [("Paris", "LOC", "", "21-26")]
    assert "\x1b[" in render_terminal(docs)
    assert "\x1b[" not in render_terminal(docs, colours=False)
    with pytest.raises(CrossnerError, match=r"CN833.*entity_ruler"):
        find_entities(nlp, [TEXT], 0.5)
