"""Average the weights of pipelines that have started from the same one.

Students that go on from one teacher with other seeds stay close enough together for their mean to
be as good as any of them, and mostly better; it reads text as fast as one. So does the mean of a
student and its teacher, which gives back what the student has forgotten.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from spacy.pipeline import TrainablePipe

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import atomic_folder, refuse_input
from spacy_crossner.pipeline.load import check_output, load_pipeline
from spacy_crossner.training.start_from import list_outputs, pair_weights


def average_pipelines(
    students: Sequence[Path], output: Path, teacher: Optional[Path] = None, share: float = 0.25
) -> None:
    """Average the weights of saved pipelines, and save the first of them with the mean.

    students (Sequence[Path]): The pipelines, at least one, with the same components and labels.
    output (Path): The folder to write to.
    teacher (Optional[Path]): The pipeline that they have started from, to average with their mean.
    share (float): How much its weights count, from 0 to 1.
    """
    check_output(output)
    refuse_input(output, [*students, *([teacher] if teacher is not None else [])])
    nlp = load_pipeline(students[0])
    others = [(path, 1.0 / count) for count, path in enumerate(students[1:], start=2)]
    if teacher is not None:
        others.append((teacher, share))
    for path, part in others:
        other = load_pipeline(path)
        for name, pipe in nlp.pipeline:
            theirs = other.get_pipe(name) if name in other.pipe_names else None
            pairs = pair_weights(pipe, theirs)
            # an encoder in ONNX Runtime has weights that are not seen here
            unseen = isinstance(pipe, TrainablePipe) and not any(pairs or ())
            if pairs is None or unseen or list_outputs(pipe) != list_outputs(theirs):
                raise CrossnerError(
                    Errors.CN126.format(pipeline=students[0], other=path, name=name)
                )
            for module, state in pairs.modules:
                _move(module.state_dict(), state, part)
            for node, key, weights in pairs.arrays:
                mine = node.get_param(key)
                node.set_param(key, mine + part * (weights - mine))
    with atomic_folder(output) as folder:
        nlp.to_disk(folder)


def _move(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor], share: float) -> None:
    """Move weights a share of the way to others; equal ones (frozen, integers) stay as they are."""
    for key, weights in state.items():
        towards = other[key].to(weights.dtype)
        if not torch.equal(weights, towards):
            weights.lerp_(towards, share)
