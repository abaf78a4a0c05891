"""Translating a corpus: views, cache, what is lost and reported, resuming, the command."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import catalogue
import numpy
import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.markup import read_marked
from spacy_crossner.data.sample import make_doc as make_sample_doc
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline.gold import DISCONTINUOUS
from spacy_crossner.translate import run
from spacy_crossner.translate.cache import Cache, make_key
from spacy_crossner.translate.engines import (
    ENGINES,
    EngineSettings,
    Failure,
    Labelled,
    Mark,
    Segment,
)
from spacy_crossner.translate.run import translate
from spacy_crossner.translate.vectors import load_vectors

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"
SENTENCES = (
    ("a", "Ann Lee met Tim in Bonn .", [(0, 2, "PER"), (3, 4, "PER"), (5, 6, "LOC")]),
    ("b", "It rained .", []),
    ("c", "The bank left Bonn & <b> Rome </b> .", [(3, 4, "LOC"), (6, 7, "LOC")]),
    ("d", "No translation for Oslo", [(3, 4, "LOC")]),
)
GERMAN = {
    "Ann Lee met Tim in Bonn .": "In Bonn traf Tim Ann Lee.",
    "It rained .": "Es regnete.",
    "The bank left Bonn & <b> Rome </b> .": "Die Bank verließ Bonn & <b> ihn </b>.",
}
HEBREW = {"Ann Lee met Tim in Bonn .": "Tim פגש את Ann Lee ב Bonn."}


def make_doc(group: str, text: str, ents: list, kind: str = "source", lang: str = "en") -> Doc:
    words = text.split(" ")
    doc = Doc(Vocab(), words=words, spaces=[True] * (len(words) - 1) + [False])
    doc.set_ents([Span(doc, *ent) for ent in ents])
    set_view(doc, View(group, kind=kind, lang=lang))
    return doc


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_docs(tmp_path / "in.spacy", [make_doc(*sentence) for sentence in SENTENCES])
    return tmp_path / "in.spacy"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    rows = [{"en": en, "de": de} for en, de in GERMAN.items()]
    rows += [{"en": en, "he": he} for en, he in HEBREW.items()]
    path = tmp_path / "memory.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return EngineSettings(memory=[path])


class Reverser:
    """Translates names letter by letter and all else not at all, and counts what it is asked."""

    identity = "reverser"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def translate(self, segments):
        self.asked += [segment.text for segment in segments]
        return [
            Failure("It is too long.") if len(segment.text) > 99 else self.reverse(segment)
            for segment in segments
        ]

    def reverse(self, segment: Segment) -> Segment:
        text = segment.text
        for start, end, _ in segment.marks:
            text = text[:start] + text[start:end][::-1] + text[end:]
        return Segment(text, segment.marks)


@pytest.fixture
def reverser() -> Iterator[Reverser]:
    engine = Reverser()
    ENGINES.register("reverser")(lambda source, target, settings: engine)
    yield engine
    catalogue.REGISTRY.pop((*ENGINES.namespace, "reverser"))


def read(path: Path) -> list[Doc]:
    return list(read_docs(path, Vocab()))


def ents_of(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def run_it(corpus: Path, settings: EngineSettings | None = None, **options):
    options = {"source": "en", "targets": ["de"], "engine": "memory", **options}
    out = corpus.with_name("out.spacy")
    report = translate(corpus, out, settings=settings, **options)
    return read(out), report


class TestViews:
    def test_groups_stay_together(self, corpus, settings):
        docs, report = run_it(corpus, settings, targets=["de", "he"])
        views = [get_view(doc) for doc in docs]
        assert [(view.group, view.kind, view.lang) for view in views] == [
            ("a", "source", "en"),
            ("a", "translation", "de"),
            ("a", "translation", "he"),
            ("b", "source", "en"),
            ("b", "translation", "de"),
            ("c", "source", "en"),
            ("d", "source", "en"),
        ]
        assert report["de"].engine == "memory"
        assert report["he"].views == 1

    def test_entities_and_links(self, corpus, settings):
        docs, _ = run_it(corpus, settings, targets=["de", "he"])
        for doc in docs[1:3]:
            assert sorted(ents_of(doc)) == [("Ann Lee", "PER"), ("Bonn", "LOC"), ("Tim", "PER")]
            links = get_view(doc).links
            assert links.dtype == numpy.int32
            linked = {(docs[0][int(i)].text, doc[int(j)].text) for i, j in links}
            assert {("Ann", "Ann"), ("Tim", "Tim"), ("Bonn", "Bonn")} <= linked
        assert docs[1].text == GERMAN[docs[0].text]
        assert docs[2].text == HEBREW[docs[0].text]

    def test_doubt_is_kept_as_weight(self, corpus, settings):
        docs, _ = run_it(corpus, settings)
        assert 0.0 < get_view(docs[1]).weight < 1.0
        assert get_view(docs[3]).weight == 1.0

    def test_markup_in_the_text(self, corpus, settings):
        docs, report = run_it(corpus, settings, incomplete="keep")
        (doc,) = [doc for doc in docs if get_view(doc).kind == "translation" and "&" in doc.text]
        assert doc.text == "Die Bank verließ Bonn & <b> ihn </b>."
        assert ents_of(doc) == [("Bonn", "LOC")]
        assert report["de"].incomplete == 1

    def test_entities_that_share_a_token(self, tmp_path, reverser):
        text = "Irma Rot - Weiß met Tim ."
        ents = [(0, 2, "PER"), (3, 4, "LOC"), (5, 6, "PER")]
        write_docs(tmp_path / "in.spacy", [make_doc("a", text, ents)])
        reverser.reverse = lambda segment: Segment(
            "Irma Rot-Weiß, Tim",
            (Mark(0, 8, 0), Mark(9, 13, 1), Mark(15, 18, 2)),
        )
        docs, report = run_it(tmp_path / "in.spacy", engine="reverser")
        assert ents_of(docs[1]) == [("Irma Rot", "PER"), ("Weiß", "LOC"), ("Tim", "PER")]
        assert [token.text for token in docs[1]] == ["Irma", "Rot", "-", "Weiß", ",", "Tim"]
        assert docs[1].text == "Irma Rot-Weiß, Tim"
        assert report["de"].incomplete == 0

    @pytest.mark.parametrize(
        ("incomplete", "expected"), [("drop", []), ("unlabelled", [False]), ("keep", [True])]
    )
    def test_entity_without_a_place(self, corpus, settings, incomplete, expected):
        docs, report = run_it(corpus, settings, incomplete=incomplete)
        views = [get_view(doc) for doc in docs]
        found = [v.labelled for v in views if v.group == "c" and v.kind == "translation"]
        assert found == expected
        assert vars(report["de"].labels["LOC"]) == {
            "entities": 3,
            "projected": 2,
            "repaired": 0,
            "dropped": 1,
        }
        (example,) = report["de"].examples["dropped"]
        assert example["entity"] == "Rome"

    def test_doubtful_entities_have_no_place(self, corpus, settings):
        docs, report = run_it(corpus, settings, min_confidence=1.0)
        assert report["de"].labels["PER"].dropped == 2
        assert all(get_view(doc).group != "a" for doc in docs if get_view(doc).lang == "de")

    def test_what_the_memory_does_not_have_has_not_failed(self, corpus, settings):
        for _ in range(2):  # the second time out of the cache
            _, report = run_it(corpus, settings)
            assert (report["de"].sentences, report["de"].failed) == (4, [])
            assert report["de"].missing == [{"group": "d", "text": "No translation for Oslo"}]
        assert report["de"].reused == 3

    def test_spans_move_too(self, tmp_path, settings):
        doc = make_doc(*SENTENCES[0])
        doc.spans["sc"] = [Span(doc, 0, 2, "PER"), Span(doc, 0, 1, "PER"), Span(doc, 5, 6, "LOC")]
        write_docs(tmp_path / "in.spacy", [doc])
        docs, report = run_it(tmp_path / "in.spacy", settings)
        spans = sorted((span.text, span.label_) for span in docs[1].spans["sc"])
        assert spans == [("Ann", "PER"), ("Ann Lee", "PER"), ("Bonn", "LOC")]
        assert report["de"].labels["PER"].entities == 4

    def test_discontinuous_entities_cannot_move(self, tmp_path, settings):
        doc = make_doc(*SENTENCES[0])
        doc.spans["sc"] = list(doc.ents)
        doc.spans["sc"].attrs[DISCONTINUOUS] = [((0, 3), "PER")]
        write_docs(tmp_path / "in.spacy", [doc])
        docs, _ = run_it(tmp_path / "in.spacy", settings)
        assert not get_view(docs[1]).labelled

    def test_unlabelled_source(self, tmp_path, settings):
        doc = Doc(Vocab(), words=SENTENCES[0][1].split(" "))
        write_docs(tmp_path / "in.spacy", [doc])
        docs, report = run_it(tmp_path / "in.spacy", settings)
        assert not get_view(docs[1]).labelled
        assert not docs[1].has_annotation("ENT_IOB")
        assert get_view(docs[0]).group == get_view(docs[1]).group
        assert report["de"].labels == {}

    def test_other_docs_pass(self, tmp_path, settings):
        docs = [
            make_doc(*SENTENCES[0]),
            make_doc("a", "In Bonn", [(1, 2, "LOC")], "translation", "de"),
            make_doc("t", "Nur Text", [], "target", "de"),
        ]
        write_docs(tmp_path / "in.spacy", docs)
        found, report = run_it(tmp_path / "in.spacy", settings, targets=["de", "he"])
        # what is translated already is left as it is
        assert [get_view(doc).lang for doc in found] == ["en", "de", "he", "de"]
        assert found[1].text.strip() == "In Bonn"
        assert report["de"].sentences == 0


class TestLabelledMemory:
    def test_labels_are_taken_as_they_are(self, tmp_path):
        sentences = read_marked(SAMPLE / "en" / "train-news.txt")[:20]
        memory = {s.id: s for s in read_marked(SAMPLE / "zh" / "memory.txt")}
        docs = [make_sample_doc(sentence, "source", "en") for sentence in sentences]
        write_docs(tmp_path / "in.spacy", docs)
        settings = EngineSettings(memory=[SAMPLE])
        found, report = run_it(tmp_path / "in.spacy", settings, targets=["zh"])
        views = {get_view(doc).group: doc for doc in found if get_view(doc).lang == "zh"}
        assert len(views) > 5
        for id_, doc in views.items():
            assert doc.text == memory[id_].text
            assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == list(
                memory[id_].spans
            )
            assert get_view(doc).weight == 1.0
        assert sum(counts.repaired for counts in report["zh"].labels.values()) == 0

    def test_labels_of_another_scheme_are_not(self, tmp_path):
        (tmp_path / "en.txt").write_text("1\t[PER Ann] sang.\n", encoding="utf8")
        (tmp_path / "de.txt").write_text("1\t[PER Ann] sang.\n", encoding="utf8")
        write_docs(tmp_path / "in.spacy", [make_doc("a", "Ann sang.", [(0, 1, "PERSON")])])
        settings = EngineSettings(memory=[tmp_path / "en.txt", tmp_path / "de.txt"])
        docs, _ = run_it(tmp_path / "in.spacy", settings)
        assert ents_of(docs[1]) == [("Ann", "PERSON")]


class TestCache:
    def test_only_what_is_new_is_translated(self, corpus, reverser):
        first, report = run_it(corpus, engine="reverser")
        assert len(reverser.asked) == 4
        assert report["de"].reused == 0
        docs = [*(make_doc(*one) for one in SENTENCES), make_doc("e", "Norway .", [(0, 1, "LOC")])]
        write_docs(corpus, docs)
        second, report = run_it(corpus, engine="reverser")
        assert reverser.asked[4:] == ["Norway ."]
        assert report["de"].reused == 4
        assert len(second) == len(first) + 2

    def test_other_marks_are_another_text(self, corpus, reverser):
        run_it(corpus, engine="reverser")
        docs = [make_doc(group, text, ents[1:]) for group, text, ents in SENTENCES]
        write_docs(corpus, docs)
        run_it(corpus, engine="reverser")
        assert len(reverser.asked) == 4 + sum(bool(ents) for *_, ents in SENTENCES)

    def test_failures_are_remembered_and_reported_again(self, tmp_path, reverser):
        doc = make_doc("a", "a long text " * 10 + "ends", [])
        write_docs(tmp_path / "in.spacy", [doc, make_doc(*SENTENCES[1])])
        reports = [run_it(tmp_path / "in.spacy", engine="reverser")[1]["de"] for _ in range(2)]
        assert len(reverser.asked) == 2
        assert reports[0].failed == reports[1].failed
        assert reports[0].failed[0]["reason"] == "It is too long."
        assert list(run.describe(reports[0]))[-1].endswith("It is too long.")
        header, (row,) = run.tabulate({"de": reports[0]})
        assert dict(zip(header, row, strict=True))["translated"] == "1 of 2"

    def test_round_trip(self, tmp_path):
        cache = Cache(tmp_path / "cache")
        outcomes = {
            "1": Segment("é שלום \ud83d\ude00", (Mark(0, 1, 0),)),
            "2": Segment("", None, (Labelled(0, 1, "PER"),)),
            "3": Segment("a", ()),
            "4": Failure("why"),
            "5": Failure("It is not there.", missing=True),
        }
        cache.put({key: value for key, value in outcomes.items() if key != "1"})
        cache.put({"1": Segment("é שלום", (Mark(0, 1, 0),))})
        cache.close()
        found = Cache(tmp_path / "cache").get([*"123456", *map(str, range(10, 2000))])
        assert found == {**outcomes, "1": Segment("é שלום", (Mark(0, 1, 0),))}

    def test_changed_row_is_refused(self, tmp_path):
        cache = Cache(tmp_path / "cache")
        cache.put({"1": Segment("house"), "2": Segment("mouse")})
        cache.close()
        path = tmp_path / "cache"
        path.write_bytes(path.read_bytes().replace(b"house", b"horse"))
        cache = Cache(path)
        assert cache.get(["2"]) == {"2": Segment("mouse")}
        with pytest.raises(CrossnerError, match=r"CN406.*cache.*checksum.*delete this one"):
            cache.get(["1"])

    def test_rows_without_checksum_are_read(self, tmp_path):
        cache = Cache(tmp_path / "cache")
        cache.put({})
        row = ("1", '["old", null, null]')
        with cache._database:
            cache._database.execute("INSERT INTO translations VALUES (?, ?)", row)
        assert cache.get(["1"]) == {"1": Segment("old")}

    def test_key_tells_everything_apart(self):
        segments = [Segment("a"), Segment("a", ()), Segment("a", (Mark(0, 1, 0),)), Segment("b")]
        keys = {
            make_key(identity, source, target, segment)
            for identity in ("x", "y")
            for source, target in (("en", "de"), ("en", "es"), ("de", "en"))
            for segment in segments
        }
        assert len(keys) == 24

    def test_no_cache_file(self, corpus, settings, tmp_path):
        (tmp_path / "odd").write_text("this is no database, and long enough to show it" * 9)
        with pytest.raises(CrossnerError, match="CN406"):
            run_it(corpus, settings, cache=tmp_path / "odd")


class Killed(BaseException):
    """What ends a run at once."""


class TestResume:
    TEXTS = 40

    @pytest.fixture
    def long_corpus(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(run, "CHUNK", 4)
        docs = []
        for number in range(self.TEXTS):
            group, text, ents = SENTENCES[number % 4]
            docs.append(make_doc(f"{group}{number}", f"{text} {number // 8}", ents))
        write_docs(tmp_path / "in.spacy", docs)
        return tmp_path / "in.spacy"

    def result(self, corpus: Path, name: str) -> tuple[bytes, bytes]:
        out, report = corpus.with_name(f"{name}.spacy"), corpus.with_name(f"{name}.json")
        translate(
            corpus, out, source="en", targets=["de", "es"], engine="reverser", report_path=report
        )
        return out.read_bytes(), report.read_bytes()

    @pytest.mark.parametrize("step", [*range(1, 20, 3), 21, 33, 47])
    def test_wherever_a_run_ends(self, long_corpus, reverser, monkeypatch, step):
        whole = self.result(long_corpus, "whole")
        asked = len(reverser.asked)
        steps = iter(range(step))

        def stumble(function):
            def wrapped(*args, **kwargs):
                if next(steps, None) is None:
                    raise Killed
                return function(*args, **kwargs)

            return wrapped

        reverser.asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(reverser, "translate", stumble(reverser.translate))
            patch.setattr(run, "make_translation", stumble(run.make_translation))
            with pytest.raises(Killed):
                self.result(long_corpus, "again")
        assert not long_corpus.with_name("again.spacy").exists()
        assert self.result(long_corpus, "again") == whole
        # nothing is translated twice
        assert len(reverser.asked) == asked

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the system can't fork")
    def test_process_that_is_killed(self, long_corpus, reverser, monkeypatch):
        whole = self.result(long_corpus, "whole")
        reverser.asked.clear()
        pid = os.fork()
        if pid == 0:
            try:
                known = reverser.translate

                def die(segments):
                    if len(reverser.asked) > 30:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return known(segments)

                reverser.translate = die
                self.result(long_corpus, "again")
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert self.result(long_corpus, "again") == whole
        assert 0 < len(reverser.asked) < self.TEXTS


class TestMistakes:
    def test_language_of_the_corpus(self, corpus, reverser):
        with pytest.raises(CrossnerError, match=r"CN404.*'en'.*'fr'"):
            run_it(corpus, source="fr", engine="reverser")

    def test_nothing_to_translate(self, tmp_path, settings):
        write_docs(tmp_path / "in.spacy", [make_doc("t", "Nur Text", [], "target", "de")])
        with pytest.raises(CrossnerError, match="CN405"):
            run_it(tmp_path / "in.spacy", settings)

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"min_confidence": 1.5}, "CN407"),
            ({"incomplete": "maybe"}, "CN207"),
            ({"report_path": Path(__file__) / "report.json"}, "CN212"),
            ({"targets": ["en"]}, "CN402"),
            ({"engine": "apertium", "targets": ["tlh"]}, "CN41[01]"),
            ({"encoder": "no/such/encoder"}, "CN020"),
        ],
    )
    def test_settings(self, corpus, settings, options, code):
        with pytest.raises(CrossnerError, match=code):
            run_it(corpus, settings, **options)

    def test_output_over_input(self, corpus, settings):
        with pytest.raises(CrossnerError, match="CN213"):
            translate(corpus, corpus, source="en", targets=["de"], settings=settings)


def test_labels_in_a_span_group_alone(corpus, settings):
    docs = read(corpus)
    for doc in docs:
        spans = [Span(doc, ent.start, ent.end, label=ent.label) for ent in doc.ents]
        doc.set_ents([], default="missing")
        doc.spans["sc"] = spans
    flat = [view for view in run_it(corpus, settings)[0] if get_view(view).kind == "translation"]
    write_docs(corpus, docs)
    nested = [view for view in run_it(corpus, settings)[0] if get_view(view).kind == "translation"]
    assert any(view.ents for view in flat)
    for one, other in zip(flat, nested, strict=True):
        assert get_view(one).labelled == get_view(other).labelled
        assert not other.has_annotation("ENT_IOB")
        assert sorted((s.text, s.label_) for s in other.spans["sc"]) == sorted(ents_of(one))


def test_encoder_gives_a_vector_to_each_token(tiny_encoder):
    docs = [make_doc(*sentence) for sentence in SENTENCES]
    vectors = load_vectors(str(tiny_encoder))(docs)
    assert [one.shape for one in vectors] == [(len(doc), 32) for doc in docs]
    alone = load_vectors(str(tiny_encoder))(docs[1:2])
    assert numpy.allclose(vectors[1], alone[0], atol=1e-5)


def test_encoder_has_nothing_to_align(corpus, tmp_path, tiny_encoder):
    (tmp_path / "memory.tsv").write_text("en\tde\nWho?\tWer?\n", encoding="utf8")
    settings = EngineSettings(memory=[tmp_path / "memory.tsv"])
    docs, report = run_it(corpus, settings, encoder=str(tiny_encoder))
    assert len(report["de"].missing) == report["de"].sentences == len(docs) > 0


def test_encoder_takes_part(corpus, settings, tiny_encoder):
    docs, report = run_it(corpus, settings, encoder=str(tiny_encoder))
    again, _ = run_it(corpus, settings, encoder=str(tiny_encoder))
    assert report["de"].sentences == 4
    assert [ents_of(doc) for doc in docs] == [ents_of(doc) for doc in again]


@pytest.mark.system
@pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
def test_apertium_command(tmp_path):
    docs = [
        make_doc("a", "Angela Merkel visited Berlin in May .", [(0, 2, "PER"), (3, 4, "LOC")]),
        make_doc("b", "The Bank of Scotland and R & D < Ltd lost money .", [(1, 4, "ORG")]),
    ]
    write_docs(tmp_path / "in.spacy", docs)
    arguments = ["translate", str(tmp_path / "in.spacy"), str(tmp_path / "out.spacy")]
    report = tmp_path / "report.json"
    result = CliRunner().invoke(
        app, [*arguments, "--from", "en", "--to", "es", "--report", str(report)]
    )
    if "CN403" in result.output:
        pytest.skip("apertium-eng-spa is not installed")
    assert result.exit_code == 0, result.output
    assert ["es", "apertium", "2", "of", "2"] in [
        line.split()[:5] for line in result.output.split("\n")
    ]
    found = read(tmp_path / "out.spacy")
    assert ents_of(found[1]) == [("Angela Merkel", "PER"), ("Berlín", "LOC")]
    assert ents_of(found[3]) == [("Banco de Escocia", "ORG")]
    assert "& D <" in found[3].text
    written = json.loads(report.read_text())
    assert written["es"]["labels"]["PER"]["projected"] == 1
    assert "reused" not in written["es"]


def test_command_says_what_is_left_out(corpus, settings, tmp_path):
    arguments = [
        "translate",
        str(corpus),
        str(tmp_path / "out.spacy"),
        "--from",
        "en",
        "--to",
        "de",
    ]
    result = CliRunner().invoke(app, [*arguments, "--memory", str(settings.memory[0])])
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "de memory 3 of 4" in output
    assert "1 of 4 sentences are not in the memory; they train without a translation" in output
    assert "Oslo" not in output
    assert "dropped: 'Rome'" in output
    result = CliRunner().invoke(app, [*arguments, "--engine", "babelfish"])
    assert result.exit_code == 1
    assert "CN401" in result.output
