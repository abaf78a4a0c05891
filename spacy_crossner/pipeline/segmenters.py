"""Word segmenters for scripts that are written without spaces.

Each segmenter wraps an optional package. Nothing is imported and no dictionary is loaded before
the first text of its script arrives.
"""

import importlib.util
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from itertools import accumulate
from typing import NamedTuple, Union

from spacy_crossner.data.languages import LANGUAGES
from spacy_crossner.errors import CrossnerError, Errors

# A text in, the end offset of each of its words out; the last one is the length of the text.
Segment = Callable[[str], list[int]]
Setting = Union[str, Mapping[str, str], None]

_per_thread = threading.local()


class Segmenter(NamedTuple):
    """A word segmenter.

    load (Callable[[str], Segment]): Loads it for a language code.
    modules (tuple[str, ...]): The modules that it imports.
    requires (tuple[str, ...]): The distributions that it needs, as pip reads them. Every one whose
        update can change where words end is among them.
    languages (tuple[str, ...]): The languages that it can segment.
    """

    load: Callable[[str], Segment]
    modules: tuple[str, ...]
    requires: tuple[str, ...]
    languages: tuple[str, ...]


def _load_jieba(language: str) -> Segment:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes, and a deprecated way to read its data
        import jieba
    # Not the shared tokenizer, to which an application may add words; and no cache in /tmp.
    # it announces on the console that it loads
    jieba.setLogLevel("WARNING")
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True

    def segment(text: str) -> list[int]:
        return _to_ends(tokenizer.cut(text))

    return segment


def _load_jieba_opencc(language: str) -> Segment:
    from opencc import OpenCC

    segment_simplified = _load_jieba(language)
    convert = OpenCC("t2s").convert

    @cache
    def convert_character(character: str) -> str:
        simplified = convert(character)
        return simplified if len(simplified) == 1 else character

    def segment(text: str) -> list[int]:
        simplified = convert(text)
        if len(simplified) != len(text):
            simplified = "".join(map(convert_character, text))
        return segment_simplified(simplified)

    return segment


def _load_sudachi(language: str) -> Segment:
    from sudachipy import Dictionary, SplitMode

    dictionary = Dictionary(dict="small")

    def segment(text: str) -> list[int]:
        # a tokenizer can be used by one thread at a time
        tokenizer = getattr(_per_thread, "sudachi", None)
        if tokenizer is None:
            make = getattr(dictionary, "tokenizer", None) or dictionary.create
            tokenizer = _per_thread.sudachi = make(mode=SplitMode.A)
        return [word.end() for word in tokenizer.tokenize(text)]

    return segment


def _load_pythainlp(language: str) -> Segment:
    from pythainlp.tokenize.newmm import segment as newmm

    def segment(text: str) -> list[int]:
        return _to_ends(newmm(text))

    return segment


def _load_icu(language: str) -> Segment:
    from icu4py.breakers import WordBreaker

    def segment(text: str) -> list[int]:
        return _to_ends(WordBreaker(text, language))

    return segment


SEGMENTERS = {
    "jieba+opencc": Segmenter(
        _load_jieba_opencc, ("jieba", "opencc"), ("jieba>=0.42.1", "OpenCC>=1.1.9"), ("zh",)
    ),
    "jieba": Segmenter(_load_jieba, ("jieba",), ("jieba>=0.42.1",), ("zh",)),
    "sudachi": Segmenter(
        _load_sudachi,
        ("sudachipy", "sudachidict_small"),
        ("SudachiPy>=0.6.8", "SudachiDict-small>=20240109"),
        ("ja",),
    ),
    "pythainlp": Segmenter(_load_pythainlp, ("pythainlp",), ("pythainlp>=5.0",), ("th",)),
    "icu": Segmenter(
        _load_icu, ("icu4py",), ("icu4py>=1.0",), ("zh", "ja", "th", "lo", "km", "my")
    ),
}


def resolve_segmenters(setting: Setting) -> dict[str, str]:
    """Replace "auto" with the best installed segmenter of each language, and check other settings.

    setting (Union[str, Mapping[str, str], None]): Segmenters by language code; "auto";
        or None for none.
    RETURNS (dict[str, str]): Segmenters by language code. All of them are installed.
    """
    if setting is None:
        return {}
    if setting == "auto":
        found = {
            code: next(filter(is_installed, language.segmenters), None)
            for code, language in LANGUAGES.items()
        }
        return {code: name for code, name in found.items() if name is not None}
    if isinstance(setting, str):
        raise CrossnerError(Errors.CN081.format(setting=setting))
    for code, name in setting.items():
        known = [key for key, segmenter in SEGMENTERS.items() if code in segmenter.languages]
        if name not in known:
            languages = ", ".join(code for code, value in LANGUAGES.items() if value.segmenters)
            if not known:
                raise CrossnerError(Errors.CN082.format(language=code, known=languages))
            raise CrossnerError(
                Errors.CN083.format(name=name, language=code, known=", ".join(known))
            )
    missing = {code: name for code, name in setting.items() if not is_installed(name)}
    if missing:
        named = ", ".join(f"{name} ({code})" for code, name in missing.items())
        packages = " ".join(f'"{require}"' for require in get_requirements(missing))
        raise CrossnerError(Errors.CN080.format(segmenters=named, packages=packages))
    return dict(setting)


def is_installed(name: str) -> bool:
    """Check whether the modules of a segmenter are installed, without importing them."""
    return all(importlib.util.find_spec(module) for module in SEGMENTERS[name].modules)


def get_requirements(segmenters: Mapping[str, str]) -> list[str]:
    """List the requirements of segmenters without duplicates."""
    requires = (item for name in segmenters.values() for item in SEGMENTERS[name].requires)
    return sorted(set(requires), key=str.lower)


def get_versions(segmenters: Mapping[str, str]) -> dict[str, str]:
    """Get the installed version of each required distribution."""
    versions = {}
    for require in get_requirements(segmenters):
        name = require.partition(">=")[0]
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # another distribution has its modules
            continue
    return versions


@cache
def load_segmenter(name: str, language: str) -> Segment:
    """Load a segmenter, once in a process.

    name (str): Its name.
    language (str): A language that it can segment.
    RETURNS (Segment): The segmenter.
    """
    return SEGMENTERS[name].load(language)


def _to_ends(words: Iterable[str]) -> list[int]:
    return list(accumulate(map(len, words)))
