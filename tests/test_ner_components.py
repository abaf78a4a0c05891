"""Both NER components: one contract, checked on both."""

import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product, zip_longest

import numpy
import pytest
import spacy
import torch
from spacy.pipeline import EntityRuler
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import load_model_from_config
from thinc.api import ArgsKwargs, Config

from benchmarks.faults.texts import describe, is_same
from spacy_crossner.data.view import SoftTargets, View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.heads import TokenLabelScores, TokenPairScores, spaced_rows
from spacy_crossner.ml.modules import (
    PriorPairModule,
    TokenLabelModule,
    TokenPairModule,
    rotate,
    span_log_odds,
)
from spacy_crossner.ml.shim import ThreadSafeShim
from spacy_crossner.pipeline.gold import read_gold
from spacy_crossner.pipeline.scorer import score_entities
from spacy_crossner.pipeline.scores import write_scores
from spacy_crossner.pipeline.select import (
    trim_spaces,
    write_entities,
    write_spans,
)
from spacy_crossner.pipeline.token_label_ner import MAX_SPAN_LENGTH
from spacy_crossner.pipeline.token_pair_ner import sample_pairs
from spacy_crossner.report.score import score_pipeline
from spacy_crossner.schemes import bio, relations
from spacy_crossner.types import Mention
from tests.pipelines import TRAIN_DATA, found, make_config, make_examples, make_nlp, scored, train

FACTORIES = ("token_label_ner", "token_pair_ner")
TEXTS = [text for text, _ in TRAIN_DATA] + [
    "",
    "   ",
    "Paris",
    "Maria and Merkel in London . " * 40,
]
UNSPACED = ["李明在北京大学。", "東京タワー", "กรุงเทพ", "Angela在柏林", "ភ្នំពេញ", "北京" * 30]

VERSION_1 = """
[model]
@architectures = "spacy-crossner.TokenPairHead.v1"

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"

[model.tok2vec.pooling]
@layers = "reduce_mean.v1"
"""


@pytest.fixture(scope="module", params=FACTORIES)
def trained(request, tiny_encoder):
    """A pipeline that knows the training data by heart."""
    nlp = make_nlp(tiny_encoder, **{request.param: {}})
    history = train(nlp, make_examples(nlp))
    assert history[-1][request.param] < 0.1 * history[0][request.param]
    return nlp


def name_of(nlp) -> str:
    return nlp.pipe_names[-1]


