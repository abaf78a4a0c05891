"""Predict the entities of a corpus of any size, from files of records to files of records.

The corpus is split into shards by record position alone, and the batches of a shard are the same
everywhere. So the output has the same bytes on one machine and on a cluster, with any number of
workers, and whether or not the run was interrupted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

from tqdm import tqdm

from spacy_crossner.about import __version__
from spacy_crossner.checks import check_choice, check_least
from spacy_crossner.distil.teachers import find_folder
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint
from spacy_crossner.scale.execution import Execution, Lost, Task, run_tasks
from spacy_crossner.scale.journal import JOURNAL, Journal
from spacy_crossner.scale.outputs import SUFFIXES, Shard, ShardWriter, infer_schema
from spacy_crossner.scale.predictor import BATCH_SIZE, Predictor
from spacy_crossner.scale.records import (
    FORMATS,
    Chunk,
    Source,
    escape_surrogates,
    find_sources,
    iter_chunks,
    open_filesystem,
    read_chunk,
)

SHARD_SIZE = 2000


@dataclass
class Applied:
    """Counts and failures of a run.

    texts (int): Records in the output, including those that failed.
    entities (int): Predicted entities.
    shards (int): Files written in this run and before.
    new (int): Files written in this run.
    failed (list[tuple[str, str]]): Id and reason of each text that failed.
    unreadable (dict[str, str]): The reason for each input file, or shard, that is not done.
    """

    texts: int = 0
    entities: int = 0
    shards: int = 0
    new: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every text was processed."""
        return not self.failed and not self.unreadable


def apply(
    pipeline: Union[str, Path],
    path: Union[str, Path],
    out: Union[str, Path],
    *,
    format: str = "jsonl",
    text_column: str = "text",
    id_column: str = "id",
    columns: Optional[Sequence[str]] = None,
    candidates: bool = False,
    batch_size: int = BATCH_SIZE,
    shard_size: int = SHARD_SIZE,
    execution: Optional[Execution] = None,
    gpu: bool = False,
    code: Optional[Union[str, Path]] = None,
    restart: bool = False,
    progress: bool = False,
) -> Applied:
    """Predict the entities of a corpus. An interrupted run continues with the missing shards.

    pipeline (Union[str, Path]): A pipeline folder, or the name of an installed pipeline. With Ray,
        every node needs it under the same path.
    path (Union[str, Path]): .txt (one text per line), .jsonl, .parquet or .spacy, or a folder or a
        glob of such files; text and JSON Lines also compressed (.gz, .bz2, .xz). A path, or a URL
        that fsspec supports.
    out (Union[str, Path]): The folder to write; a path or a URL.
    format (str): Format of the output: "jsonl", "parquet" or "spacy".
    text_column (str): The column of the texts.
    id_column (str): The column of the ids. Texts without one get an id from file and line.
    columns (Optional[Sequence[str]]): The input columns to copy to the output; None for all.
    candidates (bool): Also write candidate spans with their scores.
    batch_size (int): Texts per batch.
    shard_size (int): Texts per file.
    execution (Optional[Execution]): Where to run; by default in this process with one thread.
    gpu (bool): Run on a GPU.
    code (Optional[Union[str, Path]]): Python file with further registered functions.
    restart (bool): Replace an output that has other settings or texts, instead of raising an
        error.
    progress (bool): Show a progress bar if the output is a terminal.
    RETURNS (Applied): The counts and failures.
    """
    check_choice("format", format, tuple(SUFFIXES))
    check_least("shard_size", shard_size)
    execution = execution or Execution()
    predictor = Predictor(
        pipeline,
        text_column=text_column,
        candidates=candidates,
        batch_size=batch_size,
        gpu=gpu or execution.gpus_per_worker > 0,
        code=code,
    )
    sources = find_sources(str(path))
    filesystem, folder = open_filesystem(str(out))
    folder = folder.rstrip("/")
    # if an output in the input's folder is continued, its own files are not read
    others = [one for one in sources if not one.is_in(filesystem, folder)]
    if others and filesystem.exists(f"{folder}/{JOURNAL}"):
        sources = others
    check_output(filesystem, folder, sources)
    columns = None if columns is None else tuple(columns)
    writer = ShardWriter(predictor, format, id_column, columns)
    if format == "parquet":
        writer.schema = find_schema(writer, sources, shard_size)
    place = find_folder(str(pipeline))
    if not place.exists():
        raise CrossnerError(Errors.CN202.format(path=place))
    settings = {
        "version": __version__,
        "pipeline": fingerprint(place),
        "code": None if code is None else fingerprint(Path(code)),
        "format": format,
        "text column": text_column,
        "id column": id_column,
        "columns": columns,
        "candidates": candidates,
        "batch size": batch_size,
        "shard size": shard_size,
        "threads": execution.threads,
        "gpu": predictor.gpu,
        "schema": None if writer.schema is None else writer.schema.to_string(),
    }
    journal = Journal(filesystem, folder)
    journal.begin(settings, restart)
    versions = {one.name: {"size": one.size, "stamp": one.stamp} for one in sources}
    journal.begin_inputs(versions, restart)
    total = sum(source.size for source in sources)
    with tqdm(
        desc="apply", total=total, unit="B", unit_scale=True, disable=None if progress else True
    ) as bar:
        run = _Run(journal, sources, format, shard_size, bar)
        try:
            for name, result in run_tasks(partial(_same, writer), run.iter_tasks(), execution):
                run.take(name, result)
        finally:
            journal.close()
    journal.rewrite()
    applied = Applied(shards=len(journal.shards), new=run.new, unreadable=run.unreadable)
    for name in sorted(journal.shards):
        shard = journal.shards[name]
        applied.texts += shard["texts"]
        applied.entities += shard["entities"]
        applied.failed += map(tuple, shard["failed"])
    return applied


