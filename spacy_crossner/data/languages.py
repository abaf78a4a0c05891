"""The tokenizer of a language, as far as spaCy brings one along."""

from functools import cache

import spacy
from spacy.language import Language

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
