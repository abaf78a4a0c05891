"""Lexicons: cleaning, reading dictionaries, merging, lookup, the file format and the command."""

import contextlib
import gzip
from itertools import islice
from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.data.shards import write_docs
from spacy_crossner.errors import CrossnerError
from spacy_crossner.lexicon.build import (
    build_lexicon,
    clean_rows,
    make_lexicon,
    measure_coverage,
    word_frequency,
)
from spacy_crossner.lexicon.clean import clean_word, plain, split_items
from spacy_crossner.lexicon.dictionaries import (
    BASE64,
    DICTD,
    freedict_indexes,
    read_freedict,
    read_wiktionary,
)
from spacy_crossner.lexicon.inflection import base_forms
from spacy_crossner.lexicon.lexicon import Lexicon, Row, read_lexicon, write_lexicon

OPTIONAL_DATA = Path(__file__).parent.parent / "assets" / "optional"

WIKTIONARY = """\
# English :: German dictionary made for a test
# License :: none
house {n} /haʊs/ (building) :: Haus {n}, [archaic] Behausung {f}
house {n} (family) :: Haus {n}
house {v} (to shelter) :: unterbringen
abode {n} (home) SEE: house ::
of course {adv} (naturally) :: natürlich, [colloquial] klar
H {n} (name of the letter) :: Ha
bridge {n} :: die Brücke {f}; Brücke {f} [railway] (over water)
to {particle} (before a verb) :: zu, -en
look before you leap, they say {proverb} :: erst denken, dann handeln
the {article} :: Not used in this language
Hill Street (a street) :: Hügelstraße {f}
"""


def make_lexicon_of(*rows: tuple[str, str], source: str = "en", target: str = "de") -> Lexicon:
    return Lexicon(source, target, [Row(word, "", text, 1.0) for word, text in rows])


def best_of(lexicon: Lexicon, text: str, **settings) -> str | None:
    entry = lexicon.find(text, **settings)
    return None if entry is None else entry.best.text


def write_wiktionary(path: Path, text: str = WIKTIONARY) -> Path:
    path.write_text(text, encoding="utf8")
    return path


def read_clean(path: Path, source: str = "en", target: str = "de", invert: bool = False) -> Lexicon:
    rows = clean_rows(read_wiktionary(path, target), source, target, invert=invert)
    return build_lexicon([rows], source, target)


def to_base64(number: int) -> str:
    digits = BASE64[number % 64]
    while number := number // 64:
        digits = BASE64[number % 64] + digits
    return digits


def write_dictd(folder: Path, pair: str, articles: list[str]) -> Path:
    """Write articles as dictd stores them: one compressed file, and an index of places in it."""
    data, index = b"", ["00databaseinfo\tA\tA"]
    for article in articles:
        encoded = (article + "\n").encode("utf8")
        headword = article.split(" /")[0].split(" <")[0]
        index.append(f"{headword.lower()}\t{to_base64(len(data))}\t{to_base64(len(encoded))}")
        data += encoded
    path = folder / f"freedict-{pair}.index"
    path.write_text("\n".join(index) + "\n", encoding="utf8")
    path.with_suffix(".dict.dz").write_bytes(gzip.compress(data))
    return path


