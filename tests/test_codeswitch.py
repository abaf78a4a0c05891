"""Code-switching: what is replaced, what must not change, the command and the augmenter."""

import os
import random
import subprocess
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

import numpy
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.languages import find_tokenizer
from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.lexicon.build import make_lexicon
from spacy_crossner.lexicon.codeswitch import (
    Report,
    codeswitch,
    codeswitch_docs,
    create_codeswitch_augmenter,
    make_view,
    parse_lexicons,
    read_sentence,
)
from spacy_crossner.lexicon.lexicon import Lexicon, Row, write_lexicon
from spacy_crossner.lexicon.switch import (
    Sentence,
    Switcher,
    find_pieces,
    is_word,
    switch_sentence,
)

VOCAB = Vocab()
OPTIONAL_DATA = Path(__file__).parent.parent / "assets" / "optional"

GERMAN = {
    "the": "die",
    "bank": "Geldhaus",
    "president": "Präsident",
    "visit": "besuchen",
    "of course": "natürlich",
    "internet": "Internet",
    "cheese cake": "Käsekuchen",
    "sick": "nicht ganz gesund",
    "I": "ich",
    "don't": "nicht",
    "do": "tun",
    "York": "Yorck",
    "New York": "Neu York",
    "United States": "Vereinigte Staaten",
    "may": "dürfen",
    "May": "Mai",
}
SPANISH = {"the": "el", "bank": "banco", "president": "presidente", "visit": "visitar"}
CHINESE = {"the": "这", "bank": "银行", "of course": "当 然", "president": "总统"}
TURKISH = {"work": "iş", "bank": "banka"}
HEBREW = {"bank": "בנק", "the": "ה", "president": "נשיא", "of course": "כמובן מאליו"}
LEXICONS = {"de": GERMAN, "es": SPANISH, "zh": CHINESE, "tr": TURKISH, "he": HEBREW}


def make_switcher(lang: str = "de", source: str = "en") -> Switcher:
    rows = [Row(word, "", text, 1.0) for word, text in LEXICONS[lang].items()]
    return Switcher(Lexicon(source, lang, rows))


@pytest.fixture(scope="module")
def switchers() -> dict[str, Switcher]:
    return {lang: make_switcher(lang) for lang in LEXICONS}


def write_lexicons(folder: Path, *langs: str) -> dict[str, Path]:
    paths = {}
    for lang in langs:
        paths[lang] = folder / f"en-{lang}.tsv"
        rows = [Row(word, "", text, 1.0) for word, text in LEXICONS[lang].items()]
        write_lexicon(paths[lang], Lexicon("en", lang, rows))
    return paths


def make_doc(text: str, *ents: tuple[int, int, str], view: bool = True) -> Doc:
    """Make a doc of tokens: those that begin with "_" follow without a space."""
    tokens = text.split(" ")
    spaces = [not after.startswith("_") for after in [*tokens[1:], "_"]]
    doc = Doc(VOCAB, words=[token.lstrip("_") for token in tokens], spaces=spaces)
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in ents])
    if view:
        set_view(doc, View("group-1", lang="en"))
    return doc


def switch(
    doc: Doc, *languages: Switcher, ratio: float = 1.0, seed: int = 0, entities: bool = False
) -> Doc | None:
    sentence = read_sentence(doc)
    switched = switch_sentence(
        sentence, languages, random.Random(seed), ratio=ratio, switch_entities=entities
    )
    if switched is None:
        return None
    return make_view(doc, get_view(doc), sentence, switched)


def links_of(doc: Doc) -> list[tuple[int, int]]:
    return [(int(old), int(new)) for old, new in get_view(doc).links]


