"""The runner of recipes: stages, their settings, and that each way to start one gives the same."""

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import spacy
import srsly
import torch
from spacy.cli.train import train as spacy_train
from typer.testing import CliRunner

from benchmarks.benchmark import Setup
from spacy_crossner import cli
from spacy_crossner.cli.options import make_execution
from spacy_crossner.data.sample import make_corpus
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.start.init import render_project
from spacy_crossner.start.plan import Plan, Target
from spacy_crossner.training import run
from spacy_crossner.training.average import average_pipelines
from spacy_crossner.training.data import choose_docs, find_languages, parse_targets
from spacy_crossner.training.describe import describe as describe_stage
from spacy_crossner.training.recipes import Recipe, find_folder, find_recipe, read_recipes
from spacy_crossner.training.run import PIPELINE, train
from spacy_crossner.training.stages import Inputs, Job, plan

ROOT = Path(__file__).parent.parent
SMALL = {
    "components.transformer.model.window": 100,
    "components.transformer.model.stride": 50,
}
RECIPES = read_recipes(find_folder() / "recipes.yml")
MAIN = [name for name in RECIPES if " " not in name]


@pytest.fixture
def corpus(sample, tmp_path):
    make_corpus(sample, tmp_path / "corpus", ["de"])
    return tmp_path / "corpus"


CALIBRATED = "calibrate-teacher"
STUDENT = ["student", "student-average"]


@pytest.fixture
def job(corpus, tiny_encoder):
    inputs = Inputs(
        [corpus / "parallel.spacy"],
        corpus / "dev.spacy",
        tiny_encoder,
        target={corpus / "target.spacy": ""},
    )
    return Job(find_recipe("crossner"), inputs, steps=2, changes=SMALL)


def weights(pipeline):
    nlp = spacy.load(pipeline)
    return {
        f"{name} {key}": value.numpy()
        for name, pipe in nlp.pipeline
        for node in pipe.model.walk()
        for shim in node.shims
        for key, value in shim._model.state_dict().items()
    }


def test_stages(job):
    names = [stage.name for stage in plan(job)]
    assert names == ["data", "teacher", CALIBRATED, "annotate", *STUDENT, "calibrate"]
    short = plan(replace(job, recipe=find_recipe("baseline")))
    assert [stage.name for stage in short] == ["data", "train", "calibrate"]
    rounds = plan(replace(job, recipe=RECIPES["crossner with two rounds"]))
    twice = [stage.name for stage in rounds]
    second = ["annotate-2", "student-2", "student-2-average", "calibrate"]
    assert twice[4:] == [*STUDENT, "calibrate-student", *second]
    biases = [s.settings["annotate"]["bias"] for s in rounds if s.kind == "annotate"]
    assert biases == [1.0, 0.0]


def test_students_read_what_was_selected(job, tmp_path):
    text = tmp_path / "de.txt"
    text.write_text("Das ist Berlin.\n" * 4, encoding="utf8")
    inputs = replace(job.inputs, target={text: "de"})
    recipe = replace(job.recipe, select={"share": 0.5, "balance": False})
    half = replace(job, recipe=recipe, inputs=inputs)
    stages = plan(half)
    names = ["data", "teacher", CALIBRATED, "annotate", "annotate-select", *STUDENT, "calibrate"]
    assert [stage.name for stage in stages] == names
    assert stages[4].key != plan(replace(half, seed=1))[4].key
    (command,) = describe_stage(stages[4], half, lambda stage: tmp_path / stage.name)
    annotated, chosen = tmp_path / "annotate", tmp_path / "annotate-select"
    assert command.endswith(f"crossner select {annotated} {chosen} --share 0.5 --seed 0")
    train(half, tmp_path, quiet=True)
    counts = srsly.read_json(chosen / "stage.json")["result"]["de"]
    assert (counts["docs"], counts["behind"], counts["kept"]) == (4, 2, 2)
    read = spacy.util.load_config(tmp_path / "student" / "config.cfg")["paths"]["train"]
    assert read == f"{tmp_path / 'data' / 'train.spacy'},{chosen}"


