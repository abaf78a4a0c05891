"""The sample corpus: marked sentences in a folder per language, turned into docs that train.

The folder holds `en/train-*.txt` and `en/dev.txt` (labelled), and per target language what there is
of `memory.txt` (labelled translations of training sentences, under the same ids), `unlabelled.txt`
and `test.txt`. One's own corpus can have the same shape.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spacy.tokens import Doc

from spacy_crossner.data.docs import annotate_spans, describe_cuts
from spacy_crossner.data.languages import get_tokenizer, split_at
from spacy_crossner.data.markup import Marked, read_marked
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import Kind, View, set_view
from spacy_crossner.errors import CrossnerError, Errors

SOURCE = "en"


def make_corpus(sample: Path, output: Path, languages: Sequence[str]) -> dict[str, int]:
    """Write source.spacy, dev.spacy, parallel.spacy, target.spacy and a test file per language.

    sample (Path): The folder of the sample corpus.
    output (Path): The folder to write to.
    languages (Sequence[str]): Target languages.
    RETURNS (Dict[str, int]): Number of docs in each file.
    """
    if not sample.is_dir():
        raise CrossnerError(Errors.CN202.format(path=sample))
    for language in (SOURCE, *languages):
        if not (sample / language).is_dir():
            there = sorted(path.name for path in sample.iterdir() if path.is_dir())
            raise CrossnerError(
                Errors.CN280.format(language=language, sample=sample, there=", ".join(there))
            )
    if not (sample / SOURCE / "dev.txt").is_file():
        raise CrossnerError(Errors.CN202.format(path=sample / SOURCE / "dev.txt"))
    output.mkdir(parents=True, exist_ok=True)
    train = [s for path in sorted((sample / SOURCE).glob("train*.txt")) for s in read_marked(path)]
    counts = Counter(sentence.id for sentence in train)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise CrossnerError(Errors.CN427.format(path=sample / SOURCE, id=repeated[0], lang=SOURCE))
    memories = {language: _read_memory(sample, language, train) for language in languages}
    files: dict[str, Iterable[Doc]] = {
        "source": (make_doc(s, "source", SOURCE) for s in train),
        "dev": (make_doc(s, "source", SOURCE) for s in read_marked(sample / SOURCE / "dev.txt")),
        "parallel": _iter_groups(train, memories),
        "target": _iter_targets(sample, languages),
    }
    for language in languages:
        path = sample / language / "test.txt"
        if path.exists():
            files[f"test-{language}"] = [make_doc(s, "source", language) for s in read_marked(path)]
    return {name: write_docs(output / f"{name}.spacy", docs) for name, docs in files.items()}


def make_doc(sentence: Marked, kind: Kind, language: str) -> Doc:
    """Turn a marked sentence into a doc that carries its view.

    sentence (Marked): The sentence.
    kind (str): The kind of view.
    language (str): Language code of the text.
    RETURNS (Doc): The doc; unlabelled if it is target text. If it has nested entities, all are in
        `doc.spans["sc"]`. Where an entity cuts a token, the token has no annotation.
    """
    doc = get_tokenizer(language).make_doc(sentence.text)
    labelled = kind != "target"
    doc = split_at(
        doc, (offset for span in (*sentence.spans, *sentence.nested) for offset in span[:2])
    )
    if labelled:
        cut = annotate_spans(doc, (*sentence.spans, *sentence.nested))
        # a name inside a compound word has no tokens, and the compound keeps its label
        flat = [span for span in cut if span in sentence.spans]
        for message in describe_cuts(doc, flat, f"sentence {sentence.id}"):
            warnings.warn(message, stacklevel=2)
    by_hand = labelled and kind == "translation"
    set_view(doc, View(sentence.id, kind, language, labelled=labelled, by_hand=by_hand))
    return doc


def _read_memory(sample: Path, language: str, train: list[Marked]) -> dict[str, Marked]:
    path = sample / language / "memory.txt"
    if not path.exists():
        return {}
    memory = {sentence.id: sentence for sentence in read_marked(path)}
    unknown = sorted(set(memory) - {sentence.id for sentence in train})
    if unknown:
        raise CrossnerError(Errors.CN282.format(path=path, id=unknown[0]))
    return memory


def _iter_groups(train: list[Marked], memories: dict[str, dict[str, Marked]]) -> Iterator[Doc]:
    for sentence in train:
        yield make_doc(sentence, "source", SOURCE)
        for language, memory in memories.items():
            if sentence.id in memory:
                yield make_doc(memory[sentence.id], "translation", language)


def _iter_targets(sample: Path, languages: Sequence[str]) -> Iterator[Doc]:
    for language in languages:
        path = sample / language / "unlabelled.txt"
        for sentence in read_marked(path) if path.exists() else ():
            yield make_doc(sentence, "target", language)
