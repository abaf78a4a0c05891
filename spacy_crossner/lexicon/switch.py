"""Code-switching of one sentence: find the words that can be replaced, choose some, replace them.

Only whole words and phrases of the lexicon are replaced; spaces and punctuation stay. A phrase
never crosses the boundary of an entity, so labels and links are exact however many words a
translation has.
"""

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

import spacy

from spacy_crossner.data.languages import is_unspaced
from spacy_crossner.lexicon.lexicon import Entry, Lexicon
from spacy_crossner.pipeline.tokenizer import create_tokenizer

SENTENCE_ENDS = frozenset([".", "!", "?", ":", "...", "…", "。", "！", "？"])
APOSTROPHES = "'’"
SURE = 0.75  # minimum weight of a translation that may replace a name
DOTTED_I = str.maketrans({"i": "İ", "ı": "I"})
NEEDLESS_SPACE = re.compile(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])")


Rendered = tuple[tuple[str, ...], tuple[bool, ...]]


class Sentence(NamedTuple):
    """The input of code-switching.

    words (list[str]): The tokens.
    spaces (list[bool]): Whether a space follows each.
    marks (Sequence[tuple[int, int]]): Entities, including nested ones, as (start, end).
    frozen (Sequence[int]): Tokens that must not be replaced.
    tags (Sequence[str]): Universal parts of speech of the tokens, or empty.
    """

    words: list[str]
    spaces: list[bool]
    marks: Sequence[tuple[int, int]] = ()
    frozen: Sequence[int] = ()
    tags: Sequence[str] = ()

    def count_open_words(self) -> int:
        """Count the words outside of all entities."""
        total = sum(map(is_word, self.words))
        if self.marks:
            inside = {i for start, end in self.marks for i in range(start, end)}
            total -= sum(is_word(self.words[i]) for i in inside)
        return total


class Piece(NamedTuple):
    """A possible replacement of some tokens.

    start (int): The first token that it replaces.
    end (int): One past the last one.
    words (tuple[str, ...]): The new tokens.
    spaces (tuple[bool, ...]): Whether a space follows each; the last one keeps the original.
    lang (str): Their language.
    is_entity (bool): Whether it replaces an entity.
    """

    start: int
    end: int
    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    lang: str
    is_entity: bool = False


class Switched(NamedTuple):
    """A code-switched sentence.

    words (list[str]): Its tokens.
    spaces (list[bool]): Whether a space follows each.
    starts (list[int]): For each original token, and one past the last, the index of the first token
        that replaces it.
    links (list[tuple[int, int]]): Pairs of an original token and its replacement.
    lang (str): The language of most replaced words.
    replaced (int): Number of original words outside entities that were replaced.
    """

    words: list[str]
    spaces: list[bool]
    starts: list[int]
    links: list[tuple[int, int]]
    lang: str
    replaced: int


