"""Start a training from the weights of a trained pipeline."""

from collections.abc import Callable
from typing import Any, NamedTuple, Optional

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
        labels, others = list_outputs(mine), list_outputs(theirs)
        if labels != others:
            raise CrossnerError(
                Errors.CN121.format(
                    pipeline=pipeline,
                    name=name,
                    known=", ".join(others),
                    labels=", ".join(labels),
                )
            )
        pairs = pair_weights(mine, theirs)
        if pairs is None:
            raise CrossnerError(Errors.CN122.format(pipeline=pipeline, name=name))
        for module, state in pairs.modules:
            match_dtype(module, state)
            # copies into the parameters, whatever precision they are held in
            module.load_state_dict(state)
        for node, key, weights in pairs.arrays:
            node.set_param(key, weights.copy())


def list_outputs(pipe: Any) -> tuple[str, ...]:
    """List the labels or moves of a component's output columns."""
    # spaCy's ner and parser sort their labels, but not their moves
    return tuple(getattr(pipe, "move_names", None) or getattr(pipe, "labels", None) or ())


class Pairs(NamedTuple):
    """The weights of a component, beside those that another one has for them.

    modules (List[Tuple[nn.Module, Dict[str, Any]]]): Each torch module with the other's weights.
    arrays (List[Tuple[Model, str, Any]]): Of Thinc's own layers, as spaCy's components have them:
        each layer, the name of its weights, and the other's.
    """

    modules: list[tuple[nn.Module, dict[str, Any]]]
    arrays: list[tuple[Model, str, Any]]


def pair_weights(mine: Any, theirs: Any) -> Optional[Pairs]:
    """Put the weights of a component beside those of another.

    mine, theirs (Any): A component, and the one whose weights are looked at.
    RETURNS (Optional[Pairs]): Its weights with the other's; None if their shapes differ.
    """
    modules = find_modules(mine)
    states = [module.state_dict() for module in find_modules(theirs)]
    places, others = ([(n, k, n.get_param(k)) for n, k in _arrays(one)] for one in (mine, theirs))
    if [_shapes(module.state_dict()) for module in modules] != [_shapes(state) for state in states]:
        return None
    if [weights.shape for *_, weights in places] != [weights.shape for *_, weights in others]:
        return None
    arrays = [(node, key, other[2]) for (node, key, _), other in zip(places, others, strict=True)]
    return Pairs(list(zip(modules, states, strict=True)), arrays)


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
