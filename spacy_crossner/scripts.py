"""Tell scripts apart by the Unicode names of their letters."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Optional

# Scripts with a smaller share of a text's letters are visitors.
LEAST_SHARE = 0.01


@cache
def script_of(character: str) -> Optional[str]:
    """Tell the script of a letter or mark by the first word of its Unicode name.

    character (str): One character.
    RETURNS (Optional[str]): The script, as in "LATIN SMALL LETTER A"; None for other characters.
    """
    if unicodedata.category(character)[0] not in "LM":
        return None
    script = unicodedata.name(character, "?").split()[0]
    # marks and letters that go with any script
    return None if script in ("COMBINING", "MODIFIER", "VARIATION") else script


def count_scripts(texts: Iterable[str]) -> Counter[str]:
    """Count the letters of each script."""
    counts = Counter(script_of(character) for text in texts for character in text)
    return Counter({script: n for script, n in counts.items() if script is not None})


def main_scripts(texts: Iterable[str], least_share: float = LEAST_SHARE) -> set[str]:
    """Find the scripts of texts.

    texts (Iterable[str]): The texts.
    least_share (float): The share of all letters that a script must have.
    RETURNS (Set[str]): The scripts, by their Unicode names.
    """
    counts = count_scripts(texts)
    total = sum(counts.values())
    return {script for script, n in counts.items() if n >= least_share * total}
