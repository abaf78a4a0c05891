"""Teachers: pipelines that predict probabilities for texts."""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_package_path, is_package, load_model_from_config
from torch import nn

from spacy_crossner.distil.pipelines import PipelineTeacher, Reading
from spacy_crossner.distil.probs import TeacherProbs
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.ner import CrossnerNER

# Key of a doc's user data: what each teacher that has read it predicts.
PREDICTED = "spacy_crossner.predicted"


Model = Union[str, Path, Language]


@dataclass
class Teacher:
    """A pipeline and its NER component.

    nlp (Language): The pipeline.
    name (str): The name of the component that teaches.
    ner (CrossnerNER): The component.
    drops (bool): Whether dropout is on, so that each reading of a text is different.
    weight (float): Its weight in the average of all teachers.
    """

    nlp: Language
    name: str
    ner: Any
    drops: bool = False
    weight: float = 1.0

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the teacher."""
        return self.ner.labels

    @property
    def threshold(self) -> float:
        """Threshold of entity scores."""
        return self.ner.threshold

    def read(
        self, docs: Iterable[Union[str, Doc]], *, batch_size: int, n_process: int = 1
    ) -> Iterator[tuple[Doc, Any]]:
        """Read texts with the pipeline.

        docs (Iterable[Union[str, Doc]]): Texts, or docs whose tokens are kept.
        batch_size (int): Texts per batch.
        n_process (int): Number of processes.
        YIELDS (tuple[Doc, list]): The docs without the encoder's output, and their tables of
            probabilities, the first token of each row, and the number of tokens.
        """
        if self.drops:
            n_process = 1  # forked processes would all draw the same
        read = self.ner.read(self.nlp, docs, batch_size=batch_size, n_process=n_process)
        for batch, scores in read:
            tables = [self.ner.probabilities(scores)]
            classes = getattr(scores, "classes", None)
            if classes is not None:
                tables.append(self.ner.read_classes(classes, scores.glued))
            bounds = numpy.cumsum(scores.lengths)[:-1]
            parts = zip(*(numpy.split(table, bounds) for table in tables), strict=True)
            for doc, found, starts in zip(batch, parts, scores.starts, strict=True):
                yield doc, [found, starts, len(doc)]

    def make_probs(self, found: Sequence[Any], scheme: str) -> TeacherProbs:
        """Join the probabilities of a batch.

        found (Sequence[Any]): What `read` gave with each doc.
        scheme (str): Not used: the probabilities are in the component's own scheme.
        RETURNS (TeacherProbs): The probabilities.
        """
        tables, starts, n_tokens = zip(*found, strict=True)
        probs, *classes = map(numpy.concatenate, zip(*tables, strict=True))
        return TeacherProbs(
            self.ner.scheme,
            self.labels,
            probs,
            list(starts),
            list(n_tokens),
            weight=self.weight,
            classes=classes[0] if classes else None,
            ents_from=getattr(self.ner, "ents_from", "classes"),
            touching_odds=self.ner.touching_odds,
        )


AnyTeacher = Union[Teacher, PipelineTeacher]


def find_folder(model: str) -> Path:
    """Find the folder of a pipeline or of an installed package."""
    return get_package_path(model) if is_package(model) else Path(model)


def identify_teacher(model: Model) -> str:
    """Compute a checksum of a pipeline, from its files or in memory."""
    if isinstance(model, Language):
        content = model.config.to_bytes() + model.to_bytes(exclude=["vocab"])
        return hashlib.blake2b(content, digest_size=16).hexdigest()
    return fingerprint(find_folder(str(model)))


def load_teacher(
    model: Model,
    *,
    dropout: bool = False,
    bias: Optional[float] = None,
    reading: Optional[Reading] = None,
) -> AnyTeacher:
    """Load a pipeline as a teacher.

    model (Model): A pipeline, its folder, or the name of an installed one.
    dropout (bool): Leave dropout on, so that each reading of a text is different.
    bias (Optional[float]): Its bias from now on; None leaves what calibration chose.
    reading (Optional[Reading]): How to read the entities of a pipeline without one of our
        components. None refuses such a pipeline.
    RETURNS (AnyTeacher): The teacher. Of a pipeline that was given, only `max_length` is changed.
    """
    nlp = _copy(model) if isinstance(model, Language) else load_pipeline(model)
    name = model.meta["name"] if isinstance(model, Language) else str(model)
    # texts of any length are read whole: the limit is there for spaCy's parser
    nlp.max_length = sys.maxsize
    found = [(name, pipe) for name, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)]
    if not found and reading is not None:
        return PipelineTeacher(nlp, name, reading)
    if not found:
        pipeline = ", ".join(nlp.pipe_names) or "nothing"
        raise CrossnerError(Errors.CN501.format(teacher=name, pipeline=pipeline))
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise CrossnerError(Errors.CN502.format(teacher=name, names=names))
    component, ner = found[0]
    if ner.cfg["nI"] is None:
        raise CrossnerError(Errors.CN115.format(name=component))
    if dropout and not keep_dropout(nlp):
        raise CrossnerError(Errors.CN511.format(teacher=name))
    if bias is not None:
        ner.cfg["bias"] = bias
    return Teacher(nlp, component, ner, drops=dropout)


def _copy(nlp: Language) -> Language:
    if any(isinstance(pipe, CrossnerNER) for _, pipe in nlp.pipeline):
        disabled = nlp.disabled
        copy = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
        copy.select_pipes(disable=disabled)
        return copy
    return nlp  # a plug-in may not keep everything in its bytes, and is only read


def keep_dropout(nlp: Language) -> int:
    """Let all dropout layers of a pipeline drop in prediction too.

    nlp (Language): The pipeline.
    RETURNS (int): The number of layers that drop anything.
    """

    def drop(layer: nn.Module, inputs: Any) -> None:
        layer.training = True

    count = 0
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            # a head gets its rate when it is called
            count += bool(node.attrs.get("dropout_rate"))
            for shim in node.shims:
                module: Any = getattr(shim, "_model", None)
                for layer in module.modules() if isinstance(module, nn.Module) else ():
                    if isinstance(layer, nn.Dropout):
                        layer.register_forward_pre_hook(drop)
                        count += layer.p > 0
    return count


def predict_probs(
    teacher: AnyTeacher, texts: Iterable[Any], *, batch_size: int, n_process: int = 1
) -> Iterator[Doc]:
    """Read texts with a teacher and attach what it predicts to the docs.

    teacher (AnyTeacher): The teacher.
    texts (Iterable[Any]): Texts, or docs whose tokens are kept; only docs for a `PipelineTeacher`.
    batch_size (int): Texts per batch.
    n_process (int): Number of processes.
    YIELDS (Doc): The docs.
    """
    for doc, predicted in teacher.read(texts, batch_size=batch_size, n_process=n_process):
        doc.user_data.setdefault(PREDICTED, []).append(predicted)
        yield doc


def collect(batch: list[Doc], teachers: Sequence[AnyTeacher], scheme: str) -> list[TeacherProbs]:
    """Detach the predictions of all teachers from docs.

    batch (list[Doc]): Docs that all teachers have read.
    teachers (Sequence[AnyTeacher]): The teachers, in the order in which they have read them.
    scheme (str): The scheme of the soft targets.
    RETURNS (list[TeacherProbs]): The probabilities of each teacher for the whole batch.
    """
    attached = [doc.user_data.pop(PREDICTED) for doc in batch]
    return [
        teacher.make_probs([predicted[number] for predicted in attached], scheme)
        for number, teacher in enumerate(teachers)
    ]
