"""Score a pipeline per language and entity type."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Optional, Union

import spacy
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from spacy.attrs import ENT_IOB
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import filter_spans
from spacy.vocab import Vocab

from spacy_crossner.data.groups import SPANS_KEY, label_groups
from spacy_crossner.data.readers import ParallelCorpus
from spacy_crossner.data.shards import read_docs
from spacy_crossner.data.view import get_lang
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.report.names import join_langs
from spacy_crossner.report.score import predict, score
from spacy_crossner.schemes.bio import to_iob2
from spacy_crossner.types import Mention

# Further scores in the table, with their titles.
OTHER_SCORES = {
    "nested": "nested F1",
    "inner": "inner F1",
    "seqeval": "seqeval F1",
    "seqeval_strict": "strict F1",
    "spacy": "spaCy F1",
}
# Entity types that get a column each.
MOST_COLUMNS = 6


def evaluate(
    model: Union[str, Path],
    tests: Sequence[Path],
    *,
    gold_tokens: bool = False,
    gpu_id: int = -1,
) -> dict[str, Any]:
    """Score a pipeline on labelled files, on their raw text.

    model (Union[str, Path]): A pipeline folder, or the name of an installed one.
    tests (Sequence[Path]): `.spacy` files with gold entities, or folders, of which the files
        called `test-*.spacy` are taken.
    gold_tokens (bool): Give the pipeline the tokens of the files instead of their text, and add
        what seqeval and spaCy's own scorer count there, as a cross-check.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (Dict[str, Any]): By file name: "lang", "docs", and what `score` returns; with
        `gold_tokens` also "seqeval", "seqeval_strict" and "spacy".
    """
    if gpu_id >= 0:
        spacy.require_gpu(gpu_id)
    files = find_tests(tests)
    nlp = load_pipeline(model)
    return {path.stem: score_file(nlp, path, gold_tokens=gold_tokens) for path in files}


def tabulate(scores: dict[str, Any]) -> Iterator[tuple[list[str], list[list[Any]]]]:
    """Turn scores into tables: F1 of a few types as columns, more types in a second table.

    scores (Dict[str, Any]): What `evaluate` returns.
    YIELDS (Tuple): Header and rows of each table. Columns that are zero everywhere are left out.
    """
    labels = sorted({label for values in scores.values() for label in values["per_type"]})
    columns = {key: name for key, name in OTHER_SCORES.items() if _holds(scores, key)}
    wide = len(labels) <= MOST_COLUMNS
    header = ["file", "lang", "docs", "P", "R", "F1", *(labels if wide else ())]
    rows = []
    for name, values in scores.items():
        row = [name, values["lang"], values["docs"], *(values[key] for key in "prf")]
        if wide:
            row += [values["per_type"].get(label, {}).get("f", "-") for label in labels]
        rows.append([*row, *(values[key]["f"] if key in values else "-" for key in columns)])
    yield [*header, *columns.values()], rows
    if not wide:
        yield (
            ["file", "type", "P", "R", "F1"],
            [
                [name, label, *(counts[key] for key in "prf")]
                for name, values in scores.items()
                for label, counts in values["per_type"].items()
            ],
        )


def _holds(scores: dict[str, Any], key: str) -> bool:
    """Check if a score is above zero in any file."""
    return any(values[key]["f"] for values in scores.values() if key in values)


def find_tests(paths: Sequence[Path]) -> list[Path]:
    """Find labelled files.

    paths (Sequence[Path]): `.spacy` files, or folders, of which the files called `test-*.spacy`
        are taken.
    RETURNS (List[Path]): The files, each once. No two have the same name, "test-" aside: scores
        and reports go by it.
    """
    files: dict[str, Path] = {}
    for path in paths:
        found = sorted(path.glob("test-*.spacy")) if path.is_dir() else [path]
        if not found or not found[0].exists():
            raise CrossnerError(Errors.CN610.format(path=path))
        for file in found:
            take_name(files, file.stem.removeprefix("test-"), file)
    return list(files.values())


def take_name(files: dict[str, Path], name: str, file: Path) -> None:
    """Let a file have a name, unless another file has it.

    files (Dict[str, Path]): The files by name so far; this one is added.
    name (str): What will be reported of the file goes by this.
    file (Path): The file.
    """
    first = files.setdefault(name, file)
    if first.resolve() != file.resolve():
        raise CrossnerError(Errors.CN613.format(first=first, second=file, name=name))


def score_file(nlp: Language, path: Path, *, gold_tokens: bool = False) -> dict[str, Any]:
    """Score a pipeline on one file; see `evaluate`."""
    examples = predict_file(nlp, path, gold_tokens=gold_tokens)
    lang = join_langs(get_lang(example.reference) for example in examples)
    scores = {"lang": lang, "docs": len(examples), **score(examples)}
    del scores["counts"]  # one row per doc: only significance tests need them
    return {**scores, **cross_check(examples)} if gold_tokens else scores


def read_examples(nlp: Language, path: Path, limit: int = 0) -> list[Example]:
    """Read text that has gold entities.

    nlp (Language): The pipeline.
    path (Path): A `.spacy` file.
    limit (int): How many docs to read; 0 takes all.
    RETURNS (List[Example]): The docs.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN610.format(path=path))
    examples = list(islice(ParallelCorpus([path])(nlp), limit or None))
    if not any(example.reference.ents for example in examples):
        raise CrossnerError(Errors.CN612.format(path=path))
    return examples


