"""The command that applies a pipeline to files, locally or on a cluster."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, split_list
from spacy_crossner.cli.options import ADDRESS, GPUS, MODEL, ON, THREADS, WORKERS

# Number of failures to print; the journal of the output has all of them.
SHOWN = 20


@command("apply", "Texts")
def apply_cli(
    pipeline: Annotated[str, MODEL],
    path: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Path or URL (s3://, gs://, hf://) of a .txt (one text per line), .jsonl, "
            ".parquet or .spacy file, a folder or a glob.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Path or URL of the folder to write.")
    ],
    format: Annotated[
        str, typer.Option("--format", help="Format of the output: jsonl, parquet or spacy.")
    ] = "jsonl",
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    id_column: Annotated[
        str, typer.Option(help="Column with the ids; by default, ids are made from file and line.")
    ] = "id",
    columns: Annotated[
        Optional[str],
        typer.Option(help="Input columns to copy to the output: text,url; by default all."),
    ] = None,
    candidates: Annotated[
        bool,
        typer.Option(
            "--candidates",
            help="Also write all candidate spans, with their scores.",
        ),
    ] = False,
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[int, THREADS] = 1,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
    gpu: Annotated[bool, typer.Option("--gpu", help="Run local workers on the GPU.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per batch.")] = 64,
    shard_size: Annotated[int, typer.Option(min=1, help="Texts per file.")] = 2000,
    code: Annotated[
        Optional[Path], typer.Option("--code", help="Python file with registered functions.")
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace an output that has other settings or texts."),
    ] = False,
) -> None:
    """Predict entities in any amount of text. An interrupted run continues where it stopped."""
    from spacy_crossner.scale.apply import apply
    from spacy_crossner.scale.execution import Execution

    result = apply(
        pipeline,
        path,
        out,
        format=format,
        text_column=text_column,
        id_column=id_column,
        columns=None if columns is None else split_list(columns),
        candidates=candidates,
        batch_size=batch_size,
        shard_size=shard_size,
        execution=Execution(on, workers, threads, address, gpus_per_worker),
        gpu=gpu,
        code=code,
        restart=restart,
        progress=True,
    )
    for name, reason in result.unreadable.items():
        msg.fail(f"{name}: {reason}")
    for name, reason in result.failed[:SHOWN]:
        msg.fail(f"{name}: {reason}")
    if len(result.failed) > SHOWN:
        msg.fail(f"and {len(result.failed) - SHOWN} more texts; {out}/_manifest.log has them all")
    summary = (
        f"{out}: {result.texts} texts, {result.entities} entities in {result.shards} files, "
        f"{result.new} of them new"
    )
    if not result.is_whole:
        msg.warn(f"{summary}; {len(result.failed)} texts failed")
        raise typer.Exit(1)
    msg.good(summary)
