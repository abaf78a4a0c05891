"""Commands that write an encoder, try a pipeline and create a project."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated, Optional, TypeVar

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, refuse
from spacy_crossner.cli.options import GPU_ID, MODEL
from spacy_crossner.errors import CrossnerError, Errors


@command("encoder", "Start")
def encoder_cli(
    output: Annotated[Path, typer.Option(help="Folder to write the encoder to.")],
    source: Annotated[
        str,
        typer.Option(
            help="embedded (multilingual-e5-small from the package index), a folder, or a name on "
            "the Hugging Face hub."
        ),
    ] = "embedded",
    layers: Annotated[
        Optional[int],
        typer.Option(
            min=1,
            help="Keep only the first N layers, which is faster; by default all.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder, whatever it contains.")
    ] = False,
) -> None:
    """Write an encoder as a Hugging Face folder; the default does not need the model hub."""
    from spacy_crossner.ship.embedded import write_encoder

    if write_encoder(output, source, layers=layers, force=force):
        msg.good(f"Wrote the encoder to {output}")
    else:
        msg.info(f"{output} already contains this encoder")


@command("try", "Start")
def try_cli(
    model: Annotated[str, MODEL],
    texts: Annotated[
        Optional[list[str]], typer.Argument(help="Texts; by default, the lines of standard input.")
    ] = None,
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0.0, max=1.0, help="Threshold for entities, instead of the pipeline's."),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option(help="HTML file to write, with highlighted entities.")
    ] = None,
) -> None:
    """Print the entities that a pipeline predicts in a text, with their scores."""
    from spacy_crossner.pipeline.load import load_pipeline
    from spacy_crossner.start.try_out import find_entities, render_terminal, write_html

    nlp = load_pipeline(model)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # what is not UTF-8 is named below
    lines = texts or [line.rstrip("\n") for line in sys.stdin]
    docs = find_entities(nlp, lines, threshold)
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(render_terminal(docs, colours=colours))
    if output is not None:
        write_html(docs, output)
        msg.good(f"Wrote {output}")


@command("init", "Start")
def init_cli(
    folder: Annotated[
        Path, typer.Argument(help="Project folder to create, or to add a language to.")
    ],
    labels: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Labelled sentences in any format of `convert`, such as the export of an "
            "annotation tool. LANGUAGE=FILE adds labelled sentences in a target language; repeat."
        ),
    ] = None,
    source: Annotated[
        Optional[str], typer.Option(help="Language code of the labelled sentences: en.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="Format of the labelled files; auto detects it.")
    ] = "auto",
    targets: Annotated[Optional[str], typer.Option(help="Target languages: it,de.")] = None,
    text: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE with plain text in a target language, one text per line; repeat."
        ),
    ] = None,
    test: Annotated[
        Optional[list[str]],
        typer.Option(help="LANGUAGE=FILE with labelled test sentences; repeat."),
    ] = None,
    label_weight: Annotated[
        float,
        typer.Option(min=0.0, help="Weight of target-language labels in the training loss."),
    ] = 1.0,
    dictionary: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE with a .tsv of words and translations, or a Wiktionary file "
            "(.txt); repeat. Installed FreeDict dictionaries are used automatically."
        ),
    ] = None,
    memory: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Translation memory, such as a .tsv with language codes in the first line; see "
            "`translate`; repeat."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Translation model: a folder or a name on the model hub.")
    ] = "",
    dev: Annotated[
        Optional[Path],
        typer.Option(
            help="Labelled source sentences for checkpoint selection and calibration; by default a "
            "tenth of the labels."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="baseline, concner, mclner or crossner.")
    ] = "crossner",
    encoder: Annotated[
        str, typer.Option(help="embedded, a folder, or a name on the Hugging Face hub.")
    ] = "embedded",
    gpu_id: Annotated[int, GPU_ID] = -1,
    add_language: Annotated[
        Optional[str],
        typer.Option(help="Add target languages to the project in the folder: it,de."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run all steps of the project that are not done yet.")
    ] = False,
) -> None:
    """Create a project for your labels and languages, or add a language to one.

    Asks for missing settings, checks each answer, and prints the steps and their estimated time.
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
            f"plain text in {lang} (a file; press enter to skip)",
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
        whole = {
            "--labels FILE": file,
            "--source": source,
            "--targets": targets,
            "--dev": dev,
            "--recipe": recipe != "crossner",
            "--encoder": encoder != "embedded",
            "--gpu-id": gpu_id != -1,
        }
        refuse(Errors.CN044, whole)
        plan, reports, changed = add_languages(folder, languages, files)
        if changed:
            msg.warn(
                "project.yml was edited or has another version; the old file is now project.yml.old"
            )
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
    # echo does not wrap lines, so that the commands can be copied
    if run:
        from weasel.cli.run import project_run

        msg.good(f"{folder} is ready.")
        project_run(folder, "all")
        msg.good("Done. See the report, and try the pipeline:")
        typer.echo(f"open {quote(str(folder / 'report' / 'report.html'))}")
        wheels = sorted((folder / "packages").glob(f"xx_{plan.name}-*.whl"))
        for wheel in wheels[-1:]:
            typer.echo(f"python -m pip install {quote(str(wheel))}")
        pipeline = quote(str(folder / "training" / "calibrate" / "pipeline"))
        typer.echo(f"python -m spacy crossner try {pipeline} 'a text'")
    else:
        msg.good(
            f"{folder} is ready; {folder / 'README.md'} describes the next steps. Run the project:"
        )
        typer.echo(f"cd {place} && python -m spacy project run all")


Answer = TypeVar("Answer")


def _ask(
    what: str, option: str, check: Callable[[str], Answer], default: Optional[str] = None
) -> Answer:
    """Prompt for a setting until the answer is valid.

    what (str): Name of the setting.
    option (str): The option that sets it.
    check (Callable[[str], Answer]): Validates and parses the answer.
    default (Optional[str]): Answer if the user presses enter.
    RETURNS (Answer): The parsed answer.
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
