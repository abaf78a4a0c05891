"""Teachers label text: the same shards however often the work is stopped, and clear refusals."""

import json
import shutil
from pathlib import Path

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.shards import find_shards, read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.distil.annotate import annotate
from spacy_crossner.distil.annotator import JUDGEMENT, Annotator, choose_labels
from spacy_crossner.distil.inputs import as_file, find_texts, iter_texts, survey
from spacy_crossner.distil.manifest import MANIFEST, read_manifest
from spacy_crossner.distil.teachers import load_teacher
from spacy_crossner.errors import CrossnerError
from spacy_crossner.files import _HOST as HOST
from spacy_crossner.schemes import bio
from tests.pipelines import make_examples, make_nlp, train

FACTORIES = ["token_label_ner", "token_pair_ner"]
LINES = [
    "Angela Merkel visited Berlin.",
    "the president of France lives in Paris",
    "Maria Silva works at Acme Corp in Paris.",
    "the bank in the city was by the river",
    "London and Berlin and Paris",
    "Maria visited the river in Germany",
    "李明在北京大学",
]
# above the largest number that a process can have
NO_PROCESS = 2**22 + 1


@pytest.fixture(scope="module")
def teachers(tiny_encoder, tmp_path_factory) -> dict[str, Path]:
    """A trained pipeline of each kind."""
    folder = tmp_path_factory.mktemp("teachers")
    for factory in FACTORIES:
        nlp = make_nlp(tiny_encoder, **{factory: {}})
        train(nlp, make_examples(nlp), steps=80)
        nlp.to_disk(folder / factory)
    return {factory: folder / factory for factory in FACTORIES}


@pytest.fixture(scope="module")
def noisy_teacher(tiny_encoder, tmp_path_factory) -> Path:
    """A pipeline with dropout in its encoder, trained so far that it finds something."""
    settings = {"transformer_config": {"hidden_dropout_prob": 0.1}}
    nlp = make_nlp(tiny_encoder, transformer=settings, token_label_ner={})
    train(nlp, make_examples(nlp), steps=40)
    nlp.to_disk(tmp_path_factory.mktemp("noisy") / "teacher")
    return tmp_path_factory.getbasetemp() / "noisy0" / "teacher"


@pytest.fixture
def texts(tmp_path) -> Path:
    path = tmp_path / "unlabelled.txt"
    path.write_text("\n".join(LINES) + "\n\n", encoding="utf8")
    return path


def read(path: Path) -> list[Doc]:
    vocab = Vocab()
    return [doc for shard in find_shards(path) for doc in read_docs(shard, vocab)]


def read_bytes(path: Path) -> dict[str, bytes]:
    return {shard.name: shard.read_bytes() for shard in find_shards(path)}


# ---- what is written ------------------------------------------------------------------------


@pytest.mark.parametrize("factory", FACTORIES)
def test_docs_carry_what_the_teacher_says(teachers, texts, tmp_path, factory):
    manifest, survey = annotate([str(teachers[factory])], texts, tmp_path / "out", lang="en")
    assert manifest.complete
    assert survey.texts == len(LINES)
    docs = read(tmp_path / "out")
    assert [doc.text for doc in docs] == LINES
    nlp = spacy.load(teachers[factory])
    pipe = nlp.get_pipe(factory)
    for doc, plain in zip(docs, nlp.pipe(LINES), strict=True):
        view = get_view(doc)
        assert (view.kind, view.lang, view.labelled) == ("target", "en", False)
        assert (view.soft.scheme, view.soft.classes) == (pipe.scheme, pipe.classes)
        assert "sc" not in doc.spans
        assert not any("trf_data" in str(key) for key in doc.user_data)
        # of what the pipeline finds, what it is sure of; the rest of its tokens is masked
        scores = dict(
            zip(map(str, plain.spans["sc"]), plain.spans["sc"].attrs["scores"], strict=True)
        )
        sure = [(e.start, e.end, e.label_) for e in doc.ents]
        for ent in plain.ents:
            if (ent.start, ent.end, ent.label_) not in sure:
                assert scores[ent.text] < 0.9
                assert any(doc[i].ent_iob == 0 for i in range(ent.start, ent.end))
        assert {(e.start, e.end, e.label_) for e in plain.ents}.issuperset(sure)
    assert len({get_view(doc).group for doc in docs}) == len(docs)
    assert [ent.text for ent in docs[0].ents] == ["Angela Merkel", "Berlin"]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("scheme", ["bio", "relations"])