@pytest.mark.parametrize("factory", FACTORIES)
def test_labels(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    pipe = nlp.get_pipe(factory)
    assert pipe.labels == ()
    assert pipe.add_label("X") == 1
    assert pipe.add_label("X") == 0
    for bad in ("", 5):
        with pytest.raises(CrossnerError, match="CN113"):
            pipe.add_label(bad)
    with pytest.raises(CrossnerError, match="CN027"):
        nlp("Paris")
    with pytest.raises(CrossnerError, match="CN115"):
        pipe.predict([nlp.make_doc("Paris")])
    with pytest.raises(CrossnerError, match="CN115"):
        pipe.update(make_examples(nlp))
    nlp.initialize(lambda: make_examples(nlp))
    assert pipe.labels == ("X", "LOC", "ORG", "PER")
    assert pipe.label_data == ["X", "LOC", "ORG", "PER"]
    with pytest.raises(CrossnerError, match="CN114"):
        pipe.add_label("Y")
    nlp.initialize(lambda: make_examples(nlp)[:1])  # of the types that it has
    more = [(text, [(a, b, "GPE") for a, b, _ in spans]) for text, spans in TRAIN_DATA]
    with pytest.raises(CrossnerError, match=r"CN114.*GPE"):
        nlp.initialize(lambda: make_examples(nlp, more))


@pytest.mark.parametrize("factory", FACTORIES)
def test_labels_given_to_initialize(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    nlp.config["initialize"]["components"][factory] = {"labels": ["PER", "ORG", "LOC"]}
    nlp.initialize(lambda: make_examples(nlp))
    assert nlp.get_pipe(factory).labels == ("PER", "ORG", "LOC")
    reference = nlp.make_doc("Angela Merkel visited Berlin.")
    reference.set_ents([Span(reference, 0, 2, label="WHO")])
    with pytest.raises(CrossnerError, match=r"CN118.*WHO"):
        nlp.update([Example(nlp.make_doc(reference.text), reference)])


@pytest.mark.parametrize("factory", FACTORIES)
def test_initialize_needs_labels_and_examples(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    with pytest.raises(CrossnerError, match="CN116"):
        nlp.initialize(lambda: make_examples(nlp, [("the bank", [])]))
    for bad in (lambda: None, lambda: ["a"], make_examples(nlp)):
        with pytest.raises((TypeError, ValueError)):
            make_nlp(tiny_encoder, **{factory: {}}).initialize(bad)


def test_learns_by_heart(trained):
    for text, entities in TRAIN_DATA:
        doc = trained(text)
        assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == entities
    scores = trained.evaluate(make_examples(trained))
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) == {"PER", "ORG", "LOC"}


def test_candidates_have_scores(trained):
    for text, entities in TRAIN_DATA:
        doc = trained(text)
        group = doc.spans["sc"]
        scores = group.attrs["scores"]
        assert len(scores) == len(group)
        assert ((scores > 0) & (scores < 1)).all()
        assert (scores >= trained.get_pipe(name_of(trained)).threshold - 1e-6).all()
        assert {(s.start_char, s.end_char, s.label_) for s in group} >= set(entities)


@pytest.mark.parametrize("threshold", [0.5, 0.02])
def test_call_equals_pipe(trained, threshold, monkeypatch):
    texts = [text for pair in zip_longest(TEXTS, UNSPACED, fillvalue="") for text in pair]
    monkeypatch.setitem(trained.get_pipe(name_of(trained)).cfg, "threshold", threshold)
    alone = [describe(trained(text)) for text in texts]
    assert any(scores for _, scores in alone)
    for size in (1, 2, 7, 64):
        for one, doc in zip(alone, trained.pipe(texts, batch_size=size), strict=True):
            assert is_same(one, describe(doc))


def test_several_processes(trained):
    expected = [scored(trained(text)) for text in TEXTS]
    docs = list(trained.pipe(TEXTS, n_process=2, batch_size=2))
    assert [[s[:2] for s in scored(doc)] for doc in docs] == [[s[:2] for s in e] for e in expected]


SPREAD = """
import multiprocessing, sys, spacy
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        multiprocessing.set_start_method(method, force=True)
        docs = spacy.load(sys.argv[1]).pipe(sys.argv[2:], n_process=2, batch_size=2)
        print([[[(s.text, s.label_) for s in doc.spans[key]] for key in FACTORIES] for doc in docs])
"""


@pytest.fixture(scope="module")
def both_heads(tiny_encoder, tmp_path_factory):
    """A folder with a pipeline of both heads."""
    nlp = make_nlp(tiny_encoder, **{factory: {"spans_key": factory} for factory in FACTORIES})
    train(nlp, make_examples(nlp), steps=40)
    path = tmp_path_factory.mktemp("both") / "model"
    nlp.to_disk(path)
    return path


def test_every_way_to_start_processes(both_heads, tmp_path):
    """The default is spawn on Windows and macOS, where components are pickled."""
    script = tmp_path / "spread.py"
    script.write_text(SPREAD.replace("FACTORIES", str(FACTORIES)), encoding="utf8")
    texts = [text for text, _ in TRAIN_DATA]
    command = [sys.executable, str(script), str(both_heads), *texts]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    docs = spacy.load(both_heads).pipe(texts)
    expected = [[[s[:2] for s in scored(doc, key)] for key in FACTORIES] for doc in docs]
    assert all(any(doc[head] for doc in expected) for head in (0, 1))
    assert result.stdout.splitlines() == [str(expected)] * 3


def test_pickled_components_predict_the_same(trained):
    doc = trained.get_pipe("transformer")(trained.make_doc(TEXTS[0]))
    pipe = trained.get_pipe(name_of(trained))
    copy = pickle.loads(pickle.dumps(pipe))
    assert copy.predict([doc]) == pipe.predict([doc])
    assert copy.predict([doc])[0].entities


def test_empty_docs(trained):
    for text in ("", " ", "\n\n\t"):
        doc = trained(text)
        assert not doc.ents
        assert len(doc.spans["sc"].attrs["scores"]) == 0
    assert [found(doc) for doc in trained.pipe(["", ""])] == [[], []]
    losses = trained.update([Example(Doc(trained.vocab), Doc(trained.vocab))])
    assert losses[name_of(trained)] == 0.0


def test_white_space_is_cut_off_both_ends():
    spaces = numpy.array([True, False, True, False, True])
    mentions = [
        Mention((0, 1), "PER", 0.9),
        Mention((1, 2, 3, 4), "LOC", 0.8),
        Mention((1,), "PER", 0.7),
        Mention((4,), "ORG", 0.6),
    ]
    assert trim_spaces(mentions, spaces) == [
        Mention((1,), "PER", 0.9),
        Mention((1, 2, 3), "LOC", 0.8),
    ]


def test_disk_and_bytes(trained, tmp_path, tiny_encoder):
    trained.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    config = make_config(tiny_encoder, **{name_of(trained): {}})
    other = load_model_from_config(config, auto_fill=True).from_bytes(trained.to_bytes())
    for text in TEXTS:
        assert scored(loaded(text)) == scored(trained(text)) == scored(other(text))
    assert loaded.get_pipe(name_of(trained)).labels == trained.get_pipe(name_of(trained)).labels


def test_a_changed_config_counts_when_loading(trained, tmp_path):
    trained.to_disk(tmp_path)
    name = name_of(trained)
    loaded = spacy.load(tmp_path, config={f"components.{name}.threshold": 0.9999999})
    assert loaded.get_pipe(name).threshold == 0.9999999
    assert not loaded(TRAIN_DATA[0][0]).ents


def test_fresh_process_needs_no_import(trained, tmp_path):
    trained.to_disk(tmp_path)
    code = (
        f"import spacy; print([e.text for e in spacy.load({str(tmp_path)!r})({TEXTS[0]!r}).ents])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['Angela Merkel', 'Berlin']"


def test_threads_predict_at_the_same_time():
    """One thread finishes while another is in the middle of its prediction."""
    begun, finished = threading.Event(), threading.Event()

    class Slow(torch.nn.Module):
        def forward(self, first: bool) -> bool:
            if first:
                begun.set()
                assert finished.wait(timeout=60)
            return self.training

    shim = ThreadSafeShim(Slow())
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(shim.predict, ArgsKwargs((True,), {}))
        assert begun.wait(timeout=60)
        assert shim.predict(ArgsKwargs((False,), {})) is False
        finished.set()
        assert slow.result() is False
    assert shim.begin_update(ArgsKwargs((False,), {}))[0] is True


def test_continued_training_is_the_same_after_loading(trained, tmp_path):
    trained.to_disk(tmp_path)
    losses = []
    for nlp in (spacy.load(tmp_path), spacy.load(tmp_path)):
        nlp.resume_training()
        losses.append(nlp.update(make_examples(nlp))[name_of(nlp)])
    assert losses[0] == losses[1] < 0.5


@pytest.mark.parametrize("factory", FACTORIES)
def test_seed_fixes_the_result(tiny_encoder, factory):
    results = []
    for _ in range(2):
        nlp = make_nlp(tiny_encoder, seed=3, **{factory: {}})
        train(nlp, make_examples(nlp), steps=3)
        results.append(nlp.get_pipe(factory).to_bytes())
    assert results[0] == results[1]


def test_rehearsal_is_refused(trained):
    pipe = trained.get_pipe(name_of(trained))
    with pytest.raises(CrossnerError, match="CN117"):
        pipe.rehearse(make_examples(trained))


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"threshold": 1.5}, "CN112.*threshold"),
        ({"distil": {"weight": -1.0}}, "CN112.*distil.weight"),
        ({"distil": {"temperature": 0.0}}, "CN112.*distil.temperature"),
        ({"self_training": {"confidence": 2.0}}, "CN112.*self_training.confidence"),
    ],
)
def test_settings_that_make_no_sense(tiny_encoder, factory, settings, code):
    with pytest.raises(CrossnerError, match=code):
        make_nlp(tiny_encoder, **{factory: settings})


@pytest.mark.parametrize("factory", FACTORIES)
def test_unknown_and_mistyped_settings(tiny_encoder, factory):
    for settings in ({"treshold": 0.5}, {"threshold": "high"}, {"distil": {"wieght": 1.0}}):
        with pytest.raises(ValueError, match=r"(?i)treshold|threshold|wieght"):
            make_nlp(tiny_encoder, **{factory: settings})


@pytest.mark.parametrize("factory", FACTORIES)
def test_spans_key_flows_through(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {"spans_key": "names"}})
    examples = make_examples(nlp, spans_key="names")
    train(nlp, examples, steps=120)
    assert "sc" not in nlp(TEXTS[0]).spans
    scores = nlp.evaluate(examples)
    assert scores["spans_names_f"] == 1.0


NESTED = [
    ("the bank of England in London .", [(0, 19, "ORG"), (12, 19, "LOC"), (23, 29, "LOC")]),
    (
        "the president of the city of Paris was in Berlin",
        [(17, 34, "LOC"), (29, 34, "LOC"), (42, 48, "LOC")],
    ),
    ("Maria was at the New York times", [(0, 5, "PER"), (13, 31, "ORG"), (17, 25, "LOC")]),
    ("the river", []),
]


