"""The report: complete, readable by everybody, and nothing but one file."""

import itertools
import re
import shutil
from html.parser import HTMLParser

import numpy
import pytest
import srsly
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.data.markup import Marked, parse_marks
from spacy_crossner.data.sample import make_doc
from spacy_crossner.data.shards import write_docs
from spacy_crossner.errors import CrossnerError
from spacy_crossner.files import write_json
from spacy_crossner.report import figures
from spacy_crossner.report.compare import (
    RIGHT,
    Compared,
    Entity,
    Pair,
    Reliability,
    compare,
    count_types,
    match,
    measure_reliability,
)
from spacy_crossner.report.evaluate import evaluate, find_tests
from spacy_crossner.report.names import join_langs, language_name
from spacy_crossner.report.render import choose_examples, describe_pair, render_sentence
from spacy_crossner.report.report import Scored, read_logs, read_metrics, report, same_tests
from spacy_crossner.report.score import choose_nested
from spacy_crossner.report.sections import (
    MAX_ERRORS,
    choose_errors,
    list_next_steps,
    mean_losses,
    name_test,
    show_confusion,
    show_errors,
    show_recipes,
    show_reliability,
    show_runs,
    show_types,
)
from spacy_crossner.report.tables import make_tables
from spacy_crossner.report.vectors import OUTSIDE, TokenVectors, project, share_of_neighbours
from tests.browser import Browser
from tests.pipelines import make_examples, make_nlp, train

# the tiny encoder knows few scripts
pytestmark = pytest.mark.filterwarnings(r"ignore:\[CNW03\]")
TESTS = {
    "de": ["[PER Angela Merkel] war in [LOC Berlin].", "die <b>bank</b> & [ORG Acme Corp]"],
    "es": ["[PER Maria Silva] fue y la [LOC Paris]", "[ORG el] president de [LOC France]"],
    "ar": ["[LOC London] و [LOC Paris]"],
}
LOG = [
    {"run": 1, "step": 0, "losses": {"ner": 9.0, "transformer": 1.0}, "score": 0.1},
    {"run": 2, "step": 0, "losses": {"ner": 2.0, "transformer": 1.0, "tcl": 0.0}, "score": None},
    {"run": 2, "step": 10, "losses": {"ner": 5.0, "transformer": 1.0, "tcl": 0.0}, "score": 0.5},
]
TRANSLATION = {
    "de": {"engine": "memory", "sentences": 9, "failed": ["x"], "labels": {"PER": {"kept": 0.5}}}
}
NAMES = {"de": "German", "es": "Spanish", "ar": "Arabic"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_encoder):
    """A trained pipeline, tests in three languages, scores of two recipes, and a log."""
    folder = tmp_path_factory.mktemp("report")
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=40)
    nlp.to_disk(folder / "model")
    (folder / "corpus").mkdir()
    for lang, texts in TESTS.items():
        docs = []
        for number, marked in enumerate(texts):
            text, spans, _ = parse_marks(marked)
            docs.append(make_doc(Marked(f"{lang}-{number}", text, spans), "source", lang))
        write_docs(folder / "corpus" / f"test-{lang}.spacy", docs)
    scores = evaluate(folder / "model", [folder / "corpus"])
    write_json(folder / "metrics" / "label.json", scores)
    for values in scores.values():
        values["f"] = 12.5
    write_json(folder / "metrics" / "other.json", scores)
    srsly.write_json(folder / "metrics" / "speed.json", {"seconds": 1.0})
    (folder / "training" / "label").mkdir(parents=True)
    srsly.write_jsonl(folder / "training" / "label" / "log.jsonl", LOG)
    srsly.write_json(folder / "translation.json", TRANSLATION)
    return folder


@pytest.fixture(scope="module")
def page(folder, tiny_encoder):
    return report(
        folder / "model",
        [folder / "corpus"],
        folder / "report",
        name="label",
        metrics=[folder / "metrics"],
        logs=[folder / "training"],
        encoder=str(tiny_encoder),
        source=folder / "corpus" / "test-de.spacy",
        translation=folder / "translation.json",
    )


