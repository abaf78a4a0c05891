"""The blocks of a component's config that turn its training objectives on and off."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, Union

from spacy_crossner.checks import check_range
from spacy_crossner.errors import CrossnerError, Errors


@dataclass
class Distil:
    """Learn a teacher's soft targets (KD). Acts on docs that carry them.

    weight (float): Factor on the loss; 0 turns it off.
    temperature (float): Softens teacher and student alike.
    loss (str): "kl" for the divergence of the two, "mse" for the squared distance.
    """

    weight: float = 1.0
    temperature: float = 1.0
    loss: Literal["kl", "mse"] = "kl"


@dataclass
class SelfTraining:
    """Learn what a teacher is sure of as if it were gold, and mask the rest (ST).

    weight (float): Factor on the loss; 0 turns it off.
    confidence (float): Least probability of what is learned.
    """

    weight: float = 0.0
    confidence: float = 0.9


@dataclass
class PairLoss:
    """How the pair head learns labels.

    kind (str): "bce" decides each pair by itself; "zlpr" ranks the pairs of a first token against
        each other (multi-label softmax), so that many easy pairs do not outweigh the one that
        matters.
    negative_weight (float): Factor on pairs without a relation; for "bce" only.
    token_weight (float): Factor on the loss of the BIO classes that the pair scores start from,
        which teaches every token of a name; 0 turns it off.
    """

    kind: Literal["bce", "zlpr"] = "bce"
    negative_weight: float = 1.0
    token_weight: float = 1.0


@dataclass
class RelationContrast:
    """Pull the vectors of token pairs with the same relation together, across views (RCL).

    weight (float): Factor on the loss; 0 turns it off.
    temperature (float): Divides the cosines: the lower, the more the hard cases count.
    outside_ratio (float): Pairs without a relation to contrast with, per pair that has one.
    max_pairs (int): Most pairs of a batch; cost grows with the square of it.
    """

    weight: float = 0.0
    temperature: float = 0.1
    outside_ratio: float = 1.0
    max_pairs: int = 512


Block = TypeVar("Block", Distil, SelfTraining, PairLoss, RelationContrast)


def read_block(kind: type[Block], values: Union[Block, dict[str, Any]], name: str) -> Block:
    """Turn a config section into settings, and refuse what makes no sense.

    kind (type): The block's class.
    values (Union[Block, Dict[str, Any]]): The section.
    name (str): The section's name, for messages.
    RETURNS (Block): The settings.
    """
    if isinstance(values, dict):
        known = {field.name for field in fields(kind)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CrossnerError(
                Errors.CN111.format(section=name, unknown=unknown[0], known=sorted(known))
            )
        values = kind(**values)
    limits = {
        "weight": (0.0, math.inf),
        "temperature": (1e-3, math.inf),
        "confidence": (0.0, 1.0),
        "outside_ratio": (0.0, math.inf),
        "max_pairs": (2, math.inf),
        "negative_weight": (0.0, math.inf),
        "token_weight": (0.0, math.inf),
    }
    for key, (least, most) in limits.items():
        check_range(f"{name}.{key}", getattr(values, key, least), least, most)
    return values
