"""Teachers: pipelines with one of our NER components, which predict probabilities for texts."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_package_path, is_package, minibatch
from torch import nn

from spacy_crossner.distil.probs import TeacherProbs
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.ner import CrossnerNER

# Key of a doc's user data: the probabilities of the teachers that have read it.
PROBS = "spacy_crossner.probs"
ENCODER_OUTPUT = ("._.", "trf_data", None, None)


@dataclass
class Teacher:
    """A pipeline and its NER component.

    nlp (Language): The pipeline.
    name (str): The name of the component that teaches.
    ner (CrossnerNER): The component.
    drops (bool): Whether dropout is on, so that each reading of a text is another one.
    """

    nlp: Language
    name: str
    ner: Any
    drops: bool = False


def find_folder(model: str) -> Path:
    """RETURNS (Path): The folder of a pipeline, or of an installed one's package."""
    return get_package_path(model) if is_package(model) else Path(model)


def load_teacher(model: str, *, dropout: bool = False, bias: Optional[float] = None) -> Teacher:
    """Load a pipeline that can teach.

    model (str): A pipeline folder, or the name of an installed pipeline.
    dropout (bool): Leave dropout on, so that each reading of a text is another one.
    bias (Optional[float]): Its bias from now on; None leaves what calibration chose.
    RETURNS (Teacher): The pipeline and its component.
    """
    nlp = load_pipeline(model)
    found = [(name, pipe) for name, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)]
    if not found:
        pipeline = ", ".join(nlp.pipe_names) or "nothing"
        raise CrossnerError(Errors.CN501.format(teacher=model, pipeline=pipeline))
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise CrossnerError(Errors.CN502.format(teacher=model, names=names))
    name, ner = found[0]
    if ner.cfg["nI"] is None:
        raise CrossnerError(Errors.CN115.format(name=name))
    if dropout and not keep_dropout(nlp):
        raise CrossnerError(Errors.CN511.format(teacher=model))
    if bias is not None:
        ner.cfg["bias"] = bias
    # texts of any length are read whole: the limit is there for spaCy's parser
    nlp.max_length = sys.maxsize
    return Teacher(nlp, name, ner, drops=dropout)


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
    teacher: Teacher, texts: Iterable[Union[str, Doc]], *, batch_size: int, n_process: int = 1
) -> Iterator[Doc]:
    """Read texts with a teacher and attach its probabilities to the docs.

    All components before the teacher's own run as in `nlp.pipe`; its own runs once on their output.

    teacher (Teacher): The teacher.
    texts (Iterable[Union[str, Doc]]): Texts, or docs whose tokens are kept.
    batch_size (int): Texts per batch.
    n_process (int): Number of processes.
    YIELDS (Doc): The docs, without the encoder's output.
    """
    nlp, ner = teacher.nlp, teacher.ner
    if teacher.drops:
        n_process = 1  # forked processes would all draw the same
    unused = nlp.pipe_names[nlp.pipe_names.index(teacher.name) :]
    docs = nlp.pipe(texts, batch_size=batch_size, n_process=n_process, disable=unused)
    for batch in minibatch(docs, batch_size):
        scores = ner.model.predict(batch)
        bounds = numpy.cumsum(scores.lengths)[:-1]
        tables = numpy.split(ner.probabilities(scores), bounds)
        for doc, table, starts in zip(batch, tables, scores.starts, strict=True):
            doc.user_data.setdefault(PROBS, []).append([table, starts])
            doc.user_data.pop(ENCODER_OUTPUT, None)
            yield doc


def collect(batch: list[Doc], teachers: list[Teacher]) -> list[TeacherProbs]:
    """Detach the probabilities of all teachers from docs.

    batch (list[Doc]): Docs that all teachers have read.
    teachers (list[Teacher]): The teachers, in the order in which they have read them.
    RETURNS (list[TeacherProbs]): The probabilities of each teacher for the whole batch.
    """
    attached = [doc.user_data.pop(PROBS) for doc in batch]
    n_tokens = [len(doc) for doc in batch]
    found = []
    for number, teacher in enumerate(teachers):
        probs = numpy.concatenate([tables[number][0] for tables in attached])
        starts = [tables[number][1] for tables in attached]
        ner = teacher.ner
        found.append(TeacherProbs(ner.scheme, ner.labels, probs, starts, n_tokens))
    return found
