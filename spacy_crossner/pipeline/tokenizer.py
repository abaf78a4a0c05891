"""spaCy's tokenizer, plus cuts inside the scripts that are written without spaces.

spaCy's multi-language tokenizer leaves a Chinese or Thai sentence in one piece, so that no entity
could start or end inside it. Here such text is cut into the smallest units at which a word can
start, and all other text goes to spaCy's tokenizer as it is.
"""

import re
from collections.abc import Callable, Iterator

import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

# Written out rather than taken from a Unicode library: a pipeline must cut its text in the same
# way under every version of Python. Digits and punctuation of these scripts are spaCy's business.
HAN = r"\u2E80-\u2FD5\u3005-\u3007\u3021-\u3029\u3038-\u303B\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF"
HAN += r"\U00020000-\U0003FFFD"
KANA = r"\u3041-\u3096\u309D-\u309F\u30A1-\u30FA\u30FC-\u30FF\u31F0-\u31FF\uFF66-\uFF9D"
KANA += r"\U0001B000-\U0001B16F"
THAI_LAO = r"\u0E01-\u0E3A\u0E40-\u0E4E\u0E81-\u0ECE\u0EDC-\u0EDF"
KHMER_MYANMAR = r"\u1780-\u17D3\u17D7\u17DC\u17DD\u1000-\u103F\u1050-\u108F\u109A-\u109D"
KHMER_MYANMAR += r"\uA9E0-\uA9EF\uA9FA-\uA9FE\uAA60-\uAA7F"

# Never the start of a word: vowel signs, tone marks, joiners, variation selectors.
MARKS = r"\u0300-\u036F\u0E31\u0E33-\u0E3A\u0E47-\u0E4E\u0EB1\u0EB3-\u0EBC\u0EC8-\u0ECE"
MARKS += r"\u102B-\u103E\u1056-\u1059\u105E-\u1060\u1062-\u1064\u1067-\u106D\u1071-\u1074"
MARKS += r"\u1082-\u108D\u108F\u109A-\u109D\u17B4-\u17D3\u17DD\u200C\u200D\u20D0-\u20F0"
MARKS += r"\u302A-\u302F\u3099\u309A\uA9E5\uAA7B-\uAA7D\uFE00-\uFE0F\uFE20-\uFE2F\uFF9E\uFF9F"
MARKS += r"\U000E0100-\U000E01EF"
# Small kana other than the small tsu, and the long vowel mark.
KANA_TAIL = r"\u3041\u3043\u3045\u3047\u3049\u3083\u3085\u3087\u308E\u3095\u3096\u30A1\u30A3\u30A5"
KANA_TAIL += r"\u30A7\u30A9\u30E3\u30E5\u30E7\u30EE\u30F5\u30F6\u30FC\uFF67-\uFF6E\uFF70"
# Vowels written before, and vowels written after the consonant that they belong to.
THAI_LAO_LEAD = r"\u0E40-\u0E44\u0EC0-\u0EC4"
THAI_LAO_TAIL = r"\u0E30\u0E32\u0E45\u0EB0\u0EB2"
# Put the next consonant below the one before.
STACKERS = r"\u1039\u17D2"

# The stops and brackets of these scripts, which stand between words with no space on either side.
PUNCT = r"\u104A\u104B\u17D4-\u17D6\u3001-\u3003\u3008-\u3011\u3014-\u301F\u30FB\uFF01\uFF08\uFF09"
PUNCT += r"\uFF1B\uFF1F\uFF3B\uFF3D\uFF5B\uFF5D-\uFF65"
# Stops that are also part of a number, as in １，０００ and １２：３０.
NUMBER_PUNCT = r"\uFF0C\uFF1A"

