"""Make a lexicon of dictionaries: FreeDict's installed ones, Wiktionary text files, tables."""

import gzip
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Optional

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.translate.clean import (
    clean_word,
    main_script,
    part_of_speech,
    script_of,
    split_items,
)
from spacy_crossner.translate.lexicon import Lexicon, Row, read_rows

DICTD = Path("/usr/share/dictd")
# FreeDict names its dictionaries by the longer codes
LONG_CODES = dict(
    pair.split(":")
    for pair in (
        "af:afr ar:ara bg:bul br:bre ca:cat cs:ces cy:cym da:dan de:deu el:ell en:eng eo:epo es:spa "
        "fi:fin fr:fra ga:gle gd:gla hi:hin hr:hrv hu:hun id:ind is:isl it:ita ja:jpn ku:kur la:lat "
        "lt:lit mk:mkd nb:nor nl:nld nn:nno no:nor oc:oci pl:pol pt:por ro:ron ru:rus sa:san sk:slk "
        "sl:slv sr:srp sv:swe sw:swh tr:tur wo:wol"
    ).split()
)
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BASE64_VALUES = {char: value for value, char in enumerate(BASE64)}

HEADWORD = re.compile(r"(.*?)(?=\s+(?:/|<|\[)|$)")
HEAD_TAG = re.compile(r"<([^<>]+)>")
INFLECTED_FORM = re.compile(r"([^,(]+?) /[^/]*/ <>")
ABBREVIATION = re.compile(r"\s\S+\s+/[^/]*/")  # it comes with how to pronounce it
NEW_SENSE = re.compile(r"\d+\.(?:\s|$)")
HEADED_DEFINITION = re.compile(r"\s\d+\.\s*$")

WIKTIONARY_LINE = re.compile(
    r"(?P<word>.+?)(?: \{(?P<pos>[^{}]*)\})?(?P<gloss>(?: [/(].*?| SEE: .*?)?) ::(?P<items>.*)$"
)
SEE = re.compile(r"\bSEE: (.*)$")
TWO_SCRIPTS = re.compile(r"([^\s,;/]+)(?: \{\w\})?, ([^\s,;/]+) (/[^/]*/)")

LONGEST_WORD = 5  # words in a phrase that a text may well repeat
LONGEST_EXPLANATION = 3  # words that a translation may have more than its original
REFERENCE_VOTE = 0.25  # what all translations of another headword, referred to, weigh together
ALL_CAPITALIZED = 0.95  # share of capitals above which a dictionary capitalizes every headword
LEAST_SHARE = 0.1  # of the best translation's weight, below which others are left out
UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my", "yue"})


class Sense(NamedTuple):
    """What a dictionary says in one place.

    word (str): The headword.
    pos (str): Its universal part of speech, or "".
    translations (tuple[tuple[str, str, float], ...]): Translation, its part of speech, its vote.
    see (tuple[str, ...]): Headwords that the dictionary refers to instead.
    """

    word: str
    pos: str
    translations: tuple[tuple[str, str, float], ...]
    see: tuple[str, ...] = ()


Votes = dict[str, dict[tuple[str, str], float]]


def build_lexicon(
    sources: Sequence[Iterable[Row]],
    source: str,
    target: str,
    *,
    frequency: Optional[Callable[[str], int]] = None,
    max_translations: int = 8,
) -> Lexicon:
    """Merge dictionaries: each gives a word's translations shares of its vote, and the first
    dictionary's vote counts twice as much as the second's, and so on.

    sources (Sequence[Iterable[Row]]): Translations with votes, the trusted ones first.
    source (str): Language of the words.
    target (str): Language of the translations.
    frequency (Optional[Callable[[str], int]]): How often a target text has a translation. If
        given, common translations gain weight.
    max_translations (int): How many translations to keep of each word.
    RETURNS (Lexicon): The lexicon.
    """
    scores: Votes = defaultdict(lambda: defaultdict(float))
    for rank, rows in enumerate(sources):
        votes: Votes = defaultdict(lambda: defaultdict(float))
        for word, pos, text, weight in rows:
            votes[word][text, pos] += weight
        for word, found in votes.items():
            total = sum(found.values())
            for key, vote in found.items():
                scores[word][key] += 0.5**rank * vote / total
    rows = chain.from_iterable(
        _best(word, found, frequency, max_translations) for word, found in scores.items()
    )
    return Lexicon(source, target, rows)


