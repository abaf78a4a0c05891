"""Write entities and candidates to a doc."""

from collections.abc import Iterable

import numpy
from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.tokens import Doc, Span
from spacy.tokens.span_group import SpanGroup

from spacy_crossner.data.groups import NESTED, SCORES
from spacy_crossner.pipeline.gold import DISCONTINUOUS
from spacy_crossner.types import Mention


def write_entities(doc: Doc, entities: list[Mention]) -> None:
    """Set `doc.ents`. As with spaCy's `ner`, what an earlier component has set or blocked stays.
    Tokens outside of all entities are annotated as outside.

    doc (Doc): The doc to write to.
    entities (List[Mention]): Contiguous mentions without overlap.
    """
    kept, blocked = list(doc.ents), _find_blocked(doc)
    taken = {token for span in (*kept, *blocked) for token in range(span.start, span.end)}
    new = [Span(doc, m.start, m.end, label=m.label) for m in entities if taken.isdisjoint(m.tokens)]
    doc.set_ents([*kept, *new], blocked=blocked)


def _find_blocked(doc: Doc) -> list[Span]:
    iob, types = doc.to_array([ENT_IOB, ENT_TYPE]).T
    # such a token begins an entity of no type
    return [Span(doc, i, i + 1) for i in numpy.flatnonzero((iob == 3) & (types == 0)).tolist()]


def write_spans(
    doc: Doc, candidates: list[Mention], spans_key: str, nested: Iterable[Mention]
) -> None:
    """Set `doc.spans[spans_key]`, in the order of the text, with `.attrs["scores"]`.

    doc (Doc): The doc to write to.
    candidates (List[Mention]): Any mentions, overlapping ones included. Discontinuous ones, which
        no spaCy span can hold, go to `.attrs["discontinuous"]` as (tokens, label, score).
    spans_key (str): Name of the span group.
    nested (Iterable[Mention]): Those that make up the best set of names that may be
        nested; `.attrs["nested"]` is True for them.
    """
    whole = sorted((m for m in candidates if m.is_contiguous), key=lambda m: (m.start, m.end))
    torn = [[list(m.tokens), m.label, float(m.score)] for m in candidates if not m.is_contiguous]
    group = SpanGroup(doc, name=spans_key)
    group.extend([Span(doc, m.start, m.end, label=m.label) for m in whole])
    group.attrs[SCORES] = numpy.array([m.score for m in whole], dtype="float32")
    best = {mention[:2] for mention in nested}
    group.attrs[NESTED] = numpy.array([m[:2] in best for m in whole], dtype=bool)
    if torn:
        group.attrs[DISCONTINUOUS] = torn
    doc.spans[spans_key] = group


def trim_spaces(mentions: Iterable[Mention], spaces: numpy.ndarray) -> list[Mention]:
    """Cut white space off both ends of mentions.

    mentions (Iterable[Mention]): Mentions, best first.
    spaces (numpy.ndarray): bool, shape (n_tokens,): which tokens are white space.
    RETURNS (List[Mention]): What is left of them, each once, with its best score.
    """
    trimmed: dict[tuple[tuple[int, ...], str], Mention] = {}
    for mention in mentions:
        words = [i for i, token in enumerate(mention.tokens) if not spaces[token]]
        if words:
            tokens = mention.tokens[words[0] : words[-1] + 1]
            trimmed.setdefault((tokens, mention.label), mention._replace(tokens=tokens))
    return list(trimmed.values())
