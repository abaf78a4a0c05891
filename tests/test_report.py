"""The report: complete, readable by everybody, and nothing but one file."""

import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy
import pytest
import srsly
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.data.markup import Marked, parse_marks
from spacy_crossner.data.sample import make_doc
from spacy_crossner.data.shards import write_docs
from spacy_crossner.errors import CrossnerError
from spacy_crossner.report import figures
from spacy_crossner.report.compare import (
    Compared,
    Entity,
    Pair,
    compare,
    count_types,
    match,
    measure_reliability,
)
from spacy_crossner.report.evaluate import evaluate, find_tests, write_scores
from spacy_crossner.report.report import Scored, read_logs, read_metrics, report, same_tests
from spacy_crossner.report.sections import (
    choose_errors,
    mean_losses,
    render_entities,
    show_recipes,
)
from spacy_crossner.report.tables import make_tables
from spacy_crossner.report.vectors import OUTSIDE, TokenVectors, project, share_of_neighbours
from tests.pipelines import make_examples, make_nlp, train

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
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


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
    write_scores(scores, folder / "metrics" / "label.json")
    for values in scores.values():
        values["seqeval"]["f"] = 12.5
    write_scores(scores, folder / "metrics" / "other.json")
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

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        for number in self.open:
            self.elements[number][2] += data

    def all(self, *tags):
        return [element for element in self.elements if element[0] in tags]


