"""Measuring speed: that each measurement runs, compares what it says, and fails clearly."""

import json
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertModel

from benchmarks import peers, speed, worker
from benchmarks.full_table import FullTable, FullTableReader
from benchmarks.timing import Job, compare, in_turn
from spacy_crossner.data.markup import Marked
from spacy_crossner.data.sample import make_doc
from spacy_crossner.data.shards import write_docs
from spacy_crossner.errors import CrossnerError
from tests.pipelines import TRAIN_DATA
from tests.tiny import write_tiny_encoder

# Answers as a worker does: a text takes a hundredth of a second, and loading a fifth.
STUB = """
import json, sys
def say(seconds):
    print(json.dumps({"seconds": seconds, "mebibytes": 100.0}), flush=True)
say(0.2)
for line in sys.stdin:
    say(0.01 * len(json.loads(line)["texts"]))
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed")
    encoder = write_tiny_encoder(folder / "encoder")
    # as many positions as the default window takes
    config = BertConfig.from_pretrained(encoder, max_position_embeddings=300)
    BertModel(config, add_pooling_layer=False).save_pretrained(encoder)
    path = folder / "texts.spacy"
    marked = [
        Marked(str(number), text, tuple(spans)) for number, (text, spans) in enumerate(TRAIN_DATA)
    ]
    write_docs(path, [make_doc(sentence, "source", "en") for sentence in marked])
    return Job(encoder, path, runs=1)


def test_ratios_are_of_neighbouring_runs():
    figure = compare({"ours": [1.0, 2.0, 4.0], "theirs": [2.0, 6.0, 4.0]}, "ours", "theirs")
    assert (figure.value, figure.ratio) == (2.0, 2.0)


def test_tasks_run_in_turn():
    order = []
    tasks = {name: partial(lambda name, n: order.append(f"{name}{n}"), name) for name in "ab"}
    seconds = in_turn(tasks, 2)
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert [len(runs) for runs in seconds.values()] == [2, 2]


@pytest.mark.parametrize(("name", "ratios"), [("prediction", 2), ("training", 1), ("freezing", 2)])
def test_measurements(job, name, ratios, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.FROZEN_LAYERS", 2)
    figures = list(speed.measure([name], job))
    assert len(figures) == ratios
    assert all(figure.ratio > 0 for figure in figures)


def test_long_texts(job, monkeypatch):
    class Here:
        """A pool without processes."""

        def __init__(self, n_process):
            assert n_process == 1

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def apply(self, function, arguments):
            return function(*arguments)

    monkeypatch.setattr(speed, "LONG_TEXTS", (50, 100))
    monkeypatch.setattr(speed, "FACTORIES", ("token_pair_ner",))
    monkeypatch.setattr(speed, "get_context", lambda _: SimpleNamespace(Pool=Here))
    short, long = speed.measure(["long-texts"], job)
    assert (short.ratio, short.unit) == (1.0, "s")
    assert "100 tokens" in long.what


def test_peers(job, tmp_path, monkeypatch):
    script = tmp_path / "stub.py"
    script.write_text(STUB, encoding="utf8")
    monkeypatch.setattr(worker, "__file__", str(script))
    monkeypatch.setattr(peers, "prepare_peer", lambda *_: None)
    other = Job(job.encoder, job.texts, runs=1, peer_python=sys.executable)
    figures = list(peers.measure_peers(other))
    assert {figure.against for figure in figures if figure.ratio} == {
        "spaCy's ner",
        "full table",
        "GLiNER",
        "SpanMarker",
    }
    memory = [figure for figure in figures if figure.unit == "MiB"]
    assert {figure.ratio for figure in memory} == {1.0}
    assert {figure.what.partition(", ")[2] for figure in memory} == {
        "peak memory of reading",
        "peak memory of loading",
    }
    given = replace(other, pipelines=(tmp_path / "shipped",))
    figures = list(peers.measure_peers(given))
    against = {figure.against for figure in figures if figure.what.startswith("shipped, peak")}
    assert against == {"GLiNER", "SpanMarker"}


def test_pipelines_of_one_name_are_told_apart(job, tmp_path):
    teacher, student = tmp_path / "teacher" / "model-best", tmp_path / "student" / "model-best"
    shipped = tmp_path / "shipped"
    given = replace(job, pipelines=(teacher, student, shipped, teacher))
    _, commands = peers.prepare(given, tmp_path)
    assert {name: path for name, (*_, path) in commands.items()} == {
        teacher.as_posix(): teacher,
        student.as_posix(): student,
        "shipped": shipped,
    }


def test_errors(job, tmp_path, monkeypatch):
    with pytest.raises(CrossnerError, match="CN620"):
        list(speed.measure(["nothing"], job))
    with pytest.raises(CrossnerError, match="CN610"):
        list(speed.measure(["prediction"], Job(job.encoder, tmp_path / "no.spacy")))
    script = tmp_path / "stub.py"
    script.write_text("import sys; sys.exit('no such package')", encoding="utf8")
    monkeypatch.setattr(worker, "__file__", str(script))
    with pytest.raises(CrossnerError, match=r"CN621.*ended early"):
        peers.Process(sys.executable, "spacy", tmp_path, "one")
    (tmp_path / "more").mkdir()
    other = Job(job.encoder, job.texts, peer_python=sys.executable)
    with pytest.raises(CrossnerError, match=r"CN621.*GLiNER.*no such package"):
        peers.prepare_peer(other, "gliner", tmp_path / "more")


def test_worker_answers(tmp_path):
    read = []
    answers = []
    lines = [json.dumps({"texts": ["a", "b"], "batch_size": 2})]

    def load(folder):
        return lambda texts, batch_size: read.append((folder, texts, batch_size))

    worker.serve(load, tmp_path, lines, answers.append)
    assert read == [(tmp_path, ["Warm up."], 1), (tmp_path, ["a", "b"], 2)]
    assert [set(answer) for answer in answers] == [{"seconds", "mebibytes"}] * 2


def test_full_table(tiny_encoder):
    torch.manual_seed(0)
    head = FullTable(8, 5).eval()
    assert head(torch.rand(2, 6, 8)).shape == (2, 6, 6, 5)
    tables = FullTableReader(tiny_encoder)(["Angela Merkel visited Berlin .", "the bank"], 1)
    assert [tuple(table.shape) for table in tables] == [(1, 5, 5), (1, 2, 2)]
