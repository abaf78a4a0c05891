"""Where the entities of a sentence are in its translation: pure functions.

Every run of target tokens is scored for every entity, and an entity goes where its best score is,
or nowhere if nothing scores better than that. Scoring whole spans is what makes the edges right:
a missed word inside a name, an article before it or half of a compound cost a few points, where
linking word by word would lose them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Optional

import numpy

from spacy_crossner.translate.align import Alignment, Sentence, centred
from spacy_crossner.translate.names import compare_names

# What speaks for and against a span, and how much: a log-linear model whose weights were fitted
# on the German part of parallel UD alone. Changing a feature means fitting them again.
WEIGHTS = {
    "backward": -1.2,
    "outside": -3.3,
    "edges": 1.7,
    "vectors": 2.4,
    "name": 1.6,
    "lower_start": -1.1,
    "lower_inside": -1.7,
    "function_edge": -3.2,
    "joint": -2.0,
    "punctuation": -1.5,
    "growth": -0.7,
    "growth_squared": -0.5,
    "shift": -0.3,
    "nowhere": 1.5,
}
FEATURES = tuple(WEIGHTS)
# Signs that join the parts of one name; a span does not begin or end at them.
JOINERS = frozenset("-‐‑–·•・‧⸱'’")
CANDIDATES = 30  # best spans of each entity that take part in the choice
LONGEST = 40  # tokens
LEAST_NAME = 0.4
SHORTEST_REPEAT = 3  # characters
LONGEST_ARTICLE = 4  # characters
LONGEST_LINK = 3  # characters of a word such as "de" that is left over behind a name


class Entity(NamedTuple):
    """An entity of the source sentence.

    start (int): First token.
    end (int): One past the last token.
    label (str): Its type.
    renderings (Sequence[str]): What the whole name may be in the target, at least itself.
    """

    start: int
    end: int
    label: str
    renderings: Sequence[str]


class Placement(NamedTuple):
    """An entity in the target sentence.

    entity (int): Index of the source entity.
    start (int): First token.
    end (int): One past the last token.
    confidence (float): Probability, between 0 and 1.
    repaired (bool): Whether marks were repaired or lost, so that words were aligned.
    """

    entity: int
    start: int
    end: int
    confidence: float
    repaired: bool = False


class Candidates(NamedTuple):
    """The spans that an entity may go to.

    starts, ends (numpy.ndarray): (k,) token offsets.
    features (numpy.ndarray): (k + 1, n_features); the last row stands for "nowhere".
    """

    starts: numpy.ndarray
    ends: numpy.ndarray
    features: numpy.ndarray


def project(
    entities: Sequence[Entity],
    source: Sentence,
    target: Sentence,
    alignment: Alignment,
    pieces: Optional[Mapping[int, Sequence[tuple[int, int]]]] = None,
) -> list[Placement]:
    """Find the entities of a sentence in its translation.

    entities (Sequence[Entity]): The entities of the source, not overlapping.
    source (Sentence): n tokens.
    target (Sentence): m tokens.
    alignment (Alignment): Of the two.
    pieces (Optional[Mapping]): Where marks say that the entities are: for each index the first
        token of each piece and one past its last. None if the translator carries no marks.
    RETURNS (list[Placement]): The entities that were found, in order of their place; no two share
        a token.
    """
    if not entities or not target.words:
        return []
    placed, doubtful = read_marks(entities, source, target, pieces or {})
    weights = numpy.array(list(WEIGHTS.values()))
    rest = [index for index in range(len(entities)) if index not in {one.entity for one in placed}]
    found = [describe_candidates(entities[index], source, target, alignment) for index in rest]
    scores = [candidates.features @ weights for candidates in found]
    taken = [(one.start, one.end) for one in placed]
    for one in choose(found, scores, taken):
        placed.append(one._replace(entity=rest[one.entity], repaired=pieces is not None))
    for one in doubtful:
        if all(one.entity != p.entity and not _overlap(one, p) for p in placed):
            placed.append(one)
    return find_repeats(entities, placed, target)


def read_marks(
    entities: Sequence[Entity],
    source: Sentence,
    target: Sentence,
    pieces: Mapping[int, Sequence[tuple[int, int]]],
) -> tuple[list[Placement], list[Placement]]:
    """Make one span of each marked entity: pieces are joined, function words at its edges dropped.

    entities (Sequence[Entity]): The entities.
    source (Sentence): The source sentence.
    target (Sentence): The target sentence.
    pieces (Mapping): For each marked entity its pieces, in order.
    RETURNS (tuple[list[Placement], list[Placement]]): Those to rely on, and those of which only the
        longest piece could be kept, because other words came in between.
    """
    placed: list[Placement] = []
    doubtful: list[Placement] = []
    for index, spans in sorted(pieces.items()):
        entity = entities[index]
        known = {word.lower() for word in source.words[entity.start : entity.end]}
        marked = {i for start, end in spans for i in range(start, end)}
        start, end = spans[0][0], spans[-1][1]
        whole = all(i in marked or _is_loose(target, i, ()) for i in range(start, end))
        if not whole:
            start, end = max(spans, key=lambda span: len(target.text(*span)))
        confidence = len(marked.intersection(range(start, end))) / max(len(marked), end - start)
        while start < end and _is_loose(target, start, known):
            start += 1
        while start < end and _is_loose(target, end - 1, known, LONGEST_LINK):
            end -= 1
        if start == end:
            continue
        repaired = [(start, end)] != list(spans)
        one = Placement(index, start, end, confidence, repaired)
        if whole and not any(_overlap(one, other) for other in placed):
            placed.append(one)
        else:
            doubtful.append(one._replace(repaired=True))
    return placed, doubtful


def _is_loose(
    target: Sentence, token: int, known: Collection[str], longest: int = LONGEST_ARTICLE
) -> bool:
    """Check if a token is a short function word that the name does not contain."""
    word = target.words[token]
    return bool(target.function[token]) and len(word) <= longest and word.lower() not in known


def _overlap(one: Placement, other: Placement) -> bool:
    return one.start < other.end and other.start < one.end


def find_repeats(
    entities: Sequence[Entity], placements: Sequence[Placement], target: Sentence
) -> list[Placement]:
    """Add the places where a name appears in its source spelling next to its translation.

    Text in another script often gives the original after the name: 拉里·万斯 (Larry Vance).

    entities (Sequence[Entity]): The entities.
    placements (Sequence[Placement]): Where they were found.
    target (Sentence): The target sentence.
    RETURNS (list[Placement]): All placements in order; none overlap.
    """
    taken = {i for one in placements for i in range(one.start, one.end)}
    result = list(placements)
    for one in placements:
        name = entities[one.entity].renderings[0]
        if len(name) < SHORTEST_REPEAT:
            continue
        for start in range(len(target.words)):
            if not name.startswith(target.words[start]):
                continue
            for end in range(start + 1, min(len(target.words), start + LONGEST) + 1):
                text = target.text(start, end)
                if text == name and taken.isdisjoint(range(start, end)):
                    result.append(Placement(one.entity, start, end, one.confidence))
                    taken.update(range(start, end))
                if len(text) >= len(name):
                    break
    return sorted(result, key=lambda placement: placement.start)


def choose(
    found: Sequence[Candidates],
    scores: Sequence[numpy.ndarray],
    taken: Sequence[tuple[int, int]] = (),
) -> list[Placement]:
    """Give each entity its best span, the clearest cases first.

    found (Sequence[Candidates]): The candidates of each entity.
    scores (Sequence[numpy.ndarray]): (k + 1,) their scores, "nowhere" last.
    taken (Sequence[tuple[int, int]]): Spans that are given to others already.
    RETURNS (list[Placement]): Placements in order, none overlapping.
    """
    options = []
    for index, (candidates, score) in enumerate(zip(found, scores, strict=True)):
        free = _find_free(candidates, taken)
        better = numpy.flatnonzero(free & (score[:-1] > score[-1]))
        # the best few are enough: more would lose against them or against other entities
        best = better[numpy.argsort(-score[better], kind="stable")[:CANDIDATES]]
        options += [(float(score[k] - score[-1]), index, int(k)) for k in best]
    chosen: dict[int, tuple[int, int]] = {}
    for _, index, k in sorted(options, key=lambda option: (-option[0], *option[1:])):
        start, end = int(found[index].starts[k]), int(found[index].ends[k])
        if index not in chosen and all(end <= s or e <= start for s, e in chosen.values()):
            chosen[index] = (start, end)
    placements = []
    for index, (start, end) in chosen.items():
        candidates, score = found[index], scores[index]
        # a name that occurs twice is sure of both places once each is taken
        others = [span for other, span in chosen.items() if other != index]
        free = numpy.append(_find_free(candidates, [*taken, *others]), True)
        here = (candidates.starts == start) & (candidates.ends == end)
        value = score[:-1][here][0]
        confidence = 1.0 / numpy.exp(score[free] - value).sum()
        placements.append(Placement(index, start, end, float(confidence)))
    return sorted(placements, key=lambda one: one.start)


def _find_free(candidates: Candidates, taken: Sequence[tuple[int, int]]) -> numpy.ndarray:
    """Mask the candidates that don't overlap any taken span, shape (k,)."""
    free = numpy.ones(len(candidates.starts), dtype=bool)
    for start, end in taken:
        free &= (candidates.ends <= start) | (end <= candidates.starts)
    return free


