"""Word alignment of a sentence and its translation: pure functions on arrays.

Three kinds of evidence add up to one table of scores: how alike the vectors of two words are, how
alike they sound (or sound to a dictionary's translation), and how far apart they stand. Two softmax
functions over that table, one in each direction, say how sure the alignment is of each pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy

from spacy_crossner.translate.names import compare_names

# How much each kind of evidence counts beside the cosine, and how sharp the softmax is.
NAME_WEIGHT = 0.6
DISTANCE_WEIGHT = 0.1
TEMPERATURE = 0.04
# Words that sound less alike than this are not alike at all: any two have some letters in common.
LEAST_ALIKE = 0.5
# A link holds if the product of both directions is above this.
LEAST_LINK = 0.1


@dataclass
class Sentence:
    """A tokenized sentence.

    words (list[str]): The tokens.
    spaces (list[bool]): Whether a space follows each.
    function (numpy.ndarray): bool, (n,) True for punctuation and function words.
    vectors (Optional[numpy.ndarray]): float32, (n, width), or None if there is no encoder.
    """

    words: list[str]
    spaces: list[bool]
    function: numpy.ndarray
    vectors: Optional[numpy.ndarray] = None

    def text(self, start: int, end: int) -> str:
        """Get the text of a token span."""
        words, spaces = self.words, self.spaces
        return "".join(
            words[i] + (" " if spaces[i] and i < end - 1 else "") for i in range(start, end)
        )


class Alignment(NamedTuple):
    """How sure it is that two words translate each other.

    forward (numpy.ndarray): (n, m) where each source word went; rows sum up to 1.
    backward (numpy.ndarray): (n, m) where each target word came from; columns sum up to 1.
    """

    forward: numpy.ndarray
    backward: numpy.ndarray


def align(source: Sentence, target: Sentence, renderings: Sequence[Sequence[str]]) -> Alignment:
    """Align the words of a sentence with those of its translation.

    source (Sentence): n tokens.
    target (Sentence): m tokens.
    renderings (Sequence[Sequence[str]]): For each source word, what it may be in the target: at
        least itself, since names often stay.
    RETURNS (Alignment): The alignment.
    """
    n, m = len(source.words), len(target.words)
    if not n or not m:
        return Alignment(numpy.zeros((n, m)), numpy.zeros((n, m)))
    flat = [one for options in renderings for one in options]
    starts = numpy.cumsum([0] + [len(options) for options in renderings[:-1]])
    alike = numpy.maximum.reduceat(compare_names(flat, target.words), starts, axis=0)
    scores = NAME_WEIGHT * numpy.maximum(alike - LEAST_ALIKE, 0.0)
    places = numpy.abs((numpy.arange(n)[:, None] + 0.5) / n - (numpy.arange(m)[None, :] + 0.5) / m)
    scores -= DISTANCE_WEIGHT * places
    if source.vectors is not None and target.vectors is not None:
        scores += centred(source.vectors) @ centred(target.vectors).T
    return Alignment(_softmax(scores / TEMPERATURE, 1), _softmax(scores / TEMPERATURE, 0))


def centred(vectors: numpy.ndarray) -> numpy.ndarray:
    """Take out what all words of a sentence share, and bring the rest to length 1.

    An encoder's vectors all point roughly one way; only what is left tells words apart.

    vectors (numpy.ndarray): (n, width).
    RETURNS (numpy.ndarray): (n, width).
    """
    rest = vectors - vectors.mean(axis=0)
    return rest / numpy.maximum(numpy.linalg.norm(rest, axis=1, keepdims=True), 1e-6)


def find_links(alignment: Alignment) -> numpy.ndarray:
    """Choose the pairs of words that surely translate each other.

    alignment (Alignment): Of n source and m target words.
    RETURNS (numpy.ndarray): int32, (k, 2) pairs of a source and a target token, in order.
    """
    both = alignment.forward * alignment.backward
    return numpy.argwhere(both > LEAST_LINK).astype("int32")


def _softmax(scores: numpy.ndarray, axis: int) -> numpy.ndarray:
    exponents = numpy.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponents / exponents.sum(axis=axis, keepdims=True)
