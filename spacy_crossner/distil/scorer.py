"""When to stop, and what to keep, without one label in the target languages.

The dev corpus may hold target text beside the labelled source. On the source, scores are as always;
on the target there are two figures that need no gold: the F1 that the pipeline expects of itself,
and how far it agrees with its teachers.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Optional

from spacy import registry
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example

from spacy_crossner.data.groups import SCORES, SPANS_KEY
from spacy_crossner.data.view import get_view
from spacy_crossner.distil.outputs import expected_f
from spacy_crossner.pipeline.scorer import score_entities


@registry.scorers("spacy-crossner.transfer_scorer.v1")
def make_transfer_scorer(spans: bool = True) -> Callable[..., dict[str, Any]]:
    """Score source text as `spacy-crossner.ner_scorer.v1` does, and judge unlabelled target text.

    spans (bool): Whether to score the span group.
    RETURNS (Callable): The scorer.
    """
    return partial(score_transfer, spans=spans)


def score_transfer(
    examples: Iterable[Example], *, spans: bool = True, spans_key: str = SPANS_KEY, **settings: Any
) -> dict[str, Any]:
    """Score labelled examples, and judge those whose view says that they are not labelled.

    examples (Iterable[Example]): The examples.
    spans (bool): Whether to score the span group.
    spans_key (str): Name of the span group with the candidates and their scores.
    RETURNS (Dict[str, Any]): What `score_entities` returns, of the labelled examples alone; and of
        the others `target_f`, the F1 that the pipeline expects of itself, and if they were
        annotated by teachers, `target_agreement`, the F1 against what those are sure of. Without
        such examples, both are None.
    """
    labelled: list[Example] = []
    targets: list[Example] = []
    for example in examples:
        view = get_view(example.reference)
        (labelled if view is None or view.labelled else targets).append(example)
    scores = score_entities(labelled, spans=spans, spans_key=spans_key)
    scores["target_f"] = estimate_f((eg.predicted for eg in targets), spans_key)
    scores["target_agreement"] = get_ner_prf(targets)["ents_f"]
    return scores


def estimate_f(docs: Iterable[Doc], spans_key: str = SPANS_KEY) -> Optional[float]:
    """Estimate the F1 of predictions from their scores alone.

    Each entity is right with the probability that is its score, and there are as many to be found
    as the scores of all candidates sum up to. So the scores should be calibrated; and what scores
    less than the component's threshold is not seen, so that the estimate is too high. It compares
    pipelines of one kind, and says nothing absolute.

    docs (Iterable[Doc]): Docs with `doc.ents` and `doc.spans[spans_key]`.
    spans_key (str): Name of the span group with the candidates and their scores.
    RETURNS (Optional[float]): The estimate; 0 where no candidate was found, None without docs.
    """
    correct = expected = 0.0
    found = count = 0
    for doc in docs:
        count += 1
        group = doc.spans.get(spans_key, ())
        values = group.attrs[SCORES].tolist() if group else []
        by_span = {
            (span.start, span.end, span.label): score
            for span, score in zip(group, values, strict=True)
        }
        expected += sum(values)
        found += len(doc.ents)
        correct += sum(by_span.get((e.start, e.end, e.label), 0.0) for e in doc.ents)
    if not count:
        return None
    return expected_f(correct, found, expected) if expected else 0.0
