"""Turn a recipe into stages, each with a key of all that decides its result."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Optional

from thinc.api import Config

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint
from spacy_crossner.training.recipes import Recipe

# Goes up when stages with the same settings give another result, so that older ones are not reused.
FORM = 8
# From the seed of one teacher to that of the next that follows the same recipe.
SEED_STEP = 1000


@dataclass(frozen=True)
class Inputs:
    """The files that a run reads.

    source (List[Path]): Labelled sentences.
    dev (Path): Labelled source sentences that are not trained on. They calibrate.
    encoder (Path): A Hugging Face folder.
    views (List[Path]): Views of the labelled sentences.
    target (Dict[Path, str]): Target text, and its language where the file doesn't say it.
    bitext (List[Path]): Sentences without labels, each followed by its translations.
    limit (int): How many labelled sentences to take; 0 takes all.
    """

    source: list[Path]
    dev: Path
    encoder: Path
    views: list[Path] = field(default_factory=list)
    target: dict[Path, str] = field(default_factory=dict)
    bitext: list[Path] = field(default_factory=list)
    limit: int = 0

    @cached_property
    def prints(self) -> dict[str, Any]:
        """Compute checksums of the files, by their use."""
        return {
            "source": [fingerprint(path) for path in self.source],
            "dev": fingerprint(self.dev),
            # an encoder on the hub only has a name
            "encoder": fingerprint(self.encoder) if self.encoder.exists() else str(self.encoder),
            "views": [fingerprint(path) for path in self.views],
            "target": [[fingerprint(path), lang] for path, lang in self.target.items()],
            "bitext": [fingerprint(path) for path in self.bitext],
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Job:
    """All that decides what a run gives.

    recipe (Recipe): The recipe.
    inputs (Inputs): The files.
    seed (int): The seed.
    steps (int): Optimizer steps of each training before the recipe's factors; 0 takes the config's.
    student_steps (int): Optimizer steps of a student; 0 for the recipe's multiple of `steps`.
    changes (Dict[str, Any]): Settings that replace those of the recipe's config.
    gpu_id (int): The GPU to use, -1 for the CPU.
    """

    recipe: Recipe
    inputs: Inputs
    seed: int = 0
    steps: int = 0
    student_steps: int = 0
    changes: dict[str, Any] = field(default_factory=dict)
    gpu_id: int = -1

    def get_settings(self, recipe: Recipe, *, student: bool) -> dict[str, Any]:
        """Get the settings that replace those of a training's config."""
        return {**recipe.set, **(recipe.student if student else {}), **self.changes}

    def count_steps(self, recipe: Recipe, *, student: bool) -> int:
        """Get the optimizer steps of a training."""
        settings = self.get_settings(recipe, student=student)
        factor = 1.0
        if "training.max_steps" in settings:
            steps = settings["training.max_steps"]
        elif student and self.student_steps:
            steps = self.student_steps
        else:
            steps = self.steps or Config().from_disk(recipe.config)["training"]["max_steps"]
            factor = recipe.steps * (recipe.student_steps if student else 1.0)
        # spaCy takes 0 for "no limit", but the last step has to be known before
        if not isinstance(steps, int) or steps < 1:
            raise CrossnerError(Errors.CN660.format(name=recipe.name, steps=steps))
        return max(1, round(steps * factor))


