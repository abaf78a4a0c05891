"""Token vectors before and after training, in two dimensions: whether languages come together."""

import random
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Optional, cast

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy_transformers.layers.trfs2arrays import trfs2arrays
from spacy_transformers.pipeline_component import Transformer
from thinc.api import reduce_mean

BATCH_SIZE = 32
OUTSIDE = "no entity"


@dataclass
class TokenVectors:
    """Vectors of some tokens of labelled texts.

    vectors (numpy.ndarray): (n, width).
    labels (List[str]): The entity type of each token, "no entity" outside of entities.
    langs (List[str]): Its language.
    """

    vectors: numpy.ndarray
    labels: list[str]
    langs: list[str]


def find_transformer(nlp: Language) -> Optional[Transformer]:
    """Find the shared transformer of a pipeline, or None."""
    for _, pipe in nlp.pipeline:
        if isinstance(pipe, Transformer):
            return pipe
    return None


def make_untrained(nlp: Language, encoder: str) -> Transformer:
    """Build the encoder that a pipeline was trained from, with the same settings.

    nlp (Language): The trained pipeline.
    encoder (str): A Hugging Face folder, or a name on the hub.
    RETURNS (Transformer): The encoder, as it was before training.
    """
    trained = find_transformer(nlp)
    name = next(name for name, pipe in nlp.pipeline if pipe is trained)
    settings = deepcopy(nlp.config["components"][name])
    settings.pop("factory")
    settings["model"]["name"] = encoder
    blank = spacy.blank("xx")
    pipe = cast(Transformer, blank.add_pipe("transformer", config=settings))
    pipe.model.initialize()
    return pipe


def sample_tokens(
    docs: Iterable[tuple[str, Doc]], *, per_class: int = 40, seed: int = 0
) -> list[tuple[Doc, list[tuple[int, str, str]]]]:
    """Draw tokens: of each language and entity type, and outside of entities, the same number.

    docs (Iterable[Tuple[str, Doc]]): Language and labelled doc.
    per_class (int): How many tokens of each language and type.
    seed (int): Decides which ones.
    RETURNS (List[Tuple[Doc, List[Tuple[int, str, str]]]]): Docs, and of each the tokens drawn:
        index, type and language.
    """
    found: dict[tuple[str, str], list[tuple[int, Doc, int]]] = {}
    for number, (lang, doc) in enumerate(docs):
        for token in doc:
            # the doc's vocab may not know what is punctuation
            if token.ent_iob and any(map(str.isalnum, token.text)):
                key = (lang, token.ent_type_ or OUTSIDE)
                found.setdefault(key, []).append((number, doc, token.i))
    rng = random.Random(seed)
    drawn: dict[int, tuple[Doc, list[tuple[int, str, str]]]] = {}
    for (lang, label), tokens in sorted(found.items()):
        for number, doc, index in rng.sample(tokens, min(per_class, len(tokens))):
            drawn.setdefault(number, (doc, []))[1].append((index, label, lang))
    return [drawn[number] for number in sorted(drawn)]


def read_vectors(
    transformer: Transformer, sample: Sequence[tuple[Doc, list[tuple[int, str, str]]]]
) -> TokenVectors:
    """Read the vectors of drawn tokens.

    transformer (Transformer): An encoder, trained or not.
    sample (Sequence[Tuple[Doc, List[Tuple[int, str, str]]]]): What `sample_tokens` gave.
    RETURNS (TokenVectors): Their vectors.
    """
    rows, labels, langs = [], [], []
    all_vectors = iter_vectors(transformer, [doc for doc, _ in sample])
    for vectors, (_, tokens) in zip(all_vectors, sample, strict=True):
        rows.append(vectors[[index for index, _, _ in tokens]])
        labels += [label for _, label, _ in tokens]
        langs += [lang for _, _, lang in tokens]
    return TokenVectors(numpy.concatenate(rows).astype("float32"), labels, langs)


def iter_vectors(transformer: Transformer, docs: Sequence[Doc]) -> Iterator[numpy.ndarray]:
    """Read the vectors of all tokens.

    transformer (Transformer): An encoder, trained or not.
    docs (Sequence[Doc]): The docs.
    YIELDS (numpy.ndarray): (n_tokens, width) of each doc.
    """
    pool: Any = trfs2arrays(cast(Any, reduce_mean()), 1.0)
    ops: Any = transformer.model.ops
    for begin in range(0, len(docs), BATCH_SIZE):
        batch = transformer.predict(docs[begin : begin + BATCH_SIZE])
        for vectors in pool.predict(batch.doc_data):
            yield ops.to_numpy(vectors)


def normalise(vectors: numpy.ndarray) -> numpy.ndarray:
    """Scale vectors to length 1.

    RETURNS (numpy.ndarray): (n, width) the vectors at length 1; zeros stay zeros.
    """
    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-8)


def project(vectors: numpy.ndarray) -> numpy.ndarray:
    """Find the plane in which vectors differ most (principal components).

    vectors (numpy.ndarray): (n, width).
    RETURNS (numpy.ndarray): (n, 2) their places in the plane.
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = numpy.linalg.svd(centred, full_matrices=False)
    plane = axes[:2]
    # the sign of an axis is left to chance: make the largest part positive
    largest = numpy.abs(plane).argmax(axis=1)
    return centred @ (plane * numpy.sign(plane[numpy.arange(2), largest])[:, None]).T


def share_of_neighbours(tokens: TokenVectors) -> float:
    """Measure how well languages are aligned.

    tokens (TokenVectors): Vectors in at least two languages.
    RETURNS (float): The share of entity tokens whose nearest token (by cosine) in another language
        has the same type.
    """
    vectors = normalise(tokens.vectors - tokens.vectors.mean(axis=0))
    labels, langs = numpy.array(tokens.labels), numpy.array(tokens.langs)
    similar = vectors @ vectors.T
    similar[langs[:, None] == langs[None, :]] = -numpy.inf
    asked = labels != OUTSIDE
    return float((labels[similar.argmax(axis=1)] == labels)[asked].mean()) if asked.any() else 0.0