def test_entities_from_classes(tiny_encoder, tmp_path):
    """They are the outermost names; each is a candidate with the same score, beside inner names."""
    nlp = make_nlp(tiny_encoder, token_pair_ner={"ents_from": "classes"})
    examples = make_examples(nlp, NESTED, spans_key="sc")
    train(nlp, examples, steps=120)
    nlp.to_disk(tmp_path)
    for loaded in (nlp, spacy.load(tmp_path)):
        assert loaded.evaluate(examples)["spans_sc_f"] == 1.0
        for (text, gold), doc in zip(
            NESTED, loaded.pipe([text for text, _ in NESTED]), strict=True
        ):
            outermost = [
                (text[a:b], label)
                for a, b, label in gold
                if not any((c, d) != (a, b) and c <= a and b <= d for c, d, _ in gold)
            ]
            assert found(doc) == outermost
            candidates = {s[:2]: s[2] for s in scored(doc)}
            assert all(
                candidates[ent.text, ent.label_] == pytest.approx(ent._.score, abs=1e-5)
                for ent in doc.ents
            )


def test_entities_from_classes_need_classes(tiny_encoder):
    old = Config().from_str(VERSION_1)["model"]
    nlp = make_nlp(tiny_encoder, token_pair_ner={"ents_from": "classes", "model": old})
    nlp.initialize(lambda: make_examples(nlp))
    with pytest.raises(CrossnerError, match=r"\[CN131\].*TokenPairHead.v2"):
        nlp(TEXTS[0])


@pytest.mark.parametrize("inner", [False, True])
def test_nested_entities(tiny_encoder, inner):
    nlp = make_nlp(tiny_encoder, token_pair_ner={"model": {"inner": inner}})
    examples = make_examples(nlp, NESTED, spans_key="sc")
    history = train(nlp, examples, steps=120)
    assert ("token_pair_ner_inner" in history[0]) == inner
    scores = nlp.evaluate(examples)
    assert scores["spans_sc_f"] == 1.0
    doc = nlp(NESTED[0][0])
    assert {s[:2] for s in scored(doc)} == {
        ("the bank of England", "ORG"),
        ("England", "LOC"),
        ("London", "LOC"),
    }
    # ents can't overlap: one of the two levels stands there
    assert len(doc.ents) == 2
    # what makes up the best set that may be nested is marked, also in a saved doc
    restored = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    assert restored.spans["sc"].attrs["nested"].tolist() == [True, True, True]
    gold = [eg.reference for eg in examples]
    assert score_pipeline(nlp, gold)["inner"]["f"] == 100.0
    nlp.get_pipe("token_pair_ner").cfg["nested_threshold"] = 2.0  # above all scores
    assert sum(nlp(doc.text).spans["sc"].attrs["nested"]) == 2
    scores = score_pipeline(nlp, gold)
    assert (scores["inner"]["r"], scores["nested"]["p"]) == (0.0, 100.0)


