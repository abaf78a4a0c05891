"""A translation memory: sentences that somebody has translated already.

It reads tables (`.tsv`) whose first line names the languages, JSON lines (`.jsonl`) whose keys do,
and files with a language each, whose sentences are paired by their ids: CoNLL-U (`.conllu`), and
sentences with inline marks (`.txt`, as in the sample corpus), whose labels come along. The name of
such a file, or of its folder, begins with the language, as in `de_pud-ud-test.conllu`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.formats.base import check_characters
from spacy_crossner.data.markup import read_marked
from spacy_crossner.data.shards import find_files
from spacy_crossner.errors import CrossnerError, Errors, NoTranslationError
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Labelled,
    Outcome,
    Segment,
)

SUFFIXES = (".tsv", ".jsonl", ".conllu", ".txt")
Row = Mapping[str, Segment]
LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)?")


class MemoryEngine:
    """Looks translations up. The first one of a sentence counts."""

    def __init__(self, pairs: Row):
        """Take the translations.

        pairs (Row): Normalized source sentences and their translations.
        """
        self.pairs = pairs
        content = json.dumps(sorted(pairs.items()), ensure_ascii=False)
        self.identity = f"memory {hashlib.sha256(content.encode('utf8')).hexdigest()}"

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Look texts up. Marks are not carried."""
        return [
            self.pairs.get(normalize(segment.text), Failure("It is not in the memory.", True))
            for segment in segments
        ]


@ENGINES.register("memory")
def make_memory(source: str, target: str, settings: EngineSettings) -> Engine:
    """Make an engine of the files of a translation memory.

    source (str): Language of the texts.
    target (str): Language to translate into.
    settings (EngineSettings): `memory` names the files.
    RETURNS (Engine): The engine.
    """
    if not settings.memory:
        raise NoTranslationError(Errors.CN420)
    pairs: dict[str, Segment] = {}
    for row in read_rows(settings.memory, source, target):
        if source in row and target in row:
            pairs.setdefault(normalize(row[source].text), row[target])
    if not pairs:
        files = ", ".join(str(path) for path in settings.memory)
        raise NoTranslationError(Errors.CN421.format(source=source, target=target, files=files))
    return MemoryEngine(pairs)


def normalize(text: str) -> str:
    """Normalize spaces and accents of a sentence, for look-up."""
    return unicodedata.normalize("NFC", "".join(text.split()))


def read_rows(paths: Sequence[Path], source: str, target: str) -> Iterator[Row]:
    """Read the files of a translation memory.

    paths (Sequence[Path]): The files, or folders of them.
    source (str): Language of the texts.
    target (str): Language of the translations.
    YIELDS (Row): One sentence in several languages.
    """
    parallel: dict[str, dict[str, Segment]] = {}
    for path in expand(paths):
        if path.suffix not in SUFFIXES:
            raise CrossnerError(Errors.CN422.format(path=path, known=", ".join(SUFFIXES)))
        try:
            lines = list(read_lines(path))
        except OSError as error:
            raise CrossnerError(Errors.CN423.format(path=path, problem=error)) from None
        if path.suffix in (".jsonl", ".tsv"):
            rows = (
                read_json_lines(lines, path) if path.suffix == ".jsonl" else read_table(lines, path)
            )
            for row in rows:
                texts = {lang: " ".join(text.split()) for lang, text in row.items()}
                yield {lang: Segment(text) for lang, text in texts.items() if text}
        elif language := find_language(path, (source, target)):
            found = read_conllu(lines) if path.suffix == ".conllu" else read_marked_segments(path)
            for name, segment in found:
                known = parallel.setdefault(name, {}).setdefault(language, segment)
                if known.text != segment.text:
                    raise CrossnerError(Errors.CN427.format(path=path, id=name, lang=language))
    yield from parallel.values()


def expand(paths: Sequence[Path]) -> Iterator[Path]:
    """Iterate over files, and over the translation memories in folders."""
    for path in map(Path, paths):
        yield from find_files(path, SUFFIXES) if path.is_dir() else [path]


def find_language(path: Path, languages: Sequence[str]) -> str:
    """Find the language that the name of a file or its folder starts with, or ""."""
    for name in (path.name, path.absolute().parent.name):
        beginning = re.split(r"[-_.]", name)[0]
        if beginning in languages:
            return beginning
    return ""


def read_marked_segments(path: Path) -> Iterator[tuple[str, Segment]]:
    """Read sentences with inline marks: id, text and labels."""
    for marked in read_marked(path):
        spans = sorted((*marked.spans, *marked.nested))
        yield marked.id, Segment(marked.text, labels=tuple(Labelled(*one) for one in spans))


def read_conllu(lines: Sequence[str]) -> Iterator[tuple[str, Segment]]:
    """Read the ids and texts of a CoNLL-U file."""
    name = text = ""
    for line in (*lines, ""):
        key, _, value = line.removeprefix("# ").partition(" = ")
        if key == "parallel_id" or (key == "sent_id" and not name):
            name = value.strip().split("/")[-1]
        elif key == "text":
            text = " ".join(value.split())
        elif not line.strip():
            if name and text:
                yield name, Segment(text)
            name = text = ""


def read_json_lines(lines: Sequence[str], path: Path) -> Iterator[Mapping[str, str]]:
    """Read the objects of a JSON Lines file."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise CrossnerError(Errors.CN424.format(path=path, line=number, found=line[:60]))
        texts = {key: value for key, value in row.items() if isinstance(value, str)}
        for text in texts.values():
            check_characters(text, f"{path}, line {number}")
        yield texts


def read_table(lines: Sequence[str], path: Path) -> Iterator[Mapping[str, str]]:
    """Read the rows of a table by language."""
    if not lines:
        return
    languages = lines[0].split("\t")
    if len(languages) < 2 or not all(map(LANGUAGE.fullmatch, languages)):
        raise CrossnerError(Errors.CN425.format(path=path, found=lines[0][:60]))
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if cells == [""]:
            continue
        if len(cells) != len(languages):
            raise CrossnerError(
                Errors.CN426.format(
                    path=path, line=number, found=len(cells), expected=len(languages)
                )
            )
        yield dict(zip(languages, cells, strict=True))