def test_students_of_both_kinds_can_learn_from_teachers_of_both_kinds(
    teachers, texts, tiny_encoder, tmp_path, factory, scheme
):
    annotate([str(teachers[factory])], texts, tmp_path / "out", scheme=scheme)
    student = "token_label_ner" if scheme == "bio" else "token_pair_ner"
    nlp = make_nlp(tiny_encoder, seed=1, **{student: {}})
    labelled = make_examples(nlp)
    targets = list(create_parallel_corpus(str(tmp_path / "out"))(nlp))
    optimizer = nlp.initialize(lambda: labelled)
    optimizer.learn_rate = 0.005
    history = []
    for _ in range(40):
        losses: dict[str, float] = {}
        # sources and targets in one batch
        nlp.update([*labelled, *targets], sgd=optimizer, losses=losses)
        history.append(losses)
    assert history[-1][f"{student}_distil"] < 0.5 * history[0][f"{student}_distil"]
    assert history[-1][student] < 0.5 * history[0][student]


def test_targets_say_what_trains(teachers, texts, tmp_path):
    teacher = [str(teachers["token_label_ner"])]
    for targets, labelled, has_soft in (
        ("soft", False, True),
        ("hard", True, False),
        ("both", True, True),
    ):
        annotate(teacher, texts, tmp_path / targets, targets=targets)
        views = [get_view(doc) for doc in read(tmp_path / targets)]
        assert {view.labelled for view in views} == {labelled}
        assert {view.soft is not None for view in views} == {has_soft}


def test_docs_keep_tokens_group_and_language_and_lose_their_labels(teachers, tmp_path):
    vocab = Vocab()
    docs = []
    for number, words in enumerate((["Angela", "Merkel", "visit", "ed", "Berlin"], ["Paris"], [])):
        doc = Doc(vocab, words=words, spaces=[True] * len(words), ents=["B-X"] * len(words))
        doc.spans["sc"] = [doc[:1]] if words else []
        if number == 0:
            set_view(doc, View("g7", "translation", "de", numpy.array([[0, 0]])))
        docs.append(doc)
    write_docs(tmp_path / "in.spacy", docs)
    out = tmp_path / "out"
    _, survey = annotate([str(teachers["token_label_ner"])], tmp_path / "in.spacy", out, lang="fr")
    assert survey.empty == 1
    first, second = read(out)
    assert [token.text for token in first] == ["Angela", "Merkel", "visit", "ed", "Berlin"]
    view = get_view(first)
    assert (view.group, view.kind, view.lang, view.links) == ("g7", "target", "de", None)
    assert get_view(second).lang == "fr"
    assert {ent.label_ for doc in (first, second) for ent in doc.ents} <= {"LOC", "ORG", "PER"}
    assert not first.spans


def test_json_lines_keep_their_tokens(teachers, tmp_path):
    records = [
        {
            "text": "Angela  Merkel",
            "tokens": [{"text": "Ange"}, {"text": "la"}, {"text": "Merkel"}],
        },
        {"text": "in Berlin.", "spans": [{"start": 3, "end": 9, "label": "X"}]},
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, records)) + "\n{broken\n", encoding="utf8")
    _, survey = annotate([str(teachers["token_label_ner"])], path, tmp_path / "out")
    docs = read(tmp_path / "out")
    assert [[token.text for token in doc] for doc in docs] == [
        ["Ange", "la", " ", "Merkel"],
        ["in", "Berlin", "."],
    ]
    assert [doc.text for doc in docs] == ["Angela  Merkel", "in Berlin."]
    ((message, count),) = survey.problems.items()
    assert count == 1
    assert "CN240" in message
    assert "line 3" in message


def test_a_folder_is_read_file_by_file(teachers, tmp_path):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_text("in Berlin\n", encoding="utf8")
    (folder / "more" / "a.txt").write_text("in Paris\n", encoding="utf8")
    (folder / "notes.md").write_text("not read\n", encoding="utf8")
    annotate([str(teachers["token_label_ner"])], folder, tmp_path / "out")
    docs = read(tmp_path / "out")
    assert [doc.text for doc in docs] == ["in Berlin", "in Paris"]
    assert len({get_view(doc).group for doc in docs}) == 2


# ---- stopping and going on ------------------------------------------------------------------


