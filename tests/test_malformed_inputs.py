"""Malformed input: each kind is told with its place, and does not spoil what is well formed."""

import gzip
import json
import zlib
from pathlib import Path

import pytest
import srsly
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_crossner.data.convert import convert, describe, parse_label_map
from spacy_crossner.data.shards import read_docs, read_groups
from spacy_crossner.data.view import USER_DATA_KEY, View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.translate.cache import Cache

GOOD = "Ruiz\tB-PER\nslept\tO\n\n"
INDEXED = "1\tRuiz\tB-PER\n2\tslept\tO\n\n"
GOOD_JSON = '{"text": "Ruiz slept", "spans": [{"start": 0, "end": 4, "label": "PER"}]}\n'
GOOD_CONLLU = "1\tRuiz\t_\t_\t_\t_\t_\t_\t_\t_\n\n"


def span(**values: object) -> str:
    return json.dumps({"text": "Ruiz slept", "spans": [values]})


# Each: file name, a sentence that is well formed, the malformed one, and what is said about it.
BAD_SENTENCES = {
    "no_tag_column": ("a.iob2", GOOD, "Ruiz\n", "CN220", "line 4", "a tag is missing"),
    "blanks_among_tabs": (
        "a.iob2",
        GOOD,
        "Ruiz B-PER\n",
        "CN220",
        "line 4",
        "columns of this file with tabs",
    ),
    "too_many_columns": ("a.iob2", GOOD, "Ruiz\tNNP\tB-PER\n", "CN221", "line 4", "3 columns"),
    "too_few_columns": ("a.iob2", INDEXED, "Ruiz\tB-PER\n", "CN221", "line 4", "2 columns"),
    "tag_without_prefix": ("a.iob2", GOOD, "Ruiz\tPER\n", "CN222", "line 4", "'PER' has no prefix"),
    "lower_case_o": ("a.iob2", GOOD, "Ruiz\to\n", "CN222", "line 4", "'o' has no prefix"),
    "zero_for_o": ("a.iob2", GOOD, "Ruiz\t0\n", "CN222", "line 4", "'0' has no prefix"),
    "unknown_prefix": ("a.iob2", GOOD, "Ruiz\tX-PER\n", "CN223", "line 4", "unknown prefix 'X'"),
    "label_missing": ("a.iob2", GOOD, "Ruiz\tB-\n", "CN224", "line 4", "'B-' has no label"),
    "tag_empty": ("a.iob2", GOOD, "Ruiz\t\n", "CN222", "line 4", "'' has no prefix"),
    "token_empty": ("a.iob2", GOOD, "\tO\n", "CN229", "line 4", "the token is empty"),
    "token_is_whitespace": ("a.iob2", GOOD, "\u00a0\tO\n", "CN229", "line 4", "the token is empty"),
    "index_gap": (
        "a.iob2",
        INDEXED,
        "1\ta\tO\n3\tb\tO\n",
        "CN227",
        "line 5",
        "the index is 3 instead of 2",
    ),
    "index_starts_late": ("a.iob2", INDEXED, "4\ta\tO\n", "CN227", "line 4", "the index is 4"),
    "sentences_run_together": (
        "a.iob2",
        INDEXED,
        "1\ta\tO\n1\tb\tO\n",
        "CN227",
        "line 5",
        "the blank line between two sentences",
    ),
    "index_no_number": (
        "a.iob2",
        INDEXED * 5,
        "x\tRuiz\tO\n",
        "CN228",
        "line 16",
        "'x' is not an index",
    ),
    "text_has_other_tokens": (
        "a.iob2",
        GOOD,
        "# text = Ruiz woke up\nRuiz\tB-PER\nslept\tO\n",
        "CN231",
        "line 4",
        "token 2 is 'slept', but the text continues with 'woke up'",
    ),
    "text_is_longer": (
        "a.iob2",
        GOOD,
        "# text = Ruiz slept well\nRuiz\tB-PER\nslept\tO\n",
        "CN232",
        "line 4",
        "the tokens end before 'well'",
    ),
    "text_is_shorter": (
        "a.iob2",
        GOOD,
        "# text = Ruiz\nRuiz\tB-PER\nslept\tO\n",
        "CN231",
        "line 4",
        "token 2 is 'slept'",
    ),
    "nul_in_columns": ("a.iob2", GOOD, "Ru\0iz\tO\n", "CN230", "line 4", "NUL character"),
    "nul_in_text": ("a.txt", "Ruiz slept.\n", "Ru\0iz\n", "CN230", "line 2", "NUL character"),
    "nul_in_json": ("a.jsonl", GOOD_JSON, r'{"text": "Ru\u0000iz"}', "CN230", "line 2", "NUL"),
    "half_a_character": (
        "a.jsonl",
        GOOD_JSON,
        r'{"text": "Ruiz \ud83d"}',
        "CN233",
        "line 2",
        "ud83d",
    ),
    "half_a_label": (
        "a.jsonl",
        GOOD_JSON,
        r'{"text": "Ruiz", "spans": [{"start": 0, "end": 4, "label": "P\ude00"}]}',
        "CN233",
        "line 2",
        "ude00",
    ),
    "json_broken": ("a.jsonl", GOOD_JSON, '{"text": "Ruiz"', "CN240", "line 2", "character 16"),
    "json_list": ("a.jsonl", GOOD_JSON, "[1, 2]", "CN241", "line 2", "found a value of type list"),
    "text_key_missing": (
        "a.jsonl",
        GOOD_JSON,
        '{"txt": "Ruiz"}',
        "CN242",
        "line 2",
        '"text" is missing',
    ),
    "text_is_number": ("a.jsonl", GOOD_JSON, '{"text": 3}', "CN242", "line 2", '"text" is missing'),
    "text_is_blank": (
        "a.jsonl",
        GOOD_JSON,
        '{"text": " "}',
        "CN242",
        "line 2",
        "empty or of the wrong type",
    ),
    "record_rejected": (
        "a.jsonl",
        GOOD_JSON,
        '{"text": "Ruiz", "answer": "reject"}',
        "CN243",
        "line 2",
        "'reject'",
    ),
    "spans_no_list": ("a.jsonl", GOOD_JSON, '{"text": "a", "spans": 1}', "CN244", "line 2", "list"),
    "span_no_object": (
        "a.jsonl",
        GOOD_JSON,
        '{"text": "a", "spans": [[0, 1, "X"]]}',
        "CN244",
        "line 2",
        "not a list of objects",
    ),
    "span_without_end": ("a.jsonl", GOOD_JSON, span(start=0, label="X"), "CN245", "line 2", "end"),
    "span_with_text_offset": (
        "a.jsonl",
        GOOD_JSON,
        span(start="0", end=4, label="X"),
        "CN245",
        "line 2",
        "are not whole numbers",
    ),
    "label_empty": (
        "a.jsonl",
        GOOD_JSON,
        span(start=0, end=4, label=""),
        "CN246",
        "line 2",
        "the label of the span 0-4 is",
    ),
    "label_no_string": (
        "a.jsonl",
        GOOD_JSON,
        span(start=0, end=4, label=7),
        "CN246",
        "line 2",
        "the label of the span 0-4 is 7",
    ),
    "span_backwards": (
        "a.jsonl",
        GOOD_JSON,
        span(start=4, end=0, label="X"),
        "CN247",
        "line 2",
        "the span 4-0 is empty",
    ),
    "span_of_blanks": (
        "a.jsonl",
        GOOD_JSON,
        span(start=4, end=5, label="X"),
        "CN247",
        "line 2",
        "the span 4-5 is empty",
    ),
    "span_out_of_text": (
        "a.jsonl",
        GOOD_JSON,
        span(start=5, end=40, label="X"),
        "CN248",
        "line 2",
        "which has 10 characters",
    ),
    "span_negative": (
        "a.jsonl",
        GOOD_JSON,
        span(start=-2, end=4, label="X"),
        "CN248",
        "line 2",
        "the span -2-4 exceeds the text",
    ),
    "fragments_overlap": (
        "a.jsonl",
        GOOD_JSON,
        span(start=0, end=10, label="X", fragments=[[0, 4], [3, 10]]),
        "CN250",
        "line 2",
        "the fragments 0-4 and 3-10 of one entity overlap",
    ),
    "tokens_no_objects": (
        "a.jsonl",
        GOOD_JSON,
        '{"text": "Ruiz", "tokens": ["Ruiz"]}',
        "CN251",
        "line 2",
        "is not a list of objects",
    ),
    "tokens_of_another_text": (
        "a.jsonl",
        GOOD_JSON,
        '{"text": "Ruiz slept", "tokens": [{"text": "Ruiz"}, {"text": "woke"}]}',
        "CN252",
        "line 2",
        "token 2 does not match the text, which continues with 'slept'",
    ),
    "conllu_columns": ("a.conllu", GOOD_CONLLU, "1\tRuiz\n", "CN255", "line 3", "2 columns"),
    "conllu_index": (
        "a.conllu",
        GOOD_CONLLU,
        GOOD_CONLLU.replace("1\t", "one\t"),
        "CN228",
        "line 3",
        "'one' is not an index",
    ),
    "conllu_gap": (
        "a.conllu",
        GOOD_CONLLU,
        GOOD_CONLLU.replace("1\t", "2\t"),
        "CN227",
        "line 3",
        "the index is 2 instead of 1",
    ),
    "conllu_range_backwards": (
        "a.conllu",
        GOOD_CONLLU,
        GOOD_CONLLU.replace("1\t", "1-1\t"),
        "CN256",
        "line 3",
        "'1-1' is not a valid range",
    ),
    "conllu_range_too_long": (
        "a.conllu",
        GOOD_CONLLU,
        GOOD_CONLLU.strip().replace("1\t", "1-3\t") + "\n" + GOOD_CONLLU,
        "CN257",
        "line 4",
        "ends with token 3, but the last token is 1",
    ),
    "conllu_text": (
        "a.conllu",
        GOOD_CONLLU,
        "# text = Angela\n" + GOOD_CONLLU,
        "CN231",
        "line 3",
        "token 1 is 'Ruiz'",
    ),
    "conllu_form_empty": (
        "a.conllu",
        GOOD_CONLLU,
        GOOD_CONLLU.replace("Ruiz", ""),
        "CN229",
        "line 3",
        "the token is empty",
    ),
}


