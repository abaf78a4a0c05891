"""Recipes of the benchmark: a config, what is different in it, and the views that it trains on."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Optional

import srsly

from spacy_crossner.data.view import KINDS
from spacy_crossner.errors import CrossnerError, Errors

PACKAGE = Path(__file__).parent.parent
# A wheel holds them inside of the package, a checkout beside it.
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")


@dataclass(frozen=True)
class Recipe:
    """What to train, and on what.

    name (str): Its name.
    config (Path): A training config.
    views (Sequence[str]): Kinds of views that train beside the source.
    contrast (Sequence[str]): Kinds of views whose labels do not train.
    bitext (bool): Whether text that only has translations, and no labels, trains too.
    set (Dict[str, Any]): Settings that replace the config's, by dotted name.
    rounds (int): How often text without labels is annotated and a student trained on it.
    annotate (Dict[str, Any]): Settings of the annotation.
    student (Dict[str, Any]): Settings that replace the config's in those rounds.
    continue_from_teacher (bool): Whether students start from their teacher's weights.
    steps (float): Factor on the number of steps of each training.
    student_steps (float): Another on those of a student.
    teacher (Optional[Recipe]): A recipe that trains the first teacher in its place.
    """

    name: str
    config: Path
    views: Sequence[str] = ()
    contrast: Sequence[str] = ()
    bitext: bool = False
    set: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    annotate: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    continue_from_teacher: bool = False
    steps: float = 1.0
    student_steps: float = 1.0
    teacher: Optional["Recipe"] = None

    def __post_init__(self) -> None:
        unknown = sorted({*self.views, *self.contrast} - set(KINDS))
        if unknown:
            raise ValueError(f"'{unknown[0]}' is no kind of view")
        if not set(self.contrast) <= set(self.views):
            raise ValueError("contrast names kinds that are not in views")
        if self.teacher is not None and not self.rounds:
            raise ValueError(f"it has no rounds in which '{self.teacher.name}' could teach")

    @property
    def slug(self) -> str:
        """RETURNS (str): The name as the name of a folder."""
        return "-".join(self.name.split())


KEYS = {item.name for item in fields(Recipe)} - {"name"} | {"like"}


def read_recipes(path: Path) -> dict[str, Recipe]:
    """Read a file of recipes; their configs lie beside it.

    path (Path): The YAML file.
    RETURNS (Dict[str, Recipe]): The recipes by name.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    entries: dict[str, dict[str, Any]] = srsly.read_yaml(path)
    recipes = {}
    for name in entries:
        try:
            recipes[name] = _make_recipe(name, entries, path)
        except (KeyError, TypeError, ValueError) as error:
            message = Errors.CN633.format(path=path, name=name, problem=error)
            raise CrossnerError(message) from None
    return recipes


def _make_recipe(name: str, entries: dict[str, dict[str, Any]], path: Path) -> Recipe:
    settings = _resolve(name, entries)
    config = path.parent / f"{settings.pop('config')}.cfg"
    if not config.exists():
        raise ValueError(f"there is no {config}")
    teacher = settings.get("teacher")
    if teacher is not None:
        # what learns from another can't be that other's first training
        if _resolve(teacher, entries).get("teacher") is not None:
            raise ValueError(f"its teacher '{teacher}' has another teacher itself")
        settings["teacher"] = _make_recipe(teacher, entries, path)
    return Recipe(name, config, **settings)


def _resolve(name: str, entries: dict[str, dict[str, Any]], seen: tuple = ()) -> dict[str, Any]:
    if name in seen:
        raise ValueError(f"{' is like '.join((*seen, name))}")
    own = dict(entries[name])
    unknown = sorted(set(own) - KEYS)
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not one of {', '.join(sorted(KEYS))}")
    like = own.pop("like", None)
    if like is None:
        return own
    settings = _resolve(like, entries, (*seen, name))
    for key in ("set", "student", "annotate"):
        settings[key] = {**settings.get(key, {}), **own.pop(key, {})}
    return {**settings, **own}


def choose_recipes(recipes: dict[str, Recipe], names: Iterable[str], path: Path) -> list[Recipe]:
    """Find recipes by name.

    recipes (Dict[str, Recipe]): The recipes.
    names (Iterable[str]): Names, in which `*` stands for anything.
    path (Path): Where they are from, for messages.
    RETURNS (List[Recipe]): The recipes, each once.
    """
    chosen: dict[str, Recipe] = {}
    for name in names:
        found = [other for other in recipes if fnmatchcase(other, name)]
        if not found:
            known = ", ".join(recipes)
            raise CrossnerError(Errors.CN632.format(name=name, path=path, known=known))
        chosen.update((other, recipes[other]) for other in found)
    return list(chosen.values())


def parse_settings(values: Iterable[str]) -> dict[str, Any]:
    """Read settings such as "training.dropout=0.2".

    values (Iterable[str]): The settings; a value is JSON, or a string without quotes.
    RETURNS (Dict[str, Any]): The values by dotted name.
    """
    settings: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or "." not in key:
            raise CrossnerError(Errors.CN636.format(value=value))
        try:
            settings[key.strip()] = json.loads(text)
        except ValueError:
            settings[key.strip()] = text
    return settings


def find_recipes() -> dict[str, Path]:
    """RETURNS (Dict[str, Path]): The configs of the recipes, by name."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.cfg"))}


def find_recipe(name: str) -> Path:
    """RETURNS (Path): The config of a recipe."""
    recipes = find_recipes()
    if name not in recipes:
        raise CrossnerError(Errors.CN030.format(name=name, known=", ".join(recipes)))
    return recipes[name]
