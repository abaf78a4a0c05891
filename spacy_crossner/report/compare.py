"""Compare gold and predicted entities and classify the errors."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_crossner.data.groups import SCORES
from spacy_crossner.data.languages import get_tokenizer
from spacy_crossner.report.score import BINS, expected_calibration_error, find_known

NOTHING = "nothing"
RIGHT = "right"
# Kinds of error and their plain names.
KINDS = {
    "missed": "Missed",
    "invented": "Invented",
    "type": "Wrong type",
    "boundary": "Wrong boundaries",
    "both": "Wrong type and boundaries",
}


class Entity(NamedTuple):
    """An entity as characters of its text.

    start (int): First character.
    end (int): One past the last character.
    label (str): The entity type.
    score (Optional[float]): The pipeline's score, where it gives one.
    """

    start: int
    end: int
    label: str
    score: Optional[float] = None


class Pair(NamedTuple):
    """A gold and a predicted entity that mean the same place. One of them may be missing."""

    gold: Optional[Entity]
    found: Optional[Entity]

    @property
    def kind(self) -> str:
        """ "right", or one of `KINDS`."""
        if self.gold is None:
            return "invented"
        if self.found is None:
            return "missed"
        same_place = self.gold[:2] == self.found[:2]
        if self.gold.label == self.found.label:
            return RIGHT if same_place else "boundary"
        return "type" if same_place else "both"


@dataclass
class Compared:
    """One sentence with its gold and predicted entities.

    lang (str): Language code.
    direction (str): "ltr" or "rtl".
    text (str): The text.
    pairs (List[Pair]): The entities, matched.
    """

    lang: str
    direction: str
    text: str
    pairs: list[Pair]

    @property
    def gold(self) -> list[Entity]:
        """Gold entities in text order."""
        return sorted(pair.gold for pair in self.pairs if pair.gold is not None)

    @property
    def found(self) -> list[Entity]:
        """Predicted entities in text order."""
        return sorted(pair.found for pair in self.pairs if pair.found is not None)

    @property
    def kinds(self) -> set[str]:
        """Kinds of error in the sentence."""
        return {pair.kind for pair in self.pairs} - {RIGHT}


def compare(example: Example, lang: str) -> Compared:
    """Match the predicted entities of a doc with the gold ones.

    example (Example): Prediction and gold on the same text.
    lang (str): Language code of the text.
    RETURNS (Compared): What was found. Predictions on tokens without gold annotation are left out.
    """
    gold, found = example.reference, example.predicted
    scores, known = read_scores(found), find_known(gold)
    entities = [
        _make_entity(ent, scores.get((ent.start, ent.end, ent.label_)))
        for ent in found.ents
        if known[ent.start_char : ent.end_char].all()
    ]
    # the pipeline's vocab serves all languages, and knows the direction of none
    direction = get_tokenizer(lang).vocab.writing_system["direction"]
    pairs = match([_make_entity(ent) for ent in gold.ents], entities)
    return Compared(lang, direction, gold.text, pairs)


def _make_entity(ent: Span, score: Optional[float] = None) -> Entity:
    return Entity(ent.start_char, ent.end_char, ent.label_, score)


def read_scores(doc: Doc) -> dict[tuple[int, int, str], float]:
    """Get entity scores by first token, end and label."""
    return {
        (span.start, span.end, span.label_): float(score)
        for group in doc.spans.values()
        for span, score in zip(group, group.attrs.get(SCORES, ()), strict=False)
    }


def match(gold: Sequence[Entity], found: Sequence[Entity]) -> list[Pair]:
    """Pair entities: first those with the same place, then those that overlap most.

    gold (Sequence[Entity]): Entities without overlap among each other.
    found (Sequence[Entity]): Likewise.
    RETURNS (List[Pair]): Each entity once.
    """
    overlaps = sorted(
        (
            (a[:2] != b[:2], -shared, i, j)
            for i, a in enumerate(gold)
            for j, b in enumerate(found)
            if (shared := min(a.end, b.end) - max(a.start, b.start)) > 0
        ),
    )
    of_gold: dict[int, int] = {}
    of_found: dict[int, int] = {}
    for _, _, i, j in overlaps:
        if i not in of_gold and j not in of_found:
            of_gold[i], of_found[j] = j, i
    pairs = [Pair(a, found[of_gold[i]] if i in of_gold else None) for i, a in enumerate(gold)]
    return pairs + [Pair(None, b) for j, b in enumerate(found) if j not in of_found]


def count_types(compared: Iterable[Compared]) -> Counter[tuple[str, str]]:
    """Count pairs of gold and predicted types, with "nothing" for a missing counterpart."""
    return Counter(
        (
            NOTHING if pair.gold is None else pair.gold.label,
            NOTHING if pair.found is None else pair.found.label,
        )
        for sentence in compared
        for pair in sentence.pairs
    )


@dataclass
class Reliability:
    """How far scores can be believed.

    entities (int): Predicted entities with a score.
    error (float): Expected calibration error.
    bins (List[Tuple[float, float, int]]): Mean score, share of right ones, and number of entities
        in each interval of scores that has any.
    """

    entities: int
    error: float
    bins: list[tuple[float, float, int]]


def measure_reliability(compared: Iterable[Compared]) -> Optional[Reliability]:
    """Compare the scores of entities with the share of them that is right.

    compared (Iterable[Compared]): The sentences.
    RETURNS (Optional[Reliability]): The comparison, or None if no entity has a score.
    """
    rows = [
        (pair.found.score, pair.kind == RIGHT)
        for sentence in compared
        for pair in sentence.pairs
        if pair.found is not None and pair.found.score is not None
    ]
    if not rows:
        return None
    scores = numpy.array([score for score, _ in rows])
    correct = numpy.array([right for _, right in rows])
    places = numpy.minimum((scores * BINS).astype(int), BINS - 1)
    bins = [
        (
            float(scores[places == place].mean()),
            float(correct[places == place].mean()),
            int((places == place).sum()),
        )
        for place in numpy.unique(places)
    ]
    return Reliability(len(rows), expected_calibration_error(scores, correct), bins)
