"""The objectives: gradients against finite differences, edge cases, half precision."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_crossner.ml import losses
from spacy_crossner.ml.losses import loss_and_gradient

GROUPS = numpy.array([0, 1, 0, 2, 1, 0, -1, -1])
LABELS = numpy.array([0, 0, 1, 1, 1, -1, -1, 2])
VIEWS = numpy.array([0, 1, 0, 0, 1, 0, 1, 0])
CLASSES = numpy.array([0, 2, 1, -1, 2, 2, 0, 1])
MASK = numpy.array([1.0, 0.0, 2.0, 1.0, 0.5, 1.0, 0.0, 1.0])

RNG = numpy.random.default_rng(0)
PROBS = RNG.dirichlet([0.5, 1.0, 2.0], size=8)
CHANNELS = RNG.random((8, 3))
TRUE = RNG.random((8, 3)) < 0.3

# name: objective, settings by row, other settings
OBJECTIVES: dict[str, tuple[Callable[..., Tensor], dict[str, Any], dict[str, Any]]] = {
    "group": (losses.group_contrast, {"groups": GROUPS}, {"temperature": 0.1}),
    "label": (losses.label_contrast, {"labels": LABELS}, {"temperature": 0.1}),
    "label-only": (
        losses.label_contrast,
        {"labels": LABELS, "views": VIEWS},
        {"temperature": 0.3, "across": "only"},
    ),
    "label-prefer": (
        losses.label_contrast,
        {"labels": LABELS, "views": VIEWS},
        {"temperature": 0.3, "across": "prefer"},
    ),
    "cross-entropy": (losses.cross_entropy, {"targets": CLASSES, "weights": MASK}, {}),
    "cross-entropy-7": (losses.cross_entropy, {"targets": CLASSES}, {"normaliser": 7}),
    "binary": (losses.binary_cross_entropy, {"targets": TRUE, "weights": MASK}, {}),
    "binary-channels": (losses.binary_cross_entropy, {"targets": TRUE, "weights": CHANNELS}, {}),
    "softmax": (losses.multilabel_softmax, {"targets": TRUE, "weights": MASK}, {}),
    "softmax-channels": (losses.multilabel_softmax, {"targets": TRUE, "weights": CHANNELS}, {}),
    "kl": (losses.distillation, {"teacher_probs": PROBS, "weights": MASK}, {"temperature": 2.0}),
    "mse": (losses.distillation, {"teacher_probs": PROBS}, {"temperature": 2.0, "kind": "mse"}),
    "binary-kl": (
        losses.binary_distillation,
        {"teacher_probs": CHANNELS, "weights": MASK},
        {"temperature": 2.0},
    ),
    "binary-mse": (
        losses.binary_distillation,
        {"teacher_probs": CHANNELS},
        {"temperature": 0.7, "kind": "mse"},
    ),
}
every_objective = pytest.mark.parametrize("name", list(OBJECTIVES))


def inputs_for(name: str, seed: int = 1) -> numpy.ndarray:
    width = 5 if OBJECTIVES[name][0] in (losses.group_contrast, losses.label_contrast) else 3
    return numpy.random.default_rng(seed).normal(size=(8, width))


def evaluate(name: str, inputs: numpy.ndarray) -> tuple[float, numpy.ndarray]:
    objective, by_row, other = OBJECTIVES[name]
    return loss_and_gradient(objective, inputs, **by_row, **other)


@every_objective
def test_gradient_agrees_with_finite_differences(name):
    inputs = inputs_for(name)
    loss, gradient = evaluate(name, inputs)
    assert gradient.dtype == inputs.dtype == "float64"
    assert loss > 0
    step = 1e-6
    numeric = numpy.zeros_like(inputs)
    for index in numpy.ndindex(inputs.shape):
        shifted = inputs.copy()
        shifted[index] += step
        numeric[index] = evaluate(name, shifted)[0]
        shifted[index] -= 2 * step
        numeric[index] -= evaluate(name, shifted)[0]
    assert numpy.allclose(gradient, numeric / (2 * step), atol=1e-7)


@every_objective
def test_gradcheck(name):
    objective, by_row, other = OBJECTIVES[name]
    tensors = {key: torch.from_numpy(value) for key, value in by_row.items()}
    inputs = torch.from_numpy(inputs_for(name)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: objective(x, **tensors, **other), (inputs,))


@every_objective
@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(8)))
def test_order_does_not_matter(name, order):
    objective, by_row, other = OBJECTIVES[name]
    inputs = inputs_for(name)
    loss, gradient = evaluate(name, inputs)
    shuffled = {key: value[order] for key, value in by_row.items()}
    new_loss, new_gradient = loss_and_gradient(objective, inputs[order], **shuffled, **other)
    assert new_loss == pytest.approx(loss, rel=1e-12)
    assert numpy.allclose(new_gradient, gradient[order], atol=1e-12)


@every_objective
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_keeps_precision_and_shape_and_leaves_inputs_alone(name, dtype):
    inputs = inputs_for(name).astype(dtype)
    before = inputs.copy()
    loss, gradient = evaluate(name, inputs)
    expected_loss, expected = evaluate(name, inputs.astype("float64"))
    assert isinstance(loss, float)
    assert gradient.dtype == dtype
    assert gradient.shape == inputs.shape
    assert numpy.array_equal(inputs, before)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert numpy.allclose(gradient, expected, rtol=1e-2, atol=1e-3)


@every_objective
def test_takes_strided_arrays(name):
    inputs = inputs_for(name)
    wide = numpy.repeat(inputs, 2, axis=1)[:, ::2]
    assert not wide.flags["C_CONTIGUOUS"]
    assert numpy.allclose(evaluate(name, wide)[1], evaluate(name, inputs)[1])


@every_objective
def test_empty_input_costs_nothing(name):
    objective, by_row, other = OBJECTIVES[name]
    inputs = inputs_for(name)[:0]
    nothing = {key: value[:0] for key, value in by_row.items()}
    loss, gradient = loss_and_gradient(objective, inputs, **nothing, **other)
    assert loss == 0.0
    assert gradient.shape == inputs.shape


# ---- contrast -------------------------------------------------------------------------------


def reference_contrast(vectors, positives, negatives, temperature, *, group):
    """Anchor by anchor, in plain loops."""
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    scores = numpy.exp(unit @ unit.T / temperature)
    anchors = []
    for i, own in positives.items():
        if not own:
            continue
        rest = sum(scores[i, j] for j in negatives[i])
        pulled = sum(scores[i, p] for p in own)
        terms = [
            -numpy.log(scores[i, p] / (rest + (scores[i, p] if group else pulled))) for p in own
        ]
        anchors.append(numpy.mean(terms))
    return numpy.mean(anchors)


def test_group_contrast_is_infonce():
    vectors = inputs_for("group")
    members = range(len(GROUPS))
    positives = {i: [j for j in members if j != i and GROUPS[i] == GROUPS[j] >= 0] for i in members}
    negatives = {
        i: [j for j in members if j != i and not GROUPS[i] == GROUPS[j] >= 0] for i in members
    }
    expected = reference_contrast(vectors, positives, negatives, 0.1, group=True)
    assert evaluate("group", vectors)[0] == pytest.approx(expected)


@pytest.mark.parametrize("across", [None, "only", "prefer"])
def test_label_contrast_is_supervised_contrast(across):
    vectors = inputs_for("label")
    members = range(len(LABELS))
    same = {i: [j for j in members if j != i and LABELS[i] == LABELS[j] >= 0] for i in members}
    other = {i: [j for j in members if LABELS[j] != LABELS[i]] for i in members}
    positives = same
    if across is not None:
        elsewhere = {i: [j for j in own if VIEWS[i] != VIEWS[j]] for i, own in same.items()}
        positives = elsewhere if across == "only" else {i: elsewhere[i] or same[i] for i in members}
    expected = reference_contrast(vectors, positives, other, 0.2, group=False)
    choice = {} if across is None else {"views": VIEWS, "across": across}
    loss, _ = loss_and_gradient(
        losses.label_contrast, vectors, labels=LABELS, temperature=0.2, **choice
    )
    assert loss == pytest.approx(expected)


CONTRASTS = [(losses.group_contrast, "groups"), (losses.label_contrast, "labels")]


@pytest.mark.parametrize(("objective", "key"), CONTRASTS)
@pytest.mark.parametrize("keys", [[0], [0, 1, 2], [-1, -1], [-1, -1, 3]])
def test_without_positives_there_is_no_loss_and_no_gradient(objective, key, keys):
    vectors = numpy.random.default_rng(0).normal(size=(len(keys), 4)).astype("f")
    keys = numpy.array(keys)
    loss, gradient = loss_and_gradient(objective, vectors, temperature=0.05, **{key: keys})
    assert loss == 0.0
    assert not gradient.any()


@pytest.mark.parametrize(("objective", "key"), CONTRASTS)
def test_one_class_is_finite(objective, key):
    vectors = numpy.random.default_rng(0).normal(size=(5, 4)).astype("f")
    loss, gradient = loss_and_gradient(
        objective, vectors, temperature=0.05, **{key: numpy.zeros(5, dtype="i")}
    )
    assert numpy.isfinite(loss)
    assert numpy.isfinite(gradient).all()


def test_one_group_needs_no_contrast():
    vectors = numpy.random.default_rng(0).normal(size=(3, 4))
    loss, gradient = loss_and_gradient(
        losses.group_contrast, vectors, groups=numpy.zeros(3, dtype="i"), temperature=0.1
    )
    assert loss == 0.0
    assert not gradient.any()


def test_only_other_views_are_positives():
    vectors = inputs_for("label")
    loss, gradient = loss_and_gradient(
        losses.label_contrast,
        vectors,
        labels=LABELS,
        views=numpy.zeros_like(LABELS),
        temperature=0.1,
        across="only",
    )
    assert loss == 0.0
    assert not gradient.any()


@pytest.mark.parametrize(("objective", "key"), CONTRASTS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("scale", [0.0, 1e-5, 1.0, 1e4])
@pytest.mark.parametrize("temperature", [0.05, 0.001])
def test_contrast_is_stable(objective, key, dtype, scale, temperature):
    vectors = numpy.random.default_rng(0).normal(size=(8, 64)) * scale
    # one vector is all zeros, two are the same, two are opposite
    vectors[0], vectors[2], vectors[4] = 0.0, vectors[1], -vectors[3]
    loss, gradient = loss_and_gradient(
        objective, vectors.astype(dtype), temperature=temperature, **{key: GROUPS}
    )
    assert numpy.isfinite(loss)
    assert numpy.isfinite(gradient).all()


def test_huge_single_precision_vectors_are_compared_by_direction():
    vectors = inputs_for("group")
    expected = evaluate("group", vectors)[0]
    for scale in (1e30, 1e-4):
        scaled = (vectors * scale).astype("float32")
        assert evaluate("group", scaled)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("objective", "key"), CONTRASTS)
def test_descent_pulls_together_what_belongs_together(objective, key):
    vectors = numpy.random.default_rng(0).normal(size=(6, 4))
    keys = numpy.array([0, 0, 1, 1, 2, 2])

    def cosines():
        unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return unit @ unit.T

    same = (keys[:, None] == keys) & ~numpy.eye(6, dtype=bool)
    for _ in range(200):
        vectors -= 0.1 * loss_and_gradient(objective, vectors, temperature=0.2, **{key: keys})[1]
    assert cosines()[same].min() > cosines()[keys[:, None] != keys].max()


# ---- classification -------------------------------------------------------------------------


def test_cross_entropy_agrees_with_torch():
    logits = torch.from_numpy(inputs_for("cross-entropy"))
    targets = torch.from_numpy(CLASSES)
    expected = torch.nn.functional.cross_entropy(logits, targets, ignore_index=-1)
    assert torch.isclose(losses.cross_entropy(logits, targets), expected)


def test_rows_may_have_several_axes():
    logits = numpy.random.default_rng(0).normal(size=(2, 4, 3))
    for name, (objective, by_row, other) in OBJECTIVES.items():
        if objective in (
            losses.group_contrast,
            losses.label_contrast,
            losses.multilabel_softmax,  # whose rows are all axes but the first
        ):
            continue
        shaped = {key: value.reshape(2, 4, *value.shape[1:]) for key, value in by_row.items()}
        loss, gradient = loss_and_gradient(objective, logits, **shaped, **other)
        flat_loss, flat_gradient = evaluate(name, logits.reshape(8, 3))
        assert loss == pytest.approx(flat_loss)
        assert numpy.allclose(gradient.reshape(8, 3), flat_gradient)


@pytest.mark.parametrize("name", ["cross-entropy", "binary", "softmax", "kl"])
def test_masked_rows_count_for_nothing(name):
    objective, by_row, other = OBJECTIVES[name]
    inputs = inputs_for(name)
    loss, gradient = evaluate(name, inputs)
    kept = MASK > 0
    kept_loss, kept_gradient = loss_and_gradient(
        objective, inputs[kept], **{key: value[kept] for key, value in by_row.items()}, **other
    )
    assert loss == pytest.approx(kept_loss)
    assert numpy.allclose(gradient[kept], kept_gradient)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("name", ["cross-entropy", "binary", "softmax", "kl", "mse", "binary-kl"])
@pytest.mark.parametrize("normaliser", [None, 0.0])
def test_no_weight_at_all(name, normaliser):
    objective, by_row, other = OBJECTIVES[name]
    by_row = {**by_row, "weights": numpy.zeros(8)}
    loss, gradient = loss_and_gradient(
        objective, inputs_for(name), **by_row, **other, normaliser=normaliser
    )
    assert loss == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("name", ["cross-entropy", "binary", "softmax", "kl", "binary-mse"])
def test_normaliser_divides_the_sum(name):
    objective, by_row, other = OBJECTIVES[name]
    by_row = {**by_row, "weights": MASK}
    if "targets" in by_row and objective is losses.cross_entropy:
        by_row["targets"] = numpy.abs(CLASSES)
    inputs = inputs_for(name)
    mean, _ = loss_and_gradient(objective, inputs, **by_row, **other)
    total, _ = loss_and_gradient(objective, inputs, **by_row, **other, normaliser=1.0)
    assert total == pytest.approx(mean * MASK.sum())


# ---- distillation ---------------------------------------------------------------------------


def softmax(logits):
    exp = numpy.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + numpy.exp(-logits))


def test_multilabel_softmax_of_a_band():
    """A row is all pairs and relations of a first token; what has no weight is not in it."""
    logits = torch.randn(2, 3, 2, dtype=torch.float64)
    targets = torch.zeros(2, 3, 2, dtype=torch.bool)
    targets[0, 1, 0] = targets[0, 0, 1] = True
    weights = torch.ones(2, 3)
    weights[0, 2] = weights[1] = 0.0
    row = logits[0, :2].flatten()
    below, above = row[[1, 2]], row[[0, 3]]
    expected = (1 + (-below).exp().sum()).log() + (1 + above.exp().sum()).log()
    found = losses.multilabel_softmax(logits, targets, weights)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["kl", "mse"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(
    ("objective", "activate"),
    [(losses.distillation, softmax), (losses.binary_distillation, sigmoid)],
)
def test_who_agrees_with_the_teacher_learns_nothing(kind, temperature, objective, activate):
    # softened probabilities are recovered exactly from those at temperature 1
    logits = inputs_for("kl")
    loss, gradient = loss_and_gradient(
        objective, logits, teacher_probs=activate(logits), temperature=temperature, kind=kind
    )
    assert loss == pytest.approx(0.0, abs=1e-12)
    assert numpy.abs(gradient).max() < 1e-12


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_the_divergence_of_softened_distributions(temperature):
    student = inputs_for("kl")
    teacher = inputs_for("kl", seed=2)
    target, guess = softmax(teacher / temperature), softmax(student / temperature)
    expected = (target * numpy.log(target / guess)).sum(axis=1).mean() * temperature**2
    loss, _ = loss_and_gradient(
        losses.distillation, student, teacher_probs=softmax(teacher), temperature=temperature
    )
    assert loss == pytest.approx(expected)


@pytest.mark.parametrize("objective", [losses.distillation, losses.binary_distillation])
@pytest.mark.parametrize("kind", ["kl", "mse"])
@pytest.mark.parametrize("temperature", [0.001, 0.5, 1.0, 5.0])
def test_a_teacher_in_half_precision_may_be_sure(objective, kind, temperature):
    teacher = numpy.eye(3, dtype="float16")
    logits = (60000 * numpy.eye(3)[::-1]).astype("float16")
    loss, gradient = loss_and_gradient(
        objective, logits, teacher_probs=teacher, temperature=temperature, kind=kind
    )
    assert numpy.isfinite(loss)
    assert numpy.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cold_teachers_are_sure_of_the_likeliest(dtype):
    probs = numpy.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], dtype=dtype)
    sure = numpy.eye(3, dtype=dtype)[[0, 2]]
    logits = numpy.array([[1.0, 2.0, 3.0], [0.5, 0.1, 0.2]], dtype=dtype) * 0.01
    for teacher in (probs, sure):
        loss, _ = loss_and_gradient(
            losses.distillation, logits, teacher_probs=teacher, temperature=0.005
        )
        # the cross entropy of the first class of the first row, and the last one of the second
        rows = numpy.log(numpy.exp(logits / 0.005).sum(axis=1)) - [2.0, 0.4]
        assert loss == pytest.approx(0.005**2 * rows.mean(), rel=1e-3)
    half = numpy.full((1, 2), 0.5, dtype=dtype)
    loss, gradient = loss_and_gradient(
        losses.binary_distillation, 0 * half, teacher_probs=half, temperature=0.001
    )
    assert loss == pytest.approx(0.0, abs=1e-9)
    assert not gradient.any()


def test_a_row_without_any_probability_is_ignored():
    logits = inputs_for("kl")[:2]
    loss, gradient = loss_and_gradient(
        losses.distillation, logits, teacher_probs=numpy.zeros((2, 3)), temperature=2.0
    )
    assert loss == 0.0
    assert not gradient.any()