class TestClean:
    @pytest.mark.parametrize(
        ("text", "lang", "expected"),
        [
            ("догово\u0301р", "ru", "договор"),
            ("йод", "ru", "йод"),
            ("ёлка", "ru", "ёлка"),
            ("vȅseo", "hr", "veseo"),
            ("kuća", "hr", "kuća"),
            ("canción", "es", "canción"),
            ("nìkas", "lt", "nikas"),
            ("žodis", "lt", "žodis"),
            ("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "he", "\u05e9\u05dc\u05d5\u05dd"),
            ("\u0643\u0650\u062a\u0627\u0628", "ar", "\u0643\u062a\u0627\u0628"),
            ("\u200f\u05d1\u05d9\u05ea", "he", "\u05d1\u05d9\u05ea"),
            ("می\u200cروم", "fa", "می\u200cروم"),
            ("el niño", "es", "niño"),
            ("el niño rico", "es", "el niño rico"),
            ("la", "es", "la"),
            ("l'eau", "fr", "eau"),
            ("script: kuća", "hr", "kuća"),
            ("bĳ", "nl", "bij"),
            ("¡ay!", "es", "ay"),
            ("EE. UU.", "es", "EE. UU."),
            ("...的", "zh", "的"),
            ("build sth.", "en", "build"),
            ("accuse sb. of sth.", "en", ""),
            ("jdn. einladen", "de", "einladen"),
            ("-heit", "de", ""),
            ("\u0627\u0644\u0640", "ar", ""),
            ("dative construction", "de", ""),
            ("je + comp.", "de", ""),
            ("1234", "de", ""),
            ("", "de", ""),
        ],
    )
    def test_word(self, text, lang, expected):
        assert clean_word(text, lang) == expected

    @pytest.mark.parametrize(
        ("text", "pos", "expected"),
        [("to go", "VERB", "go"), ("to date", "ADV", "to date"), ("to", "ADP", "to")],
    )
    def test_infinitive_marker(self, text, pos, expected):
        assert clean_word(text, "en", pos=pos) == expected

    def test_items(self):
        text = "Haus {n}, [old] Hütte (a (small) one) {f}; Bau <masc, sg> /bau, b/ 2. Bude / Klause"
        found = [(item.text, item.pos, item.marked) for item in split_items(text)]
        assert found == [
            ("Haus", "NOUN", False),
            ("Hütte", "NOUN", True),
            ("Bau", "NOUN", False),
            ("Bude", "", False),
            ("Klause", "", False),
        ]

    @given(st.text())
    def test_any_text_is_survived(self, text):
        for item in split_items(text):
            assert clean_word(item.text, "ru") == plain(clean_word(item.text, "ru"))


class TestInflection:
    @pytest.mark.parametrize(
        ("form", "base"),
        [
            ("houses", "house"),
            ("cities", "city"),
            ("boxes", "box"),
            ("walked", "walk"),
            ("hoped", "hope"),
            ("stopped", "stop"),
            ("tried", "try"),
            ("making", "make"),
            ("running", "run"),
            ("falling", "fall"),
            ("visited", "visit"),
            ("going", "go"),
            ("bank's", "bank"),
            ("banks'", "bank"),
            ("went", "go"),
            ("were", "be"),
            ("n't", "not"),
            ("bank accounts", "bank account"),
        ],
    )
    def test_base_is_among_the_forms(self, form, base):
        assert base in list(base_forms(form))

    def test_likely_base_comes_first(self):
        assert next(base_forms("used")) == "use"
        assert next(base_forms("hoping")) == "hope"

    def test_short_words_are_left_alone(self):
        assert not list(base_forms("is it his bus".split()[1]))
        assert not list(base_forms("bed"))
        assert not list(base_forms("glass"))


class TestFind:
    def test_case(self):
        lexicon = make_lexicon_of(("polish", "polieren"), ("Polish", "polnisch"), ("NASA", "Nasa"))
        assert best_of(lexicon, "polish") == "polieren"
        assert best_of(lexicon, "Polish") == "polnisch"
        assert best_of(lexicon, "Polish", initial=True) == "polieren"
        assert best_of(lexicon, "POLISH") == "polieren"
        assert best_of(lexicon, "Nasa") == "Nasa"
        assert best_of(lexicon, "nasa") is None

    def test_base_forms_only_in_english(self):
        rows = [("house", "Haus")]
        assert best_of(make_lexicon_of(*rows), "Houses") == "Haus"
        assert best_of(make_lexicon_of(*rows, source="fr"), "houses") is None

    def test_auxiliaries_before_rare_words(self):
        rows = [Row("are", "NOUN", "Ar", 1.0), Row("be", "VERB", "sein", 1.0)]
        assert best_of(Lexicon("en", "de", rows), "are") == "sein"

    def test_part_of_speech(self):
        rows = [Row("run", "NOUN", "Lauf", 2.0), Row("run", "VERB", "laufen", 1.0)]
        lexicon = Lexicon("en", "de", rows)
        assert best_of(lexicon, "run") == "Lauf"
        assert best_of(lexicon, "running", pos="VERB") == "laufen"
        assert best_of(lexicon, "run", pos="ADV") == "Lauf"

    def test_weights_sum_up_to_one(self):
        lexicon = Lexicon("en", "de", [Row("a", "", "b", 3.0), Row("a", "", "c", 1.0)])
        assert [one.weight for one in lexicon.find("a").translations] == [0.75, 0.25]

    def test_longest_phrase(self):
        lexicon = make_lexicon_of(
            ("New York", "Neu-York"), ("new", "neu"), ("don't", "nicht"), ("do", "tun")
        )
        words = "New York ca n't do n't".split()
        spaces = [True, True, False, True, False, False]
        assert lexicon.match(words, spaces, 0, 6)[0] == 2
        assert lexicon.match(words, spaces, 0, 1)[0] == 1
        assert lexicon.match(words, spaces, 4, 6)[1].best.text == "nicht"
        assert lexicon.match(words, spaces, 2, 4) is None

    def test_apostrophes_are_one(self):
        assert best_of(make_lexicon_of(("o'clock", "Uhr")), "o’clock") == "Uhr"


class TestFile:
    @given(
        st.lists(
            st.tuples(
                st.text("abc äЖ中' ", min_size=1).map(plain).filter(bool),
                st.sampled_from(["", "NOUN", "ADJ,ADV"]),
                st.text("xyz öא ", min_size=1).map(plain).filter(bool),
                st.floats(0.01, 1.0),
            ),
            min_size=1,
        )
    )
    def test_what_is_written_is_read(self, tmp_path_factory, rows):
        path = tmp_path_factory.mktemp("lexicon") / "en-de.tsv"
        lexicon = Lexicon("en", "de", map(Row._make, rows))
        write_lexicon(path, lexicon, notes=["from a test"])
        again = read_lexicon(path)
        assert (again.source, again.target) == ("en", "de")
        for entry, other in zip(lexicon, again, strict=True):
            assert entry.word == other.word
            assert {t[:2] for t in entry.translations} == {t[:2] for t in other.translations}
            for one, two in zip(entry.translations, other.translations, strict=True):
                assert one.weight == pytest.approx(two.weight, abs=1e-3)

    def test_tables_of_two_to_four_columns(self, tmp_path):
        path = tmp_path / "table.tsv"
        path.write_text("house\tHaus\nrun\tVERB\tlaufen\n\ngo\t\tgehen\t0.5\n", encoding="utf8")
        lexicon = read_lexicon(path, "en", "de")
        assert [entry.word for entry in lexicon] == ["go", "house", "run"]
        assert lexicon.find("run").best.pos == "VERB"

    @pytest.mark.parametrize(
        "line",
        ["house", "a\tb\tc\td\te", "house\t", "\tHaus", "a\t\tb\t-1", "a\t\tb\tx", "a\t\tb\tnan"],
    )
    def test_malformed_line_is_named(self, tmp_path, line):
        path = tmp_path / "bad.tsv"
        path.write_text(f"good\tgut\n{line}\n", encoding="utf8")
        with pytest.raises(CrossnerError, match=r"CN451.*bad\.tsv, line 2"):
            read_lexicon(path, "en", "de")

    def test_other_pair_is_refused(self, tmp_path):
        path = tmp_path / "en-de.tsv"
        write_lexicon(path, make_lexicon_of(("house", "Haus")))
        with pytest.raises(CrossnerError, match=r"CN453.*is for en-de, but en-es"):
            read_lexicon(path, target="es")

    def test_empty_lexicon_is_refused(self, tmp_path):
        path = tmp_path / "empty.tsv"
        path.write_text("# lexicon\ten\tde\n", encoding="utf8")
        with pytest.raises(CrossnerError, match="CN452"):
            read_lexicon(path)

    def test_changed_file_is_refused(self, tmp_path):
        path = tmp_path / "en-de.tsv"
        write_lexicon(path, make_lexicon_of(("house", "Haus")), notes=["from a test"])
        whole = path.read_bytes()
        assert read_lexicon(path).get("house").best.text == "Haus"
        path.write_bytes(whole.replace(b"\n", b"\r\n"))  # as git does on Windows
        assert read_lexicon(path).get("house").best.text == "Haus"
        path.write_bytes(whole.replace(b"Haus", b"Maus"))
        with pytest.raises(CrossnerError, match=r"CN467.*en-de\.tsv.*delete its first line"):
            read_lexicon(path)
        path.write_bytes(path.read_bytes().partition(b"\n")[2])
        assert read_lexicon(path).get("house").best.text == "Maus"

    def test_every_flipped_bit_is_found(self, tmp_path):
        path = tmp_path / "en-de.tsv"
        write_lexicon(path, make_lexicon_of(("house", "Haus"), ("go", "gehen")))
        whole, rows = path.read_bytes(), vars(read_lexicon(path, "en", "de"))
        for place in range(len(whole)):
            for bit in range(8):
                damaged = bytearray(whole)
                damaged[place] ^= 1 << bit
                path.write_bytes(damaged)
                with contextlib.suppress(CrossnerError):
                    assert vars(read_lexicon(path, "en", "de")) == rows, damaged

    def test_missing_file(self, tmp_path):
        with pytest.raises(CrossnerError, match="CN202"):
            read_lexicon(tmp_path / "nothing.tsv")

    def test_failure_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "en-de.tsv"
        write_lexicon(path, make_lexicon_of(("house", "Haus")))
        before = path.read_bytes()

        def fail():
            yield "a note"
            raise RuntimeError

        with pytest.raises(RuntimeError):
            write_lexicon(path, make_lexicon_of(("dog", "Hund")), notes=fail())
        assert path.read_bytes() == before


class TestWiktionary:
    @pytest.fixture
    def path(self, tmp_path):
        return write_wiktionary(tmp_path / "en-de.txt")

    def test_senses_vote(self, path):
        lexicon = read_clean(path)
        assert [t[:2] for t in lexicon.find("house").translations] == [
            ("Haus", "NOUN"),
            ("unterbringen", "VERB"),
        ]
        assert best_of(lexicon, "Of course", initial=True) == "natürlich"

    def test_references_are_followed(self, path):
        assert best_of(read_clean(path), "abode") == "Haus"

    def test_articles_glosses_and_junk_go(self, path):
        lexicon = read_clean(path)
        assert [t.text for t in lexicon.find("bridge").translations] == ["Brücke"]
        assert [t.text for t in lexicon.find("to").translations] == ["zu"]
        assert best_of(lexicon, "Hill Street") == "Hügelstraße"
        for word in ("H", "the", "look before you leap, they say"):
            assert lexicon.get(word) is None

    def test_inverted(self, path):
        lexicon = read_clean(path, "de", "en", invert=True)
        assert (lexicon.source, lexicon.target) == ("de", "en")
        assert best_of(lexicon, "Haus") == "house"
        assert best_of(lexicon, "Brücke") == "bridge"

    def test_simplified_chinese_first(self, tmp_path):
        path = write_wiktionary(
            tmp_path / "zh.txt", "bank {n} :: 銀行, 银行 /yínháng/\nhe {pron} :: 他 /tā/\n"
        )
        texts = [t.text for t in read_clean(path, target="zh").find("bank").translations]
        assert texts == ["银行", "銀行"]

    def test_one_script_of_two(self, tmp_path):
        path = write_wiktionary(tmp_path / "sh.txt", "house {n} :: кућа {f}; kuća {f}\n")
        house = read_clean(path, target="hr").find("house")
        assert [t.text for t in house.translations] == ["kuća"]

    def test_malformed_line_is_named(self, tmp_path):
        path = write_wiktionary(tmp_path / "bad.txt", "# header\nhouse {n} Haus\n")
        with pytest.raises(CrossnerError, match=r"CN455.*bad\.txt, line 2"):
            read_clean(path)


class TestFreedict:
    ARTICLES = (
        'house /haʊs/\nHaus <neut> [build.]\n      "a big house"  - großes Haus\n see: {houses}\n',
        "go /ɡəʊ/ (went /wɛnt/ <>, gone /ɡɒn/ <>) <v>\n1. gehen\nto move on\n2. fahren, laufen\n",
        "well-known <adj>\n [coll.] bekannt <adj> bek. /bɛˈkant/\n",
        "empty /ˈɛmpti/\n\n",
    )

    @pytest.fixture
    def folder(self, tmp_path):
        write_dictd(tmp_path, "eng-deu", list(self.ARTICLES))
        return tmp_path

    def read(self, folder):
        (index, inverted), *rest = freedict_indexes("auto", "en", "de", directory=folder)
        assert not inverted
        assert not rest
        return build_lexicon([clean_rows(read_freedict(index), "en", "de")], "en", "de")

    def test_articles(self, folder):
        lexicon = self.read(folder)
        found = {entry.word: [t.text for t in entry.translations] for entry in lexicon}
        assert found == {
            "house": ["Haus"],
            "go": ["gehen", "fahren", "laufen"],
            "went": ["gehen", "fahren", "laufen"],
            "gone": ["gehen", "fahren", "laufen"],
            "well-known": ["bekannt"],
        }
        assert lexicon.find("go").best.pos == "VERB"
        assert lexicon.find("house").best.pos == "NOUN"

    def test_capitalized_headwords_are_lowered(self, tmp_path):
        write_dictd(tmp_path, "eng-deu", ["House /x/\nHaus\n", "Dog /x/\nHund\n", "UFO /x/\nUfo\n"])
        assert sorted(entry.word for entry in self.read(tmp_path)) == ["UFO", "dog", "house"]

    def test_both_directions(self, folder):
        write_dictd(folder, "deu-eng", ["Hund /hʊnt/ <masc, n, sg>\ndog <n>\n"])
        found = freedict_indexes("auto", "en", "de", directory=folder)
        assert [(path.stem, back) for path, back in found] == [
            ("freedict-eng-deu", False),
            ("freedict-deu-eng", True),
        ]
        index = str(folder / "freedict-deu-eng.index")
        lexicon = make_lexicon(folder / "en-de.tsv", "en", "de", freedict=[index])
        assert best_of(lexicon, "dog") == "Hund"

    def test_missing_dictionary_names_its_package(self, tmp_path):
        with pytest.raises(CrossnerError, match=r"CN454.*'dict-freedict-eng-swe'"):
            freedict_indexes("auto", "en", "sv", directory=tmp_path)
        with pytest.raises(CrossnerError, match=r"CN454.*'dict-freedict-swe-eng'"):
            freedict_indexes("swe-eng", "en", "sv", directory=tmp_path)

    def test_dictionary_of_another_pair(self, folder):
        with pytest.raises(CrossnerError, match=r"CN456.*'eng-deu' can't be used for en-es"):
            freedict_indexes("eng-deu", "en", "es", directory=folder)

    @pytest.mark.parametrize("line", ["house", "house\tA", "house\tA\t!", "house\tzzzz\tB"])
    def test_damaged_index_is_named(self, folder, line):
        index = folder / "freedict-eng-deu.index"
        index.write_text(f"00databaseinfo\tA\tA\n{line}\n", encoding="utf8")
        with pytest.raises(CrossnerError, match=r"CN457.*eng-deu\.index, line 2"):
            list(read_freedict(index))

    def test_damaged_data(self, folder):
        data = folder / "freedict-eng-deu.dict.dz"
        data.write_bytes(data.read_bytes()[:-9])
        with pytest.raises(CrossnerError, match="CN450"):
            list(read_freedict(folder / "freedict-eng-deu.index"))

    @pytest.mark.system
    def test_installed_dictionary(self):
        if not (DICTD / "freedict-eng-deu.index").exists():
            pytest.skip("needs the Debian package dict-freedict-eng-deu")
        ((index, inverted),) = freedict_indexes("eng-deu", "en", "de")
        senses = list(islice(read_freedict(index), 20_000))
        lexicon = build_lexicon([clean_rows(senses, "en", "de")], "en", "de")
        assert not inverted
        assert len(lexicon) > 10_000
        assert best_of(lexicon, "eels") == "Aale"
        assert best_of(lexicon, "carrion fly") == "Aasfliege"


class TestBuild:
    def test_first_source_leads(self):
        first = [Row("bank", "NOUN", "Bank", 1.0)]
        second = [Row("bank", "", "Ufer", 9.0), Row("bank", "", "Bank", 1.0)]
        bank = build_lexicon([first, second], "en", "de").find("bank")
        assert [(t.text, t.pos) for t in bank.translations] == [("Bank", "NOUN"), ("Ufer", "")]
        assert build_lexicon([second, first], "en", "de").find("bank").best.text == "Ufer"

    def test_frequent_translation_leads(self):
        rows = [Row("can", "", "Dose", 1.0), Row("can", "", "können", 1.0)]
        assert build_lexicon([rows], "en", "de").find("can").best.text == "Dose"
        frequency = word_frequency(["Wir können das, und sie können das."], "de")
        assert frequency("können") == 2
        assert (
            build_lexicon([rows], "en", "de", frequency=frequency).find("can").best.text == "können"
        )

    def test_frequency_without_spaces_between_words(self):
        frequency = word_frequency(["我在中国的银行"], "zh")
        assert (frequency("银行"), frequency("銀行")) == (1, 0)

    def test_number_of_translations(self):
        rows = [Row("a", "", f"b{i}", 1.0) for i in range(9)]
        lexicon = build_lexicon([rows], "en", "de", max_translations=3)
        assert [t.text for t in lexicon.find("a").translations] == ["b0", "b1", "b2"]

    def test_explanations_are_no_translations(self, tmp_path):
        path = write_wiktionary(
            tmp_path / "de.txt", "fee {n} :: Geld das man jemandem zahlen muss, Gebühr\n"
        )
        assert [t.text for t in read_clean(path).find("fee").translations] == ["Gebühr"]

    def test_coverage(self):
        lexicon = make_lexicon_of(("of course", "natürlich"), ("house", "Haus"))
        coverage = measure_coverage(lexicon, [spacy.blank("en")("Of course, 3 new houses!")])
        assert (coverage.words, coverage.known) == (4, 3)
        assert coverage.unknown == {"new": 1}

    def test_nothing_to_read(self, tmp_path):
        with pytest.raises(CrossnerError, match="CN458"):
            make_lexicon(tmp_path / "out.tsv", "en", "de")

    def test_no_input_is_replaced(self, tmp_path):
        path = tmp_path / "mine.tsv"
        path.write_text("harbour\tHafen\n", encoding="utf8")
        with pytest.raises(CrossnerError, match=r"CN213.*mine\.tsv"):
            make_lexicon(path, "en", "de", tables=[path])
        assert path.read_text(encoding="utf8") == "harbour\tHafen\n"

    def test_nothing_left(self, tmp_path):
        path = write_wiktionary(tmp_path / "de.txt", "the {article} :: Not used in German\n")
        with pytest.raises(CrossnerError, match="CN459"):
            make_lexicon(tmp_path / "out.tsv", "en", "de", wiktionary=[path])
        assert not (tmp_path / "out.tsv").exists()


class TestCommand:
    def run(self, *arguments) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["lexicon", *map(str, arguments)])
        return result.exit_code, result.output

    def test_makes_a_lexicon(self, tmp_path):
        path = write_wiktionary(tmp_path / "en-de.txt")
        table = tmp_path / "mine.tsv"
        table.write_text("house\tHütte\n", encoding="utf8")
        corpus = tmp_path / "corpus.spacy"
        write_docs(corpus, [spacy.blank("en")("Of course the house")])
        target = tmp_path / "de.txt"
        target.write_text("Das ist klar.\n" * 50, encoding="utf8")
        out = tmp_path / "out.tsv"
        code, output = self.run(
            out, "--from", "en", "--to", "de", "--wiktionary", path, "--tsv", table,
            "--corpus", corpus, "--target-corpus", target,
        )  # fmt: skip
        assert code == 0, output
        assert "75.0% of 4 words" in output
        lexicon = read_lexicon(out, "en", "de")
        assert best_of(lexicon, "house") == "Hütte"
        assert best_of(lexicon, "of course") == "klar"
        assert "# License :: none" in out.read_text(encoding="utf8")

    def test_two_runs_write_the_same(self, tmp_path):
        path = write_wiktionary(tmp_path / "en-de.txt")
        for name in ("one.tsv", "two.tsv"):
            make_lexicon(tmp_path / name, "en", "de", wiktionary=[path])
        assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()

    def test_mistake_is_one_line(self, tmp_path):
        code, output = self.run(
            tmp_path / "out.tsv", "--from", "en", "--to", "xx", "--freedict", "auto"
        )
        assert code == 1
        assert "CN454" in output
        assert "Traceback" not in output


@pytest.mark.data
@pytest.mark.parametrize(("code", "lang", "share"), [("es", "es", 0.88), ("cmn", "zh", 0.78)])
def test_coverage_of_real_text(tmp_path, code, lang, share):
    wiktionary = OPTIONAL_DATA / "wiktionary" / f"en-{code}-enwiktionary.txt"
    corpus = OPTIONAL_DATA / "uner" / "en_ewt-ud-dev.iob2"
    if not wiktionary.exists() or not corpus.exists():
        pytest.skip("needs the optional data sets uner and wiktionary")
    lexicon = make_lexicon(tmp_path / "out.tsv", "en", lang, wiktionary=[wiktionary])
    lines = corpus.read_text(encoding="utf8").splitlines()
    texts = [line.removeprefix("# text = ") for line in lines if line.startswith("# text = ")]
    coverage = measure_coverage(lexicon, spacy.blank("en").pipe(texts))
    assert coverage.share > share
