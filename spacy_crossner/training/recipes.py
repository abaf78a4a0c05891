"""Recipes: a training config, the views that it reads, and how its students continue.

`configs/recipes.yml` is the only place that holds settings of the method.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, Optional

import srsly
from thinc.api import Config

from spacy_crossner.data.view import View
from spacy_crossner.distil.annotator import Settings
from spacy_crossner.distil.select import check_settings
from spacy_crossner.errors import CrossnerError, Errors

PACKAGE = Path(__file__).parent.parent
# A wheel holds the recipes inside of the package, a checkout beside it.
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")
FILE = "recipes.yml"
# What a recipe reads of the views of a kind, see `Recipe.choose`.
LABELS, BY_HAND, CONTRAST = "labels", "by hand", "contrast"
USES = (LABELS, BY_HAND, CONTRAST)
VIEW_KINDS = ("translation", "codeswitch")
HEADS = ("token_label_ner", "token_pair_ner")
# Settings of the annotation that a recipe may have; the run knows the others.
ANNOTATION = {item.name for item in fields(Settings)} - {"teachers", "seed"}
SELECTION = {*signature(check_settings).parameters}


@dataclass(frozen=True)
class Recipe:
    """What to train, and on what.

    name (str): Its name.
    config (Path): A training config.
    views (Dict[str, str]): How each kind of view is used: "labels" trains on its labels, "by hand"
        reads only views that a person has labelled, "contrast" reads all and trains on the labels
        of those that a person has labelled.
    bitext (bool): Whether text that only has translations, and no labels, trains too.
    set (Dict[str, Any]): Settings that replace the config's, by dotted name.
    rounds (int): How often target text is annotated and a student trained on it.
    annotate (Dict[str, Any]): Settings of the annotation. `bias` holds for languages in which the
        teacher was trained on no labels, if it brings the teacher more entities.
    select (Dict[str, Any]): Settings of the selection that follows; without any, students train on
        all that was annotated.
    student (Dict[str, Any]): Settings that replace the config's in those rounds.
    continue_from_teacher (bool): Whether students start from their teacher's weights.
    steps (float): Factor on the number of steps of each training.
    student_steps (float): Another factor on those of a student.
    students (int): How many students go on from the teacher in each round, each with its own seed;
        the mean of their weights is the student.
    teacher_share (float): How much the teacher's weights count when they are averaged with the
        student's in the end; 0 leaves the student as it is.
    teachers (Tuple[Recipe, ...]): Recipes that train the teachers of the first round, whose
        probabilities are averaged; without any, the recipe trains its own. Students continue from
        the first. A recipe that occurs again trains with another seed.
    """

    name: str
    config: Path
    views: dict[str, str] = field(default_factory=dict)
    bitext: bool = False
    set: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    annotate: dict[str, Any] = field(default_factory=dict)
    select: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    continue_from_teacher: bool = False
    steps: float = 1.0
    student_steps: float = 1.0
    students: int = 1
    teacher_share: float = 0.0
    teachers: tuple["Recipe", ...] = ()

    def __post_init__(self) -> None:
        for kind, use in self.views.items():
            if kind not in VIEW_KINDS:
                raise ValueError(f"'{kind}' is not one of {', '.join(VIEW_KINDS)}")
            if use not in USES:
                raise ValueError(f"'{use}' is not one of {', '.join(USES)}")
        if not isinstance(self.rounds, int) or self.rounds < 0:
            raise ValueError("rounds must be a whole number, at least 0")
        for key, known in (("annotate", ANNOTATION), ("select", SELECTION)):
            unknown = sorted(set(getattr(self, key)) - known)
            if unknown:
                raise ValueError(f"{key}: '{unknown[0]}' is not one of {', '.join(sorted(known))}")
        Settings(tuple(one.name for one in self.teachers or (self,)), **self.annotate)
        check_settings(**self.select)
        if self.teachers and not self.rounds:
            raise ValueError(f"it has no rounds in which '{self.teachers[0].name}' could teach")

        if self.students < 1:
            raise ValueError("students must be at least 1")
        if not 0.0 <= self.teacher_share < 1.0:
            raise ValueError("teacher_share must be at least 0 and less than 1")
        if (self.students > 1 or self.teacher_share) and not self.continue_from_teacher:
            raise ValueError(
                "only what starts from the same weights can be averaged: set "
                "continue_from_teacher to true, or students to 1 and teacher_share to 0"
            )

        if self.teacher_share and self.teachers and self.teachers[0].heads != self.heads:
            raise ValueError(
                f"its teacher '{self.teachers[0].name}' has another head, so their weights can't "
                "be averaged: set teacher_share to 0"
            )

    @property
    def heads(self) -> list[str]:
        """The factories of the NER components in its config."""
        parts = Config().from_disk(self.config, interpolate=False).get("components", {})
        return [part["factory"] for part in parts.values() if part.get("factory") in HEADS]

    @property
    def slug(self) -> str:
        """Name of the recipe as a folder name."""
        return "-".join(self.name.split())

    def choose(self, view: Optional[View]) -> tuple[bool, bool]:
        """Decide how a labelled sentence or one of its views is used.

        view (Optional[View]): The doc's view.
        RETURNS (Tuple[bool, bool]): Whether it is read, and whether its labels train.
        """
        if view is None or view.kind == "source":
            return True, True
        use = self.views.get(view.kind)
        if use == BY_HAND:
            return view.by_hand, view.by_hand
        return use is not None, use == LABELS or view.by_hand


KEYS = {item.name for item in fields(Recipe)} - {"name"} | {"like"}


def find_folder() -> Path:
    """Find the folder of the recipes and their configs."""
    return next(folder for folder in FOLDERS if folder.is_dir())


def find_configs() -> dict[str, Path]:
    """Find the training configs by name."""
    return {path.stem: path for path in sorted(find_folder().glob("*.cfg"))}


def find_recipe(name: str, path: Optional[Path] = None) -> Recipe:
    """Find a recipe by name.

    name (str): Its name.
    path (Optional[Path]): A file of recipes; None takes that of the package.
    RETURNS (Recipe): The recipe.
    """
    path = path or find_folder() / FILE
    recipes = read_recipes(path)
    if name not in recipes:
        raise CrossnerError(Errors.CN632.format(name=name, path=path, known=_list(recipes)))
    return recipes[name]


def _list(recipes: Iterable[str]) -> str:
    """List the names of the recipes without their variants."""
    main = [name for name in recipes if " " not in name]
    return f"{', '.join(main)} and variants of them, named in the file"


@cache
def read_recipes(path: Path) -> dict[str, Recipe]:
    """Read a file of recipes; their configs lie beside it.

    path (Path): The YAML file.
    RETURNS (Dict[str, Recipe]): The recipes by name.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    try:
        entries: dict[str, dict[str, Any]] = srsly.read_yaml(path)
        names = list(entries)
    except (AttributeError, TypeError, ValueError) as error:
        raise CrossnerError(Errors.CN658.format(path=path, problem=error)) from None
    recipes = {}
    for name in names:
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
        raise ValueError(f"{config} does not exist")
    teachers = []
    for teacher in settings.pop("teachers", ()):
        if _resolve(teacher, entries).get("teachers"):
            raise ValueError(f"its teacher '{teacher}' has other teachers itself")
        teachers.append(_make_recipe(teacher, entries, path))
    return Recipe(name, config, teachers=tuple(teachers), **settings)