def test_several_teachers(job, tmp_path):
    """They differ in seed or recipe, share their data, and teach one student."""
    three = plan(replace(job, recipe=RECIPES["crossner with three teachers"]))
    trained = [f"{name}{end}" for end in ("", "-2", "-3") for name in ("teacher", CALIBRATED)]
    assert [stage.name for stage in three] == ["data", *trained, "annotate", *STUDENT, "calibrate"]
    assert three[1].key == plan(job)[1].key
    assert [three[i].settings["seed"] for i in (1, 3, 5)] == [0, 1000, 2000]
    assert three[-3].find("calibrate") is three[-2].find("calibrate") is three[2]
    out = tmp_path / "out"
    commands = describe_stage(three[7], job, lambda stage: out / stage.name)
    assert commands[-1].count(" --teacher ") == 2
    both = replace(job, recipe=RECIPES["crossner with both heads as teachers"])
    train(both, out, only=["teacher*", "calibrate-teacher*", "annotate"], quiet=True)
    (manifest,) = out.glob("annotate/*/manifest.json")
    assert len(srsly.read_json(manifest)["settings"]["teachers"]) == 2
    assert "token_pair_ner" in spacy.load(out / "teacher-2" / PIPELINE).pipe_names


def test_several_students_become_one(job, tmp_path):
    """They share teacher and text, differ in seed, and the mean of their weights is calibrated."""
    three = replace(job, recipe=RECIPES["crossner with three students"])
    names = [stage.name for stage in plan(three)]
    students = ["student", "student.2", "student.3", "student-average"]
    assert names[3:] == ["annotate", *students, "calibrate"]
    assert names[:4] == [stage.name for stage in plan(job)[:4]]
    assert plan(three)[4].key == plan(job)[4].key
    train(three, tmp_path / "run", quiet=True)
    parts = [*students, CALIBRATED]
    *own, mean, teacher = (weights(tmp_path / "run" / name / PIPELINE) for name in parts)
    share, moved = three.recipe.teacher_share, 0
    for key, found in mean.items():
        values = numpy.stack([one[key] for one in own]).astype("float64")
        moved += bool(numpy.ptp(values, axis=0).any())
        expected = (1 - share) * values.mean(axis=0) + share * teacher[key]
        numpy.testing.assert_allclose(found, expected, atol=1e-6)
    assert moved > 10
    calibrated = weights(tmp_path / "run" / "calibrate" / PIPELINE)
    assert all((calibrated[key] == found).all() for key, found in mean.items())
    averaging = plan(three)[-2]
    places = {stage: tmp_path / "run" / stage.name for stage in averaging.needs}
    (shown,) = describe_stage(averaging, three, {averaging: tmp_path, **places}.__getitem__)
    by_hand = CliRunner().invoke(cli.app, shlex.split(shown)[4:])
    assert by_hand.exit_code == 0, by_hand.output
    assert all((found == mean[key]).all() for key, found in weights(tmp_path / PIPELINE).items())


def test_pipelines_that_differ_are_not_averaged(job, tmp_path):
    train(job, tmp_path / "one", quiet=True)
    pairs = replace(job, recipe=RECIPES["crossner with token pairs"])
    train(pairs, tmp_path / "other", only=["data", "teacher"], quiet=True)
    folders = [tmp_path / "one" / "student" / PIPELINE, tmp_path / "other" / "teacher" / PIPELINE]
    with pytest.raises(CrossnerError, match=r"\[CN126\].*token_label_ner"):
        average_pipelines(folders, tmp_path / "mean")
    with pytest.raises(CrossnerError, match="CN213"):
        average_pipelines(folders, folders[1])
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"students": 0}, "students must be at least 1"),
        ({"students": 2, "continue_from_teacher": False}, "continue_from_teacher to true"),
        ({"teacher_share": 0.5, "continue_from_teacher": False}, "teacher_share to 0"),
        ({"teacher_share": 1.0}, "less than 1"),
    ],
)
def test_how_many_students(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPES["crossner"], **changes)


def test_what_is_the_same_is_shared(job):
    """Recipes that begin alike share their teachers."""
    one, other = plan(job), plan(replace(job, recipe=RECIPES["crossner with a frozen student"]))
    assert [a.key == b.key for a, b in zip(one, other, strict=True)] == [True] * 4 + [False] * 3
    assert plan(replace(job, seed=1))[1].key != one[1].key
    assert plan(replace(job, changes={}))[1].key != one[1].key
    assert plan(replace(job, seed=1))[0].key == one[0].key


