"""Hide what is optional, to see that the tests pass without it: `pytest --without-optional`.

Programs are hidden by a PATH that holds only Python's folder, packages by entries in `sys.modules`
that make their import fail. Processes that a test starts inherit both.
"""

import os
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from tempfile import mkdtemp

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "SPACY_CROSSNER_HIDDEN"
STARTUP = f"""
import os, sys
for name in os.environ.get({VARIABLE!r}, "").split(","):
    if name:
        sys.modules[name] = None
"""


def optional_packages() -> set[str]:
    """Find the distributions that only users' extras require."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf8"))["project"]
    extras = project["optional-dependencies"]
    needed = find_needed(project["dependencies"])
    named = {
        Requirement(line).name
        for extra, lines in extras.items()
        if extra not in ("test", "dev")
        for line in lines
    }
    return {canonicalize_name(name) for name in named} - needed - {project["name"]}


def find_needed(lines: list[str]) -> set[str]:
    """Find the distributions that requirements need, directly or indirectly."""
    needed: set[str] = set()
    todo = list(lines)
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if name in needed or (marker is not None and not marker.evaluate({"extra": ""})):
            continue
        needed.add(name)
        try:
            todo += requires(name) or []
        except PackageNotFoundError:
            continue
    return needed


def hide_optional() -> None:
    """Hide programs and packages from this process and its children."""
    hidden = optional_packages()
    modules = [
        module
        for module, distributions in packages_distributions().items()
        if any(canonicalize_name(name) in hidden for name in distributions)
    ]
    os.environ["PATH"] = str(Path(sys.executable).parent)
    os.environ[VARIABLE] = ",".join(sorted(modules))
    startup = Path(mkdtemp(prefix="absence-"))
    (startup / "sitecustomize.py").write_text(STARTUP)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(startup), os.environ.get("PYTHONPATH", "")])
    )
    exec(STARTUP)
