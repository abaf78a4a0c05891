"""A project for one's own labels and languages: checked, planned, and ready to run."""

import re
import shlex
from pathlib import Path

import pytest
import srsly
import typer
from spacy.cli._util import app as spacy_app
from spacy.vocab import Vocab
from typer.testing import CliRunner
from weasel.util import load_project_config

import spacy_crossner
from spacy_crossner.cli import app, start
from spacy_crossner.data.shards import read_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.start.init import (
    PLAN,
    PROJECT,
    Files,
    add_languages,
    init,
    make_name,
    parse_files,
    parse_labels,
    render_project,
)
from spacy_crossner.start.plan import Plan, Target, describe, read_plan
from spacy_crossner.training.labels import read_labels
from spacy_crossner.training.recipes import find_configs, find_recipe
from tests.pipelines import TRAIN_DATA

LAST = ["calibrate", "evaluate", "report", "package", "verify", "summary"]


@pytest.fixture
def mine(tmp_path):
    """Labels in a domain of one's own, Italian text, and a dictionary."""
    folder = tmp_path / "mine"
    folder.mkdir()
    records = []
    for number in range(6):
        for text, spans in TRAIN_DATA:
            spans = [{"start": a, "end": b, "label": label} for a, b, label in spans]
            records.append({"text": f"{text} {number}", "spans": spans})
    srsly.write_jsonl(folder / "labels.jsonl", records)
    (folder / "it.txt").write_text("Maria lavora a Paris\n" * 5, encoding="utf8")
    (folder / "it.tsv").write_text("bank\tbanca\nriver\tfiume\ncity\tcittà\n", encoding="utf8")
    (folder / "memory.tsv").write_text(
        "en\tit\nLondon and Berlin and Paris 0\tLondon e Berlin e Paris 0\n", encoding="utf8"
    )
    srsly.write_jsonl(folder / "test.jsonl", records[:3])
    return folder


def test_labels_alone(mine, tmp_path):
    plan, reports = init(tmp_path / "p", mine / "labels.jsonl", "en", ["ga"], Files())
    assert (plan.sentences, sum(plan.labels.values())) == (27, 54)
    assert not any(report.problems for report in reports)
    assert len(list(read_docs(tmp_path / "p" / "data" / "dev.spacy", Vocab()))) == 3
    project = srsly.read_yaml(tmp_path / "p" / "project.yml")
    assert project["workflows"]["all"] == ["encoder", "train", *LAST[1:]]
    text = "\n".join(describe(plan))
    for said in (
        "27 sentences in en to train on, 3 more",
        "no plain text",
        "nothing will say how good",
        "Minutes",
    ):
        assert said in text


def test_every_type_is_trained(mine, tmp_path):
    """Also one that is only in sentences that would be kept back: calibrating needs all types."""
    records = list(srsly.read_jsonl(mine / "labels.jsonl"))
    for number in (12, 25):  # tenths of the sentences with entities
        records[number]["spans"][0]["label"] = "RARE"
    srsly.write_jsonl(mine / "rare.jsonl", records)
    plan, _ = init(tmp_path / "p", mine / "rare.jsonl", "en", ["ga"], Files())
    data = tmp_path / "p" / "data"
    assert read_labels(data / "source.spacy") == ["LOC", "ORG", "PER", "RARE"]
    kept_back = [doc.text for doc in read_docs(data / "dev.spacy", Vocab())]
    assert kept_back == [records[0]["text"], records[25]["text"]]
    assert (plan.sentences, plan.kept_back, plan.labels["RARE"]) == (28, 2, 1)


