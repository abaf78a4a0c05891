"""spaCy's tokenizer, extended to scripts that are written without spaces.

spaCy's multi-language tokenizer leaves a Chinese or Thai sentence in one piece, so that no entity
could start or end inside it. Here a word segmenter splits such text into words; where none is
configured, the text is split into the smallest units at which a word can start. All other text
goes to spaCy's tokenizer as it is.
"""

import re
import warnings
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional, Union

import spacy
import srsly
from spacy.lang import char_classes as chars
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import compile_infix_regex, raise_error

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.segmenters import (
    Segment,
    Setting,
    get_requirements,
    get_versions,
    load_segmenter,
    resolve_segmenters,
)

# Written out rather than taken from a Unicode library: a pipeline must cut its text in the same
# way under every version of Python. Digits and punctuation of these scripts are spaCy's business.
HAN = r"\u2E80-\u2FD5\u3005-\u3007\u3021-\u3029\u3038-\u303B\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF"
HAN += r"\U00020000-\U0003FFFD"
KANA = r"\u3041-\u3096\u309D-\u309F\u30A1-\u30FA\u30FC-\u30FF\u31F0-\u31FF\uFF66-\uFF9D"
KANA += r"\U0001B000-\U0001B16F"
THAI = r"\u0E01-\u0E3A\u0E40-\u0E4E"
LAO = r"\u0E81-\u0ECE\u0EDC-\u0EDF"
KHMER = r"\u1780-\u17D3\u17D7\u17DC\u17DD"
MYANMAR = r"\u1000-\u103F\u1050-\u108F\u109A-\u109D\uA9E0-\uA9EF\uA9FA-\uA9FE\uAA60-\uAA7F"
THAI_LAO = THAI + LAO
KHMER_MYANMAR = KHMER + MYANMAR

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
# Text of one segmenter, by the language that the segmenter is configured for; and the rest.
RUN = re.compile(
    rf"(?P<ja>[{HAN}{KANA}][{HAN}{KANA}{MARKS}]*)"
    rf"|(?P<th>[{THAI}][{THAI}{MARKS}]*)|(?P<lo>[{LAO}][{LAO}{MARKS}]*)"
    rf"|(?P<km>[{KHMER}][{KHMER}{MARKS}]*)|(?P<my>[{MYANMAR}][{MYANMAR}{MARKS}]*)"
    rf"|[{PUNCT}]|(?<!\d)[{NUMBER_PUNCT}]|[{NUMBER_PUNCT}](?!\d)"
)
KANA_RUN = re.compile(rf"[{KANA}][{KANA}{MARKS}]*")
HAN_OR_KANA_RUN = re.compile(rf"(?P<ja>[{KANA}][{KANA}{MARKS}]*)|(?P<zh>[{HAN}][{HAN}{MARKS}]*)")
HAN_OR_KANA = re.compile(rf"[{HAN}{KANA}]")
# Japanese prose has about every second character in Kana; Chinese text quotes a name in it.
MIN_KANA_SHARE = 0.1
# Longer runs are split before they are segmented: SudachiPy reads at most 48 KiB at a time.
MAX_RUN = 4000
SCRIPTS = re.compile(rf"[{HAN}{KANA}{THAI_LAO}{KHMER_MYANMAR}]")
# Two ranges are twice as quick to search as all of them, and rule out most languages.
PERHAPS_SCRIPTS = re.compile(r"[\u0E01-\u17DD\u2E80-\U0003FFFD]")

# spaCy's rules search a whole stretch without white space again for each prefix and suffix that
# they split off. Where a stretch is longer than this and has many, they are split off here.
MAX_STRETCH = 200
MANY_AFFIXES = 50
# Characters at an end of a stretch that are searched for a prefix or suffix.
WINDOW = 50
LONG_STRETCH = re.compile(rf"\S{{{MAX_STRETCH + 1},}}")
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")

