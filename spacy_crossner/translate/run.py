"""Translate a labelled corpus: first the texts, into a cache; then the labels, out of it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_choice
from spacy_crossner.data.groups import label_groups
from spacy_crossner.data.shards import find_shards, iter_runs, read_docs, write_docs
from spacy_crossner.data.view import get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import make_parent, refuse_input, write_json
from spacy_crossner.lexicon.codeswitch import ensure_view
from spacy_crossner.lexicon.lexicon import Lexicon, read_lexicon
from spacy_crossner.translate.cache import Cache, make_key
from spacy_crossner.translate.engines import (
    AUTO,
    Engine,
    EngineSettings,
    Failure,
    Outcome,
    Segment,
    make_engine,
)
from spacy_crossner.translate.views import Projected, make_translation, read_segment, tokenize
from spacy_crossner.types import Run, Task

INCOMPLETE = ("drop", "unlabelled", "keep")
CHUNK = 256  # sentences that are translated or aligned at once
EXAMPLES = 5  # of each kind and language in the report

Vectors = Callable[[Sequence[Doc]], list[numpy.ndarray]]


@dataclass
class LabelCounts:
    """Projection counts of the entities with one label.

    entities (int): In the source.
    projected (int): Of them, those with a place in the translation.
    repaired (int): Of these, those whose marks were repaired or lost.
    dropped (int): Those without a place.
    """

    entities: int = 0
    projected: int = 0
    repaired: int = 0
    dropped: int = 0


@dataclass
class LanguageReport:
    """Counts of the translations into one language.

    engine (str): The engine that was used.
    sentences (int): In the source.
    views (int): Translated views that were written.
    incomplete (int): Translations in which an entity has no place.
    missing (list[dict]): Sentences that the engine, a translation memory, does not have: group and
        text.
    failed (list[dict]): Sentences that could not be translated: group, text and reason.
    labels (dict[str, LabelCounts]): Projection counts by label.
    examples (dict[str, list[dict]]): Some that were repaired and some that were dropped.
    reused (int): How many translations were in the cache. Not written to the file.
    """

    engine: str
    sentences: int = 0
    views: int = 0
    incomplete: int = 0
    missing: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    labels: dict[str, LabelCounts] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    reused: int = 0


Report = dict[str, LanguageReport]


@dataclass
class Pair:
    """What it takes to translate into one language.

    engine (Engine): The translator.
    lexicon (Optional[Lexicon]): Helps to align words.
    """

    engine: Engine
    lexicon: Optional[Lexicon] = None


@dataclass
class _Chunk:
    """Sentences that are translated into one language at once.

    target (str): The language.
    docs (Sequence[Doc]): The sentences.
    keys (list[str]): Their keys in the cache.
    missing (dict[str, Segment]): What has to be translated, by key.
    """

    target: str
    docs: Sequence[Doc]
    keys: list[str]
    missing: dict[str, Segment]


class EngineWorker:
    """Translate in a worker process with its own engines."""

    def __init__(self, names: Mapping[str, str], source: str, settings: EngineSettings):
        """Note the engines; each is loaded when it is first needed.

        names (Mapping[str, str]): The engine of each target language.
        source (str): The language of the sentences.
        settings (EngineSettings): What the engines are told.
        """
        self.names = names
        self.source = source
        self.settings = settings
        self.engines: dict[str, Engine] = {}

    def __call__(self, payload: tuple[str, Sequence[Segment]]) -> Sequence[Outcome]:
        """Translate a chunk.

        payload (tuple[str, Sequence[Segment]]): The target language and the sentences.
        RETURNS (Sequence[Outcome]): A translation or a failure for each.
        """
        target, segments = payload
        if target not in self.engines:
            found = make_engine(self.names[target], self.source, target, self.settings)
            self.engines[target] = found[1]
        return self.engines[target].translate(segments)


def _run_here(make_worker: Callable[[], Any], tasks: Iterable[Task]) -> Iterator[Task]:
    worker = make_worker()
    for name, payload in tasks:
        yield name, worker(payload)


class Translation:
    """One run over a corpus: a pass that translates, and a pass that puts the labels in place."""

    def __init__(
        self,
        source: str,
        pairs: Mapping[str, Pair],
        cache: Cache,
        report: Report,
        *,
        min_confidence: float = 0.0,
        incomplete: str = "drop",
        vectors: Optional[Vectors] = None,
        labels: Collection[str] = (),
        settings: Optional[EngineSettings] = None,
    ):
        """Prepare the run.

        source (str): Language of the corpus.
        pairs (Mapping[str, Pair]): What each target language takes.
        cache (Cache): Keeps the translations.
        report (Report): Is filled on the way.
        min_confidence (float): Entities below it count as not placed.
        incomplete (str): What to do with a translation in which an entity has no place.
        vectors (Optional[Vectors]): Turns docs into vectors.
        labels (Collection[str]): Labels of the corpus. A translation that came with other labels is
            taken without them.
        settings (Optional[EngineSettings]): What engines in other processes are told.
        """
        self.settings = settings
        self.source = source
        self.pairs = pairs
        self.cache = cache
        self.report = report
        self.min_confidence = min_confidence
        self.incomplete = incomplete
        self.vectors = vectors
        self.labels = labels

    def translate(self, docs: Iterable[Doc], run: Optional[Run] = None) -> None:
        """Fill the cache with what it lacks, a chunk at a time.

        docs (Iterable[Doc]): The corpus, the views of a group one after the other.
        run (Optional[Run]): Runs the engines in other processes. The translations, and what the
            cache holds of them, are the same.
        """
        chunks: dict[str, _Chunk] = {}  # in the order of the corpus
        done: dict[str, list[Outcome]] = {}
        pending: set[str] = set()

        def iter_tasks() -> Iterator[Task]:
            for number, groups in enumerate(_chunks(iter_runs(docs, get_group))):
                for target in self.pairs:
                    sources = [doc for _, doc in self._find_sources(groups, target)]
                    name = f"{number} {target}"
                    chunks[name] = chunk = self._prepare(sources, target, pending)
                    pending.update(chunk.missing)
                    if chunk.missing:
                        yield name, (target, list(chunk.missing.values()))
                    else:
                        done[name] = []
                        finish()

        def finish() -> None:
            for name in list(chunks):
                if name not in done:
                    return
                chunk = chunks.pop(name)
                self._finish(chunk, done.pop(name))
                pending.difference_update(chunk.missing)

        for name, outcomes in (run or _run_here)(self._make_worker(run is None), iter_tasks()):
            done[name] = outcomes
            finish()

    def _make_worker(self, here: bool) -> Callable[[], Any]:
        if here:
            engines = {target: pair.engine for target, pair in self.pairs.items()}
            return lambda: lambda payload: engines[payload[0]].translate(payload[1])
        names = {target: self.report[target].engine for target in self.pairs}
        return partial(EngineWorker, names, self.source, self.settings or EngineSettings())

    def _prepare(self, docs: Sequence[Doc], target: str, pending: Collection[str]) -> "_Chunk":
        keys = [self._key(doc, target) for doc in docs]
        known = self.cache.get(dict.fromkeys(keys))
        missing = {
            key: read_segment(doc)
            for key, doc in zip(keys, docs, strict=True)
            # what an earlier chunk waits for is in the cache by the time it is needed
            if key not in known and key not in pending
        }
        # sorted, so that a model gets to see the same batches in every run
        order = sorted(missing, key=lambda key: (len(missing[key].text), key))
        return _Chunk(target, docs, keys, {key: missing[key] for key in order})

    def _finish(self, chunk: "_Chunk", outcomes: Sequence[Outcome]) -> None:
        report = self.report[chunk.target]
        new = dict(zip(chunk.missing, outcomes, strict=True))
        known = self.cache.get(dict.fromkeys(chunk.keys))
        self.cache.put(new)
        report.sentences += len(chunk.docs)
        for key, doc in zip(chunk.keys, chunk.docs, strict=True):
            outcome = known[key] if key in known else new[key]
            report.reused += key in known and isinstance(outcome, Segment)
            if isinstance(outcome, Failure):
                place = {"group": get_group(doc) or "", "text": doc.text}
                if outcome.missing:
                    report.missing.append(place)
                else:
                    report.failed.append({**place, "reason": outcome.reason})

    def project(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Follow each source doc by its translations. Other docs are passed on.

        docs (Iterable[Doc]): The corpus.
        YIELDS (Doc): The docs, the views of a group one after the other.
        """
        for groups in _chunks(iter_runs(docs, get_group)):
            found = [
                (index, doc, target, segment, tokenize(segment, target))
                for index, doc, target, segment in self._find_translations(groups)
            ]
            vectors: dict[int, numpy.ndarray] = {}
            if self.vectors is not None and found:
                both = {id(doc): doc for _, source, _, _, view in found for doc in (source, view)}
                vectors = dict(zip(both, self.vectors(list(both.values())), strict=True))
            views: dict[int, list[Doc]] = {}
            for index, doc, target, segment, view in found:
                pair = self.pairs[target]
                projected = make_translation(
                    doc,
                    segment,
                    view,
                    langs=(self.source, target),
                    vectors=(vectors.get(id(doc)), vectors.get(id(view))),
                    lexicon=pair.lexicon,
                    min_confidence=self.min_confidence,
                )
                count_entities(self.report[target], projected, doc)
                if self._keep(projected):
                    self.report[target].views += 1
                    views.setdefault(index, []).append(projected.doc)
            for index, group in enumerate(groups):
                yield from group
                yield from views.get(index, [])

    def _key(self, doc: Doc, target: str) -> str:
        identity = self.pairs[target].engine.identity
        return make_key(identity, self.source, target, read_segment(doc))

    def _find_sources(
        self, groups: Sequence[Sequence[Doc]], target: str
    ) -> Iterator[tuple[int, Doc]]:
        """Yield the docs that need a translation, each with the index of its group."""
        for index, group in enumerate(groups):
            views = [get_view(doc) for doc in group]
            if any(view and (view.kind, view.lang) == ("translation", target) for view in views):
                continue
            for doc, view in zip(group, views, strict=True):
                if view and view.kind == "source" and doc.text.strip():
                    yield index, doc

    def _find_translations(
        self, groups: Sequence[Sequence[Doc]]
    ) -> Iterator[tuple[int, Doc, str, Segment]]:
        """Yield cached translations: group index, source doc, target language, translation."""
        for target in self.pairs:
            sources = list(self._find_sources(groups, target))
            keys = [self._key(doc, target) for _, doc in sources]
            known = self.cache.get(dict.fromkeys(keys))
            for (index, doc), key in zip(sources, keys, strict=True):
                segment = known.get(key)
                if isinstance(segment, Segment):
                    if not {one.label for one in segment.labels or ()} <= set(self.labels):
                        segment = segment._replace(labels=None)
                    yield index, doc, target, segment

    def _keep(self, projected: Projected) -> bool:
        """Decide whether to write a view; an incomplete one may lose its labels instead."""
        if projected.complete or self.incomplete == "keep":
            return True
        view = get_view(projected.doc)
        if self.incomplete == "drop" or view is None:
            return False
        set_view(projected.doc, replace(view, labelled=False))
        return True


