"""Translations that were made once, in a small database, so that none is made twice."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.translate.engines import Labelled, Mark, Segment

SCHEMA = "CREATE TABLE IF NOT EXISTS translations (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
KEYS_AT_ONCE = 500  # SQLite bounds the number of values in a query


class Cache:
    """A file of translations. What was put into it survives whatever happens to the process."""

    def __init__(self, path: Path):
        """Open a cache, or make it.

        path (Path): The file.
        """
        self.path = path
        with self._naming():
            self._database = sqlite3.connect(path)
            self._database.execute(SCHEMA)

    def get(self, keys: Iterable[str]) -> dict[str, Segment]:
        """Look translations up.

        keys (Iterable[str]): What `make_key` returned.
        RETURNS (dict[str, Segment]): Those that are there.
        """
        found: dict[str, Segment] = {}
        remaining = iter(keys)
        while some := list(islice(remaining, KEYS_AT_ONCE)):
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM translations WHERE key IN ({marks})"
            with self._naming():
                rows = self._database.execute(query, some).fetchall()
            found.update((key, _read(value)) for key, value in rows)
        return found

    def put(self, translations: Mapping[str, Segment]) -> None:
        """Keep translations, all or none of them.

        translations (Mapping[str, Segment]): Keys and translations.
        """
        rows = [
            (key, json.dumps(segment, ensure_ascii=False)) for key, segment in translations.items()
        ]
        with self._naming(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO translations VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CrossnerError(Errors.CN406.format(path=self.path, problem=error)) from error


def make_key(identity: str, source: str, target: str, segment: Segment) -> str:
    """Name a translation by everything that decides what it is.

    identity (str): Of the engine.
    source (str): Language of the text.
    target (str): Language to translate into.
    segment (Segment): The text and its marks.
    RETURNS (str): The key.
    """
    content = json.dumps([identity, source, target, *segment], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf8", errors="surrogatepass")).hexdigest()


def _read(value: str) -> Segment:
    text, marks, labels = json.loads(value)
    return Segment(
        text,
        None if marks is None else tuple(Mark(*mark) for mark in marks),
        None if labels is None else tuple(Labelled(*label) for label in labels),
    )
