"""Any pipeline as a teacher: rules, spaCy's own components, plug-ins with scores, and mixtures."""

import random

import numpy
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner import evaluate
from spacy_crossner.cli import app
from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import from_dict, get_view, to_dict
from spacy_crossner.distil.annotate import annotate
from spacy_crossner.distil.pipelines import (
    Reading,
    align,
    choose_outside,
    find_labels,
    read_entities,
    write_bio,
    write_relations,
)
from spacy_crossner.distil.probs import TeacherProbs, join, to_bio
from spacy_crossner.errors import CrossnerError
from spacy_crossner.schemes import bio, relations
from spacy_crossner.types import Mention
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train
from tests.tiny import write_tiny_encoder

TEXTS = [
    "Angela Merkel visited Berlin.",
    "the president of France lives in Paris",
    "Maria Silva works at Acme Corp in Paris.",
    "the bank in the city was by the river",
]


def make_ruler(patterns=None, factory="entity_ruler", **config) -> Language:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe(factory, config=config)
    ruler.add_patterns(
        patterns
        or [
            {"label": "PER", "pattern": "Angela Merkel"},
            {"label": "LOC", "pattern": "Berlin"},
            {"label": "LOC", "pattern": "Paris"},
        ]
    )
    return nlp


@Language.factory("scoring_plugin", default_config={"labels": ["person", "place"]})
def make_scoring_plugin(nlp: Language, name: str, labels: list[str]):
    """As gliner-spacy: no `pipe`, no `to_disk`, sets ents with ._.score, declares nothing."""
    return ScoringPlugin(labels)


class ScoringPlugin:
    def __init__(self, labels):
        if not Span.has_extension("score"):
            Span.set_extension("score", default=None)
        self.labels = labels

    def __call__(self, doc: Doc) -> Doc:
        ents = []
        for word, label, score in (("Merkel", "person", 0.97), ("Paris", "place", 0.6)):
            start = doc.text.find(word)
            if start >= 0 and label in self.labels:
                span = doc.char_span(start, start + len(word), label=label)
                span._.score = score
                ents.append(span)
        doc.ents = ents
        return doc


@Language.component("unlisted_labels")
def unlisted_labels(doc: Doc) -> Doc:
    doc.set_ents([Span(doc, 0, 1, label="X")] if doc[0].text == "Maria" else [])
    return doc


def read(annotation) -> list[Doc]:
    return list(annotation.docs())


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


# ---- what teaches ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_rules_teach(tmp_path, scheme):
    make_ruler().to_disk(tmp_path / "ruler")
    annotation = annotate(
        str(tmp_path / "ruler"), TEXTS, tmp_path / "out", lang="en", scheme=scheme
    )
    docs = read(annotation)
    assert [doc.text for doc in docs] == TEXTS
    assert ents(docs[0]) == [("Angela Merkel", "PER"), ("Berlin", "LOC")]
    assert ents(docs[3]) == []
    assert all(token.ent_iob != 0 for doc in docs for token in doc)
    soft = get_view(docs[0]).soft
    labels = ("LOC", "PER")
    if scheme == "bio":
        assert soft.classes == bio.class_names(labels)
        assert soft.index.tolist() == [0, 1, 3]
        # the score of the span is that of the entity
        assert float(soft.probs[0, 3]) * float(soft.probs[1, 4]) == pytest.approx(0.95, abs=2e-3)
    else:
        assert soft.classes == ("NNW", "THW-LOC", "THW-PER")
        pairs = dict(zip(map(tuple, soft.index.tolist()), soft.probs.tolist(), strict=True))
        assert pairs[0, 1][2] == pytest.approx(0.95, abs=1e-3)
    assert "LOC" in str(annotation)


