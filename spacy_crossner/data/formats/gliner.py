"""GLiNER's training data and its predictions.

Training: {"tokenized_text": ["Ruiz", ...], "ner": [[first token, last token, "person"], ...]}.
Output: {"text": ..., "entities": [{"start", "end", "text", "label", "score"}, ...]}.
"""

from collections.abc import Sequence
from typing import Any

from spacy_crossner.data.formats.base import (
    Place,
    check_unread,
    make_parsed,
    record_format,
    shorten,
    take_list,
    take_object,
    take_record,
)
from spacy_crossner.data.formats.jsonl import format_spans, make_mark
from spacy_crossner.data.formats.tokens import check_words, parse_tokens
from spacy_crossner.data.sentences import Parsed, Sentence
from spacy_crossner.errors import CrossnerError, Errors


def sniff_training(records: Sequence[Any]) -> bool:
    """Check if any record is training data."""
    return any(isinstance(record, dict) and "tokenized_text" in record for record in records)


def sniff_output(records: Sequence[Any]) -> bool:
    """Check if any record has predicted entities."""
    return any(
        isinstance(record, dict)
        and isinstance(record.get("entities"), list)
        and any(
            isinstance(entity, dict) and "start" in entity and "label" in entity
            for entity in record["entities"]
        )
        for record in records
    )


def parse_training(record: Any, place: Place) -> Parsed:
    """Read a record of training data, where span ends are inclusive.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence; without "ner" it is not annotated.
    """
    where = place.where
    record = take_object(record, where)
    words = check_words(record.get("tokenized_text"), "tokenized_text", where)
    check_unread(record, ("ner", "ner_labels"), place)
    if record.get("ner") is None:
        return parse_tokens(words, None, place)
    spans = []
    for item in take_list(record, "ner", list, where):
        is_span = len(item) == 3 and type(item[0]) is int and type(item[1]) is int
        if not is_span or not 0 <= item[0] <= item[1] < len(words):
            expected = f"[first token, last token, label] within {len(words)} tokens"
            raise CrossnerError(
                Errors.CN905.format(where=where, key="ner", found=shorten(item), expected=expected)
            )
        start, end, label = item
        spans.append((start, end + 1, label))
    return parse_tokens(words, spans, place)


def parse_output(record: Any, place: Place) -> Parsed:
    """Read a text with predicted entities.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence.
    """
    record, text = take_record(record, place.where)
    check_unread(record, ("entities", "labels"), place)
    marks = None
    if record.get("entities") is not None:
        entities = take_list(record, "entities", dict, place.where)
        marks = [make_mark(entity, place.where) for entity in entities]
    return make_parsed(text, marks, place)


def format_training(sentence: Sentence) -> dict[str, Any]:
    """Make a record of training data.

    sentence (Sentence): A sentence with words; entities cover whole words.
    RETURNS (dict[str, Any]): The record.
    """
    words = list(sentence.words or ())
    starts = {start: number for number, start in enumerate(sentence.offsets)}
    ends = {start + len(words[number]): number for number, start in enumerate(sentence.offsets)}
    record: dict[str, Any] = {"tokenized_text": words}
    if sentence.spans is not None:
        record["ner"] = [[starts[start], ends[end], label] for start, end, label in sentence.spans]
    return record


def format_output(sentence: Sentence) -> dict[str, Any]:
    """Make a record in the format of GLiNER's predictions.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The record.
    """
    record: dict[str, Any] = {"text": sentence.text}
    if sentence.spans is not None:
        entities = format_spans(sentence)
        for entity in entities:
            entity["text"] = sentence.text[entity["start"] : entity["end"]]
        record["entities"] = entities
    return record


GLINER = record_format(
    "gliner",
    "training data of GLiNER (tokenized_text, ner)",
    parse_training,
    sniff_training,
    format_training,
    ending=".json",
    holds=("overlaps", "unlabelled"),
)
GLINER_OUTPUT = record_format(
    "gliner-output",
    "texts with entities that GLiNER predicted",
    parse_output,
    sniff_output,
    format_output,
    holds=("overlaps", "scores", "unlabelled"),
)