def test_sentences_to_calibrate_on_are_checked(mine, tmp_path):
    folder, labels = tmp_path / "p", mine / "labels.jsonl"
    records = list(srsly.read_jsonl(labels))
    plain = [{"text": "a b", "spans": []}]
    srsly.write_jsonl(mine / "plain.jsonl", plain)
    with pytest.raises(CrossnerError, match=r"CN040.*plain\.jsonl"):
        init(folder, labels, "en", ["ga"], Files(), dev=mine / "plain.jsonl")
    srsly.write_jsonl(mine / "one.jsonl", plain * 9 + records[1:2] + plain)
    with pytest.raises(CrossnerError, match=r"CN040.*one\.jsonl.*--dev"):
        init(folder, mine / "one.jsonl", "en", ["ga"], Files())
    records[2]["spans"][0]["label"] = "RARE"
    srsly.write_jsonl(mine / "dev.jsonl", records[:3])
    said = r"CN039.*dev\.jsonl.*'RARE'.*labels\.jsonl.*LOC, ORG, PER.*--drop-labels RARE"
    with pytest.raises(CrossnerError, match=said):
        init(folder, labels, "en", ["ga"], Files(), dev=mine / "dev.jsonl")
    assert not folder.exists()


@pytest.mark.parametrize("recipe", ["concner", "crossner"])
def test_every_command_exists_with_its_options(mine, tmp_path, recipe):
    files = Files(
        text={"it": mine / "it.txt"},
        test={"it": mine / "test.jsonl"},
        dictionary={"it": mine / "it.tsv"},
        memory=[mine / "memory.tsv"],
    )
    plan, _ = init(tmp_path / "p", mine / "labels.jsonl", "en", ["it", "de"], files, recipe=recipe)
    assert plan.targets["it"].engine == "memory"
    assert (plan.translated[0], plan.lexicons[0], plan.tested) == ("it", "it", ["it"])
    project = srsly.read_yaml(tmp_path / "p" / "project.yml")
    commands = {command["name"]: command for command in project["commands"]}
    assert project["workflows"]["all"] == list(commands)
    assert {"lexicons", "translate", "annotate", "student"} < set(commands)
    assert ("codeswitch" in commands) == (recipe == "concner")
    made: set[str] = set()
    for command in commands.values():
        assert command["help"].endswith(".")
        for needed in command.get("deps", ()):
            there = made & {needed, *map(str, Path(needed).parents)}
            assert there or (tmp_path / "p" / needed).exists(), needed
        made |= set(command["outputs"])
        for line in command["script"]:
            words = shlex.split(line.replace("${vars.", "x").replace("}", ""))
            if words[3] == "crossner":
                shown = CliRunner().invoke(app, [words[4], "--help"], env={"COLUMNS": "200"})
                for option in (word for word in words if word.startswith("--")):
                    assert option in shown.output, (words[4], option)


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        ({"text": "it.txt"}, {"train", "annotate", "student"}),
        ({"dictionary": "it.tsv"}, {"lexicons", "codeswitch", "train"}),
        ({"dictionary": "it.tsv", "recipe": "crossner"}, {"train"}),
    ],
)
def test_steps_follow_what_there_is(mine, tmp_path, files, steps):
    recipe = files.get("recipe", "mclner")
    given = Files(**{kind: {"is": mine / name} for kind, name in files.items() if kind != "recipe"})
    plan, _ = init(tmp_path / "p", mine / "labels.jsonl", "en", ["is"], given, recipe=recipe)
    no_use = "a dictionary, which this recipe has no use for" in "\n".join(describe(plan))
    assert no_use == (recipe == "crossner")
    project = srsly.read_yaml(tmp_path / "p" / "project.yml")
    assert steps == set(project["workflows"]["all"]) - {"encoder", *LAST}


@pytest.mark.parametrize(("recipe", "contrasts"), [("concner", True), ("crossner", False)])
def test_views_without_labels_are_for_contrast(mine, tmp_path, recipe, contrasts):
    files = Files(dictionary={"it": mine / "it.tsv"}, memory=[mine / "memory.tsv"])
    init(tmp_path / "p", mine / "labels.jsonl", "en", ["it"], files, recipe=recipe)
    text = (tmp_path / "p" / "project.yml").read_text(encoding="utf8")
    assert ("--incomplete unlabelled" in text) == contrasts
    assert ("crossner codeswitch" in text) == contrasts
    assert "--lexicon it=corpus/lexicons/it.tsv" in text


