"""The checker says what a corpus holds."""

from collections import Counter
from pathlib import Path

import numpy
import pytest
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.inspect import Row, inspect, render
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import SoftTargets, View, set_view
from spacy_crossner.errors import CrossnerError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    vocab = Vocab()
    source = Doc(vocab, words=["Ruiz", "left", "Bonn"], ents=["B-PER", "O", "B-LOC"])
    set_view(source, View("g1", "source", "en"))
    translation = Doc(vocab, words=["Ruiz", "verließ", "Bonn"])
    translation.set_ents([translation.char_span(13, 17, label="LOC")], missing=[translation[0:1]])
    links = numpy.array([[0, 0], [2, 2]])
    set_view(translation, View("g1", "translation", "de", links, weight=0.5))
    target = Doc(vocab, words=["Guten", "Tag"])
    soft = SoftTargets("bio", ("O", "B-PER"), numpy.array([0]), numpy.array([[0.5, 0.5]]))
    set_view(target, View("g2", "target", "de", labelled=False, soft=soft))
    plain = Doc(vocab, words=["Hello"], ents=["O"])
    write_docs(tmp_path / "corpus", [source, translation, target, plain], shard_size=2)
    return tmp_path / "corpus"


def test_everything_is_counted(corpus):
    summary = inspect([corpus])
    assert (summary.shards, summary.docs, summary.tokens) == (2, 4, 9)
    assert summary.rows == {
        ("source", "en"): Row(docs=1, tokens=3, labelled=1, weight=1.0),
        ("translation", "de"): Row(docs=1, tokens=3, labelled=1, masked=1, links=1, weight=0.5),
        # one int32 and two float16
        ("target", "de"): Row(docs=1, tokens=2, unannotated=1, soft=1, soft_bytes=8, weight=1.0),
        ("no view", "-"): Row(docs=1, tokens=1, labelled=1),
    }
    assert summary.labels == {"en": {"PER": 1, "LOC": 1}, "de": {"LOC": 1}, "-": {}}
    assert summary.group_sizes == Counter({1: 1, 2: 1})
    assert summary.scattered == 0


def test_scattered_groups_are_told(corpus, tmp_path):
    doc = Doc(Vocab(), words=["a"])
    set_view(doc, View("g1", "codeswitch"))
    write_docs(tmp_path / "more.spacy", [doc])
    summary = inspect([corpus, tmp_path / "more.spacy"])
    assert summary.scattered == 1
    assert summary.group_sizes == Counter({1: 1, 3: 1})
    assert "1 groups lie in several files" in render(summary)


def test_a_second_file_with_a_part_of_the_views_is_fine(corpus, tmp_path):
    """The views of a group are whole in one file, so nothing is missed."""
    doc = Doc(Vocab(), words=["a"])
    set_view(doc, View("g1", "source", "en"))
    write_docs(tmp_path / "sources.spacy", [doc])
    assert inspect([tmp_path / "sources.spacy", corpus]).scattered == 0


def test_command_prints_the_tables(corpus):
    result = CliRunner().invoke(app, ["inspect", str(corpus)])
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()]
    expected = ["translation", "de", "1", "3", "1", "0", "1", "1", "0", "(0%)", "0", "0.50"]
    assert expected in rows
    assert ["Entities", "LOC", "PER", "All"] in rows
    assert ["en", "1", "1", "2"] in rows
    assert result.output.startswith("4 docs, 9 tokens, 2 files")


def test_a_file_without_views(tmp_path):
    DocBin(docs=[Doc(Vocab(), words=["a", "b"])]).to_disk(tmp_path / "a.spacy")
    summary = inspect([tmp_path / "a.spacy"])
    assert summary.rows == {("no view", "-"): Row(docs=1, tokens=2, unannotated=1)}
    assert "no view" in render(summary)


def test_an_empty_file(tmp_path):
    DocBin().to_disk(tmp_path / "a.spacy")
    assert render(inspect([tmp_path / "a.spacy"])).startswith("0 docs, 0 tokens, 1 files")


def test_mistakes_are_named(tmp_path):
    with pytest.raises(CrossnerError, match="CN202"):
        inspect([tmp_path / "none.spacy"])
    doc = Doc(Vocab(), words=["a"])
    doc.user_data["spacy_crossner.view"] = {"group": "g", "kind": "sauce", "lang": "en"}
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "a.spacy")
    with pytest.raises(CrossnerError, match=r"a\.spacy.*kind is 'sauce'"):
        inspect([tmp_path / "a.spacy"])
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "a.spacy")])
    assert result.exit_code == 1
