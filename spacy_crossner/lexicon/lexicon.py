"""A bilingual lexicon, read from and written to a TSV file.

The file has one line per translation: the word, its universal parts of speech (separated by commas;
may be empty), the translation and its weight. The header is `# lexicon`, the source language and
the target language. An optional `# checksum` line before it covers the lines that follow.
"""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import write_file
from spacy_crossner.lexicon.clean import plain
from spacy_crossner.lexicon.inflection import AUXILIARY_FORMS, base_forms

HEADER = "# lexicon"
CHECKSUM = "# checksum"
CHECKSUM_LINE = re.compile(rf"{CHECKSUM}\t(?P<digest>[0-9a-f]{{32}})")
# parts of speech that dictionaries don't distinguish
SAME_POS = {"AUX": "VERB", "SCONJ": "CCONJ"}
LONGEST_GLUED = 40  # maximum characters of a word that spans several tokens


class Translation(NamedTuple):
    """One translation of a word.

    text (str): The target word or phrase.
    pos (str): Universal parts of speech of the source word, comma-separated, or "".
    weight (float): Its weight; the weights of a word's translations sum to 1.
    """

    text: str
    pos: str
    weight: float


class Entry(NamedTuple):
    """A word or phrase and its translations.

    word (str): Its spelling in the lexicon, which may differ from the query.
    translations (tuple[Translation, ...]): At least one, the best first.
    """

    word: str
    translations: tuple[Translation, ...]

    @property
    def best(self) -> Translation:
        """The translation with the largest weight."""
        return self.translations[0]


Raw = tuple[str, str, float]


class Row(NamedTuple):
    """One line of a lexicon file."""

    word: str
    pos: str
    text: str
    weight: float