# Romance words that lose their vowel before another word, by length: l'Aubrac, dell'Umbria. What
# stands behind them may be a name. Breton words that begin with c'h are none of them.
ELIDED = (
    "[ldsnmtjv]|c(?!.h)",
    "qu|un",
    "all",
    "dell|nell|dall|sull",
    "quell|jusqu",
    "lorsqu|puisqu|quoiqu",
)
AFTER_ELIDED = "|".join(rf"(?<=(?<![\w'’])(?:{words})['’])" for words in ELIDED)

# spaCy's multi-language rules, except that a hyphen, or a colon before a small letter, does not
# split a word: Per-Erik, EU:n. So do spaCy's rules for many languages, though not for English.
# Those for French and Italian split behind elided words.
DASHES = "|".join(dash for dash in chars.LIST_HYPHENS if dash != "-")
LOWER, UPPER, ALPHA = chars.ALPHA_LOWER, chars.ALPHA_UPPER, chars.ALPHA
MULTI_LANGUAGE_INFIXES = [
    *chars.LIST_ELLIPSES,
    *chars.LIST_ICONS,
    r"(?<=[0-9])[+\-*^](?=[0-9-])",
    rf"(?<=[{LOWER}{chars.CONCAT_QUOTES}])\.(?=[{UPPER}{chars.CONCAT_QUOTES}])",
    rf"(?<=[{ALPHA}]),(?=[{ALPHA}])",
    rf"(?<=[{ALPHA}])(?:{DASHES})(?=[{ALPHA}])",
    rf"(?<=[{ALPHA}0-9])(?:[<>=/](?=[{ALPHA}])|:(?=[{UPPER}]))",
    rf"(?i:{AFTER_ELIDED})(?=[{ALPHA}])",
]


