"""Teachers label target text: texts in, docs with soft targets and sure entities out.

The work is done in shards. Each is written when it is done, and none depends on the others: work
that was stopped goes on with the first shard that is missing, and gives the same files as work that
was not.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
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


@dataclass
class Annotator:
    """Asks teachers about texts; `annotate` says what the settings mean."""

    teachers: list[Teacher]
    scheme: str
    labels: tuple[str, ...]
    confidence: float
    targets: str
    sharpen: float
    batch_size: int
    n_process: int

    @property
    def threshold(self) -> float:
        """RETURNS (float): Least score of an entity."""
        return min(teacher.ner.threshold for teacher in self.teachers)

    def annotate_docs(self, texts: Sequence[Text]) -> Iterator[tuple[Doc, TeacherOutput, float]]:
        """Annotate texts.

        texts (Sequence[Text]): The texts.
        YIELDS (tuple[Doc, TeacherOutput, float]): The docs, what they teach, and how far teachers
            agree on each.
        """
        vocab = self.teachers[0].nlp.vocab
        docs: Iterable[Any] = (t.text if t.words is None else t.make_doc(vocab) for t in texts)
        for teacher in self.teachers:
            docs = predict_probs(
                teacher, docs, batch_size=self.batch_size, n_process=self.n_process
            )
        names = iter(texts)
        for batch in minibatch(docs, self.batch_size):
            opinion, agreements = join(collect(batch, self.teachers), self.scheme, self.labels)
            outputs = make_outputs(
                opinion,
                confidence=self.confidence,
                threshold=self.threshold,
                sharpen=self.sharpen,
            )
            for doc, output, agreement in zip(batch, outputs, agreements, strict=True):
                spaces = find_spaces(doc)
                output.entities = trim_spaces(output.entities, spaces)
                output.sure = trim_spaces(output.sure, spaces)
                self.write_lesson(doc, output, agreement, next(names))
                yield doc, output, agreement

    def write_lesson(self, doc: Doc, output: TeacherOutput, agreement: float, text: Text) -> None:
        """Put on a doc what it teaches.

        doc (Doc): The doc.
        output (TeacherOutput): What it teaches.
        agreement (float): How far the teachers agree.
        text (Text): Where it comes from.
        """
        unsure = [doc[i : i + 1] for i in output.unsure.nonzero()[0].tolist()]
        ents = [Span(doc, m.start, m.end, label=m.label) for m in output.sure]
        doc.set_ents(ents, missing=unsure, default="outside")
        view = View(text.group, "target", text.lang, labelled=self.targets != "soft")
        if self.targets != "hard":
            view.soft = output.soft
        set_view(doc, view)
        doc.user_data[JUDGEMENT] = {
            "certainty": round(output.certainty, 4),
            "agreement": round(agreement, 4),
        }


def choose_labels(sets: Sequence[tuple[str, ...]], how: str) -> tuple[str, ...]:
    """Reconcile the label sets of teachers.

    sets (Sequence[tuple[str, ...]]): The labels of each teacher.
    how (str): "same" refuses sets that differ; "common" takes what all know, and what others know
        counts as no entity; "union" takes what any knows, each from those that know it.
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
    """Let teachers label texts.

    teachers (Sequence[str]): Pipelines with `token_label_ner` or `token_pair_ner`, by folder or by
        name. Their probabilities are averaged.
    path (Path): A .txt file (a text a line), a .jsonl file (objects with a "text"), a .spacy file,
        or a folder of them. Docs keep their tokens, group and language, and lose their labels.
    out (Path): The folder to write.
    lang (str): The language of texts that don't say theirs.
    confidence (float): Least probability of what is written as sure: an entity, or that a token
        lies outside of all. Other tokens have no annotation.
    targets (str): What students learn from: "soft" for the probabilities, "hard" for what is sure
        as if it were gold, or "both".
    scheme (str): The soft targets' scheme: "bio" for `token_label_ner`, "relations" for
        `token_pair_ner`, "same" for that of the teachers.
    labels (str): What to do if the teachers' labels differ: see `choose_labels`.
    passes (int): How often each teacher reads a text: the first time as always, then with dropout.
    bias (Optional[float]): What is taken off the teachers' log odds that a token is outside of all
        entities: in other languages than their own they miss more. None leaves it to what their
        calibration chose.
    sharpen (float): The power that soft targets are raised to: above 1, students learn to be surer
        than their teachers. What is written as sure does not change.
    seed (int): Decides what dropout drops.
    batch_size (int): Texts to read at a time.
    n_process (int): Number of processes.
    shard_size (int): Texts per file.
    restart (bool): Replace an annotation in `out` that has other settings, other teachers or other
        texts, instead of refusing. One with the same is gone on with.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (tuple[Manifest, Survey]): What was written, and what could not be read.
    """
    check_choice("scheme", scheme, SCHEMES)
    check_choice("labels", labels, LABELS)
    check_choice("targets", targets, TARGETS)
    check_range("confidence", confidence, 0.5, 1.0)
    if bias is not None:
        check_range("bias", bias, 0.0, MOST_BIAS)
    check_range("sharpen", sharpen, 1.0, MOST_SHARPEN)
    for setting, number in (
        ("passes", passes),
        ("batch_size", batch_size),
        ("n_process", n_process),
        ("shard_size", shard_size),
    ):
        check_least(setting, number)
    files = find_texts(path)
    if out.resolve() in (path.resolve(), *path.resolve().parents):
        raise CrossnerError(Errors.CN213.format(path=out))
    if gpu_id >= 0:
        spacy.require_gpu(gpu_id)
    loaded = [load_teacher(name, bias=bias) for name in teachers]
    schemes = {teacher.ner.scheme for teacher in loaded}
    if scheme == "same" and len(schemes) > 1:
        raise CrossnerError(Errors.CN512)
    chosen = choose_labels([teacher.ner.labels for teacher in loaded], labels)
    if scheme == "same":
        scheme = schemes.pop()
    settings: dict[str, Any] = {
        "version": __version__,
        "teachers": [fingerprint(find_folder(name)) for name in teachers],
        "texts": [fingerprint(file) for file in files],
        "language": lang,
        "confidence": confidence,
        "targets": targets,
        "scheme": scheme,
        "labels": list(chosen),
        "passes": passes,
        "bias": bias,
        "sharpen": sharpen,
        "seed": seed,
        "batch size": batch_size,
        "shard size": shard_size,
    }
    known = survey(files, lang)
    manifest = open_folder(out, settings, restart)
    if passes > 1:
        rereaders = [load_teacher(name, dropout=True, bias=bias) for name in teachers]
        loaded += [teacher for teacher in rereaders for _ in range(passes - 1)]
    annotator = Annotator(
        loaded, scheme, chosen, confidence, targets, sharpen, batch_size, n_process
    )
    if not manifest.complete or len(manifest.shards) * shard_size < known.texts:
        _fill(out, annotator, iter_texts(files, lang), manifest, known.texts)
    return manifest, known


def _fill(
    out: Path, annotator: Annotator, texts: Iterator[Text], manifest: Manifest, total: int
) -> None:
    size, seed = manifest.settings["shard size"], manifest.settings["seed"]
    with tqdm(total=total, desc=out.name, unit=" texts", disable=None) as progress:
        number = 0
        while shard := list(islice(texts, size)):
            number += 1
            name = f"part-{number:05d}{SUFFIX}"
            if name not in manifest.shards:
                # of its own, whatever was done before
                fix_random_seed(random.Random(f"{seed} {number}").getrandbits(32))
                manifest.shards[name] = _write_shard(out / name, annotator, shard, progress)
                write_manifest(out, manifest)
            else:
                progress.update(len(shard))
    manifest.complete = True
    write_manifest(out, manifest)


def _write_shard(
    path: Path, annotator: Annotator, texts: list[Text], progress: tqdm
) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}

    def annotate_and_count() -> Iterator[Doc]:
        annotated = annotator.annotate_docs(texts)
        for text, (doc, output, agreement) in zip(texts, annotated, strict=True):
            tallies.setdefault(text.lang, Tally()).add(_count(doc, output, agreement))
            progress.update()
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
