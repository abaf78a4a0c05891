"""Which layers of an encoder are used, and which of them are frozen: torch only."""

from typing import Any, Optional

from torch import nn

from spacy_crossner.errors import CrossnerError, Errors


def freeze_encoder(encoder: nn.Module, *, embeddings: bool, layers: float) -> None:
    """Switch gradients off for the embedding block and the lowest layers.

    Frozen parameters get no gradient, so the optimizer never sees them, and since everything below
    the lowest trainable layer is frozen, the backward pass ends there.

    encoder (nn.Module): A Hugging Face encoder.
    embeddings (bool): Freeze the embedding block.
    layers (float): Number of layers to freeze from below, or their share if it is less than 1.
        More than 0 freezes the embeddings too.
    """
    encoder.requires_grad_(True)
    if embeddings or layers:
        find_embeddings(encoder).requires_grad_(False)
    if layers:
        stack = find_layers(encoder)
        if layers > len(stack):
            raise CrossnerError(Errors.CN023.format(value=layers, most=len(stack)))
        count = int(layers * len(stack)) if layers < 1 else int(layers)
        for layer in list(stack)[:count]:
            layer.requires_grad_(False)


def limit_layers(config: Any, layers: int) -> None:
    """Change the config of an encoder to that of its lowest layers, in place.

    config (PretrainedConfig): The config of a Hugging Face encoder.
    layers (int): Number of layers to keep, counted from below.
    """
    most = config.num_hidden_layers
    if not 1 <= layers <= most:
        raise CrossnerError(Errors.CN732.format(layers=layers, most=most))
    config.num_hidden_layers = layers


def find_embeddings(encoder: nn.Module) -> nn.Module:
    """Find the embedding block of a BERT-like encoder, or its word embeddings."""
    block = getattr(encoder, "embeddings", None)
    if isinstance(block, nn.Module):
        return block
    words = find_words(encoder)
    if words is None:
        raise CrossnerError(
            Errors.CN022.format(setting="freeze_embeddings", name=type(encoder), off="false")
        )
    return words


def find_words(encoder: nn.Module) -> Optional[nn.Module]:
    """Find the word embeddings of an encoder, or None."""
    try:
        words = encoder.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return None
    return words if isinstance(words, nn.Module) else None


def find_layers(encoder: nn.Module) -> nn.ModuleList:
    """Find the stack of layers: the only module list of the length in the config."""
    n_layers = getattr(encoder.config, "num_hidden_layers", 0)
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return module
    raise CrossnerError(Errors.CN022.format(setting="freeze_layers", name=type(encoder), off="0"))
