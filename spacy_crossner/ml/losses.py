"""Every training objective, as a pure function of tensors that returns a mean loss.

`loss_and_gradient` is the one door for arrays: it evaluates an objective in at least single
precision and hands back the loss as a float and the gradient in the form of the input.

An objective that has nothing to say (no positives, no rows, no weight) is exactly 0, and so is its
gradient. All of them treat the items of a batch alike: in another order, they have the same loss
and their gradients in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Optional, TypeVar

from thinc.api import torch2xp, xp2torch
from thinc.types import FloatsXd
from thinc.util import is_xp_array

try:
    import torch
    import torch.nn.functional as F
except ImportError:  # prediction on another engine works without torch
    pass

if TYPE_CHECKING:
    from torch import Tensor

FloatsT = TypeVar("FloatsT", bound=FloatsXd)
# Stands for minus infinity in a softmax, where the real one has no gradient.
NEVER = -1e30
# What is shorter is taken for a vector of zeros.
SMALLEST = 1e-6


def loss_and_gradient(
    objective: Callable[..., Tensor], inputs: FloatsT, **settings: Any
) -> tuple[float, FloatsT]:
    """Compute an objective and its gradient on arrays.

    objective (Callable[..., Tensor]): A function of this module, or one like them.
    inputs (FloatsXd): Its first argument, which the gradient is for; a numpy or cupy array.
    settings (Any): Its other arguments by name; arrays among them become tensors.
    RETURNS (tuple[float, FloatsXd]): The loss, and its gradient in the shape and precision of
        `inputs`. What half precision can't hold is cut to the largest number that it can.
    """
    tensor = _to_tensor(inputs).requires_grad_()
    tensors = {
        name: _to_tensor(value) if is_xp_array(value) else value for name, value in settings.items()
    }
    loss = objective(tensor, **tensors)
    if not loss.requires_grad:
        return loss.item(), torch2xp(torch.zeros_like(tensor)).astype(inputs.dtype)  # type: ignore
    (gradient,) = torch.autograd.grad(loss, tensor)
    if inputs.dtype == "float16":
        limits = torch.finfo(torch.float16)
        gradient = gradient.clamp(limits.min, limits.max)
    return loss.item(), torch2xp(gradient).astype(inputs.dtype, copy=False)  # type: ignore


def _to_tensor(array: Any) -> Tensor:
    tensor = xp2torch(array)
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def group_contrast(vectors: Tensor, groups: Tensor, temperature: float) -> Tensor:
    """Pull the members of a group together and push the other groups away (InfoNCE).

    Each positive competes with the anchor's negatives alone, never with another positive.

    vectors (Tensor): Shape (n, width); only their directions count.
    groups (Tensor): Integers, shape (n,). A negative number means no group: such an item is
        a negative of all others.
    temperature (float): Divides the cosines.
    RETURNS (Tensor): Mean over the positives of an anchor, then over the anchors that have any.
    """
    if not len(vectors):
        return vectors.new_zeros(())
    same, other = _pairs(groups)
    cosines = _cosines(vectors) / temperature
    negatives = cosines.masked_fill(~other, NEVER)
    # -log softmax of one positive among the negatives
    losses = F.softplus(negatives.logsumexp(dim=1, keepdim=True) - cosines)
    return _mean_over_positives(losses, same)


def label_contrast(
    vectors: Tensor,
    labels: Tensor,
    temperature: float,
    views: Optional[Tensor] = None,
    across: Literal["prefer", "only"] = "only",
) -> Tensor:
    """Pull items with the same label together (supervised contrast).

    vectors (Tensor): Shape (n, width); only their directions count.
    labels (Tensor): Integers, shape (n,). A negative number means no label: such an item is
        never a positive, and a negative of all labelled items.
    temperature (float): Divides the cosines.
    views (Optional[Tensor]): Integers, shape (n,), the view or language of each item. Without
        them, all items with the same label are positives.
    across (str): With views, which positives count: "only" those from another view, or "prefer"
        them where there are any and else take those from the same view. What has the same label
        and does not count is left out; it is not a negative.
    RETURNS (Tensor): Mean over the positives of an anchor, then over the anchors that have any.
    """
    if not len(vectors):
        return vectors.new_zeros(())
    positives, other = _pairs(labels)
    if views is not None:
        elsewhere = positives & (views[:, None] != views[None, :])
        if across == "prefer":
            found = elsewhere.any(dim=1, keepdim=True)
            positives = torch.where(found, elsewhere, positives)
        else:
            positives = elsewhere
    cosines = _cosines(vectors) / temperature
    candidates = cosines.masked_fill(~(positives | other), NEVER)
    losses = candidates.logsumexp(dim=1, keepdim=True) - cosines
    return _mean_over_positives(losses, positives)


def _pairs(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Say of each two items whether they share a key, and whether they don't.

    keys (Tensor): Integers, shape (n,); negative for none.
    RETURNS (tuple[Tensor, Tensor]): Two masks, shape (n, n), both false on the diagonal.
    """
    itself = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    same = (keys[:, None] == keys[None, :]) & (keys >= 0)[:, None]
    return same & ~itself, ~same & ~itself


