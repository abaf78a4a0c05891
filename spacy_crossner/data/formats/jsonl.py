"""JSON lines with character spans, including Prodigy's.

One object per line: {"text": ..., "spans": [{"start", "end", "label"}], "tokens": [{"text"}]}.
Without "spans" a text is not annotated; without "tokens" it is tokenized. Spans may overlap.
Discontinuous spans have "fragments": [[start, end], ...] as well; predicted spans have a "score".
Prodigy's "answer" must be "accept".
"""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from spacy_crossner.data.formats.base import (
    Mark,
    Place,
    check_answer,
    check_unread,
    make_parsed,
    record_format,
    shorten,
    take_list,
    take_record,
)
from spacy_crossner.data.sentences import (
    MisfitError,
    Parsed,
    Sentence,
    locate_tokens,
    locate_words,
    split_spaces,
)
from spacy_crossner.errors import CrossnerError, Errors

# keys that Prodigy adds to each record
PRODIGY_KEYS = {"_input_hash", "_task_hash", "_view_id", "_annotator_id", "_session_id", "answer"}


def sniff_jsonl(records: Sequence[Any]) -> bool:
    """Check if any record has a text."""
    return any(isinstance(record, dict) and "text" in record for record in records)


def sniff_prodigy(records: Sequence[Any]) -> bool:
    """Check if any record comes from Prodigy."""
    return any(
        isinstance(record, dict) and "text" in record and PRODIGY_KEYS.intersection(record)
        for record in records
    )


def parse_record(record: Any, place: Place) -> Parsed:
    """Read a text with character spans.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence.
    """
    where = place.where
    record, text = take_record(record, where)
    answer = record.get("answer", "accept")
    check_answer(answer == "accept", answer, where)
    # labels of the whole text may accompany spans, but don't replace them
    classes = [key for key in ("label", "labels") if isinstance(record.get(key), str)]
    read = ["spans", *(classes if "spans" in record else ())]
    check_unread(record, read, place)
    words, offsets = take_tokens(record.get("tokens"), text, where)
    marks = None
    if record.get("spans") is not None:
        spans = take_list(record, "spans", dict, where)
        marks = [make_mark(span, where) for span in spans]
        if "answer" in record:
            # an annotator has confirmed the model's predictions
            marks = [mark._replace(score=None) for mark in marks]
    return make_parsed(text, marks, place, words=words, offsets=offsets)


def make_mark(span: Mapping[str, Any], where: str) -> Mark:
    """Read a span that is an object.

    span (Mapping[str, Any]): Has "start", "end", "label"; optionally "text", "score", "fragments".
    where (str): Its place for messages.
    RETURNS (Mark): The mark.
    """
    start, end, label, text, score = (
        span.get(key) for key in ("start", "end", "label", "text", "score")
    )
    fragments = span.get("fragments") or ()
    pairs = isinstance(fragments, (list, tuple)) and all(
        isinstance(part, list) and len(part) == 2 and all(type(place) is int for place in part)
        for part in fragments
    )
    if not pairs:
        raise CrossnerError(
            Errors.CN905.format(
                where=where,
                key="fragments",
                found=shorten(fragments),
                expected="a list of [start, end]",
            )
        )
    stated = text if isinstance(text, str) and not fragments else None
    return Mark(start, end, label, stated, score, tuple((a, b) for a, b in fragments))


def take_tokens(
    found: Any, text: str, where: str
) -> tuple[Optional[tuple[str, ...]], tuple[int, ...]]:
    """Read tokens given as objects with a text.

    found (Any): The tokens, or None.
    text (str): The text that contains them.
    where (str): Their place for messages.
    RETURNS (tuple): The tokens, except white space, and the offset of each.
    """
    if found is None:
        return None, ()
    try:
        words = [token["text"] for token in found if token["text"].strip()]
    except (TypeError, KeyError, AttributeError):
        raise CrossnerError(Errors.CN251.format(where=where)) from None
    return locate(words, text, where)


def locate(words: Sequence[str], text: str, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Find the offset of each token in the text, or raise an error."""
    try:
        return tuple(words), locate_tokens(words, text)
    except MisfitError as misfit:
        rest = text[misfit.position : misfit.position + 30]
        message = Errors.CN252.format(where=where, number=misfit.index + 1, rest=rest)
        raise CrossnerError(message) from None


def format_spans(sentence: Sentence) -> list[dict[str, Any]]:
    """Convert the spans of a labelled sentence to JSON objects."""
    assert sentence.spans is not None
    spans: list[dict[str, Any]] = [
        {"start": start, "end": end, "label": label} for start, end, label in sentence.spans
    ]
    if sentence.scores is not None:
        for span, score in zip(spans, sentence.scores, strict=True):
            span["score"] = score
    for parts, label in sentence.gapped:
        edges = {"start": parts[0][0], "end": parts[-1][1]}
        spans.append({**edges, "label": label, "fragments": [list(part) for part in parts]})
    return spans


def format_record(sentence: Sentence) -> dict[str, Any]:
    """Convert a sentence to a record: the inverse of `parse_record`.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The record.
    """
    record: dict[str, Any] = {"text": sentence.text}
    if sentence.words is not None:
        record["tokens"] = [
            {"text": word, "start": start, "end": start + len(word), "id": n}
            for n, (word, start) in enumerate(locate_words(sentence))
        ]
    if sentence.spans is not None:
        record["spans"] = format_spans(sentence)
    return record


def format_prodigy(sentence: Sentence) -> dict[str, Any]:
    """Make a Prodigy task for correcting entities.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The task. Tokens have a flag for a following space, spans their token
        indices. The lowest score is in "meta", which Prodigy displays.
    """
    record: dict[str, Any] = {"text": sentence.text}
    if sentence.words is None:
        if sentence.spans is not None:
            record["spans"] = format_spans(sentence)
        return record
    words, spaces = split_spaces(sentence)
    tokens, starts, ends = [], {}, {}
    position = 0
    for number, (word, space) in enumerate(zip(words, spaces, strict=True)):
        end = position + len(word)
        tokens.append({"text": word, "start": position, "end": end, "id": number, "ws": space})
        starts[position], ends[end] = number, number
        position = end + space
    record["tokens"] = tokens
    if sentence.spans is not None:
        record["spans"] = format_spans(sentence)
        for span in record["spans"]:
            span["token_start"], span["token_end"] = starts[span["start"]], ends[span["end"]]
        if sentence.scores:
            record["meta"] = {"score": round(min(sentence.scores), 3)}
    return record


HOLDS = ("overlaps", "gaps", "scores", "unlabelled")
JSONL = record_format(
    "jsonl",
    'records with "text" and "spans", one a line',
    parse_record,
    sniff_jsonl,
    format_record,
    holds=HOLDS,
    is_fallback=True,
)
PRODIGY = record_format(
    "prodigy",
    "tasks of Prodigy (ner_manual, spans_manual)",
    parse_record,
    sniff_prodigy,
    format_prodigy,
    holds=HOLDS,
)
