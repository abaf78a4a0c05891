"""A translation as a doc: its tokens, the projected entities, and the view that it is."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple, Optional

import numpy
from spacy.tokens import Doc, Span
from spacy.util import get_lang_class

from spacy_crossner.data.docs import annotate_spans
from spacy_crossner.data.groups import annotated_tokens, has_gaps, label_groups
from spacy_crossner.data.languages import find_tokenizer, split_at
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.lexicon.lexicon import Lexicon
from spacy_crossner.translate.align import Sentence, align, find_links
from spacy_crossner.translate.engines import Mark, Segment
from spacy_crossner.translate.project import Entity, Placement, find_function_words, project

RENDERINGS = 5  # translations of a word that are compared with the words of a text


class Projected(NamedTuple):
    """A translated view and how its entities got there.

    doc (Doc): The doc.
    entities (tuple[Span, ...]): The entities of the source, those of its span groups included.
    placements (tuple[Optional[Placement], ...]): Where each is in the translation, if anywhere.
    by_hand (bool): Whether the translation has its own labels.
    """

    doc: Doc
    entities: tuple[Span, ...]
    placements: tuple[Optional[Placement], ...]
    by_hand: bool = False

    @property
    def complete(self) -> bool:
        """Whether all entities were projected."""
        return self.by_hand or None not in self.placements


def read_segment(doc: Doc) -> Segment:
    """Get the text and the entities of a doc to translate."""
    ents = doc.ents if is_labelled(doc) else ()
    marks = [Mark(ent.start_char, ent.end_char, i) for i, ent in enumerate(ents)]
    return Segment(doc.text, tuple(marks))


def is_labelled(doc: Doc) -> bool:
    """Check whether all tokens of a doc are annotated with gold labels."""
    view = get_view(doc)
    if view is not None and not view.labelled:
        return False
    return bool(annotated_tokens(doc).all())


def read_sentence(doc: Doc, lang: str, vectors: Optional[numpy.ndarray]) -> Sentence:
    """Read off a doc what alignment has to know.

    doc (Doc): The doc.
    lang (str): Its language.
    vectors (Optional[numpy.ndarray]): Of its tokens.
    RETURNS (Sentence): The sentence.
    """
    return make_sentence(
        [token.text for token in doc], [bool(token.whitespace_) for token in doc], lang, vectors
    )


def make_sentence(
    words: list[str], spaces: list[bool], lang: str, vectors: Optional[numpy.ndarray]
) -> Sentence:
    """Make a sentence and mark its function words."""
    return Sentence(words, spaces, find_function_words(words, find_stop_words(lang)), vectors)


def find_units(sentence: Sentence) -> numpy.ndarray:
    """Find the tokens that go together because an encoder reads them as one piece.

    Text without spaces may be cut into characters. The pieces of an encoder are nearer to words:
    what is said of words here, is said better of them.

    sentence (Sentence): n tokens.
    RETURNS (numpy.ndarray): (k + 1,) where each unit begins, and n.
    """
    n, vectors = len(sentence.words), sentence.vectors
    begins = numpy.ones(n + 1, dtype=bool)
    for i in range(1, n):
        if vectors is not None and not sentence.spaces[i - 1]:
            both = sentence.words[i - 1] + sentence.words[i]
            begins[i] = not both.isalnum() or not numpy.array_equal(vectors[i - 1], vectors[i])
    return numpy.flatnonzero(begins)


def join_units(sentence: Sentence, bounds: numpy.ndarray, lang: str) -> Sentence:
    """Replace the tokens of a sentence with units."""
    if len(bounds) > len(sentence.words):
        return sentence
    assert sentence.vectors is not None
    return make_sentence(
        ["".join(sentence.words[a:b]) for a, b in pairwise(bounds)],
        [sentence.spaces[b - 1] for b in bounds[1:]],
        lang,
        sentence.vectors[bounds[:-1]],
    )


@cache
def find_stop_words(lang: str) -> frozenset[str]:
    """Get spaCy's stop words of a language."""
    try:
        return frozenset(get_lang_class(lang).Defaults.stop_words)
    except ImportError:
        return frozenset()


