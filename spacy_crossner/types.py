"""The values that pass between the floors of the package."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from spacy.tokens import Span

# A name and a payload; or a name and a result.
Task = tuple[str, Any]
# Runs tasks wherever it likes: gets what makes a worker, and tasks; yields names and results.
Run = Callable[[Callable[[], Callable[[Any], Any]], Iterable[Task]], Iterator[Task]]


class Mention(NamedTuple):
    """One entity: its words, its label, and how sure its finder is.

    tokens (tuple[int, ...]): Token indices, ascending, at least one; gaps make it discontinuous.
    label (str): The entity type.
    score (float): Probability, between 0 and 1; 1.0 for gold.
    """

    tokens: tuple[int, ...]
    label: str
    score: float = 1.0

    @classmethod
    def of(cls, span: "Span", score: float = 1.0) -> "Mention":
        """Make the mention that a span of a doc is."""
        return cls(tuple(range(span.start, span.end)), span.label_, score)

    @property
    def start(self) -> int:
        """First token."""
        return self.tokens[0]

    @property
    def end(self) -> int:
        """End token, exclusive."""
        return self.tokens[-1] + 1

    @property
    def is_contiguous(self) -> bool:
        """Whether the mention has no gaps."""
        return self.end - self.start == len(self.tokens)
