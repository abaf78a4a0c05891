"""The batcher: whole groups of views, with little padding."""

import random
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import repeat
from typing import Optional, TypeVar

import spacy
from spacy.training import Example
from spacy.training.batchers import Sizing

from spacy_crossner.checks import check_least
from spacy_crossner.data.shards import iter_runs
from spacy_crossner.data.view import get_group
from spacy_crossner.errors import CrossnerError, Errors, Warnings

T = TypeVar("T")
Batcher = Callable[[Iterable[Example]], Iterator[list[Example]]]


@spacy.registry.batchers("spacy-crossner.batch_by_group.v1")
def configure_batch_by_group(
    size: Sizing,
    buffer: int = 256,
    discard_oversize: bool = False,
    get_length: Optional[Callable[[Example], int]] = None,
) -> Batcher:
    """Batch examples so that all views of a group are in one batch.

    A group whose partner is missing and a doc without a view are batched like any other. spaCy
    sorts each batch by length before it trains on it, and splits it if `accumulate_gradient` is
    more than 1: leave that at 1, because subdividing a batch splits groups.

    size (Sizing): The padded size of a batch: its number of docs times the tokens of its longest
        doc. A number, or a schedule with a number for each batch. A larger group makes a batch of
        its own.
    buffer (int): How many examples to collect before those of similar length are put together.
    discard_oversize (bool): Leave larger groups out, and say how many.
    get_length (Callable[[Example], int]): The length of an example. None counts its tokens.
    """
    for setting, value in (("size", size), ("buffer", buffer)):
        if isinstance(value, int):
            check_least(setting, value)
    return partial(
        batch_by_group,
        size=size,
        buffer=buffer,
        discard_oversize=discard_oversize,
        get_length=get_length or len,
    )


def batch_by_group(
    examples: Iterable[Example],
    size: Sizing,
    buffer: int = 256,
    discard_oversize: bool = False,
    get_length: Callable[[Example], int] = len,
) -> Iterator[list[Example]]:
    """Batch examples; see `configure_batch_by_group` for the settings.

    examples (Iterable[Example]): If it is a list, the views of a group may stand anywhere in it;
        otherwise they follow one another, as the reader yields them.
    YIELDS (list[Example]): The batches, in an order that Python's random seed decides.
    """
    sizes = _iter_sizes(size)
    discarded = 0
    for groups in _collect(_iter_groups(examples), buffer):
        groups.sort(key=lambda group: max(map(get_length, group)))
        batches = []
        batch: list[Example] = []
        budget = next(sizes)
        for group in groups:
            # the groups are sorted: this one's longest example is the batch's longest
            longest = max(map(get_length, group))
            if longest * len(group) > budget and discard_oversize:
                discarded += 1
                continue
            if batch and longest * (len(batch) + len(group)) > budget:
                batches.append(batch)
                batch = []
                budget = next(sizes)
            batch.extend(group)
        if batch:
            batches.append(batch)
        random.shuffle(batches)
        yield from batches
    if discarded:
        warnings.warn(Warnings.CNW20.format(count=discarded), stacklevel=2)


def _iter_groups(examples: Iterable[Example]) -> Iterator[list[Example]]:
    if not isinstance(examples, list):
        yield from iter_runs(examples, lambda example: get_group(example.reference))
        return
    groups: dict[object, list[Example]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(get_group(example.reference) or index, []).append(example)
    yield from groups.values()


def _collect(groups: Iterable[list[T]], size: int) -> Iterator[list[list[T]]]:
    held: list[list[T]] = []
    count = 0
    for group in groups:
        held.append(group)
        count += len(group)
        if count >= size:
            yield held
            held = []
            count = 0
    if held:
        yield held


def _iter_sizes(size: Sizing) -> Iterator[int]:
    if isinstance(size, int):
        yield from repeat(size)
    last = 0
    for last in size:  # type: ignore[union-attr]
        yield int(last)
    if last < 1:
        raise CrossnerError(Errors.CN273.format(setting="size", value=size, least=1))
    yield from repeat(int(last))