class Switcher:
    """Translates words and phrases into tokens of one language, with matching case."""

    def __init__(self, lexicon: Lexicon, lang: Optional[str] = None):
        """Make a switcher.

        lexicon (Lexicon): The translations.
        lang (Optional[str]): The language to switch to. If None, the lexicon's target language.
        """
        self.lexicon = lexicon
        self.lang = lang or lexicon.target
        nlp = spacy.blank("xx")
        self._tokenizer = create_tokenizer()(nlp)
        self._spaced_source = not is_unspaced(lexicon.source)
        self._cache: dict[tuple[str, str, bool], Optional[Rendered]] = {}

    def find(
        self,
        words: Sequence[str],
        spaces: Sequence[bool],
        start: int,
        stop: int,
        *,
        pos: str = "",
        initial: bool = False,
    ) -> Optional[Piece]:
        """Translate the longest known phrase that begins at a token.

        words (Sequence[str]): The tokens of a sentence.
        spaces (Sequence[bool]): Whether a space follows each.
        start (int): The first token.
        stop (int): The token before which the phrase must end.
        pos (str): Universal part of speech of the first token, or "".
        initial (bool): Whether it begins a sentence.
        RETURNS (Optional[Piece]): The translation. None if there is none, if it is the same
            word, or if the phrase is only part of a written word, such as "do" in "don't".
        """
        if (
            self._spaced_source
            and start
            and not spaces[start - 1]
            and words[start - 1][-1].isalnum()
        ):
            return None
        text, end = words[start], start + 1
        if end < stop and (not spaces[start] or self.lexicon.begins_phrase(text)):
            found = self.lexicon.match(words, spaces, start, stop, pos=pos, initial=initial)
            if found is not None and found[0] != end:
                end, pos = found[0], ""
                text = _join(words, spaces, start, end)
        if self._spaced_source and end < len(words) and not spaces[end - 1] and _clings(words[end]):
            return None
        key = (text, pos, initial)
        try:
            rendered = self._cache[key]
        except KeyError:
            entry = self.lexicon.find(text, pos=pos, initial=initial)
            rendered = self._cache[key] = self._render(entry, text, initial=initial)
        return Piece(start, end, *rendered, self.lang) if rendered else None

    def find_entity(
        self, words: Sequence[str], spaces: Sequence[bool], start: int, end: int
    ) -> Optional[Piece]:
        """Translate a whole entity if one translation dominates.

        words (Sequence[str]): The tokens of a sentence.
        spaces (Sequence[bool]): Whether a space follows each.
        start (int): The first token of the entity.
        end (int): One past its last token.
        RETURNS (Optional[Piece]): The dominant translation of this exact spelling, or None.
        """
        text = _join(words, spaces, start, end)
        entry = self.lexicon.get(text)
        if entry is None or entry.best.weight < SURE:
            return None
        rendered = self._render(entry, text, initial=False)
        return Piece(start, end, *rendered, self.lang, is_entity=True) if rendered else None

    def _render(self, entry: Optional[Entry], text: str, *, initial: bool) -> Optional[Rendered]:
        if entry is None:
            return None
        translation = entry.best.text
        translation = fit_case(translation, text, word=entry.word, lang=self.lang, initial=initial)
        if is_unspaced(self.lang):
            translation = NEEDLESS_SPACE.sub("", translation)
        if translation.lower() == text.lower():
            return None
        if translation.isalpha() and not is_unspaced(self.lang):  # avoids the tokenizer's cost
            return (translation,), (False,)
        doc = self._tokenizer(translation)
        return tuple(t.text for t in doc), tuple(bool(t.whitespace_) for t in doc)


def fit_case(translation: str, text: str, *, word: str, lang: str, initial: bool) -> str:
    """Adapt a translation's case to the text that it replaces.

    translation (str): The translation as the lexicon has it.
    text (str): The text.
    word (str): The lexicon's spelling of the text. Capitals that it shares are ignored.
    lang (str): Language of the translation.
    initial (bool): Whether the text begins a sentence.
    RETURNS (str): The translation, capitalized or in upper case if the text is.
    """
    if len(text) > 1 and text.isupper() and not word.isupper():
        return _upper(translation, lang)
    if text[0].isupper() and (initial or not word[0].isupper()):
        return _upper(translation[0], lang) + translation[1:]
    return translation


def _upper(text: str, lang: str) -> str:
    return (text.translate(DOTTED_I) if lang in ("az", "tr") else text).upper()


def _clings(word: str) -> bool:
    """Check if a token that follows without a space continues the word before it; "'s" does not."""
    if word[0] in APOSTROPHES and len(word) > 1:
        return word[1:].lower() != "s"
    return word[0].isalnum()


def _join(words: Sequence[str], spaces: Sequence[bool], start: int, end: int) -> str:
    parts = [words[i] + " " if spaces[i] else words[i] for i in range(start, end)]
    return "".join(parts).rstrip(" ")


@lru_cache(maxsize=1 << 16)
def is_word(token: str) -> bool:
    """Check if a token contains a letter."""
    return token.isalpha() or token.lower() != token.upper()


def find_pieces(
    sentence: Sentence,
    switchers: Sequence[Switcher],
    rng: random.Random,
    *,
    switch_entities: bool = False,
) -> list[Piece]:
    """Find all possible replacements in a sentence, preferring long phrases.

    sentence (Sentence): The sentence.
    switchers (Sequence[Switcher]): The languages, tried in random order for each phrase.
    rng (random.Random): Random number generator.
    switch_entities (bool): Whether whole entities may be replaced.
    RETURNS (list[Piece]): Replacements in order. They don't overlap or cross entity boundaries.
    """
    words, spaces, marks, frozen, tags = sentence
    stops, closed, entities = _fence(len(words), marks, frozen)
    pieces: list[Piece] = []
    initial = True
    i = 0
    while i < len(words):
        word = words[i]
        if not word[0].isalnum():
            initial = initial or word in SENTENCE_ENDS
            i += 1
            continue
        piece = None
        if i not in closed:
            pos = tags[i] if tags else ""
            for switcher in _in_turn(switchers, rng):
                piece = switcher.find(words, spaces, i, stops[i], pos=pos, initial=initial)
                if piece is not None:
                    break
        elif switch_entities and i in entities:
            for switcher in _in_turn(switchers, rng):
                piece = switcher.find_entity(words, spaces, i, stops[i])
                if piece is not None:
                    break
        initial = False
        if piece is None:
            i += 1
        else:
            pieces.append(piece)
            i = piece.end
    return pieces


