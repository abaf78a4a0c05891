"""Start a training from the weights of a trained pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Union

from spacy import registry
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from thinc.api import Model, PyTorchShim
from torch import nn

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.half import match_dtype
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.strip import is_training_only


@registry.callbacks("spacy-crossner.start_from.v1")
def create_start_from_callback(pipeline: Optional[str] = None) -> Callable[[Language], Language]:
    """Create a callback for `[initialize.after_init]` that takes over trained weights.

    It is for a student that goes on from its teacher: encoder and head start from what they have
    learned, and all settings are the student's own. What the trained pipeline does not have, such
    as components that only training needs, starts anew.

    pipeline (Optional[str]): A pipeline folder, or the name of an installed pipeline. None starts
        from the bare encoder.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def after_init(nlp: Language) -> Language:
        if pipeline is not None:
            start_from(nlp, pipeline)
        return nlp

    return after_init


def start_from(nlp: Language, pipeline: str) -> None:
    """Give the components of a pipeline the weights that those of the same name have in another.

    nlp (Language): The pipeline, initialized.
    pipeline (str): The trained pipeline.
    """
    trained = load_pipeline(pipeline)
    shared = [name for name in nlp.pipe_names if name in trained.pipe_names]
    if not any(find_modules(nlp.get_pipe(name)) for name in shared):
        known = ", ".join(trained.pipe_names) or "nothing"
        raise CrossnerError(Errors.CN120.format(pipeline=pipeline, known=known))
    for name in shared:
        mine, theirs = nlp.get_pipe(name), trained.get_pipe(name)
        if is_training_only(nlp, name) and not (find_modules(mine) and find_modules(theirs)):
            continue  # it has weight 0 in one of them, and so no weights
        labels, others = _outputs(mine), _outputs(theirs)
        if labels != others:
            raise CrossnerError(
                Errors.CN121.format(
                    pipeline=pipeline,
                    name=name,
                    known=", ".join(others),
                    labels=", ".join(labels),
                )
            )
        _take(find_modules(mine), find_modules(theirs), pipeline, name)
        _take_arrays(mine, theirs, pipeline, name)


def _outputs(pipe: Any) -> tuple[str, ...]:
    """List the labels or moves of a component's output columns."""
    # spaCy's ner and parser sort their labels, but not their moves
    return tuple(getattr(pipe, "move_names", None) or getattr(pipe, "labels", None) or ())


def _take_arrays(mine: Any, theirs: Any, pipeline: str, name: str) -> None:
    """Take over the weights of Thinc's own layers, as those of spaCy's components are."""
    places, others = _arrays(mine), _arrays(theirs)
    shapes, known = ([n.get_param(key).shape for n, key in found] for found in (places, others))
    if shapes != known:
        raise CrossnerError(Errors.CN122.format(pipeline=pipeline, name=name))
    for (node, key), (other, other_key) in zip(places, others, strict=True):
        node.set_param(key, other.get_param(other_key).copy())


def _take(mine: list[nn.Module], theirs: list[nn.Module], pipeline: str, name: str) -> None:
    for module, state in match_states(mine, theirs, pipeline, name):
        match_dtype(module, state)
        # copies into the parameters, whatever precision they are held in
        module.load_state_dict(state)


def match_states(
    mine: list[nn.Module], theirs: list[nn.Module], pipeline: Union[str, Path], name: str
) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Put modules beside the weights that a trained pipeline has for them.

    mine, theirs (List[nn.Module]): The modules of a component, and those of the trained one.
    pipeline (Union[str, Path]): The trained pipeline, for messages.
    name (str): The component, for messages.
    RETURNS (List[Tuple[nn.Module, Dict[str, Any]]]): Each module with weights of the same shapes.
    """
    states = [module.state_dict() for module in theirs]
    if [_shapes(module.state_dict()) for module in mine] != [_shapes(state) for state in states]:
        raise CrossnerError(Errors.CN122.format(pipeline=pipeline, name=name))
    return list(zip(mine, states, strict=True))


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def find_modules(pipe: Any) -> list[nn.Module]:
    """List the torch modules of a component in the order of its model."""
    return [
        shim._model for node in _nodes(pipe) for shim in node.shims if isinstance(shim, PyTorchShim)
    ]


def _arrays(pipe: Any) -> list[tuple[Model, str]]:
    return [(n, key) for n in _nodes(pipe) for key in n.param_names if n.has_param(key)]


def _nodes(pipe: Any) -> list[Model]:
    return list(pipe.model.walk()) if isinstance(pipe, TrainablePipe) else []
