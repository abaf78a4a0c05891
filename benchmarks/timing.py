"""What the measurements of speed share: pipelines to measure, and runs in turn.

Seconds differ between machines and moments, ratios of neighbouring runs much less.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Optional

from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Adam, Config
from tqdm import tqdm

from spacy_crossner.report.evaluate import read_examples

BATCH = 16
RATE = 2e-4
LEARNING_STEPS = 5
SPACY_NER = {
    "factory": "ner",
    "model": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "grad_factor": 1.0,
            "pooling": {"@layers": "reduce_mean.v1"},
        },
    },
}


@dataclass(frozen=True)
class Job:
    """What to measure with.

    encoder (Path): A Hugging Face folder.
    texts (Path): A `.spacy` file of labelled sentences.
    runs (int): Runs of each task.
    limit (int): Sentences to read; 0 takes all.
    peer_python (str): An interpreter that has other NER packages installed.
    pipelines (Tuple[Path, ...]): Pipelines to compare with them, in place of untrained ones.
    """

    encoder: Path
    texts: Path
    runs: int = 10
    limit: int = 0
    peer_python: str = ""
    pipelines: tuple[Path, ...] = ()


@dataclass
class Figure:
    """One comparison.

    what (str): What was measured.
    value (float): Median of the runs.
    against (str): What it is compared with, or nothing.
    ratio (Optional[float]): Median over the pairs of runs: how many times as fast, or as small.
    unit (str): Of the value.
    """

    what: str
    value: float
    against: str = ""
    ratio: Optional[float] = None
    unit: str = "s"


def in_turn(
    tasks: dict[str, Callable[[int], Any]], runs: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run tasks one after the other, again and again.

    tasks (Dict[str, Callable[[int], Any]]): They get the number of the run.
    runs (int): How often to run each.
    warm_up (int): Runs that do not count.
    RETURNS (Dict[str, List[float]]): Seconds of each run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for run in tqdm(range(warm_up + runs), disable=None, leave=False):
        for name, task in tasks.items():
            start = time.perf_counter()
            task(run)
            if run >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compare(seconds: dict[str, list[float]], what: str, against: str) -> Figure:
    """Compute the median ratio of `against`'s time to `what`'s, run by run."""
    ratios = [theirs / ours for ours, theirs in zip(seconds[what], seconds[against], strict=True)]
    return Figure(what, median(seconds[what]), against, median(ratios))


def build_pipeline(encoder: Path, component: dict[str, Any], **transformer: Any) -> Language:
    """Build a pipeline of an encoder and one component, not initialized.

    encoder (Path): A Hugging Face folder.
    component (Dict[str, Any]): The component's config section.
    transformer (Any): Settings of the encoder's architecture.
    RETURNS (Language): The pipeline.
    """
    model = {
        "@architectures": "spacy-crossner.TransformerModel.v1",
        "name": str(encoder),
        **transformer,
    }
    config = Config(
        {
            "nlp": {
                "lang": "xx",
                "pipeline": ["transformer", "ner"],
                "tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v1"},
            },
            "components": {
                "transformer": {"factory": "transformer", "model": model},
                "ner": component,
            },
        }
    )
    fix_random_seed(0)
    return load_model_from_config(config, auto_fill=True)


def batches_of(examples: Sequence[Example]) -> list[list[Example]]:
    """Batch docs of similar length."""
    ordered = sorted(examples, key=len)
    return [ordered[i : i + BATCH] for i in range(0, len(ordered), BATCH)]


def make_step(nlp: Language, examples: list[Example]) -> Callable[[int], None]:
    """Make a function that does one training step on the batch of a given number."""
    nlp.initialize(lambda: examples)
    optimizer = Adam(RATE, L2_is_weight_decay=True, use_averages=False)
    batches = batches_of(examples)
    return lambda run: nlp.update(batches[run % len(batches)], sgd=optimizer, drop=0.1)


def build_reader(job: Job, component: dict[str, Any]) -> tuple[Language, list[Example]]:
    """Build a pipeline that reads as a trained one does: untrained heads find something everywhere,
    which takes time to write down.

    job (Job): What to measure with.
    component (Dict[str, Any]): The component's config section.
    RETURNS (Tuple): The pipeline, and the labelled docs.
    """
    nlp = build_pipeline(job.encoder, component)
    examples = read_examples(nlp, job.texts, job.limit)
    step = make_step(nlp, examples)
    for number in range(LEARNING_STEPS):
        step(number)
    return nlp, examples