class StopError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("passes", [1, 2])
def test_stopped_work_goes_on_and_gives_the_same_shards(
    noisy_teacher, texts, tmp_path, monkeypatch, passes
):
    settings = {"shard_size": 2, "batch_size": 2, "passes": passes}
    teacher = [str(noisy_teacher)]
    annotate(teacher, texts, tmp_path / "whole", **settings)
    whole = read_bytes(tmp_path / "whole")
    assert len(whole) == 4

    out = tmp_path / "stopped"
    for stop in (1, 2):
        written = 0
        set_targets = Annotator.set_targets

        def stopping(self, *args, stop=stop, set_targets=set_targets):
            nonlocal written
            written += 1
            if written > 2 * stop - 1:
                raise StopError
            set_targets(self, *args)

        monkeypatch.setattr(Annotator, "set_targets", stopping)
        with pytest.raises(StopError):
            annotate(teacher, texts, out, **settings)
        monkeypatch.undo()
        assert not read_manifest(out).complete
    # what a killed process leaves behind
    (out / f".part-00002.spacy.tmp-{HOST}-{NO_PROCESS}-0123abcd").write_bytes(b"half")
    annotate(teacher, texts, out, **settings)
    assert read_bytes(out) == whole
    assert not list(out.glob(".*"))
    manifest = read_manifest(out)
    assert manifest == read_manifest(tmp_path / "whole")
    assert manifest.sum_up()["xx"].docs == len(LINES)


def test_finished_work_is_left_alone_and_lost_shards_are_made_anew(teachers, texts, tmp_path):
    out, teacher = tmp_path / "out", [str(teachers["token_label_ner"])]
    annotate(teacher, texts, out, shard_size=3)
    before = read_bytes(out)
    times = {path: path.stat().st_mtime_ns for path in find_shards(out)}
    for restart in (False, True):
        annotate(teacher, texts, out, shard_size=3, restart=restart)
        assert {path: path.stat().st_mtime_ns for path in find_shards(out)} == times
    (out / "part-00002.spacy").unlink()
    annotate(teacher, texts, out, shard_size=3)
    assert read_bytes(out) == before


def test_processes_change_nothing(teachers, texts, tmp_path):
    teacher = [str(teachers["token_pair_ner"])]
    annotate(teacher, texts, tmp_path / "one", batch_size=2)
    annotate(teacher, texts, tmp_path / "two", batch_size=2, n_process=2)
    assert read_bytes(tmp_path / "one") == read_bytes(tmp_path / "two")


def test_weights_that_are_taken_away_are_another_setting(teachers, texts, tmp_path):
    both = [str(teachers["token_label_ner"]), str(teachers["token_pair_ner"])]
    annotate(both, texts, tmp_path / "out", scheme="bio", weights=[2.0, 1.0])
    with pytest.raises(CrossnerError, match=r"CN505.*weights was \[2.*is now None"):
        annotate(both, texts, tmp_path / "out", scheme="bio")


def test_other_settings_need_another_folder_or_a_restart(teachers, texts, tmp_path):
    out, teacher = tmp_path / "out", [str(teachers["token_label_ner"])]
    annotate(teacher, texts, out)
    with pytest.raises(CrossnerError, match=r"CN505.*confidence was 0.9 and is now 0.8.*--restart"):
        annotate(teacher, texts, out, confidence=0.8)
    with pytest.raises(CrossnerError, match=r"CN505.*teachers"):
        annotate([str(teachers["token_pair_ner"])], texts, out, scheme="bio")
    texts.write_text("in Berlin\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN505.*texts"):
        annotate(teacher, texts, out)
    annotate(teacher, texts, out, confidence=0.8, restart=True)
    assert [doc.text for doc in read(out)] == ["in Berlin"]


# ---- several teachers -----------------------------------------------------------------------


def test_teachers_of_both_kinds_are_averaged(teachers, texts, tmp_path):
    names = [str(path) for path in teachers.values()]
    manifest, _ = annotate(names, texts, tmp_path / "out", scheme="bio")
    docs = read(tmp_path / "out")
    assert [ent.text for ent in docs[0].ents] == ["Angela Merkel", "Berlin"]
    agreement = [doc.user_data[JUDGEMENT]["agreement"] for doc in docs]
    assert agreement[0] == 1.0
    assert manifest.sum_up()["xx"].agreement == pytest.approx(sum(agreement), abs=1e-3)
    with pytest.raises(CrossnerError, match=r"CN512.*--scheme"):
        annotate(names, texts, tmp_path / "other")


