"""`token_pair_ner`: NER as the relation between two tokens. mCL-NER's head."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Optional, cast
from zlib import crc32

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config, Model
from thinc.types import Floats2d

from spacy_crossner.checks import check_choice
from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.view import SoftTargets, get_view
from spacy_crossner.errors import CrossnerError, Errors, Warnings
from spacy_crossner.ml.heads import TokenPairScores
from spacy_crossner.ml.losses import (
    binary_cross_entropy,
    binary_distillation,
    cross_entropy,
    label_contrast,
    loss_and_gradient,
    multilabel_softmax,
)
from spacy_crossner.pipeline.glue import join_pairs
from spacy_crossner.pipeline.gold import Gold
from spacy_crossner.pipeline.ner import CrossnerNER, Objective, class_targets
from spacy_crossner.pipeline.predictions import Prediction, flat_entities, follow_path
from spacy_crossner.pipeline.settings import (
    Distil,
    PairLoss,
    RelationContrast,
    SelfTraining,
    read_block,
)
from spacy_crossner.pipeline.soft import dense_classes, dense_relations, find_taught
from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.best_set import best_set
from spacy_crossner.types import Mention

DEFAULT_CONFIG = """
[model]
@architectures = "spacy-crossner.TokenPairHead.v2"
hidden_width = 128
max_span_length = 32
learn_factor = 1.0
rotary = true

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0

