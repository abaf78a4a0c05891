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
            help="A file, whose ending tells the format (.spacy .iob2 .conll .jsonl .csv), or "
            "without an ending, a folder."
        ),
    ],
    format: Annotated[
        str, typer.Option(help="Format of the inputs. The command formats lists all.")
    ] = "auto",
    to: Annotated[str, typer.Option(help="Format of the output: prodigy, brat, ...")] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the texts.")] = "xx",
    label_map: Annotated[str, typer.Option(help="Rename labels: PER=PERSON,LOC=GPE.")] = "",
    drop_labels: Annotated[
        str, typer.Option(help="Labels whose entities become plain text: OTH,MISC.")
    ] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Remove the labels: it is target text.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first problem instead of counting it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many sentences.")] = 0,
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
        int, typer.Option(min=0, help="Write a folder of .spacy files with about this many docs.")
    ] = 0,
    tag_names: Annotated[
        str, typer.Option(help="Names of tags that are numbers, in order: O,B-PER,I-PER.")
    ] = "",
) -> None:
    """Convert labelled or plain text into docs that train, or back."""
    from spacy_crossner.data.convert import convert, describe, parse_label_map

    report = convert(
        inputs,
        out,
        format=format,
        to=to,
        lang=lang,
        label_map=parse_label_map(label_map),
        drop_labels=split_list(drop_labels),
        unlabelled=unlabelled,
        strict=strict,
        limit=limit,
        tokenizer=tokenizer,
        misaligned=misaligned,
        shard_size=shard_size,
        tag_names=[name.strip() for name in tag_names.split(",") if name.strip()],
    )
    for line in describe(report):
        msg.text(line)
    for note in report.notes:
        msg.warn(note)
    if report.skipped:
        msg.warn(f"Skipped sentences: {report.skipped}")
    counts = ", ".join(f"{label} {count}" for label, count in sorted(report.entities.items()))
    counts += f"; nested: {report.nested}" if report.nested else ""
    summary = (
        f"{out}: {report.docs} sentences, {report.tokens} tokens, entities: {counts or 'none'}"
    )
    lost = report.skipped or (report.labelled and not report.entities)
    (msg.warn if lost else msg.good)(summary)


@command("formats", "Data")
def formats_cli() -> None:
    """List the file formats that convert reads and writes."""
    from wasabi import table

    from spacy_crossner.data.formats import list_formats

    typer.echo(table(list_formats(), header=("Format", "Written", "What it is"), divider=True))


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
    """Count what .spacy files hold: views, languages, groups, links, soft targets, labels."""
    from spacy_crossner.data.inspect import inspect, render

    typer.echo(render(inspect(paths)))
