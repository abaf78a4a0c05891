"""Choose the texts that are worth labelling next: uncertain ones that differ from each other.

Uncertainty is the entropy of the teachers' probabilities, diversity a cosine of character n-grams.
The chosen texts carry the predictions, so that an annotation tool can show them for correction.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Union
from zlib import crc32

import numpy
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_least, check_range
from spacy_crossner.data.convert import convert
from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.shards import SUFFIX, find_shards, read_docs, write_docs
from spacy_crossner.data.view import SoftTargets, View, get_lang, get_view, set_view
from spacy_crossner.distil.inputs import find_texts, iter_texts
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.select import write_entities, write_spans
from spacy_crossner.pipeline.soft import fill_classes, fill_relations
from spacy_crossner.schemes import bio, relations
from spacy_crossner.schemes.best_set import best_set
from spacy_crossner.tables import make_frame, render_rows
from spacy_crossner.types import Mention

# Least score of a prediction that is shown for correction.
THRESHOLD = 0.3
# Of the most uncertain texts, this many times the wanted number compete.
POOL = 20
# Length of character n-grams, and buckets that they are hashed to.
GRAM, BUCKETS = 4, 2048
# Shorter texts are rarely worth a person's time.
LEAST_TOKENS = 3


@dataclass
class Candidate:
    """A text that could be labelled.

    number (int): Its place in the corpus.
    text (str): The text.
    uncertainty (float): Entropy of its probabilities, in relation to its length.
    """

    number: int
    text: str
    uncertainty: float


@dataclass
class Asked:
    """What `ask` returns. It prints as a table.

    path (Path): The file that was written.
    texts (dict[str, int]): Texts to label, by language.
    pool (dict[str, int]): Texts that there were, by language.
    entities (dict[str, int]): Predictions to correct, by language.
    """

    path: Path
    texts: dict[str, int] = field(default_factory=dict)
    pool: dict[str, int] = field(default_factory=dict)
    entities: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[tuple[str, ...], list[tuple]]:
        """Make the header and a row for each language."""
        rows: list[tuple] = [
            (lang, self.texts.get(lang, 0), self.entities.get(lang, 0), n)
            for lang, n in sorted(self.pool.items())
        ]
        return ("lang", "texts to label", "predictions", "of texts"), rows

    def __str__(self) -> str:
        return render_rows(*self.rows)

    def to_df(self) -> Any:
        """Convert the counts per language to a data frame. Needs pandas."""
        return make_frame(*self.rows)


def ask(
    path: Union[str, Path],
    out: Union[str, Path],
    count: int = 100,
    *,
    format: str = "",
    exclude: Sequence[Union[str, Path]] = (),
    diversity: float = 1.0,
    threshold: float = THRESHOLD,
) -> Asked:
    """Choose texts to label, evenly over the languages.

    path (Union[str, Path]): A folder that `annotate` wrote, or a file of it.
    out (Union[str, Path]): The file to write: .spacy, or for annotation tools another one.
    count (int): How many texts to choose.
    format (str): Format of the file; by default by its ending. See `convert`.
    exclude (Sequence[Union[str, Path]]): Files of texts that are labelled already.
    diversity (float): How much a text counts less if it is like one that is chosen, from 0 to 1.
    threshold (float): Least score of a prediction.
    RETURNS (Asked): What was chosen.
    """
    check_least("count", count)
    check_range("diversity", diversity, 0.0, 1.0)
    check_range("threshold", threshold, 0.0, 1.0)
    path, out = Path(path), Path(out)
    shards = find_shards(path)
    if out.resolve() in (file.resolve() for file in (path, *shards)):
        raise CrossnerError(Errors.CN213.format(path=out))
    seen = _read_texts(exclude)
    found: dict[str, list[Candidate]] = {}
    number = 0
    for shard in tqdm(shards, desc="rank", unit=" files", disable=None, leave=False):
        for doc in read_docs(shard, Vocab()):
            number += 1
            view = get_view(doc)
            if view is None:
                raise CrossnerError(Errors.CN520.format(path=shard, text=doc.text[:60]))
            text = doc.text.strip()
            pool = found.setdefault(view.lang, [])
            if text not in seen and len(doc) >= LEAST_TOKENS:
                seen.add(text)
                pool.append(Candidate(number, text, measure_uncertainty(doc, view.soft)))
    chosen = _choose(found, count, diversity)
    if not chosen:
        raise CrossnerError(Errors.CN540.format(path=path, texts=number))
    docs, result = [], Asked(out, pool={lang: len(pool) for lang, pool in found.items()})
    number = 0
    for shard in shards:
        for doc in read_docs(shard, Vocab()):
            number += 1
            if number in chosen:
                docs.append((chosen[number], show_predictions(doc, threshold)))
                lang = get_lang(doc)
                result.texts[lang] = result.texts.get(lang, 0) + 1
                result.entities[lang] = result.entities.get(lang, 0) + len(doc.ents)
    # the most useful first, whenever the person stops
    docs.sort(key=lambda pair: pair[0])
    _write([doc for _, doc in docs], out, format)
    return result


def _write(docs: list[Doc], out: Path, format: str) -> None:
    if out.suffix == SUFFIX and not format:
        write_docs(out, docs)
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"ask{SUFFIX}"
        write_docs(file, docs)
        settings: dict[str, Any] = {"to": format} if format else {}
        convert([file], out, **settings)


def _read_texts(paths: Iterable[Union[str, Path]]) -> set[str]:
    """Read the stripped texts of files into a set."""
    texts: set[str] = set()
    for path in paths:
        for text in iter_texts(find_texts(Path(path)), "xx"):
            texts.add((text.text or text.make_doc(Vocab()).text).strip())
    return texts


def measure_uncertainty(doc: Doc, soft: Optional[SoftTargets]) -> float:
    """Measure how little the teachers know about a text.

    doc (Doc): The text.
    soft (Optional[SoftTargets]): The teachers' probabilities. Without them, the number of masked
        tokens counts.
    RETURNS (float): The sum of the entropies in nats, divided by the square root of the number of
        tokens: neither the longest texts nor the shortest come first.
    """
    if soft is None:
        total = float(sum(token.ent_iob == 0 for token in doc))
    else:
        soft = soft.bio or soft  # as in `find_predictions`
        probs = numpy.clip(soft.probs.astype("float32"), 1e-6, 1.0)
        entropy = -probs * numpy.log(probs)
        if soft.scheme == "relations":
            others = numpy.clip(1.0 - probs, 1e-6, 1.0)
            entropy -= others * numpy.log(others)
        total = float(entropy.sum())
    return total / len(doc) ** 0.5


def _choose(
    found: dict[str, list[Candidate]], count: int, diversity: float
) -> dict[int, tuple[int, str]]:
    """Choose diverse texts in each language; map the index of each to its rank and language."""
    chosen: dict[int, tuple[int, str]] = {}
    left = count
    # languages with few texts first, so that others get what they leave
    languages = sorted(found, key=lambda lang: (len(found[lang]), lang))
    for position, lang in enumerate(languages):
        share = -(-left // (len(languages) - position))
        picked = choose_diverse(found[lang], min(share, left), diversity)
        left -= len(picked)
        chosen.update((one.number, (rank, lang)) for rank, one in enumerate(picked))
    return chosen


def choose_diverse(
    candidates: Sequence[Candidate], count: int, diversity: float
) -> list[Candidate]:
    """Choose uncertain texts one by one, each unlike those before it.

    candidates (Sequence[Candidate]): The texts.
    count (int): How many to choose.
    diversity (float): How much a text counts less for being like a chosen one.
    RETURNS (list[Candidate]): The chosen texts, the best first.
    """
    ranked = sorted(candidates, key=lambda one: (-one.uncertainty, one.number))[: POOL * count]
    if not ranked or not count:
        return []
    vectors = numpy.stack([embed(one.text) for one in ranked])
    values = numpy.array([one.uncertainty for one in ranked])
    likeness = numpy.zeros(len(ranked), dtype="float32")
    picked: list[int] = []
    for _ in range(min(count, len(ranked))):
        gains = values * (1.0 - diversity * likeness) + 1e-9 * (1.0 - likeness)
        gains[picked] = -1.0
        best = int(gains.argmax())
        picked.append(best)
        likeness = numpy.maximum(likeness, vectors @ vectors[best])
    return [ranked[place] for place in picked]


def embed(text: str) -> numpy.ndarray:
    """Make a vector of a text from its character n-grams.

    text (str): The text.
    RETURNS (numpy.ndarray): (BUCKETS,) float32, of length 1.
    """
    vector = numpy.zeros((BUCKETS,), dtype="float32")
    padded = f" {re.sub(r'[0-9]', '0', ' '.join(text.casefold().split()))} "
    for start in range(max(1, len(padded) - GRAM + 1)):
        vector[crc32(padded[start : start + GRAM].encode("utf8", "replace")) % BUCKETS] += 1.0
    numpy.sqrt(vector, out=vector)
    return vector / numpy.linalg.norm(vector)


def show_predictions(doc: Doc, threshold: float) -> Doc:
    """Replace the confident labels of an annotated doc by all predictions, with scores.

    doc (Doc): The doc, which is changed.
    threshold (float): Least score of a prediction.
    RETURNS (Doc): The doc.
    """
    view = get_view(doc)
    mentions = [Mention.of(ent) for ent in doc.ents]
    if view is not None and view.soft is not None:
        mentions = find_predictions(view.soft, len(doc), threshold)
    doc.set_ents([])
    write_entities(doc, mentions)
    write_spans(doc, mentions, SPANS_KEY, mentions)
    if view is not None:
        set_view(doc, View(view.group, "source", view.lang))
    return doc


def find_predictions(soft: SoftTargets, n_tokens: int, threshold: float) -> list[Mention]:
    """Read the entities out of soft targets.

    soft (SoftTargets): The targets of a doc.
    n_tokens (int): Number of its tokens.
    threshold (float): Least score.
    RETURNS (list[Mention]): Entities without overlap, best first.
    """
    soft = soft.bio or soft
    starts = numpy.arange(n_tokens)
    if soft.scheme == "bio":
        labels = [name[2:] for name in soft.classes if name.startswith("B-")]
        probs = fill_classes(soft, starts, len(soft.classes))
        found = bio.decode(probs, [n_tokens], labels)[0]
        return [mention for mention in found if mention.score >= threshold]
    labels = [name[4:] for name in soft.classes if name.startswith("THW-")]
    width = 1 + int((soft.index[:, 1] - soft.index[:, 0]).max(initial=0))
    band = fill_relations(soft, starts, width, len(soft.classes))
    return best_set(relations.decode_batch(band, [n_tokens], labels, threshold)[0], threshold)
