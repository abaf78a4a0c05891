"""Projection of entities onto translations: names by sound, word alignment, marks, whole spans."""

from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_crossner.data.convert import convert
from spacy_crossner.data.shards import read_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.translate.align import Sentence, align, centred, find_links
from spacy_crossner.translate.engines import Segment
from spacy_crossner.translate.names import compare_names, sound
from spacy_crossner.translate.project import (
    FEATURES,
    Candidates,
    Entity,
    Placement,
    choose,
    describe_candidates,
    find_function_words,
    find_repeats,
    project,
    read_marks,
)
from spacy_crossner.translate.views import find_units, join_units, make_translation

OPTIONAL_DATA = Path(__file__).parents[1] / "assets" / "optional" / "uner"
STOP_WORDS = {
    lang: spacy.util.get_lang_class(lang).Defaults.stop_words for lang in ("en", "de", "es", "ru")
}


def make_sentence(text: str, lang: str = "en", spaced: bool = True) -> Sentence:
    words = text.split(" ")
    stop_words = STOP_WORDS.get(lang, frozenset())
    return Sentence(words, [spaced] * len(words), find_function_words(words, stop_words))


def make_entity(source: Sentence, start: int, end: int, label: str = "PER") -> Entity:
    return Entity(start, end, label, [source.text(start, end)])


def place(
    source: Sentence,
    target: Sentence,
    *spans: tuple[int, int],
    pieces: dict | None = None,
    renderings: dict[str, str] | None = None,
) -> list[tuple[int, str]]:
    """Project spans; list the index and target text of the entities that were placed."""
    options = [[word, *filter(None, [(renderings or {}).get(word)])] for word in source.words]
    entities = [make_entity(source, start, end) for start, end in spans]
    alignment = align(source, target, options)
    placements = project(entities, source, target, alignment, pieces)
    return [(one.entity, target.text(one.start, one.end)) for one in placements]


def give_vectors(source: Sentence, target: Sentence, links: str) -> None:
    """Give words that are linked, as in "0-0 1-2", similar vectors."""
    rng = numpy.random.default_rng(0)
    source.vectors = rng.normal(size=(len(source.words), 32))
    target.vectors = rng.normal(size=(len(target.words), 32))
    for link in links.split():
        i, j = map(int, link.split("-"))
        target.vectors[j] = source.vectors[i] + 0.3 * target.vectors[j]


class TestNames:
    @pytest.mark.parametrize(
        "names",
        [
            ("Schulman", "Шульман", "Shulman"),
            ("Angela Merkel", "Ангела Меркель", "Άνγκελα Μέρκελ", "アンゲラ・メルケル"),
            ("Obama", "Обама", "奥巴马", "歐巴馬", "오바마", "ओबामा", "אובמה", "أوباما"),
            ("Geneva", "Genève", "Ginebra", "Женева"),
            ("Tbilisi", "თბილისი", "Թբիլիսի", "Тбилиси"),
            ("Clinton", "克林頓", "克林顿", "Клинтон"),
        ],
    )
    def test_one_name_in_several_scripts(self, names):
        strange = ["Washington", "Вашингтон", "Nürnberg", "大阪府"]
        alike = compare_names(names, names)
        other = compare_names(names, strange)
        assert alike[0].min() > other[0].max()

    def test_case_and_accents_are_no_difference(self):
        assert sound("ÉLOÏSE") == sound("Eloise")
        assert sound("e\u0301") == sound("é") == "e"

    def test_no_letters(self):
        assert not compare_names(["...", "A"], ["-", "..."]).any()

    def test_shapes(self):
        assert compare_names([], ["a"]).shape == (0, 1)
        assert compare_names(["a", "b"], ["a"]).tolist() == [[1.0], [0.0]]

    @given(st.text(max_size=12), st.text(max_size=12))
    def test_symmetric_and_bounded(self, one, other):
        forth, back = compare_names([one], [other]), compare_names([other], [one])
        assert forth == back.T
        assert 0.0 <= forth[0, 0] <= 1.0


