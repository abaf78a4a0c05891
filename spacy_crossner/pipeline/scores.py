"""`ent._.score`: an entity's probability, where users and other packages look for it.

The value is kept in `doc.user_data` like that of any custom attribute, so packages that register an
extension of the same name with a default (such as gliner-spacy) read and write the same values.
"""

from collections.abc import Iterable
from typing import Optional

from spacy.tokens import Doc, Span

from spacy_crossner.types import Mention

SCORE = "score"


def install_score() -> None:
    """Register `Span._.score`, unless another package has done so. Safe to call repeatedly."""
    if not Span.has_extension(SCORE):
        Span.set_extension(SCORE, default=None)


def write_scores(doc: Doc, entities: Iterable[Mention]) -> None:
    """Set `ent._.score` of the entities of a doc.

    doc (Doc): The doc, whose `ents` are set.
    entities (Iterable[Mention]): The entities with their scores. Those that are not in `doc.ents`,
        since an earlier component had set others, are left out.
    """
    install_score()
    _, _, getter, setter = Span.get_extension(SCORE)
    if getter is not None and setter is None:
        return  # another package computes it
    scores = {(m.start, m.end, m.label): m.score for m in entities}
    for ent in doc.ents:
        score = scores.get((ent.start, ent.end, ent.label_))
        if score is not None:
            ent._.set(SCORE, float(score))


def read_score(span: Span) -> Optional[float]:
    """Get `span._.score`, or None if it is not set."""
    return span._.get(SCORE) if Span.has_extension(SCORE) else None


install_score()
