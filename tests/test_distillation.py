"""From the teacher's file to the student's gradient: what `annotate` writes, trains."""

from pathlib import Path

import numpy
import pytest
import spacy
import srsly
from spacy.language import Language
from spacy.training import Example
from spacy.training import loop as training
from spacy.training.initialize import init_nlp
from spacy.util import load_config

from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.distil.annotate import annotate
from tests.pipelines import make_examples, make_nlp, train

FACTORIES = ["token_label_ner", "token_pair_ner"]
LINES = [
    "Angela Merkel visited Paris.",
    "in London and by the river",
    "Maria at the bank",
    "李明在北京",
]


@pytest.fixture(scope="module", params=FACTORIES)
def taught(request, tiny_encoder, tmp_path_factory) -> tuple[str, Path, Path]:
    """A factory, a half-trained teacher, and text that it annotated."""
    folder = tmp_path_factory.mktemp(request.param)
    nlp = make_nlp(tiny_encoder, **{request.param: {}})
    train(nlp, make_examples(nlp), steps=20)
    nlp.to_disk(folder / "teacher")
    (folder / "text.txt").write_text("\n".join(LINES), encoding="utf8")
    annotate([str(folder / "teacher")], folder / "text.txt", folder / "annotated")
    return request.param, folder / "teacher", folder / "annotated"


def read(nlp: Language, path: Path) -> list[Example]:
    """Read examples and run the encoder on their predicted docs."""
    examples = list(create_parallel_corpus(str(path))(nlp))
    for example in examples:
        example.predicted = nlp.get_pipe("transformer")(example.predicted)
    return examples


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_a_copy_of_the_teacher_has_nothing_to_learn(taught, tiny_encoder, loss):
    factory, teacher, annotated = taught
    copy = spacy.load(teacher, config={f"components.{factory}.distil.loss": loss})
    other = make_nlp(tiny_encoder, seed=3, **{factory: {"distil": {"loss": loss}}})
    other.initialize(lambda: make_examples(other))
    figures = []
    for nlp in (copy, other):
        examples = read(nlp, annotated)
        pipe = nlp.get_pipe(factory)
        assert (pipe.distil.weight, pipe.distil.temperature) == (1.0, 1.0)
        scores = pipe.model.predict([example.predicted for example in examples])
        loss_value, gradient = pipe.get_loss(examples, scores)
        figures.append((loss_value, numpy.abs(gradient.logits).max()))
    # what is left comes from half precision, and from leaving out what is below the floor
    assert figures[0][0] < 0.01 * figures[1][0]
    assert figures[0][1] < 0.02 * figures[1][1]


def test_a_student_with_the_other_head_learns_from_the_same_file(taught, tiny_encoder):
    factory, _, annotated = taught
    (other,) = set(FACTORIES) - {factory}
    nlp = make_nlp(tiny_encoder, seed=3, **{other: {}})
    optimizer = nlp.initialize(lambda: make_examples(nlp))
    optimizer.learn_rate = 0.005
    examples = list(create_parallel_corpus(str(annotated))(nlp))
    history = []
    for _ in range(60):
        losses: dict[str, float] = {}
        nlp.update(examples, sgd=optimizer, losses=losses)
        history.append(losses[f"{other}_distil"])
    assert history[-1] < 0.3 * history[0]


