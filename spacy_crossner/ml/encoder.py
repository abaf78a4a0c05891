"""The encoder as spaCy's `transformer` component sees it: spacy-transformers' model, refined.

It differs from `spacy-transformers.TransformerModel.v3` in four ways: the lower part can be frozen,
texts of any length are read whole, word pieces find their tokens by character offsets in the
original text, and windows of similar length are read together. Everything downstream (listeners,
`doc._.trf_data`, serialisation) works as before.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Optional, cast

import numpy
import srsly
import torch
from spacy.tokens import Doc
from spacy_transformers.data_classes import (
    FullTransformerBatch,
    HFObjects,
    TransformerData,
    WordpieceBatch,
)
from spacy_transformers.layers.split_trf import split_trf_batch
from spacy_transformers.layers.trfs2arrays import trfs2arrays
from thinc.api import (
    ArgsKwargs,
    Model,
    chain,
    get_array_module,
    torch2xp,
    xp2torch,
)
from thinc.layers.pytorchwrapper import forward as pytorch_forward
from thinc.types import Floats2d, Ints1d, Ints2d, Ragged
from transformers.utils import ModelOutput

from spacy_crossner.checks import check_range
from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.ml.loading import EncoderShim, load_encoder
from spacy_crossner.ml.pieces import (
    PieceBatch,
    PieceTokenizer,
    ReadText,
    ids_of,
    read_text,
    run_texts,
)
from spacy_crossner.ml.precision import Precision
from spacy_crossner.ml.saved import check_sum, read_saved, sum_message
from spacy_crossner.ml.unknown import TRIMMED_TO

OUTPUT = "last_hidden_state"


class TextBatch(FullTransformerBatch):
    """The encoder's output, kept as one row per word piece of each text: no padding, no overlap."""

    def unsplit_by_doc(self, arrays: list[list[Any]]) -> "TextBatch":
        """Join the gradients of the docs into one array of shape (n_pieces, width)."""
        xp = get_array_module(arrays[0][0])
        output = ModelOutput()
        output[OUTPUT] = xp.concatenate([tensors[0][0] for tensors in arrays])
        return TextBatch(self.spans, self.wordpieces, output, self.align, self.cached_doc_data)


class EncoderModel(Model[list[Doc], FullTransformerBatch]):
    """The model around an encoder, which holds no more than one copy of what it loads."""

    def to_bytes(self) -> bytes:
        """Save to bytes, with a checksum of all of them.

        RETURNS (bytes): What `from_bytes` reads.
        """
        message = self.to_dict()
        return srsly.msgpack_dumps({**message, "checksum": sum_message(message)})

    def from_bytes(self, bytes_data: bytes) -> "EncoderModel":
        """Load from bytes.

        bytes_data (bytes): What `to_bytes` made.
        RETURNS (EncoderModel): The model itself.
        """
        saved = read_saved(bytes_data, "nodes", "shims")
        del bytes_data  # Thinc would keep it, and what it holds, to the end
        check_sum(saved)
        shims = saved["shims"]
        try:
            self.from_dict({**saved, "shims": [[] for _ in shims]})
            # in a list, and not under a name, so that the shim can let go of it
            data = [shims.pop().pop()]
        except Exception as error:  # a damaged message fails anywhere
            raise CrossnerError(Errors.CN054.format(reason=shorten(error))) from None
        get_shim(self).from_bytes(data.pop())
        return self