class ScriptTokenizer(Tokenizer):
    """Split text in Han, Kana, Thai, Lao, Khmer and Myanmar into words, other text as spaCy does.

    Each run of such a script goes to the segmenter of its language. Han is Japanese if the text
    near it has Kana, and Chinese otherwise. Scripts without a segmenter are split into units: one
    Han character; one Kana with the small kana and the long vowel mark that follow it; one Thai
    or Lao consonant with the vowels written around it; one Khmer or Myanmar consonant with its
    signs and the consonants stacked below it. No word boundary lies inside a unit.

    In a text with such a script, its stops and brackets are split off wherever they stand, and
    what lies between is tokenized as if it stood alone: words, numbers and links beside the script
    come out as they would elsewhere. Special cases can hold no character of these scripts.

    segmenters (Union[str, Mapping[str, str], None]): Names of segmenters by language
        code; "auto" takes what is installed. See `resolve_segmenters`.
    lang (str): Language of the pipeline. In a Japanese one, all Han text is Japanese.
    handle_error (Optional[Callable]): Called as spaCy's error handlers are, for a string that
        can't be read. If it does not raise an error, what can't be read of the string is replaced.
    """

    def __init__(
        self,
        *args: Any,
        segmenters: Setting = None,
        lang: str = "",
        handle_error: Optional[Callable[..., Any]] = None,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.lang = lang
        self.segmenters = segmenters
        self.handle_error = handle_error

    @property
    def segmenters(self) -> dict[str, str]:
        """The segmenters' names by language code. Accepts what `resolve_segmenters` does."""
        return dict(self._segmenters)

    @segmenters.setter
    def segmenters(self, setting: Setting) -> None:
        self._segmenters = resolve_segmenters(setting)

    def __call__(self, string: str) -> Doc:
        """Tokenize a string.

        string (str): The string to tokenize.
        RETURNS (Doc): A container for linguistic annotations, whose text is the string.
        """
        try:
            return self._tokenize(string)
        except UnicodeEncodeError:
            half = LONE_SURROGATE.search(string)
            if half is None:
                raise
            error = CrossnerError(Errors.CN125.format(found=ascii(half[0]), place=half.start()))
        doc = self._tokenize(LONE_SURROGATE.sub("\ufffd", string))
        (self.handle_error or raise_error)("tokenizer", self, [doc], error)
        return doc

    def _tokenize(self, string: str) -> Doc:
        if not _has_scripts(string) and not _is_long(string):
            return super().__call__(string)
        words: list[str] = []
        spaces: list[bool] = []
        norms: list[tuple[int, str]] = []
        for piece, rule in self._iter_pieces(string):
            if rule:
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
        """Tell which rule made each token; words of a segmenter are marked as "WORD", units where
        no segmenter is configured as "UNIT".

        text (str): The string to tokenize.
        RETURNS (list[tuple[str, str]]): Names of rules and texts of tokens, without whitespace.
        """
        if not _has_scripts(text) and not _is_long(text):
            return super().explain(text)
        explained: list[tuple[str, str]] = []
        for piece, rule in self._iter_pieces(text):
            explained.extend([(rule, piece)] if rule else super().explain(piece))
        return explained

    def initialize(
        self,
        get_examples: Optional[Callable[[], Iterable[Example]]] = None,
        *,
        nlp: Optional[Language] = None,
    ) -> None:
        """Write the segmenters in use into the pipeline's config, in place of "auto", and what they
        need into the requirements in its meta.

        get_examples (Optional[Callable[[], Iterable[Example]]]): Not used.
        nlp (Optional[Language]): The pipeline.
        """
        if nlp is None or "segmenters" not in nlp.config["nlp"]["tokenizer"]:
            return
        nlp.config["nlp"]["tokenizer"]["segmenters"] = self.segmenters or None
        if needed := get_requirements(self._segmenters):
            others = [item for item in nlp.meta.get("requirements", []) if item not in needed]
            nlp.meta["requirements"] = [*others, *needed]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the tokenizer, with the names of its segmenters and their versions.

        exclude (Iterable[str]): Names of fields to exclude.
        RETURNS (bytes): The serialized form.
        """
        data = super().to_bytes(exclude=exclude)
        if not self._segmenters or "segmenters" in exclude:
            return data
        fields = srsly.msgpack_loads(data)
        fields["segmenters"] = self.segmenters
        fields["segmenter_versions"] = get_versions(self._segmenters)
        return srsly.msgpack_dumps(fields)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "ScriptTokenizer":
        """Load the tokenizer. A segmenter that is not installed is an error.

        bytes_data (bytes): The data to load from.
        exclude (Iterable[str]): Names of fields to exclude.
        RETURNS (ScriptTokenizer): The tokenizer.
        """
        super().from_bytes(bytes_data, exclude=exclude)
        if "segmenters" not in exclude:
            fields = srsly.msgpack_loads(bytes_data)
            self.segmenters = fields.get("segmenters")
            installed = get_versions(self._segmenters)
            for name, version in fields.get("segmenter_versions", {}).items():
                if installed.get(name, version) != version:
                    warnings.warn(
                        Errors.CN084.format(name=name, there=version, here=installed[name]),
                        stacklevel=2,
                    )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        make, args, *_ = super().__reduce__()
        return _unpickle, (make, args, self.segmenters or None, self.lang)

    def _iter_pieces(self, text: str) -> Iterator[tuple[str, str]]:
        """Split a text into tokens that are made here, and pieces for spaCy's rules.

        text (str): The text.
        YIELDS (tuple[str, str]): A piece of the text, and the rule that made it; "" for text that
            spaCy's rules have to split.
        """
        for piece, rule in self._split(text) if _has_scripts(text) else [(text, "")]:
            if rule or not _is_long(piece):
                yield piece, rule
                continue
            end = 0
            for match in LONG_STRETCH.finditer(piece):
                if end < match.start():
                    yield piece[end : match.start()], ""
                yield from self._strip_affixes(match.group())
                end = match.end()
            if end < len(piece):
                yield piece[end:], ""

    def _strip_affixes(self, stretch: str) -> Iterator[tuple[str, str]]:
        """Split many prefixes and suffixes off as spaCy does, with searches that look at `WINDOW`
        characters only. Special cases are not looked for among them.

        stretch (str): A long stretch without white space.
        YIELDS (tuple[str, str]): Prefixes, the rest with the rule "", and suffixes, in order.
        """
        starts, ends = [0], [len(stretch)]
        whole = self.token_match is not None and self.token_match(stretch)
        while not whole and ends[-1] - starts[-1] > MAX_STRETCH:
            start, end = starts[-1], ends[-1]
            prefix = self.find_prefix(stretch[start : start + WINDOW])
            if prefix == WINDOW:  # it may be longer
                prefix = self.find_prefix(stretch[start:end])
            start += prefix
            suffix = self.find_suffix(stretch[max(start, end - WINDOW) : end])
            if suffix == WINDOW:
                suffix = self.find_suffix(stretch[start:end])
            if not prefix and not suffix:
                break
            starts += [start] if prefix else []
            ends += [end - suffix] if suffix else []
        if len(starts) + len(ends) < MANY_AFFIXES:
            yield stretch, ""
            return
        for start, end in pairwise(starts):
            yield stretch[start:end], "PREFIX"
        if starts[-1] < ends[-1]:
            yield stretch[starts[-1] : ends[-1]], ""
        for start, end in pairwise(reversed(ends)):
            yield stretch[start:end], "SUFFIX"

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        """Split a text into words or units of the scripts and what lies between them.

        text (str): The text.
        YIELDS (tuple[str, str]): A piece of the text, and the rule that made it; "" for text that
            spaCy's rules have to split.
        """
        if not self._segmenters:
            yield from _split_units(text)
            return
        find_language = HanLanguages(text, self.lang)
        end = 0
        for match in RUN.finditer(text):
            start = match.start()
            if end < start:
                yield text[end:start], ""
            end = match.end()
            lang = match.lastgroup
            if lang is None:
                yield match.group(), "UNIT"
            elif lang != "ja" or find_language(start) == "ja":
                yield from self._split_run(match.group(), lang)
            else:
                for part in HAN_OR_KANA_RUN.finditer(match.group()):
                    yield from self._split_run(part.group(), part.lastgroup)
        if end < len(text):
            yield text[end:], ""

    def _split_run(self, run: str, lang: Optional[str]) -> Iterator[tuple[str, str]]:
        starts = [unit.start() for unit in UNIT.finditer(run)]
        name = self._segmenters.get(lang or "")
        if name is None:
            bounds, rule = starts, "UNIT"
        else:
            bounds, rule = _find_words(run, starts, load_segmenter(name, lang)), "WORD"
        for start, end in zip(bounds, [*bounds[1:], len(run)], strict=True):
            yield run[start:end], rule


class HanLanguages:
    """Decide whether Han text is Chinese or Japanese, by the share of Kana in its line.

    A line without Kana goes by the whole text. Called with an offset, it returns "ja" or "zh".

    text (str): The text.
    lang (str): Language of the pipeline.
    """

    def __init__(self, text: str, lang: str):
        self.text = text
        self.default = "ja" if lang == "ja" or _kana_share(text) >= MIN_KANA_SHARE else "zh"
        self.always = lang == "ja" or not KANA_RUN.search(text)
        self.end = -1
        self.language = self.default

    def __call__(self, start: int) -> str:
        """Find the language of the Han text at an offset. Offsets must be in ascending order."""
        if not self.always and start >= self.end:
            begin = self.text.rfind("\n", 0, start) + 1
            stop = self.text.find("\n", start)
            self.end = len(self.text) if stop < 0 else stop
            share = _kana_share(self.text[begin : self.end])
            self.language = self.default
            if share:
                self.language = "ja" if share >= MIN_KANA_SHARE else "zh"
        return self.language


@spacy.registry.tokenizers("spacy-crossner.tokenizer.v1")
def create_tokenizer_v1() -> Callable[[Language], ScriptTokenizer]:
    """Create a tokenizer that splits scripts without spaces into units, without a segmenter.

    RETURNS (Callable[[Language], ScriptTokenizer]): Builds the tokenizer of a pipeline, with
        spaCy's rules of the pipeline's language for everything else.
    """
    return partial(_make_tokenizer, segmenters=None)


@spacy.registry.tokenizers("spacy-crossner.tokenizer.v2")
def create_tokenizer(
    segmenters: Optional[Union[str, dict[str, str]]] = "auto",
) -> Callable[[Language], ScriptTokenizer]:
    """Create a tokenizer that splits scripts without spaces into words.

    segmenters (Optional[Union[str, dict[str, str]]]): Names of segmenters by language code, such as
        {"zh": "jieba+opencc", "ja": "sudachi"}; scripts of other languages are split into units.
        "auto" takes the best segmenters that are installed when the pipeline is created, and a
        saved pipeline keeps them. None splits every script into units.
    RETURNS (Callable[[Language], ScriptTokenizer]): Builds the tokenizer of a pipeline. Everything
        else is split by spaCy's rules of the pipeline's language; those for several languages
        ("xx") keep a word whole that has a hyphen, or a colon before a small letter, and split
        behind elided words, as in l'Europe.
    """

    def make_tokenizer(nlp: Language) -> ScriptTokenizer:
        tokenizer = _make_tokenizer(nlp, segmenters=segmenters)
        if nlp.lang == "xx":
            tokenizer.infix_finditer = compile_infix_regex(MULTI_LANGUAGE_INFIXES).finditer
        return tokenizer

    return make_tokenizer


def read_segmenters(path: Path) -> dict[str, str]:
    """Read the segmenters of a saved tokenizer.

    path (Path): The file that `ScriptTokenizer.to_disk` or another tokenizer has written.
    RETURNS (dict[str, str]): Names of segmenters by language code.
    """
    return srsly.msgpack_loads(path.read_bytes()).get("segmenters", {})


def _make_tokenizer(nlp: Language, segmenters: Setting) -> ScriptTokenizer:
    default = spacy.registry.tokenizers.get("spacy.Tokenizer.v1")()(nlp)
    is_pipeline = isinstance(nlp, Language)
    return ScriptTokenizer(
        nlp.vocab,
        rules=default.rules,
        prefix_search=default.prefix_search,
        suffix_search=default.suffix_search,
        infix_finditer=default.infix_finditer,
        token_match=default.token_match,
        url_match=default.url_match,
        segmenters=segmenters,
        lang=nlp.lang or "",
        # `get_tokenizer` has no pipeline to give
        handle_error=partial(_handle_error, weakref.ref(nlp)) if is_pipeline else None,
    )


def _handle_error(reference: "weakref.ref[Language]", *args: Any) -> None:
    """Call what `nlp.set_error_handler` has set."""
    nlp = reference()
    (raise_error if nlp is None else nlp.default_error_handler)(*args)


def _unpickle(
    make: type[ScriptTokenizer], args: tuple[Any, ...], segmenters: Setting, lang: str
) -> ScriptTokenizer:
    return make(*args, segmenters=segmenters, lang=lang)


def _has_scripts(text: str) -> bool:
    return bool(PERHAPS_SCRIPTS.search(text) and SCRIPTS.search(text))


def _is_long(text: str) -> bool:
    return len(text) > MAX_STRETCH and LONG_STRETCH.search(text) is not None


def _kana_share(text: str) -> float:
    """Compute the share of Kana among a text's Han and Kana characters."""
    n_kana = sum(map(len, KANA_RUN.findall(text)))
    return n_kana / len(HAN_OR_KANA.findall(text)) if n_kana else 0.0


def _find_words(run: str, starts: list[int], segment: Segment) -> list[int]:
    """Find where words start.

    run (str): Text of one script.
    starts (list[int]): Where its units start.
    segment (Segment): The segmenter.
    RETURNS (list[int]): Where its words start, each of them with a unit.
    """
    ends = [0]
    start = 0
    while len(run) - start > MAX_RUN:
        middle = starts[bisect_right(starts, start + MAX_RUN) - 1]
        if middle == start:  # a single unit that is longer
            break
        ends += [start + end for end in segment(run[start:middle])]
        start = middle
    ends += [start + end for end in segment(run[start:])]
    allowed = set(starts)
    return [end for end in ends if end in allowed]


def _split_units(text: str) -> Iterator[tuple[str, str]]:
    """Split a text into units and what lies between them.

    text (str): The text.
    YIELDS (tuple[str, str]): A piece of the text, and the rule that made it; "" for text that
        spaCy's rules have to split.
    """
    end = 0
    for match in UNIT.finditer(text):
        if end < match.start():
            yield text[end : match.start()], ""
        yield match.group(), "UNIT"
        end = match.end()
    if end < len(text):
        yield text[end:], ""
