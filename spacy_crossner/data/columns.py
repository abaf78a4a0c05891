"""Files with a token a line: IOB, IOB2 and BIOES columns, and CoNLL-U.

Columns
    Tabs or spaces between the columns; sentences end at a blank line or at `-DOCSTART-`. The
    tokens are in the first column, the tags in the last one that looks like tags (as in CoNLL
    2003). Where the first column counts the tokens, they are in the second, and the tags in the
    third (as in WikiANN and Universal NER) if that looks like tags. A comment `# text = ...` gives
    the real spacing, to which the tokens are fitted; without it one blank stands between two
    tokens (none in Chinese, Japanese, Thai and other languages written so). `B-O` and `I-O`
    count as `O`.

Tags
    `iob2`: B opens, I continues. `iob`: B only opens right after an entity of the same label.
    `bioes` (or BILOU, BMES): E (L) closes, S (U) stands alone, M is I. Where a tag breaks its
    scheme, the entity is cut where conlleval and seqeval would cut it, and the sentence kept.

CoNLL-U
    Read as text: the surface tokens (a multiword token `3-4` is one token), without labels.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from spacy_crossner.data.sentences import (
    MisfitError,
    Parsed,
    Problem,
    Sentence,
    join_tokens,
    locate_tokens,
)
from spacy_crossner.errors import CrossnerError, Errors

Scheme = Literal["iob", "iob2", "bioes"]
Block = list[tuple[int, str]]

FEW = 20
# Columns beside the token that a row may have which looks like a comment.
MOST = 3

_KEY = re.compile(r"#\s*[\w.:-]+\s*=")
# a token such as #a=b
_GLUED_KEY = re.compile(r"#[^\s=]*=\S")
_TEXT = re.compile(r"#\s*text\s*=\s?(.*)")
_TAG = re.compile(r"O|[BIESLUM]-.+")
_NO_ENTITY = {"O", "B-O", "I-O", "E-O", "S-O"}
_SAME_PREFIX = {"L": "E", "U": "S", "M": "I"}


@dataclass(frozen=True)
class Layout:
    """Which columns a file has.

    tabs (bool): Whether tabs separate the columns, or any blanks.
    width (int): The number of columns.
    indexed (bool): Whether the first column counts the tokens of a sentence.
    tag (int): The tags' column.
    scheme (Scheme): How tags form entities.
    """

    tabs: bool
    width: int
    indexed: bool
    tag: int
    scheme: Scheme


def is_comment(line: str) -> bool:
    """RETURNS (bool): Whether a line is a comment, and not the token '#' with its tag."""
    if not line.startswith("#"):
        return False
    first, *others = line.split()
    if _GLUED_KEY.match(first) and 0 < len(others) <= MOST and _TAG.fullmatch(others[-1]):
        return False
    return bool(_KEY.match(line)) or ("\t" not in line and not _TAG.fullmatch(line.split()[-1]))


def split_row(line: str, tabs: bool) -> list[str]:
    """RETURNS (list[str]): The columns of a line."""
    if tabs:
        return [field.strip(" ") for field in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))


def iter_blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Cut a file into sentences.

    lines (Iterable[str]): The lines.
    YIELDS (Block): Line numbers and lines that stand together.
    """
    block: Block = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or "-DOCSTART-" in line.split()[:2]:
            if block:
                yield block
            block = []
        else:
            block.append((number, line))
    if block:
        yield block


def guess_layout(lines: Iterable[str], name: str, scheme: Scheme | None = None) -> Layout:
    """Find out which columns a file has from its first lines.

    lines (Iterable[str]): The first lines.
    name (str): The file's name for messages.
    scheme (Scheme): The tags' scheme, or None to guess it too.
    RETURNS (Layout): The layout.
    """
    rows = [row for block in iter_blocks(lines) for _, row in block if not is_comment(row)]
    tabs = sum("\t" in row for row in rows) * 2 > len(rows)
    table = [split_row(row, tabs) for row in rows]
    width = Counter(map(len, table)).most_common(1)[0][0] if table else 0
    table = [row for row in table if len(row) == width]

    def is_mostly(pattern: re.Pattern[str], column: int, share: float) -> bool:
        return sum(bool(pattern.fullmatch(row[column])) for row in table) >= share * len(table)

    tagged = [n for n in range(1, width) if is_mostly(_TAG, n, 0.5)]
    if rows and not tagged:
        raise CrossnerError(Errors.CN208.format(path=name, row=rows[0][:60]))
    indexed = any(n > 1 for n in tagged) and is_mostly(re.compile(r"\d+"), 0, 0.9)
    # what stands behind the tags in UNER may look like tags too; elsewhere chunks stand before them
    tag = 0 if not tagged else 2 if indexed and 2 in tagged else tagged[-1]
    tags = [row[tag] for row in table]
    return Layout(tabs, width, indexed, tag, scheme or _guess_scheme(tags))


def _guess_scheme(tags: Sequence[str]) -> Scheme:
    prefixes = Counter(tag[:1] for tag in tags)
    if any(prefixes[prefix] for prefix in "ESLU"):
        return "bioes"
    # in IOB nearly all entities open with I; a few tags that do so are rather mistakes
    _, stray, _ = decode_tags(["O" if tag in _NO_ENTITY else tag for tag in tags], "iob2")
    return "iob" if len(stray) > max(prefixes["B"], FEW) else "iob2"


