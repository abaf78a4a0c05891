"""Write a project for one's own labels and languages, and check the data on the way."""

import filecmp
import os
import re
import shlex
import shutil
import unicodedata
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Optional

from jinja2 import Environment, PackageLoader
from spacy.tokens import Doc
from spacy.vocab import Vocab
from wasabi import msg

from spacy_crossner.checks import check_range
from spacy_crossner.data.convert import Report, convert
from spacy_crossner.data.encoding import read_lines
from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.shards import find_files, read_docs, write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.distil.inputs import iter_texts
from spacy_crossner.errors import CrossnerError, Errors, NoModelError, NoTranslationError
from spacy_crossner.files import atomic_folder, make_parent, scratch_beside, write_file
from spacy_crossner.lexicon.dictionaries import freedict_indexes
from spacy_crossner.pipeline.gold import reference_mentions
from spacy_crossner.start.check import (
    CODE,
    check_language,
    check_path,
    check_plain,
    drop_seen,
    find_oddities,
)
from spacy_crossner.start.plan import Plan, Target, read_plan, write_plan
from spacy_crossner.training.recipes import FILE as RECIPES
from spacy_crossner.training.recipes import find_configs, find_folder, find_recipe
from spacy_crossner.translate.engine_memory import read_rows
from spacy_crossner.translate.engines import AUTO, EngineSettings, Segment, make_engine

PLAN = "crossner.json"
PROJECT = "project.yml"
README = "README.md"
# Hold out one in this many sentences for selection and calibration, unless --dev is given.
DEV_SHARE = 10
PLAIN = (".txt", ".jsonl")


@dataclass
class Files:
    """What a person has, by target language where it belongs to one.

    text (Mapping[str, Path]): Plain text.
    labels (Mapping[str, Path]): A few labelled sentences to train on.
    test (Mapping[str, Path]): Labelled test sentences.
    dictionary (Mapping[str, Path]): Tables of words, or Wiktionary files (.txt).
    memory (Sequence[Path]): Translation memories.
    model (str): A translation model.
    format (str): Format of the labelled files; see `convert`.
    label_weight (float): Weight of the few labelled sentences in the training loss.
    """

    text: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, Path] = field(default_factory=dict)
    test: Mapping[str, Path] = field(default_factory=dict)
    dictionary: Mapping[str, Path] = field(default_factory=dict)
    memory: Sequence[Path] = ()
    model: str = ""
    format: str = "auto"
    label_weight: float = 1.0


def parse_labels(values: Iterable[str]) -> tuple[Optional[Path], dict[str, Path]]:
    """Read the labelled files: one of the source language, and a few labels of target languages.

    values (Iterable[str]): E.g. "labels.jsonl", "it=few.jsonl".
    RETURNS (tuple[Optional[Path], dict[str, Path]]): The first, and the others by language.
    """
    source: Optional[Path] = None
    few: dict[str, Path] = {}
    for value in values:
        lang, equals, path = value.partition("=")
        # a file may have such a name
        if equals and path and CODE.fullmatch(lang) and not Path(value).exists():
            if lang in few:
                paths = f"{few[lang]}, {path}"
                raise CrossnerError(Errors.CN838.format(lang=lang, paths=paths))
            few[lang] = Path(path)
        elif source is not None:
            raise CrossnerError(
                Errors.CN838.format(lang="the source language", paths=f"{source}, {value}")
            )
        else:
            source = Path(value)
    return source, few


def parse_files(values: Iterable[str]) -> dict[str, Path]:
    """Read settings such as "it=italian.txt".

    values (Iterable[str]): The settings.
    RETURNS (Dict[str, Path]): Files by language.
    """
    files: dict[str, Path] = {}
    for value in values:
        lang, _, path = value.partition("=")
        if not lang or not path or lang in files:
            raise CrossnerError(Errors.CN036.format(value=value))
        files[lang] = Path(path)
    return files