def _same(writer: ShardWriter) -> ShardWriter:
    # a process gets its own copy, which loads its own pipeline
    return writer


class _Run:
    """Creates the tasks of missing shards and saves their results."""

    def __init__(
        self, journal: Journal, sources: Sequence[Source], format: str, size: int, bar: tqdm
    ):
        self.journal = journal
        self.sources = sources
        self.format = format
        self.size = size
        self.bar = bar
        self.new = 0
        self.texts = 0
        self.unreadable: dict[str, str] = {}
        self.waiting: dict[str, Chunk] = {}
        self.missing: Counter[str] = Counter()  # shards of each file that are not done
        self.numbers: dict[str, int] = {}  # shards of each file that was read to its end

    def iter_tasks(self) -> Iterator[Task]:
        for source in self.sources:
            if self.journal.is_done(source.name):
                self.bar.update(source.size)
                continue
            number = 0
            try:
                for number, chunk in enumerate(iter_chunks(source, self.size), start=1):
                    name = f"{source.name}-{number:05d}{SUFFIXES[self.format]}"
                    if name in self.journal.shards:
                        self.bar.update(chunk.weight)
                        continue
                    self.missing[source.name] += 1
                    # payloads are kept by whoever runs them
                    self.waiting[name] = Chunk(**{**vars(chunk), "data": None})
                    yield name, chunk
            except CrossnerError as error:
                self.unreadable[source.name] = str(error)
                continue
            self.numbers[source.name] = number
            self._end(source.name)

    def take(self, name: str, result: Union[Shard, Lost]) -> None:
        chunk = self.waiting.pop(name)
        self.bar.update(chunk.weight)
        if isinstance(result, Lost):
            self.unreadable[name] = result.reason
            return
        counts = {
            "texts": result.texts,
            "entities": result.entities,
            "failed": result.failed,
        }
        self.journal.add(name, chunk.source, result.data, counts)
        self.new += 1
        self.texts += result.texts
        seconds = self.bar.format_dict["elapsed"] or 1.0
        self.bar.set_postfix_str(f"{self.texts} texts, {self.texts / seconds:.0f}/s", refresh=False)
        self.missing[chunk.source] -= 1
        self._end(chunk.source)

    def _end(self, source: str) -> None:
        if source in self.numbers and not self.missing[source]:
            self.journal.end_input(source, self.numbers[source])


def check_output(filesystem: Any, folder: str, sources: Sequence[Source]) -> None:
    """Refuse to write into an input, or in the place of a file.

    filesystem (Any): The fsspec file system of the output.
    folder (str): The folder there.
    sources (Sequence[Source]): The files to read.
    """
    suffix = Path(folder).suffix.lower()
    if filesystem.isfile(folder) or suffix in FORMATS:
        raise CrossnerError(Errors.CN818.format(path=folder))
    for source in sources:
        if source.is_in(filesystem, folder):
            raise CrossnerError(Errors.CN213.format(path=folder))


def find_schema(writer: ShardWriter, sources: Sequence[Source], size: int) -> Any:
    """Find the column types of records that come without types, in the first shard.

    writer (ShardWriter): Chooses the columns.
    sources (Sequence[Source]): The files.
    size (int): Records per shard.
    RETURNS (Any): An Arrow schema, or None if all files have theirs.
    """
    for source in sources:
        if source.format != "parquet":
            try:
                chunk = next(iter_chunks(source, size), None)
            except CrossnerError:
                continue  # it is reported when its turn comes
            if chunk is not None:
                records = read_chunk(chunk, writer.predictor.text_column, writer.id_column)
                rows = [{**writer.select(one), writer.id_column: one.id} for one in records]
                return infer_schema([escape_surrogates(row) for row in rows])
    return None
