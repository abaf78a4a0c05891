"""Lexicons learned from aligned translations."""

import numpy
import pytest
import spacy
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.lexicon.build import make_lexicon
from spacy_crossner.lexicon.codeswitch import parse_lexicons
from spacy_crossner.lexicon.learn import learn_rows


def make_pair(number, source, target, links, lang="de", ents=()):
    nlp = spacy.blank("xx")
    docs = []
    for words, kind, language in ((source, "source", "en"), (target, "translation", lang)):
        spaces = [language != "zh"] * len(words)
        doc = spacy.tokens.Doc(nlp.vocab, words=words, spaces=spaces)
        found = numpy.array(links, dtype="int32") if kind == "translation" else None
        set_view(doc, View(group=f"s{number}", kind=kind, lang=language, links=found))
        docs.append(doc)
    for i in ents:
        docs[0].set_ents([spacy.tokens.Span(docs[0], i, i + 1, "LOC")])
    return docs


@pytest.fixture
def views(tmp_path):
    docs = []
    links = [(0, 0), (1, 1), (2, 2), (3, 3)]
    for number in range(3):
        source, target = ["The", "House", "in", "Paris"], ["Das", "Haus", "in", "Paris"]
        docs += make_pair(number, source, target, links, ents=[3])
    # seen once
    docs += make_pair(3, ["a", "river"], ["ein", "Fluss"], [(0, 0), (1, 1)])
    # two tokens for a word, joined if nothing stands between them
    for number in (4, 5):
        links = [(1, 1), (1, 2), (2, 3), (2, 5)]
        docs += make_pair(number, ["a", "school", "is"], [*"一学校是不在"], links, "zh")
    # one token for two words
    for number in (6, 7):
        docs += make_pair(number, [".", "high", "tide"], [".", "Flut"], [(1, 1), (2, 1)])
    write_docs(tmp_path / "views.spacy", docs)
    return tmp_path / "views.spacy"


def test_learns_what_is_sure(views):
    rows = [(row.word, row.text, row.weight) for row in learn_rows(views, "en", "de")]
    assert rows == [("house", "Haus", 3.0), ("in", "in", 3.0)]
    assert [(row.word, row.text) for row in learn_rows(views, "en", "zh")] == [("school", "学校")]
    assert not list(learn_rows(views, "en", "fr"))


def test_lexicon_of_views(views, tmp_path):
    out = tmp_path / "de.tsv"
    arguments = ["lexicon", str(out), "--from", "en", "--to", "de", "--views", str(views)]
    shown = CliRunner().invoke(cli.app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "2 words" in shown.output
    assert "house\t\tHaus" in out.read_text(encoding="utf8")
    # a dictionary counts more
    table = tmp_path / "table.tsv"
    table.write_text("house\tHeim\n", encoding="utf8")
    lexicon = make_lexicon(out, "en", "de", tables=[table], views=[views])
    assert [one.text for one in lexicon.find("house").translations] == ["Heim", "Haus"]
    with pytest.raises(CrossnerError, match="CN459"):
        make_lexicon(out, "en", "fr", views=[views])


def test_several_languages(views, tmp_path):
    arguments = ["lexicon", "--from", "en", "--to", "de,zh", "--views", str(views)]
    shown = CliRunner().invoke(cli.app, [*arguments, str(tmp_path / "one.tsv")])
    assert shown.exit_code == 1
    assert "CN466" in shown.output
    same = ["lexicon", "--from", "en", "--to", "en", "--views", str(views)]
    shown = CliRunner().invoke(cli.app, [*same, str(tmp_path / "one.tsv")])
    assert (shown.exit_code, "CN402" in shown.output) == (1, True)
    folder = tmp_path / "lexicons"
    folder.mkdir()
    shown = CliRunner().invoke(cli.app, [*arguments, str(folder / "{lang}.tsv")])
    assert shown.exit_code == 0, shown.output
    expected = {"de": folder / "de.tsv", "zh": folder / "zh.tsv"}
    assert parse_lexicons([str(folder)]) == expected
    assert all(path.exists() for path in expected.values())
