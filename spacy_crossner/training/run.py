"""Run the stages of a recipe: train, calibrate, annotate, train, average, calibrate.

Each stage fills one folder, and is skipped where that folder is finished. Trainings go through
spaCy's own loop with a config that is written to disk: `spacy train` on it gives the same weights.
The pipeline of a training is that of its last step.
"""

import gc
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from fnmatch import filter as filter_names
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import spacy
import srsly
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import load_config
from thinc.api import Config, ConfigValidationError
from wasabi import msg

from spacy_crossner.data.readers import make_example
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.distil.annotate import annotate, find_text_languages
from spacy_crossner.distil.inputs import find_texts, iter_texts
from spacy_crossner.distil.manifest import Tally
from spacy_crossner.distil.select import select, to_json
from spacy_crossner.errors import CrossnerError, Errors, Warnings
from spacy_crossner.files import remove, scratch_beside, write_json
from spacy_crossner.pipeline.ner import CrossnerNER
from spacy_crossner.pipeline.strip import strip_training_components
from spacy_crossner.report.log import read_log
from spacy_crossner.scale.execution import Execution, connect
from spacy_crossner.scale.graph import Graph
from spacy_crossner.training.average import average_pipelines
from spacy_crossner.training.calibrate import calibrate_pipeline
from spacy_crossner.training.data import choose_docs, find_languages
from spacy_crossner.training.recipes import Recipe
from spacy_crossner.training.stages import FORM, Job, Place, Stage, plan

FINISHED = "stage.json"
CONFIG, DOCS, LOG, PIPELINE = "config.cfg", "train.spacy", "log.jsonl", "pipeline"
# Number of dev docs to evaluate at the end of a training. The score is not used for selection.
MONITORED = 200
# F1 on the first labelled docs of the training data, under which a training may be too short.
LEAST_FIT = 0.9
# A teacher who expects hardly more entities in source text with a bias against O misses few there,
# and would only find more that are wrong.
LEAST_BIAS_GAIN = 0.05
# Stages whose folder is a corpus, without a pipeline.
CORPORA = ("data", "annotate", "select")
PACKAGES = ("spacy-crossner", "spacy", "spacy-transformers", "torch", "transformers")


def train(
    job: Job,
    output: Path,
    *,
    only: Collection[str] = (),
    restart: bool = False,
    quiet: bool = False,
    execution: Optional[Execution] = None,
) -> Path:
    """Run a recipe; stages that are finished are skipped.

    job (Job): The recipe, the files and the settings.
    output (Path): The folder that gets a folder for each stage.
    only (Collection[str]): Names of the stages to run, in which `*` stands for anything; all if
        there are none.
    restart (bool): Replace stages that were run with other settings, instead of refusing.
    quiet (bool): Show no table of the trainings.
    execution (Optional[Execution]): Where to run; by default in this process. On Ray, stages that
        do not need each other, such as several teachers, run at the same time.
    RETURNS (Path): The pipeline that the recipe gives, or what the last of the stages gave.
    """
    if "," in str(output):
        raise CrossnerError(Errors.CN661.format(folder=output))
    stages = plan(job)
    check_texts(job)
    named = choose_stages(stages, only, job.recipe)
    cluster = choose_cluster(execution)
    if job.gpu_id >= 0 and cluster is None:
        spacy.require_gpu(job.gpu_id)
    place = partial(_find_place, output)
    # what they train on is quickly chosen
    data = {need for stage in named for need in stage.needs if need.kind == "data"}
    chosen = [stage for stage in stages if stage in named or stage in data]
    todo = []
    for number, stage in enumerate(chosen, start=1):
        title = f"{job.recipe.name}, stage {number} of {len(chosen)}: {stage.name}"
        if is_finished(stage, place(stage), restart=restart):
            if stage in named:
                msg.info(f"{title} is finished already")
        elif cluster is not None:
            todo.append(stage)
        else:
            # a step of a project that runs one stage has printed its own title
            if len(named) > 1 and stage in named:
                msg.info(title)
            run_stage(stage, job, place, quiet=quiet)
    if cluster is not None and todo:
        _train_on_ray(todo, job, place, cluster)
    last = place(chosen[-1])
    return last / PIPELINE if chosen[-1].kind not in CORPORA else last


