"""`token_label_ner`: NER as the BIO class of each token. The baseline's and ConCNER's head."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Optional

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config, Model
from thinc.types import Floats2d

from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.errors import Warnings
from spacy_crossner.ml.heads import TokenLabelScores
from spacy_crossner.ml.losses import cross_entropy
from spacy_crossner.pipeline.ner import CrossnerNER, Objective, class_targets
from spacy_crossner.pipeline.predictions import Prediction, follow_path
from spacy_crossner.pipeline.settings import Distil, SelfTraining, read_block
from spacy_crossner.pipeline.soft import dense_classes, find_taught
from spacy_crossner.schemes import bio

DEFAULT_CONFIG = """
[model]
@architectures = "spacy-crossner.TokenLabelHead.v1"

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0

[model.tok2vec.pooling]
@layers = "reduce_mean.v1"
"""
DEFAULT_MODEL = Config().from_str(DEFAULT_CONFIG)["model"]
# Token labels know no longest entity; this bounds the search for candidates.
MAX_SPAN_LENGTH = 64


@Language.factory(
    "token_label_ner",
    assigns=["doc.ents", "doc.spans", "span._.score", "token.ent_iob", "token.ent_type"],
    default_config={
        "model": DEFAULT_MODEL,
        "spans_key": SPANS_KEY,
        "threshold": 0.3,
        "nested_threshold": 0.5,
        "touching_odds": 0.02,
        "set_score": True,
        "distil": {"weight": 1.0, "temperature": 1.0, "loss": "kl"},
        "self_training": {"weight": 0.0, "confidence": 0.9},
        "scorer": {"@scorers": "spacy-crossner.ner_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_token_label_ner(
    nlp: Language,
    name: str,
    model: Model[list[Doc], TokenLabelScores],
    spans_key: str,
    threshold: float,
    nested_threshold: float,
    touching_odds: float,
    distil: Distil,
    self_training: SelfTraining,
    scorer: Optional[Callable],
    set_score: bool,
) -> "TokenLabelNER":
    """Construct a component that gives each token a BIO class.

    model (Model[List[Doc], TokenLabelScores]): The head with its token vectors.
    spans_key (str): Name of the span group to write all candidates to, with their scores.
    threshold (float): Least score of an entity or candidate.
    nested_threshold (float): Least score of a name inside or around an entity to be marked True in
        `.attrs["nested"]` of the span group.
    touching_odds (float): Factor on the odds that a name begins directly behind another one of the
        same type, since heads cut long names; 1.0 changes nothing.
    distil (Distil): Learning of soft targets, on docs that carry them.
    self_training (SelfTraining): Learning of confident targets, on the same docs.
    scorer (Optional[Callable]): The scoring method.
    set_score (bool): Whether to set `ent._.score`.
    """
    return TokenLabelNER(
        nlp.vocab,
        model,
        name,
        spans_key=spans_key,
        threshold=threshold,
        nested_threshold=nested_threshold,
        touching_odds=touching_odds,
        distil=read_block(Distil, distil, f"components.{name}.distil"),
        self_training=read_block(SelfTraining, self_training, f"components.{name}.self_training"),
        scorer=scorer,
        set_score=set_score,
    )


class TokenLabelNER(CrossnerNER):
    """NER component that decodes the most probable valid sequence of BIO classes."""

    scheme = "bio"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: "O", "B-x", "I-x", ..."""
        return bio.class_names(self.labels)

    def class_logits(self, scores: TokenLabelScores) -> Floats2d:
        """Get the logits of the BIO classes: all that the head gives."""
        return scores.logits

    def probabilities(self, scores: TokenLabelScores) -> numpy.ndarray:
        """Compute calibrated class probabilities.

        RETURNS (numpy.ndarray): (n_tokens, n_classes), calibrated.
        """
        return self.read_classes(scores.logits, scores.glued)

    def decode(self, scores: TokenLabelScores, threshold: float) -> list[Prediction]:
        """Find the best set of entities, and all spans that could be entities.

        The set is that of the most probable valid sequence of classes, which also weighs that
        tokens are outside. Entities of it that score less than the threshold are left out.

        scores (TokenLabelScores): The head's output.
        threshold (float): Least score of an entity or candidate.
        RETURNS (List[Prediction]): One per doc.
        """
        probs = bio.favour_whole(self.probabilities(scores), scores.lengths, self.touching_odds)
        spans = bio.candidates(probs, scores.lengths, self.labels, threshold, MAX_SPAN_LENGTH)
        return follow_path(probs, spans, scores, self.labels, threshold)

    def zero_gradient(self, scores: TokenLabelScores) -> TokenLabelScores:
        """Make a gradient of zeros for the scores."""
        return replace(scores, logits=self.model.ops.xp.zeros_like(scores.logits))

    def objectives(self, examples: list[Example], scores: TokenLabelScores) -> Iterator[Objective]:
        """Compute the losses that are on and have something to act on."""
        golds = self.read_gold(examples, scores.starts)
        targets, weights, dropped = class_targets(golds, self.labels)
        n_dropped = sum(map(len, dropped))
        if n_dropped:
            self.warn_once(Warnings.CNW11.format(name=self.name, count=n_dropped), n_dropped)
        yield self.objective("", scores, cross_entropy, targets=targets, weights=weights)
        if not (self.distil.weight or self.self_training.weight):
            return
        soft = self.soft_targets(examples)
        taught = find_taught(soft, scores.starts)
        if taught.any():
            probs = dense_classes(soft, scores.starts, self.labels)
            yield from self.learn_classes(scores, probs, taught)
