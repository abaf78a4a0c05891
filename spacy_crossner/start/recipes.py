"""The recipes that come with the package."""

from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors

PACKAGE = Path(__file__).parent.parent
# A wheel holds them inside of the package, a checkout beside it.
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")


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
