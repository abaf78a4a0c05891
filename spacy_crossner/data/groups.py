"""Which span groups of a doc are its labels."""

from collections.abc import Collection, Mapping

import numpy
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, SpanGroup

# Where nested entities are looked for, if nothing else is said.
SPANS_KEY = "sc"
SCORES = "scores"
# Where a span group keeps the entities that a spaCy span can't hold.
DISCONTINUOUS = "discontinuous"


def label_groups(doc: Doc) -> dict[str, SpanGroup]:
    """Leave out what a pipeline has found: nobody has decided that it is there.

    doc (Doc): The doc.
    RETURNS (Dict[str, SpanGroup]): Its span groups without those that have scores, as the NER
        components and spaCy's `spancat` write them.
    """
    return {key: group for key, group in doc.spans.items() if SCORES not in group.attrs}


def annotated_tokens(doc: Doc) -> numpy.ndarray:
    """RETURNS (numpy.ndarray): (n_tokens,) bool, False where nothing is said of a doc's entities.
    If all is in a span group, something is said of each token."""
    if doc.has_annotation("ENT_IOB"):
        return doc.to_array(ENT_IOB).reshape(-1) != 0
    return numpy.full((len(doc),), SPANS_KEY in label_groups(doc))


def has_labels(doc: Doc) -> bool:
    """RETURNS (bool): Whether anything is said of a doc's entities: in `ents`, or in a span group
    alone."""
    return doc.has_annotation("ENT_IOB") or SPANS_KEY in label_groups(doc)


def list_labels(doc: Doc) -> list[str]:
    """RETURNS (List[str]): The label of each flat entity; of each span if `ents` says nothing."""
    if doc.has_annotation("ENT_IOB"):
        return [ent.label_ for ent in doc.ents]
    return [span.label_ for span in label_groups(doc).get(SPANS_KEY, ())]


def has_gaps(doc: Doc) -> bool:
    """RETURNS (bool): Whether a doc has entities that leave tokens out."""
    return any(group.attrs.get(DISCONTINUOUS) for group in label_groups(doc).values())


def count_nested(doc: Doc, drop_labels: Collection[str] = ()) -> int:
    """Count what has no place in flat entities.

    doc (Doc): The doc.
    drop_labels (Collection[str]): Labels that do not count.
    RETURNS (int): The number of labelled spans that are not in `doc.ents`.
    """
    group = label_groups(doc).get(SPANS_KEY)
    if group is None:
        return 0
    flat = {(ent.start, ent.end, ent.label) for ent in doc.ents}
    nested = [span.label_ for span in group if (span.start, span.end, span.label) not in flat]
    nested += [label for _, label, *_ in group.attrs.get(DISCONTINUOUS, ())]
    return sum(label not in drop_labels for label in nested)


def relabel_groups(doc: Doc, label_map: Mapping[str, str], drop_labels: Collection[str]) -> None:
    """Rename and drop labels in the span groups of a doc.

    doc (Doc): The doc, which is changed.
    label_map (Mapping[str, str]): New labels by old labels; others stay.
    drop_labels (Collection[str]): Labels, by their old names, to leave out.
    """
    for key, group in label_groups(doc).items():
        attrs = dict(group.attrs)
        torn = [
            [tokens, label_map.get(label, label), *rest]
            for tokens, label, *rest in attrs.pop(DISCONTINUOUS, ())
            if label not in drop_labels
        ]
        if torn:
            attrs[DISCONTINUOUS] = torn
        kept = [span for span in group if span.label_ not in drop_labels]
        for span in kept:
            span.label_ = label_map.get(span.label_, span.label_)
        doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=kept)
