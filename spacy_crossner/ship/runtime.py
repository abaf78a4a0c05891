"""Turn a trained pipeline into one that predicts with ONNX Runtime, without torch.

The encoder becomes a graph from embeddings to vectors, each head a graph from token vectors to
logits, and the word embeddings a table in 4 or 8 bits beside them. Everything else stays as it is:
tokenizer, decoding, thresholds and calibration are those of the components themselves.
"""

import inspect
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal, Optional, cast

import numpy
import torch
from spacy.language import Language
from spacy.util import load_model_from_config
from thinc.api import Model

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml import modules
from spacy_crossner.ml.embedding_table import make_table
from spacy_crossner.ml.encoder import get_tokenizer
from spacy_crossner.ml.heads import build_head
from spacy_crossner.ml.loading import EncoderShim
from spacy_crossner.ml.onnx_encoder import ENCODER_INPUTS, OnnxEncoder
from spacy_crossner.ml.onnx_graph import HEAD_INPUTS, find_graphs, make_session, run_session
from spacy_crossner.ml.unknown import TRIMMED_TO
from spacy_crossner.pipeline.ner import CrossnerNER
from spacy_crossner.ship.trim import find_encoders

Weights = Literal["int8", "float32"]
# `quantize` writes operators as they are in this version.
OPSET = 17
# Shapes of the two samples: the graph is traced on the first and compared on the second.
SAMPLES = ((2, 7), (3, 11))
# Largest difference of a graph's outputs from torch's, before quantization.
TOLERANCE = 1e-3
# The domain of ONNX Runtime's own operators.
MICROSOFT = "com.microsoft"
RUNTIME_META = "runtime"


def to_onnx(
    nlp: Language, weights: Weights = "int8", cache: Optional[dict[str, bytes]] = None
) -> Language:
    """Convert a pipeline whose NER components share or hold an encoder.

    nlp (Language): A trained pipeline; it is not changed.
    weights (str): "int8" quantizes the encoder's matrices per column, and what is multiplied with
        them per row, as it comes; "float32" keeps both exact.
    cache (Optional[Dict[str, bytes]]): Keeps graphs, for pipelines with the same weights but for
        the vocabulary.
    RETURNS (Language): The same pipeline on ONNX Runtime.
    """
    pipes = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)}
    shims = find_encoders(nlp)
    if not pipes or len(shims) != 1:
        raise CrossnerError(Errors.CN735.format(pipeline=", ".join(nlp.pipe_names)))
    encoder = encoder_names(nlp)
    listening = cast(Any, nlp.get_pipe(encoder[0])).listening_components if encoder else []
    others = sorted(set(listening) - set(pipes))
    if others:
        raise CrossnerError(Errors.CN736.format(others=", ".join(others)))
    config = convert_config(nlp, list(pipes), encoder)
    meta = {**nlp.meta, RUNTIME_META: {"name": "onnx", "weights": weights}}
    converted = load_model_from_config(config, meta=meta, auto_fill=True)
    # the new config stays: the old one names files and components that are not there
    exclude = ["meta", "config"]
    converted.from_bytes(nlp.to_bytes(exclude=[*exclude, *encoder, *pipes]), exclude=exclude)
    parts = export_encoder(shims[0], weights, {} if cache is None else cache)
    for name, pipe in pipes.items():
        _fill(cast(CrossnerNER, converted.get_pipe(name)), pipe, parts)
    return converted


def encoder_names(nlp: Language) -> list[str]:
    """List the components that only contain an encoder."""
    return [name for name, pipe in nlp.pipeline if hasattr(pipe, "listener_map")]


