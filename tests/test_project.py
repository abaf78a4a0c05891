"""The project: its recipes, its commands on a tiny encoder, and the README that describes it."""

import shutil
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.language import Language
from spacy.training import Example
from typer.testing import CliRunner
from weasel.cli.document import project_document

from spacy_crossner import cli
from spacy_crossner.data.sample import make_corpus
from spacy_crossner.errors import CrossnerError
from spacy_crossner.report.evaluate import cross_check, evaluate
from spacy_crossner.report.log import read_log
from spacy_crossner.report.score import expected_calibration_error, score, score_pipeline
from spacy_crossner.training.calibrate import calibrate_pipeline
from spacy_crossner.training.recipes import find_recipe
from tests.pipelines import make_examples

ROOT = Path(__file__).parent.parent
RECIPES = ("baseline", "concner", "mclner", "crossner", "smoke")


def test_a_page_describes_the_project(tmp_path):
    """If this fails: python -m spacy project document --output docs/project.md."""
    written = ROOT / "docs" / "project.md"
    shutil.copy(written, tmp_path / "project.md")
    project_document(ROOT, tmp_path / "project.md")
    described = (tmp_path / "project.md").read_text(encoding="utf8")
    assert described == written.read_text(encoding="utf8")


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_complete(recipe, capsys):
    debug_config(ROOT / "configs" / f"{recipe}.cfg", show_funcs=False, show_vars=False)


def test_every_file_of_the_workflow_exists():
    project = srsly.read_yaml(ROOT / "project.yml")
    commands = {command["name"]: command for command in project["commands"]}
    for steps in project["workflows"].values():
        assert set(steps) <= set(commands)
    assert find_recipe(project["vars"]["recipe"]).config.exists()
    for command in commands.values():
        assert command["help"].endswith(".")
    for language in project["vars"]["languages"].split(","):
        assert (ROOT / "assets" / "sample" / language / "test.txt").exists()


def test_from_sentences_to_scores(sample, tmp_path, tiny_encoder, capsys):
    """What `project run all` does, on three sentences."""
    corpus = tmp_path / "corpus"
    counts = make_corpus(sample, corpus, ["de", "zh"])
    assert counts == {
        "source": 3,
        "dev": 2,
        "parallel": 4,
        "target": 1,
        "test-de": 2,
        "test-zh": 1,
    }
    train(
        ROOT / "configs" / "smoke.cfg",
        tmp_path / "training",
        overrides={
            "paths.encoder": str(tiny_encoder),
            "paths.train": str(corpus / "parallel.spacy"),
            "paths.dev": str(corpus / "dev.spacy"),
            "components.transformer.model.window": 100,
            "components.transformer.model.stride": 50,
            "training.logger.output_file": "log.jsonl",
        },
    )
    rows = read_log(tmp_path / "training" / "log.jsonl")
    assert {
        "token_pair_ner",
        "sentence_contrast",
        "label_contrast",
        "token_pair_ner_contrast",
    } <= set(rows[-1]["losses"])
    model = tmp_path / "training" / "model-last"
    assert spacy.load(model).pipe_names == ["transformer", "token_pair_ner"]
    calibrated = tmp_path / "calibrated"
    (result,) = calibrate_pipeline(model, corpus / "dev.spacy", calibrated).values()
    assert spacy.load(calibrated).get_pipe("token_pair_ner").temperature == result.temperature
    output = tmp_path / "metrics" / "scores.json"
    shown = CliRunner().invoke(
        cli.app, ["evaluate", str(calibrated), str(corpus), "--output", str(output)]
    )
    assert shown.exit_code == 0, shown.output
    scores = evaluate(calibrated, [corpus])
    assert srsly.read_json(output) == scores
    assert {name: s["lang"] for name, s in scores.items()} == {"test-de": "de", "test-zh": "zh"}


