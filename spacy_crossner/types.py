"""The values that pass between the floors of the package."""

from typing import NamedTuple


class Mention(NamedTuple):
    """One entity: its words, its label, and how sure its finder is.

    tokens (tuple[int, ...]): Token indices, ascending, at least one; gaps make it discontinuous.
    label (str): The entity type.
    score (float): Probability, between 0 and 1; 1.0 for gold.
    """

    tokens: tuple[int, ...]
    label: str
    score: float = 1.0

    @property
    def start(self) -> int:
        """RETURNS (int): The first token."""
        return self.tokens[0]

    @property
    def end(self) -> int:
        """RETURNS (int): One past the last token."""
        return self.tokens[-1] + 1

    @property
    def is_contiguous(self) -> bool:
        """RETURNS (bool): Whether no token between the first and the last is left out."""
        return self.end - self.start == len(self.tokens)
