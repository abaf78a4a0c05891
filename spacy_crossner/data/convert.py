"""Convert corpora: from the formats of annotation tools to training docs, and back.

A problem in a file costs one sentence at most, is counted, and is reported with its file and line;
in strict mode the first one ends the conversion. A file whose encoding or layout is wrong as a
whole always does. An entity that cuts a token is never rounded to the token: its tokens are left
without annotation, which training masks, or the sentence is skipped.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Optional

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_choice
from spacy_crossner.data.docs import (
    annotate_spans,
    describe_cuts,
    is_partly_annotated,
    make_sentence,
)
from spacy_crossner.data.formats import (
    AUTO,
    ENDINGS,
    FORMATS,
    SUFFIXES,
    Format,
    Source,
    guess_format,
    list_sources,
)
from spacy_crossner.data.formats.base import shorten
from spacy_crossner.data.formats.brat import ANNOTATION, TEXT
from spacy_crossner.data.groups import (
    SCORES,
    count_gaps,
    count_nested,
    has_labels,
    list_labels,
    relabel_groups,
)
from spacy_crossner.data.languages import find_rules, is_known, split_at
from spacy_crossner.data.sentences import (
    Parsed,
    Problem,
    Sentence,
    outermost,
    relabel,
    split_spaces,
)
from spacy_crossner.data.shards import DOCS_PER_SHARD, check_folder, read_docs, write_docs
from spacy_crossner.data.view import SoftTargets, View, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import atomic_folder, replacing

SHOWN = 3
# Minimum number of labelled sentences for the check, and minimum share without entities.
ENOUGH, SHARE_WITHOUT = 100, 0.02
# Labels that a file of columns can't hold, or reads as no entity.
FORBIDDEN = ("\t", "\n", "\r", "\0")


@dataclass
class Report:
    """The counts and problems of a conversion.

    docs (int): Sentences that were written.
    tokens (int): Their tokens.
    skipped (int): Sentences that were not.
    entities (Counter): Entities by label, without those inside or across others.
    nested (int): Entities inside or across others, or with their parts apart.
    labelled (int): Sentences with annotation.
    empty (int): Sentences with annotation and without an entity.
    scored (int): Sentences whose entities have scores, as models give them.
    problems (dict): By file and error code: how often, and the first few messages.
    notes (list): What is suspicious about the corpus as a whole.
    strict (bool): Whether the first problem ends the conversion.
    """

    docs: int = 0
    tokens: int = 0
    skipped: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    nested: int = 0
    labelled: int = 0
    empty: int = 0
    scored: int = 0
    problems: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    strict: bool = False

    def add_problem(self, problem: Problem, path: Path) -> None:
        """Count a problem, or in strict mode, end the conversion with it."""
        if self.strict:
            raise CrossnerError(problem.message)
        key = (str(path), problem.code)
        count, messages = self.problems.get(key, (0, []))
        self.problems[key] = (count + 1, [*messages, problem.message][:SHOWN])

    def add_doc(self, doc: Doc) -> None:
        """Count a doc."""
        self.docs += 1
        self.tokens += len(doc)
        labels = list_labels(doc)
        self.entities.update(labels)
        self.nested += count_nested(doc) if has_labels(doc) else 0
        view = get_view(doc)
        if has_labels(doc) and (view is None or view.labelled):
            self.labelled += 1
            self.empty += not labels
            self.scored += any(SCORES in group.attrs for group in doc.spans.values())


@dataclass
class Converter:
    """Converts files to docs; the settings are those of `convert`."""

    lang: str
    label_map: Mapping[str, str]
    drop_labels: Collection[str]
    unlabelled: bool
    tokenizer: str
    misaligned: str
    report: Report
    vocab: Vocab = field(default_factory=Vocab)
    tag_names: Sequence[str] = ()
    seen: set[str] = field(default_factory=set)
    groups: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def nlp(self) -> Language:
        """Blank pipeline with the tokenizer."""
        if not is_known(self.lang):
            raise CrossnerError(Errors.CN261.format(lang=self.lang))
        lang, tokenizer = find_rules(self.lang)
        nlp = spacy.blank(lang, config={"nlp": {"tokenizer": tokenizer}}, vocab=self.vocab)
        nlp.max_length = sys.maxsize  # of spaCy's parser, which is not used
        return nlp

    def iter_file(self, path: Path, name: str, format: str) -> Iterator[Doc]:
        """Make the docs of one file.

        path (Path): The file.
        name (str): What its groups are called.
        format (str): Its format.
        YIELDS (Doc): The docs with their views.
        """
        source = Source(path, self.lang, not self.unlabelled, self.tag_names)
        chosen = guess_format(source) if format == AUTO else FORMATS[format]
        if chosen.name == "spacy" and self.tokenizer == "gold":
            docs: Iterator[tuple[Doc, bool]] = map(self.relabel_doc, read_docs(path, self.vocab))
        else:
            docs = self.make_docs(chosen.read(source), path)
        number = 0
        for number, (doc, labelled) in enumerate(docs, start=1):
            view = get_view(doc) or View(f"{name}-{number}", lang=self.lang)
            if view.lang == "xx":
                view.lang = self.lang
            if view.kind == "source" and self.groups.setdefault(view.group, path) != path:
                raise CrossnerError(
                    Errors.CN659.format(first=self.groups[view.group], path=path, group=view.group)
                )
            if not labelled:
                view.kind, view.labelled = "target", False
            set_view(doc, view)
            yield doc
        if not number and not any(file == str(path) for file, _ in self.report.problems):
            self.report.add_problem(Problem(Errors.CN209.format(path=path)), path)

    def make_docs(self, parsed: Iterable[Parsed], path: Path) -> Iterator[tuple[Doc, bool]]:
        """Make docs of sentences, and report their problems.

        parsed (Iterable[Parsed]): The sentences.
        path (Path): The file they are from.
        YIELDS (tuple[Doc, bool]): The docs, and whether they are labelled.
        """
        for item in parsed:
            doc = None
            problems = list(item.problems)
            if item.sentence is not None:
                where = f"{path}, line {item.sentence.line}"
                sentence = item.sentence
                if self.unlabelled:
                    sentence = replace(sentence, spans=None, gapped=(), scores=None)
                self.seen.update(iter_labels(sentence))
                sentence = relabel(sentence, self.label_map, self.drop_labels)
                labelled = sentence.spans is not None
                problem = check_labels(iter_labels(sentence), where)
                if problem is None:
                    doc, more = self.make_doc(sentence, where)
                    problems += more
                else:
                    problems.append(problem)
            for problem in problems:
                self.report.add_problem(problem, path)
            if doc is None:
                self.report.skipped += 1
            else:
                yield doc, labelled

    def make_doc(self, sentence: Sentence, where: str) -> tuple[Optional[Doc], list[Problem]]:
        """Make a doc of a sentence.

        sentence (Sentence): The sentence.
        where (str): Its place for messages.
        RETURNS (tuple): The doc, or None if it has to be skipped, and what is wrong with it.
        """
        if sentence.words is None or self.tokenizer == "text":
            doc = self.nlp.make_doc(sentence.text)
            doc = split_at(doc, (offset for span in sentence.spans or () for offset in span[:2]))
        elif sentence.spaced:
            words, spaces = split_spaces(sentence)
            doc = Doc(self.vocab, words=words, spaces=spaces)
        else:
            doc = Doc(self.vocab, words=list(sentence.words))
        if sentence.spans is None:
            return doc, []
        keep = self.misaligned == "missing"
        cut = annotate_spans(doc, sentence.spans, sentence.gapped, sentence.scores)
        problems = [Problem(message, mended=keep) for message in describe_cuts(doc, cut, where)]
        return (doc if keep or not problems else None), problems

    def relabel_doc(self, doc: Doc) -> tuple[Doc, bool]:
        """Rename, drop or strip the entities of a doc, and leave all else as it is.

        doc (Doc): The doc, with or without a view.
        RETURNS (tuple[Doc, bool]): The doc, and whether its view may say that it is labelled.
        """
        self.seen.update(ent.label_ for ent in doc.ents)
        for group in doc.spans.values():
            self.seen.update(span.label_ for span in group)
        if self.unlabelled:
            doc.set_ents([], default="missing")
            doc.spans.clear()
            if (view := get_view(doc)) is not None:
                set_view(doc, replace(view, soft=None))
            return doc, False
        others = [key for key, group in doc.spans.items() if group and SCORES not in group.attrs]
        if others and not doc.ents and not has_labels(doc):
            raise CrossnerError(Errors.CN935.format(text=shorten(doc.text), key=others[0]))
        kept = [ent for ent in doc.ents if ent.label_ not in self.drop_labels]
        dropped = [ent for ent in doc.ents if ent.label_ in self.drop_labels]
        for ent in kept:
            ent.label_ = self.label_map.get(ent.label_, ent.label_)
        if doc.ents:
            doc.set_ents(kept, outside=dropped, default="unmodified")
        relabel_groups(doc, self.label_map, self.drop_labels)
        relabel_soft(doc, self.label_map, self.drop_labels)
        return doc, get_view(doc) is not None or has_labels(doc)


def relabel_soft(doc: Doc, label_map: Mapping[str, str], drop_labels: Collection[str]) -> None:
    """Rename the classes of a doc's soft targets, if it has some, and bring them into order.

    doc (Doc): The doc.
    label_map (Mapping[str, str]): New labels by old labels.
    drop_labels (Collection[str]): Labels to drop. Probabilities of types that are dropped, or
        become one, can't be told: an error.
    """
    view = get_view(doc)
    if view is None or view.soft is None or not (label_map or drop_labels):
        return
    labels = {name.partition("-")[2] for name in view.soft.classes if "-" in name}
    new = {label: label_map.get(label, label) for label in labels}
    if labels.intersection(drop_labels) or len(set(new.values())) < len(labels):
        raise CrossnerError(
            Errors.CN269.format(text=doc.text[:60], labels=", ".join(sorted(labels)))
        )
    for part in view.soft.parts:
        rename_classes(part, new)
    set_view(doc, view)


def rename_classes(soft: SoftTargets, new: Mapping[str, str]) -> None:
    """Rename the classes of soft targets in place, and bring them into order.

    soft (SoftTargets): The targets, of one scheme.
    new (Mapping[str, str]): New labels by old labels.
    """
    names = [name.partition("-") for name in soft.classes]
    renamed = [(dash, new.get(label, label), part) for part, dash, label in names]
    # as students have them: what has no label first, then by label, B before I
    order = sorted(range(len(renamed)), key=renamed.__getitem__)
    soft.classes = tuple(part + dash + label for dash, label, part in sorted(renamed))
    soft.probs = soft.probs[:, order]


def iter_labels(sentence: Sentence) -> Iterator[str]:
    """Iterate over the labels of a sentence's entities."""
    yield from (label for _, _, label in sentence.spans or ())
    yield from (label for _, label in sentence.gapped)


