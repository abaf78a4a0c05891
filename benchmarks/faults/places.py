"""Commands on a full disk, in a folder that can't be written to, and two at once."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.commands import (
    Running,
    Step,
    count_halves,
    count_leftovers,
    judge,
    read_all,
    run,
)

# Shares of what a command writes that a disk has room for.
ROOM = (0.0, 0.5)
BLOCK = 4096


def fill_disk(steps: Sequence[Step], folder: Path) -> Counter[str]:
    """Run commands on a disk without room for what they write, and again with room.

    The disk is a small file system in memory; where none can be mounted, the size of files is
    limited instead.

    steps (Sequence[Step]): The commands.
    folder (Path): A folder to work in.
    RETURNS (Counter[str]): How often what happened.
    """
    found: Counter[str] = Counter({"tracebacks": 0, "half files": 0, "other bytes": 0})
    for step in steps:
        old = read_all(step.before)
        new = [len(data) for name, data in step.expected.items() if old.get(name) != data]
        for share in ROOM:
            with _small_disk(folder, step, int(share * sum(new))) as (work, disk):
                limit = None
                if not disk:
                    # what the command prints goes to a file as well
                    limit = partial(_limit_files, max(int(share * max(new)), BLOCK))
                code, output = run(step.arguments, work, limit)
                _add(found, step, code, output, work)
                if code == 0:
                    found["other bytes"] += read_all(work) != step.expected
                kept = folder / "kept"
                shutil.copytree(work, kept)
            code, output = run(step.arguments, kept)
            if code or read_all(kept) != step.expected:
                found["other bytes"] += 1
                found[f"other bytes: {step.name}"] += 1
            shutil.rmtree(kept)
    return found


def lock_folders(steps: Sequence[Step], folder: Path) -> Counter[str]:
    """Run commands in a folder that they may not write to.

    The superuser, whom permissions do not stop, gets a file system that is mounted for reading.

    steps (Sequence[Step]): The commands.
    folder (Path): A folder to work in.
    RETURNS (Counter[str]): How often what happened.
    """
    found: Counter[str] = Counter({"tracebacks": 0, "changed files": 0})
    for step in steps:
        with _small_disk(folder, step, 0) as (work, disk):
            places = [work, *(path for path in work.rglob("*") if path.is_dir())]
            if disk:
                subprocess.run(["mount", "-o", "remount,ro", str(work.parent)], check=True)
            elif os.getuid() == 0:
                found["skipped"] += 1
                continue
            else:
                for path in places:
                    path.chmod(0o555)
            code, output = run(step.arguments, work)
            outcome = judge(code, output)
            found[outcome] += 1
            if outcome != "coded errors":
                found[f"{outcome}: {step.name}"] += 1
            found["changed files"] += read_all(work) != read_all(step.before)
            if not disk:
                for path in places:
                    path.chmod(0o755)
    return found


def run_twice(steps: Sequence[Step], folder: Path) -> Counter[str]:
    """Start each command twice at once, with the same output.

    steps (Sequence[Step]): The commands.
    folder (Path): A folder to work in.
    RETURNS (Counter[str]): How often what happened.
    """
    found: Counter[str] = Counter({"tracebacks": 0, "other bytes": 0})
    for step in steps:
        work = folder / "twice"
        shutil.copytree(step.before, work)
        both = [Running(step.arguments, work) for _ in range(2)]
        results = [one.wait() for one in both]
        for code, output in results:
            _add(found, step, code, output, work)
        if any(code == 0 for code, _ in results) and read_all(work) != step.expected:
            found["other bytes"] += 1
            found[f"other bytes: {step.name}"] += 1
        shutil.rmtree(work)
    return found


def _add(found: Counter[str], step: Step, code: int, output: str, work: Path) -> None:
    outcome = judge(code, output)
    halves, left = count_halves(step, work), count_leftovers(work)
    found[outcome] += 1
    found["half files"] += halves
    found["leftovers"] += left
    if outcome == "tracebacks" or halves or left:
        found[f"{outcome}, {halves} half files, {left} leftovers: {step.name}"] += 1


def _limit_files(size: int) -> None:
    import resource  # not on every system

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextmanager
def _small_disk(folder: Path, step: Step, room: int) -> Iterator[tuple[Path, bool]]:
    """Copy a command's inputs to a small disk; yield the folder and whether a disk was mounted."""
    with TemporaryDirectory(dir=folder) as place:
        disk = Path(place)
        sizes = [path.stat().st_size for path in step.before.rglob("*") if path.is_file()]
        # 0 would be no limit
        size = max(sum(BLOCK * -(-one // BLOCK) for one in sizes) + room, BLOCK)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        mounted = False
        if os.getuid() == 0 and shutil.which("mount"):
            mounted = subprocess.run(command, capture_output=True).returncode == 0
        try:
            shutil.copytree(step.before, disk / "work")
            yield disk / "work", mounted
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(disk)], check=True)
