"""Frozen weights held in 16 bits where that loses nothing: torch only."""

from collections.abc import Mapping
from typing import Optional

import torch
from torch import nn

from spacy_crossner.ml.freeze import find_words

# Weights to compare at a time, so that a large table is never copied whole.
CHUNK = 2**20


class HalfEmbedding(nn.Embedding):
    """Word embeddings that never learn, held in 16 bits and read in 32.

    weight (Tensor): (n_pieces, width) the embeddings.
    padding_idx (Optional[int]): The row of the padding.
    """

    def __init__(self, weight: torch.Tensor, padding_idx: Optional[int] = None):
        pieces, width = weight.shape
        super().__init__(pieces, width, padding_idx, _weight=weight, _freeze=True)
        # many encoders give their attention masks the type of their first parameter
        del self.weight
        self.register_buffer("weight", weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Look up pieces.

        input (Tensor): (...) their ids.
        RETURNS (Tensor): (..., width) float32, their vectors.
        """
        return super().forward(input).float()


def lossless_half(weights: torch.Tensor) -> torch.Tensor:
    """Store weights in 16 bits if they can be had back exactly.

    weights (torch.Tensor): The weights, of any type.
    RETURNS (torch.Tensor): The same values, as float16, bfloat16 or what they were.
    """
    if weights.is_floating_point() and weights.element_size() > 2:
        chunks = weights.reshape(-1).split(CHUNK)
        for dtype in (torch.float16, torch.bfloat16):
            if all(torch.equal(chunk.to(dtype).to(chunk.dtype), chunk) for chunk in chunks):
                return weights.to(dtype)
    return weights


def store_embeddings_half(encoder: nn.Module) -> None:
    """Hold the word embeddings of an encoder in 16 bits, if they are frozen and lose nothing.

    encoder (nn.Module): A Hugging Face encoder.
    """
    words = find_words(encoder)
    # other kinds of embeddings do more than to look up rows
    if type(words) is nn.Embedding and not words.weight.requires_grad:
        weight = lossless_half(words.weight.detach())
        if weight.element_size() == 2:
            encoder.set_input_embeddings(  # type: ignore[operator]
                HalfEmbedding(weight, words.padding_idx)
            )


def match_dtype(module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Give small embeddings the precision that weights which are about to be loaded need.

    module (nn.Module): An encoder, or what holds one.
    state (Mapping[str, torch.Tensor]): Its new weights by name.
    """
    for name, part in module.named_modules():
        if isinstance(part, HalfEmbedding):
            weight = state[f"{name}.weight" if name else "weight"]
            part.weight = part.weight.to(lossless_half(weight).dtype)
