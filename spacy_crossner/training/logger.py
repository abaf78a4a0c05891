"""The training logger: a table with one column per objective, and a file to plot curves from."""

import json
import math
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Literal, Optional

from spacy import registry
from spacy.language import Language
from tqdm import tqdm
from wasabi import Printer, row

from spacy_crossner.report.log import read_log

Info = dict[str, Any]
LogStep = Callable[[Optional[Info]], None]
SPACING = 2
# Widest line of a column's title; longer ones are stacked.
TITLE_WIDTH = 12
LOSS_WIDTH = 8
SCORE_WIDTH = 6
# Where no bar can be shown: a line of progress after this many steps, and at most this many lines.
LEAST_STEPS = 20
MOST_LINES = 4


@registry.loggers("spacy-crossner.ConsoleLogger.v1")
def console_logger(
    progress_bar: Optional[Literal["train", "eval"]] = None,
    console_output: bool = True,
    output_file: Optional[str] = None,
    run_name: Optional[str] = None,
) -> Callable[[Language, IO, IO], tuple[LogStep, Callable[[], None]]]:
    """Create a logger that shows and saves every loss, also those of further objectives.

    The table has a row per evaluation: epoch, step, each key of the losses, the scores that
    `[training.score_weights]` names, their weighted sum, and the words trained on per second,
    evaluation not counted. If a new loss appears, the header is printed again.

    progress_bar (Optional[str]): "train" for a bar up to the end of training, "eval" for one up to
        the next evaluation, None for no bar. Outside a terminal, "train" prints a few lines with
        the remaining time, and "eval" nothing.
    console_output (bool): Whether to print the table.
    output_file (Optional[str]): JSONL file to append a row to at each evaluation. A name without a
        folder lies beside the model, in the folder that holds model-last. Read it with `read_log`.
    run_name (Optional[str]): Name for the rows of this run, for runs that share a file.
    RETURNS (Callable): Sets the logger up for a pipeline.
    """

    def setup(
        nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr
    ) -> tuple[LogStep, Callable[[], None]]:
        # here, because the log can be read without torch
        from spacy_crossner.ml.precision import find_precisions

        training = nlp.config["training"]
        weights = training["score_weights"]
        table = Table([name for name, weight in weights.items() if weight is not None])
        precision = ", ".join(find_precisions(nlp))
        if console_output and precision:
            print(f"Precision of the encoder: {precision}", file=stdout, flush=True)
        log = None if output_file is None else LogFile(output_file, run_name)
        speed = Speed()
        bar: Optional[tqdm] = None
        progress: Optional[Progress] = None

        def log_step(info: Optional[Info]) -> None:
            nonlocal bar, progress
            if info is None:
                speed.step()
                if bar is not None:
                    bar.update(1)
                line = progress.step() if progress is not None else ""
                if line and console_output and bar is not None and bar.disable:
                    print(line, file=stdout, flush=True)
                return
            if bar is not None:
                bar.close()
            values = plain_row(info, speed.rate(info["words"]), precision)
            first = log is not None and log.write(values, info.get("output_path"))
            # without a folder in its name, the user can't know where it is
            if first and log is not None and str(log.path) != output_file:
                text = Printer(no_print=True).info(f"Saving the log to {log.path}")
                print(text, file=stdout, flush=True)
            if console_output:
                print(table.add(values), file=stdout, flush=True)
            if progress_bar is not None:
                bar = _make_bar(progress_bar, training, info, stderr)
                if progress_bar == "train":
                    progress = Progress(training["max_steps"], info["step"])
            speed.restart(info["words"])

        def finalize() -> None:
            if bar is not None:
                bar.close()

        return log_step, finalize

    return setup


