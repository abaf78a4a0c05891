"""Marks, written: the inverse of what the package reads."""

from collections import defaultdict
from collections.abc import Iterable

from spacy_crossner.data.markup import ESCAPED, Span


def format_marks(text: str, spans: Iterable[Span], nested: Iterable[Span] = ()) -> str:
    """Write spans into a text as marks that `parse_marks` reads back."""
    openings: defaultdict[int, str] = defaultdict(str)
    closings: defaultdict[int, str] = defaultdict(str)
    # the longest first, and of the same span the outer one
    for start, end, label in sorted([*spans, *nested], key=lambda span: (span[0], -span[1])):
        openings[start] += f"[{label} "
        closings[end] += "]"
    pieces = []
    for position, char in enumerate(text):
        escaped = f"\\{char}" if char in ESCAPED else char
        pieces += [closings[position], openings[position], escaped]
    return "".join(pieces) + closings[len(text)]