def init(
    folder: Path,
    labels: Path,
    source: str,
    targets: Sequence[str],
    files: Files,
    *,
    dev: Optional[Path] = None,
    recipe: str = "crossner",
    encoder: str = "embedded",
    gpu_id: int = -1,
) -> tuple[Plan, list[Report]]:
    """Write a project folder that is ready to run.

    folder (Path): The folder to make.
    labels (Path): Labelled sentences, in any format that `convert` reads.
    source (str): Their language.
    targets (Sequence[str]): The languages to find entities in.
    files (Files): What there is for them.
    dev (Optional[Path]): Labelled source sentences to select and calibrate on. Without them, a
        tenth of the labels is kept back for that.
    recipe (str): The recipe to train.
    encoder (str): "embedded", a folder, or a name on the Hugging Face hub.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (Tuple[Plan, List[Report]]): What the project will do, and what was wrong with files.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CrossnerError(Errors.CN032.format(folder=folder))
    if folder.resolve() == Path.cwd():
        raise CrossnerError(Errors.CN038.format(name=folder.resolve().name))
    find_recipe(recipe)
    check_range("label_weight", files.label_weight, 0.0)
    for what, value in (("encoder", encoder), ("model", files.model), ("folder", str(folder))):
        check_plain(value, what)
    _check_languages(source, targets, files)
    check_path(labels)
    if Path(encoder).is_dir():
        encoder = Path(encoder).resolve().as_posix()
    with atomic_folder(folder.resolve()) as new:
        data = new / "data"
        data.mkdir()
        reports = _write_labels(labels, dev, source, data, files.format)
        counts = reports[0]
        plan = Plan(source, dict(counts.entities), counts.docs, counts.tokens)
        plan.recipe, plan.encoder, plan.gpu_id = recipe, encoder, gpu_id
        plan.name = make_name(folder.resolve().name)
        plan.oddities = find_oddities(read_docs(data / "source.spacy", Vocab()), labels)
        if dev is None:
            plan.kept_back = sum(1 for _ in read_docs(data / "dev.spacy", Vocab()))
        reports += _add_targets(plan, targets, files, data)
        shutil.copytree(find_folder(), new / "configs", ignore=_not_configs)
        write_plan(plan, new / PLAN)
        for name in (PROJECT, README, ".gitignore"):
            (new / name).write_text(render(name, plan), encoding="utf8")
    return plan, reports


def make_name(folder: str) -> str:
    """Make the name of a project's wheels from that of its folder.

    folder (str): The folder's name.
    RETURNS (str): An identifier of ASCII letters, digits and underscores.
    """
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"\W+", "_", plain).strip("_")
    if not name or not name.isidentifier():
        name = f"ner_{name}".rstrip("_")
    return name


def add_languages(
    folder: Path, targets: Sequence[str], files: Files
) -> tuple[Plan, list[Report], bool]:
    """Add target languages to a project, or files to those that it has.

    folder (Path): A folder that `init` has made.
    targets (Sequence[str]): The languages.
    files (Files): What there is for them.
    RETURNS (Tuple[Plan, List[Report], bool]): What the project will do, what was wrong with
        files, and whether its project.yml had been changed, by hand or since another version made
        it: then the old one is kept as project.yml.old.
    """
    plan = read_plan(folder / PLAN)
    _check_languages(plan.source, targets, files)
    before = render_project(plan)
    reports = _add_targets(plan, targets, files, folder / "data")
    path = folder / PROJECT
    changed = path.exists() and path.read_text(encoding="utf8") != before
    if changed:
        shutil.copy(path, folder / f"{PROJECT}.old")
    write_file(path, render_project(plan))
    write_plan(plan, folder / PLAN)
    return plan, reports, changed


def _check_languages(source: str, targets: Sequence[str], files: Files) -> None:
    if not targets:
        raise CrossnerError(Errors.CN834)
    for lang in (source, *targets):
        check_language(lang)
    if source in targets:
        raise CrossnerError(Errors.CN402.format(lang=source))
    kinds = (files.text, files.labels, files.test, files.dictionary)
    by_language = [pair for kind in kinds for pair in kind.items()]
    for lang, _ in by_language:
        if lang not in targets:
            raise CrossnerError(Errors.CN033.format(lang=lang, known=", ".join(targets)))
    for path in (*(path for _, path in by_language), *files.memory):
        check_path(path)


def _not_configs(folder: str, names: list[str]) -> set[str]:
    return set(names) - {RECIPES, *(path.name for path in find_configs().values())}


def _write_labels(
    labels: Path, dev: Optional[Path], source: str, data: Path, format: str
) -> list[Report]:
    """Convert the labels into training and dev docs; return the training data's report first."""
    path = data / "source.spacy"
    report = convert([labels], path, lang=source, format=format)
    if not report.entities:
        raise CrossnerError(Errors.CN034.format(path=labels))
    docs = list(read_docs(path, Vocab()))
    if dev is not None:
        dev_report = convert([dev], data / "dev.spacy", lang=source, format=format)
        known, found = _find_types(docs), _find_types(read_docs(data / "dev.spacy", Vocab()))
        if not found:
            raise CrossnerError(Errors.CN040.format(path=dev))
        if not found <= known:
            raise CrossnerError(
                Errors.CN039.format(
                    path=dev,
                    label=min(found - known),
                    labels=labels,
                    known=", ".join(sorted(known)),
                )
            )
        return [report, dev_report]
    train, kept_back = _split(docs)
    if not kept_back:
        raise CrossnerError(Errors.CN034.format(path=labels))
    if not _find_types(kept_back):
        raise CrossnerError(Errors.CN040.format(path=labels))
    write_docs(data / "dev.spacy", kept_back)
    write_docs(path, train)
    rest = Report(problems=report.problems, skipped=report.skipped)
    for doc in train:
        rest.add_doc(doc)
    return [rest]


