"""doccano: JSON lines of a sequence labelling project.

Without relations: {"text": ..., "label": [[start, end, "PER"], ...]}, in some versions "labels".
With relations: {"text": ..., "entities": [{"start_offset", "end_offset", "label"}], ...}.
"""

from collections.abc import Sequence
from typing import Any

from spacy_crossner.data.formats.base import (
    Mark,
    Place,
    check_unread,
    make_parsed,
    record_format,
    shorten,
    take_list,
    take_record,
)
from spacy_crossner.data.sentences import Parsed, Sentence
from spacy_crossner.errors import CrossnerError, Errors

KEYS = ("label", "labels")


def sniff(records: Sequence[Any]) -> bool:
    """Check if any record has doccano's labels, or none has labels."""
    objects = [record for record in records if isinstance(record, dict) and "text" in record]
    for record in objects:
        lists = [record.get(key) for key in KEYS]
        if any(isinstance(found, list) and found and _is_triple(found[0]) for found in lists):
            return True
        entities = record.get("entities")
        if isinstance(entities, list) and any(
            isinstance(entity, dict) and "start_offset" in entity for entity in entities
        ):
            return True
    if any("annotator" in record for record in objects):  # an unlabelled record of Label Studio
        return False
    lists = [record.get(key) for record in objects for key in (*KEYS, "entities") if key in record]
    return bool(lists) and not any(lists) and all(isinstance(found, list) for found in lists)


def _is_triple(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 3 and not isinstance(found[0], str)


def parse_record(record: Any, place: Place) -> Parsed:
    """Read a record of either form.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence.
    """
    where = place.where
    record, text = take_record(record, where)
    keys = [key for key in (*KEYS, "entities") if record.get(key) is not None]
    check_unread(record, keys, place)
    marks: list[Mark] = []
    scores = record.get("scores")
    for key in keys:
        for item in take_list(record, key, dict if key == "entities" else list, where):
            if isinstance(item, dict):
                start, end = item.get("start_offset"), item.get("end_offset")
                marks.append(Mark(start, end, item.get("label")))
            elif len(item) == 3:
                marks.append(Mark(*item))
            else:
                raise CrossnerError(
                    Errors.CN905.format(
                        where=where, key=key, found=shorten(item), expected="[start, end, label]"
                    )
                )
    if isinstance(scores, list) and len(scores) == len(marks):
        marks = [mark._replace(score=score) for mark, score in zip(marks, scores, strict=True)]
    return make_parsed(text, marks if keys else None, place)


def format_record(sentence: Sentence) -> dict[str, Any]:
    """Make a record to import into doccano.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The record. Scores go into metadata fields, which doccano keeps.
    """
    record: dict[str, Any] = {"text": sentence.text}
    if sentence.spans is not None:
        record["label"] = [list(span) for span in sentence.spans]
        if sentence.scores is not None:
            record["scores"] = list(sentence.scores)
    return record


DOCCANO = record_format(
    "doccano",
    'JSON lines of doccano, with "label" or "entities"',
    parse_record,
    sniff,
    format_record,
    holds=("overlaps", "scores", "unlabelled"),
)
