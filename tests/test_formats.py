"""Every format of annotation tools: exact entities in, the same ones out, damage reported."""

import json
from collections import Counter
from pathlib import Path
from time import process_time

import pytest
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.convert import convert, describe, find_inputs, read_sentences
from spacy_crossner.data.docs import make_sentence
from spacy_crossner.data.formats import FORMATS, Source, guess_format
from spacy_crossner.data.inspect import inspect, render
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError

FOLDER = Path(__file__).parent / "formats"
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

# File: its format, sentences, those of them that are labelled, flat entities, nested ones, skipped.
FIXTURES: dict[str, tuple[str, int, int, dict[str, int], int, int]] = {
    "prodigy.jsonl": ("prodigy", 2, 2, {"PER": 1, "LOC": 1, "ORG": 1}, 0, 2),
    "prodigy_spans.jsonl": ("prodigy", 2, 2, {"ORG": 1, "LOC": 1}, 2, 0),
    "doccano_label.jsonl": ("doccano", 3, 3, {"PER": 1, "LOC": 2, "ORG": 2}, 0, 0),
    "doccano_entities.jsonl": ("doccano", 2, 2, {"PER": 1, "ORG": 1}, 1, 0),
    "doccano_labels.jsonl": ("doccano", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "label_studio.json": ("label-studio", 3, 2, {"PER": 1, "ORG": 2, "LOC": 1}, 1, 1),
    "label_studio_annotators.json": ("label-studio", 1, 1, {"LOC": 1}, 0, 0),
    "label_studio_min.json": ("label-studio-min", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "label_studio.csv": ("label-studio-csv", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "label_studio.conll": ("columns", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "brat": ("brat", 3, 2, {"PER": 1, "LOC": 1, "ORG": 1, "SIGN": 1}, 2, 0),
    "brat_news": ("brat", 1, 1, {"ORG": 1}, 0, 0),
    "spacy_v2_pairs.json": ("spacy-json", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "spacy_annotator.json": ("spacy-json", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "spacy_v2.json": ("spacy-v2", 3, 2, {"PER": 1, "LOC": 1, "ORG": 1}, 0, 0),
    "spacy_v3.jsonl": ("spacy-json", 2, 2, {"ORG": 1, "LOC": 1}, 1, 0),
    "hf_tokens.jsonl": ("hf-json", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "hf_numbers.json": ("hf-json", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "gliner_training.json": ("gliner", 2, 2, {"person": 1, "organization": 1}, 1, 0),
    "gliner_output.jsonl": ("gliner-output", 2, 2, {"person": 1, "location": 1}, 0, 0),
    "long.csv": ("csv", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "long.tsv": ("csv", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "no_header.csv": ("csv", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "kaggle.csv": ("csv", 2, 2, {"per": 1, "geo": 1}, 0, 0),
    "array.json": ("jsonl", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "nested.jsonl": ("jsonl", 3, 2, {"PER": 1, "ORG": 1, "SIGN": 1}, 3, 0),
    "webanno.tsv": ("webanno", 2, 2, {"ORG": 2, "PER": 1}, 1, 0),
    "uner.iob2": ("columns", 1, 1, {"PER": 1}, 0, 0),
    "columns.bioes": ("columns", 2, 2, {"PER": 1, "LOC": 1}, 0, 0),
    "text.conllu": ("conllu", 1, 0, {}, 0, 0),
}
SURFACES = {"Anna Ruiz", "Lyon", "University of Oxford", "Oxford", "Acme", "Zürich", "Ruiz"} | {
    "the University of Oxford",
    "lower back pain",
    "Bank of\nSpain",
    "Ann_X",
}


def read(path: Path) -> list[Doc]:
    return list(read_docs(path, Vocab()))


def settings_of(name: str) -> dict[str, object]:
    return {"tag_names": TAGS} if name == "hf_numbers.json" else {}


WRITTEN_FROM = (
    "nested.jsonl",
    "brat",
    "label_studio.json",
    "label_studio.csv",
    "spacy_v2.json",
    "uner.iob2",
    "gliner_output.jsonl",
    "webanno.tsv",
    "text.conllu",
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    for name in WRITTEN_FROM:
        convert([FOLDER / name], folder / f"{name}.spacy", lang="en", **settings_of(name))
    return folder


def test_every_fixture_is_listed():
    assert {path.name for path in FOLDER.iterdir()} - {"lines.txt"} == set(FIXTURES)
    assert len({format for format, *_ in FIXTURES.values()}) >= 14


@pytest.mark.parametrize("name", FIXTURES)
def test_entities_are_read_exactly(tmp_path, name):
    format, n_docs, labelled, entities, nested, skipped = FIXTURES[name]
    for path in find_inputs([FOLDER / name]):
        assert guess_format(Source(path)).name == format
    report = convert([FOLDER / name], tmp_path / "a.spacy", lang="en", **settings_of(name))
    assert (report.docs, report.labelled, report.nested) == (n_docs, labelled, nested)
    assert (report.entities, report.skipped) == (entities, skipped)
    docs = read(tmp_path / "a.spacy")
    assert {ent.text for doc in docs for ent in doc.ents} <= SURFACES
    assert {span.text for doc in docs for group in doc.spans.values() for span in group} <= SURFACES
    assert [get_view(doc).labelled for doc in docs].count(True) == labelled
    # the named format reads the same
    convert([FOLDER / name], tmp_path / "b.spacy", format=format, lang="en", **settings_of(name))
    assert [doc.to_json() for doc in read(tmp_path / "b.spacy")] == [doc.to_json() for doc in docs]


def entities_of(doc: Doc) -> tuple[str, object, object]:
    sentence = make_sentence(doc)
    spans = None if sentence.spans is None else set(sentence.spans)
    return sentence.text, spans, set(sentence.gapped)


WRITTEN = {name: one for name, one in FORMATS.items() if one.write is not None or name == "spacy"}


@pytest.mark.parametrize("to", WRITTEN)
@pytest.mark.parametrize("name", WRITTEN_FROM)
def test_entities_are_written_exactly(tmp_path, converted, name, to):
    chosen = FORMATS[to]
    docs = read(converted / f"{name}.spacy")
    if "unlabelled" not in chosen.holds:
        docs = [doc for doc in docs if get_view(doc).labelled]
    if not docs:
        pytest.skip("nothing to write")
    write_docs(tmp_path / "in.spacy", docs)
    out = tmp_path / f"out{chosen.ending}"
    convert([tmp_path / "in.spacy"], out, to=to)
    convert([out], tmp_path / "back.spacy", format=to, lang="en")
    back = read(tmp_path / "back.spacy")
    assert len(back) == len(docs)
    for before, after in zip(docs, back, strict=True):
        text, spans, gapped = entities_of(before)
        new_text, new_spans, new_gapped = entities_of(after)
        if "overlaps" not in chosen.holds and spans is not None:
            spans = {(ent.start_char, ent.end_char, ent.label_) for ent in before.ents}
        assert new_gapped == (gapped if "gaps" in chosen.holds else set())
        if to == "label-studio" and make_sentence(before).scores is not None:
            # predictions are not gold
            assert (new_text, new_spans) == (text, None)
        elif to in ("csv", "hf-json", "gliner") or (to == "iob2" and "\n" in text):
            # these formats keep tokens, not the text between them
            words = [token.text for token in before if not token.text.isspace()]
            assert [token.text for token in after] == words
            surfaces = Counter(
                (" ".join(text[start:end].split()), label) for start, end, label in spans or ()
            )
            assert len(new_spans or ()) == surfaces.total()
        else:
            assert (new_text, new_spans) == (text, spans)
    if name == "text.conllu" and to == "brat":
        return  # a folder of texts without annotation could be anything
    # and a written file is recognized
    guessed = guess_format(Source(find_inputs([out])[0])).name
    same = {"iob2": "columns", "prodigy": "jsonl"}
    assert guessed in (to, same.get(to), "jsonl")


def test_nested_jsonl_comes_back_exactly(tmp_path):
    convert([FOLDER / "nested.jsonl"], tmp_path / "a.spacy", lang="en", strict=True)
    convert([tmp_path / "a.spacy"], tmp_path / "b.jsonl", strict=True)

    def load(path: Path) -> list[object]:
        records = map(json.loads, path.read_text(encoding="utf8").splitlines())
        return [(r["text"], "spans" in r and sorted(map(json.dumps, r["spans"]))) for r in records]

    assert load(tmp_path / "b.jsonl") == load(FOLDER / "nested.jsonl")
    first, second, third = read(tmp_path / "a.spacy")
    assert [ent.text for ent in first.ents] == ["Anna Ruiz", "University of Oxford"]
    assert len(first.spans["sc"]) == 4
    assert second.spans["sc"].attrs["discontinuous"] == [[[0, 3, 4], "SIGN"]]
    assert not third.has_annotation("ENT_IOB")
    text = render(inspect([tmp_path / "a.spacy"]))
    assert text.count("Nested") == 1
    assert text.rstrip().splitlines()[-1].split() == ["en", "1", "1", "1", "3"]


def test_scores_travel_to_the_tools(tmp_path):
    convert([FOLDER / "gliner_output.jsonl"], tmp_path / "a.spacy", lang="en")
    doc, _ = read(tmp_path / "a.spacy")
    assert doc.spans["sc"].attrs["scores"] == [0.98, 0.75]

    def export(to: str) -> list[dict]:
        out = tmp_path / f"{to}{FORMATS[to].ending}"
        convert([tmp_path / "a.spacy"], out, to=to)
        return [record for _, _, record in Source(out).iter_records()]

    assert [span["score"] for span in export("prodigy")[0]["spans"]] == [0.98, 0.75]
    assert export("prodigy")[0]["meta"] == {"score": 0.75}
    assert export("prodigy")[0]["tokens"][4] == {
        "text": "Lyon",
        "start": 21,
        "end": 25,
        "id": 4,
        "ws": False,
    }
    assert export("doccano")[0]["scores"] == [0.98, 0.75]
    task = export("label-studio")[0]
    assert "annotations" not in task
    assert [item["score"] for item in task["predictions"][0]["result"]] == [0.98, 0.75]
    convert([tmp_path / "a.spacy"], tmp_path / "brat", to="brat")
    assert "#2\tAnnotatorNotes T2\tscore 0.7500" in (tmp_path / "brat/doc-00001.ann").read_text()
    for name in ("prodigy.jsonl", "doccano.jsonl", "brat"):
        convert([tmp_path / name], tmp_path / "back.spacy", lang="en")
        doc, _ = read(tmp_path / "back.spacy")
        assert doc.spans["sc"].attrs["scores"] == [0.98, 0.75]
    # what an annotator has accepted is gold
    record = {**export("prodigy")[0], "answer": "accept"}
    (tmp_path / "gold.jsonl").write_text(json.dumps(record))
    convert([tmp_path / "gold.jsonl"], tmp_path / "gold.spacy", lang="en")
    assert not read(tmp_path / "gold.spacy")[0].spans


def make_dataset(folder: Path, names: list[str]) -> dict[str, Path]:
    """Write a Parquet file and a saved dataset, with the metadata of Hugging Face."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    tags = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
    info = {"features": {"tokens": {"_type": "Sequence"}, "ner_tags": tags}}
    rows = {"tokens": [["Anna", "Ruiz", "slept"], ["Lyon"]], "ner_tags": [[1, 2, 0], [3]]}
    metadata = {"huggingface": json.dumps({"info": info})} if names else {}
    data = pyarrow.table(rows).replace_schema_metadata(metadata)
    parquet.write_table(data, folder / "train.parquet")
    saved = folder / "saved" / "train"
    saved.mkdir(parents=True)
    with pyarrow.ipc.new_stream(saved / "data-00000-of-00001.arrow", data.schema) as writer:
        writer.write_table(data)
    (saved / "state.json").write_text(
        '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'
    )
    (saved / "dataset_info.json").write_text(json.dumps(info if names else {}))
    (folder / "saved" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    return {"parquet": folder / "train.parquet", "folder": saved, "dict": folder / "saved"}


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_hugging_face_datasets(tmp_path, kind):
    paths = make_dataset(tmp_path, list(TAGS))
    report = convert([paths[kind]], tmp_path / "a.spacy", strict=True)
    assert (report.docs, report.entities) == (2, {"PER": 1, "LOC": 1})
    assert [ent.text for doc in read(tmp_path / "a.spacy") for ent in doc.ents] == [
        "Anna Ruiz",
        "Lyon",
    ]
    with pytest.raises(CrossnerError, match=r"CN919.*saved.*train"):
        convert([paths["dict"]], tmp_path / "b.spacy")


def test_hugging_face_tags_without_names(tmp_path):
    paths = make_dataset(tmp_path, [])
    with pytest.raises(CrossnerError, match=r"CN917.*record 1: the tag 1 .*--tag-names"):
        convert([paths["parquet"]], tmp_path / "a.spacy")
    report = convert([paths["parquet"]], tmp_path / "a.spacy", tag_names=TAGS)
    assert report.entities == {"PER": 1, "LOC": 1}
    (tmp_path / "train.parquet").write_bytes(paths["parquet"].read_bytes()[:40])
    with pytest.raises(CrossnerError, match=r"CN920.*train\.parquet"):
        convert([paths["parquet"]], tmp_path / "a.spacy")


GOOD = '{"text": "Lyon", "spans": [{"start": 0, "end": 4, "label": "LOC"}]}\n'
TASK = '[{"id": 1, "data": %s, "annotations": [{"result": [%s]}]}]'
REGION = (
    '{"type": "%s", "to_name": "t", "value": {"start": 0, "end": 4, "text": "%s", "labels": %s}}'
)
BRAT_LINE = "T1\tLOC 0 4\tLyon\n"

# Each: the files, what is said about the first one, and where.
DAMAGED: dict[str, tuple[dict[str, str], str, str]] = {
    "unread_labels": (
        {"a.jsonl": '{"text": "Lyon", "named_entities": [[0, 4]]}'},
        "CN901",
        "line 1",
    ),
    "text_class": ({"a.jsonl": '{"text": "Lyon", "label": "travel"}'}, "CN901", "--unlabelled"),
    "two_kinds": (
        {"a.jsonl": '{"text": "Lyon", "label": [[0, 4, "X"]], "spans": [{"start": 0}]}'},
        "CN901",
        "line 1",
    ),
    "deep": ({"a.jsonl": "[" * 100_000 + "\n" + GOOD}, "CN240", "nested too deeply"),
    "deep_record": ({"a.jsonl": '{"text": ' + "[" * 100_000}, "CN240", "nested too deeply"),
    "many_digits": (
        {"a.jsonl": GOOD.replace("4", "9" * 5000)},
        "CN240",
        "thousands of digits",
    ),
    "column_digits": ({"a.iob2": "1\tLyon\tB-X\n" * 9 + "9" * 5000 + "\ta\tO\n"}, "CN22", "line"),
    "score": (
        {"a.jsonl": GOOD.replace('"end"', '"score": 7, "end"')},
        "CN902",
        "score 7",
    ),
    "doccano_triple": (
        {"a.jsonl": '{"text": "Lyon", "label": [[0, 4, "X"], [0, 4]]}'},
        "CN905",
        '[0, 4] in "label"',
    ),
    "doccano_offset": ({"a.jsonl": '{"text": "Lyon", "label": [[0, 9, "X"]]}'}, "CN248", "line 1"),
    "studio_moved": (
        {"a.json": TASK % ('{"t": "Lyon"}', REGION % ("labels", "Bonn", '["LOC"]'))},
        "CN903",
        "record 1: the span 0-4 covers 'Lyon', but the file says 'Bonn'",
    ),
    "studio_image": (
        {"a.json": TASK % ('{"t": "Lyon"}', REGION % ("rectanglelabels", "Lyon", '["X"]'))},
        "CN908",
        "record 1",
    ),
    "studio_no_label": (
        {"a.json": TASK % ('{"t": "Lyon"}', REGION % ("labels", "Lyon", "[]"))},
        "CN246",
        "record 1",
    ),
    "studio_fields": (
        {"a.json": TASK % ('{"a": "Lyon", "b": "Lyon"}', REGION % ("labels", "Lyon", '["X"]'))},
        "CN909",
        "a, b",
    ),
    "studio_cut": ({"a.json": '[{"id": 1, "data": {"text": "Lyon"}, "annot'}, "CN240", "a.json"),
    "gliner_span": (
        {"a.json": '[{"tokenized_text": ["Lyon"], "ner": [[0, 1, "x"]]}]'},
        "CN905",
        "within 1 tokens",
    ),
    "hf_tags": ({"a.jsonl": '{"tokens": ["Lyon"], "ner_tags": ["O", "O"]}'}, "CN913", "2 tags"),
    "hf_number": ({"a.jsonl": '{"tokens": ["Lyon"], "ner_tags": [3]}'}, "CN917", "--tag-names"),
    "hf_token": ({"a.jsonl": '{"tokens": ["Lyon", null], "ner_tags": ["O", "O"]}'}, "CN911", "2"),
    "spacy_missing": (
        {
            "a.json": '[{"paragraphs": [{"sentences": [{"tokens": [{"orth": "a", "ner": "O"}, '
            '{"orth": "b", "ner": "-"}]}]}]}]'
        },
        "CN923",
        "paragraph 1",
    ),
    "brat_text": ({"a.ann": BRAT_LINE}, "CN924", "a.txt"),
    "brat_line": ({"a.ann": "T1 LOC 0 4 Lyon\n", "a.txt": "Lyon"}, "CN925", "a.ann, line 1"),
    "brat_moved": ({"a.ann": BRAT_LINE, "a.txt": "In Lyon"}, "CN903", "says 'Lyon'"),
    "csv_columns": ({"a.csv": "token,tag\nLyon,B-LOC,x\n"}, "CN221", "line 2"),
    "csv_tag": ({"a.csv": "token,tag\nLyon,B-LOC\nin,LOC\n"}, "CN222", "line 2"),
    "webanno_layers": (
        {
            "a.tsv": "#FORMAT=WebAnno TSV 3.3\n#T_SP=a.A|x\n#T_SP=b.B|y\n\n#Text=a\n"
            "1-1\t0-1\ta\t_\t_\n"
        },
        "CN927",
        "a.A, b.B",
    ),
    "webanno_row": (
        {"a.tsv": "#FORMAT=WebAnno TSV 3.3\n#T_SP=a.A|x\n\n#Text=a\n1-1\t0\ta\t_\n"},
        "CN925",
        "line 5",
    ),
    "webanno_unnamed": (
        {"a.tsv": "#FORMAT=WebAnno TSV 3.3\n#T_SP=a.A|x\n\n#Text=a\n1-1\t0-1\ta\t*[1]\n"},
        "CN246",
        "line 5",
    ),
    "old_mac": ({"a.iob2": "Lyon\tB-LOC\rslept\tO\r\rBonn\tB-LOC\r"}, "CN900", "a.iob2"),
    "return_inside": ({"a.iob2": "Ly\ron\tB-LOC\nslept\tO\n"}, "CN900", "line 1"),
    "label_tab": ({"a.jsonl": GOOD.replace('"LOC"', r'"L\tC"')}, "CN912", r"'L\\tC'"),
    "label_nul": ({"a.jsonl": GOOD.replace('"LOC"', r'"L\u0000C"')}, "CN912", "line 1"),
    "label_o": ({"a.jsonl": GOOD.replace('"LOC"', '"O"')}, "CN912", "--label-map"),
    "latin1": ({"a.csv": "token,tag\nKöln,B-LOC\n"}, "CN205", "iconv"),
    "only_text": ({"a.json": '[{"txt": "Lyon"}]'}, "CN242", "record 1"),
}


@pytest.mark.parametrize("case", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_reported(tmp_path, case):
    files, code, message = case
    for name, content in files.items():
        encoding = "latin-1" if code == "CN205" else "utf8"
        (tmp_path / name).write_bytes(content.encode(encoding))
    path = tmp_path / next(iter(files))
    result = CliRunner().invoke(
        app, ["convert", str(path), str(tmp_path / "out.spacy"), "--lang", "en"]
    )
    output = " ".join(result.output.split())
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert f"[{code}" in output
    assert path.stem in output
    assert message.replace("\\\\", "\\") in output
    assert "✔" not in output
    assert len(output) < 1500


@pytest.mark.parametrize(
    "text",
    [
        # the comma of a comment, and commas that are tokens
        "# text = Rome, Anna\n1\tRome\tB-LOC\n2\t,\tO\n3\tAnna\tB-PER\n",
        ",\tO\nRome\tB-LOC\n,\tO\nAnna\tB-PER\n",
    ],
)
def test_commas_do_not_make_a_table(tmp_path, text):
    path = tmp_path / "labels.conll"
    path.write_text(text, encoding="utf8")
    assert convert([path], tmp_path / "out.spacy", lang="en").entities == {"LOC": 1, "PER": 1}


@pytest.mark.parametrize(
    ("name", "text", "words", "entities"),
    [
        # a quotation mark is a token, and opens nothing
        ("a.tsv", 'token\ttag\n"\tO\nParis\tB-LOC\n"\tO\nis\tO\n', '" Paris " is', {"LOC": 1}),
        ("a.csv", 'token,tag\n",",O\nParis,B-LOC\n"""",O\nis,O\n', ', Paris " is', {"LOC": 1}),
        # parts of speech beside the entities
        ("b.csv", "word,tag,ner\nRome,NNP,B-LOC\nis,VBZ,O\n", "Rome is", {"LOC": 1}),
        (
            "b.json",
            '{"tokens": ["Rome", "is"], "tags": ["NNP", "VBZ"], "labels": ["B-LOC", "O"]}\n',
            "Rome is",
            {"LOC": 1},
        ),
        # a hashtag is no comment
        ("c.conll", "#Rome B-LOC NNP\nis O VBZ\nold O JJ\n", "#Rome is old", {"LOC": 1}),
        ("d.conll", "1\t-DOCSTART-\tO\n2\tRome\tB-LOC\n", "-DOCSTART- Rome", {"LOC": 1}),
    ],
)
def test_tokens_that_look_like_something_else(tmp_path, name, text, words, entities):
    (tmp_path / name).write_text(text, encoding="utf8")
    report = convert([tmp_path / name], tmp_path / "out.spacy", lang="en", strict=True)
    assert report.entities == entities
    (doc,) = read_docs(tmp_path / "out.spacy", Vocab())
    assert [token.text for token in doc] == words.split()


def test_files_of_brat_are_read_once(tmp_path):
    (tmp_path / "x.txt").write_text("Rome is old.", encoding="utf8")
    (tmp_path / "x.ann").write_text("T1\tLOC 0 4\tRome\n", encoding="utf8")
    files = [tmp_path / "x.txt", tmp_path / "x.ann"]
    assert convert(files, tmp_path / "out.spacy", lang="en").docs == 1


def test_nested_names_with_scores_come_back(tmp_path):
    spans = [
        {"start": 0, "end": 20, "label": "ORG", "score": 0.9},
        {"start": 14, "end": 20, "label": "LOC", "score": 0.8},
    ]
    srsly.write_jsonl(tmp_path / "a.jsonl", [{"text": "University of Oxford", "spans": spans}])
    convert([tmp_path / "a.jsonl"], tmp_path / "b.jsonl", lang="en")
    assert next(srsly.read_jsonl(tmp_path / "b.jsonl"))["spans"] == spans
    convert([tmp_path / "a.jsonl"], tmp_path / "c.spacy", lang="en")
    changes = {"label_map": {"ORG": "COMPANY"}, "drop_labels": ["LOC"]}
    convert([tmp_path / "c.spacy"], tmp_path / "d.jsonl", lang="en", **changes)
    (span,) = next(srsly.read_jsonl(tmp_path / "d.jsonl"))["spans"]
    assert span == {**spans[0], "label": "COMPANY"}


def test_a_masked_token_costs_one_sentence(tmp_path):
    texts = [("Rome is old", 3), ("Rome is old", 4)]
    records = [
        {"text": text, "spans": [{"start": 0, "end": end, "label": "LOC"}]} for text, end in texts
    ]
    srsly.write_jsonl(tmp_path / "a.jsonl", records)
    report = convert([tmp_path / "a.jsonl"], tmp_path / "b.iob2", lang="en")
    assert (report.docs, report.skipped) == (1, 1)
    assert any(code == "CN265" for _, code in report.problems)
    srsly.write_jsonl(tmp_path / "a.jsonl", records[:1])
    with pytest.raises(CrossnerError, match="CN265"):
        convert([tmp_path / "a.jsonl"], tmp_path / "b.iob2", lang="en")


def test_shards_are_of_spacy(tmp_path):
    (tmp_path / "a.iob2").write_text("1\tRome\tB-LOC\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN932.*jsonl"):
        convert([tmp_path / "a.iob2"], tmp_path / "out", to="jsonl", shard_size=2)


def test_two_formats_that_fit_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": [[0, 1, "X"]]}\n{"text": "a", "answer": "accept"}\n')
    with pytest.raises(CrossnerError, match=r"CN904.*prodigy or doccano.*--format prodigy"):
        convert([path], tmp_path / "out.spacy")


def test_labels_are_not_read_where_they_are_not_wanted(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "Lyon", "label": "travel"}\n')
    report = convert([path], tmp_path / "out.spacy", unlabelled=True, strict=True)
    assert (report.docs, report.labelled) == (1, 0)
    (parsed,) = read_sentences(path, "jsonl")
    assert parsed.sentence is not None


def test_what_is_suspicious_is_said(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Lyon B-LOC\nslept O\n\n" * 120)
    maps = {"label_map": {"PERSON": "PER", "LOC": "GPE"}, "drop_labels": ["PRE"]}
    report = convert([path], tmp_path / "out.spacy", **maps)
    unused, few = report.notes
    assert "The labels PERSON, PRE of --label-map" in unused
    assert "only: LOC" in unused
    assert "Only 0 of 120 labelled sentences" in few
    path.write_text("Lyon B-LOC\n" + "slept O\n" * 20_000)
    report = convert([path], tmp_path / "out.spacy")
    assert "a sentence has 20001 tokens" in "\n".join(describe(report))
    path.write_text("Lyon O\nslept O\n")
    (none,) = convert([path], tmp_path / "out.spacy", format="iob2").notes
    assert "none of them has an entity" in none
    result = CliRunner().invoke(
        app, ["convert", str(path), str(tmp_path / "o.spacy"), "--format", "iob2"]
    )
    assert "✔" not in result.output


def test_many_misaligned_spans_are_quick(tmp_path):
    spans = [{"start": 6 * n, "end": 6 * n + 3, "label": "X"} for n in range(3000)]
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "Lyons " * 3000, "spans": spans}))
    began = process_time()
    report = convert([tmp_path / "a.jsonl"], tmp_path / "out.spacy", lang="en")
    assert process_time() - began < 8
    assert sum(count for count, _ in report.problems.values()) == 3000


def test_the_command_lists_the_formats():
    result = CliRunner().invoke(app, ["formats"])
    assert result.exit_code == 0
    assert all(name in result.output for name in FORMATS)


def test_no_output_replaces_other_files(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(CrossnerError, match="CN914"):
        convert([FOLDER / "uner.iob2"], tmp_path / "out", to="brat")
    (tmp_path / "out" / "notes.md").unlink()
    for _ in range(2):
        convert([FOLDER / "uner.iob2"], tmp_path / "out", to="brat")
    with pytest.raises(CrossnerError, match="CN926"):
        convert([FOLDER / "uner.iob2"], tmp_path / "out", to="brat", label_map={"PER": "A B"})
    with pytest.raises(CrossnerError, match="CN207"):
        convert([FOLDER / "uner.iob2"], tmp_path / "out.x", to="webanno")