def read_gold_docs(path: Path, limit: int = 0) -> list[Doc]:
    """Read labelled docs.

    path (Path): A `.spacy` file, in which at least one doc has annotation.
    limit (int): How many docs to read; 0 reads all.
    RETURNS (List[Doc]): The docs that have tokens.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN610.format(path=path))
    docs = list(islice(filter(len, read_docs(path, Vocab())), limit or None))
    for doc in docs:
        group = label_groups(doc).get(SPANS_KEY)
        if group and not doc.has_annotation("ENT_IOB"):
            doc.set_ents(filter_spans(group))  # the outermost
    if not any(doc.has_annotation("ENT_IOB") for doc in docs):
        raise CrossnerError(Errors.CN612.format(path=path))
    return docs


def predict_file(nlp: Language, path: Path, *, gold_tokens: bool = False) -> list[Example]:
    """Let a pipeline predict the entities of labelled text.

    nlp (Language): The pipeline.
    path (Path): A `.spacy` file with gold entities.
    gold_tokens (bool): Keep the tokens of the file.
    RETURNS (List[Example]): Predictions and gold.
    """
    return predict(nlp, read_gold_docs(path), gold_tokens=gold_tokens, title=path.stem)


def cross_check(examples: Sequence[Example]) -> dict[str, Any]:
    """Count with other scorers what was predicted on gold tokens.

    examples (Sequence[Example]): Predictions and gold on the same tokens.
    RETURNS (Dict[str, Any]): Under "seqeval" (as conlleval counts), "seqeval_strict" (valid IOB2
        only) and "spacy": "p", "r", "f" in percent, and "per_type" with the same.
    """
    gold = [tags_of(example.reference) for example in examples]
    found = [tags_of(example.predicted, example.reference) for example in examples]
    return {
        "seqeval": _report(classification_report(gold, found, output_dict=True, zero_division=0)),
        "seqeval_strict": _report(
            classification_report(
                gold, found, output_dict=True, zero_division=0, mode="strict", scheme=IOB2
            )
        ),
        "spacy": _spacy_report(get_ner_prf(examples)),
    }


def tags_of(doc: Doc, gold: Optional[Doc] = None) -> list[str]:
    """Read the entities of a doc as tags.

    doc (Doc): The doc.
    gold (Optional[Doc]): What it will be compared with, on the same tokens. Entities that touch a
        token without annotation there can be neither right nor wrong, and are left out.
    RETURNS (List[str]): The IOB2 tags.
    """
    known = (doc if gold is None else gold).to_array(ENT_IOB).reshape(-1) != 0
    mentions = [Mention.of(ent) for ent in doc.ents if known[ent.start : ent.end].all()]
    return to_iob2(mentions, len(doc))


def _report(report: dict[str, Any]) -> dict[str, Any]:
    figures = {
        name: {
            "p": _percent(values["precision"]),
            "r": _percent(values["recall"]),
            "f": _percent(values["f1-score"]),
        }
        for name, values in report.items()
    }
    types = {name: values for name, values in figures.items() if not name.endswith(" avg")}
    return {**figures["micro avg"], "per_type": types}


def _spacy_report(scores: dict[str, Any]) -> dict[str, Any]:
    per_type = scores["ents_per_type"] or {}
    return {
        **{key: _percent(scores[f"ents_{key}"] or 0.0) for key in "prf"},
        "per_type": {
            name: {key: _percent(values[key]) for key in "prf"} for name, values in per_type.items()
        },
    }


def _percent(value: float) -> float:
    return round(100.0 * float(value), 2)
