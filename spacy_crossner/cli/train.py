"""Training: recipes, and the calibration of their pipelines."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command


@command("train", "Training")
def train_cli(
    recipe: Annotated[str, typer.Argument(help="baseline, concner, mclner, crossner or another.")],
    source: Annotated[
        list[Path],
        typer.Option("--source", help="Labelled sentences, a .spacy file or folder; repeat."),
    ],
    dev: Annotated[
        Path,
        typer.Option(
            "--dev", help="Labelled source sentences that are not trained on; calibrates."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder that gets a folder for each stage.")
    ],
    views: Annotated[
        Optional[list[Path]],
        typer.Option("--views", help="Views that translate or codeswitch wrote; repeat."),
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
            "--bitext", help="Sentences without labels, each followed by its translations; repeat."
        ),
    ] = None,
    encoder: Annotated[Path, typer.Option("--encoder", help="A Hugging Face folder.")] = Path(
        "encoder"
    ),
    steps: Annotated[
        int,
        typer.Option(min=0, help="Optimizer steps of each training, 0 for those of the config."),
    ] = 0,
    student_steps: Annotated[
        int, typer.Option(min=0, help="Optimizer steps of students, 0 for as many as --steps.")
    ] = 0,
    rounds: Annotated[
        int,
        typer.Option(min=-1, help="Rounds of annotation and student; -1 takes the recipe's."),
    ] = -1,
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="SECTION.KEY=VALUE that replaces a config's; repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides all that is drawn at random.")] = 0,
    stage: Annotated[
        Optional[list[str]],
        typer.Option("--stage", help="Only run this stage; repeat. --dry-run lists them."),
    ] = None,
    recipes: Annotated[
        Optional[Path],
        typer.Option("--recipes", help="A file of recipes; else the one of the package."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Replace stages that were run with other settings.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the stages and the commands they stand for.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No table of the trainings.")
    ] = False,
    gpu_id: Annotated[
        int, typer.Option("--gpu-id", "-g", help="The GPU to use, -1 for the CPU.")
    ] = -1,
) -> None:
    """Train a recipe: teacher, annotation, student and calibration. Finished stages are kept."""
    from dataclasses import replace

    from spacy_crossner.training.recipes import find_recipe, parse_settings
    from spacy_crossner.training.run import Inputs, Job, describe, parse_targets, plan, train

    chosen = find_recipe(recipe, recipes)
    if rounds >= 0:
        chosen = replace(chosen, rounds=rounds, teacher=chosen.teacher if rounds else None)
    inputs = Inputs(source, dev, encoder, views or [], parse_targets(target or []), bitext or [])
    job = Job(chosen, inputs, seed, steps, student_steps, parse_settings(settings or []), gpu_id)
    if dry_run:
        for one in plan(job):
            typer.echo(f"{one.name}:")
            for line in describe(one, job, lambda part: output / part.name):
                typer.echo(f"  {line}")
        return
    pipeline = train(job, output, only=stage or [], restart=restart, quiet=quiet)
    msg.good(f"The pipeline is in {pipeline}")


@command("calibrate", "Training")
def calibrate_cli(
    model: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    dev: Annotated[Path, typer.Argument(help="Labelled source text that was not trained on.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the calibrated pipeline to.")],
    threshold: Annotated[
        bool,
        typer.Option(
            "--threshold",
            help="Also choose the threshold, and for token labels how much less likely O is than "
            "it seems: the lowest threshold and the largest bias whose F1 is within one standard "
            "error of the best, for scores are lower in languages without labels.",
        ),
    ] = False,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write what was found to.")
    ] = None,
) -> None:
    """Make scores mean what they say: fit a temperature on labelled source text."""
    from dataclasses import asdict

    from spacy_crossner.files import write_json
    from spacy_crossner.training.calibrate import calibrate_pipeline

    results = calibrate_pipeline(model, dev, output, fit_threshold=threshold)
    if report is not None:
        write_json(report, {name: asdict(result) for name, result in results.items()})
    for name, result in results.items():
        msg.good(
            f"{name}: temperature {result.temperature:.2f}, threshold {result.threshold:.2f}, "
            f"bias {result.bias:.2f}, "
            f"expected calibration error of {result.entities} entities {result.error_before:.3f} "
            f"-> {result.error_after:.3f}"
        )
