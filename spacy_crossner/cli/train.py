"""Commands that train recipes and calibrate pipelines."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command
from spacy_crossner.cli.options import (
    ADDRESS,
    GPU_ID,
    GPUS,
    ON,
    OWN_THREADS,
    WORKERS,
    make_execution,
)


@command("train", "Training")
def train_cli(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Recipe: baseline, concner, mclner, crossner or another one in --recipes."
        ),
    ],
    source: Annotated[
        list[Path],
        typer.Option("--source", help=".spacy file or folder with labelled sentences; repeat."),
    ],
    dev: Annotated[
        Path,
        typer.Option(
            "--dev", help="Labelled source sentences for calibration, not used in training."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Output folder, with a subfolder for each stage.")
    ],
    views: Annotated[
        Optional[list[Path]],
        typer.Option("--views", help="Output of `translate` or `codeswitch`; repeat."),
    ] = None,
    target: Annotated[
        Optional[list[str]],
        typer.Option(
            "--target",
            help="Target text: LANGUAGE=FILE for .txt and .jsonl, or a .spacy file; repeat.",
        ),
    ] = None,
    bitext: Annotated[
        Optional[list[Path]],
        typer.Option(
            "--bitext", help=".spacy file with unlabelled sentences and their translations; repeat."
        ),
    ] = None,
    encoder: Annotated[
        Path, typer.Option("--encoder", help="Hugging Face folder of the encoder.")
    ] = Path("encoder"),
    steps: Annotated[
        int,
        typer.Option(min=0, help="Optimizer steps per training, 0 for the number in the config."),
    ] = 0,
    student_steps: Annotated[
        int, typer.Option(min=0, help="Optimizer steps of students, 0 for those of the recipe.")
    ] = 0,
    rounds: Annotated[
        int,
        typer.Option(
            min=-1, help="Rounds of annotation and student training, -1 for those of the recipe."
        ),
    ] = -1,
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="Override SECTION.KEY=VALUE in the config; repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    stage: Annotated[
        Optional[list[str]],
        typer.Option("--stage", help="Only run this stage (or 'teacher*'); repeat. See --dry-run."),
    ] = None,
    recipes: Annotated[
        Optional[Path],
        typer.Option("--recipes", help="Recipe file; by default that of the package."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Replace stages that have other settings.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the stages and their equivalent commands.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Don't print the training table.")
    ] = False,
    gpu_id: Annotated[int, GPU_ID] = -1,
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[Optional[int], OWN_THREADS] = None,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
) -> None:
    """Run a recipe: teacher, annotation, student and calibration. Finished stages are kept."""
    from dataclasses import replace

    from spacy_crossner.training.data import parse_targets
    from spacy_crossner.training.describe import describe
    from spacy_crossner.training.recipes import find_recipe, parse_settings
    from spacy_crossner.training.run import train
    from spacy_crossner.training.stages import Inputs, Job, plan

    chosen = find_recipe(recipe, recipes)
    if rounds >= 0:
        chosen = replace(chosen, rounds=rounds, teachers=chosen.teachers if rounds else ())
    inputs = Inputs(source, dev, encoder, views or [], parse_targets(target or []), bitext or [])
    job = Job(chosen, inputs, seed, steps, student_steps, parse_settings(settings or []), gpu_id)
    if dry_run:
        for one in plan(job):
            typer.echo(f"{one.name}:")
            for line in describe(one, job, lambda part: output / part.name):
                typer.echo(f"  {line}")
        return
    result = train(
        job,
        output,
        only=stage or [],
        restart=restart,
        quiet=quiet,
        execution=make_execution(on, workers, threads, address, gpus_per_worker),
    )
    msg.good(f"The result is in {result}")


@command("average", "Training")
def average_cli(
    models: Annotated[
        list[Path], typer.Argument(help="Pipelines that started from the same weights.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write the averaged pipeline to.")
    ],
    teacher: Annotated[
        Optional[Path], typer.Option("--teacher", help="The pipeline that they started from.")
    ] = None,
    share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How much the teacher's weights count in the mean."),
    ] = 0.25,
) -> None:
    """Average the weights of students, and of their teacher."""
    from spacy_crossner.training.average import average_pipelines

    average_pipelines(models, output, teacher, share)
    msg.good(f"The pipeline is in {output}; calibrate it before use")


@command("calibrate", "Training")
def calibrate_cli(
    model: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    dev: Annotated[Path, typer.Argument(help="Labelled source text not used in training.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the calibrated pipeline to.")],
    threshold: Annotated[
        bool,
        typer.Option(
            "--threshold",
            help="Also choose the lowest threshold and, for token labels, the largest bias "
            "against O within one standard error of the best F1, since scores are lower in target "
            "languages; and the best threshold of names inside names.",
        ),
    ] = False,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the results to.")
    ] = None,
) -> None:
    """Calibrate scores: fit a temperature on labelled source text."""
    from dataclasses import asdict

    from spacy_crossner.files import write_json
    from spacy_crossner.training.calibrate import calibrate_pipeline

    results = calibrate_pipeline(model, dev, output, fit_threshold=threshold)
    if report is not None:
        write_json(report, {name: asdict(result) for name, result in results.items()})
    for name, result in results.items():
        inner = result.nested_threshold
        nested = "" if inner is None else f"threshold of names inside names {inner:.2f}, "
        msg.good(
            f"{name}: temperature {result.temperature:.2f}, threshold {result.threshold:.2f}, "
            f"bias {result.bias:.2f}, {nested}"
            f"expected calibration error of {result.entities} entities {result.error_before:.3f} "
            f"-> {result.error_after:.3f}"
        )
