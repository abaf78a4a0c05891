"""Tables for people: as text, and as data frames."""

from collections.abc import Sequence
from typing import Any

from wasabi import table

from spacy_crossner.errors import CrossnerError, Errors


def render_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Format a table as text, without blank lines around it."""
    aligns: Any = ("l", *"r" * (len(header) - 1))
    return table(rows, header=header, divider=True, aligns=aligns, max_col=80).strip("\n")


def make_frame(header: Sequence[str], rows: Sequence[tuple]) -> Any:
    """Convert a table to a data frame, or raise an error if pandas is missing."""
    try:
        import pandas
    except ImportError:
        raise CrossnerError(Errors.CN830) from None
    return pandas.DataFrame(rows, columns=list(header))
