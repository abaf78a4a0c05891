"""Average the weights of pipelines that have started from the same one.

Students that go on from one teacher with other seeds stay close enough together for their mean to
be as good as any of them, and mostly better; it reads text as fast as one. So does the mean of a
student and its teacher, which gives back what the student has forgotten.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from spacy.language import Language
from spacy.pipeline import TrainablePipe

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.training.start_from import list_outputs, pair_arrays, pair_modules


def average_pipelines(
    folders: Sequence[Path], teacher: Optional[Path] = None, share: float = 0.25
) -> Language:
    """Load pipelines, and average their weights.

    folders (Sequence[Path]): The pipelines, at least one. They have the same components and labels.
    teacher (Optional[Path]): The pipeline that they have started from, to average with their mean.
    share (float): How much its weights count, from 0 to 1.
    RETURNS (Language): The first of the pipelines, with the mean of all weights.
    """
    nlp = load_pipeline(folders[0])
    others = [(folder, 1.0 / count) for count, folder in enumerate(folders[1:], start=2)]
    if teacher is not None:
        others.append((teacher, share))
    for folder, part in others:
        other = load_pipeline(folder)
        for name, pipe in nlp.pipeline:
            theirs = other.get_pipe(name) if name in other.pipe_names else None
            modules, arrays = pair_modules(pipe, theirs), pair_arrays(pipe, theirs)
            alike = None not in (modules, arrays) and list_outputs(pipe) == list_outputs(theirs)
            # an encoder in ONNX Runtime has weights that are not seen here
            if not alike or (isinstance(pipe, TrainablePipe) and not (modules or arrays)):
                raise CrossnerError(
                    Errors.CN126.format(pipeline=folders[0], other=folder, name=name)
                )
            for module, state in modules or ():
                _move(module.state_dict(), state, part)
            for node, key, weights in arrays or ():
                mine = node.get_param(key)
                node.set_param(key, mine + part * (weights - mine))
    return nlp


def _move(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor], share: float) -> None:
    """Move weights a share of the way to others; equal ones (frozen, integers) stay as they are."""
    for key, weights in state.items():
        towards = other[key].to(weights.dtype)
        if not torch.equal(weights, towards):
            weights.lerp_(towards, share)