def test_sentences_of_the_memory_are_counted(mine, tmp_path):
    """Whatever the spaces are that the labelled file leaves between tokens."""
    tokens = "London\tB-LOC\nand\tO\nParis\tB-LOC\n.\tO\n\nA\tO\nbank\tO\n.\tO\n\n"
    (mine / "labels.iob2").write_text(tokens, encoding="utf8")
    (mine / "known.tsv").write_text(
        "en\tit\nLondon and Paris.\tLondra e Parigi.\n", encoding="utf8"
    )
    labelled = mine / "labels.iob2"
    files = Files(memory=[mine / "known.tsv"])
    plan, _ = init(tmp_path / "p", labelled, "en", ["it"], files, dev=labelled)
    assert (plan.targets["it"].engine, plan.targets["it"].known, plan.kept_back) == ("memory", 1, 0)
    assert "translated by memory (1 of 2 sentences are in it)" in "\n".join(describe(plan))


def test_a_memory_that_can_not_be_used_is_told(mine, tmp_path, capsys):
    """One that can't be read ends it, one of other languages does not."""
    (mine / "m.tsv").write_text("en\tit\nOne.\tUno.\t\n", encoding="utf8")
    labels, files = mine / "labels.jsonl", Files(memory=[mine / "m.tsv"])
    with pytest.raises(CrossnerError, match=r"CN426.*mine/m.tsv, line 2"):
        init(tmp_path / "p", labels, "en", ["it"], files)
    (mine / "m.tsv").write_text("en\tfr\nOne.\tUno.\n", encoding="utf8")
    plan, _ = init(tmp_path / "p", labels, "en", ["it"], files)
    assert plan.targets["it"].engine != "memory"
    if plan.targets["it"].engine is None:
        assert "CN421" in capsys.readouterr().out


def test_nothing_is_replaced_before_all_has_been_checked(mine, tmp_path):
    folder, labels = tmp_path / "p", mine / "labels.jsonl"
    init(folder, labels, "en", ["it"], Files(text={"it": mine / "it.txt"}))
    text = folder / "data" / "text" / "it.txt"
    before = text.read_bytes()
    # the project's own file is no mistake
    add_languages(folder, ["it"], Files(text={"it": text}))
    (mine / "new.txt").write_text("Anna dorme\n", encoding="utf8")
    (mine / "empty.txt").write_text("\n", encoding="utf8")
    (mine / "m.tsv").write_text("en\tit\nOne.\tUno.\n", encoding="utf8")
    texts = {"it": mine / "new.txt", "fr": mine / "empty.txt"}
    with pytest.raises(CrossnerError, match=r"CN508.*empty\.txt has no text"):
        add_languages(folder, ["it", "fr"], Files(text=texts, memory=[mine / "m.tsv"]))
    assert text.read_bytes() == before
    assert not (folder / "data" / "memory").exists()


def test_an_encoder_in_a_folder_with_blanks(mine, tmp_path):
    plan, _ = init(
        tmp_path / "p", mine / "labels.jsonl", "en", ["ga"], Files(), encoder="some where/enc"
    )
    text = (tmp_path / "p" / PROJECT).read_text(encoding="utf8")
    commands = load_project_config(tmp_path / "p")["commands"]
    (script,) = next(command["script"] for command in commands if command["name"] == "encoder")
    assert shlex.split(script)[-2:] == ["--source", plan.encoder]
    assert "some where/enc" in text


