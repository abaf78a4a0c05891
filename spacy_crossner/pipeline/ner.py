"""What the two NER components share: one contract for labels, scores, training and storage."""

import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Optional, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import minibatch
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from spacy_crossner.checks import check_range
from spacy_crossner.data.docs import ENCODER_OUTPUT
from spacy_crossner.data.view import SoftTargets, get_view
from spacy_crossner.errors import CrossnerError, Errors, Warnings
from spacy_crossner.ml.heads import build_head, find_spaces
from spacy_crossner.ml.losses import cross_entropy, distillation, loss_and_gradient
from spacy_crossner.pipeline.glue import join_labels
from spacy_crossner.pipeline.gold import Gold, has_same_tokens, read_gold, reference_mentions
from spacy_crossner.pipeline.predictions import Prediction, trim
from spacy_crossner.pipeline.scores import write_scores
from spacy_crossner.pipeline.select import write_entities, write_spans
from spacy_crossner.pipeline.settings import Distil, SelfTraining
from spacy_crossner.pipeline.storage import LazyPipe
from spacy_crossner.pipeline.units import to_units
from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.best_set import nested_set
from spacy_crossner.types import Mention

# What training finds out. The rest of `cfg` comes from the config, which has the last word when a
# pipeline is loaded.
LEARNED = ("labels", "nI", "temperature", "bias", "gaps")
SAMPLE = 10
# How spacy-transformers names the node that hands vectors over, and where they lie.
LISTENER, VECTORS = "transformer-listener", "trf_data"
# Class of a token that nothing may be learned from.
UNKNOWN = -1
# Why entities can't be trained on, by the code of the warning.
LOST = {
    "CNW10": "inside a token (masked)",
    "CNW11": "overlapping another one or with gaps (left out)",
    "CNW12": "longer than max_span_length (masked)",
}
# Suffix of the loss column, loss, and a function that adds the gradient to a total.
Objective = tuple[str, float, Callable[[Any], None]]


