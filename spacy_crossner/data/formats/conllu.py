"""CoNLL-U, read as unlabelled text: surface tokens (a multiword token `3-4` is one token)."""

import re
from collections.abc import Iterable, Iterator

from spacy_crossner.data.formats.base import Format, Source, shorten
from spacy_crossner.data.formats.columns import TEXT_COMMENT, Block, describe_misfit, iter_blocks
from spacy_crossner.data.sentences import MisfitError, Parsed, Problem, Sentence, locate_tokens
from spacy_crossner.errors import Errors


def parse_conllu(lines: Iterable[str], name: str) -> Iterator[Parsed]:
    """Read the text of a CoNLL-U file.

    lines (Iterable[str]): The lines without line endings.
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
        match = re.fullmatch(r"(\d{1,9})(?:([-.])(\d{1,9}))?", id_)
        if match is None:
            return _refuse(Errors.CN228.format(where=where, found=shorten(id_)))
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
        given = TEXT_COMMENT.fullmatch(line)
        if given:
            text = given[1]
            try:
                locate_tokens(words, text)
            except MisfitError as misfit:
                return Parsed(None, (describe_misfit(misfit, words, text, name, number),))
    offsets = locate_tokens(words, text)
    return Parsed(Sentence(text, None, tuple(words), offsets, True, rows[0][0]))


def _refuse(message: str) -> Parsed:
    return Parsed(None, (Problem(message),))


def read(source: Source) -> Iterator[Parsed]:
    """Read the sentences of a file."""
    return parse_conllu(source.lines(), source.name)


CONLLU = Format(
    "conllu",
    "CoNLL-U, whose text is read",
    read,
    lambda source: source.is_text and source.path.suffix.lower() == ".conllu",
    (".conllu",),
)