class TestAlign:
    def test_names_and_lexicon(self):
        source = make_sentence("Ann lost money")
        target = make_sentence("Geld verlor Ann", "de")
        alignment = align(source, target, [["Ann"], ["lost", "verlor"], ["money", "Geld"]])
        assert find_links(alignment).tolist() == [[0, 2], [1, 1], [2, 0]]

    def test_vectors(self):
        source, target = make_sentence("x1 x2 x3 x4"), make_sentence("y1 y2 y3 y4")
        rng = numpy.random.default_rng(0)
        vectors = rng.normal(size=(4, 16)).astype("float32")
        # encoders shift all vectors one way: only what differs may count
        source.vectors = vectors + 5.0
        target.vectors = vectors[[2, 0, 3, 1]] * 3.0 - 7.0
        links = find_links(align(source, target, [["?"]] * 4))
        assert links.tolist() == [[0, 1], [1, 3], [2, 0], [3, 2]]

    def test_place_decides_between_equals(self):
        source, target = make_sentence("ha ha"), make_sentence("ha ha")
        assert find_links(align(source, target, [["ha"]] * 2)).tolist() == [[0, 0], [1, 1]]

    @given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 99))
    def test_distributions(self, n, m, seed):
        rng = numpy.random.default_rng(seed)
        words = ["w" + str(k) for k in rng.integers(0, 9, n + m)]
        sentences = [
            Sentence(some, [True] * k, numpy.zeros(k, bool), rng.normal(size=(k, 4)))
            for k, some in ((n, words[:n]), (m, words[n:]))
        ]
        forward, backward = align(*sentences, [[word] for word in words[:n]])
        assert forward.shape == backward.shape == (n, m)
        if n and m:
            assert numpy.allclose(forward.sum(axis=1), 1.0)
            assert numpy.allclose(backward.sum(axis=0), 1.0)

    def test_centred_single_word(self):
        assert not centred(numpy.ones((1, 3))).any()


class TestFunctionWords:
    def test_capitals_make_names(self):
        words = "the United States of America , or US".split()
        found = find_function_words(words, STOP_WORDS["en"])
        assert [w for w, f in zip(words, found, strict=True) if f] == ["the", "of", ",", "or"]

    def test_first_word(self):
        assert find_function_words(["“", "Die", "Zeit"], STOP_WORDS["de"]).tolist() == [
            True,
            True,
            False,
        ]
        assert find_function_words(["IT", "it"], {"it"}).tolist() == [False, True]


