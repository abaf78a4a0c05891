"""Commands that build and verify wheels."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer
from wasabi import msg

from spacy_crossner.about import __version__
from spacy_crossner.cli.app import command, split_list


class Runtime(str, Enum):
    """Runtime of a wheel."""

    torch = "torch"
    onnx = "onnx"


class Weights(str, Enum):
    """Data type of the weights in an ONNX graph."""

    int8 = "int8"
    float32 = "float32"


@command("package", "Shipping")
def package_cli(
    pipeline: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the wheels to.")],
    languages: Annotated[str, typer.Option(help="Languages of the wheels: de,es,zh.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(
            help=".spacy files or folders with text in these languages, used to trim the "
            "vocabulary; repeat."
        ),
    ] = None,
    name: Annotated[
        Optional[str],
        typer.Option(
            help="Package name without the language; by default the name of the project folder, or "
            "crossner_trf outside a project."
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the wheels.")] = __version__,
    scores: Annotated[
        Optional[Path], typer.Option(help="JSON written by `evaluate`, for the meta.json.")
    ] = None,
    sources: Annotated[
        Optional[Path],
        typer.Option(
            help="JSON list of data sources with name, url and license, for the meta.json."
        ),
    ] = None,
    license_name: Annotated[
        str,
        typer.Option(
            "--license", help="License of the wheels; by default the licenses of the sources."
        ),
    ] = "",
    trim: Annotated[
        Optional[bool],
        typer.Option(
            "--trim/--no-trim",
            help="Trim the vocabulary of all wheels, or of none. By default, wheels of one "
            "language are trimmed, and xx_NAME keeps all languages of the encoder.",
        ),
    ] = None,
    runtime: Annotated[
        Runtime,
        typer.Option(
            help="torch, or onnx for ONNX Runtime, which is faster on a CPU, smaller, and does not "
            "need torch or transformers."
        ),
    ] = Runtime.torch,
    weights: Annotated[
        Weights, typer.Option(help="With --runtime onnx: data type of the encoder's weights.")
    ] = Weights.int8,
    dev: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="With --runtime onnx: .spacy files or folders with labelled text, on which F1 is "
            "compared with torch; repeat."
        ),
    ] = None,
    max_loss: Annotated[
        float,
        typer.Option(min=0.0, help="Maximum loss of F1 on --dev with --runtime onnx, in points."),
    ] = 0.5,
    push_to: Annotated[
        str,
        typer.Option(
            "--push",
            help="Upload the wheels to this account or organization on the Hugging Face hub. Needs "
            "spacy-huggingface-hub and a login.",
        ),
    ] = "",
) -> None:
    """Build wheels: one multilingual pipeline (xx_NAME) and one per language (de_NAME)."""
    from spacy_crossner.ship.package import package
    from spacy_crossner.tables import render_rows

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
        runtime=cast(Any, runtime.value),
        weights=cast(Any, weights.value),
        dev=dev or [],
        max_loss=max_loss,
    )
    onnx = runtime is Runtime.onnx
    rows = [
        (
            path.name,
            f"{path.stat().st_size / 1e6:.0f}",
            "all" if trimmed is None else f"{trimmed.after} of {trimmed.before}",
            *([f"{loss[0]:.2f}", f"{loss[1]:.2f}"] if loss else ["-", "-"] if onnx else []),
        )
        for path, _, trimmed, loss in wheels
    ]
    header = ("wheel", "MB", "word pieces", *(["F1 torch", "F1 onnx"] if onnx else []))
    typer.echo(render_rows(header, rows))
    if onnx and not dev:
        msg.warn("F1 was not compared with torch: give labelled text with --dev")
    if push_to:
        from spacy_crossner.ship.card import push

        push([packed.path for packed in wheels], push_to)


@command("verify", "Shipping")
def verify_cli(
    wheels: Annotated[
        list[Path],
        typer.Argument(help="Wheels, or the output folder of `package`."),
    ],
    against: Annotated[Path, typer.Option(help="The pipeline that was packaged.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(help=".spacy files or folders with texts to predict; repeat."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Texts per language, 0 for all.")] = 0,
    install: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Install this package (spacy-crossner, its wheel or its folder) with all "
            "requirements into an empty environment, instead of sharing the packages of this one; "
            "repeat."
        ),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the results to.")
    ] = None,
) -> None:
    """Load each wheel in a clean environment without network, and compare its predictions."""
    from spacy_crossner.ship.verify import find_wheels, verify, write_verified
    from spacy_crossner.tables import render_rows

    results = verify(find_wheels(wheels), against, texts or [], limit=limit, install=install or [])
    rows = [
        (
            one.wheel.name,
            one.texts,
            one.entities,
            "all" if one.agreement == 1 else f"{one.agreement:.1%}",
            f"{one.seconds:.1f}",
            f"{one.outside_same} of {one.outside}",
        )
        for one in results
    ]
    header = ("wheel", "texts", "entities", "identical", "loaded in s", "same in other languages")
    typer.echo(render_rows(header, rows))
    for one in results:
        # a wheel of one language is trimmed to it, so others are expected to differ
        if one.wheel.name.startswith("xx_") and one.outside_same < one.outside:
            msg.warn(
                f"Predictions of {one.wheel.name} differ in {one.outside - one.outside_same} of "
                f"{one.outside} sentences in languages that it was not packaged for."
            )
    if output is not None:
        write_verified(results, output)
        msg.good(f"Wrote the results to {output}")