def check_labels(labels: Iterable[str], where: str) -> Optional[Problem]:
    """Find a label that some formats do not support."""
    for label in labels:
        if label == "O" or any(char in label for char in FORBIDDEN):
            return Problem(Errors.CN912.format(where=where, label=shorten(repr(label))))
    return None


def read_sentences(
    path: Path, format: str = AUTO, lang: str = "xx", labels: bool = False
) -> Iterator[Parsed]:
    """Read the sentences of a file.

    path (Path): The file.
    format (str): One of `FORMATS`.
    lang (str): The language, which determines the spacing if the file does not.
    labels (bool): Whether labels are wanted: if so, label-like keys that are not read are errors.
    YIELDS (Parsed): The sentences in order, with their problems.
    """
    source = Source(path, lang, labels)
    chosen = guess_format(source) if format == AUTO else FORMATS[format]
    return chosen.read(source)


def parse_label_map(text: str) -> dict[str, str]:
    """Read a label map as it is given on the command line.

    text (str): E.g. "PER=PERSON,LOC=GPE".
    RETURNS (dict[str, str]): New labels by old labels.
    """
    label_map: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        old, equals, new = (part.strip() for part in pair.partition("="))
        if not old or not equals or not new or "=" in new or old in label_map:
            raise CrossnerError(Errors.CN214.format(pair=pair))
        label_map[old] = new
    return label_map


