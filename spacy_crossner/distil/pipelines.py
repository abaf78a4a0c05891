"""Any spaCy pipeline as a teacher, through the entities or spans that it sets.

Its tokens may differ from those of the texts to annotate, so entities are aligned by characters.
Tokens of an entity that cuts a token, or whose label is not taught, are unknown rather than O.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import tee
from typing import Any, NamedTuple, Optional

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_crossner.data.groups import SCORES
from spacy_crossner.distil.probs import PAIR_WIDTH, TeacherProbs
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.scores import read_score
from spacy_crossner.types import Mention

# Least score of an entity. The pipeline has applied its own threshold before.
THRESHOLD = 0.3
# Number of texts to read if none of the components declares its labels.
SAMPLE = 200
SETS_ENTITIES = {"doc.ents", "doc.spans", "token.ent_type", "token.ent_iob"}


@dataclass(frozen=True)
class Reading:
    """How to read the entities of a pipeline; the fields are those of `Settings`."""

    labels_from: str = "ents"
    label_map: Mapping[str, str] = field(default_factory=dict)
    default_score: float = 0.95
    outside: float = 1.0

    @property
    def spans_key(self) -> Optional[str]:
        """Span group to read, or None for `doc.ents`."""
        kind, _, key = self.labels_from.partition(":")
        return key if kind == "spans" else None


class Found(NamedTuple):
    """What a pipeline found in one text, in the tokens of the doc to annotate.

    mentions (list[Mention]): Entities with scores, best first.
    known (numpy.ndarray): (n_tokens,) bool, whether anything is known about each token.
    misaligned (int): Entities that cut a token.
    untaught (Counter): Entities with other labels than those of the teacher, by label.
    """

    mentions: list[Mention]
    known: numpy.ndarray
    misaligned: int
    untaught: Counter[str]


@dataclass
class PipelineTeacher:
    """A pipeline that sets `doc.ents` or `doc.spans`.

    nlp (Language): The pipeline.
    name (str): Its name, for messages.
    reading (Reading): How its entities are read.
    labels (tuple[str, ...]): The labels that it teaches, after renaming.
    weight (float): Its weight in the average of all teachers.
    """

    nlp: Language
    name: str
    reading: Reading
    labels: tuple[str, ...] = ()
    weight: float = 1.0

    @property
    def threshold(self) -> float:
        """Threshold of entity scores."""
        return THRESHOLD

    def read(
        self, docs: Iterable[Any], *, batch_size: int, n_process: int = 1
    ) -> Iterator[tuple[Doc, Found]]:
        """Read texts with the pipeline.

        docs (Iterable[Doc]): The docs to annotate, which are not changed.
        batch_size (int): Texts per batch.
        n_process (int): Number of processes.
        YIELDS (tuple[Doc, Found]): Each doc and what was found in it.
        """
        docs, to_read = tee(docs)
        for doc, predicted in zip(docs, self.pipe(to_read, batch_size, n_process), strict=True):
            yield doc, align(doc, predicted, self.reading, self.labels)

    def pipe(self, docs: Iterable[Doc], batch_size: int, n_process: int) -> Iterator[Doc]:
        """Predict the texts of docs, in new docs."""
        texts = (doc.text for doc in docs)
        try:
            yield from self.nlp.pipe(texts, batch_size=batch_size, n_process=n_process)
        except CrossnerError:
            raise
        except Exception as error:
            raise CrossnerError(Errors.CN530.format(teacher=self.name, problem=error)) from error

    def make_probs(self, found: Sequence[Found], scheme: str) -> TeacherProbs:
        """Turn entities into probabilities.

        found (Sequence[Found]): What was found in each text of a batch.
        scheme (str): "bio" or "relations".
        RETURNS (TeacherProbs): The probabilities. The score of an entity in either scheme is the
            score that the pipeline gave it.
        """
        n_tokens = [len(one.known) for one in found]
        write = write_bio if scheme == "bio" else write_relations
        tables = [
            write(one.mentions, n, self.labels) for one, n in zip(found, n_tokens, strict=True)
        ]
        return TeacherProbs(
            scheme,
            self.labels,
            numpy.concatenate(tables),
            [numpy.arange(n) for n in n_tokens],
            n_tokens,
            known=numpy.concatenate([one.known for one in found]),
            weight=self.weight,
        )


def write_bio(mentions: Iterable[Mention], n_tokens: int, labels: Sequence[str]) -> numpy.ndarray:
    """Write entities as BIO probabilities; of overlapping ones, the best comes first.

    mentions (Iterable[Mention]): The entities, best first.
    n_tokens (int): Number of tokens.
    labels (Sequence[str]): All labels.
    RETURNS (numpy.ndarray): (n_tokens, 1 + 2 * n_labels) probabilities, float32.
    """
    probs = numpy.zeros((n_tokens, 1 + 2 * len(labels)), dtype="float32")
    probs[:, 0] = 1.0
    for mention in mentions:
        span = slice(mention.start, mention.end)
        # the score of a span is a product over its tokens
        share = min(mention.score ** (1.0 / len(mention.tokens)), float(probs[span, 0].min()))
        column = 1 + 2 * labels.index(mention.label)
        probs[span, 0] -= share
        probs[mention.start, column] += share
        probs[mention.start + 1 : mention.end, column + 1] += share
    return probs


def write_relations(
    mentions: Iterable[Mention], n_tokens: int, labels: Sequence[str]
) -> numpy.ndarray:
    """Write entities as probabilities of relations.

    mentions (Iterable[Mention]): The entities, none longer than `PAIR_WIDTH`.
    n_tokens (int): Number of tokens.
    labels (Sequence[str]): All labels.
    RETURNS (numpy.ndarray): (n_tokens, PAIR_WIDTH, 1 + n_labels) probabilities, float32.
    """
    probs = numpy.zeros((n_tokens, PAIR_WIDTH, 1 + len(labels)), dtype="float32")
    for mention in mentions:
        first, last = mention.start, mention.end - 1
        column = 1 + labels.index(mention.label)
        probs[first, last - first, column] = max(
            mention.score, float(probs[first, last - first, column])
        )
        words = probs[first:last, 1, 0]
        numpy.maximum(words, mention.score, out=words)
    return probs


def align(doc: Doc, predicted: Doc, reading: Reading, labels: Sequence[str]) -> Found:
    """Bring the entities of a pipeline to the tokens of another doc of the same text.

    doc (Doc): The doc to annotate.
    predicted (Doc): The doc of the pipeline.
    reading (Reading): How its entities are read.
    labels (Sequence[str]): The labels that it teaches.
    RETURNS (Found): The entities and the tokens that are known.
    """
    known = numpy.ones((len(doc),), dtype=bool)
    mentions: list[Mention] = []
    untaught: Counter[str] = Counter()
    misaligned = 0
    marked = numpy.zeros((len(doc),), dtype=bool)
    if predicted.text != doc.text:
        return Found([], ~known, len(predicted.ents), untaught)
    for start, end, label, score in read_entities(predicted, reading):
        label = reading.label_map.get(label, label)
        touched = doc.char_span(start, end, alignment_mode="expand")
        span = doc.char_span(start, end)
        if span is not None and len(span) <= PAIR_WIDTH and label in labels:
            mentions.append(Mention(tuple(range(span.start, span.end)), label, score))
        elif touched is not None:
            known[touched.start : touched.end] = False
            if label not in labels:
                untaught[label] += 1
            else:
                misaligned += 1
        if touched is not None:
            marked[touched.start : touched.end] = True
    mentions.sort(key=lambda m: (-m.score, -len(m.tokens), m.tokens))
    for mention in mentions:
        known[mention.start : mention.end] = True
    if reading.outside < 1.0:
        known &= marked | choose_outside(doc.text, marked, reading.outside)
    return Found(mentions, known, misaligned, untaught)


def choose_outside(text: str, marked: numpy.ndarray, share: float) -> numpy.ndarray:
    """Choose the tokens that a pipeline is believed to have left out for a reason.

    text (str): The text, which seeds the choice.
    marked (numpy.ndarray): (n_tokens,) bool, tokens of entities.
    share (float): The share to choose. Neighbours of entities are always chosen, as they teach
        where entities end.
    RETURNS (numpy.ndarray): (n_tokens,) bool.
    """
    rng = random.Random(text)
    chosen = numpy.array([rng.random() < share for _ in marked], dtype=bool)
    chosen[1:] |= marked[:-1]
    chosen[:-1] |= marked[1:]
    return chosen


def read_entities(doc: Doc, reading: Reading) -> Iterator[tuple[int, int, str, float]]:
    """Read the entities that a pipeline has set.

    doc (Doc): The doc.
    reading (Reading): Where they are, and the score of those that have none.
    YIELDS (tuple[int, int, str, float]): Start and end in characters, label and score.
    """
    key = reading.spans_key
    if key is None:
        scores = _scores_of_spans(doc)
        for ent in doc.ents:
            yield ent.start_char, ent.end_char, ent.label_, find_score(ent, reading, scores)
        return
    group = doc.spans.get(key, ())
    values = group.attrs.get(SCORES) if group else None
    if values is None or len(values) != len(group):
        values = [read_score(span) for span in group]
    for span, score in zip(group, values, strict=True):
        yield span.start_char, span.end_char, span.label_, _check(score, reading, span.text)


def find_score(
    ent: Span, reading: Reading, scores: Optional[Mapping[tuple[int, int, int], Any]] = None
) -> float:
    """Find the score of an entity: in `ent._.score`, or in a span group with scores.

    ent (Span): The entity.
    reading (Reading): The score of entities that have none.
    scores (Optional[Mapping]): The scores of all span groups of its doc, if they were collected.
    RETURNS (float): The score.
    """
    score = read_score(ent)
    if score is None:
        scores = _scores_of_spans(ent.doc) if scores is None else scores
        score = scores.get((ent.start, ent.end, ent.label))
    return _check(score, reading, ent.text)


def _scores_of_spans(doc: Doc) -> dict[tuple[int, int, int], Any]:
    """Collect the scores of all scored span groups by start, end and label."""
    return {
        (span.start, span.end, span.label): score
        for group in doc.spans.values()
        if len(group.attrs.get(SCORES, ())) == len(group)
        for span, score in zip(group, group.attrs[SCORES], strict=True)
    }


def _check(score: Any, reading: Reading, text: str) -> float:
    if score is None:
        return reading.default_score
    try:
        value = float(score)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise CrossnerError(Errors.CN531.format(text=text[:60], score=str(score)[:30]))
    return value


def find_labels(nlp: Language) -> set[str]:
    """List the labels that the components of a pipeline say that they set.

    nlp (Language): The pipeline.
    RETURNS (set[str]): The labels; empty if no component names any.
    """
    found: set[str] = set()
    for name, pipe in nlp.pipeline:
        assigns = set(nlp.get_pipe_meta(name).assigns)
        # plug-ins often do not declare what they set
        if not assigns or assigns & SETS_ENTITIES:
            labels = getattr(pipe, "labels", None)
            if isinstance(labels, Iterable) and not isinstance(labels, str):
                found.update(label for label in labels if isinstance(label, str) and label)
    return found


def find_taught(teachers: Sequence[PipelineTeacher], texts: Sequence[str], batch_size: int) -> None:
    """Set the labels of pipelines: those that they declare, or that they set in a sample.

    teachers (Sequence[PipelineTeacher]): The pipelines.
    texts (Sequence[str]): The sample.
    batch_size (int): Texts per batch.
    """
    before: set[str] = set()
    for teacher in teachers:
        reading = teacher.reading
        found = find_labels(teacher.nlp)
        if not found:
            docs = map(teacher.nlp.make_doc, texts)
            for predicted in teacher.pipe(docs, batch_size, 1):
                found.update(label for _, _, label, _ in read_entities(predicted, reading))
        if not found:
            raise CrossnerError(
                Errors.CN532.format(
                    teacher=teacher.name,
                    pipeline=", ".join(teacher.nlp.pipe_names) or "no components",
                    source=reading.labels_from,
                    texts=len(texts),
                )
            )
        before |= found
        # sorted, as students sort theirs
        teacher.labels = tuple(sorted({reading.label_map.get(label, label) for label in found}))
    label_map = teachers[0].reading.label_map
    unused = sorted(set(label_map) - before)
    if unused:
        raise CrossnerError(Errors.CN533.format(label=unused[0], known=", ".join(sorted(before))))
