"""Tokenizers by language: with a pipeline around them or without, they cut the same."""

import subprocess
import sys

import pytest

from spacy_crossner.data.languages import find_tokenizer, get_tokenizer

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
