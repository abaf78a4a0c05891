"""A short run of the fault injection: seeded, and without a single failure."""

import pytest

from benchmarks.faults.files import convert_malformed, damage_data, damage_pipeline
from benchmarks.faults.texts import check_texts, make_texts
from tests.pipelines import make_examples, make_nlp, train

HEADS = ("token_label_ner", "token_pair_ner")


@pytest.fixture(scope="module", params=HEADS)
def nlp(request, tiny_encoder):
    nlp = make_nlp(tiny_encoder, **{request.param: {"threshold": 0.2}})
    train(nlp, make_examples(nlp), steps=10)
    return nlp


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_texts(nlp):
    found = check_texts(nlp, make_texts(60))
    assert found.pop("texts") == 60
    assert set(found.values()) == {0}, found


def test_damaged_pipelines(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    found = damage_pipeline(tmp_path / "pipeline", 15)
    assert found["changed in silence"] == found["other exceptions"] == found["folders left"] == 0
    assert found["coded errors"] > 5


def test_damaged_data():
    for name, found in damage_data(60).items():
        assert found["other exceptions"] == found["changed in silence"] == 0, (name, found)


def test_malformed_files():
    assert convert_malformed(80)["tracebacks"] == 0