def test_spacy_train_gives_the_same_weights(job, tmp_path):
    pipeline = train(job, tmp_path / "out", quiet=True)
    assert pipeline == tmp_path / "out" / "calibrate" / PIPELINE
    for stage in ("teacher", "student"):
        spacy_train(tmp_path / "out" / stage / "config.cfg", tmp_path / stage)
        ours = weights(tmp_path / "out" / stage / PIPELINE)
        theirs = weights(tmp_path / stage / "model-last")
        assert ours.keys() == theirs.keys()
        assert all(numpy.array_equal(ours[key], theirs[key]) for key in ours)
    assert any(
        not numpy.array_equal(value, weights(pipeline)[key])
        for key, value in weights(tmp_path / "out" / "teacher" / PIPELINE).items()
    )


def test_stages_resume(job, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    with pytest.raises(CrossnerError, match=r"CN652.*--stage calibrate-teacher"):
        train(job, out, only=["annotate"], quiet=True)
    with pytest.raises(CrossnerError, match=r"CN653.*'nothing'.*calibrate-teacher"):
        train(job, out, only=["nothing"])
    train(job, out, only=["teacher", "calibrate-teacher"], quiet=True)
    before = (out / "teacher" / "stage.json").read_bytes()

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "calibrate_pipeline", fail)
    with pytest.raises(KeyboardInterrupt):
        train(job, out, quiet=True)
    monkeypatch.undo()
    assert sorted(path.name for path in out.iterdir()) == [
        *("annotate", "calibrate-teacher", "data", *STUDENT, "teacher")
    ]
    spacy.load(train(job, out, quiet=True))
    assert (out / "teacher" / "stage.json").read_bytes() == before
    with pytest.raises(CrossnerError, match=r"CN650.*'seed'.*--restart"):
        train(replace(job, seed=1), out, quiet=True)
    train(replace(job, seed=1), out, only=["teacher"], restart=True, quiet=True)
    assert srsly.read_json(out / "teacher" / "stage.json")["settings"]["seed"] == 1


def test_what_was_made_with_other_settings_is_not_built_on(job, tmp_path):
    train(job, tmp_path, only=["teacher", "calibrate-teacher", "annotate"], quiet=True)
    other = replace(job, seed=7)
    with pytest.raises(CrossnerError, match=r"CN652.*'annotate'.*with these settings"):
        train(other, tmp_path, only=["student"], quiet=True)
    assert not (tmp_path / "student").exists()


def test_a_result_stays_until_there_is_another(job, tmp_path):
    train(job, tmp_path, only=["teacher"], quiet=True)
    before = (tmp_path / "teacher" / "stage.json").read_bytes()
    wrong = replace(job, changes={**job.changes, "training.nonsense.x": 1})
    with pytest.raises(CrossnerError, match=r"CN634"):
        train(wrong, tmp_path, only=["teacher"], restart=True, quiet=True)
    assert (tmp_path / "teacher" / "stage.json").read_bytes() == before
    assert train(job, tmp_path, only=["teacher"], quiet=True).exists()


def test_long_decimals_are_the_same_when_they_are_read_again(job, tmp_path):
    small = replace(job, changes={**job.changes, "training.optimizer.eps": 1 / 3e9})
    stage = plan(small)[1]
    done = {"form": run.FORM, "settings": stage.settings}
    srsly.write_json(tmp_path / "stage.json", done)
    assert run.is_finished(stage, tmp_path)


def test_only_annotation_of_these_targets_is_learned(job, tmp_path, monkeypatch):
    folder = make(tmp_path / "annotate")
    for left in ("1-unseen", "3-unseen"):
        (make(folder / left) / "part.spacy").write_bytes(b"")
    srsly.write_json(folder / "stage.json", {})
    stage = next(stage for stage in plan(job) if stage.kind == "annotate")
    monkeypatch.setattr(run, "annotate", lambda *a, **kwargs: stop())
    monkeypatch.setattr(run, "find_languages", lambda path: set())
    monkeypatch.setattr(run, "find_text_languages", lambda path, lang: {"fi"})
    for need in stage.needs:
        done = {"form": run.FORM, "settings": need.settings, "result": {}}
        srsly.write_json(make(tmp_path / need.name) / "stage.json", done)
    with pytest.raises(InterruptedError):
        run.run_stage(stage, job, lambda stage: tmp_path / stage.name)
    assert [path.name for path in folder.iterdir()] == ["1-unseen"]


