"""Arguments and options that several commands share."""

import typer

MODEL = typer.Argument(help="A pipeline folder, or the name of an installed pipeline.")
GPU_ID = typer.Option("--gpu-id", help="GPU to use, -1 for the CPU.")
ON = typer.Option(help="Where to run: local for this machine, ray for a Ray cluster.")
WORKERS = typer.Option(min=1, help="Number of worker processes, or of Ray actors.")
THREADS = typer.Option(min=1, help="Threads of each worker.")
ADDRESS = typer.Option(
    help="Address of the Ray cluster, such as auto or ray://host:10001. If not given, RAY_ADDRESS "
    "is used, or Ray is started on this machine."
)
GPUS = typer.Option(min=0.0, help="GPUs, or the fraction of one, that Ray reserves per worker.")