def test_nested_gold_for_token_labels_warns(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    data = [("the bank of England", [(0, 19, "ORG"), (12, 19, "LOC")])]
    examples = make_examples(nlp, data, spans_key="sc")
    nlp.initialize(lambda: examples)
    with pytest.warns(UserWarning, match="CNW11"):
        nlp.update(examples)


def test_spans_longer_than_the_band_are_masked(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_pair_ner={"model": {"max_span_length": 2}})
    examples = make_examples(
        nlp, [("the city of London was", [(0, 18, "LOC")]), ("Paris", [(0, 5, "LOC")])]
    )
    nlp.initialize(lambda: examples)
    with pytest.warns(UserWarning, match="CNW12"):
        nlp.update(examples)


@pytest.mark.parametrize("factory", FACTORIES)
def test_missing_annotation_is_not_learned_from(tiny_encoder, factory):
    """A doc without annotation gives no gradient, whatever it says."""
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    pipe = nlp.get_pipe(factory)
    bare = [Example(eg.predicted.copy(), eg.predicted.copy()) for eg in examples]
    docs = list(nlp.get_pipe("transformer").pipe([eg.predicted for eg in bare]))
    loss, gradient = pipe.get_loss(bare, pipe.model.predict(docs))
    assert loss == 0.0
    assert not gradient.logits.any()


def test_misaligned_and_missing_gold(tiny_encoder):
    nlp = spacy.blank("xx")
    words = ["New", "York-based", "Acme"]
    reference = Doc(nlp.vocab, words=["New", "York", "-", "based", "Acme"], spaces=[1, 0, 0, 1, 0])
    reference.set_ents([Span(reference, 0, 2, label="LOC"), Span(reference, 4, 5, label="ORG")])
    predicted = Doc(nlp.vocab, words=words, spaces=[1, 1, 0])
    gold = read_gold(Example(predicted, reference), "sc")
    assert gold.mentions == [Mention((2,), "ORG")]
    assert gold.known.tolist() == [False, False, True]
    assert gold.misaligned == 1
    reference.set_ents(
        [Span(reference, 4, 5, label="ORG")], missing=[reference[0:2]], default="outside"
    )
    gold = read_gold(Example(predicted, reference), "sc")
    assert gold.known.tolist() == [False, False, True]
    assert gold.misaligned == 0
    with pytest.raises(CrossnerError, match="CN110"):
        read_gold(Example(Doc(nlp.vocab, words=["Other"]), reference), "sc")
    # spaCy allows for other white space, which words without spaces come with
    words = ["New", "York-based", "Ac", "\n", "me"]
    gold = read_gold(Example(Doc(nlp.vocab, words=words), reference), "sc")
    assert gold.mentions == [Mention((2, 3, 4), "ORG")]
    assert gold.known.tolist() == [False, False, True, True, True]
    set_view(reference, View(group="g", kind="target", labelled=False))
    assert not read_gold(Example(predicted, reference), "sc").known.any()


def test_entities_longer_than_any_candidate_are_candidates(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={"threshold": 0.05})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe("token_label_ner")
    n = MAX_SPAN_LENGTH + 6
    logits = numpy.full((n, len(pipe.classes)), -9.0, dtype="f")
    logits[:, 0] = 0.0
    logits[1, 1] = logits[2:-1, 2] = 9.0
    starts, glued = [numpy.arange(n)], numpy.zeros((n,), dtype=bool)
    (found,) = pipe.decode(TokenLabelScores(logits, [n], starts, [n], glued), 0.05)
    assert [(m.start, m.end) for m in found.entities] == [(1, n - 1)]
    assert found.entities[0] in found.candidates
    scores = [m.score for m in found.candidates]
    assert scores == sorted(scores, reverse=True)


def test_misaligned_gold_warns_once(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    nlp.initialize(lambda: make_examples(nlp))
    reference = Doc(nlp.vocab, words=["Pa", "ris"], spaces=[0, 0])
    reference.set_ents([Span(reference, 0, 1, label="LOC")])
    example = Example(nlp.make_doc("Paris"), reference)
    with pytest.warns(UserWarning, match="CNW10"):
        nlp.update([example])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp.update([example])


def test_corrected_predictions_are_gold(trained):
    """Predict, correct doc.ents, save, train: candidates that were saved too are no labels."""
    doc = trained("Angela Merkel visited Berlin.")
    key = trained.get_pipe(name_of(trained)).spans_key
    assert {span.label_ for span in doc.spans[key]} >= {"PER", "LOC"}
    doc.set_ents([ent for ent in doc.ents if ent.label_ == "LOC"])
    (reference,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(trained.vocab)
    example = Example(trained.make_doc(doc.text), reference)
    pipe = trained.get_pipe(name_of(trained))
    pipe._warned.clear()
    with pytest.warns(UserWarning, match=r"CNW13.*: 1"):
        (gold,) = pipe.read_gold([example])
    assert [mention.label for mention in gold.mentions] == ["LOC"]
    assert gold.known.all()
    assert f"spans_{key}_f" not in score_entities([example], spans_key=key)
    # beside docs with true groups, the group of predictions does not count either
    other = Example(trained(TEXTS[1]), trained.make_doc(TEXTS[1]))
    other.reference.spans[key] = [
        Span(other.reference, s.start, s.end, label=s.label) for s in other.predicted.spans[key]
    ]
    example.predicted.spans[key] = []
    assert score_entities([example, other], spans_key=key)[f"spans_{key}_f"] == 1.0
    del reference.spans[key].attrs["scores"]
    assert {mention.label for mention in read_gold(example, key).mentions} >= {"PER", "LOC"}


def test_entities_that_are_there_stay():
    doc = Doc(spacy.blank("xx").vocab, words="the Bank of Spain in Madrid was new".split())
    bank = Span(doc, 1, 2, label="RULE", kb_id="Q1")
    doc.set_ents([bank], blocked=[doc[5:6]])
    found = [Mention((1, 2, 3), "ORG", 0.9), Mention((5,), "LOC", 0.8), Mention((7,), "LOC", 0.7)]
    for _ in range(2):
        write_entities(doc, found)
        assert [(e.start, e.end, e.label_, e.kb_id_) for e in doc.ents] == [
            (1, 2, "RULE", "Q1"),
            (7, 8, "LOC", ""),
        ]
        # blocked, and all else outside
        assert [token.ent_iob for token in doc] == [2, 3, 2, 2, 2, 3, 2, 3]


def test_rules_come_first(trained):
    ruler = EntityRuler(trained, patterns=[{"label": "RULE", "pattern": "Merkel"}])
    doc = ruler(trained.make_doc("Angela Merkel visited Berlin."))
    assert [(ent.text, ent.label_) for ent in trained(doc).ents] == [
        ("Merkel", "RULE"),
        ("Berlin", "LOC"),
    ]


def test_discontinuous_candidates_are_kept_beside_the_group():
    doc = Doc(spacy.blank("xx").vocab, words=["left", "and", "right", "arm"])
    write_spans(doc, [Mention((0, 3), "X", 0.8), Mention((2, 3), "X", 0.7)], "sc", [])
    assert [s.text for s in doc.spans["sc"]] == ["right arm"]
    assert doc.spans["sc"].attrs["scores"].tolist() == pytest.approx([0.7])
    assert doc.spans["sc"].attrs["discontinuous"] == [[[0, 3], "X", 0.8]]
    restored = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert restored.spans["sc"].attrs["discontinuous"] == [[[0, 3], "X", 0.8]]


# ---- soft targets ---------------------------------------------------------------------------


def soften(nlp, scheme: str, classes: tuple[str, ...], text: str, index, probs) -> Example:
    reference = nlp.make_doc(text)
    soft = SoftTargets(scheme, classes, numpy.array(index), numpy.array(probs))
    set_view(reference, View(group=text, kind="target", labelled=False, soft=soft))
    return Example(nlp.make_doc(text), reference)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_distillation_teaches(tiny_encoder, factory, loss):
    nlp = make_nlp(tiny_encoder, **{factory: {"distil": {"loss": loss, "weight": 2.0}}})
    labelled = make_examples(nlp)
    optimizer = nlp.initialize(lambda: labelled)
    optimizer.learn_rate = 0.005
    pipe = nlp.get_pipe(factory)
    n = len(pipe.classes)
    if factory == "token_label_ner":
        probs = numpy.eye(n)[pipe.classes.index("B-LOC")] * 0.9 + 0.1 / n
        target = soften(nlp, "bio", pipe.classes, "the river was in Spain", [4], [probs])
    else:
        probs = numpy.eye(n)[pipe.classes.index("THW-LOC")] * 0.9
        target = soften(nlp, "relations", pipe.classes, "the river was in Spain", [[4, 4]], [probs])
    history = []
    for _ in range(60):
        losses: dict[str, float] = {}
        nlp.update([*labelled, target], sgd=optimizer, losses=losses)
        history.append(losses)
    assert history[-1][f"{factory}_distil"] < 0.2 * history[0][f"{factory}_distil"]
    assert found(nlp("the river was in Spain")) == [("Spain", "LOC")]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("both", [False, True])
def test_a_student_equal_to_its_teacher_learns_nothing(tiny_encoder, factory, both):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe(factory)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Maria was in Berlin"))
    scores = pipe.model.predict([doc])
    pipe.cfg["gaps"] = True  # else it is also taught that there are none
    probs = pipe.probabilities(scores)
    if factory == "token_label_ner":
        index = numpy.arange(4)
    else:
        index = numpy.array([(i, j) for i in range(4) for j in range(i, 4)])
        probs = probs[index[:, 0], index[:, 1] - index[:, 0]]
    reference = nlp.make_doc(doc.text)
    # not through `View`, which keeps half precision
    soft = SoftTargets(pipe.scheme, pipe.classes, index, probs)
    if both:
        logits = scores.logits if factory == "token_label_ner" else scores.classes
        table = pipe.read_classes(logits, scores.glued)
        classes = SoftTargets("bio", bio.class_names(pipe.labels), numpy.arange(4), table)
        soft = replace(soft, bio=classes)
    pipe.soft_targets = lambda examples: [soft]
    set_view(reference, View(group="g", kind="target", labelled=False))
    loss, gradient = pipe.get_loss([Example(doc, reference)], scores)
    assert abs(loss) < 1e-5
    assert numpy.abs(gradient.logits).max() < 1e-6
    if factory == "token_pair_ner":
        assert numpy.abs(gradient.classes).max() < 1e-6


def test_pairs_do_not_depend_on_the_next_text(tiny_encoder):
    """What moves its first tokens leaves the last tokens of the text before alone."""
    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe("token_pair_ner")
    pipe.cfg["gaps"] = True
    rng = numpy.random.default_rng(0)
    lengths = rng.integers(2, 4, 200).tolist()
    n_classes = 1 + 2 * len(pipe.labels)
    classes = rng.normal(0.0, 7.0, (sum(lengths), n_classes)).astype("float32")
    logits = rng.normal(0.0, 3.0, (len(classes), pipe.width, 1 + len(pipe.labels)))
    ends = numpy.cumsum(lengths)

    def read(begin: int, end: int, texts: list[int]) -> numpy.ndarray:
        glued = numpy.zeros((end - begin,), dtype=bool)
        scores = TokenPairScores(logits[begin:end].astype("float32"), texts, [], texts, glued)
        scores.classes = classes[begin:end].copy()
        return pipe._activate(scores, pipe.touching_odds)

    together = read(0, len(classes), lengths)
    for end, length in zip(ends.tolist(), lengths, strict=True):
        alone = read(end - length, end, [length])
        numpy.testing.assert_allclose(together[end - length : end], alone, atol=1e-7)


@pytest.mark.parametrize("factory", FACTORIES)
def test_self_training_masks_what_is_not_sure(tiny_encoder, factory):
    settings = {"distil": {"weight": 0.0}, "self_training": {"weight": 1.0, "confidence": 0.9}}
    nlp = make_nlp(tiny_encoder, **{factory: settings})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe(factory)
    n = len(pipe.classes)
    unsure = numpy.full((1, n), 0.5 if factory == "token_pair_ner" else 1.0 / n)
    index = [[1, 1]] if factory == "token_pair_ner" else [1]
    target = soften(nlp, pipe.scheme, pipe.classes, "in Berlin", index, unsure)
    target.predicted = nlp.get_pipe("transformer")(target.predicted)
    scores = pipe.model.predict([target.predicted])
    _, gradient = pipe.get_loss([target], scores)
    place = gradient.logits[1] if factory == "token_label_ner" else gradient.logits[1, 0]
    assert not place.any()
    assert gradient.logits.any()


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_soft_targets_of_other_types_are_refused(tiny_encoder, factory, scheme):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    nlp.initialize(lambda: make_examples(nlp))
    labels = nlp.get_pipe(factory).labels[::-1]
    names = (bio if scheme == "bio" else relations).class_names(labels)
    index = [1] if scheme == "bio" else [[1, 1]]
    with pytest.raises(CrossnerError, match=r"CN119.*LOC, ORG, PER"):
        nlp.update([soften(nlp, scheme, names, "in Berlin", index, [[0.5] * len(names)])])


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("scheme", ["bio", "relations"])
@pytest.mark.parametrize("objective", ["distil", "self_training"])
def test_soft_targets_of_either_scheme_teach(tiny_encoder, factory, scheme, objective):
    blocks = {"distil": {"weight": 0.0}, "self_training": {"weight": 0.0, "confidence": 0.8}}
    blocks[objective] = {**blocks[objective], "weight": 2.0}
    nlp = make_nlp(tiny_encoder, **{factory: blocks})
    labelled = make_examples(nlp)
    optimizer = nlp.initialize(lambda: labelled)
    optimizer.learn_rate = 0.005
    labels = nlp.get_pipe(factory).labels
    text = "the river was in Spain"
    if scheme == "bio":
        names, index, chosen = bio.class_names(labels), [4], "B-LOC"
    else:
        names, index, chosen = relations.class_names(labels), [[4, 4]], "THW-LOC"
    probs = numpy.eye(len(names))[names.index(chosen)] * 0.9
    if scheme == "bio":
        probs += 0.1 / len(names)
    target = soften(nlp, scheme, names, text, index, [probs])
    history = []
    for _ in range(100):
        losses: dict[str, float] = {}
        nlp.update([*labelled, target], sgd=optimizer, losses=losses)
        history.append(losses[f"{factory}_{objective}"])
    assert history[-1] < 0.3 * history[0]
    assert found(nlp(text)) == [("Spain", "LOC")]


@pytest.mark.parametrize("factory", FACTORIES)
def test_soft_targets_of_other_tokens_are_refused(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe(factory)
    example = soften(
        nlp, pipe.scheme, pipe.classes, "Maria Silva", [0], [[0.5] * len(pipe.classes)]
    )
    other = Doc(nlp.vocab, words=["Maria Silva"], spaces=[False])
    with pytest.raises(CrossnerError, match=r"CN123.*'Maria Silva'.*ParallelCorpus"):
        nlp.update([Example(other, example.reference)])


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_corpus_that_begins_with_empty_docs(tiny_encoder, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    empty = [Example(nlp.make_doc(""), nlp.make_doc("")) for _ in range(12)]
    nlp.initialize(lambda: empty + make_examples(nlp))
    assert nlp("Paris").has_annotation("ENT_IOB")
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    nlp.config["initialize"]["components"][factory] = {"labels": ["PER"]}
    with pytest.raises(CrossnerError, match="CN124"):
        nlp.initialize(lambda: empty)


def test_relation_contrast_has_its_own_column_and_reaches_the_encoder(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_pair_ner={"contrast": {"weight": 0.5}})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    losses = nlp.update(examples, losses={})
    assert losses["token_pair_ner_contrast"] > 0
    off = make_nlp(tiny_encoder, token_pair_ner={})
    off.initialize(lambda: make_examples(off))
    assert "token_pair_ner_contrast" not in off.update(make_examples(off), losses={})


def test_relation_contrast_gradient(tiny_encoder):
    """The gradient on queries and keys equals finite differences of the loss."""
    nlp = make_nlp(tiny_encoder, token_pair_ner={"contrast": {"weight": 0.7}})
    examples = make_examples(nlp)
    nlp.initialize(lambda: examples)
    pipe = nlp.get_pipe("token_pair_ner")
    nlp.get_pipe("transformer").update(examples)
    scores, _ = pipe.model.begin_update([eg.predicted for eg in examples])
    scores.queries = scores.queries.astype("float64")
    scores.keys = scores.keys.astype("float64")

    def contrast() -> tuple:
        found = {suffix: (loss, add) for suffix, loss, add in pipe.objectives(examples, scores)}
        return found["contrast"]

    gradient = pipe.zero_gradient(scores)
    contrast()[1](gradient)
    rng = numpy.random.default_rng(0)
    for name in ("queries", "keys"):
        values, analytic = getattr(scores, name), getattr(gradient, name)
        for _ in range(10):
            i, j = rng.integers(values.shape[0]), rng.integers(values.shape[1])
            step = 1e-5
            values[i, j] += step
            above = contrast()[0]
            values[i, j] -= 2 * step
            below = contrast()[0]
            values[i, j] += step
            assert analytic[i, j] == pytest.approx((above - below) / (2 * step), abs=1e-4)


def test_sampled_pairs():
    targets = numpy.zeros((4, 3, 2), dtype=bool)
    targets[0, 1, 0] = targets[0, 1, 1] = targets[2, 0, 1] = True
    known = numpy.ones((4, 3), dtype=bool)
    pairs, labels = sample_pairs(targets, known, 1.0, 100)
    assert pairs[:2].tolist() == [[0, 1], [2, 0]]
    # a name of two tokens is a name first
    assert labels.tolist() == [1, 1, -1, -1]
    targets[0, 1, 1] = False
    assert sample_pairs(targets, known, 1.0, 100)[1].tolist() == [0, 1, -1, -1]
    assert len(sample_pairs(targets, known, 1.0, 3)[0]) == 3
    assert len(sample_pairs(targets, numpy.zeros_like(known), 1.0, 100)[0]) == 0


# ---- the torch modules ----------------------------------------------------------------------


MODULES = [
    TokenLabelModule(5, 4),
    TokenPairModule(5, 4, 3, 3),
    PriorPairModule(5, 3, 4, 3, learn_factor=4.0),
    PriorPairModule(5, 3, 3, 3, rotary=False),
    PriorPairModule(5, 3, 4, 3, inner=True),
]
IS_TOKEN = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("module", MODULES)
def test_gradients_of_the_modules(module):
    torch.manual_seed(0)
    module = module.double()
    vectors = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    rest = () if isinstance(module, TokenLabelModule) else (IS_TOKEN,)
    if isinstance(module, PriorPairModule):
        module.pair.data.normal_()
    assert torch.autograd.gradcheck(lambda x: module(x, *rest), (vectors,))
    parameters = tuple(module.parameters())
    names = [name for name, _ in module.named_parameters()]

    def by_parameters(*values: torch.Tensor):
        return torch.func.functional_call(
            module, dict(zip(names, values, strict=True)), (vectors.detach(), *rest)
        )

    assert torch.autograd.gradcheck(by_parameters, parameters)


def make_pair_module(version: int) -> torch.nn.Module:
    """Make a head of 3 relations with a band of 4 and a random pair form."""
    torch.manual_seed(0)
    if version == 1:
        return TokenPairModule(6, 3, 4, 4).eval()
    module = PriorPairModule(6, 3, 4, 4, learn_factor=5.0).eval()
    module.pair.data.normal_()
    return module


@pytest.mark.parametrize("version", [1, 2])
def test_scores_depend_on_nothing_but_the_band(version):
    """A pair's score is the same wherever its text stands in the batch."""
    module = make_pair_module(version)
    one, other, empty = torch.randn(5, 6), torch.randn(3000, 6), torch.zeros(1, 6)

    def score(*texts: torch.Tensor) -> torch.Tensor:
        rows = torch.cat([part for text in texts for part in (empty, text)] + [empty])
        return module(rows, (rows != 0).any(dim=1).float())[0]

    alone = score(one)[1:-1]
    after = score(other, one)[3002:-1]
    before = score(one, other)[1:6]
    for i in range(5):
        torch.testing.assert_close(alone[i, : 5 - i], after[i, : 5 - i], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone[i, : 5 - i], before[i, : 5 - i], atol=1e-5, rtol=0)


def test_bilinear_form_is_what_it_says():
    torch.manual_seed(0)
    module = TokenPairModule(6, 3, 4, 4).eval()
    vectors = torch.randn(7, 6)
    logits, queries, keys = module(vectors)
    normed = module.norm(vectors)
    nothing = torch.zeros(1, 6)
    around = torch.cat([nothing, normed, nothing])  # so that around[i] is before normed[i]
    for i, d, r in ((0, 0, 0), (2, 3, 1), (3, 1, 2), (4, 2, 1)):
        first = torch.cat([around[i], normed[i]])
        last = torch.cat([normed[i + d], around[i + d + 2]])
        expected = (
            (module.pair[r] * queries[i]) @ keys[i + d]
            + module.first.weight[r] @ first
            + module.last.weight[r] @ last
            + module.distance[d, r]
        )
        if r:
            expected += module.any_first(first)[0] + module.any_last(last)[0]
        torch.testing.assert_close(logits[i, d, r], expected)


def test_rotated_form_is_what_it_says():
    """The form of version 2 is a complex product that is turned by the distance."""
    module = make_pair_module(2).double()
    vectors = torch.randn(7, 6, dtype=torch.float64)
    is_token = torch.ones(7, dtype=torch.float64)
    logits, queries, keys, classes = module(vectors, is_token)
    prior = span_log_odds(classes, is_token, 4)
    torch.testing.assert_close(classes, module.output(module.norm(vectors)))
    rates = 10_000.0 ** (-torch.arange(2) / 2.0)
    for i, d, r in ((0, 0, 0), (2, 3, 1), (3, 1, 2), (4, 2, 1), (5, 1, 0)):
        query, key = torch.complex(*queries[i].chunk(2)), torch.complex(*keys[i + d].chunk(2))
        turned = query * key.conj() * torch.exp(-1j * rates * d)
        expected = (5.0 * module.pair[r] * turned).real.sum()
        if r:
            expected += module.gain[r - 1] * prior[i, r - 1, d]
        else:
            normed = torch.nn.functional.pad(module.norm(vectors), (0, 0, 1, 1))
            first = torch.cat([normed[i], normed[i + 1]])
            last = torch.cat([normed[i + d + 1], normed[i + d + 2]])
            expected += 5.0 * (module.first.weight[0] @ first + module.last.weight[0] @ last)
            expected += module.distance[d]
        torch.testing.assert_close(logits[i, d, r], expected)
    turned_queries, turned_keys = rotate(queries, keys)
    for rows, turned in ((queries, turned_queries), (keys, turned_keys)):
        torch.testing.assert_close(turned.norm(dim=1), rows.norm(dim=1))


def test_inner_classes_add_to_the_others():
    """A pair's prior is the log-odds of a name among the outermost ones or inside of them."""
    torch.manual_seed(0)
    plain = PriorPairModule(6, 3, 4, 4).eval()
    module = PriorPairModule(6, 3, 4, 4, inner=True).eval()
    module.load_state_dict(plain.state_dict(), strict=False)
    vectors, is_token = torch.randn(7, 6), torch.ones(7)
    before, (after, *_, classes, inner) = plain(vectors, is_token), module(vectors, is_token)
    # untrained, they are rare and change little
    torch.testing.assert_close(torch.sigmoid(after), torch.sigmoid(before[0]), atol=0.02, rtol=0)
    torch.nn.init.normal_(module.inner.weight)
    after, *_, classes, inner = module(vectors, is_token)
    torch.testing.assert_close(after[:, :, 0], before[0][:, :, 0])
    first, second = (torch.sigmoid(span_log_odds(t, is_token, 4)) for t in (classes, inner))
    expected = 1.0 - (1.0 - first) * (1.0 - second)
    found = torch.sigmoid(after[:, :, 1:].transpose(1, 2))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_log_odds_of_either_stay_finite():
    odds = numpy.array([-300.0, -20.0, 0.0, 20.0])
    table = bio.either(odds[:, None], odds[None])
    assert numpy.isfinite(table).all()
    assert table[0] == pytest.approx([-300.0 + numpy.log(2.0), -20.0, 0.0, 20.0])
    assert table[2, 2] == pytest.approx(numpy.log(3.0))  # 3 of 4
    assert numpy.allclose(table, table.T)


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_a_bias_moves_outermost_names_only(tiny_encoder, bias):
    """A span that inner classes alone speak for keeps its score."""
    settings = {"model": {"inner": True}, "ents_from": "classes"}
    nlp = make_nlp(tiny_encoder, token_pair_ner=settings)
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe("token_pair_ner")
    pipe.cfg["bias"] = bias
    n_classes = 1 + 2 * len(pipe.labels)
    classes = torch.full((3, n_classes), -20.0)
    inner = torch.full((3, n_classes), -20.0)
    classes[[0, 1, 2], [1, 2, 2]] = 0.0  # the first label has all three tokens
    inner[[0, 1, 2], [0, 0, 3]] = 0.0  # and the second the last of them
    odds = [span_log_odds(table, torch.ones(3), pipe.width).numpy() for table in (classes, inner)]
    logits = numpy.zeros((3, pipe.width, 1 + len(pipe.labels)), dtype="float32")
    logits[:, :, 1:] = bio.either(*odds).transpose(0, 2, 1)
    glued = numpy.zeros((3,), dtype=bool)
    scores = TokenPairScores(logits, [3], [numpy.arange(3)], [3], glued)
    scores.classes, scores.inner = classes.numpy(), inner.numpy()
    (prediction,) = pipe.decode(scores, 0.5)
    found = {(m.tokens, m.label, round(m.score, 2)) for m in prediction.candidates}
    assert found == {((0, 1, 2), pipe.labels[0], 1.0), ((2,), pipe.labels[1], 1.0)}
    assert [m.tokens for m in prediction.entities] == [(0, 1, 2)]


def test_span_log_odds_equal_enumeration():
    """The probability of a span is that of all label sequences that hold it."""
    torch.manual_seed(1)
    n, labels, reach = 4, 2, 4
    # a text of three tokens, the empty row behind it, and one more text
    classes = torch.randn(n + 1, 1 + 2 * labels, dtype=torch.float64) * 2
    is_token = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])
    odds = span_log_odds(classes, is_token, reach)
    probs = classes[:3].softmax(dim=1)
    totals: dict[tuple[int, int, int], float] = {}
    for tags in product(range(1 + 2 * labels), repeat=3):
        weight = float(torch.stack([probs[i, tag] for i, tag in enumerate(tags)]).prod())
        for i, tag in enumerate(tags):
            if tag % 2:
                end = i + 1
                while end < 3 and tags[end] == tag + 1:
                    end += 1
                key = (i, (tag - 1) // 2, end - 1 - i)
                totals[key] = totals.get(key, 0.0) + weight
    assert len(totals) == 12
    for place, total in totals.items():
        assert float(odds[place].sigmoid()) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_span_log_odds_stay_finite(size):
    torch.manual_seed(0)
    classes = (torch.randn(40, 7) * size).requires_grad_()
    odds = span_log_odds(classes, torch.ones(40), 32)
    assert odds.isfinite().all()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, torch.ones_like(odds))
    (gradient,) = torch.autograd.grad(loss, classes)
    assert gradient.isfinite().all()


def score_untrained(encoder):
    """An untrained pair head, and its scores of the training texts."""
    nlp = make_nlp(encoder, token_pair_ner={})
    nlp.initialize(lambda: make_examples(nlp))
    pipe = nlp.get_pipe("token_pair_ner")
    docs = [nlp.get_pipe("transformer")(nlp.make_doc(text)) for text, _ in TRAIN_DATA]
    scores = pipe.model.predict(docs)
    return pipe, scores


def test_an_untrained_pair_head_scores_spans_as_its_bio_classes_do(tiny_encoder):
    pipe, scores = score_untrained(tiny_encoder)
    classes = torch.tensor(scores.classes).softmax(dim=1).numpy()
    band = pipe.probabilities(scores)
    begin = 0
    for mentions in bio.candidates(classes, scores.lengths, pipe.labels, 0.0, 32):
        assert mentions
        for m in mentions:
            score = band[begin + m.start, m.end - m.start - 1, 1 + pipe.labels.index(m.label)]
            assert score == pytest.approx(m.score, abs=2e-6)
        begin += scores.lengths.pop(0)


def test_the_bias_of_a_pair_head_is_that_of_its_bio_classes(tiny_encoder):
    pipe, scores = score_untrained(tiny_encoder)
    pipe.cfg.update(bias=1.5, temperature=1.25)
    classes = scores.classes / 1.25
    before = bio.log_odds(bio.softmax(classes), scores.lengths, numpy.arange(len(classes)), 32)
    classes[:, 0] -= 1.5
    after = bio.log_odds(bio.softmax(classes), scores.lengths, numpy.arange(len(classes)), 32)
    logits = scores.logits[:, :, 1:] / 1.25 + after - before
    mask = relations.band_mask(scores.lengths, 32)
    band = pipe.probabilities(scores)[:, :, 1:]
    assert band[mask] == pytest.approx(1.0 / (1.0 + numpy.exp(-logits[mask])), abs=1e-6)


def test_a_leap_is_no_gap_unless_labels_have_gaps(tiny_encoder, tmp_path):
    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    train(nlp, make_examples(nlp), steps=40)
    pipe = nlp.get_pipe("token_pair_ner")
    text = "Angela Maria Merkel visited Berlin."
    doc = nlp.get_pipe("transformer")(nlp.make_doc(text))
    scores = pipe.model.predict([doc])
    scores.classes[:] = scores.logits[:] = -20.0
    scores.classes[:, 0] = 20.0
    scores.logits[0, 2, 1 + pipe.labels.index("PER")] = 5.0
    scores.logits[0, 2, 0] = 5.0  # the third word is said to follow the first
    (prediction,) = pipe.decode(scores, 0.5)
    assert [m.tokens for m in prediction.entities] == [(0, 1, 2)]
    torn = nlp.make_doc(text)
    torn.spans["sc"] = []
    torn.spans["sc"].attrs["discontinuous"] = [[[0, 2], "PER"]]
    nlp.update([Example(nlp.make_doc(text), torn)])
    (prediction,) = pipe.decode(scores, 0.5)
    assert [m.tokens for m in prediction.candidates] == [(0, 2)]
    nlp.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline").get_pipe("token_pair_ner").cfg["gaps"]


@pytest.mark.parametrize("rotary", [True, False])
def test_a_learn_factor_changes_the_rate_and_not_the_start(rotary):
    modules = []
    for factor in (1.0, 10.0):
        torch.manual_seed(0)
        modules.append(PriorPairModule(6, 3, 4, 4, learn_factor=factor, rotary=rotary).eval())
    vectors, is_token = torch.randn(9, 6), torch.ones(9)
    outputs = [module(vectors, is_token) for module in modules]
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other)
    moved = []
    for module, output in zip(modules, outputs, strict=True):
        before = module.query.weight.detach() * module.learn_factor
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
        output[0].square().sum().backward()
        optimizer.step()
        moved.append((module.query.weight.detach() * module.learn_factor - before).abs().mean())
    assert float(moved[1] / moved[0]) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"model": {"hidden_width": 5}}, "CN130.*5"),
        ({"model": {"hidden_width": 0}}, "hidden_width"),
        ({"model": {"max_span_length": 0}}, "max_span_length"),
        ({"model": {"learn_factor": 0.0}}, "CN112.*learn_factor"),
        ({"loss": {"negative_weight": -1.0}}, "CN112.*loss.negative_weight"),
        ({"loss": {"token_weight": -1.0}}, "CN112.*loss.token_weight"),
        ({"loss": {"kind": "hinge"}}, "hinge|bce"),
        ({"loss": {"kid": "bce"}}, "kid"),
        ({"ents_from": "names"}, "names.*pairs, classes"),
    ],
)
def test_settings_of_the_pair_head_that_make_no_sense(tiny_encoder, settings, code):
    with pytest.raises((CrossnerError, ValueError), match=code):
        make_nlp(tiny_encoder, token_pair_ner=settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": {"kind": "zlpr"}},
        {"loss": {"negative_weight": 0.3}},
        {"loss": {"token_weight": 0.0}},
        {"model": {"learn_factor": 3.0, "rotary": False}},
        {"model": Config().from_str(VERSION_1)["model"]},
    ],
)
def test_every_form_of_the_pair_head_learns_by_heart(tiny_encoder, tmp_path, settings):
    nlp = make_nlp(tiny_encoder, token_pair_ner=settings)
    history = train(nlp, make_examples(nlp), steps=80)
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0
    version_1 = "@architectures" in settings.get("model", {})
    no_tokens = version_1 or settings.get("loss", {}).get("token_weight") == 0.0
    assert ("token_pair_ner_tokens" in history[0]) != no_tokens
    nlp.to_disk(tmp_path)
    assert scored(spacy.load(tmp_path)(TEXTS[0])) == scored(nlp(TEXTS[0]))


