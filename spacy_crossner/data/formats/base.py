"""Shared parts of all formats: the source to read and the description of a format."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Optional

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.sentences import Fragments, Parsed, Problem, Sentence, Span
from spacy_crossner.errors import CrossnerError, Errors

HEAD = 500
MOST_SHOWN = 60
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# Keys that annotation tools use for labels. It is an error if one of them was not read.
LABEL_KEYS = frozenset(
    """annotation annotations completions entities entity ents label labels mentions named_entities
    ner ner_tags predictions result results spans tags""".split()
)
# Keys of a JSON object that hold a list of records.
RECORD_KEYS = ("data", "annotations", "examples", "documents", "records", "sentences")


class Mark(NamedTuple):
    """An annotated piece of text as read from a file, not yet validated.

    start (Any): Offset of the first character.
    end (Any): Offset after the last character.
    label (Any): The label.
    text (Optional[str]): The covered text, if the file contains it.
    score (Optional[float]): The model's probability, if it is a prediction.
    fragments (Fragments): The offsets of its parts, if it is discontinuous.
    """

    start: Any
    end: Any
    label: Any
    text: Optional[str] = None
    score: Optional[float] = None
    fragments: Fragments = ()


@dataclass
class Source:
    """A file, or a folder that is read as a single source.

    path (Path): The file or folder.
    lang (str): The language, which determines the spacing if the file does not.
    labels (bool): Whether to read labels. If so, unread keys that look like labels are errors.
    tag_names (Sequence[str]): Names of tags that are integers in the file, in order.
    """

    path: Path
    lang: str = "xx"
    labels: bool = True
    tag_names: Sequence[str] = ()
    _lines: Optional[Iterator[str]] = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Path to show in messages."""
        return str(self.path)

    @cached_property
    def head(self) -> list[str]:
        """First lines of a text file."""
        self._lines = read_lines(self.path)
        return list(islice(self._lines, HEAD))

    @cached_property
    def first(self) -> str:
        """First line that is not blank, or an empty string."""
        return next((line for line in self.head if line.strip()), "")

    @cached_property
    def is_text(self) -> bool:
        """Whether the source is a text file."""
        return self.path.is_file() and self.path.suffix.lower() not in (
            ".spacy",
            ".parquet",
            ".arrow",
        )

    @cached_property
    def is_json(self) -> bool:
        """Whether the file contains JSON records."""
        if not self.is_text:
            return False
        if self.path.suffix.lower() in (".json", ".jsonl"):
            return True
        first = self.first.lstrip()
        return first.startswith("{") or (first.startswith("[") and _is_json_list(self.head))

    @cached_property
    def records(self) -> list[Any]:
        """First JSON records that can be parsed."""
        found = (record for _, _, record in self.iter_records())
        return [r for r in islice(found, HEAD) if not isinstance(r, CrossnerError)]

    @cached_property
    def document(self) -> Any:
        """JSON value of the whole file."""
        return load_json("\n".join(self.lines()), self.name)

    def lines(self) -> Iterator[str]:
        """Iterate over the lines without line endings."""
        head, rest = self.head, self._lines
        # a second pass reads the file again
        self._lines = None
        yield from head
        yield from islice(read_lines(self.path), len(head), None) if rest is None else rest

    def iter_records(self) -> Iterator[tuple[int, str, Any]]:
        """Read the file's JSON records: one per line, or the items of a JSON document.

        YIELDS (tuple[int, str, Any]): The number of the line or record, its place for messages, and
            the record or a parse error.
        """
        if self._is_document():
            for number, record in enumerate(_list_records(self.document), start=1):
                yield number, f"{self.name}, record {number}", record
            return
        for number, line in enumerate(self.lines(), start=1):
            if not line.strip():
                continue
            where = f"{self.name}, line {number}"
            try:
                yield number, where, load_json(line, where)
            except CrossnerError as error:
                yield number, where, error

    def _is_document(self) -> bool:
        lines = [line.strip() for line in self.head if line.strip()]
        try:
            record = json.loads(lines[0])
        except IndexError:
            return False
        except (ValueError, RecursionError):
            # one value over several lines, or JSON lines with a damaged first line
            opens_next = len(lines) == 1 or lines[1].startswith("{")
            is_document = self.path.suffix.lower() == ".json" or lines[0].startswith("[")
            return is_document or not opens_next
        if len(lines) > 1:
            return False
        # a pair of a text and its annotation is a list, too
        is_text = isinstance(record, list) and record and isinstance(record[0], str)
        return (isinstance(record, list) and not is_text) or _find_list(record) is not None


