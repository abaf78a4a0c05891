"""From the formats in which labels come to the docs that train, and back.

A problem in a file costs one sentence at most, is counted, and is told with its file and line; in
strict mode the first one ends the conversion. A file whose encoding or layout is wrong as a whole
always does. An entity that cuts a token is never rounded to the token: its tokens are left
without annotation, which training masks, or the sentence is skipped.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Optional, cast

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Token
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_choice
from spacy_crossner.data.columns import Scheme, guess_layout, parse_columns, parse_conllu
from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.formats import (
    FORMATS,
    SUFFIXES,
    format_iob2,
    format_jsonl,
    guess_format,
    parse_jsonl,
    parse_text,
)
from spacy_crossner.data.groups import count_nested, has_labels, list_labels, relabel_groups
from spacy_crossner.data.languages import find_rules, is_known, split_at
from spacy_crossner.data.sentences import (
    Parsed,
    Problem,
    Sentence,
    Span,
    relabel,
    split_spaces,
)
from spacy_crossner.data.shards import (
    DOCS_PER_SHARD,
    check_folder,
    find_files,
    read_docs,
    write_docs,
)
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import temporary_beside

HEAD = 500
SHOWN = 3

Writer = Callable[[Sentence], str]
WRITERS: dict[str, Writer] = {
    ".iob2": format_iob2,
    ".conll": format_iob2,
    ".jsonl": format_jsonl,
}


@dataclass
class Report:
    """What a conversion did.

    docs (int): Sentences that were written.
    tokens (int): Their tokens.
    skipped (int): Sentences that were not.
    entities (Counter): Entities by label.
    problems (dict): By file and error code: how often, and the first few messages.
    strict (bool): Whether the first problem ends the conversion.
    """

    docs: int = 0
    tokens: int = 0
    skipped: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    problems: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)
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
        self.entities.update(list_labels(doc))


@dataclass
class Converter:
    """Makes docs out of files; `convert` says what the settings mean."""

    lang: str
    label_map: Mapping[str, str]
    drop_labels: Collection[str]
    unlabelled: bool
    tokenizer: str
    misaligned: str
    report: Report
    vocab: Vocab = field(default_factory=Vocab)

    @cached_property
    def nlp(self) -> Language:
        """RETURNS (Language): The blank pipeline whose tokenizer is used."""
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
        is_docbin = format == "spacy" or (format == "auto" and path.suffix == ".spacy")
        if is_docbin and self.tokenizer == "gold":
            docs: Iterator[tuple[Doc, bool]] = map(self.relabel_doc, read_docs(path, self.vocab))
        else:
            parsed = self.take_apart(path) if is_docbin else read_sentences(path, format, self.lang)
            docs = self.make_docs(parsed, path)
        number = 0
        for number, (doc, labelled) in enumerate(docs, start=1):
            view = get_view(doc) or View(f"{name}-{number}", lang=self.lang)
            if not labelled:
                view.kind, view.labelled = "target", False
            set_view(doc, view)
            yield doc
        if not number and not any(file == str(path) for file, _ in self.report.problems):
            self.report.add_problem(Problem(Errors.CN209.format(path=path)), path)

    def take_apart(self, path: Path) -> Iterator[Parsed]:
        """Take the docs of a file apart, whose texts are to be tokenized anew.

        path (Path): A `.spacy` file.
        YIELDS (Parsed): The sentences.
        """
        for number, doc in enumerate(read_docs(path, Vocab()), start=1):
            where = f"{path}, document {number}"
            try:
                sentence = replace(make_sentence(doc), line=number)
            except CrossnerError as error:
                yield Parsed(None, (Problem(str(error)),))
                continue
            lost = () if self.unlabelled else find_nested(doc, where, self.drop_labels)
            yield Parsed(sentence, lost)

    def make_docs(self, parsed: Iterable[Parsed], path: Path) -> Iterator[tuple[Doc, bool]]:
        """Make docs of sentences, and put what is wrong with them into the report.

        parsed (Iterable[Parsed]): The sentences.
        path (Path): The file they are from.
        YIELDS (tuple[Doc, bool]): The docs, and whether they are labelled.
        """
        for item in parsed:
            doc = None
            problems = list(item.problems)
            if item.sentence is not None:
                sentence = relabel(item.sentence, self.label_map, self.drop_labels)
                if self.unlabelled:
                    sentence = replace(sentence, spans=None)
                labelled = sentence.spans is not None
                doc, more = self.make_doc(sentence, f"{path}, line {sentence.line}")
                problems += more
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
        problems = [
            Problem(describe_cut(doc, span, where), mended=keep)
            for span in annotate_spans(doc, sentence.spans)
        ]
        return (doc if keep or not problems else None), problems

    def relabel_doc(self, doc: Doc) -> tuple[Doc, bool]:
        """Rename, drop or strip the entities of a doc, and leave all else as it is.

        doc (Doc): The doc, with or without a view.
        RETURNS (tuple[Doc, bool]): The doc, and whether its view may say that it is labelled.
        """
        if self.unlabelled:
            doc.set_ents([], default="missing")
            doc.spans.clear()
            if (view := get_view(doc)) is not None:
                set_view(doc, replace(view, soft=None))
            return doc, False
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
    names = [name.partition("-") for name in view.soft.classes]
    labels = {label for _, dash, label in names if dash}
    new = {label: label_map.get(label, label) for label in labels}
    if labels.intersection(drop_labels) or len(set(new.values())) < len(labels):
        raise CrossnerError(
            Errors.CN269.format(text=doc.text[:60], labels=", ".join(sorted(labels)))
        )
    renamed = [(dash, new.get(label, label), part) for part, dash, label in names]
    # as students have them: what has no label first, then by label, B before I
    order = sorted(range(len(renamed)), key=renamed.__getitem__)
    classes = tuple(part + dash + label for dash, label, part in sorted(renamed))
    soft = replace(view.soft, classes=classes, probs=view.soft.probs[:, order])
    set_view(doc, replace(view, soft=soft))


def annotate_spans(doc: Doc, spans: Iterable[Span]) -> list[Span]:
    """Set a doc's entities by character offsets; what is no entity is annotated as such.

    doc (Doc): The doc.
    spans (Iterable[Span]): Start, end and label of spans that don't overlap.
    RETURNS (list[Span]): Those that cut a token. The tokens they touch have no annotation.
    """
    ents = []
    cut = []
    missing: set[int] = set()
    for start, end, label in spans:
        ent = doc.char_span(start, end, label=label)
        if ent is None:
            cut.append((start, end, label))
            missing.update(token.i for token in find_touched(doc, start, end))
        else:
            ents.append(ent)
    doc.set_ents(ents, missing=[doc[i : i + 1] for i in sorted(missing)])
    return cut


def find_touched(doc: Doc, start: int, end: int) -> list[Token]:
    """RETURNS (list[Token]): The tokens with at least one character between two offsets."""
    return [token for token in doc if token.idx < end and token.idx + len(token) > start]


def describe_cut(doc: Doc, span: Span, where: str) -> str:
    """RETURNS (str): The message about an entity that cuts tokens of a doc."""
    start, end, label = span
    tokens = " ".join(token.text for token in find_touched(doc, start, end))
    return Errors.CN260.format(where=where, entity=doc.text[start:end], label=label, tokens=tokens)


def read_sentences(path: Path, format: str = "auto", lang: str = "xx") -> Iterator[Parsed]:
    """Read the sentences of a text file.

    path (Path): The file.
    format (str): One of `FORMATS` except "spacy".
    lang (str): The language, for the spacing where the file does not tell it.
    YIELDS (Parsed): The sentences in order, with their problems.
    """
    lines = read_lines(path)
    head = list(islice(lines, HEAD))
    lines = chain(head, lines)
    format = guess_format(path, head) if format == "auto" else format
    if format == "jsonl":
        return parse_jsonl(lines, str(path))
    if format == "text":
        return parse_text(lines, str(path))
    if format == "conllu":
        return parse_conllu(lines, str(path))
    scheme = None if format == "columns" else cast(Scheme, format)
    return parse_columns(lines, str(path), guess_layout(head, str(path), scheme), lang)


def make_sentence(doc: Doc) -> Sentence:
    """Take a doc apart again.

    doc (Doc): A doc whose tokens are either all annotated or all not.
    RETURNS (Sentence): Its text, words and entities.
    """
    # unlike is_space, this does not depend on the vocab's language
    tokens = [token for token in doc if not token.text.isspace()]
    spaced = not doc.has_unknown_spaces
    missing = sum(token.ent_iob == 0 for token in doc)
    if 0 < missing < len(doc):
        raise CrossnerError(Errors.CN265.format(text=doc.text[:60]))
    return Sentence(
        text=doc.text if spaced else doc.text.removesuffix(" "),
        spans=None
        if missing
        else tuple((ent.start_char, ent.end_char, ent.label_) for ent in doc.ents),
        words=tuple(token.text for token in tokens),
        offsets=tuple(token.idx for token in tokens),
        spaced=spaced,
    )


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


def find_inputs(inputs: Sequence[Path], format: str = "auto") -> list[Path]:
    """List the files to convert, each once.

    inputs (Sequence[Path]): Files and folders.
    format (str): If it is "auto", only files with known endings are taken from a folder.
    RETURNS (list[Path]): The files, those of a folder sorted.
    """
    files: dict[Path, Path] = {}
    for path in inputs:
        if not path.exists():
            raise CrossnerError(Errors.CN202.format(path=path))
        found = [path]
        if path.is_dir():
            found = find_files(path, SUFFIXES if format == "auto" else ())
        if not found:
            known = ", ".join(sorted(SUFFIXES))
            raise CrossnerError(Errors.CN203.format(path=path, known=known))
        files.update((file.resolve(), file) for file in found)
    return list(files.values())


def name_groups(files: Sequence[Path]) -> list[str]:
    """RETURNS (list[str]): A name for each file, as short as is unique."""
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
    format: str = "auto",
    lang: str = "xx",
    label_map: Optional[Mapping[str, str]] = None,
    drop_labels: Collection[str] = (),
    unlabelled: bool = False,
    strict: bool = False,
    limit: int = 0,
    tokenizer: str = "gold",
    misaligned: str = "missing",
    shard_size: int = 0,
) -> Report:
    """Convert corpora into one.

    inputs (Sequence[Path]): Files, or folders of files.
    out (Path): A `.spacy`, `.iob2`, `.conll` or `.jsonl` file, or a folder of `.spacy` shards.
    format (str): One of `FORMATS`; "auto" goes by each file's ending and first lines.
    lang (str): Language code of the texts.
    label_map (Mapping[str, str]): New labels by old labels.
    drop_labels (Collection[str]): Labels, by their old names, whose entities become plain text.
    unlabelled (bool): Take the labels off: the docs are target text.
    strict (bool): End with the first problem instead of counting it.
    limit (int): Stop after so many sentences. 0 takes all.
    tokenizer (str): "gold" keeps the tokens of the files; "text" tokenizes their texts anew, and
        gives docs that had views new ones.
    misaligned (str): What becomes of an entity that cuts a token: "missing" takes the annotation
        off the tokens, "skip" skips the sentence.
    shard_size (int): Write a folder, of about so many docs a file. 0 leaves that to `out`: what
        has no ending is a folder.
    RETURNS (Report): What was written and what was wrong.
    """
    check_choice("format", format, FORMATS)
    check_choice("tokenizer", tokenizer, ("gold", "text"))
    check_choice("misaligned", misaligned, ("missing", "skip"))
    files = find_inputs(inputs, format)
    if not out.suffix and not shard_size:
        shard_size = DOCS_PER_SHARD
    _check_out(out, files, shard_size)
    report = Report(strict=strict)
    converter = Converter(
        lang, label_map or {}, drop_labels, unlabelled, tokenizer, misaligned, report
    )
    named = zip(files, name_groups(files), strict=True)
    all_docs = (converter.iter_file(path, name, format) for path, name in named)
    docs = islice(chain.from_iterable(all_docs), limit or None)
    first = next(docs, None)
    if first is None:
        reasons = [message for _, messages in report.problems.values() for message in messages]
        raise CrossnerError(Errors.CN210.format(problem=reasons[0]))
    found: Iterator[Doc] = chain([first], docs)
    if not shard_size and out.suffix in WRITERS:
        found = _tell_nested(found, report, out)
    found = tqdm(found, desc=out.name, unit=" docs", disable=None, leave=False)
    _write(out, _count(found, report), shard_size)
    return report


def _check_out(out: Path, files: Sequence[Path], shard_size: int) -> None:
    target = out.resolve()
    if any(target in (path.resolve(), *path.resolve().parents) for path in files):
        raise CrossnerError(Errors.CN213.format(path=out))
    if shard_size:
        check_folder(out)
    elif out.suffix != ".spacy" and out.suffix not in WRITERS:
        raise CrossnerError(Errors.CN211.format(path=out))


def _tell_nested(docs: Iterable[Doc], report: Report, out: Path) -> Iterator[Doc]:
    for number, doc in enumerate(docs, start=1):
        for problem in find_nested(doc, f"{out}, sentence {number}"):
            report.add_problem(problem, out)
        yield doc


def find_nested(doc: Doc, where: str, drop_labels: Collection[str] = ()) -> tuple[Problem, ...]:
    """Find what can't be kept of a doc where entities are flat.

    doc (Doc): The doc.
    where (str): Its place for messages.
    drop_labels (Collection[str]): Labels that are to be dropped anyway.
    RETURNS (tuple[Problem, ...]): A problem, or none.
    """
    count = count_nested(doc, drop_labels)
    if not count:
        return ()
    return (Problem(Errors.CN268.format(where=where, count=count), mended=True),)


def _count(docs: Iterable[Doc], report: Report) -> Iterator[Doc]:
    for doc in docs:
        report.add_doc(doc)
        yield doc


def _write(out: Path, docs: Iterable[Doc], shard_size: int) -> None:
    if shard_size or out.suffix == ".spacy":
        write_docs(out, docs, shard_size)
        return
    format_sentence = WRITERS[out.suffix]
    temporary = temporary_beside(out)
    try:
        with temporary.open("w", encoding="utf8", newline="\n") as file:
            for doc in docs:
                sentence = make_sentence(doc)
                if sentence.spans is None and format_sentence is format_iob2:
                    raise CrossnerError(Errors.CN265.format(text=doc.text[:60]))
                file.write(format_sentence(sentence))
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def describe(report: Report) -> list[str]:
    """Put the problems of a conversion into lines, file by file.

    report (Report): The report.
    RETURNS (list[str]): For each file and kind of problem, how often it occurred and the first
        few messages.
    """
    by_file: dict[str, list[str]] = defaultdict(list)
    for (path, code), (count, messages) in report.problems.items():
        more = [f"    ... and {count - len(messages)} more"] if count > len(messages) else []
        by_file[path] += [f"  {code}: {count}", *(f"    {m}" for m in messages), *more]
    return [line for path, lines in by_file.items() for line in (path, *lines)]
