"""Read dictionaries: FreeDict's installed ones, Wiktionary text files, tables."""

import gzip
import re
from collections.abc import Iterator
from itertools import product, takewhile
from pathlib import Path
from typing import NamedTuple

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.languages import find_codes, main_code
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.lexicon.clean import part_of_speech, split_items
from spacy_crossner.lexicon.lexicon import Row, read_rows

DICTD = Path("/usr/share/dictd")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BASE64_VALUES = {char: value for value, char in enumerate(BASE64)}

HEADWORD = re.compile(r"(.*?)(?=\s+(?:/|<|\[)|$)")
HEAD_TAG = re.compile(r"<([^<>]+)>")
INFLECTED_FORM = re.compile(r"([^,(]+?) /[^/]*/ <>")
ABBREVIATION = re.compile(r"\s\S+\s+/[^/]*/")  # followed by the pronunciation
NEW_SENSE = re.compile(r"\d+\.(?:\s|$)")
HEADED_DEFINITION = re.compile(r"\s\d+\.\s*$")

WIKTIONARY_LINE = re.compile(
    r"(?P<word>.+?)(?: \{(?P<pos>[^{}]*)\})?(?P<gloss>(?: [/(].*?| SEE: .*?)?) ::(?P<items>.*)$"
)
SEE = re.compile(r"\bSEE: (.*)$")
TWO_SCRIPTS = re.compile(r"([^\s,;/]+)(?: \{\w\})?, ([^\s,;/]+) (/[^/]*/)")


class Sense(NamedTuple):
    """One sense of a headword.

    word (str): The headword.
    pos (str): Its universal part of speech, or "".
    translations (tuple[tuple[str, str, float], ...]): Translation, its part of speech, its vote.
    see (tuple[str, ...]): Headwords of cross-references.
    """

    word: str
    pos: str
    translations: tuple[tuple[str, str, float], ...]
    see: tuple[str, ...] = ()


def read_wiktionary(path: Path, target: str) -> Iterator[Sense]:
    """Read a dictionary extracted from Wiktionary: `word {pos} (gloss) :: translations`.

    path (Path): The file.
    target (str): Language of its translations. If a Chinese word is given in both scripts,
        the simplified form is preferred.
    YIELDS (Sense): One per line.
    """
    for number, line in enumerate(_read_lines(path), start=1):
        if line.startswith("#") or not line.strip():
            continue
        match = WIKTIONARY_LINE.match(line)
        if match is None:
            found = line.strip()[:80]
            raise CrossnerError(Errors.CN455.format(path=path, line=number, found=found))
        yield _wiktionary_sense(match, target)


def read_header(path: Path) -> list[str]:
    """Read the comment lines at the top of a Wiktionary file, such as its licence."""
    lines = takewhile(lambda line: line.startswith("#"), _read_lines(path))
    return [line.removeprefix("#").strip() for line in lines]


def _read_lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise CrossnerError(Errors.CN202.format(path=path))
    yield from read_lines(path)


def _wiktionary_sense(match: re.Match[str], target: str) -> Sense:
    items = match["items"]
    if target == "zh":
        items = TWO_SCRIPTS.sub(_simplified_first, items)
    pos = part_of_speech(match["pos"] or "")
    see = SEE.search(match["gloss"])
    others = tuple(other.strip() for other in see[1].split(",")) if see else ()
    return Sense(match["word"], pos, _votes(items), others)


def _simplified_first(match: re.Match[str]) -> str:
    traditional, simplified, romanized = match.groups()
    if len(traditional) != len(simplified):
        return match[0]
    return f"{simplified} {romanized}, [traditional] {traditional}"


def _votes(text: str) -> tuple[tuple[str, str, float], ...]:
    """Weight each item by 1 / its position in the list, halved if its use is limited."""
    return tuple(
        (item.text, item.pos, (0.5 if item.marked else 1.0) / place)
        for place, item in enumerate(split_items(text), start=1)
    )


