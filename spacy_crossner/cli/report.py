"""Commands that score pipelines and write reports."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command
from spacy_crossner.cli.options import GPU_ID, MODEL


@command("evaluate", "Reports")
def evaluate_cli(
    model: Annotated[str, MODEL],
    tests: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with gold entities, or folders with test-*.spacy."),
    ],
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the scores to.")
    ] = None,
    gold_tokens: Annotated[
        bool,
        typer.Option(
            "--gold-tokens",
            help="Score on gold tokens instead of raw text, and add the scores of seqeval and "
            "spaCy's scorer.",
        ),
    ] = False,
    gpu_id: Annotated[int, GPU_ID] = -1,
) -> None:
    """Score a pipeline per language and entity type: exact spans on the raw text."""
    from spacy_crossner.files import refuse_input, write_json
    from spacy_crossner.report.evaluate import evaluate, tabulate
    from spacy_crossner.tables import render_rows

    if output is not None:
        refuse_input(output, tests)
    scores = evaluate(
        Path(model) if Path(model).exists() else model,
        tests,
        gold_tokens=gold_tokens,
        gpu_id=gpu_id,
    )
    for header, rows in tabulate(scores):
        typer.echo(render_rows(header, rows))
    if output is not None:
        write_json(output, scores)
        msg.good(f"Wrote the scores to {output}")


@command("report", "Reports")
def report_cli(
    model: Annotated[str, MODEL],
    tests: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with gold entities, or folders with test-*.spacy."),
    ],
    output: Annotated[Path, typer.Option(help="Folder to write report.html to.")] = Path("report"),
    name: Annotated[
        Optional[str],
        typer.Option(help="Name of the pipeline in the report; by default that in its meta.json."),
    ] = None,
    metrics: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="JSON output of `evaluate` for pipelines to compare with, or a folder of it; "
            "repeat."
        ),
    ] = None,
    log: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Training log (training.logger.output_file), or a folder of logs; repeat."
        ),
    ] = None,
    encoder: Annotated[
        Optional[str],
        typer.Option(help="The encoder before training: a folder or a name on the model hub."),
    ] = None,
    source: Annotated[
        Optional[Path],
        typer.Option(help="Labelled source text for the chart of token vectors."),
    ] = None,
    translation: Annotated[
        Optional[Path], typer.Option(help="JSON written by `translate --report`.")
    ] = None,
    selection: Annotated[
        Optional[Path], typer.Option(help="JSON written by `select --report`.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Number of sentences to show per language and kind of error.")
    ] = 8,
    gpu_id: Annotated[int, GPU_ID] = -1,
) -> None:
    """Write an HTML report on a pipeline: scores, examples, charts and errors.

    Sections without data are left out. In a project:

    crossner report training/calibrate/pipeline corpus --name crossner --metrics metrics
    --log training --encoder encoder --source corpus/dev.spacy --translation
    metrics/translation.json --selection metrics/selection.json --output report
    """
    from spacy_crossner.report.report import report

    page = report(
        Path(model) if Path(model).exists() else model,
        tests,
        output,
        name=name,
        metrics=metrics or [],
        logs=log or [],
        encoder=encoder,
        source=source,
        translation=translation,
        selection=selection,
        limit=limit,
        gpu_id=gpu_id,
    )
    msg.good(f"Wrote the report to {page}")


@command("summary", "Reports")
def summary_cli(
    metrics: Annotated[Path, typer.Argument(help="JSON output of `evaluate`.")],
    report: Annotated[Optional[Path], typer.Option(help="The report to point to.")] = None,
    packages: Annotated[
        Optional[Path], typer.Option(help="Output folder of `package`, to name the next commands.")
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option(help="Text file that gets the summary, too.")
    ] = None,
) -> None:
    """Print F1 per language, where the results are, and the next commands."""
    from spacy_crossner.files import write_file
    from spacy_crossner.report.summary import summarize

    # unwrapped, so that commands can be copied
    text = "\n".join(summarize(metrics, report, packages))
    typer.echo(text)
    if output is not None:
        write_file(output, text + "\n")