def count_entities(report: LanguageReport, projected: Projected, source: Doc) -> None:
    """Add a translation to a report.

    report (LanguageReport): The report.
    projected (Projected): The translation.
    source (Doc): Its source.
    """
    report.incomplete += not projected.complete
    for ent, place in zip(projected.entities, projected.placements, strict=True):
        counts = report.labels.setdefault(ent.label_, LabelCounts())
        counts.entities += 1
        counts.projected += place is not None
        counts.repaired += place is not None and place.repaired
        counts.dropped += place is None
        kind = "dropped" if place is None else "repaired" if place.repaired else None
        if kind and len(report.examples.setdefault(kind, [])) < EXAMPLES:
            example = {"label": ent.label_, "entity": ent.text}
            if place is not None:
                example["translated"] = projected.doc[place.start : place.end].text
            example.update(source=source.text, translation=projected.doc.text)
            report.examples[kind].append(example)


def translate(
    path: Path,
    out: Path,
    *,
    source: str,
    targets: Sequence[str],
    engine: str = AUTO,
    settings: Optional[EngineSettings] = None,
    encoder: str = "",
    min_confidence: float = 0.0,
    incomplete: str = "drop",
    cache: Optional[Path] = None,
    report_path: Optional[Path] = None,
    progress: bool = False,
    run: Optional[Run] = None,
) -> Report:
    """Write translated views of a corpus, each behind its source, with the entities projected.

    path (Path): A `.spacy` file, or a folder of them.
    out (Path): The `.spacy` file to write, all or nothing.
    source (str): Language of the corpus.
    targets (Sequence[str]): Languages to translate into.
    engine (str): Name of the engine, or "auto" for the first that can do a pair of languages.
    settings (Optional[EngineSettings]): What the engine is told. The lexicons also align words.
    encoder (str): Folder or hub name of the encoder whose vectors align words. Without one, names
        and lexicons have to do.
    min_confidence (float): Entities below it count as not placed.
    incomplete (str): What to do with a translation in which an entity has no place: "drop" it,
        write it "unlabelled", so that it serves as contrast and trains no labels, or "keep" it
        with those that it has.
    cache (Optional[Path]): File that keeps the translations. If None, it is beside the output.
    report_path (Optional[Path]): File to write the report to.
    progress (bool): Show progress bars, if there is a terminal.
    run (Optional[Run]): Runs the engines in other processes: it gets a function that makes a
        worker, and tasks of a name and a payload, and yields names and results.
    RETURNS (Report): The counts by target language.
    """
    path, out = Path(path), Path(out)
    settings = settings or EngineSettings()
    shards = find_shards(path)
    if out.resolve() in (shard.resolve() for shard in shards):
        raise CrossnerError(Errors.CN213.format(path=out))
    if not 0.0 <= min_confidence <= 1.0:
        raise CrossnerError(Errors.CN407.format(value=min_confidence))
    check_choice("incomplete", incomplete, INCOMPLETE)
    pairs: dict[str, Pair] = {}
    report: Report = {}
    for target in dict.fromkeys(targets):
        name, translator = make_engine(engine, source, target, settings)
        lexicon = settings.lexicons.get(target)
        pairs[target] = Pair(translator, read_lexicon(lexicon, source, target) if lexicon else None)
        report[target] = LanguageReport(name)
    vectors = None
    if encoder:
        from spacy_crossner.translate.vectors import load_vectors

        vectors = load_vectors(encoder)
    total, labels = check_docs(iter_docs(shards, source), source, path)
    # fail now, not after hours of translating, if the report can't be written
    for written in filter(None, (out, report_path)):
        make_parent(written)
        refuse_input(written, [path, *settings.memory, *settings.lexicons.values()])

    def iter_with_bar(title: str) -> Iterable[Doc]:
        docs = iter_docs(shards, source)
        hidden = None if progress else True
        return tqdm(docs, title, total, disable=hidden, leave=False, unit=" docs")

    store = Cache(cache or out.with_name(f"{out.name}.cache"))
    translation = Translation(
        source,
        pairs,
        store,
        report,
        min_confidence=min_confidence,
        incomplete=incomplete,
        vectors=vectors,
        labels=labels,
        settings=settings,
    )
    try:
        translation.translate(iter_with_bar("Translating"), run)
        write_docs(out, translation.project(iter_with_bar("Projecting labels")))
    finally:
        store.close()
    if report_path is not None:
        write_report(report_path, report)
    return report


