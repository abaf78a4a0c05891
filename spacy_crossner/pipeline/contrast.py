"""`sentence_contrast` and `label_contrast`: components that only training needs.

Both listen to the encoder and pull some of its vectors together. They write nothing to a doc, cost
nothing in prediction, and are stripped before a pipeline ships.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Optional, cast

import numpy
from spacy.language import Language
from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer
from thinc.types import Floats2d

from spacy_crossner.checks import check_range
from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors, Warnings
from spacy_crossner.ml.contrast_head import Items, build_projection
from spacy_crossner.ml.losses import group_contrast, label_contrast, loss_and_gradient
from spacy_crossner.pipeline.gold import read_gold
from spacy_crossner.pipeline.items import (
    Selection,
    first_rows,
    number,
    number_views,
    sample_tokens,
    token_types,
    word_rows,
)
from spacy_crossner.pipeline.storage import LazyPipe

# Number of consecutive batches without positive pairs before a warning.
IDLE = 50
# Factories of components that a shipped pipeline does not have.
TRAINING_ONLY = ("sentence_contrast", "label_contrast")

DEFAULT_CONFIG = """
[model]
@architectures = "spacy-crossner.ContrastHead.v1"
nO = 128
hidden = null

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0

[model.tok2vec.pooling]
@layers = "reduce_mean.v1"
"""
DEFAULT_MODEL = Config().from_str(DEFAULT_CONFIG)["model"]
# Upstream name of a listener that no encoder answers to.
NOBODY = ""


@Language.factory(
    "sentence_contrast",
    default_config={"model": DEFAULT_MODEL, "weight": 0.1, "temperature": 0.1},
)
def make_sentence_contrast(
    nlp: Language, name: str, model: Model[Items, Floats2d], weight: float, temperature: float
) -> "SentenceContrast":
    """Construct a component that pulls the views of a sentence together (TCL, SCL).

    model (Model[Items, Floats2d]): The projection with its token vectors.
    weight (float): Factor on the loss. At 0 the component does not touch the encoder at all.
    temperature (float): Divides the cosines: the lower, the more the hard cases count.
    """
    return SentenceContrast(nlp.vocab, model, name, weight=weight, temperature=temperature)


@Language.factory(
    "label_contrast",
    default_config={
        "model": DEFAULT_MODEL,
        "weight": 0.1,
        "temperature": 0.1,
        "cross_lingual": "only",
        "max_tokens": 512,
        "outside_ratio": 1.0,
        "spans_key": SPANS_KEY,
        "seed": 0,
    },
)
def make_label_contrast(
    nlp: Language,
    name: str,
    model: Model[Items, Floats2d],
    weight: float,
    temperature: float,
    cross_lingual: Literal["only", "prefer", "off"],
    max_tokens: int,
    outside_ratio: float,
    spans_key: str,
    seed: int,
) -> "LabelContrast":
    """Construct a component that pulls tokens with the same entity type together (LCL).

    Tokens outside of entities are not pulled together; they are what entities are pushed away from.

    model (Model[Items, Floats2d]): The projection with its token vectors.
    weight (float): Factor on the loss. At 0 the component does not touch the encoder at all.
    temperature (float): Divides the cosines: the lower, the more the hard cases count.
    cross_lingual (str): Which tokens are pulled together: "only" those of different views or
        languages, or "prefer" them where there are any, or "off" for all with the same type.
    max_tokens (int): Most tokens of a batch; cost grows with the square of it.
    outside_ratio (float): Tokens outside of entities to contrast with, per token inside.
    spans_key (str): Name of the span group that holds nested entities in the training data.
    seed (int): Seed for the choice of tokens.
    """
    return LabelContrast(
        nlp.vocab,
        model,
        name,
        weight=weight,
        temperature=temperature,
        cross_lingual=cross_lingual,
        max_tokens=max_tokens,
        outside_ratio=outside_ratio,
        spans_key=spans_key,
        seed=seed,
    )


class Contrast(LazyPipe):
    """Base of the contrastive components. A subclass says what to contrast, and how."""

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Items, Floats2d],
        name: str,
        *,
        weight: float,
        temperature: float,
    ):
        """Set the component up; `initialize` or loading builds its projection.

        vocab (Vocab): The shared vocabulary.
        model (Model): The projection with its token vectors.
        name (str): The component's name.
        weight (float): Factor on the loss.
        temperature (float): Divides the cosines.
        """
        check_range(f"components.{name}.weight", weight, 0.0)
        check_range(f"components.{name}.temperature", temperature, 1e-3)
        self.vocab = vocab
        self.model = model
        self.name = name
        self.temperature = temperature
        # the config has the last word on everything else, also when a pipeline is loaded
        self.cfg: dict[str, Any] = {"nI": None}
        self._weight = weight
        self._idle = 0
        if not weight:
            _take_off_encoder(model)

    @property
    def weight(self) -> float:
        """Factor on the loss. Fixed: at 0 the component is not connected to the encoder."""
        return self._weight

    # ---- what to contrast, which subclasses know --------------------------------------------

    @abstractmethod
    def select(self, examples: list[Example]) -> Selection:
        """Pick the items of a batch, from their references."""

    @abstractmethod
    def contrast(self, vectors: Floats2d, selection: Selection) -> tuple[float, Floats2d]:
        """Compute the loss of projected items and its gradient."""

    # ---- prediction: nothing to do ----------------------------------------------------------

    def __call__(self, doc: Doc) -> Doc:
        """Return the doc unchanged."""
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Yield the docs unchanged."""
        yield from stream

    def predict(self, docs: Iterable[Doc]) -> None:
        """Predict nothing."""

    def set_annotations(self, docs: Iterable[Doc], scores: Any) -> None:
        """Write nothing."""

    # ---- training ---------------------------------------------------------------------------

    def initialize(
        self, get_examples: Callable[[], Iterable[Example]], *, nlp: Optional[Language] = None
    ) -> None:
        """Build the projection, unless the weight is 0.

        get_examples (Callable[[], Iterable[Example]]): Not needed.
        nlp (Optional[Language]): The pipeline.
        """
        if self.weight:
            self._build()

    def _build(self) -> None:
        tok2vec = self.model.get_ref("tok2vec")
        if any(not node.has_dim("nO") for node in _listeners(tok2vec)):
            raise CrossnerError(Errors.CN301.format(name=self.name))
        nothing = numpy.zeros((0,), dtype="i")
        self.model.initialize(X=Items([Doc(self.vocab, words=["a"])], nothing, nothing))
        self.cfg["nI"] = self.model.get_ref("head").get_dim("nI")

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[dict[str, float]] = None,
    ) -> dict[str, float]:
        """Learn from a batch.

        examples (Iterable[Example]): The batch.
        drop (float): Not used: the projection has no dropout.
        sgd (Optional[Optimizer]): The optimizer.
        losses (Optional[Dict[str, float]]): Gets the weighted mean loss under the component's name.
        RETURNS (Dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        if not self.weight or not any(len(eg.predicted) for eg in examples):
            return losses
        if self.cfg["nI"] is None:
            # a pipeline that was saved with weight 0 may be trained with another weight
            self._build()
        selection = self.select(examples)
        docs = [eg.predicted for eg in examples]
        items = Items(docs, selection.rows, selection.lengths)
        vectors, backprop = self.model.begin_update(items)
        loss, gradient = self._weighted(vectors, selection)
        # always, even if it is zero: other listeners wait for this call
        backprop(gradient)
        if sgd not in (None, False):
            self.finish_update(sgd)
        losses[self.name] += loss
        self._idle = 0 if loss else self._idle + 1
        if self._idle == IDLE:
            warnings.warn(Warnings.CNW14.format(name=self.name, count=IDLE), stacklevel=2)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Floats2d) -> tuple[float, Floats2d]:
        """Compare projected vectors.

        examples (Iterable[Example]): The batch.
        scores (Floats2d): The projected vectors of what `select` picks from it.
        RETURNS (Tuple[float, Floats2d]): The weighted mean loss, and its gradient.
        """
        return self._weighted(scores, self.select(list(examples)))

    def _weighted(self, vectors: Floats2d, selection: Selection) -> tuple[float, Floats2d]:
        loss, gradient = self.contrast(vectors, selection)
        return self.weight * loss, cast(Floats2d, self.weight * gradient)

    # ---- storage ----------------------------------------------------------------------------

    def load_cfg(self, saved: dict[str, Any]) -> None:
        """Take over the width of the token vectors; the config decides the rest."""
        self.cfg["nI"] = saved["nI"]
        if self.cfg["nI"] is not None:
            build_projection(self.model, self.cfg["nI"])


class SentenceContrast(Contrast):
    """Pulls the mean vectors of the views of a sentence together, and other sentences apart."""

    def select(self, examples: list[Example]) -> Selection:
        """Take each doc as one item: its tokens, without spaces, keyed by its group.

        examples (List[Example]): The batch.
        RETURNS (Selection): The items. Docs without a view belong to no group.
        """
        views = [get_view(eg.reference) for eg in examples]
        keys = number([None if view is None else view.group for view in views])
        rows = [word_rows(eg.predicted) for eg in examples]
        rows = [own + start for own, start in zip(rows, first_rows(examples), strict=True)]
        filled = numpy.array([len(own) > 0 for own in rows], dtype=bool)
        lengths = numpy.array([len(own) for own in rows], dtype="i")
        return Selection(
            numpy.concatenate(rows).astype("i"),
            lengths[filled],
            keys[filled],
            number_views(views)[filled],
        )

    def contrast(self, vectors: Floats2d, selection: Selection) -> tuple[float, Floats2d]:
        """Compute the loss over groups and its gradient."""
        return loss_and_gradient(
            group_contrast, vectors, groups=selection.keys, temperature=self.temperature
        )


class LabelContrast(Contrast):
    """Pulls the vectors of tokens with the same entity type together, across views."""

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Items, Floats2d],
        name: str,
        *,
        weight: float,
        temperature: float,
        cross_lingual: Literal["only", "prefer", "off"] = "only",
        max_tokens: int = 512,
        outside_ratio: float = 1.0,
        spans_key: str = SPANS_KEY,
        seed: int = 0,
    ):
        """Set the component up. See `make_label_contrast` for the settings."""
        super().__init__(vocab, model, name, weight=weight, temperature=temperature)
        check_range(f"components.{name}.max_tokens", max_tokens, 2)
        check_range(f"components.{name}.outside_ratio", outside_ratio, 0.0)
        self.cross_lingual = cross_lingual
        self.max_tokens = max_tokens
        self.outside_ratio = outside_ratio
        self.spans_key = spans_key
        self.seed = seed
        self._n_updates = 0

    def update(self, examples: Iterable[Example], **settings: Any) -> dict[str, float]:
        """Learn from a batch. See `Contrast.update`; the choice of tokens changes each time."""
        losses = super().update(examples, **settings)
        self._n_updates += 1
        return losses

    def select(self, examples: list[Example]) -> Selection:
        """Take tokens whose label is known as items, keyed by their entity type.

        The choice depends on the texts, the seed and the number of updates so far, and not on the
        order of the batch.

        examples (List[Example]): The batch.
        RETURNS (Selection): The items. Tokens outside of entities have no key.
        """
        types: list[Optional[str]] = []
        rows, priorities = [], []
        sizes = []
        for example, start in zip(examples, first_rows(examples), strict=True):
            gold = read_gold(example, self.spans_key)
            words = word_rows(example.predicted)
            words = words[gold.known[words]]
            of_tokens = token_types(gold)
            types += [of_tokens[word] for word in words]
            rows.append(words + start)
            priorities.append(self._draw(example.predicted)[words])
            sizes.append(len(words))
        keys = number(types)
        views = number_views([get_view(eg.reference) for eg in examples])
        chosen = sample_tokens(
            keys, numpy.concatenate(priorities), self.outside_ratio, self.max_tokens
        )
        return Selection(
            numpy.concatenate(rows)[chosen].astype("i"),
            numpy.ones((len(chosen),), dtype="i"),
            keys[chosen],
            numpy.repeat(views, sizes)[chosen],
        )

    def _draw(self, doc: Doc) -> numpy.ndarray:
        entropy = [self.seed, self._n_updates, get_string_id(doc.text)]
        return numpy.random.default_rng(entropy).random(len(doc))

    def contrast(self, vectors: Floats2d, selection: Selection) -> tuple[float, Floats2d]:
        """Compute the loss over entity types and its gradient."""
        settings: dict[str, Any] = {}
        if self.cross_lingual != "off":
            settings = {"views": selection.views, "across": self.cross_lingual}
        return loss_and_gradient(
            label_contrast,
            vectors,
            labels=selection.keys,
            temperature=self.temperature,
            **settings,
        )


def _listeners(model: Model) -> list[Any]:
    return [node for node in model.walk() if hasattr(node, "upstream_name")]


def _take_off_encoder(model: Model) -> None:
    """Rename what a model's listeners listen to, so that no encoder ever serves them.

    An encoder waits for the gradient of each of its listeners. One that it does not find costs
    nothing, and the encoder is trained exactly as if the component were not there.
    """
    for listener in _listeners(model):
        listener.upstream_name = NOBODY
