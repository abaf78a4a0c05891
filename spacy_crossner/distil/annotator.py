"""Loaded teachers, and what they make of texts: docs with soft targets and confident entities."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Optional, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import minibatch
from spacy.vocab import Vocab

from spacy_crossner.checks import check_choice, check_least, check_range
from spacy_crossner.data.languages import get_tokenizer
from spacy_crossner.data.view import View, set_view
from spacy_crossner.distil.inputs import Text
from spacy_crossner.distil.outputs import TeacherOutput, make_outputs
from spacy_crossner.distil.pipelines import SAMPLE, Found, PipelineTeacher, Reading, find_taught
from spacy_crossner.distil.probs import join
from spacy_crossner.distil.teachers import (
    PREDICTED,
    AnyTeacher,
    Model,
    Teacher,
    collect,
    load_teacher,
    predict_probs,
)
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.heads import find_spaces
from spacy_crossner.pipeline.select import trim_spaces

# Key of a doc's user data: how sure the teachers are of a text, and how far they agree.
JUDGEMENT = "spacy_crossner.judgement"
SCHEMES = ("same", "bio", "relations")
LABELS = ("same", "common", "union")
TARGETS = ("soft", "hard", "both")
MOST_WEIGHT = 1000.0
MOST_BIAS = 10.0
MOST_SHARPEN = 10.0


@dataclass(frozen=True)
class Settings:
    """Settings of `annotate`, which determine the annotation of a text.

    teachers (tuple[Model, ...]): The teachers. Other processes need their folders or names.
    weights (Sequence[float]): The weight of each teacher in the average; equal by default.
    labels_from (str): Where other pipelines store their entities: "ents" or "spans:KEY". Scores are
        read from `doc.spans[KEY].attrs["scores"]` or `ent._.score`.
    label_map (Optional[Mapping[str, str]]): New labels by the labels of other pipelines.
    default_score (float): The score of their entities without one.
    outside (float): The fraction of tokens outside their entities that count as O; the rest is
        masked. Lower it for a teacher with low recall, such as a list of names.
    student_labels (Sequence[str]): The labels of the student, if they differ from the teachers'.
        Tokens that could have a label unknown to all teachers are masked.
    confidence (float): Minimum probability of an entity or O to be annotated. Other tokens are
        masked.
    targets (str): Training targets of students: "soft" for probabilities, "hard" for confident
        labels as gold, or "both".
    scheme (str): The soft targets' scheme: "bio" for `token_label_ner`, "relations" for
        `token_pair_ner`, "same" for that of the teachers.
    labels (str): How to merge different labels of the teachers: "same", "common" or "union"; see
        `choose_labels`.
    passes (int): Forward passes per text; all but the first use dropout.
    bias (Optional[float]): Subtracted from the teachers' log-odds of O, because they miss more
        entities in other languages. None keeps the bias of their calibration.
    sharpen (float): Exponent of soft targets. Above 1, students become more confident than their
        teachers. Confident labels do not change.
    seed (int): Seed of dropout.
    batch_size (int): Texts per batch.
    n_process (int): Number of processes.
    """

    teachers: tuple[Model, ...]
    weights: Sequence[float] = ()
    labels_from: str = "ents"
    label_map: Optional[Mapping[str, str]] = None
    default_score: float = 0.95
    outside: float = 1.0
    student_labels: Sequence[str] = ()
    confidence: float = 0.9
    targets: str = "soft"
    scheme: str = "same"
    labels: str = "same"
    passes: int = 1
    bias: Optional[float] = None
    sharpen: float = 1.0
    seed: int = 0
    batch_size: int = 64
    n_process: int = 1

    @property
    def reading(self) -> Reading:
        """How to read the entities of other pipelines."""
        label_map = dict(self.label_map or {})
        return Reading(self.labels_from, label_map, self.default_score, self.outside)

    def __post_init__(self) -> None:
        check_choice("scheme", self.scheme, SCHEMES)
        check_choice("labels", self.labels, LABELS)
        check_choice("targets", self.targets, TARGETS)
        check_range("confidence", self.confidence, 0.5, 1.0)
        if self.bias is not None:
            check_range("bias", self.bias, 0.0, MOST_BIAS)
        check_range("sharpen", self.sharpen, 1.0, MOST_SHARPEN)
        for setting in ("passes", "batch_size", "n_process"):
            check_least(setting, getattr(self, setting))
        kind, colon, key = self.labels_from.partition(":")
        if (kind, colon, key) != ("ents", "", "") and (kind != "spans" or not key):
            raise CrossnerError(Errors.CN534.format(value=self.labels_from))
        check_range("default_score", self.default_score, 0.0, 1.0)
        check_range("outside", self.outside, 0.0, 1.0)
        if self.weights and len(self.weights) != len(self.teachers):
            raise CrossnerError(
                Errors.CN535.format(weights=len(self.weights), teachers=len(self.teachers))
            )
        for weight in self.weights:
            check_range("weights", weight, 0.001, MOST_WEIGHT)


@dataclass
class Annotator:
    """Annotates texts with loaded teachers.

    settings (Settings): The settings.
    teachers (list[AnyTeacher]): The teachers, once for each pass.
    scheme (str): Scheme of the soft targets.
    labels (tuple[str, ...]): The entity types.
    """

    settings: Settings
    teachers: list[AnyTeacher]
    scheme: str
    labels: tuple[str, ...]

    @property
    def threshold(self) -> float:
        """Threshold of entity scores."""
        return min(teacher.threshold for teacher in self.teachers)

    def annotate_docs(self, texts: Sequence[Text]) -> Iterator[tuple[Doc, TeacherOutput, float]]:
        """Annotate texts.

        texts (Sequence[Text]): The texts.
        YIELDS (tuple[Doc, TeacherOutput, float]): The docs, what a student learns from them, and
            how far the teachers agree on each.
        """
        settings = self.settings
        docs: Iterable[Any] = map(self.make_doc, texts)
        for teacher in self.teachers:
            docs = predict_probs(
                teacher, docs, batch_size=settings.batch_size, n_process=settings.n_process
            )
        sources = iter(texts)
        for batch in minibatch(docs, settings.batch_size):
            lost = [_find_lost(doc) for doc in batch]
            probs, agreements = join(
                collect(batch, self.teachers, self.scheme), self.scheme, self.labels
            )
            outputs = make_outputs(
                probs,
                confidence=settings.confidence,
                threshold=self.threshold,
                sharpen=settings.sharpen,
            )
            for doc, output, agreement, (misaligned, untaught) in zip(
                batch, outputs, agreements, lost, strict=True
            ):
                output.misaligned, output.untaught = misaligned, untaught
                spaces = find_spaces(doc)
                output.entities = trim_spaces(output.entities, spaces)
                output.sure = trim_spaces(output.sure, spaces)
                self.set_targets(doc, output, agreement, next(sources))
                yield doc, output, agreement

    @property
    def own(self) -> Optional[Teacher]:
        """First teacher that has a component of this package."""
        return next((one for one in self.teachers if isinstance(one, Teacher)), None)

    def find_pipelines(self, texts: Iterable[Text]) -> list[Language]:
        """List the pipelines whose vocabularies get the words of texts.

        texts (Iterable[Text]): The texts.
        RETURNS (list[Language]): Our teachers, or without them, the tokenizers of the languages.
        """
        own = [one.nlp for one in self.teachers if isinstance(one, Teacher)]
        found = own or [get_tokenizer(lang) for lang in sorted({text.lang for text in texts})]
        return list({id(nlp): nlp for nlp in found}.values())

    def make_doc(self, text: Text) -> Union[str, Doc]:
        """Make the doc of a text, with the tokens that were given, or those of our first teacher,
        or those of its language.

        text (Text): The text.
        RETURNS (Union[str, Doc]): The doc; a text that our first teacher tokenizes.
        """
        own = self.own
        nlp = get_tokenizer(text.lang) if own is None else own.nlp
        if text.words is not None:
            return text.make_doc(nlp.vocab)
        if own is not None:
            return text.text
        nlp.max_length = sys.maxsize
        return nlp.make_doc(text.text)

    def set_targets(self, doc: Doc, output: TeacherOutput, agreement: float, text: Text) -> None:
        """Write entities, view and soft targets to a doc.

        doc (Doc): The doc.
        output (TeacherOutput): What a student learns from it.
        agreement (float): How far the teachers agree.
        text (Text): The text that it was made of.
        """
        unsure = [doc[i : i + 1] for i in output.unsure.nonzero()[0].tolist()]
        ents = [Span(doc, m.start, m.end, label=m.label) for m in output.sure]
        doc.set_ents(ents, missing=unsure, default="outside")
        view = View(text.group, "target", text.lang, labelled=self.settings.targets != "soft")
        if self.settings.targets != "hard":
            view.soft = output.soft
        set_view(doc, view)
        doc.user_data[JUDGEMENT] = {
            "certainty": round(output.certainty, 4),
            "agreement": round(agreement, 4),
        }


def _find_lost(doc: Doc) -> tuple[int, Counter[str]]:
    """Count a doc's predictions that can't be used as soft labels; see `TeacherOutput`."""
    misaligned, untaught = 0, Counter[str]()
    for predicted in doc.user_data[PREDICTED]:
        if isinstance(predicted, Found):
            misaligned += predicted.misaligned
            untaught.update(predicted.untaught)
    return misaligned, untaught


def load_annotator(settings: Settings, texts: Iterable[Text] = ()) -> Annotator:
    """Load the teachers. Any process that does so annotates texts in the same way.

    settings (Settings): The settings.
    texts (Iterable[Text]): The texts to annotate. A sample is read to find the labels of a pipeline
        whose components do not list them.
    RETURNS (Annotator): Annotates texts.
    """
    teachers = [
        load_teacher(model, bias=settings.bias, reading=settings.reading)
        for model in settings.teachers
    ]
    for teacher, weight in zip(teachers, settings.weights, strict=False):
        teacher.weight = weight
    pipelines = [teacher for teacher in teachers if isinstance(teacher, PipelineTeacher)]
    if pipelines:
        sample = [text.text or text.make_doc(Vocab()).text for text in islice(texts, SAMPLE)]
        find_taught(pipelines, sample, settings.batch_size)
    labels = choose_labels(
        [teacher.labels for teacher in teachers], settings.labels, settings.student_labels
    )
    for pipeline in pipelines:
        # a label that no student learns makes tokens unknown
        pipeline.labels = tuple(label for label in pipeline.labels if label in labels)
    scheme = settings.scheme
    own: list[AnyTeacher] = [one for one in teachers if isinstance(one, Teacher)]
    schemes = {one.ner.scheme for one in teachers if isinstance(one, Teacher)} or {"bio"}
    if scheme == "same":
        if len(schemes) > 1:
            raise CrossnerError(Errors.CN512)
        scheme = schemes.pop()
    if settings.passes > 1:
        for model, first in zip(settings.teachers, teachers, strict=True):
            if isinstance(first, Teacher):
                again = load_teacher(model, dropout=True, bias=settings.bias)
                again.weight = first.weight
                own += [again] * (settings.passes - 1)
    if settings.passes > 1 and not own:
        raise CrossnerError(Errors.CN511.format(teacher=pipelines[0].name))
    # pipelines read docs, which our teachers make of texts
    return Annotator(settings, [*own, *pipelines], scheme, labels)


def choose_labels(
    sets: Sequence[tuple[str, ...]], how: str, student: Sequence[str] = ()
) -> tuple[str, ...]:
    """Reconcile the label sets of teachers.

    sets (Sequence[tuple[str, ...]]): The labels of each teacher.
    how (str): "same" refuses sets that differ; "common" takes the labels that all teachers know,
        and other entities count as outside; "union" takes all labels, each from the teachers that
        know it.
    student (Sequence[str]): The labels of the student, where they are decided already.
    RETURNS (tuple[str, ...]): The labels, sorted as students sort theirs.
    """
    if student:
        if not set(student).intersection(*[set().union(*sets)]):
            raise CrossnerError(
                Errors.CN536.format(
                    labels=", ".join(student), known=", ".join(sorted(set().union(*sets)))
                )
            )
        return tuple(sorted(set(student)))
    everything = set().union(*sets)
    shared = everything.intersection(*sets)
    if how == "same" and shared != everything:
        differing = ", ".join(sorted(everything - shared))
        raise CrossnerError(Errors.CN503.format(differing=differing))
    chosen = everything if how == "union" else shared
    if not chosen:
        raise CrossnerError(
            Errors.CN510.format(sets="; ".join(", ".join(labels) for labels in sets))
        )
    return tuple(sorted(chosen))