def iter_docs(shards: Sequence[Path], source: str) -> Iterator[Doc]:
    """Read a corpus.

    shards (Sequence[Path]): Its files.
    source (str): Language of docs without a view.
    YIELDS (Doc): The docs, each with a view.
    """
    vocab = Vocab()
    for shard in shards:
        for doc in read_docs(shard, vocab):
            ensure_view(doc, source)
            yield doc


def check_docs(docs: Iterable[Doc], source: str, path: Path) -> tuple[int, set[str]]:
    """Refuse a corpus that can't be translated from a language.

    docs (Iterable[Doc]): The corpus.
    source (str): The language.
    path (Path): The place for messages.
    RETURNS (tuple[int, set[str]]): The number of docs, and the labels of their entities.
    """
    total = sources = 0
    labels: set[str] = set()
    for doc in docs:
        view = get_view(doc)
        total += 1
        if view is not None and view.kind == "source":
            sources += 1
            if view.lang not in ("xx", source):
                raise CrossnerError(Errors.CN404.format(path=path, found=view.lang, source=source))
            labels.update(ent.label_ for ent in doc.ents)
            for group in label_groups(doc).values():
                labels.update(span.label_ for span in group)
    if not sources:
        raise CrossnerError(Errors.CN405.format(path=path))
    return total, labels


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON, in one step.

    path (Path): The file.
    report (Report): The report.
    """
    content = {target: asdict(one) for target, one in report.items()}
    for one in content.values():
        del one["reused"]  # a run that was interrupted has the same report
    write_json(path, content)


def _chunks(groups: Iterable[list[Doc]]) -> Iterator[list[list[Doc]]]:
    """Collect groups into chunks of about `CHUNK` docs."""
    chunk: list[list[Doc]] = []
    size = 0
    for group in groups:
        chunk.append(group)
        size += len(group)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def tabulate(result: Mapping[str, LanguageReport]) -> tuple[tuple[str, ...], list[tuple]]:
    """Make a table with a row per language.

    result (Mapping[str, LanguageReport]): Reports by target language.
    RETURNS (Tuple): The header and the rows.
    """
    header = ("lang", "engine", "translated", "in cache", "entities", "projected", "repaired")
    rows = []
    for target, one in result.items():
        translated = one.sentences - len(one.missing) - len(one.failed)
        counts = [
            sum(getattr(label, key) for label in one.labels.values())
            for key in ("entities", "projected", "repaired", "dropped")
        ]
        row = (target, one.engine, f"{translated} of {one.sentences}", one.reused, *counts)
        rows.append((*row, one.incomplete))
    return (*header, "dropped", "incomplete"), rows


def describe(report: LanguageReport) -> Iterator[str]:
    """Say what went wrong in the translation into one language.

    report (LanguageReport): The report of the language.
    YIELDS (str): Lines.
    """
    for kind, examples in sorted(report.examples.items()):
        for one in examples:
            became = f" -> '{one['translated']}'" if "translated" in one else ""
            yield f"{kind}: '{one['entity']}'{became} in: {one['translation']}"
    if report.missing:
        yield (
            f"{len(report.missing)} of {report.sentences} sentences are not in the memory; they "
            "train without a translation"
        )
    for one in report.failed[:EXAMPLES]:
        yield f"failed: {one['text']}: {one['reason']}"
    if len(report.failed) > EXAMPLES:
        yield f"failed in all: {len(report.failed)}; the report has all of them"