def test_a_teacher_agrees_with_itself(teachers, texts, tmp_path):
    name = str(teachers["token_label_ner"])
    annotate([name], texts, tmp_path / "once")
    annotate([name, name], texts, tmp_path / "twice")
    for once, twice in zip(read(tmp_path / "once"), read(tmp_path / "twice"), strict=True):
        a, b = get_view(once).soft, get_view(twice).soft
        assert a.index.tolist() == b.index.tolist()
        assert numpy.allclose(a.probs, b.probs, atol=1e-3)
        assert twice.user_data[JUDGEMENT]["agreement"] == 1.0


def test_passes_differ_by_dropout(noisy_teacher, texts, tmp_path):
    for out, settings in (("one", {}), ("a", {"passes": 3}), ("b", {"passes": 3, "seed": 1})):
        annotate([str(noisy_teacher)], texts, tmp_path / out, **settings)
    shards = [read_bytes(tmp_path / out)["part-00001.spacy"] for out in ("one", "a", "b")]
    assert len(set(shards)) == 3
    judgements = [doc.user_data[JUDGEMENT]["agreement"] for doc in read(tmp_path / "a")]
    assert min(judgements) < 1.0


def test_passes_differ_in_several_processes_too(noisy_teacher, texts, tmp_path):
    for processes in (1, 2):
        out = tmp_path / str(processes)
        annotate([str(noisy_teacher)], texts, out, passes=3, n_process=processes)
    assert read_bytes(tmp_path / "1") == read_bytes(tmp_path / "2")


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_head_drops_too(tiny_encoder, tmp_path, factory):
    nlp = make_nlp(tiny_encoder, **{factory: {}})
    optimizer = nlp.initialize(lambda: make_examples(nlp))
    nlp.update(make_examples(nlp), drop=0.5, sgd=optimizer)
    nlp.to_disk(tmp_path / "teacher")
    teacher = load_teacher(str(tmp_path / "teacher"), dropout=True)
    # the tiny encoder itself has none
    vectors = teacher.nlp.get_pipe("transformer")(teacher.nlp.make_doc(LINES[0]))
    once, again = (teacher.ner.model.predict([vectors]).logits for _ in range(2))
    assert not numpy.allclose(once, again)


@pytest.mark.parametrize("factory", FACTORIES)
def test_bias_takes_off_the_odds_of_no_entity(teachers, texts, tmp_path, factory):
    name = [str(teachers[factory])]
    expected, tables = [], []
    for bias in (0.0, 1.0, 3.0):
        manifest, _ = annotate(name, texts, tmp_path / str(bias), bias=bias)
        assert manifest.settings["bias"] == bias
        expected.append(manifest.sum_up()["xx"].expected)
        soft = [get_view(doc).soft for doc in read(tmp_path / str(bias))]
        tables.append(
            {
                (number, *numpy.atleast_1d(place).tolist()): row.astype("float64")
                for number, one in enumerate(soft)
                for place, row in zip(one.index, one.probs, strict=True)
            }
        )
    assert expected[0] < expected[1] < expected[2]
    compared = 0
    for place, before in tables[0].items():
        after = tables[1][place]
        if factory == "token_label_ner":
            odds = before * numpy.array([1.0] + [numpy.e] * (len(before) - 1))
            wanted = odds / odds.sum()
            assert numpy.allclose(after, wanted, atol=5e-3)
        else:  # what its BIO classes say of a span; see the tests of the heads for how much
            assert (after[1:] >= before[1:] - 5e-3).all()
            assert after[0] == pytest.approx(before[0], abs=5e-3)
        compared += 1
    assert compared


@pytest.mark.parametrize("factory", FACTORIES)
def test_sharpened_targets_are_surer(teachers, texts, tmp_path, factory):
    entropies = []
    for power in (1.0, 3.0):
        out = tmp_path / str(power)
        manifest, _ = annotate([str(teachers[factory])], texts, out, bias=1.0, sharpen=power)
        assert manifest.settings["sharpen"] == power
        probs = [get_view(doc).soft.probs.astype("float64") for doc in read(out)]
        table = numpy.concatenate(probs).clip(1e-9, 1.0)
        entropies.append(-(table * numpy.log(table)).sum())
    assert entropies[1] < 0.8 * entropies[0]