@pytest.mark.parametrize("case", BAD_SENTENCES.values(), ids=BAD_SENTENCES)
def test_a_bad_sentence_costs_itself_alone(tmp_path, case):
    name, good, bad, code, place, message = case
    path = tmp_path / name
    path.write_text(good + bad, encoding="utf8")
    settings = {"format": "text"} if path.suffix == ".txt" else {}
    report = convert([path], tmp_path / "out.spacy", **settings)
    docs = DocBin().from_disk(tmp_path / "out.spacy")
    assert report.skipped == 1
    assert report.docs == len(docs) == max(1, good.count("\n\n"))
    assert list(report.problems) == [(str(path), code)]
    text = "\n".join(describe(report))
    assert f"[{code}] {path}, {place}: " in text
    assert message in text
    # strictly, it ends the conversion with the same words
    with pytest.raises(CrossnerError) as error:
        convert([path], tmp_path / "strict.spacy", strict=True, **settings)
    assert str(error.value) in text
    assert not (tmp_path / "strict.spacy").exists()


# Each: file name, contents, settings, and what is said about it.
MENDED = {
    "stray_inside": ("a.iob2", "a\tO\nRuiz\tI-PER\n", "CN225", "line 2", "'I-PER' of 'Ruiz'"),
    "stray_label": ("a.iob2", "a\tB-X\nb\tI-Y\n", "CN225", "line 2", "'I-Y' of 'b'"),
    "unfinished": (
        "a.bioes",
        "a\tB-X\nb\tO\nc\tS-X\n",
        "CN226",
        "line 1",
        "is not closed after 'a'",
    ),
    "span_with_blanks": (
        "a.jsonl",
        span(start=4, end=10, label="X"),
        "CN249",
        "line 1",
        "whitespace at its edges",
    ),
    "span_inside_token": (
        "a.jsonl",
        span(start=0, end=2, label="X"),
        "CN260",
        "line 1",
        "'Ru' (X) starts or ends inside a token (Ruiz)",
    ),
}


