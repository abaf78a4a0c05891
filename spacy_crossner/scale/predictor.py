"""Find entities in batches of columns: what Ray Data, Spark and `apply` hand to a pipeline."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_crossner.checks import check_least
from spacy_crossner.data.docs import ENCODER_OUTPUT
from spacy_crossner.data.groups import NESTED, SCORES
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.scores import read_score
from spacy_crossner.scale.records import import_arrow

DIGITS = 4
BATCH_SIZE = 64
CANDIDATES = "candidates"
ERROR = "error"


@dataclass
class Found:
    """What a pipeline has found in a text.

    entities (list[dict]): start, end (characters), label and score of each entity; the score is
        None if the component sets none.
    candidates (list[dict]): The same of all scored spans, overlapping ones included, and "nested":
        whether it is one of the best set of names that may be nested, or None if nothing says so.
    error (Optional[str]): Why the text could not be read.
    """

    entities: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    error: Optional[str] = None


class Predictor:
    """Adds a column of entities to a batch of columns. A text that fails has an error in its row.

    A predictor is picklable: the pipeline is loaded where it is used, once for each process.

    DOCS: docs/scale.md
    """

    def __init__(
        self,
        pipeline: Union[str, Path],
        *,
        text_column: str = "text",
        entities_column: str = "entities",
        candidates: bool = False,
        batch_size: int = BATCH_SIZE,
        gpu: bool = False,
        code: Optional[Union[str, Path]] = None,
    ):
        """Name the pipeline; it is loaded with the first batch.

        pipeline (Union[str, Path]): A pipeline folder, or the name of an installed pipeline.
        text_column (str): The column of the texts.
        entities_column (str): The column to add.
        candidates (bool): Also add a column `candidates` with all spans that have a score.
        batch_size (int): Texts that go through the pipeline at once.
        gpu (bool): Run on the first GPU that the process sees.
        code (Optional[Union[str, Path]]): Python file with further registered functions.
        """
        check_least("batch_size", batch_size)
        self.pipeline = str(pipeline)
        self.text_column = text_column
        self.entities_column = entities_column
        self.candidates = candidates
        self.batch_size = batch_size
        self.gpu = gpu
        self.code = None if code is None else str(code)
        self._nlp: Optional[Language] = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_nlp": None}

    @property
    def nlp(self) -> Language:
        """The loaded pipeline."""
        if self._nlp is None:
            if self.code is not None:
                from spacy.cli._util import import_code

                import_code(Path(self.code))
            if self.gpu:
                import spacy

                spacy.require_gpu()
            self._nlp = load_pipeline(self.pipeline)
            # texts of any length are read whole: the limit is there for spaCy's parser
            self._nlp.max_length = sys.maxsize
        return self._nlp

    def __call__(self, batch: Any) -> Any:
        """Find the entities of a batch.

        batch (Any): An Arrow table, a pandas data frame, or a dict of arrays or lists.
        RETURNS (Any): The same kind, with the columns `entities` (start, end, label and score of
            each) and `error` (None, or what went wrong with the text).
        """
        kind = type(batch).__module__.partition(".")[0]
        names = batch.column_names if kind == "pyarrow" else list(batch)
        if self.text_column not in names:
            known = ", ".join(map(str, names))
            raise CrossnerError(Errors.CN807.format(column=self.text_column, columns=known))
        new = [self.entities_column, *([CANDIDATES] if self.candidates else []), ERROR]
        for name in new:
            if name in names:
                raise CrossnerError(Errors.CN808.format(column=name))
        texts = batch[self.text_column]
        found = list(self.find(texts.to_pylist() if kind == "pyarrow" else list(texts)))
        columns: dict[str, list] = {
            self.entities_column: [one.entities for one in found],
            CANDIDATES: [one.candidates for one in found],
            ERROR: [one.error for one in found],
        }
        if kind == "pyarrow":
            return add_columns(batch, {name: columns[name] for name in new})
        if kind == "pandas":
            return batch.assign(**{name: columns[name] for name in new})
        return {**batch, **{name: _to_array(columns[name]) for name in new}}

    def map_frames(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Find the entities of data frames, as Spark's `mapInPandas` hands them out.

        frames (Iterable[DataFrame]): pandas data frames.
        YIELDS (DataFrame): The same with the new columns.
        """
        yield from map(self, frames)

    def find(self, texts: Iterable[Any]) -> Iterator[Found]:
        """Find the entities of texts, and forget their words again.

        texts (Iterable[Any]): The texts; what is not a text gets an error.
        YIELDS (Found): What was found, one for each.
        """
        with self.nlp.memory_zone():
            for doc in self.iter_docs(texts):
                if isinstance(doc, Doc):
                    found = Found(_describe(doc.ents))
                    if self.candidates:
                        found.candidates = _describe_candidates(doc)
                    yield found
                else:
                    yield Found(error=doc)

    def iter_docs(self, texts: Iterable[Any]) -> Iterator[Union[Doc, str]]:
        """Run the pipeline.

        Batches depend on nothing but the position of the texts. If one fails, its texts are tried
        one by one.

        texts (Iterable[Any]): Texts or docs.
        YIELDS (Union[Doc, str]): The docs without the encoder's output; or why a text failed.
        """
        texts = list(texts)
        for start in range(0, len(texts), self.batch_size):
            batch = texts[start : start + self.batch_size]
            results: list[Union[Doc, str, None]] = [
                None if isinstance(text, (str, Doc)) else f"not a text but {_name(text)}"
                for text in batch
            ]
            usable = [text for text, known in zip(batch, results, strict=True) if known is None]
            docs = iter(self._read(usable))
            for known in results:
                yield next(docs) if known is None else known

    def _read(self, batch: list[Any]) -> list[Union[Doc, str]]:
        try:
            return list(map(_strip, self.nlp.pipe(batch, batch_size=self.batch_size)))
        except Exception as error:
            if len(batch) == 1:
                return [f"{type(error).__name__}: {error}"[:200]]
            return [self._read([_copy_unread(text)])[0] for text in batch]


