"""Corpora on disk: a `.spacy` file, or a folder of such files ("shards") of bounded size.

A `.spacy` file can only be read whole, so a corpus that does not fit into memory is a folder:
whoever reads it holds one shard at a time. A group of views never crosses from one shard into
the next.
"""

import random
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Optional, TypeVar

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from srsly.msgpack import Packer, Unpacker

from spacy_crossner.data.view import USER_DATA_KEY, from_dict, get_group
from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.files import atomic_folder, replacing

T = TypeVar("T")

SUFFIX = ".spacy"
DOCS_PER_SHARD = 2000
# What a file may unpack to: docs become some ten times as large, made-up files a thousand times.
SMALL_UNPACKED = 64_000_000
MOST_RATIO = 100
CHUNK = 1 << 20


def find_shards(path: Path) -> list[Path]:
    """List the files of a corpus.

    path (Path): A `.spacy` file, or a folder of them at any depth.
    RETURNS (list[Path]): The files, sorted; at least one.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN202.format(path=path))
    if path.is_file():
        return [path]
    shards = find_files(path, (SUFFIX,))
    if not shards:
        raise CrossnerError(Errors.CN271.format(path=path))
    return shards


def find_files(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """List the files in a folder at any depth, without hidden ones.

    folder (Path): The folder.
    suffixes (Collection[str]): The endings to list, in lower case; none lists all.
    RETURNS (list[Path]): The files, sorted.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and (not suffixes or path.suffix.lower() in suffixes)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_docs(shard: Path, vocab: Vocab) -> Iterator[Doc]:
    """Read the docs of one file in order.

    shard (Path): A `.spacy` file.
    vocab (Vocab): The vocab that the docs will share.
    YIELDS (Doc): The docs with their views.
    """
    with _naming(shard):
        docbin = _read_docbin(shard)
        user_data = _take_user_data(docbin)
        for doc, values in zip(docbin.get_docs(vocab), user_data, strict=True):
            doc.user_data.update(values)
            _check_strings(doc)
            yield doc


def read_groups(
    shard: Path, vocab: Vocab, rng: Optional[random.Random] = None
) -> tuple[int, Iterator[list[Doc]]]:
    """Read the groups of one file, wherever in it their docs stand.

    shard (Path): A `.spacy` file.
    vocab (Vocab): The vocab that the docs will share.
    rng (random.Random): Shuffles the groups; without it they come in order.
    RETURNS (tuple): How many groups there are; and one by one, the views of a group, or a doc
        that has no view.
    """
    with _naming(shard):
        docbin = _read_docbin(shard)
        user_data = _take_user_data(docbin)
        groups: dict[object, list[int]] = {}
        for index, values in enumerate(user_data):
            # a number can't be mistaken for a group's name
            name = values[USER_DATA_KEY]["group"] if USER_DATA_KEY in values else index
            groups.setdefault(name, []).append(index)
    indices = list(groups.values())
    if rng is not None:
        rng.shuffle(indices)

    def iter_groups() -> Iterator[list[Doc]]:
        order = [index for group in indices for index in group]
        with _naming(shard):
            for column in ("tokens", "spaces", "cats", "span_groups", "flags"):
                values = getattr(docbin, column)
                setattr(docbin, column, [values[index] for index in order])
            docs = docbin.get_docs(vocab)
            for group in indices:
                views = list(islice(docs, len(group)))
                for doc, index in zip(views, group, strict=True):
                    doc.user_data.update(user_data[index])
                    _check_strings(doc)
                yield views

    return len(indices), iter_groups()


