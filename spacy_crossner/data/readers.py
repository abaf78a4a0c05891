"""The corpus reader: whole groups of views, from disk, however large the corpus is."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Optional, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_crossner.checks import check_least
from spacy_crossner.data.shards import find_shards, read_groups
from spacy_crossner.data.view import USER_DATA_KEY, get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors

Group = list[Doc]
Augmenter = Callable[[Language, Example], Iterator[Example]]


@spacy.registry.readers("spacy-crossner.ParallelCorpus.v1")
def create_parallel_corpus(
    path: Optional[Union[str, Path, list[str]]],
    limit: int = 0,
    shuffle: bool = False,
    seed: int = 0,
    buffer: int = 2000,
    langs: Optional[list[str]] = None,
    kinds: Optional[list[str]] = None,
    max_views: int = 0,
    augmenter: Optional[Callable[[Language, Example], Iterator[Example]]] = None,
) -> Callable[[Language], Iterator[Example]]:
    """Read groups of views, the docs of a group one after the other.

    Predicted docs get the words, the spaces and the view of their reference, so that the two align
    token by token. For training, `max_epochs = -1` in `[training]` lets the reader stream and
    shuffle; any other value makes spaCy load the whole corpus and shuffle its docs one by one,
    after which `spacy-crossner.batch_by_group.v1` puts the groups together again.

    path (Union[str, Path, List[str]]): A `.spacy` file or a folder of them; or several, as a list
        or separated by commas, which are then mixed evenly. A group has to lie in one file.
    limit (int): Number of groups to read, the same in each epoch. 0 reads all.
    shuffle (bool): Shuffle the groups: another order in each epoch, the same in each run.
    seed (int): Decides the orders.
    buffer (int): How many groups are held at a time to shuffle those of different files.
    langs (List[str]): Only read views in these languages. None reads all.
    kinds (List[str]): Only read views of these kinds. None reads all.
    max_views (int): Number of views to read per group, different ones in each epoch. With
        many languages, a batch then holds more sentences instead of more views of the same ones.
        0 reads all.
    augmenter (Callable[[Language, Example], Iterator[Example]]): Changes or adds examples, anew in
        each epoch, e.g. `spacy-crossner.codeswitch_augmenter.v1`. Its examples stay
        in the group, or follow it as a separate group.
    """
    if not path:
        raise CrossnerError(Errors.CN270)
    check_least("buffer", buffer)
    check_least("max_views", max_views, 0)
    return ParallelCorpus(
        split_path(path),
        limit=limit,
        shuffle=shuffle,
        seed=seed,
        buffer=buffer,
        langs=langs,
        kinds=kinds,
        max_views=max_views,
        augmenter=augmenter,
    )


def split_path(path: Union[str, Path, list[str]]) -> list[Path]:
    """Split a comma-separated path, or a list of them; an existing path is not split."""
    if isinstance(path, list):
        return [part for one in path for part in split_path(one)]
    if Path(path).exists():
        return [Path(path)]
    return [Path(part.strip()) for part in str(path).split(",") if part.strip()]


class ParallelCorpus:
    """Iterate over the examples of a corpus, group by group.

    paths (Sequence[Path]): Files, or folders of files.

    The other settings are those of `create_parallel_corpus`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        limit: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        buffer: int = 2000,
        langs: Optional[Sequence[str]] = None,
        kinds: Optional[Sequence[str]] = None,
        max_views: int = 0,
        augmenter: Optional[Augmenter] = None,
    ) -> None:
        self.paths = list(paths)
        self.limit = limit
        self.shuffle = shuffle
        self.seed = seed
        self.buffer = buffer
        self.langs = langs
        self.kinds = kinds
        self.max_views = max_views
        self.augmenter = augmenter
        self.epoch = 0

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the corpus once. Each call is one epoch further.

        nlp (Language): The pipeline, for its vocab.
        YIELDS (Example): The examples, those of a group one after the other.
        """
        epoch = self.epoch
        self.epoch += 1
        examples = self._iter_examples(nlp.vocab, epoch)
        return examples if self.augmenter is None else augment(self.augmenter, nlp, examples)

    def _iter_examples(self, vocab: Vocab, epoch: int) -> Iterator[Example]:
        groups: Iterator[Group] = map(self._select, self._iter_groups(vocab, epoch))
        groups = filter(None, groups)
        if self.limit:
            groups = islice(groups, self.limit)
        if self.max_views:
            rng = self._make_rng(epoch, "views")
            groups = (draw_views(group, self.max_views, rng) for group in groups)
        if self.shuffle:
            groups = shuffle_buffered(groups, self.buffer, self._make_rng(epoch, "buffer"))
        empty = True
        for group in groups:
            empty = False
            yield from map(make_example, group)
        if empty:
            paths = ", ".join(map(str, self.paths))
            raise CrossnerError(
                Errors.CN272.format(paths=paths, langs=self.langs, kinds=self.kinds)
            )

    def _iter_groups(self, vocab: Vocab, epoch: int) -> Iterator[Group]:
        streams = []
        for number, path in enumerate(self.paths):
            # a limit is for trying things out: it has to choose the same groups in each epoch
            rng = self._make_rng(epoch, str(number)) if self.shuffle and not self.limit else None
            streams.append(_track_progress(find_shards(path), vocab, rng))
        # the one that has come least far is next: all end together, whatever their sizes
        for _, group in heapq.merge(*streams, key=lambda item: item[0]):
            yield group

    def _select(self, group: Group) -> Group:
        docs = [doc for doc in group if len(doc)]
        if self.langs is None and self.kinds is None:
            return docs
        views = [get_view(doc) for doc in docs]
        return [
            doc
            for doc, view in zip(docs, views, strict=True)
            if view is not None
            and (self.langs is None or view.lang in self.langs)
            and (self.kinds is None or view.kind in self.kinds)
        ]

    def _make_rng(self, epoch: int, use: str) -> random.Random:
        return random.Random(f"{self.seed} {epoch} {use}")


def draw_views(group: Group, most: int, rng: random.Random) -> Group:
    """Draw some of the views of a group.

    group (List[Doc]): The docs of the group.
    most (int): How many views to draw beside the source.
    rng (random.Random): Decides which.
    RETURNS (List[Doc]): The source, where there is one, and the drawn views, in their old order.
    """
    views = [get_view(doc) for doc in group]
    others = [i for i, view in enumerate(views) if view is None or view.kind != "source"]
    if len(others) <= most:
        return group
    left_out = set(others) - set(rng.sample(others, most))
    return [doc for i, doc in enumerate(group) if i not in left_out]


def make_example(reference: Doc, vocab: Optional[Vocab] = None) -> Example:
    """Make an example whose predicted doc has the tokens and the view of its reference.

    reference (Doc): The annotated doc.
    vocab (Optional[Vocab]): That of the predicted doc; by default that of the reference.
    RETURNS (Example): The example.
    """
    predicted = Doc(
        vocab or reference.vocab,
        words=[token.text for token in reference],
        spaces=None
        if reference.has_unknown_spaces
        else [bool(token.whitespace_) for token in reference],
    )
    if USER_DATA_KEY in reference.user_data:
        predicted.user_data[USER_DATA_KEY] = reference.user_data[USER_DATA_KEY]
    return Example(predicted, reference)


def augment(augmenter: Augmenter, nlp: Language, examples: Iterable[Example]) -> Iterator[Example]:
    """Augment examples. Augmented examples stay in the group, or follow it if they have another
    group.

    augmenter (Augmenter): Yields augmented examples. Their docs have a view, or have the same
        number of tokens as the example that they came from, and take over its view.
    nlp (Language): The pipeline.
    examples (Iterable[Example]): The examples.
    YIELDS (Example): The augmented examples.
    """
    aside: list[Example] = []
    last = None
    for example in examples:
        view = get_view(example.reference)
        group = None if view is None else view.group
        if group is None or group != last:
            yield from aside
            aside.clear()
            last = group
        for one in augmenter(nlp, example):
            doc = one.reference
            own = get_group(doc)
            if own is None and len(doc) == len(example.reference):
                _keep_attrs(example.reference, doc)
            if view is not None and own is None:
                expected = len(example.reference)
                if len(doc) != expected:
                    raise CrossnerError(
                        Errors.CN274.format(text=doc.text, found=len(doc), expected=expected)
                    )
                set_view(doc, view)
                one, own = make_example(doc), group
            if own == group:
                yield one
            else:
                aside.append(one)
    yield from aside


def _keep_attrs(old: Doc, new: Doc) -> None:
    # spaCy's augmenters forget them: scores, which tell predictions from labels, among others
    for key, group in old.spans.items():
        if key in new.spans:
            new.spans[key].attrs.update(group.attrs)


def shuffle_buffered(groups: Iterable[Group], size: int, rng: random.Random) -> Iterator[Group]:
    """Shuffle a stream with a buffer.

    groups (Iterable[Group]): The groups.
    size (int): How many are held at a time.
    rng (random.Random): Random number generator.
    YIELDS (Group): The groups, each moved forward by at most `size` places.
    """
    held: list[Group] = []
    for group in groups:
        if len(held) < size:
            held.append(group)
        else:
            chosen = rng.randrange(size)
            yield held[chosen]
            held[chosen] = group
    rng.shuffle(held)
    yield from held


def _track_progress(
    shards: Sequence[Path], vocab: Vocab, rng: Optional[random.Random]
) -> Iterator[tuple[float, Group]]:
    shards = list(shards)
    if rng is not None:
        rng.shuffle(shards)
    sizes = [shard.stat().st_size for shard in shards]
    done = 0
    for shard, size in zip(shards, sizes, strict=True):
        count, groups = read_groups(shard, vocab, rng)
        for number, group in enumerate(groups):
            yield (done + size * number / count) / sum(sizes), group
        done += size