def add_columns(table: Any, columns: Mapping[str, list]) -> Any:
    """Add columns to an Arrow table, with the same types whatever they hold.

    table (Any): The table.
    columns (Mapping[str, list]): Values by name.
    RETURNS (Any): The longer table.
    """
    pa = import_arrow()
    span = [("start", pa.int64()), ("end", pa.int64())]
    span += [("label", pa.string()), ("score", pa.float64())]
    for name, values in columns.items():
        fields = [*span, (NESTED, pa.bool_())] if name == CANDIDATES else span
        kind = pa.string() if name == ERROR else pa.list_(pa.struct(fields))
        table = table.append_column(pa.field(name, kind), pa.array(values, kind))
    return table


def _copy_unread(text: Any) -> Any:
    """Copy a doc without its annotations, which may be incomplete. Return a string as it is."""
    if not isinstance(text, Doc):
        return text
    spaces = None if text.has_unknown_spaces else [bool(t.whitespace_) for t in text]
    words = [token.text for token in text]
    return Doc(text.vocab, words=words, spaces=spaces, user_data=text.user_data)


def _strip(doc: Doc) -> Doc:
    user_data: dict[Any, Any] = doc.user_data
    user_data.pop(ENCODER_OUTPUT, None)
    return doc


def _describe(spans: Iterable[Span], scores: Optional[Iterable[Any]] = None) -> list[dict]:
    spans = list(spans)
    scores = map(read_score, spans) if scores is None else scores
    return [
        {
            "start": span.start_char,
            "end": span.end_char,
            "label": span.label_,
            "score": None if score is None else round(float(score), DIGITS),
        }
        for span, score in zip(spans, scores, strict=True)
    ]


def _describe_candidates(doc: Doc) -> list[dict]:
    found = []
    for group in doc.spans.values():
        if SCORES in group.attrs:
            marks = numpy.array(group.attrs.get(NESTED, [None] * len(group))).tolist()
            described = _describe(group, group.attrs[SCORES])
            found += [one | {NESTED: mark} for one, mark in zip(described, marks, strict=True)]
    return found


def _to_array(values: list) -> Any:
    # numpy would make a table of lists of the same length
    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    return array


def _name(value: Any) -> str:
    return "a null" if value is None else f"a {type(value).__name__}"