class TestProject:
    def test_order_changes(self):
        source = make_sentence("Ann Lee met Tim Kohl in Bonn .")
        target = make_sentence("In Bonn traf Tim Kohl Ann Lee .", "de")
        assert place(source, target, (0, 2), (3, 5), (6, 7)) == [
            (2, "Bonn"),
            (1, "Tim Kohl"),
            (0, "Ann Lee"),
        ]

    def test_articles_stay_out(self):
        source = make_sentence("He left Switzerland for Turkey .")
        target = make_sentence("Er zog aus der Schweiz in die Türkei .", "de")
        found = place(
            source,
            target,
            (2, 3),
            (4, 5),
            renderings={"Switzerland": "Schweiz", "Turkey": "Türkei"},
        )
        assert found == [(0, "Schweiz"), (1, "Türkei")]

    def test_another_script(self):
        source = make_sentence("Schulman lives in Gomel now .")
        target = make_sentence("Сейчас Шульман живёт в Гомеле .", "ru")
        assert place(source, target, (0, 1), (3, 4)) == [(0, "Шульман"), (1, "Гомеле")]

    def test_no_spaces(self):
        source = make_sentence("Clinton was in Iowa .")
        target = make_sentence("克 林 頓 在 爱 荷 华 。", "zh", spaced=False)
        give_vectors(source, target, "0-0 0-1 0-2 2-3 3-4 3-5 3-6 4-7")
        assert place(source, target, (0, 1), (3, 4)) == [(0, "克林頓"), (1, "爱荷华")]

    def test_right_to_left(self):
        source = make_sentence("Obama met Netanyahu .")
        target = make_sentence("אובמה נפגש עם נתניהו .", "he")
        give_vectors(source, target, "0-0 1-1 2-3 3-4")
        assert place(source, target, (0, 1), (2, 3)) == [(0, "אובמה"), (1, "נתניהו")]

    def test_name_that_is_not_there(self):
        source = make_sentence("Ann Lee laughed .")
        target = make_sentence("sie lachte laut .", "de")
        assert place(source, target, (0, 2)) == []

    def test_nothing_to_do(self):
        source = make_sentence("He laughed .")
        assert place(source, source) == []
        empty = Sentence([], [], numpy.zeros(0, dtype=bool))
        assert project([make_entity(source, 0, 1)], source, empty, align(source, empty, [])) == []

    def test_original_beside_the_translation(self):
        source = make_sentence("Larry Vance spoke .")
        target = Sentence(
            ["拉里", "·", "万斯", "(", "Larry", "Vance", ")", "说"],
            [False, False, False, False, True, False, False, False],
            numpy.array([False, True, False, True, False, False, True, False]),
        )
        found = find_repeats([make_entity(source, 0, 2)], [Placement(0, 0, 3, 0.9)], target)
        assert [(one.start, one.end) for one in found] == [(0, 3), (4, 6)]

    @given(st.integers(0, 10**6))
    def test_no_two_share_a_token(self, seed):
        rng = numpy.random.default_rng(seed)
        names = ["Ann", "Lee", "Bonn", "Tim", "met", "in", "of", "Kohl", "."]
        source = make_sentence(" ".join(rng.choice(names, 9)))
        target = make_sentence(" ".join(rng.choice(names, rng.integers(1, 12))))
        cuts = sorted(rng.choice(10, 6, replace=False).tolist())
        entities = [make_entity(source, a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
        m = len(target.words)
        pieces = None
        if seed % 2:
            pieces = {}
            for token in range(m):
                if rng.random() < 0.4:
                    pieces.setdefault(int(rng.integers(0, 3)), []).append((token, token + 1))
        alignment = align(source, target, [[word] for word in source.words])
        found = project(entities, source, target, alignment, pieces)
        for one, next_ in pairwise(found):
            assert one.end <= next_.start
        for one in found:
            assert 0 <= one.start < one.end <= m
            assert 0.0 <= one.confidence <= 1.0 + 1e-9


class TestUnits:
    """Characters of one word piece go together."""

    def make(self, text: str, pieces: list[int], spaced: bool = False) -> Sentence:
        sentence = make_sentence(text, "zh", spaced=spaced)
        sentence.vectors = numpy.eye(9)[pieces]
        return sentence

    def test_characters_of_a_piece(self):
        sentence = self.make("北 京 很 大 。 。", [1, 1, 2, 3, 4, 4])
        bounds = find_units(sentence)
        assert bounds.tolist() == [0, 2, 3, 4, 5, 6]
        joined = join_units(sentence, bounds, "zh")
        assert joined.words == ["北京", "很", "大", "。", "。"]
        assert joined.vectors.argmax(axis=1).tolist() == [1, 2, 3, 4, 4]

    def test_words_stay_apart(self):
        assert len(find_units(self.make("a b", [1, 1], spaced=True))) == 3
        assert len(find_units(make_sentence("北 京", "zh", spaced=False))) == 3
        empty = Sentence([], [], numpy.zeros(0, dtype=bool), numpy.zeros((0, 4)))
        assert find_units(empty).tolist() == [0]

    def test_places_and_links_are_of_tokens(self):
        source = Doc(Vocab(), words=["In", "Peking"])
        source.set_ents([Span(source, 1, 2, "LOC")])
        set_view(source, View("a"))
        target = Doc(Vocab(), words=list("在北京"), spaces=[False] * 3)
        rng = numpy.random.default_rng(0)
        of_source = rng.normal(size=(2, 16))
        of_target = of_source[[0, 1, 1]] + 0.1
        view = make_translation(
            source,
            Segment("在北京"),
            target,
            vectors=(of_source, of_target),
            langs=("en", "zh"),
        ).doc
        assert [(ent.text, ent.label_) for ent in view.ents] == [("北京", "LOC")]
        assert get_view(view).links.tolist() == [[0, 0], [1, 1], [1, 2]]


class TestMarks:
    SOURCE = "Bank of Scotland fired Ann Lee"
    ENTITIES = ((0, 3), (4, 6))

    def read(self, target: str, pieces: dict, lang: str = "es"):
        source = make_sentence(self.SOURCE)
        entities = [make_entity(source, *span) for span in self.ENTITIES]
        sentence = make_sentence(target, lang)
        placed, doubtful = read_marks(entities, source, sentence, pieces)
        return [
            [(one.entity, sentence.text(one.start, one.end), one.repaired) for one in some]
            for some in (placed, doubtful)
        ]

    def test_one_piece(self):
        target = "Banco de Escocia despidió a Ann Lee"
        placed, doubtful = self.read(target, {0: [(0, 3)], 1: [(5, 7)]})
        assert placed == [(0, "Banco de Escocia", False), (1, "Ann Lee", False)]
        assert not doubtful

    def test_pieces_with_short_words_between(self):
        placed, _ = self.read("el Banco de la Escocia despidió", {0: [(1, 2), (4, 5)]})
        assert placed == [(0, "Banco de la Escocia", True)]

    def test_function_words_at_the_edges(self):
        placed, _ = self.read("el Banco de Escocia de", {0: [(0, 5)]})
        assert placed == [(0, "Banco de Escocia", True)]

    def test_words_of_others_between(self):
        placed, doubtful = self.read("Banco despidió clientes Escocia", {0: [(0, 1), (3, 4)]})
        assert placed == []
        assert doubtful == [(0, "Escocia", True)]

    def test_nothing_but_function_words(self):
        assert self.read("despidió a de la", {0: [(2, 4)]}) == [[], []]

    def test_lost_mark_is_found_by_its_words(self):
        source = make_sentence(self.SOURCE)
        target = make_sentence("Ann Lee fue despedida", "es")
        assert place(source, target, (4, 6), pieces={}) == [(0, "Ann Lee")]

    def test_split_mark_keeps_one_piece(self):
        source = make_sentence("the Danube Delta lies there")
        target = make_sentence("el Danubio miente de Delta allí", "es")
        found = place(source, target, (1, 3), pieces={0: [(1, 2), (4, 5)]})
        assert len(found) == 1
        assert found[0][1] in ("Danubio", "Delta")


class TestChoice:
    def make(self, *spans: tuple[int, int]) -> Candidates:
        starts, ends = numpy.array(spans).T
        return Candidates(starts, ends, numpy.zeros((len(spans) + 1, len(FEATURES))))

    def test_clearest_first(self):
        found = [self.make((0, 1), (2, 3)), self.make((0, 1), (2, 3))]
        scores = [numpy.array([2.0, 1.9, 0.0]), numpy.array([5.0, -3.0, 0.0])]
        placed = choose(found, scores)
        assert [(one.entity, one.start) for one in placed] == [(1, 0), (0, 2)]
        # what another entity took is no rival any more
        assert placed[0].confidence > 0.99
        assert placed[1].confidence == pytest.approx(numpy.exp(1.9) / (numpy.exp(1.9) + 1))

    def test_nowhere(self):
        assert choose([self.make((0, 1))], [numpy.array([-1.0, 0.0])]) == []

    def test_taken(self):
        assert choose([self.make((0, 2))], [numpy.array([4.0, 0.0])], [(1, 3)]) == []

    def test_lower_case_speaks_against_names_only(self):
        target = make_sentence("trita due cipolle", "it")
        penalties = [FEATURES.index("lower_start"), FEATURES.index("lower_inside")]
        for text, expected in (("chop two onions", False), ("chop Two Onions", True)):
            source = make_sentence(text)
            alignment = align(source, target, [[word] for word in source.words])
            candidates = describe_candidates(make_entity(source, 1, 3), source, target, alignment)
            assert candidates.features[:-1, penalties].any() == expected

    def test_features_have_names(self):
        source = make_sentence("Ann lives")
        candidates = describe_candidates(
            make_entity(source, 0, 1), source, source, align(source, source, [["Ann"], ["lives"]])
        )
        assert candidates.features.shape == (len(candidates.starts) + 1, len(FEATURES))
        assert candidates.features[-1].sum() == 1.0


@pytest.mark.data
@pytest.mark.skipif(not OPTIONAL_DATA.is_dir(), reason=f"no data in {OPTIONAL_DATA}")
@pytest.mark.parametrize(("lang", "least"), [("de", 0.7), ("sv", 0.78)])
def test_gold_by_names_alone(tmp_path, lang, least):
    """English gold onto the gold of translations: with an encoder it is far better."""
    docs = []
    for one in ("en", lang):
        convert([OPTIONAL_DATA / f"{one}_pud-ud-test.iob2"], tmp_path / "out.spacy", lang=one)
        docs.append(list(read_docs(tmp_path / "out.spacy", Vocab())))
    found, gold = set(), set()
    # both files have the same sentences in the same order
    for number, (source, target) in enumerate(zip(*docs, strict=True)):
        gold |= {(number, e.start, e.end, e.label_) for e in target.ents}
        view = make_translation(source, Segment(target.text), target, langs=("en", lang)).doc
        found |= {(number, e.start, e.end, e.label_) for e in view.ents}
    assert 2 * len(found & gold) / (len(found) + len(gold)) > least
