"""How often a pipeline cuts names of several words, with the decoding of today and with others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.data.markup import read_marked
from spacy_crossner.data.sample import make_doc
from spacy_crossner.distil.teachers import load_teacher
from spacy_crossner.pipeline.predictions import Prediction
from spacy_crossner.pipeline.units import to_tokens
from spacy_crossner.schemes import bio
from spacy_crossner.types import Mention

NAMES = Path(__file__).with_name("names.txt")
Decoding = Callable[[Any, Any, float], list[list[Mention]]]


@dataclass
class Cuts:
    """What became of the names of several words.

    names (int): Their number.
    found (int): Names with at least one predicted word.
    whole (int): Names with all words in one entity.
    exact (int): Entities that equal a gold entity, of any length.
    predicted (int): Entities found.
    gold (int): Gold entities.
    """

    names: int = 0
    found: int = 0
    whole: int = 0
    exact: int = 0
    predicted: int = 0
    gold: int = 0

    @property
    def cut(self) -> float:
        """Share of the found names that are cut."""
        return 1.0 - self.whole / max(self.found, 1)

    @property
    def f_score(self) -> float:
        """F1 of exact entities."""
        return 2.0 * self.exact / max(self.predicted + self.gold, 1)

    def add(self, doc: Doc, entities: Iterable[Mention]) -> None:
        """Count the names of one doc.

        doc (Doc): Has the gold entities.
        entities (Iterable[Mention]): The predicted ones.
        """
        predicted = list(entities)
        spans = {(m.start, m.end, m.label) for m in predicted}
        self.predicted += len(predicted)
        for ent in doc.ents:
            self.gold += 1
            self.exact += (ent.start, ent.end, ent.label_) in spans
            if len(ent) > 1:
                self.names += 1
                self.found += any(m.start < ent.end and m.end > ent.start for m in predicted)
                self.whole += any(m.start <= ent.start and m.end >= ent.end for m in predicted)


def read_names(path: Path = NAMES) -> list[Doc]:
    """Read sentences with names of several words."""
    return [make_doc(marked, "source", marked.id.split("-")[0]) for marked in read_marked(path)]


def decode_best_piece(ner: Any, scores: Any, threshold: float) -> list[list[Mention]]:
    """Decode as version 0.1 did: the most probable BIO sequence, or the best span first."""
    if ner.scheme != "bio":
        return [_take_best_first(p.candidates) for p in _decode(ner, scores, threshold, 1.0)]
    found = bio.decode(ner.probabilities(scores), scores.lengths, ner.labels)
    return [
        to_tokens([m for m in mentions if m.score >= threshold], starts, n)
        for mentions, starts, n in zip(found, scores.starts, scores.n_tokens, strict=True)
    ]


def _take_best_first(mentions: Iterable[Mention]) -> list[Mention]:
    taken: set[int] = set()
    chosen = []
    for mention in mentions:
        if mention.is_contiguous and taken.isdisjoint(mention.tokens):
            taken.update(mention.tokens)
            chosen.append(mention)
    return chosen


def _decode(ner: Any, scores: Any, threshold: float, odds: float) -> list[Prediction]:
    before, ner.touching_odds = ner.touching_odds, odds
    try:
        return ner.decode(scores, threshold)
    finally:
        ner.touching_odds = before


def choose_decodings(odds: Sequence[float]) -> dict[str, Decoding]:
    """Make the decodings to compare, by name."""

    def best_set(factor: float) -> Decoding:
        return lambda ner, scores, threshold: [
            prediction.entities for prediction in _decode(ner, scores, threshold, factor)
        ]

    sets = {f"best set, touching_odds = {factor:g}": best_set(factor) for factor in odds}
    return {"best piece first": decode_best_piece, **sets}


def measure_names(
    model: str, docs: Sequence[Doc], odds: Sequence[float], batch_size: int = 64
) -> dict[str, Cuts]:
    """Count how often names of several words are cut, with the same weights and all decodings.

    model (str): A pipeline folder, or the name of an installed pipeline.
    docs (Sequence[Doc]): Docs with gold entities; the pipeline reads their tokens.
    odds (Sequence[float]): Values of `touching_odds` to compare.
    batch_size (int): Docs per batch.
    RETURNS (dict[str, Cuts]): The counts of each decoding.
    """
    teacher: Any = load_teacher(model)
    nlp: Language = teacher.nlp
    unused = nlp.pipe_names[nlp.pipe_names.index(teacher.name) :]
    decodings = choose_decodings(odds)
    counts = {name: Cuts() for name in decodings}
    for begin in range(0, len(docs), batch_size):
        batch = docs[begin : begin + batch_size]
        bare = [
            Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc])
            for doc in batch
        ]
        read = list(nlp.pipe(bare, disable=unused))
        scores = teacher.ner.model.predict(read)
        for name, decode in decodings.items():
            for doc, entities in zip(
                batch, decode(teacher.ner, scores, teacher.ner.threshold), strict=True
            ):
                counts[name].add(doc, entities)
    return counts
