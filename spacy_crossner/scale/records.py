"""Read records of text, JSON Lines, Parquet and `.spacy` files, here or wherever fsspec reaches.

The driver cuts files into chunks of a fixed number of records, and reads no more than that takes;
workers parse them. Chunks never cross from one file into the next, so a new file changes nothing
about the others.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Optional

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.formats.base import check_characters
from spacy_crossner.data.shards import read_docs
from spacy_crossner.errors import CrossnerError, Errors

FORMATS = {".txt": "text", ".jsonl": "jsonl", ".parquet": "parquet", ".spacy": "spacy"}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
# Where storage says which version of a file it has, in order of preference.
STAMPS = ("ETag", "etag", "md5Hash", "oid", "blob_id", "mtime", "LastModified", "updated")
# The package that fsspec needs for a protocol.
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}


@dataclass(frozen=True)
class Source:
    """A file to read.

    filesystem (Any): Its fsspec file system.
    path (str): Its path there.
    name (str): Its path below the input folder; names outputs and records.
    size (int): Its size in bytes.
    stamp (str): What changes with its content: a checksum of the storage, or the time of the last
        change.
    """

    filesystem: Any
    path: str
    name: str
    size: int
    stamp: str

    @property
    def format(self) -> str:
        """Format of the file, one of the values of `FORMATS`."""
        stem, suffix = _split(self.name)
        return FORMATS[_split(stem)[1] if suffix in COMPRESSIONS else suffix]

    def is_in(self, filesystem: Any, folder: str) -> bool:
        """Check if the file lies in a folder.

        filesystem (Any): The folder's fsspec file system.
        folder (str): Its path there, without a slash at its end.
        RETURNS (bool): Whether it does, at any depth.
        """
        return self.filesystem == filesystem and self.path.startswith(f"{folder}/")

    @property
    def compression(self) -> Optional[str]:
        """Compression of the file, or None."""
        return COMPRESSIONS.get(_split(self.name)[1])


@dataclass
class Chunk:
    """Records of one file that follow each other, not parsed yet.

    source (str): The name of the file.
    format (str): Its format.
    first (int): Number of the first line or record in the file, from 1.
    data (Any): Lines as bytes, a serialized Arrow table, or the parts of docs.
    count (int): The number of records.
    weight (int): By how many bytes the reader came forward in the file.
    """

    source: str
    format: str
    first: int
    data: Any
    count: int
    weight: int


@dataclass
class Record:
    """A text to read.

    id (str): What names it in the output.
    text (Optional[str]): The text; None if there is not any.
    columns (dict): All columns of the input in their order.
    problem (str): What is wrong with it.
    words (Optional[list[str]]): The tokens, where they are given.
    spaces (Optional[list[bool]]): Whether a blank follows each; None if that is not known.
    user_data (dict): Of a doc.
    """

    id: str
    text: Optional[str] = None
    columns: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    words: Optional[list[str]] = None
    spaces: Optional[list[bool]] = None
    user_data: dict = field(default_factory=dict)

    def make_input(self, vocab: Vocab) -> Any:
        """Make the input of `nlp.pipe`."""
        if self.words is None:
            return self.text
        return Doc(vocab, words=self.words, spaces=self.spaces, user_data=dict(self.user_data))


def open_filesystem(path: str) -> tuple[Any, str]:
    """Find the file system of a path or URL.

    path (str): A path, or a URL such as s3://bucket/folder.
    RETURNS (tuple[Any, str]): The fsspec file system, and the path there.
    """
    try:
        import fsspec

        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        protocol = path.partition("://")[0]
        package = PACKAGES.get(protocol, "fsspec")
        message = Errors.CN802.format(path=path, reason=error, package=package)
        raise CrossnerError(message) from None


def find_sources(path: str) -> list[Source]:
    """List the files of an input.

    path (str): A file, a folder or a glob; a path or a URL.
    RETURNS (list[Source]): The files, sorted; at least one.
    """
    filesystem, place = open_filesystem(path)
    known = ", ".join(FORMATS)
    try:
        if any(mark in place for mark in "*?[") and not filesystem.exists(place):
            root = place[: min(place.find(mark) for mark in "*?[" if mark in place)]
            root = root.rpartition("/")[0]
            infos = filesystem.glob(place, detail=True)
        elif filesystem.isdir(place):
            root = place.rstrip("/")
            infos = filesystem.find(place, detail=True)
        else:
            root = place.rpartition("/")[0]
            infos = {place: filesystem.info(place)}
    except FileNotFoundError:
        raise CrossnerError(Errors.CN800.format(path=path, known=known)) from None
    sources = []
    for file, info in sorted(infos.items()):
        name = file[len(root) :].lstrip("/")
        stem, suffix = _split(name)
        kind = _split(stem)[1] if suffix in COMPRESSIONS else suffix
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if info.get("type") != "directory" and (len(infos) == 1 or not hidden) and kind in FORMATS:
            stamp = next((str(info[key]) for key in STAMPS if info.get(key)), "")
            sources.append(Source(filesystem, file, name, int(info.get("size") or 0), stamp))
    if not sources:
        raise CrossnerError(Errors.CN800.format(path=path, known=known))
    return sources


def iter_chunks(source: Source, size: int) -> Iterator[Chunk]:
    """Cut a file into chunks.

    source (Source): The file.
    size (int): Records per chunk; the last one has what is left.
    YIELDS (Chunk): The chunks in order.
    """
    readers = {"parquet": _iter_tables, "spacy": _iter_docs}
    with _naming(source):
        yield from readers.get(source.format, _iter_lines)(source, size)


def read_chunk(chunk: Chunk, text_column: str = "text", id_column: str = "id") -> list[Record]:
    """Parse a chunk. Records that can't be parsed say so, and are records nevertheless.

    chunk (Chunk): The chunk.
    text_column (str): The column of the text, in JSON Lines and Parquet.
    id_column (str): The column of the id. Records without one are named by file and line.
    RETURNS (list[Record]): As many as `chunk.count`.
    """
    if chunk.format == "spacy":
        places = range(chunk.first, chunk.first + chunk.count)
        return [
            Record(f"{chunk.source}:{place}", text, words=words, spaces=spaces, user_data=user_data)
            for place, (text, words, spaces, user_data) in zip(places, chunk.data, strict=True)
        ]
    if chunk.format == "parquet":
        rows = enumerate(read_table(chunk.data).to_pylist(), start=chunk.first)
        return [_make_record(chunk.source, n, row, text_column, id_column) for n, row in rows]
    records = []
    for number, line in enumerate(chunk.data.split(b"\n"), start=chunk.first):
        if line.strip():
            records.append(_parse_line(chunk, number, line, text_column, id_column))
    return records


def _parse_line(chunk: Chunk, number: int, raw: bytes, text_column: str, id_column: str) -> Record:
    name = f"{chunk.source}:{number}"
    try:
        line = raw.decode("utf8").strip()
        if "\0" in line:
            raise ValueError("NUL characters, as in UTF-16 that is read as UTF-8")
        if chunk.format == "text":
            return Record(name, line, {text_column: line})
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Record(name, problem=f"{type(error).__name__}: {error}"[:200])
    if not isinstance(values, dict):
        return Record(name, problem=f"the line holds a {type(values).__name__}, not an object")
    return _make_record(chunk.source, number, values, text_column, id_column)


def _make_record(source: str, number: int, row: dict, text_column: str, id_column: str) -> Record:
    found = row.get(id_column)
    name = str(found) if isinstance(found, (str, int, float)) else f"{source}:{number}"
    name = escape_surrogates(name)
    text = row.get(text_column)
    if not isinstance(text, str):
        kind = "missing" if text is None else f"a {type(text).__name__}"
        columns = ", ".join(map(str, row)) or "none"
        problem = f"the column '{text_column}' is {kind}; columns: {columns}"[:200]
        return Record(name, None, row, problem)
    try:
        check_characters(text, name)
    except CrossnerError as error:
        return Record(name, None, row, str(error))
    return Record(name, text, row)


def escape_surrogates(value: Any) -> Any:
    """Escape lone surrogates, which JSON can hold and UTF-8 can't, in all strings of a value."""
    if isinstance(value, str):
        return value.encode("utf8", "backslashreplace").decode("utf8")
    if isinstance(value, dict):
        return {escape_surrogates(key): escape_surrogates(one) for key, one in value.items()}
    return [escape_surrogates(one) for one in value] if isinstance(value, list) else value


