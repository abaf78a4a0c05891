"""The threshold that calibration chooses."""

import math
from dataclasses import fields
from pathlib import Path

import numpy
import pytest
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline.predictions import Prediction
from spacy_crossner.pipeline.strip import create_strip_callback
from spacy_crossner.training.calibrate import (
    BIASES,
    MOST,
    THRESHOLDS,
    Calibration,
    calibrate,
    calibrate_pipeline,
    choose_bias,
    choose_threshold,
)
from spacy_crossner.types import Mention
from tests.pipelines import make_examples, make_nlp, train


def make_counts(right, found, gold=1, docs=100):
    """Make counts by threshold that are the same in each doc."""
    counts = numpy.zeros((docs, len(THRESHOLDS), 3), dtype="int64")
    counts[:, :, 0], counts[:, :, 1], counts[:, :, 2] = right, found, gold
    return counts


def test_the_best_threshold_wins_if_it_is_clearly_best():
    found = numpy.ones(len(THRESHOLDS), dtype="int64")
    right = numpy.zeros_like(found)
    right[2] = 1
    assert choose_threshold(make_counts(right, found)) == pytest.approx(THRESHOLDS[2])


def test_a_threshold_is_not_high():
    found = numpy.ones(len(THRESHOLDS), dtype="int64")
    right = numpy.zeros_like(found)
    right[8] = 1
    assert choose_threshold(make_counts(right, found)) == MOST < THRESHOLDS[8]


def test_of_equals_the_lowest_is_taken():
    counts = make_counts(1, 1)
    counts[:50, :, 0] = 0
    assert choose_threshold(counts) == pytest.approx(THRESHOLDS[0])


def test_what_chance_explains_is_no_difference():
    counts = make_counts(1, 1)
    counts[:50, :, 0] = 0
    # one more entity is right from the fourth threshold on, half of them from the first on
    counts[50, :3, 0] = 0
    assert choose_threshold(counts) == pytest.approx(THRESHOLDS[0])
    counts[50:75, :3, 0] = 0
    assert choose_threshold(counts) == pytest.approx(THRESHOLDS[3])


def test_text_without_entities_has_a_threshold():
    assert choose_threshold(make_counts(0, 0, gold=0)) == pytest.approx(THRESHOLDS[0])


class TestBias:
    def make_counts(self, wrong, docs=100):
        """Make counts by bias, with a wrong entity in the first `wrong[i]` docs at bias i."""
        counts = numpy.ones((docs, len(BIASES), 3), dtype="int64")
        for i, number in enumerate(wrong):
            counts[:number, i, 1] += 1
        return counts

    def test_the_largest_that_does_no_harm(self):
        assert choose_bias(self.make_counts([0, 0, 0, 20, 40, 60, 80])) == BIASES[2]

    def test_none_if_each_does_harm(self):
        assert choose_bias(self.make_counts([0, 20, 30, 40, 50, 60, 70])) == 0.0

    def test_what_chance_explains_is_no_harm(self):
        assert choose_bias(self.make_counts([0, 0, 0, 0, 0, 1, 20])) == BIASES[5]

    def test_what_is_best_counts(self):
        assert choose_bias(self.make_counts([30, 30, 20, 0, 20, 20, 20])) == BIASES[3]

    def test_more_is_found_with_it(self, tiny_encoder, tmp_path):
        nlp = make_nlp(tiny_encoder, token_label_ner={"threshold": 0.0})
        examples = make_examples(nlp)
        train(nlp, examples, steps=3)
        pipe = nlp.get_pipe("token_label_ner")
        texts = [eg.reference.text for eg in examples]
        found = {}
        for bias in (0.0, 1.0, 20.0):
            pipe.cfg["bias"] = bias
            docs = list(nlp.pipe(texts))
            found[bias] = sum(len(ent) for doc in docs for ent in doc.ents)
        assert found[0.0] <= found[1.0] <= found[20.0] == sum(map(len, docs))
        nlp.to_disk(tmp_path / "model")
        assert spacy.load(tmp_path / "model").get_pipe("token_label_ner").bias == 20.0

    @pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
    def test_what_it_brings_is_measured(self, tiny_encoder, factory):
        nlp = make_nlp(tiny_encoder, **{factory: {}})
        examples = make_examples(nlp)
        train(nlp, examples)
        (found,) = calibrate(nlp, [eg.reference for eg in examples], fit_threshold=True).values()
        # a bias of 1 multiplies the odds of an entity by e
        assert 0.0 < found.bias_gain < math.e - 1.0
        (found,) = calibrate(nlp, [eg.reference for eg in examples]).values()
        assert found.bias_gain is None

    def test_is_fitted_with_the_threshold_only(self, tiny_encoder, tmp_path):
        nlp = make_nlp(tiny_encoder, token_label_ner={})
        examples = make_examples(nlp)
        train(nlp, examples)
        nlp.get_pipe("token_label_ner").cfg["bias"] = 0.125
        nlp.to_disk(tmp_path / "model")
        DocBin(docs=[eg.reference for eg in examples]).to_disk(tmp_path / "dev.spacy")
        for fit, allowed in ((False, [0.125]), (True, BIASES)):
            found = calibrate_pipeline(
                tmp_path / "model", tmp_path / "dev.spacy", tmp_path / "out", fit_threshold=fit
            )
            bias = spacy.load(tmp_path / "out").get_pipe("token_label_ner").bias
            assert found["token_label_ner"].bias == bias
            assert bias in allowed


