"""Files with one token per line: IOB, IOB2 and BIOES columns.

Columns
    Tabs or spaces separate the columns; sentences end at a blank line or at `-DOCSTART-`. The
    tokens are in the first column, the tags in the last one that looks like tags (as in CoNLL
    2003). If the first column numbers the tokens, they are in the second, and the tags in the
    third (as in WikiANN and Universal NER) if that looks like tags. A comment `# text = ...` gives
    the original spacing, to which the tokens are aligned; without it, tokens are separated by one
    space (none in Chinese, Japanese, Thai and other unspaced languages). `B-O` and `I-O` count as
    `O`.

Tags
    `iob2`: B opens, I continues. `iob`: B only opens right after an entity of the same label.
    `bioes` (or BILOU, BMES): E (L) closes, S (U) stands alone, M is I. Where a tag breaks its
    scheme, entities end where conlleval and seqeval end them, and the sentence is kept."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from spacy_crossner.data.formats.base import Format, Source, shorten, write_text
from spacy_crossner.data.sentences import (
    MisfitError,
    Parsed,
    Problem,
    Sentence,
    join_tokens,
    locate_tokens,
    locate_words,
)
from spacy_crossner.errors import CrossnerError, Errors

Scheme = Literal["iob", "iob2", "bioes"]
Block = list[tuple[int, str]]

SUFFIXES = (".iob", ".iob2", ".bio", ".bioes", ".conll", ".conll02", ".tsv")
# A longer sentence is probably a whole file without blank lines.
GIANT = 1000
FEW = 20
# Maximum columns after the token of a row that looks like a comment.
MOST = 3

# after the number of a token, -DOCSTART- is a token
_DOCSTART = re.compile(r"\s*(?!\d+\s)(\S+\s+)?-DOCSTART-(\s|$)")
_KEY = re.compile(r"#\s*[\w.:-]+\s*=")
# a token such as #a=b
_GLUED_KEY = re.compile(r"#[^\s=]*=\S")
TEXT_COMMENT = re.compile(r"#\s*text\s*=\s?(.*)")
# What looks like a tag.
TAG = re.compile(r"O|[BIESLUM]-.+")
_NO_ENTITY = {"O", "B-O", "I-O", "E-O", "S-O"}
_SAME_PREFIX = {"L": "E", "U": "S", "M": "I"}


@dataclass(frozen=True)
class Layout:
    """The columns of a file.

    tabs (bool): Whether only tabs separate columns, or any white space.
    width (int): The number of columns.
    indexed (bool): Whether the first column numbers the tokens of a sentence.
    tag (int): The tags' column.
    scheme (Scheme): How tags form entities.
    """

    tabs: bool
    width: int
    indexed: bool
    tag: int
    scheme: Scheme


def is_comment(line: str, layout: Layout | None = None) -> bool:
    """Check if a line is a comment, rather than a token such as '#' with its tag.

    line (str): The line.
    layout (Layout): The columns of the file, where they are known.
    RETURNS (bool): Whether it is a comment.
    """
    if not line.startswith("#"):
        return False
    if layout is not None and not _KEY.match(line):
        fields = split_row(line, layout.tabs)
        if len(fields) == layout.width and TAG.fullmatch(fields[layout.tag]):
            return False
    first, *others = line.split()
    if _GLUED_KEY.match(first) and 0 < len(others) <= MOST and TAG.fullmatch(others[-1]):
        return False
    return bool(_KEY.match(line)) or ("\t" not in line and not TAG.fullmatch(line.split()[-1]))


def split_row(line: str, tabs: bool) -> list[str]:
    """Split a line into columns."""
    if tabs:
        return [field.strip(" ") for field in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))


def iter_blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Split a file into sentences.

    lines (Iterable[str]): The lines.
    YIELDS (Block): Line numbers and lines of a sentence.
    """
    block: Block = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or _DOCSTART.match(line):
            if block:
                yield block
            block = []
        else:
            block.append((number, line))
    if block:
        yield block


def guess_layout(lines: Iterable[str], name: str, scheme: Scheme | None = None) -> Layout:
    """Guess the columns of a file from its first lines.

    lines (Iterable[str]): The first lines.
    name (str): The file's name for messages.
    scheme (Scheme): The tags' scheme, or None to guess it.
    RETURNS (Layout): The layout.
    """
    rows = [row for block in iter_blocks(lines) for _, row in block if not is_comment(row)]
    tabs = sum("\t" in row for row in rows) * 2 > len(rows)
    table = [split_row(row, tabs) for row in rows]
    width = Counter(map(len, table)).most_common(1)[0][0] if table else 0
    table = [row for row in table if len(row) == width]

    def is_mostly(pattern: re.Pattern[str], column: int, share: float) -> bool:
        return sum(bool(pattern.fullmatch(row[column])) for row in table) >= share * len(table)

    tagged = [n for n in range(1, width) if is_mostly(TAG, n, 0.5)]
    if rows and not tagged:
        raise CrossnerError(Errors.CN208.format(path=name, row=shorten(rows[0])))
    indexed = any(n > 1 for n in tagged) and is_mostly(re.compile(r"\d+"), 0, 0.9)
    # in UNER, columns after the tags may look like tags; elsewhere, chunks come before the tags
    tag = 0 if not tagged else 2 if indexed and 2 in tagged else tagged[-1]
    tags = [row[tag] for row in table]
    return Layout(tabs, width, indexed, tag, scheme or guess_scheme(tags))