def find_inputs(inputs: Sequence[Path], format: str = AUTO) -> list[Path]:
    """List the files to convert, each once.

    inputs (Sequence[Path]): Files and folders.
    format (str): If it is "auto", only files with known endings are taken from a folder.
    RETURNS (list[Path]): The files, those of a folder sorted; folders that are one data set.
    """
    files: dict[Path, Path] = {}
    for path in inputs:
        if not path.exists():
            raise CrossnerError(Errors.CN202.format(path=path))
        found = list_sources(path, format)
        if not found:
            known = ", ".join(sorted(SUFFIXES))
            raise CrossnerError(Errors.CN203.format(path=path, known=known))
        files.update((file.resolve(), file) for file in found)
    # brat's annotation is read with its text
    return [
        file
        for key, file in files.items()
        if key.suffix.lower() != ANNOTATION or key.with_suffix(TEXT) not in files
    ]


def name_groups(files: Sequence[Path]) -> list[str]:
    """Make the shortest unique name for each file."""
    names = [file.stem for file in files]
    if len(set(names)) < len(files):
        names = [file.with_suffix("").as_posix() for file in files]
    if len(set(names)) < len(files):
        names = [file.as_posix() for file in files]
    return names


def convert(
    inputs: Sequence[Path],
    out: Path,
    *,
    format: str = AUTO,
    to: str = AUTO,
    lang: str = "xx",
    label_map: Optional[Mapping[str, str]] = None,
    drop_labels: Collection[str] = (),
    unlabelled: bool = False,
    strict: bool = False,
    limit: int = 0,
    tokenizer: str = "gold",
    misaligned: str = "missing",
    shard_size: int = 0,
    tag_names: Sequence[str] = (),
) -> Report:
    """Convert files into one corpus.

    inputs (Sequence[Path]): Files, or folders of files.
    out (Path): The file or folder to write.
    format (str): The format of the inputs, one of `FORMATS`; "auto" detects it from each file's
        extension and first lines.
    to (str): The format of the output; "auto" is determined by its extension. Without an
        extension, a folder of `.spacy` shards is written.
    lang (str): Language code of the texts.
    label_map (Mapping[str, str]): New labels by old labels.
    drop_labels (Collection[str]): Labels, by their old names, whose entities become plain text.
    unlabelled (bool): Remove the labels: the docs are target text.
    strict (bool): Stop at the first error instead of skipping the sentence.
    limit (int): Maximum number of sentences, 0 for all.
    tokenizer (str): "gold" keeps the tokens of the files; "text" tokenizes their texts anew, and
        gives docs that had views new ones.
    misaligned (str): How to treat an entity that cuts a token: "missing" removes the annotation
        of the tokens, "skip" skips the sentence.
    shard_size (int): Write a folder of files with about this many docs each.
    tag_names (Sequence[str]): Names of tags that are numbers in the files, in order.
    RETURNS (Report): The counts and the problems.
    """
    check_choice("format", format, (AUTO, *FORMATS))
    writable = [name for name, one in FORMATS.items() if one.write or name == "spacy"]
    check_choice("output format", to, (AUTO, *writable))
    check_choice("tokenizer", tokenizer, ("gold", "text"))
    check_choice("misaligned", misaligned, ("missing", "skip"))
    if not is_known(lang):
        raise CrossnerError(Errors.CN261.format(lang=lang))
    label_map = label_map or {}
    files = find_inputs(inputs, format)
    if not out.suffix and to in (AUTO, "spacy") and not shard_size:
        shard_size = DOCS_PER_SHARD
    chosen = _choose_output(out, to, shard_size)
    _check_out(out, files, chosen, shard_size)
    if problem := check_labels(label_map.values(), "--label-map"):
        raise CrossnerError(problem.message)
    report = Report(strict=strict)
    converter = Converter(
        lang, label_map, drop_labels, unlabelled, tokenizer, misaligned, report, tag_names=tag_names
    )
    named = zip(files, name_groups(files), strict=True)
    all_docs = (converter.iter_file(path, name, format) for path, name in named)
    docs = islice(chain.from_iterable(all_docs), limit or None)
    fitting = _report_lost(docs, report, out, chosen)
    first = next(fitting, None)
    if first is None:
        reasons = [message for _, messages in report.problems.values() for message in messages]
        # this message names output formats that can hold the sentences
        masked = report.problems.get((str(out), "CN265"))
        raise CrossnerError(masked[1][0] if masked else Errors.CN210.format(problem=reasons[0]))
    found: Iterator[Doc] = chain([first], fitting)
    found = tqdm(found, desc=out.name, unit=" docs", disable=None, leave=False)
    _write(out, _count(found, report), chosen, shard_size)
    report.notes += list_notes(report, converter, label_map, drop_labels, bool(limit))
    return report