def convert_config(nlp: Language, pipes: Sequence[str], encoder: Sequence[str]) -> dict[str, Any]:
    """Replace the token vectors of components by those of an exported encoder.

    nlp (Language): The pipeline.
    pipes (Sequence[str]): Names of its NER components.
    encoder (Sequence[str]): Names of the components that are left out.
    RETURNS (Dict[str, Any]): The new config.
    """
    config = deepcopy(nlp.config)
    components = config["components"]
    for name in pipes:
        tok2vec = components[name]["model"]["tok2vec"]
        # a component either listens to the encoder or holds it
        source = components[encoder[0]]["model"] if encoder else tok2vec
        components[name]["model"]["tok2vec"] = {
            "@architectures": "spacy-crossner.OnnxTransformer.v1",
            "pooling": tok2vec["pooling"],
            "window": source["window"],
            "stride": source["stride"],
            "threads": None,
        }
    for name in encoder:
        del components[name]
    config["nlp"]["pipeline"] = [n for n in config["nlp"]["pipeline"] if n not in encoder]
    # what trained it names files and components that are not there
    config["training"] = {}
    config["initialize"] = {}
    return config


def export_encoder(shim: EncoderShim, weights: Weights, cache: dict[str, bytes]) -> dict[str, Any]:
    """Export an encoder with its embeddings and tokenizer.

    shim (EncoderShim): Holds the encoder.
    weights (str): "int8" or "float32".
    cache (Dict[str, bytes]): Has the graph under this key, or gets it.
    RETURNS (Dict[str, Any]): The arguments of `OnnxEncoder.set_encoder`.
    """
    encoder = shim._hfmodel.transformer
    if weights not in cache:
        graph = trace_encoder(shim)
        cache[weights] = quantize(graph) if weights == "int8" else graph
    words = encoder.get_input_embeddings()
    tokenizer = get_tokenizer(shim)
    info = {
        "unknown_id": tokenizer.unknown_id,
        "unknown": tokenizer.unknown,
        "pad_id": tokenizer.pad_id,
        "n_positions": shim.n_positions,
        "trimmed_to": getattr(encoder.config, TRIMMED_TO, None),
    }
    rows_kept = words.weight.detach().cpu()
    is_half = rows_kept.dtype == torch.float16
    table = make_table(
        (rows_kept if is_half else rows_kept.float()).numpy(), exact=weights == "float32"
    )
    data = tokenizer.backend.to_str().encode("utf8")
    return {"graph": cache[weights], "table": table, "tokenizer_data": data, "info": info}


