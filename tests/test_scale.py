"""Any amount of text: the same bytes however the work is divided, and every text accounted for."""

import gzip
import json
import os
import pickle
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.shards import find_shards, read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.distil.annotate import annotate
from spacy_crossner.errors import CrossnerError
from spacy_crossner.scale import Predictor
from spacy_crossner.scale import records as records_module
from spacy_crossner.scale.apply import apply
from spacy_crossner.scale.execution import Execution, make_run, run_tasks
from spacy_crossner.scale.journal import JOURNAL
from spacy_crossner.scale.outputs import ID
from spacy_crossner.scale.records import find_sources, iter_chunks, read_chunk
from spacy_crossner.translate.engines import EngineSettings
from spacy_crossner.translate.run import translate
from tests.pipelines import make_examples, make_nlp, train

TEXTS = [
    "Angela Merkel visited Berlin.",
    "the president of France lives in Paris",
    "Maria Silva works at Acme Corp in Paris.",
    "the bank in the city was by the river",
    "London and Berlin and Paris",
]
# A component that raises, and one that kills its process: once, or whenever it meets the text.
CODE = """
import os, signal
from pathlib import Path
from spacy.language import Language

@Language.component("misbehave")
def misbehave(doc):
    if "POISON" in doc.text:
        raise ValueError("this text is poisoned")
    for word in doc.text.split():
        if word == "DEADLY":
            os.kill(os.getpid(), signal.SIGKILL)
        if word.startswith("KILL=") and Path(word[5:]).exists():
            Path(word[5:]).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return doc
"""


@pytest.fixture(scope="module")
def pipeline(tiny_encoder, tmp_path_factory) -> Path:
    """A trained pipeline."""
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=60)
    folder = tmp_path_factory.mktemp("scale") / "pipeline"
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("code") / "misbehave.py"
    path.write_text(CODE, encoding="utf8")
    return path


