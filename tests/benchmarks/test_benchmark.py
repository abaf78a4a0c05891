"""The benchmark: recipes, data sets, runs that resume, and the tables made of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.benchmark import Setup, check_views
from benchmarks.datasets import Dataset, find_japanese_text, prepare, read_japanese
from benchmarks.summary import read_runs, summarize, to_markdown
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.report.score import make_input, score_pipeline, span_key
from spacy_crossner.training.recipes import Recipe, choose_recipes, parse_settings, read_recipes
from spacy_crossner.training.run import make_config
from spacy_crossner.training.stages import Inputs, Job, plan

ROOT = Path(__file__).parents[2]
DATA = ROOT / "assets" / "optional"
ARGUMENTS = ["--seeds", "0", "--steps", "2"]
SETTINGS = ["components.transformer.model.window=100", "components.transformer.model.stride=50"]


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["benchmark", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def make_run(recipe: str, seed: int, counts: list[list[int]]) -> dict:
    right, found, gold = (sum(column) for column in zip(*counts, strict=True))
    f = 200.0 * right / (found + gold)
    tests = {"en": {"f": 50.0, "counts": [[1, 2, 2]]}, "de": {"f": f, "counts": counts}}
    return {
        "recipe": recipe,
        "seed": seed,
        "dataset": "toy",
        "encoder": "tiny",
        "device": "cpu",
        "date": "2020-02-02",
        "versions": {"spacy": "3.8", "torch": "2.13"},
        "steps": 10,
        "minutes": {"train": 1.0, "test": 0.5},
        "cpu_minutes": {"train": 1.0, "annotate": 0.2},
        "settings": {"source": 0},
        "tests": {**tests, "fr": tests["de"]},
    }


def test_runs_resume_and_are_compared(sample, tmp_path, tiny_encoder, monkeypatch):
    monkeypatch.chdir(ROOT)
    output = tmp_path / "out"
    arguments = ["sample", "--data", str(sample), "--output", str(output), *ARGUMENTS]
    arguments += ["--encoder", str(tiny_encoder)]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    # the targets of the sample are six languages; here are two
    monkeypatch.setattr(
        "benchmarks.datasets.DATASETS",
        {"sample": _dataset_with(("de", "zh"))},
    )
    both = ["--recipes", "baseline,crossner"]
    shown = call(*arguments, *both)
    assert "| crossner | 1 |" in shown
    runs = read_runs(output / "sample" / "all")
    assert {name: [run["seed"] for run in found] for name, found in runs.items()} == {
        "baseline": [0],
        "crossner": [0],
    }
    run = runs["crossner"][0]
    assert set(run["tests"]) == {"dev", "de", "zh"}
    assert len(run["tests"]["de"]["counts"]) == 2
    assert set(run["minutes"]) == {"data", "train", "annotate", "average", "calibrate"}
    assert run["steps"] == 4
    assert [set(teacher) for teacher in run["teachers"]] == [{"dev", "de", "zh"}]
    assert "token_label_ner_distil" in run["losses"]
    table = json.loads(
        (output / "sample" / "all" / "table-against-baseline.json").read_text(encoding="utf8")
    )
    assert table["rows"][0]["recipe"] == "baseline"
    assert set(table["rows"][1]["difference"]) == {"de", "zh", "average"}

    path = output / "sample" / "all" / "crossner" / "seed-0.json"
    stages = output / "sample" / "all" / "stages"
    before = {p: p.stat().st_mtime_ns for p in stages.glob("*/*.json")}
    path.unlink()
    call(*arguments, *both)
    assert {p: p.stat().st_mtime_ns for p in stages.glob("*/*.json")} == before
    assert path.exists()

    # its only training is that of the other recipe's teacher
    call(*arguments, "--recipes", "crossner without distillation")
    alone = read_runs(output / "sample" / "all")["crossner without distillation"][0]
    assert {name: test["f"] for name, test in alone["tests"].items()} == run["teachers"][0]
    assert alone["steps"] == 2
    assert set(alone["minutes"]) == {"data", "train", "calibrate"}

    # another student of the same teacher, which annotates otherwise
    call(*arguments, "--recipes", "crossner without bias")
    new = {p.parent.name for p in stages.glob("*/stage.json")} - {p.parent.name for p in before}
    assert sorted(name.rpartition("-")[0] for name in new if "train" not in name) == [
        *("annotate", "calibrate", "calibrate", "student", "student-average")
    ]

    result = CliRunner().invoke(
        app, ["benchmark", *arguments, *both, "--set", "training.dropout=0.3"]
    )
    assert result.exit_code == 1
    assert "CN635" in result.output


def _dataset_with(targets):
    from benchmarks.datasets import make_sample

    return Dataset(targets, Path("assets/sample"), make_sample)


def test_recipes_that_ship():
    recipes = read_recipes(ROOT / "configs" / "recipes.yml")
    assert {"baseline", "concner", "mclner", "crossner"} <= set(recipes)
    assert recipes["baseline x2"].config == recipes["baseline"].config
    assert recipes["baseline x2"].steps == 2
    # what a recipe says of the annotation is added to what the one that it is like says
    plain = recipes["crossner"].annotate
    assert recipes["crossner with passes"].annotate == {**plain, "passes": 4}
    assert recipes["crossner without bias"].annotate == {**plain, "bias": 0.0}
    parts = choose_recipes(recipes, ["crossner with*", "crossner"], ROOT)
    assert len(parts) == len({recipe.slug for recipe in parts}) > 5
    for recipe in recipes.values():
        config = spacy.util.load_config(recipe.config, overrides=recipe.set, interpolate=False)
        for key in recipe.set:
            section, *_, name = key.split(".")
            assert config[section], key
            assert name in str(config), key


@pytest.mark.parametrize(("factor", "steps"), [(1.0, 20), (3.0, 60), (0.001, 1)])
def test_students_may_take_more_steps_than_their_teachers(tmp_path, factor, steps):
    recipe = Recipe("one", tmp_path / "tiny.cfg", rounds=2, steps=2.0, student_steps=factor)
    (tmp_path / "tiny.cfg").write_text("", encoding="utf8")
    assert read_steps(plan(make_job(recipe, tmp_path))) == [20, steps, steps]


def make_job(recipe, path):
    """Make a job with placeholder files."""
    inputs = Inputs(
        [path / "tiny.cfg"], path / "tiny.cfg", path / "tiny.cfg", target={path / "tiny.cfg": ""}
    )
    return Job(recipe, inputs, steps=10)


def read_steps(stages):
    return [stage.settings["steps"] for stage in stages if stage.kind == "train"]


def test_another_recipe_may_be_the_teacher(tmp_path):
    for name in ("tiny", "other"):
        (tmp_path / f"{name}.cfg").touch()
    path = tmp_path / "recipes.yml"
    path.write_text(
        "one: {config: tiny, rounds: 2, set: {a.b: 1}, annotate: {bias: 1.0}, teachers: [two]}\n"
        "two: {config: other, rounds: 1, annotate: {passes: 4}, steps: 2}\n"
        "three: {like: one, teachers: []}\n",
        encoding="utf8",
    )
    recipes = read_recipes(path)
    stages = plan(make_job(recipes["one"], tmp_path))
    others = plan(make_job(recipes["two"], tmp_path))
    configs = [stage.recipe.config.stem for stage in stages if stage.kind == "train"]
    assert configs == ["other", "tiny", "tiny"]
    assert read_steps(stages) == [20, 10, 10]
    # it is the training that the other recipe begins with, and annotates as this one wants it
    assert [stage.key for stage in stages[:3]] == [stage.key for stage in others[:3]]
    assert stages[3].settings["annotate"] == {"bias": 1.0}
    assert stages[3].key != others[3].key
    own = plan(make_job(recipes["three"], tmp_path))
    assert {stage.recipe.config.stem for stage in own} == {"tiny"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("one: {config: nothing}", "does not exist"),
        ("one: {config: tiny, colour: red}", "colour"),
        ("one: {config: tiny, views: {poem: labels}}", "poem"),
        ("one: {config: tiny, views: {translation: never}}", "never"),
        ("one: {like: two}\ntwo: {like: one}", "is like"),
        ("one: {like: three}", "three"),
        ("one: {views: {}}", "config"),
        ("one: {config: tiny, teachers: [two]}\ntwo: {config: tiny}", "no rounds in which 'two'"),
        ("one: {config: tiny, rounds: 1, teachers: [two]}", "two"),
        ("one: {config: tiny, rounds: 1, teachers: [one]}", "other teachers itself"),
        ("one: {config: tiny, rounds: two}", "whole number"),
        ("one: {config: tiny, rounds: -1}", "whole number"),
        ("one: {config: tiny, annotate: {confidnce: 0.9}}", "'confidnce' is not one of .*passes"),
        ("one: {config: tiny, annotate: {bias: -3}}", "bias"),
        ("one: {like: bogus}", "there is no recipe 'bogus'"),
        ("one:", "no settings"),
    ],
)
def test_recipe_errors(tmp_path, text, problem):
    (tmp_path / "tiny.cfg").touch()
    path = tmp_path / "recipes.yml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(CrossnerError, match=f"CN633.*{problem}"):
        read_recipes(path)


@pytest.mark.parametrize("text", ["", "one: {config: ", "[]: {}", "text"])
def test_what_is_no_file_of_recipes(tmp_path, text):
    path = tmp_path / "recipes.yml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN6(58|33).*recipes\.yml"):
        read_recipes(path)


def test_the_weights_of_a_teacher_with_another_head_are_refused():
    path = ROOT / "configs" / "recipes.yml"
    crossner = read_recipes(path)["crossner"]
    pairs = read_recipes(path)["mclner"]
    assert (crossner.heads, pairs.heads) == (["token_label_ner"], ["token_pair_ner"])
    with pytest.raises(ValueError, match=r"'mclner' has another head.*set teacher_share to 0"):
        replace(crossner, teachers=(pairs,))
    replace(crossner, teachers=(crossner, pairs))
    replace(crossner, teachers=(pairs,), teacher_share=0.0)


def test_a_corpus_is_made_once(tmp_path, monkeypatch):
    calls = []

    def make(data, corpus, unlabelled):
        calls.append(unlabelled)
        if unlabelled == 2:
            raise CrossnerError("broken")

    tiny = Dataset((), tmp_path, make)
    monkeypatch.setattr("benchmarks.datasets.DATASETS", {"one": tiny, "two": tiny})
    for _ in range(2):
        prepare("one", tmp_path / "corpus", unlabelled=5)
    assert calls == [5]
    with pytest.raises(CrossnerError, match=r"CN639.*'one' with 5 "):
        prepare("one", tmp_path / "corpus", unlabelled=6)
    with pytest.raises(CrossnerError, match="CN639"):
        prepare("two", tmp_path / "corpus", unlabelled=5)
    with pytest.raises(CrossnerError, match="broken"):
        prepare("one", tmp_path / "other", unlabelled=2)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    (tmp_path / "mine").mkdir()
    prepare("one", tmp_path / "mine", unlabelled=5)
    (tmp_path / "mine" / "dataset.json").unlink()
    (tmp_path / "mine" / "text").write_bytes(b"")
    with pytest.raises(CrossnerError, match="CN647"):
        prepare("one", tmp_path / "mine", unlabelled=5)


def test_an_upper_bound_trains_on_labels_of_the_target_language(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.datasets.SUPERVISED_SOURCE", 3)
    monkeypatch.setattr("benchmarks.datasets.SUPERVISED_DEV", 2)
    (tmp_path / "uner").mkdir()
    for part, count in {"train": 7, "test": 1}.items():
        rows = (f"1\t{part}{number}\tB-PER\t-\t-\n\n" for number in range(count))
        path = tmp_path / "uner" / f"hr_set-ud-{part}.iob2"
        path.write_text("".join(rows), encoding="utf8")
    prepare("supervised-hr", tmp_path / "corpus", tmp_path, unlabelled=4)

    def read(name):
        docs = read_docs(tmp_path / "corpus" / f"{name}.spacy", Vocab())
        return [(doc.text.strip(), len(doc.ents), get_view(doc).lang) for doc in docs]

    assert read("parallel") == [(f"train{number}", 1, "hr") for number in range(3)]
    assert read("dev") == [(f"train{number}", 1, "hr") for number in (3, 4)]
    assert read("test-hr") == [("test0", 1, "hr")]
    assert read("target") == [(f"train{number}", 0, "hr") for number in range(4)]


def test_other_errors(tmp_path):
    with pytest.raises(CrossnerError, match=r"CN630.*sample"):
        prepare("moon", tmp_path / "corpus")
    with pytest.raises(CrossnerError, match=r"CN631.*en_ewt.*--data"):
        prepare("uner", tmp_path / "corpus", tmp_path)
    with pytest.raises(CrossnerError, match=r"CN632.*one"):
        choose_recipes({"one": Recipe("one", tmp_path)}, ["two"], tmp_path)
    with pytest.raises(CrossnerError, match="CN636"):
        parse_settings(["dropout"])
    with pytest.raises(CrossnerError, match="CN637"):
        summarize({}, ["de"])


@pytest.mark.parametrize("key", ["encoder", "corpus", "source", "test_limit"])
def test_runs_that_can_not_be_compared(key):
    runs = {name: [make_run(name, 0, [[1, 2, 3]])] for name in ("baseline", "crossner")}
    runs["crossner"][0]["settings"] = {"source": 0, key: 5}
    with pytest.raises(CrossnerError, match=f"CN648.*'crossner'.*their {key} is 5"):
        summarize(runs, ["de", "fr"])


def test_students_continue_only_where_the_config_can(tmp_path):
    text = (ROOT / "configs" / "baseline.cfg").read_text(encoding="utf8")
    config = tmp_path / "mine.cfg"
    config.write_text(text.replace("${paths.start_from}", "null"), encoding="utf8")
    (tmp_path / "tiny.cfg").write_text("", encoding="utf8")
    recipe = Recipe("mine", config, rounds=1, continue_from_teacher=True)
    job = make_job(recipe, tmp_path)
    (student,) = (stage for stage in plan(job) if stage.name == "student")
    with pytest.raises(CrossnerError, match=r"CN634.*'mine'.*start_from"):
        make_config(student, job, lambda stage: tmp_path / stage.name)


def test_settings():
    assert parse_settings(["a.b=0.5", "a.c=[1]", "a.d=word=word"]) == {
        "a.b": 0.5,
        "a.c": [1],
        "a.d": "word=word",
    }


def test_a_recipe_without_its_views_is_refused(tmp_path, capsys):
    docs = []
    for kind in ("source", "translation"):
        doc = Doc(Vocab(), words=[kind])
        set_view(doc, View("a", kind=kind, lang="en"))
        docs.append(doc)
    write_docs(tmp_path / "parallel.spacy", docs)

    def check(**settings):
        check_views(tmp_path, [Recipe("one", tmp_path, **settings)])

    check()
    check(views={"translation": "labels"})
    check(views={"codeswitch": "by hand"})
    assert not capsys.readouterr().out
    check(views={"translation": "labels", "codeswitch": "labels"})
    assert "no views of the kind codeswitch" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(CrossnerError, match=r"CN638.*codeswitch"):
        check(views={"codeswitch": "labels"})
    with pytest.raises(CrossnerError, match=r"CN638.*bitext"):
        check(bitext=True)


def test_another_encoder_or_corpus_is_another_training(tmp_path):
    for name in ("encoder", "corpus"):
        (tmp_path / name).mkdir()
        for file in ("parallel.spacy", "dev.spacy", "target.spacy"):
            (tmp_path / name / file).write_text("one")

    def inputs():
        setup = Setup("sample", tmp_path / "corpus", tmp_path, tmp_path / "encoder")
        return setup.inputs.prints["encoder"], setup.tested

    first = inputs()
    assert inputs() == first
    (tmp_path / "encoder" / "dev.spacy").write_text("two")
    second = inputs()
    assert second[0] != first[0]
    assert second[1] == first[1]
    (tmp_path / "corpus" / "test-de.spacy").write_text("two")
    assert inputs()[1] != first[1]


def test_scoring_by_characters():
    nlp = spacy.blank(
        "xx", config={"nlp": {"tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v1"}}}
    )
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "北京"}, {"label": "LOC", "pattern": "Paris"}])
    chinese = Doc(nlp.vocab, words=["在", "北京", "，", "Paris"], spaces=[False] * 4)
    chinese.set_ents([Span(chinese, 1, 2, "LOC"), Span(chinese, 3, 4, "PER")])
    set_view(chinese, View("a", lang="zh"))
    ruler.add_patterns([{"label": "LOC", "pattern": [{"TEXT": "北"}, {"TEXT": "京"}]}])
    # the raw text is tokenized anew, whatever the words of the gold doc are
    words = [token.text for token in make_input(nlp, chinese).predicted]
    assert words == ["在", "北", "京", "，", "Paris"]
    scores = score_pipeline(nlp, [chinese])
    assert scores["counts"] == [[1, 2, 2]]
    assert (scores["p"], scores["r"], scores["f"]) == (50.0, 50.0, 50.0)
    assert scores["per_type"]["LOC"] == {"p": 50.0, "r": 100.0, "f": 66.67}
    kept = make_input(nlp, chinese, gold_tokens=True).predicted
    assert [token.text for token in kept] == [token.text for token in chinese]
    assert set(map(span_key, chinese.ents)) == {(((1, 3),), "LOC"), (((4, 9),), "PER")}


def test_summary():
    bad, good = [[0, 1, 2]] * 20, [[2, 2, 2]] * 20
    runs = {
        "better": [make_run("better", seed, good) for seed in (0, 1)],
        "baseline": [make_run("baseline", 0, bad)],
    }
    summary = summarize(runs, ["de", "fr"])
    assert summary["tests"] == ["en", "de", "fr", "average"]
    baseline, better = summary["rows"]
    assert (baseline["recipe"], better["recipe"]) == ("baseline", "better")
    assert baseline["difference"] == {}
    assert baseline["f"]["de"] == {"mean": 0.0, "sd": None}
    assert better["f"]["average"] == {"mean": 100.0, "sd": 0.0}
    assert better["difference"]["average"]["difference"] == 100.0
    assert better["difference"]["de"]["p"] < 0.01
    assert (better["minutes"], better["cpu_minutes"]) == (1.0, 1.2)
    text = to_markdown(summary)
    assert "| better | 2 | 10 | 1.0 | 1.2 | 50.0 ± 0.0 | 100.0 ± 0.0 |" in text
    assert "| better | +100.0\\*\\* [+100.0, +100.0] |" in text
    assert "Trained with spacy 3.8, torch 2.13." in text
    runs["baseline"][0]["versions"] = {"spacy": "3.7", "torch": "2.13"}
    text = to_markdown(summarize(runs, ["de", "fr"]))
    assert "Trained with spacy 3.7, torch 2.13; and with spacy 3.8, torch 2.13." in text


def test_runs_of_one_recipe_have_the_same_settings(tmp_path):
    for seed in (0, 1):
        path = tmp_path / "one" / f"seed-{seed}.json"
        path.parent.mkdir(exist_ok=True)
        content = {**make_run("one", seed, [[1, 1, 1]]), "settings": {"source": seed}}
        path.write_text(json.dumps(content), encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN635.*seed 0"):
        read_runs(tmp_path)


def test_japanese_entities(tmp_path):
    rows = [("1", "山田", "NE=U-PERSON|SpaceAfter=No"), ("2", "は", "SpaceAfter=No")]
    rows += [
        ("3-4", "東京大", "_"),
        ("3", "東京", "NE=B-ORG|SpaceAfter=No"),
        ("4", "大", "NE=L-ORG"),
    ]
    rows += [("5", "Rome", "NE=U-GPE"), ("6", "1990年", "NE=U-DATE|SpaceAfter=Yes")]
    lines = ["\t".join([id_, form, *"_" * 7, misc]) for id_, form, misc in rows]
    path = tmp_path / "test.conllu"
    path.write_text("# sent_id = 1\n" + "\n".join(lines) + "\n\n", encoding="utf8")
    (doc,) = read_japanese(path)
    assert doc.text == "山田は東京大 Rome 1990年"
    found = [(ent.text, ent.label_) for ent in doc.ents]
    assert found == [("山田", "PER"), ("東京大", "ORG"), ("Rome", "LOC")]
    assert doc[5].ent_iob_ == "O"
    assert get_view(doc).lang == "ja"
    with pytest.raises(CrossnerError, match=r"CN631.*--data"):
        next(read_japanese(tmp_path / "none.conllu"))


def test_japanese_text_comes_from_either_file(tmp_path):
    with pytest.raises(CrossnerError, match=r"CN631.*--data"):
        find_japanese_text(tmp_path, tmp_path)
    words = ["雨", "だ", "。", "雪", "も"]
    starts = [True, False, False, True, False]
    doc = Doc(Vocab(), words=words, spaces=[False] * 5, sent_starts=starts)
    write_docs(tmp_path / "ja_gsd-ud-train.ne.spacy", [doc])
    path = find_japanese_text(tmp_path, tmp_path)
    assert path.read_text(encoding="utf8") == "雨だ。\n雪も\n"
    plain = tmp_path / "train-text.txt"
    plain.write_text("雨だ。\n", encoding="utf8")
    assert find_japanese_text(tmp_path, tmp_path) == plain


@pytest.mark.data
def test_target_labels_stay_out_of_training(tmp_path, monkeypatch):
    if not (DATA / "uner").exists():
        pytest.skip("the optional data sets are not in assets/optional")
    # alone, for the dictionaries take a while
    (tmp_path / "uner").symlink_to((DATA / "uner").resolve())
    monkeypatch.setattr("benchmarks.datasets.ALSO_TRANSLATED", ())
    corpus = tmp_path / "corpus"
    prepare("uner", corpus, tmp_path, unlabelled=5)
    target = list(read_docs(corpus / "target.spacy", Vocab()))
    assert len(target) == 20
    for doc in target:
        assert not doc.ents
        assert not get_view(doc).labelled
    views = [get_view(doc) for doc in read_docs(corpus / "parallel.spacy", Vocab())]
    assert {(view.kind, view.lang) for view in views} == {("source", "en")}
    english = [len(list(read_docs(corpus / f"{n}.spacy", Vocab()))) for n in ("dev", "test-en")]
    assert english == [1038, 1039]