def test_steps_in_the_settings_count(job):
    changed = replace(job, changes={"training.max_steps": 7})
    assert changed.count_steps(job.recipe, student=True) == 7
    assert {stage.settings["steps"] for stage in plan(changed) if stage.kind == "train"} == {7}


def test_encoders_of_the_hub_are_told_apart(job):
    one, other = (
        plan(replace(job, inputs=replace(job.inputs, encoder=Path(name))))[1].key
        for name in ("xlm-roberta-base", "google/rembert")
    )
    assert one != other


def test_sentences_of_two_files_are_not_taken_for_one(corpus, tmp_path):
    shutil.copy(corpus / "parallel.spacy", tmp_path / "other.spacy")
    files = [corpus / "parallel.spacy", tmp_path / "other.spacy"]
    with pytest.raises(CrossnerError, match=r"CN659.*parallel\.spacy.*other\.spacy.*Rename"):
        list(choose_docs(RECIPES["baseline"], files, [], []))
    (tmp_path / "twice").mkdir()
    for path in files:
        shutil.copy(path, tmp_path / "twice" / path.name)
    with pytest.raises(CrossnerError, match=r"CN659.*other\.spacy.*parallel\.spacy"):
        list(choose_docs(RECIPES["baseline"], [tmp_path / "twice"], [], []))


def test_empty_text_is_found_before_a_training(job, tmp_path):
    (tmp_path / "it.txt").write_text("\n \n", encoding="utf8")
    inputs = replace(job.inputs, target={tmp_path / "it.txt": "it"})
    with pytest.raises(CrossnerError, match=r"CN508.*it\.txt has no text"):
        train(replace(job, inputs=inputs), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    text = tmp_path / "it.txt"
    assert parse_targets([f"it={text}", f"it={text}"]) == {text: "it"}
    with pytest.raises(CrossnerError, match=r"CN662.*it\.txt is given twice, as it and de"):
        parse_targets([f"it={text}", f"de={text}"])


def test_a_training_that_has_not_converged_is_noticed(job, tmp_path, capsys, monkeypatch):
    baseline = replace(job, recipe=RECIPES["baseline"])
    train(baseline, tmp_path / "short", only=["train"])
    assert "CNW15" in (shown := capsys.readouterr().out)
    assert "After 2 steps" in " ".join(shown.split())
    monkeypatch.setattr(run, "LEAST_FIT", 0.0)
    train(baseline, tmp_path / "enough", only=["train"])
    assert "CNW15" not in capsys.readouterr().out


def test_students_need_text(job):
    with pytest.raises(CrossnerError, match=r"CN654.*--target"):
        plan(replace(job, inputs=replace(job.inputs, target={})))


def test_the_bias_is_for_languages_without_labels(job, corpus, tmp_path, monkeypatch):
    docs = list(read_docs(corpus / "target.spacy", spacy.blank("xx").vocab))
    for lang in ("de", "fi"):
        for number, doc in enumerate(docs):
            set_view(doc, View(f"{lang}-{number}", "target", lang, labelled=False))
        write_docs(tmp_path / f"{lang}.spacy", docs)
    targets = {tmp_path / "de.spacy": "", tmp_path / "fi.spacy": ""}
    seen = []
    original = run.annotate

    def watch(*args, **kwargs):
        seen.append((sorted(kwargs["langs"]), kwargs["bias"]))
        return original(*args, **kwargs)

    monkeypatch.setattr(run, "annotate", watch)
    inputs = replace(job.inputs, target=targets)
    train(replace(job, inputs=inputs), tmp_path / "out", quiet=True)
    # the sample's German translations are labelled by hand, and trained on
    assert find_languages(tmp_path / "out" / "data" / "train.spacy") == {"en", "de"}
    assert seen == [(["de"], 0.0), (["fi"], 1.0)]


def test_a_bias_that_brings_no_entities_is_left_out(job, tmp_path, monkeypatch):
    stage = next(stage for stage in plan(job) if stage.kind == "annotate")
    seen = []
    monkeypatch.setattr(run, "annotate", lambda *a, **kwargs: seen.append(kwargs["bias"]) or stop())
    monkeypatch.setattr(run, "find_languages", lambda path: set())
    monkeypatch.setattr(run, "find_text_languages", lambda path, lang: {"fi"})
    for gain, bias in ((0.049, 0.0), (0.05, 1.0), (None, 1.0)):
        for need in stage.needs:
            result = {"token_label_ner": {"bias_gain": gain}}
            done = {"form": run.FORM, "settings": need.settings, "result": result}
            srsly.write_json(make(tmp_path / need.name) / "stage.json", done)
        with pytest.raises(InterruptedError):
            run.run_stage(stage, job, lambda stage: tmp_path / stage.name)
        assert seen.pop() == bias


def stop():
    raise InterruptedError


def make(folder):
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("use", "projected", "by_hand"),
    [
        (None, None, None),
        ("labels", True, True),
        ("by hand", None, True),
        ("contrast", False, True),
    ],
)
def test_use_of_views(corpus, tmp_path, use, projected, by_hand):
    docs = list(read_docs(corpus / "parallel.spacy", spacy.blank("xx").vocab))
    recipe = replace(find_recipe("baseline"), views={"translation": use} if use else {})
    for hand, expected in ((False, projected), (True, by_hand)):
        for doc in docs:
            view = get_view(doc)
            set_view(doc, replace(view, by_hand=hand and view.kind == "translation"))
        write_docs(tmp_path / "docs.spacy", docs)
        chosen = [get_view(doc) for doc in choose_docs(recipe, [tmp_path / "docs.spacy"], [], [])]
        found = {view.labelled for view in chosen if view.kind == "translation"}
        assert found == (set() if expected is None else {expected})
        assert {view.labelled for view in chosen if view.kind == "source"} == {True}


