"""Units of a head: consecutive tokens with the same vector are one unit.

An encoder's word piece may cover several tokens: 北京 is one piece, but two tokens. They get the
same vector, and whatever a head learned, it has to say the same of both. So it is asked once, and
its answer holds for all tokens of the unit. In languages with spaces nearly every token is a unit.
White space belongs to the unit of the word before it, whatever its own vector is.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy

from spacy_crossner.pipeline.gold import Gold
from spacy_crossner.types import Mention


def to_units(gold: Gold, starts: numpy.ndarray, spaces: numpy.ndarray) -> Gold:
    """Express an annotation in units.

    gold (Gold): The annotation, in tokens.
    starts (numpy.ndarray): (n_units,) the first token of each unit.
    spaces (numpy.ndarray): (n_tokens,) bool, which tokens are white space.
    RETURNS (Gold): The annotation, in units. What begins or ends inside a unit is unknown there,
        and so is a unit of white space: its vector may be that of the word behind it.
    """
    n_tokens = len(gold.known)
    if len(starts) == n_tokens and not spaces.any():
        return gold
    unit_of = number_units(starts, n_tokens)
    n_words = numpy.add.reduceat(~spaces, starts, dtype="int64")
    known = numpy.logical_and.reduceat(gold.known | spaces, starts) & (n_words > 0)
    mentions = []
    misaligned = gold.misaligned
    for mention in gold.mentions:
        tokens = numpy.array(mention.tokens)
        words = tokens[~spaces[tokens]]
        if not len(words):
            continue
        units = numpy.unique(unit_of[words])
        if n_words[units].sum() == len(words):
            mentions.append(Mention(tuple(units.tolist()), mention.label))
        else:
            known[units] = False
            misaligned += 1
    return replace(gold, mentions=mentions, known=known, misaligned=misaligned)


def to_tokens(mentions: Iterable[Mention], starts: numpy.ndarray, n_tokens: int) -> list[Mention]:
    """Express mentions in tokens.

    mentions (Iterable[Mention]): Mentions, in units.
    starts (numpy.ndarray): (n_units,) the first token of each unit.
    n_tokens (int): Number of tokens.
    RETURNS (List[Mention]): The mentions, in tokens, in the same order. They may end in white
        space.
    """
    if len(starts) == n_tokens:
        return list(mentions)
    bounds = [*starts.tolist(), n_tokens]
    return [
        mention._replace(
            tokens=tuple(t for u in mention.tokens for t in range(bounds[u], bounds[u + 1]))
        )
        for mention in mentions
    ]


def number_units(starts: numpy.ndarray, n_tokens: int) -> numpy.ndarray:
    """Compute the unit of each token.

    RETURNS (numpy.ndarray): (n_tokens,) the unit of each token.
    """
    return numpy.searchsorted(starts, numpy.arange(n_tokens), side="right") - 1
