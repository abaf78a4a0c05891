"""Show the plain commands that do what the stages of a recipe do."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy_crossner.training.run import CONFIG, DOCS, LEAST_BIAS_GAIN, PIPELINE, find_averaged
from spacy_crossner.training.stages import Job, Place, Stage


def describe(stage: Stage, job: Job, place: Place) -> list[str]:
    """Say which plain commands do what a stage does.

    stage (Stage): The stage.
    job (Job): What it is a part of.
    place (Place): Says where the folders of stages are.
    RETURNS (List[str]): The commands.
    """
    folder, own = place(stage), "python -m spacy"
    gpu = f" --gpu-id {job.gpu_id}" if job.gpu_id >= 0 else ""
    if stage.kind == "data":
        uses = ", ".join(f"{kind} ({use})" for kind, use in stage.recipe.views.items())
        return [f"# {folder / DOCS}: the labelled sentences; views: {uses or 'none'}"]
    if stage.kind == "train":
        # the same weights are in model-last
        config, output = shlex.quote(str(folder / CONFIG)), shlex.quote(str(folder))
        return [f"{own} train {config} --output {output}{gpu}"]
    if stage.kind == "average":
        students, teacher = find_averaged(stage, place)
        options = f" --output {_join([folder / PIPELINE])}"
        if teacher is not None:
            options += f" --teacher {_join([teacher])} --share {stage.settings['teacher_share']}"
        return [f"{own} crossner average {_join(students)}{options}"]
    if stage.kind == "calibrate":
        paths = (place(stage.needs[0]) / PIPELINE, job.inputs.dev, folder / PIPELINE)
        return [f"{own} crossner calibrate {_join(paths)} --threshold"]
    if stage.kind == "select":
        settings = {**stage.settings["select"], "seed": stage.settings["seed"]}
        (annotated,) = stage.needs
        chosen = _join((place(annotated), folder))
        return [f"{own} crossner select {chosen}{_list_options(settings)}"]
    annotate = stage.settings["annotate"]
    options = _list_options(annotate)
    first, *others = (place(need) / PIPELINE for need in stage.needs[:-1])
    options = "".join(f" --teacher {shlex.quote(str(other))}" for other in others) + options
    notes = []
    if annotate.get("bias"):
        notes = [
            "# --bias only for languages in which the teacher has no labels, and only if the "
            f"bias_gain of its calibration is {LEAST_BIAS_GAIN} or more"
        ]
    return notes + [
        f"{own} crossner annotate {_join((first, path, folder / str(number)))}"
        f" --lang {lang or 'xx'}{options} --seed {job.seed}{gpu}"
        for number, (path, lang) in enumerate(job.inputs.target.items(), start=1)
    ]


def _list_options(settings: dict[str, Any]) -> str:
    options = ""
    for key, value in settings.items():
        if value is not False:
            options += f" --{key.replace('_', '-')}"
            options += "" if value is True else f" {shlex.quote(str(value))}"
    return options


def _join(paths: Sequence[Path]) -> str:
    return shlex.join(map(str, paths))
