"""Selection: what is sure, balanced, and close to the source."""

import json
from collections import Counter
from pathlib import Path

import pytest
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.shards import find_shards, read_docs, write_docs
from spacy_crossner.data.view import View, get_group, set_view
from spacy_crossner.distil.annotator import JUDGEMENT
from spacy_crossner.distil.select import (
    Distribution,
    Kept,
    _weigh,
    compare,
    list_kept,
    measure,
    select,
)
from spacy_crossner.errors import CrossnerError

VOCAB = Vocab()


def make_doc(
    group: str, tags: list[str], lang: str = "de", certainty: float = 1.0, agreement: float = 1.0
) -> Doc:
    doc = Doc(VOCAB, words=[f"w{i}" for i in range(len(tags))], ents=tags)
    set_view(doc, View(group, "target", lang, labelled=False))
    doc.user_data[JUDGEMENT] = {"certainty": certainty, "agreement": agreement}
    return doc


def make_corpus(path: Path, docs: list[Doc], shard_size: int = 7) -> Path:
    write_docs(path, docs, shard_size)
    return path


def read_names(path: Path) -> list[str]:
    return [get_group(doc) for shard in find_shards(path) for doc in read_docs(shard, Vocab())]


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Twenty German docs with places, ten with persons, five without; four Chinese ones."""
    docs = [make_doc(f"loc{i}", ["B-LOC", "O"], certainty=i / 20) for i in range(20)]
    docs += [make_doc(f"per{i}", ["B-PER", "O"], agreement=i / 10) for i in range(10)]
    docs += [make_doc(f"none{i}", ["O", "O"]) for i in range(5)]
    docs += [make_doc(f"zh{i}", ["B-LOC"], lang="zh") for i in range(4)]
    return make_corpus(tmp_path / "annotated", docs)


def test_without_settings_all_is_kept(corpus, tmp_path):
    report = select(corpus, tmp_path / "out")
    assert read_names(tmp_path / "out") == read_names(corpus)
    assert report["de"] == Kept(docs=35, kept=35, tokens=70, labels=Counter(LOC=20, PER=10))
    assert report["zh"].kept == 4
    (doc, *_) = read_docs(find_shards(tmp_path / "out")[0], Vocab())
    assert doc.user_data[JUDGEMENT] == {"certainty": 0.0, "agreement": 1.0}


def test_filters(corpus, tmp_path):
    report = select(corpus, tmp_path / "out.spacy", min_certainty=0.5, min_agreement=0.75)
    names = read_names(tmp_path / "out.spacy")
    assert [name for name in names if name[:3] in ("loc", "per")] == [
        *(f"loc{i}" for i in range(10, 20)),
        *(f"per{i}" for i in (8, 9)),
    ]
    assert (report["de"].unsure, report["de"].disputed, report["de"].kept) == (10, 8, 17)


def test_limits_are_the_least_that_is_kept(tmp_path):
    """Also those that half as exact a number can't tell from something less."""
    docs = [make_doc(f"d{i}", ["B-LOC"], certainty=i / 20, agreement=i / 20) for i in range(21)]
    corpus = make_corpus(tmp_path / "annotated", docs)
    for i in range(21):
        report = select(corpus, tmp_path / f"{i}.spacy", min_certainty=i / 20, min_agreement=i / 20)
        assert report["de"].kept == 21 - i


def test_the_most_certain_of_each_language_and_label(tmp_path):
    docs = [make_doc(f"loc{i}", ["B-LOC"], certainty=0.5 + i / 20) for i in range(4)]
    docs += [make_doc(f"per{i}", ["B-PER", "B-PER"], certainty=i / 20) for i in range(3)]
    docs += [make_doc(f"none{i}", ["O"], certainty=0.9) for i in range(40)]
    docs += [make_doc("both", ["B-PER", "B-LOC"], certainty=0.4)]
    docs += [make_doc("zh", ["B-LOC"], lang="zh", certainty=0.1)]
    corpus = make_corpus(tmp_path / "annotated", docs)
    report = select(corpus, tmp_path / "out.spacy", share=0.5)
    names = read_names(tmp_path / "out.spacy")
    # "both" is the first of the persons, and the last of the places
    assert [name for name in names if "none" not in name] == ["loc1", "loc2", "loc3", "per2", "zh"]
    assert (report["de"].behind, report["de"].kept, report["zh"].kept) == (24, 24, 1)
    # chance decides between the docs without names
    assert names != read_names(corpus)[: len(names)]
    select(corpus, tmp_path / "again.spacy", share=0.5)
    assert read_names(tmp_path / "again.spacy") == names
    select(corpus, tmp_path / "other.spacy", share=0.5, seed=1)
    assert read_names(tmp_path / "other.spacy") != names


def test_languages_are_balanced(corpus, tmp_path):
    report = select(corpus, tmp_path / "out.spacy", per_language=6)
    assert (report["de"].kept, report["de"].spare, report["zh"].kept) == (6, 29, 4)
    names = read_names(tmp_path / "out.spacy")
    # in the order of the corpus
    assert names == [name for name in read_names(corpus) if name in names]
    select(corpus, tmp_path / "again.spacy", per_language=6)
    assert read_names(tmp_path / "again.spacy") == names
    select(corpus, tmp_path / "other.spacy", per_language=6, seed=1)
    assert read_names(tmp_path / "other.spacy") != names


