"""The rooms of the package: imports run downwards, without circles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "spacy_crossner"
# From the top floor to the ground; rooms of one floor may use each other, in one direction.
FLOORS = (
    {"cli"},
    {"api"},
    {"start"},
    {"training"},
    {"report"},
    {"scale"},
    {"ship"},
    {"translate", "lexicon"},
    {"distil"},
    {"pipeline"},
    {"data"},
    {"ml"},
    {"schemes"},
    {"tables", "scripts"},
    {"errors", "types", "files", "checks", "about", "spacy_crossner"},
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def read_imports(path):
    """Collect the modules of the package that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        found |= {name for name in names if name.startswith("spacy_crossner")}
    return found


def name_module(path):
    parts = ("spacy_crossner", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_module(path): path for path in sorted(ROOT.rglob("*.py"))}
# the face of the package offers functions of all rooms, and imports them when they are asked for
EDGES = {
    name: read_imports(path) & MODULES.keys() - {name}
    for name, path in MODULES.items()
    if name != "spacy_crossner"
}


def find_room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


@pytest.mark.parametrize("module", EDGES)
def test_imports_run_downwards(module):
    for other in EDGES[module] - {"spacy_crossner"}:
        assert LEVEL[find_room(module)] <= LEVEL[find_room(other)], f"{module} imports {other}"


def test_no_circles():
    """Between modules, where a package stands for itself and not for what is in it."""
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for other in sorted(EDGES.get(module, ())):
            # a package imports its modules, which may import the package's other modules
            if not module.startswith(f"{other}."):
                visit(other)
        path.pop()
        done.add(module)

    for module in EDGES:
        visit(module)


def test_no_file_is_long():
    long = {
        name: count
        for name, path in MODULES.items()
        if (count := len(path.read_text(encoding="utf8").splitlines())) > 600
    }
    assert set(long) <= {"spacy_crossner.errors"}
