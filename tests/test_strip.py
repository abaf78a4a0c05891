"""Stripping: what is saved without training components, and what training can go on from."""

import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy import registry
from spacy.schemas import ConfigSchemaTraining
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from thinc.api import Config

from spacy_crossner.ml.encoder import get_shim
from spacy_crossner.pipeline.contrast import TRAINING_ONLY
from spacy_crossner.pipeline.strip import (
    create_strip_callback,
    is_training_only,
    strip_training_components,
)
from tests.pipelines import TRAIN_DATA, found, make_config, make_nlp, train
from tests.test_contrast import CONTRAST, make_views, start

PIPELINE = {
    "sentence_contrast": {"weight": 0.1},
    "token_label_ner": {},
    "label_contrast": {"weight": 0.1},
}
TEXTS = [text for text, _ in TRAIN_DATA]


@pytest.fixture(scope="module")
def trained(tiny_encoder):
    """A pipeline that knows some entities, with both training components."""
    nlp = make_nlp(tiny_encoder, **PIPELINE)
    train(nlp, make_views(nlp), steps=40)
    return nlp


def all_found(nlp) -> list:
    return [found(doc) for doc in nlp.pipe(TEXTS)]


def read_all(folder: Path) -> dict[str, bytes]:
    """Read the content of each file by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_names_are_the_factories(trained):
    assert set(TRAINING_ONLY) == set(CONTRAST)
    assert [name for name in trained.pipe_names if is_training_only(trained, name)] == [
        "sentence_contrast",
        "label_contrast",
    ]


def test_stripped_pipeline_shares_its_weights(trained):
    stripped = strip_training_components(trained)
    assert stripped.pipe_names == ["transformer", "token_label_ner"]
    assert stripped.get_pipe("transformer") is trained.get_pipe("transformer")
    assert stripped.vocab is trained.vocab
    expected = all_found(trained)
    assert any(expected)
    assert all_found(stripped) == expected


def test_training_pipeline_is_left_alone(trained):
    listeners = trained.get_pipe("transformer").listeners
    config, meta = trained.config.to_str(), repr(trained.meta)
    stripped = strip_training_components(trained)
    stripped.meta["name"] = "changed"
    stripped.config["training"]["seed"] = 99
    assert trained.pipe_names == ["transformer", *PIPELINE]
    assert [id(x) for x in trained.get_pipe("transformer").listeners] == [id(x) for x in listeners]
    assert trained.config.to_str() == config
    assert repr(trained.meta) == meta
    # training goes on, and the encoder still hears of all objectives
    examples = make_views(trained)
    before = get_shim(trained.get_pipe("transformer").model).to_bytes()
    optimizer = trained.resume_training()
    optimizer.learn_rate = 1e-9
    for _ in range(2):
        losses = trained.update(examples, sgd=optimizer, losses={})
    assert losses["sentence_contrast"] > 0
    assert get_shim(trained.get_pipe("transformer").model).to_bytes() != before


def test_nothing_to_strip(tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    assert strip_training_components(nlp).pipe_names == nlp.pipe_names


def test_config_and_meta_forget_what_is_stripped(tiny_encoder):
    nlp = make_nlp(tiny_encoder, **PIPELINE, token_pair_ner={})
    start(nlp, make_views(nlp))
    nlp.config["initialize"]["components"] = {"label_contrast": {}, "token_label_ner": {}}
    nlp.config["training"]["frozen_components"] = ["label_contrast", "token_pair_ner"]
    nlp.config["training"]["annotating_components"] = ["token_label_ner", "sentence_contrast"]
    nlp.disable_pipe("label_contrast")
    nlp.meta["performance"] = {"ents_f": 1.0, "label_contrast_loss": 1.0, "transformer_loss": 2.0}
    stripped = strip_training_components(nlp)
    config = stripped.config
    for name in TRAINING_ONLY:
        assert name not in config.to_str()
        assert name not in repr(stripped.meta)
    assert config["initialize"]["components"] == {"token_label_ner": {}}
    assert config["training"]["frozen_components"] == ["token_pair_ner"]
    assert config["training"]["annotating_components"] == ["token_label_ner"]
    assert stripped.meta["performance"] == {"ents_f": 1.0, "transformer_loss": 2.0}
    # filled and valid
    filled = Config(config.interpolate())
    registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    spacy.util.load_model_from_config(filled, auto_fill=True, validate=True)


def test_stripped_pipeline_loads_in_a_fresh_process(trained, tmp_path):
    path = tmp_path / "stripped"
    strip_training_components(trained).to_disk(path)
    assert {p.name for p in path.iterdir()}.isdisjoint(TRAINING_ONLY)
    script = (
        "import spacy, sys\n"
        "nlp = spacy.load(sys.argv[1])\n"
        "print(nlp.pipe_names)\n"
        "print([[(e.text, e.label_) for e in d.ents] for d in nlp.pipe(sys.argv[2:])])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(path), *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    pipe_names, entities = done.stdout.strip().split("\n")
    assert pipe_names == "['transformer', 'token_label_ner']"
    assert entities == repr(all_found(trained))


def test_a_checkpoint_that_fails_leaves_the_one_before(trained, tmp_path, monkeypatch):
    unstripped = tmp_path / "resume" / "model"
    before_to_disk = create_strip_callback(unstripped)
    before_to_disk(trained)
    saved = read_all(tmp_path)

    def stop_halfway(path, *, exclude=()):
        path.mkdir()
        raise OSError("the disk is full")

    monkeypatch.setattr(trained.get_pipe("label_contrast"), "to_disk", stop_halfway)
    with pytest.raises(OSError, match="the disk is full"):
        before_to_disk(trained)
    assert read_all(tmp_path) == saved
    assert [path.name for path in unstripped.parent.iterdir()] == ["model"]


# ---- with spaCy's own training loop ---------------------------------------------------------


@registry.readers("tests.views.v1")
def read_views():
    """Make a corpus reader of the small views."""
    return lambda nlp: make_views(nlp)


def training_config(tiny_encoder: Path, unstripped: Path, sources: dict | None = None) -> Config:
    config = make_config(tiny_encoder, **PIPELINE)
    for name, source in (sources or {}).items():
        config["components"][name] = {"source": str(source)}
    corpus = {"@readers": "tests.views.v1"}
    config["corpora"] = {"train": corpus, "dev": corpus}
    config["training"] = {
        "seed": 0,
        "gpu_allocator": None,
        "max_steps": 2,
        "max_epochs": 0,
        "eval_frequency": 1,
        "dropout": 0.0,
        "train_corpus": "corpora.train",
        "dev_corpus": "corpora.dev",
        "score_weights": {"ents_f": 1.0},
        "batcher": {"@batchers": "spacy.batch_by_sequence.v1", "size": 50},
        "optimizer": {"@optimizers": "Adam.v1", "learn_rate": 0.001},
        "logger": {
            "@loggers": "spacy-crossner.ConsoleLogger.v1",
            "console_output": False,
            "output_file": "log.jsonl",
        },
        "before_to_disk": {
            "@callbacks": "spacy-crossner.strip_training_components.v1",
            "unstripped": str(unstripped),
        },
    }
    return config


def test_training_saves_stripped_and_resumes_from_unstripped(tiny_encoder, tmp_path):
    unstripped = tmp_path / "resume" / "model"
    (tmp_path / "out").mkdir()
    nlp = init_nlp(training_config(tiny_encoder, unstripped))
    train_loop(nlp, tmp_path / "out")
    for name in ("model-best", "model-last"):
        saved = spacy.load(tmp_path / "out" / name)
        assert saved.pipe_names == ["transformer", "token_label_ner"]
        assert all_found(saved) == all_found(nlp) or name == "model-best"
    assert nlp.pipe_names == ["transformer", *PIPELINE]
    assert [p.name for p in unstripped.parent.iterdir()] == ["model"]
    whole = spacy.load(unstripped)
    assert whole.pipe_names == nlp.pipe_names
    assert all_found(whole) == all_found(nlp)
    # go on from all of its components
    again = training_config(tiny_encoder, unstripped, dict.fromkeys(nlp.pipe_names, unstripped))
    resumed = init_nlp(again)
    before = {name: nlp.get_pipe(name).model.to_bytes() for name in CONTRAST}
    assert {name: resumed.get_pipe(name).model.to_bytes() for name in CONTRAST} == before
    train_loop(resumed, tmp_path / "out")
    assert resumed.get_pipe("transformer").listening_components == list(PIPELINE)
    for name in CONTRAST:
        assert resumed.get_pipe(name).model.to_bytes() != before[name]
    assert spacy.load(unstripped).pipe_names == nlp.pipe_names
    assert spacy.load(tmp_path / "out" / "model-last").pipe_names == [
        "transformer",
        "token_label_ner",
    ]
