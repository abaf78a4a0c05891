"""Options that several commands have."""

import typer

ON = typer.Option(help="local for this machine, ray for a Ray cluster.")
WORKERS = typer.Option(min=1, help="Processes, or actors on Ray, that share the work.")
THREADS = typer.Option(min=1, help="Threads of each worker.")
ADDRESS = typer.Option(
    help="Address of the Ray cluster, such as auto or ray://host:10001. Without one, RAY_ADDRESS, "
    "or else a Ray that is started here."
)
GPUS = typer.Option(min=0.0, help="GPUs, or the part of one, that Ray reserves for each worker.")