def test_views_in_a_file_beside_the_source(corpus, tmp_path):
    docs = list(read_docs(corpus / "parallel.spacy", spacy.blank("xx").vocab))
    source = [doc for doc in docs if get_view(doc).kind == "source"]
    write_docs(tmp_path / "source.spacy", source)
    recipe = RECIPES["baseline with translation"]
    files = ([tmp_path / "source.spacy"], [corpus / "parallel.spacy"], [])
    assert len(list(choose_docs(recipe, *files))) == len(docs)
    assert len(list(choose_docs(recipe, *files, limit=1))) == 2
    write_docs(tmp_path / "source.spacy", source[:1])
    with pytest.raises(CrossnerError, match="CN651"):
        list(choose_docs(recipe, *files))


def read_plans(project, tmp_path, monkeypatch, recipe):
    """Collect the stages of a project's commands, without running them."""
    found = []

    def note(job, output, *, only=(), restart=False, quiet=False, execution=None):
        found.extend(run.choose_stages(plan(job), only, job.recipe))
        return output

    monkeypatch.setattr(run, "train", note)
    monkeypatch.chdir(tmp_path)
    variables = {**project["vars"], "recipe": recipe}
    # the main steps of the project are for recipes with a student
    names = [command["name"] for command in project["commands"]]
    alone = f"train-{recipe}" if f"train-{recipe}" in names and not RECIPES[recipe].rounds else None
    for command in project["commands"]:
        for line in command["script"] if alone in (None, command["name"]) else ():
            for _ in range(2):
                for name, value in variables.items():
                    line = line.replace(f"${{vars.{name}}}", str(value))
            words = shlex.split(line)[3:]
            if words[:2] == ["crossner", "train"] and words[2] == recipe:
                shown = CliRunner().invoke(cli.app, words[1:])
                assert shown.exit_code == 0, shown.output
        if command["name"] == "calibrate" and alone is None:
            break
    return found


def describe(stages):
    """Reduce stages to what the recipe determines, without those that are merely data."""
    keys = ("set", "config", "annotate", "uses")
    return [
        (stage.name, {key: stage.settings[key] for key in keys if key in stage.settings})
        for stage in stages
        if stage.kind != "data"
    ]


