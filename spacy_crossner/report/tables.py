"""Reports of other commands as tables: nested JSON, whatever its keys are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacy_crossner.report.names import language_name

# What is there to read one by one, and not to count.
LEFT_OUT = ("examples",)
MAX_ROWS = 200


@dataclass
class Table:
    """A table of a report.

    caption (str): What it shows.
    header (List[str]): Names of the columns.
    rows (List[List[str]]): The cells; the first of a row names it.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]


def make_tables(caption: str, values: dict[str, Any]) -> list[Table]:
    """Turn nested values into tables: objects with the same keys become the rows of one.

    caption (str): What the values are.
    values (Dict[str, Any]): Numbers and texts in any nesting. Lists are counted.
    RETURNS (List[Table]): The tables, the least nested first.
    """
    found: dict[tuple[int, tuple[str, ...]], list[list[str]]] = {}
    for path, cells in _iter_rows((), values):
        rows = found.setdefault((len(path), tuple(cells)), [])
        if len(rows) < MAX_ROWS:
            # reports of commands have languages at the top
            names = [language_name(name) for name in path[:1]] + list(path[1:])
            rows.append([" · ".join(names) or "all", *map(show, cells.values())])
    return [
        Table(
            f"{caption}: {', '.join(names)}",
            ["Part", *(name.replace("_", " ") for name in names)],
            rows,
        )
        for (_, names), rows in sorted(found.items(), key=lambda item: item[0][0])
    ]


def show(value: Any) -> str:
    """Format a cell: short numbers, and lists as their length."""
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
    return "-" if value is None else str(value)


def _iter_rows(
    path: tuple[str, ...], values: dict[str, Any]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    values = {key: value for key, value in values.items() if key not in LEFT_OUT}
    cells = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if cells:
        yield path, cells
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _iter_rows((*path, key), value)
