"""Between sentences, as formats read them, and docs, as components read them.

Flat entities are `doc.ents`. If entities overlap or have their parts apart, all of them are in
`doc.spans["sc"]`, and the outermost in `doc.ents`. Entities that a model found have scores.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Optional

from spacy.tokens import Doc, Span, SpanGroup

from spacy_crossner.data import sentences
from spacy_crossner.data.groups import DISCONTINUOUS, NESTED, SCORES, SPANS_KEY, has_labels
from spacy_crossner.data.sentences import Fragments, Parsed, Problem, Sentence, outermost
from spacy_crossner.errors import CrossnerError, Errors

# What encoders leave in the user data of docs, many times as large as the docs.
ENCODER_OUTPUT = ("._.", "trf_data", None, None)
Gapped = tuple[Fragments, str]
MOST_SHOWN = 60


def annotate_spans(
    doc: Doc,
    spans: Iterable[sentences.Span],
    gapped: Iterable[Gapped] = (),
    scores: Optional[Sequence[float]] = None,
) -> list[sentences.Span]:
    """Annotate a doc by character offsets; all other tokens are annotated as outside.

    doc (Doc): The doc.
    spans (Iterable[Span]): Start, end and label. If some overlap, all go to the span group too.
    gapped (Iterable[Gapped]): Entities whose parts are apart.
    scores (Optional[Sequence[float]]): The probability of each span, if a model found them.
    RETURNS (list[Span]): Those that cut a token. The tokens that they touch have no annotation.
    """
    spans = list(spans)
    starts = [token.idx for token in doc]
    ends = [token.idx + len(token) for token in doc]
    places: dict[sentences.Span, tuple[int, int]] = {}
    cut: list[sentences.Span] = []
    missing: set[int] = set()

    def find(start: int, end: int) -> Optional[tuple[int, int]]:
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first < last and starts[first] == start and ends[last - 1] == end:
            return first, last
        missing.update(range(first, last))
        return None

    for start, end, label in spans:
        place = find(start, end)
        if place is None:
            cut.append((start, end, label))
        else:
            places[start, end, label] = place
    torn = []
    for parts, label in gapped:
        found = [find(start, end) for start, end in parts]
        if None in found:
            cut.append((parts[0][0], parts[-1][1], label))
        else:
            tokens = [i for place in found if place is not None for i in range(*place)]
            torn.append([tokens, label])
    flat = outermost(places)
    ents = [Span(doc, *places[span], label=span[2]) for span in flat]
    taken = {i for span in flat for i in range(*places[span])}
    unclear = [i for i in sorted(missing) if i not in taken]
    doc.set_ents(ents, missing=[doc[i : i + 1] for i in unclear])
    if torn or scores is not None or len(flat) < len(places):
        attrs: dict[str, object] = {}
        if torn:
            attrs[DISCONTINUOUS] = torn
        if scores is not None:
            by_span = dict(zip(spans, scores, strict=True))
            attrs[SCORES] = [by_span[span] for span in places]
        group = [Span(doc, *place, label=span[2]) for span, place in places.items()]
        doc.spans[SPANS_KEY] = SpanGroup(doc, name=SPANS_KEY, attrs=attrs, spans=group)
    return cut


def describe_cuts(doc: Doc, cut: Iterable[sentences.Span], where: str) -> list[str]:
    """Describe entities that cut tokens of a doc.

    doc (Doc): The doc.
    cut (Iterable[Span]): The entities.
    where (str): The place of the doc for messages.
    RETURNS (list[str]): A message for each.
    """
    text = doc.text
    starts = [token.idx for token in doc]
    ends = [token.idx + len(token) for token in doc]
    messages = []
    for start, end, label in cut:
        touched = range(bisect_right(ends, start), bisect_left(starts, end))
        tokens = " ".join(doc[i].text for i in touched[:MOST_SHOWN])
        entity = text[start : min(end, start + MOST_SHOWN)]
        messages.append(
            Errors.CN260.format(where=where, entity=entity, label=label, tokens=tokens[:MOST_SHOWN])
        )
    return messages


def make_sentence(doc: Doc) -> Sentence:
    """Take a doc apart.

    doc (Doc): A doc whose tokens are either all annotated or all not.
    RETURNS (Sentence): Its text, words and entities, overlapping ones included.
    """
    # unlike is_space, this does not depend on the vocab's language
    tokens = [token for token in doc if not token.text.isspace()]
    spaced = not doc.has_unknown_spaces
    sentence = Sentence(
        text=doc.text if spaced else doc.text.removesuffix(" "),
        spans=None,
        words=tuple(token.text for token in tokens),
        offsets=tuple(token.idx for token in tokens),
        spaced=spaced,
    )
    if is_partly_annotated(doc):
        raise CrossnerError(Errors.CN265.format(text=doc.text[:60]))
    if not has_labels(doc):
        return sentence
    group = doc.spans.get(SPANS_KEY)
    # the candidates of a component of this package are more than it has found
    if group is not None and NESTED in group.attrs:
        group = None
    found = [*doc.ents, *(() if group is None else group)]
    spans = sorted({_find_edges(span) for span in found if span.text.strip()})
    scores = _find_scores(doc)
    return replace(
        sentence,
        spans=tuple(spans),
        gapped=tuple(_iter_gapped(doc, group)),
        scores=tuple(scores[span] for span in spans)
        if spans and all(span in scores for span in spans)
        else None,
    )


def is_partly_annotated(doc: Doc) -> bool:
    """Check if some tokens of a doc have entity annotation, and others none."""
    return 0 < sum(token.ent_iob == 0 for token in doc) < len(doc)


def _find_scores(doc: Doc) -> dict[sentences.Span, float]:
    """Collect the predicted scores of all span groups by character offsets and label."""
    found: dict[sentences.Span, float] = {}
    for group in doc.spans.values():
        scores = group.attrs.get(SCORES)
        if scores is not None and len(scores) == len(group):
            for span, score in zip(group, scores, strict=True):
                found[_find_edges(span)] = round(float(score), 6)
    return found


def _find_edges(span: Span) -> sentences.Span:
    """Get the character offsets and the label of a span, without whitespace at its edges."""
    left = len(span.text) - len(span.text.lstrip())
    right = len(span.text) - len(span.text.rstrip())
    return span.start_char + left, span.end_char - right, span.label_


def _iter_gapped(doc: Doc, group: Optional[SpanGroup]) -> Iterator[Gapped]:
    for tokens, label, *_ in () if group is None else group.attrs.get(DISCONTINUOUS, ()):
        parts = []
        for _, members in groupby(enumerate(tokens), key=lambda pair: pair[1] - pair[0]):
            run = [token for _, token in members]
            last = doc[run[-1]]
            parts.append((doc[run[0]].idx, last.idx + len(last)))
        yield tuple(parts), label


def take_apart(docs: Iterable[Doc]) -> Iterator[Parsed]:
    """Take docs apart whose texts are to be tokenized anew.

    docs (Iterable[Doc]): The docs.
    YIELDS (Parsed): The sentences.
    """
    for number, doc in enumerate(docs, start=1):
        try:
            yield Parsed(replace(make_sentence(doc), line=number))
        except CrossnerError as error:
            yield Parsed(None, (Problem(str(error)),))