@pytest.mark.parametrize("case", MENDED.values(), ids=MENDED)
def test_what_can_be_mended_is_counted_and_kept(tmp_path, case):
    name, contents, code, place, message = case
    path = tmp_path / name
    path.write_text(contents, encoding="utf8")
    report = convert([path], tmp_path / "out.spacy", lang="en")
    assert (report.docs, report.skipped) == (1, 0)
    text = "\n".join(describe(report))
    assert f"[{code}] {path}, {place}: " in text
    assert message in text
    with pytest.raises(CrossnerError, match=code):
        convert([path], tmp_path / "out.spacy", lang="en", strict=True)


GERMAN = "Köln\tB-LOC\nschläft\tO\n\n"

BAD_FILES = {
    "empty": ("a.iob2", b"", "CN209", "has no sentences"),
    "only_comments": ("a.iob2", b"# newdoc\n# text = a\n\n# b\n", "CN209", "has no sentences"),
    "only_blank_lines": ("a.jsonl", b"\n\n \n", "CN209", "has no sentences"),
    "empty_docbin": ("a.spacy", DocBin().to_bytes(), "CN209", "has no sentences"),
    "utf16": ("a.iob2", GERMAN.encode("utf-16"), "CN204", "iconv -f UTF-16LE -t UTF-8"),
    "utf16_unmarked": ("a.iob2", GERMAN.encode("utf-16-le"), "CN204", "is UTF-16LE"),
    "utf16_big_endian": ("a.jsonl", GOOD_JSON.encode("utf-16-be"), "CN204", "is UTF-16BE"),
    "utf32": ("a.conllu", GOOD_CONLLU.encode("utf-32"), "CN204", "is UTF-32LE"),
    "latin1": ("a.iob2", GERMAN.encode("latin-1"), "CN205", "the byte 0xf6 is not valid UTF-8"),
    "windows1252": (
        "a.iob2",
        (GOOD + "“Köln”\tB-LOC\n").encode("cp1252"),
        "CN205",
        "line 4: the byte 0x93 is not valid UTF-8. The encoding is probably WINDOWS-1252",
    ),
    "gzip": ("a.iob2", gzip.compress(GOOD.encode()), "CN206", "is a gzip archive"),
    "zip": ("a.jsonl", b"PK\x03\x04rest", "CN206", "is a zip archive"),
    "no_tags_at_all": ("a.iob2", b"Ruiz\nslept\n", "CN208", "a line is 'Ruiz'"),
    "prose": ("a.txt", b"Ruiz slept well.\nNobody else did.\n", "CN208", "Choose the --format"),
    "damaged_docbin": ("a.spacy", DocBin().to_bytes()[:-8], "CN217", "it is damaged"),
    "no_docbin": ("a.spacy", GOOD.encode(), "CN217", "it is damaged or not a .spacy file"),
    "all_sentences_bad": ("a.iob2", b"a\tB-X\nb\tX\n", "CN210", "line 2: the tag 'X'"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named(tmp_path, case):
    name, contents, code, message = case
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(CrossnerError) as error:
        convert([path], tmp_path / "out.spacy")
    assert code in str(error.value)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert not (tmp_path / "out.spacy").exists()


def test_an_empty_file_among_others_is_counted(tmp_path):
    (tmp_path / "a.iob2").write_text("")
    (tmp_path / "b.iob2").write_text(GOOD)
    report = convert([tmp_path / "a.iob2", tmp_path / "b.iob2"], tmp_path / "out.spacy")
    assert report.docs == 1
    assert list(report.problems) == [(str(tmp_path / "a.iob2"), "CN209")]


def test_damage_inside_a_docbin_is_named(tmp_path):
    damaged = srsly.msgpack_loads(zlib.decompress(DocBin().to_bytes()))
    damaged["lengths"] = b"abc"
    (tmp_path / "a.spacy").write_bytes(zlib.compress(srsly.msgpack_dumps(damaged)))
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy"):
        convert([tmp_path / "a.spacy"], tmp_path / "out.spacy")


BAD_CALLS = {
    "input_missing": (["none.iob2"], "out.spacy", {}, "CN202", "none.iob2"),
    "folder_empty": (["empty"], "out.spacy", {}, "CN203", "has no file to convert"),
    "format_unknown": (
        ["a.iob2"],
        "out.spacy",
        {"format": "xml"},
        "CN207",
        "'xml' is not a valid format",
    ),
    "tokenizer_unknown": (["a.iob2"], "out.spacy", {"tokenizer": "bpe"}, "CN207", "gold, text"),
    "misaligned_unknown": (["a.iob2"], "out.spacy", {"misaligned": "x"}, "CN207", "missing, skip"),
    "language_unknown": (
        ["a.iob2"],
        "out.spacy",
        {"lang": "qq", "tokenizer": "text"},
        "CN261",
        "'qq' is not a known language code",
    ),
    "output_ending": (["a.iob2"], "out.xml", {}, "CN211", "ends in .spacy"),
    "output_below_a_file": (["a.iob2"], "file/out.spacy", {}, "CN212", "is a file, not a folder"),
    "output_is_input": (["a.iob2"], "a.iob2", {}, "CN213", "would replace an input"),
    "output_holds_input": (["full/b.iob2"], "full", {}, "CN213", "would replace an input"),
    "output_folder_in_use": (["a.iob2"], "full", {}, "CN266", "contains 'b.iob2'"),
    "output_folder_is_file": (["a.iob2"], "file", {}, "CN267", "is a file"),
    "columns_without_labels": (
        ["a.iob2"],
        "out.iob2",
        {"unlabelled": True},
        "CN265",
        "are not annotated",
    ),
    "columns_with_masked_tokens": (
        ["cut.jsonl"],
        "out.iob2",
        {"lang": "en"},
        "CN265",
        "Write a .spacy file",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_is_refused(tmp_path, case):
    inputs, out, settings, code, message = case
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    for name in ("a.iob2", "full/b.iob2", "file"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "cut.jsonl").write_text(span(start=0, end=2, label="X"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CrossnerError) as error:
        convert([tmp_path / name for name in inputs], tmp_path / out, **settings)
    assert str(error.value).startswith(f"[{code}] ")
    assert message in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a.iob2").read_text() == GOOD


@pytest.mark.parametrize("text", ["PER", "PER=", "=X", "PER=A=B", "PER=A,PER=B", "PER=A,,LOC"])
def test_a_bad_label_map_is_refused(text):
    with pytest.raises(CrossnerError, match="CN214"):
        parse_label_map(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "[" * 100_000 + "]" * 100_000 + "\n"),
        ("a.jsonl", '{"text": "Ruiz", "spans": [{"start": ' + "9" * 5000 + "}]}\n"),
        ("a.iob2", INDEXED * 20 + "9" * 5000 + "\tRuiz\tB-PER\n"),
        ("a.iob2", GOOD * 20 + "Ruiz\t" + "X" * 5000 + "-PER\n"),
        ("a.conllu", GOOD_CONLLU + GOOD_CONLLU.replace("1", "9" * 5000)),
    ],
)
def test_what_no_parser_expects(tmp_path, name, content):
    """A place and at most a line of it, not a traceback."""
    path = tmp_path / name
    path.write_text(content, encoding="utf8")
    with pytest.raises(CrossnerError, match=rf"CN\d+.*{name}") as caught:
        convert([path], tmp_path / "out.spacy", strict=True)
    assert len(str(caught.value)) < 600


def make_docbin(path: Path, change) -> Path:
    """Write one doc with a view and an entity, changed after it was packed."""
    doc = Doc(Vocab(), ["Ruiz", "slept"])
    doc.set_ents([Span(doc, 0, 1, "PER")])
    set_view(doc, View("g", "source", "en"))
    docbin = DocBin(docs=[doc], store_user_data=True)
    message = srsly.msgpack_loads(zlib.decompress(docbin.to_bytes()))
    change(message)
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(message)))
    return path


def change_view(**values):
    def change(message):
        user_data = srsly.msgpack_loads(message["user_data"][0])
        user_data[USER_DATA_KEY].update(values)
        message["user_data"] = [srsly.msgpack_dumps(user_data)]

    return change


@pytest.mark.parametrize(
    "values",
    [
        *({"group": 7}, {"kind": ["source"]}, {"lang": None}, {"links": "x"}, {"labelled": "no"}),
        *({"weight": "heavy"}, {"weight": float("nan")}, {"soft": {"scheme": 1}}, {"soft": [1]}),
    ],
)
def test_views_with_wrong_types(tmp_path, values):
    path = make_docbin(tmp_path / "a.spacy", change_view(**values))
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy.*CN201"):
        list(read_docs(path, Vocab()))
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy.*CN201"):
        read_groups(path, Vocab())


def test_strings_that_a_docbin_lacks(tmp_path):
    def drop(message):
        message["strings"] = [one for one in message["strings"] if one != "PER"]

    path = make_docbin(tmp_path / "a.spacy", drop)
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy"):
        list(read_docs(path, Vocab()))


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path):
    path = tmp_path / "bomb.spacy"
    path.write_bytes(zlib.compress(b"\x90" * 200_000_000, 9))
    assert path.stat().st_size < 200_000
    with pytest.raises(CrossnerError, match=r"CN058.*bomb\.spacy"):
        list(read_docs(path, Vocab()))


@pytest.mark.parametrize("value", ["{", "[" * 100_000, "7", "[]", "[1, null, null]", "{}"])
def test_damaged_rows_of_a_cache(tmp_path, value):
    cache = Cache(tmp_path / "cache")
    cache._database.execute("INSERT INTO translations VALUES ('key', ?)", [value])
    with pytest.raises(CrossnerError, match=r"CN406.*cache"):
        cache.get(["key"])
    cache.close()


def test_there_is_no_kind_of_problem_without_a_test():
    files = (Path(__file__), Path(__file__).with_name("test_convert.py"))
    source = "".join(path.read_text(encoding="utf8") for path in files)
    floor = Path(__file__).parent.parent / "spacy_crossner" / "data"
    code = "".join(path.read_text(encoding="utf8") for path in floor.glob("*.py"))
    for number in range(202, 270):
        name = f"CN{number}"
        assert name not in code or name in source
