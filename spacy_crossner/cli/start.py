"""Start: an encoder, and a project for your own labels."""

import os
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command
from spacy_crossner.errors import CrossnerError, Errors


@command("encoder", "Start")
def encoder_cli(
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    source: Annotated[
        str,
        typer.Option(
            help="embedded (multilingual-e5-small, from the package index), a folder, or a name on "
            "the Hugging Face hub."
        ),
    ] = "embedded",
    layers: Annotated[
        Optional[int],
        typer.Option(
            min=1,
            help="Number of layers to keep, counted from below; all by default. Fewer are faster.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder, whatever it holds.")
    ] = False,
) -> None:
    """Write an encoder as a Hugging Face folder, by default one that needs no model hub."""
    from spacy_crossner.ship.embedded import write_encoder

    if write_encoder(output, source, layers=layers, force=force):
        msg.good(f"Wrote the encoder to {output}")
    else:
        msg.info(f"Nothing to do: {output} holds this encoder already")


@command("try", "Start")
def try_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    texts: Annotated[
        Optional[list[str]], typer.Argument(help="Texts; without any, lines from standard input.")
    ] = None,
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0.0, max=1.0, help="Least score of an entity, instead of the pipeline's."),
    ] = None,
    html: Annotated[
        Optional[Path], typer.Option(help="HTML file to write, with entities in colour.")
    ] = None,
) -> None:
    """Show the entities that a pipeline finds in a text, with their scores."""
    from spacy_crossner.pipeline.load import load_pipeline
    from spacy_crossner.start.try_out import find_entities, render_terminal, write_html

    nlp = load_pipeline(model)
    lines = texts or [line.rstrip("\n") for line in sys.stdin]
    docs = find_entities(nlp, lines, threshold)
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(render_terminal(docs, colours=colours))
    if html is not None:
        write_html(docs, html)
        msg.good(f"Wrote {html}")


@command("init", "Start")
def init_cli(
    folder: Annotated[Path, typer.Argument(help="The project folder to make, or to add to.")],
    labels: Annotated[
        Optional[Path],
        typer.Option(help="Labelled sentences: CoNLL, IOB, BIOES, JSONL or .spacy."),
    ] = None,
    source: Annotated[Optional[str], typer.Option(help="Their language: en.")] = None,
    targets: Annotated[
        Optional[str], typer.Option(help="Languages to find entities in: it,de.")
    ] = None,
    text: Annotated[
        Optional[list[str]],
        typer.Option(help="LANGUAGE=FILE, plain text of a target language, a line each; repeat."),
    ] = None,
    test: Annotated[
        Optional[list[str]],
        typer.Option(help="LANGUAGE=FILE, labelled test sentences; repeat."),
    ] = None,
    dictionary: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE, a .tsv of words and translations, or a Wiktionary file (.txt); "
            "repeat. FreeDict dictionaries are found where they are installed."
        ),
    ] = None,
    memory: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Translated sentences, such as a .tsv whose first line names the languages; see "
            "translate; repeat."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A translation model: a folder or a hub name.")] = "",
    dev: Annotated[
        Optional[Path],
        typer.Option(
            help="Labelled source sentences to select and calibrate on; else a tenth of the labels."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="baseline, concner, mclner or crossner.")
    ] = "crossner",
    encoder: Annotated[
        str, typer.Option(help="embedded, a folder, or a name on the Hugging Face hub.")
    ] = "embedded",
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
    add_language: Annotated[
        Optional[str],
        typer.Option(help="Add target languages to the project in the folder: it,de."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the project at once: all that is not done yet.")
    ] = False,
) -> None:
    """Make a project for your own labels and languages, ready to run; or add a language to one.

    Asks for what is not given, checks the data, and says what will happen and how long it takes.
    """
    from spacy_crossner.data.convert import describe as describe_problems
    from spacy_crossner.start.init import Files, add_languages, init, parse_files
    from spacy_crossner.start.plan import describe

    asked = add_language or targets or _ask("target languages (codes, with commas)", "--targets")
    languages = [lang.strip() for lang in asked.split(",") if lang.strip()]
    texts = parse_files(text or [])
    for lang in languages if text is None and sys.stdin.isatty() else ():
        answer = typer.prompt(f"Plain text in {lang} (a file, or nothing)", default="")
        texts |= {lang: Path(answer)} if answer else {}
    files = Files(
        text=texts,
        test=parse_files(test or []),
        dictionary=parse_files(dictionary or []),
        memory=memory or [],
        model=model,
    )
    if add_language is None:
        plan, reports = init(
            folder,
            labels or Path(_ask("labelled file", "--labels")),
            source or _ask("language of the labels (a code)", "--source"),
            languages,
            files,
            dev=dev,
            recipe=recipe,
            encoder=encoder,
            gpu_id=gpu_id,
        )
    else:
        plan, reports, changed = add_languages(folder, languages, files)
        if changed:
            msg.warn("project.yml had been changed, or is of another version: see project.yml.old")
    for report in reports:
        for line in describe_problems(report):
            msg.text(line)
        if report.skipped:
            msg.warn(f"Skipped sentences: {report.skipped}")
    for line in describe(plan):
        msg.text(line)
    msg.good(f"{folder} is ready." if run else f"{folder} is ready. To run it:")
    if run:
        from weasel.cli.run import project_run

        project_run(folder, "all")
    else:
        # a message would be wrapped, and a wrapped command can't be copied
        typer.echo(f"cd {quote(str(folder))} && python -m spacy project run all")


def _ask(what: str, option: str) -> str:
    """RETURNS (str): The answer of who sits at the terminal."""
    if not sys.stdin.isatty():
        raise CrossnerError(Errors.CN035.format(what=what, option=option))
    return str(typer.prompt(what.capitalize()))