def decode_tags(
    tags: Sequence[str], scheme: Scheme
) -> tuple[list[tuple[int, int, str]], list[int], list[int]]:
    """Turn tags into entities.

    tags (Sequence[str]): `O`, or a prefix, a hyphen and a label.
    scheme (Scheme): The scheme.
    RETURNS (tuple): Token spans with their labels; the tokens whose tag continues an entity that
        is not there; the tokens after which an entity breaks off.
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

    lines (Iterable[str]): The lines, without their line ends.
    name (str): The file's name for messages.
    layout (Layout): The file's columns.
    lang (str): The language, for the spacing where the file does not tell it.
    YIELDS (Parsed): The sentences in order.
    """
    for block in iter_blocks(lines):
        rows = [(number, line) for number, line in block if not is_comment(line)]
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
        given = _TEXT.fullmatch(line)
        if given:
            text, spaced = given[1], True
            try:
                offsets = locate_tokens(words, text)
            except MisfitError as misfit:
                return Parsed(None, (_describe_misfit(misfit, words, text, name, number),))
    found, stray, unfinished = decode_tags(tags, layout.scheme)
    for template, places in ((Errors.CN225, stray), (Errors.CN226, unfinished)):
        for i in places:
            where = f"{name}, line {rows[i][0]}"
            message = template.format(where=where, tag=tags[i], word=words[i])
            problems.append(Problem(message, mended=True))
    spans = tuple((offsets[i], offsets[j - 1] + len(words[j - 1]), label) for i, j, label in found)
    sentence = Sentence(text, spans, tuple(words), offsets, spaced, rows[0][0])
    return Parsed(sentence, tuple(problems))


def _check_row(fields: list[str], line: str, where: str, layout: Layout) -> str | None:
    if "\0" in line:
        return Errors.CN230.format(where=where)
    if len(fields) == 1:
        separator = "tabs" if layout.tabs else "blanks"
        return Errors.CN220.format(where=where, row=line[:60], separator=separator)
    if len(fields) != layout.width:
        return Errors.CN221.format(where=where, found=len(fields), expected=layout.width)
    if layout.indexed and not re.fullmatch(r"\d+", fields[0]):
        return Errors.CN228.format(where=where, found=fields[0])
    if not fields[1 if layout.indexed else 0].strip():
        return Errors.CN229.format(where=where)
    tag = fields[layout.tag]
    prefix, hyphen, label = tag.partition("-")
    if tag != "O" and not hyphen:
        return Errors.CN222.format(where=where, tag=tag)
    if tag != "O" and prefix not in ("B", "I", "E", "S", "L", "U", "M"):
        return Errors.CN223.format(where=where, tag=tag, prefix=prefix)
    if tag != "O" and not label:
        return Errors.CN224.format(where=where, tag=tag)
    return None


def _describe_misfit(
    misfit: MisfitError, words: Sequence[str], text: str, name: str, line: int
) -> Problem:
    where = f"{name}, line {line}"
    rest = text[misfit.position : misfit.position + 30].strip()
    if misfit.index == len(words):
        return Problem(Errors.CN232.format(where=where, rest=rest))
    number, word = misfit.index + 1, words[misfit.index]
    return Problem(Errors.CN231.format(where=where, number=number, word=word, rest=rest))


def parse_conllu(lines: Iterable[str], name: str) -> Iterator[Parsed]:
    """Read the text of a CoNLL-U file.

    lines (Iterable[str]): The lines, without their line ends.
    name (str): The file's name for messages.
    YIELDS (Parsed): The sentences in order, without annotation.
    """
    for block in iter_blocks(lines):
        rows = [(number, line) for number, line in block if not line.startswith("#")]
        if rows:
            yield _parse_conllu_block(block, rows, name)


def _parse_conllu_block(block: Block, rows: Block, name: str) -> Parsed:
    words: list[str] = []
    text = ""
    expected, covered = 1, 0
    for number, line in rows:
        where = f"{name}, line {number}"
        fields = line.split("\t")
        if len(fields) != 10:
            return _refuse(Errors.CN255.format(where=where, found=len(fields)))
        id_, form, misc = fields[0], fields[1].strip(" "), fields[9]
        match = re.fullmatch(r"(\d+)(?:([-.])(\d+))?", id_)
        if match is None:
            return _refuse(Errors.CN228.format(where=where, found=id_))
        if match[2] == ".":
            continue
        if int(match[1]) != expected:
            return _refuse(Errors.CN227.format(where=where, expected=expected, found=match[1]))
        if match[2] == "-":
            if expected <= covered or int(match[3]) <= expected:
                return _refuse(Errors.CN256.format(where=where, id=id_))
            covered = int(match[3])
        else:
            expected += 1
            if expected - 1 <= covered:
                continue
        if not form.strip() or "\0" in form:
            template = Errors.CN230 if "\0" in form else Errors.CN229
            return _refuse(template.format(where=where))
        words.append(form)
        text += form + ("" if "SpaceAfter=No" in misc.split("|") else " ")
    if covered >= expected:
        where = f"{name}, line {rows[-1][0]}"
        return _refuse(Errors.CN257.format(where=where, last=covered, found=expected - 1))
    text = text.rstrip(" ")
    for number, line in block:
        given = _TEXT.fullmatch(line)
        if given:
            text = given[1]
            try:
                locate_tokens(words, text)
            except MisfitError as misfit:
                return Parsed(None, (_describe_misfit(misfit, words, text, name, number),))
    offsets = locate_tokens(words, text)
    return Parsed(Sentence(text, None, tuple(words), offsets, True, rows[0][0]))


def _refuse(message: str) -> Parsed:
    return Parsed(None, (Problem(message),))
