"""Gold and predictions in the span groups of a doc."""

from collections.abc import Collection, Mapping

import numpy
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span, SpanGroup

# The default name of the span group of nested entities.
SPANS_KEY = "sc"
SCORES = "scores"
# Which of the spans make up the best set of names that may be nested.
NESTED = "nested"
# The attribute of a span group that holds entities whose parts are apart, as token indices.
DISCONTINUOUS = "discontinuous"


def label_groups(doc: Doc) -> dict[str, SpanGroup]:
    """List the span groups that are gold.

    doc (Doc): The doc.
    RETURNS (Dict[str, SpanGroup]): The span groups without predicted scores. The NER components
        and spaCy's `spancat` write scores, so their groups are predictions.
    """
    return {key: group for key, group in doc.spans.items() if SCORES not in group.attrs}


def best_spans(doc: Doc, key: str) -> list[tuple[Span, float]]:
    """List the spans of a group that make up its best set of names that may be nested.

    doc (Doc): The doc.
    key (str): Name of the span group.
    RETURNS (List[Tuple[Span, float]]): The spans that are marked, or all of a group without marks,
        with their scores; those of gold are 1.0.
    """
    group = doc.spans.get(key)
    if group is None:
        return []
    marks = group.attrs.get(NESTED, [True] * len(group))
    scores = group.attrs.get(SCORES, [1.0] * len(group))
    return [
        (span, float(score))
        for span, score, marked in zip(group, scores, marks, strict=True)
        if marked
    ]


def annotated_tokens(doc: Doc) -> numpy.ndarray:
    """Find the tokens with entity annotation.

    RETURNS (numpy.ndarray): (n_tokens,) bool, False where a doc has no
    annotation of entities. If it is all in a span group, each token is annotated.
    """
    if doc.has_annotation("ENT_IOB"):
        return doc.to_array(ENT_IOB).reshape(-1) != 0
    return numpy.full((len(doc),), SPANS_KEY in label_groups(doc))


def has_labels(doc: Doc) -> bool:
    """Check whether a doc has entity annotation in `ents` or in a span group."""
    return doc.has_annotation("ENT_IOB") or SPANS_KEY in label_groups(doc)


def list_labels(doc: Doc) -> list[str]:
    """List the labels of flat entities, or of all spans if `ents` is not set."""
    if doc.has_annotation("ENT_IOB"):
        return [ent.label_ for ent in doc.ents]
    return [span.label_ for span in label_groups(doc).get(SPANS_KEY, ())]


def has_gaps(doc: Doc) -> bool:
    """Check whether a doc has discontinuous entities."""
    return any(group.attrs.get(DISCONTINUOUS) for group in label_groups(doc).values())


def list_nested(doc: Doc) -> list[str]:
    """List the labels of gold entities that are not in `doc.ents`."""
    group = label_groups(doc).get(SPANS_KEY)
    if group is None:
        return []
    flat = {(ent.start, ent.end, ent.label) for ent in doc.ents}
    nested = [span.label_ for span in group if (span.start, span.end, span.label) not in flat]
    return [*nested, *(label for _, label, *_ in group.attrs.get(DISCONTINUOUS, ()))]


def count_nested(doc: Doc) -> int:
    """Count gold entities that are not in `doc.ents`."""
    return len(list_nested(doc))


def count_gaps(doc: Doc) -> int:
    """Count discontinuous gold entities."""
    group = label_groups(doc).get(SPANS_KEY)
    return 0 if group is None else len(group.attrs.get(DISCONTINUOUS, ()))


def relabel_groups(doc: Doc, label_map: Mapping[str, str], drop_labels: Collection[str]) -> None:
    """Rename and drop labels in the gold span groups of a doc, and in the scored one of entities.

    doc (Doc): The doc, which is changed.
    label_map (Mapping[str, str]): New labels by old labels; others stay.
    drop_labels (Collection[str]): Labels, by their old names, to leave out.
    """
    for key, group in list(doc.spans.items()):
        if key != SPANS_KEY and SCORES in group.attrs:
            continue
        attrs = dict(group.attrs)
        left = [i for i, span in enumerate(group) if span.label_ not in drop_labels]
        if SCORES not in attrs:
            attrs.pop(NESTED, None)  # of predictions whose scores were taken off
        for name in (SCORES, NESTED):
            if len(attrs.get(name, ())) == len(group):
                attrs[name] = [attrs[name][i] for i in left]
        torn = [
            [tokens, label_map.get(label, label), *rest]
            for tokens, label, *rest in attrs.pop(DISCONTINUOUS, ())
            if label not in drop_labels
        ]
        if torn:
            attrs[DISCONTINUOUS] = torn
        kept = [group[i] for i in left]
        for span in kept:
            span.label_ = label_map.get(span.label_, span.label_)
        doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=kept)