def test_loaded_pipelines_and_docs(tmp_path):
    vocab = Vocab()
    doc = Doc(
        vocab,
        words=["Ange", "la", "Merkel", "in", "Ber", "lin"],
        spaces=[False, *[True] * 3, False, False],
    )
    (first,) = read(annotate(make_ruler(), [doc], tmp_path / "out"))
    assert [token.text for token in first] == [token.text for token in doc]
    # the other tokens are aligned by characters
    assert ents(first) == [("Angela Merkel", "PER"), ("Berlin", "LOC")]


def test_spacy_ner_teaches(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    examples = [
        Example.from_dict(nlp.make_doc(text), {"entities": spans}) for text, spans in TRAIN_DATA
    ]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    texts = [text for text, _ in TRAIN_DATA]
    docs = read(annotate(nlp, texts, tmp_path / "out", lang="en"))
    assert [ents(doc) for doc in docs] == [ents(doc) for doc in nlp.pipe(texts)]
    assert get_view(docs[0]).soft.classes == bio.class_names(("LOC", "ORG", "PER"))


def test_plugins_teach_their_scores(tmp_path):
    nlp = spacy.blank("xx")
    nlp.add_pipe("scoring_plugin")
    nlp.to_disk(tmp_path / "plugin")
    out = annotate(
        tmp_path / "plugin",
        TEXTS,
        tmp_path / "out",
        label_map={"person": "PER", "place": "LOC"},
        n_process=1,
    )
    docs = read(out)
    assert ents(docs[0]) == [("Merkel", "PER")]
    # a score below the confidence is a soft target, and no label
    assert ents(docs[1]) == []
    assert [token.text for token in docs[1] if token.ent_iob == 0] == ["Paris"]
    soft = get_view(docs[1]).soft
    assert soft.probs[0].tolist() == pytest.approx([0.4, 0.6, 0, 0, 0], abs=1e-3)


def test_span_groups_teach(tmp_path):
    nlp = make_ruler(factory="span_ruler", spans_key="mine")
    docs = read(annotate(nlp, TEXTS, tmp_path / "out", labels_from="spans:mine"))
    assert ents(docs[0]) == [("Angela Merkel", "PER"), ("Berlin", "LOC")]


def test_labels_that_nobody_declares_come_from_a_sample(tmp_path):
    nlp = spacy.blank("xx")
    nlp.add_pipe("unlisted_labels")
    assert find_labels(nlp) == set()
    docs = read(annotate(nlp, TEXTS, tmp_path / "out"))
    assert ents(docs[2]) == [("Maria", "X")]


def test_scores_of_spans():
    nlp = spacy.blank("xx")
    doc = nlp("a b c")
    doc.ents = [Span(doc, 0, 1, label="X"), Span(doc, 1, 2, label="Y")]
    doc.spans["sc"] = [Span(doc, 0, 1, label="X")]
    doc.spans["sc"].attrs["scores"] = numpy.array([0.7])
    assert [found[2:] for found in read_entities(doc, Reading())] == [("X", 0.7), ("Y", 0.95)]
    reading = Reading("spans:sc")
    assert [found[2:] for found in read_entities(doc, reading)] == [("X", pytest.approx(0.7))]
    doc.spans["sc"].attrs["scores"] = numpy.array([1.7])
    with pytest.raises(CrossnerError, match=r"CN531.*'a'.*1\.7"):
        list(read_entities(doc, reading))


# ---- masks ----------------------------------------------------------------------------------


def test_what_is_misaligned_or_not_taught_is_masked():
    vocab = Vocab()
    doc = Doc(vocab, words=["in", "New", "York", "City"], spaces=[True, True, True, False])
    other = Doc(
        vocab, words=["in", "New", "Yo", "rk", "City"], spaces=[True, True, False, True, False]
    )
    other.ents = [Span(other, 1, 3, label="LOC"), Span(other, 4, 5, label="DATE")]
    found = align(doc, other, Reading(), ("LOC",))
    assert found.mentions == []
    assert found.known.tolist() == [True, False, False, False]
    assert (found.misaligned, found.untaught) == (1, {"DATE": 1})


def test_masks_reach_the_docs(tmp_path):
    nlp = make_ruler(
        [
            *({"label": "LOC", "pattern": word} for word in ("Paris",)),
            {"label": "DATE", "pattern": "Berlin"},
        ]
    )
    annotation = annotate(nlp, TEXTS, tmp_path / "out", lang="en", student_labels=["LOC"])
    first = read(annotation)[0]
    masked = [i for i, token in enumerate(first) if token.text == "Berlin"]
    assert get_view(first).soft.masked.tolist() == masked
    assert [token.i for token in first if token.ent_iob == 0] == masked
    assert any("DATE 1" in line for line in annotation.warnings)
    view = get_view(first)
    assert from_dict(to_dict(view)).soft.masked.tolist() == masked


def test_labels_that_no_teacher_knows_are_not_denied(tmp_path):
    docs = read(
        annotate(
            make_ruler(), TEXTS, tmp_path / "out", lang="en", student_labels=["LOC", "ORG", "PER"]
        )
    )
    soft = get_view(docs[0]).soft
    assert soft.classes == bio.class_names(("LOC", "ORG", "PER"))
    # only entities are known: anything else could be an ORG
    assert soft.masked.tolist() == [2, 4]
    assert len(get_view(docs[3]).soft.masked) == len(docs[3])


def test_only_a_share_of_the_outside_is_believed(tmp_path):
    marked = numpy.zeros(1000, dtype=bool)
    marked[500] = True
    chosen = choose_outside("text", marked, 0.3)
    assert chosen.mean() == pytest.approx(0.3, abs=0.05)
    assert chosen[499]
    assert chosen[501]
    assert (chosen == choose_outside("text", marked, 0.3)).all()
    docs = read(annotate(make_ruler(), TEXTS, tmp_path / "out", lang="en", outside=0.3))
    assert 0 < sum(len(get_view(doc).soft.masked) for doc in docs[3:]) <= len(docs[3])
    assert ents(docs[0]) == [("Angela Merkel", "PER"), ("Berlin", "LOC")]


def test_tables_of_entities():
    mentions = [Mention((0, 1), "B", 0.81), Mention((1, 2), "A", 0.5)]
    probs = write_bio(mentions, 4, ("A", "B"))
    assert probs.sum(axis=1) == pytest.approx(1.0)
    assert bio.decode(probs, [4], ("A", "B"))[0][0].score == pytest.approx(0.81, abs=1e-3)
    band = write_relations(mentions, 4, ("A", "B"))
    assert (band[0, 1, 2], band[1, 1, 1]) == (pytest.approx(0.81), 0.5)
    found = relations.decode_batch(band, [4], ("A", "B"), 0.3)[0]
    assert {(m.tokens, m.label) for m in found} == {((0, 1), "B"), ((1, 2), "A")}


# ---- mixing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_averages_follow_weights_and_masks(scheme):
    write = write_bio if scheme == "bio" else write_relations
    starts, labels = [numpy.arange(2)], ("A",)
    first = TeacherProbs(scheme, labels, write([Mention((0,), "A", 0.8)], 2, labels), starts, [2])
    first.weight = 3.0
    other = TeacherProbs(scheme, labels, write([Mention((1,), "A", 1.0)], 2, labels), starts, [2])
    other.known = numpy.array([True, False])
    (joined, _) = join([first, other], scheme, labels)
    outside = to_bio(joined).probs[:, 0]
    # the second token is left to the first teacher
    assert outside == pytest.approx([1 - 0.8 * 3 / 4, 1.0], abs=1e-4)
    assert joined.known is None
    first.known = numpy.array([True, False])
    assert join([first, other], scheme, labels)[0].known.tolist() == [True, False]


@pytest.mark.parametrize("factory", ["token_label_ner", "token_pair_ner"])
def test_mixed_with_our_teachers(tiny_encoder, tmp_path, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    train(nlp, make_examples(nlp), steps=60)
    nlp.to_disk(tmp_path / "ours")
    before = nlp.to_bytes()
    rules = make_ruler([{"label": "ORG", "pattern": "bank"}])
    mixed = annotate(
        [rules, tmp_path / "ours"],
        TEXTS,
        tmp_path / "mixed",
        lang="en",
        labels="union",
        weights=[9, 1],
    )
    docs = read(mixed)
    # the rules know ORG alone
    assert ("Berlin", "LOC") in ents(docs[0])
    bank = next(token for token in docs[3] if token.text == "bank")
    soft = get_view(docs[3]).soft
    if soft.scheme == "bio":
        row = soft.probs[soft.index.tolist().index(bank.i)]
        assert row[soft.classes.index("B-ORG")] == pytest.approx(0.9 * 0.95, abs=0.06)
    assert [doc.text for doc in docs] == TEXTS
    # a loaded pipeline of ours is not changed
    annotate(nlp, TEXTS, tmp_path / "loaded", bias=2.0)
    assert nlp.to_bytes() == before


def test_a_manifest_knows_how_entities_were_read(tmp_path):
    nlp, out = make_ruler(), tmp_path / "out"
    annotate(nlp, TEXTS, out)
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    annotate(nlp, TEXTS, out)
    assert times[out / "part-00001.spacy"] == (out / "part-00001.spacy").stat().st_mtime_ns
    with pytest.raises(CrossnerError, match=r"CN505.*default_score"):
        annotate(nlp, TEXTS, out, default_score=0.9)
    annotate(nlp, TEXTS, out, default_score=0.9, restart=True)
    with pytest.raises(CrossnerError, match=r"CN505.*teachers"):
        annotate(make_ruler([{"label": "X", "pattern": "Paris"}]), TEXTS, out, default_score=0.9)


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"label_map": {"person": "PER"}}, r"CN533.*'person'.*LOC, PER"),
        ({"labels_from": "sents"}, r"CN534.*'sents'"),
        ({"labels_from": "spans:"}, r"CN534.*spans:KEY"),
        ({"weights": [1.0, 2.0]}, r"CN535.*2 weights.*1 teachers"),
        ({"weights": [0.0]}, r"CN112.*weights"),
        ({"student_labels": ["person"]}, r"CN536.*person.*LOC, PER.*--label-map"),
        ({"default_score": 2.0}, r"CN112.*default_score"),
        ({"outside": -1.0}, r"CN112.*outside"),
        ({"passes": 2}, r"CN511"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, settings, said):
    with pytest.raises(CrossnerError, match=said):
        annotate(make_ruler(), TEXTS, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_pipelines_that_fail_are_named(tmp_path):
    @Language.component("failing_component")
    def fail(doc):
        raise RuntimeError("out of luck")

    nlp = make_ruler()
    nlp.add_pipe("failing_component")
    with pytest.raises(CrossnerError, match=r"CN530.*out of luck"):
        annotate(nlp, TEXTS, tmp_path / "out")


def test_teachers_that_find_nothing_stop(tmp_path):
    ruler = make_ruler([{"label": "X", "pattern": "absent"}])
    with pytest.raises(CrossnerError, match=r"CN537.*no entities in 24 texts") as caught:
        annotate(ruler, TEXTS * 6, tmp_path / "out")
    assert "--allow-empty" in str(caught.value)
    # also when it is asked again
    with pytest.raises(CrossnerError, match="CN537"):
        annotate(ruler, TEXTS * 6, tmp_path / "out")
    annotation = annotate(ruler, TEXTS * 6, tmp_path / "out", allow_empty=True)
    assert annotation.warnings == ["No entity was found in xx."]


def test_teachers_that_mask_everything_stop(tiny_encoder, tmp_path):
    nlp = make_nlp(tiny_encoder, token_label_ner={"threshold": 0.0})
    train(nlp, make_examples(nlp), steps=1)
    with pytest.raises(CrossnerError, match=r"CN53[78].*24 texts"):
        annotate(nlp, TEXTS * 6, tmp_path / "out", confidence=0.999)


def test_the_command_takes_any_pipeline(tmp_path):
    make_ruler().to_disk(tmp_path / "ruler")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf8")
    arguments = ["annotate", "ruler", "texts.txt", "out", "--language", "en"]
    arguments = [arguments[0], *(str(tmp_path / name) for name in arguments[1:4]), *arguments[4:]]
    more = ["--label-map", "PER=PERSON", "--teacher-weight", "1", "--outside", "0.5"]
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, result.output
    assert "PERSON" in result.output
    result = CliRunner().invoke(app, [*arguments, "--label-map", "person=PER"])
    assert result.exit_code == 1
    assert "CN533" in result.output


def test_docs_with_nothing_to_align(tmp_path):
    vocab = Vocab()
    write_docs(
        tmp_path / "in.spacy", [Doc(vocab, words=["Paris"]), Doc(vocab, words=[" ", "Paris"])]
    )
    docs = read(annotate(make_ruler(), tmp_path / "in.spacy", tmp_path / "out"))
    assert [ents(doc) for doc in docs] == [[("Paris", "LOC")]] * 2


# ---- what a student makes of it -------------------------------------------------------------

SYLLABLES = [first + second for first in "bdglmnrstv" for second in "aeiou"]
TEMPLATES = [
    "el president {PER} fue en {LOC} .",
    "la city {LOC} es y {PER} fue by the river",
    "{PER} visited {LOC}",
    "the company of {PER} works in {LOC}",
    "la bank en la city fue by the river",
    "{PER} lives in {LOC} , the city",
    "el times of the bank was new",
]


def make_names(rng: random.Random) -> list[str]:
    return ["".join(rng.choices(SYLLABLES, k=3)).capitalize() for _ in range(60)]


def write_texts(names: dict[str, list[str]], count: int, seed: int) -> list[Doc]:
    """Make labelled texts from templates, with names in the right slots."""
    rng, nlp, docs = random.Random(seed), spacy.blank("xx"), []
    for _ in range(count):
        words, ents = [], []
        for word in rng.choice(TEMPLATES).split():
            label = word.strip("{}")
            words.append(rng.choice(names[label]) if label in names else word)
            ents.append(f"B-{label}" if label in names else "O")
        docs.append(Doc(nlp.vocab, words=words, ents=ents))
    return docs


def test_a_student_beats_the_recall_of_its_rules(tmp_path):
    """Rules know half of the names; a student learns from the places where names stand."""
    rng = random.Random(0)
    names = {"PER": make_names(rng), "LOC": make_names(rng)}
    rules = make_ruler(
        [{"label": label, "pattern": name} for label, known in names.items() for name in known[:20]]
    )
    texts = write_texts({label: known[:40] for label, known in names.items()}, 300, 1)
    held = write_texts(names, 100, 2)
    annotation = annotate(rules, texts, tmp_path / "out", outside=0.2)
    encoder = write_tiny_encoder(tmp_path / "encoder", layers=2)
    nlp = make_nlp(encoder, token_label_ner={})
    examples = list(create_parallel_corpus(str(annotation.path))(nlp))
    labels = annotation.manifest.settings["labels"]
    nlp.config["initialize"]["components"]["token_label_ner"] = {"labels": labels}
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.002
    for _ in range(250):
        nlp.update(rng.sample(examples, 16), sgd=optimizer)
    of_rules, of_student = evaluate(rules, held), evaluate(nlp, held)
    recall = {name: e.rows[1][0][4] for name, e in (("rules", of_rules), ("student", of_student))}
    assert recall["rules"] < 50
    assert recall["student"] > recall["rules"] + 5, recall
