"""Plain text, one sentence per line."""

from collections.abc import Iterable, Iterator

from spacy_crossner.data.formats.base import Format, Source
from spacy_crossner.data.sentences import Parsed, Problem, Sentence
from spacy_crossner.errors import Errors


def parse_text(lines: Iterable[str], name: str) -> Iterator[Parsed]:
    """Read plain text, one sentence per line; blank lines are skipped.

    lines (Iterable[str]): The lines without line endings.
    name (str): The file's name for messages.
    YIELDS (Parsed): The sentences in order, without tokens and without annotation.
    """
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            message = Errors.CN230.format(where=f"{name}, line {number}")
            yield Parsed(None, (Problem(message),))
        elif line.strip():
            yield Parsed(Sentence(line.strip(), None, line=number))


def read(source: Source) -> Iterator[Parsed]:
    """Read the sentences of a file."""
    return parse_text(source.lines(), source.name)


# never detected: any file could be text
TEXT = Format("text", "plain text, one sentence per line", read, lambda source: False)
