"""Count what a corpus holds, reading one shard at a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spacy.tokens import Doc
from spacy.vocab import Vocab
from wasabi import table

from spacy_crossner.data.groups import annotated_tokens, list_labels, list_nested
from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import View, get_view
from spacy_crossner.errors import CrossnerError, Errors

NO_VIEW = "no view"


@dataclass
class Row:
    """Counts of the docs of one kind and language.

    docs (int): Docs.
    tokens (int): Their tokens.
    labelled (int): Docs whose entities may be trained on.
    unannotated (int): Docs without any annotation of entities.
    masked (int): Tokens without annotation in docs that have some.
    links (int): Docs with links to the source view.
    soft (int): Docs with soft targets.
    soft_bytes (int): The size of the soft targets.
    weight (float): The sum of the docs' weights.
    """

    docs: int = 0
    tokens: int = 0
    labelled: int = 0
    unannotated: int = 0
    masked: int = 0
    links: int = 0
    soft: int = 0
    soft_bytes: int = 0
    weight: float = 0.0


@dataclass
class Group:
    """The views of one sentence, and how many of them the fullest file has.

    views (Set[Tuple[str, str]]): Kinds and languages in all files.
    here (Set[Tuple[str, str]]): Those of the file that is being read.
    shard (int): Number of that file.
    most (int): Largest number of kinds and languages in one file.
    """

    views: set[tuple[str, str]] = field(default_factory=set)
    here: set[tuple[str, str]] = field(default_factory=set)
    shard: int = 0
    most: int = 0

    def add(self, view: View, shard: int) -> None:
        """Count a view that was found in a file."""
        if shard != self.shard:
            self.here, self.shard = set(), shard
        self.views.add((view.kind, view.lang))
        self.here.add((view.kind, view.lang))
        self.most = max(self.most, len(self.here))

    @property
    def is_scattered(self) -> bool:
        """Whether no file has all views."""
        return self.most < len(self.views)


@dataclass
class Summary:
    """The counts of a corpus.

    shards (int): Its files.
    rows (dict): Counts by kind of view and language.
    labels (dict): Entities by language and label.
    nested (dict): Entities inside or across those, or with their parts apart, likewise.
    group_sizes (Counter): Number of groups by number of views.
    scattered (int): Groups whose views are in several files, none of which has all of them.
    """

    shards: int = 0
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    nested: dict[str, Counter[str]] = field(default_factory=dict)
    group_sizes: Counter[int] = field(default_factory=Counter)
    scattered: int = 0

    @property
    def docs(self) -> int:
        """Number of docs."""
        return sum(row.docs for row in self.rows.values())

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return sum(row.tokens for row in self.rows.values())


def inspect(paths: Sequence[Path]) -> Summary:
    """Count what a corpus holds.

    paths (Sequence[Path]): `.spacy` files, or folders of them.
    RETURNS (Summary): The counts.
    """
    summary = Summary()
    sizes: Counter[str] = Counter()
    groups: dict[str, Group] = {}
    for shard in (shard for path in paths for shard in find_shards(path)):
        summary.shards += 1
        # a vocab for each shard: the next one's words are others
        for doc in read_docs(shard, Vocab()):
            view = _read_view(doc, shard)
            _count(doc, view, summary)
            if view is None:
                continue
            groups.setdefault(view.group, Group()).add(view, summary.shards)
            sizes[view.group] += 1
    summary.group_sizes = Counter(sizes.values())
    summary.scattered = sum(group.is_scattered for group in groups.values())
    return summary


def _read_view(doc: Doc, shard: Path) -> View | None:
    try:
        return get_view(doc)
    except CrossnerError as error:
        raise CrossnerError(Errors.CN217.format(path=shard, problem=error)) from None


def _count(doc: Doc, view: View | None, summary: Summary) -> None:
    kind, lang = (NO_VIEW, "-") if view is None else (view.kind, view.lang)
    row = summary.rows.setdefault((kind, lang), Row())
    missing = len(doc) - int(annotated_tokens(doc).sum())
    row.docs += 1
    row.tokens += len(doc)
    row.unannotated += missing == len(doc)
    row.masked += missing if missing < len(doc) else 0
    summary.labels.setdefault(lang, Counter()).update(list_labels(doc))
    if doc.has_annotation("ENT_IOB") and (nested := list_nested(doc)):
        summary.nested.setdefault(lang, Counter()).update(nested)
    row.labelled += missing < len(doc) if view is None else view.labelled
    if view is not None:
        row.weight += view.weight
        row.links += view.links is not None
        if view.soft is not None:
            row.soft += 1
            row.soft_bytes += view.soft.nbytes


def render(summary: Summary) -> str:
    """Put a summary into tables.

    summary (Summary): The counts.
    RETURNS (str): The text.
    """
    head = f"{summary.docs} docs, {summary.tokens} tokens, {summary.shards} files"
    return "\n".join(
        [
            head,
            _render_views(summary),
            _render_groups(summary),
            _render_labels(summary.labels, "Entities"),
            *([_render_labels(summary.nested, "Nested")] if summary.nested else []),
        ]
    )


def _render_views(summary: Summary) -> str:
    header = ["View", "Lang", "Docs", "Tokens", "Labelled", "Not annotated", "Masked tokens"]
    header += ["Links", "Soft targets", "Soft bytes", "Weight"]
    rows = [
        (
            *key,
            row.docs,
            row.tokens,
            row.labelled,
            row.unannotated,
            row.masked,
            row.links,
            f"{row.soft} ({row.soft / row.docs:.0%})",
            row.soft_bytes,
            f"{row.weight / row.docs:.2f}" if row.weight else "-",
        )
        for key, row in sorted(summary.rows.items())
    ]
    return _render_table(header, rows, 2)


def _render_groups(summary: Summary) -> str:
    rows = [(size, count) for size, count in sorted(summary.group_sizes.items())]
    text = _render_table(["Views in a group", "Groups"], rows, 0)
    if summary.scattered:
        text += (
            f"{summary.scattered} groups lie in several files. Write the views of a group into "
            "one file, or they never meet in a batch.\n"
        )
    return text


def _render_labels(found: Mapping[str, Counter[str]], title: str) -> str:
    labels = sorted({label for counts in found.values() for label in counts})
    rows = [
        (lang, *(counts[label] for label in labels), sum(counts.values()))
        for lang, counts in sorted(found.items())
    ]
    header = [title, *labels, "All"]
    return _render_table(header, rows, 1)


def _render_table(header: Sequence[str], rows: Sequence[tuple], n_left: int) -> str:
    aligns: list[Literal["r", "c", "l"]] = ["l"] * n_left
    aligns += ["r"] * (len(header) - n_left)
    return table(rows, header=header, divider=True, aligns=aligns)
