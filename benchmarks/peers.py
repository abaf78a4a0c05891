"""Our pipelines beside other systems: throughput, latency, memory and loading, a process each.

Speed does not depend on what weights have learned: all systems are untrained, of their usual sizes.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import spacy

from benchmarks import worker
from benchmarks.timing import SPACY_NER, Figure, Job, build_reader, compare, in_turn
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.report.evaluate import read_examples

OURS = ("token_label_ner", "token_pair_ner")
COMPONENTS: dict[str, dict[str, Any]] = {
    **{factory: {"factory": factory} for factory in OURS},
    "spaCy's ner": SPACY_NER,
}
PEERS = {"gliner": "GLiNER", "span-marker": "SpanMarker"}
FULL_TABLE = "full table"
BATCH_SIZE = 32
# Texts that are read one by one.
SINGLE = 8


class Process:
    """A system in a separate process.

    python (str): The interpreter.
    kind (str): The kind of system, as `worker` knows it.
    folder (Path): What it loads.
    name (str): Its name for messages.
    """

    def __init__(self, python: str, kind: str, folder: Path, name: str):
        self.name = name
        self.process = subprocess.Popen(
            [python, worker.__file__, kind, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf8",
        )
        loaded = self.hear()
        self.load_seconds = loaded["seconds"]
        self.load_mebibytes = loaded["mebibytes"]
        self.mebibytes = 0.0

    def __enter__(self) -> "Process":
        """Return the process itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def hear(self) -> dict[str, float]:
        """Read the next answer."""
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise CrossnerError(Errors.CN621.format(name=self.name, reason="it ended early"))
        return json.loads(line)

    def read(self, texts: list[str], batch_size: int) -> None:
        """Let the system read texts.

        texts (List[str]): The texts.
        batch_size (int): How many at a time.
        """
        task = json.dumps({"texts": texts, "batch_size": batch_size})
        print(task, file=self.process.stdin, flush=True)
        self.mebibytes = self.hear()["mebibytes"]


def measure_peers(job: Job) -> Iterator[Figure]:
    """Compare untrained components of ours with spaCy's `ner` and a full table of pairs on the same
    encoder, or given pipelines as they are; where an interpreter has them, with GLiNER and
    SpanMarker of base size as well."""
    with TemporaryDirectory() as path, ExitStack() as stack:
        texts, commands = prepare(job, Path(path))
        systems = {
            name: stack.enter_context(Process(*command, name)) for name, command in commands.items()
        }
        many = {name: _task(system, texts, BATCH_SIZE) for name, system in systems.items()}
        few = {name: _task(system, texts[:SINGLE], 1) for name, system in systems.items()}
        throughput = in_turn(many, job.runs)
        latency = in_turn(few, job.runs)
        all_ours = name_pipelines(job.pipelines) or OURS
        pairs = [(mine, name) for mine in all_ours for name in systems if name not in all_ours]
        for mine, other in pairs:
            yield compare(throughput, mine, other)
        words = sum(len(text.split()) for text in texts)
        for name, seconds in throughput.items():
            yield Figure(f"{name}, throughput", words / min(seconds), unit="words/s")
        for mine, other in pairs:
            yield from _compare_singles(mine, other, latency, systems)


def _task(system: Process, texts: list[str], batch_size: int) -> Callable[[int], None]:
    return lambda run: system.read(texts, batch_size)


def _compare_singles(
    ours: str, theirs: str, latency: dict[str, list[float]], systems: dict[str, Process]
) -> Iterator[Figure]:
    single = compare(latency, ours, theirs)
    yield Figure(f"{ours}, one text", single.value / SINGLE, theirs, single.ratio)
    mine, other = systems[ours], systems[theirs]
    ratio = other.mebibytes / mine.mebibytes
    yield Figure(f"{ours}, peak memory of reading", mine.mebibytes, theirs, ratio, "MiB")
    ratio = other.load_mebibytes / mine.load_mebibytes
    yield Figure(f"{ours}, peak memory of loading", mine.load_mebibytes, theirs, ratio, "MiB")
    ratio = other.load_seconds / mine.load_seconds
    yield Figure(f"{ours}, loading", mine.load_seconds, theirs, ratio)


def prepare(job: Job, folder: Path) -> tuple[list[str], dict[str, tuple[str, str, Path]]]:
    """Write what the systems load.

    job (Job): What to measure with.
    folder (Path): The folder to write to.
    RETURNS (Tuple): The texts; and of each system the interpreter, kind and folder.
    """
    commands: dict[str, tuple[str, str, Path]] = {}
    texts: list[str] = []
    if job.pipelines:
        examples = read_examples(spacy.blank("xx"), job.texts, job.limit)
        texts = [example.reference.text for example in examples]
        commands = {
            name: (sys.executable, "spacy", path)
            for name, path in name_pipelines(job.pipelines).items()
        }
    else:
        for name, section in COMPONENTS.items():
            nlp, examples = build_reader(job, section)
            texts = [example.reference.text for example in examples]
            commands[name] = sys.executable, "spacy", folder / name
            nlp.to_disk(folder / name)
        commands[FULL_TABLE] = sys.executable, "full-table", job.encoder.resolve()
    for kind, name in PEERS.items() if job.peer_python else ():
        commands[name] = job.peer_python, kind, folder / kind
        prepare_peer(job, kind, folder)
    return texts, commands


def name_pipelines(paths: Sequence[Path]) -> dict[str, Path]:
    """Name pipelines by their folders, or by their paths if several folders share a name."""
    unique = dict.fromkeys(paths)
    count = Counter(path.name for path in unique)
    return {path.name if count[path.name] == 1 else path.as_posix(): path for path in unique}


def prepare_peer(job: Job, kind: str, folder: Path) -> None:
    """Write an untrained system of the other interpreter.

    job (Job): What to measure with.
    kind (str): The kind of system, as `worker` knows it.
    folder (Path): The folder to write to.
    """
    encoder = folder / f"{kind}-encoder"
    encoder.mkdir()
    for path in job.encoder.glob("*token*.json"):
        shutil.copy(path, encoder)
    command = [job.peer_python, worker.__file__, "prepare", kind, str(encoder), str(folder / kind)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf8")
    except OSError as error:
        raise CrossnerError(Errors.CN621.format(name=PEERS[kind], reason=error)) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CrossnerError(Errors.CN621.format(name=PEERS[kind], reason=reason))
