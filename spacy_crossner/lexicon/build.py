"""Build a lexicon from dictionaries: clean and merge their entries, and rank the translations."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Optional

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.languages import get_tokenizer, is_unspaced
from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.lexicon.clean import clean_word, main_script, script_of
from spacy_crossner.lexicon.dictionaries import (
    Sense,
    freedict_indexes,
    read_freedict,
    read_header,
    read_table,
    read_wiktionary,
)
from spacy_crossner.lexicon.learn import learn_rows
from spacy_crossner.lexicon.lexicon import Lexicon, Row, write_lexicon
from spacy_crossner.lexicon.switch import is_word

LONGEST_WORD = 5  # maximum words of a phrase; longer ones seldom occur in text
LONGEST_EXPLANATION = 3  # words that a translation may have beyond those of its original
REFERENCE_VOTE = 0.25  # total vote of the translations that a cross-reference adds
WORDIER_VOTE = 0.5  # factor on the vote of longer translations, which are seldom the plain one
ALL_CAPITALIZED = 0.95  # share of capitals above which a dictionary capitalizes every headword
LEAST_SHARE = 0.2  # translations below this share of the best one's weight are dropped

Votes = dict[str, dict[tuple[str, str], float]]


def build_lexicon(
    sources: Sequence[Iterable[Row]],
    source: str,
    target: str,
    *,
    frequency: Optional[Callable[[str], int]] = None,
    max_translations: int = 5,
) -> Lexicon:
    """Merge dictionaries by weighted votes. Each dictionary splits its vote among a word's
    translations, and counts twice as much as the one after it.

    sources (Sequence[Iterable[Row]]): Translations with votes, most trusted dictionary first.
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
    """Merge the parts of speech of each translation and keep the best translations."""
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
    """Clean a dictionary's entries, resolve cross-references, and drop what is not a translation:
    other scripts, explanations, affixes and proverbs.

    senses (Iterable[Sense]): The senses of a dictionary.
    source (str): The language of the returned rows' words.
    target (str): The language of their translations.
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
    """Yield all translations. Cross-references add less weight than a word's own translations."""
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
    wordier = len(text.split()) > length
    return Row(word, row.pos, text, row.weight * (WORDIER_VOTE if wordier else 1.0))


def word_frequency(texts: Iterable[str], lang: str) -> Callable[[str], int]:
    """Count the words of a text.

    texts (Iterable[str]): The text.
    lang (str): Its language. For languages written without spaces, short character sequences
        are counted instead.
    RETURNS (Callable[[str], int]): How often a word occurs; a phrase counts as its rarest word.
    """
    counts: Counter[str] = Counter()
    pieces = re.compile(r"\w+")
    for text in texts:
        for word in pieces.findall(text.lower()):
            if is_unspaced(lang):
                runs = (word[i : i + n] for n in range(1, 5) for i in range(len(word) - n + 1))
                counts.update(runs)
            else:
                counts[word] += 1

    def frequency(phrase: str) -> int:
        return min((counts[word] for word in pieces.findall(phrase.lower())), default=0)

    return frequency


def make_lexicon(
    out: Path,
    source: str,
    target: str,
    *,
    tables: Sequence[Path] = (),
    wiktionary: Sequence[Path] = (),
    freedict: Sequence[str] = (),
    views: Sequence[Path] = (),
    invert: bool = False,
    target_corpus: Optional[Path] = None,
    max_translations: int = 5,
) -> Lexicon:
    """Write the lexicon of a language pair.

    out (Path): The file.
    source (str): Language of the words.
    target (str): Language of the translations.
    tables (Sequence[Path]): Tables of words and translations, not cleaned. They have the highest
        weight.
    wiktionary (Sequence[Path]): Dictionaries extracted from Wiktionary, second in weight.
    freedict (Sequence[str]): Names or paths of FreeDict dictionaries, see `freedict_indexes`. They
        have less weight, because many list translations in alphabetical order.
    views (Sequence[Path]): Output of the command `translate`, to learn translations from. Lowest
        weight.
    invert (bool): Set if tables and Wiktionary files translate from target to source.
    target_corpus (Optional[Path]): Text in the target language. Translations that are frequent
        in it gain weight.
    max_translations (int): How many translations to keep of each word.
    RETURNS (Lexicon): The lexicon.
    """
    if not tables and not wiktionary and not freedict and not views:
        raise CrossnerError(Errors.CN458.format(source=source, target=target))
    inputs = [*tables, *wiktionary, *views, *([] if target_corpus is None else [target_corpus])]
    if out.resolve() in (path.resolve() for path in inputs):
        raise CrossnerError(Errors.CN213.format(path=out))
    read_source = target if invert else source
    read_target = source if invert else target
    indexes = [found for name in freedict for found in freedict_indexes(name, source, target)]
    sources: list[Iterable[Row]] = [
        *(read_table(path, source, target, invert=invert) for path in tables),
        *(
            clean_rows(read_wiktionary(path, read_target), source, target, invert=invert)
            for path in wiktionary
        ),
        *(clean_rows(read_freedict(path), source, target, invert=back) for path, back in indexes),
        *(learn_rows(path, source, target) for path in views),
    ]
    frequency = None
    if target_corpus is not None:
        texts = (doc.text for doc in read_texts(target_corpus, target))
        frequency = word_frequency(texts, target)
    lexicon = build_lexicon(
        sources, source, target, frequency=frequency, max_translations=max_translations
    )
    if not len(lexicon):
        pair = f"{read_source}-{read_target}"
        raise CrossnerError(Errors.CN459.format(pair=pair))
    notes = [
        f"from {path.name}" for path in [*tables, *wiktionary, *(p for p, _ in indexes), *views]
    ]
    notes += [line for path in wiktionary for line in read_header(path)]
    write_lexicon(out, lexicon, notes=notes)
    return lexicon


def read_texts(path: Path, lang: str) -> Iterator[Doc]:
    """Read a corpus without its annotation.

    path (Path): A `.spacy` file, a folder of them, or a text file with one text per line.
    lang (str): Its language.
    YIELDS (Doc): The texts.
    """
    if path.is_dir() or path.suffix == ".spacy":
        vocab = Vocab()
        for shard in find_shards(path):
            yield from read_docs(shard, vocab)
        return
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    yield from get_tokenizer(lang).pipe(line for line in read_lines(path) if line.strip())


@dataclass
class Coverage:
    """Coverage of a corpus by a lexicon.

    words (int): Tokens that contain a letter.
    known (int): Those found in the lexicon, alone or as part of a phrase.
    unknown (Counter[str]): The others, in lower case.
    """

    words: int = 0
    known: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Share of words that are in the lexicon."""
        return self.known / self.words if self.words else 0.0


def measure_coverage(lexicon: Lexicon, docs: Iterable[Doc]) -> Coverage:
    """Count the words of a corpus that a lexicon covers, alone or as part of a phrase.

    lexicon (Lexicon): The lexicon.
    docs (Iterable[Doc]): Texts in its source language.
    RETURNS (Coverage): The counts.
    """
    coverage = Coverage()
    for doc in docs:
        words = [token.text for token in doc]
        spaces = [bool(token.whitespace_) for token in doc]
        reached = 0
        for i, word in enumerate(words):
            found = lexicon.match(words, spaces, i, len(words)) if i >= reached else None
            if found is not None:
                reached = found[0]
            if is_word(word):
                coverage.words += 1
                coverage.known += i < reached
                if i >= reached:
                    coverage.unknown[word.lower()] += 1
    return coverage
