"""Gradients of contrasts beside those of labels, on a tiny encoder."""

import numpy
import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config

from benchmarks.gradients import find_contrasts, list_pipes, measure_cosines, read_gradients
from benchmarks.rules import SAMPLE
from spacy_crossner.data.markup import read_marked
from spacy_crossner.data.sample import make_doc
from spacy_crossner.data.shards import write_docs
from spacy_crossner.training.recipes import find_recipe
from spacy_crossner.training.run import train
from spacy_crossner.training.stages import Inputs, Job

CONTRASTS = {
    "concner": {"sentence_contrast", "label_contrast"},
    "mclner": {"sentence_contrast", "relation_contrast"},
}


@pytest.fixture(scope="module", params=CONTRASTS)
def training(request, tiny_encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradients")
    german = read_marked(SAMPLE / "de/memory.txt")[:20]
    english = [one for part in (SAMPLE / "en").glob("train-*.txt") for one in read_marked(part)]
    labelled = [one for one in english if one.id in {other.id for other in german}]
    source = [make_doc(one, "source", "en") for one in labelled]
    write_docs(folder / "source.spacy", source)
    write_docs(folder / "dev.spacy", source)
    views = [*source, *(make_doc(one, "translation", "de") for one in german)]
    write_docs(folder / "views.spacy", views)
    inputs = Inputs(
        [folder / "source.spacy"],
        folder / "dev.spacy",
        tiny_encoder,
        views=[folder / "views.spacy"],
        target={folder / "dev.spacy": "de"},
    )
    changes = {
        "components.transformer.model.window": 100,
        "components.transformer.model.stride": 50,
    }
    job = Job(find_recipe(request.param), inputs, steps=1, changes=changes)
    train(job, folder / "out", only=["data", "teacher"], quiet=True)
    return CONTRASTS[request.param], folder / "out" / "teacher" / "config.cfg"


@pytest.mark.filterwarnings("ignore:.*CNW11")
def test_cosines_of_trained_layers(training):
    contrasts, config = training
    found = measure_cosines(config, [0, 2], 1)
    assert {one.contrast for one in found} == contrasts
    assert {one.step for one in found} == {0, 2}
    assert all(abs(one.cosine) <= 1 and one.ratio > 0 for one in found)


def test_looking_changes_nothing(training):
    nlp = init_nlp(load_config(training[1], interpolate=True))
    assert set(find_contrasts(nlp)) == training[0]
    words, tags = ["Ada", "flew"], ["B-PER", "O"]
    example = Example.from_dict(Doc(nlp.vocab, words=words), {"entities": tags})
    before = nlp.to_bytes()
    first, again = (read_gradients(nlp, [example]) for _ in range(2))
    assert first
    assert first.keys() == again.keys()
    assert all(numpy.array_equal(first[layer], again[layer]) for layer in first)
    assert nlp.to_bytes() == before


@pytest.mark.filterwarnings("ignore:.*CNW11")
def test_training_leaves_no_gradient_behind(training, monkeypatch):
    found = []

    def keep(nlp, batch, switches):
        pipes = list_pipes(nlp)
        modules = [s._model for p in pipes for node in p.model.walk() for s in node.shims]
        found.append([p.grad for m in modules for p in m.parameters() if p.grad is not None])
        return iter(())

    monkeypatch.setattr("benchmarks.gradients._compare", keep)
    measure_cosines(training[1], [0, 2], 1)
    assert len(found) == 2
    assert found[1]
    assert not any(gradient.any() for gradient in found[1])
