"""Commands use the same words for the same things."""

import re

import pytest
import typer

from benchmarks.__main__ import app as laboratory
from spacy_crossner import cli
from spacy_crossner.cli.app import RENAMED_IN, SHORT

COMMANDS = {
    **typer.main.get_command(cli.app).commands,
    **typer.main.get_command(laboratory).commands,
}
ARGUMENTS = {
    name: [p for p in command.params if p.param_type_name == "argument"]
    for name, command in COMMANDS.items()
}
OPTIONS = [
    (name, option, max(option.opts, key=len))
    for name, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option"
]
# One word for each thing, and others that it is also known by.
SYNONYMS = {
    "--output": "out outfile output-file output-dir output-path destination html json save",
    "--report": "metrics-output stats summary",
    "--gpu-id": "gpus cuda use-gpu",
    "--lang": "language",
    "--languages": "langs",
    "--n-process": "processes jobs n-jobs num-workers",
    "--batch-size": "batch",
    "--restart": "overwrite",
    "--limit": "max-sentences max-texts n-limit",
    "--seed": "random-seed",
    "--encoder": "encoder-path base-model",
    "--texts": "text-files",
    "--quiet": "silent",
}
ODD = {f"--{word}": name for name, words in SYNONYMS.items() for word in words.split()}


def test_one_word_for_each_thing():
    found = {option for _, _, option in OPTIONS}
    assert {option: ODD[option] for option in found & set(ODD)} == {}
    assert set(SYNONYMS) <= found
    assert all(re.fullmatch(r"--[a-z]+(-[a-z]+)*", option) for option in found)


def test_short_forms_are_the_same_everywhere():
    for name, option, long in OPTIONS:
        short = {one for one in option.opts if not one.startswith("--")}
        assert short == {SHORT[option.name]} if option.name in SHORT else not short, (name, long)


def test_what_a_command_writes_is_its_output():
    """The last argument or `--output`; a second file is JSON, and named by `--report`."""
    for name, arguments in ARGUMENTS.items():
        written = {long: o.help for n, o, long in OPTIONS if n == name and " to write" in o.help}
        assert set(written) <= {"--output", "--report"}, name
        outputs = [one for one in arguments if (one.metavar or one.name.upper()) == "OUTPUT"]
        assert outputs in ([], arguments[-1:]), name
        assert len(outputs) + ("--output" in written) <= 1, name
        if "--report" in written:
            assert written["--report"].startswith("JSON file to write"), name
            assert outputs or "--output" in written, name


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [(name, *pair) for name, renamed in RENAMED_IN.items() for pair in renamed.items()],
)
def test_former_names_are_still_read(command, old, new):
    """They are not listed in the help."""
    found = COMMANDS[command]
    context = found.context_class(found, info_name=command)
    values = ["x"] * len([one for one in ARGUMENTS[command] if one.required])
    for words in ([old, "a.json"], [f"{old}=a.json"] if old.startswith("--") else []):
        if words:
            found.parse_args(context, [*values, *words])
            assert str(context.params[new.strip("-")]) == "a.json"
    assert old not in {name for option in found.params for name in option.opts}
