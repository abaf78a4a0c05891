"""Hugging Face datasets: tokens with tags, as JSON, as Parquet, or as saved by `save_to_disk`.

A record is {"tokens": [...], "ner_tags": [...]}. Tags that are numbers get their names from the
dataset's features (Parquet and Arrow files keep them), or from `--tag-names`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spacy_crossner.data.formats.base import (
    Format,
    Place,
    Source,
    check_unread,
    record_format,
    shorten,
    take_object,
)
from spacy_crossner.data.formats.columns import TAG, iter_tagged
from spacy_crossner.data.formats.tokens import check_words, parse_tags, parse_tokens
from spacy_crossner.data.sentences import Parsed, Problem, Sentence
from spacy_crossner.errors import CrossnerError, Errors

TOKEN_KEYS = ("tokens", "words")
TAG_KEYS = ("ner_tags", "tags", "labels", "ner")
# columns that repeat the tags as strings in some data sets
REPEATED = ("spans", "ner_tags", "tags", "labels")
SUFFIXES = (".parquet", ".arrow")
INFO, DATASETS, STATE = "dataset_info.json", "dataset_dict.json", "state.json"


def sniff(records: Sequence[Any]) -> bool:
    """Check if any record has tokens and tags."""
    return any(
        isinstance(record, dict)
        and any(_is_strings(record.get(key)) for key in TOKEN_KEYS)
        and any(isinstance(record.get(key), list) for key in TAG_KEYS)
        for record in records
    )


def _is_strings(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and isinstance(found[0], str)


def parse_record(record: Any, place: Place) -> Parsed:
    """Read tokens and tags.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence; without tags it is not annotated.
    """
    where = place.where
    record = take_object(record, where)
    key = next((key for key in TOKEN_KEYS if key in record), TOKEN_KEYS[0])
    words = check_words(record.get(key), key, where)
    keys = [key for key in TAG_KEYS if record.get(key) is not None]
    # "tags" may be the parts of speech
    key = next(filter(lambda key: _has_tags(record[key]), keys), keys[0] if keys else "")
    check_unread(record, (key, *REPEATED) if key else (), place)
    if not key:
        return parse_tokens(words, None, place)
    tags = record[key]
    if not isinstance(tags, list):
        raise CrossnerError(Errors.CN222.format(where=where, tag=shorten(tags)))
    return parse_tags(words, [_name_tag(tag, place) for tag in tags], place)


def _has_tags(found: Any) -> bool:
    return isinstance(found, list) and any(
        type(tag) is int or (isinstance(tag, str) and TAG.fullmatch(tag)) for tag in found
    )


def _name_tag(tag: Any, place: Place) -> Any:
    if type(tag) is not int:
        return tag
    names = place.source.tag_names
    if not 0 <= tag < len(names):
        raise CrossnerError(
            Errors.CN917.format(where=place.where, tag=shorten(tag), count=len(names))
        )
    return names[tag]


def is_dataset(path: Path) -> bool:
    """Check if a folder was written by `save_to_disk`."""
    return path.is_dir() and any((path / name).is_file() for name in (DATASETS, STATE))


def sniff_files(source: Source) -> bool:
    """Check if a source is a Parquet or Arrow file, or a saved dataset."""
    return source.path.suffix.lower() in SUFFIXES or is_dataset(source.path)


def read_files(source: Source) -> Iterator[Parsed]:
    """Read a Parquet or Arrow file, or a saved dataset.

    source (Source): The file or folder.
    YIELDS (Parsed): The sentences.
    """
    number = 0
    for path in _list_files(source.path):
        names, rows = _read_rows(path)
        tagged = Source(source.path, source.lang, source.labels, names or source.tag_names)
        for record in rows:
            number += 1
            where = f"{path}, record {number}"
            try:
                yield parse_record(record, Place(where, number, tagged))
            except CrossnerError as error:
                yield Parsed(None, (Problem(str(error)),))


def _list_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / DATASETS).is_file():
        splits = sorted(one.parent.name for one in path.glob(f"*/{STATE}"))
        raise CrossnerError(Errors.CN919.format(path=path, splits=", ".join(splits) or "none"))
    try:
        state = json.loads((path / STATE).read_text(encoding="utf8"))
        return [path / Path(one["filename"]).name for one in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"{STATE}: {shorten(error)}"
        raise CrossnerError(Errors.CN920.format(path=path, problem=problem)) from None


def _read_rows(path: Path) -> tuple[Sequence[str], Iterator[Mapping[str, Any]]]:
    """Open a Parquet or Arrow file; return its tag names, empty if unknown, and its rows."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise CrossnerError(Errors.CN921.format(path=path)) from None
    try:
        if path.suffix.lower() == ".parquet":
            file = pyarrow.parquet.ParquetFile(path)
            schema, batches = file.schema_arrow, file.iter_batches()
        else:
            stream = pyarrow.memory_map(str(path))
            try:
                reader = pyarrow.ipc.open_stream(stream)
            except pyarrow.ArrowInvalid:
                reader = pyarrow.ipc.open_file(stream)
                batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
            else:
                batches = iter(reader)
            schema = reader.schema
    except (OSError, pyarrow.ArrowException) as error:
        raise CrossnerError(Errors.CN920.format(path=path, problem=shorten(error))) from None
    if not set(schema.names).intersection((*TOKEN_KEYS, "text")):
        columns = ", ".join(schema.names)
        raise CrossnerError(Errors.CN922.format(path=path, columns=shorten(columns)))

    def iter_rows() -> Iterator[Mapping[str, Any]]:
        try:
            for batch in batches:
                yield from batch.to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise CrossnerError(Errors.CN920.format(path=path, problem=shorten(error))) from None

    return _find_names(schema.metadata or {}, path.parent), iter_rows()


def _find_names(metadata: Mapping[bytes, bytes], folder: Path) -> Sequence[str]:
    """Look up the tag names in the file's metadata, then in the data set's folder."""
    found: list[Any] = []
    with suppress(KeyError, ValueError, TypeError):
        found.append(json.loads(metadata[b"huggingface"])["info"]["features"])
    with suppress(OSError, KeyError, ValueError, TypeError):
        found.append(json.loads((folder / INFO).read_text(encoding="utf8"))["features"])
    for features in found:
        for key in TAG_KEYS:
            feature = features.get(key) if isinstance(features, dict) else None
            # a list of class labels, in the notation of old and new versions
            if isinstance(feature, list) and feature:
                feature = feature[0]
            elif isinstance(feature, dict):
                feature = feature.get("feature", feature)
            if isinstance(feature, dict) and isinstance(feature.get("names"), list):
                return feature["names"]
    return ()


def format_record(sentence: Sentence) -> dict[str, Any]:
    """Make a record with tags that are strings.

    sentence (Sentence): A sentence with words; entities cover whole words.
    RETURNS (dict[str, Any]): The record.
    """
    record: dict[str, Any] = {"tokens": list(sentence.words or ())}
    if sentence.spans is not None:
        record["ner_tags"] = [tag for _, tag in iter_tagged(sentence)]
    return record


HUGGINGFACE_JSON = record_format(
    "hf-json",
    'records with "tokens" and "ner_tags", as of Hugging Face',
    parse_record,
    sniff,
    format_record,
    holds=("unlabelled",),
)
HUGGINGFACE = Format(
    "hf",
    "Hugging Face dataset: Parquet, Arrow, or a folder of save_to_disk",
    read_files,
    sniff_files,
    SUFFIXES,
)
