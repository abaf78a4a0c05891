"""What a finished project prints last, and the table of scores."""

import pytest
import srsly
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.report.evaluate import tabulate
from spacy_crossner.report.summary import summarize


def make_scores(*labels: str, **other) -> dict:
    counts = {"p": 90.0, "r": 80.0, "f": 84.71}
    types = dict.fromkeys(labels, counts)
    return {"lang": "de", "docs": 2, **counts, "per_type": types, **other}


def test_summary(tmp_path):
    metrics, packages = tmp_path / "metrics.json", tmp_path / "packages"
    srsly.write_json(metrics, {"test-de": make_scores("LOC"), "test-fr": {"f": 80.0}})
    packages.mkdir()
    for name in ("de_names-0.1.0-py3-none-any.whl", "xx_names-0.1.0-py3-none-any.whl"):
        (packages / name).touch()
    report = tmp_path / "report.html"
    report.touch()
    kept = tmp_path / "summary.txt"
    options = [str(metrics), "--report", str(report), "--packages", str(packages)]
    options += ["--output", str(kept)]
    shown = CliRunner().invoke(cli.app, ["summary", *options])
    assert shown.exit_code == 0, shown.output
    assert kept.read_text(encoding="utf8") == shown.output
    lines = shown.output.splitlines()
    assert lines[0] == "F1: German 84.7, French 80.0, mean 82.4"
    assert lines[1] == f"Report: {report}"
    # commands are whole, however long
    assert f"python -m pip install {packages / 'xx_names-0.1.0-py3-none-any.whl'}" in lines
    assert lines[-1].startswith("python -m spacy crossner try xx_names ")
    assert list(summarize(metrics)) == lines[:1]


@pytest.mark.parametrize("content", ["", "[]", '{"test-de": {}}', '{"test-de": 3}'])
def test_files_that_are_not_scores(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content, encoding="utf8")
    shown = CliRunner().invoke(cli.app, ["summary", str(path)])
    assert shown.exit_code == 1
    assert "CN614" in shown.output


def test_few_types_are_columns():
    nothing = {"p": 0.0, "r": 0.0, "f": 0.0}
    some = {"p": 50.0, "r": 50.0, "f": 50.0}
    scores = {"test-de": make_scores("LOC", "PER", nested=some, inner=nothing)}
    scores["test-fr"] = make_scores("LOC")
    ((header, rows),) = tabulate(scores)
    assert header[-3:] == ["LOC", "PER", "nested F1"]
    assert [row[-3:] for row in rows] == [[84.71, 84.71, 50.0], [84.71, "-", "-"]]


def test_many_types_are_rows():
    first, second = tabulate({"test-de": make_scores(*"ABCDEFG")})
    assert first[0] == ["file", "lang", "docs", "P", "R", "F1"]
    assert [row[1] for row in second[1]] == list("ABCDEFG")