def _fence(
    n: int, marks: Sequence[tuple[int, int]], frozen: Sequence[int]
) -> tuple[Sequence[int], set[int], set[int]]:
    """Find where phrases may not be replaced: for each token, where a phrase that begins there must
    end; the tokens inside entities or frozen; and the tokens at which an innermost entity begins.
    """
    if not marks and not frozen:
        return [n] * n, set(), set()
    closed = set(frozen)
    edges = {n, *frozen, *(i + 1 for i in frozen)}
    for start, end in marks:
        closed.update(range(start, end))
        edges.update((start, end))
    stops = [n] * n
    for i in range(n - 2, -1, -1):
        stops[i] = i + 1 if i + 1 in edges else stops[i + 1]
    return stops, closed, {start for start, end in marks if stops[start] == end}


def _in_turn(switchers: Sequence[Switcher], rng: random.Random) -> Sequence[Switcher]:
    if len(switchers) == 1:
        return switchers
    first = int(rng.random() * len(switchers))
    return [*switchers[first:], *switchers[:first]]


def choose_pieces(
    pieces: Sequence[Piece], sentence: Sentence, ratio: float, rng: random.Random
) -> list[Piece]:
    """Draw replacements at random, up to the given share of words.

    pieces (Sequence[Piece]): Everything that can be replaced.
    sentence (Sentence): The sentence.
    ratio (float): The share of words outside entities to replace, and the probability of replacing
        an entity.
    rng (random.Random): Random number generator, also used for rounding, so that the share is
        exact on average.
    RETURNS (list[Piece]): The chosen ones in order.
    """
    words = sentence.words
    total = sentence.count_open_words()
    left = int(ratio * total + rng.random())
    chosen = []
    order = list(pieces)
    rng.shuffle(order)
    for piece in order:
        if piece.is_entity:
            if rng.random() < ratio:
                chosen.append(piece)
            continue
        size = sum(map(is_word, words[piece.start : piece.end]))
        if size <= left:
            chosen.append(piece)
            left -= size
    return sorted(chosen)


def switch_sentence(
    sentence: Sentence,
    switchers: Sequence[Switcher],
    rng: random.Random,
    *,
    ratio: float = 0.5,
    switch_entities: bool = False,
) -> Optional[Switched]:
    """Code-switch a sentence.

    sentence (Sentence): The sentence.
    switchers (Sequence[Switcher]): The languages to mix into it, phrase by phrase.
    rng (random.Random): Random number generator.
    ratio (float): The share of words outside of entities to replace.
    switch_entities (bool): Whether entities with a dominant translation may be replaced.
    RETURNS (Optional[Switched]): The new sentence, or None if no word was replaced.
    """
    pieces = find_pieces(sentence, switchers, rng, switch_entities=switch_entities)
    return replace_pieces(sentence, choose_pieces(pieces, sentence, ratio, rng))


def replace_pieces(sentence: Sentence, pieces: Sequence[Piece]) -> Optional[Switched]:
    """Replace tokens of a sentence.

    sentence (Sentence): The sentence.
    pieces (Sequence[Piece]): The replacements, in order.
    RETURNS (Optional[Switched]): The new sentence, or None without replacements.
    """
    if not pieces:
        return None
    words, spaces = sentence.words, sentence.spaces
    new_words: list[str] = []
    new_spaces: list[bool] = []
    starts: list[int] = []
    links: list[tuple[int, int]] = []
    langs: list[str] = []
    replaced = 0
    rest = Piece(len(words), len(words), (), (), "")
    i = 0
    for start, end, piece_words, piece_spaces, lang, is_entity in [*pieces, rest]:
        # copy the tokens before the piece
        if start > i:
            first = len(new_words)
            kept = range(first, first + start - i)
            starts += kept
            links += zip(range(i, start), kept, strict=True)
            new_words += words[i:start]
            new_spaces += spaces[i:start]
        # link every new token with every token that it replaces
        first = len(new_words)
        new_words += piece_words
        new_spaces += piece_spaces
        if end > start:
            new_spaces[-1] = spaces[end - 1]
        for old in range(start, end):
            starts.append(first)
            links += [(old, new) for new in range(first, len(new_words))]
            langs.append(lang)
            replaced += not is_entity and is_word(words[old])
        i = end
    starts.append(len(new_words))
    main_lang = max(langs, key=langs.count)
    return Switched(new_words, new_spaces, starts, links, main_lang, replaced)
