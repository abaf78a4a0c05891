"""Label Studio: its JSON, JSON-MIN and CSV exports, and tasks with predictions to import.

In JSON, a task has all its annotations: the one marked as ground truth is used, or else the first
that was not cancelled. JSON-MIN and CSV have one annotation per record: a field with the text and
one with the labels, named as in the project's labelling interface.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from spacy_crossner.data.formats.base import (
    Format,
    Mark,
    Place,
    Source,
    check_answer,
    check_unread,
    make_parsed,
    record_format,
    shorten,
    take_object,
    take_text,
)
from spacy_crossner.data.formats.table import read_rows
from spacy_crossner.data.sentences import Parsed, Problem, Sentence
from spacy_crossner.errors import CrossnerError, Errors

# columns that JSON-MIN and CSV add to the fields of a task
COLUMNS = {"annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id"}
TEXT_KEY = "text"


def sniff_json(records: Sequence[Any]) -> bool:
    """Check if any record is a task."""
    return any(
        isinstance(record, dict)
        and isinstance(record.get("data"), dict)
        and any(key in record for key in ("annotations", "completions", "predictions"))
        for record in records
    )


def sniff_min(records: Sequence[Any]) -> bool:
    """Check if any record is an annotated task of JSON-MIN."""
    return any(
        isinstance(record, dict)
        and ("annotator" in record or "annotation_id" in record or _find_regions(record))
        for record in records
    )


def _find_regions(record: Mapping[str, Any]) -> Optional[str]:
    """Find the key of a record that holds the labelled regions."""
    for key, value in record.items():
        is_objects = isinstance(value, list) and value and isinstance(value[0], dict)
        if is_objects and "labels" in value[0] and "start" in value[0]:
            return key
    return None


def parse_task(record: Any, place: Place) -> Parsed:
    """Read a task with its annotations.

    record (Any): The task.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence, not annotated if the task is not.
    """
    where = place.where
    record = take_object(record, where)
    data = record.get("data")
    if not isinstance(data, dict):
        raise CrossnerError(Errors.CN242.format(where=where, key="data"))
    found = record.get("annotations", record.get("completions")) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CrossnerError(Errors.CN244.format(where=where, key="annotations", kind="objects"))
    kept = [one for one in found if not one.get("was_cancelled") and not one.get("skipped")]
    check_answer(bool(kept) or not found, "skip", where)
    check_unread(record, ("annotations", "completions", "predictions", "result"), place)
    problems = []
    if not kept:
        text = take_text(data, where, _find_text(data, [], where))
        if record.get("predictions") and place.source.labels:
            problems.append(Problem(Errors.CN906.format(where=where), mended=True))
        return make_parsed(text, None, place, problems=problems)
    chosen = next((one for one in kept if one.get("ground_truth")), kept[0])
    regions = _take_regions(chosen, where)
    others = [_take_regions(one, where) for one in kept if one is not chosen]
    if any(_as_set(other) != _as_set(regions) for other in others):
        message = Errors.CN907.format(where=where, count=len(kept))
        problems.append(Problem(message, mended=True))
    text = take_text(data, where, _find_text(data, regions, where))
    return make_parsed(text, _make_marks(regions, where), place, problems=problems)


def _take_regions(annotation: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    regions = []
    result = annotation.get("result") or []
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise CrossnerError(Errors.CN244.format(where=where, key="result", kind="objects"))
    for item in result:
        kind = item.get("type", "labels")
        if kind in ("relation", "choices", "textarea", "rating", "number", "taxonomy", "datetime"):
            continue
        value = item.get("value")
        if kind != "labels" or not isinstance(value, dict):
            raise CrossnerError(Errors.CN908.format(where=where, kind=shorten(kind)))
        regions.append({**value, "to_name": item.get("to_name")})
    return regions


def _as_set(regions: Sequence[Mapping[str, Any]]) -> set[str]:
    return {
        json.dumps([region.get(key) for key in ("start", "end", "labels")]) for region in regions
    }


def _find_text(data: Mapping[str, Any], regions: Sequence[Mapping[str, Any]], where: str) -> str:
    """Find the key of a task's data that holds the annotated text."""
    if isinstance(data.get(TEXT_KEY), str):
        return TEXT_KEY
    texts = [
        key
        for key, value in data.items()
        if isinstance(value, str) and key not in COLUMNS and value.strip()
    ]
    names = {str(region.get("to_name")) for region in regions} & set(texts)
    if len(texts) > 1 and len(names) == 1:
        return names.pop()
    if len(texts) > 1 and regions:
        texts = [key for key in texts if _contains(data[key], regions)]
    if len(texts) != 1:
        raise CrossnerError(Errors.CN909.format(where=where, fields=", ".join(map(shorten, data))))
    return texts[0]


