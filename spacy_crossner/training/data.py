"""Choose the labelled sentences, views and texts that a recipe trains on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.training.recipes import Recipe


def choose_docs(
    recipe: Recipe, source: list[Path], views: list[Path], bitext: list[Path], limit: int = 0
) -> Iterator[Doc]:
    """Choose what a recipe trains on.

    recipe (Recipe): The recipe, which decides which views are read and whether their labels train.
    source (List[Path]): Labelled sentences, perhaps with their views.
    views (List[Path]): Views of these sentences, perhaps with the sentences.
    bitext (List[Path]): Sentences without labels, each followed by its translations.
    limit (int): How many labelled sentences to take; 0 takes all.
    YIELDS (Doc): The docs, those of a group one after the other.
    """
    vocab = Vocab()
    groups: dict[object, list[Doc]] = {}
    files: dict[object, Path] = {}
    # a group never crosses from one shard of a corpus into the next
    for shard in (shard for path in source for shard in find_shards(path)):
        for doc in read_docs(shard, vocab):
            group = get_group(doc)
            # a number can't be mistaken for a group's name
            key: object = len(groups) if group is None else group
            if files.setdefault(key, shard) != shard:
                raise CrossnerError(Errors.CN659.format(first=files[key], path=shard, group=key))
            groups.setdefault(key, []).append(doc)
    for doc in _read(views, vocab):
        view = get_view(doc)
        if view is None or view.group not in groups:
            raise CrossnerError(Errors.CN651.format(text=doc.text[:60], source=source[0]))
        if view.kind != "source":
            groups[view.group].append(doc)
    for doc in chain.from_iterable(islice(groups.values(), limit or None)):
        view = get_view(doc)
        read, labelled = recipe.choose(view)
        if read and view is not None:
            set_view(doc, replace(view, labelled=view.labelled and labelled))
        if read:
            yield doc
    if recipe.bitext:
        yield from _read(bitext, vocab)


def parse_targets(values: Sequence[str]) -> dict[Path, str]:
    """Read names of target text such as "it=italian.txt" or "target.spacy".

    values (Sequence[str]): The names.
    RETURNS (Dict[Path, str]): The language of each file, empty where the file says it.
    """
    targets: dict[Path, str] = {}
    for value in values:
        lang, equals, path = value.partition("=")
        if not equals or Path(value).exists():
            lang, path = "", value
        if targets.setdefault(Path(path), lang) != lang:
            known = targets[Path(path)]
            raise CrossnerError(
                Errors.CN662.format(path=path, first=known or "xx", second=lang or "xx")
            )
    for found in targets:
        if not found.exists():
            raise CrossnerError(Errors.CN202.format(path=found))
    return targets


def find_languages(path: Path) -> set[str]:
    """Find the languages of labelled docs in a corpus."""
    views = map(get_view, _read([path], Vocab()))
    return {view.lang for view in views if view is not None and view.labelled}


def _read(paths: list[Path], vocab: Vocab) -> Iterator[Doc]:
    for path in paths:
        for shard in find_shards(path):
            yield from read_docs(shard, vocab)