def _best(
    word: str,
    found: dict[tuple[str, str], float],
    frequency: Optional[Callable[[str], int]],
    max_translations: int,
) -> list[Row]:
    """Join the parts of speech of each translation, and keep the translations that lead."""
    scores: dict[str, float] = defaultdict(float)
    tags: dict[str, list[str]] = defaultdict(list)
    for (text, pos), score in sorted(found.items(), key=lambda item: -item[1]):
        scores[text] += score
        if pos:
            tags[text].append(pos)
    if frequency is not None:
        scores = {text: w * (1.0 + math.log1p(frequency(text))) for text, w in scores.items()}
    ranked = sorted(scores, key=lambda text: -scores[text])[:max_translations]
    least = LEAST_SHARE * scores[ranked[0]]
    return [
        Row(word, ",".join(tags[text]), text, scores[text])
        for text in ranked
        if scores[text] >= least
    ]


def clean_rows(
    senses: Iterable[Sense], source: str, target: str, *, invert: bool = False
) -> Iterator[Row]:
    """Clean what a dictionary says, follow its references, and leave out what is no translation:
    other scripts, explanations, affixes, and whole proverbs.

    senses (Iterable[Sense]): The senses of a dictionary.
    source (str): The language that the rows' words shall be in.
    target (str): The language that their translations shall be in.
    invert (bool): Whether the dictionary translates from the target to the source language.
    YIELDS (Row): Translations with their votes.
    """
    rows = _resolve(senses)
    if invert:
        rows = (Row(text, pos, word, vote) for word, pos, text, vote in rows)
    cleaned = [row for row in (_clean_row(row, source, target) for row in rows) if row is not None]
    script = main_script((row.text for row in cleaned), target)
    capitals = sum(row.word[0].isupper() for row in cleaned)
    fold = capitals > ALL_CAPITALIZED * len(cleaned)
    for row in cleaned:
        if script_of(row.text) == script:
            yield row._replace(word=_uncapitalize(row.word)) if fold else row


def _uncapitalize(word: str) -> str:
    return word if word[1:2].isupper() else word[0].lower() + word[1:]


def _resolve(senses: Iterable[Sense]) -> Iterator[Row]:
    """YIELDS (Row): Every translation; references add little to those that a word has itself."""
    translations: Votes = defaultdict(lambda: defaultdict(float))
    references: list[tuple[str, str, str]] = []
    for word, pos, found, see in senses:
        for text, text_pos, vote in found:
            translations[word][text, pos or text_pos] += vote
        references += ((word, pos, other) for other in see)
    for word, votes in translations.items():
        yield from (Row(word, pos, text, vote) for (text, pos), vote in votes.items())
    for word, pos, other in references:
        known = translations.get(other, {})
        votes = {key: vote for key, vote in known.items() if key[1] == pos} or known
        total = sum(votes.values())
        for (text, _), vote in votes.items():
            yield Row(word, pos, text, REFERENCE_VOTE * vote / total)


def _clean_row(row: Row, source: str, target: str) -> Optional[Row]:
    if "," in row.word or (len(row.word) == 1 and row.pos == "NOUN"):  # proverbs, names of letters
        return None
    word = clean_word(row.word, source, pos=row.pos)
    text = clean_word(row.text, target, pos=row.pos)
    if text.endswith(".") and not word.endswith(".") and "." not in text[:-1]:
        text = text[:-1]
    length = len(word.split())
    explains = len(text.split()) > length + LONGEST_EXPLANATION
    if not word or not text or length > LONGEST_WORD or explains:
        return None
    return Row(word, row.pos, text, row.weight)


