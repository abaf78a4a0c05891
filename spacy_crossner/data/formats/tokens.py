"""Sentences given as tokens with tags or token spans."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from spacy_crossner.data.formats.base import Place, check_characters, shorten
from spacy_crossner.data.formats.columns import decode_tags, guess_scheme
from spacy_crossner.data.sentences import Parsed, Problem, Sentence, Span, join_tokens
from spacy_crossner.errors import CrossnerError, Errors

_PREFIXED = re.compile(r"[BIESLUM]-.+", re.DOTALL)
_PREFIX = re.compile(r"[BIESLUM]-")
NO_ENTITY = ("O", "B-O", "I-O", "E-O", "S-O")


def check_words(found: Any, key: str, where: str) -> list[str]:
    """Check a list of tokens.

    found (Any): The tokens.
    key (str): The key that holds them.
    where (str): Their place for messages.
    RETURNS (list[str]): The tokens.
    """
    if not isinstance(found, (list, tuple)) or not found:
        problem = "there is none" if found is None or found == [] else f"it is {shorten(found)}"
        raise CrossnerError(Errors.CN911.format(where=where, key=key, problem=problem))
    words: list[str] = []
    for number, word in enumerate(found, start=1):
        if not isinstance(word, str):
            problem = f"token {number} is {shorten(word)}"
            raise CrossnerError(Errors.CN911.format(where=where, key=key, problem=problem))
        if not word.strip():
            problem = f"token {number} is empty"
            raise CrossnerError(Errors.CN911.format(where=where, key=key, problem=problem))
        if "\0" in word:
            raise CrossnerError(Errors.CN230.format(where=where))
        check_characters(word, where)
        words.append(word)
    return words


def parse_tokens(
    words: Sequence[str],
    spans: Optional[Iterable[tuple[int, int, Any]]],
    place: Place,
    problems: Iterable[Problem] = (),
) -> Parsed:
    """Make a sentence from tokens and token spans.

    words (Sequence[str]): The tokens.
    spans (Optional[Iterable[tuple[int, int, Any]]]): Start (token), end (token, exclusive) and
        label; None if the tokens are not annotated.
    place (Place): The record's place.
    problems (Iterable[Problem]): Problems found so far.
    RETURNS (Parsed): The sentence.
    """
    text, offsets, spaced = join_tokens(words, place.source.lang)
    found: Optional[set[Span]] = None
    if spans is not None:
        found = set()
        for start, end, label in spans:
            if not isinstance(label, str) or not label.strip():
                raise CrossnerError(
                    Errors.CN246.format(
                        where=place.where, span=f"{start}-{end - 1}", label=shorten(label)
                    )
                )
            found.add((offsets[start], offsets[end - 1] + len(words[end - 1]), label.strip()))
    sentence = Sentence(
        text,
        None if found is None else tuple(sorted(found)),
        tuple(words),
        offsets,
        spaced,
        place.number,
    )
    return Parsed(sentence, tuple(problems))


def parse_tags(words: Sequence[str], tags: Sequence[Any], place: Place) -> Parsed:
    """Make a sentence from tokens and tags.

    words (Sequence[str]): The tokens.
    tags (Sequence[Any]): One tag per token: IOB, IOB2, BIOES, or labels without a prefix.
    place (Place): Where the record stands.
    RETURNS (Parsed): The sentence.
    """
    where = place.where
    if len(tags) != len(words):
        raise CrossnerError(Errors.CN913.format(where=where, words=len(words), tags=len(tags)))
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip():
            raise CrossnerError(Errors.CN222.format(where=where, tag=shorten(tag)))
        if _PREFIX.fullmatch(tag):
            raise CrossnerError(Errors.CN224.format(where=where, tag=shorten(tag)))
    cleaned = ["O" if tag in NO_ENTITY else tag.strip() for tag in tags]
    if all(tag == "O" or not _PREFIXED.fullmatch(tag) for tag in cleaned):
        # labels without a prefix: consecutive tokens with the same label are one entity
        cleaned = [tag if tag == "O" else f"I-{tag}" for tag in cleaned]
        spans, _, _ = decode_tags(cleaned, "iob")
        return parse_tokens(words, spans, place)
    for tag in cleaned:
        if tag != "O" and not _PREFIXED.fullmatch(tag):
            raise CrossnerError(Errors.CN222.format(where=where, tag=shorten(tag)))
    scheme = "bioes" if any(tag[0] in "ESLU" for tag in cleaned) else guess_scheme(cleaned)
    spans, stray, unfinished = decode_tags(cleaned, scheme)
    problems = [
        Problem(
            template.format(where=where, tag=shorten(cleaned[i]), word=shorten(words[i])),
            mended=True,
        )
        for template, places in ((Errors.CN225, stray), (Errors.CN226, unfinished))
        for i in places
    ]
    return parse_tokens(words, spans, place, problems)