def _read_docbin(shard: Path) -> DocBin:
    """Read a file, unless it unpacks to far more than files of docs do."""
    data = shard.read_bytes()
    limit = max(SMALL_UNPACKED, MOST_RATIO * len(data))
    unpacker = zlib.decompressobj()
    rest, total = data, 0
    while rest and total <= limit:
        total += len(unpacker.decompress(rest, CHUNK))
        rest = unpacker.unconsumed_tail
    if total > limit:
        raise CrossnerError(
            Errors.CN058.format(path=shard, size=len(data) // 1000, limit=limit // 1_000_000)
        )
    return DocBin().from_bytes(data)


def _check_strings(doc: Doc) -> None:
    """Look up all strings that a doc names: spaCy fails at a missing one only when it is used."""
    strings = doc.vocab.strings
    _ = doc.text
    for span in chain(doc.ents, *doc.spans.values()):
        _ = strings[span.label]


def _take_user_data(docbin: DocBin) -> list[dict]:
    # reading them in one go spares a look through all entry points for each doc
    unpacker = Unpacker(raw=False, use_list=False)
    user_data = []
    for packed in docbin.user_data:
        unpacker.feed(packed or b"\x80")
        values = unpacker.unpack()
        if not isinstance(values, dict):
            raise TypeError("user data that is not a table")
        if USER_DATA_KEY in values:
            try:
                from_dict(values[USER_DATA_KEY])
            except CrossnerError as error:
                # without the file it would be of little use
                raise ValueError(str(error)) from None
        user_data.append(values)
    docbin.user_data = []
    return user_data


@contextmanager
def _naming(shard: Path) -> Iterator[None]:
    # a damaged file fails in zlib, msgpack, numpy or spaCy, depending on where the damage is
    try:
        yield
    except CrossnerError:
        raise
    except FileNotFoundError:
        raise CrossnerError(Errors.CN202.format(path=shard)) from None
    except Exception as error:
        # what reads views names the problem itself
        problem = str(error) if str(error).startswith("[CN") else repr(error)
        raise CrossnerError(Errors.CN217.format(path=shard, problem=shorten(problem))) from error


def iter_runs(items: Iterable[T], get_name: Callable[[T], Optional[str]]) -> Iterator[list[T]]:
    """Split a stream where one group ends and the next begins.

    items (Iterable[T]): Docs or examples, with the views of a group one after the other.
    get_name (Callable[[T], Optional[str]]): The group of an item, or None.
    YIELDS (list[T]): The items of one group, or a single item without a group.
    """
    for name, run in groupby(items, key=get_name):
        if name is None:
            yield from ([item] for item in run)
        else:
            yield list(run)


def write_docs(out: Path, docs: Iterable[Doc], shard_size: int = 0) -> int:
    """Write docs and their views, all or nothing.

    out (Path): A file, or with a shard size, a folder. An older corpus there is replaced.
    docs (Iterable[Doc]): The docs, with the views of a group one after the other.
    shard_size (int): After how many docs to begin a new shard, as soon as the group is complete.
        0 writes one file.
    RETURNS (int): The number of docs.
    """
    if shard_size:
        check_folder(out)
        count = 0
        with atomic_folder(out) as folder:
            for number, docbin in enumerate(_fill_shards(docs, shard_size), start=1):
                docbin.to_disk(folder / f"part-{number:05d}{SUFFIX}")
                count += len(docbin)
        return count
    with replacing(out) as temporary:
        docbin = _make_docbin(docs)
        docbin.to_disk(temporary)
    return len(docbin)


def check_folder(out: Path) -> None:
    """Refuse to replace a folder that holds anything but shards.

    out (Path): The folder; it need not exist.
    """
    if out.is_file():
        raise CrossnerError(Errors.CN267.format(path=out))
    if out.exists():
        strange = next((p for p in out.iterdir() if not p.match(f"part-*{SUFFIX}")), None)
        if strange is not None:
            raise CrossnerError(Errors.CN266.format(path=out, found=strange.name))


def _fill_shards(docs: Iterable[Doc], shard_size: int) -> Iterator[DocBin]:
    shard: list[Doc] = []
    for group in iter_runs(docs, get_group):
        if len(shard) >= shard_size:
            yield _make_docbin(shard)
            shard = []
        shard += group
    if shard:
        yield _make_docbin(shard)


def _make_docbin(docs: Iterable[Doc]) -> DocBin:
    docbin = DocBin()
    # one packer for all spares a look through all entry points for each doc
    packer = Packer(use_bin_type=True)
    for doc in docs:
        docbin.add(doc)
        docbin.user_data.append(packer.pack(doc.user_data))
    docbin.store_user_data = True
    return docbin
