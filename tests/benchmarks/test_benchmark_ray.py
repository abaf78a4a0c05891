"""Trainings on Ray: the same results as in one process, each stage once, and failures by run."""

import os
import signal
from dataclasses import replace

import pytest

ray = pytest.importorskip("ray")

from benchmarks.benchmark import Setup, benchmark  # noqa: E402
from benchmarks.summary import read_runs  # noqa: E402
from spacy_crossner.data.sample import make_corpus  # noqa: E402
from spacy_crossner.errors import CrossnerError  # noqa: E402
from spacy_crossner.scale.execution import Execution, connect  # noqa: E402
from spacy_crossner.scale.graph import Graph  # noqa: E402
from spacy_crossner.training.recipes import find_folder, read_recipes  # noqa: E402
from spacy_crossner.training.run import PIPELINE, train  # noqa: E402

RECIPES = read_recipes(find_folder() / "recipes.yml")
SMALL = {
    "components.transformer.model.window": 100,
    "components.transformer.model.stride": 50,
}
TWO = Execution("ray", 2)


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    """A Ray with two processors."""
    with connect(TWO):
        yield


@pytest.fixture
def setup(sample, tmp_path, tiny_encoder):
    make_corpus(sample, tmp_path / "corpus", ["de"])
    return Setup(
        "sample", tmp_path / "corpus", tmp_path / "here", tiny_encoder, steps=1, settings=SMALL
    )


def read_stages(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/stage.json")}


def read_scores(setup):
    """Return everything of each run that is not a cost."""
    return {
        (name, run["seed"]): {key: value for key, value in run.items() if "minutes" not in key}
        for name, runs in read_runs(setup.output).items()
        for run in runs
    }


def test_same_scores_failures_and_resumed_runs(setup, tmp_path):
    recipes = [RECIPES["crossner without distillation"], RECIPES["baseline"]]
    benchmark(setup, recipes, [0])
    there = replace(setup, output=tmp_path / "there")
    broken = replace(recipes[1], name="broken", set={"training.nonsense.a": 1})
    with pytest.raises(CrossnerError, match=r"CN655.*1 of 3 runs.*broken, seed 0.*nonsense"):
        benchmark(there, [broken, *recipes], [0], TWO)
    assert read_scores(there) == read_scores(setup)
    before = read_stages(there.output / "stages")
    assert before.keys() == read_stages(setup.output / "stages").keys()
    # nothing that is finished is run again
    for path in benchmark(there, recipes, [0]):
        path.unlink()
    benchmark(there, recipes, [0], TWO)
    assert read_stages(there.output / "stages") == before
    assert read_scores(there) == read_scores(setup)
    with pytest.raises(CrossnerError, match=r"CN656.*--on ray"):
        benchmark(there, recipes, [0], Execution("local", 2))


def test_train_gives_the_same_pipeline(setup, tmp_path):
    recipe = replace(RECIPES["crossner"], teachers=RECIPES["crossner"].teachers[:1])
    job = setup.make_job(recipe, 3)
    here = train(job, tmp_path / "one", quiet=True)
    with pytest.raises(CrossnerError, match=r"CN652"):
        train(job, tmp_path / "two", only=["student"], execution=TWO)
    train(job, tmp_path / "two", only=["teacher"], execution=TWO)
    before = read_stages(tmp_path / "two")
    assert set(before) == {"data", "teacher"}
    there = train(job, tmp_path / "two", execution=TWO)
    assert read_stages(tmp_path / "two").items() >= before.items()
    for part in ("transformer", "token_label_ner"):
        assert (here / part / "model").read_bytes() == (there / part / "model").read_bytes()
    assert there == tmp_path / "two" / "calibrate" / PIPELINE


def _note(path, flag=None):
    if flag is not None and flag.exists():
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    with path.open("a") as file:
        file.write("x")
    return path.name


def _fail():
    raise CrossnerError("a user's error")


def test_calls_wait_for_each_other(tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    graph = Graph(ray, TWO)
    for _ in range(3):
        graph.add("one", _note, tmp_path / "one", flag)
    graph.add("bad", _fail)
    graph.add("two", _note, tmp_path / "one", after=["one", "not added"])
    graph.add("after bad", _note, tmp_path / "never", after=["one", "bad"])
    results = dict(graph.iter_results())
    assert not flag.exists()
    assert (results["one"], results["two"]) == ("one", "one")
    # once each, the call whose worker was killed too
    assert (tmp_path / "one").read_text() == "xx"
    assert set(graph.failed) == {"bad", "after bad"}
    assert str(graph.failed["after bad"]) == "a user's error"
    assert not (tmp_path / "never").exists()