class TestWords:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("The bank _, the president _.", "Die Geldhaus, die Präsident."),
            ("THE BANK", "DIE GELDHAUS"),
            ("banks visited the Bank", "Geldhaus besuchen die Geldhaus"),
            ("Of course _!", "Natürlich!"),
            ("well _, of course", "well, natürlich"),
            ("the cheese cakes", "die Käsekuchen"),
            ("I and I", "Ich and ich"),
            ("I _'m sick _.", "I'm nicht ganz gesund."),
            ("I do _n't", "Ich nicht"),
            ("they ca _n't do", "they can't tun"),
            ("the bank _'s bank", "die Geldhaus's Geldhaus"),
            ("in May I may", "in Mai ich dürfen"),
            ("May I", "Dürfen ich"),
            ("pro _- bank", "pro- Geldhaus"),
        ],
    )
    def test_text(self, switchers, text, expected):
        assert switch(make_doc(text), switchers["de"]).text == expected

    @pytest.mark.parametrize("text", ["xyz 12 _!", "internet", "web _bank", "bank _robber", "..."])
    def test_nothing_to_replace(self, switchers, text):
        assert switch(make_doc(text), switchers["de"]) is None

    def test_line_break_inside_of_a_phrase_stays(self, switchers):
        doc = Doc(Vocab(), words=["of", "\n", "course"], spaces=[True, False, True])
        set_view(doc, View("group-1", lang="en"))
        assert switch(doc, switchers["de"]) is None

    def test_chinese_has_no_spaces_and_the_tokens_of_pipelines(self, switchers):
        doc = switch(make_doc("Of course _, the banks _."), switchers["zh"])
        assert doc.text == "当然, 这 银行."
        # with a segmenter, these are words; without one, characters
        pieces = {"当然": (0, 1), ",": (2,), "这": (3,), "银行": (4,), ".": (5,)}
        expected = [
            (t.text, pieces[piece]) for piece in pieces for t in find_tokenizer("zh")(piece)
        ]
        assert [token.text for token in doc] == [word for word, _ in expected]
        links = sorted((i, j) for j, (_, source) in enumerate(expected) for i in source)
        assert links_of(doc) == links

    def test_right_to_left_text_stays_in_reading_order(self, switchers):
        doc = switch(make_doc("the president _, of course"), switchers["he"])
        assert [token.text for token in doc] == ["ה", "נשיא", ",", "כמובן", "מאליו"]
        assert doc.text == "ה נשיא, כמובן מאליו"

    def test_turkish_capitals(self, switchers):
        assert switch(make_doc("WORK"), switchers["tr"]).text == "İŞ"
        assert switch(make_doc("Work"), switchers["tr"]).text == "İş"

    def test_source_without_spaces(self):
        switcher = Switcher(Lexicon("zh", "en", [Row("银行", "", "bank", 1.0)]))
        doc = make_doc("在 _银 _行 _工 _作")
        assert switch(doc, switcher).text == "在bank工作"

    def test_part_of_speech_decides(self):
        rows = [Row("visit", "NOUN", "Besuch", 2.0), Row("visit", "VERB", "besuchen", 1.0)]
        switcher = Switcher(Lexicon("en", "de", rows))
        doc = make_doc("visit a visit")
        assert switch(doc, switcher).text == "Besuch a Besuch"
        doc[0].pos_ = "VERB"
        assert switch(doc, switcher).text == "besuchen a Besuch"