def plain_row(info: Info, words_per_second: Optional[float], precision: str = "") -> dict[str, Any]:
    """Reduce what spaCy reports at an evaluation to plain values.

    info (Dict[str, Any]): What a logger gets.
    words_per_second (Optional[float]): Speed of training, if known.
    precision (str): What the encoder computes in.
    RETURNS (Dict[str, Any]): Step, epoch, losses (summed up since the last evaluation), scores,
        score, words, seconds and precision. Values that are not finite are None.
    """
    return {
        "step": info["step"],
        "epoch": info["epoch"],
        "losses": _plain(info["losses"]),
        "scores": _plain(info["other_scores"]),
        "score": _plain(info["score"]),
        "words": info["words"],
        "seconds": info["seconds"],
        "words_per_second": words_per_second,
        "precision": precision,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    # numpy and cupy scalars
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Speed:
    """Measures how fast training is, without the time that evaluations take.

    The last step before an evaluation can't be told from the evaluation, so it is taken to be as
    long as the others.
    """

    def __init__(self) -> None:
        self.restart(0)

    def restart(self, words: int) -> None:
        """Start to measure, given the number of words so far."""
        self.began = self.ended = perf_counter()
        self.n_timed = 0
        self.words = words

    def step(self) -> None:
        """Note the end of a step that no evaluation follows."""
        self.ended = perf_counter()
        self.n_timed += 1

    def rate(self, words: int) -> Optional[float]:
        """Compute words per second, or None if no step was timed."""
        elapsed = self.ended - self.began
        if not self.n_timed or not elapsed:
            return None
        return (words - self.words) / (elapsed * (self.n_timed + 1) / self.n_timed)


class Progress:
    """Lines with the number of steps and the remaining time.

    total (int): Number of steps of the training, 0 if it is not known.
    done (int): Steps so far.
    """

    def __init__(self, total: int, done: int):
        self.total = total
        self.began = perf_counter()
        self.first = self.done = done
        self.every = max(LEAST_STEPS, -(-total // (MOST_LINES + 1)))

    def step(self) -> str:
        """Count a step.

        RETURNS (str): A line, or an empty string if the last one was printed a few steps ago.
        """
        self.done += 1
        if self.done % self.every or self.done >= self.total:
            return ""
        pace = (perf_counter() - self.began) / (self.done - self.first)
        left = round(pace * (self.total - self.done))
        return f"{self.done:>11} of {self.total} steps, {left // 60}:{left % 60:02} minutes left"


class Table:
    """The rows as text, under a header that grows with the losses.

    score_names (Sequence[str]): The scores to show.
    """

    def __init__(self, score_names: Sequence[str]):
        self.score_names = score_names
        self.loss_names: list[str] = []
        self.widths: list[int] = []

    def add(self, values: dict[str, Any]) -> str:
        """Format the next row, after a header if the columns have changed."""
        new = [name for name in values["losses"] if name not in self.loss_names]
        self.loss_names += new
        lines = self._header() if new or not self.widths else []
        scores = [values["scores"].get(name) for name in self.score_names]
        cells = [
            str(values["epoch"]),
            str(values["step"]),
            *(_number(values["losses"].get(name)) for name in self.loss_names),
            *(
                _number(score, 1, digits=0) if name == "speed" else _number(score, 100)
                for name, score in zip(self.score_names, scores, strict=True)
            ),
            _number(values["score"]),
            _number(values["words_per_second"], digits=0),
        ]
        return "\n".join([*lines, self._row(cells)])

    def _header(self) -> list[str]:
        names = ["E", "#", *(f"loss {name}" for name in self.loss_names)]
        names += [*self.score_names, "score", "words/s"]
        titles = [textwrap.wrap(n.replace("_", " ").upper(), TITLE_WIDTH) for n in names]
        least = [3, 6, *[LOSS_WIDTH] * len(self.loss_names), *[SCORE_WIDTH] * len(self.score_names)]
        least += [SCORE_WIDTH, SCORE_WIDTH]
        self.widths = [
            max(width, *map(len, title)) for width, title in zip(least, titles, strict=True)
        ]
        height = max(map(len, titles))
        stacked = [[""] * (height - len(title)) + title for title in titles]
        lines = [self._row(list(cells)) for cells in zip(*stacked, strict=True)]
        return [*lines, self._row(["-" * width for width in self.widths])]

    def _row(self, cells: list[str]) -> str:
        aligns: list[Literal["r", "c", "l"]] = ["r"] * len(cells)
        return row(cells, widths=self.widths, aligns=aligns, spacing=SPACING)


def _number(value: Any, factor: float = 1, digits: int = 2) -> str:
    return f"{value * factor:.{digits}f}" if isinstance(value, (int, float)) else "-"


class LogFile:
    """A JSONL file that each evaluation appends a row to; runs that share it are numbered.

    output_file (str): The file, beside the model if it has no folder.
    run_name (Optional[str]): Name of this run.
    """

    def __init__(self, output_file: str, run_name: Optional[str]):
        self.path = Path(output_file)
        self.run_name = run_name
        self.run: Optional[int] = None

    def write(self, values: dict[str, Any], model_path: Optional[str]) -> bool:
        """Append a row. A row is either written as a whole, or mended away by the next run.

        values (Dict[str, Any]): The row.
        model_path (Optional[str]): Where the model is saved, if it is.
        RETURNS (bool): Whether it is this run's first row.
        """
        first = self.run is None
        if first:
            if model_path is not None and self.path.parent == Path():
                self.path = Path(model_path).parent / self.path
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                _drop_torn_line(self.path)
            past = read_log(self.path) if self.path.exists() else []
            self.run = 1 + max((values["run"] for values in past), default=0)
        line = json.dumps({"run": self.run, "name": self.run_name, **values}) + "\n"
        with self.path.open("a", encoding="utf8") as file:
            file.write(line)
        return first


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a crash has left unfinished."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.truncate(path, whole)


def _make_bar(kind: str, training: dict[str, Any], info: Info, stderr: IO) -> tqdm:
    """Make a progress bar up to the next evaluation or the last step."""
    if kind == "train":
        total, done = training["max_steps"] or None, info["step"]
        title = f"Last evaluation in epoch {info['epoch']}"
    else:
        total, done = training["eval_frequency"], 0
        title = f"Epoch {info['epoch'] + 1}"
    # None disables it if the output is not a terminal
    return tqdm(total=total, initial=done, desc=title, disable=None, leave=False, file=stderr)