def read_table(data: bytes) -> Any:
    """Read a chunk of Parquet as an Arrow table."""
    pa = import_arrow()
    return pa.ipc.open_stream(data).read_all()


def import_arrow() -> Any:
    """Import pyarrow, or raise an error with the install command."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CrossnerError(Errors.CN803) from None
    return pyarrow


def _iter_lines(source: Source, size: int) -> Iterator[Chunk]:
    from fsspec.compression import compr

    raw = source.filesystem.open(source.path, "rb")
    with raw, compr[source.compression](raw, mode="rb") as file:  # the entry of None opens as it is
        lines: list[bytes] = []
        count, first, position, number = 0, 1, 0, 0
        for number, line in enumerate(file, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            lines.append(line.rstrip(b"\r\n"))
            count += bool(line.strip())
            if count == size:
                weight = raw.tell() - position
                position += weight
                yield Chunk(source.name, source.format, first, b"\n".join(lines), count, weight)
                lines, count, first = [], 0, number + 1
        if count:
            weight = source.size - position
            yield Chunk(source.name, source.format, first, b"\n".join(lines), count, weight)


def _iter_tables(source: Source, size: int) -> Iterator[Chunk]:
    pa = import_arrow()
    with source.filesystem.open(source.path, "rb") as file:
        parquet = pa.parquet.ParquetFile(file)
        total = max(parquet.metadata.num_rows, 1)
        rest, first = None, 1
        # Arrow's batches end with their row group
        for batch in chain(parquet.iter_batches(batch_size=size), [None]):
            table = rest
            if batch is not None:
                new = pa.Table.from_batches([batch])
                table = new if rest is None else pa.concat_tables([rest, new])
            while table is not None and len(table) and (len(table) >= size or batch is None):
                part, table = table.slice(0, size), table.slice(size)
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, part.schema) as writer:
                    writer.write_table(part.combine_chunks())
                data, count = sink.getvalue().to_pybytes(), len(part)
                weight = source.size * count // total
                yield Chunk(source.name, "parquet", first, data, count, weight)
                first += count
            rest = table


def _iter_docs(source: Source, size: int) -> Iterator[Chunk]:
    with _local_copy(source) as path:
        parts: list[tuple] = []
        first = 1
        # the words of the whole file in one vocab, which is dropped with the file
        for number, doc in enumerate(read_docs(path, Vocab()), start=1):
            words = [token.text for token in doc]
            spaces = None if doc.has_unknown_spaces else [bool(t.whitespace_) for t in doc]
            parts.append((doc.text, words, spaces, dict(doc.user_data)))
            if len(parts) == size:
                yield Chunk(source.name, "spacy", first, parts, size, 0)
                parts, first = [], number + 1
        if parts:  # how far the file is read is known only at its end
            yield Chunk(source.name, "spacy", first, parts, len(parts), source.size)


@contextmanager
def _local_copy(source: Source) -> Iterator[Path]:
    if "file" in source.filesystem.protocol and source.compression is None:
        yield Path(source.path)
        return
    from fsspec.compression import compr

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "docs.spacy"
        raw = source.filesystem.open(source.path, "rb")
        with raw, compr[source.compression](raw, mode="rb") as file, path.open("wb") as copy:
            while block := file.read(1 << 20):
                copy.write(block)
        yield path


@contextmanager
def _naming(source: Source) -> Iterator[None]:
    # a damaged file fails in zlib, lzma, Arrow or the storage's package
    try:
        yield
    except (CrossnerError, GeneratorExit, MemoryError):
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"[:200]
        raise CrossnerError(Errors.CN806.format(path=source.path, problem=problem)) from error


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return (stem, f".{ending.lower()}") if dot else (name, "")
