"""Arguments and options that several commands share."""

from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from spacy_crossner.scale.execution import Execution

MODEL = typer.Argument(help="A pipeline folder, or the name of an installed pipeline.")
GPU_ID = typer.Option("--gpu-id", help="GPU to use, -1 for the CPU.")
ON = typer.Option(help="Where to run: local for this machine, ray for a Ray cluster.")
WORKERS = typer.Option(min=1, help="Number of worker processes, or of Ray actors.")
THREADS = typer.Option(min=1, help="Threads of each worker.")
OWN_THREADS = typer.Option(
    min=1,
    help="Threads of each worker, 1 if not given. A single local worker runs in the main process, "
    "where torch chooses the number if it is not given.",
)
ADDRESS = typer.Option(
    help="Address of the Ray cluster, such as auto or ray://host:10001. If not given, RAY_ADDRESS "
    "is used, or Ray is started on this machine."
)
GPUS = typer.Option(min=0.0, help="GPUs, or the fraction of one, that Ray reserves per worker.")


def make_execution(
    on: str, workers: int, threads: Optional[int], address: str, gpus_per_worker: float
) -> "Execution":
    """Say where a command runs. A number of threads that is given holds in this process, too."""
    from spacy_crossner.scale.execution import Execution

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return Execution(on, workers, threads or 1, address, gpus_per_worker)