def _contains(text: str, regions: Sequence[Mapping[str, Any]]) -> bool:
    return all(
        text[region["start"] : region["end"]] == region.get("text")
        for region in regions
        if type(region.get("start")) is int and type(region.get("end")) is int
    )


def _make_marks(regions: Sequence[Mapping[str, Any]], where: str) -> list[Mark]:
    marks = []
    for region in regions:
        start, end, text = (region.get(key) for key in ("start", "end", "text"))
        labels = region.get("labels")
        if not isinstance(labels, list) or not labels:
            raise CrossnerError(
                Errors.CN246.format(where=where, span=f"{start}-{end}", label=shorten(labels))
            )
        stated = text if isinstance(text, str) else None
        marks += [Mark(start, end, label, stated) for label in labels]
    return marks


def parse_min(record: Any, place: Place) -> Parsed:
    """Read a record of JSON-MIN or a row of a CSV export.

    record (Any): The fields by name.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence.
    """
    where = place.where
    record = take_object(record, where)
    key = _find_regions(record)
    regions = [] if key is None else record[key]
    if not all(isinstance(region, dict) for region in regions):
        raise CrossnerError(Errors.CN244.format(where=where, key=key, kind="objects"))
    check_unread(record, () if key is None else (key,), place)
    text = take_text(record, where, _find_text(record, regions, where))
    return make_parsed(text, _make_marks(regions, where), place)


def sniff_csv(source: Source) -> bool:
    """Check if a file is a CSV export."""
    if not source.is_text or source.is_json:
        return False
    header = {name.strip().strip('"') for name in source.first.replace("\t", ",").split(",")}
    return "annotation_id" in header or {"annotator", "lead_time"} <= header


def read_csv(source: Source) -> Iterator[Parsed]:
    """Read a CSV or TSV export.

    source (Source): The file.
    YIELDS (Parsed): The sentences.
    """
    rows = read_rows(source)
    _, header = next(rows, (0, []))
    for number, cells in rows:
        if not cells:
            continue
        where = f"{source.name}, line {number}"
        try:
            if len(cells) != len(header):
                raise CrossnerError(
                    Errors.CN221.format(where=where, found=len(cells), expected=len(header))
                )
            record = dict(zip(header, map(_read_cell, cells), strict=True))
            yield parse_min(record, Place(where, number, source))
        except CrossnerError as error:
            yield Parsed(None, (Problem(str(error)),))


def _read_cell(cell: str) -> Any:
    if cell.lstrip().startswith("[{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def format_task(sentence: Sentence) -> dict[str, Any]:
    """Make a task to import into Label Studio.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The task. Entities with scores become a prediction, which annotators
        correct; others an annotation. The interface needs <Labels name="label" toName="text">.
    """
    task: dict[str, Any] = {"data": {TEXT_KEY: sentence.text}}
    if sentence.spans is None:
        return {**task, "annotations": []}
    result: list[dict[str, Any]] = []
    for number, (start, end, label) in enumerate(sentence.spans):
        value = {
            "start": start,
            "end": end,
            "text": sentence.text[start:end],
            "labels": [label],
        }
        names = {"from_name": "label", "to_name": "text", "type": "labels"}
        result.append({"id": f"e{number}", **names, "value": value})
    if sentence.scores is None:
        return {**task, "annotations": [{"result": result}]}
    for item, score in zip(result, sentence.scores, strict=True):
        item["score"] = score
    prediction: dict[str, Any] = {"model_version": "spacy-crossner", "result": result}
    if sentence.scores:
        prediction["score"] = min(sentence.scores)
    return {**task, "predictions": [prediction]}


LABEL_STUDIO = record_format(
    "label-studio",
    "tasks of Label Studio (JSON)",
    parse_task,
    sniff_json,
    format_task,
    ending=".json",
    holds=("overlaps", "scores", "unlabelled"),
)
LABEL_STUDIO_MIN = record_format(
    "label-studio-min", "short export of Label Studio (JSON-MIN)", parse_min, sniff_min
)
LABEL_STUDIO_CSV = Format(
    "label-studio-csv", "CSV or TSV export of Label Studio", read_csv, sniff_csv, (".csv",)
)
