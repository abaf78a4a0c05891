"""Run independent tasks: in this process, in several processes, or on the workers of a Ray cluster.

A task is a name and a payload; a worker is a callable that is made once in each process. Results
come in any order, so whatever depends on the order belongs into the payload. The tasks are taken
from an iterator as workers become free: at most `AHEAD` per worker wait.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_all_start_methods, get_context
from typing import Any, Optional

from spacy_crossner.checks import check_choice, check_least, check_range
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.types import Run, Task

PLACES = ("local", "ray")
# Tasks per worker that are taken from the iterator: one to work on, the next to start at once.
AHEAD = 2
# Deaths of workers that are put down to the task that they worked on.
ATTEMPTS = 4
# Deaths, per worker, without a result in between that end the run.
DEATHS = 5
# Memory of the object store of a Ray that is started here; a cluster has its own.
STORE = 256 * 2**20
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")

Worker = Callable[[Any], Any]
MakeWorker = Callable[[], Worker]


@dataclass(frozen=True)
class Execution:
    """Where tasks run.

    on (str): "local" or "ray".
    workers (int): Number of workers. One local worker runs in this process.
    threads (int): Threads of each worker. Results can differ in the last bits between numbers of
        threads, so the number is fixed rather than left to the machine.
    address (str): Address of a Ray cluster; empty starts one on this machine, unless RAY_ADDRESS is
        set or Ray is connected already.
    gpus_per_worker (float): GPUs, or the part of one, that Ray reserves for each worker.
    """

    on: str = "local"
    workers: int = 1
    threads: int = 1
    address: str = ""
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        check_choice("on", self.on, PLACES)
        check_least("workers", self.workers)
        check_least("threads", self.threads)
        check_range("gpus_per_worker", self.gpus_per_worker, 0.0)
        if self.on != "ray" and (self.address or self.gpus_per_worker):
            raise CrossnerError(Errors.CN819)


@dataclass
class Lost:
    """The result of a task that repeatedly killed its worker.

    reason (str): A message for the user.
    """

    reason: str


def run_tasks(
    make_worker: MakeWorker, tasks: Iterable[Task], execution: Execution
) -> Iterator[Task]:
    """Run tasks on workers. Those of a worker that dies are run again by another one.

    make_worker (Callable): Makes a worker. It has to be picklable, as have payloads and results.
    tasks (Iterable[tuple[str, Any]]): Names, each used once, and payloads. They are read ahead by
        a bounded number.
    execution (Execution): Where the tasks run.
    YIELDS (tuple[str, Any]): The name of a task and its result, or `Lost`, as they are done. An
        exception of a worker ends the run.
    """
    tasks = iter(tasks)
    first = next(tasks, None)
    if first is None:
        return  # no worker has to be started
    tasks = chain([first], tasks)
    if execution.on == "ray":
        yield from _run_on_ray(make_worker, tasks, execution)
    elif execution.workers > 1:
        yield from _run_in_processes(make_worker, tasks, execution)
    else:
        # ONNX Runtime takes the number from the environment
        with limit_threads(execution.threads), _environment(execution.threads):
            worker = make_worker()
            for name, payload in tasks:
                yield name, worker(payload)


def make_run(execution: Execution) -> Optional[Run]:
    """Make what `annotate` and `translate` take to run in other processes.

    execution (Execution): Where to run.
    RETURNS (Optional[Run]): A function like `run_tasks` for which a lost task is an error, or None
        for one local worker.
    """
    if execution.on == "local" and execution.workers == 1:
        return None

    def run(make_worker: MakeWorker, tasks: Iterable[Task]) -> Iterator[Task]:
        for name, result in run_tasks(make_worker, tasks, execution):
            if isinstance(result, Lost):
                raise CrossnerError(result.reason)
            yield name, result

    return run


@contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Fix the number of torch's threads.

    threads (int): The number. What was set before is restored.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- processes on this machine --------------------------------------------------------------

_worker: Optional[Worker] = None


def _work(make_worker: MakeWorker, threads: int, payload: Any) -> Any:
    """Run a task in a process that keeps its worker."""
    global _worker
    if _worker is None:
        import torch

        torch.set_num_threads(threads)
        _worker = make_worker()
    return _worker(payload)


def _context() -> Any:
    """Get the start method of processes: forkserver with preloaded modules, or spawn."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["spacy_crossner.scale.preload"])
    return context


