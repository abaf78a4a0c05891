"""What is read from a file is what stands in it: tokens, spacing, labels, and back again."""

import json
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.convert import (
    Report,
    convert,
    describe,
    find_inputs,
    name_groups,
    parse_label_map,
)
from spacy_crossner.data.formats.base import Place, Source
from spacy_crossner.data.formats.columns import (
    decode_tags,
    format_iob2,
    guess_layout,
    is_comment,
    parse_columns,
)
from spacy_crossner.data.formats.conllu import parse_conllu
from spacy_crossner.data.formats.jsonl import format_record, parse_record
from spacy_crossner.data.inspect import inspect
from spacy_crossner.data.languages import get_tokenizer
from spacy_crossner.data.sentences import Problem, Sentence, locate_tokens, split_spaces
from spacy_crossner.data.shards import find_shards, read_docs, write_docs
from spacy_crossner.data.view import SoftTargets, View, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.schemes.bio import class_names

UNER = """\
# newdoc id = d1
# sent_id = d1-1
# text = Angela Ruiz (Oxford) doesn't  sleep.
1\tAngela\tB-PER\t-\tann
2\tRuiz\tI-PER\t-\tann
3\t(\tO\t-\t-
4\tOxford\tB-LOC\tB-OTH\t-
5\t)\tO\t-\t-
6\tdoes\tO\t-\t-
7\tn't\tB-O\t-\t-
8\tsleep\tI-O\t-\t-
9\t.\tO\t-\t-

# sent_id = d1-2
# text = Nobody came
1\tNobody\tO\t-\t-
2\tcame\tO\t-\t-
"""

OPTIONAL_DATA = Path(__file__).parent.parent / "assets" / "optional" / "uner"


def convert_text(tmp_path: Path, text: str, name: str = "in.iob2", **settings) -> list[Doc]:
    (tmp_path / name).write_bytes(text.encode("utf8"))
    convert([tmp_path / name], tmp_path / "out.spacy", **settings)
    return list(read_docs(tmp_path / "out.spacy", Vocab()))


