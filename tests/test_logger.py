"""The training logger: its table, its file, and what a crash leaves of it."""

import io
import json

import numpy
import pytest
import spacy
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop

from spacy_crossner.errors import CrossnerError
from spacy_crossner.training.logger import Speed, console_logger, read_log
from tests.test_strip import PIPELINE, training_config


@pytest.fixture
def nlp():
    nlp = spacy.blank("xx")
    nlp.config["training"]["score_weights"] = {"ents_f": 1.0, "speed": 0.0, "ents_p": None}
    return nlp


class Terminal(io.StringIO):
    """A stream that claims to be a terminal, so that bars show."""

    def isatty(self) -> bool:
        return True


def info(step: int, losses: dict, **other) -> dict:
    return {
        "epoch": step // 10,
        "step": step,
        "score": 0.5,
        "other_scores": {"ents_f": 0.25, "speed": 1234.5, "ents_per_type": {"PER": {"f": 0.1}}},
        "losses": losses,
        "checkpoints": [(0.5, step)],
        "seconds": 3 * step,
        "words": 100 * step,
        **other,
    }


def run(nlp, steps: list, *, stderr=None, **settings) -> str:
    stdout = io.StringIO()
    log_step, finalize = console_logger(**settings)(nlp, stdout, stderr or io.StringIO())
    try:
        for step in steps:
            log_step(step)
    finally:
        finalize()
    return stdout.getvalue()


def test_every_loss_has_a_column(nlp):
    output = run(nlp, [info(0, {"ner": 3.0, "ner_contrast": 0.5, "sentence_contrast": 1.25})])
    lines = output.rstrip("\n").split("\n")
    assert [line.split() for line in lines[:2]] == [
        ["LOSS"],
        ["LOSS", "NER", "SENTENCE"],
    ]
    assert lines[2].split() == [
        *["E", "#", "LOSS", "NER", "CONTRAST", "CONTRAST"],
        *["ENTS", "F", "SPEED", "SCORE", "WORDS/S"],
    ]
    assert lines[-1].split() == ["0", "0", "3.00", "0.50", "1.25", "25.00", "1234", "0.50", "-"]
    assert len({len(line) for line in lines}) == 1


def test_losses_that_appear_later_get_a_column_too(nlp):
    steps = [
        info(0, {"ner": 3.0}),
        info(10, {"ner": 2.0, "ner_distil": 7.0}),
        info(20, {"ner": 1.0}),
    ]
    lines = run(nlp, steps).rstrip("\n").split("\n")
    rows = [line.split() for line in lines if line.split()[0].isdigit()]
    assert [row[:4] for row in rows] == [
        ["0", "0", "3.00", "25.00"],
        ["1", "10", "2.00", "7.00"],
        ["2", "20", "1.00", "-"],
    ]
    assert sum(line.startswith("---") for line in lines) == 2


def test_missing_scores_are_no_error(nlp):
    output = run(nlp, [info(0, {"ner": 1.0}, other_scores={}, score=numpy.float32(0))])
    assert output.split("\n")[-2].split()[3:] == ["-", "-", "0.00", "-"]


def test_quiet(nlp):
    assert run(nlp, [info(0, {"ner": 1.0})], console_output=False) == ""