def guess_scheme(tags: Sequence[str]) -> Scheme:
    """Guess the scheme of tags.

    tags (Sequence[str]): Tags of many tokens.
    RETURNS (Scheme): The scheme.
    """
    prefixes = Counter(tag[:1] for tag in tags)
    if any(prefixes[prefix] for prefix in "ESLU"):
        return "bioes"
    # in IOB nearly all entities open with I; a few such tags are rather mistakes
    _, stray, _ = decode_tags(["O" if tag in _NO_ENTITY else tag for tag in tags], "iob2")
    return "iob" if len(stray) > max(prefixes["B"], FEW) else "iob2"


def decode_tags(
    tags: Sequence[str], scheme: Scheme
) -> tuple[list[tuple[int, int, str]], list[int], list[int]]:
    """Convert tags to entities.

    tags (Sequence[str]): `O`, or a prefix, a hyphen and a label.
    scheme (Scheme): The scheme.
    RETURNS (tuple): Token spans with their labels; the tokens whose tag continues a missing
        entity; the tokens after which an entity lacks its end.
    """
    spans: list[tuple[int, int, str]] = []
    stray: list[int] = []
    unfinished: list[int] = []
    start, label = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        prefix = _SAME_PREFIX.get(prefix, prefix)
        continues = prefix in ("I", "E") and name == label
        if label and not continues:
            spans.append((start, i, label))
            label = ""
            if scheme == "bioes":
                unfinished.append(i - 1)
        if prefix != "O" and not continues:
            start, label = i, name
            if prefix in ("I", "E") and scheme != "iob":
                stray.append(i)
        if prefix in ("E", "S"):
            spans.append((start, i + 1, label))
            label = ""
    return spans, stray, unfinished


def parse_columns(
    lines: Iterable[str], name: str, layout: Layout, lang: str = "xx"
) -> Iterator[Parsed]:
    """Read IOB, IOB2 or BIOES columns.

    lines (Iterable[str]): The lines without line endings.
    name (str): The file's name for messages.
    layout (Layout): The file's columns.
    lang (str): The language, which determines the spacing if the file does not.
    YIELDS (Parsed): The sentences in order.
    """
    for block in iter_blocks(lines):
        rows = [(number, line) for number, line in block if not is_comment(line, layout)]
        if rows:
            yield _parse_block(block, rows, name, layout, lang)


def _parse_block(block: Block, rows: Block, name: str, layout: Layout, lang: str) -> Parsed:
    words: list[str] = []
    tags: list[str] = []
    problems = []
    expected = None
    for number, line in rows:
        where = f"{name}, line {number}"
        fields = split_row(line, layout.tabs)
        message = _check_row(fields, line, where, layout)
        if message is None and layout.indexed:
            index = int(fields[0])
            if index != expected and not (expected is None and index in (0, 1)):
                message = Errors.CN227.format(where=where, expected=expected or 1, found=index)
            expected = index + 1
        if message is None:
            words.append(fields[1 if layout.indexed else 0])
            tags.append("O" if fields[layout.tag] in _NO_ENTITY else fields[layout.tag])
        else:
            problems.append(Problem(message))
    if problems:
        return Parsed(None, tuple(problems))
    text, offsets, spaced = join_tokens(words, lang)
    for number, line in block:
        given = TEXT_COMMENT.fullmatch(line)
        if given:
            text, spaced = given[1], True
            try:
                offsets = locate_tokens(words, text)
            except MisfitError as misfit:
                return Parsed(None, (describe_misfit(misfit, words, text, name, number),))
    if len(words) > GIANT:
        where = f"{name}, line {rows[0][0]}"
        problems.append(Problem(Errors.CN929.format(where=where, count=len(words)), mended=True))
    found, stray, unfinished = decode_tags(tags, layout.scheme)
    for template, places in ((Errors.CN225, stray), (Errors.CN226, unfinished)):
        for i in places:
            where = f"{name}, line {rows[i][0]}"
            message = template.format(where=where, tag=shorten(tags[i]), word=shorten(words[i]))
            problems.append(Problem(message, mended=True))
    spans = tuple((offsets[i], offsets[j - 1] + len(words[j - 1]), label) for i, j, label in found)
    sentence = Sentence(text, spans, tuple(words), offsets, spaced, rows[0][0])
    return Parsed(sentence, tuple(problems))