@pytest.mark.parametrize(
    ("lengths", "rows"), [([2, 0, 1], [1, 2, 5]), ([3], [1, 2, 3]), ([0, 0], []), ([], [])]
)
def test_docs_are_no_neighbours(lengths, rows):
    assert spaced_rows(lengths).tolist() == rows


def test_long_docs_are_scored_in_chunks(tiny_encoder, monkeypatch):
    from spacy_crossner.ml import heads

    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    train(nlp, make_examples(nlp), steps=5)
    text = "Maria Silva works at Acme Corp in Paris . " * 20
    nlp.get_pipe("token_pair_ner").cfg["threshold"] = 0.001
    whole = scored(nlp(text))
    monkeypatch.setattr(heads, "PREDICT_TOKENS", 7)
    assert scored(nlp(text)) == whole
    assert whole


# ---- the tools people use -------------------------------------------------------------------


def test_config_is_filled_and_typed():
    nlp = spacy.blank("xx")
    for factory in FACTORIES:
        nlp.add_pipe("transformer", name=f"t_{factory}")
        nlp.add_pipe(factory)
    config = Config().from_str(nlp.config.to_str())
    assert config["components"]["token_pair_ner"]["model"]["max_span_length"] == 32
    assert config["components"]["token_label_ner"]["distil"] == {
        "weight": 1.0,
        "temperature": 1.0,
        "loss": "kl",
    }


