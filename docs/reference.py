"""Write the page reference.md from docstrings, signatures and commands."""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Optional

import typer
from spacy.language import Language

from spacy_crossner import cli
from spacy_crossner.errors import Errors, Warnings
from spacy_crossner.pipeline.settings import Distil, PairLoss, RelationContrast, SelfTraining

OUTPUT = Path(__file__).with_name("reference.md")
# Titles of the registered functions, by entry point group.
SECTIONS = {
    "spacy_factories": "Components",
    "spacy_architectures": "Architectures",
    "spacy_readers": "Readers",
    "spacy_batchers": "Batchers",
    "spacy_augmenters": "Augmenters",
    "spacy_tokenizers": "Tokenizers",
    "spacy_scorers": "Scorers",
    "spacy_loggers": "Loggers",
    "spacy_callbacks": "Callbacks",
    "spacy_crossner_engines": "Translation engines",
}
# An argument starts a line: "name (Type): meaning". Several may share a meaning.
ARGUMENT = re.compile(r"^(\*{0,2}\w+(?:, \w+)*) \((.+?)\): (.+)$")
BLOCKS = (Distil, SelfTraining, PairLoss, RelationContrast)
# Public modules besides those of the commands' functions.
LIBRARY = ("spacy_crossner.data.view", "spacy_crossner.ml.losses")
# Classes whose fields are settings of these functions.
SETTINGS = {("spacy_crossner.distil.annotator", "Settings")}
INTRODUCTION = """
# Reference

Made from the docstrings by `python docs/reference.py`; change those, not this file.
[Concepts](concepts.md) explains the words, [Troubleshooting](troubleshooting.md) the messages.
"""


@dataclass(frozen=True)
class Argument:
    """Documentation of an argument or a return value.

    name (str): Its name; RETURNS or YIELDS for a return value.
    type (str): Its type as in the docstring.
    meaning (str): Its meaning.
    """

    name: str
    type: str
    meaning: str


def parse_docstring(text: str) -> tuple[str, list[Argument]]:
    """Parse a docstring in spaCy's style.

    text (str): The docstring.
    RETURNS (Tuple[str, List[Argument]]): The description and the arguments.
    """
    prose: list[str] = []
    arguments: list[Argument] = []
    # continuation lines are indented
    for line in re.sub(r"\n +", " ", inspect.cleandoc(text)).splitlines():
        if found := ARGUMENT.match(line):
            arguments += [Argument(name, found[2], found[3]) for name in found[1].split(", ")]
        else:
            prose.append(line)
    return "\n".join(prose).strip(), arguments


def write_reference() -> str:
    """Make the whole reference page.

    RETURNS (str): Markdown.
    """
    parts = [INTRODUCTION.strip()]
    for group, title in SECTIONS.items():
        parts += [f"## {title}", *_iter_registered(group)]
        if group == "spacy_factories":
            parts += [_describe(block, "###", f"Block `{block.__name__}`") for block in BLOCKS]
    parts += ["## Commands", "Each is `python -m spacy crossner` and its name.", *_iter_commands()]
    parts += ["## Python", *_iter_python()]
    parts += ["## Messages", *_iter_messages()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _iter_registered(group: str) -> Iterator[str]:
    points = distribution("spacy-crossner").entry_points.select(group=group)
    for point in sorted(points, key=lambda point: point.name):
        function = point.load()
        defaults: Optional[dict[str, Any]] = None
        if group == "spacy_factories":
            defaults = Language.get_factory_meta(point.name).default_config
        yield _describe(function, "###", f"`{point.name}`", defaults)


def _describe(
    thing: Callable[..., Any], level: str, title: str, defaults: Optional[dict[str, Any]] = None
) -> str:
    """Describe a function or a class: its purpose, and a table of its arguments."""
    prose, arguments = parse_docstring(thing.__doc__ or "")
    parameters = inspect.signature(thing).parameters
    known = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    known |= defaults or {}
    if defaults is None and not any(one.name in parameters for one in arguments):
        # self-explanatory names have no description
        arguments = [*(Argument(name, "Any", "") for name in parameters), *arguments]
    rows = [
        (
            f"**{one.name}**" if one.name in ("RETURNS", "YIELDS") else f"`{one.name}`",
            f"`{one.type}`",
            _show(known[one.name]) if one.name in known else "",
            one.meaning,
        )
        for one in arguments
    ]
    table = _tabulate(("Name", "Type", "Default", "Description"), rows) if rows else ""
    return "\n\n".join(part for part in (f"{level} {title}", prose, table) if part)


def _iter_commands() -> Iterator[str]:
    group: Any = typer.main.get_command(cli.app)
    for name, command in sorted(group.commands.items()):
        function = inspect.unwrap(command.callback)
        defaults = inspect.signature(function).parameters
        rows = []
        for parameter in command.params:
            default = defaults[parameter.name].default
            option = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name
            needed = default is inspect.Parameter.empty
            rows.append((f"`{option}`", "needed" if needed else _show(default), parameter.help))
        yield f"### `{name}`\n\n{inspect.cleandoc(function.__doc__ or '')}"
        yield _tabulate(("Name", "Default", "Description"), rows)


def _iter_python() -> Iterator[str]:
    """Describe the functions behind the commands, then the modules for own docs and objectives."""
    names = SETTINGS | {(module, name) for module in LIBRARY for name in _list_public(module)}
    for path in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            # the commands import the library's functions inside their bodies
            if isinstance(node, ast.ImportFrom) and node.col_offset and path.name != "app.py":
                names |= {(str(node.module), name.name) for name in node.names}
    for module, name in sorted(names):
        if module.startswith("spacy_crossner."):
            yield _describe(getattr(import_module(module), name), "###", f"`{module}.{name}`")


def _list_public(module: str) -> list[str]:
    """List the public functions and classes that a module defines."""
    things = vars(import_module(module)).items()
    return [
        name
        for name, thing in things
        if callable(thing) and thing.__module__ == module and not name.startswith("_")
    ]


def _iter_messages() -> Iterator[str]:
    for messages in (Errors, Warnings):
        codes = sorted(code for code in vars(messages) if code.startswith("CN"))
        rows = [(code, getattr(messages, code).partition("] ")[2]) for code in codes]
        yield _tabulate(("Code", "Error" if messages is Errors else "Warning"), rows)


def _show(value: Any) -> str:
    """Format a default for a table."""
    if isinstance(value, dict):
        # a block with a registered function, or a block of settings
        names = [str(name) for key, name in value.items() if key.startswith("@")]
        return f"`{names[0]}`" if names else "the block's"
    return f"`{value.as_posix() if isinstance(value, Path) else value!r}`"


def _tabulate(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    # a command in a message is on a separate line
    escaped = (
        [str(cell).replace("|", "\\|").replace("\n", "<br>") for cell in line] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


if __name__ == "__main__":
    # a script finds modules in its own folder only
    sys.path.insert(0, str(OUTPUT.parent.parent))
    from docs import troubleshooting

    OUTPUT.write_text(write_reference(), encoding="utf8")
    troubleshooting.OUTPUT.write_text(troubleshooting.write_troubleshooting(), encoding="utf8")