def test_page_needs_nothing_else(page):
    html = page.read_text(encoding="utf8")
    assert len(html) < 5_000_000
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
    assert [text for _, _, text, _ in parsed.all("title")] == ["What label finds in ar, de, es"]
    levels = [int(tag[1]) for tag, *_ in parsed.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs, _, _ in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs, _, _ in parsed.all("a"):
        assert attrs["href"][1:] in ids
    assert len(parsed.all("img")) == 6
    for _, attrs, _, _ in parsed.all("img"):
        assert len(attrs["alt"]) > 20
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
    themes = re.findall(r":root \{(.*?)\}", html)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for ground in ("ground", "panel"):
            for ink in ("ink", "soft", "link"):
                assert contrast(colours[ink], colours[ground]) >= 4.5
    for background in set(re.findall(r"background:(#\w{6})", html)):
        assert contrast("#111111", background) >= 4.5
    for theme in (figures.LIGHT, figures.DARK):
        assert contrast(theme.ink, theme.ground) >= 4.5
        for colour in theme.colours:
            assert contrast(colour, theme.ground) >= 3


def test_page_says_what_was_found(page, folder):
    parsed = Page(page.read_text(encoding="utf8"))
    rows = [re.split(r"\s{2,}|\n", row[2].strip()) for row in parsed.all("tr")]
    text = parsed.all("body")[0][2]
    scores = srsly.read_json(folder / "metrics" / "label.json")
    for lang in TESTS:
        assert f"{lang}{len(TESTS[lang])}" in text
        assert f"{scores[f'test-{lang}']['seqeval']['f']:.1f}" in text
    assert ["other12.512.512.512.5"] in rows
    assert not any("this pipeline" in row[0] for row in rows)
    assert "memory91" in text  # engine, sentences, and the number that failed
    assert "No report of select was given" in text
    assert "before training" in text
    pictures = {path.name for path in page.parent.glob("*.png")}
    names = "languages dev_scores losses-label reliability confusion vectors".split()
    assert pictures == {f"{name}{kind}.png" for name in names for kind in ("", "-dark")}
    assert "die <b>bank</b>" not in page.read_text(encoding="utf8")


def test_nothing_but_a_pipeline_and_tests(folder, tmp_path, monkeypatch):
    """Also without matplotlib, and with paths that lead nowhere."""
    monkeypatch.setattr(figures, "has_matplotlib", lambda: False)
    with pytest.warns(UserWarning, match="CNW6") as caught:
        page = report(
            folder / "model",
            [folder / "corpus" / "test-de.spacy"],
            tmp_path,
            metrics=[tmp_path / "none"],
            selection=tmp_path / "none.json",
        )
    assert {str(warning.message)[1:6] for warning in caught} == {"CNW60", "CNW61"}
    parsed = Page(page.read_text(encoding="utf8"))
    text = parsed.all("main")[0][2]
    for gap in ("No training log", "no token vectors", "No report of translate", "No scores of"):
        assert gap in text
    assert "pip install 'spacy-crossner[report]'" in text
    assert not parsed.all("img")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


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
    sentence = Compared("ar", "rtl", "<i>a</i>", [])
    html = render_entities(sentence, [Entity(0, 3, "<P>", 0.5)], {"<P>": "#ffffff"})
    assert "&lt;i&gt;" in html
    assert "&lt;P&gt; 0.50" in html
    assert "<i>" not in html
    assert "direction: rtl" in html


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
    with pytest.warns(UserWarning, match=r"CNW62.*'strange'.*'de' had 30 docs.*has 3"):
        recipes = same_tests(tested, scores)
    assert recipes == {"same": {"de": 50.0, "fr": 70.0}, "fewer": {"de": 40.0, "nl": 1.0}}
    table = show_recipes(recipes)["recipes"]
    assert table["header"] == ["Recipe", "de", "fr", "nl", "Mean of de"]
    assert table["rows"][0] == ["same", "50.0", "70.0", "-", "50.0"]
    assert table["rows"][1] == ["fewer", "40.0", "-", "1.0", "40.0"]


def test_tables_of_nested_values():
    first, second = make_tables("Translation", TRANSLATION)
    assert first.header == ["Part", "engine", "sentences", "failed"]
    assert first.rows == [["de", "memory", "9", "1"]]
    assert (second.header, second.rows) == (["Part", "kept"], [["de · labels · PER", "0.5"]])
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


def find_browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    return found


def browse(page, *options):
    """What a browser without a network makes of a page."""
    command = [find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", *options]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf8")


@pytest.mark.system
def test_search_in_a_browser(page, tmp_path):
    script = (
        "<script>const kind = document.getElementById('kind'); kind.value = 'missed';"
        "kind.dispatchEvent(new Event('input', {bubbles: true}));"
        "document.title = [...document.querySelectorAll('.error:not([hidden])')]"
        ".map((error) => error.dataset.kinds).join('|') + ';'"
        "+ (document.documentElement.scrollWidth <= innerWidth)"
        "+ ';' + document.getElementById('count').textContent;</script>"
    )
    copy = tmp_path / "page.html"
    html = page.read_text(encoding="utf8")
    copy.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf8")
    shown = Page(browse(copy, "--window-size=500,800", "--dump-dom"))
    kinds, fits, count = shown.all("title")[0][2].split(";")
    shown_kinds = kinds.split("|")
    assert all("missed" in kind.split() for kind in shown_kinds)
    assert fits == "true"
    total = len(shown.all("article"))
    assert count == f"{len(shown_kinds)} of {total} sentences"


@pytest.mark.system
def test_screenshot(page, tmp_path):
    picture = tmp_path / "page.png"
    browse(page, "--window-size=500,2000", f"--screenshot={picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


@pytest.mark.system
def test_automated_accessibility_check(page, tmp_path):
    """Every rule of axe-core, if AXE_JS names its axe.min.js (npm pack axe-core)."""
    axe = os.environ.get("AXE_JS")
    if not axe:
        pytest.skip("AXE_JS names no axe.min.js")
    script = (
        f"<script>{Path(axe).read_text(encoding='utf8')}</script><script>axe.run().then((found) => "
        "{ document.title = JSON.stringify([found.passes.length, found.violations.map((v) => "
        "[v.id, v.nodes.map((n) => n.html)])]); });</script>"
    )
    copy = tmp_path / "page.html"
    html = page.read_text(encoding="utf8")
    copy.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf8")
    dom = browse(copy, "--window-size=500,800", "--dump-dom")
    passed, violations = json.loads(re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1])
    assert passed > 15
    assert violations == []
