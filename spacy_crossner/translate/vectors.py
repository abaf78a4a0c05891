"""Vectors of words for word alignment: the middle layer of an encoder."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy
from spacy.tokens import Doc
from thinc.api import reduce_mean
from transformers import AutoConfig

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.encoder import Tok2VecTransformer

LONGEST_WINDOW = 256  # pieces
SPECIAL_PIECES = 4  # at most; some encoders leave positions before the first piece unused


def load_vectors(encoder: str) -> Callable[[Sequence[Doc]], list[numpy.ndarray]]:
    """Load what turns docs into vectors.

    Words of all languages are closest to their translations in the middle of an encoder: lower
    down, their form counts for more, and higher up, what the encoder was last trained on. So the
    upper half need not even be loaded.

    encoder (str): A Hugging Face folder or hub name.
    RETURNS (Callable): Takes docs and returns for each an array of shape (n_tokens, width). Texts
        of similar length go through the encoder together.
    """
    try:
        config = AutoConfig.from_pretrained(encoder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise CrossnerError(Errors.CN020.format(name=encoder, reason=reason)) from error
    positions = getattr(config, "max_position_embeddings", LONGEST_WINDOW)
    window = min(LONGEST_WINDOW, positions - SPECIAL_PIECES)
    model = Tok2VecTransformer(
        encoder,
        reduce_mean(),
        transformer_config={"num_hidden_layers": (config.num_hidden_layers + 1) // 2},
        window=window,
        stride=3 * window // 4,
    )
    model.initialize()
    return lambda docs: cast(list[numpy.ndarray], model.predict(list(docs)))
