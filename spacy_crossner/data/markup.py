r"""Sentences with their entities marked inline, in files that a person can read and edit.

One sentence a line, an id and a tab before it; blank lines and lines that start with `#` are
skipped:

    news-001	[PER Angela Ruiz] of the [ORG University of [LOC Oxford]] flew home \[by train\].

A mark is `[LABEL text]`. A mark inside another one is nested: the outermost marks are the flat
annotation, the inner ones are kept beside it. Real brackets and backslashes are written `\[`, `\]`
and `\\`.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.errors import CrossnerError, Errors

LABELS: tuple[str, ...] = ("PER", "ORG", "LOC")
ESCAPED = "[]\\"

Span = tuple[int, int, str]

_OPENING = re.compile(r"\[([A-Z_]+) ")
_ID = re.compile(r"[^\s#]\S*")


@dataclass(frozen=True)
class Marked:
    """A sentence and its entities.

    id (str): Unique within its corpus; a translation has the id of its source sentence.
    text (str): The plain text.
    spans (tuple): Flat entities in order: start and end character offsets, label.
    nested (tuple): Entities inside those, in the same form.
    """

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    nested: tuple[Span, ...] = ()


def parse_marks(
    marked: str, where: str = "text", labels: Collection[str] = LABELS
) -> tuple[str, tuple[Span, ...], tuple[Span, ...]]:
    """Take the marks out of a text.

    marked (str): Text with marks.
    where (str): What errors call the place, e.g. "dev.txt, line 3".
    labels (Collection[str]): The labels that may occur.
    RETURNS (tuple): The plain text, its outermost spans, and the spans nested in those.
    """
    text = ""
    found: list[tuple[int, int, str, int]] = []
    opened: list[int] = []
    position = 0
    while position < len(marked):
        char = marked[position]
        if char == "\\":
            escaped = marked[position + 1 : position + 2]
            if not escaped or escaped not in ESCAPED:
                raise CrossnerError(Errors.CN292.format(where=where, found=char + escaped))
            text += escaped
            position += 2
        elif char == "[":
            opening = _OPENING.match(marked, position)
            if opening is None or opening[1] not in labels:
                around = marked[position : position + 20]
                names = ", ".join(labels)
                raise CrossnerError(Errors.CN293.format(where=where, found=around, labels=names))
            found.append((len(text), -1, opening[1], len(opened)))
            opened.append(len(found) - 1)
            position = opening.end()
        elif char == "]":
            if not opened:
                raise CrossnerError(Errors.CN294.format(where=where, before=text[-20:]))
            index = opened.pop()
            start, _, label, depth = found[index]
            if not text[start:] or text[start:] != text[start:].strip():
                raise CrossnerError(
                    Errors.CN295.format(where=where, label=label, content=text[start:])
                )
            found[index] = (start, len(text), label, depth)
            position += 1
        else:
            text += char
            position += 1
    if opened:
        start, _, label, _ = found[opened[-1]]
        raise CrossnerError(
            Errors.CN296.format(where=where, label=label, content=text[start : start + 20])
        )
    spans = tuple((start, end, label) for start, end, label, depth in found if depth == 0)
    nested = tuple((start, end, label) for start, end, label, depth in found if depth > 0)
    return text, spans, nested


def _is_line(marked: str) -> bool:
    return bool(marked) and marked == marked.strip() and "\n" not in marked


def iter_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the sentences of a file as they stand there, ids checked.

    path (Path): A UTF-8 file of marked sentences.
    YIELDS (tuple): The place for messages ("dev.txt, line 3"), the id, the marked text.
    """
    seen: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        id_, tab, marked = line.partition("\t")
        if not tab or not _ID.fullmatch(id_) or not _is_line(marked):
            raise CrossnerError(Errors.CN290.format(where=where, found=line[:40]))
        if id_ in seen:
            raise CrossnerError(Errors.CN291.format(where=where, id=id_, first=seen[id_]))
        seen[id_] = number
        yield where, id_, marked


def read_marked(path: Path, labels: Collection[str] = LABELS) -> list[Marked]:
    """Read a file of marked sentences.

    path (Path): A UTF-8 file.
    labels (Collection[str]): The labels that may occur.
    RETURNS (list[Marked]): The sentences in order.
    """
    return [Marked(id_, *parse_marks(text, where, labels)) for where, id_, text in iter_lines(path)]