def describe_candidates(
    entity: Entity, source: Sentence, target: Sentence, alignment: Alignment
) -> Candidates:
    """List the spans that an entity may go to, and what speaks for and against each.

    entity (Entity): The entity.
    source (Sentence): n tokens.
    target (Sentence): m tokens, at least 1.
    alignment (Alignment): Of the two.
    RETURNS (Candidates): The spans and their features.
    """
    n, m = len(source.words), len(target.words)
    tokens = numpy.arange(entity.start, entity.end)
    content = tokens[~source.function[tokens]]
    if not len(content):
        content = tokens
    # a translation may have more tokens: German compounds have fewer, Chinese characters more
    growth = max((~target.function).sum(), 1) / max((~source.function).sum(), 1)
    longest = min(m, LONGEST, max(5, round((2 * len(tokens) + 3) * max(growth, 1.0))))
    starts = numpy.repeat(numpy.arange(m), longest)
    ends = starts + numpy.tile(numpy.arange(1, longest + 1), m)
    starts, ends = starts[ends <= m], ends[ends <= m]

    meaning = ~target.function
    mass = alignment.backward[tokens].sum(axis=0)
    from_entity = _Sums(mass * meaning)
    meaningful = numpy.maximum(_Sums(meaning)(starts, ends), 1)
    outside = numpy.concatenate([[0.0], mass * meaning, [0.0]])
    # "two onions" is not a name, so its translation is not one either
    named = not all(source.words[i][:1].islower() for i in content)
    lower = numpy.array([named and word[:1].islower() for word in target.words])
    joins = numpy.array([word in JOINERS for word in target.words])
    punctuation = numpy.array([not any(map(str.isalnum, word)) for word in target.words])
    cut = _find_cuts(target, joins)
    texts = [target.text(start, end) for start, end in zip(starts, ends, strict=True)]
    alike = compare_names(entity.renderings, texts).max(axis=0)
    growths = numpy.log(meaningful / (len(content) * growth))

    columns = {
        "backward": from_entity(starts, ends) / meaningful,
        "outside": outside[starts] + outside[ends + 1],
        "edges": mass[starts] + mass[ends - 1],
        "vectors": _compare_spans(content, source, target, starts, ends),
        "name": numpy.maximum(alike - LEAST_NAME, 0.0) / (1.0 - LEAST_NAME),
        "lower_start": lower[starts],
        "lower_inside": _Sums(lower & meaning)(starts, ends),
        "function_edge": 0.0 + target.function[starts] + target.function[ends - 1],
        "joint": 0.0 + cut[starts] + cut[ends],
        "punctuation": _Sums(punctuation & ~joins)(starts, ends),
        "growth": growths,
        "growth_squared": growths**2,
        "shift": numpy.abs((starts + ends) / (2 * m) - (entity.start + entity.end) / (2 * n)),
        "nowhere": numpy.zeros(len(starts)),
    }
    features = numpy.zeros((len(starts) + 1, len(FEATURES)))
    for column, name in enumerate(FEATURES):
        features[:-1, column] = columns[name]
    features[-1, FEATURES.index("nowhere")] = 1.0
    return Candidates(starts, ends, features)