class Page(HTMLParser):
    """What the checks need: each element with its attributes, and the text it holds itself."""

    # "path" and the like close themselves
    VOID = ("meta", "link", "img", "source", "input", "br")

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        parents = [self.elements[number][0] for number in self.open]
        self.elements.append([tag, dict(attrs), "", parents])
        if tag not in self.VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        for number in self.open:
            self.elements[number][2] += data

    def all(self, *tags):
        return [element for element in self.elements if element[0] in tags]


def test_page_needs_nothing_else(page):
    html = page.read_text(encoding="utf8")
    assert len(html.encode("utf8")) < 500_000
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html
    for tag, attrs, _, _ in Page(html).elements:
        assert tag not in ("iframe", "object", "embed")
        for name in ("src", "srcset", "href", "action", "data"):
            assert attrs.get(name, "#").startswith(("data:", "#"))


def test_page_can_be_read_by_everybody(page):
    parsed = Page(page.read_text(encoding="utf8"))
    (html,) = parsed.all("html")
    assert html[1]["lang"] == "en"
    titles = [text for _, _, text, parents in parsed.all("title") if "head" in parents]
    assert titles == ["label: entities in 3 languages"]
    levels = [int(tag[1]) for tag, *_ in parsed.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs, _, _ in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs, _, _ in parsed.all("a"):
        assert attrs["href"][1:] in ids
    drawn = [attrs for _, attrs, _, _ in parsed.all("svg") if attrs.get("role") == "img"]
    assert len(drawn) == 7
    assert all(len(attrs["aria-label"]) > 15 for attrs in drawn)
    assert not parsed.all("img", "picture")
    # only the map of confusions is a table that is shown at once
    closed = ["details" in parents for _, _, _, parents in parsed.all("table")]
    assert closed.count(False) == 1
    for _, attrs, text, _ in parsed.all("th"):
        assert attrs["scope"] in ("col", "row")
        assert text.strip()
    captions = [text for _, _, text, _ in parsed.all("caption")]
    assert len(parsed.all("table")) == len(captions) == len(set(captions))
    for _, _, _, parents in parsed.all("select", "input"):
        assert "label" in parents
    for _, attrs, _, _ in parsed.elements:
        if attrs.get("role") == "region":
            assert attrs["tabindex"] == "0"
            assert attrs["aria-label"]


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_letters_stand_out(page):
    html = page.read_text(encoding="utf8")
    themes: list[dict[str, str]] = [{}, {}]
    for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        themes[set(colours) <= set(themes[0])].update(colours)
    light, dark = themes
    assert set(light) == set(dark)
    for theme in themes:
        for ground in ("ground", "card"):
            for ink in ("ink", "soft", "link", "good", "bad"):
                assert contrast(theme[ink], theme[ground]) >= 4.5
            for number in range(figures.COLOURS):
                assert contrast(theme[f"c{number}"], theme[ground]) >= 3
        for number in range(figures.COLOURS):
            assert contrast(theme["ink"], theme[f"e{number}"]) >= 4.5
        assert contrast(theme["ink"], theme["heat"]) >= 4.5


def test_page_says_what_was_found(page, folder):
    parsed = Page(page.read_text(encoding="utf8"))
    text = parsed.all("body")[0][2]
    scores = srsly.read_json(folder / "metrics" / "label.json")
    cards = [
        " ".join(one[2].split())
        for one in parsed.all("article")
        if "card language" in one[1]["class"]
    ]
    for lang, texts in TESTS.items():
        (card,) = [card for card in cards if card.startswith(NAMES[lang])]
        f1 = scores[f"test-{lang}"]["f"]
        assert card.startswith(f"{NAMES[lang]} {f1:.1f} Precision")
        assert f"Sentences{len(texts)}" in card
    for heading in ("Errors", "Recipes compared", "Training", "Token vectors", "Training data"):
        assert any(found[2].startswith(heading) for found in parsed.all("h2"))
    assert "other12.512.512.512.5" in text.replace("\n", "")
    assert "memory91" in text  # engine, sentences, and the number that failed
    assert "before training" in text
    assert "Selection" not in text
    assert "pip install" not in text
    assert f"python -m spacy crossner demo {folder / 'model'}" in text
    assert "--languages ar,de,es" in text
    assert re.search(r"\d+ \w+ \d{4}, spacy-crossner \d", text)
    assert "die <b>bank</b>" not in page.read_text(encoding="utf8")


def test_nothing_but_a_pipeline_and_tests(folder, tmp_path):
    """Sections without content are left out. Paths that lead nowhere are warned of."""
    with pytest.warns(UserWarning, match="CNW6") as caught:
        page = report(
            folder / "model",
            [folder / "corpus" / "test-de.spacy"],
            tmp_path,
            metrics=[tmp_path / "none"],
            selection=tmp_path / "none.json",
        )
    assert {str(warning.message)[1:6] for warning in caught} - {"CNW03"} == {"CNW61"}
    parsed = Page(page.read_text(encoding="utf8"))
    names = [found[2].partition(":")[0] for found in parsed.all("h2")]
    left_out = {"Recipes compared", "Training", "Token vectors", "Training data"}
    assert left_out.isdisjoint(names)
    assert {"Languages", "Entity types", "Calibration", "What to type next"} <= set(names)
    links = {attrs["href"][1:] for _, attrs, _, _ in parsed.all("a")}
    assert links == {attrs["id"] for _, attrs, _, _ in parsed.all("section")}
    assert "--" not in parsed.all("main")[0][2].partition("What to type next")[0]
    heading = f"{folder.name}/model"
    assert [found[2] for found in parsed.all("h1")] == [heading]


def test_command(folder, tmp_path):
    arguments = [str(folder / "model"), str(folder / "corpus"), "--output", str(tmp_path / "out")]
    shown = CliRunner().invoke(cli.app, ["report", *arguments])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "out" / "report.html").exists()
    shown = CliRunner().invoke(cli.app, ["report", "no_such_pipeline", *arguments[1:]])
    assert shown.exit_code == 1
    assert "CN611" in shown.output


