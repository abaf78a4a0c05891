"""The entity types of a streamed corpus are known before training, however rare they are."""

from pathlib import Path

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.util import load_config

from spacy_crossner.data.view import SoftTargets, View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline.gold import DISCONTINUOUS
from spacy_crossner.training.labels import read_labels

CONFIGS = Path(__file__).parent.parent / "configs"
VOCAB = spacy.blank("xx").vocab


def _doc(label=None, **view):
    doc = Doc(VOCAB, words=["Anna", "sings"])
    doc.set_ents([Span(doc, 0, 1, label=label)] if label else [])
    set_view(doc, View(group="g", **view))
    return doc


def _write(path, docs):
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def test_types_of_several_files_are_sorted(tmp_path):
    one = _write(tmp_path / "one.spacy", [_doc("PER"), _doc()])
    two = _write(tmp_path / "two.spacy", [_doc("LOC"), _doc("PER")])
    assert read_labels(f"{one},{two}") == ["LOC", "PER"]
    assert read_labels(tmp_path) == ["LOC", "PER"]


@pytest.mark.parametrize(
    ("scheme", "classes"),
    [("bio", ("O", "B-ORG", "I-ORG")), ("relations", ("NNW", "THW-ORG"))],
)
def test_types_of_soft_targets_count(tmp_path, scheme, classes):
    index = numpy.zeros((0, 1 if scheme == "bio" else 2), dtype="int32")
    probs = numpy.zeros((0, len(classes)), dtype="float16")
    soft = SoftTargets(scheme, classes, index, probs)
    path = _write(tmp_path / "soft.spacy", [_doc(kind="target", labelled=False, soft=soft)])
    assert read_labels(path) == ["ORG"]


def test_types_of_spans_count(tmp_path):
    doc = _doc()
    doc.spans["sc"] = [Span(doc, 1, 2, label="WORK")]
    doc.spans["sc"].attrs[DISCONTINUOUS] = [((0, 1), "SONG", 1.0)]
    assert read_labels(_write(tmp_path / "spans.spacy", [doc])) == ["SONG", "WORK"]


def test_a_corpus_without_types_is_refused(tmp_path):
    path = _write(tmp_path / "plain.spacy", [_doc()])
    with pytest.raises(CrossnerError, match=r"CN276.*plain\.spacy has no entities"):
        read_labels(path)


def test_a_corpus_that_does_not_exist_yet(tmp_path):
    assert read_labels(tmp_path / "no.spacy") is None
    with pytest.raises(CrossnerError, match="CN202"):
        read_labels(tmp_path / "no.spacy", require=True)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.cfg")))
def test_recipes_know_types_beyond_the_first_hundred_docs(name, tiny_encoder, tmp_path):
    path = _write(tmp_path / "train.spacy", [_doc("PER") for _ in range(120)] + [_doc("RARE")])
    overrides = {
        "paths.train": str(path),
        "paths.dev": str(path),
        "paths.encoder": str(tiny_encoder),
        "components.transformer.model.window": 100,
        "components.transformer.model.stride": 50,
    }
    nlp = init_nlp(load_config(CONFIGS / f"{name}.cfg", overrides=overrides))
    ner = next(pipe for name, pipe in nlp.pipeline if name.endswith("_ner"))
    assert ner.labels == ("PER", "RARE")