def _cosines(vectors: Tensor) -> Tensor:
    """Compute cosine similarities, shape (n, n). A zero vector has similarity 0 with all others."""
    # lengths don't change a cosine; scaled like this no square can overflow, all norms are at
    # least 1, and the smaller eps is left to zeros, whose gradient would else be huge
    largest = vectors.detach().abs().amax(dim=1, keepdim=True)
    unit = F.normalize(vectors / torch.where(largest > SMALLEST, largest, 1.0), dim=1, eps=0.5)
    return unit @ unit.T


def _mean_over_positives(losses: Tensor, positives: Tensor) -> Tensor:
    """Take the mean over each anchor's positives, then over the anchors that have any.

    losses (Tensor): Shape (n, n), by anchor and positive.
    positives (Tensor): Which of them count.
    RETURNS (Tensor): The mean, 0 without any positive.
    """
    counts = positives.sum(dim=1)
    anchors = torch.where(positives, losses, 0.0).sum(dim=1) / counts.clamp(min=1)
    return anchors.sum() / (counts > 0).sum().clamp(min=1)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    weights: Optional[Tensor] = None,
    normaliser: Optional[float] = None,
) -> Tensor:
    """Compare logits of exclusive classes with the true class.

    logits (Tensor): Shape (..., n_classes); all axes but the last make up the rows.
    targets (Tensor): Integers, shape (...). Negative where the class is not known: such rows
        count for nothing.
    weights (Optional[Tensor]): Weights of the rows, shape (...).
    normaliser (Optional[float]): What to divide the sum by, by default the sum of the weights.
    RETURNS (Tensor): The mean over the rows.
    """
    known = (targets >= 0).to(logits.dtype)
    chosen = targets.clamp(min=0).long().unsqueeze(-1)
    losses = -logits.log_softmax(dim=-1).gather(-1, chosen)
    weights = known if weights is None else known * weights
    return _weighted_mean(losses, weights, normaliser)


def binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    weights: Optional[Tensor] = None,
    normaliser: Optional[float] = None,
) -> Tensor:
    """Compare logits of independent channels with what is true.

    logits (Tensor): Shape (..., n_channels); all axes but the last make up the rows.
    targets (Tensor): What is true, boolean or between 0 and 1, in the shape of the logits.
    weights (Optional[Tensor]): Weights of the rows, shape (...), or of each logit.
    normaliser (Optional[float]): What to divide the sum by, by default the sum of the weights,
        where those of a row's channels count as their mean.
    RETURNS (Tensor): The mean over the rows of the sum over the channels.
    """
    losses = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
    return _weighted_mean(losses, weights, normaliser)


def multilabel_softmax(
    logits: Tensor,
    targets: Tensor,
    weights: Optional[Tensor] = None,
    normaliser: Optional[float] = None,
) -> Tensor:
    """Rank what is true in a row above 0, and what is not below 0 (ZLPR).

    A row's negatives compete in one softmax, and so do its positives: easy ones count for little,
    however many there are.

    logits (Tensor): Shape (n_rows, ...); all axes but the first make up a row.
    targets (Tensor): What is true, boolean, in the shape of the logits.
    weights (Optional[Tensor]): Weights, in the shape of the logits or without its last axes. What
        has weight 0 is left out; a row counts as much as its largest weight.
    normaliser (Optional[float]): What to divide the sum by, by default the sum of the weights.
    RETURNS (Tensor): The mean over the rows.
    """
    weights = logits.new_ones(logits.shape[:1]) if weights is None else weights.to(logits.dtype)
    weights = weights.reshape(*weights.shape, *[1] * (logits.dim() - weights.dim()))
    weights = weights.expand_as(logits).flatten(1)
    rows, true = logits.flatten(1), targets.flatten(1).bool()
    known = weights > 0
    above = rows.masked_fill(~known | true, NEVER)
    below = (-rows).masked_fill(~known | ~true, NEVER)
    # the zero that both compete with
    losses = F.pad(above, (1, 0)).logsumexp(dim=1) + F.pad(below, (1, 0)).logsumexp(dim=1)
    return _weighted_mean(losses[:, None], weights.amax(dim=1), normaliser)


