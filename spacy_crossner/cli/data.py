"""Commands that convert and inspect data."""

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
            metavar="OUTPUT",
            help="A file whose ending gives the format (.spacy .iob2 .conll .jsonl .csv), or "
            "a folder (without an ending).",
        ),
    ],
    format: Annotated[
        str, typer.Option(help="Format of the inputs; `formats` lists all of them.")
    ] = "auto",
    to: Annotated[
        str, typer.Option(help="Format of the output, such as prodigy or brat.")
    ] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the texts.")] = "xx",
    label_map: Annotated[str, typer.Option(help="Rename labels: PER=PERSON,LOC=GPE.")] = "",
    drop_labels: Annotated[str, typer.Option(help="Labels to remove: OTH,MISC.")] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Remove all labels, for use as target text.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at the first error instead of skipping the sentence."),
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of sentences, 0 for all.")] = 0,
    tokenizer: Annotated[
        str,
        typer.Option(help="gold keeps the tokens of the files, text tokenizes their text again."),
    ] = "gold",
    misaligned: Annotated[
        str,
        typer.Option(
            help="For entities that start or end inside a token: missing masks the tokens, skip "
            "leaves out the sentence."
        ),
    ] = "missing",
    shard_size: Annotated[
        int,
        typer.Option(min=0, help="Write a folder of .spacy files with about this many docs each."),
    ] = 0,
    tag_names: Annotated[
        str, typer.Option(help="Names of numeric tags in order: O,B-PER,I-PER.")
    ] = "",
) -> None:
    """Convert labelled or plain text to .spacy files, or from them to other formats."""
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
    """List the file formats that `convert` reads and writes."""
    from wasabi import table

    from spacy_crossner.data.formats import list_formats

    typer.echo(table(list_formats(), header=("Format", "Written", "What it is"), divider=True))


@command("sample", "Data")
def sample_cli(
    sample: Annotated[Path, typer.Argument(help="Folder with the sample corpus.")],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    languages: Annotated[str, typer.Option(help="Target languages: de,es,zh.")],
) -> None:
    """Convert the sample corpus to .spacy files: source text, views, target text and tests."""
    from spacy_crossner.data.sample import make_corpus

    counts = make_corpus(sample, output, split_list(languages))
    tests = [counts.pop(name) for name in list(counts) if name.startswith("test-")]
    counts["tests"] = sum(tests)
    msg.good(f"{output}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


@command("inspect", "Data")
def inspect_cli(
    paths: Annotated[list[Path], typer.Argument(help=".spacy files, or folders of them.")],
) -> None:
    """Count the views, languages, groups, links, soft targets and labels in .spacy files."""
    from spacy_crossner.data.inspect import inspect, render

    typer.echo(render(inspect(paths)))
