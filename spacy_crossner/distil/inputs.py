"""Text to annotate: plain text, JSON lines and docs, read one at a time."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Optional, Union, cast

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.convert import name_groups, read_sentences
from spacy_crossner.data.sentences import Parsed, split_spaces
from spacy_crossner.data.shards import find_files, read_docs, write_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors

FORMATS = {".txt": "text", ".jsonl": "jsonl", ".spacy": "spacy"}


class Text(NamedTuple):
    """A text without annotation.

    group (str): The group of its view.
    lang (str): Its language.
    text (str): The text, where its tokens are left to the teacher.
    words (list): The tokens, where they are given.
    spaces (list): Whether a blank follows each; None if that is not known.
    """

    group: str
    lang: str
    text: str = ""
    words: Optional[list[str]] = None
    spaces: Optional[list[bool]] = None

    def make_doc(self, vocab: Vocab) -> Doc:
        """Make a doc from the tokens."""
        return Doc(vocab, words=self.words, spaces=self.spaces)


@dataclass
class Survey:
    """What an input holds.

    texts (int): Texts that can be read.
    empty (int): Docs without tokens.
    problems (Counter): What is wrong with the others: how often each first message of its kind.
    """

    texts: int = 0
    empty: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def find_texts(path: Path) -> list[Path]:
    """List the files of an input.

    path (Path): A .txt, .jsonl or .spacy file, or a folder of them.
    RETURNS (list[Path]): The files, sorted; at least one.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    known = ", ".join(FORMATS)
    if path.is_dir():
        files = find_files(path, FORMATS)
        if not files:
            raise CrossnerError(Errors.CN507.format(path=path, known=known))
        return files
    if path.suffix.lower() not in FORMATS:
        raise CrossnerError(Errors.CN506.format(path=path, known=known))
    return [path]


@contextmanager
def as_file(texts: Union[str, Path, Iterable[Union[str, Doc]]]) -> Iterator[Path]:
    """Write texts or docs to a temporary file, so that they are read like any others.

    texts (Union[str, Path, Iterable[Union[str, Doc]]]): A path, which is left as it is; or texts or
        docs, of which the first tells the kind.
    YIELDS (Path): The path.
    """
    if isinstance(texts, (str, Path)):
        yield Path(texts)
        return
    items = iter(texts)
    first = next(items, None)
    with TemporaryDirectory() as folder:
        if isinstance(first, Doc):
            path = Path(folder) / "texts.spacy"
            write_docs(path, chain([first], cast(Iterable[Doc], items)))
        else:
            path = Path(folder) / "texts.jsonl"
            found = chain([] if first is None else [first], items)
            with path.open("w", encoding="utf8") as file:
                # escapes hold what UTF-8 can't, so that reading counts it
                file.writelines(json.dumps({"text": text}) + "\n" for text in found)
        yield path


def survey(files: list[Path], lang: str, langs: Optional[Collection[str]] = None) -> Survey:
    """Read an input once, to find out now what else would end the work of hours.

    files (list[Path]): The files.
    lang (str): The language of the texts.
    langs (Optional[Collection[str]]): The languages to count; None counts all.
    RETURNS (Survey): What they hold.
    """
    found = Survey()
    first_of_kind: dict[tuple[Path, str], str] = {}
    for path in files:
        for item in _iter_file(path, "", lang):
            if isinstance(item, Text):
                found.texts += langs is None or item.lang in langs
            elif item is None:
                found.empty += 1
            else:
                for problem in item.problems:
                    key = (path, problem.code)
                    found.problems[first_of_kind.setdefault(key, problem.message)] += 1
    if not found.texts:
        reason = next(iter(found.problems), "The input is empty.")
        raise CrossnerError(Errors.CN508.format(path=files[0], reason=reason))
    return found


def iter_texts(
    files: list[Path], lang: str, langs: Optional[Collection[str]] = None
) -> Iterator[Text]:
    """Read the texts of an input.

    files (list[Path]): The files.
    lang (str): The language of texts that don't say theirs.
    langs (Optional[Collection[str]]): The languages to read; None reads all.
    YIELDS (Text): The texts in order.
    """
    for path, name in zip(files, name_groups(files), strict=True):
        for item in _iter_file(path, f"{lang}-{name}", lang):
            if isinstance(item, Text) and (langs is None or item.lang in langs):
                yield item


def _iter_file(path: Path, name: str, lang: str) -> Iterator[Text | Parsed | None]:
    """Iterate over a file's texts; a `Parsed` holds a line's error, None is an empty doc."""
    kind = FORMATS[path.suffix.lower()]
    if kind == "spacy":
        # a separate vocab, which does not keep the strings of the whole corpus
        for number, doc in enumerate(read_docs(path, Vocab()), start=1):
            yield _take_text(doc, f"{name}-{number}", lang) if len(doc) else None
        return
    number = 0
    for parsed in read_sentences(path, kind, lang):
        if parsed.sentence is None:
            yield parsed
            continue
        number += 1
        group = f"{name}-{number}"
        if parsed.sentence.words is None:
            yield Text(group, lang, parsed.sentence.text)
        else:
            yield Text(group, lang, "", *split_spaces(parsed.sentence))


def _take_text(doc: Doc, group: str, lang: str) -> Text:
    view = get_view(doc)
    words = [token.text for token in doc]
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    if view is None:
        return Text(group, lang, "", words, spaces)
    return Text(view.group, view.lang, "", words, spaces)