def _split(docs: Sequence[Doc]) -> tuple[list[Doc], list[Doc]]:
    """Split docs into training docs and a tenth for dev."""
    train: list[Doc] = []
    kept_back: list[Doc] = []
    types = [_find_types([doc]) for doc in docs]
    # counted apart, or all that is kept back could be sentences without an entity
    places = {True: count(), False: count(1)}
    chosen = [next(places[bool(found)]) % DEV_SHARE == 0 for found in types]
    known = set().union(*(found for found, kept in zip(types, chosen, strict=True) if not kept))
    for doc, found, wanted in zip(docs, types, chosen, strict=True):
        # a component can't be calibrated on a type that it did not learn
        if wanted and found <= known:
            kept_back.append(doc)
        else:
            train.append(doc)
            known |= found
    return train, kept_back


def _find_types(docs: Iterable[Doc]) -> set[str]:
    return {mention.label for doc in docs for mention in reference_mentions(doc, SPANS_KEY)}


def _add_targets(plan: Plan, targets: Sequence[str], files: Files, data: Path) -> list[Report]:
    reports = []
    for path in files.memory:
        for lang in targets:
            # before it is copied: what is wrong with it is told by the name that the user knows
            deque(read_rows([path], plan.source, lang), maxlen=0)
    plan.model = _find_model(files.model, plan.source, [*plan.targets, *targets]) or plan.model
    # nothing is replaced before all of it has been checked
    with scratch_beside(data) as fresh:
        for path in files.memory:
            _take_memory(path, data, fresh)
        for lang in targets:
            target = plan.targets.setdefault(lang, Target())
            if lang in files.labels:
                reports.append(_take_labels(plan, lang, files, data, fresh))
            if lang in files.test:
                place = fresh / f"test-{lang}.spacy"
                reports.append(convert([files.test[lang]], place, lang=lang, format=files.format))
                target.test = True
            _keep_apart(lang, files, data, fresh)
            if lang in files.text:
                target.text, target.words, report = _take_text(files.text[lang], lang, fresh)
                reports += [report] if report is not None else []
        for file in [path for path in fresh.rglob("*") if path.is_file()]:
            place = data / file.relative_to(fresh)
            make_parent(place)
            file.replace(place)
    plan.memory = (data / "memory").is_dir()
    for lang in targets:
        target = plan.targets[lang]
        target.dictionary = _find_dictionary(plan.source, lang, files, data) or target.dictionary
        target.engine, target.known = find_engine(plan, lang, data) or (target.engine, target.known)
    return reports


