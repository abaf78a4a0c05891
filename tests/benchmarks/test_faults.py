"""A short run of the fault injection: seeded, and without a single failure."""

import sys

import pytest
import spacy

from benchmarks.faults.commands import Step, judge, read_all
from benchmarks.faults.files import convert_malformed, damage_data, damage_pipeline
from benchmarks.faults.kills import kill_commands
from benchmarks.faults.memory import measure_growth
from benchmarks.faults.places import fill_disk, lock_folders, run_twice
from benchmarks.faults.texts import check_texts, make_texts
from tests.pipelines import make_examples, make_nlp, train

HEADS = ("token_label_ner", "token_pair_ner")


@pytest.fixture(scope="module", params=HEADS)
def nlp(request, tiny_encoder):
    nlp = make_nlp(tiny_encoder, **{request.param: {"threshold": 0.2}})
    train(nlp, make_examples(nlp), steps=10)
    return nlp


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_texts(nlp):
    # spawned processes take their time: tests of the components start them
    found = check_texts(nlp, make_texts(60), ["fork"])
    assert found.pop("texts") == 60
    assert set(found.values()) == {0}, found


def test_damaged_pipelines(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    found = damage_pipeline(tmp_path / "pipeline", 15)
    assert found["changed in silence"] == found["other exceptions"] == found["folders left"] == 0
    assert found["coded errors"] > 5


def test_damaged_data():
    for name, found in damage_data(180).items():
        assert found["other exceptions"] == found["changed in silence"] == 0, (name, found)


def test_malformed_files():
    assert convert_malformed(80)["tracebacks"] == 0


CAREFUL = """
import sys
from spacy_crossner.files import write_file
try:
    write_file(__import__("pathlib").Path("out"), b"x" * 100_000)
except OSError as error:
    sys.exit(f"[CN015] {error}")
"""
CARELESS = """
import pathlib
pathlib.Path("out").write_bytes(b"x" * 100_000)
"""


def make_step(folder, program):
    before = folder / "before"
    before.mkdir()
    return Step("write", [sys.executable, "-c", program], before, {"out": b"x" * 100_000}, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="disks are limited as Linux does it")
@pytest.mark.parametrize(("program", "flawless"), [(CAREFUL, True), (CARELESS, False)])
def test_places(tmp_path, program, flawless):
    step = make_step(tmp_path, program)
    full = fill_disk([step], tmp_path)
    assert (full["tracebacks"] == full["half files"] == 0) is flawless
    assert full["other bytes"] == full["leftovers"] == 0
    locked = lock_folders([step], tmp_path)
    assert locked["changed files"] == 0
    assert (locked["tracebacks"] == 0) is flawless or locked["skipped"]
    assert run_twice([step], tmp_path)["other bytes"] == 0
    killed = kill_commands([step], 2, tmp_path)
    assert killed["kills"] + killed["too late"] == 2
    assert killed["other bytes"] == killed["failed"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"before"}


def test_outcomes_and_files(tmp_path):
    assert judge(0, "") == "succeeded"
    assert judge(1, "crossner apply: [CN015] The disk is full") == "coded errors"
    assert judge(1, "Traceback (most recent call last)\n[CN015]") == judge(1, "") == "tracebacks"
    for name in ("a", ".b", "c.cache"):
        (tmp_path / name).write_text(name)
    assert read_all(tmp_path) == {"a": b"a", ".b": b".b"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory as Linux tells it")
def test_growth_of_memory():
    found = measure_growth(spacy.blank("xx"), 10)
    assert found["docs"] == found["user data"] == 0
    assert found["strings"] == 80
    assert found["memory"] < 10
