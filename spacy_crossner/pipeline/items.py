"""What a batch offers to contrast: which tokens make up an item, which items go together."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_crossner.data.view import View
from spacy_crossner.ml.heads import find_spaces
from spacy_crossner.pipeline.gold import Gold

# Key of what belongs to no group, or has no label.
NO_KEY = -1


@dataclass
class Selection:
    """What a batch offers to contrast.

    rows (numpy.ndarray): (n_members,) int32, the rows of each item's tokens, one item after the
        other, counted over all docs.
    lengths (numpy.ndarray): (n_items,) int32, how many of them each item has.
    keys (numpy.ndarray): (n_items,) int64. Items with the same key are pulled together, except
        for those with a negative one.
    views (numpy.ndarray): (n_items,) int64, the view that each item comes from.
    """

    rows: numpy.ndarray
    lengths: numpy.ndarray
    keys: numpy.ndarray
    views: numpy.ndarray


def word_rows(doc: Doc) -> numpy.ndarray:
    """Get the indices of tokens that are not whitespace."""
    return numpy.flatnonzero(~find_spaces(doc))


def token_types(gold: Gold) -> list[Optional[str]]:
    """Reduce entities to one type per token; of nested ones the longest counts.

    gold (Gold): Gold annotation of an example.
    RETURNS (List[Optional[str]]): The entity type of each token, None outside.
    """
    types: list[Optional[str]] = [None] * len(gold.known)
    for mention in sorted(gold.mentions, key=lambda m: (len(m.tokens), m.tokens, m.label)):
        for token in mention.tokens:
            types[token] = mention.label
    return types


def sample_tokens(
    keys: numpy.ndarray, priorities: numpy.ndarray, outside_ratio: float, max_tokens: int
) -> numpy.ndarray:
    """Keep all tokens of entities, and some of the others.

    keys (numpy.ndarray): (n,) the tokens' keys, negative outside of entities.
    priorities (numpy.ndarray): (n,) random numbers: where there are too many, the smallest win.
    outside_ratio (float): Tokens outside to keep, per token inside.
    max_tokens (int): Most tokens to keep.
    RETURNS (numpy.ndarray): Indices of what is kept, ascending.
    """
    order = numpy.argsort(priorities, kind="stable")
    inside = order[keys[order] >= 0][:max_tokens]
    n_outside = min(int(outside_ratio * len(inside)), max_tokens - len(inside))
    outside = order[keys[order] < 0][:n_outside]
    return numpy.sort(numpy.concatenate([inside, outside]))


def number(names: Sequence[Optional[Hashable]]) -> numpy.ndarray:
    """Give equal names equal numbers.

    names (Sequence[Optional[Hashable]]): The names, None for none.
    RETURNS (numpy.ndarray): (n_names,) int64, -1 for none.
    """
    numbers: dict[Hashable, int] = {}
    return numpy.array(
        [NO_KEY if name is None else numbers.setdefault(name, len(numbers)) for name in names],
        dtype="int64",
    )


def number_views(views: Sequence[Optional[View]]) -> numpy.ndarray:
    """Number views by kind and language; shape (n_views,), int64."""
    return number([None if view is None else (view.kind, view.lang) for view in views])


def first_rows(examples: list[Example]) -> list[int]:
    """Find the row of each predicted doc's first token in the concatenated batch."""
    lengths = [len(eg.predicted) for eg in examples]
    return [int(end) - length for end, length in zip(numpy.cumsum(lengths), lengths, strict=True)]