class TestEntities:
    def test_stay_unless_asked(self, switchers):
        doc = make_doc("the New York bank", (1, 3, "LOC"))
        view = switch(doc, switchers["de"])
        assert view.text == "die New York Geldhaus"
        assert [(ent.text, ent.label_) for ent in view.ents] == [("New York", "LOC")]
        view = switch(doc, switchers["de"], entities=True)
        assert view.text == "die Neu York Geldhaus"
        assert [(ent.text, ent.label_) for ent in view.ents] == [("Neu York", "LOC")]

    def test_grow_and_shrink(self, switchers):
        doc = make_doc("United States bank", (0, 2, "LOC"))
        view = switch(doc, switchers["de"], entities=True)
        assert [ent.text for ent in view.ents] == ["Vereinigte Staaten"]
        switcher = Switcher(Lexicon("en", "de", [Row("United States", "", "USA", 1.0)]))
        view = switch(doc, switcher, entities=True)
        assert [(ent.text, ent.start, ent.end) for ent in view.ents] == [("USA", 0, 1)]
        assert links_of(view) == [(0, 0), (1, 0), (2, 1)]

    def test_only_whole_and_as_spelt(self, switchers):
        for doc in (make_doc("York Street", (0, 2, "LOC")), make_doc("Bank", (0, 1, "ORG"))):
            assert switch(doc, switchers["de"], entities=True) is None

    def test_only_if_one_translation_dominates(self):
        rows = [Row("Jordan", "", "Jordanien", 2.0), Row("Jordan", "", "Jordan", 1.0)]
        switcher = Switcher(Lexicon("en", "de", rows))
        assert switch(make_doc("Jordan", (0, 1, "LOC")), switcher, entities=True) is None

    @pytest.mark.parametrize("span", [(0, 2), (1, 2), (2, 4)])
    def test_no_phrase_crosses_an_edge(self, switchers, span):
        doc = make_doc("the cheese cake bank", (*span, "MISC"))
        view = switch(doc, switchers["de"])
        assert "Käsekuchen" not in view.text
        assert [ent.text for ent in view.ents] == [ent.text for ent in doc.ents]

    def test_nested_spans_move(self, switchers):
        doc = make_doc("sick president of New York bank", (3, 5, "LOC"))
        doc.spans["sc"] = [
            Span(doc, 3, 5, label="LOC", span_id="Q60"),
            Span(doc, 3, 6, label="ORG"),
        ]
        view = switch(doc, switchers["de"], entities=True)
        assert view.text == "nicht ganz gesund Präsident of Neu York bank"
        found = [(span.text, span.label_, span.id_) for span in view.spans["sc"]]
        assert found == [("Neu York", "LOC", "Q60"), ("Neu York bank", "ORG", "")]

    def test_entities_with_gaps_make_no_labelled_copies(self, switchers):
        doc = make_doc("sick president of New York bank", (3, 5, "LOC"))
        doc.spans["sc"] = []
        assert get_view(switch(doc, switchers["de"])).labelled
        doc.spans["sc"].attrs["discontinuous"] = [[[0, 5], "ORG"]]
        assert not get_view(switch(doc, switchers["de"])).labelled

    def test_missing_annotation_stays_missing(self, switchers):
        doc = make_doc("the bank the bank")
        doc.set_ents([], missing=[doc[1:2]], default="outside")
        view = switch(doc, switchers["de"])
        assert view.text == "die bank die Geldhaus"
        assert [token.ent_iob_ for token in view] == ["O", "", "O", "O"]

    def test_unannotated_doc_stays_unannotated(self, switchers):
        doc = Doc(Vocab(), words=["the", "bank"])
        set_view(doc, View("group-1", lang="en"))
        view = switch(doc, switchers["de"])
        assert view.text.strip() == "die Geldhaus"
        assert not view.has_annotation("ENT_IOB")


class TestView:
    def test_of_the_same_group(self, switchers):
        doc = make_doc("the sick bank")
        set_view(doc, View("group-7", lang="en", weight=0.5))
        view = get_view(switch(doc, switchers["de"]))
        assert (view.group, view.kind, view.lang) == ("group-7", "codeswitch", "de")
        assert view.labelled
        assert view.weight == 0.5
        assert view.links.dtype == numpy.int32
        assert view.links.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3], [2, 4]]

    def test_main_language_is_that_of_most_words(self, switchers):
        doc = make_doc("cheese cake internet work")
        view = switch(doc, switchers["tr"], switchers["de"])
        assert view.text == "Käsekuchen internet iş"
        assert get_view(view).lang == "de"

    def test_unknown_spaces_stay_unknown(self, switchers):
        doc = Doc(Vocab(), words=["the", "bank"])
        set_view(doc, View("group-1", lang="en"))
        assert doc.has_unknown_spaces
        assert switch(doc, switchers["de"]).has_unknown_spaces


