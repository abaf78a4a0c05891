"""Figures that need no gold: what a pipeline expects of itself, and whether it agrees."""

import numpy
import pytest
import spacy
from spacy.tokens import Span
from spacy.tokens.span_group import SpanGroup
from spacy.training import Example

from spacy_crossner.data.view import View, set_view
from spacy_crossner.distil.scorer import estimate_f, score_transfer
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train

NLP = spacy.blank("xx")


def predict(text: str, candidates: list[tuple[int, int, str, float]], threshold: float = 0.5):
    doc = NLP.make_doc(text)
    group = SpanGroup(doc, name="sc")
    group.extend([Span(doc, start, end, label) for start, end, label, _ in candidates])
    group.attrs["scores"] = numpy.array([c[3] for c in candidates], dtype="float32")
    doc.spans["sc"] = group
    doc.set_ents([span for span, c in zip(group, candidates, strict=True) if c[3] >= threshold])
    return doc


def make_target(predicted, ents: list[tuple[int, int, str]] | None, missing=()) -> Example:
    reference = NLP.make_doc(predicted.text)
    if ents is not None:
        spans = [Span(reference, *ent) for ent in ents]
        reference.set_ents(spans, missing=[reference[i : i + 1] for i in missing])
    set_view(reference, View("g", "target", "de", labelled=False))
    return Example(predicted, reference)


def test_estimate():
    sure = predict("Anna in Berlin", [(0, 1, "PER", 0.9), (2, 3, "LOC", 0.8)])
    assert estimate_f([sure]) == pytest.approx(2 * 1.7 / (2 + 1.7))
    torn = predict("Anna in Berlin", [(0, 1, "PER", 0.9), (2, 3, "LOC", 0.4)])
    # one of two that there probably are was not found
    assert estimate_f([torn]) == pytest.approx(2 * 0.9 / (1 + 1.3))
    silent = predict("Anna in Berlin", [])
    assert estimate_f([silent]) == 0.0
    assert estimate_f([silent, sure]) == estimate_f([sure])
    assert estimate_f([]) is None
    assert estimate_f([NLP("never predicted")]) == 0.0


def test_target_text_does_not_change_the_scores_of_the_source():
    good = predict("Anna in Berlin", [(0, 1, "PER", 0.9)])
    gold = NLP.make_doc(good.text)
    gold.set_ents([Span(gold, 0, 1, "PER")])
    source = Example(good, gold)
    wrong = make_target(
        predict("Otto in Rom", [(2, 3, "PER", 0.8)]), [(0, 1, "PER"), (2, 3, "LOC")]
    )
    scores = score_transfer([source, wrong])
    assert scores["ents_f"] == 1.0
    assert scores["target_f"] == pytest.approx(2 * 0.8 / 1.8)
    assert scores["target_agreement"] == 0.0
    scores = score_transfer([source])
    assert scores["target_f"] is None
    assert scores["target_agreement"] is None


def test_what_teachers_are_not_sure_of_counts_for_nothing():
    doc = predict("Otto in Rom", [(0, 1, "PER", 0.9), (2, 3, "LOC", 0.8)])
    scores = score_transfer([make_target(doc, [(0, 1, "PER")], missing=[2])])
    assert scores["target_agreement"] == 1.0
    assert scores["ents_f"] is None
    plain = score_transfer([make_target(doc, None)])
    assert plain["target_agreement"] is None
    assert plain["target_f"] == pytest.approx(2 * 1.7 / 3.7)


def test_in_training(tiny_encoder):
    scorer = {"scorer": {"@scorers": "spacy-crossner.transfer_scorer.v1"}}
    nlp = make_nlp(tiny_encoder, token_label_ner=scorer)
    examples = make_examples(nlp)
    train(nlp, examples, steps=30)
    targets = make_examples(nlp, [(text, []) for text, _ in TRAIN_DATA])
    for example in targets:
        set_view(example.reference, View("g", "target", "de", labelled=False))
    scores = nlp.evaluate([*examples, *targets])
    assert 0.0 < scores["target_f"] <= 1.0
    assert scores["ents_f"] == nlp.evaluate(make_examples(nlp))["ents_f"]
