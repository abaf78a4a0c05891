"""What translates: the protocol, the registry, and the choice of an engine for a pair of languages.

An engine is a function registered under a short name, which makes a translator for one pair of
languages or raises a `CrossnerError` that says what is missing:

    from spacy_crossner.translate.engines import ENGINES

    @ENGINES.register("shouting")
    def make_shouting(source, target, settings):
        ...

Other packages register theirs with an entry point in the group `spacy_crossner_engines`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional, Protocol, Union, runtime_checkable

import catalogue

from spacy_crossner.errors import CrossnerError, Errors, NoTranslationError

ENGINES = catalogue.create("spacy_crossner", "engines", entry_points=True)
AUTO = "auto"
# What "auto" tries, the most faithful first.
ORDER = ("memory", "apertium", "huggingface", "lexicon")


class Mark(NamedTuple):
    """Where an entity is, or a piece of it.

    start (int): First character.
    end (int): One past the last character.
    entity (int): Index of the entity.
    """

    start: int
    end: int
    entity: int


class Labelled(NamedTuple):
    """An entity that somebody has labelled in a translation.

    start (int): First character.
    end (int): One past the last character.
    label (str): Its type.
    """

    start: int
    end: int
    label: str


class Segment(NamedTuple):
    """A text with marks.

    text (str): The text.
    marks (Optional[tuple[Mark, ...]]): Its entities in order, not overlapping. In a translation, an
        entity may be in several pieces or lost; None if the engine carries no marks.
    labels (Optional[tuple[Labelled, ...]]): In a translation that was labelled by hand, all its
        entities: there is nothing to project. None if it has no labels.
    """

    text: str
    marks: Optional[tuple[Mark, ...]] = None
    labels: Optional[tuple[Labelled, ...]] = None


class Failure(NamedTuple):
    """What an engine returns for a text that it can't translate.

    reason (str): Why, for the report.
    missing (bool): Whether nothing went wrong: the engine has translations of some texts only, and
        this is none of them.
    """

    reason: str
    missing: bool = False


Outcome = Union[Segment, Failure]


@runtime_checkable
class Engine(Protocol):
    """Translates from one language into another."""

    identity: str
    """Names everything that decides what a text becomes. Translations are cached under it."""

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Translate texts. The same text always gives the same outcome.

        segments (Sequence[Segment]): Texts of one sentence each, not empty, with their marks.
        RETURNS (list[Outcome]): A translation or a failure for each, in order.
        """


@dataclass(frozen=True)
class EngineSettings:
    """What engines may be told. Each takes what concerns it.

    memory (Sequence[Path]): Files of the translation memory.
    model (str): Folder or hub name of a translation model; "{source}" and "{target}" in it stand
        for the languages.
    lexicons (Mapping[str, Path]): Target languages and their lexicon files.
    device (str): Where a model runs, e.g. "cpu" or "cuda:0".
    beams (int): Width of a model's beam search.
    max_length (int): Most pieces of a text and of its translation.
    batch_size (int): Texts in one pass of a model.
    """

    memory: Sequence[Path] = ()
    model: str = ""
    lexicons: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    beams: int = 4
    max_length: int = 256
    batch_size: int = 16


def make_engine(
    name: str, source: str, target: str, settings: EngineSettings
) -> tuple[str, Engine]:
    """Make the engine for a pair of languages.

    name (str): Its registered name, or "auto" for the first that can do the pair.
    source (str): Language of the texts.
    target (str): Language to translate into.
    settings (EngineSettings): The settings.
    RETURNS (tuple[str, Engine]): The engine and its name.
    """
    if source == target:
        raise CrossnerError(Errors.CN402.format(lang=source))
    if name != AUTO:
        return name, _find_factory(name)(source, target, settings)
    reasons = []
    for candidate in ORDER:
        try:
            return candidate, _find_factory(candidate)(source, target, settings)
        except NoTranslationError as error:
            reasons.append(f"\n  {candidate}: {error}")
    raise NoTranslationError(
        Errors.CN403.format(source=source, target=target, reasons="".join(reasons))
    )


class EngineFactory(Protocol):
    """Makes the engine for a pair of languages.

    It raises `NoTranslationError` if it can't do the pair. Any other `CrossnerError`, as of a file
    that can't be read, is told to the user also where another engine could do the pair.
    """

    def __call__(self, source: str, target: str, settings: EngineSettings) -> Engine: ...


def _find_factory(name: str) -> EngineFactory:
    # the one by its name: to load all of them takes torch, which few of them need
    if name not in ENGINES:
        names = ", ".join([AUTO, *sorted(ENGINES.get_all())])
        raise CrossnerError(Errors.CN401.format(name=name, known=names))
    return ENGINES.get(name)
