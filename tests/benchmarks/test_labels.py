"""What a few labels of a target language add, on the sample corpus."""

from dataclasses import replace

import pytest
from spacy.vocab import Vocab

from benchmarks.labels import Setup, compare_labels
from benchmarks.rules import SAMPLE
from spacy_crossner.data.markup import read_marked
from spacy_crossner.data.sample import make_doc
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import get_lang
from spacy_crossner.errors import CrossnerError
from spacy_crossner.training.recipes import find_recipe
from spacy_crossner.training.run import train
from spacy_crossner.training.stages import Inputs, Job

CHANGES = {"components.transformer.model.window": 100, "components.transformer.model.stride": 50}


@pytest.fixture(scope="module")
def setup(tiny_encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    corpus = folder / "corpus"
    parts = {"source": "en/train-news", "dev": "en/dev", "test-de": "de/test", "test-es": "es/test"}
    for name, part in parts.items():
        sentences = read_marked(SAMPLE / f"{part}.txt")[:20]
        docs = [make_doc(one, "source", part[:2]) for one in sentences]
        write_docs(corpus / f"{name}.spacy", docs)
    inputs = Inputs([corpus / "source.spacy"], corpus / "dev.spacy", tiny_encoder)
    job = Job(find_recipe("baseline"), inputs, steps=2, changes=CHANGES)
    pipeline = train(job, folder / "start", quiet=True)
    pools = {lang: corpus / f"test-{lang}.spacy" for lang in ("de", "es")}
    return Setup(pipeline, corpus, pools, tiny_encoder, folder / "out", 20, 2, CHANGES)


def test_what_is_chosen_is_trained_on_and_kept(setup):
    found = compare_labels(setup, [3], ["ask"], 0)
    assert list(found) == ["none 0", "ask 3"]
    assert all(set(scores) == {"de", "es", "mean"} for scores in found.values())
    folder = setup.output / "seed-0"
    docs = list(read_docs(folder / "ask-3" / "labels.spacy", Vocab()))
    assert sorted(map(get_lang, docs)) == ["de"] * 3 + ["es"] * 3
    assert any(doc.ents for doc in docs)
    (folder / "ask-3.json").write_text('{"de": 1.0, "es": 3.0, "mean": 2.0}', encoding="utf8")
    assert compare_labels(setup, [3], ["ask"], 0)["ask 3"]["mean"] == 2.0


def test_chance_has_a_seed_and_labels_alone_are_the_same_ones(setup, monkeypatch):
    chosen = {}

    def keep(setup, docs, way, seed, output):
        chosen[way, seed] = {doc.text for doc in docs}

    monkeypatch.setattr("benchmarks.labels._train", keep)
    monkeypatch.setattr("benchmarks.labels._test", lambda *_: {"mean": 0.0})
    for seed in (1, 2):
        compare_labels(setup, [3], ["random", "alone"], seed)
    assert {len(texts) for texts in chosen.values()} == {6}
    assert chosen["random", 1] == chosen["alone", 1] != chosen["random", 2]


def test_what_is_wrong_is_said(setup):
    with pytest.raises(CrossnerError, match=r"CN657.*test-de.spacy has 20 different sentences"):
        compare_labels(setup, [21], ["random"], 0)
    with pytest.raises(CrossnerError, match=r"'guess'.*ask, random, alone"):
        compare_labels(setup, [1], ["guess"], 0)
    with pytest.raises(CrossnerError, match=r"CN635.*setup.json.*steps differs"):
        compare_labels(replace(setup, steps=3), [3], ["random"], 0)