def check_texts(job: Job) -> None:
    """Raise an error if a file of target text is empty, before anything is trained."""
    for path, lang in job.inputs.target.items() if job.recipe.rounds else ():
        if next(iter_texts(find_texts(path), lang or "xx"), None) is None:
            raise CrossnerError(Errors.CN508.format(path=path, reason=""))


def choose_stages(stages: list[Stage], only: Collection[str], recipe: Recipe) -> list[Stage]:
    """Choose stages by name.

    stages (List[Stage]): The stages of a recipe.
    only (Collection[str]): Names, in which `*` stands for anything; all stages if there are none.
    recipe (Recipe): The recipe, for the error message.
    RETURNS (List[Stage]): The stages, in order.
    """
    known = [stage.name for stage in stages]
    for name in only:
        if not filter_names(known, name):
            raise CrossnerError(
                Errors.CN653.format(name=name, recipe=recipe.name, known=", ".join(known))
            )
    chosen = {name for pattern in only for name in filter_names(known, pattern)} or set(known)
    return [stage for stage in stages if stage.name in chosen]


def _find_place(output: Path, stage: Stage) -> Path:
    return output / stage.name


def choose_cluster(execution: Optional[Execution]) -> Optional[Execution]:
    """Decide if stages run on Ray. Trainings do not use several local processes: an error.

    execution (Optional[Execution]): Where to run.
    RETURNS (Optional[Execution]): The same on Ray, None in this process.
    """
    if execution is None or execution.on == "ray":
        return execution
    if execution.workers > 1:
        raise CrossnerError(Errors.CN656)
    return None


def _train_on_ray(stages: Sequence[Stage], job: Job, place: Place, execution: Execution) -> None:
    with connect(execution) as ray:
        graph = Graph(ray, execution)
        add_stages(graph, stages, job, place, execution)
        for name, result in graph.iter_results():
            if not isinstance(result, Exception):
                msg.good(f"{job.recipe.name}, seed {job.seed}: {name} is finished")
        if graph.failed:
            raise next(iter(graph.failed.values()))


def add_stages(
    graph: Graph, stages: Sequence[Stage], job: Job, place: Place, execution: Execution
) -> list[str]:
    """Submit the stages of a job to Ray. Those that other jobs have submitted are not run twice.

    graph (Graph): Gets a call for each stage, which waits for the stages that it needs.
    stages (Sequence[Stage]): The stages in order. What they need besides is taken as finished.
    job (Job): What they are a part of.
    place (Place): Says where the folders of stages are; picklable.
    execution (Execution): The GPUs of each stage; 0 takes the CPU.
    RETURNS (List[str]): The names of the calls.
    """
    own = replace(job, gpu_id=0 if execution.gpus_per_worker else -1)
    names = []
    for stage in stages:
        names.append(str(place(stage)))
        needs = [str(place(need)) for need in stage.needs]
        graph.add(names[-1], run_missing_stage, stage, own, place, after=needs)
    return names


def run_missing_stage(stage: Stage, job: Job, place: Place) -> None:
    """Run a stage, unless its result is there.

    stage (Stage): The stage.
    job (Job): What it is a part of.
    place (Place): Says where the folders of stages are.
    """
    if not is_finished(stage, place(stage), restart=True):
        if job.gpu_id >= 0:
            spacy.require_gpu(job.gpu_id)
        run_stage(stage, job, place, quiet=True)


