"""Turn a trained pipeline into wheels: one for all languages, and one for each.

A wheel holds what predicts and nothing else: training-only components are stripped, the vocabulary
of a wheel for one language is trimmed to it, and paths of the machine that trained it are taken out
of the config. It requires this package, whose entry points make everything in its config known to
spaCy.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional

import srsly
from packaging.version import InvalidVersion, Version
from spacy.about import __version__ as spacy_version
from spacy.cli.package import TEMPLATE_INIT, get_third_party_dependencies
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import (
    get_lang_class,
    get_minor_version_range,
    load_config,
    load_meta,
    load_model_from_config,
    set_dot_to_object,
    walk_dict,
)
from spacy.vocab import Vocab

from spacy_crossner.about import __version__
from spacy_crossner.data.languages import LANGUAGES, find_rules, is_known
from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import get_lang, get_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import scratch_beside, write_file
from spacy_crossner.ml.unknown import TRIMMED_TO
from spacy_crossner.pipeline.segmenters import get_requirements as segmenter_requirements
from spacy_crossner.pipeline.strip import strip_training_components
from spacy_crossner.pipeline.tokenizer import ScriptTokenizer, read_segmenters
from spacy_crossner.ship.card import project_name, write_card
from spacy_crossner.ship.download import file_hash
from spacy_crossner.ship.embedded import E5_SMALL, ORIGIN
from spacy_crossner.ship.folder import disk_errors
from spacy_crossner.ship.trim import Trimmed, find_encoders, trim_pipeline
from spacy_crossner.ship.wheel import write_wheel

MULTIPLE = "xx"
DISTRIBUTION = "spacy-crossner"
NOT_STATED = "licence not stated"
CHECKSUMS = "SHA256SUMS"
# The licence of the embedded encoder wants these in every copy of it.
NOTICES = Path(__file__).parent.parent / "THIRD_PARTY_NOTICES.md"
EMBEDDED_SOURCE = {
    "name": f"{E5_SMALL}, weights and tokenizer",
    "url": f"https://huggingface.co/intfloat/{E5_SMALL}",
    "author": "Copyright (c) 2023 Intfloat contributors",
    "license": "MIT",
}


class Packed(NamedTuple):
    """A wheel.

    path (Path): The file.
    languages (Tuple[str, ...]): The languages it is for.
    trimmed (Optional[Trimmed]): What was cut from its vocabulary; None if nothing was.
    loss (Optional[Tuple[float, float]]): F1 on the development text, with torch and with ONNX
        Runtime: in the wheel's language, or where there is none in it, in all languages with the
        wheel of all languages. None if it was not measured.
    """

    path: Path
    languages: tuple[str, ...]
    trimmed: Optional[Trimmed]
    loss: Optional[tuple[float, float]] = None


def package(
    pipeline: Path,
    output: Path,
    languages: Sequence[str],
    texts: Sequence[Path] = (),
    *,
    name: Optional[str] = None,
    version: str = __version__,
    scores: Optional[Path] = None,
    sources: Optional[Path] = None,
    license_name: str = "",
    trim: Optional[bool] = None,
    runtime: Literal["torch", "onnx"] = "torch",
    weights: Literal["int8", "float32"] = "int8",
    dev: Sequence[Path] = (),
    max_loss: float = 0.5,
) -> list[Packed]:
    """Write the wheel of all languages, `xx_NAME`, and one for each, such as `de_NAME`.

    pipeline (Path): The folder of a trained pipeline.
    output (Path): The folder for the wheels.
    languages (Sequence[str]): Language codes.
    texts (Sequence[Path]): `.spacy` files, or folders of them, with texts in these languages, for
        trimming. Docs count for the language of their view, those without a view for every one.
    name (Optional[str]): What follows the language in the names of the pipelines. None takes the
        name of the project folder that the pipeline lies in, or "crossner_trf" outside of one.
    version (str): Version of the wheels.
    scores (Optional[Path]): What `evaluate` wrote, for the meta.json.
    sources (Optional[Path]): A JSON list of objects with name, url and license, for the meta.json.
        The embedded encoder is added to them.
    license_name (str): The licence of the pipelines; by default those of the sources, if they are
        given.
    trim (Optional[bool]): Whether to trim the vocabulary. None trims wheels of one language, whose
        tokenizer is for no other, and leaves the wheel of all languages whole.
    runtime (str): "torch", or "onnx" for wheels that predict with ONNX Runtime, without torch.
    weights (str): What "onnx" holds the encoder's weights in: "int8" or "float32".
    dev (Sequence[Path]): `.spacy` files, or folders of them, with labelled text in any language
        that "onnx" is compared with torch on.
    max_loss (float): Points of F1 that it may lose there.
    RETURNS (List[Packed]): The wheels. Model cards and checksums stand beside them.
    """
    name = project_name(pipeline) if name is None else name
    if not (pipeline / "config.cfg").is_file():
        raise CrossnerError(Errors.CN710.format(pipeline=pipeline))
    for language in languages:
        if not is_known(language):
            raise CrossnerError(Errors.CN711.format(language=language))
    # pip takes nothing but ASCII
    if not languages or not (name.isidentifier() and name.isascii()):
        raise CrossnerError(Errors.CN712.format(name=name))
    try:
        version = str(Version(version))
    except InvalidVersion:
        raise CrossnerError(Errors.CN716.format(version=version)) from None
    all_texts = read_texts(texts) if trim is not False else {}
    dev_docs = read_dev_docs(dev)
    graphs: dict[str, bytes] = {}
    all_scores = _read_json(scores, dict) if scores is not None else {}
    all_sources = _read_json(sources, list) if sources is not None else []
    with _naming(sources):
        all_sources = [{key: str(value) for key, value in item.items()} for item in all_sources]
    with _naming(scores):
        get_performance(all_scores, languages)
    with disk_errors(output, full=Errors.CN715):
        output.mkdir(parents=True, exist_ok=True)
        wheels: list[Packed] = []
        # its wheel is that of all languages
        codes = [code for code in dict.fromkeys(languages) if code != MULTIPLE]
        groups = [(MULTIPLE, languages), *((code, [code]) for code in codes)]
        kept = {
            code: pick_texts(all_texts, group)
            for code, group in groups
            if trim or (trim is None and code != MULTIPLE)
        }
        # from here on, wheels are replaced
        (output / CHECKSUMS).unlink(missing_ok=True)
        for code, group in groups:
            nlp = strip_training_components(open_pipeline(pipeline, code))
            trimmed = None
            if code in kept:
                trimmed = trim_pipeline(nlp, kept[code])
            embedded = has_embedded(nlp)
            used = add_embedded(all_sources) if embedded else all_sources
            # that of the multilingual wheel, unless there are docs in the wheel's language
            loss = wheels[0].loss if wheels else None
            if runtime == "onnx":
                from spacy_crossner.ship.runtime import to_onnx

                original, nlp = nlp, to_onnx(nlp, weights, graphs)
                # docs without a language count for every wheel
                langs = (code, MULTIPLE)
                if found := [d for d in dev_docs if code == MULTIPLE or get_lang(d) in langs]:
                    loss = check_loss(original, nlp, found, max_loss, f"{code}_{name}")
            # what was trained on decides, too; without it, nothing is known
            licences = _join_licences(used) if all_sources else ""
            nlp.meta.update(
                name=name,
                version=version,
                license=license_name or nlp.meta.get("license") or licences,
                description=describe(nlp, group),
                languages=list(group),
                **{TRIMMED_TO: list(trimmed.scripts) if trimmed is not None else None},
                sources=used,
                notes=_list_licences(used),
                performance=get_performance(all_scores, group),
                requirements=get_requirements(nlp),
                spacy_version=get_minor_version_range(spacy_version),
            )
            notices = NOTICES.read_text(encoding="utf8") if embedded else ""
            path = pack(nlp, output, notices)
            wheels.append(Packed(path, tuple(group), trimmed, loss))
        # stands for the wheels where reading a gigabyte of them would take too long
        sums = [f"{file_hash(wheel.path)}  {wheel.path.name}\n" for wheel in wheels]
        write_file(output / CHECKSUMS, "".join(sums))
    return wheels


def open_pipeline(path: Path, language: str) -> Language:
    """Load a pipeline as one of a language.

    path (Path): The pipeline's folder.
    language (str): Language code. The pipeline gets the tokenizer that training data in this
        language had: the language's own, or the one that splits scripts without spaces, with
        the segmenters that the pipeline was trained with.
    RETURNS (Language): The pipeline, without the paths of its training.
    """
    config = load_config(path / "config.cfg")
    # spaCy would put the config on disk back in the place of this one
    exclude = ["meta", "config"]
    # one that is for many languages already keeps its tokenizer, whatever it is
    if not config["nlp"]["lang"] == language == MULTIPLE:
        exclude.append("tokenizer")
        config["nlp"]["lang"], tokenizer = find_wheel_rules(language)
        if "segmenters" in tokenizer:
            tokenizer["segmenters"] = pick_segmenters(read_segmenters(path / "tokenizer"), language)
        config["nlp"]["tokenizer"] = tokenizer
    # where the encoder lay: since it was trained, its weights are part of the pipeline
    for keys, value in walk_dict(config.interpolate()["components"]):
        if keys[-1] == "name" and "model" in keys and isinstance(value, str):
            set_dot_to_object(config, ".".join(["components", *keys]), Path(value).name)
    # the training data lay there, too
    config["paths"] = dict.fromkeys(config.get("paths", {}))
    for keys, value in list(walk_dict(config)):
        parts = value.split(",") if isinstance(value, str) else value
        is_path = isinstance(parts, list) and any(Path(str(part)).is_absolute() for part in parts)
        if keys[0] != "components" and is_path:
            set_dot_to_object(config, ".".join(keys), None)
    meta = {**load_meta(path / "meta.json"), "lang": language}
    nlp = load_model_from_config(config, meta=meta)
    nlp.from_disk(path, exclude=exclude)
    for shim in find_encoders(nlp):
        shim._hfmodel.transformer.config._name_or_path = ""  # a temporary folder
    return nlp


def find_wheel_rules(language: str) -> tuple[str, dict[str, Any]]:
    """Get the language class of a wheel ("xx" if spaCy has none) and its tokenizer config."""
    _, tokenizer = find_rules(language)
    try:
        get_lang_class(language)
    except ImportError:
        language = MULTIPLE
    return language, dict(tokenizer)


def pick_segmenters(segmenters: Mapping[str, str], language: str) -> Optional[dict[str, str]]:
    """Get the segmenters that a wheel of a language needs."""
    needed = LANGUAGES[language].segmented_as if language in LANGUAGES else ""
    picked = {
        code: name for code, name in segmenters.items() if language == MULTIPLE or code == needed
    }
    return picked or None


def has_embedded(nlp: Language) -> bool:
    """Check whether a pipeline uses the embedded encoder."""
    configs = (shim._hfmodel.transformer.config for shim in find_encoders(nlp))
    return any(getattr(config, ORIGIN, None) == E5_SMALL for config in configs)


def add_embedded(sources: list[dict[str, str]]) -> list[dict[str, str]]:
    """Add the embedded encoder to the data sources."""
    if any(source.get("url") == EMBEDDED_SOURCE["url"] for source in sources):
        return sources
    return [EMBEDDED_SOURCE, *sources]


def read_texts(paths: Iterable[Path]) -> dict[Optional[str], list[str]]:
    """Read the texts of `.spacy` files.

    paths (Iterable[Path]): Files, or folders of them.
    RETURNS (Dict[Optional[str], List[str]]): By language, those without one under None.
    """
    texts: dict[Optional[str], list[str]] = {}
    for shard in (shard for path in paths for shard in find_shards(path)):
        for doc in read_docs(shard, Vocab()):
            view = get_view(doc)
            texts.setdefault(None if view is None else view.lang, []).append(doc.text)
    return texts


def pick_texts(texts: Mapping[Optional[str], Sequence[str]], languages: Iterable[str]) -> list[str]:
    """Get the texts of some languages, or raise an error if one has none."""
    anywhere = texts.get(None, ())
    for language in languages:
        if not anywhere and not texts.get(language):
            there = ", ".join(sorted(code for code in texts if code is not None)) or "none"
            raise CrossnerError(Errors.CN713.format(language=language, there=there))
    return [text for code in (None, *languages) for text in texts.get(code, ())]


def read_dev_docs(paths: Sequence[Path]) -> list[Doc]:
    """Read the labelled docs of `.spacy` files and folders.

    paths (Sequence[Path]): The files and folders.
    RETURNS (List[Doc]): Docs with entity annotation.
    """
    docs = (
        doc for path in paths for shard in find_shards(path) for doc in read_docs(shard, Vocab())
    )
    found = [doc for doc in docs if doc.has_annotation("ENT_IOB")]
    if paths and not found:
        raise CrossnerError(Errors.CN741.format(paths=", ".join(map(str, paths))))
    return found


def check_loss(
    nlp: Language, converted: Language, docs: Sequence[Doc], max_loss: float, name: str
) -> tuple[float, float]:
    """Score a pipeline before and after its conversion, and refuse one that loses too much.

    nlp, converted (Language): Both.
    docs (Sequence[Doc]): Docs with entities.
    max_loss (float): Points of F1 that may be lost.
    name (str): What an error calls the pipeline.
    RETURNS (Tuple[float, float]): F1 of both, in percent.
    """
    for doc in docs:  # predictions are named by the strings of the gold doc
        for label in {label for labels in nlp.pipe_labels.values() for label in labels}:
            doc.vocab.strings.add(label)

    def score(pipeline: Language) -> float:
        examples = [Example(pipeline.make_doc(doc.text), doc) for doc in docs]
        return 100 * (pipeline.evaluate(examples)["ents_f"] or 0.0)

    before, after = score(nlp), score(converted)
    if before - after > max_loss:
        values = {"loss": before - after, "before": before, "after": after, "limit": max_loss}
        raise CrossnerError(Errors.CN739.format(name=name, **values))
    return before, after


def describe(nlp: Language, languages: Iterable[str]) -> str:
    """Describe a pipeline in one sentence."""
    labels = sorted({label for values in nlp.pipe_labels.values() for label in values})
    return f"Named entities ({', '.join(labels)}) in texts. Languages: {', '.join(languages)}."


def get_requirements(nlp: Language) -> list[str]:
    """List the distributions that a pipeline needs, this package first."""
    others = get_third_party_dependencies(nlp.config, exclude=[DISTRIBUTION])
    if isinstance(nlp.tokenizer, ScriptTokenizer):
        others += segmenter_requirements(nlp.tokenizer.segmenters)
    ours = DISTRIBUTION + ("[onnx]" if nlp.meta.get("runtime") else "")
    return [ours + get_minor_version_range(__version__), *sorted(others)]


def get_performance(scores: Mapping[str, Any], languages: Iterable[str]) -> dict[str, Any]:
    """Pick the scores of some languages for a meta.json.

    scores (Mapping[str, Any]): What `evaluate` returns.
    languages (Iterable[str]): Language codes.
    RETURNS (Dict[str, Any]): As spaCy has it there, shares of 1: the mean over the test files of
        these languages, and under "tests" each file.
    """
    tests = {
        test: {
            "lang": found["lang"],
            "docs": found["docs"],
            **{f"ents_{key}": found[key] / 100 for key in "prf"},
            "ents_per_type": {
                label: {key: value / 100 for key, value in values.items()}
                for label, values in found["per_type"].items()
            },
        }
        for test, found in scores.items()
        if found["lang"] in languages
    }
    if not tests:
        return {}
    means = {
        key: sum(test[key] for test in tests.values()) / len(tests)
        for key in ("ents_f", "ents_p", "ents_r")
    }
    return {**means, "tests": tests}


def pack(nlp: Language, output: Path, notices: str = "") -> Path:
    """Write a pipeline as a wheel, and its model card beside it.

    nlp (Language): The pipeline, with its final meta.
    output (Path): The folder for the wheel.
    notices (str): What the licences of its content want in every copy, in Markdown.
    RETURNS (Path): The wheel.
    """
    full_name = f"{nlp.meta['lang']}_{nlp.meta['name']}"
    version = nlp.meta["version"]
    folder = f"{full_name}-{version}"
    with scratch_beside(output / full_name) as root:
        data = root / full_name / folder
        data.parent.mkdir()
        nlp.to_disk(data)
        readme = write_card(nlp.meta)
        (data / "README.md").write_text(readme, encoding="utf8")
        (root / full_name / "__init__.py").write_text(TEMPLATE_INIT.format(imports=""))
        srsly.write_json(root / full_name / "meta.json", nlp.meta)
        files = {
            path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()
        }
        wheel = write_wheel(
            output,
            full_name,
            version,
            files,
            summary=nlp.meta["description"],
            readme=readme,
            license_name=nlp.meta["license"],
            requires=nlp.meta["requirements"],
            entry_points=f"[spacy_models]\n{full_name} = {full_name}\n",
            notices=notices,
        )
    write_file(output / f"{folder}.md", readme)
    return wheel


def _list_licences(sources: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"- {source.get('name')}: {source.get('license', NOT_STATED)}" for source in sources
    )


def _join_licences(sources: Iterable[Mapping[str, Any]]) -> str:
    """Join the distinct licences as an SPDX expression."""
    names = [str(source.get("license", NOT_STATED)) for source in sources]
    # AND binds more closely than OR
    parts = [f"({name})" if " OR " in name and len(set(names)) > 1 else name for name in names]
    return " AND ".join(dict.fromkeys(parts))


@contextmanager
def _naming(path: Optional[Path]) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        reason = f"it is not of that form ({error!r})"
        raise CrossnerError(Errors.CN714.format(path=path, reason=reason)) from None


def _read_json(path: Path, kind: type) -> Any:
    try:
        data = srsly.read_json(path)
    except (OSError, ValueError) as error:
        raise CrossnerError(Errors.CN714.format(path=path, reason=error)) from None
    if not isinstance(data, kind):
        reason = f"expected a {kind.__name__}, but found a {type(data).__name__}"
        raise CrossnerError(Errors.CN714.format(path=path, reason=reason))
    return data
