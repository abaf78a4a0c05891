"""The same work on Ray: the same bytes as here, whatever becomes of the workers."""

import os

import pytest

ray = pytest.importorskip("ray")

from spacy_crossner.errors import CrossnerError  # noqa: E402
from spacy_crossner.scale import Predictor  # noqa: E402
from spacy_crossner.scale.apply import apply  # noqa: E402
from spacy_crossner.scale.execution import Execution, connect, run_tasks  # noqa: E402
from tests.test_scale import (  # noqa: E402, F401 (fixtures)
    TEXTS,
    check_annotate,
    check_translate,
    code,
    corpus,
    fragile,
    make_adder,
    pipeline,
    read_bytes,
    read_lines,
    write_lines,
)


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    """A Ray with two processors, stopped afterwards."""
    with connect(Execution("ray", 2)):
        yield
    assert not ray.is_initialized()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_same_bytes(pipeline, corpus, tmp_path, workers):  # noqa: F811
    apply(pipeline, corpus, tmp_path / "here", shard_size=2)
    # a worker without a processor waits, and the others do the work
    result = apply(
        pipeline, corpus, tmp_path / "ray", shard_size=2, execution=Execution("ray", workers)
    )
    assert result.is_whole
    assert read_bytes(tmp_path / "ray") == read_bytes(tmp_path / "here")


def test_killed_actor_and_poisoned_text(fragile, code, tmp_path):  # noqa: F811
    flag = tmp_path / "flag"
    rows = [{"id": f"r{i}", "text": f"Berlin {i}"} for i in range(12)]
    rows[4]["text"] = f"KILL={flag}"
    rows[7]["text"] = "POISON"
    path = write_lines(tmp_path / "in.jsonl", rows)
    apply(fragile, path, tmp_path / "here", shard_size=2, code=code)
    flag.touch()
    two = Execution("ray", 2)
    result = apply(fragile, path, tmp_path / "ray", shard_size=2, code=code, execution=two)
    assert not flag.exists()
    assert [name for name, _ in result.failed] == ["r7"]
    assert read_bytes(tmp_path / "ray") == read_bytes(tmp_path / "here")


def test_deadly_shard_is_left_out(fragile, code, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("spacy_crossner.scale.execution.ATTEMPTS", 2)
    rows = [{"id": f"r{i}", "text": f"Berlin {i}"} for i in range(6)]
    rows[2]["text"] = "DEADLY"
    path = write_lines(tmp_path / "in.jsonl", rows)
    one = Execution("ray")
    result = apply(fragile, path, tmp_path / "out", shard_size=2, code=code, execution=one)
    assert list(result.unreadable) == ["in.jsonl-00002.jsonl"]
    assert [row["id"] for row in read_lines(tmp_path / "out")] == ["r0", "r1", "r4", "r5"]


def test_tasks_are_taken_as_workers_become_free():
    taken = []
    counts = []

    def iter_tasks():
        for number in range(50):
            taken.append(number)
            yield str(number), number

    results = {}
    for name, result in run_tasks(make_adder, iter_tasks(), Execution("ray", 2)):
        results[name] = result
        counts.append(len(taken) - len(results))
    assert results == {str(n): n + 1 for n in range(50)}
    assert max(counts) <= 4
    with pytest.raises(CrossnerError, match="a user's error"):
        list(run_tasks(make_adder, [("a", -1)], Execution("ray")))
    assert ray.is_initialized()


def test_worker_that_cannot_start(tmp_path, corpus):  # noqa: F811
    predictor = Predictor(tmp_path / "nothing")

    def make_worker():
        return predictor.nlp

    with pytest.raises(CrossnerError, match="CN611"):
        list(run_tasks(make_worker, [("a", 1)], Execution("ray")))


def test_predictor_in_ray_data(pipeline):  # noqa: F811
    import ray.data

    found = (
        ray.data.from_items([{"text": text} for text in TEXTS])
        .map_batches(
            Predictor,
            fn_constructor_args=(str(pipeline),),
            batch_format="pyarrow",
            concurrency=1,
        )
        .take_all()
    )
    nlp = Predictor(pipeline).nlp
    assert {row["text"]: [e["label"] for e in row["entities"]] for row in found} == {
        text: [ent.label_ for ent in nlp(text).ents] for text in TEXTS
    }


def test_annotate_and_translate(pipeline, tmp_path, monkeypatch):  # noqa: F811
    check_annotate(pipeline, tmp_path, Execution("ray", 2))
    check_translate(tmp_path, Execution("ray", 2), monkeypatch)


def test_no_cluster(monkeypatch):
    ray.shutdown()
    with (
        pytest.raises(CrossnerError, match="CN810"),
        connect(Execution("ray", address="auto")),
    ):
        pass
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
