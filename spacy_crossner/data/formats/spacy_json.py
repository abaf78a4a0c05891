"""spaCy's JSON: training data of spaCy 2, docs of spaCy 3, and texts with entity offsets.

Version 2: [{"paragraphs": [{"raw", "sentences": [{"tokens": [{"orth", "ner"}]}]}]}], one doc
per paragraph, or pairs [text, {"entities": [[start, end, label]]}]. Version 3: the output of
`Doc.to_json`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from spacy_crossner.data.formats.base import (
    Format,
    Mark,
    Place,
    Source,
    check_unread,
    make_parsed,
    record_format,
    shorten,
    take_list,
    take_object,
    take_record,
    take_text,
)
from spacy_crossner.data.formats.jsonl import locate
from spacy_crossner.data.formats.tokens import check_words, parse_tags, parse_tokens
from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.sentences import (
    Parsed,
    Problem,
    Sentence,
    join_tokens,
    locate_words,
    outermost,
)
from spacy_crossner.errors import CrossnerError, Errors

MISSING = "-"


def sniff(records: Sequence[Any]) -> bool:
    """Check if any record is a doc or a text with entity offsets."""
    return any(
        _is_pair(record)
        or (
            isinstance(record, dict)
            and "text" in record
            and ("ents" in record or isinstance(record.get("spans"), dict) or _has_triples(record))
        )
        for record in records
    )


def _is_pair(record: Any) -> bool:
    return (
        isinstance(record, list)
        and len(record) == 2
        and isinstance(record[0], str)
        and isinstance(record[1], dict)
    )


def _has_triples(record: Mapping[str, Any]) -> bool:
    found = record.get("entities")
    return isinstance(found, list) and bool(found) and isinstance(found[0], list)


def parse_doc(record: Any, place: Place) -> Parsed:
    """Read a doc of version 3, or a text with entity offsets.

    record (Any): The record.
    place (Place): Where it stands.
    RETURNS (Parsed): The sentence.
    """
    where = place.where
    if _is_pair(record):
        record = {"text": record[0], **record[1]}
    record, text = take_record(record, where)
    check_unread(record, ("ents", "entities", "spans", "cats", "tags"), place)
    marks: Optional[list[Mark]] = None
    if record.get("entities") is not None:
        marks = []
        for item in take_list(record, "entities", list, where):
            if len(item) != 3:
                raise CrossnerError(
                    Errors.CN905.format(
                        where=where,
                        key="entities",
                        found=shorten(item),
                        expected="[start, end, label]",
                    )
                )
            marks.append(Mark(*item))
    groups = record.get("spans") or {}
    if not isinstance(groups, dict):
        raise CrossnerError(Errors.CN244.format(where=where, key="spans", kind="span groups"))
    parts = [(record, "ents"), (groups, SPANS_KEY)]
    for part, key in parts:
        if part.get(key) is not None:
            spans = take_list(part, key, dict, where)
            edges = [[span.get(name) for name in ("start", "end", "label")] for span in spans]
            marks = [*(marks or ()), *(Mark(*edge) for edge in edges)]
    others = [key for key, spans in groups.items() if spans and key != SPANS_KEY]
    if others and not marks and place.source.labels:
        raise CrossnerError(Errors.CN935.format(text=shorten(text), key=others[0]))
    words, offsets = _take_tokens(record, text, where)
    return make_parsed(text, marks, place, words=words, offsets=offsets)


def _take_tokens(
    record: Mapping[str, Any], text: str, where: str
) -> tuple[Optional[tuple[str, ...]], tuple[int, ...]]:
    if not record.get("tokens"):
        return None, ()
    try:
        words = [text[token["start"] : token["end"]] for token in record["tokens"]]
    except (TypeError, KeyError):
        raise CrossnerError(Errors.CN251.format(where=where)) from None
    return locate([word for word in words if word.strip()], text, where)


def format_doc(sentence: Sentence) -> dict[str, Any]:
    """Convert a sentence to JSON for `Doc.from_json`.

    sentence (Sentence): The sentence.
    RETURNS (dict[str, Any]): The doc. If entities overlap, a span group holds all of them.
    """
    record: dict[str, Any] = {"text": sentence.text}
    words = [(start, start + len(word)) for word, start in locate_words(sentence)]
    record["tokens"] = [
        {"id": number, "start": start, "end": end} for number, (start, end) in enumerate(words)
    ]
    if sentence.spans is not None:
        found = [{"start": a, "end": b, "label": label} for a, b, label in sentence.spans]
        flat = set(outermost(sentence.spans))
        record["ents"] = [
            one for one, span in zip(found, sentence.spans, strict=True) if span in flat
        ]
        if len(flat) < len(found):
            record["spans"] = {SPANS_KEY: found}
    return record


def sniff_training(source: Source) -> bool:
    """Check if a file is training data of spaCy 2."""
    return source.is_json and any(
        isinstance(record, dict) and "paragraphs" in record for record in source.records
    )


def read_training(source: Source) -> Iterator[Parsed]:
    """Read training data of version 2.

    source (Source): The file.
    YIELDS (Parsed): The sentences, one per paragraph.
    """
    number = 0
    for _, where, record in source.iter_records():
        try:
            if isinstance(record, CrossnerError):
                raise record
            paragraphs = take_list(take_object(record, where), "paragraphs", dict, where)
        except KeyError:
            message = Errors.CN242.format(where=where, key="paragraphs")
            yield Parsed(None, (Problem(message),))
            continue
        except CrossnerError as error:
            yield Parsed(None, (Problem(str(error)),))
            continue
        for count, paragraph in enumerate(paragraphs, start=1):
            number += 1
            place = Place(f"{where}, paragraph {count}", number, source)
            try:
                yield _parse_paragraph(paragraph, place)
            except CrossnerError as error:
                yield Parsed(None, (Problem(str(error)),))


def _parse_paragraph(paragraph: Mapping[str, Any], place: Place) -> Parsed:
    where = place.where
    if paragraph.get("entities") is not None:
        text = take_text(paragraph, where, "raw")
        return parse_doc({"text": text, "entities": paragraph["entities"]}, place)
    if not paragraph.get("sentences"):
        return make_parsed(take_text(paragraph, where, "raw"), None, place)
    tokens: list[dict[str, Any]] = []
    for sentence in take_list(paragraph, "sentences", dict, where):
        if "tokens" not in sentence:
            raise CrossnerError(
                Errors.CN911.format(where=where, key="tokens", problem="there is none")
            )
        tokens += take_list(sentence, "tokens", dict, where)
    tokens = [token for token in tokens if not str(token.get("orth", "x")).isspace()]
    words = check_words([token.get("orth") for token in tokens], "tokens", where)
    tags = [token.get("ner", MISSING) for token in tokens]
    missing = tags.count(MISSING)
    if 0 < missing < len(tags):
        raise CrossnerError(Errors.CN923.format(where=where, count=missing))
    if missing:
        parsed = parse_tokens(words, None, place)
    else:
        parsed = parse_tags(words, tags, place)
    raw = paragraph.get("raw")
    if not isinstance(raw, str) or parsed.sentence is None:
        return parsed
    _, offsets = locate(words, raw, where)
    # the entities' offsets refer to a text made from the tokens
    starts = join_tokens(words, place.source.lang)[1]
    begins = dict(zip(starts, offsets, strict=True))
    lengths = [len(word) for word in words]
    ends = {a + n: b + n for a, b, n in zip(starts, offsets, lengths, strict=True)}
    spans = parsed.sentence.spans
    moved = None if spans is None else tuple((begins[a], ends[b], label) for a, b, label in spans)
    sentence = Sentence(raw, moved, tuple(words), offsets, line=place.number)
    return Parsed(sentence, parsed.problems)


SPACY_JSON = record_format(
    "spacy-json",
    "spaCy's Doc.to_json, or texts with [start, end, label]",
    parse_doc,
    sniff,
    format_doc,
    holds=("overlaps", "unlabelled"),
)
SPACY_TRAINING = Format(
    "spacy-v2", "training data of spaCy version 2 (JSON)", read_training, sniff_training
)
