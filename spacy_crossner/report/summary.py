"""Sum up a finished project: F1 per language, where the results are, what to type next."""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any, Optional

import srsly

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.report.names import language_name


def summarize(
    metrics: Path, report: Optional[Path] = None, packages: Optional[Path] = None
) -> Iterator[str]:
    """Describe the results of a project, commands on lines of their own.

    metrics (Path): JSON written by `evaluate`.
    report (Optional[Path]): The report, an HTML file.
    packages (Optional[Path]): The output folder of `package`.
    YIELDS (str): Lines.
    """
    scores = read_scores(metrics)
    if scores:
        parts = [f"{name} {value:.1f}" for name, value in scores.items()]
        average = f", mean {mean(scores.values()):.1f}" if len(scores) > 1 else ""
        yield f"F1: {', '.join(parts)}{average}"
    if report is not None and report.exists():
        yield f"Report: {report}"
    wheels = sorted(packages.glob("*.whl")) if packages is not None else []
    if wheels:
        yield f"Wheels: {len(wheels)} in {packages}"
        # the wheel of all languages, if there is one
        wheel = next((path for path in wheels if path.name.startswith("xx_")), wheels[0])
        yield "Next, install a wheel and try it:"
        yield f"python -m pip install {wheel}"
        yield f'python -m spacy crossner try {wheel.name.split("-")[0]} "A text of yours."'


def read_scores(path: Path) -> dict[str, float]:
    """Read F1 per test file from the output of `evaluate`.

    path (Path): The JSON file.
    RETURNS (Dict[str, float]): F1 by language name.
    """
    try:
        content: dict[str, Any] = srsly.read_json(path)
        return {
            language_name(name.removeprefix("test-")): float(values["f"])
            for name, values in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CrossnerError(Errors.CN614.format(path=path, problem=error)) from None
