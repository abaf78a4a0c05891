"""The functions of the commands for use in Python: paths or objects in, results that print out.

Import them from `spacy_crossner`. They take strings and paths alike, and where it makes sense also
pipelines and docs.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Union

from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.data import convert as formats
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import get_lang
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import check_output
from spacy_crossner.report import evaluate as scoring
from spacy_crossner.ship import package as shipping
from spacy_crossner.ship.package import Packed
from spacy_crossner.tables import make_frame, render_rows
from spacy_crossner.training import calibrate as calibration
from spacy_crossner.training.calibrate import Calibration

AnyPath = Union[str, Path]
Rows = tuple[tuple[str, ...], list[tuple]]


class Result:
    """A result that prints as a table and converts to a data frame."""

    @property
    def rows(self) -> Rows:
        """Make the header and the rows of the table."""
        raise NotImplementedError

    def __str__(self) -> str:
        return render_rows(*self.rows)

    def to_df(self) -> Any:
        """Convert the table to a data frame. Needs pandas."""
        return make_frame(*self.rows)


@dataclass
class Conversion(Result):
    """What `convert` returns.

    path (Path): The file or folder that was written.
    report (formats.Report): Counts, and the problems of the files.
    """

    path: Path
    report: formats.Report

    @property
    def rows(self) -> Rows:
        """Count entities by label."""
        return ("label", "entities"), sorted(self.report.entities.items())

    @property
    def problems(self) -> list[str]:
        """List the problems of each file."""
        return formats.describe(self.report)

    def __str__(self) -> str:
        counts = f"{self.path}: {self.report.docs} docs, {self.report.tokens} tokens"
        skipped = f", {self.report.skipped} skipped" if self.report.skipped else ""
        return "\n".join([counts + skipped, render_rows(*self.rows), *self.problems])


def convert(inputs: Union[AnyPath, Sequence[AnyPath]], out: AnyPath, **settings: Any) -> Conversion:
    """Convert annotated files into docs that train.

    inputs (Union[AnyPath, Sequence[AnyPath]]): A file or folder, or several.
    out (AnyPath): A `.spacy` file, another format, or a folder of `.spacy` files.
    settings (Any): Those of `spacy_crossner.data.convert.convert`: format, lang, label_map,
        drop_labels, unlabelled, strict, limit, tokenizer, misaligned, shard_size, to,
        tag_names.
    RETURNS (Conversion): What was written and what was wrong.
    """
    report = formats.convert(_list_paths(inputs), Path(out), **settings)
    return Conversion(Path(out), report)


@dataclass
class Evaluation(Result):
    """What `evaluate` returns.

    scores (dict[str, Any]): By file: "lang", "docs", "p", "r", "f" and "per_type".
    """

    scores: dict[str, Any]

    @property
    def rows(self) -> Rows:
        """List the scores of each file, in total and per type."""
        rows = []
        for name, scores in self.scores.items():
            for label, values in [("all", scores), *sorted(scores["per_type"].items())]:
                rows.append((name, scores["lang"], label, *(values[key] for key in "prf")))
        return ("file", "lang", "label", "P", "R", "F1"), rows

    @property
    def f(self) -> float:
        """Mean F1 over the files, in percent."""
        figures = [values for _, _, label, *values in self.rows[1] if label == "all"]
        return round(sum(values[-1] for values in figures) / len(figures), 2)


def evaluate(
    model: Union[AnyPath, Language],
    tests: Union[AnyPath, Sequence[AnyPath], Iterable[Doc]],
    *,
    gpu_id: int = -1,
) -> Evaluation:
    """Score a pipeline on labelled text.

    model (Union[AnyPath, Language]): A pipeline, its folder, or the name of an installed one.
    tests (Union[AnyPath, Sequence[AnyPath], Iterable[Doc]]): `.spacy` files with gold entities,
        folders of which the files called `test-*.spacy` are taken, or labelled docs, which are
        scored by language.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (Evaluation): The scores.
    """
    with _as_files(tests, by_language=True) as paths:
        files = scoring.find_tests(paths)
        if not isinstance(model, Language):
            return Evaluation(scoring.evaluate(_find_model(model), files, gpu_id=gpu_id))
        return Evaluation({file.stem: scoring.score_file(model, file) for file in files})


@dataclass
class Calibrated(Result):
    """What `calibrate` returns.

    components (dict[str, Calibration]): By component name.
    path (Optional[Path]): The calibrated pipeline, if it was saved.
    """

    components: dict[str, Calibration]
    path: Optional[Path] = None

    @property
    def rows(self) -> Rows:
        """List the results of each component."""
        fields = ["temperature", "threshold", "bias", "error_before", "error_after"]
        if any(c.nested_threshold is not None for c in self.components.values()):
            fields.insert(2, "nested_threshold")
        header = ("component", *(field.replace("_", " ") for field in fields))
        rows: list[tuple] = [
            (name, *(getattr(c, field) for field in fields)) for name, c in self.components.items()
        ]
        return header, rows


def calibrate(
    model: Union[AnyPath, Language],
    dev: Union[AnyPath, Sequence[AnyPath], Iterable[Doc]],
    output: Optional[AnyPath] = None,
    *,
    threshold: bool = True,
) -> Calibrated:
    """Calibrate a pipeline: make its scores probabilities.

    model (Union[AnyPath, Language]): A trained pipeline or its folder. A loaded one is changed.
    dev (Union[AnyPath, Sequence[AnyPath], Iterable[Doc]]): Labelled source text that was not
        trained on: `.spacy` files or docs.
    output (Optional[AnyPath]): The folder to write to. None replaces the pipeline in its folder.
    threshold (bool): Also choose the threshold and the bias.
    RETURNS (Calibrated): What was chosen.
    """
    with _as_files(dev) as files:
        if not isinstance(model, Language):
            path = Path(model if output is None else output)
            found = calibration.calibrate_pipeline(
                Path(model), files, path, fit_threshold=threshold
            )
            return Calibrated(found, path)
        docs = [doc for file in files for doc in scoring.read_gold_docs(file)]
    found = calibration.calibrate(model, docs, fit_threshold=threshold)
    if output is None:
        return Calibrated(found)
    check_output(Path(output))
    model.to_disk(output)
    return Calibrated(found, Path(output))


@dataclass
class Wheels(Result):
    """What `package` returns.

    packed (list[Packed]): The wheels.
    """

    packed: list[Packed]

    @property
    def paths(self) -> list[Path]:
        """List the files."""
        return [wheel.path for wheel in self.packed]

    @property
    def rows(self) -> Rows:
        """List the wheels with their properties."""
        rows: list[tuple] = [
            (wheel.path.name, " ".join(wheel.languages), f"{wheel.path.stat().st_size / 1e6:.0f}")
            for wheel in self.packed
        ]
        return ("wheel", "languages", "MB"), rows


def package(
    pipeline: AnyPath,
    output: AnyPath,
    languages: Sequence[str],
    texts: Sequence[AnyPath] = (),
    **settings: Any,
) -> Wheels:
    """Build wheels: one multilingual pipeline and one per language.

    pipeline (AnyPath): The folder of a trained pipeline.
    output (AnyPath): The folder for the wheels.
    languages (Sequence[str]): Language codes.
    texts (Sequence[AnyPath]): `.spacy` files or folders of texts in these languages, by which
        vocabularies are trimmed.
    settings (Any): Those of `spacy_crossner.ship.package.package`: name, version, scores, sources,
        license_name, trim.
    RETURNS (Wheels): The wheels.
    """
    for key in ("scores", "sources"):
        if settings.get(key) is not None:
            settings[key] = Path(settings[key])
    packed = shipping.package(
        Path(pipeline), Path(output), list(languages), _list_paths(texts), **settings
    )
    return Wheels(packed)


def _list_paths(paths: Union[AnyPath, Sequence[AnyPath]]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]


def _find_model(model: AnyPath) -> AnyPath:
    return Path(model) if Path(model).exists() else model


@contextmanager
def _as_files(
    items: Union[AnyPath, Iterable[Any]], *, by_language: bool = False
) -> Iterator[list[Path]]:
    """Yield the given paths, or write the given docs to temporary files and yield their paths: one
    file, or one for each language, called after it."""
    found: list[Any] = [items] if isinstance(items, (str, Path)) else list(items)
    if not found:
        raise CrossnerError(Errors.CN831)
    if isinstance(found[0], (str, Path)):
        yield [Path(item) for item in found]
        return
    files: dict[str, list[Doc]] = {}
    for doc in found:
        files.setdefault(get_lang(doc) if by_language else "docs", []).append(doc)
    with TemporaryDirectory() as folder:
        paths = {Path(folder) / f"{name}.spacy": docs for name, docs in sorted(files.items())}
        for path, docs in paths.items():
            write_docs(path, docs)
        yield list(paths)
