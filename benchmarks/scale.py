"""Text of any amount: same bytes with killed workers, overhead, memory, and the driver's cost."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, product
from pathlib import Path
from statistics import median
from typing import Any, Union

import spacy

from spacy_crossner.scale.apply import apply
from spacy_crossner.scale.execution import Execution, connect, run_tasks
from spacy_crossner.scale.journal import write_bytes
from spacy_crossner.scale.outputs import ShardWriter
from spacy_crossner.scale.predictor import Predictor
from spacy_crossner.scale.records import find_sources, iter_chunks

WORDS = "Berlin Paris London Angela Merkel Maria the a in of visited works lives city river".split()
# Texts per shard where workers are killed: enough shards for all of them.
SHARD = 500


# for the workers of Ray, which do not start in this folder
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")])
)


def write_pipeline(folder: Path) -> Path:
    """Write a pipeline that costs almost nothing: rules for a few names.

    folder (Path): The folder to make.
    RETURNS (Path): The folder.
    """
    nlp = spacy.blank("xx")
    rules: Any = nlp.add_pipe("entity_ruler")
    rules.add_patterns([{"label": "LOC", "pattern": word} for word in WORDS[:3]])
    nlp.to_disk(folder)
    return folder


def write_texts(path: Path, count: int, length: int = 8) -> Path:
    """Write short texts of words and numbers, the same in every run.

    path (Path): The JSON Lines file to write.
    count (int): Number of texts.
    length (int): Words of each.
    RETURNS (Path): The file.
    """
    rng = random.Random(0)
    with path.open("w", encoding="utf8") as file:
        for number in range(count):
            text = " ".join([*rng.choices(WORDS, k=length - 1), str(number)])
            file.write(json.dumps({"id": number, "text": text}) + "\n")
    return path


def read_output(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def compare_bytes(
    pipeline: Path, texts: Path, folder: Path, kills: int, kill_on: list[str]
) -> Iterator[tuple]:
    """Apply a pipeline in several ways, and with killed workers, and compare the bytes.

    pipeline (Path): The pipeline.
    texts (Path): The input.
    folder (Path): A folder for the outputs.
    kills (int): Runs in which a worker is killed at a random moment, for each place.
    kill_on (list[str]): Where workers are killed: "local" and "ray".
    YIELDS (tuple): The run, its seconds, workers killed, and whether the bytes are the same.
    """
    start = time.perf_counter()
    apply(pipeline, texts, folder / "here", shard_size=SHARD)
    yield "local 1", time.perf_counter() - start, 0, True
    expected = read_output(folder / "here")
    runs = [(on, n, False) for on, n in (("local", 2), ("local", 4), ("ray", 1), ("ray", 2))]
    runs += [("ray", 4, False)]
    runs += [(on, 2, True) for on in kill_on for _ in range(kills)]
    took: dict[tuple[str, int], float] = {}
    with connect(Execution("ray", 4)):
        for number, (on, workers, kill) in enumerate(runs):
            out = folder / f"run-{number}"
            killer = _Killer(on, number, 0.8 * took[on, workers]) if kill else None
            start = time.perf_counter()
            result = apply(pipeline, texts, out, shard_size=SHARD, execution=Execution(on, workers))
            seconds = time.perf_counter() - start
            killed = killer.stop() if killer else 0
            took.setdefault((on, workers), seconds)
            same = result.is_whole and read_output(out) == expected
            shutil.rmtree(out)
            yield f"{on} {workers}", seconds, killed, same


class _Killer:
    """Kills one worker at a random moment, up to some seconds after the first has started."""

    def __init__(self, on: str, seed: int, seconds: float):
        self.on = on
        self.seconds = seconds
        self.rng = random.Random(seed)
        self.killed = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ended.wait(0.2):
            found = find_workers(self.on)
            if found:
                self.ended.wait(self.rng.uniform(0.0, self.seconds))
                found = find_workers(self.on)
                if found and not self.ended.is_set():
                    os.kill(self.rng.choice(found), signal.SIGKILL)
                    self.killed += 1
                    return

    def stop(self) -> int:
        self.ended.set()
        self.thread.join()
        return self.killed


def find_workers(on: str) -> list[int]:
    """Find the processes that work on shards."""
    if on == "local":
        return [process.pid for process in multiprocessing.active_children() if process.pid]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_host = path.read_bytes().startswith(b"ray::Host.run")
            # other programs on this machine may use Ray as well
            if is_host and os.getpid() in _find_parents(path.parent.name):
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def _find_parents(process: str) -> Iterator[int]:
    number = int(process)
    while number > 1:
        status = Path(f"/proc/{number}/status").read_text()
        number = int(status.partition("PPid:")[2].split()[0])
        yield number


def peak_mebibytes(process: Union[int, str] = "self") -> float:
    """Return the peak memory of a process in MiB, 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    words = status.partition("VmHWM:")[2].split()
    return int(words[0]) / 1024 if words else 0.0