def trace_encoder(shim: EncoderShim) -> bytes:
    """Export an encoder without its word embeddings.

    shim (EncoderShim): Holds the encoder.
    RETURNS (bytes): The graph, from embeddings and mask to vectors.
    """
    encoder = shim._hfmodel.transformer
    words = encoder.get_input_embeddings()
    width = words.weight.shape[1]

    class FromEmbeddings(torch.nn.Module):
        """The encoder without its word embeddings."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.encoder(
                inputs_embeds=embeddings, attention_mask=mask, return_dict=True
            ).last_hidden_state

    samples = []
    for rows, pieces in SAMPLES:
        mask = torch.ones(rows, pieces, dtype=torch.int64)
        mask[0, pieces - 2 :] = 0
        # pieces that every vocabulary has
        ids = torch.arange(rows * pieces).reshape(rows, pieces)
        samples.append((words(ids.to(shim.device)).detach().cpu().float(), mask))
    with plain_attention(encoder):
        return export_module(
            FromEmbeddings(),
            samples,
            dict(zip(ENCODER_INPUTS, ((None, None, width), (None, None)), strict=True)),
            ("vectors",),
        )


def export_head(head: Model, n_in: int) -> bytes:
    """Export the torch module of a head.

    head (Model): The node that holds it.
    n_in (int): Width of the token vectors.
    RETURNS (bytes): The graph, from token vectors (and a row of marks) to logits.
    """
    module = cast(Any, head.layers[0].shims[0])._model
    n_inputs = len(inspect.signature(module.forward).parameters)
    samples = []
    for rows, pieces in SAMPLES:
        n_rows = rows * pieces
        generator = torch.Generator().manual_seed(n_rows)
        vectors = torch.randn(n_rows, n_in, generator=generator)
        is_token = torch.ones(n_rows)
        is_token[::pieces] = 0
        samples.append((vectors, is_token)[:n_inputs])
    inputs: dict[str, tuple[Optional[int], ...]] = dict(
        zip(HEAD_INPUTS[:n_inputs], ((None, n_in), (None,)), strict=False)
    )
    with torch.no_grad():
        found = module.eval()(*samples[0])
    outputs = [f"output_{i}" for i in range(len(found) if isinstance(found, tuple) else 1)]
    return export_module(module, samples, inputs, outputs)


def export_module(
    module: torch.nn.Module,
    samples: Sequence[tuple[torch.Tensor, ...]],
    inputs: dict[str, tuple[Optional[int], ...]],
    outputs: Sequence[str],
) -> bytes:
    """Export a torch module, and compare the graph with it on inputs of another size.

    module (nn.Module): The module.
    samples (Sequence[tuple]): Its inputs, twice.
    inputs (Dict[str, tuple]): Names of its inputs, with their shapes; None for any size.
    outputs (Sequence[str]): Names of its outputs.
    RETURNS (bytes): The graph.
    """
    module = module.cpu().eval()
    axes = {
        name: {i: f"{name}_{i}" for i, size in enumerate(shape) if size is None}
        for name, shape in inputs.items()
    }
    axes |= {name: {0: f"{name}_0"} for name in outputs}
    settings: dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        settings["dynamo"] = False  # the other exporter needs a further package
    buffer: Any = io.BytesIO()
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, OPSET)
    with torch.no_grad(), warnings.catch_warnings(), gathered_reach():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            samples[0],
            buffer,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            **settings,
        )
        expected = module(*samples[1])
    graph = buffer.getvalue()
    session = make_session(graph, 1)
    arrays = {name: t.numpy() for name, t in zip(inputs, samples[1], strict=True)}
    found = run_session(session, arrays)
    for name, array, tensor in zip(
        outputs, found, expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        difference = float(numpy.abs(array - tensor.numpy()).max())
        if not difference <= TOLERANCE:
            raise CrossnerError(
                Errors.CN737.format(name=type(module).__name__, output=name, difference=difference)
            )
    return graph


def quantize(graph: bytes) -> bytes:
    """Compute a graph's products with its own matrices in int8: a scale per column and per row.

    The rows of an input are scaled one by one, as they come. So the few very large activations of
    a word piece cost the others nothing, and the texts of a batch do not change each other.

    Weights use 7 of the 8 bits: processors without VNNI add two products in 16 bits, and would cut
    off larger ones.

    graph (bytes): The graph.
    RETURNS (bytes): The graph with products in int8.
    """
    try:
        import onnx
    except ImportError:
        raise CrossnerError(Errors.CN738) from None
    model = onnx.load_from_string(graph)
    matrices = {
        item.name: item
        for item in model.graph.initializer
        if len(item.dims) == 2 and item.data_type == onnx.TensorProto.FLOAT
    }
    scaled: set[str] = set()
    multiplied: dict[str, Any] = {}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in matrices:
            nodes.append(node)
            continue
        source, name = node.input
        multiplied[name] = matrices[name]
        if source not in scaled:
            scaled.add(source)
            nodes.extend(_scale_rows(source))
        nodes.extend(_multiply(source, name, node.output[0]))
    # other nodes may read the same matrix
    used = {name for node in nodes for name in node.input}
    kept = [item for item in model.graph.initializer if item.name in used]
    parts = [part for item in multiplied.values() for part in _store_in_int8(item)]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*kept, *parts, *_constants()])
    model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return model.SerializeToString()


def _scale_rows(name: str) -> list[Any]:
    """Make the nodes that turn each row of a tensor into integers and a scale."""
    from onnx.helper import make_node

    return [
        make_node("Abs", [name], [f"{name}.abs"]),
        make_node("ReduceMax", [f"{name}.abs"], [f"{name}.max"], axes=[-1], keepdims=1),
        make_node("Max", [f"{name}.max", "int8.tiny"], [f"{name}.largest"]),
        make_node("Div", [f"{name}.largest", "int8.limit"], [f"{name}.scale"]),
        make_node("Div", [name, f"{name}.scale"], [f"{name}.scaled"]),
        make_node("QuantizeLinear", [f"{name}.scaled", "int8.one", "int8.zero"], [f"{name}.codes"]),
    ]


def _multiply(source: str, matrix: str, output: str) -> list[Any]:
    """Make the nodes that multiply a tensor of `_scale_rows` with a matrix of `_store_in_int8`."""
    from onnx.helper import make_node

    inputs = [f"{source}.codes", f"{matrix}.codes", "int8.one", f"{matrix}.scales", "int8.zero"]
    product = f"{output}.product"
    return [
        make_node("MatMulIntegerToFloat", inputs, [product], domain=MICROSOFT),
        make_node("Mul", [product, f"{source}.scale"], [output]),
    ]


def _store_in_int8(item: Any) -> list[Any]:
    """Turn a matrix of a graph into integers of 7 bits and a scale for each column."""
    from onnx.numpy_helper import from_array, to_array

    matrix = to_array(item)
    scales = numpy.maximum(numpy.abs(matrix).max(axis=0) / 63, numpy.finfo("float32").tiny)
    codes = numpy.rint(matrix / scales).astype("int8")
    return [from_array(codes, f"{item.name}.codes"), from_array(scales, f"{item.name}.scales")]


def _constants() -> list[Any]:
    from onnx.numpy_helper import from_array

    values = {
        "tiny": numpy.float32(numpy.finfo("float32").tiny * 127),
        "limit": numpy.float32(127),
        "one": numpy.float32(1),
        "zero": numpy.uint8(128),
    }
    return [from_array(numpy.array(value), f"int8.{name}") for name, value in values.items()]


@contextmanager
def plain_attention(encoder: Any) -> Iterator[None]:
    """Let an encoder compute attention step by step, which every exporter understands."""
    config = encoder.config
    before = getattr(config, "_attn_implementation", None)
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


@contextmanager
def gathered_reach() -> Iterator[None]:
    """Let the heads line rows up by indices: the exporter can't trace a view of windows."""

    def in_reach(rows: torch.Tensor, reach: int) -> torch.Tensor:
        padded = torch.nn.functional.pad(rows, (0, 0, 0, reach - 1))
        first = torch.arange(rows.shape[0], device=rows.device)
        places = first[:, None] + torch.arange(reach, device=rows.device)
        return padded[places].transpose(1, 2)

    before = modules.in_reach
    modules.in_reach = in_reach
    try:
        yield
    finally:
        modules.in_reach = before


def _expm1(graph: Any, x: Any) -> Any:
    """Write exp(x) - 1 in operators of ONNX that are as exact near 0."""
    two = graph.op("Constant", value_t=torch.tensor(2.0))
    one = graph.op("Constant", value_t=torch.tensor(1.0))
    tanh = graph.op("Tanh", graph.op("Div", x, two))
    return graph.op("Div", graph.op("Mul", two, tanh), graph.op("Sub", one, tanh))


def _fill(target: CrossnerNER, source: CrossnerNER, encoder: dict[str, Any]) -> None:
    """Give a component what another one has learned, as graphs."""
    target.cfg.update(deepcopy(source.cfg))
    build_head(target.model, source.cfg["nI"], len(source.classes))
    head = source.model.get_ref("head")
    for graph in find_graphs(target.model):
        if isinstance(graph, OnnxEncoder):
            graph.set_encoder(**encoder)
        else:
            graph.set_graph(export_head(head, source.cfg["nI"]))