def find_function_words(words: Sequence[str], stop_words: Collection[str]) -> numpy.ndarray:
    """Distinguish punctuation and function words from words that names consist of.

    words (Sequence[str]): n tokens of a sentence.
    stop_words (Collection[str]): The function words of its language, in lower case.
    RETURNS (numpy.ndarray): bool, (n,). A capital letter makes a name of a function word, except
        of a short one that begins the sentence.
    """
    function = numpy.zeros(len(words), dtype=bool)
    begun = False
    for i, word in enumerate(words):
        is_word = any(map(str.isalnum, word))
        if not begun and len(word) <= LONGEST_ARTICLE and not word[1:].isupper():
            word = word.lower()
        function[i] = not is_word or word in stop_words
        begun = begun or is_word
    return function


class _Sums:
    """Sums over any span at once."""

    def __init__(self, values: numpy.ndarray):
        self.total = numpy.concatenate([numpy.zeros((1, *values.shape[1:])), values.cumsum(axis=0)])

    def __call__(self, starts: numpy.ndarray, ends: numpy.ndarray) -> numpy.ndarray:
        return self.total[ends] - self.total[starts]


def _find_cuts(target: Sentence, joins: numpy.ndarray) -> numpy.ndarray:
    """Mask the token boundaries that would split a name, shape (m + 1,)."""
    cut = numpy.zeros(len(joins) + 1, dtype=bool)
    for i in range(1, len(joins)):
        cut[i] = (joins[i] or joins[i - 1]) and not target.spaces[i - 1]
    return cut


def _compare_spans(
    content: numpy.ndarray,
    source: Sentence,
    target: Sentence,
    starts: numpy.ndarray,
    ends: numpy.ndarray,
) -> numpy.ndarray:
    """Compute the cosine of the entity's mean vector and that of each span, shape (k,)."""
    if source.vectors is None or target.vectors is None:
        return numpy.zeros(len(starts))
    entity = centred(source.vectors)[content].sum(axis=0)
    spans = _Sums(centred(target.vectors) * ~target.function[:, None])(starts, ends)
    norms = numpy.linalg.norm(spans, axis=1) * numpy.linalg.norm(entity)
    return spans @ entity / numpy.maximum(norms, 1e-6)
