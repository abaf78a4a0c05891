"""The tools that people use with spaCy, on our components."""

from pathlib import Path

import pytest
import spacy
import srsly
from spacy import displacy
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_crossner.data.convert import convert
from spacy_crossner.data.inspect import inspect, render
from spacy_crossner.training.logger import read_log
from tests.pipelines import TRAIN_DATA, found, make_examples, make_nlp, train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_encoder):
    """A trained pipeline, and what it was trained on."""
    folder = tmp_path_factory.mktemp("tools")
    nlp = make_nlp(tiny_encoder, token_pair_ner={})
    examples = make_examples(nlp)
    train(nlp, examples, steps=40)
    nlp.to_disk(folder / "model")
    DocBin(docs=[example.reference for example in examples]).to_disk(folder / "train.spacy")
    return folder


def run(*arguments):
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return shown.output


def test_displacy(folder):
    """Entities, and the candidates under their default key, with their labels."""
    doc = spacy.load(folder / "model")(TRAIN_DATA[0][0])
    assert found(doc) == [("Angela Merkel", "PER"), ("Berlin", "LOC")]
    for style in ("ent", "span"):
        html = displacy.render(doc, style=style, jupyter=False)
        for expected in ("Merkel", "PER", "Berlin", "LOC"):
            assert expected in html


def test_spacy_apply(folder, tmp_path):
    texts = [{"text": text} for text, _ in TRAIN_DATA]
    srsly.write_jsonl(tmp_path / "texts.jsonl", texts)
    run("apply", folder / "model", tmp_path / "texts.jsonl", tmp_path / "out.spacy")
    nlp = spacy.load(folder / "model")
    docs = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(nlp.vocab))
    assert [found(doc) for doc in docs] == [found(nlp(text)) for text, _ in TRAIN_DATA]
    for doc in docs:
        assert len(doc.spans["sc"]) == len(doc.spans["sc"].attrs["scores"])


def test_spacy_evaluate(folder, tmp_path):
    run("evaluate", folder / "model", folder / "train.spacy", "--output", tmp_path / "scores.json")
    scores = srsly.read_json(tmp_path / "scores.json")
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) == {"LOC", "ORG", "PER"}


def test_spacy_benchmark_speed(folder):
    model, data = folder / "model", folder / "train.spacy"
    output = run("benchmark", "speed", model, data, "--batches", 30, "--warmup", 1)
    assert "words/s" in output


@pytest.mark.parametrize("recipe", ["baseline", "crossner"])
def test_spacy_debug_data(folder, tiny_encoder, recipe):
    """It knows nothing of our components; what they see, our own command says.

    spaCy makes an optimizer here without looking up variables, so total_steps has to be a number.
    """
    settings = {
        "paths.train": folder / "train.spacy",
        "paths.dev": folder / "train.spacy",
        "paths.encoder": tiny_encoder,
        "components.transformer.model.window": 100,
        "components.transformer.model.stride": 50,
        "training.optimizer.learn_rate.total_steps": 400,
    }
    overrides = [word for key, value in settings.items() for word in (f"--{key}", value)]
    arguments = ["debug", "data", ROOT / "configs" / f"{recipe}.cfg", *overrides]
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments])
    # it complains that five sentences are few
    assert isinstance(shown.exception, SystemExit), shown.exception
    for said in ("Pipeline can be initialized", "Corpus is loadable", "Summary"):
        assert said in shown.output
    text = render(inspect([folder / "train.spacy"]))
    for said in ("5 docs", "LOC", "ORG", "PER"):
        assert said in text


def test_annotation_tools(folder, tmp_path):
    """What an annotation tool exports comes in; what goes out, it can load and correct."""
    exported = [
        {
            "text": text,
            "tokens": [
                {
                    "text": token.text,
                    "start": token.idx,
                    "end": token.idx + len(token),
                    "id": token.i,
                }
                for token in spacy.blank("en")(text)
            ],
            "spans": [
                {"start": start, "end": end, "label": label, "token_start": 0, "token_end": 0}
                for start, end, label in spans
            ],
            "meta": {"source": "x"},
            "_input_hash": 1,
            "_task_hash": 2,
            "_view_id": "ner_manual",
            "answer": answer,
        }
        for (text, spans), answer in zip(TRAIN_DATA, ["accept"] * 4 + ["reject"], strict=True)
    ]
    srsly.write_jsonl(tmp_path / "in.jsonl", exported)
    report = convert([tmp_path / "in.jsonl"], tmp_path / "in.spacy", lang="en")
    assert (report.docs, report.skipped) == (4, 1)
    convert([tmp_path / "in.spacy"], tmp_path / "out.jsonl", lang="en")
    for record, before in zip(srsly.read_jsonl(tmp_path / "out.jsonl"), exported, strict=False):
        assert record["text"] == before["text"]
        spans = [(span["start"], span["end"], span["label"]) for span in record["spans"]]
        assert spans == [(s["start"], s["end"], s["label"]) for s in before["spans"]]
        assert [token["text"] for token in record["tokens"]] == [
            t["text"] for t in before["tokens"]
        ]


def test_chained_with_another_logger(folder, tiny_encoder, tmp_path):
    """spacy-loggers' chain calls ours beside any other."""
    config = spacy.util.load_config(ROOT / "configs" / "smoke.cfg")
    ours = config["training"]["logger"]
    config["training"]["logger"] = {
        "@loggers": "spacy.ChainLogger.v1",
        "logger1": {**ours, "output_file": str(tmp_path / "log.jsonl")},
        "logger2": {"@loggers": "spacy.LookupLogger.v1", "patterns": ["score"]},
    }
    config["paths"] |= {
        "encoder": str(tiny_encoder),
        "train": str(folder / "train.spacy"),
        "dev": str(folder / "train.spacy"),
    }
    config["components"]["transformer"]["model"] |= {"window": 100, "stride": 50}
    config["training"]["max_steps"] = 2
    config.to_disk(tmp_path / "config.cfg")
    run("train", tmp_path / "config.cfg", "--output", tmp_path / "out")
    rows = read_log(tmp_path / "log.jsonl")
    assert rows
    assert "token_pair_ner" in rows[-1]["losses"]
