"""Leaving out of a saved pipeline what only training needs."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from spacy import registry
from spacy.language import Language

from spacy_crossner.files import atomic_folder
from spacy_crossner.pipeline.contrast import TRAINING_ONLY
from spacy_crossner.pipeline.load import check_output


@registry.callbacks("spacy-crossner.strip_training_components.v1")
def create_strip_callback(unstripped: Optional[Path] = None) -> Callable[[Language], Language]:
    """Create a callback for `[training.before_to_disk]` that strips what is saved.

    unstripped (Optional[Path]): Folder for the whole pipeline, the training components included:
        what to load or to source from to train on later. It is replaced at each checkpoint. None
        saves only what ships.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    if unstripped is not None:
        check_output(Path(unstripped))

    def before_to_disk(nlp: Language) -> Language:
        if unstripped is not None:
            with atomic_folder(Path(unstripped)) as folder:
                nlp.to_disk(folder)
        return strip_training_components(nlp)

    return before_to_disk


def strip_training_components(nlp: Language) -> Language:
    """Take the training-only components out of a pipeline, without touching the pipeline itself.

    nlp (Language): The pipeline.
    RETURNS (Language): A pipeline that shares all other components, with their weights, and whose
        config and meta no longer mention the stripped ones.
    """
    names = {name for name in nlp.component_names if is_training_only(nlp, name)}
    stripped = copy.copy(nlp)
    # not by remove_pipe: it links components anew, and the shared encoder would forget listeners
    stripped._components = [(name, pipe) for name, pipe in nlp._components if name not in names]
    stripped._pipe_meta = _without(nlp._pipe_meta, names)
    stripped._pipe_configs = _without(nlp._pipe_configs, names)
    stripped._disabled = nlp._disabled - names
    stripped._meta = copy.deepcopy(nlp._meta)
    performance = stripped._meta.get("performance", {})
    for name in names:
        performance.pop(f"{name}_loss", None)
    stripped._config = nlp._config.copy()
    initialize, training = stripped._config["initialize"], stripped._config["training"]
    initialize["components"] = _without(initialize["components"], names)
    for key in ("frozen_components", "annotating_components"):
        if isinstance(training.get(key), list):
            training[key] = [name for name in training[key] if name not in names]
    return stripped


def is_training_only(nlp: Language, name: str) -> bool:
    """Check whether a component is only needed in training."""
    return nlp.get_pipe_meta(name).factory in TRAINING_ONLY


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}