def test_memories_are_kept_apart(mine, tmp_path, monkeypatch):
    """Those with the same name, and with the folder that names their language."""
    texts = [record["text"] for record in srsly.read_jsonl(mine / "labels.jsonl")]
    for place, content in {
        "a/memory.tsv": f"en\tit\n{texts[1]}\tuno\n",
        ".b/memory.tsv": f"en\tit\n{texts[2]}\tdue\n",
        "en/memory.txt": f"one\t{texts[3]}\n",
        "it/memory.txt": "one\ttre\n",
        "new/a/memory.tsv": f"en\tfr\n{texts[1]}\tun\n",
    }.items():
        (mine / place).parent.mkdir(parents=True)
        (mine / place).write_text(content, encoding="utf8")
    monkeypatch.chdir(mine / "it")
    files = Files(memory=[mine / "a/memory.tsv", mine / ".b", mine / "en/memory.txt", Path(".")])
    folder = tmp_path / "p"
    plan, _ = init(folder, mine / "labels.jsonl", "en", ["it"], files)
    assert (plan.targets["it"].engine, plan.targets["it"].known) == ("memory", 3)
    with pytest.raises(CrossnerError, match=r"CN041.*new/a.* data/memory/a/memory\.tsv"):
        add_languages(folder, ["fr"], Files(memory=[mine / "new" / "a"]))
    (mine / "new" / "a").rename(mine / "new" / "c")
    again = Files(memory=[mine / "new" / "c", mine / "a"])
    plan, _, _ = add_languages(folder, ["it", "fr"], again)
    assert [plan.targets[lang].known for lang in ("it", "fr")] == [3, 1]


def test_a_model_is_found_from_inside_of_the_project(mine, tmp_path, monkeypatch):
    (mine / "models" / "en-it").mkdir(parents=True)
    monkeypatch.chdir(mine)
    name = "models/{source}-{target}"
    labels = mine / "labels.jsonl"
    plan, _ = init(tmp_path / "p", labels, "en", ["it"], Files(model="models/en-it"))
    assert plan.model == (mine / "models" / "en-it").as_posix()
    plan, _, _ = add_languages(tmp_path / "p", ["it"], Files(model=name))
    assert plan.model == (mine / name).as_posix()
    plan, _, _ = add_languages(tmp_path / "p", ["de"], Files(model="somebody/en-de"))
    assert plan.model == "somebody/en-de"