def test_sample_errors(sample, tmp_path):
    with pytest.raises(CrossnerError, match=r"CN280.*fr"):
        make_corpus(sample, tmp_path / "out", ["fr"])
    (sample / "de" / "memory.txt").write_text("x9\t[PER Maria]\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN282.*x9"):
        make_corpus(sample, tmp_path / "out", ["de"])
    (sample / "de" / "memory.txt").write_text("n1\tBerlin[LOC er]\n", encoding="utf8")
    with pytest.warns(UserWarning, match=r"sentence n1.*'er'"):
        make_corpus(sample, tmp_path / "out", ["de"])


def test_evaluate_errors(sample, tmp_path):
    with pytest.raises(CrossnerError, match="CN610"):
        evaluate("nothing", [tmp_path / "no.spacy"])
    make_corpus(sample, tmp_path / "corpus", ["de"])
    with pytest.raises(CrossnerError, match="CN611"):
        evaluate("no_such_pipeline", [tmp_path / "corpus"])
    spacy.blank("xx").to_disk(tmp_path / "blank")
    with pytest.raises(CrossnerError, match="CN612"):
        evaluate(tmp_path / "blank", [tmp_path / "corpus" / "target.spacy"])
    with pytest.raises(CrossnerError, match="CN601"):
        calibrate_pipeline(tmp_path / "blank", tmp_path / "corpus" / "dev.spacy", tmp_path / "out")


def test_scorers_agree():
    """All scorers give the same F1 on the same tokens, also for false positives in sentences
    without entities."""
    nlp = spacy.blank("xx")
    examples = make_examples(nlp)
    for number, example in enumerate(examples):
        doc = example.predicted
        if number % 2:
            doc.set_ents([doc.char_span(0, len(doc[0].text), "LOC")])
        else:
            doc.set_ents(
                [doc.char_span(e.start_char, e.end_char, e.label_) for e in example.y.ents[:1]]
            )
    ours, result = score(examples), cross_check(examples)
    assert 0 < ours["f"] < 100
    for other in ("spacy", "seqeval", "seqeval_strict"):
        assert all(result[other][key] == ours[key] for key in "prf")
        types = result[other]["per_type"]
        assert all(types[name] == ours["per_type"][name] for name in types)


def test_what_is_not_known_is_neither_right_nor_wrong():
    nlp = spacy.blank("xx")
    gold = nlp.make_doc("Maria met Ruiz in Paris")
    gold.set_ents([gold.char_span(0, 5, "PER")], missing=[gold[4:5]])
    found = nlp.make_doc(gold.text)
    found.set_ents([found.char_span(0, 5, "PER"), found.char_span(18, 23, "LOC")])
    example = Example(found, gold)
    for result in (score([example]), *cross_check([example]).values()):
        assert (result["p"], result["r"]) == (100.0, 100.0)

    @Language.component("answer")
    def answer(doc):
        doc.set_ents([doc.char_span(0, 5, "PER"), doc.char_span(18, 23, "LOC")])
        return doc

    nlp.add_pipe("answer")
    assert score_pipeline(nlp, [gold])["counts"] == [[1, 1, 1]]
    gold.set_ents([gold.char_span(0, 5, "PER")])
    assert score_pipeline(nlp, [gold])["counts"] == [[1, 2, 1]]


def test_calibration_error():
    import numpy

    assert expected_calibration_error(numpy.array([]), numpy.array([])) == 0.0
    scores = numpy.array([0.95] * 10 + [0.55] * 10)
    correct = numpy.array([1] * 9 + [0] + [1] * 5 + [0] * 5)
    assert expected_calibration_error(scores, correct) == pytest.approx(0.05)


def test_a_sample_without_a_file_or_with_an_id_twice(tmp_path):
    folder = tmp_path / "sample" / "en"
    folder.mkdir(parents=True)
    (folder / "train-a.txt").write_text("n1\tOne.\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN202.*dev\.txt"):
        make_corpus(tmp_path / "sample", tmp_path / "corpus", [])
    (folder / "dev.txt").write_text("n2\tTwo.\n", encoding="utf8")
    (folder / "train-b.txt").write_text("n1\tThree.\n", encoding="utf8")
    with pytest.raises(CrossnerError, match=r"CN427.*'n1' in en"):
        make_corpus(tmp_path / "sample", tmp_path / "corpus", [])
