"""brat's standoff format: a text in `NAME.txt`, and its annotation in `NAME.ann`.

`T1<tab>PER 0 4<tab>Ruiz` is an entity; `T2<tab>DIS 0 5;10 14<tab>lower pain` is discontinuous.
Relations, events, attributes and notes are ignored, except notes `score 0.9` on an entity. A text
without an `.ann` file is not annotated.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy_crossner.data.encoding import read_lines, read_text
from spacy_crossner.data.formats.base import (
    Format,
    Mark,
    Place,
    Source,
    make_parsed,
    shorten,
    take_text,
    write_text,
)
from spacy_crossner.data.sentences import Parsed, Problem, Sentence
from spacy_crossner.errors import CrossnerError, Errors

TEXT, ANNOTATION = ".txt", ".ann"
_ENTITY = re.compile(r"(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)")
_SCORE = re.compile(r"#\d+\tAnnotatorNotes (T\d+)\tscore (\d(?:\.\d+)?)")
_LABEL = re.compile(r"[^\s;|,]+")


def sniff(source: Source) -> bool:
    """Check if a file is an annotation, or a text next to annotations."""
    suffix = source.path.suffix.lower()
    return suffix == ANNOTATION or (
        suffix == TEXT and next(source.path.parent.glob(f"*{ANNOTATION}"), None) is not None
    )


def list_texts(folder: Path) -> list[Path]:
    """List the texts of a folder that have annotations."""
    annotated = {path.with_suffix(TEXT) for path in folder.rglob(f"*{ANNOTATION}")}
    return sorted(annotated.union(folder.rglob(f"*{TEXT}"))) if annotated else []


def read(source: Source) -> Iterator[Parsed]:
    """Read a text and its annotation as one sentence.

    source (Source): The text or the annotation.
    YIELDS (Parsed): The sentence.
    """
    path = source.path.with_suffix(TEXT)
    annotation = source.path.with_suffix(ANNOTATION)
    if not path.is_file():
        raise CrossnerError(Errors.CN924.format(path=annotation, text=path))
    place = Place(str(annotation if annotation.is_file() else path), 1, source)
    try:
        text = take_text({"text": read_text(path)}, str(path))
        marks = list(_read_marks(annotation)) if annotation.is_file() else None
        yield make_parsed(text, marks, place)
    except CrossnerError as error:
        yield Parsed(None, (Problem(str(error)),))


def _read_marks(path: Path) -> Iterator[Mark]:
    marks: dict[str, Mark] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if (score := _SCORE.fullmatch(line)) and score[1] in marks:
            marks[score[1]] = marks[score[1]]._replace(score=float(score[2]))
        if not line.startswith("T"):
            continue
        name, _, rest = line.partition("\t")
        head, tab, stated = rest.partition("\t")
        entity = _ENTITY.fullmatch(head.strip())
        if entity is None or not tab:
            raise CrossnerError(
                Errors.CN925.format(
                    where=f"{path}, line {number}", line=shorten(line), format="brat"
                )
            )
        pairs = [piece.split() for piece in entity[2].split(";")]
        parts = tuple((int(start), int(end)) for start, end in pairs)
        fragments = parts if len(parts) > 1 else ()
        marks[name] = Mark(parts[0][0], parts[-1][1], entity[1], stated, None, fragments)
    yield from marks.values()


def write(folder: Path, sentences: Iterable[Sentence]) -> None:
    """Write a text and an annotation for each sentence.

    folder (Path): The folder, which exists.
    sentences (Iterable[Sentence]): The sentences.
    """
    for number, sentence in enumerate(sentences, start=1):
        path = folder / f"doc-{number:05d}{TEXT}"
        write_text(path, [sentence.text])
        if sentence.spans is not None:
            write_text(path.with_suffix(ANNOTATION), _format_marks(sentence))


def _format_marks(sentence: Sentence) -> Iterator[str]:
    entities = [(((start, end),), label) for start, end, label in sentence.spans or ()]
    for number, (parts, label) in enumerate([*entities, *sentence.gapped], start=1):
        if not _LABEL.fullmatch(label):
            raise CrossnerError(Errors.CN926.format(label=label))
        places = ";".join(f"{start} {end}" for start, end in parts)
        text = " ".join(sentence.text[start:end] for start, end in parts)
        yield f"T{number}\t{label} {places}\t{' '.join(text.split())}\n"
    for number, score in enumerate(sentence.scores or (), start=1):
        yield f"#{number}\tAnnotatorNotes T{number}\tscore {score:.4f}\n"


BRAT = Format(
    "brat",
    "brat's .txt and .ann files",
    read,
    sniff,
    (ANNOTATION,),
    write,
    "",
    frozenset({"overlaps", "gaps", "scores", "unlabelled"}),
)