def TransformerModel(  # noqa: N802 (a Thinc layer)
    name: str,
    tokenizer_config: dict[str, Any] = {},  # noqa: B006
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    freeze_embeddings: bool = True,
    freeze_layers: float = 0,
    window: int = 256,
    stride: int = 192,
    precision: Precision = "float32",
    layers: Optional[int] = None,
    sample_pieces: Optional[float] = None,
) -> Model[list[Doc], FullTransformerBatch]:
    """Wrap a Hugging Face encoder for the `transformer` component.

    name (str): A folder or a hub name of any encoder with a fast tokenizer.
    tokenizer_config (Dict[str, Any]): Settings for the tokenizer's `from_pretrained`.
    transformer_config (Dict[str, Any]): Settings for the encoder's config, e.g. its dropout.
    mixed_precision (bool): Use float16 where it is safe. GPU only; `precision` needs no scaler.
    grad_scaler_config (Dict[str, Any]): Settings of the gradient scaler for mixed precision.
    freeze_embeddings (bool): Leave the embedding block as it is. It holds most of a multilingual
        encoder's parameters and much of what its languages share.
    freeze_layers (float): Number of layers to leave as they are, counted from below; or, if it is
        less than 1, their share: 0.5 for the lower half.
    window (int): Longest stretch of text to read at once, in word pieces.
    stride (int): Distance between two windows of a longer text, in word pieces.
    precision (str): What the encoder computes in, in training and prediction, on CPU and GPU:
        "float32", "bfloat16", or "auto" for bfloat16 where the machine has units for it (and
        `mixed_precision` is off).
    layers (Optional[int]): Number of layers to use, counted from below; null for all.
    sample_pieces (Optional[float]): In training, draw how words are cut into pieces, with this
        exponent of a cut's probability: subword regularization. 0.5 changes few words, 0.1 many.
        null takes the tokenizer's own cut.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The model.
    """
    if not 0 < stride <= window:
        raise CrossnerError(Errors.CN025.format(window=window, stride=stride))
    if freeze_layers < 0 or (freeze_layers > 1 and freeze_layers % 1):
        raise CrossnerError(Errors.CN023.format(value=freeze_layers, most="all"))
    if sample_pieces is not None:
        check_range("components.transformer.model.sample_pieces", sample_pieces, 0.01, 10.0)
    if mixed_precision and precision == "bfloat16":
        raise CrossnerError(Errors.CN731)
    objects = HFObjects(None, None, None, dict(tokenizer_config), dict(transformer_config))
    shim = EncoderShim(
        objects,
        freeze_embeddings=freeze_embeddings,
        freeze_layers=freeze_layers,
        mixed_precision=mixed_precision,
        grad_scaler_config=grad_scaler_config,
        precision=precision,
    )
    wrapper: Model[PieceBatch, Floats2d] = Model(
        "encoder",
        pytorch_forward,
        attrs={"convert_inputs": _to_torch, "convert_outputs": _from_torch},
        shims=[shim],
    )
    return EncoderModel(
        "transformer",
        # in the closure and not in attrs, which would be saved and outlive a changed config
        partial(forward, window=window, stride=stride, sample_pieces=sample_pieces),
        init=partial(init, name=name, window=window, layers=layers),
        layers=[wrapper],
        dims={"nO": None},
        attrs={
            "set_transformer": set_transformer,
            "has_transformer": False,
            "replace_listener": _replace_listener,
            "replace_listener_cfg": _replace_listener_cfg,
        },
    )


def Tok2VecTransformer(  # noqa: N802 (a Thinc layer)
    name: str,
    pooling: Model[Ragged, Floats2d],
    tokenizer_config: dict[str, Any] = {},  # noqa: B006
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    freeze_embeddings: bool = True,
    freeze_layers: float = 0,
    window: int = 256,
    stride: int = 192,
    precision: Precision = "float32",
    layers: Optional[int] = None,
    grad_factor: float = 1.0,
    sample_pieces: Optional[float] = None,
) -> Model[list[Doc], list[Floats2d]]:
    """Use the encoder inside one component. `nlp.replace_listeners` builds this.

    pooling (Model[Ragged, Floats2d]): How the pieces of a token become its vector.
    grad_factor (float): Factor on the gradient that reaches the encoder.
    The other settings are those of `TransformerModel`.
    """
    transformer = TransformerModel(
        name,
        tokenizer_config,
        transformer_config,
        mixed_precision,
        grad_scaler_config,
        freeze_embeddings,
        freeze_layers,
        window,
        stride,
        precision,
        layers,
        sample_pieces,
    )
    # nested as `nlp.replace_listeners` nests it, or its weights would not load into this
    return chain(_replace_listener(transformer), trfs2arrays(pooling, grad_factor))


def set_transformer(model: Model, objects: HFObjects) -> None:
    """Put a loaded encoder into the model."""
    shim = get_shim(model)
    objects._init_tokenizer_config = shim._hfmodel._init_tokenizer_config
    objects._init_transformer_config = shim._hfmodel._init_transformer_config
    shim._hfmodel = objects
    shim._model = objects.transformer
    shim.take_over()
    model.attrs["has_transformer"] = True
    model.set_dim("nO", objects.transformer.config.hidden_size)


def get_shim(model: Model) -> EncoderShim:
    """Get the shim with the tokenizer and the encoder."""
    return cast(EncoderShim, model.layers[0].shims[0])


def get_tokenizer(shim: EncoderShim) -> PieceTokenizer:
    """Get the tokenizer of the encoder."""
    tokenizer = shim._hfmodel.tokenizer
    return PieceTokenizer(
        tokenizer.backend_tokenizer,
        tokenizer.unk_token_id,
        str(tokenizer.unk_token),
        tokenizer.pad_token_id,
    )


def init(
    model: Model,
    X: Optional[list[Doc]] = None,
    Y: Any = None,
    *,
    name: str,
    window: int,
    layers: Optional[int] = None,
) -> None:
    """Load the encoder by its name, unless the model has one."""
    if model.attrs["has_transformer"]:
        return
    shim = get_shim(model)
    model.attrs["set_transformer"](
        model,
        load_encoder(
            name,
            shim._hfmodel._init_tokenizer_config,
            shim._hfmodel._init_transformer_config,
            layers,
        ),
    )
    check_window(shim, window, get_tokenizer(shim).n_special)


def check_window(shim: EncoderShim, window: int, n_special: int) -> None:
    """Refuse a window that the encoder can't read at once.

    shim (EncoderShim): Holds the encoder.
    window (int): Word pieces without special ones.
    n_special (int): Number of special pieces around them.
    """
    if shim.n_positions is not None and window + n_special > shim.n_positions:
        limit = shim.n_positions - n_special
        raise CrossnerError(Errors.CN026.format(window=window, limit=limit))