def test_the_current_folder_is_not_replaced(mine, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(CrossnerError, match=r"CN038.*'here'"):
        init(Path("."), mine / "labels.jsonl", "en", ["ga"], Files())
    plan, _ = init(Path("below"), mine / "labels.jsonl", "en", ["ga"], Files())
    assert read_plan(tmp_path / "here" / "below" / PLAN) == plan


def test_language_is_added_later(mine, tmp_path):
    folder = tmp_path / "p"
    first, _ = init(folder, mine / "labels.jsonl", "en", ["de"], Files())
    plan, _, changed = add_languages(folder, ["it"], Files(text={"it": mine / "it.txt"}))
    assert not changed
    assert not (folder / "project.yml.old").exists()
    assert list(plan.targets) == ["de", "it"]
    assert plan.targets["it"] == Target(
        engine=plan.targets["it"].engine,
        dictionary=plan.targets["it"].dictionary,
        text="data/text/it.txt",
        words=20,
    )
    assert read_plan(folder / PLAN) == plan
    assert (folder / "project.yml").read_text(encoding="utf8") == render_project(plan)
    path = folder / "project.yml"
    path.write_text(path.read_text(encoding="utf8") + "# mine\n", encoding="utf8")
    for option, value in (("--recipe", "mclner"), ("--dev", "x.conll"), ("--labels", "x.conll")):
        arguments = ["init", str(folder), "--add-language", "it", option, value]
        assert "CN044" in CliRunner().invoke(app, arguments).output
    shown = CliRunner().invoke(app, ["init", str(folder), "--add-language", "ga"])
    assert shown.exit_code == 0, shown.output
    assert "project.yml.old" in shown.output
    assert (folder / "project.yml.old").read_text(encoding="utf8").endswith("# mine\n")
    assert first.labels == read_plan(folder / PLAN).labels


def test_questions_are_asked_in_a_terminal(mine, tmp_path, monkeypatch):
    folder = tmp_path / "p"
    asked = CliRunner().invoke(app, ["init", str(folder)])
    assert asked.exit_code == 1
    assert "CN035" in asked.output

    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(start.sys, "stdin", Terminal())
    answers = iter(
        [
            *(str(mine / name) for name in ("none.jsonl", "it.txt", "labels.jsonl")),
            *("english", "en.stop_words", "en"),
            *(",", "it,qq", "it"),
            *(str(mine / "none.txt"), str(mine / "it.txt")),
        ]
    )
    refused = []
    asked_for = []

    def prompt(what, default, value_proc, show_default):
        asked_for.append(what)
        while True:
            try:
                return value_proc(next(answers))
            except typer.BadParameter as error:
                refused.append(error.message[1:6])

    monkeypatch.setattr(start.typer, "prompt", prompt)
    start.init_cli(folder)
    assert [what.split()[0] for what in asked_for] == ["Labelled", "Language", "Target", "Plain"]
    # what the text file is taken for is left to `convert`
    assert refused.pop(1).startswith("CN")
    assert refused == ["CN202", *["CN037"] * 2, "CN834", "CN037", "CN202"]
    plan = read_plan(folder / PLAN)
    assert (plan.source, list(plan.targets), plan.annotated) == ("en", ["it"], ["it"])


def test_mistakes(mine, tmp_path):
    labels = mine / "labels.jsonl"
    with pytest.raises(CrossnerError, match=r"CN632.*baseline"):
        init(tmp_path / "p", labels, "en", ["it"], Files(), recipe="bert")
    with pytest.raises(CrossnerError, match=r"CN032.*mine"):
        init(mine, labels, "en", ["it"], Files())
    with pytest.raises(CrossnerError, match=r"CN033.*'de'"):
        init(tmp_path / "p", labels, "en", ["it"], Files(text={"de": mine / "it.txt"}))
    srsly.write_jsonl(mine / "plain.jsonl", [{"text": "a b", "spans": []}])
    with pytest.raises(CrossnerError, match=r"CN034.*plain\.jsonl"):
        init(tmp_path / "p", mine / "plain.jsonl", "en", ["it"], Files())
    with pytest.raises(CrossnerError, match="CN834"):
        init(tmp_path / "p", labels, "en", [], Files())
    with pytest.raises(CrossnerError, match=r"CN037.*Did you mean en\?"):
        init(tmp_path / "p", labels, "english", ["it"], Files())
    with pytest.raises(CrossnerError, match=r"CN037.*Did you mean it\?"):
        init(tmp_path / "p", labels, "en", ["ita."], Files())
    with pytest.raises(CrossnerError, match=r"CN835.*encoder"):
        init(tmp_path / "p", labels, "en", ["it"], Files(), encoder="a\nb")
    with pytest.raises(CrossnerError, match=r"CN835.*model.*\$\{"):
        init(tmp_path / "p", labels, "en", ["it"], Files(model="${vars.seed}"))
    with pytest.raises(CrossnerError, match=r"CN037.*qq"):
        init(tmp_path / "p", labels, "en", ["qq"], Files())
    with pytest.raises(CrossnerError, match="CN402"):
        init(tmp_path / "p", labels, "en", ["en"], Files())
    with pytest.raises(CrossnerError, match=r"CN202.*none"):
        init(tmp_path / "p", labels, "en", ["it"], Files(test={"it": mine / "none"}))
    with pytest.raises(CrossnerError, match=r"CN202.*none"):
        init(tmp_path / "p", labels, "en", ["it"], Files(memory=[mine / "none"]))
    with pytest.raises(CrossnerError, match="CN031"):
        add_languages(mine, ["it"], Files())
    for values in (["it"], ["it="], ["it=a", "it=b"]):
        with pytest.raises(CrossnerError, match="CN036"):
            parse_files(values)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("name", ["it's", "$(touch x)", "`a`", 'say "no"', "a; b", "$HOME #"])
def test_unusual_names_stay_what_they_are(mine, tmp_path, name):
    """In the commands of the project, each is one word."""
    (mine / name).mkdir()
    for file, new in (("labels.jsonl", "l.jsonl"), ("it.txt", "t.txt"), ("it.tsv", "d.tsv --x")):
        (mine / file).rename(mine / name / new)
    encoder = f"some/{name}"
    files = Files(
        text={"it": mine / name / "t.txt"},
        dictionary={"it": mine / name / "d.tsv --x"},
        memory=[mine / "memory.tsv"],
        model=f"hub/{name}",
    )
    folder = tmp_path / name
    init(folder, mine / name / "l.jsonl", "en", ["it"], files, encoder=encoder, recipe="concner")
    commands = load_project_config(folder)["commands"]
    words = [word for c in commands for line in c["script"] for word in shlex.split(line)]
    assert words.count(encoder) == 1
    assert words.count(f"hub/{name}") == 1
    assert "--x" not in words
    wheels = [words[i + 1] for i, word in enumerate(words) if word == "--name"]
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in wheels)


