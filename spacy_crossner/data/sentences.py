"""What every file format is read into: a sentence, or the reason why it could not be read."""

from bisect import bisect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from spacy_crossner.data.languages import is_unspaced

Span = tuple[int, int, str]
# The offsets of a discontinuous entity.
Fragments = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sentence:
    """One sentence of a file.

    text (str): The text.
    spans (tuple): Entities in order: start and end character offsets, label. They may overlap. None
        if the file says nothing about entities, which is not the same as having none.
    words (tuple): The file's tokens, none of them whitespace; None if it has only the text.
    offsets (tuple): Where each token starts in the text.
    spaced (bool): Whether the text has its real spacing, or tokens joined by default.
    line (int): The line it starts in.
    gapped (tuple): Entities whose parts are apart: character offsets of the parts, label.
    scores (tuple): The probability of each span, if a model found them.
    """

    text: str
    spans: Optional[tuple[Span, ...]]
    words: Optional[tuple[str, ...]] = None
    offsets: tuple[int, ...] = ()
    spaced: bool = True
    line: int = 0
    gapped: tuple[tuple[Fragments, str], ...] = ()
    scores: Optional[tuple[float, ...]] = None


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file.

    message (str): The error's code, the place and the remedy.
    mended (bool): Whether the sentence could be used all the same.
    """

    message: str
    mended: bool = False

    @property
    def code(self) -> str:
        """Code of the error, such as "CN222"."""
        return self.message[1 : self.message.index("]")]


@dataclass(frozen=True)
class Parsed:
    """A sentence with what is wrong in it; without the sentence if that can't be mended."""

    sentence: Optional[Sentence]
    problems: tuple[Problem, ...] = ()


def locate_words(sentence: Sentence) -> Iterator[tuple[str, int]]:
    """Iterate over the words of a sentence with their offsets."""
    return zip(sentence.words or (), sentence.offsets, strict=True)


class MisfitError(Exception):
    """Tokens that are not those of the text: the first token that is out of place."""

    def __init__(self, index: int, position: int) -> None:
        super().__init__(index, position)
        self.index = index
        self.position = position


def locate_tokens(words: Sequence[str], text: str) -> tuple[int, ...]:
    """Find each token in the text, where only whitespace may lie between two tokens.

    words (Sequence[str]): The tokens in order.
    text (str): The text.
    RETURNS (tuple[int, ...]): The offset of each token.
    """
    offsets = []
    position = 0
    for index, word in enumerate(words):
        while not text.startswith(word, position) and text[position : position + 1].isspace():
            position += 1
        if not text.startswith(word, position):
            raise MisfitError(index, position)
        offsets.append(position)
        position += len(word)
    if text[position:].strip():
        raise MisfitError(len(words), position)
    return tuple(offsets)


def join_tokens(words: Sequence[str], lang: str) -> tuple[str, tuple[int, ...], bool]:
    """Join tokens whose spacing is not known to a text.

    words (Sequence[str]): The tokens.
    lang (str): The language, which decides whether spaces stand between words.
    RETURNS (tuple): The text, the offset of each token, and whether the spacing can be relied on.
    """
    unspaced = is_unspaced(lang)
    offsets = []
    position = 0
    for word in words:
        offsets.append(position)
        position += len(word) + (not unspaced)
    return ("" if unspaced else " ").join(words), tuple(offsets), unspaced


def split_spaces(sentence: Sentence) -> tuple[list[str], list[bool]]:
    """Turn the tokens of a sentence into words and spaces that spell out its text exactly.

    sentence (Sentence): A sentence with words.
    RETURNS (tuple[list[str], list[bool]]): The words, with a whitespace token wherever more than
        a single blank stands between two tokens, and whether a blank follows each.
    """
    words: list[str] = []
    spaces: list[bool] = []
    position = 0
    for word, start in (*locate_words(sentence), ("", len(sentence.text))):
        gap = sentence.text[position:start]
        if words and gap.startswith(" "):
            spaces[-1] = True
            gap = gap[1:]
        for piece in (gap, word):
            if piece:
                words.append(piece)
                spaces.append(False)
        position = start + len(word)
    return words, spaces


def outermost(spans: Iterable[Span]) -> list[Span]:
    """Choose spans that do not overlap, long ones first.

    spans (Iterable[Span]): Any spans.
    RETURNS (list[Span]): The chosen ones in order.
    """
    chosen: list[Span] = []
    starts: list[int] = []
    for span in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        at = bisect(starts, span[0])
        free_before = at == 0 or chosen[at - 1][1] <= span[0]
        if free_before and (at == len(chosen) or span[1] <= chosen[at][0]):
            chosen.insert(at, span)
            starts.insert(at, span[0])
    return chosen


def relabel(
    sentence: Sentence, label_map: Mapping[str, str], drop_labels: Collection[str]
) -> Sentence:
    """Rename and drop labels.

    sentence (Sentence): The sentence.
    label_map (Mapping[str, str]): New names by old names; others stay.
    drop_labels (Collection[str]): Labels, by their old names, whose entities become plain text.
    RETURNS (Sentence): The sentence with its new labels.
    """
    if sentence.spans is None:
        return sentence
    scores = sentence.scores or (None,) * len(sentence.spans)
    new: dict[Span, Optional[float]] = {}
    for (start, end, label), score in zip(sentence.spans, scores, strict=True):
        if label not in drop_labels:
            new.setdefault((start, end, label_map.get(label, label)), score)
    gapped = [
        (parts, label_map.get(label, label))
        for parts, label in sentence.gapped
        if label not in drop_labels
    ]
    return replace(
        sentence,
        spans=tuple(sorted(new)),
        gapped=tuple(dict.fromkeys(gapped)),
        scores=None if sentence.scores is None else tuple(new[span] or 0.0 for span in sorted(new)),
    )