def test_without_bias_that_of_calibration_counts(teachers, texts, tmp_path):
    nlp = spacy.load(teachers["token_label_ner"])
    nlp.get_pipe("token_label_ner").cfg["bias"] = 1.0
    nlp.to_disk(tmp_path / "calibrated")
    for out, model, bias in (
        ("own", tmp_path / "calibrated", None),
        ("given", teachers["token_label_ner"], 1.0),
        ("other", tmp_path / "calibrated", 0.0),
    ):
        annotate([str(model)], texts, tmp_path / out, bias=bias)
    own, given, other = (read_bytes(tmp_path / out) for out in ("own", "given", "other"))
    assert own == given != other


def test_teachers_with_other_labels(teachers, texts, tiny_encoder, tmp_path):
    names = [str(teachers["token_label_ner"])]
    for labels in (["LOC", "MISC", "PER"], ["MISC"]):
        nlp = make_nlp(tiny_encoder, token_label_ner={})
        for label in labels:
            nlp.get_pipe("token_label_ner").add_label(label)
        nlp.initialize(lambda nlp=nlp: make_examples(nlp, [("the bank", [])]))
        nlp.to_disk(tmp_path / labels[0])
        names.append(str(tmp_path / labels[0]))
    first, second, third = names
    with pytest.raises(CrossnerError, match=r"CN503.*MISC, ORG.*--labels common"):
        annotate([first, second], texts, tmp_path / "out")
    with pytest.raises(CrossnerError, match=r"CN510.*LOC, ORG, PER; MISC"):
        annotate([first, third], texts, tmp_path / "out", labels="common")
    for labels, found in (("common", ["LOC", "PER"]), ("union", ["LOC", "MISC", "ORG", "PER"])):
        manifest, _ = annotate([first, second], texts, tmp_path / labels, labels=labels)
        assert manifest.settings["labels"] == found
        soft = get_view(read(tmp_path / labels)[0]).soft
        assert soft.classes == bio.class_names(found)


def test_labels_are_reconciled():
    assert choose_labels([("PER", "LOC")], "same") == ("LOC", "PER")
    assert choose_labels([("PER", "LOC"), ("LOC", "PER")], "same") == ("LOC", "PER")
    assert choose_labels([("PER", "LOC"), ("LOC", "DATE")], "union") == ("DATE", "LOC", "PER")
    assert choose_labels([("PER", "LOC"), ("LOC", "DATE")], "common") == ("LOC",)


