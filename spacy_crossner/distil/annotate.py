"""Annotate target text with teachers: texts in, docs with soft targets and confident entities out.

The work is done in shards that are written one by one and do not depend on each other: a run that
was interrupted continues with the first missing shard and gives the same files. Shards can also be
written by several processes: `load_annotator` gives a process all that `write_shard` needs.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import fix_random_seed
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.about import __version__
from spacy_crossner.checks import check_least
from spacy_crossner.data.shards import DOCS_PER_SHARD, SUFFIX, find_shards, read_docs, write_docs
from spacy_crossner.distil.annotator import Annotator, Settings, load_annotator
from spacy_crossner.distil.inputs import Survey, Text, as_file, find_texts, iter_texts, survey
from spacy_crossner.distil.manifest import Manifest, Tally, open_folder, write_manifest
from spacy_crossner.distil.outputs import TeacherOutput
from spacy_crossner.distil.pipelines import SAMPLE, PipelineTeacher
from spacy_crossner.distil.report import list_tallies
from spacy_crossner.distil.teachers import (
    Model,
    identify_teacher,
)
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint, write_file
from spacy_crossner.tables import make_frame, render_rows
from spacy_crossner.types import Run, Task

# An annotation with a larger share of masked tokens and no entity teaches nothing.
MOST_MASKED = 0.99
# Fewer texts than this say nothing about a teacher: at the end of a run, and before.
FEW_TEXTS, FEW_SO_FAR = 20, 1000


@dataclass
class Annotation:
    """The result of `annotate`, which prints as a table.

    path (Path): The folder of `.spacy` files.
    manifest (Manifest): The settings and counts of the shards.
    survey (Survey): Counts of the texts, and those that could not be read.
    """

    path: Path
    manifest: Manifest
    survey: Survey

    def __iter__(self) -> Iterator[Any]:
        return iter((self.manifest, self.survey))

    def __str__(self) -> str:
        return render_rows(*list_tallies(self.manifest))

    @property
    def warnings(self) -> list[str]:
        """Warnings to show to the user."""
        tallies = self.manifest.sum_up()
        untaught = sum((tally.untaught for tally in tallies.values()), Counter())
        misaligned = sum(tally.misaligned for tally in tallies.values())
        lines = []
        if untaught:
            found = ", ".join(f"{label} {n}" for label, n in untaught.most_common())
            lines.append(
                f"Masked entities whose labels are not taught: {found}. Rename labels with "
                "--label-map OLD=NEW."
            )
        if misaligned:
            lines.append(f"Masked entities that cut a token: {misaligned}")
        silent = [lang for lang, tally in sorted(tallies.items()) if not tally.found]
        if silent:
            lines.append(f"No entity was found in {', '.join(silent)}.")
        masked = [
            lang
            for lang, tally in sorted(tallies.items())
            if lang not in silent and tally.masked >= MOST_MASKED * tally.tokens
        ]
        if masked:
            lines.append(f"Nearly all tokens are masked in {', '.join(masked)}.")
        return lines

    def to_df(self) -> Any:
        """Convert the counts per language to a data frame. Needs pandas."""
        return make_frame(*list_tallies(self.manifest))

    def docs(self, vocab: Optional[Vocab] = None) -> Iterator[Doc]:
        """Iterate over the annotated docs."""
        vocab = Vocab() if vocab is None else vocab
        for shard in find_shards(self.path):
            yield from read_docs(shard, vocab)


def annotate(
    teachers: Union[Model, Sequence[Model]],
    texts: Union[str, Path, Iterable[Union[str, Doc]]],
    out: Union[str, Path],
    *,
    lang: str = "xx",
    langs: Optional[Collection[str]] = None,
    shard_size: int = DOCS_PER_SHARD,
    restart: bool = False,
    allow_empty: bool = False,
    gpu_id: int = -1,
    run: Optional[Run] = None,
    **settings: Any,
) -> Annotation:
    """Annotate texts with teachers.

    teachers (Union[Model, Sequence[Model]]): Pipelines, given by folder or name, or loaded. The
        probabilities of `token_label_ner` and `token_pair_ner` become soft targets; of other
        pipelines, the entities or spans are used. The probabilities of several teachers are
        averaged.
    texts (Union[str, Path, Iterable]): A .txt file (one text per line), a .jsonl file (objects with
        a "text"), a .spacy file, or a folder of them; or texts or docs. Docs keep their tokens,
        group and language, and lose their labels.
    out (Union[str, Path]): The folder to write.
    lang (str): The language of texts without one.
    langs (Optional[Collection[str]]): Only annotate texts in these languages. None annotates all.
    shard_size (int): Texts per file.
    restart (bool): Replace an annotation in `out` that has other settings, teachers or texts,
        instead of raising an error. One with the same settings is continued.
    allow_empty (bool): Keep an annotation from which a student can't learn, instead of raising an
        error.
    gpu_id (int): The GPU to use, -1 for the CPU.
    run (Optional[Run]): Runs shards in other processes: it is called with a function that makes a
        worker and with tasks of a name and a payload, and yields names and results. The teachers
        must then be given by folder or name.
    settings (Any): Fields of `Settings`, such as confidence, targets, label_map or bias.
    RETURNS (Annotation): The annotation, and the texts that could not be read.
    """
    if isinstance(teachers, (str, Path, Language)):
        teachers = [teachers]
    chosen = Settings(tuple(teachers), **settings)
    check_least("shard_size", shard_size)
    if run is not None and any(isinstance(one, Language) for one in chosen.teachers):
        raise CrossnerError(Errors.CN820)
    out = Path(out)
    # workers in other processes ask for their own GPU
    if gpu_id >= 0 and run is None:
        spacy.require_gpu(gpu_id)
    with ExitStack() as stack:
        path = stack.enter_context(as_file(texts))
        files = find_texts(path)
        # neither may hold the other: the texts would be replaced, or the output read as texts
        own, given = out.resolve(), path.resolve()
        if given.is_relative_to(own) or own.is_relative_to(given):
            raise CrossnerError(Errors.CN213.format(path=out))
        annotator = load_annotator(chosen, iter_texts(files, lang, langs))
        known = survey(files, lang, langs)
        content = identify(annotator, files, lang, langs, shard_size)
        manifest = open_folder(out, content, restart)
        if not manifest.complete or len(manifest.shards) * shard_size < known.texts:
            found = iter_texts(files, lang, langs)
            if run is None:
                run = partial(_run_here, annotator)
            sample = list(islice(iter_texts(files, lang, langs), SAMPLE))
            make_worker = partial(ShardWorker, chosen, sample, gpu_id)
            _fill(out, partial(run, make_worker), found, manifest, known.texts, allow_empty)
        check_annotation(manifest, out, allow_empty)
    return Annotation(out, manifest, known)


def check_annotation(manifest: Manifest, out: Path, allow_empty: bool = False) -> None:
    """Refuse an annotation from which a student would learn nothing.

    manifest (Manifest): What was written so far.
    out (Path): Where.
    allow_empty (bool): Allow it.
    """
    tally = Tally()
    for one in manifest.sum_up().values():
        tally.add(one)
    if allow_empty or tally.docs < (FEW_TEXTS if manifest.complete else FEW_SO_FAR):
        return
    settings = manifest.settings
    if not tally.found:
        untaught = ", ".join(f"{label} {n}" for label, n in tally.untaught.most_common(5))
        reason = f" They found {untaught}, which is not taught." if untaught else ""
        raise CrossnerError(Errors.CN537.format(texts=tally.docs, out=out, reason=reason))
    if tally.masked >= MOST_MASKED * tally.tokens and not tally.entities:
        raise CrossnerError(
            Errors.CN538.format(
                texts=tally.docs,
                out=out,
                share=tally.masked / tally.tokens,
                confidence=settings["confidence"],
            )
        )


def identify(
    annotator: Annotator,
    files: Sequence[Path],
    lang: str,
    langs: Optional[Collection[str]],
    shard_size: int,
) -> dict[str, Any]:
    """Collect the settings that determine the content of the shards, for the manifest.

    annotator (Annotator): The teachers and settings.
    files (Sequence[Path]): The texts.
    lang (str): The language of texts without one.
    langs (Optional[Collection[str]]): The languages to annotate.
    shard_size (int): Texts per shard.
    RETURNS (dict[str, Any]): Plain values.
    """
    settings = annotator.settings
    return {
        "version": __version__,
        "teachers": [identify_teacher(model) for model in settings.teachers],
        **_identify_pipelines(annotator),
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


def _identify_pipelines(annotator: Annotator) -> dict[str, Any]:
    settings = annotator.settings
    found: dict[str, Any] = {"weights": list(settings.weights)} if settings.weights else {}
    if settings.student_labels:
        found["student labels"] = list(settings.student_labels)
    if any(isinstance(teacher, PipelineTeacher) for teacher in annotator.teachers):
        found.update(asdict(settings.reading))
    return found


def find_text_languages(path: Path, lang: str) -> set[str]:
    """List the languages of texts to annotate.

    path (Path): A .txt, .jsonl or .spacy file, or a folder of them.
    lang (str): The language of texts without one; empty for "xx".
    RETURNS (set[str]): The language codes.
    """
    files = find_texts(path)
    if lang and not any(file.suffix == SUFFIX for file in files):
        return {lang}
    return {text.lang for text in iter_texts(files, lang or "xx")}


class ShardWorker:
    """Annotate shards in a worker process with its own teachers."""

    def __init__(self, settings: Settings, sample: Sequence[Text], gpu_id: int = -1):
        """Load the teachers.

        settings (Settings): The settings.
        sample (Sequence[Text]): The first texts; see `load_annotator`.
        gpu_id (int): The GPU to use, -1 for the CPU.
        """
        if gpu_id >= 0:
            spacy.require_gpu(gpu_id)
        self.annotator = load_annotator(settings, sample)

    def __call__(self, payload: tuple[int, Sequence[Text]]) -> tuple[bytes, dict[str, Tally]]:
        """Annotate a shard.

        payload (tuple[int, Sequence[Text]]): The number of the shard and its texts.
        RETURNS (tuple[bytes, dict[str, Tally]]): The content of the file, and the counts.
        """
        return make_shard(self.annotator, *payload)


def make_shard(
    annotator: Annotator, number: int, texts: Sequence[Text]
) -> tuple[bytes, dict[str, Tally]]:
    """Annotate the texts of one shard. The result depends on nothing else.

    annotator (Annotator): The teachers and settings.
    number (int): The number of the shard, which seeds dropout.
    texts (Sequence[Text]): The texts.
    RETURNS (tuple[bytes, dict[str, Tally]]): The content of the file, and the counts of each
        language.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / shard_name(number)
        tallies = write_shard(path, annotator, texts, number)
        return path.read_bytes(), tallies