TOKENS = ["the", "Bank", "cheese", "cake", "of", "course", "sick", "I", "x", ",", "."]


@st.composite
def sentences(draw) -> Sentence:
    words = draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=12))
    spaces = draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    cuts = st.integers(0, len(words))
    pairs = draw(st.lists(st.tuples(cuts, cuts), max_size=3))
    marks = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    return Sentence(words, spaces, marks=marks)


class TestAnySentence:
    """Whatever the sentence, its labels and links hold."""

    @given(sentences(), st.floats(0.1, 1.0), st.integers(0, 9), st.booleans())
    def test_labels_and_links(self, switchers, sentence, ratio, seed, entities):
        languages = [switchers["de"], switchers["zh"]]
        switched = switch_sentence(
            sentence, languages, random.Random(seed), ratio=ratio, switch_entities=entities
        )
        if switched is None:
            return
        words, spaces, starts, links, lang, replaced = switched
        n = len(sentence.words)
        assert lang in ("de", "zh")
        assert len(words) == len(spaces) == starts[-1]
        assert replaced <= sentence.count_open_words()
        # every token has a link, and links never cross
        assert {old for old, _ in links} == set(range(n))
        assert {new for _, new in links} == set(range(len(words)))
        assert links == sorted(links)
        assert all(starts[old] <= new for old, new in links)
        for start, end in sentence.marks:
            # an entity's tokens are linked to its new tokens, and to no others
            inside = {new for old, new in links if start <= old < end}
            assert inside == set(range(starts[start], starts[end]))
            if not entities:
                assert words[starts[start] : starts[end]] == sentence.words[start:end]
        for old, word in enumerate(sentence.words):
            # punctuation stays, and what follows a token follows what stands for it
            if not is_word(word):
                assert words[starts[old]] == word
            last = max(new for i, new in links if i == old)
            if old == max(i for i, new in links if new == last):
                assert spaces[last] == sentence.spaces[old]

    @given(sentences(), st.integers(0, 9))
    def test_pieces_do_not_overlap(self, switchers, sentence, seed):
        pieces = find_pieces(sentence, [switchers["de"]], random.Random(seed), switch_entities=True)
        ends = [0, *(piece.end for piece in pieces)]
        assert all(piece.start >= end for piece, end in zip(pieces, ends, strict=False))
        edges = {edge for mark in sentence.marks for edge in mark}
        assert not any(edges & set(range(p.start + 1, p.end)) for p in pieces)

    @pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
    def test_ratio_holds_on_average(self, switchers, ratio):
        sentence = Sentence(["the", "bank", "x"], [True] * 3)
        languages, rng = [switchers["de"]], random.Random(0)
        found = [switch_sentence(sentence, languages, rng, ratio=ratio) for _ in range(2000)]
        replaced = sum(switched.replaced for switched in found if switched)
        # only two of the three words can be replaced
        assert replaced / 6000 == pytest.approx(min(ratio, 2 / 3), abs=0.04)


def make_corpus(path: Path, count: int = 20) -> Path:
    docs = []
    for i in range(count):
        doc = make_doc(f"the bank may visit president Number {i} of New York _.", (8, 10, "LOC"))
        set_view(doc, View(f"text-{i}", lang="en"))
        docs.append(doc)
    write_docs(path, docs)
    return path


def texts_of(path: Path) -> list[str]:
    return [doc.text for doc in read_docs(path, Vocab())]


KILL_AND_RESTART = """
import os, signal, sys, time
from pathlib import Path
from spacy_crossner.lexicon.codeswitch import codeswitch, parse_lexicons

path, out, *lexicons = sys.argv[1:]
child = os.fork()
if child:
    time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not Path(out).exists()
codeswitch(Path(path), Path(out), parse_lexicons(lexicons), mix="token")
"""