def _run_in_processes(
    make_worker: MakeWorker, tasks: Iterator[Task], execution: Execution
) -> Iterator[Task]:
    again: deque[Task] = deque()
    pending: dict[Future, Task] = {}
    deaths = 0
    pool: Optional[ProcessPoolExecutor] = None
    try:
        while True:
            # which task has killed its worker is not known: after a few deaths, each runs alone
            alone = deaths >= ATTEMPTS
            if pool is None:
                count = 1 if alone else execution.workers
                pool = ProcessPoolExecutor(count, mp_context=_context())
            broken = False
            while len(pending) < (1 if alone else AHEAD * execution.workers):
                task = again.popleft() if again else next(tasks, None)
                if task is None:
                    break
                try:
                    with _environment(execution.threads):  # inherited by processes that start now
                        future = pool.submit(_work, make_worker, execution.threads, task[1])
                except BrokenProcessPool:  # a worker has died since the last wait
                    again.appendleft(task)
                    broken = True
                    break
                pending[future] = task
            if not pending and not broken:
                return
            done = wait(pending, return_when=FIRST_COMPLETED).done if pending else set()
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    broken = True
                    continue
                name, _ = pending.pop(future)
                deaths = 0
                yield name, result
            if broken and alone and pending:
                ((name, _),) = pending.values()
                yield name, Lost(Errors.CN812.format(shard=name, count=deaths + 1))
                deaths = 0
            elif broken:
                again.extendleft(reversed(pending.values()))
                deaths += 1
            if broken or (alone and not deaths):
                if broken:
                    pending.clear()
                pool.shutdown()
                pool = None
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# ---- Ray ------------------------------------------------------------------------------------


class Host:
    """An actor that keeps a worker."""

    def __init__(self, make_worker: MakeWorker, threads: int):
        """Take what makes the worker; `start` makes it, so that its exceptions reach the driver.

        make_worker (Callable): Makes the worker.
        threads (int): Threads of the worker.
        """
        self.make_worker = make_worker
        self.threads = threads

    def start(self) -> int:
        """Get the id of the worker's process."""
        import torch

        torch.set_num_threads(self.threads)
        self.worker = self.make_worker()
        return os.getpid()

    def run(self, payload: Any) -> Any:
        """Run a task."""
        return self.worker(payload)


def import_ray() -> Any:
    """Import Ray, or raise an error with the install command."""
    # both would have it reach for the network
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError:
        raise CrossnerError(Errors.CN809) from None
    return ray


@contextmanager
def connect(execution: Execution) -> Iterator[Any]:
    """Connect to Ray, and disconnect again. A connection that exists is used and kept.

    execution (Execution): Where the tasks run.
    YIELDS (Any): The module `ray`.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = execution.address or os.environ.get("RAY_ADDRESS", "")
    settings: dict[str, Any] = {"address": address, "log_to_driver": False}
    if not address:
        settings = {
            "address": "local",
            "num_cpus": execution.workers * execution.threads,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "log_to_driver": False,
        }
    try:
        ray.init(logging_level="error", **settings)
    except Exception as error:  # Ray raises a plain one if a node does not start in time
        ray.shutdown()
        raise CrossnerError(Errors.CN810.format(address=address or "local", reason=error)) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _run_on_ray(
    make_worker: MakeWorker, tasks: Iterator[Task], execution: Execution
) -> Iterator[Task]:
    with connect(execution) as ray:
        actor = ray.remote(num_cpus=execution.threads, num_gpus=execution.gpus_per_worker)(Host)
        arguments = (make_worker, execution.threads)
        again: deque[Task] = deque()
        queues: dict[Any, deque[Any]] = {}  # of each host that has started: refs in their order
        running: dict[Any, tuple[Any, Task]] = {}
        attempts: dict[str, int] = {}
        deaths = 0
        starting = {}
        for _ in range(execution.workers):
            host = actor.remote(*arguments)
            starting[host.start.remote()] = host
        exhausted = False
        while True:
            for host, queue in queues.items():
                while len(queue) < AHEAD and not exhausted:
                    task = again.popleft() if again else next(tasks, None)
                    if task is None:
                        exhausted = True
                        break
                    ref = host.run.remote(task[1])
                    queue.append(ref)
                    running[ref] = host, task
            if exhausted and not running:
                return
            done, _ = ray.wait([*running, *starting], num_returns=1)
            for ref in done:
                if ref not in running and ref not in starting:
                    continue  # its host died along with another task
                try:
                    result = ray.get(ref)
                except ray.exceptions.RayTaskError as error:
                    raise _unwrap(error) from None
                except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
                    if ref in starting and "creation task" in str(error):
                        raise  # it would fail again, such as for a module that is not there
                    host = running[ref][0] if ref in running else starting.pop(ref)
                    lost = list(queues.pop(host, ()))
                    deaths += 1
                    if deaths > DEATHS * execution.workers:
                        raise CrossnerError(Errors.CN811.format(count=deaths)) from None
                    for number, one in enumerate(lost):
                        _, task = running.pop(one)
                        # the others had only waited
                        attempts[task[0]] = attempts.get(task[0], 0) + (number == 0)
                        if attempts[task[0]] >= ATTEMPTS:
                            count = attempts.pop(task[0])
                            reason = Errors.CN812.format(shard=task[0], count=count)
                            yield task[0], Lost(reason)
                        else:
                            again.append(task)
                            exhausted = False
                    # a node may have left: the new one starts wherever there is room
                    host = actor.remote(*arguments)
                    starting[host.start.remote()] = host
                    continue
                if ref in starting:
                    queues[starting.pop(ref)] = deque()
                    continue
                host, (name, _) = running.pop(ref)
                queues[host].remove(ref)
                attempts.pop(name, None)
                deaths = 0
                yield name, result


def _unwrap(error: Any) -> Exception:
    """Remove Ray's traceback around a user's error."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, CrossnerError) else error
