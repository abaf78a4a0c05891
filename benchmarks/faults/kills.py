"""Commands that are killed at a random moment and run again: the same bytes as without."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.faults.commands import Running, Step, read_all, run


def kill_commands(steps: Sequence[Step], number: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Kill commands, one after the other, run them again, and compare what they write.

    steps (Sequence[Step]): The commands.
    number (int): How many kills in all.
    folder (Path): A folder to work in.
    seed (int): Seed of the moments.
    RETURNS (Counter[str]): Kills, and runs whose files differ afterwards.
    """
    generator = random.Random(seed)
    found: Counter[str] = Counter({"kills": 0, "too late": 0, "failed": 0, "other bytes": 0})
    work = folder / "killed"
    for step in cycle(steps):
        if found["kills"] + found["too late"] >= number:
            break
        shutil.copytree(step.before, work)
        killed = Running(step.arguments, work).kill_after(step.seconds * generator.random())
        found["kills" if killed else "too late"] += 1
        code, _ = run(step.arguments, work)
        differs = read_all(work) != step.expected
        found["failed"] += code != 0
        found["other bytes"] += differs
        if code or differs:
            found[f"failed or other bytes: {step.name}"] += 1
        shutil.rmtree(work)
    return found
