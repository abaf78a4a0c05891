"""Recipes x seeds on a data set, trained by the same runner as `crossner train`.

Stages lie in folders named by what decides their result: recipes that begin in the same way share
their teachers, nothing finished is repeated, and a benchmark can be killed and resumed.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import spacy
import srsly
from spacy.vocab import Vocab
from wasabi import msg

from benchmarks.summary import read_runs, summarize, to_markdown
from spacy_crossner.data.shards import read_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.files import fingerprint, write_file, write_json
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.report.evaluate import read_gold_docs
from spacy_crossner.report.score import score_pipeline
from spacy_crossner.scale.execution import Execution, connect
from spacy_crossner.scale.graph import Graph
from spacy_crossner.training.recipes import BY_HAND, Recipe
from spacy_crossner.training.run import (
    FINISHED,
    PIPELINE,
    add_stages,
    choose_cluster,
    run_missing_stage,
)
from spacy_crossner.training.stages import Inputs, Job, Stage, plan


@dataclass(frozen=True)
class Setup:
    """What all runs of a benchmark share.

    dataset (str): Name of the data set.
    corpus (Path): Its corpus.
    output (Path): The folder of the runs.
    encoder (Path): A Hugging Face folder.
    source (int): Number of labelled source sentences; 0 takes all.
    steps (int): Optimizer steps of each training.
    test_limit (int): Sentences of the dev file and of each test file; 0 takes all.
    settings (Dict[str, Any]): Settings that replace those of every recipe.
    gpu_id (int): The GPU to use, -1 for the CPU.
    """

    dataset: str
    corpus: Path
    output: Path
    encoder: Path
    source: int = 0
    steps: int = 400
    test_limit: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    gpu_id: int = -1

    @cached_property
    def inputs(self) -> Inputs:
        """The files that recipes train on."""
        bitext = self.corpus / "bitext.spacy"
        return Inputs(
            source=[self.corpus / "parallel.spacy"],
            dev=self.corpus / "dev.spacy",
            encoder=self.encoder,
            target={self.corpus / "target.spacy": ""},
            bitext=[bitext] if bitext.exists() else [],
            limit=self.source,
        )

    @cached_property
    def tests(self) -> dict[str, Path]:
        """The test files by name."""
        files = {p.stem.removeprefix("test-"): p for p in sorted(self.corpus.glob("test-*.spacy"))}
        return {"dev": self.corpus / "dev.spacy", **files}

    @cached_property
    def tested(self) -> str:
        """A key of the tests: their fingerprints and the limit."""
        prints = {name: fingerprint(path) for name, path in self.tests.items()}
        return json.dumps([prints, self.test_limit])

    def place(self, stage: Stage) -> Path:
        """Return the folder of a stage."""
        return self.output / "stages" / f"{stage.name}-{stage.key}"

    def make_job(self, recipe: Recipe, seed: int) -> Job:
        """Make the job of a recipe and a seed."""
        return Job(recipe, self.inputs, seed, self.steps, 0, self.settings, self.gpu_id)

    def describe(self, recipe: Recipe) -> dict[str, Any]:
        """Collect what runs must share to count as seeds of the same experiment."""
        return {
            "encoder": self.inputs.prints["encoder"],
            "corpus": self.tested,
            "source": self.source,
            "test_limit": self.test_limit,
            "method": plan(self.make_job(recipe, 0))[-1].key,
        }


def benchmark(
    setup: Setup,
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    execution: Optional[Execution] = None,
) -> list[Path]:
    """Train and test every recipe with every seed, unless that was done.

    setup (Setup): What all runs share.
    recipes (Sequence[Recipe]): The recipes.
    seeds (Sequence[int]): The seeds.
    execution (Optional[Execution]): Where to run; by default in this process. On Ray, every stage
        and every test is a task, and a run that fails does not stop the others.
    RETURNS (List[Path]): The files of the runs.
    """
    cluster = choose_cluster(execution)
    if setup.gpu_id >= 0 and cluster is None:
        spacy.require_gpu(setup.gpu_id)
    runs = {
        setup.output / recipe.slug / f"seed-{seed}.json": (recipe, seed)
        for seed in seeds
        for recipe in recipes
    }
    todo = {path: run for path, run in runs.items() if not is_finished(path, setup, run[0])}
    if todo:
        check_views(setup.corpus, recipes)
    if cluster is not None:
        _run_on_ray(setup, todo, cluster)
        return list(runs)
    for number, (path, (recipe, seed)) in enumerate(todo.items(), start=1):
        msg.info(f"Run {number} of {len(todo)}: {recipe.name}, seed {seed}")
        job = setup.make_job(recipe, seed)
        stages = plan(job)
        for stage in stages:
            run_missing_stage(stage, job, setup.place)
        msg.good(write_run(setup, path, recipe, seed, stages))
    return list(runs)


def _run_on_ray(
    setup: Setup, todo: Mapping[Path, tuple[Recipe, int]], execution: Execution
) -> None:
    parts: dict[str, list[str]] = {}
    failures = []
    with connect(execution) as ray:
        graph = Graph(ray, execution)
        for path, (recipe, seed) in todo.items():
            job = setup.make_job(recipe, seed)
            stages = plan(job)
            names = add_stages(graph, stages, job, setup.place, execution)
            for name, stage in list(zip(names, stages, strict=True)):
                if stage.kind == "calibrate":
                    names.append(f"test of {name}")
                    graph.add(names[-1], test_stage, setup, stage, after=[name])
            parts[str(path)] = names
            graph.add(str(path), write_run, setup, path, recipe, seed, stages, after=names)
        for name, result in graph.iter_results():
            if name in parts and isinstance(result, Exception):
                recipe, seed = todo[Path(name)]
                part = next((one for one in parts[name] if one in graph.failed), name)
                failures.append(f"{recipe.name}, seed {seed}, in {part}: {shorten(result)}")
                msg.fail(failures[-1])
            elif name in parts:
                msg.good(result)
    if failures:
        raise CrossnerError(
            Errors.CN655.format(count=len(failures), total=len(todo), failures="; ".join(failures))
        )


def write_run(setup: Setup, path: Path, recipe: Recipe, seed: int, stages: Sequence[Stage]) -> str:
    """Write the file of a run whose stages are finished.

    setup (Setup): What all runs share.
    path (Path): The file.
    recipe (Recipe): The recipe.
    seed (int): The seed.
    stages (Sequence[Stage]): Its stages.
    RETURNS (str): The file and the F1 of each test, for the user.
    """
    run = describe_run(setup, recipe, seed, stages)
    write_file(path, json.dumps(run) + "\n")
    figures = ", ".join(f"{name} {scores['f']}" for name, scores in run["tests"].items())
    return f"{path}: F1 {figures}"


def is_finished(path: Path, setup: Setup, recipe: Recipe) -> bool:
    """Look if a run was made already; one with other settings is refused.

    path (Path): The run's file.
    setup (Setup): What all runs share.
    recipe (Recipe): Its recipe.
    RETURNS (bool): Whether the file is there.
    """
    if not path.exists():
        return False
    found = json.loads(path.read_text(encoding="utf8"))["settings"]
    for key, value in setup.describe(recipe).items():
        if found.get(key) != value:
            problem = f"{key} is {found.get(key)} there, and {value} here"
            raise CrossnerError(Errors.CN635.format(path=path, problem=problem))
    return True


def test_stage(setup: Setup, stage: Stage) -> dict[str, Any]:
    """Test the pipeline of a stage, unless that was done.

    setup (Setup): What all runs share.
    stage (Stage): A calibration.
    RETURNS (Dict[str, Any]): By test, what `score` returns; and "minutes".
    """
    path = setup.place(stage) / "tests.json"
    if path.exists():
        found = srsly.read_json(path)
        if found["tested"] == setup.tested:
            return found
    began = time.perf_counter()
    nlp = load_pipeline(setup.place(stage) / PIPELINE)
    tests = {
        name: score_pipeline(nlp, read_gold_docs(file, setup.test_limit))
        for name, file in setup.tests.items()
    }
    minutes = round((time.perf_counter() - began) / 60.0, 3)
    write_json(path, {"tested": setup.tested, "tests": tests, "minutes": minutes})
    return {"tests": tests, "minutes": minutes}


def describe_run(
    setup: Setup, recipe: Recipe, seed: int, stages: Sequence[Stage]
) -> dict[str, Any]:
    """Collect the results of the stages of a run.

    setup (Setup): What all runs share.
    recipe (Recipe): The recipe.
    seed (int): The seed.
    stages (Sequence[Stage]): Its finished stages.
    RETURNS (Dict[str, Any]): Settings; costs of all stages; calibration, losses and tests of the
        last training, per test "p", "r", "f", "per_type" and "counts"; under "teachers", F1 of the
        others.
    """
    records = {stage: srsly.read_json(setup.place(stage) / FINISHED) for stage in stages}
    trained = [record for stage, record in records.items() if stage.kind == "train"]
    calibrated = [stage for stage in stages if stage.kind == "calibrate"]
    tests = [test_stage(setup, stage) for stage in calibrated]
    last = records[stages[-1]]
    return {
        "recipe": recipe.name,
        "seed": seed,
        "dataset": setup.dataset,
        "settings": setup.describe(recipe),
        "encoder": setup.encoder.name,
        **{key: last[key] for key in ("device", "date", "versions")},
        **next(iter(last["result"].values())),
        "steps": sum(record["result"]["steps"] for record in trained),
        "losses": trained[-1]["result"]["losses"],
        "minutes": _sum_up(records, "minutes"),
        "cpu_minutes": _sum_up(records, "cpu_minutes"),
        "tests": tests[-1]["tests"],
        "teachers": [
            {name: test["f"] for name, test in one["tests"].items()} for one in tests[:-1]
        ],
    }


def _sum_up(records: dict[Stage, Any], cost: str) -> dict[str, float]:
    total: dict[str, float] = {}
    for stage, record in records.items():
        total[stage.kind] = round(total.get(stage.kind, 0.0) + record[cost], 3)
    return total


def check_views(corpus: Path, recipes: Sequence[Recipe]) -> None:
    """Raise an error for recipes whose views are missing, which would train like `baseline`.

    corpus (Path): The corpus.
    recipes (Sequence[Recipe]): The recipes.
    """
    views = map(get_view, read_docs(corpus / "parallel.spacy", Vocab()))
    found = {view.kind for view in views if view is not None}
    teachers = [teacher for recipe in recipes for teacher in recipe.teachers]
    for recipe in (*recipes, *teachers):
        wanted = {kind for kind, use in recipe.views.items() if use != BY_HAND}
        missing = sorted(wanted - found)
        if recipe.bitext and not (corpus / "bitext.spacy").exists():
            missing.append("bitext")
        kinds = ", ".join(missing)
        if missing and (recipe.bitext or not found & wanted):
            raise CrossnerError(Errors.CN638.format(name=recipe.name, corpus=corpus, kinds=kinds))
        if missing:
            msg.warn(f"{recipe.name}: {corpus} has no views of the kind {kinds}")


def write_tables(folder: Path, targets: Sequence[str], reference: str) -> Path:
    """Write the figures of all finished runs, as JSON and as Markdown.

    folder (Path): The folder of the runs.
    targets (Sequence[str]): Tests that the average is taken over.
    reference (str): The recipe that the others are compared with.
    RETURNS (Path): The Markdown file; the JSON file has the same name.
    """
    summary = summarize(read_runs(folder), targets, reference)
    path = folder / f"table-against-{'-'.join(reference.split())}.md"
    write_file(path.with_suffix(".json"), json.dumps(summary, indent=2) + "\n")
    write_file(path, to_markdown(summary))
    return path
