"""Names that take each other's place: labelled sentences with names from elsewhere.

Few labels come with few names, and a model may learn them by heart. A sentence says much the same
with another name of its kind: one of another sentence, or one that a teacher is sure of in text of
the target languages.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Optional, Union
from zlib import crc32

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_crossner.checks import check_range
from spacy_crossner.data.groups import has_gaps, label_groups
from spacy_crossner.data.readers import make_example, split_path
from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.translate.codeswitch import Visits, make_first_view, make_view, read_sentence
from spacy_crossner.translate.switch import Piece, replace_pieces


class Name(NamedTuple):
    """A name as it stood in a text.

    words (tuple[str, ...]): Its tokens.
    spaces (tuple[bool, ...]): Whether a space follows each.
    lang (str): The language of the text.
    """

    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    lang: str


Names = Mapping[str, Sequence[Name]]


def collect_names(docs: Iterable[Doc]) -> Names:
    """Collect the entities of docs. Of text that teachers annotated they are those that the
    teachers were sure of.

    docs (Iterable[Doc]): The docs.
    RETURNS (Names): By label the different names, sorted.
    """
    found: dict[str, set[Name]] = {}
    for doc in docs:
        view = get_view(doc)
        lang = "xx" if view is None else view.lang
        for ent in doc.ents:
            words = tuple(token.text for token in ent)
            # what follows a name is no part of it
            spaces = (*(bool(token.whitespace_) for token in ent[:-1]), False)
            found.setdefault(ent.label_, set()).add(Name(words, spaces, lang))
    return {label: sorted(names) for label, names in found.items()}


def swap_names(doc: Doc, view: View, names: Names, rng: random.Random) -> Optional[Doc]:
    """Write a doc anew with other names; a name that comes again is replaced by the same one.

    An entity that has a span inside it, or one that begins or ends in it, stays, for nothing tells
    what would become of the span; and so does a doc that has entities with gaps.

    doc (Doc): The doc.
    view (View): Its view.
    names (Names): The names to draw from.
    rng (random.Random): The source of chance.
    RETURNS (Optional[Doc]): The new doc, in a group of its own, or None if no name was replaced.
    """
    if has_gaps(doc):
        return None
    spans = [span for group in label_groups(doc).values() for span in group]
    drawn: dict[tuple[str, str], Name] = {}
    pieces = []
    for ent in doc.ents:
        others = names.get(ent.label_)
        if not others or any(_tears(span, ent) for span in spans):
            continue
        key = ent.text, ent.label_
        if key not in drawn:
            drawn[key] = rng.choice(others)
        words, spaces, lang = drawn[key]
        pieces.append(Piece(ent.start, ent.end, words, spaces, lang, is_entity=True))
    sentence = read_sentence(doc)
    swapped = replace_pieces(sentence, pieces)
    if swapped is None or swapped.words == sentence.words:
        return None
    copy = make_view(doc, view, sentence, swapped)
    # it speaks of something else: no view of the sentence, which contrast would liken it to
    # and with names of its own, also no view of the copies of the sentence's other views
    own = f"{view.group} {crc32(doc.text.encode()):08x} names"
    set_view(copy, replace(view, group=own, kind="codeswitch", soft=None, links=None))
    return copy


def _tears(span: Span, ent: Span) -> bool:
    apart = span.end <= ent.start or span.start >= ent.end
    covers = span.start <= ent.start and span.end >= ent.end
    return not (apart or covers)


@spacy.registry.augmenters("spacy-crossner.name_augmenter.v1")
def create_name_augmenter(
    path: Optional[Union[str, Path, list[str]]], probability: float = 1.0, seed: int = 0
) -> Callable[[Language, Example], Iterator[Example]]:
    """Follow labelled examples by copies with other names, different ones in each epoch.

    path (Union[str, Path, List[str]]): Where the names are from: `.spacy` files or folders of them,
        as a list or separated by commas. With `${paths.train}` they are those of the training text,
        and of target text beside it those that its teacher was sure of.
    probability (float): The share of examples that get a copy; 0 turns it off.
    seed (int): Decides which names are drawn.
    """
    check_range("probability", probability, 0.0, 1.0)
    return NameAugmenter(split_path(path or []), probability=probability, seed=seed)


class NameAugmenter:
    """Yields examples and their copies with other names.

    paths (Sequence[Path]): Files, or folders of files, that the names are from.

    The other settings are those of `create_name_augmenter`.
    """

    def __init__(self, paths: Sequence[Path], *, probability: float, seed: int) -> None:
        self.paths = list(paths)
        self.probability = probability
        self.visits = Visits(seed)

    @cached_property
    def names(self) -> Names:
        """RETURNS (Names): The names; read when they are first needed."""
        vocab = Vocab()
        shards = (shard for path in self.paths for shard in find_shards(path))
        return collect_names(doc for shard in shards for doc in read_docs(shard, vocab))

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Augment one example.

        nlp (Language): The pipeline.
        example (Example): The example.
        YIELDS (Example): The example itself; then perhaps its copy, whose predicted doc has the
            tokens of its reference.
        """
        yield example
        doc = example.reference
        if not self.probability or not doc.ents:
            return
        view = get_view(doc) or make_first_view(doc, "xx")
        if not view.labelled:
            return
        rng = self.visits.make_rng(view.group)
        if rng.random() < self.probability:
            copy = swap_names(doc, view, self.names, rng)
            if copy is not None:
                yield make_example(copy)