def is_finished(stage: Stage, folder: Path, *, restart: bool = False) -> bool:
    """Look whether a stage was run already.

    stage (Stage): The stage.
    folder (Path): Its folder.
    restart (bool): Treat a result of other settings as missing, instead of refusing it.
    RETURNS (bool): Whether its result is there.
    """
    if not folder.exists():
        return False
    try:
        done = srsly.read_json(folder / FINISHED)
        settings = dict(done["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        # annotation is resumed by shard; nothing else leaves an unfinished folder
        if stage.kind == "annotate" and not (folder / FINISHED).exists():
            return False
        settings, done = {}, {}
    # the file keeps ten decimals
    expected = srsly.json_loads(srsly.json_dumps(stage.settings))
    if done.get("form") == FORM and settings == expected:
        return True
    if not restart:
        changed = [key for key, value in expected.items() if settings.get(key) != value]
        raise CrossnerError(
            Errors.CN650.format(folder=folder, setting=changed[0] if changed else "version")
        )
    return False


def run_stage(stage: Stage, job: Job, place: Place, *, quiet: bool = False) -> None:
    """Run one stage, and put its folder in place, or in that of an older result, when it is
    finished.

    stage (Stage): The stage.
    job (Job): What it is a part of.
    place (Place): Says where the folders of stages are.
    quiet (bool): Show no table of a training.
    """
    for need in stage.needs:
        if not is_finished(need, place(need), restart=True):
            raise CrossnerError(Errors.CN652.format(name=stage.name, need=need.name))
    folder = place(stage)
    began = time.perf_counter(), time.process_time()
    if stage.kind == "annotate":
        result = _annotate(stage, job, place, folder)
        _finish(stage, job, folder, result, began)
        return
    # a unique folder, because another process may run the same stage
    with scratch_beside(folder) as parent:
        scratch = parent / stage.name
        scratch.mkdir()
        result = {}
        if stage.kind == "data":
            inputs = job.inputs
            docs = choose_docs(
                stage.recipe, inputs.source, inputs.views, inputs.bitext, inputs.limit
            )
            result["docs"] = write_docs(scratch / DOCS, docs)
        elif stage.kind == "train":
            result = _train(stage, job, place, scratch, quiet)
        elif stage.kind == "average":
            students, teacher = find_averaged(stage, place)
            share = stage.settings["teacher_share"]
            average_pipelines(students, scratch / PIPELINE, teacher, share)
        elif stage.kind == "select":
            settings = {"seed": stage.settings["seed"], **stage.settings["select"]}
            result = to_json(select(place(stage.needs[0]), scratch, **settings))
        else:
            trained = place(stage.needs[0]) / PIPELINE
            found = calibrate_pipeline(
                trained, job.inputs.dev, scratch / PIPELINE, fit_threshold=True
            )
            result = {name: asdict(calibration) for name, calibration in found.items()}
        _finish(stage, job, scratch, result, began)
        # another process may have finished it meanwhile
        if not is_finished(stage, folder, restart=True):
            remove(folder)
            scratch.replace(folder)
    # pipelines are full of reference cycles, and hold hundreds of megabytes
    gc.collect()


def find_averaged(stage: Stage, place: Place) -> tuple[list[Path], Optional[Path]]:
    """Find the pipelines that a stage averages.

    stage (Stage): An averaging.
    place (Place): Says where the folders of stages are.
    RETURNS (Tuple[List[Path], Optional[Path]]): The students, and their teacher if it counts.
    """
    students = [place(need) / PIPELINE for need in stage.needs if need.kind == "train"]
    teacher = stage.find("calibrate")
    return students, None if teacher is None else place(teacher) / PIPELINE


def _finish(
    stage: Stage, job: Job, folder: Path, result: dict[str, Any], began: tuple[float, float]
) -> None:
    content = {
        "form": FORM,
        "recipe": stage.recipe.name,
        "settings": stage.settings,
        "result": result,
        "minutes": round((time.perf_counter() - began[0]) / 60.0, 3),
        "cpu_minutes": round((time.process_time() - began[1]) / 60.0, 3),
        "device": "cpu" if job.gpu_id < 0 else "gpu",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in PACKAGES},
    }
    write_json(folder / FINISHED, content)


def make_config(stage: Stage, job: Job, place: Place) -> Config:
    """Write down a training as a config that `spacy train` takes.

    stage (Stage): The training.
    job (Job): What it is a part of.
    place (Place): Says where the folders of stages are.
    RETURNS (Config): The config, without open references to other values.
    """
    data, start = stage.find("data"), stage.find("calibrate")
    annotated = stage.find("select") or stage.find("annotate")
    assert data is not None
    paths = [place(data) / DOCS, *([place(annotated)] if annotated is not None else [])]
    steps = stage.settings["steps"]
    overrides = {
        "paths.encoder": str(job.inputs.encoder),
        "paths.train": ",".join(map(str, paths)),
        "paths.dev": str(job.inputs.dev),
        "system.seed": stage.settings["seed"],
        "training.max_steps": steps,
        # the last step is taken, whatever its score, so that one look at the dev text is enough
        "training.eval_frequency": steps,
        "training.logger.output_file": LOG,
        "training.logger.progress_bar": "train",
        "corpora.dev.limit": MONITORED,
        **stage.settings["set"],
    }
    recipe = stage.recipe
    if start is not None:
        overrides["paths.start_from"] = str(place(start) / PIPELINE)
        if "${paths.start_from}" not in recipe.config.read_text(encoding="utf8"):
            problem = "the config does not use ${paths.start_from}, so students can't continue"
            raise CrossnerError(
                Errors.CN634.format(name=recipe.name, config=recipe.config, problem=problem)
            )
    with _explain_config(recipe):
        return load_config(recipe.config, overrides=overrides, interpolate=True)


@contextmanager
def _explain_config(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except ConfigValidationError as error:
        problem = str(error).strip().replace("\n", " ")
        raise CrossnerError(
            Errors.CN634.format(name=recipe.name, config=recipe.config, problem=problem)
        ) from None


def _train(stage: Stage, job: Job, place: Place, folder: Path, quiet: bool) -> dict[str, Any]:
    config = make_config(stage, job, place)
    config.to_disk(folder / CONFIG)
    config["training"]["logger"]["output_file"] = str(folder / LOG)
    if quiet:
        config["training"]["logger"]["console_output"] = False
    with _explain_config(stage.recipe):
        nlp = init_nlp(config, use_gpu=job.gpu_id)
    with warnings.catch_warnings():
        # they count what one batch has; the share of all is printed below
        warnings.filterwarnings("ignore", message=r"\[CNW1[012]\]")
        train_loop(nlp, None, use_gpu=job.gpu_id)
    steps = stage.settings["steps"]
    if not quiet:
        data = stage.find("data")
        assert data is not None
        _describe_training(nlp, steps, place(data) / DOCS)
    strip_training_components(nlp).to_disk(folder / PIPELINE)
    return {"steps": steps, "losses": read_log(folder / LOG)[-1]["losses"]}


def _describe_training(nlp: Language, steps: int, path: Path) -> None:
    """Say what a training could not learn from, and if it may have been too short."""
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, CrossnerNER) and (lost := pipe.describe_lost()):
            print(f"{name}: {lost}")
    fit = _measure_fit(nlp, path)
    if fit is not None and fit < LEAST_FIT:
        msg.warn(Warnings.CNW15.format(steps=steps, fit=fit, more=2 * steps))


def _measure_fit(nlp: Language, path: Path) -> Optional[float]:
    """Compute F1 on the first labelled docs that a pipeline was trained on, if they have `ents`."""
    docs = read_docs(path, nlp.vocab)
    labelled = (doc for doc in docs if (view := get_view(doc)) is None or view.labelled)
    examples = map(make_example, islice(labelled, MONITORED))
    return nlp.evaluate(examples)["ents_f"]


def _read_bias_gains(calibrated: Path) -> list[float]:
    components = srsly.read_json(calibrated / FINISHED)["result"].values()
    return [found["bias_gain"] for found in components if found["bias_gain"] is not None]


def _annotate(stage: Stage, job: Job, place: Place, folder: Path) -> dict[str, Any]:
    """Annotate target text; the bias is for languages that the teacher has seen no labels in, and
    for teachers who expect more entities with it."""
    *teachers, data = stage.needs
    seen = find_languages(place(data) / DOCS)
    settings = dict(stage.settings["annotate"])
    bias = settings.pop("bias")
    gains = [gain for teacher in teachers for gain in _read_bias_gains(place(teacher))]
    if bias and gains and max(gains) < LEAST_BIAS_GAIN:
        bias = 0.0
        msg.info(
            f"No bias against O: it would bring the teacher only {max(gains):.1%} more entities"
        )
    parts = {}
    for number, (path, lang) in enumerate(job.inputs.target.items(), start=1):
        found = find_text_languages(path, lang)
        for name, langs, value in (("seen", found & seen, 0.0), ("unseen", found - seen, bias)):
            if langs:
                parts[f"{number}-{name}"] = path, lang, langs, value
    # students read the whole folder, with what an interrupted run with other settings has left
    for left in folder.iterdir() if folder.exists() else ():
        if left.name not in parts:
            remove(left)
    tallies: dict[str, Tally] = {}
    for name, (path, lang, langs, value) in parts.items():
        manifest, _ = annotate(
            [str(place(teacher) / PIPELINE) for teacher in teachers],
            path,
            folder / name,
            lang=lang or "xx",
            langs=langs,
            bias=value,
            gpu_id=job.gpu_id,
            seed=job.seed,
            restart=True,
            **settings,
        )
        for one, tally in manifest.sum_up().items():
            tallies.setdefault(one, Tally()).add(tally)
    return {one: {"docs": t.docs, "entities": t.found} for one, t in tallies.items()}
