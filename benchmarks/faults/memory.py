"""Memory that calls on words never seen before leave taken."""

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Optional

import spacy
from spacy.language import Language

WORDS = 8  # of each text
WARM_UP = 1500  # calls, after which caches of a bounded size are full
MB = 2**20


def read_memory() -> int:
    """Return the resident memory of this process in bytes."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def measure_growth(nlp: Language, calls: int) -> dict[str, float]:
    """Call a pipeline on words that it has never seen.

    nlp (Language): The pipeline.
    calls (int): How often.
    RETURNS (dict[str, float]): "memory", MB that were taken and not given back, after `WARM_UP`
        further calls; "docs", the docs that are still alive; "strings" and "user data", which are
        the strings that the vocab has more, and the largest number of entries that a doc's user
        data has.
    """
    from spacy.tokens import Doc

    entries = 0
    before = strings = 0
    for number in range(-WARM_UP, calls):
        if number == 0:
            gc.collect()
            before, strings = read_memory(), len(nlp.vocab.strings)
        words = (f"w{number + WARM_UP}x{place}q" for place in range(WORDS))
        doc = nlp(" ".join(words))
        entries = max(entries, len(doc.user_data))
        del doc
    gc.collect()
    return {
        "memory": round((read_memory() - before) / MB, 2),
        "docs": sum(type(one) is Doc for one in gc.get_objects()),
        "strings": len(nlp.vocab.strings) - strings,
        "user data": entries,
    }


def compare_growth(pipeline: Path, calls: int) -> dict[str, float]:
    """Compare the growth of a pipeline with that of spaCy's tokenizer alone.

    pipeline (Path): The pipeline.
    calls (int): Number of calls of each, in separate processes.
    RETURNS (dict[str, float]): Figures of `measure_growth` of both.
    """
    found: dict[str, float] = {}
    for title, path in (("blank", ""), ("pipeline", str(pipeline))):
        arguments = [sys.executable, "-m", "benchmarks.faults.memory", str(calls), path]
        result = subprocess.run(
            arguments, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        figures = json.loads(result.stdout.splitlines()[-1])
        found |= {f"{title}: {name}": value for name, value in figures.items()}
    return found


def _load(path: Optional[str]) -> Language:
    if not path:
        return spacy.blank("xx")
    from spacy_crossner.pipeline.load import load_pipeline

    return load_pipeline(path)


if __name__ == "__main__":
    calls, path = sys.argv[1:]
    print(json.dumps(measure_growth(_load(path), int(calls))))