def test_find_threshold(trained, tmp_path):
    from spacy.cli.find_threshold import find_threshold

    trained.to_disk(tmp_path / "model")
    docs = [eg.reference for eg in make_examples(trained)]
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    best, score, results = find_threshold(
        str(tmp_path / "model"),
        tmp_path / "dev.spacy",
        pipe_name=name_of(trained),
        threshold_key="threshold",
        scores_key="ents_f",
        n_trials=3,
        silent=True,
    )
    assert score == 1.0
    assert results[1.0] == 0.0
    assert best < 1.0


# ---- ent._.score ----------------------------------------------------------------------------


def test_entities_have_scores(trained):
    for doc in trained.pipe(TEXTS):
        group = doc.spans["sc"]
        scores = {
            (span.start, span.end, span.label): score
            for span, score in zip(group, group.attrs["scores"].tolist(), strict=True)
        }
        for ent in doc.ents:
            assert ent._.score == pytest.approx(scores[ent.start, ent.end, ent.label])
    doc = trained("London and Berlin and Paris")
    again = Doc(trained.vocab).from_bytes(doc.to_bytes())
    assert [ent._.score for ent in again.ents] == [ent._.score for ent in doc.ents]
    assert doc[1:2]._.score is None


def test_scores_are_switched_off(trained, monkeypatch):
    monkeypatch.setattr(trained.get_pipe(name_of(trained)), "set_score", False)
    doc = trained("London and Berlin and Paris")
    assert doc.ents
    assert not any(ent._.score for ent in doc.ents)


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_config_switches_scores_off(tiny_encoder, factory, tmp_path):
    nlp = make_nlp(tiny_encoder, **{factory: {"set_score": False}})
    train(nlp, make_examples(nlp), steps=1)
    nlp.to_disk(tmp_path / "nlp")
    assert spacy.load(tmp_path / "nlp").get_pipe(factory).set_score is False