# ---- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "iob"}, "CN207.*'iob' is not a valid scheme.*bio"),
        ({"labels": "all"}, "CN207.*'all' is not a valid labels"),
        ({"targets": "all"}, "CN207.*targets"),
        ({"confidence": 1.5}, "CN112.*confidence is 1.5"),
        ({"passes": 0}, "CN273.*passes"),
        ({"bias": -1.0}, "CN112.*bias is -1.0"),
        ({"sharpen": 0.5}, "CN112.*sharpen is 0.5"),
        ({"batch_size": 0}, "CN273.*batch_size"),
        ({"shard_size": 0}, "CN273.*shard_size"),
    ],
)
def test_settings_are_checked_first(settings, message, texts, tmp_path):
    with pytest.raises(CrossnerError, match=message):
        annotate(["no/such/teacher"], texts, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_teachers_that_cannot_teach(texts, tiny_encoder, tmp_path):
    with pytest.raises(CrossnerError, match=r"CN611.*no/such/teacher"):
        annotate(["no/such/teacher"], texts, tmp_path / "out")
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.to_disk(tmp_path / "blank")
    with pytest.raises(CrossnerError, match=r"CN532.*sentencizer.*--labels-from"):
        annotate([str(tmp_path / "blank")], texts, tmp_path / "out")
    both = make_nlp(tiny_encoder, token_label_ner={}, token_pair_ner={})
    both.initialize(lambda: make_examples(both))
    both.to_disk(tmp_path / "both")
    with pytest.raises(CrossnerError, match=r"CN502.*token_label_ner, token_pair_ner"):
        annotate([str(tmp_path / "both")], texts, tmp_path / "out")
    steady = make_nlp(tiny_encoder, token_label_ner={})
    steady.initialize(lambda: make_examples(steady))
    steady.to_disk(tmp_path / "steady")
    with pytest.raises(CrossnerError, match=r"CN511.*--passes"):
        annotate([str(tmp_path / "steady")], texts, tmp_path / "out", passes=2)


def test_inputs_that_cannot_be_read(teachers, tmp_path):
    teacher = [str(teachers["token_label_ner"])]
    out = tmp_path / "out"
    with pytest.raises(CrossnerError, match=r"CN202.*no\.txt"):
        annotate(teacher, tmp_path / "no.txt", out)
    for name, content, message in (
        ("a.csv", b"x", r"CN506.*\.txt, \.jsonl, \.spacy"),
        ("empty.txt", b"\n \n", "CN508.*empty"),
        ("bad.jsonl", b"{}\n", 'CN508.*CN242.*line 1.*"text" is missing'),
        ("latin.txt", b"M\xfcnchen\n", "(?s)CN205.*iconv"),
        ("bad.spacy", b"x", "CN217"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CrossnerError, match=message):
            annotate(teacher, path, out)
    (tmp_path / "folder").mkdir()
    with pytest.raises(CrossnerError, match=r"CN507"):
        annotate(teacher, tmp_path / "folder", out)
    assert not out.exists()


def test_damaged_and_exchanged_shards_are_made_anew(teachers, texts, tmp_path):
    teacher, out = [str(teachers["token_label_ner"])], tmp_path / "out"
    annotate(teacher, texts, out, shard_size=2)
    whole = read_bytes(out)
    first, second = sorted(out.glob("part-*"))[:2]
    damaged = bytearray(first.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    first.write_bytes(damaged)
    annotate(teacher, texts, out, shard_size=2)
    assert read_bytes(out) == whole
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    annotate(teacher, texts, out, shard_size=2)
    assert read_bytes(out) == whole
    assert list(read_manifest(out).files) == sorted(path.name for path in out.glob("part-*"))


def test_outputs_that_hold_something_else(teachers, texts, tmp_path):
    teacher = [str(teachers["token_label_ner"])]
    with pytest.raises(CrossnerError, match=r"CN267"):
        annotate(teacher, texts, _touch(tmp_path / "file"))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "photo.jpg").write_bytes(b"x")
    (tmp_path / "precious" / ".notes.tmp").write_bytes(b"x")
    (tmp_path / "precious" / ".cache.tmpdir").mkdir()
    for restart in (False, True):
        with pytest.raises(CrossnerError, match=r"CN504.*precious contains"):
            annotate(teacher, texts, tmp_path / "precious", restart=restart)
    assert {path.name for path in (tmp_path / "precious").iterdir()} == {
        "photo.jpg",
        ".notes.tmp",
        ".cache.tmpdir",
    }
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / f".{MANIFEST}.tmp-{HOST}-{NO_PROCESS}-0123abcd").write_bytes(b"{")
    annotate(teacher, texts, tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))
    with pytest.raises(CrossnerError, match=r"CN213"):
        annotate(teacher, tmp_path, tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "de.txt").write_text("Das ist Berlin.\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN213.*lie inside"):
        annotate(teacher, tmp_path / "texts", tmp_path / "texts" / "out")
    broken = tmp_path / "broken"
    annotate(teacher, texts, broken)
    (broken / MANIFEST).write_text('{"settings": 1}', encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN509.*--restart"):
        annotate(teacher, texts, broken)
    annotate(teacher, texts, broken, restart=True)


def _touch(path: Path) -> Path:
    path.write_bytes(b"")
    return path


# ---- the command ----------------------------------------------------------------------------


def test_command(teachers, texts, tmp_path):
    label, pair = (str(teachers[factory]) for factory in FACTORIES)
    args = ["annotate", label, str(texts), str(tmp_path / "out"), "--language", "de"]
    result = CliRunner().invoke(app, [*args, "--teacher", pair, "--scheme", "relations"])
    assert result.exit_code == 0, result.output
    assert "7 texts in 1 files" in result.output.replace("\n", " ")
    assert "agreement" in result.output
    assert get_view(read(tmp_path / "out")[0]).soft.scheme == "relations"
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 1
    assert "CN505" in result.output


def test_annotated_docs_go_through_the_reader(teachers, texts, tmp_path):
    annotate([str(teachers["token_label_ner"])], texts, tmp_path / "out", shard_size=3)
    assert (tmp_path / "out" / MANIFEST).exists()
    examples = list(create_parallel_corpus(str(tmp_path / "out"))(spacy.blank("xx")))
    assert len(examples) == len(LINES)
    assert all(isinstance(example, Example) for example in examples)
    shutil.rmtree(tmp_path / "out")


def test_texts_with_lone_surrogates_are_counted():
    with as_file(["one text", "half \ud800", "another"]) as path:
        files = find_texts(path)
        found = survey(files, "en")
        assert [text.text for text in iter_texts(files, "en")] == ["one text", "another"]
    assert found.texts == 2
    ((problem, number),) = found.problems.items()
    assert number == 1
    assert "CN233" in problem
