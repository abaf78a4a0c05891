"""Damaged and incomplete pipelines are refused; nothing is predicted in silence."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
import spacy
import srsly

from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline.load import load_pipeline
from tests.pipelines import make_examples, make_nlp, scored, train

TEXT = "Angela Merkel visited Berlin. It's in London (UK)."
HEADS = ("token_label_ner", "token_pair_ner")
# People edit these, and what is valid there is valid.
EDITED = ("config.cfg", "meta.json")
FLIPS = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_encoder) -> Path:
    nlp = make_nlp(tiny_encoder, token_label_ner={}, token_pair_ner={"spans_key": "pairs"})
    train(nlp, make_examples(nlp), steps=5)
    folder = tmp_path_factory.mktemp("damage") / "pipeline"
    nlp.to_disk(folder)
    return folder


def predict(nlp) -> list:
    doc = nlp(TEXT)
    return [[token.text for token in doc], scored(doc, "sc"), scored(doc, "pairs")]


def test_a_flipped_byte_is_an_error_or_changes_nothing(trained, tmp_path, monkeypatch):
    expected = predict(spacy.load(trained))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    generator = random.Random(0)
    for path in sorted(trained.rglob("*")):
        name = path.relative_to(trained).as_posix()
        if not path.is_file() or name in EDITED:
            continue
        whole = path.read_bytes()
        copy = tmp_path / "pipeline"
        for _ in range(FLIPS if whole else 0):
            shutil.copytree(trained, copy)
            data = bytearray(whole)
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            (copy / name).write_bytes(data)
            try:
                found = predict(load_pipeline(copy))
            except CrossnerError:
                found = expected
            assert found == expected, name
            shutil.rmtree(copy)
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("name", HEADS)
def test_files_of_two_pipelines_do_not_mix(trained, tmp_path, name):
    copy = tmp_path / "pipeline"
    shutil.copytree(trained, copy)
    cfg = srsly.read_json(copy / name / "cfg")
    srsly.write_json(copy / name / "cfg", {**cfg, "labels": cfg["labels"][::-1]})
    with pytest.raises(CrossnerError, match=r"CN057.*cfg"):
        spacy.load(copy)
    # pipelines of earlier versions have no checksums
    shutil.copy(trained / name / "cfg", copy / name / "cfg")
    (copy / name / "checksums.json").unlink()
    assert predict(spacy.load(copy)) == predict(spacy.load(trained))


@pytest.mark.parametrize("name", HEADS)
def test_without_its_encoder_a_pipeline_says_so(trained, name):
    nlp = spacy.load(trained, disable=["transformer"])
    with pytest.raises(CrossnerError, match=r"CN056.*transformer"):
        nlp(TEXT)
    nlp = spacy.load(trained, exclude=["transformer"])
    with pytest.raises(CrossnerError, match=r"CN056.*transformer"):
        nlp(TEXT)
    nlp = spacy.load(trained)
    other = next(head for head in HEADS if head != name)
    with nlp.select_pipes(enable=[name]), pytest.raises(CrossnerError, match="CN056"):
        nlp(TEXT)
    with nlp.select_pipes(disable=[other]):
        assert nlp(TEXT).spans
    assert not nlp("").ents
