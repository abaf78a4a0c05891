"""What an example says of its entities, and where it says nothing."""

from dataclasses import dataclass, replace
from itertools import groupby

import numpy
from spacy.attrs import ENT_IOB, ORTH
from spacy.tokens import Doc
from spacy.training import Example

from spacy_crossner.data.groups import DISCONTINUOUS, label_groups
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.types import Mention


@dataclass
class Gold:
    """The annotation of one example, in tokens of its predicted doc.

    mentions (List[Mention]): The entities.
    known (numpy.ndarray): (n_tokens,) bool, False where nothing may be learned: the annotation is
        missing, or an entity cuts a token.
    misaligned (int): Number of entities that cut a token.
    weight (float): How much the example counts.
    found (bool): Whether the span group holds what a pipeline has found, so that it was not read.
    """

    mentions: list[Mention]
    known: numpy.ndarray
    misaligned: int = 0
    weight: float = 1.0
    found: bool = False


def read_gold(example: Example, spans_key: str) -> Gold:
    """Collect an example's entities, without guessing.

    Entities come from the reference's span group where it has one, since only that can hold nested
    ones, and else from its `ents`. A group with scores holds what a pipeline has found, which may
    since have been corrected in `ents`.

    example (Example): The example.
    spans_key (str): Name of the span group.
    RETURNS (Gold): The annotation.
    """
    predicted, reference = example.predicted, example.reference
    view = get_view(reference)
    if view is not None and not view.labelled:
        return Gold([], numpy.zeros((len(predicted),), dtype=bool))
    grouped = spans_key in label_groups(reference)
    known = numpy.ones((len(reference),), dtype=bool)
    if not grouped:
        known = reference.to_array(ENT_IOB).reshape(-1) != 0
    gold = Gold(
        reference_mentions(reference, spans_key),
        known,
        weight=1.0 if view is None else view.weight,
        found=spans_key in reference.spans and not grouped,
    )
    if has_same_tokens(example):
        return gold
    if predicted.text != reference.text:
        raise CrossnerError(
            Errors.CN110.format(predicted=predicted.text[:60], reference=reference.text[:60])
        )
    return _realign(gold, reference, predicted)


def has_same_tokens(example: Example) -> bool:
    """RETURNS (bool): Whether both docs of an example have the same tokens."""
    return numpy.array_equal(example.predicted.to_array(ORTH), example.reference.to_array(ORTH))


def reference_mentions(doc: Doc, spans_key: str) -> list[Mention]:
    """RETURNS (List[Mention]): The entities of a doc, from its span group or its ents."""
    group = label_groups(doc).get(spans_key)
    if group is None:
        return [Mention(tuple(range(e.start, e.end)), e.label_) for e in doc.ents]
    mentions = [Mention(tuple(range(s.start, s.end)), s.label_) for s in group]
    for tokens, label, *_ in group.attrs.get(DISCONTINUOUS, ()):
        mentions.append(Mention(tuple(tokens), label))
    return mentions


def _realign(gold: Gold, source: Doc, target: Doc) -> Gold:
    """Move an annotation to another tokenization of the same text."""
    aligned = []
    misaligned = 0
    known = numpy.ones((len(target),), dtype=bool)
    for token in numpy.flatnonzero(~gold.known).tolist():
        _forget(known, target, source[token].idx, source[token].idx + len(source[token]))
    for mention in gold.mentions:
        spans = [source[start:end] for start, end in runs(mention.tokens)]
        pieces = [target.char_span(span.start_char, span.end_char) for span in spans]
        found = [piece for piece in pieces if piece is not None]
        if len(found) == len(pieces):
            tokens = [i for piece in found for i in range(piece.start, piece.end)]
            aligned.append(Mention(tuple(tokens), mention.label))
            continue
        misaligned += 1
        outer = source[mention.start : mention.end]
        _forget(known, target, outer.start_char, outer.end_char)
    return replace(gold, mentions=aligned, known=known, misaligned=misaligned)


def _forget(known: numpy.ndarray, doc: Doc, start_char: int, end_char: int) -> None:
    span = doc.char_span(start_char, end_char, alignment_mode="expand")
    if span is not None:
        known[span.start : span.end] = False


def runs(tokens: tuple[int, ...]) -> list[tuple[int, int]]:
    """RETURNS (List[Tuple[int, int]]): Start and end of each stretch without a gap."""
    stretches = []
    for _, members in groupby(enumerate(tokens), key=lambda pair: pair[1] - pair[0]):
        indices = [token for _, token in members]
        stretches.append((indices[0], indices[-1] + 1))
    return stretches