@pytest.mark.parametrize("objective", ["distil", "self_training"])
def test_gradients_of_what_was_annotated(taught, objective):
    """The gradient on the logits equals finite differences of the loss."""
    factory, teacher, annotated = taught
    settings = {"distil": {"weight": 0.0}, "self_training": {"weight": 0.0, "confidence": 0.6}}
    settings[objective] = {**settings[objective], "weight": 0.7}
    if objective == "distil":
        settings[objective]["temperature"] = 2.0
    overrides = {
        f"components.{factory}.{block}.{name}": value
        for block, values in settings.items()
        for name, value in values.items()
    }
    nlp = spacy.load(teacher, config=overrides)
    pipe = nlp.get_pipe(factory)
    # sources and targets in one batch
    examples = [*read(nlp, annotated), *make_examples(nlp)[:2]]
    for example in examples[-2:]:
        example.predicted = nlp.get_pipe("transformer")(example.predicted)
    scores = pipe.model.predict([example.predicted for example in examples])
    rng = numpy.random.default_rng(0)
    scores.logits = scores.logits.astype("float64") + rng.normal(0, 0.5, scores.logits.shape)
    found = {suffix for suffix, *_ in pipe.objectives(examples, scores)}
    assert found - {"tokens"} == {"", objective}
    _, gradient = pipe.get_loss(examples, scores)
    assert gradient.logits.dtype == "float64"
    step = 1e-5
    places = rng.permutation(numpy.argwhere(numpy.abs(gradient.logits) > 1e-4))[:10]
    for place in map(tuple, places):
        scores.logits[place] += step
        above = pipe.get_loss(examples, scores)[0]
        scores.logits[place] -= 2 * step
        below = pipe.get_loss(examples, scores)[0]
        scores.logits[place] += step
        assert gradient.logits[place] == pytest.approx((above - below) / (2 * step), rel=1e-4)


def test_sources_and_targets_in_one_batch_have_the_gradients_that_they_have_alone(taught):
    factory, teacher, annotated = taught
    nlp = spacy.load(teacher)
    pipe = nlp.get_pipe(factory)
    targets = read(nlp, annotated)
    sources = make_examples(nlp)
    for example in sources:
        example.predicted = nlp.get_pipe("transformer")(example.predicted)

    def gradients(examples: list[Example]) -> tuple[set[str], numpy.ndarray]:
        scores = pipe.model.predict([example.predicted for example in examples])
        names = {suffix for suffix, *_ in pipe.objectives(examples, scores)}
        return names, pipe.get_loss(examples, scores)[1].logits

    _, of_sources = gradients(sources)
    _, of_targets = gradients(targets)
    names, together = gradients([*sources, *targets])
    assert names - {"tokens"} == {"", "distil"}
    # a pair's or token's loss is a mean over the docs that have such a loss
    assert together == pytest.approx(numpy.concatenate([of_sources, of_targets]), abs=1e-6)


def test_a_recipe_trains_a_student(taught, tiny_encoder, tmp_path):
    """`spacy train` on sources and annotated text: one path after the other, and nothing else."""
    _, teacher, _ = taught
    (tmp_path / "text.txt").write_text("\n".join(LINES), encoding="utf8")
    annotate([str(teacher)], tmp_path / "text.txt", tmp_path / "annotated", scheme="relations")
    docs = []
    for number, example in enumerate(make_examples(spacy.blank("xx"))):
        set_view(example.reference, View(f"s{number}", lang="en"))
        docs.append(example.reference)
    write_docs(tmp_path / "source.spacy", docs)
    config = load_config(Path(__file__).parents[1] / "configs" / "smoke.cfg")
    config["paths"].update(
        encoder=str(tiny_encoder),
        train=f"{tmp_path / 'source.spacy'},{tmp_path / 'annotated'}",
        dev=str(tmp_path / "source.spacy"),
    )
    config["training"].update(max_steps=3, eval_frequency=3)
    config["training"]["logger"].update(output_file=str(tmp_path / "log.jsonl"))
    # sources and targets in one batch
    config["training"]["batcher"]["size"] = 1000
    config["components"]["transformer"]["model"].update(window=100, stride=60)
    nlp = init_nlp(config)
    assert nlp.get_pipe("token_pair_ner").labels == ("LOC", "ORG", "PER")
    (tmp_path / "out").mkdir()
    training.train(nlp, tmp_path / "out")
    *_, row = srsly.read_jsonl(tmp_path / "log.jsonl")
    assert row["losses"]["token_pair_ner"] > 0
    assert row["losses"]["token_pair_ner_distil"] > 0
    assert (tmp_path / "out" / "model-best").exists()
