"""Write what a pipeline has found in a chunk of records, as the bytes of one shard."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from spacy.tokens import Doc

from spacy_crossner.data.groups import SCORES
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.scale.predictor import CANDIDATES, ERROR, Found, Predictor, add_columns
from spacy_crossner.scale.records import (
    Chunk,
    Record,
    escape_surrogates,
    import_arrow,
    read_chunk,
    read_table,
)

SUFFIXES = {"jsonl": ".jsonl", "parquet": ".parquet", "spacy": ".spacy"}
# Keys of a doc's user data.
ID, COLUMNS = "spacy_crossner.id", "spacy_crossner.columns"
# If all texts of a shard of at least this size fail, the pipeline is at fault.
TOO_MANY = 50


@dataclass
class Shard:
    """A shard to write, and what it holds.

    data (bytes): Its content.
    texts (int): Records that were read, whether they failed or not.
    entities (int): Entities that were found.
    failed (list[tuple[str, str]]): Id and reason of each text that failed.
    """

    data: bytes
    texts: int
    entities: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class ShardWriter:
    """The worker of `apply`: parses a chunk, finds the entities, and encodes the result.

    predictor (Predictor): The pipeline.
    format (str): One of `SUFFIXES`.
    id_column (str): The column of the ids.
    columns (Optional[tuple[str, ...]]): The columns to pass through; None for all.
    schema (Any): Arrow schema of the columns of records that do not come with one.
    """

    predictor: Predictor
    format: str
    id_column: str = "id"
    columns: Optional[tuple[str, ...]] = None
    schema: Any = None

    def __call__(self, chunk: Chunk) -> Shard:
        """Predict on a chunk and serialize the results as a shard."""
        predictor = self.predictor
        records = read_chunk(chunk, predictor.text_column, self.id_column)
        vocab = predictor.nlp.vocab
        # made one by one, where their words are forgotten afterwards
        inputs = (None if one.problem else one.make_input(vocab) for one in records)
        if self.format == "spacy":
            found: list[Found] = []
            with predictor.nlp.memory_zone(), tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "docs.spacy"
                write_docs(path, self._annotate(records, inputs, found))
                data = path.read_bytes()
        else:
            found = list(predictor.find(inputs))
            for record, one in zip(records, found, strict=True):
                one.error = record.problem or one.error
            if self.format == "parquet":
                data = self._write_table(chunk, records, found)
            else:
                data = self._write_lines(records, found)
        failed = [(r.id, f.error) for r, f in zip(records, found, strict=True) if f.error]
        if len(failed) == len(records) >= TOO_MANY:
            name, reason = failed[0]
            raise CrossnerError(Errors.CN813.format(count=len(failed), id=name, reason=reason))
        return Shard(data, len(records), sum(len(one.entities) for one in found), failed)

    def select(self, record: Record) -> dict[str, Any]:
        """Choose what passes through.

        record (Record): A record.
        RETURNS (dict[str, Any]): Its id, then the chosen columns.
        """
        columns = record.columns or {self.predictor.text_column: record.text}
        chosen = columns if self.columns is None else dict.fromkeys(self.columns)
        self.check(chosen)
        known = columns.get(self.id_column)
        values = {self.id_column: record.id if known is None else known}
        return values | {name: columns.get(name) for name in chosen if name != self.id_column}

    def check(self, columns: Iterable[str]) -> None:
        """Refuse input columns that have the name of a new one.

        columns (Iterable[str]): The names.
        """
        for name in (self.predictor.entities_column, CANDIDATES, ERROR):
            if name in columns:
                raise CrossnerError(Errors.CN808.format(column=name))

    def _write_lines(self, records: Sequence[Record], found: Sequence[Found]) -> bytes:
        lines = []
        for record, one in zip(records, found, strict=True):
            row = self.select(record)
            row[self.predictor.entities_column] = one.entities
            if self.predictor.candidates:
                row[CANDIDATES] = one.candidates
            if one.error:
                row[ERROR] = one.error
            lines.append(json.dumps(row, ensure_ascii=False, default=str))
        # half characters, which JSON can hold in other columns, stay as they are escaped
        return "".join(f"{line}\n" for line in lines).encode("utf8", "backslashreplace")

    def _write_table(self, chunk: Chunk, records: list[Record], found: list[Found]) -> bytes:
        pa = import_arrow()
        if chunk.format == "parquet":
            table = read_table(chunk.data)
            self.check(table.column_names if self.columns is None else self.columns)
            ids = None if self.id_column in table.column_names else [one.id for one in records]
            if self.columns is not None:
                kept = [self.id_column] if ids is None else []
                names = [*kept, *(name for name in self.columns if name != self.id_column)]
                for name in names:
                    if name not in table.column_names:
                        table = table.append_column(name, pa.nulls(len(table), pa.string()))
                table = table.select(names)
            if ids is not None:
                table = table.add_column(0, self.id_column, pa.array(ids, pa.string()))
        else:
            rows = [
                escape_surrogates({**self.select(one), self.id_column: one.id}) for one in records
            ]
            schema = infer_schema(rows) if self.schema is None else self.schema
            for record, row in zip(records, rows, strict=True):
                if strange := next((name for name in row if name not in schema.names), None):
                    message = Errors.CN815.format(id=record.id, column=strange, problem="it is new")
                    raise CrossnerError(message)
            arrays = []
            for column in schema:
                try:
                    arrays.append(pa.array([row.get(column.name) for row in rows], column.type))
                except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                    message = Errors.CN815.format(
                        id=records[0].id, column=column.name, problem=error
                    )
                    raise CrossnerError(message) from None
            table = pa.table(arrays, schema=schema)
        columns: dict[str, list] = {self.predictor.entities_column: [f.entities for f in found]}
        if self.predictor.candidates:
            columns[CANDIDATES] = [one.candidates for one in found]
        columns[ERROR] = [one.error for one in found]
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(add_columns(table, columns), sink)
        return sink.getvalue().to_pybytes()

    def _annotate(
        self, records: Sequence[Record], inputs: Iterable[Any], found: list[Found]
    ) -> Iterator[Doc]:
        """Yield the annotated docs of texts without an error; append all results to `found`."""
        for record, doc in zip(records, self.predictor.iter_docs(inputs), strict=True):
            if not isinstance(doc, Doc):
                found.append(Found(error=record.problem or doc))
                continue
            found.append(Found([{} for _ in doc.ents]))
            if not self.predictor.candidates:
                for key in [key for key, group in doc.spans.items() if SCORES in group.attrs]:
                    del doc.spans[key]
            # what was found is not a label, even if the doc came with some
            if (view := get_view(doc)) is not None:
                set_view(doc, replace(view, labelled=False, soft=None))
            doc.user_data[ID] = record.id
            columns = self.select(record)
            for name in (self.id_column, self.predictor.text_column):
                columns.pop(name, None)
            if columns:
                known = json.loads(json.dumps(columns, default=str))
                doc.user_data[COLUMNS] = escape_surrogates(known)
            yield doc


def infer_schema(rows: Sequence[dict[str, Any]]) -> Any:
    """Find the types of columns.

    rows (Sequence[dict[str, Any]]): Records.
    RETURNS (Any): An Arrow schema. What is always null counts as text.
    """
    pa = import_arrow()
    fields = []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            kind = pa.array([row.get(name) for row in rows]).type
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            message = Errors.CN815.format(id="the first shard", column=name, problem=error)
            raise CrossnerError(message) from None
        fields.append(pa.field(name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)
