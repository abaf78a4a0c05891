"""How fast things are, as ratios: what is compared runs in turn, on the same texts, in one process.

Seconds differ between machines and moments, ratios of neighbouring runs much less.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Adam, Config
from tqdm import tqdm

from spacy_crossner.data.readers import ParallelCorpus
from spacy_crossner.errors import CrossnerError, Errors

BATCH = 16
RATE = 2e-4
LONG_TEXTS = (1_000, 4_000, 16_000, 64_000)
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


@dataclass
class Figure:
    """One comparison.

    what (str): What was measured.
    seconds (float): Median of the runs.
    against (str): What it is compared with, or nothing.
    ratio (Optional[float]): Median over the pairs of runs: how many times as fast.
    """

    what: str
    seconds: float
    against: str = ""
    ratio: Optional[float] = None


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
    """RETURNS (Figure): How many times as fast `what` was as `against`, run by run."""
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


def read_examples(nlp: Language, texts: Path) -> list[Example]:
    """RETURNS (List[Example]): The labelled docs of a file."""
    if not texts.exists():
        raise CrossnerError(Errors.CN610.format(path=texts))
    examples = list(ParallelCorpus([texts])(nlp))
    if not any(example.reference.ents for example in examples):
        raise CrossnerError(Errors.CN612.format(path=texts))
    return examples


def batches_of(examples: Sequence[Example]) -> list[list[Example]]:
    """RETURNS (List[List[Example]]): Batches of docs of similar length."""
    ordered = sorted(examples, key=len)
    return [ordered[i : i + BATCH] for i in range(0, len(ordered), BATCH)]


def make_step(nlp: Language, examples: list[Example]) -> Callable[[int], None]:
    """RETURNS (Callable[[int], None]): One training step on the batch of that number."""
    nlp.initialize(lambda: examples)
    optimizer = Adam(RATE, L2_is_weight_decay=True, use_averages=False)
    batches = batches_of(examples)
    return lambda run: nlp.update(batches[run % len(batches)], sgd=optimizer, drop=0.1)


def measure_freezing(encoder: Path, texts: Path, runs: int) -> Iterator[Figure]:
    """Compare training steps with nothing, the embeddings, and half of the layers frozen."""
    settings: dict[str, dict[str, Any]] = {
        "nothing frozen": {"freeze_embeddings": False},
        "embeddings frozen": {},
        "6 layers frozen": {"freeze_layers": 6},
    }
    tasks = {}
    for name, values in settings.items():
        nlp = build_pipeline(encoder, {"factory": "token_label_ner"}, **values)
        tasks[name] = make_step(nlp, read_examples(nlp, texts))
    seconds = in_turn(tasks, runs, warm_up=2)
    yield compare(seconds, "embeddings frozen", "nothing frozen")
    yield compare(seconds, "6 layers frozen", "embeddings frozen")


def measure_prediction(encoder: Path, texts: Path, runs: int) -> Iterator[Figure]:
    """Compare the components with spaCy's transition-based `ner` on the same transformer."""
    components: dict[str, dict[str, Any]] = {
        "spaCy's ner": SPACY_NER,
        "token_label_ner": {"factory": "token_label_ner"},
        "token_pair_ner": {"factory": "token_pair_ner"},
    }
    tasks = {}
    for name, section in components.items():
        nlp = build_pipeline(encoder, section)
        examples = read_examples(nlp, texts)
        nlp.initialize(lambda examples=examples: examples)  # type: ignore[misc]
        tasks[name] = _predict_all(nlp, examples)
    seconds = in_turn(tasks, runs)
    for name in list(tasks)[1:]:
        yield compare(seconds, name, "spaCy's ner")


def _predict_all(nlp: Language, examples: list[Example]) -> Callable[[int], None]:
    def task(run: int) -> None:
        for _ in nlp.pipe([example.predicted.copy() for example in examples], batch_size=64):
            pass

    return task


def measure_training(encoder: Path, texts: Path, runs: int) -> Iterator[Figure]:
    """Compare training steps with a plain torch loop over the same batches."""
    nlp = build_pipeline(encoder, {"factory": "token_label_ner"})
    examples = read_examples(nlp, texts)
    tasks = {
        "spacy train": make_step(nlp, examples),
        "plain torch loop": _make_plain_step(encoder, examples),
    }
    yield compare(in_turn(tasks, runs, warm_up=2), "spacy train", "plain torch loop")


def _make_plain_step(encoder: Path, examples: list[Example]) -> Callable[[int], None]:
    """Fine-tune as people do without spaCy: first piece of each word, AdamW, frozen embeddings."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=7)
    model.base_model.embeddings.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.01)
    batches = [[[t.text for t in eg.reference] for eg in b] for b in batches_of(examples)]

    def step(run: int) -> None:
        inputs = tokenizer(
            batches[run % len(batches)],
            is_split_into_words=True,
            truncation=True,
            padding=True,
            return_tensors="pt",
        )
        model.train()
        loss = model(**inputs, labels=torch.zeros_like(inputs["input_ids"])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure_long_texts(encoder: Path, texts: Path, runs: int) -> Iterator[Figure]:
    """Compare the time per token, and the memory, of ever longer texts.

    Each length runs in a process of its own, which says how much memory it took at most.
    """
    first: dict[str, float] = {}
    for length in LONG_TEXTS:
        for factory in ("token_label_ner", "token_pair_ner"):
            with get_context("spawn").Pool(1) as pool:
                seconds, mebibytes = pool.apply(_read_long, (encoder, texts, length, factory, runs))
            per_token = seconds / length
            first.setdefault(factory, per_token)
            yield Figure(
                f"{factory}, {length} tokens, {mebibytes:.0f} MiB above the loaded pipeline",
                seconds,
                f"{LONG_TEXTS[0]} tokens, per token",
                first[factory] / per_token,
            )


def _read_long(
    encoder: Path, texts: Path, length: int, factory: str, runs: int
) -> tuple[float, float]:
    nlp = build_pipeline(encoder, {"factory": factory})
    examples = read_examples(nlp, texts)
    nlp.initialize(lambda: examples)
    words = [token.text for example in examples for token in example.reference]
    words = (words * (length // len(words) + 1))[:length]
    nlp("Warm up.")
    before = _peak_mebibytes()
    seconds = []
    for _ in range(max(1, min(runs, 16_000 // length))):
        start = time.perf_counter()
        doc = Doc(nlp.vocab, words=words)
        for _, pipe in nlp.pipeline:
            doc = pipe(doc)
        seconds.append(time.perf_counter() - start)
    return median(seconds), _peak_mebibytes() - before


def _peak_mebibytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


MEASURES: dict[str, Callable[[Path, Path, int], Iterable[Figure]]] = {
    "freezing": measure_freezing,
    "prediction": measure_prediction,
    "training": measure_training,
    "long-texts": measure_long_texts,
}


def measure(names: Sequence[str], encoder: Path, texts: Path, runs: int) -> Iterator[Figure]:
    """Run measurements.

    names (Sequence[str]): Names out of `MEASURES`.
    encoder (Path): A Hugging Face folder.
    texts (Path): A `.spacy` file of labelled sentences.
    runs (int): Runs of each task.
    YIELDS (Figure): Each comparison.
    """
    for name in names:
        if name not in MEASURES:
            raise CrossnerError(Errors.CN620.format(name=name, known=", ".join(MEASURES)))
    for name in names:
        yield from MEASURES[name](encoder, texts, runs)
