"""Every registered name is found by a process that never imports the package."""

import ast
import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import typer
from typer.testing import CliRunner

import spacy_crossner
from spacy_crossner import cli
from spacy_crossner.errors import CrossnerError, Errors, Warnings

PACKAGE = Path(spacy_crossner.__file__).parent
# entry point group -> spaCy registry
REGISTRIES = {
    "spacy_architectures": "architectures",
    "spacy_augmenters": "augmenters",
    "spacy_batchers": "batchers",
    "spacy_callbacks": "callbacks",
    "spacy_loggers": "loggers",
    "spacy_misc": "misc",
    "spacy_readers": "readers",
    "spacy_scorers": "scorers",
    "spacy_tokenizers": "tokenizers",
}


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def our_entry_points() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for point in distribution("spacy-crossner").entry_points:
        found.setdefault(point.group, []).append(point.name)
    return found


def test_every_name_resolves_in_a_fresh_process():
    names = our_entry_points()
    factories = sorted(set(names["spacy_factories"]))
    wanted = {REGISTRIES[g]: sorted(set(n)) for g, n in names.items() if g in REGISTRIES}
    run(
        "import spacy, sys\n"
        f"for registry, names in {wanted!r}.items():\n"
        "    for name in names:\n"
        "        assert callable(getattr(spacy.registry, registry).get(name)), name\n"
        "nlp = spacy.blank('xx')\n"
        f"for name in {factories!r}:\n"
        "    assert nlp.has_factory(name), name\n"
        "    nlp.get_factory_meta(name)\n"
    )


def test_every_registered_name_has_an_entry_point():
    """What is decorated or registered in the sources is declared, and nothing else is."""
    in_sources: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called = ast.unparse(node.func)
            name = node.args[0] if node.args else None
            if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                continue
            ours = "registry" in called and name.value.startswith("spacy-crossner.")
            if ours or called.endswith("Language.factory"):
                in_sources.add(name.value)
    declared = {
        name
        for group, names in our_entry_points().items()
        if group in REGISTRIES or group == "spacy_factories"
        for name in names
    }
    assert in_sources == declared


def test_importing_the_package_is_cheap():
    modules = json.loads(
        run("import json, sys, spacy_crossner; print(json.dumps(sorted(sys.modules)))")
    )
    assert not {"torch", "spacy", "thinc", "transformers", "numpy"} & set(modules)
    assert spacy_crossner.__version__


def test_the_command_module_loads_no_heavy_part_of_ours():
    modules = json.loads(
        run("import json, sys, spacy_crossner.cli; print(json.dumps(sorted(sys.modules)))")
    )
    ours = {name for name in modules if name.startswith("spacy_crossner.")}
    light = ("spacy_crossner.about", "spacy_crossner.cli", "spacy_crossner.errors")
    assert all(name.startswith(light) for name in ours)
    assert "transformers" not in modules


def test_help_lists_every_command():
    names = [command.name for command in cli.app.registered_commands]
    assert {"encoder", "convert", "inspect", "sample", "evaluate", "calibrate"} <= set(names)
    result = subprocess.run(
        [sys.executable, "-m", "spacy", "crossner", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in cli.app.registered_commands:
        assert f"  {command.name} " in result.stdout
        assert command.callback.__doc__, command.name
        helped = CliRunner().invoke(cli.app, [command.name, "--help"])
        assert helped.exit_code == 0, helped.output


def test_a_mistake_is_one_message_and_exit_code_1(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "spacy", "crossner", "inspect", str(tmp_path / "no.spacy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "no.spacy" in result.stdout
    assert "[CN2" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_bug_is_no_mistake_of_the_user():
    app = typer.Typer(name="crossner")

    @cli.command("bug", to=app)
    def bug() -> None:
        raise RuntimeError("ours")

    @cli.command("mistake", to=app)
    def mistake() -> None:
        raise CrossnerError("theirs")

    assert isinstance(CliRunner().invoke(app, ["bug"]).exception, RuntimeError)
    result = CliRunner().invoke(app, ["mistake"])
    assert result.exit_code == 1
    assert "theirs" in result.output


def test_every_error_has_a_code_of_its_own():
    for group in (Errors, Warnings):
        for name in vars(group):
            if name.startswith("CN"):
                assert getattr(group, name).startswith(f"[{name}] ")