@pytest.mark.parametrize("recipe", MAIN)
def test_one_method_everywhere(job, corpus, tmp_path, tiny_encoder, monkeypatch, recipe):
    """project.yml, a project made by init and the benchmark run the same stages."""
    setup = Setup("sample", corpus, tmp_path / "runs", tiny_encoder)
    expected = describe(plan(setup.make_job(RECIPES[recipe], 0)))
    docs = list(read_docs(corpus / "parallel.spacy", spacy.blank("xx").vocab))
    for folder in ("corpus", "data", "views"):
        for name in ("source", "dev", "translated", "parallel", "target"):
            write_docs(tmp_path / folder / f"{name}.spacy", docs)
    (tmp_path / "data" / "text").mkdir()
    (tmp_path / "data" / "text" / "de.txt").write_text("Das ist Berlin.\n", encoding="utf8")
    (tmp_path / "encoder").symlink_to(tiny_encoder)
    (tmp_path / "configs").symlink_to(find_folder())
    project = srsly.read_yaml(ROOT / "project.yml")
    assert describe(read_plans(project, tmp_path, monkeypatch, recipe)) == expected
    target = Target(
        engine="memory", known=3, dictionary="--tsv x", text="data/text/de.txt", words=9
    )
    own = Plan("en", {"PER": 3}, 30, 300, recipe=recipe, memory=True, targets={"de": target})
    made = srsly.yaml_loads(render_project(own))
    found = describe(read_plans(made, tmp_path, monkeypatch, recipe))
    assert found == expected


def test_dry_run(job, corpus, tmp_path, tiny_encoder):
    out = tmp_path / "out"
    arguments = ["train", "crossner", "--source", str(corpus / "parallel.spacy")]
    arguments += ["--dev", str(corpus / "dev.spacy"), "--target", str(corpus / "target.spacy")]
    arguments += ["--encoder", str(tiny_encoder), "--output", str(out), "--dry-run"]
    shown = CliRunner().invoke(cli.app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "crossner annotate" in shown.output
    assert f"python -m spacy train {out / 'student' / 'config.cfg'}" in shown.output
    assert not out.exists()


def test_threads_hold_in_the_main_process():
    before = torch.get_num_threads()
    try:
        assert make_execution("local", 1, None, "", 0.0).threads == 1
        assert torch.get_num_threads() == before
        assert make_execution("local", 1, before + 1, "", 0.0).threads == before + 1
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("views", [{"target": "labels"}, {"translation": "sometimes"}])
def test_recipes_are_checked(views):
    with pytest.raises(ValueError, match="is not one of"):
        Recipe("x", Path("x"), views=views)


def test_steps_and_folders_that_can_not_be(job, tmp_path):
    with pytest.raises(CrossnerError, match=r"CN661.*a,b"):
        train(job, tmp_path / "a,b")
    for steps in (0, 1.5):
        changes = {**job.changes, "training.max_steps": steps}
        with pytest.raises(CrossnerError, match=r"CN660.*'crossner'.*--steps"):
            plan(replace(job, changes=changes))
    assert train(job, tmp_path / "out", only=["data"], quiet=True) == tmp_path / "out" / "data"


def test_teachers_of_recipes_have_weights():
    teachers = (RECIPES["baseline"], RECIPES["crossner"])
    weighted = replace(RECIPES["crossner"], teachers=teachers, annotate={"weights": [2.0, 1.0]})
    assert weighted.annotate["weights"] == [2.0, 1.0]
    with pytest.raises(CrossnerError, match="CN535"):
        replace(RECIPES["crossner"], annotate={"weights": [2.0, 1.0]})


def test_selections_of_recipes_are_checked():
    with pytest.raises(ValueError, match=r"select: 'most' is not one of balance, .*share"):
        Recipe("x", Path("x"), select={"most": 3})
    with pytest.raises(CrossnerError, match=r"CN112.*share.*1\.5"):
        Recipe("x", Path("x"), select={"share": 1.5})
    with pytest.raises(CrossnerError, match=r"CN521"):
        Recipe("x", Path("x"), select={"balance": True})
