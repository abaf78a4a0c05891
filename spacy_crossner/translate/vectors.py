"""Vectors of words for word alignment: the middle layer of an encoder."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy
from spacy.tokens import Doc
from thinc.api import reduce_mean
from transformers import AutoConfig

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.encoder import Tok2VecTransformer


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
        n_layers = AutoConfig.from_pretrained(encoder).num_hidden_layers
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CrossnerError(Errors.CN020.format(name=encoder, reason=reason)) from error
    config = {"num_hidden_layers": (n_layers + 1) // 2}
    model = Tok2VecTransformer(encoder, reduce_mean(), transformer_config=config)
    model.initialize()
    return lambda docs: cast(list[numpy.ndarray], model.predict(list(docs)))
