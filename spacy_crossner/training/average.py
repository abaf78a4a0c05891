"""Average the weights of pipelines that have started from the same one.

Students that go on from one teacher with other seeds stay close enough together for their mean to
be as good as any of them, and mostly better; it reads text as fast as one.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from spacy.language import Language

from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.training.start_from import find_modules, match_states


def average_pipelines(folders: Sequence[Path]) -> Language:
    """Load pipelines, and average their weights.

    folders (Sequence[Path]): The pipelines, at least one. They have the same components and labels.
    RETURNS (Language): The first of them, with the mean of all weights.
    """
    nlp = load_pipeline(folders[0])
    mine = {name: find_modules(nlp.get_pipe(name)) for name in nlp.pipe_names}
    for count, folder in enumerate(folders[1:], start=2):
        other = load_pipeline(folder)
        for name, modules in mine.items():
            theirs = find_modules(other.get_pipe(name)) if name in other.pipe_names else []
            for module, state in match_states(modules, theirs, folder, name):
                _move(module.state_dict(), state, 1.0 / count)
    return nlp


def _move(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor], share: float) -> None:
    """Move weights a share of the way to others; equal ones (frozen, integers) stay as they are."""
    for key, weights in state.items():
        if not torch.equal(weights, other[key]):
            weights.lerp_(other[key], share)
