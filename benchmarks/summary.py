"""What the runs of a benchmark say together: a row per recipe, and differences to one of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Optional

import numpy

from benchmarks.bootstrap import Comparison, compare
from spacy_crossner.errors import CrossnerError, Errors

AVERAGE = "average"
# What runs have to agree in to be compared.
SHARED = ("encoder", "corpus", "source", "test_limit")
Run = dict[str, Any]


def read_runs(folder: Path) -> dict[str, list[Run]]:
    """Read the finished runs of a benchmark.

    folder (Path): The folder of the runs.
    RETURNS (Dict[str, List[Dict]]): The runs of each recipe, by seed; those of a recipe that
        differ in settings are none of a kind, and refused.
    """
    recipes: dict[str, list[Run]] = {}
    for path in sorted(folder.glob("*/seed-*.json")):
        run = json.loads(path.read_text(encoding="utf8"))
        runs = recipes.setdefault(run["recipe"], [])
        if runs and runs[0]["settings"] != run["settings"]:
            problem = f"the settings differ from those of seed {runs[0]['seed']}"
            raise CrossnerError(Errors.CN635.format(path=path, problem=problem))
        runs.append(run)
    return {name: sorted(runs, key=lambda run: run["seed"]) for name, runs in recipes.items()}


def summarize(
    recipes: dict[str, list[Run]], targets: Sequence[str], reference: str = "baseline"
) -> dict[str, Any]:
    """Put runs into figures.

    recipes (Dict[str, List[Dict]]): The runs of each recipe.
    targets (Sequence[str]): Tests that the average is taken over.
    reference (str): The recipe that the others are compared with.
    RETURNS (Dict[str, Any]): "reference", "targets", "tests", and "rows", one per recipe.
    """
    if not recipes.get(reference):
        raise CrossnerError(Errors.CN637.format(name=reference))
    base = recipes[reference]
    for name, runs in recipes.items():
        for key in SHARED:
            found, expected = runs[0]["settings"].get(key), base[0]["settings"].get(key)
            if found != expected:
                raise CrossnerError(
                    Errors.CN648.format(
                        name=name, key=key, found=found, reference=reference, expected=expected
                    )
                )
    tests = [name for name in base[0]["tests"] if name not in targets]
    rows = []
    for name, runs in recipes.items():
        row = {
            "recipe": name,
            "seeds": [run["seed"] for run in runs],
            "steps": runs[0]["steps"],
            "minutes": _cost(runs, "minutes"),
            "cpu_minutes": _cost(runs, "cpu_minutes"),
            "f": {test: _spread([run["tests"][test]["f"] for run in runs]) for test in tests},
            "difference": {},
        }
        for test in targets:
            row["f"][test] = _spread([run["tests"][test]["f"] for run in runs])
        row["f"][AVERAGE] = _spread(
            [mean(run["tests"][test]["f"] for test in targets) for run in runs]
        )
        if name != reference:
            for title, names in [*((t, [t]) for t in targets), (AVERAGE, list(targets))]:
                row["difference"][title] = _compare(runs, base, names)
        rows.append(row)
    rows.sort(key=lambda row: (row["recipe"] != reference, row["f"][AVERAGE]["mean"]))
    return {
        "dataset": base[0]["dataset"],
        "reference": reference,
        "targets": list(targets),
        "tests": [*tests, *targets, AVERAGE],
        "encoder": base[0]["encoder"],
        "source": base[0]["settings"]["source"],
        "device": base[0]["device"],
        "dates": sorted({run["date"] for runs in recipes.values() for run in runs}),
        "versions": _versions([run for runs in recipes.values() for run in runs]),
        "rows": rows,
    }


def _versions(runs: list[Run]) -> list[str]:
    """List the distinct sets of package versions that the runs used."""
    found = (run["versions"].items() for run in runs)
    return sorted({", ".join(f"{name} {version}" for name, version in items) for items in found})


def _cost(runs: list[Run], kind: str) -> float:
    """Compute the average minutes of a run, without its tests."""
    costs = [sum(cost for name, cost in run[kind].items() if name != "test") for run in runs]
    return round(mean(costs), 1)


def _spread(values: Sequence[float]) -> dict[str, Optional[float]]:
    sd = round(stdev(values), 2) if len(values) > 1 else None
    return {"mean": round(mean(values), 2), "sd": sd}


def _compare(ours: list[Run], theirs: list[Run], tests: Sequence[str]) -> dict[str, float]:
    found: Comparison = compare(
        [_counts(ours, test) for test in tests], [_counts(theirs, test) for test in tests]
    )
    return {
        "difference": round(found.difference, 2),
        "low": round(found.low, 2),
        "high": round(found.high, 2),
        "p": round(found.p, 4),
    }


def _counts(runs: list[Run], test: str) -> numpy.ndarray:
    return numpy.array([run["tests"][test]["counts"] for run in runs])


def to_markdown(summary: dict[str, Any]) -> str:
    """Write a summary as two tables.

    summary (Dict[str, Any]): What `summarize` says.
    RETURNS (str): Markdown.
    """
    tests = summary["tests"]
    source = summary["source"] or "all"
    text = [
        f"Data set {summary['dataset']}, {source} labelled source sentences, encoder "
        f"{summary['encoder']}, {summary['device']}, {' to '.join(_ends(summary['dates']))}. F1 in "
        f"percent, mean ± standard deviation over seeds; the average is over "
        f"{', '.join(summary['targets'])}. Minutes are what one run takes without its tests. "
        f"Trained with {'; and with '.join(summary['versions'])}.",
        "",
        *_table(
            ["recipe", "seeds", "steps", "minutes", "CPU minutes", *tests],
            [
                [
                    row["recipe"],
                    str(len(row["seeds"])),
                    str(row["steps"]),
                    f"{row['minutes']:.1f}",
                    f"{row['cpu_minutes']:.1f}",
                    *(_plus_minus(row["f"][test]) for test in tests),
                ]
                for row in summary["rows"]
            ],
        ),
        "",
        f"Difference to {summary['reference']}, with the 95 % interval of a paired bootstrap over "
        "sentences; \\* p < 0.05, \\*\\* p < 0.01.",
        "",
        *_table(
            ["recipe", *summary["targets"], AVERAGE],
            [
                [
                    row["recipe"],
                    *(_difference(row["difference"][t]) for t in (*summary["targets"], AVERAGE)),
                ]
                for row in summary["rows"]
                if row["difference"]
            ],
        ),
    ]
    return "\n".join(text) + "\n"


def _ends(dates: Sequence[str]) -> list[str]:
    return sorted({dates[0], dates[-1]})


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    line = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, line, *rows)]


def _plus_minus(spread: dict[str, Optional[float]]) -> str:
    sd = "" if spread["sd"] is None else f" ± {spread['sd']:.1f}"
    return f"{spread['mean']:.1f}{sd}"


def _difference(found: dict[str, float]) -> str:
    stars = "\\*" * ((found["p"] < 0.05) + (found["p"] < 0.01))
    return f"{found['difference']:+.1f}{stars} [{found['low']:+.1f}, {found['high']:+.1f}]"
