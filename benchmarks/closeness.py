"""How close languages are: how often sentences find their translations, and names find names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import numpy
from spacy.tokens import Doc
from spacy_transformers.pipeline_component import Transformer

from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.report.evaluate import read_examples
from spacy_crossner.report.vectors import find_transformer, iter_vectors, normalise

# Rows of the table of similarities that exist at a time.
ROWS = 1024


@dataclass
class Closeness:
    """How close the texts of one language are to their translations.

    lang (str): The language.
    sentences (int): Number of pairs of sentences.
    found (float): Share of the source's sentences that are closer to their translation than to
        any other sentence of that language (precision at 1).
    found_back (float): The same from the translations to the source.
    tokens (int): Number of tokens of entities in the translations.
    agreement (float): Share of those tokens whose closest token of the source has the same label.
    silhouette (float): How much closer those tokens are to the source's tokens with the same label
        than to those with another one, or with none: between -1 and 1, their mean.
    """

    lang: str
    sentences: int
    found: float
    found_back: float
    tokens: int
    agreement: float
    silhouette: float


@dataclass
class Vectors:
    """Vectors of the texts of one language, of length 1.

    sentences (numpy.ndarray): (n_sentences, width), means over tokens.
    tokens (numpy.ndarray): (n_tokens, width).
    labels (numpy.ndarray): (n_tokens,) entity types, "" outside of entities.
    """

    sentences: numpy.ndarray
    tokens: numpy.ndarray
    labels: numpy.ndarray


def measure_closeness(
    model: Union[str, Path], source: Path, translations: Sequence[Path]
) -> list[Closeness]:
    """Measure how close a pipeline's encoder puts parallel texts.

    model (Union[str, Path]): A pipeline folder, or the name of an installed one.
    source (Path): A `.spacy` file of labelled sentences.
    translations (Sequence[Path]): `.spacy` files of the same sentences in other languages, in the
        same order, labelled as well.
    RETURNS (List[Closeness]): One per file.
    """
    nlp = load_pipeline(model)
    transformer = find_transformer(nlp)
    if transformer is None:
        raise CrossnerError(Errors.CN645.format(model=model))
    docs = [example.reference for example in read_examples(nlp, source)]
    here = read_vectors(transformer, docs)
    results = []
    for path in translations:
        others = [example.reference for example in read_examples(nlp, path)]
        if len(others) != len(docs):
            raise CrossnerError(
                Errors.CN646.format(path=path, n=len(others), source=source, expected=len(docs))
            )
        view = get_view(others[0])
        lang = path.stem if view is None else view.lang
        results.append(compare(lang, here, read_vectors(transformer, others)))
    return results


def compare(lang: str, source: Vectors, target: Vectors) -> Closeness:
    """Compare two languages.

    lang (str): The language of the translations.
    source (Vectors): The source.
    target (Vectors): Its translations, sentence by sentence.
    RETURNS (Closeness): How close they are.
    """
    asked = target.labels != ""
    closest = find_closest(target.tokens[asked], source.tokens)
    agreement = source.labels[closest] == target.labels[asked]
    return Closeness(
        lang=lang,
        sentences=len(source.sentences),
        found=_share_found(source.sentences, target.sentences),
        found_back=_share_found(target.sentences, source.sentences),
        tokens=int(asked.sum()),
        agreement=float(agreement.mean()) if asked.any() else 0.0,
        silhouette=measure_silhouette(source, target),
    )


def measure_silhouette(source: Vectors, target: Vectors) -> float:
    """Measure the silhouette of the target's entity tokens among the source's tokens, by cosine.

    source (Vectors): The source.
    target (Vectors): Its translations.
    RETURNS (float): The mean over the target's tokens of those labels that the source has, too; 0
        if there are none.
    """
    labels = numpy.unique(source.labels)
    asked = (target.labels != "") & numpy.isin(target.labels, labels)
    if len(labels) < 2 or not asked.any():
        return 0.0
    # vectors have length 1, so that the mean of distances is the distance from the mean
    centres = numpy.stack([source.tokens[source.labels == label].mean(axis=0) for label in labels])
    distances = 1.0 - target.tokens[asked] @ centres.T
    rows = numpy.arange(len(distances))
    own = numpy.searchsorted(labels, target.labels[asked])
    near = distances[rows, own]
    distances[rows, own] = numpy.inf
    other = distances.min(axis=1)
    return float(((other - near) / numpy.maximum(numpy.maximum(other, near), 1e-8)).mean())


def find_closest(asking: numpy.ndarray, asked: numpy.ndarray) -> numpy.ndarray:
    """Find nearest neighbours by cosine.

    asking (numpy.ndarray): (n, width) vectors of length 1.
    asked (numpy.ndarray): (m, width) vectors of length 1.
    RETURNS (numpy.ndarray): (n,) row of `asked` that is closest; the first of equals.
    """
    closest = [
        (asking[begin : begin + ROWS] @ asked.T).argmax(axis=1)
        for begin in range(0, len(asking), ROWS)
    ]
    return numpy.concatenate(closest) if closest else numpy.zeros((0,), dtype="int64")


def read_vectors(transformer: Transformer, docs: Sequence[Doc]) -> Vectors:
    """Read the vectors of sentences and tokens.

    transformer (Transformer): The encoder.
    docs (Sequence[Doc]): The texts of one language.
    RETURNS (Vectors): Their vectors.
    """
    rows = list(iter_vectors(transformer, docs))
    width = rows[0].shape[1]
    means = [row.mean(axis=0) if len(row) else numpy.zeros((width,)) for row in rows]
    return Vectors(
        normalise(numpy.stack(means)),
        normalise(numpy.concatenate(rows)),
        numpy.array([token.ent_type_ for doc in docs for token in doc]),
    )


def _share_found(asking: numpy.ndarray, asked: numpy.ndarray) -> float:
    return float((find_closest(asking, asked) == numpy.arange(len(asking))).mean())
