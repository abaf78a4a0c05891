"""Tokenizers by language: with a pipeline around them or without, they cut the same."""

import subprocess
import sys

import pytest
from spacy.tokens import Doc

from spacy_crossner.data.languages import (
    LANGUAGES,
    find_codes,
    find_rules,
    find_tokenizer,
    get_tokenizer,
    is_known,
    is_unspaced,
    main_code,
    split_at,
)

TEXT = "Dr. O'Neil didn't pay 3.5€ to l'Équateur, z.B. in 北京大学。 ผู้ว่าการ של (U.S.)-based…"


@pytest.mark.parametrize(
    "language", ["ar", "de", "en", "es", "fr", "he", "ja", "ru", "th", "tlh", "xx", "zh"]
)
def test_the_same_tokens(language):
    one, other = get_tokenizer(language).make_doc(TEXT), find_tokenizer(language)(TEXT)
    assert [(t.text, t.whitespace_, t.norm_) for t in one] == [
        (t.text, t.whitespace_, t.norm_) for t in other
    ]
    assert one.vocab.lang == other.vocab.lang


@pytest.mark.parametrize("language", ["de", "zh"])
def test_tokens_alone_load_no_components(language):
    code = (
        "import sys\n"
        "from spacy_crossner.data.languages import find_tokenizer\n"
        f"find_tokenizer({language!r})('Ja.')\n"
        "print('spacy_transformers' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr


@pytest.mark.parametrize(
    ("words", "offsets", "expected"),
    [
        ("他 在 中国女排 打球", (2, 4), "他 在 中国 女排 打球"),
        ("iPhone 在 北京", (1, 6, 8), "iPhone 在 北 京"),
        ("ประเทศ ไทย", (0, 9), "ประเทศ ไทย"),
    ],
)
def test_entities_split_words_of_scripts_without_spaces(words, offsets, expected):
    doc = Doc(get_tokenizer("xx").vocab, words=words.split(), spaces=[False] * len(words.split()))
    split = split_at(doc, offsets)
    assert split.text == doc.text
    assert [token.text for token in split] == expected.split()


def test_tables_agree():
    assert find_codes("zh") == ("zh", "zho", "cmn")
    assert main_code("nb") == "nob"
    assert [is_unspaced(code) for code in ("zh", "yue", "th", "ko", "vi", "de")] == [True] * 3 + [
        False
    ] * 3
    for code, language in LANGUAGES.items():
        assert language.code == code
        assert language.name
        assert language.scripts
        assert all(len(other) == 3 for other in language.codes)
    assert {language.segmented_as for language in LANGUAGES.values()} - {""} == {
        code for code, language in LANGUAGES.items() if language.segmenters
    }


@pytest.mark.parametrize("language", ["sw", "ha", "ug", "my"])
def test_languages_that_spacy_does_not_know(language):
    assert is_known(language)
    assert find_rules(language)[0] == "xx"
    assert find_tokenizer(language)("Habari, dunia!").text == "Habari, dunia!"
    assert not is_known("qq")