def test_labels_are_balanced(tmp_path):
    docs = [make_doc(f"a{i}", ["B-LOC"]) for i in range(900)]
    docs += [make_doc(f"b{i}", ["B-PER"]) for i in range(300)]
    path = make_corpus(tmp_path / "annotated", docs, 500)
    source = make_corpus(tmp_path / "source.spacy", [make_doc("s", ["B-LOC", "B-PER", "B-PER"])], 0)
    plain = select(path, tmp_path / "plain.spacy", per_language=200)["de"].labels
    even = select(path, tmp_path / "even.spacy", per_language=200, balance=True)["de"].labels
    like = select(path, tmp_path / "like.spacy", per_language=200, balance=True, source=source)[
        "de"
    ].labels
    assert plain["PER"] < 70
    assert 80 < even["PER"] < 120
    assert like["PER"] > even["PER"]


def test_weights_of_labels():
    docs = [["LOC"], ["LOC"], ["LOC"], ["PER"], [], ["LOC", "PER"]]
    # of six entities, four are places, and three should be
    assert _weigh(docs, None) == pytest.approx([0.75, 0.75, 0.75, 1.5, 1.0, 1.125])
    weights = _weigh(docs, Distribution(Counter(LOC=1), 10))
    assert weights[0] == pytest.approx(6 / 4)
    assert 0 < weights[3] < 0.01
    assert weights[4] == 1.0


def test_drift_from_the_source(corpus, tmp_path):
    source = make_corpus(
        tmp_path / "source.spacy", [make_doc("s", ["B-LOC", "B-LOC", "B-PER", "O", "O", "O"])], 0
    )
    report = select(corpus, tmp_path / "out.spacy", source=source)
    # 20 places and 10 persons of 70 tokens; only places
    assert (report["de"].drift, report["de"].rate) == (0.0, pytest.approx(30 / 70 / 0.5, abs=1e-3))
    assert (report["zh"].drift, report["zh"].rate) == (pytest.approx(1 / 3, abs=1e-3), 2.0)
    assert not report["de"].drifts
    assert report["zh"].drifts
    header, rows = list_kept(report)
    assert header[-2:] == ("drift", "entity rate")
    assert rows[1][-2:] == ("0.33", "2.00")


def test_measures():
    doc = make_doc("g", ["B-LOC", "O", "O"])
    doc.set_ents(list(doc.ents), missing=[doc[1:2]])
    assert measure([doc]) == Distribution(Counter(LOC=1), 2)
    assert measure([]).rate == 0.0
    assert compare(Distribution(Counter(), 5), Distribution(Counter(LOC=1), 5)) == 1.0
    assert Kept(drift=0.0, rate=0.4).drifts
    assert not Kept().drifts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_certainty": 1.5}, r"CN112.*min_certainty is 1.5"),
        ({"min_agreement": -0.1}, r"CN112.*min_agreement"),
        ({"per_language": -1}, r"CN273.*per_language"),
        ({"balance": True}, r"CN521.*--per-language"),
        ({"min_certainty": 1.0, "min_agreement": 1.0}, r"CN523.*None of the 4 docs"),
    ],
)
def test_settings_are_checked(tmp_path, settings, message):
    docs = [make_doc(f"g{i}", ["O"], certainty=0.9) for i in range(4)]
    path = make_corpus(tmp_path / "in", docs)
    with pytest.raises(CrossnerError, match=message):
        select(path, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_inputs_are_checked(corpus, tmp_path):
    with pytest.raises(CrossnerError, match=r"CN202"):
        select(tmp_path / "no", tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN213"):
        select(corpus, corpus)
    with pytest.raises(CrossnerError, match=r"CN213.*lie inside"):
        select(corpus, corpus / "chosen")
    doc = make_doc("s", ["O"])
    plain = make_corpus(tmp_path / "plain.spacy", [doc], 0)
    with pytest.raises(CrossnerError, match=r"CN522.*plain.spacy"):
        select(corpus, tmp_path / "out", source=plain)
    del doc.user_data[JUDGEMENT]
    write_docs(plain, [doc])
    with pytest.raises(CrossnerError, match=r"CN520.*plain.spacy.*annotate"):
        select(plain, tmp_path / "out")


def test_command(corpus, tmp_path):
    source = make_corpus(tmp_path / "source.spacy", [make_doc("s", ["B-PER", "O"])], 0)
    args = ["select", str(corpus), str(tmp_path / "out.spacy"), "--source", str(source)]
    result = CliRunner().invoke(app, [*args, "--report", str(tmp_path / "report.json")])
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "Label shift in zh: 100% of its entities would need another label" in output
    assert "39 texts" in output
    report = srsly.read_json(tmp_path / "report.json")
    assert report["zh"]["drifts"]
    assert report["de"]["labels"] == {"LOC": 20, "PER": 10}
    assert json.loads((tmp_path / "report.json").read_text())["de"]["kept"] == 35
    shard = find_shards(corpus)[0]
    before = shard.read_bytes()
    result = CliRunner().invoke(app, [*args, "--report", str(shard)])
    assert (result.exit_code, "CN213" in result.output) == (1, True)
    assert shard.read_bytes() == before
    result = CliRunner().invoke(app, [*args[:2], str(tmp_path / "out.spacy"), "--balance"])
    assert result.exit_code == 1
    assert "CN521" in result.output
