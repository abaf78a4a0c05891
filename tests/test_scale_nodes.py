"""A cluster of two nodes, one of which leaves in the middle of a run."""

import threading

import pytest

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

from spacy_crossner.scale.apply import apply  # noqa: E402
from spacy_crossner.scale.execution import Execution, connect  # noqa: E402
from tests.test_scale import (  # noqa: E402, F401 (fixtures)
    code,
    fragile,
    read_bytes,
    write_lines,
)

SHARDS = 40
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


def test_node_that_leaves(fragile, code, tmp_path):  # noqa: F811
    # long enough that the results travel through the object store of the node
    rows = [{"id": i, "text": "Berlin " * 20, "page": "x" * 400} for i in range(SHARDS * 200)]
    path = write_lines(tmp_path / "in.jsonl", rows)
    apply(fragile, path, tmp_path / "here", shard_size=200, code=code)
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        leaving = cluster.add_node(**NODE)
        cluster.wait_for_nodes()
        out = tmp_path / "ray"
        finished = threading.Event()
        left: list[int] = []

        def leave():
            while not finished.wait(0.01):
                done = len(list(out.glob("*.jsonl")))
                if done >= 4:
                    cluster.remove_node(leaving, allow_graceful=False)
                    left.append(done)
                    return

        execution = Execution("ray", 2, address=cluster.address)
        with connect(execution):
            thread = threading.Thread(target=leave)
            thread.start()
            result = apply(fragile, path, out, shard_size=200, code=code, execution=execution)
            finished.set()
            thread.join()
        # it left while shards were missing; the cluster notes that only seconds later
        assert left
        assert left[0] < SHARDS
        assert result.is_whole
        assert read_bytes(out) == read_bytes(tmp_path / "here")
    finally:
        cluster.shutdown()