def list_notes(
    report: Report,
    converter: Converter,
    label_map: Mapping[str, str],
    drop_labels: Collection[str],
    limited: bool,
) -> list[str]:
    """List suspicious properties of a corpus.

    report (Report): The counts.
    converter (Converter): It knows which labels occurred.
    label_map (Mapping[str, str]): New labels by old labels.
    drop_labels (Collection[str]): Labels that were to be dropped.
    limited (bool): Whether only the first sentences were read.
    RETURNS (list[str]): Messages.
    """
    notes = []
    unused = [label for label in (*label_map, *drop_labels) if label not in converter.seen]
    if unused and not limited and not converter.unlabelled:
        names = ", ".join(map(shorten, unused))
        there = ", ".join(map(shorten, sorted(converter.seen))) or "none"
        notes.append(Errors.CN916.format(labels=names, there=shorten(there, 200)))
    if report.labelled >= ENOUGH and report.empty < SHARE_WITHOUT * report.labelled:
        notes.append(Errors.CN928.format(count=report.empty, labelled=report.labelled))
    if report.labelled and not report.entities and not report.nested:
        notes.append(Errors.CN910.format(labelled=report.labelled))
    if report.scored:
        notes.append(Errors.CN918.format(count=report.scored))
    return notes


def _choose_output(out: Path, to: str, shard_size: int) -> Format:
    if shard_size and to in (AUTO, "spacy"):
        return FORMATS["spacy"]
    if shard_size:
        raise CrossnerError(Errors.CN932.format(format=to))
    chosen = FORMATS[to] if to != AUTO else ENDINGS.get(out.suffix)
    is_folder = chosen is not None and not chosen.ending
    if chosen is None or (is_folder and out.suffix) or (not is_folder and not out.suffix):
        raise CrossnerError(Errors.CN211.format(path=out))
    return chosen


