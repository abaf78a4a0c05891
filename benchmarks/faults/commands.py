"""The commands that faults are injected into: arguments, inputs, and their undisturbed outputs."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, Optional

from spacy_crossner import cli
from spacy_crossner.files import is_temporary
from spacy_crossner.pipeline.load import load_pipeline

# Each may use what those above it have written.
COMMANDS = {
    "encoder": "encoder --output encoder --source {encoder}",
    "sample": "sample {sample} corpus --languages de",
    "convert": "convert {labels} converted.spacy --lang en",
    "translate": "translate corpus/source.spacy views/translated.spacy --from en --to de "
    "--engine memory --memory {sample}",
    "lexicon": "lexicon lexicons/de.tsv --from en --to de --tsv {table}",
    "codeswitch": "codeswitch views/translated.spacy views/parallel.spacy --lexicon lexicons",
    "annotate": "annotate {pipeline} corpus/target.spacy annotated --allow-empty",
    "select": "select annotated selected.spacy",
    "apply": "apply {pipeline} {texts} applied",
    "calibrate": "calibrate {pipeline} corpus/dev.spacy calibrated",
    "evaluate": "evaluate calibrated corpus --output metrics/scores.json",
    "package": "package calibrated packages --languages de --texts corpus",
}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample"
LABELS = "Angela\tB-PER\nMerkel\tI-PER\nslept\tO\n\n" * 200
TABLE = "bank\tBank\nriver\tFluss\nhouse\tHaus\nin\tin\nthe\tdie\nvisited\tbesuchte\n"
TEXTS = "Angela Merkel visited Berlin.\nIt rained.\n" * 20
# The lists of the shards that are done, which grow while a command runs.
GROWING = ("manifest.json", "_manifest.log")
PROGRAM = ("-m", "spacy", "crossner")
CODE = re.compile(r"\[CNW?\d+\]")


class Step(NamedTuple):
    """A command.

    name (str): Its name.
    arguments (list[str]): The program and its arguments.
    before (Path): The folder that it is run in, as it was before.
    expected (dict[str, bytes]): The files of that folder afterwards.
    seconds (float): How long it took.
    """

    name: str
    arguments: list[str]
    before: Path
    expected: dict[str, bytes]
    seconds: float


def prepare_steps(
    pipeline: Path, folder: Path, names: Sequence[str] = (), encoder: Optional[Path] = None
) -> list[Step]:
    """Run all commands once, undisturbed.

    pipeline (Path): A pipeline that annotates.
    folder (Path): An empty folder, for the inputs of each command.
    names (Sequence[str]): The commands to return; those before the last of them are run as well.
        Empty for all.
    encoder (Optional[Path]): A Hugging Face folder; without one, the command encoder is left out.
    RETURNS (list[Step]): The commands.
    """
    load_pipeline(pipeline)  # with all that commands import
    work = folder / "work"
    work.mkdir()
    for name, content in (("a.iob2", LABELS), ("a.tsv", TABLE), ("a.txt", TEXTS)):
        (folder / name).write_text(content, encoding="utf8")
    places = {"sample": SAMPLE, "pipeline": pipeline.absolute(), "labels": folder / "a.iob2"}
    places |= {"table": folder / "a.tsv", "texts": folder / "a.txt"}
    known = dict(COMMANDS)
    if encoder is None:
        del known["encoder"]
    else:
        places["encoder"] = encoder.absolute()
    steps: list[Step] = []
    for name, words in known.items():
        arguments = [sys.executable, *PROGRAM, *words.format(**places).split()]
        before = folder / f"before-{name}"
        shutil.copytree(work, before)
        start = time.perf_counter()
        code, output = run(arguments, work)
        if code:
            raise RuntimeError(f"{name} fails without any fault: {output}")
        steps.append(Step(name, arguments, before, read_all(work), time.perf_counter() - start))
        if names and {step.name for step in steps} >= set(names):
            break
    shutil.rmtree(work)
    return [step for step in steps if not names or step.name in names]


class Running:
    """A command in a process of its own: a fork of this one, which has imported all modules."""

    def __init__(
        self, arguments: Sequence[str], work: Path, limit: Optional[Callable[[], None]] = None
    ):
        """Start it.

        arguments (Sequence[str]): The program and its arguments.
        work (Path): The folder to run it in.
        limit (Optional[Callable[[], None]]): Called in the process before the command.
        """
        self.file = TemporaryFile()  # noqa: SIM115 - `wait` closes it
        process = get_context("fork").Process
        self.process = process(target=_work, args=(arguments, work, self.file.fileno(), limit))
        self.process.start()

    def kill_after(self, seconds: float) -> bool:
        """Kill the command after some seconds; return False if it had already ended."""
        self.process.join(seconds)
        alive = self.process.exitcode is None
        self.process.kill()
        self.wait()
        return alive

    def wait(self) -> tuple[int, str]:
        """Wait for the command; return its exit code and output."""
        self.process.join()
        with self.file:
            self.file.seek(0)
            return self.process.exitcode or 0, self.file.read().decode("utf8", "replace")


def run(
    arguments: Sequence[str], work: Path, limit: Optional[Callable[[], None]] = None
) -> tuple[int, str]:
    """Run a command; return its exit code and output."""
    return Running(arguments, work, limit).wait()


def _work(
    arguments: Sequence[str], work: Path, output: int, limit: Optional[Callable[[], None]]
) -> None:
    os.chdir(work)
    for stream in (1, 2):
        os.dup2(output, stream)
    if limit is not None:
        limit()
    if tuple(arguments[1:4]) != PROGRAM:
        os.execv(arguments[0], list(arguments))
    import torch

    torch.set_num_threads(1)  # the threads of the parent are not there any more
    cli.app(arguments[4:], prog_name="crossner")


def judge(code: int, output: str) -> str:
    """Classify the outcome of a command."""
    if code == 0:
        return "succeeded"
    if "Traceback (most recent call last)" in output or not CODE.search(output):
        return "tracebacks"
    return "coded errors"


def read_all(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder, including hidden ones, except caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".cache", ".cache-journal")
    }


def count_halves(step: Step, work: Path) -> int:
    """Count the files that match neither their state before the command nor the expected one."""
    old, there = read_all(step.before), read_all(work)
    return sum(
        content not in (old.get(name), step.expected.get(name))
        and not any(is_temporary(Path(part)) for part in Path(name).parts)
        and Path(name).name not in GROWING
        for name, content in there.items()
    )


def count_leftovers(work: Path) -> int:
    """Count the leftover temporary files and folders."""
    return sum(map(is_temporary, work.rglob("*")))
