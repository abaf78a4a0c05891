"""ONNX graphs as Thinc nodes, for pipelines that predict without torch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, cast

import numpy
from thinc.api import Model, Shim

from spacy_crossner.errors import CrossnerError, Errors

# Attribute of a node whose token vectors come from a graph.
RUNTIME = "runtime"
ONNX = "onnx"
HEAD_FILE = "head.onnx"
# Names of a head's inputs; one that does not need the second has no such input.
HEAD_INPUTS = ("vectors", "is_token")


class OnnxGraph(Shim):
    """Holds an ONNX graph, and runs it.

    file (str): Name of the file that the graph is saved in.
    inputs (Tuple[str, ...]): Names of the inputs that a run is given.
    threads (Optional[int]): Threads of a run; None takes OMP_NUM_THREADS, or else all processors.
    """

    def __init__(self, file: str, inputs: tuple[str, ...], threads: Optional[int] = 1):
        super().__init__(None)
        self.file = file
        self.inputs = inputs
        self.threads = threads
        self.graph = b""
        self._session: Optional[Any] = None
        self._inherited: Optional[Any] = None
        self._process = os.getpid()

    def run(self, *arrays: numpy.ndarray) -> list[numpy.ndarray]:
        """Run the graph.

        arrays (numpy.ndarray): Its inputs, in order.
        RETURNS (List[numpy.ndarray]): Its outputs.
        """
        return run_session(self._get_session(), dict(zip(self.inputs, arrays, strict=False)))

    def _get_session(self) -> Any:
        threads = self.threads
        if threads is None:
            threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
        if os.getpid() != self._process and threads != 1:
            # a forked process has the session, but not its threads, and must not end it either:
            # that would wait for them
            self._inherited = self._session
            self._process, self._session, self.threads, threads = os.getpid(), None, 1, 1
        if self._session is None:
            self._session = make_session(self.graph, threads)
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        # a session can't be pickled; the process stays, so that another one takes one thread too
        return {**vars(self), "_session": None, "_inherited": None}

    def set_graph(self, graph: bytes) -> None:
        """Replace the graph.

        graph (bytes): A serialized ONNX model.
        """
        self.graph = graph
        self._session = None

    def finish_update(self, optimizer: Any) -> None:
        """Do nothing: a graph has no weights to train."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Do nothing: graphs run on the CPU."""

    def to_bytes(self) -> bytes:
        """Serialize the graph."""
        return self.graph

    def from_bytes(self, bytes_data: bytes) -> "OnnxGraph":
        """Load the graph."""
        self.set_graph(bytes_data)
        return self

    def to_disk(self, path: Any) -> list[Path]:
        """Write the graph to a folder.

        path (Path): The folder.
        RETURNS (List[Path]): The files that were written.
        """
        target = Path(path) / self.file
        target.write_bytes(self.graph)
        return [target]

    def from_disk(self, path: Any) -> "OnnxGraph":
        """Load the graph from a folder."""
        self.set_graph((Path(path) / self.file).read_bytes())
        return self


def make_session(graph: bytes, threads: int) -> Any:
    """Load a graph into ONNX Runtime.

    graph (bytes): A serialized ONNX model.
    threads (int): Threads of a run; 0 for all processors.
    RETURNS (InferenceSession): The session.
    """
    try:
        import onnxruntime
    except ImportError:
        raise CrossnerError(Errors.CN733) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # threads that spin while they wait would take the time of other processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, arrays: dict[str, numpy.ndarray]) -> list[numpy.ndarray]:
    """Run a graph.

    session (InferenceSession): What `make_session` returns.
    arrays (Dict[str, numpy.ndarray]): Inputs by name; those that the graph lacks are left out.
    RETURNS (List[numpy.ndarray]): Its outputs.
    """
    names = {item.name for item in session.get_inputs()}
    return session.run(None, {name: array for name, array in arrays.items() if name in names})


def make_graph_node() -> Model[Any, tuple[Any, ...]]:
    """Make a node from arrays to a tuple of arrays, without a graph yet."""
    return Model("onnx", _forward, shims=[OnnxGraph(HEAD_FILE, HEAD_INPUTS)])


def is_graph_node(model: Model) -> bool:
    """Check whether a node runs a graph."""
    return any(isinstance(shim, OnnxGraph) for shim in model.shims)


def runs_graphs(model: Model) -> bool:
    """Check whether any node of a model runs a graph."""
    return any(node.attrs.get(RUNTIME) == ONNX for node in model.walk())


def find_graphs(model: Model) -> list[OnnxGraph]:
    """List the graphs of a model, in the order of its nodes."""
    return [shim for node in model.walk() for shim in node.shims if isinstance(shim, OnnxGraph)]


def refuse_training(*args: Any, **settings: Any) -> Any:
    """Raise an error: a graph can't be trained."""
    raise CrossnerError(Errors.CN734)


def _forward(model: Model, X: Any, is_train: bool) -> tuple[tuple[Any, ...], Callable]:
    if is_train:
        refuse_training()
    arrays = X if isinstance(X, tuple) else (X,)
    graph = cast(OnnxGraph, model.shims[0])
    inputs = [model.ops.to_numpy(array) for array in arrays]
    outputs = tuple(cast(Any, model.ops).asarray(array) for array in graph.run(*inputs))
    return outputs, refuse_training
