"""Choose what a student learns from: sure sentences, and not too many of one language or label.

The corpus is read twice, one shard at a time: first to judge each doc by a few numbers, then to
write those that were chosen. So its size does not matter, and the choice depends on a seed alone.
"""

import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional

from spacy.tokens import Doc
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_least, check_range
from spacy_crossner.data.shards import DOCS_PER_SHARD, SUFFIX, find_shards, read_docs, write_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.distil.annotator import JUDGEMENT
from spacy_crossner.errors import CrossnerError, Errors

# Share of a language's entities that would need another label, before it is said to drift.
DRIFT = 0.2
# How often more or fewer entities there may be per token.
RATE = 2.0


class Distribution(NamedTuple):
    """How entities are spread over labels and text.

    labels (Counter): Entities by label.
    tokens (int): Tokens that are annotated.
    """

    labels: Counter[str]
    tokens: int

    @property
    def rate(self) -> float:
        """Entities per token."""
        return sum(self.labels.values()) / self.tokens if self.tokens else 0.0

    def share(self, label: str) -> float:
        """Compute the fraction of entities with a label."""
        total = sum(self.labels.values())
        return self.labels[label] / total if total else 0.0


@dataclass
class Kept:
    """What was chosen of one language.

    docs (int): Docs that there were.
    unsure (int): Docs left out because of their certainty.
    disputed (int): Docs left out because of the teachers' agreement.
    behind (int): Docs left out because others with the same labels are more certain.
    spare (int): Docs left out because there were enough.
    kept (int): Docs that were chosen.
    tokens (int): Their annotated tokens.
    labels (Counter): Their entities.
    drift (float): Distance of their labels from those of the source, None without a source: the
        share of the entities that would need another label.
    rate (float): Entities per token, as a multiple of the source's, None without a source.
    """

    docs: int = 0
    unsure: int = 0
    disputed: int = 0
    behind: int = 0
    spare: int = 0
    kept: int = 0
    tokens: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    drift: Optional[float] = None
    rate: Optional[float] = None

    @property
    def drifts(self) -> bool:
        """Whether the label distribution differs clearly from that of the source."""
        far = self.drift is not None and self.drift > DRIFT
        return far or (self.rate is not None and not 1 / RATE <= self.rate <= RATE)


class DocStats:
    """A few numbers about each doc of a corpus, kept small.

    langs (list): The languages.
    labels (list): The labels.
    """

    def __init__(self) -> None:
        self.langs: list[str] = []
        self.labels: list[str] = []
        self._lang = array("H")
        # as exact as the limits that they are compared with
        self._certainty = array("d")
        self._agreement = array("d")
        # the labels of all docs one after the other, and where those of each doc end
        self._entities = array("H")
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._lang)

    def add(self, doc: Doc, where: Path) -> None:
        """Judge a doc.

        doc (Doc): The doc.
        where (Path): Its file, for messages.
        """
        view = get_view(doc)
        judgement = doc.user_data.get(JUDGEMENT)
        if view is None or judgement is None:
            raise CrossnerError(Errors.CN520.format(path=where, text=doc.text[:60]))
        self._lang.append(_number(self.langs, view.lang))
        self._certainty.append(judgement["certainty"])
        self._agreement.append(judgement["agreement"])
        self._entities.extend(_number(self.labels, ent.label_) for ent in doc.ents)
        self._ends.append(len(self._entities))

    def lang(self, index: int) -> str:
        """Get the language of a doc."""
        return self.langs[self._lang[index]]

    def certainty(self, index: int) -> float:
        """Get the teachers' certainty on a doc."""
        return self._certainty[index]

    def agreement(self, index: int) -> float:
        """Get the teachers' agreement on a doc."""
        return self._agreement[index]

    def entities(self, index: int) -> list[str]:
        """Get the labels of a doc's entities."""
        numbers = self._entities[self._ends[index] : self._ends[index + 1]]
        return [self.labels[number] for number in numbers]