def list_ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def words_of(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def test_uner_has_real_spacing_and_its_own_tag_column(tmp_path):
    first, second = convert_text(tmp_path, UNER, lang="en")
    assert first.text == "Angela Ruiz (Oxford) doesn't  sleep."
    assert words_of(first)[:7] == ["Angela", "Ruiz", "(", "Oxford", ")", "does", "n't"]
    assert list_ents(first) == [("Angela Ruiz", "PER"), ("Oxford", "LOC")]
    assert second.text == "Nobody came"
    assert get_view(first) == View("in-1", "source", "en")
    assert get_view(second) == View("in-2", "source", "en")


def test_sentences_without_entities_are_annotated(tmp_path):
    _, second = convert_text(tmp_path, UNER)
    assert [token.ent_iob_ for token in second] == ["O", "O"]


@pytest.mark.parametrize(
    "text",
    [
        "Angela\tB-PER\nRuiz\tI-PER\nslept\tO\n\n-DOCSTART-\tO\n\nIn\tO\nOxford\tB-LOC\n",
        "Angela B-PER\nRuiz I-PER\nslept O\n\nIn O\nOxford B-LOC\n",
        "-DOCSTART- -X- -X- O\n\nAngela NNP B-NP B-PER\nRuiz NNP I-NP I-PER\nslept VB B-VP O\n\n"
        "In IN B-PP O\nOxford NNP B-NP B-LOC\n",
        "0\tAngela\tB-PER\n1\tRuiz\tI-PER\n2\tslept\tO\n\n0\tIn\tO\n1\tOxford\tB-LOC\n",
        "1 Angela B-PER\n2 Ruiz I-PER\n3 slept O\n\n1 In O\n2 Oxford B-LOC\n",
        "Angela\tB-PER\nRuiz\tE-PER\nslept\tO\n\nIn\tO\nOxford\tS-LOC\n",
        "Angela\tB-PER\nRuiz\tL-PER\nslept\tO\n\nIn\tO\nOxford\tU-LOC\n",
        "Angela\tI-PER\nRuiz\tI-PER\nslept\tO\n\nIn\tO\nOxford\tI-LOC\n",
        "\ufeffAngela\tB-PER\r\nRuiz\tI-PER\r\nslept\tO\r\n\r\nIn\tO\r\nOxford\tB-LOC\r\n",
        "# a comment\nAngela\tB-PER\nRuiz\tI-PER\nslept\tO\n \t\n\n# text = In Oxford\nIn\tO\n"
        "Oxford\tB-LOC",
    ],
    ids=[
        "tabs",
        "blanks",
        "conll03",
        "wikiann",
        "indexed",
        "bioes",
        "bilou",
        "iob",
        "bom_crlf",
        "comments",
    ],
)
def test_every_kind_of_columns_reads_the_same(tmp_path, text):
    format = "iob" if text.startswith("Angela\tI") else "auto"
    docs = convert_text(tmp_path, text, "in.conll", strict=True, format=format)
    assert [words_of(doc) for doc in docs] == [["Angela", "Ruiz", "slept"], ["In", "Oxford"]]
    assert [list_ents(doc) for doc in docs] == [[("Angela Ruiz", "PER")], [("Oxford", "LOC")]]


def test_number_sign_can_be_a_token():
    assert is_comment("# text = We are O")
    assert is_comment("# newdoc")
    assert is_comment("#")
    assert not is_comment("#\tO")
    assert not is_comment("#q=Berlin\tB-LOC")
    assert not is_comment("#q=Berlin NN O")
    assert is_comment("#id=7")
    assert is_comment("#text=All of us are group O")
    assert not is_comment("# NN B-NP O")
    lines = ["#\tO", "Oxford\tB-LOC"]
    (parsed,) = parse_columns(lines, "x", guess_layout(lines, "x"))
    assert parsed.sentence is not None
    assert parsed.sentence.words == ("#", "Oxford")


@pytest.mark.parametrize(
    ("tags", "scheme", "spans", "stray", "unfinished"),
    [
        ("B-X I-X B-X O I-X", "iob2", [(0, 2), (2, 3), (4, 5)], [4], []),
        ("I-X I-X B-X O I-X", "iob", [(0, 2), (2, 3), (4, 5)], [], []),
        ("B-X I-X E-X S-X O B-X E-X", "bioes", [(0, 3), (3, 4), (5, 7)], [], []),
        ("B-X I-X O B-X B-X E-X", "bioes", [(0, 2), (3, 4), (4, 6)], [], [1, 3]),
        ("B-X M-X E-X", "bioes", [(0, 3)], [], []),
    ],
)
def test_decode_tags(tags, scheme, spans, stray, unfinished):
    expected = [(start, end, "X") for start, end in spans]
    assert decode_tags(tags.split(), scheme) == (expected, stray, unfinished)


def test_iob_is_recognised_by_many_entities_that_open_with_i(tmp_path):
    docs = convert_text(tmp_path, "a\tO\nb\tI-X\n\n" * 30, strict=True)
    assert [list_ents(doc) for doc in docs] == [[("b", "X")]] * 30


def test_a_stray_tag_is_mended_and_counted(tmp_path):
    (tmp_path / "in.iob2").write_text("a\tB-X\nb\tI-X\nc\tI-Y\nd\tO\n\ne\tB-X\n")
    report = convert([tmp_path / "in.iob2"], tmp_path / "out.spacy")
    assert (report.docs, report.skipped, report.entities) == (2, 0, {"X": 2, "Y": 1})
    path = str(tmp_path / "in.iob2")
    assert list(report.problems) == [(path, "CN225")]


def test_conllu_keeps_surface_tokens_and_has_no_labels(tmp_path):
    columns = "\t_\t_\t_\t_\t_\t_\t_\t"
    rows = [
        "# text = Ela saiu da Sé.",
        f"1\tEla{columns}_",
        f"2\tsaiu{columns}_",
        f"2.1\tvista{columns}_",
        f"3-4\tda{columns}_",
        f"3\tde{columns}_",
        f"4\ta{columns}_",
        f"5\tSé{columns}SpaceAfter=No",
        f"6\t.{columns}_",
    ]
    (doc,) = convert_text(tmp_path, "\n".join(rows), "in.conllu", lang="pt")
    assert words_of(doc) == ["Ela", "saiu", "da", "Sé", "."]
    assert doc.text == "Ela saiu da Sé."
    assert not doc.has_annotation("ENT_IOB")
    assert get_view(doc) == View("in-1", "target", "pt", labelled=False)
    # without the comment, SpaceAfter tells the same
    (parsed,) = parse_conllu(rows[1:], "x")
    assert parsed.sentence is not None
    assert parsed.sentence.text == doc.text


def test_jsonl_with_and_without_tokens(tmp_path):
    text = "Ruiz left Oxford-based Acme"
    spans = [{"start": 0, "end": 4, "label": "PER"}, {"start": 10, "end": 16, "label": "LOC"}]
    tokens = [{"text": word} for word in ["Ruiz", "left", "Oxford", "-", "based", "Acme"]]
    lines = [
        json.dumps({"text": text, "spans": spans, "tokens": tokens}),
        json.dumps({"text": text, "spans": []}),
        json.dumps({"text": text}),
    ]
    first, second, third = convert_text(tmp_path, "\n".join(lines), "in.jsonl", lang="en")
    assert list_ents(first) == [("Ruiz", "PER"), ("Oxford", "LOC")]
    assert words_of(first) == ["Ruiz", "left", "Oxford", "-", "based", "Acme"]
    assert first.text == second.text == third.text == text
    assert {token.ent_iob_ for token in second} == {"O"}
    assert not third.has_annotation("ENT_IOB")
    assert [get_view(doc).kind for doc in (first, second, third)] == ["source", "source", "target"]


def test_plain_text(tmp_path):
    docs = convert_text(tmp_path, "Hello there.\n\n Bye. \n", "in.txt", format="text", lang="en")
    assert [words_of(doc) for doc in docs] == [["Hello", "there", "."], ["Bye", "."]]
    assert not any(get_view(doc).labelled for doc in docs)


@pytest.mark.parametrize(("lang", "text"), [("zh", "北京大学"), ("xx", "北京 大学 ")])
def test_spacing_by_default(tmp_path, lang, text):
    (doc,) = convert_text(tmp_path, "北京\tB-ORG\n大学\tI-ORG\n", lang=lang)
    assert doc.text == text
    assert list_ents(doc) == [(text.strip(), "ORG")]


def test_label_map_and_drop_list(tmp_path):
    text = "a\tB-PER\nb\tB-OTH\nc\tI-OTH\nd\tB-LOC\n"
    settings = {"label_map": {"PER": "PERSON"}, "drop_labels": ["OTH"]}
    (doc,) = convert_text(tmp_path, text, **settings)
    assert list_ents(doc) == [("a", "PERSON"), ("d", "LOC")]
    assert doc[1].ent_iob_ == "O"
    # and the same from a .spacy file, whatever else the doc holds
    doc = Doc(Vocab(), words=list("abcd"), ents=["B-PER", "B-OTH", "I-OTH", "B-LOC"])
    doc.user_data["note"] = "kept"
    set_view(doc, View("g", "translation", "de", weight=0.5))
    write_docs(tmp_path / "in.spacy", [doc])
    convert([tmp_path / "in.spacy"], tmp_path / "out.spacy", lang="xx", **settings)
    (doc,) = read_docs(tmp_path / "out.spacy", Vocab())
    assert list_ents(doc) == [("a", "PERSON"), ("d", "LOC")]
    assert doc[1].ent_iob_ == "O"
    assert doc.user_data["note"] == "kept"
    assert get_view(doc) == View("g", "translation", "de", weight=0.5)


def make_nested(path: Path) -> Path:
    """A doc with flat and nested entities, one with nested ones only, and one without."""
    vocab = Vocab()
    docs = [Doc(vocab, words="the Bank of Spain in Madrid".split()) for _ in range(3)]
    docs[0].set_ents([Span(docs[0], 1, 4, label="ORG")])
    docs[2].set_ents([])
    for doc in docs[:2]:
        doc.spans["sc"] = [Span(doc, 1, 4, label="ORG"), Span(doc, 3, 4, label="LOC")]
        doc.spans["sc"].attrs["discontinuous"] = [[[1, 5], "ORG"], [[0, 5], "LOC"]]
        doc.spans["found"] = [Span(doc, 5, 6, label="LOC")]
        doc.spans["found"].attrs["scores"] = [0.5]
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def test_nested_entities_are_relabelled(tmp_path):
    source = make_nested(tmp_path / "in.spacy")
    out = tmp_path / "out.spacy"
    report = convert([source], out, label_map={"ORG": "COMPANY"}, drop_labels=["LOC"])
    docs = list(read_docs(out, Vocab()))
    assert [get_view(doc).labelled for doc in docs] == [True, True, True]
    for doc in docs[:2]:
        group = doc.spans["sc"]
        assert [(span.text, span.label_) for span in group] == [("Bank of Spain", "COMPANY")]
        assert [list(torn) for torn in group.attrs["discontinuous"]] == [[[1, 5], "COMPANY"]]
        # no labels, but what a pipeline has found
        assert [span.label_ for span in doc.spans["found"]] == ["LOC"]
    assert [ent.label_ for ent in docs[0].ents] == ["COMPANY"]
    # of the second doc, whose ents say nothing, the spans count
    assert report.entities == {"COMPANY": 2}
    assert not report.problems
    (only_nested,) = list(read_docs(out, Vocab()))[1:2]
    assert not only_nested.has_annotation("ENT_IOB")
    (row,) = inspect([out]).rows.values()
    assert (row.labelled, row.unannotated, row.masked) == (3, 0, 0)


@pytest.mark.parametrize(
    ("to", "lost"), [("iob2", 3), ("csv", 3), ("doccano", 2), ("label-studio", 2), ("gliner", 2)]
)
def test_what_a_format_cannot_hold_is_reported(tmp_path, to, lost):
    source = make_nested(tmp_path / "in.spacy")
    convert([source], tmp_path / "one.spacy", limit=1)
    report = convert([tmp_path / "one.spacy"], tmp_path / "out.txt", to=to)
    ((_, code), (count, messages)) = next(iter(report.problems.items()))
    assert (code, count) == ("CN268", 1)
    assert f"{lost} left out" in messages[0]
    assert f"the format {to}" in messages[0]
    assert report.docs == 1
    with pytest.raises(CrossnerError, match="CN268"):
        convert([source], tmp_path / "out.txt", to=to, strict=True)


@pytest.mark.parametrize("to", ["jsonl", "prodigy", "brat", "spacy"])
def test_nested_and_discontinuous_entities_come_back(tmp_path, to):
    source = make_nested(tmp_path / "in.spacy")
    convert([source], tmp_path / "one.spacy", limit=1)
    out = tmp_path / {"brat": "out", "spacy": "out.spacy"}.get(to, "out.jsonl")
    convert([tmp_path / "one.spacy"], out, to=to, strict=True)
    convert([out], tmp_path / "back.spacy", tokenizer="text", strict=True)
    for path in (tmp_path / "one.spacy", tmp_path / "back.spacy"):
        (doc,) = read_docs(path, Vocab())
        assert list_ents(doc) == [("Bank of Spain", "ORG")]
        group = doc.spans["sc"]
        assert {(span.text, span.label_) for span in group} == {
            ("Bank of Spain", "ORG"),
            ("Spain", "LOC"),
        }
        torn = sorted([list(tokens), label] for tokens, label in group.attrs["discontinuous"])
        assert torn == [[[0, 5], "LOC"], [[1, 5], "ORG"]]


def test_label_map_is_parsed():
    assert parse_label_map("PER=PERSON, LOC = GPE") == {"PER": "PERSON", "LOC": "GPE"}
    assert parse_label_map("") == {}


@pytest.mark.parametrize("name", ["in.iob2", "in.spacy"])
def test_unlabelled_strips_all_labels(tmp_path, name):
    if name == "in.spacy":
        doc = Doc(Vocab(), words=["Angela", "slept"], ents=["B-PER", "O"])
        doc.spans["gold"] = [doc[0:1]]
        write_docs(tmp_path / name, [doc])
    else:
        (tmp_path / name).write_text("Angela\tB-PER\nslept\tO\n")
    report = convert([tmp_path / name], tmp_path / "out.spacy", lang="de", unlabelled=True)
    assert not report.entities
    (doc,) = read_docs(tmp_path / "out.spacy", Vocab())
    assert not doc.has_annotation("ENT_IOB")
    assert not doc.spans
    assert get_view(doc) == View("in-1", "target", "de", labelled=False)


def make_taught(path, scheme="bio"):
    names = ("NNW", "THW-LOC", "THW-PER") if scheme == "relations" else class_names(("LOC", "PER"))
    doc = Doc(Vocab(), words=["Angela", "slept"], ents=["B-PER", "O"])
    probs = numpy.arange(len(names), dtype="float16").reshape(1, -1)
    index = numpy.zeros((1, 2) if scheme == "relations" else (1,), dtype="int32")
    soft = SoftTargets(scheme, names, index, probs)
    set_view(doc, View("a", "target", soft=soft))
    write_docs(path, [doc])
    return path


def test_soft_targets_have_the_labels_of_their_doc(tmp_path):
    source, out = make_taught(tmp_path / "in.spacy"), tmp_path / "out.spacy"
    for label_map, labels, order in (
        ({}, ("LOC", "PER"), [0, 1, 2, 3, 4]),
        ({"LOC": "GPE"}, ("GPE", "PER"), [0, 1, 2, 3, 4]),
        ({"PER": "HUMAN"}, ("HUMAN", "LOC"), [0, 3, 4, 1, 2]),
        ({"PER": "LOC", "LOC": "PER"}, ("LOC", "PER"), [0, 3, 4, 1, 2]),
    ):
        convert([source], out, label_map=label_map)
        (doc,) = read_docs(out, Vocab())
        soft = get_view(doc).soft
        # a student has its labels sorted
        assert soft.classes == class_names(labels)
        assert soft.probs.tolist() == [order]
        assert doc.ents[0].label_ == label_map.get("PER", "PER")
    pairs = make_taught(tmp_path / "pairs.spacy", "relations")
    convert([pairs], out, label_map={"PER": "HUMAN"})
    (doc,) = read_docs(out, Vocab())
    assert get_view(doc).soft.classes == ("NNW", "THW-HUMAN", "THW-LOC")
    assert get_view(doc).soft.probs.tolist() == [[0, 2, 1]]
    # the BIO classes beside them, too
    (taught,) = read_docs(pairs, Vocab())
    view = get_view(taught)
    view.soft.bio = get_view(next(read_docs(source, Vocab()))).soft
    set_view(taught, view)
    write_docs(pairs, [taught])
    convert([pairs], out, label_map={"PER": "HUMAN"})
    (doc,) = read_docs(out, Vocab())
    assert get_view(doc).soft.classes == ("NNW", "THW-HUMAN", "THW-LOC")
    assert get_view(doc).soft.bio.classes == class_names(("HUMAN", "LOC"))
    assert get_view(doc).soft.bio.probs.tolist() == [[0, 3, 4, 1, 2]]
    convert([source], out, unlabelled=True)
    (doc,) = read_docs(out, Vocab())
    assert get_view(doc).soft is None
    for changes in ({"drop_labels": ["LOC"]}, {"label_map": {"PER": "LOC"}}):
        with pytest.raises(CrossnerError, match=r"CN269.*'Angela slept '.*LOC, PER.*--unlabelled"):
            convert([source], out, **changes)


@pytest.mark.parametrize("lang", ["zh", "ja", "th", "ko", "my", "vi"])
def test_text_is_cut_as_everywhere_else(tmp_path, lang):
    text = "李明买了iPhone 15。"
    (tmp_path / "in.txt").write_text(text + "\n", encoding="utf8")
    convert([tmp_path / "in.txt"], tmp_path / "out.spacy", lang=lang, format="text", strict=True)
    (doc,) = read_docs(tmp_path / "out.spacy", Vocab())
    assert [token.text for token in doc] == [token.text for token in get_tokenizer(lang)(text)]
    assert "iPhone" in [token.text for token in doc]


def test_spacy_without_user_data_gets_views(tmp_path):
    docs = [Doc(Vocab(), words=["a"], ents=["B-X"]), Doc(Vocab(), words=["b"])]
    DocBin(docs=docs).to_disk(tmp_path / "in.spacy")
    convert([tmp_path / "in.spacy"], tmp_path / "out.spacy", strict=True)
    views = [get_view(doc) for doc in read_docs(tmp_path / "out.spacy", Vocab())]
    assert views == [View("in-1"), View("in-2", "target", labelled=False)]


def test_an_existing_view_is_kept_even_without_annotation(tmp_path):
    doc = Doc(Vocab(), words=["a"])
    set_view(doc, View("g", "translation", "de"))
    write_docs(tmp_path / "in.spacy", [doc])
    convert([tmp_path / "in.spacy"], tmp_path / "out.spacy")
    (doc,) = read_docs(tmp_path / "out.spacy", Vocab())
    assert get_view(doc) == View("g", "translation", "de")


CUT = {"text": "The U.S. and Bonn", "spans": [{"start": 4, "end": 7, "label": "LOC"}]}
CUT["spans"].append({"start": 13, "end": 17, "label": "LOC"})


def test_entities_that_cut_a_token_are_masked_and_counted(tmp_path):
    (doc,) = convert_text(tmp_path, json.dumps(CUT), "in.jsonl", lang="en", tokenizer="text")
    assert words_of(doc) == ["The", "U.S.", "and", "Bonn"]
    assert [token.ent_iob_ for token in doc] == ["O", "", "O", "B"]
    report = convert([tmp_path / "in.jsonl"], tmp_path / "out.spacy", lang="en", tokenizer="text")
    assert describe(report)[1] == "  CN260: 1"
    assert report.skipped == 0


def test_entities_that_cut_a_token_can_cost_the_sentence(tmp_path):
    lines = json.dumps(CUT) + '\n{"text": "Bonn", "spans": []}'
    (tmp_path / "in.jsonl").write_text(lines)
    settings = {"lang": "en", "tokenizer": "text", "misaligned": "skip"}
    report = convert([tmp_path / "in.jsonl"], tmp_path / "out.spacy", **settings)
    assert (report.docs, report.skipped) == (1, 1)


def test_text_is_tokenized_anew(tmp_path):
    (doc, _) = convert_text(tmp_path, UNER, lang="en", tokenizer="text")
    assert words_of(doc)[-4:] == ["n't", " ", "sleep", "."]
    assert list_ents(doc) == [("Angela Ruiz", "PER"), ("Oxford", "LOC")]
    # of a .spacy file as well
    convert(
        [tmp_path / "out.spacy"], tmp_path / "again.spacy", lang="en", tokenizer="text", strict=True
    )
    again, _ = read_docs(tmp_path / "again.spacy", Vocab())
    assert list_ents(again) == list_ents(doc)


def test_limit_and_order_over_several_files(tmp_path):
    for name in ("b.iob2", "a.iob2"):
        (tmp_path / name).write_text(f"{name}\tO\n\n{name}\tO\n")
    convert([tmp_path], tmp_path / "out.spacy", limit=3)
    docs = list(read_docs(tmp_path / "out.spacy", Vocab()))
    assert [doc[0].text for doc in docs] == ["a.iob2", "a.iob2", "b.iob2"]


def test_groups_are_unique_over_files(tmp_path):
    paths = [tmp_path / "en" / "dev.iob2", tmp_path / "de" / "dev.iob2"]
    assert name_groups([Path("a.iob2"), Path("b.iob2")]) == ["a", "b"]
    assert name_groups([Path("a/x.iob2"), Path("b/x.iob2")]) == ["a/x", "b/x"]
    assert name_groups([Path("x.iob2"), Path("x.jsonl")]) == ["x.iob2", "x.jsonl"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("a\tO\n\nb\tO\n")
    convert([*paths, tmp_path / "en"], tmp_path / "out.spacy")
    groups = [get_view(doc).group for doc in read_docs(tmp_path / "out.spacy", Vocab())]
    assert len(set(groups)) == len(groups) == 4


def test_a_folder_is_searched_for_known_endings(tmp_path):
    for name in ("a.iob2", "sub/b.conll", "notes.md", ".hidden.iob2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\tO\n")
    found = [path.name for path in find_inputs([tmp_path])]
    assert found == ["a.iob2", "b.conll"]
    assert len(find_inputs([tmp_path], "text")) == 3


@pytest.mark.parametrize("settings", [{"shard_size": 2}, {}])
def test_shards(tmp_path, settings):
    (tmp_path / "in.iob2").write_text("a\tO\n\n" * 5)
    convert([tmp_path / "in.iob2"], tmp_path / "out", **settings)
    sizes = [len(list(read_docs(path, Vocab()))) for path in find_shards(tmp_path / "out")]
    assert sizes == ([2, 2, 1] if settings else [5])
    # what is written again replaces what was there
    convert([tmp_path / "in.iob2"], tmp_path / "out", shard_size=5)
    assert len(find_shards(tmp_path / "out")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.iob2", "out"]


def test_a_group_is_not_split_between_shards(tmp_path):
    docs = []
    for number in range(7):
        doc = Doc(Vocab(), words=["a"])
        set_view(doc, View(f"g{number // 3}"))
        docs.append(doc)
    write_docs(tmp_path / "out", docs, shard_size=2)
    shards = find_shards(tmp_path / "out")
    groups = [{get_view(doc).group for doc in read_docs(path, Vocab())} for path in shards]
    assert groups == [{"g0"}, {"g1"}, {"g2"}]


@pytest.mark.parametrize("out", ["out.spacy", "out.iob2", "out"])
def test_a_failed_conversion_leaves_the_old_output(tmp_path, out):
    (tmp_path / "good.iob2").write_text("a\tO\n")
    convert([tmp_path / "good.iob2"], tmp_path / out)
    before = {path: path.read_bytes() for path in (tmp_path).rglob("*") if path.is_file()}
    (tmp_path / "bad.iob2").write_bytes(b"a\tO\n" * 600 + b"\xe4\tO\n")
    before[tmp_path / "bad.iob2"] = (tmp_path / "bad.iob2").read_bytes()
    with pytest.raises(CrossnerError, match="CN205"):
        convert([tmp_path / "good.iob2", tmp_path / "bad.iob2"], tmp_path / out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_describe_shows_counts_and_the_first_places():
    report = Report()
    for line in range(5):
        report.add_problem(Problem(f"[CN222] a.iob2, line {line}: bad"), Path("a.iob2"))
    assert describe(report) == [
        "a.iob2",
        "  CN222: 5",
        *(f"    [CN222] a.iob2, line {line}: bad" for line in range(3)),
        "    ... and 2 more",
    ]


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Zs", "Zl", "Zp", "Cc", "Cs")),
    min_size=1,
    max_size=5,
).filter(lambda word: not word.isspace() and not any(char.isspace() for char in word))
GAPS = st.sampled_from(["", " ", "  ", "\u00a0", " \u3000"])


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    words = draw(st.lists(WORDS, min_size=1, max_size=8))
    text = draw(st.sampled_from(["", " ", "\u00a0"]))
    offsets = []
    for word in words:
        offsets.append(len(text))
        text += word + draw(GAPS)
    bounds = sorted(draw(st.sets(st.integers(0, len(words)), max_size=4)))
    spans = tuple(
        (
            offsets[start],
            offsets[end - 1] + len(words[end - 1]),
            draw(st.sampled_from(["X", "Y-Z"])),
        )
        for start, end in zip(bounds[::2], bounds[1::2], strict=False)
    )
    return Sentence(text, spans, tuple(words), tuple(offsets), line=1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sentences())
def test_iob2_comes_back_exactly(sentence):
    assert locate_tokens(sentence.words, sentence.text) == sentence.offsets
    lines = format_iob2(sentence).split("\n")
    (parsed,) = parse_columns(lines, "x", guess_layout(lines, "x", "iob2"))
    assert not parsed.problems
    back = parsed.sentence
    assert back is not None
    assert (back.text, back.words, back.spans) == (sentence.text, sentence.words, sentence.spans)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(sentences())
def test_jsonl_comes_back_exactly(sentence):
    place = Place("x", 1, Source(Path("x")))
    assert parse_record(format_record(sentence), place).sentence == sentence


@settings(max_examples=100, deadline=None, derandomize=True)
@given(sentences())
def test_a_doc_spells_out_the_text(sentence):
    words, spaces = split_spaces(sentence)
    doc = Doc(Vocab(), words=words, spaces=spaces)
    assert doc.text == sentence.text
    assert tuple(word for word in words if not word.isspace()) == sentence.words


@pytest.mark.parametrize("name", ["out.iob2", "out.conll", "out.jsonl"])
def test_files_come_back_through_docs(tmp_path, name):
    (tmp_path / "in.iob2").write_text(UNER, encoding="utf8")
    convert([tmp_path / "in.iob2"], tmp_path / "a.spacy")
    convert([tmp_path / "a.spacy"], tmp_path / name)
    convert([tmp_path / name], tmp_path / "b.spacy")
    first, second = (
        [(doc.text, words_of(doc), list_ents(doc)) for doc in read_docs(tmp_path / docbin, Vocab())]
        for docbin in ("a.spacy", "b.spacy")
    )
    assert first == second


def test_unknown_spacing_stays_unknown(tmp_path):
    (tmp_path / "in.conll").write_text("Bonn\tB-LOC\n,\tO\n")
    convert([tmp_path / "in.conll"], tmp_path / "a.spacy")
    convert([tmp_path / "a.spacy"], tmp_path / "out.conll")
    assert (tmp_path / "out.conll").read_text() == "1\tBonn\tB-LOC\n2\t,\tO\n\n"


def test_no_line_break_gets_into_columns(tmp_path):
    record = {"text": "In\nBonn\tand", "spans": [{"start": 3, "end": 7, "label": "LOC"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(record))
    convert([tmp_path / "in.jsonl"], tmp_path / "out.iob2", lang="en")
    (doc,) = convert_text(tmp_path, (tmp_path / "out.iob2").read_text())
    assert doc.text == "In Bonn and"
    assert list_ents(doc) == [("Bonn", "LOC")]


def test_command(tmp_path):
    (tmp_path / "in.iob2").write_text(UNER + "\nx\tO\n")
    result = CliRunner().invoke(
        app,
        ["convert", str(tmp_path / "in.iob2"), str(tmp_path / "out.spacy"), "--lang", "en"],
    )
    assert result.exit_code == 0, result.output
    assert "CN221: 1" in result.output
    assert "LOC 1, PER 1" in " ".join(result.output.split())
    result = CliRunner().invoke(
        app, ["convert", str(tmp_path / "in.iob2"), str(tmp_path / "out.spacy"), "--strict"]
    )
    assert result.exit_code == 1
    assert "CN221" in result.output


@pytest.mark.data
@pytest.mark.skipif(not OPTIONAL_DATA.is_dir(), reason=f"no data in {OPTIONAL_DATA}")
def test_universal_ner_comes_back_exactly(tmp_path):
    for name in ("hr_set", "zh_gsd"):
        path = OPTIONAL_DATA / f"{name}-ud-dev.iob2"
        convert([path], tmp_path / "a.spacy", lang=path.name[:2])
        convert([tmp_path / "a.spacy"], tmp_path / "out.iob2")
        before, after = (
            [
                line if line.startswith("# text") else line.split("\t")[1:3]
                for line in file.read_text(encoding="utf8").split("\n")
                if line.startswith("# text") or (line and not line.startswith("#"))
            ]
            for file in (path, tmp_path / "out.iob2")
        )
        different = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        # only the tags that break the scheme are mended
        assert all(old[0] == new[0] and old[1][0] == "I" for old, new in different)
        assert len(different) <= 1


# ---- what would be lost ---------------------------------------------------------------------


def test_spans_of_another_group_are_not_passed_over(tmp_path):
    doc = Doc(Vocab(), words=["Angela", "slept"])
    doc.spans["ner"] = [Span(doc, 0, 1, "PER")]
    write_docs(tmp_path / "a.spacy", [doc])
    (tmp_path / "a.json").write_text(json.dumps(doc.to_json()), encoding="utf8")
    for name in ("a.spacy", "a.json"):
        with pytest.raises(CrossnerError, match=r"CN935.*group 'ner'.*--unlabelled"):
            convert([tmp_path / name], tmp_path / "out.spacy")
        assert convert([tmp_path / name], tmp_path / "out.spacy", unlabelled=True).docs == 1


def test_a_forgotten_language_can_be_given_later(tmp_path):
    (tmp_path / "a.iob2").write_text("Rome\tB-LOC\n", encoding="utf8")
    convert([tmp_path / "a.iob2"], tmp_path / "a.spacy")
    convert([tmp_path / "a.spacy"], tmp_path / "b.spacy", lang="en")
    convert([tmp_path / "b.spacy"], tmp_path / "c.spacy", lang="de")
    for name, lang in (("a", "xx"), ("b", "en"), ("c", "en")):
        (doc,) = read_docs(tmp_path / f"{name}.spacy", Vocab())
        assert get_view(doc).lang == lang


def test_groups_of_two_corpora_are_not_mixed(tmp_path):
    for name in ("en", "de"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.iob2").write_text("Rome\tB-LOC\n", encoding="utf8")
        convert([tmp_path / name / "train.iob2"], tmp_path / f"{name}.spacy", lang=name)
    inputs = [tmp_path / "en.spacy", tmp_path / "de.spacy"]
    with pytest.raises(CrossnerError, match=r"CN659.*en\.spacy.*de\.spacy.*'train-1'"):
        convert(inputs, tmp_path / "both.spacy")


def test_no_label_is_renamed_to_none(tmp_path):
    (tmp_path / "a.iob2").write_text("Rome\tB-LOC\n", encoding="utf8")
    convert([tmp_path / "a.iob2"], tmp_path / "a.spacy")
    for name in ("a.iob2", "a.spacy"):
        with pytest.raises(CrossnerError, match=r"CN912.*--label-map.*'O'"):
            convert([tmp_path / name], tmp_path / "b.spacy", label_map={"LOC": "O"})


def test_whitespace_at_the_edges_of_names_is_left_out(tmp_path):
    doc = Doc(Vocab(), words=[" ", "New", "York", "\n"], spaces=[False, True, False, False])
    doc.ents = [Span(doc, 0, 4, "LOC")]
    set_view(doc, View("a", "source", "en"))
    write_docs(tmp_path / "a.spacy", [doc])
    convert([tmp_path / "a.spacy"], tmp_path / "a.json", to="gliner")
    (record,) = json.loads((tmp_path / "a.json").read_text(encoding="utf8"))
    assert (record["tokenized_text"], record["ner"]) == (["New", "York"], [[0, 1, "LOC"]])