# compared by identity: the key says which results are the same
@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a run, which fills a folder.

    name (str): Its name.
    kind (str): What it does: "data", "train", "average", "calibrate", "annotate" or "select".
    recipe (Recipe): The recipe that it follows.
    settings (Dict[str, Any]): All that decides its result, in plain values.
    needs (Tuple[Stage, ...]): The stages whose results it reads: a training its data, and perhaps
        annotated text and the teacher to continue from; the others what they follow.
    """

    name: str
    kind: Literal["data", "train", "average", "calibrate", "annotate", "select"]
    recipe: Recipe
    settings: dict[str, Any]
    needs: tuple["Stage", ...] = ()

    @cached_property
    def key(self) -> str:
        """Key of the result; stages with the same key have the same result."""
        text = json.dumps([FORM, self.kind, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode("utf8")).hexdigest()[:16]

    def find(self, kind: str) -> Optional["Stage"]:
        """Find the stage of a kind that this stage needs."""
        return next((stage for stage in self.needs if stage.kind == kind), None)


# Where the folder of a stage is.
Place = Callable[[Stage], Path]


def plan(job: Job) -> list[Stage]:
    """Turn a recipe into stages.

    job (Job): The recipe, the files and the settings.
    RETURNS (List[Stage]): The stages in order. The last one has the pipeline.
    """
    recipe, rounds = job.recipe, job.recipe.rounds
    if rounds and not job.inputs.target:
        raise CrossnerError(Errors.CN654.format(name=recipe.name))
    stages: list[Stage] = []
    teachers = _plan_teachers(job, stages)
    # without one, the annotation would take the bias of the teacher's calibration
    annotate = {"bias": 0.0, **recipe.annotate}
    for number in range(1, rounds + 1):
        data, ending = _find_data(teachers[0]), _number(number)
        settings = {
            "seed": job.seed,
            "target": job.inputs.prints["target"],
            "annotate": annotate,
            "teacher": "+".join(teacher.key for teacher in teachers),
            "data": data.key,
        }
        needs = (*teachers, data)
        annotated = Stage(f"annotate{ending}", "annotate", recipe, settings, needs)
        stages.append(annotated)
        if recipe.select:
            chosen = {"annotated": annotated.key, "select": recipe.select, "seed": job.seed}
            annotated = Stage(f"annotate-select{ending}", "select", recipe, chosen, (annotated,))
            stages.append(annotated)
        data = _plan_data(job, recipe, "student-data", stages)
        last = "calibrate" if number == rounds else f"calibrate-student{ending}"
        names = (f"student{ending}", last)
        stages += _plan_training(job, recipe, names, data, annotated, teachers[0])
        teachers = [stages[-1]]
        # a student has learned its teacher's bias, and hands it on
        annotate = {**annotate, "bias": 0.0}
    return stages


def _plan_teachers(job: Job, stages: list[Stage]) -> list[Stage]:
    """Plan the trainings of the teachers, or that of a recipe without rounds.

    job (Job): The recipe, the files and the settings.
    stages (List[Stage]): The plan so far; gets their stages.
    RETURNS (List[Stage]): The calibrated teachers.
    """
    recipe = job.recipe
    first, then = ("teacher", "calibrate-teacher") if recipe.rounds else ("train", "calibrate")
    teachers: list[Stage] = []
    for number, teacher in enumerate(recipe.teachers or (recipe,), start=1):
        ending = _number(number)
        data = _plan_data(job, teacher, f"data{ending}", stages)
        again = recipe.teachers[: number - 1].count(teacher)
        own = replace(job, seed=job.seed + again * SEED_STEP)
        stages += _plan_training(own, teacher, (f"{first}{ending}", f"{then}{ending}"), data)
        teachers.append(stages[-1])
    return teachers


def _number(number: int) -> str:
    """Make the suffix of a numbered stage; the first stage has none."""
    return f"-{number}" if number > 1 else ""


def _find_data(calibrated: Stage) -> Stage:
    """Find the data stage of the training behind a calibration."""
    stage = calibrated
    while stage.kind != "data":
        stage = stage.needs[0]
    return stage


def _plan_data(job: Job, recipe: Recipe, name: str, stages: list[Stage]) -> Stage:
    """Add a data stage to the plan, or return an existing one with the same data."""
    prints = job.inputs.prints
    settings = {
        "source": prints["source"],
        "limit": prints["limit"],
        "uses": recipe.views,
        "views": prints["views"] if recipe.views else [],
        "bitext": prints["bitext"] if recipe.bitext else [],
    }
    stage = Stage(name, "data", recipe, settings)
    known = next((other for other in stages if other.key == stage.key), None)
    if known is None:
        stages.append(stage)
    return known or stage


def _plan_training(
    job: Job,
    recipe: Recipe,
    names: tuple[str, str],
    data: Stage,
    annotated: Optional[Stage] = None,
    teacher: Optional[Stage] = None,
) -> list[Stage]:
    """Plan a training stage and the calibration that follows it, or several whose weights are
    averaged in between."""
    start = teacher if teacher is not None and recipe.continue_from_teacher else None
    student = annotated is not None
    settings = {
        "steps": job.count_steps(recipe, student=student),
        "encoder": job.inputs.prints["encoder"],
        "config": fingerprint(recipe.config),
        "set": job.get_settings(recipe, student=student),
        "data": data.key,
        "annotated": annotated and annotated.key,
        "start": start and start.key,
    }
    needs = tuple(stage for stage in (data, annotated, start) if stage is not None)
    count = recipe.students if student else 1
    stages = []
    for number in range(count):
        own = {"seed": job.seed + number * SEED_STEP, **settings}
        name = f"{names[0]}.{number + 1}" if number else names[0]
        stages.append(Stage(name, "train", recipe, own, needs))
    share = recipe.teacher_share if start is not None else 0.0
    if count > 1 or share:
        averaged = {"train": [stage.key for stage in stages], "teacher_share": share}
        parts = [*stages, start] if start is not None and share else stages
        stages.append(Stage(f"{names[0]}-average", "average", recipe, averaged, tuple(parts)))
    trained = stages[-1]
    calibrated = {"train": trained.key, "dev": job.inputs.prints["dev"]}
    return [*stages, Stage(names[1], "calibrate", recipe, calibrated, (trained,))]
