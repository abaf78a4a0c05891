"""Clean dictionary entries: remove stress marks, articles, glosses and tags."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

POS_TAGS = {
    "NOUN": "n noun s masc fem neut m f c pl sg",
    "PROPN": "prop pn proper",
    "VERB": "v vt vi vtr vitr verb aux",
    "ADJ": "adj a",
    "ADV": "adv",
    "ADP": "prep postp",
    "PRON": "pron",
    "CCONJ": "conj",
    "DET": "article art determiner det",
    "NUM": "num numeral cardinal ordinal",
    "PART": "particle part",
    "INTJ": "interj int",
}
POS_OF_TAG = {tag: pos for pos, tags in POS_TAGS.items() for tag in tags.split()}

ARTICLES = {
    "ca": "el la els les l' un una",
    "da": "en et den det",
    "de": "der die das ein eine",
    "el": "ο η το οι τα ένας μία ένα",
    "en": "the a an",
    "es": "el la los las un una",
    "fr": "le la les l' un une",
    "hu": "a az egy",
    "it": "il lo la i gli le l' un uno una un'",
    "nb": "en ei et den det",
    "nl": "de het een",
    "pt": "o a os as um uma",
    "sv": "en ett den det",
}
# placeholder of an object in a verb's entry, e.g. "accuse sb. of sth."
PLACEHOLDER = (
    r"(?<!\w)(?:(?:sb|sth|so|s\.o|s\.th|o\.s|smb|smth|etw|jdn?|jdm|jds|jmd|jmd[nms])\.(?:'s)?"
    r"|oneself|one's|someone's|somebody's|sb|sth|etw|jdn|jdm|qn|qqn|qqch)(?!\w)"
)
OUTER_PLACEHOLDER = re.compile(rf"^(?:{PLACEHOLDER}\s+)+|(?:\s+{PLACEHOLDER})+$")
INNER_PLACEHOLDER = re.compile(PLACEHOLDER)

COMBINING_ACCENTS = "\u0300\u0301\u0304\u030b\u030f\u0311"  # grave, acute, macron, doubles, arch
# stress or tone marks that only dictionaries use: (base letters, marks)
STRESS_OF_SCRIPT = {"CYRILLIC": ("аеиоуыэюяіїєёѣр", COMBINING_ACCENTS)}
STRESS_OF_LANGUAGE = {
    **dict.fromkeys(("bs", "hr", "sh", "sl", "sr"), ("aeiour", COMBINING_ACCENTS)),
    "la": ("aeiouy", "\u0304\u0306"),
    "lt": ("aąeęėiįylmnoruųū", "\u0300\u0301\u0303"),
}
# optional vowel points of Hebrew and Arabic, and the Arabic tatweel
MARKED_SCRIPTS = re.compile("[\u0400-\u04ff\u0590-\u06ff]")  # Cyrillic, Hebrew, Arabic
POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u0640]")
# direction marks, soft hyphen, byte order mark; not joiners, which some languages spell with
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
PLAIN = str.maketrans({**dict.fromkeys("‐‑", "-"), **dict.fromkeys("’ʼ`´", "'"), "ĳ": "ij"})

SEPARATORS = ",;，；、،؛"
GLOSS = re.compile(r"\([^()]*\)")
PARTS = re.compile(rf"(\[[^\[\]]*\]|\{{[^{{}}]*\}}|<[^<>]*>|[{SEPARATORS}])")
ROMANIZATION = re.compile(r"(?<!\S)/\S(?:[^/]*[^\s/])?/")
SENSE_NUMBER = re.compile(r"(?:^|\s)\d+\.(?=\s|$)")
DOTS = re.compile(r"^(?:\.{2,}|…|\s)+|(?:\.{2,}|…|\s)+$")
LABEL = re.compile(r"^\w+: +")
JUNK = re.compile(
    r"[][(){}<>|+=/*_#@%$\"“”„«»~^\\:;…]|\.\.|··|\b(?:genitive|dative|tense)\b|\b(?:not|is) used\b",
    re.IGNORECASE,
)
AFFIX_ENDS = ("-", "\u05be", "\u0640")  # hyphen, Hebrew maqaf, Arabic tatweel
EDGES = "-',!?¡¿。！？،؟·־–— "


class Item(NamedTuple):
    """One translation as listed in a dictionary.

    text (str): The words without tags and glosses, but still with articles and the like.
    pos (str): Universal part of speech if a tag named one, or "".
    marked (bool): Whether a note in square brackets limits its use ("archaic", "honorific").
    """

    text: str
    pos: str
    marked: bool


def plain(text: str) -> str:
    """Normalize a text: composed letters, ASCII apostrophes and hyphens, single spaces.

    text (str): Any text.
    RETURNS (str): The normalized text, as lexicons store it and look it up.
    """
    if not text.isascii():
        text = INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    return " ".join(text.translate(PLAIN).split())


def part_of_speech(tags: str) -> str:
    """Convert a dictionary's tags, such as "n, sg" or "v", to a part of speech.

    tags (str): Tags, separated by commas or spaces.
    RETURNS (str): The universal part of speech of the first tag that names one, or "".
    """
    for tag in re.split(r"[\s,.;]+", tags.lower()):
        if tag in POS_OF_TAG:
            return POS_OF_TAG[tag]
    return ""


def strip_stress(text: str, lang: str) -> str:
    """Remove marks that only dictionaries write: stress, tone and vowel points.

    text (str): A word or phrase.
    lang (str): Its language. Latin letters only lose marks that the language never writes.
    RETURNS (str): The ordinary spelling.
    """
    if text.isascii() or not (lang in STRESS_OF_LANGUAGE or MARKED_SCRIPTS.search(text)):
        return text
    text = POINTS.sub("", text).replace("\u0671", "\u0627")
    kept: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(char):
            base = char
        elif _is_stress(base, char, lang):
            continue
        kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def _is_stress(base: str, mark: str, lang: str) -> bool:
    """Check if the mark over a letter shows stress and is not part of the spelling."""
    if "\u0400" <= base <= "\u04ff":
        letters, marks = STRESS_OF_SCRIPT["CYRILLIC"]
    elif lang in STRESS_OF_LANGUAGE:
        letters, marks = STRESS_OF_LANGUAGE[lang]
    else:
        return False
    return mark in marks and base.lower() in letters


def split_items(text: str) -> list[Item]:
    """Split a dictionary's list of translations at separators outside brackets.

    text (str): E.g. "Haus {n}, Häuser {p}; [archaic] Hütte (gloss) /romanization/".
    RETURNS (list[Item]): The translations in order, without text in brackets and slashes.
    """
    if "/" in text:
        text = ROMANIZATION.sub(" ", text).replace(" / ", " ; ")
    while "(" in text:
        text, found = GLOSS.subn(" ", text)
        if not found:
            break
    items: list[Item] = []
    words: list[str] = []
    pos, marked = "", False
    for part in PARTS.split(SENSE_NUMBER.sub(";", text) + ";"):
        if part[:1] in SEPARATORS and part:
            item = "".join(words).strip()
            if item:
                items.append(Item(item, pos, marked))
            words, pos, marked = [], "", False
        elif part.startswith("["):
            marked = True
        elif part.startswith(("{", "<")):
            pos = pos or part_of_speech(part[1:-1])
        else:
            words.append(part)
    return items


@lru_cache(maxsize=2**16)  # dictionaries repeat their headwords
def clean_word(text: str, lang: str, *, pos: str = "") -> str:
    """Reduce a headword or translation to words that can occur in running text.

    text (str): The word or phrase, without tags and glosses.
    lang (str): Its language.
    pos (str): Its universal part of speech, or "".
    RETURNS (str): The cleaned word, or "" if it is unusable: affixes, patterns with a gap,
        remarks about grammar, numbers and symbols.
    """
    text = DOTS.sub("", LABEL.sub("", plain(text).replace("~", " ").lstrip("^")))
    if text.startswith("-") or text.endswith(AFFIX_ENDS):
        return ""
    text = strip_stress(text, lang)
    text = OUTER_PLACEHOLDER.sub("", text.strip(EDGES))
    text = strip_article(text, lang, pos=pos)
    if text.isalpha():
        return text
    if JUNK.search(text) or INNER_PLACEHOLDER.search(text):
        return ""
    return text if any(char.isalpha() for char in text) else ""


def strip_article(text: str, lang: str, *, pos: str = "") -> str:
    """Remove the article of a noun, or the "to" of an English infinitive.

    text (str): The word or phrase. Longer phrases keep their first word, which is part of them.
    lang (str): Its language.
    pos (str): Its universal part of speech, or "".
    RETURNS (str): The text without it.
    """
    first, _, rest = text.partition(" ")
    if lang == "en" and first == "to" and pos in ("VERB", ""):
        return rest if rest and (pos or rest.count(" ") < 2) else text
    articles = ARTICLES.get(lang, "").split()
    if rest and " " not in rest and first.lower() in articles:
        return rest
    for article in articles:
        if article.endswith("'") and text.lower().startswith(article) and " " not in text:
            return text[len(article) :]
    return text


def script_of(text: str) -> str:
    """Find the script of a text's letters.

    text (str): Any text.
    RETURNS (str): E.g. "LATIN", "CYRILLIC", "CJK" (Chinese and Japanese), or "" without letters.
    """
    if text.isascii():
        return "LATIN"
    return _majority(_script_of_char(char) for char in text if char.isalpha())


def main_script(texts: Iterable[str], lang: str) -> str:
    """Find the script that a dictionary's translations are written in.

    texts (Iterable[str]): The translations.
    lang (str): Their language. For Croatian, Bosnian and Slovenian it is always Latin, because
        dictionaries list them together with Serbian.
    RETURNS (str): The script of most of them.
    """
    if lang in ("bs", "hr", "sl"):
        return "LATIN"
    return _majority(script_of(text) for text in texts)


def _majority(names: Iterable[str]) -> str:
    counts = Counter(names)
    return counts.most_common(1)[0][0] if counts else ""


@lru_cache(maxsize=2**14)
def _script_of_char(char: str) -> str:
    name = unicodedata.name(char, "").split(" ")[0]
    return "CJK" if name.startswith(("CJK", "HIRAGANA", "KATAKANA")) else name