def forward(
    model: Model,
    docs: list[Doc],
    is_train: bool,
    *,
    window: int,
    stride: int,
    sample_pieces: Optional[float] = None,
) -> tuple[FullTransformerBatch, Callable]:
    """Read the docs. Each goes through the encoder once, together with those of similar length."""
    _limit_threads_after_fork()
    if not model.attrs["has_transformer"]:
        raise CrossnerError(Errors.CN027)
    shim = get_shim(model)
    tokenizer = get_tokenizer(shim)
    # checked again, because a pipeline may be loaded with another window
    check_window(shim, window, tokenizer.n_special)
    is_train = is_train and shim.trainable
    sampler = shim.get_sampler(sample_pieces) if is_train and sample_pieces else None
    texts = [read_text(doc, tokenizer, sampler) for doc in docs]
    scripts = getattr(shim._hfmodel.transformer.config, TRIMMED_TO, None)
    shim.watch.check(docs, [ids_of(text) for text in texts], tokenizer.unknown_id, scripts)
    vectors, backprop_vectors = run_texts(
        model.layers[0], texts, tokenizer, window, stride, is_train
    )

    def backprop(d_output: FullTransformerBatch) -> list[Doc]:
        backprop_vectors(d_output.model_output[OUTPUT])
        return docs

    return split_vectors(model, texts, vectors), backprop


def split_vectors(
    model: Model, texts: list[Optional[ReadText]], vectors: Floats2d
) -> FullTransformerBatch:
    """Hand each doc its rows in the form that listeners expect.

    model (Model): The transformer, which shares the work out among listeners.
    texts (List[Optional[ReadText]]): One per doc.
    vectors (Floats2d): (n_pieces, width) of all docs.
    RETURNS (FullTransformerBatch): The batch, with the docs' data already split.
    """
    doc_data = []
    begin = 0
    for text in texts:
        if text is None:
            doc_data.append(TransformerData.empty())
            continue
        end = begin + len(text.ids)
        output = ModelOutput()
        output[OUTPUT] = cast(Any, vectors)[None, begin:end]
        pieces = WordpieceBatch(
            strings=[text.strings],
            input_ids=cast(Ints2d, text.ids[None]),
            attention_mask=numpy.ones((1, len(text.ids)), dtype="f"),  # type: ignore[arg-type]
            lengths=[len(text.ids)],
            token_type_ids=None,
        )
        align = Ragged(
            model.ops.asarray1i(cast(Ints1d, text.align)),
            model.ops.asarray1i(cast(Ints1d, text.align_lengths)),
        )
        doc_data.append(TransformerData(pieces, output, align))
        begin = end
    output = ModelOutput()
    output[OUTPUT] = vectors
    empty = FullTransformerBatch.empty(0)
    return TextBatch([], empty.wordpieces, output, empty.align, doc_data)


def _to_torch(model: Model, batch: PieceBatch, is_train: bool) -> tuple[ArgsKwargs, Callable]:
    device = cast(EncoderShim, model.shims[0]).device
    kwargs = {
        "input_ids": xp2torch(batch.input_ids, device=device),
        "attention_mask": xp2torch(batch.mask, device=device),
    }
    return ArgsKwargs(args=(), kwargs={**kwargs, "return_dict": True}), lambda d_inputs: []


def _from_torch(
    model: Model, inputs_outputs: tuple[PieceBatch, Any], is_train: bool
) -> tuple[Floats2d, Callable]:
    batch, output = inputs_outputs
    hidden = output.last_hidden_state
    rows = xp2torch(batch.rows, device=hidden.device)
    vectors = hidden.reshape(-1, hidden.shape[-1]).float()[rows]

    def backprop(d_vectors: Floats2d) -> ArgsKwargs:
        gradient = xp2torch(d_vectors, device=hidden.device)
        return ArgsKwargs(args=((vectors,),), kwargs={"grad_tensors": [gradient]})

    return cast(Floats2d, torch2xp(vectors.detach())), backprop


_MAIN_PROCESS = os.getpid()
_in_child = False


def _limit_threads_after_fork() -> None:
    """Keep `nlp.pipe(n_process=...)` from hanging.

    Where a process was forked after torch had started its threads, those threads are missing in
    the child, and the first parallel region would wait for them for ever.
    """
    global _in_child
    if not _in_child and os.getpid() != _MAIN_PROCESS:
        torch.set_num_threads(1)
        _in_child = True


def _replace_listener(model: Model) -> Model:
    return chain(model, split_trf_batch())


def _replace_listener_cfg(transformer_cfg: dict, listener_cfg: dict) -> dict:
    config = dict(transformer_cfg)
    config["@architectures"] = "spacy-crossner.Tok2VecTransformer.v1"
    for key in ("pooling", "grad_factor"):
        if key in listener_cfg:
            config[key] = listener_cfg[key]
    return config
