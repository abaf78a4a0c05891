"""How fast things are, as ratios: what is compared runs in turn, on the same texts."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from benchmarks.peers import measure_peers
from benchmarks.timing import (
    RATE,
    SPACY_NER,
    Figure,
    Job,
    batches_of,
    build_pipeline,
    build_reader,
    compare,
    in_turn,
    make_step,
)
from benchmarks.worker import peak_mebibytes, reset_peak_memory
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.report.evaluate import read_examples

LONG_TEXTS = (1_000, 4_000, 16_000, 64_000)
FACTORIES = ("token_label_ner", "token_pair_ner")
FROZEN_LAYERS = 6


def measure_freezing(job: Job) -> Iterator[Figure]:
    """Compare training steps with nothing, the embeddings, and half of the layers frozen."""
    settings: dict[str, dict[str, Any]] = {
        "nothing frozen": {"freeze_embeddings": False},
        "embeddings frozen": {},
        f"{FROZEN_LAYERS} layers frozen": {"freeze_layers": FROZEN_LAYERS},
    }
    tasks = {}
    for name, values in settings.items():
        nlp = build_pipeline(job.encoder, {"factory": "token_label_ner"}, **values)
        tasks[name] = make_step(nlp, read_examples(nlp, job.texts, job.limit))
    seconds = in_turn(tasks, job.runs, warm_up=2)
    yield compare(seconds, "embeddings frozen", "nothing frozen")
    yield compare(seconds, f"{FROZEN_LAYERS} layers frozen", "embeddings frozen")


def measure_prediction(job: Job) -> Iterator[Figure]:
    """Compare the components with spaCy's transition-based `ner` on the same transformer."""
    components: dict[str, dict[str, Any]] = {
        "spaCy's ner": SPACY_NER,
        "token_label_ner": {"factory": "token_label_ner"},
        "token_pair_ner": {"factory": "token_pair_ner"},
    }
    tasks = {}
    for name, section in components.items():
        tasks[name] = _predict_all(*build_reader(job, section))
    seconds = in_turn(tasks, job.runs)
    for name in list(tasks)[1:]:
        yield compare(seconds, name, "spaCy's ner")


def _predict_all(nlp: Language, examples: list[Example]) -> Callable[[int], None]:
    def task(run: int) -> None:
        for _ in nlp.pipe([example.predicted.copy() for example in examples], batch_size=64):
            pass

    return task


def measure_training(job: Job) -> Iterator[Figure]:
    """Compare training steps with a plain torch loop over the same batches."""
    nlp = build_pipeline(job.encoder, {"factory": "token_label_ner"})
    examples = read_examples(nlp, job.texts, job.limit)
    tasks = {
        "spacy train": make_step(nlp, examples),
        "plain torch loop": _make_plain_step(job.encoder, examples),
    }
    yield compare(in_turn(tasks, job.runs, warm_up=2), "spacy train", "plain torch loop")


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


def measure_long_texts(job: Job) -> Iterator[Figure]:
    """Compare the time per token, and the memory, of ever longer texts.

    Each length runs in a separate process, which reports its peak memory.
    """
    first: dict[str, float] = {}
    for length in LONG_TEXTS:
        for factory in FACTORIES:
            with get_context("spawn").Pool(1) as pool:
                seconds, mebibytes = pool.apply(_read_long, (job, length, factory))
            per_token = seconds / length
            first.setdefault(factory, per_token)
            yield Figure(
                f"{factory}, {length} tokens, {mebibytes:.0f} MiB above the loaded pipeline",
                seconds,
                f"{LONG_TEXTS[0]} tokens, per token",
                first[factory] / per_token,
            )


def _read_long(job: Job, length: int, factory: str) -> tuple[float, float]:
    nlp = build_pipeline(job.encoder, {"factory": factory})
    examples = read_examples(nlp, job.texts, job.limit)
    nlp.initialize(lambda: examples)
    words = [token.text for example in examples for token in example.reference]
    words = (words * (length // len(words) + 1))[:length]
    nlp("Warm up.")
    reset_peak_memory()
    before = peak_mebibytes()
    seconds = []
    for _ in range(max(1, min(job.runs, 16_000 // length))):
        start = time.perf_counter()
        doc = Doc(nlp.vocab, words=words)
        for _, pipe in nlp.pipeline:
            doc = pipe(doc)
        seconds.append(time.perf_counter() - start)
    return median(seconds), peak_mebibytes() - before


MEASURES: dict[str, Callable[[Job], Iterable[Figure]]] = {
    "freezing": measure_freezing,
    "prediction": measure_prediction,
    "training": measure_training,
    "long-texts": measure_long_texts,
    "peers": measure_peers,
}


def measure(names: Sequence[str], job: Job) -> Iterator[Figure]:
    """Run measurements.

    names (Sequence[str]): Names out of `MEASURES`.
    job (Job): What to measure with.
    YIELDS (Figure): Each comparison.
    """
    for name in names:
        if name not in MEASURES:
            raise CrossnerError(Errors.CN620.format(name=name, known=", ".join(MEASURES)))
    for name in names:
        yield from MEASURES[name](job)
