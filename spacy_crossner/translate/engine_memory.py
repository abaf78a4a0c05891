"""A translation memory: sentences that somebody has translated already.

It reads tables (`.tsv`) whose first line names the languages, JSON lines (`.jsonl`) whose keys do,
and parallel CoNLL-U files, one per language, whose name begins with the language (as in
`de_pud-ud-test.conllu`) and whose sentences are paired by their ids.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Outcome,
    Segment,
)

SUFFIXES = (".tsv", ".jsonl", ".conllu")
LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)?")


class MemoryEngine:
    """Looks translations up. The first one of a sentence counts."""

    def __init__(self, pairs: Mapping[str, str]):
        """Take the translations.

        pairs (Mapping[str, str]): Normalized source sentences and their translations.
        """
        self.pairs = pairs
        content = json.dumps(sorted(pairs.items()), ensure_ascii=False)
        self.identity = f"memory {hashlib.sha256(content.encode('utf8')).hexdigest()}"

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Look texts up. Marks are not carried."""
        return [
            Segment(self.pairs[key]) if key in self.pairs else Failure("It is not in the memory.")
            for key in (normalize(segment.text) for segment in segments)
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
        raise CrossnerError(Errors.CN420)
    pairs: dict[str, str] = {}
    for row in read_rows(settings.memory, source, target):
        text, translation = row.get(source, ""), " ".join(row.get(target, "").split())
        if text and translation:
            pairs.setdefault(normalize(text), translation)
    if not pairs:
        files = ", ".join(str(path) for path in settings.memory)
        raise CrossnerError(Errors.CN421.format(source=source, target=target, files=files))
    return MemoryEngine(pairs)


def normalize(text: str) -> str:
    """RETURNS (str): The text without what doesn't tell two sentences apart: kinds of spaces, and
    ways to write an accent."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def read_rows(paths: Sequence[Path], source: str, target: str) -> Iterator[Mapping[str, str]]:
    """Read the files of a translation memory.

    paths (Sequence[Path]): The files.
    source (str): Language of the texts.
    target (str): Language of the translations.
    YIELDS (Mapping[str, str]): One sentence in several languages.
    """
    parallel: dict[str, dict[str, str]] = {}
    for path in map(Path, paths):
        if path.suffix not in SUFFIXES:
            raise CrossnerError(Errors.CN422.format(path=path, known=", ".join(SUFFIXES)))
        try:
            lines = path.read_text(encoding="utf8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CrossnerError(Errors.CN423.format(path=path, problem=error)) from None
        if path.suffix == ".conllu":
            language = find_language(path, (source, target))
            if language:
                for name, text in read_conllu(lines):
                    parallel.setdefault(name, {})[language] = text
        elif path.suffix == ".jsonl":
            yield from read_json_lines(lines, path)
        else:
            yield from read_table(lines, path)
    yield from parallel.values()


def find_language(path: Path, languages: Sequence[str]) -> str:
    """RETURNS (str): Which of the languages the name of a file begins with, or ""."""
    beginning = path.name.replace("-", "_").replace(".", "_").split("_")[0]
    return beginning if beginning in languages else ""


def read_conllu(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """YIELDS (tuple[str, str]): The id and the text of each sentence of a CoNLL-U file."""
    name = ""
    for line in lines:
        key, _, value = line.removeprefix("# ").partition(" = ")
        if key == "parallel_id" or (key == "sent_id" and not name):
            name = value.strip().split("/")[-1]
        elif key == "text" and name:
            yield name, value.strip()
        elif not line.strip():
            name = ""


def read_json_lines(lines: Sequence[str], path: Path) -> Iterator[Mapping[str, str]]:
    """YIELDS (Mapping[str, str]): The objects of JSON lines."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise CrossnerError(Errors.CN424.format(path=path, line=number, found=line[:60]))
        yield {key: value for key, value in row.items() if isinstance(value, str)}


def read_table(lines: Sequence[str], path: Path) -> Iterator[Mapping[str, str]]:
    """YIELDS (Mapping[str, str]): The rows of a table under the languages of its first line."""
    languages = lines[0].rstrip("\r").split("\t")
    if len(languages) < 2 or not all(map(LANGUAGE.fullmatch, languages)):
        raise CrossnerError(Errors.CN425.format(path=path, found=lines[0][:60]))
    for number, line in enumerate(lines[1:], start=2):
        cells = line.rstrip("\r").split("\t")
        if cells == [""]:
            continue
        if len(cells) != len(languages):
            raise CrossnerError(
                Errors.CN426.format(
                    path=path, line=number, found=len(cells), expected=len(languages)
                )
            )
        yield dict(zip(languages, cells, strict=True))