def _take_labels(plan: Plan, lang: str, files: Files, data: Path, fresh: Path) -> Report:
    """Convert the few labelled sentences of a target language to training data."""
    path, place = files.labels[lang], fresh / f"labels-{lang}.spacy"
    report = convert([path], place, lang=lang, format=files.format)
    docs = list(read_docs(place, Vocab()))
    known = _find_types(read_docs(data / "source.spacy", Vocab()))
    strange = _find_types(docs) - known
    if strange:
        raise CrossnerError(
            Errors.CN836.format(
                path=path,
                label=min(strange),
                labels="the labelled file in " + plan.source,
                known=", ".join(sorted(known)),
            )
        )
    # those of an earlier file stay, unless they are labelled again
    if (data / place.name).exists():
        texts = {doc.text for doc in docs}
        earlier = read_docs(data / place.name, Vocab())
        docs = [*(doc for doc in earlier if doc.text not in texts), *docs]
    for number, doc in enumerate(docs, start=1):
        # groups of the source may have the same names
        view = View(f"{lang}-labels-{number}", "source", lang, weight=files.label_weight)
        set_view(doc, view)
    write_docs(place, docs)
    plan.targets[lang].labels = len(docs)
    return report


def _keep_apart(lang: str, files: Files, data: Path, fresh: Path) -> None:
    """Take the sentences that are trained on out of the test sentences."""
    names = (f"test-{lang}.spacy", f"labels-{lang}.spacy")
    test, few = ((fresh if (fresh / name).exists() else data) / name for name in names)
    if not test.exists() or not few.exists():
        return
    docs = list(read_docs(test, Vocab()))
    kept = drop_seen(docs, read_docs(few, Vocab()))
    if not kept:
        raise CrossnerError(
            Errors.CN837.format(
                count=len(docs), test=files.test.get(lang, test), labels=files.labels.get(lang, few)
            )
        )
    if len(kept) < len(docs):
        msg.warn(
            f"{lang}: {len(docs) - len(kept)} test sentences are trained on and were taken out"
        )
        write_docs(fresh / test.name, kept)


def _take_memory(path: Path, data: Path, fresh: Path) -> None:
    """Copy a translation memory below the name of its folder, which may name its language."""
    path = Path(os.path.abspath(path))
    folder = path if path.is_dir() else path.parent
    for file in find_files(folder) if path.is_dir() else [path]:
        # what is in a hidden folder is not read
        name = Path("memory", folder.name.lstrip("."), file.relative_to(folder))
        for known in (data / name, fresh / name):
            if known.exists() and not filecmp.cmp(file, known, shallow=False):
                shown = Path(data.name, name).as_posix()
                raise CrossnerError(Errors.CN041.format(path=file, place=shown))
        place = fresh / name
        make_parent(place)
        shutil.copy(file, place)


def _find_model(model: str, source: str, targets: Sequence[str]) -> str:
    """Resolve a model's name so that a local path also works from inside the project."""
    names = [model.replace("{source}", source).replace("{target}", lang) for lang in targets]
    # a path without a name would be the current folder
    if any(name and Path(name).is_dir() for name in names):
        return Path(model).resolve().as_posix()
    return model