def _check_row(fields: list[str], line: str, where: str, layout: Layout) -> str | None:
    if "\0" in line:
        return Errors.CN230.format(where=where)
    if "\r" in line:
        return Errors.CN900.format(where=where)
    if len(fields) == 1:
        separator = "tabs" if layout.tabs else "blanks"
        return Errors.CN220.format(where=where, row=shorten(line), separator=separator)
    if len(fields) != layout.width:
        return Errors.CN221.format(where=where, found=len(fields), expected=layout.width)
    if layout.indexed and not re.fullmatch(r"\d{1,9}", fields[0]):
        return Errors.CN228.format(where=where, found=shorten(fields[0]))
    if not fields[1 if layout.indexed else 0].strip():
        return Errors.CN229.format(where=where)
    tag = fields[layout.tag]
    prefix, hyphen, label = tag.partition("-")
    if tag != "O" and not hyphen:
        return Errors.CN222.format(where=where, tag=shorten(tag))
    if tag != "O" and prefix not in ("B", "I", "E", "S", "L", "U", "M"):
        return Errors.CN223.format(where=where, tag=shorten(tag), prefix=shorten(prefix))
    if tag != "O" and not label:
        return Errors.CN224.format(where=where, tag=shorten(tag))
    return None


def describe_misfit(
    misfit: MisfitError, words: Sequence[str], text: str, name: str, line: int
) -> Problem:
    """Describe tokens that don't match the text of a comment.

    misfit (MisfitError): The first token out of place.
    words (Sequence[str]): The tokens.
    text (str): The text.
    name (str): The file's name.
    line (int): The line of the comment.
    RETURNS (Problem): The problem.
    """
    where = f"{name}, line {line}"
    rest = text[misfit.position : misfit.position + 30].strip()
    if misfit.index == len(words):
        return Problem(Errors.CN232.format(where=where, rest=rest))
    number, word = misfit.index + 1, words[misfit.index]
    return Problem(Errors.CN231.format(where=where, number=number, word=shorten(word), rest=rest))


def format_iob2(sentence: Sentence) -> str:
    """Write a sentence as IOB2 columns: the inverse of `parse_columns`.

    Line breaks and tabs inside the text become spaces, because columns can't hold them.

    sentence (Sentence): A sentence with words and non-overlapping spans of whole words.
    RETURNS (str): The comment with the text, if its spacing is known; a line with index, token
        and tag for each token; a blank line.
    """
    lines = [f"# text = {_flatten(sentence.text)}"] if sentence.spaced else []
    tagged = enumerate(iter_tagged(sentence), start=1)
    lines += [f"{number}\t{_flatten(word)}\t{tag}" for number, (word, tag) in tagged]
    return "\n".join(lines) + "\n\n"


def iter_tagged(sentence: Sentence) -> Iterator[tuple[str, str]]:
    """Iterate over the words of a sentence with their IOB2 tags."""
    spans = list(reversed(sentence.spans or ()))
    opened = None
    for word, start in locate_words(sentence):
        while spans and spans[-1][1] <= start:
            spans.pop()
        tag = "O"
        if spans and spans[-1][0] <= start:
            tag = f"{'I' if spans[-1] == opened else 'B'}-{spans[-1][2]}"
            opened = spans[-1]
        yield word, tag


def _flatten(text: str) -> str:
    return re.sub(r"[\t\r\n]", " ", text)


def sniff(source: Source) -> bool:
    """Check if a file may contain columns: any text that is not JSON may."""
    if source.path.suffix.lower() in SUFFIXES:
        return True
    return source.is_text and not source.is_json


def read(source: Source, scheme: Scheme | None = None) -> Iterator[Parsed]:
    """Read a file.

    source (Source): The file.
    scheme (Scheme): The tags' scheme, or None to guess it.
    RETURNS (Iterator[Parsed]): The sentences.
    """
    layout = guess_layout(source.head, source.name, scheme)
    return parse_columns(source.lines(), source.name, layout, source.lang)


def write(path: Path, sentences: Iterable[Sentence]) -> None:
    """Write a file of IOB2 columns.

    path (Path): The file.
    sentences (Iterable[Sentence]): The sentences.
    """
    write_text(path, map(format_iob2, sentences))


def _make(scheme: str, about: str) -> Format:
    writes = scheme == "iob2"
    return Format(
        scheme,
        about,
        lambda source: read(source, cast(Scheme, scheme)),
        lambda source: False,
        write=write if writes else None,
        ending=".iob2",
    )


COLUMNS = Format(
    "columns",
    "a token and a tag a line; the scheme is guessed",
    read,
    sniff,
    SUFFIXES,
    is_fallback=True,
)
IOB = _make("iob", "columns in IOB: I opens an entity, too")
IOB2 = _make("iob2", "columns in IOB2: B opens an entity, I continues it")
BIOES = _make("bioes", "columns in BIOES, BILOU or BMES")
