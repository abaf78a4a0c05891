"""The one scorer: exact entities, compared by characters, on the raw text that a user has.

All figures of the package come from here: `evaluate`, `calibrate`, `report` and the benchmark.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from tqdm import tqdm

from spacy_crossner.data.docs import ENCODER_OUTPUT
from spacy_crossner.data.groups import best_spans, label_groups
from spacy_crossner.data.readers import make_example
from spacy_crossner.pipeline.gold import reference_mentions
from spacy_crossner.schemes.best_set import nested_set
from spacy_crossner.types import Mention

BATCH_SIZE = 64
BINS = 10
COUNTED = ("right", "found", "gold")
# Start and end of each fragment in characters, and the label.
Key = tuple[tuple[tuple[int, int], ...], str]


def make_input(nlp: Language, gold: Doc, *, gold_tokens: bool = False) -> Example:
    """Pair a gold doc with the doc that a pipeline gets to see of it.

    nlp (Language): The pipeline. Its tokenizer reads the raw text of the gold doc, unless the
        spacing of the text is unknown.
    gold (Doc): The annotated doc.
    gold_tokens (bool): Keep the tokens of the gold doc.
    RETURNS (Example): The unannotated doc, and the gold doc.
    """
    if gold_tokens or gold.has_unknown_spaces:
        # a pipeline looks up in its own vocab whether a token is a word or whitespace
        return make_example(gold, nlp.vocab)
    return Example(nlp.make_doc(gold.text), gold)


def predict(
    nlp: Language, gold: Sequence[Doc], *, gold_tokens: bool = False, title: str = ""
) -> list[Example]:
    """Let a pipeline predict the entities of labelled docs.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): The labelled docs.
    gold_tokens (bool): Keep the tokens of the gold docs.
    title (str): Title of the progress bar.
    RETURNS (List[Example]): Predicted and gold docs.
    """
    examples = [make_input(nlp, doc, gold_tokens=gold_tokens) for doc in gold]
    docs = nlp.pipe((example.predicted for example in examples), batch_size=BATCH_SIZE)
    progress = tqdm(docs, total=len(examples), desc=title, disable=None, leave=False)
    for example, doc in zip(examples, progress, strict=True):
        # of all docs of a file, the encoder's vectors take a lot of memory
        doc.user_data.pop(ENCODER_OUTPUT, None)
        example.predicted = doc
    return examples


def score(examples: Iterable[Example], spans_key: str = "sc") -> dict[str, Any]:
    """Compare predicted entities with gold entities.

    examples (Iterable[Example]): Predicted and gold docs of the same texts.
    spans_key (str): The span group that holds nested entities.
    RETURNS (Dict[str, Any]): "p", "r" and "f" in percent; "per_type" with the same; "counts", of
        each doc the entities that are right, found and in the gold; and if a gold doc has nested
        entities, "nested" with "p", "r" and "f" of all entities of the span group, and "inner" of
        those that lie inside another.
    """
    examples = list(examples)
    pairs = [compare_entities(example) for example in examples]
    counts = [[len(found & gold), len(found), len(gold)] for found, gold in pairs]
    scores = {**percent(*_sum(counts)), "per_type": _score_types(pairs), "counts": counts}
    nested = [compare_nested(example, spans_key) for example in examples]
    if any(find_inner(gold) for _, gold in nested):
        scores["nested"] = _score_sets(nested)
        scores["inner"] = _score_sets([(find_inner(a), find_inner(b)) for a, b in nested])
    return scores


def score_pipeline(nlp: Language, gold: Sequence[Doc]) -> dict[str, Any]:
    """Score a pipeline on the raw text of labelled docs; see `score`."""
    return score(predict(nlp, gold))


def compare_entities(example: Example) -> tuple[set[Key], set[Key]]:
    """Read the entities of both docs of an example.

    example (Example): Predicted and gold doc.
    RETURNS (Tuple[Set[Key], Set[Key]]): What was found, and what is in the gold. Predictions that
        touch a token without gold annotation can't be judged, and are left out.
    """
    known = find_known(example.reference)
    found = {key for key in map(span_key, example.predicted.ents) if is_known(key, known)}
    return found, set(map(span_key, example.reference.ents))


def compare_nested(example: Example, spans_key: str) -> tuple[set[Key], set[Key]]:
    """Read the entities of both docs of an example, nested ones included.

    example (Example): Predicted and gold doc.
    spans_key (str): The span group that holds nested entities.
    RETURNS (Tuple[Set[Key], Set[Key]]): What was found, and what is in the gold, where the
        annotation is not missing.
    """
    known = find_known(example.reference, spans_key)
    both = (choose_nested(example.predicted, spans_key), read_spans(example.reference, spans_key))
    found, gold = ({key for key in keys if is_known(key, known)} for keys in both)
    return found, gold


def is_known(key: Key, known: numpy.ndarray) -> bool:
    """Check if all characters of an entity are annotated."""
    return all(known[start:end].all() for start, end in key[0])


def span_key(span: Span) -> Key:
    """Convert a span to character offsets and a label."""
    return ((span.start_char, span.end_char),), span.label_


def find_known(gold: Doc, spans_key: str = "") -> numpy.ndarray:
    """Find the characters of annotated tokens.

    gold (Doc): The labelled doc.
    spans_key (str): A span group that annotates the whole doc where there are no `ents`.
    RETURNS (numpy.ndarray): (n_characters,) bool, False on tokens without annotation.
    """
    known = numpy.ones((len(gold.text),), dtype=bool)
    if spans_key in label_groups(gold) and not gold.has_annotation("ENT_IOB"):
        return known
    for token in gold:
        if token.ent_iob == 0:
            known[token.idx : token.idx + len(token)] = False
    return known


def read_spans(doc: Doc, spans_key: str) -> set[Key]:
    """Get the spans in a span group of a gold doc; its entities if it has no such group, since
    docs without nested names need none."""
    mentions = reference_mentions(doc, spans_key)
    return {to_key(mention, doc) for mention in mentions if mention.is_contiguous}


def choose_nested(doc: Doc, spans_key: str) -> set[Key]:
    """Choose the best candidates that may be nested but don't cross.

    doc (Doc): The predicted doc.
    spans_key (str): The span group of the candidates.
    RETURNS (Set[Key]): The entities of the doc, and what `nested_set` adds from the candidates: of
        those that are marked, or of all that a component of another package has found.
    """
    candidates = [Mention.of(span, score) for span, score in best_spans(doc, spans_key)]
    return {to_key(m, doc) for m in nested_set(map(Mention.of, doc.ents), candidates)}


def find_inner(keys: set[Key]) -> set[Key]:
    """Find entities nested inside another one with different boundaries."""

    def bounds(key: Key) -> tuple[int, int]:
        return key[0][0][0], key[0][-1][1]

    places = {bounds(key) for key in keys}
    return {
        key
        for key in keys
        if any(
            start <= bounds(key)[0] and bounds(key)[1] <= end and (start, end) != bounds(key)
            for start, end in places
        )
    }


def to_key(mention: Mention, doc: Doc) -> Key:
    """Convert a mention to character offsets of its fragments and a label."""
    fragments: list[tuple[int, int]] = []
    last = -2
    for i in mention.tokens:
        start, end = doc[i].idx, doc[i].idx + len(doc[i])
        if i == last + 1:
            fragments[-1] = (fragments[-1][0], end)
        else:
            fragments.append((start, end))
        last = i
    return tuple(fragments), mention.label


def _score_types(pairs: Sequence[tuple[set[Key], set[Key]]]) -> dict[str, dict[str, float]]:
    per_type: dict[str, Counter[str]] = {}
    for found, gold in pairs:
        for name, keys in zip(COUNTED, (found & gold, found, gold), strict=True):
            for _, label in keys:
                per_type.setdefault(label, Counter())[name] += 1
    return {label: percent(*(n[key] for key in COUNTED)) for label, n in sorted(per_type.items())}


def _score_sets(pairs: Iterable[tuple[set[Key], set[Key]]]) -> dict[str, float]:
    return percent(*_sum([len(a & b), len(a), len(b)] for a, b in pairs))


def _sum(counts: Iterable[Sequence[int]]) -> Iterator[int]:
    yield from numpy.asarray(list(counts), dtype="int64").reshape(-1, 3).sum(axis=0).tolist()


def percent(right: int, found: int, gold: int) -> dict[str, float]:
    """Compute precision, recall and F1 in percent."""
    return {
        "p": round(100.0 * right / max(1, found), 2),
        "r": round(100.0 * right / max(1, gold), 2),
        "f": round(float(f1(numpy.array([right, found, gold]))), 2),
    }


def f1(counts: numpy.ndarray) -> numpy.ndarray:
    """Reduce counts of entities to F1.

    counts (numpy.ndarray): Shape (..., 3): entities that are right, found, and in the gold.
    RETURNS (numpy.ndarray): F1 in percent, shape (...); 100 where there is nothing to find and
        nothing was found.
    """
    counts = numpy.asarray(counts, dtype="float64")
    both = counts[..., 1] + counts[..., 2]
    return numpy.where(both > 0, 200.0 * counts[..., 0] / numpy.maximum(both, 1.0), 100.0)


def expected_calibration_error(
    scores: numpy.ndarray, correct: numpy.ndarray, bins: int = BINS
) -> float:
    """Measure how far scores are from the share of correct predictions, on average.

    scores (numpy.ndarray): (n,) between 0 and 1.
    correct (numpy.ndarray): (n,) whether each prediction was right.
    bins (int): Number of intervals of equal width to compare in.
    RETURNS (float): The mean difference, weighted by the number of predictions; 0 without any.
    """
    if not len(scores):
        return 0.0
    places = numpy.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for place in numpy.unique(places):
        inside = places == place
        total += inside.sum() * abs(scores[inside].mean() - correct[inside].mean())
    return float(total / len(scores))