def _is_json_list(head: Sequence[str]) -> bool:
    start = " ".join(line.strip() for line in head[:3]).lstrip("[ ")
    return start.startswith(("{", '"', "]"))


def _find_list(record: Any) -> Optional[list[Any]]:
    if not isinstance(record, dict):
        return None
    if "text" in record or "tokens" in record or "tokenized_text" in record:
        return None
    # in a Label Studio task, "data" is an object with the text, not a list of records
    found = [record[key] for key in RECORD_KEYS if isinstance(record.get(key), list)]
    return found[0] if len(found) == 1 and not isinstance(record.get("data"), dict) else None


def _list_records(document: Any) -> list[Any]:
    records = document if isinstance(document, list) else _find_list(document)
    if records is None:
        return [document]
    # some tools end their lists with a null
    return [record for record in records if record is not None]


def load_json(text: str, where: str) -> Any:
    """Parse a JSON value, or raise an error that names its place.

    text (str): The text.
    where (str): Its place for messages.
    RETURNS (Any): The value.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"character {error.pos + 1}"
        if error.lineno > 1:
            place = f"line {error.lineno}, character {error.colno}"
        problem = f"{error.msg} at {place}"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError:
        problem = "it holds a number of thousands of digits"
    raise CrossnerError(Errors.CN240.format(where=where, problem=problem))


def shorten(value: Any, most: int = MOST_SHOWN) -> str:
    """Shorten a value to one line of a maximum length, for messages."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


@dataclass(frozen=True)
class Format:
    """A file format.

    name (str): Its name for `--format` and `--to`.
    about (str): A one-line description for the help.
    read (Callable[[Source], Iterator[Parsed]]): Reads the sentences of a source.
    sniff (Callable[[Source], bool]): Checks whether a source is in this format.
    suffixes (tuple[str, ...]): File extensions that are read from folders.
    write (Optional[Callable[[Path, Iterable[Sentence]], None]]): Writes sentences.
    ending (str): File extension of the output; empty for a folder.
    holds (frozenset[str]): What it supports besides flat entities: "overlaps", "gaps", "scores",
        "unlabelled".
    is_fallback (bool): Whether it is only used if no other format fits.
    """

    name: str
    about: str
    read: Callable[[Source], Iterator[Parsed]]
    sniff: Callable[[Source], bool]
    suffixes: tuple[str, ...] = ()
    write: Optional[Callable[[Path, Iterable[Sentence]], None]] = None
    ending: str = ".jsonl"
    holds: frozenset[str] = frozenset()
    is_fallback: bool = False


class Place(NamedTuple):
    """Place of a record.

    where (str): The place for messages.
    number (int): Its line or record number.
    source (Source): The source that it is from.
    """

    where: str
    number: int
    source: Source


def record_format(
    name: str,
    about: str,
    parse: Callable[[Any, Place], Parsed],
    sniff: Callable[[Sequence[Any]], bool],
    format_sentence: Optional[Callable[[Sentence], Any]] = None,
    *,
    ending: str = ".jsonl",
    holds: Iterable[str] = (),
    is_fallback: bool = False,
) -> Format:
    """Make a format of JSON records, one per line or in one list.

    name (str): The name.
    about (str): What it is.
    parse (Callable[[Any, Place], Parsed]): Converts a record to a sentence.
    sniff (Callable[[Sequence[Any]], bool]): Checks whether the first records are in this format.
    format_sentence (Optional[Callable[[Sentence], Any]]): Converts a sentence to a record.
    ending (str): File extension of the output. ".json" writes one list.
    holds (Iterable[str]): What it supports besides flat entities.
    is_fallback (bool): Whether it is only used if no other format fits.
    RETURNS (Format): The format.
    """

    def read(source: Source) -> Iterator[Parsed]:
        for number, where, record in source.iter_records():
            try:
                if isinstance(record, CrossnerError):
                    raise record
                yield parse(record, Place(where, number, source))
            except CrossnerError as error:
                yield Parsed(None, (Problem(str(error)),))

    def write(path: Path, sentences: Iterable[Sentence]) -> None:
        assert format_sentence is not None
        lines = (json.dumps(format_sentence(one), ensure_ascii=False) for one in sentences)
        if ending == ".json":
            write_text(path, chain(["[\n"], _join(lines), ["\n]\n"]))
        else:
            write_text(path, (line + "\n" for line in lines))

    return Format(
        name,
        about,
        read,
        lambda source: source.is_json and bool(source.records) and sniff(source.records),
        write=write if format_sentence else None,
        ending=ending,
        holds=frozenset(holds),
        is_fallback=is_fallback,
    )


