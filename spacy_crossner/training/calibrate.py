"""Fit a temperature, a threshold and a bias against O on labelled source text.

Transfer to other languages costs recall, so the threshold is the lowest and the bias the largest
whose F1 on the source is within one standard error of the best, and the threshold is at most 0.25.
Names inside names have a threshold of their own: the one with their best F1. How many more entities
a bias lets expect says if there is recall to win at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Optional, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import atomic_folder
from spacy_crossner.pipeline.gold import reference_mentions
from spacy_crossner.pipeline.load import check_output, load_pipeline
from spacy_crossner.pipeline.ner import CrossnerNER
from spacy_crossner.pipeline.predictions import Prediction
from spacy_crossner.report.evaluate import read_gold_docs
from spacy_crossner.report.score import (
    Key,
    expected_calibration_error,
    f1,
    find_inner,
    find_known,
    is_known,
    make_input,
    to_key,
)
from spacy_crossner.schemes.best_set import nested_set

# Candidates below this score are almost always wrong, and would dominate the fit.
LEAST_SCORE = 0.02
# At other temperatures they score less or more; what scores less than this counts as this much.
LEAST_AGAIN = 0.001
# Binary fractions survive JSON exactly: a saved pipeline scores as the one in memory does.
TEMPERATURES = numpy.round(numpy.geomspace(0.25, 8.0, 61) * 1024) / 1024
BATCH_SIZE = 64
# Below 0.1 an entity is nearly always wrong, but the source text has too few of those to show it.
THRESHOLDS = numpy.arange(2, 13) / 20
LEAST = float(THRESHOLDS[0])
# Above 0.25 a little more F1 on the source costs much recall in other languages.
MOST = 0.25
BIASES = numpy.arange(7) / 4
# The bias whose effect is measured.
USUAL_BIAS = 1.0
RESAMPLES = 1000
# Docs, and what the head said of them.
Batch = tuple[list[Doc], Any]


@dataclass
class Calibration:
    """What calibration did.

    temperature (float): What logits are divided by from now on.
    entities (int): Number of entities predicted on the calibration data.
    error_before, error_after (float): Expected calibration error of their scores.
    threshold (float): The component's threshold from now on.
    bias (float): What is taken off the logit of O from now on.
    nested_threshold (Optional[float]): Least score of a name inside or around an entity from now
        on; None if the calibration data has none, so that it stays.
    bias_gain (Optional[float]): By what share a bias of 1 raises the number of entities that the
        scores let expect; None if that was not measured.
    """

    temperature: float
    entities: int
    error_before: float
    error_after: float
    threshold: float
    bias: float = 0.0
    nested_threshold: Optional[float] = None
    bias_gain: Optional[float] = None


def calibrate(
    nlp: Language, docs: Iterable[Doc], *, fit_threshold: bool = False
) -> dict[str, Calibration]:
    """Fit the temperature of each NER component of this package, and store it there.

    nlp (Language): A trained pipeline.
    docs (Iterable[Doc]): Labelled text in the source language that was not trained on. Its raw text
        is tokenized again, like the text of a user.
    fit_threshold (bool): Also choose the threshold and, where the head knows O, its bias: see
        `choose_bias` and `choose_threshold`; and the threshold of names inside names.
    RETURNS (Dict[str, Calibration]): By component name.
    """
    examples = [make_input(nlp, doc) for doc in docs if len(doc)]
    components = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)}
    if not components:
        raise CrossnerError(Errors.CN601.format(pipeline=", ".join(nlp.pipe_names) or "empty"))
    keys = {pipe.spans_key for pipe in components.values()}
    if not any(reference_mentions(eg.reference, key) for eg in examples for key in keys):
        raise CrossnerError(Errors.CN602)
    return {
        name: _calibrate(nlp, pipe, examples, fit_threshold) for name, pipe in components.items()
    }


def calibrate_pipeline(
    model: Path, dev: Union[Path, Sequence[Path]], output: Path, *, fit_threshold: bool = False
) -> dict[str, Calibration]:
    """Calibrate a saved pipeline.

    model (Path): The pipeline.
    dev (Union[Path, Sequence[Path]]): `.spacy` files of labelled source text.
    output (Path): The folder to write to. May be the same as the pipeline's.
    fit_threshold (bool): Also choose the thresholds and the bias.
    RETURNS (Dict[str, Calibration]): By component name.
    """
    check_output(output)
    nlp = load_pipeline(model)
    files = [dev] if isinstance(dev, Path) else dev
    docs = chain.from_iterable(read_gold_docs(file) for file in files)
    results = calibrate(nlp, docs, fit_threshold=fit_threshold)
    with atomic_folder(output) as folder:
        nlp.to_disk(folder)
    return results


class _Truth:
    """The gold entities of a doc as characters, and where the annotation is missing."""

    def __init__(self, example: Example, spans_key: str):
        reference = example.reference
        self.keys = {to_key(m, reference) for m in reference_mentions(reference, spans_key)}
        self._known = find_known(reference, spans_key)

    def knows(self, key: Key) -> bool:
        """Check if the gold annotation covers an entity, so that it can be scored."""
        return is_known(key, self._known)


def _calibrate(
    nlp: Language, pipe: CrossnerNER, examples: list[Example], fit_threshold: bool
) -> Calibration:
    docs = (example.predicted.copy() for example in examples)
    batches = list(pipe.read(nlp, docs, batch_size=BATCH_SIZE))
    gold = [_Truth(example, pipe.spans_key) for example in examples]
    before = expected_calibration_error(*_outcomes(pipe, batches, gold))
    kept, pipe.cfg["bias"] = pipe.bias, 0.0
    candidates = [
        [key for key in found if g.knows(key)]
        for found, g in zip(_candidates(pipe, batches, 1.0, LEAST_SCORE), gold, strict=True)
    ]
    truth = numpy.array(
        [key in g.keys for keys, g in zip(candidates, gold, strict=True) for key in keys]
    )
    best = (numpy.inf, 1.0)
    for temperature in TEMPERATURES if len(truth) else ():
        found = _candidates(pipe, batches, temperature, LEAST_AGAIN)
        again = numpy.array(
            [
                f.get(key, LEAST_AGAIN)
                for keys, f in zip(candidates, found, strict=True)
                for key in keys
            ]
        )
        best = min(best, (negative_log_likelihood(again, truth), temperature))
    pipe.cfg["temperature"] = float(best[1])
    gain = None
    if fit_threshold:
        # pairs alone have no O: their threshold does it all
        outside = any(pipe.class_logits(scores) is not None for _, scores in batches)
        counts = _count_by_bias(pipe, batches, gold, BIASES if outside else BIASES[:1])
        kept = choose_bias(numpy.stack([table[:, 0] for table in counts.values()], axis=1))
        threshold = choose_threshold(counts[kept])
        _store(nlp, pipe, "threshold", threshold)
        gain = _measure_bias_gain(pipe, batches) if outside else None
    pipe.cfg["bias"] = kept
    nested = _fit_nested_threshold(pipe, batches, gold) if fit_threshold else None
    if nested is not None:
        _store(nlp, pipe, "nested_threshold", nested)
    scores, correct = _outcomes(pipe, batches, gold)
    after = expected_calibration_error(scores, correct)
    return Calibration(
        pipe.temperature, len(scores), before, after, pipe.threshold, pipe.bias, nested, gain
    )


def _store(nlp: Language, pipe: CrossnerNER, setting: str, value: float) -> None:
    # the config says what a pipeline's thresholds are, and is saved with it
    pipe.cfg[setting] = nlp.get_pipe_config(pipe.name)[setting] = value


def _measure_bias_gain(pipe: CrossnerNER, batches: list[Batch]) -> float:
    """Measure by what share a bias raises the number of entities that the classes let expect."""
    expected = []
    for bias in (0.0, USUAL_BIAS):
        pipe.cfg["bias"] = bias
        found = (
            pipe.read_classes(pipe.class_logits(scores), scores.glued) for _, scores in batches
        )
        expected.append(sum(float(classes[:, 1::2].sum()) for classes in found))
    return round(expected[1] / expected[0] - 1.0, 4)


def choose_bias(counts: numpy.ndarray, seed: int = 0) -> float:
    """Choose the largest bias against O that costs no source F1.

    In a language without labels, a head trained on another language predicts O too often, and
    finds parts of names. So of all biases whose F1 is behind the best by no more than the standard
    error of that difference, the largest is taken.

    counts (numpy.ndarray): (n_docs, n, 3): for each of the first n BIASES, entities that are right,
        found, and in the gold.
    seed (int): Decides what is resampled to find the standard errors.
    RETURNS (float): The bias.
    """
    scores = f1(counts.sum(axis=0))
    behind = scores.max() - scores
    draws = _draw(len(counts), seed)
    again = numpy.stack([f1(counts[draws, i].sum(axis=1)) for i in range(len(scores))], axis=1)
    errors = (again[:, [int(scores.argmax())]] - again).std(axis=0)
    return float(BIASES[numpy.flatnonzero(behind <= errors)[-1]])


def choose_threshold(counts: numpy.ndarray, seed: int = 0) -> float:
    """Choose the lowest threshold within one standard error of the best source F1, at most MOST.

    Scores are lower in languages without labels.

    counts (numpy.ndarray): (n_docs, len(THRESHOLDS), 3): for each threshold, entities that are
        right, found, and in the gold.
    seed (int): Decides what is resampled to find the standard error.
    RETURNS (float): The threshold.
    """
    scores = f1(counts.sum(axis=0))
    best = int(scores.argmax())
    error = f1(counts[_draw(len(counts), seed), best].sum(axis=1)).std()
    return min(float(THRESHOLDS[numpy.flatnonzero(scores >= scores[best] - error)[0]]), MOST)


def _draw(n_docs: int, seed: int) -> numpy.ndarray:
    """Draw the docs of each bootstrap resample, shape (RESAMPLES, n_docs)."""
    return numpy.random.default_rng(seed).integers(0, n_docs, (RESAMPLES, n_docs))


def _count_by_bias(
    pipe: CrossnerNER, batches: list[Batch], gold: list[_Truth], biases: numpy.ndarray
) -> dict[float, numpy.ndarray]:
    """Count right and predicted entities by bias and threshold, for `choose_threshold`."""
    counts = {}
    for bias in map(float, biases):
        pipe.cfg["bias"] = bias
        counts[bias] = _count_by_threshold(pipe, batches, gold)
    return counts


def _count_by_threshold(
    pipe: CrossnerNER, batches: list[Batch], gold: list[_Truth]
) -> numpy.ndarray:
    """Count right and predicted entities by threshold, for `choose_threshold`."""
    counts = numpy.zeros((len(gold), len(THRESHOLDS), 3), dtype="int64")
    counts[:, :, 2] = [[len(g.keys)] for g in gold]
    for row, (doc, found), g in zip(counts, _find(pipe, batches, LEAST), gold, strict=True):
        for column, threshold in zip(row, THRESHOLDS, strict=True):
            keys = {to_key(m, doc) for m in pipe.raise_threshold(found, threshold)}
            keys = {key for key in keys if g.knows(key)}
            column[:2] += [len(keys & g.keys), len(keys)]
    return counts


def _fit_nested_threshold(
    pipe: CrossnerNER, batches: list[Batch], gold: list[_Truth]
) -> Optional[float]:
    """Find the threshold with the best F1 of names inside names; None if none of them is found."""
    inner = [find_inner(g.keys) for g in gold]
    if not any(inner):
        return None
    counts = numpy.zeros((len(THRESHOLDS), 3), dtype="int64")
    for (doc, found), g, true in zip(
        _find(pipe, batches, pipe.threshold), gold, inner, strict=True
    ):
        for row, threshold in zip(counts, THRESHOLDS, strict=True):
            chosen = nested_set(found.entities, found.candidates, threshold)
            keys = find_inner({to_key(m, doc) for m in chosen})
            keys = {key for key in keys if g.knows(key)}
            row += [len(keys & true), len(keys), len(true)]
    if not counts[:, 0].any():
        return None
    return max(float(THRESHOLDS[int(f1(counts).argmax())]), pipe.threshold)


def _find(
    pipe: CrossnerNER, batches: list[Batch], threshold: float
) -> Iterator[tuple[Doc, Prediction]]:
    """Iterate over docs and their predictions with the current settings."""
    for docs, scores in batches:
        yield from zip(docs, pipe.find(docs, scores, threshold), strict=True)


def _find_entities(
    pipe: CrossnerNER, batches: list[Batch], threshold: float
) -> Iterator[dict[Key, float]]:
    """Yield the entities of each doc with their scores."""
    for doc, found in _find(pipe, batches, threshold):
        yield {to_key(m, doc): m.score for m in found.entities}


def _candidates(
    pipe: CrossnerNER, batches: list[Batch], temperature: float, least: float
) -> list[dict[Key, float]]:
    """Collect the candidates of each doc that score at least `least`."""
    kept = pipe.temperature
    pipe.cfg["temperature"] = float(temperature)
    try:
        return [
            {to_key(m, doc): m.score for m in found.candidates}
            for doc, found in _find(pipe, batches, least)
        ]
    finally:
        pipe.cfg["temperature"] = kept


def _outcomes(
    pipe: CrossnerNER, batches: list[Batch], gold: list[_Truth]
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Collect the score of each predicted entity and whether it is correct."""
    pairs = [
        (score, key in g.keys)
        for entities, g in zip(_find_entities(pipe, batches, pipe.threshold), gold, strict=True)
        for key, score in entities.items()
        if g.knows(key)
    ]
    table = numpy.array(pairs, dtype="float64").reshape(-1, 2)
    return table[:, 0], table[:, 1]


def negative_log_likelihood(scores: numpy.ndarray, correct: numpy.ndarray) -> float:
    """Compute the negative log-likelihood of the outcomes given the scores."""
    scores = numpy.clip(scores, 1e-4, 1.0 - 1e-4)
    return float(-numpy.where(correct, numpy.log(scores), numpy.log(1.0 - scores)).mean())
