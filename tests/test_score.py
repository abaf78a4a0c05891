"""The scorer: whose vocab docs have, where annotation is missing, and what gold it accepts."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_crossner.data.docs import ENCODER_OUTPUT
from spacy_crossner.data.shards import write_docs
from spacy_crossner.pipeline.gold import reference_mentions
from spacy_crossner.report.evaluate import read_gold_docs
from spacy_crossner.report.score import compare_nested, make_input, predict, score
from tests.pipelines import make_examples, make_nlp


def make_gold(words=("Bank", "of", "Lisbon", "."), spans=(), **ents):
    doc = Doc(Vocab(), words=list(words), **ents)
    if spans:
        doc.spans["sc"] = [Span(doc, *span) for span in spans]
    return doc


def test_docs_have_the_vocab_of_their_pipeline():
    nlp, gold = spacy.blank("en"), make_gold(ents=["O"] * 4)
    assert not gold[0].is_alpha
    for example in (make_input(nlp, gold, gold_tokens=True), make_input(nlp, gold)):
        assert example.predicted.vocab is nlp.vocab
        assert [token.is_alpha for token in example.predicted] == [True, True, True, False]


def test_vectors_are_not_kept(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    gold = [example.reference for example in make_examples(nlp)]
    nlp.initialize(lambda: make_examples(nlp))
    assert all(ENCODER_OUTPUT in doc.user_data for doc in nlp.pipe([gold[0].text]))
    assert not any(ENCODER_OUTPUT in eg.predicted.user_data for eg in predict(nlp, gold))


def test_nested_names_without_annotation_are_not_judged():
    spans = [(0, 3, "ORG"), (2, 3, "LOC")]
    gold = make_gold(spans=spans, ents=["B-ORG", "I-ORG", "I-ORG", "O"])
    gold.set_ents([Span(gold, 0, 3, "ORG")], missing=[gold[3:4]])
    example = make_input(spacy.blank("en"), gold, gold_tokens=True)
    doc = example.predicted
    doc.spans["sc"] = [Span(doc, *span) for span in (*spans, (3, 4, "LOC"))]
    doc.ents = [Span(doc, 0, 3, "ORG"), Span(doc, 3, 4, "LOC")]
    found, known = compare_nested(example, "sc")
    assert found == known
    scores = score([example])
    assert (scores["f"], scores["nested"]["f"], scores["inner"]["f"]) == (100.0, 100.0, 100.0)


def test_spans_alone_are_gold(tmp_path):
    nested = make_gold(spans=[(2, 3, "LOC"), (0, 3, "ORG")])
    write_docs(tmp_path / "test.spacy", [nested, make_gold()])
    first, second = read_gold_docs(tmp_path / "test.spacy")
    assert [(ent.text, ent.label_) for ent in first.ents] == [("Bank of Lisbon", "ORG")]
    assert not second.has_annotation("ENT_IOB")


def test_an_empty_group_does_not_hide_entities():
    doc = make_gold(ents=["B-ORG", "I-ORG", "I-ORG", "O"])
    doc.spans["sc"] = []
    assert [mention.label for mention in reference_mentions(doc, "sc")] == ["ORG"]


@pytest.mark.parametrize("spans", [[], [(0, 3, "ORG")]])
def test_tokens_of_unknown_spacing(spans):
    gold = make_gold(spans=spans, ents=["B-ORG", "I-ORG", "I-ORG", "O"])
    assert gold.has_unknown_spaces
    assert len(make_input(spacy.blank("en"), gold).predicted) == 4