def distillation(
    logits: Tensor,
    teacher_probs: Tensor,
    temperature: float = 1.0,
    kind: Literal["kl", "mse"] = "kl",
    weights: Optional[Tensor] = None,
    normaliser: Optional[float] = None,
) -> Tensor:
    """Compare a student's logits of exclusive classes with a teacher's probabilities.

    The loss is scaled by the square of the temperature, so that gradients keep their size.

    logits (Tensor): The student's, shape (..., n_classes).
    teacher_probs (Tensor): The teacher's at temperature 1, in the shape of the logits. They are
        softened here, and normalised.
    temperature (float): Softens both sides.
    kind (str): "kl" for the Kullback-Leibler divergence of the student from the teacher, "mse" for
        the squared distance of their probabilities.
    weights (Optional[Tensor]): Weights of the rows, shape (...).
    normaliser (Optional[float]): What to divide the sum by, by default the sum of the weights.
    RETURNS (Tensor): The mean over the rows.
    """
    probs = teacher_probs.to(logits.dtype).clamp(min=0.0)
    # in log space, because the powers of a low temperature would underflow
    told = probs.sum(dim=-1, keepdim=True) != 0
    teacher = told * (probs.log() / temperature).masked_fill(~told, 0.0).softmax(dim=-1)
    scaled = logits / temperature
    if kind == "kl":
        losses = F.kl_div(scaled.log_softmax(dim=-1), teacher, reduction="none")
    else:
        losses = (scaled.softmax(dim=-1) - teacher) ** 2
    return _weighted_mean(losses * temperature**2, weights, normaliser)


def binary_distillation(
    logits: Tensor,
    teacher_probs: Tensor,
    temperature: float = 1.0,
    kind: Literal["kl", "mse"] = "kl",
    weights: Optional[Tensor] = None,
    normaliser: Optional[float] = None,
) -> Tensor:
    """Compare a student's logits of independent channels with a teacher's probabilities.

    The loss is scaled by the square of the temperature, so that gradients keep their size.

    logits (Tensor): The student's, shape (..., n_channels).
    teacher_probs (Tensor): The teacher's at temperature 1, in the shape of the logits.
    temperature (float): Softens both sides.
    kind (str): "kl" for the Kullback-Leibler divergence of the student from the teacher, "mse" for
        the squared distance of their probabilities; both channel by channel.
    weights (Optional[Tensor]): Weights of the rows, shape (...), or of each logit.
    normaliser (Optional[float]): What to divide the sum by, by default the sum of the weights,
        where those of a row's channels count as their mean.
    RETURNS (Tensor): The mean over the rows of the sum over the channels.
    """
    probs = teacher_probs.to(logits.dtype).clamp(0.0, 1.0)
    teacher = ((probs.log() - (1.0 - probs).log()) / temperature).sigmoid()
    scaled = logits / temperature
    if kind == "kl":
        crossed = F.binary_cross_entropy_with_logits(scaled, teacher, reduction="none")
        entropy = torch.special.entr(teacher) + torch.special.entr(1.0 - teacher)
        losses = crossed - entropy
    else:
        losses = (scaled.sigmoid() - teacher) ** 2
    return _weighted_mean(losses * temperature**2, weights, normaliser)


def _weighted_mean(
    losses: Tensor, weights: Optional[Tensor], normaliser: Optional[float]
) -> Tensor:
    """Sum over the channels and take the weighted mean over the rows.

    losses (Tensor): Shape (..., n_channels).
    weights (Optional[Tensor]): Weights of the rows, shape (...), or of each channel.
    normaliser (Optional[float]): What to divide by instead of the sum of the rows' weights.
    RETURNS (Tensor): The mean, 0 without any weight.
    """
    if weights is None:
        weights = losses.new_ones(losses.shape[:-1])
    weights = weights.to(losses.dtype)
    if weights.dim() < losses.dim():
        weights = weights.unsqueeze(-1)
    total = weights.mean(dim=-1).sum() if normaliser is None else losses.new_tensor(normaliser)
    return (losses * weights).sum() / torch.where(total == 0, 1.0, total)
