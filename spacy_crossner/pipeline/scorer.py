"""How the components are scored: spaCy's own entity scores, and those of nested spans."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from spacy import registry
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_crossner.data.groups import SPANS_KEY, best_spans, label_groups


@registry.scorers("spacy-crossner.ner_scorer.v1")
def make_ner_scorer(spans: bool = True) -> Callable[..., dict[str, Any]]:
    """Score `doc.ents`, and the span group where the gold docs have one.

    spans (bool): Whether to score the span group.
    RETURNS (Callable): The scorer.
    """
    return partial(score_entities, spans=spans)


def score_entities(
    examples: Iterable[Example], *, spans: bool = True, spans_key: str = SPANS_KEY, **settings: Any
) -> dict[str, Any]:
    """Score entities exactly: boundaries and label have to be right.

    examples (Iterable[Example]): The examples.
    spans (bool): Whether to score the span group.
    spans_key (str): Name of the span group; the component passes its own.
    RETURNS (Dict[str, Any]): `ents_p/r/f`, `ents_per_type`, and the same for `spans_{spans_key}`
        if any gold doc has that group.
    """
    examples = list(examples)
    scores = get_ner_prf(examples)
    nested = [eg for eg in examples if spans and spans_key in label_groups(eg.reference)]
    if nested:

        def get_spans(doc: Doc, attr: str) -> Iterable[Span]:
            return [span for span, _ in best_spans(doc, spans_key)]

        scores.update(
            Scorer.score_spans(
                nested,
                attr=f"spans_{spans_key}",
                getter=get_spans,
                has_annotation=lambda doc: spans_key in doc.spans,
                labeled=True,
                allow_overlap=True,
            )
        )
    return scores
