"""CSV and TSV with one token per row: `token,tag`, with or without a sentence column.

The header names the columns; without one, the first column is the token and the one that looks
like tags is the tag. In Kaggle's format ("Sentence #", "Word", "POS", "Tag") only the first row of
a sentence has its number. Without a sentence column, blank rows end sentences. A row is a line: a
quotation mark that is not closed in it is a token.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Optional

from spacy_crossner.data.formats.base import Format, Place, Source, shorten
from spacy_crossner.data.formats.columns import GIANT, TAG, iter_tagged
from spacy_crossner.data.formats.tokens import check_words, parse_tags
from spacy_crossner.data.sentences import Parsed, Problem, Sentence
from spacy_crossner.errors import CrossnerError, Errors

TOKEN_NAMES = ("token", "tokens", "word", "words", "form")
TAG_NAMES = ("tag", "tags", "ner", "ner_tag", "ner_tags", "bio", "iob", "label", "labels", "entity")
SENTENCE_NAMES = ("sentence #", "sentence", "sentence_id", "sentence id", "sent_id", "sent")
SEPARATORS = (",", "\t", ";")
_LARGEST_CELL = 1 << 28


class Columns(NamedTuple):
    """The columns of a table.

    token (int): The tokens.
    tag (int): The tags.
    sentence (Optional[int]): The column that identifies the sentence, if any.
    width (int): The number of columns.
    has_header (bool): Whether the first row names them.
    """

    token: int
    tag: int
    sentence: Optional[int]
    width: int
    has_header: bool


def find_separator(line: str) -> str:
    """Find the column separator of a line."""
    return max(SEPARATORS, key=line.count)


def read_rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a table.

    source (Source): The file.
    YIELDS (tuple[int, list[str]]): The line in which a row ends, and its cells; none if
        the row is blank.
    """
    csv.field_size_limit(_LARGEST_CELL)
    lines = (line + "\n" for line in source.lines())
    reader = csv.reader(lines, delimiter=find_separator(source.first))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            where = f"{source.name}, line {reader.line_num}"
            raise CrossnerError(Errors.CN915.format(where=where, problem=error)) from None
        yield reader.line_num, row if any(cell.strip() for cell in row) else []


def split_row(line: str, separator: str) -> list[str]:
    """Split a row of tokens and tags, which is one line, into its cells."""
    csv.field_size_limit(_LARGEST_CELL)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:  # a quotation mark that is a token
        return line.split(separator)


def find_columns(source: Source) -> Optional[Columns]:
    """Guess the columns of a table from its first lines.

    source (Source): The file.
    RETURNS (Optional[Columns]): The columns, or None if it is not a table of tokens and tags.
    """
    separator = find_separator(source.first)
    table = [row for row in (split_row(line, separator) for line in source.head) if any(row)]
    if not table or len(table[0]) < 2:
        return None
    names = [name.strip().lower() for name in table[0]]

    def has_tags(column: int, rows: list[list[str]]) -> bool:
        cells = [row[column].strip() for row in rows if len(row) > column]
        return sum(bool(TAG.fullmatch(cell)) for cell in cells) * 2 > len(rows)

    token = next((names.index(name) for name in TOKEN_NAMES if name in names), None)
    tags = [names.index(name) for name in TAG_NAMES if name in names]
    if token is not None and tags:
        # "tag" may be the part of speech
        tag = next((column for column in tags if has_tags(column, table[1:])), tags[0])
        sentence = next((names.index(name) for name in SENTENCE_NAMES if name in names), None)
        return Columns(token, tag, sentence, len(names), True)
    if separator == "\t":
        return None  # IOB columns are another format
    width = len(names)
    rows = [row for row in table if len(row) == width]
    if len(rows) * 2 <= len(table):
        return None  # the commas of a few rows are tokens
    for column in range(width - 1, 0, -1):
        if has_tags(column, rows):
            return Columns(0, column, None, width, False)
    return None


def sniff(source: Source) -> bool:
    """Check if a file is a table of tokens and tags."""
    if not source.is_text or source.is_json or source.path.suffix.lower() in (".conllu", ".iob2"):
        return False
    if not any(separator in source.first for separator in SEPARATORS):
        return False
    return find_columns(source) is not None


def read(source: Source) -> Iterator[Parsed]:
    """Read a table.

    source (Source): The file.
    YIELDS (Parsed): The sentences.
    """
    columns = find_columns(source)
    if columns is None:
        raise CrossnerError(Errors.CN208.format(path=source.path, row=shorten(source.first)))
    separator = find_separator(source.first)
    cells = (split_row(line, separator) for line in source.lines())
    rows = ((n, row if any(map(str.strip, row)) else []) for n, row in enumerate(cells, start=1))
    if columns.has_header:
        next(rows, None)
    for block in _iter_blocks(rows, columns):
        yield _parse_block(block, columns, source)


def _iter_blocks(
    rows: Iterable[tuple[int, list[str]]], columns: Columns
) -> Iterator[list[tuple[int, list[str]]]]:
    block: list[tuple[int, list[str]]] = []
    current = ""
    for number, row in rows:
        ended = not row
        if row and columns.sentence is not None and len(row) > columns.sentence:
            name = row[columns.sentence].strip()
            ended = bool(name) and name != current
            current = name or current
        if ended and block:
            yield block
            block = []
        if row:
            block.append((number, row))
    if block:
        yield block


def _parse_block(
    block: Sequence[tuple[int, list[str]]], columns: Columns, source: Source
) -> Parsed:
    place = Place(f"{source.name}, line {block[0][0]}", block[0][0], source)
    problems = []
    for number, row in block:
        if len(row) != columns.width:
            where = f"{source.name}, line {number}"
            message = Errors.CN221.format(where=where, found=len(row), expected=columns.width)
            problems.append(Problem(message))
    if problems:
        return Parsed(None, tuple(problems))
    try:
        words = check_words([row[columns.token].strip() for _, row in block], "token", place.where)
        parsed = parse_tags(words, [row[columns.tag].strip() for _, row in block], place)
    except CrossnerError as error:
        return Parsed(None, (Problem(str(error)),))
    if len(words) > GIANT:
        message = Errors.CN929.format(where=place.where, count=len(words))
        return replace(parsed, problems=(*parsed.problems, Problem(message, mended=True)))
    return parsed


def write(path: Path, sentences: Iterable[Sentence]) -> None:
    """Write a table with the columns sentence, token and tag.

    path (Path): The file.
    sentences (Iterable[Sentence]): Sentences with words; entities cover whole words.
    """
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sentence", "token", "tag"])
        for number, sentence in enumerate(sentences, start=1):
            for word, tag in iter_tagged(sentence):
                writer.writerow([number, re.sub(r"[\r\n]", " ", word), tag])


TABLE = Format(
    "csv",
    "CSV or TSV with a token and a tag a row (also Kaggle's)",
    read,
    sniff,
    (".csv",),
    write,
    ".csv",
)