def test_names_of_wheels():
    names = ["my-ner", "Größe 2", "3rd", "新しい", "__"]
    found = [make_name(name) for name in names]
    assert found == ["my_ner", "groe_2", "ner_3rd", "ner", "ner"]


def test_a_few_labels_of_a_target_language(mine, tmp_path):
    records = [
        {"text": f"Maria vive a Paris {n}", "spans": [{"start": 13, "end": 18, "label": "LOC"}]}
        for n in range(4)
    ]
    srsly.write_jsonl(mine / "few.jsonl", records[:3])
    srsly.write_jsonl(mine / "test-it.jsonl", records[2:])
    source, few = parse_labels([str(mine / "labels.jsonl"), f"it={mine / 'few.jsonl'}"])
    files = Files(labels=few, test={"it": mine / "test-it.jsonl"}, label_weight=2.0)
    plan, _ = init(tmp_path / "p", source, "en", ["it"], files)
    assert (plan.few, plan.targets["it"].labels) == (["it"], 3)
    data = tmp_path / "p" / "data"
    views = [get_view(doc) for doc in read_docs(data / "labels-it.spacy", Vocab())]
    assert {(view.lang, view.kind, view.weight, view.labelled) for view in views} == {
        ("it", "source", 2.0, True)
    }
    # a sentence that is trained on does not test
    assert [doc.text for doc in read_docs(data / "test-it.spacy", Vocab())] == [records[3]["text"]]
    text = (tmp_path / "p" / PROJECT).read_text(encoding="utf8")
    assert "--source data/source.spacy --source data/labels-it.spacy" in text
    assert "3 labelled sentences to train on" in "\n".join(describe(plan))
    same = Files(labels={"it": mine / "test-it.jsonl"}, test={"it": mine / "test-it.jsonl"})
    with pytest.raises(CrossnerError, match=r"CN837.*All 2 test"):
        init(tmp_path / "q", source, "en", ["it"], same)
    # a file that is refused replaces nothing
    before = {path: path.read_bytes() for path in data.glob("*.spacy")}
    with pytest.raises(CrossnerError, match=r"CN837"):
        add_languages(tmp_path / "p", ["it"], same)
    assert {path: path.read_bytes() for path in data.glob("*.spacy")} == before
    # more of them join the first, and the training notices
    extra = [{**records[2], "spans": []}, {"text": "Anna dorme", "spans": []}]
    srsly.write_jsonl(mine / "more.jsonl", extra)
    add_languages(tmp_path / "p", ["it"], Files(labels={"it": mine / "more.jsonl"}))
    found = {doc.text: len(doc.ents) for doc in read_docs(data / "labels-it.spacy", Vocab())}
    assert found == {
        **{one["text"]: 1 for one in records[:2]},
        records[2]["text"]: 0,
        "Anna dorme": 0,
    }
    commands = {one["name"]: one for one in load_project_config(tmp_path / "p")["commands"]}
    assert "data/labels-it.spacy" in commands["train"]["deps"]
    records[0]["spans"][0]["label"] = "CITY"
    srsly.write_jsonl(mine / "few.jsonl", records[:3])
    with pytest.raises(CrossnerError, match=r"CN836.*CITY.*LOC, ORG, PER"):
        init(tmp_path / "q", source, "en", ["it"], Files(labels=few))
    for values in (["a", "b"], ["it=a", "it=b"]):
        with pytest.raises(CrossnerError, match="CN838"):
            parse_labels(values)