def read_wiktionary(path: Path, target: str) -> Iterator[Sense]:
    """Read a dictionary extracted from Wiktionary: `word {pos} (gloss) :: translations`.

    path (Path): The file.
    target (str): Language of its translations. Of Chinese words given in two scripts, the
        simplified one is preferred.
    YIELDS (Sense): One for each line.
    """
    try:
        with Path(path).open(encoding="utf8") as file:
            for number, line in enumerate(file, start=1):
                if line.startswith("#") or not line.strip():
                    continue
                match = WIKTIONARY_LINE.match(line.rstrip("\n"))
                if match is None:
                    found = line.strip()[:80]
                    raise CrossnerError(Errors.CN455.format(path=path, line=number, found=found))
                yield _wiktionary_sense(match, target)
    except (OSError, UnicodeDecodeError) as error:
        raise CrossnerError(Errors.CN450.format(path=path, problem=error)) from None


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
    """Let each item vote with 1 / its place in the list, and half as much if its use is limited."""
    return tuple(
        (item.text, item.pos, (0.5 if item.marked else 1.0) / place)
        for place, item in enumerate(split_items(text), start=1)
    )


def freedict_indexes(
    name: str, source: str, target: str, *, directory: Path = DICTD
) -> list[tuple[Path, bool]]:
    """Find installed FreeDict dictionaries.

    name (str): "auto" for all of the language pair, a name such as "eng-deu", or a path to an
        `.index` file with such a name.
    source (str): The source language.
    target (str): The target language.
    directory (Path): Where dictionaries are installed.
    RETURNS (list[tuple[Path, bool]]): The index files, and whether each has to be inverted.
    """
    forward = f"{LONG_CODES.get(source, source)}-{LONG_CODES.get(target, target)}"
    backward = "-".join(reversed(forward.split("-")))
    if name == "auto":
        pairs = [_index_path(directory, pair) for pair in (forward, backward)]
        found = [(path, path.stem.endswith(backward)) for path in pairs if path.exists()]
        if not found:
            raise CrossnerError(
                Errors.CN454.format(pair=f"{source}-{target}", dir=directory, name=forward)
            )
        return found
    path = Path(name) if name.endswith(".index") else _index_path(directory, name)
    stem = path.stem.removeprefix("freedict-")
    if stem not in (forward, backward):
        asked = f"{source}-{target}"
        raise CrossnerError(
            Errors.CN456.format(name=stem, asked=asked, forward=forward, backward=backward)
        )
    if not path.exists():
        raise CrossnerError(Errors.CN454.format(pair=stem, dir=path.parent, name=stem))
    return [(path, stem == backward)]


def _index_path(directory: Path, pair: str) -> Path:
    return directory / f"freedict-{pair}.index"


def read_freedict(index: Path) -> Iterator[Sense]:
    """Read a dictionary in the format of dictd.

    index (Path): Its `.index` file, which tells where the `.dict.dz` beside it has its articles.
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
    """Indented lines are notes and examples; a line that opens no sense is its definition."""
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


def word_frequency(texts: Iterable[str], lang: str) -> Callable[[str], int]:
    """Count the words of a text.

    texts (Iterable[str]): The text.
    lang (str): Its language. Where words have no spaces between them, short runs of characters
        are counted instead.
    RETURNS (Callable[[str], int]): How often a word occurs; a phrase counts as its rarest word.
    """
    counts: Counter[str] = Counter()
    pieces = re.compile(r"\w+")
    for text in texts:
        for word in pieces.findall(text.lower()):
            if lang in UNSPACED:
                runs = (word[i : i + n] for n in range(1, 5) for i in range(len(word) - n + 1))
                counts.update(runs)
            else:
                counts[word] += 1

    def frequency(phrase: str) -> int:
        return min((counts[word] for word in pieces.findall(phrase.lower())), default=0)

    return frequency


def read_table(path: Path, source: str, target: str, *, invert: bool = False) -> Iterator[Row]:
    """Read a table of translations as it is: a person made it.

    path (Path): The file, in a form that `read_rows` reads.
    source (str): The language that the rows' words shall be in.
    target (str): The language that their translations shall be in.
    invert (bool): Whether the table translates from the target to the source language.
    YIELDS (Row): Its lines.
    """
    if not invert:
        yield from read_rows(path, source, target)
        return
    for word, pos, text, weight in read_rows(path, target, source):
        yield Row(text, pos, word, weight)
