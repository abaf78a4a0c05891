"""What a student is told of a text: soft targets, the entities the teacher is sure of, the rest."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy

from spacy_crossner.data.view import SoftTargets
from spacy_crossner.distil.probs import TeacherProbs, find_candidates, refine, to_bio
from spacy_crossner.pipeline.units import to_tokens
from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.best_set import best_set
from spacy_crossner.types import Mention

# Below this probability of anything but "nothing", a token or pair is not listed.
SOFT_FLOOR = 0.01
# Pairs to list for each token of a text, so that an unsure teacher does not fill the disk.
PAIRS_PER_TOKEN = 4


@dataclass
class TeacherOutput:
    """The teachers' predictions for one text, in tokens.

    entities (list): The entities that score at least the threshold, without overlap.
    sure (list): Those of them that the teachers are sure of.
    unsure (numpy.ndarray): (n_tokens,) bool, tokens that may or may not belong to an entity.
    soft (SoftTargets): The probabilities.
    expected (float): The number of entities that the probabilities let expect.
    misaligned (int): Entities that were masked since they cut a token.
    untaught (Counter): Entities that were masked since no student learns their label, by label.
    """

    entities: list[Mention]
    sure: list[Mention]
    unsure: numpy.ndarray
    soft: SoftTargets
    expected: float
    misaligned: int = 0
    untaught: Counter[str] = field(default_factory=Counter)

    @property
    def certainty(self) -> float:
        """Expected F1 of the entities, if the probabilities are calibrated."""
        return expected_f(
            sum(mention.score for mention in self.entities), len(self.entities), self.expected
        )


def expected_f(correct: float, found: float, expected: float) -> float:
    """Estimate F1 without a single label.

    correct (float): Sum of the scores of the entities found.
    found (float): Their number.
    expected (float): The number of entities that there are, summed up from the probabilities.
    RETURNS (float): The estimate, between 0 and 1. It is 1 where nothing is found or expected.
    """
    total = found + expected
    if total < SOFT_FLOOR:
        return 1.0
    return min(2.0 * correct / total, 1.0)


def make_outputs(
    teacher: TeacherProbs, *, confidence: float, threshold: float, sharpen: float = 1.0
) -> list[TeacherOutput]:
    """Turn probabilities into what a student learns from.

    teacher (TeacherProbs): Probabilities of the teachers for a batch.
    confidence (float): Least probability of what they are sure of: of an entity's score, and of a
        token to lie outside of all entities.
    threshold (float): Least score of an entity.
    sharpen (float): The power that the soft targets are raised to.
    RETURNS (list[TeacherOutput]): One per text.
    """
    classes = to_bio(teacher).probs
    outside = classes[:, 0] >= confidence
    begins = classes[:, 1::2].sum(axis=1)
    outputs = []
    begin = 0
    for entities, soft, starts, n in zip(
        _find_entities(teacher, threshold),
        make_soft_targets(teacher, classes[:, 0], sharpen),
        teacher.starts,
        teacher.n_tokens,
        strict=True,
    ):
        rows = slice(begin, begin + len(starts))
        begin = rows.stop
        found = to_tokens(entities, starts, n)
        sure = [mention for mention in found if mention.score >= confidence]
        sizes = numpy.diff(starts, append=n)
        unsure = numpy.repeat(~outside[rows], sizes)
        if teacher.known is not None:
            unknown = ~numpy.repeat(teacher.known[rows], sizes)
            unsure |= unknown
            for part in soft.parts if unknown.any() else ():
                part.masked = numpy.flatnonzero(unknown).astype("int32")
        for mention in sure:
            unsure[mention.start : mention.end] = False
        outputs.append(TeacherOutput(found, sure, unsure, soft, float(begins[rows].sum())))
    return outputs


def _find_entities(teacher: TeacherProbs, threshold: float) -> list[list[Mention]]:
    if teacher.by_class:
        classes = to_bio(teacher).probs
        classes = bio.favour_whole(classes, teacher.lengths, teacher.touching_odds)
        found = bio.decode(classes, teacher.lengths, teacher.labels)
        return [[m for m in mentions if m.score >= threshold] for mentions in found]
    return [best_set(mentions, threshold) for mentions in find_candidates(teacher, threshold)]


def make_soft_targets(
    teacher: TeacherProbs, outside: numpy.ndarray, sharpen: float = 1.0
) -> list[SoftTargets]:
    """Keep the probabilities of what may be something.

    They are told in tokens, since a student's units may be others.

    teacher (TeacherProbs): Probabilities of the teachers for a batch.
    outside (numpy.ndarray): (n_units,) the probability of each to lie outside of all entities.
    sharpen (float): The power that the probabilities are raised to.
    RETURNS (list[SoftTargets]): One per text.
    """
    if teacher.classes is not None:
        found = make_soft_targets(replace(teacher, classes=None), outside, sharpen)
        beside = make_soft_targets(to_bio(teacher), outside, sharpen)
        return [replace(soft, bio=part) for soft, part in zip(found, beside, strict=True)]
    teacher = refine(teacher, [numpy.arange(n) for n in teacher.n_tokens], outside)
    if sharpen != 1.0:
        probs = sharpen_probs(teacher.probs, teacher.scheme, sharpen)
        teacher = replace(teacher, probs=probs)
    ends = numpy.cumsum(teacher.lengths)
    firsts = numpy.repeat(ends - teacher.lengths, teacher.lengths)
    if teacher.scheme == "bio":
        names = bio.class_names(teacher.labels)
        rows = numpy.flatnonzero(teacher.probs[:, 0] < 1.0 - SOFT_FLOOR)
        index = rows - firsts[rows]
        probs = teacher.probs[rows]
    else:
        names = relations.class_names(teacher.labels)
        strengths = teacher.probs.max(axis=2)
        strengths *= relations.band_mask(teacher.lengths, teacher.probs.shape[1])
        _limit_pairs(strengths, teacher.lengths)
        rows, gaps = numpy.nonzero(strengths >= SOFT_FLOOR)
        index = (rows - firsts[rows])[:, None] + numpy.stack([numpy.zeros_like(gaps), gaps], axis=1)
        probs = teacher.probs[rows, gaps]
    bounds = numpy.searchsorted(rows, ends)[:-1]
    return [
        SoftTargets(teacher.scheme, names, part.astype("int32"), table.astype("float16"))  # type: ignore[arg-type]
        for part, table in zip(numpy.split(index, bounds), numpy.split(probs, bounds), strict=True)
    ]


def sharpen_probs(probs: numpy.ndarray, scheme: str, power: float) -> numpy.ndarray:
    """Raise probabilities to a power: what is likely becomes likelier.

    probs (numpy.ndarray): Of BIO classes, which exclude each other (n_units, n_classes), or of
        relations, of which each holds or not (any shape).
    scheme (str): "bio" or "relations".
    power (float): The power; 1 changes nothing, infinity would leave the most probable one.
    RETURNS (numpy.ndarray): The new probabilities.
    """
    raised = probs**power
    if scheme == "bio":
        return raised / raised.sum(axis=-1, keepdims=True)
    # an average may lie above 1 by a rounding error, and has no power then
    return raised / (raised + numpy.maximum(1.0 - probs, 0.0) ** power)


def _limit_pairs(strengths: numpy.ndarray, lengths: list[int]) -> None:
    """Set all but the strongest pairs of each text to zero, in place."""
    begin = 0
    for length in lengths:
        table = strengths[begin : begin + length]
        begin += length
        most = PAIRS_PER_TOKEN * length
        if numpy.count_nonzero(table >= SOFT_FLOOR) > most:
            flat = numpy.sort(table, axis=None)
            # of equal pairs, none is kept rather than too many
            table[table <= flat[-most - 1]] = 0.0