def _run_here(annotator: Annotator, make_worker: Callable, tasks: Iterable[Task]) -> Iterator[Task]:
    for name, payload in tasks:
        yield name, make_shard(annotator, *payload)


def _fill(
    out: Path,
    run: Callable[[Iterable[Task]], Iterator[Task]],
    texts: Iterator[Text],
    manifest: Manifest,
    total: int,
    allow_empty: bool,
) -> None:
    sizes: dict[str, int] = {}
    with tqdm(total=total, desc=out.name, unit=" texts", disable=None) as progress:

        def iter_tasks() -> Iterator[Task]:
            for number, shard in iter_shards(texts, manifest.settings["shard size"]):
                name = shard_name(number)
                if name in manifest.shards:
                    progress.update(len(shard))
                else:
                    sizes[name] = len(shard)
                    yield name, (number, shard)

        for name, (content, tallies) in run(iter_tasks()):
            write_file(out / name, content)
            manifest.shards[name] = tallies
            write_manifest(out, manifest)
            progress.update(sizes.pop(name))
            # not after hours
            check_annotation(manifest, out, allow_empty)
    # workers end in any order
    manifest.shards = dict(sorted(manifest.shards.items()))
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
    """Make the file name of a shard."""
    return f"part-{number:05d}{SUFFIX}"


def write_shard(
    path: Path,
    annotator: Annotator,
    texts: Sequence[Text],
    number: int,
) -> dict[str, Tally]:
    """Annotate the texts of one shard and write them. The result depends on nothing else.

    path (Path): The file to write.
    annotator (Annotator): The teachers and settings.
    texts (Sequence[Text]): The texts.
    number (int): The number of the shard, which seeds dropout.
    RETURNS (dict[str, Tally]): Counts for each language.
    """
    tallies: dict[str, Tally] = {}
    fix_random_seed(random.Random(f"{annotator.settings.seed} {number}").getrandbits(32))

    def annotate_and_count() -> Iterator[Doc]:
        annotated = annotator.annotate_docs(texts)
        for text, (doc, output, agreement) in zip(texts, annotated, strict=True):
            tallies.setdefault(text.lang, Tally()).add(_count(doc, output, agreement))
            yield doc

    with ExitStack() as stack:
        # the words of a corpus would fill the vocab
        for nlp in annotator.find_pipelines(texts):
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
        soft_bytes=output.soft.nbytes,
        misaligned=output.misaligned,
        untaught=output.untaught,
    )
    tally.entities.update(mention.label for mention in output.sure)
    return tally
