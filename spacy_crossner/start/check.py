"""Checks of what a user gives to `init`, each as soon as it is given."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

from spacy.tokens import Doc

from spacy_crossner.data.convert import Report, convert
from spacy_crossner.data.groups import list_labels
from spacy_crossner.data.languages import LANGUAGES, is_known
from spacy_crossner.errors import CrossnerError, Errors

CODE = re.compile(r"[a-z]{2,3}")
# What a project file would read as a variable.
VARIABLE = "${"
# Tokens of a sentence that is probably a whole file without blank lines.
GIANT = 1000
# Least share of sentences without an entity.
FEW_EMPTY = 0.05


def check_plain(value: str, what: str) -> str:
    """Refuse characters that a command or a project file can't hold.

    value (str): A path or name.
    what (str): Name of the value in the message.
    RETURNS (str): The value.
    """
    found = next((char for char in value if unicodedata.category(char) in ("Cc", "Cs", "Zl")), "")
    if found or VARIABLE in value:
        raise CrossnerError(
            Errors.CN835.format(what=what, value=value[:80], found=found or VARIABLE)
        )
    return value


def check_language(code: str) -> str:
    """Refuse what is not the code of a language, and suggest the right one.

    code (str): The code.
    RETURNS (str): The code.
    """
    code = code.strip()
    if CODE.fullmatch(code) and is_known(code):
        return code
    codes = {language.name.casefold(): language.code for language in LANGUAGES.values()}
    codes |= {other: one.code for one in LANGUAGES.values() for other in one.codes}
    near = get_close_matches(code.casefold(), [*codes, *LANGUAGES], 1)
    hint = f" Did you mean {codes.get(near[0], near[0])}?" if near else ""
    raise CrossnerError(Errors.CN037.format(lang=code[:40], hint=hint))


def parse_languages(text: str) -> list[str]:
    """Read the codes of target languages.

    text (str): E.g. "it,de".
    RETURNS (list[str]): The codes, each once; at least one.
    """
    codes = [check_language(code) for code in text.split(",") if code.strip()]
    if not codes:
        raise CrossnerError(Errors.CN834)
    return list(dict.fromkeys(codes))


def check_path(path: Path) -> Path:
    """Refuse a path that does not exist, or with characters that a project can't hold.

    path (Path): The path.
    RETURNS (Path): The path.
    """
    check_plain(str(path), "path")
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    return path


def check_labels(path: Path, format: str = "auto") -> Report:
    """Refuse a file that has no entities to train on.

    path (Path): The file.
    format (str): Its format; see `convert`.
    RETURNS (Report): What is in it.
    """
    check_path(path)
    with TemporaryDirectory() as folder:
        report = convert([path], Path(folder) / "labels.spacy", format=format)
    if not report.entities:
        raise CrossnerError(Errors.CN034.format(path=path))
    return report


def find_oddities(docs: Iterable[Doc], path: Path) -> list[str]:
    """Look for signs that a labelled file is not what it should be.

    docs (Iterable[Doc]): Its sentences.
    path (Path): The file, for messages.
    RETURNS (list[str]): Sentences for the user.
    """
    count = empty = long = longest = 0
    for doc in docs:
        count += 1
        empty += not list_labels(doc)
        long += len(doc) > GIANT
        longest = max(longest, len(doc))
    found = []
    if long:
        found.append(
            f"{path}: {long} sentences have more than {GIANT} tokens, the longest has {longest}. "
            "Are blank lines between sentences missing?"
        )
    if count and empty < FEW_EMPTY * count:
        found.append(
            f"{path}: only {empty} of {count} sentences have no entity. Such sentences teach what "
            "to leave out: add some as they occur in your texts."
        )
    return found


def drop_seen(docs: Sequence[Doc], seen: Iterable[Doc]) -> list[Doc]:
    """Leave out the texts that are trained on.

    docs (Sequence[Doc]): Test sentences.
    seen (Iterable[Doc]): Training sentences.
    RETURNS (list[Doc]): The other test sentences.
    """
    texts = {doc.text.strip() for doc in seen}
    return [doc for doc in docs if doc.text.strip() not in texts]