def test_file_has_a_row_per_evaluation(nlp, tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    losses = {"ner": numpy.float32(0.5), "contrast": float("nan")}
    run(nlp, [info(0, losses), None, None, info(3, losses)], output_file=str(path), run_name="a")
    rows = read_log(path)
    assert [row["step"] for row in rows] == [0, 3]
    assert rows[0]["words_per_second"] is None
    assert rows[1].pop("words_per_second") > 0
    assert rows[1] == {
        "run": 1,
        "name": "a",
        "step": 3,
        "epoch": 0,
        "losses": {"ner": 0.5, "contrast": None},
        "scores": {"ents_f": 0.25, "speed": 1234.5, "ents_per_type": {"PER": {"f": 0.1}}},
        "score": 0.5,
        "words": 300,
        "precision": "",
        "seconds": 9,
    }


def test_rows_are_there_while_training_goes_on(nlp, tmp_path):
    path = tmp_path / "log.jsonl"
    log_step, finalize = console_logger(output_file=str(path))(nlp, io.StringIO(), io.StringIO())
    for step in range(3):
        log_step(info(step, {"ner": 1.0}))
        assert len(read_log(path)) == step + 1
    finalize()


def test_bare_names_lie_beside_the_model(nlp, tmp_path):
    model = str(tmp_path / "out" / "model-last")
    output = run(nlp, [info(0, {"ner": 1.0}, output_path=model)], output_file="log.jsonl")
    assert len(read_log(tmp_path / "out" / "log.jsonl")) == 1
    assert str(tmp_path / "out" / "log.jsonl") in output.replace("\n", "")


def test_without_a_model_bare_names_lie_in_the_working_folder(nlp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(nlp, [info(0, {"ner": 1.0})], output_file="log.jsonl")
    assert len(read_log(tmp_path / "log.jsonl")) == 1


def test_later_runs_append_and_are_numbered(nlp, tmp_path):
    path = tmp_path / "log.jsonl"
    for name in ("first", None):
        steps = [info(0, {"ner": 1.0}), info(1, {"ner": 1.0})]
        run(nlp, steps, output_file=str(path), run_name=name)
    rows = [(row["run"], row["name"], row["step"]) for row in read_log(path)]
    assert rows == [(1, "first", 0), (1, "first", 1), (2, None, 0), (2, None, 1)]


def test_a_torn_last_line_is_ignored_and_mended(nlp, tmp_path):
    path = tmp_path / "log.jsonl"
    run(nlp, [info(0, {"ner": 1.0})], output_file=str(path))
    whole = path.read_bytes()
    for torn in (whole[:40], b'{"run": 7}', b"\xff"):
        path.write_bytes(whole + torn)
        if torn != b"\xff":
            assert len(read_log(path)) == 1
        run(nlp, [info(0, {"ner": 1.0})], output_file=str(path))
        assert [row["run"] for row in read_log(path)] == [1, 2]


@pytest.mark.parametrize("content", ["nonsense\n", "{}\n", "[1]\n", '{"run": 1}\n'])
def test_damaged_files_are_named(nlp, tmp_path, content):
    path = tmp_path / "log.jsonl"
    run(nlp, [info(0, {"ner": 1.0})], output_file=str(path))
    path.write_text(path.read_text() + content)
    with pytest.raises(CrossnerError, match=r"CN310.*log\.jsonl.*line 2"):
        read_log(path)
    with pytest.raises(CrossnerError, match="CN310"):
        run(nlp, [info(0, {"ner": 1.0})], output_file=str(path))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CrossnerError, match=r"CN310.*nowhere"):
        read_log(tmp_path / "nowhere")


def test_speed_leaves_evaluations_out(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("spacy_crossner.training.logger.perf_counter", lambda: now[0])
    speed = Speed()
    assert speed.rate(100) is None
    now[0] = 1000.0
    speed.restart(100)
    for _ in range(4):
        now[0] += 2.0
        speed.step()
    # the fifth step, and a long evaluation
    now[0] += 500.0
    assert speed.rate(200) == pytest.approx(100 / 10.0)


@pytest.mark.parametrize("kind", ["train", "eval"])
def test_bar_shows_in_a_terminal_only(nlp, kind):
    steps = [info(0, {"ner": 1.0}), None, None, info(3, {"ner": 1.0})]
    terminal = Terminal()
    table = run(nlp, steps, stderr=terminal, progress_bar=kind)
    total = nlp.config["training"]["max_steps" if kind == "train" else "eval_frequency"]
    assert f"/{total}" in terminal.getvalue()
    plain = io.StringIO()
    assert run(nlp, steps, stderr=plain, progress_bar=kind).split("\n")[0] == table.split("\n")[0]
    assert plain.getvalue() == ""


def test_outside_a_terminal_the_remaining_time_is_printed(nlp):
    nlp.config["training"]["max_steps"] = 100
    steps = [info(0, {"ner": 1.0}), *[None] * 99, info(100, {"ner": 1.0})]
    lines = run(nlp, steps, progress_bar="train").splitlines()
    told = [line.split(" steps,")[0].strip() for line in lines if "minutes left" in line]
    assert told == ["20 of 100", "40 of 100", "60 of 100", "80 of 100"]
    assert "left" not in run(nlp, steps, progress_bar="train", console_output=False)
    assert "left" not in run(nlp, steps, progress_bar="train", stderr=Terminal())


def test_training_logs_every_objective(tiny_encoder, tmp_path):
    config = training_config(tiny_encoder, tmp_path / "whole")
    config["training"]["before_to_disk"] = None
    config["training"]["logger"]["console_output"] = True
    out = tmp_path / "out"
    out.mkdir()
    stdout = io.StringIO()
    train_loop(init_nlp(config), out, stdout=stdout)
    rows = read_log(out / "log.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert list(rows[0]["losses"]) == ["transformer", *PIPELINE]
    assert all(isinstance(row["scores"]["ents_f"], float) for row in rows)
    assert "CONTRAST" in stdout.getvalue()
    for line in (out / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_settings_are_checked():
    with pytest.raises(Exception, match="progress_bar"):
        spacy.registry.resolve(
            {"logger": {"@loggers": "spacy-crossner.ConsoleLogger.v1", "progress_bar": "often"}}
        )
