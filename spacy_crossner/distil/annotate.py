"""Annotate target text with teachers: texts in, docs with soft targets and confident entities out.

The work is done in shards that are written one by one and do not depend on each other: a run that
was interrupted continues with the first missing shard and gives the same files. Shards can also be
written by several processes: `load_annotator` gives a process all that `write_shard` needs.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import spacy
from spacy.tokens import Doc, Span
from spacy.util import fix_random_seed, minibatch
from tqdm import tqdm

from spacy_crossner.about import __version__
from spacy_crossner.checks import check_choice, check_least, check_range
from spacy_crossner.data.shards import DOCS_PER_SHARD, SUFFIX, write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.distil.inputs import Survey, Text, find_texts, iter_texts, survey
from spacy_crossner.distil.manifest import Manifest, Tally, open_folder, write_manifest
from spacy_crossner.distil.outputs import TeacherOutput, make_outputs
from spacy_crossner.distil.probs import join
from spacy_crossner.distil.teachers import (
    Teacher,
    collect,
    find_folder,
    load_teacher,
    predict_probs,
)
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint
from spacy_crossner.ml.heads import find_spaces
from spacy_crossner.pipeline.select import trim_spaces

# Key of a doc's user data: how sure the teachers are of a text, and how far they agree.
JUDGEMENT = "spacy_crossner.judgement"
SCHEMES = ("same", "bio", "relations")
LABELS = ("same", "common", "union")
TARGETS = ("soft", "hard", "both")
MOST_BIAS = 10.0
MOST_SHARPEN = 10.0


@dataclass(frozen=True)
class Settings:
    """All that decides what is annotated, except for the texts; `annotate` documents each field.

    Plain values only, so that other processes can get them.
    """

    teachers: tuple[str, ...]
    confidence: float = 0.9
    targets: str = "soft"
    scheme: str = "same"
    labels: str = "same"
    passes: int = 1
    bias: Optional[float] = None
    sharpen: float = 1.0
    seed: int = 0
    batch_size: int = 64
    n_process: int = 1

    def __post_init__(self) -> None:
        check_choice("scheme", self.scheme, SCHEMES)
        check_choice("labels", self.labels, LABELS)
        check_choice("targets", self.targets, TARGETS)
        check_range("confidence", self.confidence, 0.5, 1.0)
        if self.bias is not None:
            check_range("bias", self.bias, 0.0, MOST_BIAS)
        check_range("sharpen", self.sharpen, 1.0, MOST_SHARPEN)
        for setting in ("passes", "batch_size", "n_process"):
            check_least(setting, getattr(self, setting))


@dataclass
class Annotator:
    """Annotates texts with loaded teachers.

    settings (Settings): The settings.
    teachers (list[Teacher]): The teachers, once for each pass.
    scheme (str): Scheme of the soft targets.
    labels (tuple[str, ...]): The entity types.
    """

    settings: Settings
    teachers: list[Teacher]
    scheme: str
    labels: tuple[str, ...]

    @property
    def threshold(self) -> float:
        """RETURNS (float): Least score of an entity."""
        return min(teacher.ner.threshold for teacher in self.teachers)

    def annotate_docs(self, texts: Sequence[Text]) -> Iterator[tuple[Doc, TeacherOutput, float]]:
        """Annotate texts.

        texts (Sequence[Text]): The texts.
        YIELDS (tuple[Doc, TeacherOutput, float]): The docs, what a student learns from them, and
            how far the teachers agree on each.
        """
        settings = self.settings
        vocab = self.teachers[0].nlp.vocab
        docs: Iterable[Any] = (t.text if t.words is None else t.make_doc(vocab) for t in texts)
        for teacher in self.teachers:
            docs = predict_probs(
                teacher, docs, batch_size=settings.batch_size, n_process=settings.n_process
            )
        sources = iter(texts)
        for batch in minibatch(docs, settings.batch_size):
            probs, agreements = join(collect(batch, self.teachers), self.scheme, self.labels)
            outputs = make_outputs(
                probs,
                confidence=settings.confidence,
                threshold=self.threshold,
                sharpen=settings.sharpen,
            )
            for doc, output, agreement in zip(batch, outputs, agreements, strict=True):
                spaces = find_spaces(doc)
                output.entities = trim_spaces(output.entities, spaces)
                output.sure = trim_spaces(output.sure, spaces)
                self.set_targets(doc, output, agreement, next(sources))
                yield doc, output, agreement

    def set_targets(self, doc: Doc, output: TeacherOutput, agreement: float, text: Text) -> None:
        """Write entities, view and soft targets to a doc.

        doc (Doc): The doc.
        output (TeacherOutput): What a student learns from it.
        agreement (float): How far the teachers agree.
        text (Text): The text that it was made of.
        """
        unsure = [doc[i : i + 1] for i in output.unsure.nonzero()[0].tolist()]
        ents = [Span(doc, m.start, m.end, label=m.label) for m in output.sure]
        doc.set_ents(ents, missing=unsure, default="outside")
        view = View(text.group, "target", text.lang, labelled=self.settings.targets != "soft")
        if self.settings.targets != "hard":
            view.soft = output.soft
        set_view(doc, view)
        doc.user_data[JUDGEMENT] = {
            "certainty": round(output.certainty, 4),
            "agreement": round(agreement, 4),
        }


def load_annotator(settings: Settings) -> Annotator:
    """Load the teachers. Any process that does so annotates texts in the same way.

    settings (Settings): The settings.
    RETURNS (Annotator): Annotates texts.
    """
    teachers = [load_teacher(name, bias=settings.bias) for name in settings.teachers]
    scheme = settings.scheme
    schemes = {teacher.ner.scheme for teacher in teachers}
    if scheme == "same":
        if len(schemes) > 1:
            raise CrossnerError(Errors.CN512)
        scheme = schemes.pop()
    labels = choose_labels([teacher.ner.labels for teacher in teachers], settings.labels)
    if settings.passes > 1:
        again = [load_teacher(name, dropout=True, bias=settings.bias) for name in settings.teachers]
        teachers += [teacher for teacher in again for _ in range(settings.passes - 1)]
    return Annotator(settings, teachers, scheme, labels)


def choose_labels(sets: Sequence[tuple[str, ...]], how: str) -> tuple[str, ...]:
    """Reconcile the label sets of teachers.

    sets (Sequence[tuple[str, ...]]): The labels of each teacher.
    how (str): "same" refuses sets that differ; "common" takes the labels that all teachers know,
        and other entities count as outside; "union" takes all labels, each from the teachers that
        know it.
    RETURNS (tuple[str, ...]): The labels; where teachers differ, sorted as students sort theirs.
    """
    first = sets[0]
    if all(labels == first for labels in sets):
        return first
    everything = set().union(*sets)
    shared = everything.intersection(*sets)
    if how == "same" and shared != everything:
        differing = ", ".join(sorted(everything - shared))
        raise CrossnerError(Errors.CN503.format(differing=differing))
    chosen = everything if how == "union" else shared
    if not chosen:
        raise CrossnerError(
            Errors.CN510.format(sets="; ".join(", ".join(labels) for labels in sets))
        )
    return tuple(sorted(chosen))


def annotate(
    teachers: Sequence[str],
    path: Path,
    out: Path,
    *,
    lang: str = "xx",
    langs: Optional[Collection[str]] = None,
    confidence: float = 0.9,
    targets: str = "soft",
    scheme: str = "same",
    labels: str = "same",
    passes: int = 1,
    bias: Optional[float] = None,
    sharpen: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    n_process: int = 1,
    shard_size: int = DOCS_PER_SHARD,
    restart: bool = False,
    gpu_id: int = -1,
) -> tuple[Manifest, Survey]:
    """Annotate texts with teachers.

    teachers (Sequence[str]): Pipelines with `token_label_ner` or `token_pair_ner`, by folder or by
        name. Their probabilities are averaged.
    path (Path): A .txt file (a text a line), a .jsonl file (objects with a "text"), a .spacy file,
        or a folder of them. Docs keep their tokens, group and language, and lose their labels.
    out (Path): The folder to write.
    lang (str): The language of texts that don't say theirs.
    langs (Optional[Collection[str]]): Only annotate texts in these languages. None annotates all.
    confidence (float): Least probability of a confident entity or a confident O. Other tokens get
        no annotation.
    targets (str): What students learn from: "soft" for the probabilities, "hard" for the confident
        labels as if they were gold, or "both".
    scheme (str): The soft targets' scheme: "bio" for `token_label_ner`, "relations" for
        `token_pair_ner`, "same" for that of the teachers.
    labels (str): What to do if the teachers' labels differ: see `choose_labels`.
    passes (int): How often each teacher reads a text: once without dropout, then with dropout.
    bias (Optional[float]): Subtracted from the teachers' log odds of O, as in other languages than
        their own they miss more entities. None keeps the bias of their calibration.
    sharpen (float): The power that soft targets are raised to. Above 1, students become more
        confident than their teachers. Confident labels do not change.
    seed (int): Seed of dropout.
    batch_size (int): Texts per batch.
    n_process (int): Number of processes.
    shard_size (int): Texts per file.
    restart (bool): Replace an annotation in `out` that has other settings, teachers or texts,
        instead of refusing. One with the same is continued.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (tuple[Manifest, Survey]): What was written, and what could not be read.
    """
    settings = Settings(
        teachers=tuple(map(str, teachers)),
        confidence=confidence,
        targets=targets,
        scheme=scheme,
        labels=labels,
        passes=passes,
        bias=bias,
        sharpen=sharpen,
        seed=seed,
        batch_size=batch_size,
        n_process=n_process,
    )
    check_least("shard_size", shard_size)
    files = find_texts(path)
    if out.resolve() in (path.resolve(), *path.resolve().parents):
        raise CrossnerError(Errors.CN213.format(path=out))
    if gpu_id >= 0:
        spacy.require_gpu(gpu_id)
    annotator = load_annotator(settings)
    known = survey(files, lang, langs)
    manifest = open_folder(out, identify(annotator, files, lang, langs, shard_size), restart)
    if not manifest.complete or len(manifest.shards) * shard_size < known.texts:
        _fill(out, annotator, iter_texts(files, lang, langs), manifest, known.texts)
    return manifest, known


def identify(
    annotator: Annotator,
    files: Sequence[Path],
    lang: str,
    langs: Optional[Collection[str]],
    shard_size: int,
) -> dict[str, Any]:
    """Write down all that decides the content of the shards, for the manifest.

    annotator (Annotator): The teachers and settings.
    files (Sequence[Path]): The texts.
    lang (str): The language of texts that don't say theirs.
    langs (Optional[Collection[str]]): The languages to annotate.
    shard_size (int): Texts per shard.
    RETURNS (dict[str, Any]): Plain values.
    """
    settings = annotator.settings
    return {
        "version": __version__,
        "teachers": [fingerprint(find_folder(name)) for name in settings.teachers],
        "texts": [fingerprint(file) for file in files],
        "language": lang,
        "languages": langs and sorted(langs),
        "confidence": settings.confidence,
        "targets": settings.targets,
        "scheme": annotator.scheme,
        "labels": list(annotator.labels),
        "passes": settings.passes,
        "bias": settings.bias,
        "sharpen": settings.sharpen,
        "seed": settings.seed,
        "batch size": settings.batch_size,
        "shard size": shard_size,
    }


def find_text_languages(path: Path, lang: str) -> set[str]:
    """List the languages of texts to annotate.

    path (Path): A .txt, .jsonl or .spacy file, or a folder of them.
    lang (str): The language of texts that don't say theirs; empty stands for "xx".
    RETURNS (set[str]): The language codes.
    """
    files = find_texts(path)
    if lang and not any(file.suffix == SUFFIX for file in files):
        return {lang}
    return {text.lang for text in iter_texts(files, lang or "xx")}


def _fill(
    out: Path, annotator: Annotator, texts: Iterator[Text], manifest: Manifest, total: int
) -> None:
    with tqdm(total=total, desc=out.name, unit=" texts", disable=None) as progress:
        for number, shard in iter_shards(texts, manifest.settings["shard size"]):
            name = shard_name(number)
            if name not in manifest.shards:
                manifest.shards[name] = write_shard(
                    out / name, annotator, shard, number, progress.update
                )
                write_manifest(out, manifest)
            else:
                progress.update(len(shard))
    manifest.complete = True
    write_manifest(out, manifest)


def iter_shards(texts: Iterable[Text], size: int) -> Iterator[tuple[int, list[Text]]]:
    """Divide texts into shards.

    texts (Iterable[Text]): The texts.
    size (int): Texts per shard.
    YIELDS (tuple[int, list[Text]]): The number of each shard, from 1, and its texts.
    """
    texts = iter(texts)
    number = 0
    while shard := list(islice(texts, size)):
        number += 1
        yield number, shard


def shard_name(number: int) -> str:
    """RETURNS (str): The file name of a shard."""
    return f"part-{number:05d}{SUFFIX}"


def write_shard(
    path: Path,
    annotator: Annotator,
    texts: Sequence[Text],
    number: int,
    progress: Callable[[int], Any] = lambda done: None,
) -> dict[str, Tally]:
    """Annotate the texts of one shard and write them. The result depends on nothing else.

    path (Path): The file to write.
    annotator (Annotator): The teachers and settings.
    texts (Sequence[Text]): The texts.
    number (int): The number of the shard, which seeds dropout.
    progress (Callable[[int], Any]): Called with the number of texts that are done since last time.
    RETURNS (dict[str, Tally]): Counts for each language.
    """
    tallies: dict[str, Tally] = {}
    fix_random_seed(random.Random(f"{annotator.settings.seed} {number}").getrandbits(32))

    def annotate_and_count() -> Iterator[Doc]:
        annotated = annotator.annotate_docs(texts)
        for text, (doc, output, agreement) in zip(texts, annotated, strict=True):
            tallies.setdefault(text.lang, Tally()).add(_count(doc, output, agreement))
            progress(1)
            yield doc

    with ExitStack() as stack:
        # the words of a corpus would fill the vocab
        for nlp in {id(t.nlp): t.nlp for t in annotator.teachers}.values():
            stack.enter_context(nlp.memory_zone())
        write_docs(path, annotate_and_count())
    return tallies


def _count(doc: Doc, output: TeacherOutput, agreement: float) -> Tally:
    tally = Tally(
        docs=1,
        tokens=len(doc),
        masked=int(output.unsure.sum()),
        found=len(output.entities),
        correct=sum(mention.score for mention in output.entities),
        expected=output.expected,
        agreement=agreement,
        soft_bytes=output.soft.index.nbytes + output.soft.probs.nbytes,
    )
    tally.entities.update(mention.label for mention in output.sure)
    return tally