def test_odd_labelled_files_are_told(mine, tmp_path):
    (mine / "giant.iob2").write_text("Paris\tB-LOC\n" + "word\tO\n" * 2000, encoding="utf8")
    lines = "".join("Paris\tB-LOC\n\n" for _ in range(30))
    (mine / "all.iob2").write_text(lines, encoding="utf8")
    plan, _ = init(tmp_path / "p", mine / "all.iob2", "en", ["it"], Files())
    assert "only 0 of 27 sentences have no entity" in plan.oddities[0]
    dev = mine / "all.iob2"
    plan, _ = init(tmp_path / "q", mine / "giant.iob2", "en", ["it"], Files(), dev=dev)
    assert "the longest has 2001" in plan.oddities[0]


def test_a_project_explains_itself(mine, tmp_path):
    init(tmp_path / "my ner", mine / "labels.jsonl", "en", ["it"], Files())
    text = (tmp_path / "my ner" / "README.md").read_text(encoding="utf8")
    assert "packages/xx_my_ner-" in text
    assert "LOC 28" not in text
    assert "{" not in text
    assert "training/" in (tmp_path / "my ner" / ".gitignore").read_text(encoding="utf8")


def test_every_folder_is_packed():
    """pyproject.toml lists the packages of a wheel, for the recipes lie outside of the package."""
    root = Path(spacy_crossner.__file__).parent
    text = (root.parent / "pyproject.toml").read_text(encoding="utf8")
    listed = re.search(r"^packages = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    folders = {path.parent for path in root.rglob("*") if path.suffix in (".py", ".html", ".yml")}
    names = {".".join(("spacy_crossner", *folder.relative_to(root).parts)) for folder in folders}
    assert set(re.findall(r'"(.*?)"', listed[1])) == names | {"spacy_crossner.configs"}


def test_recipes_are_found():
    assert {"baseline", "concner", "mclner", "crossner"} <= set(find_configs())
    assert find_recipe("baseline").config.suffix == ".cfg"


def test_more_data_takes_more_steps():
    small, large = (Plan("en", {}, n, 20 * n) for n in (100, 100_000))
    assert small.count_steps(small.words) < large.count_steps(large.words)
    assert sum(small.estimate_minutes().values()) < sum(large.estimate_minutes().values())


def test_project_runs(mine, tmp_path, tiny_encoder, monkeypatch):
    """What `project run all` does from labels to a report, on a tiny encoder."""
    folder = tmp_path / "p"
    files = Files(text={"it": mine / "it.txt"}, dictionary={"it": mine / "it.tsv"})
    init(folder, mine / "labels.jsonl", "en", ["it"], files, encoder=str(tiny_encoder))
    for path in (folder / "configs").glob("*.cfg"):
        text = path.read_text(encoding="utf8")
        text = text.replace("window = 256", "window = 100").replace("stride = 192", "stride = 50")
        path.write_text(text, encoding="utf8")
    monkeypatch.chdir(folder)
    project = load_project_config(folder, overrides={"vars.steps": 2, "vars.student_steps": 2})
    for name in project["directories"]:
        Path(name).mkdir(exist_ok=True)
    commands = {command["name"]: command for command in project["commands"]}
    for step in project["workflows"]["all"]:
        for line in commands[step]["script"]:
            shown = CliRunner().invoke(spacy_app, shlex.split(line)[3:])
            assert shown.exit_code == 0, (step, shown.output, shown.exception)
        for path in commands[step]["outputs"]:
            assert Path(path).exists(), path
    assert set(srsly.read_json("metrics/calibrated.json")) == {"dev"}