class CrossnerNER(LazyPipe):
    """Base of the NER components. A subclass knows one scheme and its head."""

    scheme: ClassVar[str]

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str,
        *,
        spans_key: str,
        threshold: float,
        distil: Distil,
        self_training: SelfTraining,
        scorer: Optional[Callable],
        nested_threshold: float = 0.5,
        touching_odds: float = 1.0,
        set_score: bool = True,
    ):
        """Set the component up; `initialize` or loading builds its head.

        vocab (Vocab): The shared vocabulary.
        model (Model): The head with its token vectors.
        name (str): The component's name.
        spans_key (str): Name of the span group to write candidates to.
        threshold (float): Least score of what is written.
        distil (Distil): Settings for learning soft targets.
        self_training (SelfTraining): Settings for learning confident targets.
        scorer (Optional[Callable]): Scores predictions in `evaluate`.
        nested_threshold (float): Least score of a name inside or around an entity.
        touching_odds (float): Factor on the odds that a name begins directly behind another one of
            the same type; 1 changes nothing.
        set_score (bool): Whether to set `ent._.score`.
        """
        check_range(f"components.{name}.threshold", threshold, 0.0, 1.0)
        check_range(f"components.{name}.nested_threshold", nested_threshold, 0.0, 1.0)
        check_range(f"components.{name}.touching_odds", touching_odds, 0.0, 1.0)
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.distil = distil
        self.self_training = self_training
        self.touching_odds = touching_odds
        self.set_score = set_score
        self.cfg: dict[str, Any] = {
            "labels": [],
            "nI": None,
            "temperature": 1.0,
            "bias": 0.0,
            # whether there were entities with gaps among the labels
            "gaps": False,
            "spans_key": spans_key,
            "threshold": threshold,
            "nested_threshold": nested_threshold,
        }
        self._warned: set[str] = set()
        self.lost: Counter[str] = Counter()

    # ---- labels -----------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types, in the order of the head's outputs."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """The labels in the form that `spacy init labels` saves and `initialize` accepts."""
        return list(self.labels)

    def add_label(self, label: str) -> int:
        """Add an entity type. Not possible once the head is built.

        label (str): The type.
        RETURNS (int): 0 if it was there already, otherwise 1.
        """
        if not isinstance(label, str) or not label:
            raise CrossnerError(Errors.CN113.format(label=label))
        if label in self.labels:
            return 0
        if self.cfg["nI"] is not None:
            raise CrossnerError(Errors.CN114.format(label=label, name=self.name))
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        return 1

    @property
    def threshold(self) -> float:
        """The minimum score of predicted entities and candidates."""
        return self.cfg["threshold"]

    @property
    def nested_threshold(self) -> float:
        """The minimum score of a name inside or around an entity."""
        return self.cfg["nested_threshold"]

    @property
    def spans_key(self) -> str:
        """The name of the span group that holds the candidates."""
        return self.cfg["spans_key"]

    @property
    def temperature(self) -> float:
        """Temperature that divides the logits."""
        return self.cfg["temperature"]

    @property
    def bias(self) -> float:
        """Bias subtracted from the log-odds of O after the temperature is applied."""
        return self.cfg["bias"]

    def read_classes(self, logits: Any, glued: numpy.ndarray) -> numpy.ndarray:
        """Compute calibrated probabilities of BIO classes.

        logits (Floats2d): (n_units, n_classes) the head's output.
        glued (numpy.ndarray): (n_units,) bool, see `TokenLabelScores`.
        RETURNS (numpy.ndarray): (n_units, n_classes).
        """
        classes = self.model.ops.to_numpy(logits) / self.temperature
        classes[:, 0] -= self.bias
        return join_labels(bio.softmax(classes), glued)

    # ---- the scheme, which subclasses know --------------------------------------------------

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the head's outputs."""

    @abstractmethod
    def class_logits(self, scores: Any) -> Any:
        """Get the logits of the BIO classes, of which `bias` moves O.

        scores (Any): What the head said.
        RETURNS (Optional[Floats2d]): (n_units, n_classes); None if the head has no classes.
        """

    @abstractmethod
    def decode(self, scores: Any, threshold: float) -> list[Prediction]:
        """Turn the head's scores into mentions that score at least the threshold."""

    @abstractmethod
    def objectives(self, examples: list[Example], scores: Any) -> Iterator[Objective]:
        """Iterate over the active objectives.

        YIELDS (tuple): Of each active objective: suffix of its loss column, its loss, and a
        function that adds its gradient to a total.
        """

    @abstractmethod
    def zero_gradient(self, scores: Any) -> Any:
        """Make a gradient of zeros for the scores."""

    # ---- prediction -------------------------------------------------------------------------

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Find the entities of docs, without touching the docs.

        docs (Iterable[Doc]): The docs.
        RETURNS (List[Prediction]): One per doc.
        """
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [Prediction([], []) for _ in docs]
        if self.cfg["nI"] is None:
            raise CrossnerError(Errors.CN115.format(name=self.name))
        self._check_vectors(docs)
        return self.find(docs, self.model.predict(docs), self.threshold)

    def _check_vectors(self, docs: list[Doc]) -> None:
        """Refuse docs that the encoder has not read: a listener would take zeros for them."""
        for node in self.model.walk():
            if node.name != LISTENER:
                continue
            read = Doc.has_extension(VECTORS) and all(
                not len(doc) or doc._.get(VECTORS) is not None for doc in docs
            )
            if not read:
                upstream = getattr(node, "upstream_name", "transformer")
                upstream = "transformer" if upstream == "*" else upstream
                raise CrossnerError(Errors.CN056.format(name=self.name, upstream=upstream))

    def read(
        self,
        nlp: Language,
        docs: Iterable[Union[str, Doc]],
        *,
        batch_size: int,
        n_process: int = 1,
    ) -> Iterator[tuple[list[Doc], Any]]:
        """Run all components before this one as in `nlp.pipe`, and the head once on their output.

        nlp (Language): The pipeline of the component.
        docs (Iterable[Union[str, Doc]]): Texts, or docs whose tokens are kept.
        batch_size (int): Texts per batch.
        n_process (int): Number of processes.
        YIELDS (Tuple[List[Doc], Any]): The docs of a batch without the encoder's output, and what
            the head said of them.
        """
        position = [pipe for _, pipe in nlp.pipeline].index(self)
        unused = nlp.pipe_names[position:]
        read = nlp.pipe(docs, batch_size=batch_size, n_process=n_process, disable=unused)
        for batch in minibatch(read, batch_size):
            scores = self.model.predict(batch)
            for doc in batch:
                doc.user_data.pop(ENCODER_OUTPUT, None)
            yield batch, scores

    def find(self, docs: Iterable[Doc], scores: Any, threshold: float) -> list[Prediction]:
        """Decode, and cut white space off.

        docs (Iterable[Doc]): The docs.
        scores (Any): What the head said of them.
        threshold (float): Least score of an entity or candidate.
        RETURNS (List[Prediction]): One per doc.
        """
        predictions = self.decode(scores, threshold)
        return [trim(found, doc) for found, doc in zip(predictions, docs, strict=True)]

    def raise_threshold(self, found: Prediction, threshold: float) -> list[Mention]:
        """Choose the entities that a higher threshold would give.

        found (Prediction): What was found with a lower one.
        threshold (float): Least score of an entity.
        RETURNS (List[Mention]): The entities, best first.
        """
        return [mention for mention in found.entities if mention.score >= threshold]

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write entities to `doc.ents` and candidates with their scores to `doc.spans`.

        docs (Iterable[Doc]): The docs.
        predictions (List[Prediction]): What `predict` returned.
        """
        for doc, prediction in zip(docs, predictions, strict=True):
            write_entities(doc, prediction.entities)
            if self.set_score:
                write_scores(doc, prediction.entities)
            # the entities of earlier components stay, and so decide about nested names, too
            entities = [Mention.of(ent) for ent in doc.ents]
            nested = nested_set(entities, prediction.candidates, self.nested_threshold)
            write_spans(doc, prediction.candidates, self.spans_key, nested)

    # ---- training ---------------------------------------------------------------------------

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[list[str]] = None,
    ) -> None:
        """Collect the labels and build the head.

        get_examples (Callable[[], Iterable[Example]]): Returns a representative sample.
        nlp (Optional[Language]): The pipeline.
        labels (Optional[List[str]]): The labels, as `spacy init labels` saves them. Without them,
            all examples are read to find them.
        """
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        docs = (eg.predicted for eg in get_examples())
        sample = list(islice((doc for doc in docs if len(doc)), SAMPLE))
        if not sample:
            raise CrossnerError(Errors.CN124.format(name=self.name))
        # a head that is built already has no place for others, and says so
        for label in labels if labels is not None else self._find_labels(get_examples()):
            self.add_label(label)
        if not self.labels:
            raise CrossnerError(Errors.CN116.format(name=self.name, key=self.spans_key))
        head = self.model.get_ref("head")
        if not head.has_dim("nO"):
            head.set_dim("nO", len(self.classes))
        self.model.initialize(X=sample)
        self.cfg["nI"] = head.get_dim("nI")

    def _find_labels(self, examples: Iterable[Example]) -> list[str]:
        # sorted, so that teacher and student agree whatever order their corpora have
        return sorted(
            {m.label for eg in examples for m in reference_mentions(eg.reference, self.spans_key)}
        )

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[dict[str, float]] = None,
    ) -> dict[str, float]:
        """Update the model on a batch with all objectives that the config enables.

        All losses are means, so that the learning rate does not depend on the batch size.

        examples (Iterable[Example]): The batch.
        drop (float): The dropout rate.
        sgd (Optional[Optimizer]): The optimizer.
        losses (Optional[Dict[str, float]]): Gets the loss under the component's name, and that of
            each further objective under `{name}_{objective}`.
        RETURNS (Dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        if not any(len(eg.predicted) for eg in examples):
            return losses
        if self.cfg["nI"] is None:
            raise CrossnerError(Errors.CN115.format(name=self.name))
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update([eg.predicted for eg in examples])
        gradient = self.zero_gradient(scores)
        for suffix, loss, add_gradient in self.objectives(examples, scores):
            key = f"{self.name}_{suffix}" if suffix else self.name
            losses[key] = losses.get(key, 0.0) + loss
            add_gradient(gradient)
        # always, even if it is zero: other listeners wait for this call
        backprop(gradient)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Any) -> tuple[float, Any]:
        """Sum up all objectives.

        examples (Iterable[Example]): The batch.
        scores (Any): What the model said of it.
        RETURNS (Tuple[float, Any]): The loss and its gradient in the form of the scores.
        """
        gradient = self.zero_gradient(scores)
        total = 0.0
        for _, loss, add_gradient in self.objectives(list(examples), scores):
            total += loss
            add_gradient(gradient)
        return total, gradient

    def rehearse(self, examples: Iterable[Example], **settings: Any) -> dict[str, float]:
        """Not supported: spaCy's rehearsal can't reach torch weights."""
        raise CrossnerError(Errors.CN117.format(name=self.name))

    def objective(
        self,
        suffix: str,
        scores: Any,
        loss_of: Callable,
        weight: float = 1.0,
        *,
        table: str = "logits",
        **settings: Any,
    ) -> Objective:
        """Evaluate one objective on one of the head's outputs.

        suffix (str): Suffix of its loss column.
        scores (Any): The head's outputs.
        loss_of (Callable): The pure function.
        weight (float): Factor on loss and gradient.
        table (str): Name of the output.
        settings (Any): Its other arguments; numpy arrays are moved to the model's device.
        RETURNS (tuple): The objective.
        """
        ops: Any = self.model.ops
        arrays = {
            key: ops.asarray(value) if isinstance(value, numpy.ndarray) else value
            for key, value in settings.items()
        }
        loss, gradient = loss_and_gradient(loss_of, getattr(scores, table), **arrays)

        def add_gradient(total: Any) -> None:
            added = getattr(total, table)
            added += weight * gradient

        return suffix, weight * loss, add_gradient

    def learn_classes(
        self, scores: Any, probs: numpy.ndarray, taught: numpy.ndarray, table: str = "logits"
    ) -> Iterator[Objective]:
        """Compute the distillation and self-training losses of BIO classes.

        scores (Any): The head's outputs.
        probs (numpy.ndarray): (n_units, n_classes) the targets.
        taught (numpy.ndarray): (n_units,) bool, where they count.
        table (str): Name of the output that holds the classes.
        YIELDS (tuple): The objectives that are on.
        """
        if self.distil.weight:
            yield self.objective(
                "distil",
                scores,
                distillation,
                self.distil.weight,
                table=table,
                teacher_probs=probs,
                weights=taught.astype("float32"),
                temperature=self.distil.temperature,
                kind=self.distil.loss,
            )
        if self.self_training.weight:
            sure = taught & (probs.max(axis=1) >= self.self_training.confidence)
            yield self.objective(
                "self_training",
                scores,
                cross_entropy,
                self.self_training.weight,
                table=table,
                targets=numpy.where(sure, probs.argmax(axis=1), UNKNOWN),
            )

    def read_gold(
        self, examples: list[Example], starts: Optional[list[numpy.ndarray]] = None
    ) -> list[Gold]:
        """Collect the annotations of a batch; what can't be used is counted.

        examples (List[Example]): The batch.
        starts (Optional[List[numpy.ndarray]]): First token of each unit of each doc.
        RETURNS (List[Gold]): The annotations in units, or without `starts` in tokens.
        """
        golds = [read_gold(example, self.spans_key) for example in examples]
        if starts is not None:
            spaces = [find_spaces(example.predicted) for example in examples]
            golds = list(map(to_units, golds, starts, spaces))
        unknown = {m.label for gold in golds for m in gold.mentions} - set(self.labels)
        if unknown:
            raise CrossnerError(
                Errors.CN118.format(label=sorted(unknown)[0], name=self.name, labels=self.labels)
            )
        found = sum(gold.found for gold in golds)
        if found:
            self.warn_once(Warnings.CNW13.format(name=self.name, key=self.spans_key, count=found))
        misaligned = sum(gold.misaligned for gold in golds)
        self.lost["all"] += misaligned + sum(len(gold.mentions) for gold in golds)
        if misaligned:
            self.warn_once(Warnings.CNW10.format(name=self.name, count=misaligned), misaligned)
        return golds

    def warn_once(self, message: str, n_lost: int = 0) -> None:
        """Warn of a kind of problem the first time that it is met.

        message (str): The warning.
        n_lost (int): Number of entities that can't be trained on, for `describe_lost`.
        """
        code = message[: message.index("]")]
        self.lost[code.lstrip("[")] += n_lost
        if code not in self._warned:
            self._warned.add(code)
            warnings.warn(message, stacklevel=3)

    def describe_lost(self) -> str:
        """Say which share of the entities seen so far could not be trained on.

        RETURNS (str): The shares by reason; empty if there are none.
        """
        shares = {code: self.lost[code] / (self.lost["all"] or 1) for code in LOST}
        lost = [
            f"{shares[code]:.2%} {reason}, {code}" for code, reason in LOST.items() if shares[code]
        ]
        return f"entities not learned: {'; '.join(lost)}" if lost else ""

    def soft_targets(self, examples: list[Example]) -> list[Optional[SoftTargets]]:
        """Get the soft targets of each example, after checking their labels and tokens."""
        found = []
        for example in examples:
            view = get_view(example.reference)
            soft = None if view is None else view.soft
            expected = {
                "bio": bio.class_names(self.labels),
                "relations": relations.class_names(self.labels),
            }
            for part in soft.parts if soft is not None else ():
                if part.classes != expected.get(part.scheme):
                    raise CrossnerError(
                        Errors.CN119.format(
                            name=self.name,
                            found=f"{part.scheme} {part.classes}",
                            labels=", ".join(self.labels),
                        )
                    )
            # they count tokens, and unlike labels they can't be moved to others
            if soft is not None and not has_same_tokens(example):
                raise CrossnerError(
                    Errors.CN123.format(name=self.name, text=example.reference.text[:60])
                )
            found.append(soft)
        return found

    # ---- storage ----------------------------------------------------------------------------

    def load_cfg(self, saved: dict[str, Any]) -> None:
        """Take over what training found out; the config decides the rest."""
        saved = {"bias": 0.0, "gaps": False, **saved}  # older pipelines have none
        self.cfg.update({key: saved[key] for key in LEARNED})
        if self.cfg["nI"] is not None:
            build_head(self.model, self.cfg["nI"], len(self.classes))


def class_targets(
    golds: list[Gold], labels: tuple[str, ...]
) -> tuple[numpy.ndarray, numpy.ndarray, list[list[Mention]]]:
    """Write the annotations of a batch as BIO classes.

    golds (List[Gold]): The annotations.
    labels (Tuple[str, ...]): All labels.
    RETURNS (Tuple[numpy.ndarray, numpy.ndarray, List[List[Mention]]]): The class of each token,
        `UNKNOWN` where nothing may be learned, the weight of each token, and the entities of each
        doc that BIO can't hold.
    """
    targets, weights, all_dropped = [], [], []
    for gold in golds:
        classes, dropped = bio.encode(gold.mentions, labels, len(gold.known))
        known = gold.known.copy()
        for mention in dropped:
            # an inner entity costs nothing; one that overlaps or has a gap makes its tokens unclear
            inside = classes[list(mention.tokens)]
            if not (mention.is_contiguous and inside.all()):
                known[list(mention.tokens)] = False
        all_dropped.append(dropped)
        targets.append(numpy.where(known, classes, UNKNOWN))
        weights.append(numpy.full((len(known),), gold.weight, dtype="float32"))
    return numpy.concatenate(targets), numpy.concatenate(weights), all_dropped
