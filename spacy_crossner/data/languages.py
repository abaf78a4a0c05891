"""The tokenizer of a language, as far as spaCy brings one along."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import SimpleNamespace

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_lang_class
from spacy.vocab import create_vocab

# spaCy cuts these into characters, or asks for a segmenter that it does not install.
WITHOUT_SPACES = ("ja", "km", "ko", "lo", "my", "th", "vi", "yue", "zh")
MULTI_LANGUAGE = {"nlp": {"tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v1"}}}


@cache
def get_tokenizer(language: str) -> Language:
    """Find the tokenizer for texts in a language.

    language (str): Language code.
    RETURNS (Language): A blank pipeline: the language's own, or one that cuts any language.
    """
    if language not in WITHOUT_SPACES:
        try:
            return spacy.blank(language)
        except ImportError:  # spaCy does not know the language
            pass
    return spacy.blank("xx", config=MULTI_LANGUAGE)


@cache
def find_tokenizer(language: str) -> Callable[[str], Doc]:
    """Find the tokenizer of `get_tokenizer` without a pipeline around it.

    To make a pipeline, even a blank one, spaCy loads every component that is registered anywhere.
    That takes seconds, which a command that only needs tokens can spare.

    language (str): Language code.
    RETURNS (Callable[[str], Doc]): The tokenizer.
    """
    name, lang_class = MULTI_LANGUAGE["nlp"]["tokenizer"]["@tokenizers"], get_lang_class("xx")
    if language not in WITHOUT_SPACES:
        with suppress(ImportError):  # spaCy may not know the language
            lang_class, name = get_lang_class(language), "spacy.Tokenizer.v1"
    # this much of a pipeline is all that makers of tokenizers look at
    defaults = lang_class.Defaults
    pipeline = SimpleNamespace(Defaults=defaults, vocab=create_vocab(lang_class.lang, defaults))
    return spacy.registry.get("tokenizers", name)()(pipeline)