class Lexicon:
    """Translations of words and phrases, with lookup of inflected and capitalized forms."""

    def __init__(self, source: str, target: str, rows: Iterable[Row]):
        """Index the translations.

        source (str): Language of the words.
        target (str): Language of the translations.
        rows (Iterable[Row]): The translations in any order. Ties keep this order.
        """
        self.source = source
        self.target = target
        collected: dict[str, list[Raw]] = defaultdict(list)
        for word, pos, text, weight in rows:
            collected[word].append((text, pos, weight))
        # plain tuples, which Python's garbage collector need not track
        self._raw = {word: tuple(found) for word, found in collected.items()}
        self._folded = {word.lower(): word for word in reversed(self._raw)}
        phrases = (word for word in self._folded if " " in word)
        self._beginnings = {start for word in phrases for start in _beginnings(word)}
        self._cache: dict[tuple[str, str, bool], Optional[Entry]] = {}

    def __len__(self) -> int:
        """Number of words and phrases."""
        return len(self._raw)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries, sorted by word."""
        for word in sorted(self._raw, key=lambda word: (word.lower(), word)):
            yield self._make_entry(word)

    def get(self, word: str) -> Optional[Entry]:
        """Look up a word by its exact spelling.

        word (str): The word or phrase.
        RETURNS (Optional[Entry]): Its entry.
        """
        word = plain(word)
        return self._make_entry(word) if word in self._raw else None

    def find(self, text: str, *, pos: str = "", initial: bool = False) -> Optional[Entry]:
        """Look up a word from running text: exactly, in lower case, by base form (English only),
        then ignoring case.

        text (str): The word or phrase.
        pos (str): Its universal part of speech, if known. If the lexicon has translations with
            this part of speech, only those are returned.
        initial (bool): Whether it begins a sentence, where every word is capitalized.
        RETURNS (Optional[Entry]): The entry, best translation first, or None.
        """
        key = (text, pos, initial)
        try:
            return self._cache[key]
        except KeyError:
            entry = self._cache[key] = _restrict(self._find(plain(text), initial), pos)
            return entry

    def begins_phrase(self, text: str) -> bool:
        """Check if a longer phrase of the lexicon begins with these words."""
        return text.lower() in self._beginnings

    def match(
        self,
        words: Sequence[str],
        spaces: Sequence[bool],
        start: int,
        stop: int,
        *,
        pos: str = "",
        initial: bool = False,
    ) -> Optional[tuple[int, Entry]]:
        """Find the longest phrase that begins at a token.

        words (Sequence[str]): The tokens of a text.
        spaces (Sequence[bool]): Whether a space follows each.
        start (int): The first token of the phrase.
        stop (int): The end of the search: one past the last allowed token.
        pos (str): Universal part of speech of the first token, used if only this token is found.
        initial (bool): Whether the token begins a sentence.
        RETURNS (Optional[tuple[int, Entry]]): The end of the phrase and its entry.
        """
        text = words[start]
        entry = self.find(text, pos=pos, initial=initial)
        best = None if entry is None else (start + 1, entry)
        for end in range(start + 1, stop):
            if spaces[end - 1]:
                if not self.begins_phrase(text):
                    break
                text += " "
            elif len(text) > LONGEST_GLUED:
                break
            if words[end].isspace():
                break
            text += words[end]
            entry = self.find(text, initial=initial)
            if entry is not None and not _drops_clitic(entry, words[end]):
                best = (end + 1, entry)
        return best

    def _find(self, text: str, initial: bool) -> Optional[Entry]:
        lower = text.lower()
        forms = (lower, text) if initial else (text, lower)
        for form in forms:
            if self.source == "en" and AUXILIARY_FORMS.get(form) in self._raw:
                # "are" is a verb before it is a unit of area
                return _restrict(self._make_entry(AUXILIARY_FORMS[form]), "VERB")
            if form in self._raw:
                return self._make_entry(form)
        if self.source == "en":
            for form in forms:
                for base in base_forms(form):
                    if base in self._raw:
                        return self._make_entry(base)
        if text != lower and lower in self._folded:
            return self._make_entry(self._folded[lower])
        return None

    def _make_entry(self, word: str) -> Entry:
        found = self._raw[word]
        total = sum([weight for _, _, weight in found])
        ranked = sorted(found, key=lambda one: -one[2])
        return Entry(word, tuple(Translation(text, pos, w / total) for text, pos, w in ranked))


def _drops_clitic(entry: Entry, last: str) -> bool:
    """Check if an entry translates only the word before an "'s", which may mean "is"."""
    return last[0] in "'’" and not entry.word.lower().endswith(plain(last).lower())


def _beginnings(phrase: str) -> Iterator[str]:
    """Yield every proper prefix of a phrase that ends at a word boundary."""
    at = phrase.find(" ")
    while at >= 0:
        yield phrase[:at]
        at = phrase.find(" ", at + 1)


def _restrict(entry: Optional[Entry], pos: str) -> Optional[Entry]:
    if entry is None or not pos:
        return entry
    pos = SAME_POS.get(pos, pos)
    fitting = tuple(one for one in entry.translations if pos in one.pos.split(","))
    return Entry(entry.word, fitting) if fitting else entry


def read_rows(path: Path, source: str, target: str) -> Iterator[Row]:
    """Read a lexicon or another tab-separated table: a word, optionally its part of speech, a
    translation, and optionally a weight.

    path (Path): The file.
    source (str): The expected language of its words, checked if it has a header.
    target (str): The expected language of its translations, checked likewise.
    YIELDS (Row): Its lines.
    """
    _verify(path)
    tidy = False  # files with our header come from `write_lexicon`, but may have been edited
    for number, line in enumerate(_read_lines(path), start=1):
        if line.startswith("#"):
            pair = line.removeprefix(HEADER).split()
            if line.startswith(HEADER) and pair != [source, target]:
                raise CrossnerError(
                    Errors.CN453.format(path=path, found="-".join(pair), asked=f"{source}-{target}")
                )
            tidy = tidy or line.startswith(HEADER)
            continue
        cells = line.split("\t")
        cells = [cell.strip() if tidy else plain(cell) for cell in cells]
        if cells == [""]:
            continue
        if len(cells) == 2:
            cells.insert(1, "")
        weight = _weight(cells[3]) if len(cells) == 4 else 1.0
        if len(cells) not in (3, 4) or not cells[0] or not cells[2] or weight is None:
            raise CrossnerError(Errors.CN451.format(path=path, line=number, found=line.strip()))
        yield Row(cells[0], cells[1], cells[2], weight)


def read_lexicon(path: Path, source: Optional[str] = None, target: Optional[str] = None) -> Lexicon:
    """Read a lexicon file.

    path (Path): The file.
    source (Optional[str]): Language of its words. If None, it is read from the header.
    target (Optional[str]): Language of its translations. If None, likewise.
    RETURNS (Lexicon): The lexicon, with at least one word.
    """
    said = read_pair(path) or ("en", "xx")
    source, target = source or said[0], target or said[1]
    lexicon = Lexicon(source, target, read_rows(path, source, target))
    if not len(lexicon):
        raise CrossnerError(Errors.CN452.format(path=path))
    return lexicon


def read_pair(path: Path) -> Optional[tuple[str, str]]:
    """Read the language pair from a lexicon's header.

    path (Path): The file.
    RETURNS (Optional[tuple[str, str]]): Source and target language, or None without a header.
    """
    lines = _read_lines(path)
    line = next(lines, "")
    if line.startswith(CHECKSUM):
        line = next(lines, "")
    pair = line.removeprefix(HEADER).split()
    return (pair[0], pair[1]) if line.startswith(HEADER) and len(pair) == 2 else None


def _read_lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise CrossnerError(Errors.CN202.format(path=path))
    yield from read_lines(path)


def _verify(path: Path) -> None:
    """Check a lexicon against its checksum, if it has one."""
    lines = _read_lines(path)
    head = next(lines, "")
    match = CHECKSUM_LINE.fullmatch(head)
    if match:
        damaged = match["digest"] != _digest(lines)
    else:
        # a damaged checksum line: nothing else stands above the header
        damaged = head.startswith(CHECKSUM) or (
            head[:1] != "#" and next(lines, "").startswith(HEADER)
        )
    if damaged:
        raise CrossnerError(Errors.CN467.format(path=path))


def _digest(lines: Iterable[str]) -> str:
    """Hash lines without their line endings, which version control may change."""
    digest = hashlib.blake2b(digest_size=16)
    for line in lines:
        digest.update(line.encode("utf8") + b"\n")
    return digest.hexdigest()


def _weight(cell: str) -> Optional[float]:
    try:
        weight = float(cell)
    except ValueError:
        return None
    return weight if 0.0 < weight < math.inf else None


def write_lexicon(path: Path, lexicon: Lexicon, *, notes: Iterable[str] = ()) -> None:
    """Write a lexicon atomically.

    path (Path): The file.
    lexicon (Lexicon): The lexicon.
    notes (Iterable[str]): Comment lines to write after the header, such as sources.
    """
    lines = [f"{HEADER}\t{lexicon.source}\t{lexicon.target}", *(f"# {note}" for note in notes)]
    for word, translations in lexicon:
        for text, pos, weight in translations:
            lines.append(f"{word}\t{pos}\t{text}\t{weight:.4f}")
    lines.insert(0, f"{CHECKSUM}\t{_digest(lines)}")
    write_file(path, "".join(f"{line}\n" for line in lines))