def _check_out(out: Path, files: Sequence[Path], chosen: Format, shard_size: int) -> None:
    target = out.resolve()
    if any(target in (path.resolve(), *path.resolve().parents) for path in files):
        raise CrossnerError(Errors.CN213.format(path=out))
    if shard_size:
        check_folder(out)
    elif not chosen.ending and out.exists():
        own = out.is_dir() and all(re.fullmatch(r"doc-\d+\.\w+", p.name) for p in out.iterdir())
        if not own:
            raise CrossnerError(Errors.CN914.format(path=out))


def _report_lost(docs: Iterable[Doc], report: Report, out: Path, chosen: Format) -> Iterator[Doc]:
    for number, doc in enumerate(docs, start=1):
        for problem in find_nested(doc, f"{out}, sentence {number}", chosen):
            report.add_problem(problem, out)
        if chosen.write is not None and is_partly_annotated(doc):
            report.add_problem(Problem(Errors.CN265.format(text=doc.text[:60])), out)
            report.skipped += 1
        else:
            yield doc


def find_nested(doc: Doc, where: str, chosen: Format) -> tuple[Problem, ...]:
    """Find the entities of a doc that a format can't represent.

    doc (Doc): The doc.
    where (str): Its place for messages.
    chosen (Format): The format.
    RETURNS (tuple[Problem, ...]): A problem, or none.
    """
    if {"overlaps", "gaps"} <= chosen.holds:
        return ()
    count = count_nested(doc)
    if "overlaps" in chosen.holds:
        count = count_gaps(doc)
    if not count:
        return ()
    message = Errors.CN268.format(where=where, count=count, format=chosen.name)
    return (Problem(message, mended=True),)


def _count(docs: Iterable[Doc], report: Report) -> Iterator[Doc]:
    for doc in docs:
        report.add_doc(doc)
        yield doc


def _write(out: Path, docs: Iterable[Doc], chosen: Format, shard_size: int) -> None:
    if chosen.write is None:
        write_docs(out, docs, shard_size)
        return
    sentences = (fit(make_sentence(doc), chosen) for doc in docs)
    if not chosen.ending:
        with atomic_folder(out) as folder:
            chosen.write(folder, sentences)
        return
    with replacing(out) as temporary:
        chosen.write(temporary, sentences)


def fit(sentence: Sentence, chosen: Format) -> Sentence:
    """Leave out what a format can't hold; `find_nested` has reported it.

    sentence (Sentence): The sentence.
    chosen (Format): The format.
    RETURNS (Sentence): The sentence as the format can write it.
    """
    spans, scores = sentence.spans, sentence.scores
    if spans is None:
        if "unlabelled" not in chosen.holds:
            raise CrossnerError(Errors.CN265.format(text=sentence.text[:60]))
        return sentence
    problem = check_labels(iter_labels(sentence), shorten(sentence.text))
    if problem is not None:
        raise CrossnerError(problem.message)
    if "overlaps" not in chosen.holds:
        flat = tuple(outermost(spans))
        by_span = dict(zip(spans, scores or (), strict=False))
        spans, scores = flat, scores and tuple(by_span[span] for span in flat)
    return replace(
        sentence,
        spans=spans,
        scores=scores if "scores" in chosen.holds else None,
        gapped=sentence.gapped if "gaps" in chosen.holds else (),
    )


def describe(report: Report) -> list[str]:
    """List the problems and notes of a conversion by file.

    report (Report): The report.
    RETURNS (list[str]): For each file and kind of problem, how often it occurred and the first
        few messages; then the notes.
    """
    by_file: dict[str, list[str]] = defaultdict(list)
    for (path, code), (count, messages) in report.problems.items():
        more = [f"    ... and {count - len(messages)} more"] if count > len(messages) else []
        by_file[path] += [f"  {code}: {count}", *(f"    {m}" for m in messages), *more]
    lines = [line for path, lines in by_file.items() for line in (path, *lines)]
    return [*lines, *report.notes]