def test_scores_work_with_extensions_of_other_packages(trained):
    before = Span.get_extension("score")
    try:
        # as gliner-spacy registers it
        Span.set_extension("score", default=None, force=True)
        assert trained("London and Paris").ents[0]._.score > 0.5
        Span.set_extension("score", getter=lambda span: "theirs", force=True)
        assert trained("London and Paris").ents[0]._.score == "theirs"
    finally:
        Span.set_extension("score", default=before[0], force=True)


def test_entities_of_earlier_components_get_no_score():
    nlp = spacy.blank("xx")
    doc = nlp("Paris and London")
    doc.ents = [Span(doc, 0, 1, label="RULE")]
    write_scores(doc, [Mention((0,), "LOC", 0.9), Mention((2,), "LOC", 0.8)])
    assert doc.ents[0]._.score is None


# ---- masked soft targets --------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["bio", "relations"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_masked_tokens_are_not_distilled(tiny_encoder, factory, scheme):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    examples = make_examples(nlp)[:2]
    nlp.initialize(lambda: examples)
    component = nlp.get_pipe(factory)
    labels = component.labels
    names = bio.class_names(labels) if scheme == "bio" else relations.class_names(labels)
    n = len(examples[0].reference)
    index = numpy.arange(n) if scheme == "bio" else numpy.stack([numpy.arange(n)] * 2, axis=1)
    probs = numpy.zeros((n, len(names)), dtype="float16")
    probs[:, -1] = 1.0
    losses = []
    for masked in (None, [1], range(n)):
        soft = SoftTargets(scheme, names, index, probs)
        soft.masked = None if masked is None else numpy.array(masked, dtype="int32")
        view = View("g", "target", labelled=False, soft=soft)
        set_view(examples[0].reference, view)
        docs = [eg.predicted for eg in examples]
        scores = component.model.predict(list(nlp.get_pipe("transformer").pipe(docs)))
        found = {suffix: loss for suffix, loss, _ in component.objectives(examples, scores)}
        losses.append(found.get("distil", 0.0))
    assert losses[0] > 0
    assert losses[1] > 0
    assert losses[1] != pytest.approx(losses[0])
    assert losses[2] == 0
