"""Cosine similarity between the gradients of contrasts and of the label loss, per layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy
import torch
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import create_train_batches
from spacy.util import load_config, registry, resolve_dot_names

from spacy_crossner.ml.freeze import find_layers
from spacy_crossner.pipeline.contrast import Contrast
from spacy_crossner.pipeline.token_pair_ner import TokenPairNER
from spacy_crossner.ship.trim import find_encoders

# Weight of a contrast that counts for nothing, but keeps its place among the encoder's listeners.
OFF = 1e-9
PRECISION = "components.transformer.model.precision"


@dataclass(frozen=True)
class GradientCosine:
    """The gradient of a contrast at an encoder layer, compared with that of the label loss.

    step (int): Steps of training before.
    contrast (str): The contrast.
    layer (int): The layer, from 0.
    cosine (float): Of both gradients, mean over batches; 1 is the same direction.
    ratio (float): Length of the contrast's gradient over that of the label loss's gradient.
    """

    step: int
    contrast: str
    layer: int
    cosine: float
    ratio: float


def measure_cosines(path: Path, at: Sequence[int], batches: int = 8) -> list[GradientCosine]:
    """Train with a config, and compare the gradients of contrasts and labels at some steps.

    path (Path): The config of a training with contrasts, such as a benchmark writes for each.
    at (Sequence[int]): Numbers of steps to look after.
    batches (int): Batches to look at each time; they are trained on, too.
    RETURNS (List[GradientCosine]): One per step, contrast and layer whose weights are trained.
    """
    # differences of gradients would drown in the rounding of bfloat16
    config = load_config(path, overrides={PRECISION: "float32"}, interpolate=True)
    nlp = init_nlp(config)
    training = registry.resolve(nlp.config["training"], schema=ConfigSchemaTraining)
    (corpus,) = resolve_dot_names(nlp.config, [training["train_corpus"]])
    optimizer = training["optimizer"]
    switches = find_contrasts(nlp)
    seen: dict[tuple[int, str, int], list[tuple[float, float]]] = {}
    stream = create_train_batches(nlp, corpus, training["batcher"], -1)
    for step, (_, batch) in zip(range(max(at) + batches), stream, strict=False):
        begin = max((one for one in at if one <= step), default=step + 1)
        if begin <= step < begin + batches:
            for name, layer, figures in _compare(nlp, batch, switches):
                seen.setdefault((begin, name, layer), []).append(figures)
        # as spaCy's loop does it: an optimizer given here would miss the gradients of listeners
        nlp.update(batch, drop=training["dropout"], sgd=cast(Any, False))
        for pipe in list_pipes(nlp):
            pipe.finish_update(optimizer)
        optimizer.step_schedules()
    return [
        GradientCosine(*key, *numpy.mean(found, axis=0).tolist()) for key, found in seen.items()
    ]


def find_contrasts(nlp: Language) -> dict[str, Callable[[bool], None]]:
    """Find the contrasts of a pipeline.

    nlp (Language): The pipeline.
    RETURNS (Dict[str, Callable]): By name, what turns each on and off.
    """
    found: dict[str, Callable[[bool], None]] = {}
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, Contrast) and pipe.weight:
            found[name] = _make_switch(pipe, "_weight")
        elif isinstance(pipe, TokenPairNER) and pipe.contrast.weight:
            found["relation_contrast"] = _make_switch(pipe.contrast, "weight")
    return found


def _make_switch(holder: Any, attribute: str) -> Callable[[bool], None]:
    weight = getattr(holder, attribute)
    return lambda on: setattr(holder, attribute, weight if on else OFF * weight)


def _compare(
    nlp: Language, batch: list[Example], switches: dict[str, Callable[[bool], None]]
) -> Iterator[tuple[str, int, tuple[float, float]]]:
    for switch in switches.values():
        switch(False)
    labels = read_gradients(nlp, batch)
    for name, switch in switches.items():
        switch(True)
        both = read_gradients(nlp, batch)
        switch(False)
        for layer, label in labels.items():
            # gradients add up, so the difference is the contrast's
            contrast = both[layer] - label
            lengths = numpy.linalg.norm(contrast), numpy.linalg.norm(label)
            if all(lengths):
                yield name, layer, (contrast @ label / numpy.prod(lengths), lengths[0] / lengths[1])
    for switch in switches.values():
        switch(True)


def read_gradients(nlp: Language, batch: list[Example]) -> dict[int, numpy.ndarray]:
    """Compute the gradients that a batch gives the encoder's layers. No weight changes.

    nlp (Language): The pipeline.
    batch (List[Example]): The batch.
    RETURNS (Dict[int, numpy.ndarray]): By trained layer, all its gradients in a row.
    """
    # the same dropout each time, or differences would be those of chance
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp.update(batch, drop=0.0, sgd=cast(Any, False))
    pipes = list_pipes(nlp)
    encoder: Any = find_encoders(nlp)[0]._model
    found = {}
    for number, layer in enumerate(find_layers(encoder)):
        gradients = [p.grad.flatten() for p in layer.parameters() if p.grad is not None]
        if gradients:
            found[number] = numpy.concatenate([g.cpu().numpy() for g in gradients])
    for pipe in pipes:
        for node in pipe.model.walk():
            for shim in node.shims:
                shim._model.zero_grad()
            for name in node.grad_names:
                node.set_grad(name, node.ops.xp.zeros_like(node.get_grad(name)))
    return found


def list_pipes(nlp: Language) -> list[Any]:
    """List the components of a pipeline."""
    return [pipe for _, pipe in nlp.pipeline]
