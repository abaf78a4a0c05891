"""Which span groups of a doc are its labels."""

from spacy.tokens import Doc, SpanGroup

SCORES = "scores"


def label_groups(doc: Doc) -> dict[str, SpanGroup]:
    """Leave out what a pipeline has found: nobody has decided that it is there.

    doc (Doc): The doc.
    RETURNS (Dict[str, SpanGroup]): Its span groups without those that have scores, as the NER
        components and spaCy's `spancat` write them.
    """
    return {key: group for key, group in doc.spans.items() if SCORES not in group.attrs}