[model.tok2vec.pooling]
@layers = "reduce_mean.v1"
"""
DEFAULT_MODEL = Config().from_str(DEFAULT_CONFIG)["model"]


@Language.factory(
    "token_pair_ner",
    assigns=["doc.ents", "doc.spans", "span._.score", "token.ent_iob", "token.ent_type"],
    default_config={
        "model": DEFAULT_MODEL,
        "spans_key": SPANS_KEY,
        "threshold": 0.3,
        "nested_threshold": 0.5,
        "touching_odds": 0.02,
        "ents_from": "pairs",
        "set_score": True,
        "loss": {"kind": "bce", "negative_weight": 1.0, "token_weight": 1.0},
        "distil": {"weight": 1.0, "temperature": 1.0, "loss": "kl"},
        "self_training": {"weight": 0.0, "confidence": 0.9},
        "contrast": {"weight": 0.0, "temperature": 0.1, "outside_ratio": 1.0, "max_pairs": 512},
        "scorer": {"@scorers": "spacy-crossner.ner_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_token_pair_ner(
    nlp: Language,
    name: str,
    model: Model[list[Doc], TokenPairScores],
    spans_key: str,
    threshold: float,
    nested_threshold: float,
    touching_odds: float,
    loss: PairLoss,
    distil: Distil,
    self_training: SelfTraining,
    contrast: RelationContrast,
    scorer: Optional[Callable],
    set_score: bool,
    ents_from: str,
) -> "TokenPairNER":
    """Construct a component that classifies the relation between two tokens.

    model (Model[List[Doc], TokenPairScores]): The head with its token vectors.
    spans_key (str): Name of the span group to write all candidates to, with their scores.
    threshold (float): Least score of an entity or candidate.
    nested_threshold (float): Least score of a name inside or around an entity to be marked True in
        `.attrs["nested"]` of the span group.
    touching_odds (float): Factor on the odds that a name begins directly behind another one of the
        same type, since heads cut long names; 1.0 changes nothing.
    loss (PairLoss): Learning of labels.
    distil (Distil): Learning of soft targets, on docs that carry them.
    self_training (SelfTraining): Learning of confident targets, on the same docs.
    contrast (RelationContrast): Contrast of pair vectors across views.
    scorer (Optional[Callable]): The scoring method.
    set_score (bool): Whether to set `ent._.score`.
    ents_from (str): What decides about `doc.ents`: "pairs" takes the best set of candidates without
        overlap, "classes" the most probable sequence of the BIO classes in `TokenPairHead.v2`.
        `doc.spans` has all candidates in either case.
    """
    section = f"components.{name}"
    return TokenPairNER(
        nlp.vocab,
        model,
        name,
        spans_key=spans_key,
        threshold=threshold,
        nested_threshold=nested_threshold,
        touching_odds=touching_odds,
        distil=read_block(Distil, distil, f"{section}.distil"),
        self_training=read_block(SelfTraining, self_training, f"{section}.self_training"),
        loss=read_block(PairLoss, loss, f"{section}.loss"),
        contrast=read_block(RelationContrast, contrast, f"{section}.contrast"),
        ents_from=ents_from,
        scorer=scorer,
        set_score=set_score,
    )


class TokenPairNER(CrossnerNER):
    """NER component that reads entities out of a band of token pairs."""

    scheme = "relations"

    def __init__(
        self,
        *args: Any,
        loss: PairLoss,
        contrast: RelationContrast,
        ents_from: str = "pairs",
        **settings: Any,
    ):
        """As `CrossnerNER`.

        loss (PairLoss): Settings for learning labels.
        contrast (RelationContrast): Contrast of pair vectors across views.
        ents_from (str): "pairs" or "classes".
        """
        super().__init__(*args, **settings)
        check_choice(f"components.{self.name}.ents_from", ents_from, ("pairs", "classes"))
        self.ents_from = ents_from
        check_choice(f"components.{self.name}.loss.kind", loss.kind, ("bce", "zlpr"))
        self.loss = loss
        self.contrast = contrast

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the relations: "NNW", "THW-x", ..."""
        return relations.class_names(self.labels)

    @property
    def width(self) -> int:
        """Maximum length of an entity in tokens."""
        return self.model.get_dim("nW")

    def class_logits(self, scores: TokenPairScores) -> Optional[Floats2d]:
        """Get the logits of the BIO classes, if the head has any in addition to pairs."""
        return scores.classes

    def probabilities(self, scores: TokenPairScores) -> numpy.ndarray:
        """Compute calibrated probabilities of the relations.

        RETURNS (numpy.ndarray): (n_tokens, max_span_length, n_relations), calibrated.
        """
        return self._activate(scores, 1.0)

    def decode(self, scores: TokenPairScores, threshold: float) -> list[Prediction]:
        """Find all spans that could be entities, and a set of entities without overlap.

        scores (TokenPairScores): The head's output.
        threshold (float): Least score of an entity or candidate.
        RETURNS (List[Prediction]): One per doc.
        """
        probs = self._activate(scores, self.touching_odds)
        found = relations.decode_batch(probs, scores.lengths, self.labels, threshold)
        if self.ents_from == "pairs":
            return flat_entities(found, scores, threshold)
        if scores.classes is None:
            raise CrossnerError(Errors.CN131.format(section=f"components.{self.name}"))
        classes = self.read_classes(scores.classes, scores.glued)
        classes = bio.favour_whole(classes, scores.lengths, self.touching_odds)
        return follow_path(classes, found, scores, self.labels, threshold)

    def raise_threshold(self, found: Prediction, threshold: float) -> list[Mention]:
        """Choose the entities that a higher threshold would give: the best set may be another."""
        if self.ents_from == "classes":
            return super().raise_threshold(found, threshold)
        return best_set((m for m in found.candidates if m.score >= threshold), threshold)

    def _activate(self, scores: TokenPairScores, touching_odds: float) -> numpy.ndarray:
        logits = self.model.ops.to_numpy(scores.logits) / self.temperature
        if scores.classes is None:
            logits = logits + self.bias
        else:
            self._move_prior(logits, scores, touching_odds)
        probs = 1.0 / (1.0 + numpy.exp(-numpy.clip(logits, -50.0, 50.0)))
        if not self.cfg["gaps"]:
            # the first and the last word of a name often seem to be neighbours; a name of three
            # words would be read as one that leaves the second out
            probs[:, 2:, 0] = 0.0
        return join_pairs(probs, scores.lengths, scores.glued)

    def _move_prior(
        self, logits: numpy.ndarray, scores: TokenPairScores, touching_odds: float
    ) -> None:
        """Move the logits of spans as the bias against O and `bio.favour_whole` move their prior.

        logits (numpy.ndarray): (n_tokens, max_span_length, n_relations); changed in place.
        scores (TokenPairScores): The head's output.
        touching_odds (float): See `bio.favour_whole`.
        """
        classes = self.model.ops.to_numpy(scores.classes) / self.temperature
        before = bio.softmax(classes)
        classes[:, 0] -= self.bias
        after = bio.favour_whole(bio.softmax(classes), scores.lengths, touching_odds)
        places = numpy.flatnonzero((numpy.abs(after - before) > bio.LEAST_CHANGED).any(axis=1))
        if not len(places):
            return
        # All spans that contain one of these tokens, or end before it, in the same text. Scores of
        # the text before must not depend on this one.
        begins = numpy.repeat(numpy.cumsum(scores.lengths) - scores.lengths, scores.lengths)
        reach = places[:, None] - numpy.arange(self.width + 1)
        rows = numpy.unique(numpy.maximum(reach, begins[places][:, None]))
        odds = [bio.log_odds(p, scores.lengths, rows, self.width) for p in (before, after)]
        if scores.inner is not None:
            inner = bio.softmax(self.model.ops.to_numpy(scores.inner) / self.temperature)
            others = bio.log_odds(inner, scores.lengths, rows, self.width)
            odds = [bio.either(one, others) for one in odds]
        logits[rows, :, 1:] += odds[1] - odds[0]

    def zero_gradient(self, scores: TokenPairScores) -> TokenPairScores:
        """Make a gradient of zeros; contrast adds that of queries and keys."""
        zeros_like = self.model.ops.xp.zeros_like
        classes, inner = (
            None if table is None else zeros_like(table) for table in (scores.classes, scores.inner)
        )
        logits = zeros_like(scores.logits)
        return replace(scores, logits=logits, queries=None, keys=None, classes=classes, inner=inner)

    def objectives(self, examples: list[Example], scores: TokenPairScores) -> Iterator[Objective]:
        """Compute the losses that are on and have something to act on."""
        golds = self.read_gold(examples, scores.starts)
        if self.loss.token_weight:
            yield from self._learn_tokens(golds, scores)
        targets, weights = self._targets(golds, scores.lengths)
        # the mean is over tokens: nearly all of a token's pairs are easy, and a mean over pairs
        # would hide the few that matter
        yield self.objective(
            "",
            scores,
            multilabel_softmax if self.loss.kind == "zlpr" else binary_cross_entropy,
            targets=targets,
            weights=self._balance(weights, targets),
            normaliser=float((weights[:, 0] > 0).sum()),
        )
        if self.contrast.weight and scores.queries is not None:
            yield from self._relation_contrast(examples, scores, targets, weights)
        if self.distil.weight or self.self_training.weight:
            yield from self._learn_soft(self.soft_targets(examples), scores)

    def _learn_tokens(self, golds: list[Gold], scores: TokenPairScores) -> Iterator[Objective]:
        """Learn names with the BIO classes, and those that they can't hold, inside of others, with
        the inner ones; each if the head has them."""
        for suffix, table in (("tokens", "classes"), ("inner", "inner")):
            if getattr(scores, table) is None:
                return
            targets, weights, dropped = class_targets(golds, self.labels)
            yield self.objective(
                suffix,
                scores,
                cross_entropy,
                self.loss.token_weight,
                table=table,
                targets=targets,
                weights=weights,
            )
            golds = [replace(g, mentions=left) for g, left in zip(golds, dropped, strict=True)]

    def _balance(self, weights: numpy.ndarray, targets: numpy.ndarray) -> numpy.ndarray:
        """Scale the weights of negative pairs by `negative_weight`."""
        if self.loss.kind == "zlpr" or self.loss.negative_weight == 1.0:
            return weights
        factors = numpy.where(targets, 1.0, self.loss.negative_weight)
        return (weights[:, :, None] * factors).astype("float32")

    def _learn_soft(
        self, soft: list[Optional[SoftTargets]], scores: TokenPairScores
    ) -> Iterator[Objective]:
        """Learn BIO targets with the BIO classes if the head has them, relations and what is left
        with pairs."""
        by_class: list[Optional[SoftTargets]] = [None] * len(soft)
        if scores.classes is not None:
            by_class = [
                target if target is None or target.scheme == "bio" else target.bio
                for target in soft
            ]
        # targets that have both teach both, as labels do
        by_pair = [None if t is c else t for t, c in zip(soft, by_class, strict=True)]
        taught = find_taught(by_class, scores.starts)
        if taught.any():
            probs = dense_classes(by_class, scores.starts, self.labels)
            yield from self.learn_classes(scores, probs, taught, table="classes")
        taught = find_taught(by_pair, scores.starts)
        if taught.any():
            probs = dense_relations(by_pair, scores.starts, self.labels, self.width)
            yield from self._learn_pairs(scores, probs, taught)

    def _learn_pairs(
        self, scores: TokenPairScores, probs: numpy.ndarray, taught: numpy.ndarray
    ) -> Iterator[Objective]:
        mask = relations.band_mask(scores.lengths, self.width)
        mask &= relations.known_pairs(taught, self.width)
        if self.distil.weight:
            yield self.objective(
                "distil",
                scores,
                binary_distillation,
                self.distil.weight,
                teacher_probs=probs,
                weights=mask.astype("float32"),
                temperature=self.distil.temperature,
                kind=self.distil.loss,
                normaliser=float(taught.sum()),
            )
        if self.self_training.weight:
            sure = numpy.maximum(probs, 1.0 - probs) >= self.self_training.confidence
            yield self.objective(
                "self_training",
                scores,
                binary_cross_entropy,
                self.self_training.weight,
                targets=probs >= 0.5,
                weights=(sure & mask[:, :, None]).astype("float32"),
                normaliser=float(taught.sum()),
            )

    def _targets(
        self, golds: list[Gold], lengths: list[int]
    ) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Lay the gold relations out as one band.

        RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): Targets, bool, (n_tokens, max_span_length,
            n_relations), and the weights of the pairs, (n_tokens, max_span_length).
        """
        indices = []
        self.cfg["gaps"] |= any(not m.is_contiguous for gold in golds for m in gold.mentions)
        for gold in golds:
            index, dropped = relations.encode(
                gold.mentions, self.labels, len(gold.known), self.width
            )
            indices.append(index)
            for mention in dropped:
                gold.known[list(mention.tokens)] = False
            if dropped:
                message = Warnings.CNW12.format(
                    name=self.name, count=len(dropped), width=self.width
                )
                self.warn_once(message, len(dropped))
        targets = relations.flat_targets(indices, lengths, self.width, len(self.labels))
        return targets, self._weights(golds, lengths)

    def _weights(self, golds: list[Gold], lengths: list[int]) -> numpy.ndarray:
        """Compute the weight of each pair: 0 if it leaves the doc or spans an unaligned token."""
        known = numpy.concatenate([gold.known for gold in golds])
        weight = numpy.repeat([gold.weight for gold in golds], lengths)
        mask = relations.band_mask(lengths, self.width)
        if not known.all():
            mask &= relations.known_pairs(known, self.width)
        return (mask * weight[:, None]).astype("float32")

    def _relation_contrast(
        self,
        examples: list[Example],
        scores: TokenPairScores,
        targets: numpy.ndarray,
        weights: numpy.ndarray,
    ) -> Iterator[Objective]:
        """Contrast the vectors of pairs that hold a relation, and of some that hold none."""
        pairs, labels = sample_pairs(
            targets, weights > 0, self.contrast.outside_ratio, self.contrast.max_pairs
        )
        if len(pairs) < 2:
            return
        ops = self.model.ops
        views = numpy.repeat([_language_id(example) for example in examples], scores.lengths)
        firsts: Any = pairs[:, 0]
        lasts: Any = pairs[:, 0] + pairs[:, 1]
        queries = cast(Any, scores.queries)[ops.asarray1i(firsts)]
        keys = cast(Any, scores.keys)[ops.asarray1i(lasts)]
        loss, gradient = loss_and_gradient(
            label_contrast,
            queries * keys,
            labels=ops.asarray1i(cast(Any, labels)),
            temperature=self.contrast.temperature,
            views=ops.asarray1i(views[firsts]),
            across="prefer",
        )
        weight = self.contrast.weight

        def add_gradient(total: TokenPairScores) -> None:
            for name, rows, other in (("queries", firsts, keys), ("keys", lasts, queries)):
                if getattr(total, name) is None:
                    setattr(total, name, ops.xp.zeros_like(scores.queries))
                ops.scatter_add(
                    getattr(total, name), ops.asarray1i(rows), weight * gradient * other
                )

        yield "contrast", weight * loss, add_gradient


def sample_pairs(
    targets: numpy.ndarray, known: numpy.ndarray, outside_ratio: float, most: int
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Choose pairs to contrast: all that hold a relation, and near misses that hold none.

    A pair without a relation is worth contrasting where it shares its first token with one that
    has a relation; the choice needs no random numbers.

    targets (numpy.ndarray): (n_tokens, width, n_relations) bool.
    known (numpy.ndarray): (n_tokens, width) bool, where the targets may be trusted.
    outside_ratio (float): Pairs without a relation, per pair that has one.
    most (int): Most pairs in all.
    RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): (m, 2) pairs (token, distance), and (m,) the
        number of the relation, of an entity where there is one; -1 for none: such pairs are only
        pushed away from.
    """
    related: numpy.ndarray = targets.any(axis=2) & known
    pairs = numpy.argwhere(related)
    held = targets[pairs[:, 0], pairs[:, 1]]
    # the pair of a name of two tokens also joins neighbours, as most pairs do
    labels = numpy.where(held[:, 1:].any(axis=1), held[:, 1:].argmax(axis=1) + 1, 0)
    near = known & ~related & related.any(axis=1, keepdims=True)
    outside = numpy.argwhere(near)
    n_outside = min(len(outside), int(len(pairs) * outside_ratio))
    if n_outside:
        # evenly spread over the batch
        outside = outside[numpy.linspace(0, len(outside) - 1, n_outside).astype(int)]
        pairs = numpy.concatenate([pairs, outside])
        labels = numpy.concatenate([labels, numpy.full((n_outside,), -1)])
    if len(pairs) > most:
        chosen = numpy.linspace(0, len(pairs) - 1, most).astype(int)
        pairs, labels = pairs[chosen], labels[chosen]
    return pairs, labels


def _language_id(example: Example) -> int:
    """Compute a number that docs share if they have the same kind and language."""
    view = get_view(example.reference)
    return 0 if view is None else crc32(f"{view.kind}-{view.lang}".encode())
