"""Sentences with their entities as HTML: what is right, what is wrong, and what is missing."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from spacy_crossner.report.compare import KINDS, RIGHT, Compared, Entity, Pair

COLOURS = 8


def number_labels(sentences: Sequence[Compared]) -> dict[str, int]:
    """Number the labels for their colours."""
    labels = sorted({e.label for s in sentences for e in (*s.gold, *s.found)})
    return {label: number % COLOURS for number, label in enumerate(labels)}


def render_sentence(sentence: Compared, colours: Mapping[str, int]) -> Markup:
    """Mark the entities of a sentence.

    sentence (Compared): The sentence.
    colours (Mapping[str, int]): The number of each label's colour.
    RETURNS (Markup): The text with predicted entities, those that are wrong marked so, and with
        missed entities where no predicted one covers them.
    """
    kinds = {pair.found: pair.kind for pair in sentence.pairs if pair.found is not None}
    shown = [(entity, kinds[entity]) for entity in sentence.found]
    for pair in sentence.pairs:
        gold = pair.gold
        if pair.found is None and gold is not None and not _is_covered(gold, sentence.found):
            shown.append((gold, "missed"))
    pieces, end = [], 0
    for entity, kind in sorted(shown):
        words = sentence.text[entity.start : entity.end]
        pieces.append(escape(sentence.text[end : entity.start]))
        pieces.append(_mark(words, entity, kind, colours.get(entity.label, 0)))
        end = entity.end
    pieces.append(escape(sentence.text[end:]))
    return Markup("").join(pieces)


def _is_covered(entity: Entity, others: Sequence[Entity]) -> bool:
    return any(e.start < entity.end and entity.start < e.end for e in others)


def _mark(words: str, entity: Entity, kind: str, colour: int) -> Markup:
    sign = {RIGHT: "", "missed": "missed "}.get(kind, "✗ ")
    score = "" if entity.score is None else f" {entity.score:.2f}"
    state = {RIGHT: "", "missed": " missed"}.get(kind, " wrong")
    return Markup('<mark class="l{}{}">{}<b>{}{}{}</b></mark>').format(
        colour, state, words, sign, entity.label, score
    )


def describe_pair(pair: Pair, text: str) -> Markup:
    """Say what is wrong with an entity.

    pair (Pair): A gold and a predicted entity that are not the same.
    text (str): The text of the sentence.
    RETURNS (Markup): The kind of error, and both entities.
    """

    def quote(entity: Entity) -> Markup:
        return Markup("<bdi>{}</bdi>").format(text[entity.start : entity.end])

    gold, found, kind = pair.gold, pair.found, pair.kind
    name = Markup("<strong>{}</strong>").format(KINDS[kind])
    if gold is None:
        assert found is not None
        return Markup("{}: {} as {}").format(name, quote(found), found.label)
    if found is None:
        return Markup("{}: {} ({})").format(name, quote(gold), gold.label)
    if kind == "type":
        return Markup("{}: {} is {}, not {}").format(name, quote(gold), gold.label, found.label)
    return Markup("{}: {} ({}), found {} ({})").format(
        name, quote(gold), gold.label, quote(found), found.label
    )


def choose_examples(sentences: Sequence[Compared], count: int = 3) -> list[Compared]:
    """Choose sentences that show what a pipeline does: mostly right ones, and one with an error.

    sentences (Sequence[Compared]): Sentences of one language.
    count (int): How many to choose.
    RETURNS (List[Compared]): Short sentences with many types of entities, right ones first.
    """

    def rank(sentence: Compared) -> tuple[int, int]:
        labels = {entity.label for entity in sentence.gold}
        return -len(labels), abs(len(sentence.text) - 110)

    known = sorted((s for s in sentences if s.gold), key=rank)
    right = [s for s in known if not s.kinds]
    wrong = sorted((s for s in known if s.kinds), key=lambda s: (len(s.kinds), rank(s)))
    errors = wrong[: max(1, count - len(right))]
    return [*right[: count - len(errors)], *errors]