def measure_memory(
    pipeline: Path, counts: list[int], places: list[str], folder: Path
) -> Iterator[tuple]:
    """Apply a pipeline to more and more texts, each in a fresh process.

    pipeline (Path): The pipeline.
    counts (list[int]): Numbers of texts.
    places (list[str]): Where to run, and the number of workers: "local 1", "ray 2".
    folder (Path): A folder for the files.
    YIELDS (tuple): Where, texts, texts in the output, ids that are there once, seconds, and the
        peak of memory in MiB of the driver and of the largest worker. One local worker is the
        driver.
    """
    context = multiprocessing.get_context("spawn")
    for place, count in product(places, counts):
        on, workers = place.split()
        path = write_texts(folder / f"{count}.jsonl", count)
        out = folder / f"out-{count}"
        queue: Any = context.Queue()
        execution = Execution(on, int(workers))
        process = context.Process(
            target=_apply_and_tell, args=(pipeline, path, out, execution, queue)
        )
        process.start()
        texts, seconds, *mebibytes = queue.get()
        process.join()
        seen = bytearray(count)
        for shard in out.glob("*.jsonl"):
            with shard.open(encoding="utf8") as file:
                for line in file:
                    seen[json.loads(line)["id"]] += 1
        yield place, count, texts, sum(one == 1 for one in seen), seconds, *mebibytes
        shutil.rmtree(out)
        path.unlink()


def _apply_and_tell(
    pipeline: Path, path: Path, out: Path, execution: Execution, queue: Any
) -> None:
    start = time.perf_counter()
    ended = threading.Event()
    peaks = [0.0]

    def watch() -> None:
        while not ended.wait(0.5):
            peaks.extend(map(peak_mebibytes, find_workers(execution.on)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    texts = apply(pipeline, path, out, execution=execution).texts
    ended.set()
    thread.join()
    queue.put((texts, time.perf_counter() - start, peak_mebibytes(), max(peaks)))


def measure_overhead(pipeline: Path, texts: Path, folder: Path, runs: int) -> Iterator[tuple]:
    """Compare `apply` with bare `nlp.pipe`, and workers with one process; loading is left out.

    pipeline (Path): A pipeline that takes its time.
    texts (Path): The input.
    folder (Path): A folder for the outputs.
    runs (int): Runs of each.
    YIELDS (tuple): What is compared, and the ratio of speed of each run, then the medians.
    """
    import torch

    torch.set_num_threads(1)
    (source,) = find_sources(str(texts))
    predictor = Predictor(pipeline)
    writer = ShardWriter(predictor, "jsonl")
    lines = [json.loads(line)["text"] for line in texts.open(encoding="utf8")]
    size = max(len(lines) // 16, 1)
    list(predictor.find(lines[:64]))

    def pipe() -> None:
        with predictor.nlp.memory_zone():
            for _ in predictor.nlp.pipe(lines, batch_size=predictor.batch_size):
                pass

    def here() -> None:
        for number, chunk in enumerate(iter_chunks(source, size)):
            (folder / f"{number}.jsonl").write_bytes(writer(chunk).data)

    def work(on: str) -> float:
        chunks = ((str(n), c) for n, c in enumerate(iter_chunks(source, size)))
        tasks = chain([("warm 1", None), ("warm 2", None)], chunks)
        make_worker = partial(make_warm_worker, ShardWriter(Predictor(pipeline), "jsonl"))
        results = run_tasks(make_worker, tasks, Execution(on, 2))
        next(results), next(results)
        start = time.perf_counter()
        for number, (_, data) in enumerate(results):
            (folder / f"{number}.jsonl").write_bytes(data)
        return time.perf_counter() - start

    # each run has all of them, so that a ratio compares neighbouring moments
    found: dict[str, list[float]] = {}
    for number in range(1, runs + 1):
        bare, ours = _time(pipe), _time(here)
        ratios = {"local 1 against nlp.pipe": bare / ours}
        ratios["local 2 against local 1"] = ours / work("local")
        with connect(Execution("ray", 2)):
            ratios["ray 2 against local 1"] = ours / work("ray")
        for name, ratio in ratios.items():
            found.setdefault(name, []).append(ratio)
            yield f"{name}, run {number}", ratio
    for name, all_ratios in found.items():
        yield f"{name}, median of {runs}", median(all_ratios)


def make_warm_worker(writer: ShardWriter) -> Any:
    """Make a worker that has loaded its pipeline.

    writer (ShardWriter): Writes shards.
    RETURNS (Callable): Gets a chunk, or None to warm up, and returns bytes.
    """
    list(writer.predictor.find(WORDS))

    def work(chunk: Any) -> bytes:
        if chunk is None:
            time.sleep(1.0)  # so that each worker gets one
            return b""
        return writer(chunk).data

    return work


def measure_saturation(chunks: int, texts_per_second: float, folder: Path) -> Iterator[tuple]:
    """Measure what a shard costs the driver, with workers that do nothing.

    chunks (int): Shards of 2,000 texts.
    texts_per_second (float): What one worker does; for the number of workers that the driver feeds.
    folder (Path): A folder for the files.
    YIELDS (tuple): Where, milliseconds of the driver per shard, and workers that saturate it.
    """
    size = 2000
    (source,) = find_sources(str(write_texts(folder / "many.jsonl", chunks * size)))
    filesystem = source.filesystem
    for on in ("local", "ray"):
        with connect(Execution("ray", 2)):
            tasks: Iterator = ((str(n), c) for n, c in enumerate(iter_chunks(source, size)))
            results = run_tasks(make_echo, chain([("", None)], tasks), Execution(on, 2))
            next(results)
            start, used = time.perf_counter(), time.process_time()
            for name, data in results:
                write_bytes(filesystem, str(folder / f"{name}.out"), data)
            used = time.process_time() - used
            wall = time.perf_counter() - start
            cost = max(used, wall) / chunks
            yield on, 1000 * used / chunks, 1000 * wall / chunks, size / texts_per_second / cost


def make_echo() -> Any:
    """Make a worker that returns three times the bytes of its shard."""
    return lambda chunk: b"" if chunk is None else chunk.data * 3


def _time(task: Any) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start
