"""The table of languages, and the tokenizer of each.

What the package knows about a language stands here and nowhere else: its name, its scripts, the
codes that other tools use for it, and how its text is split into words.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import spacy
from spacy.language import Language as Pipeline
from spacy.tokens import Doc
from spacy.util import get_lang_class
from spacy.vocab import create_vocab

TOKENIZER = "spacy-crossner.tokenizer.v2"
DEFAULT_TOKENIZER = "spacy.Tokenizer.v1"
MULTI_LANGUAGE = {"nlp": {"tokenizer": {"@tokenizers": TOKENIZER, "segmenters": "auto"}}}

# The first character of Thai: no script without spaces comes before it.
THAI = "\u0e01"
# Code | name | scripts (ISO 15924) | codes of three letters, the one for the main variety first.
TABLE = """
af | Afrikaans | Latn | afr
am | Amharic | Ethi | amh
an | Aragonese | Latn | arg
ar | Arabic | Arab | ara arb
as | Assamese | Beng | asm
az | Azerbaijani | Latn | aze azj
be | Belarusian | Cyrl | bel
bg | Bulgarian | Cyrl | bul
bn | Bengali | Beng | ben
bo | Tibetan | Tibt | bod
br | Breton | Latn | bre
bs | Bosnian | Latn Cyrl | bos hbs
ca | Catalan | Latn | cat
cs | Czech | Latn | ces
cy | Welsh | Latn | cym
da | Danish | Latn | dan
de | German | Latn | deu
dsb | Lower Sorbian | Latn | dsb
el | Greek | Grek | ell
en | English | Latn | eng
eo | Esperanto | Latn | epo
es | Spanish | Latn | spa
et | Estonian | Latn | est ekk
eu | Basque | Latn | eus
fa | Persian | Arab | fas pes
fi | Finnish | Latn | fin
fo | Faroese | Latn | fao
fr | French | Latn | fra
fy | Western Frisian | Latn | fry
ga | Irish | Latn | gle
gd | Scottish Gaelic | Latn | gla
gl | Galician | Latn | glg
gu | Gujarati | Gujr | guj
ha | Hausa | Latn | hau
he | Hebrew | Hebr | heb
hi | Hindi | Deva | hin
hr | Croatian | Latn | hrv hbs
hsb | Upper Sorbian | Latn | hsb
ht | Haitian Creole | Latn | hat
hu | Hungarian | Latn | hun
hy | Armenian | Armn | hye
id | Indonesian | Latn | ind
ig | Igbo | Latn | ibo
is | Icelandic | Latn | isl
it | Italian | Latn | ita
ja | Japanese | Jpan | jpn
jv | Javanese | Latn | jav
ka | Georgian | Geor | kat
kk | Kazakh | Cyrl | kaz
km | Khmer | Khmr | khm
kn | Kannada | Knda | kan
ko | Korean | Kore | kor
ku | Kurdish | Latn | kur kmr
ky | Kyrgyz | Cyrl | kir
la | Latin | Latn | lat
lb | Luxembourgish | Latn | ltz
lg | Ganda | Latn | lug
lo | Lao | Laoo | lao
lt | Lithuanian | Latn | lit
lv | Latvian | Latn | lav lvs
mg | Malagasy | Latn | mlg plt
mk | Macedonian | Cyrl | mkd
ml | Malayalam | Mlym | mal
mn | Mongolian | Cyrl | mon khk
mr | Marathi | Deva | mar
ms | Malay | Latn | msa zsm
mt | Maltese | Latn | mlt
my | Burmese | Mymr | mya
nb | Norwegian Bokmål | Latn | nob nor
ne | Nepali | Deva | nep npi
nl | Dutch | Latn | nld
nn | Norwegian Nynorsk | Latn | nno
no | Norwegian | Latn | nob nno nor
oc | Occitan | Latn | oci
om | Oromo | Latn | orm gaz
or | Odia | Orya | ori ory
pa | Punjabi | Guru | pan
pl | Polish | Latn | pol
ps | Pashto | Arab | pus pbt
pt | Portuguese | Latn | por
ro | Romanian | Latn | ron
ru | Russian | Cyrl | rus
rw | Kinyarwanda | Latn | kin
sa | Sanskrit | Deva | san
sc | Sardinian | Latn | srd
sd | Sindhi | Arab | snd
se | Northern Sami | Latn | sme
sh | Serbo-Croatian | Latn Cyrl | hbs
si | Sinhala | Sinh | sin
sk | Slovak | Latn | slk
sl | Slovenian | Latn | slv
so | Somali | Latn | som
sq | Albanian | Latn | sqi als
sr | Serbian | Cyrl Latn | srp hbs
su | Sundanese | Latn | sun
sv | Swedish | Latn | swe
sw | Swahili | Latn | swa swh
ta | Tamil | Taml | tam
te | Telugu | Telu | tel
th | Thai | Thai | tha
ti | Tigrinya | Ethi | tir
tl | Tagalog | Latn | tgl
tn | Tswana | Latn | tsn
tr | Turkish | Latn | tur
tt | Tatar | Cyrl | tat
ug | Uyghur | Arab | uig
uk | Ukrainian | Cyrl | ukr
ur | Urdu | Arab | urd
uz | Uzbek | Latn | uzb uzn
vi | Vietnamese | Latn | vie
wo | Wolof | Latn | wol
wuu | Wu Chinese | Hans | wuu
xh | Xhosa | Latn | xho
yi | Yiddish | Hebr | yid
yo | Yoruba | Latn | yor
yue | Cantonese | Hant | yue
zh | Chinese | Hans Hant | zho cmn
zu | Zulu | Latn | zul
"""
# Languages written without spaces between words, and the language that they are segmented as.
UNSPACED = {code: code for code in ("ja", "km", "lo", "my", "th", "zh")} | {
    "wuu": "zh",
    "yue": "zh",
}
# Word segmenters, the best one first.
SEGMENTERS = {
    "ja": ("sudachi", "icu"),
    "km": ("icu",),
    "lo": ("icu",),
    "my": ("icu",),
    "th": ("pythainlp", "icu"),
    "zh": ("jieba+opencc", "icu", "jieba"),
}


class Language(NamedTuple):
    """What is known about a language.

    code (str): Its code, as spaCy has it.
    name (str): Its English name.
    scripts (tuple[str, ...]): ISO 15924 codes of its scripts, the usual one first.
    codes (tuple[str, ...]): Its codes of three letters, the one for the main variety first.
    unspaced (bool): Whether it is written without spaces between words.
    segmented_as (str): The language whose segmenter splits its text; "" if it has spaces.
    segmenters (tuple[str, ...]): Names of the language's word segmenters, the best one first.
    """

    code: str
    name: str
    scripts: tuple[str, ...]
    codes: tuple[str, ...]
    unspaced: bool
    segmented_as: str
    segmenters: tuple[str, ...]


def _read_table() -> dict[str, Language]:
    languages = {}
    for line in TABLE.strip().splitlines():
        code, name, scripts, codes = map(str.strip, line.split("|"))
        languages[code] = Language(
            code,
            name,
            tuple(scripts.split()),
            tuple(codes.split()),
            code in UNSPACED,
            UNSPACED.get(code, ""),
            SEGMENTERS.get(code, ()),
        )
    return languages


LANGUAGES = _read_table()


def is_known(language: str) -> bool:
    """Check whether a code is a language code, here or in spaCy."""
    if language in LANGUAGES:
        return True
    try:
        get_lang_class(language)
    except ImportError:
        return False
    return True


def is_unspaced(language: str) -> bool:
    """Check whether a language is written without spaces between words."""
    return language in UNSPACED


def find_codes(language: str) -> tuple[str, ...]:
    """Find the codes that tools use for a language.

    language (str): Its code, of two letters as spaCy has it, or of three.
    RETURNS (tuple[str, ...]): The code itself, and its other forms.
    """
    if language in LANGUAGES:
        return tuple(dict.fromkeys((language, *LANGUAGES[language].codes)))
    for code, found in LANGUAGES.items():
        if language in found.codes:
            return tuple(dict.fromkeys((language, code, *found.codes)))
    return (language,)


def main_code(code: str) -> str:
    """Shorten a code of three letters to two letters, if the language has one."""
    return LANGUAGES[code].codes[0] if code in LANGUAGES else code


@cache
def find_rules(language: str) -> tuple[str, dict[str, Any]]:
    """Find the tokenizer for texts in a language.

    language (str): Language code. Languages that spaCy does not know, and those for which it asks
        for a segmenter, have the rules of "xx".
    RETURNS (tuple[str, dict[str, Any]]): The language whose rules apply, and the config of its
        tokenizer.
    """
    try:
        defaults = get_lang_class(language).Defaults
    except ImportError:  # spaCy does not know the language
        return "xx", MULTI_LANGUAGE["nlp"]["tokenizer"]
    rules = defaults.config.get("nlp", {}).get("tokenizer", {"@tokenizers": DEFAULT_TOKENIZER})
    if language == "xx" or is_unspaced(language) or rules["@tokenizers"] != DEFAULT_TOKENIZER:
        return "xx", MULTI_LANGUAGE["nlp"]["tokenizer"]
    return language, rules


@cache
def get_tokenizer(language: str) -> Pipeline:
    """Make a blank pipeline that tokenizes texts in a language.

    language (str): Language code.
    RETURNS (Language): The pipeline: with the language's own rules, or with those for any language.
    """
    lang, tokenizer = find_rules(language)
    return spacy.blank(lang, config={"nlp": {"tokenizer": tokenizer}})


@cache
def find_tokenizer(language: str) -> Callable[[str], Doc]:
    """Find the tokenizer of `get_tokenizer` without a pipeline around it.

    To make a pipeline, even a blank one, spaCy loads every component that is registered anywhere.
    That takes seconds, which a command that only needs tokens can spare.

    language (str): Language code.
    RETURNS (Callable[[str], Doc]): The tokenizer.
    """
    lang, tokenizer = find_rules(language)
    defaults = get_lang_class(lang).Defaults
    settings = {key: value for key, value in tokenizer.items() if key != "@tokenizers"}
    # this much of a pipeline is all that makers of tokenizers look at
    pipeline = SimpleNamespace(Defaults=defaults, vocab=create_vocab(lang, defaults), lang=lang)
    make = spacy.registry.get("tokenizers", tokenizer["@tokenizers"])
    return make(**settings)(pipeline)


def split_at(doc: Doc, offsets: Iterable[int]) -> Doc:
    """Split tokens of scripts without spaces where an entity starts or ends inside them.

    A segmenter may see a longer word than the annotator did; the label must not get lost by that.

    doc (Doc): The doc, without annotation.
    offsets (Iterable[int]): Character offsets of entities.
    RETURNS (Doc): The doc, or a new one with more tokens.
    """
    text = doc.text
    ends = {token.idx + len(token) for token in doc} | {token.idx for token in doc}
    inside = {
        offset
        for offset in offsets
        if offset not in ends and min(text[offset - 1 : offset + 1]) >= THAI
    }
    if not inside:
        return doc
    words, spaces = [], []
    for token in doc:
        start, end = token.idx, token.idx + len(token)
        bounds = [start, *sorted(offset for offset in inside if start < offset < end), end]
        words += [text[a:b] for a, b in pairwise(bounds)]
        spaces += [False] * (len(bounds) - 2) + [bool(token.whitespace_)]
    return Doc(doc.vocab, words=words, spaces=spaces)
