"""Translation engines: which one is taken, what each translates, and what is said when it can't."""

import shutil
from itertools import permutations
from pathlib import Path

import catalogue
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_crossner.data.languages import find_codes, main_code
from spacy_crossner.errors import CrossnerError
from spacy_crossner.lexicon.lexicon import Lexicon, Row, write_lexicon
from spacy_crossner.translate.engine_apertium import (
    ApertiumEngine,
    find_route,
    from_html,
    hash_modes,
    make_apertium,
    run_apertium,
    to_html,
)
from spacy_crossner.translate.engine_lexicon import LexiconEngine
from spacy_crossner.translate.engine_memory import read_rows
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Labelled,
    Mark,
    Segment,
    make_engine,
)

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"


def mark(text: str, *names: str) -> Segment:
    """Make a segment whose entities are the given names, in their order in the text."""
    marks = []
    for index, name in enumerate(names):
        start = text.index(name, marks[-1].end if marks else 0)
        marks.append(Mark(start, start + len(name), index))
    return Segment(text, tuple(marks))


def marked(segment: Segment) -> list[tuple[int, str]]:
    """List the entities and the texts of their pieces."""
    return [(one.entity, segment.text[one.start : one.end]) for one in segment.marks]


def write_table(path: Path, *rows: tuple[str, ...]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf8")
    return path


def write_small_lexicon(path: Path, lang: str = "de", **words: str) -> Path:
    rows = [Row(word, "", text, 1.0) for word, text in words.items()]
    write_lexicon(path, Lexicon("en", lang, rows))
    return path


class TestCodes:
    def test_forms(self):
        assert find_codes("de") == ("de", "deu")
        assert find_codes("spa") == ("spa", "es")
        assert find_codes("tlh") == ("tlh",)

    def test_main_code(self):
        assert [main_code(code) for code in ("en", "zh", "eng", "qq")] == [
            "eng",
            "zho",
            "eng",
            "qq",
        ]


class TestChoice:
    def test_own_engine(self):
        class Shouting:
            identity = "shouting"

            def translate(self, segments):
                return [Segment(segment.text.upper()) for segment in segments]

        ENGINES.register("shouting")(lambda source, target, settings: Shouting())
        try:
            name, engine = make_engine("shouting", "en", "de", EngineSettings())
        finally:
            catalogue.REGISTRY.pop((*ENGINES.namespace, "shouting"))
        assert name == "shouting"
        assert isinstance(engine, Engine)
        assert engine.translate([Segment("Hi")]) == [Segment("HI")]

    def test_auto_takes_the_first_that_can(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        table = write_table(tmp_path / "m.tsv", ("en", "es"), ("Yes.", "Sí."))
        lexicon = write_small_lexicon(tmp_path / "en-de.tsv", yes="ja")
        settings = EngineSettings(memory=[table], lexicons={"de": lexicon})
        assert make_engine("auto", "en", "es", settings)[0] == "memory"
        assert make_engine("auto", "en", "de", settings)[0] == "lexicon"

    def test_auto_tells_what_is_wrong_with_files(self, tmp_path):
        """Nothing takes the place of a memory that can't be read."""
        lexicons = {"es": write_small_lexicon(tmp_path / "en-es.tsv", "es", yes="sí")}
        table = tmp_path / "m.tsv"
        table.write_text("en\tes\nYes.\tSí.\t\n", encoding="utf8")
        with pytest.raises(CrossnerError, match=r"CN426.*m.tsv, line 2"):
            make_engine("auto", "en", "es", EngineSettings(memory=[table], lexicons=lexicons))
        table.write_bytes("en\tes\r\nYes.\tSí.\r\n".encode("utf-8-sig"))
        settings = EngineSettings(memory=[table], lexicons=lexicons)
        name, engine = make_engine("auto", "en", "es", settings)
        assert (name, engine.translate([Segment("Yes.")])) == ("memory", [Segment("Sí.")])
        table.write_bytes(table.read_bytes()[3:].decode().encode("utf-16"))
        with pytest.raises(CrossnerError, match=r"CN204.*m.tsv"):
            make_engine("auto", "en", "es", settings)
        table.write_bytes(b"")
        assert make_engine("auto", "en", "es", settings)[0] in ("apertium", "lexicon")

    def test_auto_says_why_none_can(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CrossnerError, match="CN403") as caught:
            make_engine("auto", "en", "fi", EngineSettings())
        for code in ("CN420", "CN410", "CN430", "CN440"):
            assert code in str(caught.value)

    def test_unknown_name(self):
        with pytest.raises(CrossnerError, match=r"CN401.*apertium.*huggingface.*lexicon.*memory"):
            make_engine("babelfish", "en", "fi", EngineSettings())

    def test_same_language(self):
        with pytest.raises(CrossnerError, match="CN402"):
            make_engine("auto", "en", "en", EngineSettings())


class TestMemory:
    def make(self, *paths: Path, source: str = "en", target: str = "de") -> Engine:
        return make_engine("memory", source, target, EngineSettings(memory=paths))[1]

    def test_table(self, tmp_path):
        path = write_table(
            tmp_path / "m.tsv",
            ("en", "ar", "de"),
            ("Good  morning.", "صباح الخير.", "Guten Morgen."),
            ("Cafe\u0301", "مقهى", "Café"),
            ("Good morning.", "", "Moin."),
            ("No.", "لا.", ""),
        )
        found = self.make(path).translate(
            [Segment("Good morning."), Segment("Caf\u00e9"), Segment("No.")]
        )
        assert found[:2] == [Segment("Guten Morgen."), Segment("Café")]
        assert isinstance(found[2], Failure)
        assert self.make(path, target="ar").translate([Segment("Good morning.")]) == [
            Segment("صباح الخير.")
        ]
        # a memory works in both directions
        assert self.make(path, source="de", target="en").translate([Segment("Moin.")]) == [
            Segment("Good morning.")
        ]

    def test_spaces_of_token_files_do_not_matter(self, tmp_path):
        path = write_table(tmp_path / "m.tsv", ("en", "de"), ("Don't go, Ann.", "Geh nicht, Ann."))
        assert self.make(path).translate([Segment("Do n't go , Ann . ")]) == [
            Segment("Geh nicht, Ann.")
        ]

    def test_json_lines(self, tmp_path):
        path = tmp_path / "m.jsonl"
        path.write_text('{"en": "A & <b>", "de": "<b> & A", "n": 1}\n\n', encoding="utf8")
        assert self.make(path).translate([Segment("A & <b>")]) == [Segment("<b> & A")]

    def test_conllu_pairs_by_id(self, tmp_path):
        for lang, texts in {"en": ("One.", "Two."), "de": ("Zwei.", "Eins.")}.items():
            ids = ("s1", "s2") if lang == "en" else ("s2", "s1")
            (tmp_path / f"{lang}_pud-ud-test.conllu").write_text(
                "".join(
                    f"# sent_id = {id_}\n# text = {text}\n1\t_\n\n"
                    for id_, text in zip(ids, texts, strict=True)
                ),
                encoding="utf8",
            )
        found = self.make(tmp_path).translate([Segment("One."), Segment("Two.")])
        assert found == [Segment("Eins."), Segment("Zwei.")]

    def test_marked_sentences_bring_their_labels(self):
        engine = self.make(SAMPLE, target="fr")
        source = "Negotiators from Ecuador and Peru met behind closed doors in Geneva while "
        (found,) = engine.translate([Segment(source + "reporters waited in the rain.")])
        names = [(found.text[one.start : one.end], one.label) for one in found.labels]
        assert names[0] == ("l'Équateur", "LOC") or ("quateur" in names[0][0])
        assert [label for _, label in names] == ["LOC"] * 3
        assert isinstance(found.labels[0], Labelled)

    def test_identity_follows_the_content(self, tmp_path):
        one = write_table(tmp_path / "1.tsv", ("en", "de"), ("A.", "B."))
        same = write_table(tmp_path / "2.tsv", ("de", "en"), ("B.", "A."))
        other = write_table(tmp_path / "3.tsv", ("en", "de"), ("A.", "C."))
        assert self.make(one).identity == self.make(same).identity != self.make(other).identity

    @pytest.mark.parametrize(
        ("name", "content", "code"),
        [
            ("m.tmx", "", "CN422"),
            ("m.tsv", None, "CN423"),
            ("m.jsonl", '{"en": "A"\n', "CN424"),
            ("m.jsonl", "[1]\n", "CN424"),
            ("m.jsonl", r'{"en": "A", "de": "\ud83d"}' + "\n", "CN233.*line 1"),
            ("m.tsv", "Good morning\tGuten Morgen\n", "CN425"),
            ("m.tsv", "en\tde\nA\tB\tC\n", "CN426.*line 2"),
            ("m.tsv", "en\tfr\nA\tB\n", "CN421"),
            ("xx.conllu", "# sent_id = 1\n# text = A\n", "CN421"),
        ],
    )
    def test_mistakes(self, tmp_path, name, content, code):
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf8")
        with pytest.raises(CrossnerError, match=code):
            self.make(tmp_path / name)


class TestApertiumText:
    def test_markup_of_the_text_itself(self):
        segment = mark("if a<b && c>d: <b>Smith & Co</b>", "Smith & Co")
        assert to_html(segment) == (
            'if a&lt;b &amp;&amp; c&gt;d: &lt;b&gt;<b id="0">Smith &amp; Co</b>&lt;/b&gt;'
        )
        assert from_html(to_html(segment)) == segment

    def test_pieces(self):
        found = from_html(
            'La <b id="0">Casa</b> <b id="0">Blanca </b>de<b id="1"> Ana</b>, <b id="0">blanca</b>'
        )
        assert found.text == "La Casa Blanca de Ana, blanca"
        assert marked(found) == [(0, "Casa Blanca"), (1, "Ana"), (0, "blanca")]

    names = st.text(alphabet="abç<>&;\"'#~é שלم京", min_size=1, max_size=8).filter(
        lambda name: name.strip()
    )

    @given(st.lists(names, min_size=1, max_size=6), st.data())
    def test_round_trip(self, words, data):
        words = [" ".join(word.split()) for word in words]
        text = " ".join(words)
        starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
        chosen = data.draw(st.lists(st.sampled_from(range(len(words))), unique=True))
        # two neighbours are two entities: only pieces of one entity are joined
        marks = tuple(
            Mark(starts[i], starts[i] + len(words[i]), k) for k, i in enumerate(sorted(chosen))
        )
        assert from_html(to_html(Segment(text, marks))) == Segment(text, marks)

    def test_lines_become_spaces(self):
        assert to_html(Segment("a\nb\tc")) == "a b c"


class TestApertiumRoute:
    MODES = ("eng-spa", "spa-cat_valencia", "spa-cat", "cat-ita", "ita-srd", "eng-cat", "fra-oci@x")

    def test_direct(self):
        assert find_route(self.MODES, "en", "es") == ["eng-spa"]

    def test_pivots(self):
        assert find_route(self.MODES, "en", "it") == ["eng-cat", "cat-ita"]
        assert find_route(self.MODES, "spa", "ita") == ["spa-cat", "cat-ita"]
        assert find_route(self.MODES, "en", "sc") == ["eng-cat", "cat-ita", "ita-srd"]

    def test_no_way(self):
        assert find_route(self.MODES, "es", "en") is None
        assert find_route(self.MODES, "fr", "oc") is None

    def test_order_does_not_matter(self):
        routes = {tuple(find_route(modes, "en", "it")) for modes in permutations(self.MODES[1:6])}
        assert len(routes) == 1

    def test_not_installed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CrossnerError, match=r"(?s)CN410.*apt-get install apertium"):
            make_apertium("en", "es", EngineSettings())


def test_other_rules_are_another_engine(tmp_path, monkeypatch):
    rules = tmp_path / "rules.bin"
    mode = tmp_path / "share" / "apertium" / "modes" / "eng-spa.mode"
    program = tmp_path / "bin" / "apertium"
    for path in (rules, mode, program):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    program.chmod(0o755)
    mode.write_text(f"lt-proc '{rules}' | lt-proc -g '{tmp_path}/none.bin'")
    monkeypatch.setenv("PATH", str(program.parent))
    first = hash_modes(["eng-spa"])
    assert first == hash_modes(["eng-spa"]) != hash_modes(["spa-eng"])
    rules.write_text("two")
    assert hash_modes(["eng-spa"]) != first


HOSTILE = [
    *("{{", "}}", "{{ }}", "{", "x{{", "[{{", "\\{{", "@{{", "^{{$", "{{{{", "\ufdd0{{", "{\\{"),
    *("[", "]", "[[", "]]", "[[/]]", "[[t:b:x]]", "[]", "^", "$", "^house<n><sg>$", "^a/b$"),
    *("\\", "/", "@", "*", "#", "~", "<script", "<!-- {{ -->", "<!--", "</p>", '<p id="3">'),
    *("<![CDATA[", "&lt;", "&#123;&#123;", "&", "\x00", "\x1b", "\u200b", "\u202e", "\ud800"),
]

needs_apertium = pytest.mark.skipif(
    shutil.which("apertium") is None, reason="apertium is not installed"
)


@pytest.fixture(scope="module")
def apertium() -> Engine:
    try:
        return make_apertium("en", "es", EngineSettings())
    except CrossnerError as error:
        pytest.skip(str(error))


@pytest.mark.system
@needs_apertium
class TestApertium:
    def test_translates(self, apertium):
        segment = mark("Angela Merkel visited Berlin & <b>Paris</b>.", "Angela Merkel", "Berlin")
        (found,) = apertium.translate([segment])
        assert "visit" in found.text
        assert "& <b>" in found.text
        assert "</b>" in found.text
        assert marked(found) == [(0, "Angela Merkel"), (1, "Berlín")]

    def test_alone_and_together(self, apertium):
        segments = [
            mark("The mayor of London lives in Paris", "London", "Paris"),
            Segment("He said that"),
            mark("Bank of Scotland fell", "Bank of Scotland"),
            Segment("שלום ~ ملك 京都 [x] {y} ^z$ \\ / @"),
            Segment("It rained."),
        ]
        together = apertium.translate(segments)
        assert together == [apertium.translate([segment])[0] for segment in segments]
        assert together == apertium.translate(segments[::-1])[::-1]
        assert all(isinstance(found, Segment) for found in together)

    def test_hostile_texts_do_not_spoil_their_neighbours(self, apertium):
        """Markup of the translator's own format, of HTML, and what closes it."""
        assert len(HOSTILE) >= 34
        plain = Segment("The house is red and the dog is big.")
        (expected,) = apertium.translate([plain])
        hostile = [Segment(f"The dog {one} is big.") for one in HOSTILE]
        found = apertium.translate([one for text in hostile for one in (plain, text)] + [plain])
        assert found[::2] == [expected] * (len(HOSTILE) + 1)
        for text, one in zip(hostile, found[1::2], strict=True):
            assert isinstance(one, Segment), text
            assert "perro" in one.text
            assert "grande" in one.text

    def test_sentences_after_one_that_stops_the_translator(self, monkeypatch):
        """Where no escape helps, a text fails alone."""
        module = "spacy_crossner.translate.engine_apertium"
        # what stops the program itself differs between its builds

        def stop(*arguments: str, text: str = "") -> str:
            return run_apertium(*arguments, text=text.partition("{{")[0])

        engine = ApertiumEngine(["eng-spa"], "0")
        monkeypatch.setattr(f"{module}._STAND_INS", {})
        monkeypatch.setattr(f"{module}.run_apertium", stop)
        plain = Segment("The house is red.")
        texts = [plain, Segment("The {{ dog."), plain, plain, Segment("A {{ cat"), plain]
        found = engine.translate(texts)
        (expected,) = engine.translate([plain])
        assert [found[i] for i in (0, 2, 3, 5)] == [expected] * 4
        assert all(isinstance(found[i], Failure) for i in (1, 4))

    def test_unknown_pair(self):
        with pytest.raises(CrossnerError, match=r"CN411.*eng-spa"):
            make_apertium("en", "tlh", EngineSettings())

    def test_failing_program(self):
        with pytest.raises(CrossnerError, match="CN412"):
            ApertiumEngine(["eng-xyz"], "0").translate([Segment("Hi")])


class TestLexicon:
    def make(self, lang: str = "de", **words: str) -> LexiconEngine:
        rows = [Row(word, "", text, 1.0) for word, text in words.items()]
        return LexiconEngine(Lexicon("en", lang, rows))

    def test_word_by_word(self):
        engine = self.make(the="die", bank="Ufer", lost="verlor", money="Geld")
        segment = mark("The bank of Ann Lee lost money.", "Ann Lee")
        (found,) = engine.translate([segment])
        assert found.text == "Die Ufer of Ann Lee verlor Geld."
        assert marked(found) == [(0, "Ann Lee")]

    def test_one_word_becomes_several(self):
        engine = self.make(lost="hat verloren")
        (found,) = engine.translate([mark("Ann lost Bonn.", "Ann", "Bonn")])
        assert found.text == "Ann hat verloren Bonn."
        assert marked(found) == [(0, "Ann"), (1, "Bonn")]

    def test_right_to_left(self):
        engine = self.make("he", bank="בנק", lost="הפסיד")
        (found,) = engine.translate([mark("bank lost Bonn", "Bonn")])
        assert found.text == "בנק הפסיד Bonn"
        assert marked(found) == [(0, "Bonn")]

    def test_nothing_known(self):
        (found,) = self.make(lost="verlor").translate([Segment("Bonn?")])
        assert isinstance(found, Failure)

    def test_empty_lexicon(self, tmp_path):
        path = tmp_path / "en-de.tsv"
        path.write_text("# lexicon\ten\tde\n", encoding="utf8")
        with pytest.raises(CrossnerError, match="CN452"):
            make_engine("lexicon", "en", "de", EngineSettings(lexicons={"de": path}))

    def test_other_pair(self, tmp_path):
        path = write_small_lexicon(tmp_path / "en-de.tsv", yes="ja")
        with pytest.raises(CrossnerError, match="CN440"):
            make_engine("lexicon", "en", "es", EngineSettings(lexicons={"de": path}))
        with pytest.raises(CrossnerError, match="CN453"):
            make_engine("lexicon", "en", "es", EngineSettings(lexicons={"es": path}))


def test_a_memory_has_one_text_for_each_id(tmp_path):
    first, second = tmp_path / "en_a.txt", tmp_path / "en_b.txt"
    first.write_text("n1\tAngela visited Berlin.\n", encoding="utf8")
    (tmp_path / "de_a.txt").write_text("n1\tAngela war in Berlin.\n", encoding="utf8")
    second.write_text("n1\tAngela visited Berlin.\n", encoding="utf8")
    (row,) = read_rows([tmp_path], "en", "de")
    assert {lang: segment.text for lang, segment in row.items()} == {
        "en": "Angela visited Berlin.",
        "de": "Angela war in Berlin.",
    }
    second.write_text("n1\tMaria works in Paris.\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN427.*en_b\.txt.*'n1' in en"):
        list(read_rows([tmp_path], "en", "de"))


def test_a_text_may_come_before_its_id(tmp_path):
    english = "# text = One.\n# sent_id = a\n1\tOne\n\n# sent_id = b\n# text = Two.\n"
    (tmp_path / "en.conllu").write_text(english, encoding="utf8")
    german = "# sent_id = b\n# text = Zwei.\n\n# text = Eins.\n# sent_id = a\n"
    (tmp_path / "de.conllu").write_text(german, encoding="utf8")
    rows = read_rows([tmp_path], "en", "de")
    found = {(row["en"].text, row["de"].text) for row in rows}
    assert found == {("One.", "Eins."), ("Two.", "Zwei.")}
