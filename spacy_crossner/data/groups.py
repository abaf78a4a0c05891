"""Which span groups of a doc are its labels."""

from collections.abc import Collection, Mapping

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


def count_nested(doc: Doc) -> int:
    """RETURNS (int): Number of labels in span groups that are no entities in `doc.ents`."""
    flat = {(ent.start, ent.end, ent.label) for ent in doc.ents}
    return sum(
        sum((span.start, span.end, span.label) not in flat for span in group)
        + len(group.attrs.get(DISCONTINUOUS, ()))
        for group in label_groups(doc).values()
    )


def relabel_groups(doc: Doc, label_map: Mapping[str, str], drop_labels: Collection[str]) -> None:
    """Rename and drop labels in the span groups of a doc.

    doc (Doc): The doc, which is changed.
    label_map (Mapping[str, str]): New labels by old labels; others stay.
    drop_labels (Collection[str]): Labels, by their old names, to leave out.
    """
    for key, group in label_groups(doc).items():
        attrs = dict(group.attrs)
        if DISCONTINUOUS in attrs:
            attrs[DISCONTINUOUS] = [
                [tokens, label_map.get(label, label), *rest]
                for tokens, label, *rest in attrs[DISCONTINUOUS]
                if label not in drop_labels
            ]
        kept = [span for span in group if span.label_ not in drop_labels]
        for span in kept:
            span.label_ = label_map.get(span.label_, span.label_)
        doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=kept)