def _resolve(name: str, entries: dict[str, dict[str, Any]], seen: tuple = ()) -> dict[str, Any]:
    if name in seen:
        raise ValueError(f"{' is like '.join((*seen, name))}")
    if name not in entries:
        raise ValueError(f"there is no recipe '{name}'; check like and teachers")
    if not isinstance(entries[name], dict):
        raise ValueError("it has no settings")
    own = dict(entries[name])
    unknown = sorted(set(own) - KEYS)
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not one of {', '.join(sorted(KEYS))}")
    like = own.pop("like", None)
    if like is None:
        return own
    settings = _resolve(like, entries, (*seen, name))
    for key in ("set", "student", "annotate", "select", "views"):
        settings[key] = {**settings.get(key, {}), **own.pop(key, {})}
    return {**settings, **own}


def choose_recipes(recipes: dict[str, Recipe], names: Iterable[str], path: Path) -> list[Recipe]:
    """Find recipes by name.

    recipes (Dict[str, Recipe]): The recipes.
    names (Iterable[str]): Names, in which `*` stands for anything.
    path (Path): The file of the recipes, for messages.
    RETURNS (List[Recipe]): The recipes, each once.
    """
    chosen: dict[str, Recipe] = {}
    for name in (name.strip() for name in names):
        found = [other for other in recipes if fnmatchcase(other, name)]
        if not found:
            raise CrossnerError(Errors.CN632.format(name=name, path=path, known=_list(recipes)))
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
        except (ValueError, RecursionError):
            settings[key.strip()] = text
    return settings
