"""Everything that can be called, configured or given on the command line says what it is."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest

from docs.reference import Argument, parse_docstring, write_reference
from docs.troubleshooting import split_message
from spacy_crossner import cli
from spacy_crossner.errors import Errors, Warnings

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path for room in ("spacy_crossner", "benchmarks") for path in (ROOT / room).rglob("*.py")
)
REGISTERED = re.findall(
    r'^"?[\w.-]+"? = "(spacy_crossner\.[\w.]+):(\w+)"$',
    (ROOT / "pyproject.toml").read_text(encoding="utf8"),
    re.MULTILINE,
)
# translation engines and commands are in no config
CONFIGURED = [
    found for found in REGISTERED if ".engine_" not in found[0] and found[0] != "spacy_crossner.cli"
]
# what spaCy passes to a factory beside its config
NOT_CONFIG = ("nlp", "name")
Definition = ast.FunctionDef | ast.ClassDef


def iter_public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Iterate over the names and definitions that other modules may use."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from iter_public(node.body, f"{prefix}{node.name}.")


def is_stub(node: Definition) -> bool:
    """Check if a definition is a protocol's "..." or the setter of a property."""
    return isinstance(node, ast.FunctionDef) and (
        ast.unparse(node.body[-1]) == "..."
        or any(ast.unparse(decorator).endswith(".setter") for decorator in node.decorator_list)
    )


def find_undocumented(source: str) -> list[str]:
    """List the public definitions that have no docstring."""
    return [
        name
        for name, node in iter_public(ast.parse(source).body)
        if not ast.get_docstring(node)
        and not is_stub(node)
        and node.name not in ("Errors", "Warnings")
    ]


def find_half_documented(source: str) -> list[str]:
    """A docstring that explains arguments explains all of them, and no others.

    RETURNS (List[str]): Functions and their arguments.
    """
    found = []
    for name, node in iter_public(ast.parse(source).body):
        if not isinstance(node, ast.FunctionDef):
            continue
        documented = read_documented(node) - {"RETURNS", "YIELDS"}
        given = node.args
        variadic = {one.arg for one in (given.vararg, given.kwarg) if one}
        keys = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
        wrong = (documented - variadic) ^ (keys - {"self", "cls"})
        # spaCy gives these to every factory
        wrong -= {*NOT_CONFIG} if "Language.factory" in ast.unparse(node) else set()
        # another function may explain the rest
        if re.search(r"[Ss]ee `\w+` for ", ast.get_docstring(node) or ""):
            wrong &= documented
        found += [f"{name}: {key}" for key in sorted(wrong) if documented]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_everything_public_has_a_docstring(path):
    source = path.read_text(encoding="utf8")
    if source:
        assert ast.get_docstring(ast.parse(source)), "the module"
    assert find_undocumented(source) == []
    assert find_half_documented(source) == []


def test_what_is_missing_is_found():
    source = """
def said(a, b):
    '''Say.

    a (int): One.
    b (int): Two.
    '''
class Loud:
    '''Shout.'''
    def shout(self): return 1
    def _whisper(self): return 2
def silent(): return 3
"""
    assert find_undocumented(source) == ["Loud.shout", "silent"]
    assert find_half_documented(source) == []
    assert find_half_documented(source.replace("said(a, b)", "said(a, c)")) == [
        "said: b",
        "said: c",
    ]


def read_function(module: str, name: str) -> ast.FunctionDef:
    path = ROOT / (module.replace(".", "/") + ".py")
    for _, node in iter_public(ast.parse(path.read_text(encoding="utf8")).body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    # architectures.py gathers what other modules define
    imported = re.search(
        rf"^from ([\w.]+) import [^\n(]*(?:\([^)]*)?\b{name}\b",
        path.read_text(encoding="utf8"),
        re.MULTILINE,
    )
    assert imported, f"{module} has no {name}"
    return read_function(imported[1], name)


def read_documented(node: Definition) -> set[str]:
    """Collect the arguments that a docstring explains, also by naming another function."""
    docstring = ast.get_docstring(node) or ""
    keys = {argument.name for argument in parse_docstring(docstring)[1]}
    for other in re.findall(r"other settings are those of `(\w+)`", docstring):
        (found,) = [one for one in REGISTERED if one[1] == other]
        keys |= read_documented(read_function(*found))
    return keys


@pytest.mark.parametrize(("module", "name"), CONFIGURED, ids=[name for _, name in CONFIGURED])
def test_every_config_key_is_documented(module, name):
    node = read_function(module, name)
    keys = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
    assert keys - {*NOT_CONFIG} - read_documented(node) == set()


def test_every_key_of_a_block_is_documented():
    tree = ast.parse((ROOT / "spacy_crossner" / "pipeline" / "settings.py").read_text("utf8"))
    blocks = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(blocks) > 2
    for block in blocks:
        keys = {ast.unparse(one.target) for one in block.body if isinstance(one, ast.AnnAssign)}
        assert keys == read_documented(block), block.name


@pytest.mark.parametrize(
    "command", cli.app.registered_commands, ids=lambda command: str(command.name)
)
def test_every_option_has_help(command):
    function: Any = inspect.unwrap(command.callback)
    assert function.__doc__
    assert function.__doc__.strip().splitlines()[0].endswith((".", "?"))
    for name, parameter in inspect.signature(function).parameters.items():
        assert get_origin(parameter.annotation) is Annotated, name
        assert get_args(parameter.annotation)[1].help, name


@pytest.mark.parametrize("messages", [Errors, Warnings])
def test_every_message_is_used_and_has_a_remedy(messages):
    """Each code is used, and tells the user what to do."""
    source = "\n".join(path.read_text(encoding="utf8") for path in MODULES if path.stem != "errors")
    for code in vars(messages):
        if code.startswith("CN"):
            assert code in source, f"{code} is never raised"
            message = getattr(messages, code)
            assert message.startswith(f"[{code}] ")
            cause, remedy = split_message(message.removeprefix(f"[{code}] "))
            assert cause, code
            assert remedy, code


def test_docstrings_are_taken_apart():
    text = """Do it.

    Twice.

    a, b (int): What
        to do.
    RETURNS (str): The end.
    """
    prose, arguments = parse_docstring(text)
    assert prose == "Do it.\n\nTwice."
    assert arguments == [
        Argument("a", "int", "What to do."),
        Argument("b", "int", "What to do."),
        Argument("RETURNS", "str", "The end."),
    ]


def test_reference_is_current():
    """If this fails: python docs/reference.py."""
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf8")
    assert written == write_reference()


def test_reference_is_complete():
    """It has each name that a config, a command line or a message can hold."""
    reference = write_reference()
    for module, name in CONFIGURED:
        keys = read_documented(read_function(module, name)) - {"RETURNS"}
        assert all(f"`{key}`" in reference for key in keys), name
    for command in cli.app.registered_commands:
        assert f"\n### `{command.name}`\n" in reference
    for messages in (Errors, Warnings):
        assert all(f"| {code} |" in reference for code in vars(messages) if code.startswith("CN"))


def test_pages_name_every_command():
    """The reference is made from the code; another page has to say when to use a command."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text("utf8") for page in pages if page.stem != "reference")
    for command in cli.app.registered_commands:
        assert re.search(rf"`{command.name}`|crossner {command.name} ", text), command.name