def _take_text(path: Path, lang: str, fresh: Path) -> tuple[str, int, Optional[Report]]:
    """Copy or convert a text file; return its path in the project, word count and report."""
    place = fresh / "text" / f"{lang}{path.suffix if path.suffix in PLAIN else '.spacy'}"
    place.parent.mkdir(exist_ok=True)
    if path.suffix in PLAIN:
        # not tokenized: the pipeline has its own tokenizer
        words = sum(_count_words(line) for line in read_lines(path))
        if next(iter_texts([path], lang), None) is None:
            raise CrossnerError(Errors.CN508.format(path=path, reason=""))
        shutil.copy(path, place)
        return f"data/text/{place.name}", words, None
    report = convert([path], place, lang=lang, unlabelled=True)
    return f"data/text/{place.name}", report.tokens, report


def _count_words(line: str) -> int:
    # in unspaced scripts, a word has about two characters
    return max(len(line.split()), sum(ord(char) > 0x2E7F for char in line) // 2)


def _find_dictionary(source: str, lang: str, files: Files, data: Path) -> Optional[str]:
    """Find the dictionary options of the `lexicon` command, or None without a dictionary."""
    if lang in files.dictionary:
        path = files.dictionary[lang]
        # a suffix of the user's could be an option
        kind, suffix = ("wiktionary", ".txt") if path.suffix == ".txt" else ("tsv", ".tsv")
        place = data / "dictionaries" / f"{lang}{suffix}"
        place.parent.mkdir(exist_ok=True)
        shutil.copy(path, place)
        return f"--{kind} data/dictionaries/{place.name}"
    try:
        freedict_indexes(AUTO, source, lang)
    except CrossnerError:
        return None
    return "--freedict auto"


def find_engine(plan: Plan, lang: str, data: Path) -> Optional[tuple[str, Optional[int]]]:
    """Find what can translate into a language.

    plan (Plan): The plan.
    lang (str): The language.
    data (Path): The folder of the project's data.
    RETURNS (Optional[Tuple[str, Optional[int]]]): The engine, and if it is a memory, how many of
        the labelled sentences it has. None if there is no engine; if the user has named something
        that might have been one, it is said why.
    """
    memory = [data / "memory"] if plan.memory else []
    try:
        name, engine = make_engine(
            AUTO, plan.source, lang, EngineSettings(memory=memory, model=plan.model)
        )
    except (NoTranslationError, NoModelError) as error:
        if plan.memory or plan.model:
            msg.warn(str(error))
        return None
    if name != "memory":
        return name, None
    texts = [Segment(doc.text) for doc in read_docs(data / "source.spacy", Vocab())]
    return name, sum(isinstance(one, Segment) for one in engine.translate(texts))


def render_project(plan: Plan) -> str:
    """Render the project.yml of a plan."""
    student = bool(plan.annotated)
    views = "data/source.spacy"
    if plan.translated:
        views = "corpus/translated.spacy"
    if plan.switched:
        views = "corpus/parallel.spacy"
    steps = {
        "encoder": True,
        "lexicons": plan.lexicons,
        "translate": plan.translated,
        "codeswitch": plan.switched,
        "train": True,
        "annotate": student,
        "student": student,
        "calibrate": student,
        "evaluate": True,
        "report": True,
        "package": True,
        "verify": True,
        "summary": True,
    }
    texts = {"data": True, "corpus": plan.translated, "training/annotate": student}
    return (
        _environment()
        .get_template(PROJECT)
        .render(
            plan=plan,
            steps=[name for name, wanted in steps.items() if wanted],
            views=views,
            texts=[path for path, there in texts.items() if there and plan.readable],
            dictionaries=any("data/" in (t.dictionary or "") for t in plan.targets.values()),
            tests="data" if plan.tested else "data/dev.spacy",
        )
    )


def render(name: str, plan: Plan) -> str:
    """Render a file of the project: project.yml, README.md or .gitignore."""
    if name == PROJECT:
        return render_project(plan)
    return _environment().get_template(name.lstrip(".")).render(plan=plan)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("spacy_crossner.start", "templates"), keep_trailing_newline=True
    )
    environment.filters["quote"] = shlex.quote
    return environment
