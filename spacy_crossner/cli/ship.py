"""Shipping: wheels, and the proof that they work."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.about import __version__
from spacy_crossner.cli.app import command, split_list


@command("package", "Shipping")
def package_cli(
    pipeline: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the wheels to.")],
    languages: Annotated[str, typer.Option(help="Languages of the wheels: de,es,zh.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(
            help=".spacy files, or folders of them, with texts in these languages; repeat. The "
            "vocabulary is trimmed by them."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="What follows the language in a wheel's name.")
    ] = "crossner_trf",
    version: Annotated[str, typer.Option(help="Version of the wheels.")] = __version__,
    scores: Annotated[
        Optional[Path], typer.Option(help="What the command evaluate wrote, for the meta.json.")
    ] = None,
    sources: Annotated[
        Optional[Path],
        typer.Option(help="JSON list of the data's name, url and license, for the meta.json."),
    ] = None,
    license_name: Annotated[
        str,
        typer.Option("--license", help="Licence of the wheels; by default those of the sources."),
    ] = "",
    trim: Annotated[
        Optional[bool],
        typer.Option(
            "--trim/--no-trim",
            help="Cut the vocabulary of all wheels, or of none. By default those of one language "
            "are cut, and xx_NAME keeps all languages of the encoder.",
        ),
    ] = None,
) -> None:
    """Build wheels: one multilingual pipeline (xx_NAME) and one per language (de_NAME)."""
    from spacy_crossner.ship.package import package

    wheels = package(
        pipeline,
        output,
        split_list(languages),
        texts or [],
        name=name,
        version=version,
        scores=scores,
        sources=sources,
        license_name=license_name,
        trim=trim,
    )
    for path, _, trimmed in wheels:
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        pieces = "" if trimmed is None else f", {trimmed.after} of {trimmed.before} word pieces"
        msg.good(f"{path}: {size}{pieces}")


@command("verify", "Shipping")
def verify_cli(
    wheels: Annotated[
        list[Path],
        typer.Argument(help="Wheels; or a folder, for those that package wrote there last."),
    ],
    against: Annotated[Path, typer.Option(help="The pipeline that they were made from.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(help=".spacy files, or folders of them, with texts to try; repeat."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Texts of each language to try, 0 for all.")
    ] = 0,
    install: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Install this (spacy-crossner, a wheel or a folder of it) and all requirements "
            "into an empty environment, instead of lending it the packages of this one; repeat."
        ),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write what was found to.")
    ] = None,
) -> None:
    """Load each wheel in a clean environment without a network, and compare what it finds."""
    from spacy_crossner.ship.verify import find_wheels, verify, write_verified

    results = verify(find_wheels(wheels), against, texts or [], limit=limit, install=install or [])
    for wheel, count, entities, seconds, outside, same in results:
        msg.good(
            f"{wheel.name}: {entities} entities in {count} texts, all as in the pipeline; "
            f"loaded in {seconds:.1f} s"
        )
        if same < outside:
            msg.warn(
                f"In languages outside {wheel.name}, {outside - same} of {outside} sentences have "
                f"other entities than in the pipeline. The wheel xx_NAME keeps all languages."
            )
    if output is not None:
        write_verified(results, output)
        msg.good(f"Wrote what was found to {output}")