def freedict_indexes(
    name: str, source: str, target: str, *, directory: Path = DICTD
) -> list[tuple[Path, bool]]:
    """Find installed FreeDict dictionaries.

    name (str): "auto" for all dictionaries of the language pair, a name such as "eng-deu", or the
        path of an `.index` file with such a name.
    source (str): The source language.
    target (str): The target language.
    directory (Path): The folder where dictionaries are installed.
    RETURNS (list[tuple[Path, bool]]): The index files and whether each must be inverted.
    """
    # some languages have several codes: Norwegian Bokmål is nob or nor, Swahili swa or swh
    pairs = list(product(find_codes(source), find_codes(target)))
    forward = [f"{a}-{b}" for a, b in pairs]
    backward = [f"{b}-{a}" for a, b in pairs]
    main = f"{main_code(source)}-{main_code(target)}"
    if name == "auto":
        paths = [(_index_path(directory, stem), stem in backward) for stem in forward + backward]
        found = [(path, inverted) for path, inverted in paths if path.exists()]
        if not found:
            raise CrossnerError(
                Errors.CN454.format(pair=f"{source}-{target}", dir=directory, name=main)
            )
        return found
    path = Path(name) if name.endswith(".index") else _index_path(directory, name)
    stem = path.stem.removeprefix("freedict-")
    if stem not in forward + backward:
        opposite = f"{main_code(target)}-{main_code(source)}"
        raise CrossnerError(
            Errors.CN456.format(
                name=stem, asked=f"{source}-{target}", forward=main, backward=opposite
            )
        )
    if not path.exists():
        raise CrossnerError(Errors.CN454.format(pair=stem, dir=path.parent, name=stem))
    return [(path, stem in backward)]


def _index_path(directory: Path, pair: str) -> Path:
    return directory / f"freedict-{pair}.index"


def read_freedict(index: Path) -> Iterator[Sense]:
    """Read a dictionary in dictd format.

    index (Path): Its `.index` file, which locates the articles in the `.dict.dz` file beside it.
    YIELDS (Sense): One for each sense of each article.
    """
    data_path = index.with_suffix(".dict.dz")
    try:
        with gzip.open(data_path) as file:
            data = file.read()
        lines = index.read_text(encoding="utf8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CrossnerError(Errors.CN450.format(path=index, problem=error)) from None
    places: set[tuple[int, int]] = set()
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith(("00database", "00-database")):
            continue
        cells = line.split("\t")
        try:
            place = (_number(cells[1]), _number(cells[2]))
        except (IndexError, KeyError):
            raise CrossnerError(
                Errors.CN457.format(path=index, line=number, found=line[:80])
            ) from None
        if sum(place) > len(data):
            raise CrossnerError(Errors.CN457.format(path=index, line=number, found=line[:80]))
        places.add(place)
    for offset, size in sorted(places):
        yield from _article(data[offset : offset + size].decode("utf8", errors="replace"))


def _number(text: str) -> int:
    value = 0
    for char in text:
        value = value * 64 + BASE64_VALUES[char]
    return value


def _article(text: str) -> Iterator[Sense]:
    """Parse an article. Indented lines are notes and examples; lines that don't open a sense are
    definitions."""
    head, *body = text.split("\n")
    match = HEADWORD.match(head)
    words = [match[1] if match else ""]
    if "<>" in head:
        words += INFLECTED_FORM.findall(head)
    tag = HEAD_TAG.search(head)
    pos = part_of_speech(tag[1]) if tag else ""
    senses = [line for line in body if line.strip() and not line.startswith(("  ", " see:"))]
    for place, line in enumerate(senses):
        if place and not NEW_SENSE.match(line):
            continue
        line = HEADED_DEFINITION.sub("", NEW_SENSE.sub("", line, count=1))
        votes = _votes(ABBREVIATION.sub(" ", line))
        for word in words:
            yield Sense(word.strip(), pos, votes)


def read_table(path: Path, source: str, target: str, *, invert: bool = False) -> Iterator[Row]:
    """Read a table of translations without cleaning, because it was made by hand.

    path (Path): The file, in a format that `read_rows` reads.
    source (str): The language of the returned rows' words.
    target (str): The language of their translations.
    invert (bool): Whether the table translates from the target to the source language.
    YIELDS (Row): Its lines.
    """
    if not invert:
        yield from read_rows(path, source, target)
        return
    for word, pos, text, weight in read_rows(path, target, source):
        yield Row(text, pos, word, weight)
