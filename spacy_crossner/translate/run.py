"""Translate a labelled corpus: first the texts, into a cache; then the labels, out of it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, Optional

import numpy
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.data.shards import find_shards, iter_runs, read_docs, write_docs
from spacy_crossner.data.view import get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.translate.cache import Cache, make_key
from spacy_crossner.translate.codeswitch import ensure_view
from spacy_crossner.translate.engines import (
    AUTO,
    Engine,
    EngineSettings,
    Failure,
    Segment,
    make_engine,
)
from spacy_crossner.translate.lexicon import Lexicon, read_lexicon
from spacy_crossner.translate.views import Projected, make_translation, read_segment, tokenize

INCOMPLETE = ("drop", "unlabelled", "keep")
CHUNK = 256  # sentences that are translated or aligned at once
EXAMPLES = 5  # of each kind and language in the report

Vectors = Callable[[Sequence[Doc]], list[numpy.ndarray]]


@dataclass
class LabelCounts:
    """What became of the entities with one label.

    entities (int): In the source.
    projected (int): Of them, those with a place in the translation.
    repaired (int): Of these, those whose marks had to be mended or were lost.
    dropped (int): Those without a place.
    """

    entities: int = 0
    projected: int = 0
    repaired: int = 0
    dropped: int = 0


@dataclass
class LanguageReport:
    """What became of the sentences in one language.

    engine (str): The engine that was used.
    sentences (int): In the source.
    views (int): Translated views that were written.
    incomplete (int): Translations in which an entity has no place.
    failed (list[dict]): Sentences that could not be translated: group, text and reason.
    labels (dict[str, LabelCounts]): What became of the entities.
    examples (dict[str, list[dict]]): Some that were repaired and some that were dropped.
    reused (int): How many translations were in the cache. It is no part of the file.
    """

    engine: str
    sentences: int = 0
    views: int = 0
    incomplete: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    labels: dict[str, LabelCounts] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    reused: int = 0


Report = dict[str, LanguageReport]


@dataclass
class Pair:
    """What translates into one language.

    engine (Engine): The translator.
    lexicon (Optional[Lexicon]): Helps to align words.
    """

    engine: Engine
    lexicon: Optional[Lexicon] = None
    failures: dict[str, str] = field(default_factory=dict)


def translate(
    path: Path,
    out: Path,
    *,
    source: str,
    targets: Sequence[str],
    engine: str = AUTO,
    settings: EngineSettings = EngineSettings(),
    encoder: str = "",
    eflomal: bool = False,
    min_confidence: float = 0.0,
    incomplete: Literal["drop", "unlabelled", "keep"] = "drop",
    cache: Optional[Path] = None,
    report_path: Optional[Path] = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Write translated views of a corpus, each behind its source, with the entities projected.

    path (Path): A `.spacy` file, or a folder of them.
    out (Path): The `.spacy` file to write, all or nothing.
    source (str): Language of the corpus.
    targets (Sequence[str]): Languages to translate into.
    engine (str): Name of the engine, or "auto" for the first that can do a pair of languages.
    settings (EngineSettings): What the engine is told. The lexicons also help to align words.
    encoder (str): Folder or hub name of the encoder whose vectors align words. Without one, names
        and lexicons have to do.
    eflomal (bool): Also align words by what is learned from the corpus, with that package.
    min_confidence (float): Entities below it count as not placed.
    incomplete (str): What to do with a translation in which an entity has no place: leave it out,
        write it without labels, or write it with those that it has.
    cache (Optional[Path]): File that keeps the translations. If None, it is beside the output.
    report_path (Optional[Path]): File to write the report to.
    progress (bool): Show progress bars, if there is a terminal.
    say (Callable[[str], None]): Is told which engine was chosen.
    RETURNS (Report): For each target language, what became of the sentences.
    """
    shards = check_files(path, out)
    if not 0.0 <= min_confidence <= 1.0:
        raise CrossnerError(Errors.CN407.format(value=min_confidence))
    if incomplete not in INCOMPLETE:
        known = ", ".join(INCOMPLETE)
        raise CrossnerError(Errors.CN207.format(setting="incomplete", value=incomplete, known=known))
    pairs: dict[str, Pair] = {}
    report: Report = {}
    for target in dict.fromkeys(targets):
        name, translator = make_engine(engine, source, target, settings)
        lexicon = settings.lexicons.get(target)
        pairs[target] = Pair(translator, lexicon and read_lexicon(lexicon, source, target))
        report[target] = LanguageReport(name)
        say(f"{source} -> {target}: {name}")
    store = Cache(cache or out.with_name(f"{out.name}.cache"))
    try:
        total = fill_cache(
            _bar(iter_docs(shards, source, path), "Translating", progress),
            pairs, store, source, report,
        )
        ...
    finally:
        store.close()
    return report