UNIT = re.compile(
    rf"[{HAN}][{MARKS}]*"
    rf"|[{KANA}][{MARKS}{KANA_TAIL}]*"
    rf"|[{THAI_LAO_LEAD}]?[{THAI_LAO}][{MARKS}{THAI_LAO_TAIL}]*"
    rf"|[{KHMER_MYANMAR}](?:[{STACKERS}][{MARKS}]*[{KHMER_MYANMAR}]|[{MARKS}])*"
    rf"|[{PUNCT}]|(?<!\d)[{NUMBER_PUNCT}]|[{NUMBER_PUNCT}](?!\d)"
)
SCRIPTS = re.compile(rf"[{HAN}{KANA}{THAI_LAO}{KHMER_MYANMAR}]")
# Two ranges are twice as quick to search as all of them, and rule out most languages.
PERHAPS_SCRIPTS = re.compile(r"[\u0E01-\u17DD\u2E80-\U0003FFFD]")


class ScriptTokenizer(Tokenizer):
    """Tokenize Han, Kana, Thai, Lao, Khmer and Myanmar by unit, and the rest as spaCy does.

    A unit is one Han character; one Kana with the small kana and the long vowel mark that follow
    it (katakana words are cut too: in ブラジルサッカー the country is the first half); one Thai or
    Lao consonant with the vowels written around it; one Khmer or Myanmar consonant with its signs
    and the consonants stacked below it. Combining marks always stay with their base.

    In a text with such a script, its stops and brackets are cut off wherever they stand, and what
    lies between is tokenized as if it stood alone: words, numbers and links glued to the script
    come out as they would elsewhere. Special cases can hold no character of these scripts.
    """

    def __call__(self, string: str) -> Doc:
        """Tokenize a string.

        string (str): The string to tokenize.
        RETURNS (Doc): A container for linguistic annotations, whose text is the string.
        """
        if not _has_scripts(string):
            return super().__call__(string)
        words: list[str] = []
        spaces: list[bool] = []
        norms: list[tuple[int, str]] = []
        for piece, is_unit in _cut(string):
            if is_unit:
                words.append(piece)
                spaces.append(False)
                continue
            if words and piece.startswith(" "):
                spaces[-1] = True
                piece = piece[1:]
            for token in super().__call__(piece):
                # special cases may set the norm of a token
                if token.norm != token.lex.norm:
                    norms.append((len(words), token.norm_))
                words.append(token.text)
                spaces.append(bool(token.whitespace_))
        doc = Doc(self.vocab, words=words, spaces=spaces)
        for i, norm in norms:
            doc[i].norm_ = norm
        return doc

    def explain(self, text: str) -> list[tuple[str, str]]:
        """Tell which rule made each token; units are marked as "UNIT".

        text (str): The string to tokenize.
        RETURNS (list[tuple[str, str]]): Names of rules and texts of tokens, without whitespace.
        """
        if not _has_scripts(text):
            return super().explain(text)
        explained: list[tuple[str, str]] = []
        for piece, is_unit in _cut(text):
            explained.extend([("UNIT", piece)] if is_unit else super().explain(piece))
        return explained


@spacy.registry.tokenizers("spacy-crossner.tokenizer.v1")
def create_tokenizer() -> Callable[[Language], ScriptTokenizer]:
    """Create a tokenizer that also cuts the scripts that are written without spaces.

    RETURNS (Callable[[Language], ScriptTokenizer]): Builds the tokenizer of a pipeline, with the
        rules of the pipeline's language for everything else.
    """
    make_default = spacy.registry.tokenizers.get("spacy.Tokenizer.v1")()

    def make_tokenizer(nlp: Language) -> ScriptTokenizer:
        default = make_default(nlp)
        return ScriptTokenizer(
            nlp.vocab,
            rules=default.rules,
            prefix_search=default.prefix_search,
            suffix_search=default.suffix_search,
            infix_finditer=default.infix_finditer,
            token_match=default.token_match,
            url_match=default.url_match,
        )

    return make_tokenizer


def _has_scripts(text: str) -> bool:
    return bool(PERHAPS_SCRIPTS.search(text) and SCRIPTS.search(text))


def _cut(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a text into units and what lies between them.

    text (str): The text.
    YIELDS (tuple[str, bool]): A piece of the text, and whether it is a unit.
    """
    end = 0
    for match in UNIT.finditer(text):
        if end < match.start():
            yield text[end : match.start()], False
        yield match.group(), True
        end = match.end()
    if end < len(text):
        yield text[end:], False