class TestWriter:
    def test_copies_follow_their_source(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy")
        out = tmp_path / "out.spacy"
        report = codeswitch(path, out, write_lexicons(tmp_path, "de"), copies=2)
        views = [get_view(doc) for doc in read_docs(out, Vocab())]
        groups = [view.group for view in views]
        assert groups == sorted(groups, key=lambda group: int(group.split("-")[1]))
        assert [view.kind for view in views[:3]] == ["source", "codeswitch", "codeswitch"]
        assert (report.sentences, report.views) == (20, 40)
        assert 0.4 < report.replaced / report.words <= 0.55
        # the reader of the training data takes them as groups
        examples = list(create_parallel_corpus(out)(spacy.blank("xx")))
        assert len(examples) == 60
        assert all(example.predicted.text == example.reference.text for example in examples)

    def test_same_seed_same_bytes(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy")
        lexicons = write_lexicons(tmp_path, "de", "es")
        outs = [tmp_path / f"{i}.spacy" for i in range(3)]
        for out, seed in zip(outs, [1, 1, 2], strict=True):
            codeswitch(path, out, lexicons, mix="token", seed=seed)
        assert outs[0].read_bytes() == outs[1].read_bytes()
        assert texts_of(outs[0]) != texts_of(outs[2])

    def test_sentence_alone_comes_out_the_same(self, tmp_path):
        docs = list(read_docs(make_corpus(tmp_path / "in.spacy"), Vocab()))
        found = [
            {doc.text for doc in codeswitch_docs(some, [make_switcher()], Report(), seed=3)}
            for some in (docs, docs[7:8])
        ]
        assert found[1] < found[0]

    @pytest.mark.parametrize(
        ("mix", "count"), [("single", {"de": 20, "es": 20}), ("sentence", None), ("token", None)]
    )
    def test_mixes(self, tmp_path, mix, count):
        path = make_corpus(tmp_path / "in.spacy")
        out = tmp_path / "out.spacy"
        lexicons = write_lexicons(tmp_path, "de", "es")
        report = codeswitch(path, out, lexicons, mix=mix, ratio=1.0)
        assert report.langs == count if count else set(report.langs) == {"de", "es"}
        german, spanish = {"die", "bank", "präsident"}, {"el", "banco", "presidente"}
        for doc in read_docs(out, Vocab()):
            words = {token.text.lower() for token in doc}
            if get_view(doc).kind == "codeswitch" and mix != "token":
                assert not (words & {"die", "präsident"} and words & spanish)
        if mix == "token":
            found = [{token.text.lower() for token in doc} for doc in read_docs(out, Vocab())]
            assert any(words & german and words & spanish for words in found)

    def test_views_only_and_unlabelled(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy")
        out = tmp_path / "out.spacy"
        codeswitch(path, out, write_lexicons(tmp_path, "de"), views_only=True, labelled=False)
        docs = list(read_docs(out, Vocab()))
        assert {get_view(doc).kind for doc in docs} == {"codeswitch"}
        assert not any(get_view(doc).labelled for doc in docs)
        assert all(doc.ents for doc in docs)

    def test_other_views_are_passed_on(self, switchers):
        docs = [make_doc("the bank"), make_doc("die Bank")]
        set_view(docs[1], View("group-1", kind="translation", lang="de"))
        found = codeswitch_docs(docs, [switchers["es"]], Report(), ratio=1.0)
        kinds = [get_view(doc).kind for doc in found]
        assert kinds == ["source", "codeswitch", "translation"]

    def test_docs_without_a_view_get_one(self, switchers):
        docs = [make_doc(text, view=False) for text in ("the bank", "the president")]
        views = [get_view(d) for d in codeswitch_docs(docs, [switchers["de"]], Report(), ratio=1.0)]
        assert [view.kind for view in views] == ["source", "codeswitch"] * 2
        assert len({view.group for view in views}) == 2
        assert views[0].lang == "en"

    def test_failures_write_nothing(self, tmp_path):
        lexicons = write_lexicons(tmp_path, "de")
        out = tmp_path / "out.spacy"
        path = tmp_path / "in.spacy"
        write_docs(path, [make_doc("xyz abc")])
        with pytest.raises(CrossnerError, match=r"CN463.*1 source sentences"):
            codeswitch(path, out, lexicons)
        doc = make_doc("die Bank")
        set_view(doc, View("group-9", lang="de"))
        write_docs(path, [doc])
        with pytest.raises(CrossnerError, match=r"CN461.*'group-9' is in de"):
            codeswitch(path, out, lexicons)
        assert not out.exists()
        assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]

    def test_refused_settings(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy", count=1)
        lexicons = write_lexicons(tmp_path, "de")
        out = tmp_path / "out.spacy"
        for settings, code in [
            ({"ratio": 0.0}, "CN462"),
            ({"ratio": 1.5}, "CN462"),
            ({"mix": "word"}, "CN207"),
        ]:
            with pytest.raises(CrossnerError, match=code):
                codeswitch(path, out, lexicons, **settings)
        with pytest.raises(CrossnerError, match="CN460"):
            codeswitch(path, out, {})
        with pytest.raises(CrossnerError, match="CN213"):
            codeswitch(path, path, lexicons)
        with pytest.raises(CrossnerError, match=r"CN212.*in\.spacy"):
            codeswitch(path, path / "out.spacy", lexicons)
        with pytest.raises(CrossnerError, match=r"CN453.*is for en-de, but en-es"):
            codeswitch(path, out, {"es": lexicons["de"]})

    @pytest.mark.parametrize("value", ["de", "=x.tsv", "de="])
    def test_lexicon_settings(self, value):
        assert parse_lexicons(["de=a=b.tsv"]) == {"de": Path("a=b.tsv")}
        with pytest.raises(CrossnerError, match="CN465"):
            parse_lexicons([value])

    def test_command(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy")
        lexicons = write_lexicons(tmp_path, "de", "es")
        out = tmp_path / "out.spacy"
        arguments = [f"--lexicon={lang}={file}" for lang, file in lexicons.items()]
        result = CliRunner().invoke(app, ["codeswitch", str(path), str(out), *arguments])
        assert result.exit_code == 0, result.output
        output = " ".join(result.output.split())
        assert "20 sentences, 20 code-switched views" in output
        assert "50.0% of 140 words" in output
        result = CliRunner().invoke(app, ["codeswitch", str(path), str(out), "--lexicon=de"])
        assert result.exit_code == 1
        assert "CN465" in result.output

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_killed_and_restarted(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy", count=600)
        lexicons = write_lexicons(tmp_path, "de", "es")
        out, expected = tmp_path / "out.spacy", tmp_path / "expected.spacy"
        values = [f"{lang}={file}" for lang, file in lexicons.items()]
        subprocess.run(
            [sys.executable, "-c", KILL_AND_RESTART, str(path), str(out), *values],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "1"},  # another one than here
        )
        codeswitch(path, expected, lexicons, mix="token")
        assert out.read_bytes() == expected.read_bytes()


class TestAugmenter:
    def make(self, folder: Path, *langs: str, **settings):
        lexicons = {lang: str(path) for lang, path in write_lexicons(folder, *langs).items()}
        return create_codeswitch_augmenter(lexicons, **settings)

    def run(self, augmenter, docs: list[Doc]) -> list[Example]:
        nlp = spacy.blank("en")
        examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
        return [new for example in examples for new in augmenter(nlp, example)]

    def docs(self) -> list[Doc]:
        return [
            make_doc(f"the bank may visit president number {i} _.", (5, 7, "MISC"), view=False)
            for i in range(10)
        ]

    def test_mixes_anew_in_each_epoch_and_alike_in_each_run(self, tmp_path):
        runs = []
        for _ in range(2):
            augmenter = self.make(tmp_path, "de", "es")
            runs.append(
                [[eg.reference.text for eg in self.run(augmenter, self.docs())] for _ in range(2)]
            )
        assert runs[0] == runs[1]
        assert runs[0][0] != runs[0][1]

    def test_order_makes_no_difference(self, tmp_path):
        one = self.run(self.make(tmp_path, "de"), self.docs())
        two = self.run(self.make(tmp_path, "de"), self.docs()[::-1])
        assert {eg.reference.text for eg in one} == {eg.reference.text for eg in two}

    def test_views_share_a_group(self, tmp_path):
        source, copy = self.run(self.make(tmp_path, "de", labelled=False), self.docs()[:1])
        views = [get_view(doc) for eg in (source, copy) for doc in (eg.reference, eg.predicted)]
        assert [view.kind for view in views] == ["source"] * 2 + ["codeswitch"] * 2
        assert len({view.group for view in views}) == 1
        assert [view.labelled for view in views] == [True, True, False, False]
        assert copy.predicted.text == copy.reference.text
        assert not copy.predicted.ents
        assert [ent.text for ent in copy.reference.ents] == ["number 0"]

    def test_probability(self, tmp_path):
        assert len(self.run(self.make(tmp_path, "de", probability=0.0), self.docs())) == 10
        count = len(self.run(self.make(tmp_path, "de", probability=0.5), self.docs() * 10))
        assert 125 < count < 175

    def test_only_sources_are_switched(self, tmp_path):
        doc = make_doc("the bank")
        for kind in ("target", "translation", "codeswitch"):
            set_view(doc, View("group-1", kind=kind, lang="de"))
            assert len(self.run(self.make(tmp_path, "de"), [doc])) == 1

    def test_refused_settings(self, tmp_path):
        with pytest.raises(CrossnerError, match="CN464"):
            self.make(tmp_path, "de", mix="single")
        with pytest.raises(CrossnerError, match="CN462"):
            self.make(tmp_path, "de", ratio=2.0)
        with pytest.raises(CrossnerError, match=r"CN112.*probability is -1"):
            self.make(tmp_path, "de", probability=-1.0)

    def test_from_a_config(self, tmp_path):
        path = make_corpus(tmp_path / "in.spacy")
        config = {
            "@augmenters": "spacy-crossner.codeswitch_augmenter.v1",
            "lexicons": {k: str(v) for k, v in write_lexicons(tmp_path, "de").items()},
            "ratio": 0.5,
        }
        augmenter = spacy.registry.resolve({"augmenter": config})["augmenter"]
        examples = list(Corpus(path, augmenter=augmenter)(spacy.blank("en")))
        kinds = Counter(get_view(example.reference).kind for example in examples)
        assert kinds == {"source": 20, "codeswitch": 20}

    def test_entry_point(self):
        (point,) = [
            point
            for point in entry_points(group="spacy_augmenters")
            if point.name == "spacy-crossner.codeswitch_augmenter.v1"
        ]
        assert point.load() is create_codeswitch_augmenter


@pytest.mark.data
@pytest.mark.parametrize("lang", ["de", "es", "pt"])
def test_real_sentences(tmp_path, lang):
    wiktionary = OPTIONAL_DATA / "wiktionary" / f"en-{lang}-enwiktionary.txt"
    corpus = OPTIONAL_DATA / "uner" / "en_ewt-ud-dev.iob2"
    if not wiktionary.exists() or not corpus.exists():
        pytest.skip("needs the optional data sets uner and wiktionary")
    from spacy_crossner.data.convert import convert

    convert([corpus], tmp_path / "in.spacy", lang="en")
    lexicon = tmp_path / "lexicon.tsv"
    make_lexicon(lexicon, "en", lang, wiktionary=[wiktionary])
    report = codeswitch(tmp_path / "in.spacy", tmp_path / "out.spacy", {lang: lexicon}, ratio=0.5)
    assert report.replaced / report.words > 0.4
