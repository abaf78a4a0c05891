"""A cache of translations in an SQLite database."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.files import is_disk_full
from spacy_crossner.translate.engines import Failure, Labelled, Mark, Outcome, Segment

SCHEMA = "CREATE TABLE IF NOT EXISTS translations (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
KEYS_AT_ONCE = 500  # SQLite limits the number of values in a query


class Cache:
    """A cache file of translations. Each write is committed, so a crash loses nothing.

    Failures are cached too, because the same engine would fail on the same text again.
    """

    def __init__(self, path: Path):
        """Open or create a cache.

        path (Path): The file.
        """
        self.path = path
        with self._naming():
            self._database = sqlite3.connect(path)
            self._database.execute(SCHEMA)

    def get(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """Look up translations.

        keys (Iterable[str]): Keys made by `make_key`.
        RETURNS (dict[str, Outcome]): The cached translations by key.
        """
        found: dict[str, Outcome] = {}
        remaining = iter(keys)
        while some := list(islice(remaining, KEYS_AT_ONCE)):
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM translations WHERE key IN ({marks})"
            with self._naming():
                rows = self._database.execute(query, some).fetchall()
            found.update((key, self._read(key, value)) for key, value in rows)
        return found

    def put(self, translations: Mapping[str, Outcome]) -> None:
        """Store translations in one transaction.

        translations (Mapping[str, Outcome]): Translations by key.
        """
        rows = [(key, _seal(key, _write(outcome))) for key, outcome in translations.items()]
        with self._naming(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO translations VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _read(self, key: str, value: str) -> Outcome:
        try:
            return _read(_unseal(key, value))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            problem = f"a translation in it can't be read: {shorten(error)}"
            raise CrossnerError(Errors.CN406.format(path=self.path, problem=problem)) from None

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_disk_full(error):
                raise CrossnerError(Errors.CN015.format(path=self.path)) from error
            raise CrossnerError(Errors.CN406.format(path=self.path, problem=error)) from error


def make_key(identity: str, source: str, target: str, segment: Segment) -> str:
    """Make a key of everything that determines a translation.

    identity (str): The engine's identity.
    source (str): Language of the text.
    target (str): Language to translate into.
    segment (Segment): The text and its marks.
    RETURNS (str): The key.
    """
    content = json.dumps([identity, source, target, *segment], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf8", errors="surrogatepass")).hexdigest()


def _seal(key: str, value: str) -> str:
    """Prefix a value with a checksum of its row."""
    digest = hashlib.blake2b(f"{key}\n{value}".encode("utf8", "surrogatepass"), digest_size=8)
    return f"{digest.hexdigest()} {value}"


def _unseal(key: str, sealed: str) -> str:
    """Check a row's checksum and return its value. Rows of old caches have no checksum."""
    if sealed[:1] in ("[", "{"):
        return sealed
    value = sealed.partition(" ")[2]
    if sealed != _seal(key, value):
        raise ValueError("its checksum does not match")
    return value


def _write(outcome: Outcome) -> str:
    if isinstance(outcome, Failure):
        value: Any = {"failed": outcome.reason, "missing": outcome.missing}
    else:
        value = outcome
    return json.dumps(value, ensure_ascii=False)


def _read(value: str) -> Outcome:
    found = json.loads(value)
    if isinstance(found, dict):
        return Failure(found["failed"], found.get("missing", False))
    text, marks, labels = found
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a text")
    return Segment(
        text,
        None if marks is None else tuple(Mark(*mark) for mark in marks),
        None if labels is None else tuple(Labelled(*label) for label in labels),
    )
