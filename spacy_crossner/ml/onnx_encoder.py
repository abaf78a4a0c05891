"""Token vectors from an encoder that was exported to ONNX: no torch, no transformers."""

import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Optional, cast

import numpy
import srsly
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged
from tokenizers import Tokenizer

from spacy_crossner.errors import CrossnerError, Errors, Warnings
from spacy_crossner.ml.embedding_table import CODES, SCALES, EmbeddingTable
from spacy_crossner.ml.onnx_graph import ONNX, RUNTIME, OnnxGraph, refuse_training
from spacy_crossner.ml.pieces import PieceBatch, PieceTokenizer, ids_of, read_text, run_texts
from spacy_crossner.ml.unknown import VocabularyWatch

ENCODER_FILE = "encoder.onnx"
ENCODER_INPUTS = ("embeddings", "mask")
TOKENIZER_FILE = "tokenizer.json"
INFO_FILE = "encoder.json"
# Operator that scales all windows of a run alike.
OLD_QUANTIZATION = b"DynamicQuantizeLinear"


class OnnxEncoder(OnnxGraph):
    """A graph from embeddings and mask to vectors, with its embeddings and tokenizer.

    threads (Optional[int]): Threads of a run; None takes OMP_NUM_THREADS, or else all processors.
    """

    def __init__(self, threads: Optional[int] = None):
        super().__init__(ENCODER_FILE, ENCODER_INPUTS, threads)
        self.watch = VocabularyWatch()
        self.table: Optional[EmbeddingTable] = None
        self.tokenizer_data = b""
        # unknown_id, unknown, pad_id, n_positions and trimmed_to
        self.info: dict[str, Any] = {}
        self._tokenizer: Optional[PieceTokenizer] = None

    @property
    def tokenizer(self) -> PieceTokenizer:
        """Tokenizer of the encoder."""
        if self._tokenizer is None:
            info = self.info
            self._tokenizer = PieceTokenizer(
                Tokenizer.from_buffer(self.tokenizer_data),
                info["unknown_id"],
                info["unknown"],
                info["pad_id"],
            )
        return self._tokenizer

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_tokenizer": None}

    def set_encoder(
        self, graph: bytes, table: EmbeddingTable, tokenizer_data: bytes, info: dict[str, Any]
    ) -> None:
        """Replace everything.

        graph (bytes): A serialized ONNX model.
        table (EmbeddingTable): The word embeddings.
        tokenizer_data (bytes): The content of a tokenizer.json.
        info (Dict[str, Any]): Entries unknown_id, unknown, pad_id, n_positions and trimmed_to.
        """
        if OLD_QUANTIZATION in graph:
            warnings.warn(Warnings.CNW71, stacklevel=2)
        self.set_graph(graph)
        self.table, self.tokenizer_data, self.info = table, tokenizer_data, info
        self._tokenizer = None

    def to_bytes(self) -> bytes:
        """Serialize the graph, the embeddings and the tokenizer."""
        table = cast(EmbeddingTable, self.table)
        arrays = BytesIO()
        numpy.savez(arrays, codes=table.codes, scales=table.scales)
        parts = {"graph": self.graph, "table": arrays.getvalue(), "tokenizer": self.tokenizer_data}
        return srsly.msgpack_dumps({**parts, "info": self.info})

    def from_bytes(self, bytes_data: bytes) -> "OnnxEncoder":
        """Load graph, embeddings and tokenizer."""
        saved = srsly.msgpack_loads(bytes_data)
        with numpy.load(BytesIO(saved["table"])) as arrays:
            table = EmbeddingTable(arrays["codes"], arrays["scales"])
        self.set_encoder(saved["graph"], table, saved["tokenizer"], saved["info"])
        return self

    def to_disk(self, path: Any) -> list[Path]:
        """Write graph, embeddings and tokenizer to a folder, each as a file.

        path (Path): The folder.
        RETURNS (List[Path]): The files that were written.
        """
        folder = Path(path)
        cast(EmbeddingTable, self.table).to_disk(folder)
        (folder / TOKENIZER_FILE).write_bytes(self.tokenizer_data)
        srsly.write_json(folder / INFO_FILE, self.info)
        others = (CODES, SCALES, TOKENIZER_FILE, INFO_FILE)
        return [*super().to_disk(path), *(folder / name for name in others)]

    def from_disk(self, path: Any) -> "OnnxEncoder":
        """Load graph and tokenizer from a folder; embeddings stay in their files."""
        folder = Path(path)
        graph, tokenizer = ((folder / name).read_bytes() for name in (self.file, TOKENIZER_FILE))
        table = EmbeddingTable.from_disk(folder)
        self.set_encoder(graph, table, tokenizer, srsly.read_json(folder / INFO_FILE))
        return self


