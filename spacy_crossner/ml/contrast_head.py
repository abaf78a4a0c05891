"""What the contrastive components train: projections of token vectors, or of their means."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, cast

import numpy
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ints1d

from spacy_crossner.ml.heads import flatten, split
from spacy_crossner.ml.lazy import LazyTorch, build_module

if TYPE_CHECKING:
    from torch import nn


class Items(NamedTuple):
    """What to project: for each item, the mean of its tokens' vectors.

    docs (List[Doc]): The batch.
    rows (numpy.ndarray): (n_members,) int32, the rows of each item's tokens, one item after the
        other, counted over all docs.
    lengths (numpy.ndarray): (n_items,) int32, how many of them each item has; never 0.
    """

    docs: list[Doc]
    rows: numpy.ndarray
    lengths: numpy.ndarray


@registry.architectures("spacy-crossner.ContrastHead.v1")
def ContrastHead(  # noqa: N802 (a Thinc layer)
    tok2vec: Model[list[Doc], list[Floats2d]],
    nO: int = 128,
    hidden: Optional[int] = None,
) -> Model[Items, Floats2d]:
    """Project the mean of some token vectors into the space where vectors are compared.

    The projection keeps what the objective presses together from spoiling the encoder's vectors. It
    has no dropout, so that it draws no random numbers that the encoder's dropout would miss.

    tok2vec (Model[List[Doc], List[Floats2d]]): Token vectors, usually a TransformerListener.
    nO (int): Width of the projected vectors.
    hidden (Optional[int]): Width of a hidden layer. Without one the projection is linear.
    RETURNS (Model[Items, Floats2d]): The model. Its output has shape (n_items, nO).
    """
    head = LazyTorch("projection", partial(_build, hidden))
    head.set_dim("nO", nO)
    # the argument and ref are called tok2vec because `nlp.replace_listeners` looks for that name
    return Model(
        "contrast_head",
        _forward,
        init=_init,
        layers=[tok2vec, head],
        refs={"tok2vec": tok2vec, "head": head},
    )


def _build(hidden: Optional[int], n_in: int, n_out: int) -> "nn.Module":
    from torch import nn

    if hidden is None:
        return nn.Linear(n_in, n_out)
    return nn.Sequential(nn.Linear(n_in, hidden), nn.GELU(), nn.Linear(hidden, n_out))


def build_projection(model: Model, n_in: int) -> None:
    """Build the projection without a sample, as loading needs it. The encoder is left alone.

    model (Model): What `ContrastHead` made.
    n_in (int): Width of the token vectors.
    """
    import torch

    head = model.get_ref("head")
    # all random numbers outside stay as they are without the component
    with torch.random.fork_rng(devices=[]):
        build_module(head, n_in, head.get_dim("nO"))


def _init(model: Model, X: Optional[Items] = None, Y: Any = None) -> None:
    if X is None:
        return
    tok2vec = model.get_ref("tok2vec")
    tok2vec.initialize(X=X.docs)
    build_projection(model, flatten(model.get_ref("head"), tok2vec.predict(X.docs)).shape[1])


def _forward(
    model: Model[Items, Floats2d], items: Items, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], Any]]:
    ops, head = model.ops, model.get_ref("head")
    vectors, backprop_vectors = model.get_ref("tok2vec")(items.docs, is_train)
    flat = flatten(head, vectors)
    rows, lengths = (ops.asarray1i(cast(Ints1d, array)) for array in items[1:])
    if len(lengths):
        (output,), backprop_head = head(ops.reduce_mean(flat[rows], lengths), is_train)
    else:
        output = ops.alloc2f(0, head.get_dim("nO"))

    def backprop(d_output: Floats2d) -> Any:
        d_flat = ops.alloc2f(*flat.shape)
        if len(lengths):
            d_means = backprop_head((d_output,))
            ops.scatter_add(d_flat, rows, ops.backprop_reduce_mean(d_means, lengths))
        # also where all is zero: other listeners wait for this call
        return backprop_vectors(split(d_flat, [len(doc_vectors) for doc_vectors in vectors]))

    return output, backprop