@pytest.fixture(scope="module")
def fragile(code, tmp_path_factory) -> Path:
    """A pipeline of rules that fails or dies at some texts."""
    from spacy.cli._util import import_code

    import_code(code)
    nlp = spacy.blank("xx")
    rules = nlp.add_pipe("entity_ruler")
    rules.add_patterns([{"label": "LOC", "pattern": "Berlin"}])
    nlp.add_pipe("misbehave")
    folder = tmp_path_factory.mktemp("fragile") / "pipeline"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A folder of two files of JSON Lines, one of them compressed."""
    folder = tmp_path / "corpus"
    (folder / "more").mkdir(parents=True)
    write_lines(folder / "a.jsonl", [{"id": f"a{i}", "text": t} for i, t in enumerate(TEXTS * 2)])
    rows = [{"text": text, "url": f"u{i}"} for i, text in enumerate(TEXTS)]
    content = "".join(json.dumps(row) + "\n\n" for row in rows)
    (folder / "more" / "b.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    return folder


def write_lines(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


def read_lines(folder: Path) -> list[dict]:
    files = sorted(folder.rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf8").splitlines()]


def read_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# ---- what is written ------------------------------------------------------------------------


def test_entities_are_those_of_the_pipeline(pipeline, corpus, tmp_path):
    result = apply(pipeline, corpus, tmp_path / "out", shard_size=4, candidates=True)
    rows = read_lines(tmp_path / "out")
    assert (result.texts, result.shards, result.failed) == (15, 5, [])
    assert [row["id"] for row in rows[:10]] == [f"a{i}" for i in range(10)]
    # lines without an id are named by file and line, blank ones included
    assert [row["id"] for row in rows[10:]] == [f"more/b.jsonl.gz:{n}" for n in (1, 3, 5, 7, 9)]
    assert [row["url"] for row in rows[10:]] == [f"u{n}" for n in range(5)]
    nlp = spacy.load(pipeline)
    for row in rows:
        doc = nlp(row["text"])
        found = [(e["start"], e["end"], e["label"]) for e in row["entities"]]
        assert found == [(e.start_char, e.end_char, e.label_) for e in doc.ents]
        scores = [e["score"] for e in row["entities"]]
        assert scores == pytest.approx([e._.score for e in doc.ents], abs=1e-4)
        marks = [one["nested"] for one in row["candidates"]]
        assert marks == doc.spans["sc"].attrs["nested"].tolist()
    assert result.entities == sum(len(row["entities"]) for row in rows) > 10


def test_text_file(pipeline, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeff".encode() + "\r\n\r\n".join(TEXTS).encode())
    apply(str(pipeline), str(path), str(tmp_path / "out"))
    rows = read_lines(tmp_path / "out")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["id"] for row in rows] == [f"texts.txt:{n}" for n in (1, 3, 5, 7, 9)]


def test_docs_keep_their_tokens(pipeline, tmp_path):
    words = ["Angela", "Merkel", "visit", "ed", "Berlin"]
    doc = Doc(Vocab(), words=words, spaces=[True, True, False, True, False])
    doc.user_data["url"] = "u"
    gold = Doc(Vocab(), words=["the", "bank"], ents=["B-ORG", "O"])
    DocBin(docs=[doc, gold], store_user_data=True).to_disk(tmp_path / "docs.spacy")
    apply(pipeline, tmp_path / "docs.spacy", tmp_path / "out", format="spacy")
    (shard,) = (tmp_path / "out").glob("*.spacy")
    found, second = read_docs(shard, Vocab())
    assert [token.text for token in found] == words
    assert (found.user_data["url"], found.user_data[ID]) == ("u", "docs.spacy:1")
    assert [ent.label_ for ent in found.ents] == ["PER", "LOC"]
    assert all(ent._.score > 0.5 for ent in found.ents)
    assert not found.spans
    # what the input had as gold is not taken for a prediction
    assert "ORG" not in [ent.label_ for ent in second.ents]


def test_parquet(pipeline, corpus, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    apply(pipeline, corpus, tmp_path / "parquet", format="parquet", columns=["text"], shard_size=4)
    apply(pipeline, corpus, tmp_path / "lines", columns=["text"], shard_size=4)
    tables = [pq.read_table(path) for path in sorted((tmp_path / "parquet").rglob("*.parquet"))]
    assert len({table.schema for table in tables}) == 1
    rows = [row for table in tables for row in table.to_pylist()]
    assert [{k: v for k, v in row.items() if k != "error"} for row in rows] == read_lines(
        tmp_path / "lines"
    )
    # and back in, with other row groups than shards
    table = pa.table({"text": TEXTS * 2, "day": pa.array(range(10), pa.date32())})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3)
    apply(pipeline, tmp_path / "in.parquet", tmp_path / "again", format="parquet", shard_size=4)
    again = [pq.read_table(path) for path in sorted((tmp_path / "again").glob("*.parquet"))]
    assert [len(one) for one in again] == [4, 4, 2]
    assert again[0].schema.field("day").type == pa.date32()
    assert [d for one in again for d in one["day"].to_pylist()] == table["day"].to_pylist()
    assert again[2]["id"].to_pylist() == ["in.parquet:9", "in.parquet:10"]


def test_other_storage(pipeline, corpus, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(corpus), "memory://corpus", recursive=True)
    result = apply(pipeline, "memory://corpus", "memory://out", shard_size=4)
    assert result.new == 5
    assert apply(pipeline, "memory://corpus", "memory://out", shard_size=4).new == 0
    apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    for name, content in read_bytes(tmp_path / "out").items():
        if name != JOURNAL:
            assert memory.cat_file(f"/out/{name}") == content


@pytest.mark.parametrize("format", ["jsonl", "spacy"])
def test_processes_write_the_same_bytes(pipeline, corpus, tmp_path, format):
    for workers in (1, 2):
        out = tmp_path / f"{workers}"
        apply(
            pipeline,
            corpus,
            out,
            format=format,
            shard_size=2,
            execution=Execution("local", workers),
        )
    assert read_bytes(tmp_path / "1") == read_bytes(tmp_path / "2")


# ---- runs that stop and go on ---------------------------------------------------------------


def test_finished_output_needs_no_pipeline(pipeline, corpus, tmp_path, monkeypatch):
    apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    before = read_bytes(tmp_path / "out")
    monkeypatch.setattr(Predictor, "nlp", None)
    assert apply(pipeline, corpus, tmp_path / "out", shard_size=4).new == 0
    assert read_bytes(tmp_path / "out") == before


def test_interrupted_run_continues(pipeline, corpus, tmp_path, monkeypatch):
    apply(pipeline, corpus, tmp_path / "whole", shard_size=2)
    count = 0
    find = Predictor.find

    def stop_at_third(self, texts):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return find(self, texts)

    monkeypatch.setattr(Predictor, "find", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        apply(pipeline, corpus, tmp_path / "out", shard_size=2)
    with (tmp_path / "out" / JOURNAL).open("a") as journal:
        journal.write('{"shard": "half a li')
    assert apply(pipeline, corpus, tmp_path / "out", shard_size=2).new == 6
    assert read_bytes(tmp_path / "out") == read_bytes(tmp_path / "whole")


@pytest.mark.parametrize("change", ["missing", "shorter", "swapped"])
def test_damaged_shards_are_made_again(pipeline, corpus, tmp_path, change):
    out = tmp_path / "out"
    apply(pipeline, corpus, out, shard_size=4)
    before = read_bytes(out)
    first, second = (out / f"a.jsonl-0000{n}.jsonl" for n in (1, 2))
    if change == "missing":
        first.unlink()
    elif change == "shorter":
        first.write_bytes(first.read_bytes()[:-5])
    else:
        content = bytearray(second.read_bytes())
        content[10] ^= 1
        second.write_bytes(content)
    assert apply(pipeline, corpus, out, shard_size=4).new == 1
    assert read_bytes(out) == before


def test_new_files_may_be_added(pipeline, corpus, tmp_path):
    apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    write_lines(corpus / "0.jsonl", [{"text": text} for text in TEXTS])
    assert apply(pipeline, corpus, tmp_path / "out", shard_size=4).new == 2
    apply(pipeline, corpus, tmp_path / "whole", shard_size=4)
    assert read_bytes(tmp_path / "out") == read_bytes(tmp_path / "whole")


def test_changed_input_is_refused_and_redone(pipeline, corpus, tmp_path):
    apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    write_lines(corpus / "a.jsonl", [{"text": text} for text in TEXTS[:3]])
    with pytest.raises(CrossnerError, match=r"CN816.*a.jsonl"):
        apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    assert apply(pipeline, corpus, tmp_path / "out", shard_size=4, restart=True).texts == 8
    apply(pipeline, corpus, tmp_path / "whole", shard_size=4)
    assert read_bytes(tmp_path / "out") == read_bytes(tmp_path / "whole")


def test_other_settings_are_refused(pipeline, corpus, tmp_path):
    apply(pipeline, corpus, tmp_path / "out", shard_size=4)
    with pytest.raises(CrossnerError, match=r"CN805.*shard size: 4 instead of 3"):
        apply(pipeline, corpus, tmp_path / "out", shard_size=3)
    assert apply(pipeline, corpus, tmp_path / "out", shard_size=3, restart=True).texts == 15
    apply(pipeline, corpus, tmp_path / "whole", shard_size=3)
    assert read_bytes(tmp_path / "out") == read_bytes(tmp_path / "whole")


# ---- annotate and translate -----------------------------------------------------------------


def check_annotate(pipeline: Path, folder: Path, execution: Execution) -> None:
    """Annotate texts here and elsewhere, and compare the files."""
    path = folder / "texts.txt"
    path.write_text("\n".join(TEXTS))
    annotate(pipeline, path, folder / "here", shard_size=2)
    annotate(pipeline, path, folder / "there", shard_size=2, run=make_run(execution))
    assert read_bytes(folder / "there") == read_bytes(folder / "here")


def check_translate(folder: Path, execution: Execution, monkeypatch) -> None:
    """Translate sentences here and elsewhere, and compare the files."""
    monkeypatch.setattr("spacy_crossner.translate.run.CHUNK", 2)
    sentences = [*TEXTS, TEXTS[0], "the river"]
    docs = []
    for number, text in enumerate(sentences):
        doc = Doc(Vocab(), words=text.split())
        doc.set_ents([])
        set_view(doc, View(f"g{number}", "source", "en"))
        docs.append(doc)
    write_docs(folder / "in.spacy", docs)
    lexicon = folder / "de.tsv"
    lexicon.write_text("the\tder\nriver\tFluss\nbank\tBank\n")
    settings = EngineSettings(lexicons={"de": lexicon})
    reports = []
    for name, run in (("here", None), ("there", make_run(execution))):
        options = {"source": "en", "targets": ["de"], "engine": "lexicon", "settings": settings}
        report = translate(folder / "in.spacy", folder / f"{name}.spacy", run=run, **options)
        reports.append(asdict(report["de"]))
    assert (folder / "there.spacy").read_bytes() == (folder / "here.spacy").read_bytes()
    assert reports[0] == reports[1]
    assert reports[0]["sentences"] == 7


def test_annotate_in_processes(pipeline, tmp_path):
    check_annotate(pipeline, tmp_path, Execution("local", 2))
    loaded = spacy.load(pipeline)
    with pytest.raises(CrossnerError, match="CN820"):
        annotate(loaded, TEXTS, tmp_path / "out", run=make_run(Execution("local", 2)))


def test_translate_in_processes(tmp_path, monkeypatch):
    check_translate(tmp_path, Execution("local", 2), monkeypatch)


# ---- what goes wrong ------------------------------------------------------------------------


def test_poisoned_text_is_reported(fragile, code, tmp_path):
    rows = [{"id": f"r{i}", "text": f"Berlin {i}"} for i in range(10)]
    rows[3]["text"] = "POISON in Berlin"
    rows[5] = {"id": "r5", "body": "no text"}
    rows[6]["text"] = 6
    rows[7]["text"] = "half \ud800"
    path = write_lines(tmp_path / "in.jsonl", rows)
    with path.open("a") as file:
        file.write('["a list"]\n{"text": \n' + "[" * 100_000 + "\n")
    arguments = ["apply", str(fragile), str(path), str(tmp_path / "out"), "--code", str(code)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "r3: ValueError: this text is poisoned" in result.output
    assert "13 texts, 6 entities in 1 files" in result.output.replace("\n", " ")
    found = read_lines(tmp_path / "out")
    assert len(found) == 13
    failed = {row["id"] for row in found if "error" in row}
    assert failed == {"r3", "r5", "r6", "r7", "in.jsonl:11", "in.jsonl:12", "in.jsonl:13"}
    assert all(len(row["entities"]) == ("error" not in row) for row in found)
    # it says so again, though there is nothing to do
    assert CliRunner().invoke(app, arguments).exit_code == 1


def test_docs_that_fail_are_left_out(fragile, code, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Berlin\nPOISON\nin Berlin\n")
    result = apply(fragile, path, tmp_path / "out", format="spacy", code=code)
    assert [name for name, _ in result.failed] == ["in.txt:2"]
    (shard,) = (tmp_path / "out").glob("*.spacy")
    assert [doc.text for doc in read_docs(shard, Vocab())] == ["Berlin", "in Berlin"]


def test_failure_of_all_texts_ends_the_run(fragile, code, tmp_path):
    path = write_lines(tmp_path / "in.jsonl", [{"body": "text"}] * 60)
    with pytest.raises(CrossnerError, match=r"CN813.*column 'text' is missing; columns: body"):
        apply(fragile, path, tmp_path / "out", code=code)


def test_killed_processes(fragile, code, tmp_path):
    flag = tmp_path / "flag"
    rows = [{"id": f"r{i}", "text": f"Berlin {i}"} for i in range(12)]
    rows[4]["text"] = f"KILL={flag}"
    path = write_lines(tmp_path / "in.jsonl", rows)
    apply(fragile, path, tmp_path / "whole", shard_size=2, code=code)
    flag.touch()
    two = Execution("local", 2)
    result = apply(fragile, path, tmp_path / "out", shard_size=2, code=code, execution=two)
    assert result.is_whole
    assert not flag.exists()
    assert read_bytes(tmp_path / "out") == read_bytes(tmp_path / "whole")


def test_deadly_shard_is_left_out(fragile, code, tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_crossner.scale.execution.ATTEMPTS", 1)
    rows = [{"id": f"r{i}", "text": f"Berlin {i}"} for i in range(6)]
    rows[2]["text"] = "DEADLY"
    path = write_lines(tmp_path / "in.jsonl", rows)
    two = Execution("local", 2)
    result = apply(fragile, path, tmp_path / "out", shard_size=2, code=code, execution=two)
    assert list(result.unreadable) == ["in.jsonl-00002.jsonl"]
    assert "CN812" in result.unreadable["in.jsonl-00002.jsonl"]
    assert [row["id"] for row in read_lines(tmp_path / "out")] == ["r0", "r1", "r4", "r5"]


def make_dying():
    return die


def die(path):
    if path:
        time.sleep(0.3)
        if Path(path).exists():
            Path(path).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_a_worker_may_die_while_nobody_looks(tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    tasks = [("a", ""), ("b", str(flag)), *((str(n), "") for n in range(8))]
    found = {}
    for name, result in run_tasks(make_dying, tasks, Execution("local", 2)):
        if not found:
            time.sleep(2)
        found[name] = result
    assert found == {name: "done" for name, _ in tasks}


@pytest.mark.parametrize("format", ["jsonl", "parquet", "spacy"])
def test_half_characters_cost_one_text(pipeline, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    rows = [{"id": "1", "text": "Berlin"}, {"id": "2\ud800", "text": "\ud800", "note": "\ud800"}]
    path = write_lines(tmp_path / "in.jsonl", [{"note": "", **row} for row in rows])
    result = apply(pipeline, path, tmp_path / "out", format=format, columns=["text", "note"])
    assert (result.texts, len(result.failed)) == (2, 1)
    # it is finished, and not done again
    again = apply(pipeline, path, tmp_path / "out", format=format, columns=["text", "note"])
    assert again.new == 0


def test_columns_of_parquet_keep_the_id(pipeline, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"id": ["x", "y"], "text": TEXTS[:2], "url": ["u", "v"]})
    pq.write_table(table, tmp_path / "in.parquet")
    out = tmp_path / "out"
    apply(pipeline, tmp_path / "in.parquet", out, format="parquet", columns=["url", "nothing"])
    (path,) = out.glob("*.parquet")
    rows = pq.read_table(path).to_pylist()
    assert [(row["id"], row["url"], row["nothing"]) for row in rows] == [
        ("x", "u", None),
        ("y", "v", None),
    ]


def test_an_output_inside_of_the_input_is_continued(pipeline, corpus, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(folder / "a.jsonl", [{"text": "Berlin"}])
    first = apply(pipeline, folder, folder / "out")
    assert apply(pipeline, folder, folder / "out").texts == first.texts == 1


def test_files_of_others_are_not_replaced(pipeline, tmp_path):
    path = write_lines(tmp_path / "in.jsonl", [{"text": "Berlin"}])
    out = tmp_path / "x.tmp" / "out"
    out.mkdir(parents=True)
    (out / "in.jsonl-00001.jsonl").write_text("precious", encoding="utf8")
    with pytest.raises(CrossnerError, match="CN804"):
        apply(pipeline, path, out)


@pytest.mark.parametrize("format", ["jsonl.gz", "parquet", "spacy"])
def test_unreadable_file(fragile, code, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path / "in"
    folder.mkdir()
    content = "".join(json.dumps({"text": f"{i} {hash(i)} Berlin"}) + "\n" for i in range(9000))
    data = gzip.compress(content.encode())
    (folder / f"a.{format}").write_bytes(data[: len(data) // 2])
    write_lines(folder / "b.jsonl", [{"text": "Berlin"}])
    result = apply(fragile, folder, tmp_path / "out", code=code, shard_size=1000)
    assert list(result.unreadable) == [f"a.{format}"]
    assert (tmp_path / "out" / "b.jsonl-00001.jsonl").exists()
    if format == "jsonl.gz":
        assert result.texts > 1000
        (folder / "a.jsonl.gz").write_bytes(data)
        # the beginning could be read, but nothing says that it has not changed
        with pytest.raises(CrossnerError, match=r"CN816"):
            apply(fragile, folder, tmp_path / "out", code=code, shard_size=1000)


def test_full_disk(fragile, code, tmp_path, monkeypatch):
    path = write_lines(tmp_path / "in.jsonl", [{"text": "Berlin"}] * 10)
    write_bytes = Path.write_bytes

    def refuse(self, data):
        if "00003" in self.name:
            raise OSError(28, "No space left on device", str(self))
        return write_bytes(self, data)

    arguments = ["apply", str(fragile), str(path), str(tmp_path / "out"), "--code", str(code)]
    arguments += ["--shard-size", "2"]
    with monkeypatch.context() as context:
        context.setattr(Path, "write_bytes", refuse)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "CN015" in result.output
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "3 of them new" in result.output) == (0, True)


def test_any_id_is_kept(pipeline, tmp_path):
    ids = [12.5, {"n": 1}, 7, "x", None]
    path = write_lines(tmp_path / "a.jsonl", [{"id": name, "text": "Berlin"} for name in ids])
    apply(pipeline, path, tmp_path / "out")
    assert [row["id"] for row in read_lines(tmp_path / "out")] == [*ids[:-1], "a.jsonl:5"]


def test_other_encodings_are_not_read_as_text(pipeline, tmp_path):
    (tmp_path / "a.txt").write_bytes("Berlin\nParis\n".encode("utf-16-le"))
    result = apply(pipeline, tmp_path / "a.txt", tmp_path / "out")
    assert len(result.failed) == result.texts
    assert all("UTF-16" in reason for _, reason in result.failed)


def test_predictions_are_no_labels(pipeline, tmp_path):
    doc = Doc(Vocab(), words=["Berlin"], ents=["B-LOC"])
    set_view(doc, View("a", "source", "en"))
    write_docs(tmp_path / "a.spacy", [doc])
    apply(pipeline, tmp_path / "a.spacy", tmp_path / "out", format="spacy")
    (found,) = (doc for shard in find_shards(tmp_path / "out") for doc in read_docs(shard, Vocab()))
    assert not get_view(found).labelled


def test_refusals(pipeline, corpus, tmp_path):
    with pytest.raises(CrossnerError, match=r"CN800"):
        apply(pipeline, tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN800"):
        apply(pipeline, str(tmp_path / "*.conll"), tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN202"):
        apply(tmp_path / "nothing", corpus, tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN213"):
        apply(pipeline, corpus, corpus)
    with pytest.raises(CrossnerError, match=r"CN818"):
        apply(pipeline, corpus, tmp_path / "out.jsonl")
    with pytest.raises(CrossnerError, match=r"CN804.*a.jsonl"):
        apply(pipeline, write_lines(tmp_path / "in.jsonl", [{"text": "a"}]), corpus)
    with pytest.raises(CrossnerError, match=r"CN207"):
        apply(pipeline, corpus, tmp_path / "out", format="csv")
    with pytest.raises(CrossnerError, match=r"CN802"):
        apply(pipeline, "nowhere://bucket/file.jsonl", tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN819"):
        Execution("local", address="auto")
    with pytest.raises(CrossnerError, match=r"CN207"):
        Execution("spark")
    path = write_lines(tmp_path / "in.jsonl", [{"text": "a", "entities": []}])
    with pytest.raises(CrossnerError, match=r"CN808.*entities"):
        apply(pipeline, path, tmp_path / "out")


def test_columns_of_parquet_have_one_type(pipeline, tmp_path):
    pytest.importorskip("pyarrow")
    rows = [{"text": "a", "n": 1}, {"text": "b", "n": "two"}]
    path = write_lines(tmp_path / "in.jsonl", rows)
    with pytest.raises(CrossnerError, match=r"CN815.*'n'"):
        apply(pipeline, path, tmp_path / "out", format="parquet", shard_size=1)
    path = write_lines(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "b", "n": 2}])
    with pytest.raises(CrossnerError, match=r"CN815.*'n'"):
        apply(pipeline, path, tmp_path / "out2", format="parquet", shard_size=1)
    assert apply(
        pipeline, path, tmp_path / "out3", format="parquet", shard_size=1, columns=["text"]
    ).is_whole


# ---- the parts ------------------------------------------------------------------------------


class TestPredictor:
    def test_columns_of_each_kind(self, pipeline):
        pa = pytest.importorskip("pyarrow")
        predictor = pickle.loads(pickle.dumps(Predictor(pipeline, candidates=True)))
        columns = {"text": [*TEXTS, None], "n": [1, 2, 3, 4, 5, 6]}
        table = predictor(pa.table(columns))
        lists = predictor(columns)
        assert table["entities"].to_pylist() == lists["entities"].tolist()
        assert table["candidates"].to_pylist() == lists["candidates"].tolist()
        assert table["n"].to_pylist() == columns["n"]
        assert lists["error"].tolist() == [None] * 5 + ["not a text but a null"]
        pandas = pytest.importorskip("pandas")
        (frame,) = predictor.map_frames([pandas.DataFrame(columns)])
        assert list(frame.columns) == ["text", "n", "entities", "candidates", "error"]
        assert list(frame["entities"]) == lists["entities"].tolist()

    def test_types_do_not_depend_on_what_is_found(self, pipeline):
        pa = pytest.importorskip("pyarrow")
        predictor = Predictor(pipeline)
        tables = [predictor(pa.table({"text": texts})) for texts in (TEXTS, ["the bank"], [])]
        assert len({table.schema for table in tables if len(table)}) == 1

    def test_columns_that_do_not_fit(self, pipeline):
        with pytest.raises(CrossnerError, match=r"CN807.*body"):
            Predictor(pipeline)({"body": ["a"]})
        with pytest.raises(CrossnerError, match=r"CN808"):
            Predictor(pipeline)({"text": ["a"], "error": ["b"]})

    def test_words_are_forgotten(self, pipeline):
        predictor = Predictor(pipeline)
        list(predictor.find(TEXTS))
        strings = len(predictor.nlp.vocab.strings)
        list(predictor.find([f"word{n} other{n}" for n in range(100)]))
        assert len(predictor.nlp.vocab.strings) == strings


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.spacy", "a.parquet", "a.jsonl.xz"])
def test_chunks_do_not_lose_or_double_records(tmp_path, name):
    import lzma

    path = tmp_path / name
    texts = [f"text {i}" for i in range(23)]
    if name.endswith(".txt"):
        path.write_text("\n".join(texts))
    elif name.endswith(".spacy"):
        DocBin(docs=[Doc(Vocab(), words=text.split()) for text in texts]).to_disk(path)
    elif name.endswith(".parquet"):
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.table({"text": texts}), path)
    else:
        content = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        path.write_bytes(lzma.compress(content) if name.endswith(".xz") else content)
    (source,) = find_sources(str(path))
    for size in (1, 7, 23, 100):
        chunks = list(iter_chunks(source, size))
        assert [chunk.count for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
        records = [record for chunk in chunks for record in read_chunk(chunk)]
        assert [record.text.strip() for record in records] == texts
        assert len({record.id for record in records}) == 23
        assert sum(chunk.weight for chunk in chunks) <= source.size


def test_missing_packages(monkeypatch, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (source,) = find_sources(str(tmp_path / "a.parquet"))
    with pytest.raises(CrossnerError, match=r"CN803"):
        next(records_module.iter_chunks(source, 1))
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(CrossnerError, match=r"CN809"):
        next(run_tasks(lambda: str, [("a", 1)], Execution("ray")))


def make_adder():
    return add_one


def add_one(number: int) -> int:
    if number < 0:
        raise CrossnerError("a user's error")
    return number + 1


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_are_taken_as_workers_become_free(workers):
    taken = []
    counts = []

    def iter_tasks():
        for number in range(50):
            taken.append(number)
            yield str(number), number

    results = {}
    for name, result in run_tasks(make_adder, iter_tasks(), Execution("local", workers)):
        results[name] = result
        counts.append(len(taken) - len(results))
    assert results == {str(n): n + 1 for n in range(50)}
    assert max(counts) <= 2 * workers
    with pytest.raises(CrossnerError, match="a user's error"):
        list(run_tasks(make_adder, [("a", -1)], Execution("local", workers)))
