"""Show what a pipeline finds in a text: in the terminal with colours, or as a page of HTML."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional
from zlib import crc32

from spacy import displacy
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import color

from spacy_crossner.data.formats.base import check_characters
from spacy_crossner.distil.pipelines import Reading, find_score
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import write_file
from spacy_crossner.pipeline.ner import CrossnerNER
from spacy_crossner.tables import render_rows

# Background colours of the terminal and of the page, chosen by label.
TERMINAL = (24, 22, 94, 88, 54, 130, 23, 90)
PAGE = ("#7aecec", "#bfeeb7", "#feca74", "#ff9561", "#e4e7d2", "#aa9cfc", "#c887fb", "#9cc9cc")


def find_entities(
    nlp: Language, texts: Iterable[str], threshold: Optional[float] = None
) -> list[Doc]:
    """Read texts with a pipeline.

    nlp (Language): The pipeline, one of ours or any other.
    texts (Iterable[str]): The texts.
    threshold (Optional[float]): Least score of an entity, instead of that of our components.
    RETURNS (list[Doc]): The docs.
    """
    found = [text for text in texts if text.strip()]
    if not found:
        raise CrossnerError(Errors.CN832)
    for number, text in enumerate(found, start=1):
        check_characters(text, f"text {number}")
    ours = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)]
    if threshold is not None and not ours:
        raise CrossnerError(Errors.CN833.format(pipeline=", ".join(nlp.pipe_names)))
    for pipe in ours if threshold is not None else ():
        pipe.cfg["threshold"] = threshold
    return list(nlp.pipe(found))


def list_entities(docs: Iterable[Doc]) -> list[tuple[str, str, str, str]]:
    """List text, label, score (or "") and characters of each entity."""
    rows = []
    for doc in docs:
        for ent in doc.ents:
            score = find_score(ent, Reading(default_score=-1.0))
            shown = f"{score:.2f}" if score >= 0 else ""
            rows.append((ent.text, ent.label_, shown, f"{ent.start_char}-{ent.end_char}"))
    return rows


def render_terminal(docs: Sequence[Doc], *, colours: bool = True) -> str:
    """Write docs with marked entities, and a table of the entities.

    docs (Sequence[Doc]): The docs.
    colours (bool): Mark entities by colour, or else by brackets.
    RETURNS (str): The text.
    """
    lines = [_mark(doc, colours) for doc in docs]
    rows = list_entities(docs)
    if not rows:
        return "\n".join([*lines, "", "No entities."])
    table = render_rows(("entity", "label", "score", "characters"), rows)
    return "\n".join([*lines, table])


def _mark(doc: Doc, colours: bool) -> str:
    pieces, end = [], 0
    for ent in doc.ents:
        pieces.append(doc.text[end : ent.start_char])
        end = ent.end_char
        if colours:
            shade = TERMINAL[crc32(ent.label_.encode()) % len(TERMINAL)]
            pieces.append(color(f" {ent.text} {ent.label_} ", fg=15, bg=shade, bold=True))
        else:
            pieces.append(f"[{ent.text} {ent.label_}]")
    return "".join([*pieces, doc.text[end:]])


def write_html(docs: Sequence[Doc], path: Path) -> None:
    """Write docs as a page of displaCy, with the scores beside the labels.

    docs (Sequence[Doc]): The docs.
    path (Path): The file.
    """
    pages: list[dict[str, Any]] = []
    shades: dict[str, str] = {}
    for doc in docs:
        ents = []
        for ent, (_, label, score, _) in zip(doc.ents, list_entities([doc]), strict=True):
            shown = f"{label} {score}".strip()
            # displaCy looks colours up in upper case
            shades[shown.upper()] = PAGE[crc32(label.encode()) % len(PAGE)]
            ents.append({"start": ent.start_char, "end": ent.end_char, "label": shown})
        pages.append({"text": doc.text, "ents": ents, "title": None})
    options = {"colors": shades}
    html = displacy.render(
        pages, style="ent", manual=True, page=True, jupyter=False, options=options
    )
    write_file(path, html)
