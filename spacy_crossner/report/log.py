"""Read the files that the training logger writes."""

import json
from pathlib import Path
from typing import Any, Optional

from spacy_crossner.errors import CrossnerError, Errors


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a file that the logger wrote.

    path (Path): The JSONL file.
    RETURNS (List[Dict[str, Any]]): One dict per evaluation, with the keys "run" (a number), "name",
        "step", "epoch", "losses", "scores", "score", "words", "seconds", "words_per_second" and
        "precision" (absent from older logs).
        Losses are sums since the last evaluation. An unfinished last line is left out.
    """
    try:
        lines = Path(path).read_text(encoding="utf8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CrossnerError(Errors.CN310.format(path=path, problem=error)) from None
    rows = []
    # what follows the last line break is empty, or was never finished
    for number, line in enumerate(lines[:-1], start=1):
        values = _read_row(line)
        if values is None:
            problem = f"line {number} is not a row of a training log"
            raise CrossnerError(Errors.CN310.format(path=path, problem=problem))
        rows.append(values)
    return rows


def is_log(path: Path) -> bool:
    """Check whether a file is a training log; an empty file is one."""
    with path.open(encoding="utf8", errors="replace") as file:
        line = file.readline()
    return not line.endswith("\n") or _read_row(line) is not None


def _read_row(line: str) -> Optional[dict[str, Any]]:
    """Parse a line of a training log; return None if it is not a row."""
    try:
        values = json.loads(line)
        values["run"], values["losses"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return values
