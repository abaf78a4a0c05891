"""The command that serves the demo page."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from spacy_crossner.cli.app import command
from spacy_crossner.cli.options import GPU_ID, MODEL


@command("demo", "Reports")
def demo_cli(
    model: Annotated[str, MODEL],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any free port.")
    ] = 8765,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Maximum length of a text in characters.")
    ] = 20_000,
    gpu_id: Annotated[int, GPU_ID] = -1,
) -> None:
    """Serve a local web page that shows the predictions of a pipeline for any text.

    The page highlights entities with their scores, has a slider for the threshold, shows nested
    candidates, offers examples in many languages and copies results as JSON. It listens on
    127.0.0.1 only and does not load anything from the network.
    """
    from spacy_crossner.report.demo import make_demo

    server = make_demo(
        Path(model) if Path(model).exists() else model,
        port=port,
        max_characters=max_characters,
        gpu_id=gpu_id,
    )
    msg.good("The demo is running. Open it in a browser; Ctrl+C stops it:")
    # printed on a separate line, so that terminals make it a link and do not wrap it
    print(f"\n{server.url}\n", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            msg.info("Stopped.")
