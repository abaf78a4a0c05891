"""The project's workflows: inputs before outputs, nothing made twice, options that exist."""

import re
import shlex
from pathlib import Path

import pytest
import srsly
import typer
from weasel.util.config import load_project_config

from benchmarks.datasets import UNER_TESTS, prepare
from spacy_crossner import cli
from spacy_crossner.errors import CrossnerError

ROOT = Path(__file__).parent.parent
WORKFLOWS = ("all", "real", "baseline", "concner", "mclner", "ablation", "smoke")


@pytest.fixture(scope="module")
def project():
    """The project, its variables filled in; its folders are made elsewhere."""
    raw = srsly.read_yaml(ROOT / "project.yml")
    text = (ROOT / "project.yml").read_text(encoding="utf8")
    for name, value in raw["vars"].items():
        text = text.replace(f"${{vars.{name}}}", str(value))
    return srsly.yaml_loads(text)


@pytest.fixture(scope="module")
def commands(project):
    return {command["name"]: command for command in project["commands"]}


def outputs_of(command):
    return [*command.get("outputs", ()), *command.get("outputs_no_cache", ())]


def is_inside(path, folder):
    return path == folder or path.startswith(f"{folder}/")


def test_project_is_valid(tmp_path):
    (tmp_path / "project.yml").write_bytes((ROOT / "project.yml").read_bytes())
    config = load_project_config(tmp_path)
    assert set(config["workflows"]) == set(WORKFLOWS)
    # all folders that a script writes to are there before it runs
    assert all((tmp_path / name).is_dir() for name in config["directories"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_each_step_finds_its_inputs(project, commands, workflow):
    made = [asset["dest"] for asset in project["assets"]]
    for name in project["workflows"][workflow]:
        for dep in commands[name].get("deps", ()):
            shipped = dep.startswith(("assets/", "configs")) and (ROOT / dep).exists()
            earlier = any(is_inside(dep, path) or is_inside(path, dep) for path in made)
            assert shipped or earlier, f"{name} needs {dep}"
        made += outputs_of(commands[name])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_second_run_has_nothing_to_do(project, commands, workflow):
    """A step that wrote into another's output would make that one run again."""
    made = []
    for name in project["workflows"][workflow]:
        new = outputs_of(commands[name])
        assert new, f"{name} has no outputs, so it would always run"
        for path in new:
            assert not any(is_inside(path, old) or is_inside(old, path) for old in made)
        made += new


def test_options_exist(commands):
    group = typer.main.get_command(cli.app)
    for command in commands.values():
        for line in command["script"]:
            words = shlex.split(line)
            if words[:4] != ["python", "-m", "spacy", "crossner"]:
                continue
            known = {
                option
                for parameter in group.commands[words[4]].params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            options = [word for word in words if word.startswith("--")]
            assert set(options) <= known, line


def test_paths_stay_in_the_project(commands):
    for command in commands.values():
        for path in (*command.get("deps", ()), *outputs_of(command)):
            assert not Path(path).is_absolute()
            assert ".." not in Path(path).parts


def test_optional_assets_say_what_they_are(project):
    for asset in project["assets"]:
        # a commit, not a branch: the checksum has to hold for ever
        assert re.search(r"^https://.+/[0-9a-f]{40}/.+", asset["url"])
        assert re.fullmatch("[0-9a-f]{32}", asset["checksum"])
        assert asset["extra"] is True
        assert asset["dest"].startswith("assets/optional/")
        assert re.search(r"CC BY|for benchmarks only", asset["description"])
    dests = {asset["dest"] for asset in project["assets"]}
    for test in UNER_TESTS.values():
        assert f"assets/optional/uner/{test}-ud-test.iob2" in dests


def test_missing_assets_are_named(tmp_path):
    with pytest.raises(CrossnerError, match=r"CN631.*en_ewt-ud-test\.iob2"):
        prepare("uner", tmp_path / "corpus", tmp_path / "nothing")
    assert not (tmp_path / "corpus").exists()