@pytest.mark.parametrize("name", ["test-de.spacy", "de.spacy"])
def test_no_test_hides_another(folder, tmp_path, name):
    first, second = folder / "corpus" / "test-de.spacy", tmp_path / name
    shutil.copy(first, second)
    problem = rf"CN613.*{re.escape(str(first))} and {re.escape(str(second))}.*'de'.*Rename"
    with pytest.raises(CrossnerError, match=problem):
        evaluate(folder / "model", [folder / "corpus", second])
    with pytest.raises(CrossnerError, match=problem):
        report(folder / "model", [first, second], tmp_path / "out")


def test_the_same_test_twice_is_one_test(folder):
    corpus = folder / "corpus"
    again = corpus / ".." / "corpus" / "test-de.spacy"
    assert [path.stem for path in find_tests([corpus, again])] == ["test-ar", "test-de", "test-es"]


def test_inputs_that_are_none(folder, tmp_path):
    path = folder / "metrics" / "speed.json"
    with pytest.raises(CrossnerError, match=r"CN640.*speed\.json"):
        read_metrics([path])
    assert list(read_metrics([path.parent])) == ["label", "other"]
    assert list(read_metrics([path.parent, path.parent / "label.json"])) == ["label", "other"]
    shutil.copy(path.parent / "label.json", tmp_path / "label.json")
    with pytest.raises(CrossnerError, match=r"CN613.*label\.json.*'label'"):
        read_metrics([path.parent, tmp_path / "label.json"])
    odd = tmp_path / "odd.json"
    odd.write_text('{"test-de": {"f": "x", "docs": 3}}', encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN640.*odd\.json"):
        read_metrics([odd])
    (tmp_path / "broken.json").write_text("{", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN641.*broken"):
        read_metrics([tmp_path])
    (tmp_path / "list.json").write_text("[]", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN641.*list"):
        report(
            folder / "model",
            [folder / "corpus" / "test-de.spacy"],
            tmp_path / "out",
            selection=tmp_path / "list.json",
        )


# ---- comparing gold and found -------------------------------------------------------------------


def test_kinds_of_error():
    def kind(gold, found):
        (pair,) = match([Entity(*gold)] if gold else [], [Entity(*found)] if found else [])
        return pair.kind

    assert kind((0, 5, "PER"), (0, 5, "PER")) == "right"
    assert kind((0, 5, "PER"), (0, 5, "LOC")) == "type"
    assert kind((0, 5, "PER"), (2, 9, "PER")) == "boundary"
    assert kind((0, 5, "PER"), (2, 9, "LOC")) == "both"
    assert kind((0, 5, "PER"), None) == "missed"
    assert kind(None, (0, 5, "PER")) == "invented"


def test_same_place_comes_before_overlap():
    gold = [Entity(0, 9, "A"), Entity(10, 12, "B")]
    found = [Entity(0, 3, "A"), Entity(4, 11, "A")]
    assert match(gold, found) == [
        Pair(gold[0], found[1]),
        Pair(gold[1], None),
        Pair(None, found[0]),
    ]
    found = [Entity(0, 8, "B"), Entity(10, 12, "A")]
    assert [pair.kind for pair in match(gold, found)] == ["both", "type"]


@st.composite
def flat_entities(draw):
    edges = sorted(draw(st.sets(st.integers(0, 30), max_size=12)))
    ends = zip(edges[::2], edges[1::2], strict=False)
    return [Entity(start, end, draw(st.sampled_from("AB"))) for start, end in ends]


@given(flat_entities(), flat_entities())
def test_each_entity_is_matched_once(gold, found):
    sentence = Compared("xx", "ltr", " " * 31, match(gold, found))
    assert sentence.gold == gold
    assert sentence.found == found
    for pair in sentence.pairs:
        if pair.gold is not None and pair.found is not None:
            assert min(pair.gold.end, pair.found.end) > max(pair.gold.start, pair.found.start)
    counts = count_types([sentence])
    assert sum(counts.values()) == len(sentence.pairs)
    assert counts["nothing", "nothing"] == 0


def test_scores_and_tokens_without_annotation(tiny_encoder):
    nlp = make_nlp(tiny_encoder)
    example = make_examples(nlp)[0]
    doc, gold = example.predicted, example.reference
    doc.set_ents(
        [doc[0:2], doc[3:4]] and [doc.char_span(0, 13, "PER"), doc.char_span(22, 28, "LOC")]
    )
    doc.spans["sc"] = list(doc.ents)
    doc.spans["sc"].attrs["scores"] = numpy.array([0.9, 0.6])
    gold.set_ents([gold.char_span(0, 13, "PER")], missing=[gold.char_span(22, 28)])
    sentence = compare(example, "en")
    assert sentence.found == [(0, 13, "PER", 0.9)]
    found = measure_reliability([sentence])
    assert (found.entities, round(found.error, 3)) == (1, 0.1)
    assert found.bins == [(0.9, 1.0, 1)]
    assert measure_reliability([]) is None


def test_choice_of_errors():
    missed = Pair(Entity(0, 1, "A"), None)
    right = Pair(Entity(0, 1, "A"), Entity(0, 1, "A"))
    sentences = [Compared(lang, "ltr", "x", [missed]) for lang in ("de", "de", "de", "es")]
    sentences.insert(0, Compared("de", "ltr", "x", [right]))
    assert [s.lang for s in choose_errors(sentences, 2)] == ["de", "de", "es"]
    assert choose_errors(sentences, 0) == []


def test_markup_is_escaped():
    pair = Pair(Entity(0, 3, "<P>"), Entity(0, 3, "<P>", 0.5))
    html = render_sentence(Compared("ar", "rtl", "<i>a</i>", [pair]), {"<P>": 3})
    assert html == '<mark class="l3">&lt;i&gt;<b>&lt;P&gt; 0.50</b></mark>a&lt;/i&gt;'
    note = describe_pair(Pair(Entity(0, 3, "<P>"), None), "<i>a")
    assert note == "<strong>Missed</strong>: <bdi>&lt;i&gt;</bdi> (&lt;P&gt;)"


@given(flat_entities(), flat_entities())
def test_a_marked_sentence_has_its_whole_text(gold, found):
    text = "abcde&<>ghijklmnopqrstuvwxyz1234"
    sentence = Compared("xx", "ltr", text, match(gold, found))
    html = render_sentence(sentence, {})
    assert re.sub(r"<b>.*?</b>|<[^>]*>", "", html) == str(Markup.escape(text))
    right = sum(pair.kind == RIGHT for pair in sentence.pairs)
    assert html.count('"l0"') == right
    assert html.count("wrong") == len(found) - right
    assert html.count('missed"') <= sum(pair.kind == "missed" for pair in sentence.pairs)
    for pair in sentence.pairs:
        if pair.kind != RIGHT:
            assert describe_pair(pair, text).startswith("<strong>")


def test_examples_have_right_ones_and_an_error():
    one, two = Entity(0, 1, "A", 0.9), Entity(1, 2, "B", 0.9)
    right = [Compared("de", "ltr", "x" * n, [Pair(one, one)]) for n in (5, 100, 300)]
    both = Compared("de", "ltr", "x" * 90, [Pair(one, one), Pair(two, two)])
    wrong = Compared("de", "ltr", "x", [Pair(one, None)])
    nothing = Compared("de", "ltr", "x", [])
    assert choose_examples([nothing, *right, wrong, both]) == [both, right[1], wrong]
    assert choose_examples([*right, both]) == [both, right[1], right[0]]
    assert choose_examples([wrong, nothing, wrong]) == [wrong, wrong]
    assert choose_examples([nothing]) == []


def test_names_of_languages_and_tests():
    assert [language_name(code) for code in ("de", "zh", "xx", "de-news")] == [
        "German",
        "Chinese",
        "Multilingual",
        "German (news)",
    ]
    assert language_name("no_such") == "no_such"
    assert name_test("de", "de") == "German"
    assert name_test("de-news", "de") == "German (news)"
    assert name_test("wiki", "de") == "German (wiki)"
    assert name_test("wiki", "xx") == "wiki"


def test_language_of_a_file_and_wheels_of_its_languages():
    assert (join_langs(["de", "de"]), join_langs(["de", "ar"])) == ("de", "xx")
    sentences = [Compared(lang, "ltr", "x", []) for lang in ("de", "news", "ar", "de", "xx")]
    (_, (_, command)) = list_next_steps("model", ["tests"], sentences)["next"]
    assert "--languages de,ar " in command


def test_sections_without_content():
    sentences = [Compared("de", "ltr", "x", [])]
    scores = {"de": {"docs": 1, "p": 0.0, "r": 0.0, "f": 0.0, "per_type": {}}}
    assert show_types(scores, NAMES) == {}
    assert show_recipes({"one": {"de": 1.0}}, NAMES) == {}
    assert show_reliability({"de": sentences}, NAMES) == {}
    assert show_confusion(sentences) == {}
    assert show_errors({"de": sentences}, NAMES, 8) == {}
    assert show_runs({}) == {}
    assert show_runs({"a": [{"step": 0, "losses": {"tcl": 0.0}, "score": None}]}) == {}


def test_errors_of_many_languages_stay_few():
    pair = Pair(Entity(0, 1, "A"), None)
    compared = {f"l{n}": [Compared(f"l{n}", "ltr", "x", [pair])] * 8 for n in range(60)}
    found = show_errors(compared, {key: key for key in compared}, 8)["errors"]
    assert (found["limit"], len(found["sentences"])) == (MAX_ERRORS // 60, MAX_ERRORS)
    assert found["table"].rows[0] == ["Missed", *["8"] * 60]
    assert [sentence["lang"] for sentence in found["sentences"][:60]] == list(compared)


# ---- charts -------------------------------------------------------------------------------------


def test_ticks_are_round_and_reach_the_end():
    assert figures.find_ticks(100) == [0, 25, 50, 75, 100]
    assert figures.find_ticks(0) == [0.0, 1e-13] or len(figures.find_ticks(0)) == 2
    for most in (0.003, 0.7, 1.0, 3.0, 37.0, 499.0, 12345.0):
        ticks = figures.find_ticks(most)
        assert 3 <= len(ticks) <= 7
        assert ticks[-1] >= most * (1 - 1e-9)
        assert ticks[0] == 0


def test_charts_are_well_formed_and_stay_inside():
    charts = [
        figures.draw_bars("F1", {"<German>": {"a": 0.0, "b": 100.0}, "Thai": {"b": 50.0}}),
        figures.draw_ranges("F1", {"PER": {"German": 50.0, "Thai": 80.0}, "LOC": {"Thai": 0.0}}),
        figures.draw_lines("Loss", {"a": [(0, 0.0)]}, across="Step"),
        figures.draw_lines("Loss", {"a": [(0, 3.0), (200, 1.0)]}, across="Step", height=170),
        figures.draw_lines("Loss", {"a": [(n, n / 7) for n in range(200)]}, across="Step"),
        figures.draw_reliability(Reliability(9, 0.1, [(0.05, 0.5, 1), (1.0, 0.9, 8)])),
        figures.draw_vectors(
            "After",
            TokenVectors(numpy.eye(4), ["A", "A", "B", OUTSIDE], ["de", "en", "de", "en"]),
            NAMES,
        ),
        figures.draw_vectors("One", TokenVectors(numpy.ones((2, 3)), ["A"] * 2, ["de"] * 2), {}),
    ]
    for chart in charts:
        parsed = Page(chart.svg)
        assert "nan" not in chart.svg
        for _, attrs, _, _ in parsed.elements:
            for name in ("x", "cx", "x1", "x2", "width"):
                if attrs.get(name, "").endswith("%"):
                    assert 0 <= float(attrs[name][:-1]) <= 100
    assert "&lt;German&gt;" in charts[0].svg
    assert [name for name, _ in charts[0].legend] == ["a", "b"]
    assert charts[2].legend == []
    assert [name for name, _ in charts[6].legend] == ["A", "B", OUTSIDE, "German", "en"]
    assert "circle" not in charts[4].svg


# ---- curves, tables, vectors --------------------------------------------------------------------


def test_mean_losses_of_the_last_run(folder, tmp_path):
    rows = read_logs([folder / "training"])["label"]
    assert [row["run"] for row in rows] == [2, 2]
    assert mean_losses(rows) == {"ner": [(0, 2.0), (10, 0.5)]}
    (tmp_path / "log.jsonl").write_text("", encoding="utf8")
    assert read_logs([tmp_path]) == {}
    again = tmp_path / "again" / "label"
    again.mkdir(parents=True)
    (log,) = (folder / "training").rglob("label/*.jsonl")
    shutil.copy(log, again)
    names = list(read_logs([folder / "training", log, again]))
    assert names == [*read_logs([folder / "training"]), str((again / log.name).resolve())]


def test_other_files_are_no_logs(folder, tmp_path):
    (tmp_path / "patterns.jsonl").write_text('{"label": "ORG", "pattern": "Acme"}\n')
    (tmp_path / "list.jsonl").write_text("[1]\n")
    assert read_logs([tmp_path]) == {}
    with pytest.raises(CrossnerError, match=r"CN310.*patterns"):
        read_logs([tmp_path / "patterns.jsonl"])
    (log,) = (folder / "training").rglob("label/*.jsonl")
    (tmp_path / "damaged.jsonl").write_text(log.read_text(encoding="utf8") + "nothing\n")
    with pytest.raises(CrossnerError, match=r"CN310.*damaged"):
        read_logs([tmp_path])


def test_recipes_of_other_tests_are_left_out():
    scores = {"de": {"docs": 3}, "fr": {"docs": 2}}
    tested = {
        "same": {"de": Scored(50.0, 3), "fr": Scored(70.0, 2)},
        "fewer": {"de": Scored(40.0, 3), "nl": Scored(1.0, 9)},
        "strange": {"de": Scored(90.0, 30), "fr": Scored(90.0, 2)},
    }
    with pytest.warns(UserWarning, match=r"CNW62.*'strange'.*'de' has 30 docs.*has 3"):
        recipes = same_tests(tested, scores)
    assert recipes == {"same": {"de": 50.0, "fr": 70.0}, "fewer": {"de": 40.0, "nl": 1.0}}
    table = show_recipes(recipes, NAMES)["recipes"]["table"]
    assert table.header == ["Recipe", "German", "French", "Dutch", "Mean of German"]
    assert table.rows[0] == ["same", "50.0", "70.0", "-", "50.0"]
    assert table.rows[1] == ["fewer", "40.0", "-", "1.0", "40.0"]


def test_nested_names_of_other_components():
    """They mark no best set, so it is made of all their spans."""
    doc = Doc(Vocab(), words=["the", "bank", "of", "England"])
    doc.ents = [Span(doc, 0, 4, label="ORG")]
    bounds = [(3, 4, "LOC"), (1, 4, "ORG"), (2, 4, "LOC"), (3, 4, "PER")]
    doc.spans["sc"] = [Span(doc, start, end, label=label) for start, end, label in bounds]
    assert choose_nested(doc, "other") == {(((0, 19),), "ORG")}
    doc.spans["sc"].attrs["scores"] = numpy.array([0.4, 0.9, 0.8, 0.5])
    assert {label for _, label in choose_nested(doc, "sc")} == {"ORG", "LOC", "PER"}
    doc.spans["sc"].attrs["nested"] = numpy.array([True, False, False, False])
    assert choose_nested(doc, "sc") == {(((0, 19),), "ORG"), (((12, 19),), "LOC")}


def test_tables_of_nested_values():
    first, second = make_tables("Translation", TRANSLATION)
    assert first.header == ["Part", "engine", "sentences", "failed"]
    assert first.rows == [["German", "memory", "9", "1"]]
    assert (second.header, second.rows) == (["Part", "kept"], [["German · labels · PER", "0.5"]])
    (flat,) = make_tables("Selection", {"kept": 3, "mean_score": 0.123456, "examples": {"a": 1}})
    assert flat.rows == [["all", "3", "0.123"]]


def test_plane_shows_the_largest_differences():
    rng = numpy.random.default_rng(0)
    plane = rng.normal(size=(50, 2)) * [5.0, 2.0]
    axes = numpy.linalg.qr(rng.normal(size=(8, 8)))[0][:2]
    vectors = plane @ axes + 3.0 + rng.normal(size=(50, 8)) * 1e-6
    places = project(vectors)
    distances = [numpy.linalg.norm(p[:, None] - p[None], axis=-1) for p in (places, plane)]
    assert numpy.allclose(*distances, atol=1e-4)
    assert numpy.allclose(project(vectors), places)


def test_neighbours_in_other_languages():
    vectors = numpy.array([[1.0, 0.1], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.1], [-1.0, 0.2]])
    labels, langs = ["A", "A", "B", "B", OUTSIDE], ["de", "en", "de", "en", "en"]
    assert share_of_neighbours(TokenVectors(vectors, labels, langs)) == 1.0
    swapped = TokenVectors(vectors, ["A", "B", "B", "A", OUTSIDE], langs)
    assert share_of_neighbours(swapped) == 0.0


# ---- in a real browser --------------------------------------------------------------------------


@pytest.mark.system
def test_search_in_a_browser(page):
    total = sum(
        "error" in attrs["class"].split()
        for _, attrs, *_ in Page(page.read_text(encoding="utf8")).all("article")
    )
    with Browser() as browser:
        browser.open(page.as_uri())
        shown = "[...document.querySelectorAll('.error:not([hidden])')]"
        assert len(browser.run(f"{shown}.map((error) => 1)")) == min(12, total)
        browser.run(
            "const kind = document.getElementById('kind'); kind.value = 'missed';"
            "kind.dispatchEvent(new Event('input', {bubbles: true})); 0"
        )
        kinds = browser.run(f"{shown}.map((error) => error.dataset.kinds)")
        assert kinds
        assert all("missed" in kind.split() for kind in kinds)
        count = browser.run("document.getElementById('count').textContent")
        assert count == f"{len(kinds)} of {total} sentences"
        browser.run("dispatchEvent(new Event('beforeprint')); 0")
        assert browser.run("[...document.querySelectorAll('details')].every((one) => one.open)")
        assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]


@pytest.mark.system
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_fits_and_is_accessible(page, dark, tmp_path):
    """Every rule of axe-core, if AXE_JS names its axe.min.js (npm pack axe-core)."""
    with Browser() as browser:
        for width in (1280, 390):
            browser.open(page.as_uri(), width, dark=dark)
            browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            assert not browser.is_too_wide()
            browser.screenshot(tmp_path / "page.png")
            assert (tmp_path / "page.png").stat().st_size > 20_000
            assert browser.find_violations() == []


def test_logs_of_interrupted_trainings_are_left_out(folder, tmp_path):
    (log,) = (folder / "training").rglob("label/*.jsonl")
    (tmp_path / ".scratch" / "label").mkdir(parents=True)
    (tmp_path / ".scratch" / "label" / "log.jsonl").write_bytes(log.read_bytes())
    assert read_logs([tmp_path]) == {}