def make_translation(
    source: Doc,
    segment: Segment,
    target: Doc,
    *,
    vectors: tuple[Optional[numpy.ndarray], Optional[numpy.ndarray]] = (None, None),
    lexicon: Optional[Lexicon] = None,
    langs: tuple[str, str],
    min_confidence: float = 0.0,
) -> Projected:
    """Put the entities of a doc into its translation, and make that a view of the same group.

    source (Doc): The source doc, with a view.
    segment (Segment): Its translation.
    target (Doc): The tokens of the translation.
    vectors (tuple): Vectors of both docs' tokens, or None.
    lexicon (Optional[Lexicon]): Tells what words may become.
    langs (tuple[str, str]): Languages of both.
    min_confidence (float): Entities below it have no place.
    RETURNS (Projected): The view.
    """
    one = read_sentence(source, langs[0], vectors[0])
    tokens = read_sentence(target, langs[1], vectors[1])
    # marks are exact: they need no help
    bounds = numpy.arange(len(target) + 1) if segment.marks is not None else find_units(tokens)
    other = join_units(tokens, bounds, langs[1])

    def find(
        some: Sequence[Entity], pieces: Optional[Mapping[int, Sequence[tuple[int, int]]]] = None
    ) -> list[Placement]:
        return [
            place._replace(start=int(bounds[place.start]), end=int(bounds[place.end]))
            for place in project(some, one, other, alignment, pieces)
            if place.confidence >= min_confidence
        ]

    labelled = is_labelled(source)
    # what was labelled by hand brings its own nested entities
    groups = label_groups(source) if labelled and segment.labels is None else {}
    flat = list(source.ents) if labelled else []
    nested = [span for group in groups.values() for span in group]
    entities = [
        Entity(span.start, span.end, span.label_, find_renderings(span.text, lexicon))
        for span in [*flat, *nested]
    ]
    alignment = align(one, other, [find_renderings(word, lexicon) for word in one.words])
    places: dict[tuple[int, int], Placement] = {}
    if labelled and segment.labels is not None:
        annotate_spans(target, segment.labels)
        placements = _match_labels(flat, target)
    else:
        pieces = None if segment.marks is None else _find_pieces(segment.marks, target)
        placements = find(entities[: len(flat)], pieces)
        target.set_ents(
            [Span(target, p.start, p.end, label=flat[p.entity].label_) for p in placements],
            default="outside" if labelled and source.has_annotation("ENT_IOB") else "missing",
        )
    for place in placements:
        # of a name and its repetition the first counts
        ent = flat[place.entity]
        places.setdefault((ent.start, ent.end), place)
    for span, entity in zip(nested, entities[len(flat) :], strict=True):
        if (span.start, span.end) not in places:
            # spans of a group may overlap, so each finds its place alone
            for place in find([entity])[:1]:
                places[span.start, span.end] = place
    for key, group in groups.items():
        target.spans[key] = [
            Span(target, places[at].start, places[at].end, label=span.label_)
            for span in group
            if (at := (span.start, span.end)) in places
        ]
    found = tuple(places.get((span.start, span.end)) for span in [*flat, *nested])
    view = get_view(source)
    assert view is not None
    by_hand = labelled and segment.labels is not None
    # nested entities that are hard to place do not make the others less certain
    weight = min((place.confidence for place in placements), default=1.0)
    set_view(
        target,
        View(
            group=view.group,
            kind="translation",
            lang=langs[1],
            links=numpy.array(
                [(i, j) for i, k in find_links(alignment) for j in range(*bounds[k : k + 2])],
                dtype="int32",
            ).reshape(-1, 2),
            labelled=labelled and not has_gaps(source),
            weight=round(view.weight * weight, 4),
            by_hand=by_hand,
        ),
    )
    return Projected(target, (*flat, *nested), found, by_hand)


def _match_labels(ents: Sequence[Span], target: Doc) -> list[Placement]:
    """Pair entities with those of a hand-labelled translation by label and order, to count them."""
    placements = []
    rest = list(target.ents)
    for index, ent in enumerate(ents):
        twin = next((other for other in rest if other.label == ent.label), None)
        if twin is not None:
            rest.remove(twin)
            placements.append(Placement(index, twin.start, twin.end, 1.0))
    return placements


def find_renderings(text: str, lexicon: Optional[Lexicon]) -> list[str]:
    """List a word or name and its possible translations in a lexicon."""
    entry = lexicon.find(text) if lexicon is not None else None
    return [text, *(one.text for one in entry.translations[:RENDERINGS])] if entry else [text]


def _find_pieces(marks: Sequence[Mark], doc: Doc) -> dict[int, list[tuple[int, int]]]:
    """Find the tokens of each marked entity's pieces."""
    pieces: dict[int, list[tuple[int, int]]] = {}
    for start, end, entity in marks:
        span = doc.char_span(start, end, alignment_mode="expand")
        if span is not None:
            pieces.setdefault(entity, []).append((span.start, span.end))
    return pieces


def tokenize(segment: Segment, lang: str) -> Doc:
    """Cut a translation into tokens.

    segment (Segment): The translation.
    lang (str): Its language.
    RETURNS (Doc): Its tokens. One that two marked entities share is cut at their edges.
    """
    places = [*(segment.marks or ()), *(segment.labels or ())]
    doc = split_at(find_tokenizer(lang)(segment.text), (at for place in places for at in place[:2]))
    cuts: dict[int, set[int]] = {}
    for one, other in pairwise(segment.marks or ()):
        token = next(token for token in doc if token.idx + len(token) >= one.end)
        if one.entity != other.entity and other.start < token.idx + len(token):
            cuts.setdefault(token.i, set()).update((one.end - token.idx, other.start - token.idx))
    with doc.retokenize() as retokenizer:
        for i, edges in cuts.items():
            text = doc[i].text
            parts = [text[a:b] for a, b in pairwise([0, *sorted(edges), len(text)])]
            retokenizer.split(doc[i], parts, heads=[(doc[i], 0)] * len(parts))
    return doc
