"""The data sets of the benchmark: original files in, one folder of docs in a fixed shape out.

Such a folder holds `parallel.spacy` (labelled source sentences, each followed by its views),
`dev.spacy` (labelled source text that calibrates), `target.spacy` (text of the target languages
without labels), `test-*.spacy`, and perhaps `bitext.spacy` (sentences without labels, each followed
by its translations). The labels of the target languages are in the test files alone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Optional

import srsly
from spacy.tokens import Doc
from spacy.training import biluo_tags_to_spans
from spacy.vocab import Vocab
from wasabi import msg

from spacy_crossner.data.convert import Converter, Report
from spacy_crossner.data.sample import make_corpus
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors, NoTranslationError
from spacy_crossner.files import atomic_folder
from spacy_crossner.lexicon.build import make_lexicon
from spacy_crossner.lexicon.codeswitch import codeswitch
from spacy_crossner.translate.engines import EngineSettings
from spacy_crossner.translate.run import translate

SOURCE = "en"
# What a data set calls otherwise, or does not call PER, ORG or LOC.
NOT_SHARED = ("MISC", "OTH", "PRO", "EVENT", "DATE")
UNER_TESTS = {"pt": "pt_bosque", "hr": "hr_set", "sv": "sv_talbanken", "zh": "zh_gsd"}
# Japanese GSD: types of OntoNotes, in the MISC column of CoNLL-U.
JAPANESE = "ja_gsd"
JAPANESE_TYPES = {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC"}
OTHER_TESTS = {
    "de-europarl": ("de", "europarl/de-europarl.test.conll02"),
    "es-europarl": ("es", "europarl/es-europarl.test.conll02"),
    "fi-turku": ("fi", "turku_fi/test.tsv"),
}
WIKTIONARY = {"hr": "sh", "zh": "cmn"}
# Beside the target languages, if Apertium can.
ALSO_TRANSLATED = ("es", "ca")
WIKIANN_SOURCE = 5000
WIKIANN_DEV = 1000
# As many sentences as English EWT dev has.
SUPERVISED_SOURCE = 2001
SUPERVISED_DEV = 500
SEED = 0
# What a corpus was made of.
MADE = "dataset.json"


@dataclass(frozen=True)
class Dataset:
    """A data set.

    targets (Tuple[str, ...]): Names of the tests that the average is taken over.
    folder (Path): Where its files are looked for, if nothing else is said.
    make (Callable): Writes the corpus: gets the folder of files, the corpus folder and the number
        of unlabelled sentences of each target language.
    """

    targets: tuple[str, ...]
    folder: Path
    make: Callable[[Path, Path, int], None]


def prepare(name: str, corpus: Path, data: Optional[Path] = None, unlabelled: int = 1000) -> None:
    """Write the corpus of a data set, unless it is there. One of another data set, or with another
    number of unlabelled sentences, is refused.

    name (str): A name out of `DATASETS`.
    corpus (Path): The folder to write.
    data (Optional[Path]): The folder of the original files; None takes the data set's own.
    unlabelled (int): How many sentences of each target language to take as unlabelled text.
    """
    dataset = get_dataset(name)
    made = {"dataset": name, "unlabelled": unlabelled}
    if corpus.exists() and (not corpus.is_dir() or any(corpus.iterdir())):
        if not (corpus / MADE).is_file():
            raise CrossnerError(Errors.CN647.format(path=corpus, name=name))
        if (found := srsly.read_json(corpus / MADE)) != made:
            raise CrossnerError(
                Errors.CN639.format(
                    path=corpus, found=found["dataset"], unlabelled=found["unlabelled"]
                )
            )
        return
    with atomic_folder(corpus) as folder:
        dataset.make(data or dataset.folder, folder, unlabelled)
        srsly.write_json(folder / MADE, made)


def get_dataset(name: str) -> Dataset:
    """Look up a data set by name."""
    if name not in DATASETS:
        raise CrossnerError(Errors.CN630.format(name=name, known=", ".join(DATASETS)))
    return DATASETS[name]


def make_sample(data: Path, corpus: Path, unlabelled: int) -> None:
    """Write the corpus of the sample sentences; see `prepare`."""
    if not data.is_dir():
        raise CrossnerError(Errors.CN631.format(path=data, name="sample"))
    languages = sorted(path.name for path in data.iterdir() if (path / "test.txt").exists())
    make_corpus(data, corpus, [language for language in languages if language != SOURCE])


def make_uner(data: Path, corpus: Path, unlabelled: int) -> None:
    """Write the corpus of Universal NER; see `prepare`. English EWT dev trains; the first half of
    its test calibrates, the second half is the English test. Japanese GSD is a test beside those
    of Universal NER, and adds unlabelled text."""
    file = partial(_find_uner, data)
    english = list(convert_labelled(file("en_ewt", "test"), SOURCE))
    middle = len(english) // 2
    write_docs(corpus / "dev.spacy", english[:middle])
    write_docs(corpus / "test-en.spacy", english[middle:])
    for lang, name in UNER_TESTS.items():
        write_docs(corpus / f"test-{lang}.spacy", convert_labelled(file(name, "test"), lang))
    for name, (lang, path) in OTHER_TESTS.items():
        if (data / path).exists():
            write_docs(corpus / f"test-{name}.spacy", convert_labelled(data / path, lang))
    texts = {lang: file(name, "train") for lang, name in UNER_TESTS.items()}
    japanese = data / JAPANESE
    if japanese.exists():
        docs = read_japanese(japanese / "ja_gsd-ud-test.ne.conllu")
        write_docs(corpus / "test-ja.spacy", docs)
        texts["ja"] = find_japanese_text(japanese, corpus)
    else:
        msg.warn(f"{japanese} is missing, so Japanese is left out")
    _write_targets(corpus, texts, unlabelled)
    _write_views(data, corpus, convert_labelled(file("en_ewt", "dev"), SOURCE), tuple(UNER_TESTS))


def make_wikiann(data: Path, corpus: Path, unlabelled: int) -> None:
    """Write the corpus of WikiANN; see `prepare`."""

    def file(lang: str, part: str) -> Path:
        return data / "wikiann" / f"{lang}-{part}.conll"

    targets = DATASETS["wikiann"].targets
    dev = convert_labelled(file(SOURCE, "val"), SOURCE)
    write_docs(corpus / "dev.spacy", islice(dev, WIKIANN_DEV))
    for lang in (SOURCE, *targets):
        write_docs(corpus / f"test-{lang}.spacy", convert_labelled(file(lang, "test"), lang))
    _write_targets(corpus, {lang: file(lang, "train") for lang in targets}, unlabelled)
    source = islice(convert_labelled(file(SOURCE, "train"), SOURCE), WIKIANN_SOURCE)
    _write_views(data, corpus, source, targets)


def make_supervised(lang: str, data: Path, corpus: Path, unlabelled: int) -> None:
    """Write the corpus of an upper bound, with labels in the target language itself: as many
    training sentences as English has train, the next ones calibrate; see `prepare`.

    lang (str): The target language.
    data (Path): The folder of the original files.
    corpus (Path): The folder to write.
    unlabelled (int): How many sentences to take as unlabelled text.
    """
    train, test = (_find_uner(data, UNER_TESTS[lang], part) for part in ("train", "test"))
    labelled = convert_labelled(train, lang)
    write_docs(corpus / "parallel.spacy", islice(labelled, SUPERVISED_SOURCE))
    write_docs(corpus / "dev.spacy", islice(labelled, SUPERVISED_DEV))
    write_docs(corpus / f"test-{lang}.spacy", convert_labelled(test, lang))
    _write_targets(corpus, {lang: train}, unlabelled)


def _find_uner(data: Path, name: str, part: str) -> Path:
    return data / "uner" / f"{name}-ud-{part}.iob2"


def convert_labelled(path: Path, lang: str, drop: Collection[str] = NOT_SHARED) -> Iterator[Doc]:
    """Read a file of gold labels, with its own tokens.

    path (Path): The file.
    lang (str): Language code of the text.
    drop (Collection[str]): Labels that count as no entity.
    YIELDS (Doc): The docs with their views.
    """
    yield from _read(path, Converter(lang, {}, drop, False, "gold", "missing", Report()))


def read_japanese(path: Path) -> Iterator[Doc]:
    """Read gold labels of Japanese GSD: BILUO tags such as `NE=B-ORG` in the MISC column.

    path (Path): The CoNLL-U file.
    YIELDS (Doc): The docs with their views, on the file's tokens.
    """
    if not path.exists():
        raise CrossnerError(Errors.CN631.format(path=path, name=JAPANESE))
    vocab = Vocab()
    blocks = path.read_text(encoding="utf8").strip().split("\n\n")
    for number, block in enumerate(blocks, start=1):
        rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        rows = [row for row in rows if row[0].isdigit()]
        miscs = [dict(item.partition("=")[::2] for item in row[9].split("|")) for row in rows]
        tags = [misc.get("NE", "O") for misc in miscs]
        spaces = [misc.get("SpaceAfter") != "No" for misc in miscs[:-1]]
        doc = Doc(vocab, words=[row[1] for row in rows], spaces=[*spaces, False])
        ents = [ent for ent in biluo_tags_to_spans(doc, tags) if ent.label_ in JAPANESE_TYPES]
        for ent in ents:
            ent.label_ = JAPANESE_TYPES[ent.label_]
        doc.set_ents(ents, default="outside")
        set_view(doc, View(f"{JAPANESE}-{path.stem}-{number}", lang="ja"))
        yield doc


def find_japanese_text(folder: Path, corpus: Path) -> Path:
    """Find the text of Japanese GSD's train sentences, or write it.

    folder (Path): The folder with the text, or with the train file in spaCy's format.
    corpus (Path): The folder to write to.
    RETURNS (Path): A file with a sentence a line.
    """
    plain, docs = folder / "train-text.txt", folder / "ja_gsd-ud-train.ne.spacy"
    if plain.exists():
        return plain
    if not docs.exists():
        raise CrossnerError(Errors.CN631.format(path=docs, name=JAPANESE))
    sents = (sent for doc in read_docs(docs, Vocab()) for sent in doc.sents)
    text = corpus / "ja_gsd-train.txt"
    text.write_text("".join(f"{sent.text.strip()}\n" for sent in sents), encoding="utf8")
    return text


def read_unlabelled(path: Path, lang: str) -> Iterator[Doc]:
    """Read a file as plain text, without its labels and tokens.

    path (Path): The file.
    lang (str): Language code of the text.
    YIELDS (Doc): The docs with their views.
    """
    # the tokenizer of the pipelines, whatever the language is
    converter = Converter("xx", {}, (), True, "text", "missing", Report())
    for doc in _read(path, converter):
        view = get_view(doc)
        if view is not None:
            view.lang = lang
        set_view(doc, view)
        yield doc


def _read(path: Path, converter: Converter) -> Iterator[Doc]:
    if not path.exists():
        raise CrossnerError(Errors.CN631.format(path=path, name=path.parent.name))
    format = "text" if path.suffix == ".txt" else "auto"
    return converter.iter_file(path, f"{path.parent.name}-{path.stem}", format)


def _write_targets(corpus: Path, texts: dict[str, Path], limit: int) -> None:
    docs = (islice(read_unlabelled(path, lang), limit) for lang, path in texts.items())
    write_docs(corpus / "target.spacy", chain.from_iterable(docs))


def _write_views(data: Path, corpus: Path, source: Iterable[Doc], targets: tuple[str, ...]) -> None:
    """Write the source sentences, and together with their views as `parallel.spacy`; and text that
    only has translations, as `bitext.spacy`."""
    plain = corpus / "source.spacy"
    write_docs(plain, source)
    views = list(_translate(plain, corpus, targets))
    lexicons = dict(_make_lexicons(data / "wiktionary", corpus, targets))
    if lexicons:
        views.append(corpus / "codeswitch.spacy")
        codeswitch(plain, views[-1], lexicons, seed=SEED, views_only=True)
    else:
        msg.warn(
            f"{data / 'wiktionary'} has no dictionaries, so no code-switched views are created"
        )
    merge(corpus / "parallel.spacy", plain, views)
    _write_bitext(data / "ud_pud", corpus, targets)


def _translate(plain: Path, corpus: Path, targets: tuple[str, ...]) -> Iterator[Path]:
    """Translate into each language that Apertium supports and yield the files of views."""
    missing = []
    for lang in dict.fromkeys((*targets, *ALSO_TRANSLATED)):
        out = corpus / f"translation-{lang}.spacy"
        try:
            translate(plain, out, source=SOURCE, targets=[lang], engine="apertium", progress=True)
        except NoTranslationError:
            missing.append(lang)
        else:
            yield out
    if missing:
        msg.warn(f"Apertium has no translations from {SOURCE} into {', '.join(missing)}")


def _write_bitext(folder: Path, corpus: Path, targets: tuple[str, ...]) -> None:
    """Write sentences without labels, each followed by its human translations."""
    english = folder / f"{SOURCE}_pud-ud-test.conllu"
    known = [lang for lang in targets if (folder / f"{lang}_pud-ud-test.conllu").exists()]
    if not english.exists() or not known:
        msg.warn(f"{folder} has no parallel sentences, so no unlabelled views are created")
        return
    docs = list(read_unlabelled(english, SOURCE))
    for doc in docs:
        view = get_view(doc)
        if view is not None:
            view.kind = "source"
        set_view(doc, view)
    plain = corpus / "bitext-source.spacy"
    write_docs(plain, docs)
    memory = [english, *(folder / f"{lang}_pud-ud-test.conllu" for lang in known)]
    translate(
        plain,
        corpus / "bitext.spacy",
        source=SOURCE,
        targets=known,
        engine="memory",
        settings=EngineSettings(memory=memory),
    )


def _make_lexicons(
    folder: Path, corpus: Path, targets: tuple[str, ...]
) -> Iterator[tuple[str, Path]]:
    for lang in targets:
        dictionary = folder / f"en-{WIKTIONARY.get(lang, lang)}-enwiktionary.txt"
        if dictionary.exists():
            out = corpus / f"lexicon-{lang}.tsv"
            make_lexicon(out, SOURCE, lang, wiktionary=[dictionary])
            yield lang, out


def merge(out: Path, source: Path, views: Iterable[Path]) -> int:
    """Put the views of several files behind their sources.

    out (Path): The file to write.
    source (Path): The file of source sentences.
    views (Iterable[Path]): Files of views, with or without the sources.
    RETURNS (int): The number of docs.
    """
    vocab = Vocab()
    groups = {get_group(doc): [doc] for doc in read_docs(source, vocab)}
    for doc in chain.from_iterable(read_docs(path, vocab) for path in views):
        view = get_view(doc)
        if view is not None and view.kind != "source":
            groups[view.group].append(doc)
    return write_docs(out, chain.from_iterable(groups.values()))


OPTIONAL = Path("assets") / "optional"
DATASETS = {
    "sample": Dataset(
        ("de", "es", "fr", "ja", "nl", "pt", "th", "zh"), Path("assets") / "sample", make_sample
    ),
    "uner": Dataset(tuple(UNER_TESTS), OPTIONAL, make_uner),
    "wikiann": Dataset(("de", "es", "nl", "ru"), OPTIONAL, make_wikiann),
    **{
        f"supervised-{lang}": Dataset((lang,), OPTIONAL, partial(make_supervised, lang))
        for lang in UNER_TESTS
    },
}
