"""Data: labelled and plain text in, documents that train out."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, split_list


@command("convert", "Data")
def convert_cli(
    inputs: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="A .spacy, .iob2, .conll or .jsonl file, or without an ending, a folder of shards."
        ),
    ],
    format: Annotated[
        str, typer.Option(help="auto, iob, iob2, bioes, conllu, jsonl, text or spacy.")
    ] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the texts.")] = "xx",
    label_map: Annotated[str, typer.Option(help="Rename labels: PER=PERSON,LOC=GPE.")] = "",
    drop_labels: Annotated[
        str, typer.Option(help="Labels whose entities become plain text: OTH,MISC.")
    ] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Take the labels off: it is target text.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first problem instead of counting it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many sentences.")] = 0,
    tokenizer: Annotated[
        str,
        typer.Option(help="gold keeps the tokens of the files, text tokenizes their texts anew."),
    ] = "gold",
    misaligned: Annotated[
        str,
        typer.Option(
            help="Entities that cut a token: missing masks the tokens, skip skips the sentence."
        ),
    ] = "missing",
    shard_size: Annotated[
        int, typer.Option(min=0, help="Write a folder of .spacy files with so many docs each.")
    ] = 0,
) -> None:
    """Convert labelled or plain text into docs that train, or back."""
    from spacy_crossner.data.convert import convert, describe, parse_label_map

    report = convert(
        inputs,
        out,
        format=format,
        lang=lang,
        label_map=parse_label_map(label_map),
        drop_labels=split_list(drop_labels),
        unlabelled=unlabelled,
        strict=strict,
        limit=limit,
        tokenizer=tokenizer,
        misaligned=misaligned,
        shard_size=shard_size,
    )
    for line in describe(report):
        msg.text(line)
    if report.skipped:
        msg.warn(f"Skipped sentences: {report.skipped}")
    counts = ", ".join(f"{label} {count}" for label, count in sorted(report.entities.items()))
    msg.good(
        f"{out}: {report.docs} sentences, {report.tokens} tokens, entities: {counts or 'none'}"
    )


@command("sample", "Data")
def sample_cli(
    sample: Annotated[Path, typer.Argument(help="Folder of the sample corpus.")],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    languages: Annotated[str, typer.Option(help="Target languages: de,es,zh.")],
) -> None:
    """Turn the sample corpus into docs that train: source, views, target text and tests."""
    from spacy_crossner.data.sample import make_corpus

    counts = make_corpus(sample, output, split_list(languages))
    for name, count in counts.items():
        msg.good(f"{output / name}.spacy: {count} docs")


@command("inspect", "Data")
def inspect_cli(
    paths: Annotated[list[Path], typer.Argument(help=".spacy files, or folders of them.")],
) -> None:
    """Say what .spacy files hold: views, languages, groups, links, soft targets, labels."""
    from spacy_crossner.data.inspect import inspect, render

    typer.echo(render(inspect(paths)))
