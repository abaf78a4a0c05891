"""Shipping: wheels, and the proof that they work."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer
from wasabi import msg

from spacy_crossner.about import __version__
from spacy_crossner.cli.app import command, split_list


class Runtime(str, Enum):
    """What a wheel predicts with."""

    torch = "torch"
    onnx = "onnx"


class Weights(str, Enum):
    """What a graph holds its weights in."""

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
            help=".spacy files, or folders of them, with texts in these languages; repeat. The "
            "vocabulary is trimmed by them."
        ),
    ] = None,
    name: Annotated[
        Optional[str],
        typer.Option(
            help="What follows the language in a wheel's name. By default the name of the project "
            "folder, or crossner_trf outside of a project."
        ),
    ] = None,
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
    runtime: Annotated[
        Runtime,
        typer.Option(
            help="What the wheels predict with: torch, or onnx (ONNX Runtime), which is faster on "
            "a CPU, smaller, and needs neither torch nor transformers."
        ),
    ] = Runtime.torch,
    weights: Annotated[
        Weights, typer.Option(help="With --runtime onnx: what the encoder's weights are held in.")
    ] = Weights.int8,
    dev: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="With --runtime onnx: .spacy files, or folders of them, with labelled text to "
            "compare it with torch on; repeat."
        ),
    ] = None,
    max_loss: Annotated[
        float, typer.Option(min=0.0, help="Points of F1 that --runtime onnx may lose on --dev.")
    ] = 0.5,
    push_to: Annotated[
        str,
        typer.Option(
            "--push",
            help="Upload the wheels to this account or organization of the Hugging Face hub. Needs "
            "spacy-huggingface-hub, and a login.",
        ),
    ] = "",
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
        runtime=cast(Any, runtime.value),
        weights=cast(Any, weights.value),
        dev=dev or [],
        max_loss=max_loss,
    )
    for path, _, trimmed, loss in wheels:
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        pieces = "" if trimmed is None else f", {trimmed.after} of {trimmed.before} word pieces"
        f1 = "" if loss is None else f", F1 {loss[0]:.2f} with torch, {loss[1]:.2f} with onnx"
        msg.good(f"{path}: {size}{pieces}{f1}")
    if runtime is Runtime.onnx and not dev:
        msg.warn("F1 was not compared with torch: name labelled text with --dev")
    if push_to:
        from spacy_crossner.ship.card import push

        push([packed.path for packed in wheels], push_to)


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
    for wheel, count, entities, seconds, outside, same, agreement in results:
        shared = "all" if agreement == 1 else f"{agreement:.1%}"
        msg.good(
            f"{wheel.name}: {entities} entities in {count} texts, {shared} as in the pipeline; "
            f"loaded in {seconds:.1f} s"
        )
        if same < outside:
            msg.warn(
                f"In languages outside {wheel.name}, {outside - same} of {outside} sentences have "
                f"other entities than in the pipeline."
            )
    if output is not None:
        write_verified(results, output)
        msg.good(f"Wrote what was found to {output}")
