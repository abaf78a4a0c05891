"""Calls that wait for each other's results in files, as tasks of Ray.

Ray decides where and when a call runs, and runs it again if its worker dies. A call that fails
fails those that wait for it, and no others.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spacy_crossner.scale.execution import Execution


class Graph:
    """Calls on a Ray cluster, each known by a name. A name that is added again is not run again.

    failed (dict[str, Exception]): The errors of the calls that have failed so far, including those
        that could not start because a call before them failed.
    """

    def __init__(self, ray: Any, execution: Execution):
        """Prepare the calls.

        ray (Any): The connected module `ray`.
        execution (Execution): The threads and GPUs to reserve for each call.
        """
        self.failed: dict[str, Exception] = {}
        self._ray = ray
        self._threads = execution.threads
        resources = {"num_cpus": execution.threads, "num_gpus": execution.gpus_per_worker}
        self._call = ray.remote(**resources)(_call)
        self._refs: dict[str, Any] = {}

    def add(
        self, name: str, function: Callable, *arguments: Any, after: Iterable[str] = ()
    ) -> None:
        """Submit a call.

        name (str): Its name. A call whose name is known is left out.
        function (Callable): The function; picklable, as are its arguments and its result.
        arguments (Any): Its arguments.
        after (Iterable[str]): Names of the calls to wait for; those that were not added are taken
            as finished.
        """
        if name not in self._refs:
            before = [self._refs[one] for one in after if one in self._refs]
            self._refs[name] = self._call.remote(
                os.getcwd(), self._threads, function, arguments, *before
            )

    def iter_results(self) -> Iterator[tuple[str, Any]]:
        """Wait for the calls.

        YIELDS (tuple[str, Any]): The name of each call and its result, or the exception that ended
            it, as they end.
        """
        names = {ref: name for name, ref in self._refs.items()}
        pending = list(names)
        while pending:
            (ref, *_), pending = self._ray.wait(pending, num_returns=1)
            name = names[ref]
            try:
                yield name, self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                # the exception of the function itself, without Ray's traceback around it
                self.failed[name] = getattr(error, "cause", None) or error
                yield name, self.failed[name]


def _call(folder: str, threads: int, function: Callable, arguments: tuple, *before: Any) -> Any:
    """Call a function in the folder of the driver. `before` are results that Ray waits for."""
    import torch

    os.chdir(folder)
    torch.set_num_threads(threads)
    return function(*arguments)
