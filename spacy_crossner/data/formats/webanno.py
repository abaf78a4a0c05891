"""WebAnno TSV 3, an export of INCEpTION and WebAnno.

One token per row: number, offsets, form, then the values of each layer. `PER[1]` on several tokens
is one entity, `PER` is an entity of one token, `PER[1]|LOC[2]` are two entities, and a row numbered
`1-2.1` is a part of token 2. The named entity layer is read, or the only span layer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from spacy_crossner.data.formats.base import Format, Mark, Place, Source, make_parsed, shorten
from spacy_crossner.data.formats.columns import iter_blocks
from spacy_crossner.data.formats.jsonl import locate
from spacy_crossner.data.sentences import Parsed, Problem
from spacy_crossner.errors import CrossnerError, Errors

_HEAD = re.compile(r"#FORMAT=WebAnno TSV 3\.\d")
_LAYER = "#T_SP="
_OTHER_LAYERS = ("#T_CH=", "#T_RL=")
_TEXT = "#Text="
_NUMBER = re.compile(r"\d{1,9}-\d{1,9}(\.\d{1,9})?")
_OFFSETS = re.compile(r"(\d{1,9})-(\d{1,9})")
_VALUE = re.compile(r"(.*?)(?:\[(\d+)\])?", re.DOTALL)
NOTHING, UNNAMED = "_", "*"


def sniff(source: Source) -> bool:
    """Check if a file is WebAnno TSV."""
    return source.is_text and bool(_HEAD.match(source.first))


def read(source: Source) -> Iterator[Parsed]:
    """Read a file.

    source (Source): The file.
    YIELDS (Parsed): The sentences.
    """
    column = _find_column(source)
    for block in iter_blocks(source.lines()):
        rows = [(number, line) for number, line in block if not line.startswith("#")]
        texts = [line.removeprefix(_TEXT) for _, line in block if line.startswith(_TEXT)]
        if rows:
            place = Place(f"{source.name}, line {rows[0][0]}", rows[0][0], source)
            try:
                yield _parse_block(rows, texts, column, place)
            except CrossnerError as error:
                yield Parsed(None, (Problem(str(error)),))


def _find_column(source: Source) -> int:
    """Find the column of the named entity layer in the file's header."""
    column = 3
    values: dict[str, dict[str, int]] = {}
    for line in source.head:
        if line.startswith(_LAYER):
            layer, *features = line.removeprefix(_LAYER).split("|")
            for number, feature in enumerate(features or [""]):
                values.setdefault(layer, {})[feature] = column + number
            column += max(1, len(features))
        elif line.startswith(_OTHER_LAYERS):
            break  # chains and relations follow the span layers
    named = [layer for layer in values if layer.endswith("NamedEntity")]
    if len(values) != 1 and len(named) != 1:
        layers = ", ".join(values) or "none"
        raise CrossnerError(Errors.CN927.format(path=source.path, layers=shorten(layers, 200)))
    columns = values[(named or list(values))[0]]
    if "value" in columns or len(columns) == 1:
        return columns.get("value", min(columns.values()))
    raise CrossnerError(Errors.CN927.format(path=source.path, layers=shorten(", ".join(columns))))


def _parse_block(
    rows: Sequence[tuple[int, str]], texts: Sequence[str], column: int, place: Place
) -> Parsed:
    text = _unescape("\n".join(texts))
    words: list[str] = []
    pieces: list[tuple[int, int, int, str]] = []
    start_of_token = 0
    for number, line in rows:
        fields = line.split("\t")
        offsets = _OFFSETS.fullmatch(fields[1]) if len(fields) > 3 else None
        token = _NUMBER.fullmatch(fields[0])
        if token is None or offsets is None or len(fields) <= column:
            where = f"{place.source.name}, line {number}"
            message = Errors.CN925.format(where=where, line=shorten(line), format="webanno")
            raise CrossnerError(message)
        start, end = int(offsets[1]), int(offsets[2])
        if token[1] is None:
            words.append(_unescape(fields[2]))
            start_of_token = start
        # offsets count UTF-16 units, which can exceed the number of characters
        pieces.append((len(words) - 1, start - start_of_token, end - start, fields[column]))
    _, offsets_of = locate(words, text, place.where)
    placed = []
    edges: set[int] = set()
    for token_index, skipped, length, values in pieces:
        word = words[token_index]
        first = _count_characters(word, skipped)
        last = _count_characters(word, skipped + length)
        start, end = offsets_of[token_index] + first, offsets_of[token_index] + last
        placed.append((start, end, values))
        edges.update((start, end))
    marks = _collect(placed)
    # an annotated part of a token becomes a token
    tokens = [
        (start, end)
        for word, first in zip(words, offsets_of, strict=True)
        for start, end in pairwise(
            sorted({*edges.intersection(range(first, first + len(word) + 1))})
        )
    ]
    parts = tuple(text[start:end] for start, end in tokens)
    return make_parsed(text, marks, place, words=parts, offsets=tuple(a for a, _ in tokens))


def _count_characters(word: str, units: int) -> int:
    return len(word.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


def _collect(placed: Iterable[tuple[int, int, str]]) -> list[Mark]:
    found: list[tuple[str, int, int, str]] = []
    for number, (start, end, values) in enumerate(placed):
        if values == NOTHING:
            continue
        for value in re.split(r"(?<!\\)\|", values):
            match = _VALUE.fullmatch(value)
            assert match is not None
            label = "" if match[1] == UNNAMED else _unescape(match[1])
            found.append((match[2] or f"row {number} {label}", start, end, label))
    found.sort(key=lambda piece: piece[0])
    marks = []
    for _, members in groupby(found, key=lambda piece: piece[0]):
        parts = list(members)
        start, end = min(part[1] for part in parts), max(part[2] for part in parts)
        marks.append(Mark(start, end, parts[0][3]))
    return marks


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


WEBANNO = Format("webanno", "WebAnno TSV 3 of INCEpTION", read, sniff)