@registry.architectures("spacy-crossner.OnnxTransformer.v1")
def OnnxTransformer(  # noqa: N802 (a Thinc layer)
    pooling: Model[Ragged, Floats2d],
    window: int = 256,
    stride: int = 192,
    threads: Optional[int] = None,
) -> Model[list[Doc], list[Floats2d]]:
    """Compute token vectors with an exported encoder. `package --runtime onnx` writes this.

    pooling (Model[Ragged, Floats2d]): How the pieces of a token become its vector.
    window (int): Longest stretch of text to read at once, in word pieces.
    stride (int): Distance between two windows of a longer text, in word pieces.
    threads (Optional[int]): Number of threads; null takes that of the environment variable
        OMP_NUM_THREADS, or else all processors.
    RETURNS (Model[List[Doc], List[Floats2d]]): The model, for prediction only.
    """
    if not 0 < stride <= window:
        raise CrossnerError(Errors.CN025.format(window=window, stride=stride))
    encoder: Model[PieceBatch, Floats2d] = Model(
        "onnx_encoder", _encode, shims=[OnnxEncoder(threads)]
    )
    return Model(
        "onnx_transformer",
        partial(_forward, window=window, stride=stride),
        init=refuse_training,
        layers=[encoder, pooling],
        attrs={RUNTIME: ONNX},
    )


def _forward(
    model: Model, docs: list[Doc], is_train: bool, *, window: int, stride: int
) -> tuple[list[Floats2d], Callable]:
    if is_train:
        refuse_training()
    encoder, pooling = model.layers
    shim = cast(OnnxEncoder, encoder.shims[0])
    tokenizer = shim.tokenizer
    n_positions = shim.info["n_positions"]
    if n_positions is not None and window + tokenizer.n_special > n_positions:
        limit = n_positions - tokenizer.n_special
        raise CrossnerError(Errors.CN026.format(window=window, limit=limit))
    texts = [read_text(doc, tokenizer) for doc in docs]
    ids = [ids_of(text) for text in texts]
    shim.watch.check(docs, ids, tokenizer.unknown_id, shim.info["trimmed_to"])
    if not any(len(pieces) for pieces in ids):
        width = cast(EmbeddingTable, shim.table).width
        return [model.ops.alloc2f(0, width) for _ in docs], refuse_training
    vectors, _ = run_texts(encoder, texts, tokenizer, window, stride, False)
    outputs: list[Floats2d] = []
    begin = 0
    for text in texts:
        if text is None:
            outputs.append(model.ops.alloc2f(0, vectors.shape[1]))
            continue
        if len(text.align):
            rows = cast(Any, vectors)[begin + text.align]
            lengths = model.ops.asarray1i(cast(Ints1d, text.align_lengths))
            outputs.append(pooling.predict(Ragged(rows, lengths)))
        else:  # nothing but spaces
            outputs.append(model.ops.alloc2f(len(text.align_lengths), vectors.shape[1]))
        begin += len(text.ids)
    return outputs, refuse_training


def _encode(model: Model, batch: PieceBatch, is_train: bool) -> tuple[Floats2d, Callable]:
    shim = cast(OnnxEncoder, model.shims[0])
    rows = cast(EmbeddingTable, shim.table).look_up(cast(Any, batch.input_ids))
    (hidden,) = shim.run(rows, cast(Any, batch.mask))
    vectors = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
    return cast(Any, model.ops).asarray2f(vectors), refuse_training
