"""Read the gold entities of an example, and its tokens without annotation."""

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
    if not grouped or reference.has_annotation("ENT_IOB"):
        known = reference.to_array(ENT_IOB).reshape(-1) != 0
    gold = Gold(
        reference_mentions(reference, spans_key),
        known,
        weight=1.0 if view is None else view.weight,
        found=spans_key in reference.spans and not grouped,
    )
    if has_same_tokens(example):
        return gold
    if _squeeze(predicted.text) != _squeeze(reference.text):
        raise CrossnerError(
            Errors.CN110.format(predicted=predicted.text[:60], reference=reference.text[:60])
        )
    return _realign(gold, reference, predicted)


def has_same_tokens(example: Example) -> bool:
    """Check if both docs of an example have the same tokens."""
    return numpy.array_equal(example.predicted.to_array(ORTH), example.reference.to_array(ORTH))


def reference_mentions(doc: Doc, spans_key: str) -> list[Mention]:
    """Read the gold entities of a doc from its span group, or from its ents if it has none."""
    group = label_groups(doc).get(spans_key)
    gapped = () if group is None else group.attrs.get(DISCONTINUOUS, ())
    # an empty group does not say that the entities are wrong
    if group is None or not (group or gapped):
        return [Mention.of(ent) for ent in doc.ents]
    mentions = [Mention.of(span) for span in group]
    for tokens, label, *_ in gapped:
        mentions.append(Mention(tuple(tokens), label))
    return mentions


def _realign(gold: Gold, source: Doc, target: Doc) -> Gold:
    """Align an annotation with other tokens of the same text; whitespace may differ."""
    starts, ends = _count_characters(source)
    new_starts, new_ends = _count_characters(target)
    known = numpy.ones((len(target),), dtype=bool)

    def forget(start: int, end: int) -> None:
        known[(new_starts < end) & (new_ends > start)] = False

    for token in numpy.flatnonzero(~gold.known & (ends > starts)).tolist():
        forget(starts[token], ends[token])
    aligned = []
    misaligned = 0
    for mention in gold.mentions:
        tokens: list[int] = []
        for first, after in runs(mention.tokens):
            start, end = starts[first], ends[after - 1]
            inside = numpy.flatnonzero((new_starts < end) & (new_ends > start))
            if len(inside) and (new_starts[inside[0]], new_ends[inside[-1]]) == (start, end):
                tokens += range(inside[0], inside[-1] + 1)
            else:
                misaligned += 1
                forget(starts[mention.start], ends[mention.end - 1])
                break
        else:
            aligned.append(Mention(tuple(tokens), mention.label))
    return replace(gold, mentions=aligned, known=known, misaligned=misaligned)


def _count_characters(doc: Doc) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Compute the start and end of each token in characters, not counting white space."""
    lengths = numpy.array([len(_squeeze(token.text)) for token in doc], dtype="int64")
    ends = numpy.cumsum(lengths)
    return ends - lengths, ends


def _squeeze(text: str) -> str:
    """Remove all white space."""
    return "".join(text.split())


def runs(tokens: tuple[int, ...]) -> list[tuple[int, int]]:
    """Split token indices into contiguous runs of (start, end)."""
    stretches = []
    for _, members in groupby(enumerate(tokens), key=lambda pair: pair[1] - pair[0]):
        indices = [token for _, token in members]
        stretches.append((indices[0], indices[-1] + 1))
    return stretches
