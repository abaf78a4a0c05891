"""Training that goes on from a trained pipeline."""

from pathlib import Path

import numpy
import pytest
import spacy
import torch
from spacy.language import Language
from thinc.api import Config

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.encoder import get_shim
from spacy_crossner.pipeline.strip import strip_training_components
from tests.pipelines import TRAIN_DATA, make_config, make_examples, make_nlp, train

TEXTS = [text for text, _ in TRAIN_DATA]


@pytest.fixture(scope="module")
def trained(tiny_encoder, tmp_path_factory) -> Path:
    nlp = make_nlp(tiny_encoder, sentence_contrast={"weight": 0.1}, token_label_ner={})
    train(nlp, make_examples(nlp), steps=30)
    folder = tmp_path_factory.mktemp("trained") / "teacher"
    strip_training_components(nlp).to_disk(folder)
    return folder


def make_student(encoder: Path, start_from: Path | str | None, **components) -> Language:
    config = make_config(encoder, **components)
    callback = {"@callbacks": "spacy-crossner.start_from.v1", "pipeline": start_from}
    config["initialize"] = {"after_init": callback}
    return spacy.util.load_model_from_config(Config(config), auto_fill=True)


def scores_of(nlp: Language) -> list[numpy.ndarray]:
    return [numpy.asarray(doc.spans["sc"].attrs["scores"]) for doc in nlp.pipe(TEXTS)]


@pytest.mark.parametrize("seed", [0, 7])
def test_student_starts_where_its_teacher_is(tiny_encoder, trained, seed):
    teacher = spacy.load(trained)
    spacy.util.fix_random_seed(seed)
    student = make_student(
        tiny_encoder,
        str(trained),
        sentence_contrast={"weight": 0.1},
        token_label_ner={"distil": {"weight": 0.3}},
    )
    student.initialize(lambda: make_examples(student))
    assert any(len(scores) for scores in scores_of(teacher))
    for mine, theirs in zip(scores_of(student), scores_of(teacher), strict=True):
        numpy.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert student.config["components"]["token_label_ner"]["distil"]["weight"] == 0.3
    train(student, make_examples(student), steps=2)  # initializes anew, and goes on


def test_components_of_spacy_go_on_as_well(tiny_encoder, tmp_path):
    components = {"ner": {}, "token_label_ner": {}}
    teacher = make_nlp(tiny_encoder, **components)
    train(teacher, make_examples(teacher), steps=3)
    teacher.to_disk(tmp_path / "teacher")
    student = make_student(tiny_encoder, str(tmp_path / "teacher"), **components)
    student.initialize(lambda: make_examples(student))
    arrays = [
        {
            (number, key): node.get_param(key)
            for number, node in enumerate(nlp.get_pipe("ner").model.walk())
            for key in node.param_names
            if node.has_param(key)
        }
        for nlp in (student, teacher)
    ]
    assert len(arrays[0]) > 5
    for key, array in arrays[0].items():
        numpy.testing.assert_array_equal(array, arrays[1][key])
    # it orders its moves by how often they occur
    other = [("Maria met Angela and Silva", [(0, 5, "PER"), (10, 16, "PER"), (21, 26, "PER")])] * 9
    student = make_student(tiny_encoder, str(tmp_path / "teacher"), **components)
    with pytest.raises(CrossnerError, match=r"CN121.*'ner'"):
        student.initialize(lambda: make_examples(student, [*TRAIN_DATA, *other]))


def test_without_a_start_everything_is_new(tiny_encoder, trained):
    student = make_student(tiny_encoder, None, token_label_ner={})
    plain = make_nlp(tiny_encoder, token_label_ner={})
    for nlp in (student, plain):
        spacy.util.fix_random_seed(0)
        nlp.initialize(lambda nlp=nlp: make_examples(nlp))
    for mine, theirs in zip(scores_of(student), scores_of(plain), strict=True):
        numpy.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("weights", [(0.1, 0.0), (0.0, 0.1)])
def test_a_contrast_that_is_off_has_nothing_to_take_over(tiny_encoder, tmp_path, weights):
    before, now = weights
    teacher = make_nlp(tiny_encoder, sentence_contrast={"weight": before}, token_label_ner={})
    train(teacher, make_examples(teacher), steps=3)
    teacher.to_disk(tmp_path / "unstripped")
    student = make_student(
        tiny_encoder,
        str(tmp_path / "unstripped"),
        sentence_contrast={"weight": now},
        token_label_ner={},
    )
    student.initialize(lambda: make_examples(student))
    for mine, theirs in zip(scores_of(student), scores_of(teacher), strict=True):
        numpy.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_trained_embeddings_are_taken_over_exactly(half_encoder, tmp_path):
    """A student that freezes embeddings holds them in 16 bits, if that loses nothing."""
    trains = {"transformer": {"freeze_embeddings": False}, "token_label_ner": {}}
    teacher = make_nlp(half_encoder, **trains)
    train(teacher, make_examples(teacher), steps=3)
    teacher.to_disk(tmp_path / "teacher")
    bare = make_nlp(half_encoder)
    bare.initialize()
    assert words_of(bare).element_size() == 2
    student = make_student(half_encoder, str(tmp_path / "teacher"), token_label_ner={})
    student.initialize(lambda: make_examples(student))
    assert torch.equal(words_of(student), words_of(teacher))


def words_of(nlp: Language) -> torch.Tensor:
    return get_shim(nlp.get_pipe("transformer").model)._model.get_input_embeddings().weight


def test_a_start_that_does_not_fit_is_refused(tiny_encoder, trained, tmp_path):
    other = [(text, [(a, b, "THING") for a, b, _ in spans]) for text, spans in TRAIN_DATA]
    student = make_student(tiny_encoder, str(trained), token_label_ner={})
    with pytest.raises(CrossnerError, match=r"CN121.*token_label_ner.*LOC.*THING"):
        student.initialize(lambda: make_examples(student, other))
    config = {"factory": "token_pair_ner"}
    student = make_student(tiny_encoder, str(trained), token_label_ner=config)
    with pytest.raises(CrossnerError, match=r"CN122.*token_label_ner"):
        student.initialize(lambda: make_examples(student))
    spacy.blank("xx").to_disk(tmp_path / "blank")
    student = make_student(tiny_encoder, str(tmp_path / "blank"), token_label_ner={})
    with pytest.raises(CrossnerError, match=r"CN120.*blank.*nothing"):
        student.initialize(lambda: make_examples(student))
    student = make_student(tiny_encoder, str(tmp_path / "none"), token_label_ner={})
    with pytest.raises(CrossnerError, match=r"CN611.*none"):
        student.initialize(lambda: make_examples(student))