def _number(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def select(
    path: Path,
    out: Path,
    *,
    min_certainty: float = 0.0,
    min_agreement: float = 0.0,
    share: float = 1.0,
    per_language: int = 0,
    balance: bool = False,
    source: Optional[Path] = None,
    seed: int = 0,
    shard_size: int = DOCS_PER_SHARD,
) -> dict[str, Kept]:
    """Choose docs of an annotated corpus.

    path (Path): What `annotate` wrote.
    out (Path): The `.spacy` file or folder of shards to write.
    min_certainty (float): Least certainty of a doc: the F1 that the teachers expect of what they
        found in it.
    min_agreement (float): Least agreement of the teachers, or of the passes of one, on a doc.
    share (float): How many of a language's docs with each label to keep, and of those without any:
        the most certain. A doc with several labels is kept if it is among them for each.
    per_language (int): Most docs of each language. 0 keeps all.
    balance (bool): Where there are too many docs, prefer those whose labels are rare: rarer than in
        the source, or without one, rarer than others.
    source (Optional[Path]): Labelled source text to compare the labels with.
    seed (int): Decides which docs are chosen where there are too many.
    shard_size (int): Docs per file, if `out` is a folder.
    RETURNS (dict[str, Kept]): What was chosen of each language.
    """
    check_settings(
        min_certainty=min_certainty,
        min_agreement=min_agreement,
        share=share,
        per_language=per_language,
        balance=balance,
    )
    check_least("shard_size", shard_size)
    shards = find_shards(path)
    if out.resolve().is_relative_to(path.resolve()):
        raise CrossnerError(Errors.CN213.format(path=out))
    wanted = None if source is None else measure(_iter_docs(find_shards(source)))
    if wanted is not None and not wanted.labels:
        raise CrossnerError(Errors.CN522.format(path=source))
    judged = DocStats()
    for shard in tqdm(shards, desc="judge", unit=" files", disable=None, leave=False):
        for doc in read_docs(shard, Vocab()):
            judged.add(doc, shard)
    report, sure = _filter(judged, min_certainty, min_agreement)
    if share < 1.0:
        for lang, indices in sure.items():
            sure[lang] = _take_best(judged, indices, share, random.Random(f"{seed} {lang}"))
            report[lang].behind = len(indices) - len(sure[lang])
    chosen = set(_sample(judged, sure, report, per_language, balance, wanted, seed))
    if not chosen:
        raise CrossnerError(Errors.CN523.format(path=path, docs=len(judged)))
    docs = tqdm(_iter_docs(shards), total=len(judged), desc="write", disable=None, leave=False)
    kept = (doc for index, doc in enumerate(docs) if index in chosen)
    write_docs(out, _count(kept, report), 0 if out.suffix == SUFFIX else shard_size)
    if wanted is not None:
        for row in report.values():
            found = Distribution(row.labels, row.tokens)
            row.drift = round(compare(found, wanted), 4)
            row.rate = round(found.rate / wanted.rate, 4)
    return report


def check_settings(
    *,
    min_certainty: float = 0.0,
    min_agreement: float = 0.0,
    share: float = 1.0,
    per_language: int = 0,
    balance: bool = False,
) -> None:
    """Raise an error unless docs can be chosen by the settings of `select`."""
    check_range("min_certainty", min_certainty, 0.0, 1.0)
    check_range("min_agreement", min_agreement, 0.0, 1.0)
    check_range("share", share, 0.0, 1.0)
    check_least("per_language", per_language, 0)
    if balance and not per_language:
        raise CrossnerError(Errors.CN521)


def _filter(
    judged: DocStats, min_certainty: float, min_agreement: float
) -> tuple[dict[str, Kept], dict[str, list[int]]]:
    """Drop docs below the thresholds; return the counts and the remaining docs by language."""
    report = {lang: Kept() for lang in sorted(judged.langs)}
    passed: dict[str, list[int]] = {lang: [] for lang in report}
    for index in range(len(judged)):
        row = report[judged.lang(index)]
        row.docs += 1
        if judged.certainty(index) < min_certainty:
            row.unsure += 1
        elif judged.agreement(index) < min_agreement:
            row.disputed += 1
        else:
            passed[judged.lang(index)].append(index)
    return report, passed


def _take_best(
    judged: DocStats, indices: Sequence[int], share: float, rng: random.Random
) -> list[int]:
    """Choose the most certain docs with each label, and of those without any."""
    groups: dict[str, list[int]] = {}
    for index in indices:
        for label in {*judged.entities(index)} or {""}:
            groups.setdefault(label, []).append(index)
    behind: set[int] = set()
    for label in sorted(groups):
        # chance decides between docs that are as certain
        order = rng.sample(groups[label], len(groups[label]))
        order.sort(key=judged.certainty, reverse=True)
        behind.update(order[math.ceil(share * len(order)) :])
    return [index for index in indices if index not in behind]


def _sample(
    judged: DocStats,
    passed: Mapping[str, list[int]],
    report: Mapping[str, Kept],
    most: int,
    balance: bool,
    wanted: Optional[Distribution],
    seed: int,
) -> Iterator[int]:
    for lang, indices in passed.items():
        if not most or len(indices) <= most:
            yield from indices
            continue
        report[lang].spare = len(indices) - most
        rng = random.Random(f"{seed} {lang}")
        weights = [1.0] * len(indices)
        if balance:
            weights = _weigh([judged.entities(index) for index in indices], wanted)
        # the largest of these keys are a sample without replacement by weight
        keys = [math.log(1.0 - rng.random()) / weight for weight in weights]
        order = sorted(range(len(indices)), key=keys.__getitem__, reverse=True)
        yield from (indices[place] for place in order[:most])


def _weigh(docs: Sequence[Sequence[str]], wanted: Optional[Distribution]) -> list[float]:
    """Give docs weights, so that the labels of a sample are spread as they should be.

    docs (Sequence[Sequence[str]]): The labels of each doc's entities.
    wanted (Optional[Distribution]): How labels should be spread; evenly without it.
    RETURNS (list[float]): The weights. Those of docs without entities are 1.
    """
    found = Distribution(Counter(label for labels in docs for label in labels), 0)
    weight_of = {
        label: (wanted.share(label) if wanted else 1.0 / len(found.labels)) / found.share(label)
        for label in found.labels
    }
    # a label that the source does not have is not wanted, but nothing may weigh nothing
    return [
        max(sum(weight_of[label] for label in labels) / len(labels), 1e-3) if labels else 1.0
        for labels in docs
    ]


def _iter_docs(shards: Sequence[Path]) -> Iterator[Doc]:
    for shard in shards:
        # a vocab for each shard: the next one's words are others
        yield from read_docs(shard, Vocab())


def _count(docs: Iterable[Doc], report: Mapping[str, Kept]) -> Iterator[Doc]:
    for doc in docs:
        view = get_view(doc)
        row = report[view.lang if view else ""]
        row.kept += 1
        labels, tokens = measure([doc])
        row.labels.update(labels)
        row.tokens += tokens
        yield doc


def measure(docs: Iterable[Doc]) -> Distribution:
    """Count the entities per label and the tokens of docs, without masked tokens."""
    labels: Counter[str] = Counter()
    tokens = 0
    for doc in docs:
        labels.update(ent.label_ for ent in doc.ents)
        tokens += sum(token.ent_iob != 0 for token in doc)
    return Distribution(labels, tokens)


def compare(found: Distribution, wanted: Distribution) -> float:
    """Compute the total variation distance of two label distributions."""
    labels = {*found.labels, *wanted.labels}
    if not found.labels:
        return 1.0
    return sum(abs(found.share(label) - wanted.share(label)) for label in labels) / 2


def to_json(report: Mapping[str, Kept]) -> dict[str, Any]:
    """Convert a report to JSON values."""
    return {
        lang: {**vars(row), "labels": dict(row.labels), "drifts": row.drifts}
        for lang, row in report.items()
    }


def list_kept(report: Mapping[str, Kept]) -> tuple[tuple[str, ...], list[tuple]]:
    """Put a report into a table.

    report (Mapping[str, Kept]): What was chosen.
    RETURNS (tuple): The header and the rows, one for each language.
    """
    labels = sorted({label for row in report.values() for label in row.labels})
    header = ("lang", "docs", "unsure", "disputed", "behind", "spare", "kept", *labels)
    compared = any(row.drift is not None for row in report.values())
    rows = []
    for lang, row in report.items():
        total = max(sum(row.labels.values()), 1)
        shares = (f"{row.labels[label]} ({row.labels[label] / total:.0%})" for label in labels)
        cells = [lang, row.docs, row.unsure, row.disputed, row.behind, row.spare, row.kept, *shares]
        if compared:
            cells += [f"{row.drift:.2f}", f"{row.rate:.2f}"]
        rows.append(tuple(cells))
    return (*header, *(("drift", "entity rate") if compared else ())), rows
