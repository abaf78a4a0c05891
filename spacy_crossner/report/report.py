"""The report: one HTML file that needs nothing else."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import spacy
import srsly
from jinja2 import Environment, PackageLoader
from spacy.tokens import Doc

from spacy_crossner.about import __version__
from spacy_crossner.data.readers import ParallelCorpus
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors, Warnings, shorten
from spacy_crossner.files import write_file
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.report.compare import Compared, compare
from spacy_crossner.report.evaluate import find_tests, predict_file, score, take_name
from spacy_crossner.report.log import is_log, read_log
from spacy_crossner.report.names import join_langs, pipeline_name, pipeline_version
from spacy_crossner.report.sections import (
    Entries,
    Recipes,
    join_recipes,
    list_next_steps,
    name_test,
    show_cards,
    show_confusion,
    show_errors,
    show_recipes,
    show_reliability,
    show_runs,
    show_types,
    show_vectors,
)
from spacy_crossner.report.tables import Table, make_tables

HTML = "report.html"


class Scored(NamedTuple):
    """What a recipe has in one test.

    f (float): Its F1.
    docs (int): The number of docs.
    """

    f: float
    docs: int


def report(
    model: Union[str, Path],
    tests: Sequence[Path],
    output: Path,
    *,
    name: Optional[str] = None,
    metrics: Sequence[Path] = (),
    logs: Sequence[Path] = (),
    encoder: Optional[str] = None,
    source: Optional[Path] = None,
    translation: Optional[Path] = None,
    selection: Optional[Path] = None,
    limit: int = 8,
    gpu_id: int = -1,
) -> Path:
    """Write a report on a pipeline. Sections without content are left out.

    model (Union[str, Path]): A pipeline folder, or the name of an installed one.
    tests (Sequence[Path]): `.spacy` files with gold entities, or folders with `test-*.spacy`.
    output (Path): The folder to write report.html to.
    name (Optional[str]): What to call the pipeline; by default its own name.
    metrics (Sequence[Path]): JSON files that `evaluate` wrote, or folders of them. The name of
        the file is taken for that of the recipe.
    logs (Sequence[Path]): JSONL files that the logger wrote, or folders to search for them. The
        name of the folder that a file lies in is taken for that of the run.
    encoder (Optional[str]): The encoder before training: a folder, or a name on the hub.
    source (Optional[Path]): Labelled source text, used only for the chart of token vectors.
    translation (Optional[Path]): JSON report of the translation.
    selection (Optional[Path]): JSON report of the selection of target text.
    limit (int): Most sentences to show of each language and kind of error.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (Path): The HTML file.
    """
    if gpu_id >= 0:
        spacy.require_gpu(gpu_id)
    files = find_tests(tests)
    tested = read_metrics(metrics)
    runs = read_logs(logs)
    nlp = load_pipeline(model)
    name = name or pipeline_name(nlp, str(model))
    compared: dict[str, list[Compared]] = {}
    names: dict[str, str] = {}
    scores: dict[str, dict[str, Any]] = {}
    samples: list[tuple[str, Doc]] = []
    for path in files:
        key = path.stem.removeprefix("test-")
        examples = predict_file(nlp, path)
        of_docs = [_lang(example.reference, key) for example in examples]
        names[key] = name_test(key, join_langs(of_docs))
        scores[key] = {"docs": len(examples), **score(examples)}
        pairs = list(zip(examples, of_docs, strict=True))
        compared[key] = [compare(example, lang) for example, lang in pairs]
        samples += [(lang, example.reference) for example, lang in pairs]
    if source is not None and _exists(source):
        references = (example.reference for example in ParallelCorpus([source])(nlp))
        samples += [(_lang(doc, "source"), doc) for doc in references]
    sentences = [sentence for found in compared.values() for sentence in found]
    today = date.today()
    page = {
        "name": name,
        "pipeline": " ".join((pipeline_name(nlp, str(model)), pipeline_version(nlp))).strip(),
        "components": nlp.pipe_names,
        "version": __version__,
        "date": f"{today.day} {today:%B %Y}",
        **show_cards(scores, compared, names),
        **list_next_steps(str(model), [str(test) for test in tests], sentences),
        **show_types(scores, names),
        **show_recipes(join_recipes(name, scores, same_tests(tested, scores)), names),
        **show_reliability(compared, names),
        **show_confusion(sentences),
        **show_errors(compared, names, limit),
        **show_runs(runs),
        **show_vectors(nlp, samples, encoder),
        "data": [
            *_read_tables("Translation", translation),
            *_read_tables("Selection of target text", selection),
        ],
    }
    return write_report(page, output)


def read_metrics(paths: Sequence[Path]) -> dict[str, dict[str, Scored]]:
    """Read scores of recipes.

    paths (Sequence[Path]): JSON files that `evaluate` wrote, or folders, of which other files are
        left aside.
    RETURNS (Dict[str, Dict[str, Scored]]): What each recipe has, by test file.
    """
    recipes: dict[str, dict[str, Scored]] = {}
    files: dict[str, Path] = {}
    for path in filter(_exists, paths):
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            values = _read_json(file)
            try:
                scores = {
                    test.removeprefix("test-"): Scored(float(found["f"]), found["docs"])
                    for test, found in values.items()
                }
            except (KeyError, TypeError, ValueError, AttributeError):
                if not path.is_dir():
                    raise CrossnerError(Errors.CN640.format(path=file)) from None
                continue
            take_name(files, file.stem, file)
            recipes[file.stem] = scores
    return recipes


def same_tests(
    recipes: Mapping[str, Mapping[str, Scored]], scores: Mapping[str, Mapping[str, Any]]
) -> Recipes:
    """Leave out recipes that were tested on other data, with a warning.

    recipes (Mapping[str, Mapping[str, Scored]]): What each recipe has, by test file.
    scores (Mapping[str, Mapping[str, Any]]): The pipeline's own tests, with their "docs".
    RETURNS (Dict[str, Dict[str, float]]): F1 by recipe and test file.
    """
    same: Recipes = {}
    for recipe, tests in recipes.items():
        shared = tests.keys() & scores.keys()
        other = next((t for t in sorted(shared) if tests[t].docs != scores[t]["docs"]), None)
        if other is None:
            same[recipe] = {test: found.f for test, found in tests.items()}
        else:
            found, expected = tests[other].docs, scores[other]["docs"]
            warnings.warn(
                Warnings.CNW62.format(name=recipe, test=other, found=found, expected=expected),
                stacklevel=2,
            )
    return same


def read_logs(paths: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """Read training logs.

    paths (Sequence[Path]): JSONL files that the logger wrote, or folders to search for them, where
        files of another kind are left aside.
    RETURNS (Dict[str, List[Dict[str, Any]]]): The rows of the last run of each file, by the name
        of its folder, or by its path if another folder has that name.
    """
    files = {}
    for path in filter(_exists, paths):
        inside = [file for file in path.rglob("*.jsonl") if not _is_hidden(file, path)]
        logs = sorted(filter(is_log, inside)) if path.is_dir() else [path]
        for file in logs:
            files[file.resolve()] = read_log(file)
    found: dict[str, list[dict[str, Any]]] = {}
    for file, rows in files.items():
        if rows:
            last = max(row["run"] for row in rows)
            name = str(file) if file.parent.name in found else file.parent.name
            found[name] = [row for row in rows if row["run"] == last]
    return found


def _is_hidden(file: Path, folder: Path) -> bool:
    """Check if a file was left by an interrupted training."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _exists(path: Path) -> bool:
    if not path.exists():
        warnings.warn(Warnings.CNW61.format(path=path), stacklevel=2)
    return path.exists()


def _read_json(path: Path) -> Any:
    try:
        return srsly.read_json(path)
    except (ValueError, RecursionError) as error:
        raise CrossnerError(Errors.CN641.format(path=path, problem=shorten(error))) from None


def _read_tables(caption: str, path: Optional[Path]) -> list[Table]:
    if path is None or not _exists(path):
        return []
    values = _read_json(path)
    if not isinstance(values, dict):
        raise CrossnerError(Errors.CN641.format(path=path, problem="it is not a JSON object"))
    return make_tables(caption, values)


def _lang(doc: Doc, otherwise: str) -> str:
    view = get_view(doc)
    return otherwise if view is None else view.lang


def write_report(page: Entries, output: Path) -> Path:
    """Write the page atomically.

    page (Entries): What the template shows.
    output (Path): The folder.
    RETURNS (Path): The HTML file.
    """
    templates = PackageLoader("spacy_crossner.report", "templates")
    environment = Environment(loader=templates, autoescape=True, trim_blocks=True)
    html = environment.get_template(HTML).render(page)
    output.mkdir(parents=True, exist_ok=True)
    write_file(output / HTML, html)
    return output / HTML
