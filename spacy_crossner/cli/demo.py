"""The demo: a local page to try a pipeline on."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from spacy_crossner.cli.app import command


@command("demo", "Reports")
def demo_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8765,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Longest text that is analysed.")
    ] = 20_000,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Serve a page on this machine that shows what a pipeline finds in any text.

    The page highlights entities with their scores, has a slider for the threshold, shows nested
    candidates, brings examples in many languages and copies results as JSON. It is bound to
    127.0.0.1, so that other machines do not reach it, and loads nothing from a network.
    """
    from spacy_crossner.report.demo import make_demo

    server = make_demo(
        Path(model) if Path(model).exists() else model,
        port=port,
        max_characters=max_characters,
        gpu_id=gpu_id,
    )
    msg.good("The demo is running. Open it in a browser; Ctrl+C stops it:")
    # on a line of its own, so that terminals make it a link and nothing wraps it
    print(f"\n{server.url}\n", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            msg.info("Stopped.")
