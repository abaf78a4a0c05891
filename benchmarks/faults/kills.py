"""Commands that are killed at a random moment and run again: the same bytes as without."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

COMMANDS = {
    "sample": "sample {sample} corpus --languages de",
    "translate": "translate corpus/source.spacy translated.spacy --from en --to de --engine memory "
    "--memory {sample}",
    "annotate": "annotate {pipeline} corpus/target.spacy annotated",
}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample"


def read_all(folder: Path) -> dict[str, bytes]:
    """RETURNS (dict[str, bytes]): The files of a folder, hidden ones included, without caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".cache"
    }


def kill_commands(pipeline: Path, number: int, seed: int = 0) -> Counter[str]:
    """Kill commands of a project, run them again, and compare what they write.

    pipeline (Path): A pipeline that annotates.
    number (int): How many kills.
    seed (int): Seed of the moments.
    RETURNS (Counter[str]): Kills, and runs whose files differ afterwards.
    """
    generator = random.Random(seed)
    found: Counter[str] = Counter({"kills": 0, "too late": 0, "failed": 0, "other bytes": 0})
    places = {"sample": SAMPLE, "pipeline": pipeline.absolute()}
    with TemporaryDirectory() as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        steps: list[tuple[list[str], Path, dict[str, bytes], float]] = []
        for words in COMMANDS.values():
            arguments = [sys.executable, "-m", "spacy", "crossner", *words.format(**places).split()]
            before = Path(scratch) / f"before-{len(steps)}"
            shutil.copytree(work, before)
            start = time.perf_counter()
            subprocess.run(arguments, cwd=work, check=True, capture_output=True)
            steps.append((arguments, before, read_all(work), time.perf_counter() - start))
        while found["kills"] + found["too late"] < number:
            arguments, before, expected, seconds = generator.choice(steps)
            shutil.rmtree(work)
            shutil.copytree(before, work)
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(arguments, cwd=work, **quiet) as process:  # type: ignore[call-overload]
                try:
                    # most of the time goes into imports, where there is nothing to damage
                    process.wait(seconds * generator.uniform(0.5, 1.0))
                    found["too late"] += 1
                except subprocess.TimeoutExpired:
                    process.kill()
                    found["kills"] += 1
            again = subprocess.run(arguments, cwd=work, capture_output=True)
            found["failed"] += again.returncode != 0
            found["other bytes"] += read_all(work) != expected
    return found