def _join(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (",\n" if number else "") + line


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write a text file piece by piece.

    path (Path): The file.
    pieces (Iterable[str]): What to write.
    """
    with path.open("w", encoding="utf8", newline="\n") as file:
        for piece in pieces:
            file.write(piece)


def take_object(record: Any, where: str) -> dict[str, Any]:
    """Check that a record is a JSON object."""
    if not isinstance(record, dict):
        raise CrossnerError(Errors.CN241.format(where=where, found=type(record).__name__))
    return record


def take_text(record: Mapping[str, Any], where: str, key: str = "text") -> str:
    """Get the text of a record and validate it."""
    text = record.get(key)
    if not isinstance(text, str) or not text.strip():
        raise CrossnerError(Errors.CN242.format(where=where, key=key))
    if "\0" in text:
        raise CrossnerError(Errors.CN230.format(where=where))
    check_characters(text, where)
    return text


def take_record(record: Any, where: str) -> tuple[dict[str, Any], str]:
    """Validate a JSON object and get its text."""
    checked = take_object(record, where)
    return checked, take_text(checked, where)


def take_list(record: Mapping[str, Any], key: str, kind: type, where: str) -> list[Any]:
    """Get a list under a key and check the type of its items."""
    found = record[key]
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        name = "objects" if kind is dict else "lists"
        raise CrossnerError(Errors.CN244.format(where=where, key=key, kind=name))
    return found


def check_characters(text: str, where: str) -> None:
    """Raise an error for characters that JSON can encode but UTF-8 can't.

    text (str): A text.
    where (str): Its place for messages.
    """
    if half := HALF_CHARACTER.search(text):
        raise CrossnerError(Errors.CN233.format(where=where, found=ascii(half[0])))


def check_unread(record: Mapping[str, Any], read: Collection[str], place: Place) -> None:
    """Raise an error for a record with possible labels that were not read.

    record (Mapping[str, Any]): The record.
    read (Collection[str]): The keys that were read.
    place (Place): Its place.
    """
    if not place.source.labels:
        return
    unread = [
        key
        for key, value in record.items()
        if key.lower() in LABEL_KEYS and key not in read and value not in (None, "", [], {})
    ]
    if unread:
        raise CrossnerError(
            Errors.CN901.format(
                where=place.where,
                key=unread[0],
                value=shorten(json.dumps(record[unread[0]], ensure_ascii=False)),
            )
        )


def check_answer(accepted: bool, answer: Any, where: str) -> None:
    """Raise an error for a record that its annotator did not accept."""
    if not accepted:
        raise CrossnerError(Errors.CN243.format(where=where, answer=shorten(answer)))


def make_parsed(
    text: str,
    marks: Optional[Iterable[Mark]],
    place: Place,
    *,
    words: Optional[tuple[str, ...]] = None,
    offsets: tuple[int, ...] = (),
    problems: Iterable[Problem] = (),
) -> Parsed:
    """Validate a text's marks and make a sentence.

    text (str): The text.
    marks (Optional[Iterable[Mark]]): The annotated pieces; None if the text is not annotated.
    place (Place): Where the record stands.
    words (Optional[tuple[str, ...]]): The tokens, if given.
    offsets (tuple[int, ...]): Where each token starts.
    problems (Iterable[Problem]): Problems found so far.
    RETURNS (Parsed): The sentence; its spans may overlap.
    """
    found = list(problems)
    if marks is None:
        sentence = Sentence(text, None, words, offsets, line=place.number)
        return Parsed(sentence, tuple(found))
    spans: dict[Span, Optional[float]] = {}
    gaps: dict[tuple[Fragments, str], None] = {}
    for mark in _fix_offsets(text, list(marks)):
        fragments, label, mended = _check_mark(text, mark, place.where)
        found += mended
        if len(fragments) > 1:
            gaps[fragments, label] = None
        else:
            span = (*fragments[0], label)
            spans[span] = spans[span] if span in spans else _check_score(mark, place.where)
    ordered = sorted(spans)
    scores = tuple(spans[span] for span in ordered)
    sentence = Sentence(
        text,
        tuple(ordered),
        words,
        offsets,
        line=place.number,
        gapped=tuple(sorted(gaps)),
        scores=None if None in scores else scores or None,  # type: ignore[arg-type]
    )
    return Parsed(sentence, tuple(found))


def _check_score(mark: Mark, where: str) -> Optional[float]:
    score = mark.score
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        span = f"{mark.start}-{mark.end}"
        raise CrossnerError(Errors.CN902.format(where=where, span=span, score=shorten(score)))
    return float(score)


def _check_mark(text: str, mark: Mark, where: str) -> tuple[Fragments, str, list[Problem]]:
    """Check an annotation's offsets and label; return its fragments, its label and the repairs."""
    if type(mark.start) is not int or type(mark.end) is not int:
        span = shorten(json.dumps({"start": mark.start, "end": mark.end}))
        raise CrossnerError(Errors.CN245.format(where=where, span=span))
    span = f"{mark.start}-{mark.end}"
    if not isinstance(mark.label, str) or not mark.label.strip():
        raise CrossnerError(Errors.CN246.format(where=where, span=span, label=shorten(mark.label)))
    check_characters(mark.label, where)
    problems = []
    pieces: list[tuple[int, int]] = []
    for start, end in sorted(mark.fragments) or [(mark.start, mark.end)]:
        span = f"{start}-{end}"
        if start < 0 or end > len(text):
            raise CrossnerError(Errors.CN248.format(where=where, span=span, length=len(text)))
        content = text[start:end]
        if start >= end or not content.strip():
            raise CrossnerError(Errors.CN247.format(where=where, span=span))
        if content != content.strip():
            message = Errors.CN249.format(where=where, span=span, content=shorten(content))
            problems.append(Problem(message, mended=True))
            start += len(content) - len(content.lstrip())
            end -= len(content) - len(content.rstrip())
        pieces.append((start, end))
    for (first, last), (start, end) in pairwise(pieces):
        if start < last:
            both = {"first": f"{first}-{last}", "second": f"{start}-{end}"}
            raise CrossnerError(Errors.CN250.format(where=where, **both))
    pieces = _join_pieces(text, pieces)
    stated = mark.text
    if stated is not None:
        covered = " ".join(text[start:end] for start, end in pieces)
        if _squeeze(covered) != _squeeze(stated):
            raise CrossnerError(
                Errors.CN903.format(
                    where=where,
                    span=f"{mark.start}-{mark.end}",
                    covered=shorten(covered),
                    stated=shorten(stated),
                )
            )
    return tuple(pieces), mark.label.strip(), problems


def _join_pieces(text: str, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge neighbouring fragments that only white space separates."""
    joined = pieces[:1]
    for start, end in pieces[1:]:
        if text[joined[-1][1] : start].strip():
            joined.append((start, end))
        else:
            joined[-1] = (joined[-1][0], end)
    return joined


def _squeeze(text: str) -> str:
    # some tools write a line break as a space, or as a backslash and an n
    return "".join(text.replace("\\n", " ").split())


def _fix_offsets(text: str, marks: list[Mark]) -> list[Mark]:
    """Convert offsets in UTF-16 units, as JavaScript and Java count, to characters.

    text (str): The text.
    marks (list[Mark]): The marks.
    RETURNS (list[Mark]): The marks, converted only if all of them then match their texts.
    """
    if text.isascii() or not any(ord(char) > 0xFFFF for char in text):
        return marks
    if not marks or any(mark.text is None or type(mark.start) is not int for mark in marks):
        return marks
    if all(_fits(text, mark) for mark in marks):
        return marks
    units = [0]
    for char in text:
        units.append(units[-1] + 1 + (ord(char) > 0xFFFF))
    places = {unit: place for place, unit in enumerate(units)}
    moved = [
        mark._replace(
            start=places.get(mark.start, mark.start),
            end=places.get(mark.end, mark.end),
            fragments=tuple((places.get(a, a), places.get(b, b)) for a, b in mark.fragments),
        )
        for mark in marks
    ]
    return moved if all(_fits(text, mark) for mark in moved) else marks


def _fits(text: str, mark: Mark) -> bool:
    pieces = mark.fragments or ((mark.start, mark.end),)
    return _squeeze("".join(text[a:b] for a, b in pieces)) == _squeeze(mark.text or "")
