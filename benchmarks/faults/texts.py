"""Hostile texts, and whether a pipeline gives the same result for them however it is called."""

import multiprocessing
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from spacy.language import Language
from spacy.tokens import Doc

TOLERANCE = 1e-5
BATCH_SIZES = (1, 7, 64)
THREADS = 8
PROCESSES = 2
START_METHODS = ("spawn", "fork")
LONGEST = 60
PIECES = (
    *("", " ", "\n", "\t", "\r\n", "\0", "\x1b[31m", "\x7f", "\x85", "\u00a0", "\u2028", "\u3000"),
    *("\u200b", "\u200d", "\u202e", "\ufeff", "\ufffd", "\ufffe", "\ue000", "\U000f0000"),
    *(
        "a\u0301",
        "\u0301",
        "e" + "\u0301" * 40,
        "ﬁ",
        "ǅ",
        "İ",
        "ß",
        "Å",
        "½",
        "①",
        "𝔄",
        "👩‍👩‍👧",
        "🇩🇪",
    ),
    *("北京大学", "東京", "กรุงเทพ", "नई दिल्ली", "القاهرة", "תל אביב", "Москва", "서울", "ភ្នំពេញ"),
    *("{{", "}}", "[[", "^a/b$", "<script>", "</p>", "&amp;", "\\", "%s", "${HOME}", "'; --"),
    *(
        "http://x.y/?q=" + "a" * 200,
        "a" * 500,
        "1" * 300,
        "-" * 200,
        "'s" * 20,
        "((((",
        "....",
        "@@",
    ),
    *("Angela Merkel", "Berlin", "Acme Corp", "visited", "the", "in", "London", "It's", "(UK)."),
)


def make_texts(number: int, seed: int = 0) -> list[str]:
    """Make texts of pieces that break readers: controls, marks, mixed scripts, long runs, markup.

    number (int): How many.
    seed (int): Seed of the choice.
    RETURNS (list[str]): The texts, without lone surrogates, which are not text.
    """
    generator = random.Random(seed)
    texts = []
    for _ in range(number):
        pieces = []
        for _ in range(generator.randrange(LONGEST)):
            if generator.random() < 0.2:
                code = generator.randrange(0x110000)
                pieces.append("?" if 0xD800 <= code < 0xE000 else chr(code))
            else:
                pieces.append(generator.choice(PIECES))
        texts.append(generator.choice(("", " ")).join(pieces))
    return texts


def describe(doc: Doc) -> tuple[list, dict]:
    """Collect the entities of a doc and the score of each candidate."""
    ents = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
    scores = {
        (key, span.start, span.end, span.label_): float(score)
        for key, group in doc.spans.items()
        for span, score in zip(group, group.attrs.get("scores", ()), strict=False)
    }
    return ents, scores


def is_same(one: tuple[list, dict], other: tuple[list, dict]) -> bool:
    """Compare two results: the same entities, and scores equal within the tolerance."""
    scores, others = one[1], other[1]
    return one[0] == other[0] and all(
        # a candidate at the threshold may be in one result only
        abs(scores.get(key, others.get(key, 0)) - others.get(key, scores.get(key, 0))) <= TOLERANCE
        for key in scores.keys() | others.keys()
    )


def check_texts(
    nlp: Language, texts: list[str], start_methods: Sequence[str] = START_METHODS
) -> dict[str, int]:
    """Compare `nlp(text)` with `nlp.pipe` at several batch sizes, with threads and with processes.

    nlp (Language): The pipeline.
    texts (list[str]): The texts.
    start_methods (Sequence[str]): How processes are started. Those that the system does not have
        are left out.
    RETURNS (dict[str, int]): Number of texts, of exceptions, of changed texts and of differences.
    """
    found = {"texts": len(texts), "exceptions": 0, "text changed": 0}
    alone = []
    for text in texts:
        try:
            doc = nlp(text)
            found["text changed"] += doc.text != text
            alone.append(describe(doc))
        except Exception:
            found["exceptions"] += 1
            alone.append(([], {}))

    def count(name: str, results: Iterable[Doc]) -> None:
        pairs = zip(alone, map(describe, results), strict=True)
        found[name] = sum(not is_same(one, other) for one, other in pairs)

    for size in BATCH_SIZES:
        count(f"differences at batch size {size}", nlp.pipe(texts, batch_size=size))
    for method in start_methods:
        if method in multiprocessing.get_all_start_methods():
            with _start_processes_by(method):
                docs = nlp.pipe(texts, n_process=PROCESSES, batch_size=BATCH_SIZES[-1])
                count(f"differences with {PROCESSES} processes ({method})", docs)
    # last, because a process that is forked while a thread ends may wait for it for ever
    with ThreadPoolExecutor(THREADS) as pool:
        count(f"differences with {THREADS} threads", pool.map(nlp, texts))
    return found


@contextmanager
def _start_processes_by(method: str) -> Iterator[None]:
    # spaCy takes the start method of the program
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)
