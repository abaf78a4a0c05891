"""Cross-lingual named entity recognition for spaCy.

Train in a language that has labels, ship in languages that have none. Importing this package is
cheap (no torch): the functions below are imported when they are first used, and spaCy reaches the
components through entry points when a config names them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacy_crossner.about import __version__

if TYPE_CHECKING:
    from spacy_crossner.api import calibrate, convert, evaluate, package
    from spacy_crossner.distil.annotate import annotate
    from spacy_crossner.distil.ask import ask
    from spacy_crossner.distil.select import select
    from spacy_crossner.scale.apply import apply
    from spacy_crossner.training.run import train

__all__ = [
    "__version__",
    "annotate",
    "apply",
    "ask",
    "calibrate",
    "convert",
    "evaluate",
    "package",
    "select",
    "train",
]

# Functions of the package, and the modules that have them.
MODULES = {
    "annotate": "spacy_crossner.distil.annotate",
    "apply": "spacy_crossner.scale.apply",
    "ask": "spacy_crossner.distil.ask",
    "calibrate": "spacy_crossner.api",
    "convert": "spacy_crossner.api",
    "evaluate": "spacy_crossner.api",
    "package": "spacy_crossner.api",
    "select": "spacy_crossner.distil.select",
    "train": "spacy_crossner.training.run",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *MODULES])
