"""File formats: which there are, and how the line-based ones are read and written.

`jsonl` holds an object a line: {"text": ..., "spans": [{"start", "end", "label"}], "tokens":
[{"text"}]}, the form that annotation tools exchange. Without "spans" nothing is said about
entities; without "tokens" there is only the text. `text` is plain text, a sentence a line.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

from spacy_crossner.data.sentences import (
    MisfitError,
    Parsed,
    Problem,
    Sentence,
    locate_tokens,
    locate_words,
)
from spacy_crossner.errors import CrossnerError, Errors

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
FORMATS = ("auto", "iob", "iob2", "bioes", "conllu", "jsonl", "text", "spacy")

SUFFIXES = {
    **dict.fromkeys((".iob", ".iob2", ".bio", ".bioes", ".conll", ".conll02", ".tsv"), "columns"),
    ".conllu": "conllu",
    ".jsonl": "jsonl",
    ".spacy": "spacy",
}


def guess_format(path: Path, head: Sequence[str]) -> str:
    """Find out a file's format from its ending, or else from its first lines.

    path (Path): The file.
    head (Sequence[str]): Its first lines.
    RETURNS (str): "columns" (of one or the other scheme) or a name out of `FORMATS`.
    """
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    first = next((line for line in head if line.strip()), "")
    return "jsonl" if first.startswith("{") else "columns"


def parse_text(lines: Iterable[str], name: str) -> Iterator[Parsed]:
    """Read plain text, a sentence a line; blank lines are skipped.

    lines (Iterable[str]): The lines, without their line ends.
    name (str): The file's name for messages.
    YIELDS (Parsed): The sentences in order, without tokens and without annotation.
    """
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            message = Errors.CN230.format(where=f"{name}, line {number}")
            yield Parsed(None, (Problem(message),))
        elif line.strip():
            yield Parsed(Sentence(line.strip(), None, line=number))


def parse_jsonl(lines: Iterable[str], name: str) -> Iterator[Parsed]:
    """Read texts with character spans.

    lines (Iterable[str]): The lines, without their line ends.
    name (str): The file's name for messages.
    YIELDS (Parsed): The sentences in order.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _parse_record(line, f"{name}, line {number}", number)
        except CrossnerError as error:
            yield Parsed(None, (Problem(str(error)),))


def _parse_record(line: str, where: str, number: int) -> Parsed:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.pos + 1}"
        raise CrossnerError(Errors.CN240.format(where=where, problem=problem)) from None
    if not isinstance(record, dict):
        raise CrossnerError(Errors.CN241.format(where=where, found=type(record).__name__))
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise CrossnerError(Errors.CN242.format(where=where))
    if "\0" in text:
        raise CrossnerError(Errors.CN230.format(where=where))
    check_characters(text, where)
    if record.get("answer", "accept") != "accept":
        raise CrossnerError(Errors.CN243.format(where=where, answer=record["answer"]))
    spans, problems = _parse_spans(record.get("spans"), text, where)
    words, offsets = _parse_tokens(record.get("tokens"), text, where)
    return Parsed(Sentence(text, spans, words, offsets, line=number), problems)


def check_characters(text: str, where: str) -> None:
    """Refuse what JSON can say and UTF-8 can't.

    text (str): A text.
    where (str): Its place for messages.
    """
    if half := HALF_CHARACTER.search(text):
        raise CrossnerError(Errors.CN233.format(where=where, found=ascii(half[0])))


def _parse_spans(
    found: Any, text: str, where: str
) -> tuple[Optional[tuple[tuple[int, int, str], ...]], tuple[Problem, ...]]:
    if found is None:
        return None, ()
    if not isinstance(found, list) or not all(isinstance(span, dict) for span in found):
        raise CrossnerError(Errors.CN244.format(where=where))
    spans = []
    problems = []
    for record in found:
        start, end, label = (record.get(key) for key in ("start", "end", "label"))
        if type(start) is not int or type(end) is not int:
            raise CrossnerError(Errors.CN245.format(where=where, span=json.dumps(record)[:60]))
        span = f"{start}-{end}"
        if not isinstance(label, str) or not label.strip():
            raise CrossnerError(Errors.CN246.format(where=where, span=span, label=label))
        check_characters(label, where)
        if start >= end:
            raise CrossnerError(Errors.CN247.format(where=where, span=span))
        if start < 0 or end > len(text):
            raise CrossnerError(Errors.CN248.format(where=where, span=span, length=len(text)))
        content = text[start:end]
        if not content.strip():
            raise CrossnerError(Errors.CN247.format(where=where, span=span))
        if content != content.strip():
            message = Errors.CN249.format(where=where, span=span, content=content)
            problems.append(Problem(message, mended=True))
            start += len(content) - len(content.lstrip())
            end -= len(content) - len(content.rstrip())
        spans.append((start, end, label.strip()))
    spans.sort()
    for (start, end, _), (other, end_of_other, _) in pairwise(spans):
        if other < end:
            both = {"first": f"{start}-{end}", "second": f"{other}-{end_of_other}"}
            raise CrossnerError(Errors.CN250.format(where=where, **both))
    return tuple(spans), tuple(problems)


def _parse_tokens(
    found: Any, text: str, where: str
) -> tuple[Optional[tuple[str, ...]], tuple[int, ...]]:
    if found is None:
        return None, ()
    try:
        # some tools list whitespace as tokens; here it is what lies between them
        words = [token["text"] for token in found if token["text"].strip()]
        return tuple(words), locate_tokens(words, text)
    except (TypeError, KeyError, AttributeError):
        raise CrossnerError(Errors.CN251.format(where=where)) from None
    except MisfitError as misfit:
        rest = text[misfit.position : misfit.position + 30]
        message = Errors.CN252.format(where=where, number=misfit.index + 1, rest=rest)
        raise CrossnerError(message) from None


def format_jsonl(sentence: Sentence) -> str:
    """Write a sentence as a line of JSON: the inverse of `parse_jsonl`.

    sentence (Sentence): The sentence.
    RETURNS (str): The line.
    """
    record: dict[str, Any] = {"text": sentence.text}
    if sentence.words is not None:
        record["tokens"] = [
            {"text": word, "start": start, "end": start + len(word), "id": n}
            for n, (word, start) in enumerate(locate_words(sentence))
        ]
    if sentence.spans is not None:
        record["spans"] = [
            {"start": start, "end": end, "label": label} for start, end, label in sentence.spans
        ]
    return json.dumps(record, ensure_ascii=False) + "\n"


def format_iob2(sentence: Sentence) -> str:
    """Write a sentence as IOB2 columns: the inverse of `parse_columns`.

    A line break or tab inside the text becomes a blank, for no column can hold it.

    sentence (Sentence): A sentence with words and spans, of which each is made of whole words.
    RETURNS (str): The comment with the text, if its spacing is known; a line with index, token
        and tag for each token; a blank line.
    """
    lines = [f"# text = {_flatten(sentence.text)}"] if sentence.spaced else []
    spans = list(sentence.spans or ())
    opened = None
    for number, (word, start) in enumerate(locate_words(sentence), start=1):
        while spans and spans[0][1] <= start:
            spans.pop(0)
        tag = "O"
        if spans and spans[0][0] <= start:
            tag = f"{'I' if spans[0] == opened else 'B'}-{spans[0][2]}"
            opened = spans[0]
        lines.append(f"{number}\t{_flatten(word)}\t{tag}")
    return "\n".join(lines) + "\n\n"


def _flatten(text: str) -> str:
    return re.sub(r"[\t\r\n]", " ", text)
