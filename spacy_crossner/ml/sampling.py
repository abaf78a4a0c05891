"""Other ways to cut a word into pieces, drawn by their probability: subword regularization (Kudo,
2018) for unigram tokenizers. No torch."""

import json
import math
import random
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy
from tokenizers import Tokenizer

from spacy_crossner.errors import CrossnerError, Errors

# Begins a piece that begins a word.
WORD = "▁"
# Words whose cuts are remembered.
CACHE = 50_000

Pieces = tuple[numpy.ndarray, list[str], numpy.ndarray]


class PieceSampler:
    """Draws the pieces of each word.

    backend (Tokenizer): A unigram tokenizer.
    alpha (float): Exponent of a cut's probability. The smaller it is, the rarer are the cuts that
        are drawn; at infinity it would always be the tokenizer's own.
    """

    def __init__(self, backend: Tokenizer, alpha: float):
        model = json.loads(backend.to_str())["model"]
        if model["type"] != "Unigram":
            raise CrossnerError(Errors.CN028.format(kind=model["type"]))
        self.backend = backend
        self.weight_of = {piece: alpha * score for piece, score in model["vocab"]}
        self.longest = max(map(len, self.weight_of))
        self.find_cuts = lru_cache(CACHE)(self._find_cuts)

    def sample(
        self, text: str, ids: numpy.ndarray, strings: list[str], offsets: numpy.ndarray
    ) -> Pieces:
        """Cut a text again.

        text (str): The text.
        ids (numpy.ndarray): (n_pieces,) piece ids of the tokenizer's own cut.
        strings (list[str]): The pieces.
        offsets (numpy.ndarray): (n_pieces, 2) first character and end of each piece in the text.
        RETURNS (tuple): The same of the pieces drawn. A word stays as it is where its pieces and
            the text are not the same letters one by one.
        """
        if not strings:
            return ids, strings, offsets
        begins = [i for i, string in enumerate(strings) if i == 0 or string[0] == WORD]
        drawn: list[str] = []
        places = []
        for begin, end in pairwise([*begins, len(strings)]):
            pieces, place = strings[begin:end], offsets[begin:end]
            span = int(place[0, 0]), int(place[-1, 1])
            letters = len("".join(pieces).lstrip(WORD))
            if (
                letters == len(text[slice(*span)].strip())
                and numpy.array_equal(find_offsets(pieces, *span), place)
                and all(piece in self.weight_of for piece in pieces)
            ):
                pieces = self.draw("".join(pieces))
                place = find_offsets(pieces, *span)
            drawn += pieces
            places.append(place)
        own = dict(zip(strings, ids.tolist(), strict=True))
        new = [own[p] if p in own else self.backend.token_to_id(p) for p in drawn]
        return numpy.array(new, dtype=ids.dtype), drawn, numpy.concatenate(places)

    def draw(self, word: str) -> list[str]:
        """Draw a cut of a word, from its end to its beginning."""
        cuts = self.find_cuts(word)
        pieces, end = [], len(word)
        while end:
            begins, weights = cuts[end]
            begin = random.choices(begins, cum_weights=weights)[0]
            pieces.append(word[begin:end])
            end = begin
        return pieces[::-1]

    def _find_cuts(self, word: str) -> list[tuple[list[int], list[float]]]:
        """Weigh the pieces that could end at each letter by the sum of all cuts up to there.

        word (str): Its pieces joined.
        RETURNS (list[tuple[list[int], list[float]]]): For each end, where pieces begin, and their
            cumulative weights.
        """
        sums = [0.0]
        cuts: list[tuple[list[int], list[float]]] = [([], [])]
        for end in range(1, len(word) + 1):
            begins, logs = [], []
            for begin in range(max(end - self.longest, 0), end):
                weight = self.weight_of.get(word[begin:end])
                if weight is not None and sums[begin] > -math.inf:
                    begins.append(begin)
                    logs.append(sums[begin] + weight)
            most = max(logs, default=-math.inf)
            shares = list(accumulate(math.exp(log - most) for log in logs))
            sums.append(most + math.log(shares[-1]) if shares else -math.inf)
            cuts.append((begins, shares))
        return cuts


def find_offsets(pieces: list[str], begin: int, end: int) -> numpy.ndarray:
    """Find the letters of the pieces of a word.

    pieces (list[str]): The pieces. The mark of the first is the space before the word, or lies
        outside of it, where the tokenizer has cut at spaces or the text begins.
    begin, end (int): Where the word lies in the text.
    RETURNS (numpy.ndarray): (n_pieces, 2) the first character of each, and its end. A mark without
        a character gets the one behind it.
    """
    ends = end + numpy.cumsum([len(piece) for piece in pieces]) - sum(map(len, pieces))
    begins = numpy.maximum(numpy.append(begin, ends[:-1]), begin)
    return numpy.stack([begins, numpy.maximum(ends, begins + 1)], axis=1)