@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_what_is_not_known_does_not_count(tiny_encoder, factory):
    """An entity whose annotation is missing is no mistake of the pipeline that finds it."""
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    train(nlp, make_examples(nlp))
    examples = make_examples(nlp)
    for example in examples:
        ents = list(example.reference.ents)
        example.reference.set_ents(ents[:1], missing=ents[1:])
    found = calibrate(nlp, [eg.reference for eg in examples])[factory]
    assert found.entities == sum(len(eg.reference.ents) for eg in examples)
    assert found.error_after < 0.1


@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_spans_alone_are_labels(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    train(nlp, make_examples(nlp))
    docs = [eg.reference for eg in make_examples(nlp, spans_key="sc")]
    found = calibrate(nlp, docs)[factory]
    assert found.entities == 10
    assert found.error_after < 0.1


def test_a_higher_threshold_can_make_another_choice(tiny_encoder):
    """One long name may score more than the threshold leaves of two short ones."""
    pipe = make_nlp(tiny_encoder, token_pair_ner={}).get_pipe("token_pair_ner")
    parts = {(0, 1, 2): 0.3, (0,): 0.22, (1, 2): 0.22}
    spans = [Mention(tokens, "A", score) for tokens, score in parts.items()]
    found = Prediction(spans[1:], spans)
    assert pipe.raise_threshold(found, 0.1) == spans[1:]
    assert pipe.raise_threshold(found, 0.25) == spans[:1]
    pipe.ents_from = "classes"
    assert pipe.raise_threshold(found, 0.25) == []


def test_functions_before_the_head(tiny_encoder):
    @Language.component("crossner_test_keep")
    def keep(doc):
        return doc

    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=2)
    docs = [example.reference for example in make_examples(nlp)]
    expected = calibrate(nlp, docs)
    nlp.add_pipe("crossner_test_keep", first=True)
    assert calibrate(nlp, docs) == expected


def test_only_pipelines_are_replaced(tiny_encoder, tmp_path, monkeypatch):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    examples = make_examples(nlp)
    train(nlp, examples, steps=1)
    model, dev = tmp_path / "training" / "model-best", tmp_path / "dev.spacy"
    model.parent.mkdir()
    nlp.to_disk(model)
    DocBin(docs=[eg.reference for eg in examples]).to_disk(dev)
    for output in (tmp_path / "training", dev):
        with pytest.raises(CrossnerError, match="CN042"):
            calibrate_pipeline(model, dev, output)
        with pytest.raises(CrossnerError, match="CN042"):
            create_strip_callback(output)
    monkeypatch.chdir(model)
    for output in (Path("."), tmp_path / "training"):
        with pytest.raises(CrossnerError, match="CN043"):
            calibrate_pipeline(model, dev, output)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for output in (tmp_path / "empty", model):
        calibrate_pipeline(model, dev, output)
        spacy.load(output)


@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_the_threshold_is_saved(tiny_encoder, tmp_path, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {"threshold": 0.9}})
    examples = make_examples(nlp)
    train(nlp, examples)
    nlp.to_disk(tmp_path / "model")
    DocBin(docs=[eg.reference for eg in examples]).to_disk(tmp_path / "dev.spacy")
    kept = calibrate_pipeline(tmp_path / "model", tmp_path / "dev.spacy", tmp_path / "kept")
    assert kept[factory].threshold == 0.9
    results = calibrate_pipeline(
        tmp_path / "model", tmp_path / "dev.spacy", tmp_path / "fitted", fit_threshold=True
    )
    fitted = spacy.load(tmp_path / "fitted")
    assert fitted.get_pipe(factory).threshold == results[factory].threshold < 0.9
    assert fitted.config["components"][factory]["threshold"] == results[factory].threshold


def test_names_inside_of_names_have_a_threshold_of_their_own(tiny_encoder, tmp_path):
    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    data = [("the bank of England", [(0, 19, "ORG"), (12, 19, "LOC")]), ("in Berlin", [])]
    examples = make_examples(nlp, data, spans_key="sc")
    train(nlp, examples, steps=60)
    pipe = nlp.get_pipe("token_pair_ner")
    pipe.cfg["nested_threshold"] = 0.95
    docs = [eg.reference for eg in examples]
    # not fitted unless it is asked for, and by text that has such names
    assert calibrate(nlp, docs)["token_pair_ner"].nested_threshold is None
    flat = [eg.reference for eg in make_examples(nlp)]
    assert calibrate(nlp, flat, fit_threshold=True)["token_pair_ner"].nested_threshold is None
    assert pipe.nested_threshold == 0.95
    found = calibrate(nlp, docs, fit_threshold=True)["token_pair_ner"].nested_threshold
    assert found == pipe.nested_threshold == pytest.approx(0.1)
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe("token_pair_ner").nested_threshold == found


def test_what_was_found_is_written(tiny_encoder, tmp_path):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    examples = make_examples(nlp)
    train(nlp, examples)
    nlp.to_disk(tmp_path / "model")
    DocBin(docs=[eg.reference for eg in examples]).to_disk(tmp_path / "dev.spacy")
    folders = [str(tmp_path / name) for name in ("model", "dev.spacy", "calibrated")]
    report = tmp_path / "calibration.json"
    result = CliRunner().invoke(cli.app, ["calibrate", *folders, "--report", str(report)])
    assert result.exit_code == 0, result.output
    pipe = spacy.load(tmp_path / "calibrated").get_pipe("token_label_ner")
    found = srsly.read_json(report)["token_label_ner"]
    assert found["temperature"] == pytest.approx(pipe.temperature)
    assert found["threshold"] == pytest.approx(pipe.threshold)
    assert set(found) == {field.name for field in fields(Calibration)}
