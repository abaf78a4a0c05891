"""Training: recipes, and the calibration of what they give."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command


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
