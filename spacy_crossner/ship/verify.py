"""Prove that wheels work where nothing else is: a clean environment without a network.

Each wheel is installed into a separate virtual environment, loaded there by name in a process
that refuses every connection, and has to find the same entities, with the same scores, as the
pipeline that it was made from.
"""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
import venv
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional

import srsly
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import write_json
from spacy_crossner.ml.precision import PRECISION_VARIABLE
from spacy_crossner.ml.unknown import TRIMMED_TO
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.segmenters import SEGMENTERS
from spacy_crossner.ship.download import pip_command
from spacy_crossner.ship.outside import SENTENCES
from spacy_crossner.ship.package import CHECKSUMS, read_texts
from spacy_crossner.ship.probe import scores_of
from spacy_crossner.ship.trim import find_encoders

PROBE = Path(__file__).parent / "probe.py"
TOLERANCE = 1e-4
GRAPH_TOLERANCE = 1e-3
# Share of entities that int8 weights must leave as they are.
LEAST_AGREEMENT = 0.95
# What a wheel on ONNX Runtime is tried without.
HIDDEN = ("torch", "transformers", "spacy_transformers")
# How many wheels are tried at once: each takes a gigabyte of memory.
AT_ONCE = 2
# Tried by all wheels.
TEXTS = ("Angela Merkel met Gabriel Boric of Chile in Berlin.", "12,5 %", "")
# Mixed scripts: a trimmed wheel need not find the same here, but must not fail.
MIXED = "北京大学 Москва กรุงเทพ ☃ €"


class Verified(NamedTuple):
    """A wheel that works.

    wheel (Path): The file.
    texts (int): Number of texts in its languages that it was tried on.
    entities (int): Number of entities that it found in them.
    seconds (float): Time to load it.
    outside (int): Number of texts in languages outside the wheel.
    outside_same (int): Number of those with the same entities as the pipeline.
    agreement (float): Share of the entities in its languages that wheel and pipeline agree on.
    """

    wheel: Path
    texts: int
    entities: int
    seconds: float
    outside: int
    outside_same: int
    agreement: float = 1.0


def verify(
    wheels: Sequence[Path],
    against: Path,
    texts: Sequence[Path] = (),
    *,
    limit: int = 0,
    install: Sequence[str] = (),
) -> list[Verified]:
    """Verify wheels; the first that fails raises an error.

    wheels (Sequence[Path]): The wheels.
    against (Path): The folder of the pipeline that they were made from.
    texts (Sequence[Path]): `.spacy` files, or folders of them. A wheel of one language is tried on
        those in this language, the wheel of all languages on all.
    limit (int): Texts per language, spread over what there is; 0 takes all.
    install (Sequence[str]): What pip installs beside the wheel into an environment that has
        nothing else, with a package index: this package, as a name, a wheel or a folder. If it is
        empty, the packages of the running environment are lent to the clean one, and no index is
        needed.
    RETURNS (List[Verified]): What was found, for each wheel.
    """
    for wheel in wheels:
        if not wheel.is_file() or wheel.name.count("-") != 4:
            raise CrossnerError(Errors.CN720.format(wheel=wheel))
    nlp = load_pipeline(against)
    for shim in find_encoders(nlp):
        if shim.precision == "auto":
            shim.precision = "float32"  # as in the wheel, so that batches can't differ by rounding
    by_language = read_texts(texts)
    tried = [spread(by_language, wheel, limit) for wheel in wheels]
    # installing and loading use one processor, and each wheel has separate processes
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda wheel, texts: try_wheel(wheel, texts, install), wheels, tried)
        return [
            check_answer(wheel, nlp, texts, answer)
            for wheel, texts, answer in zip(wheels, tried, answers, strict=True)
        ]


def find_wheels(paths: Iterable[Path]) -> list[Path]:
    """List wheels, given files or folders."""
    wheels = []
    for path in paths:
        found = _wheels_in(path) if path.is_dir() else [path]
        if not found:
            raise CrossnerError(Errors.CN724.format(folder=path))
        wheels += found
    return wheels


def _wheels_in(folder: Path) -> list[Path]:
    """List the wheels of the last `package` in a folder, or all wheels."""
    if not (folder / CHECKSUMS).is_file():
        return sorted(folder.glob("*.whl"))
    lines = (folder / CHECKSUMS).read_text(encoding="utf8").splitlines()
    names = {line.partition("  ")[2] for line in lines}
    return sorted(path for path in folder.glob("*.whl") if path.name in names)


def write_verified(results: Iterable[Verified], output: Path) -> None:
    """Write the results as JSON, without the times, which differ between runs.

    results (Iterable[Verified]): What `verify` returns.
    output (Path): The file.
    """
    found = {
        wheel.name: {
            "texts": texts,
            "entities": entities,
            "outside": {"texts": outside, "same": same},
            "agreement": round(agreement, 4),
        }
        for wheel, texts, entities, _, outside, same, agreement in results
    }
    write_json(output, found)


def try_wheel(wheel: Path, texts: Sequence[str], install: Sequence[str] = ()) -> dict[str, Any]:
    """Install a wheel into a clean environment, and load and run it there.

    wheel (Path): The wheel.
    texts (Sequence[str]): The texts to try it on.
    install (Sequence[str]): What to install beside it.
    RETURNS (Dict[str, Any]): What `probe.py` writes down.
    """
    name = wheel.name.split("-")[0]
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        python = make_environment(Path(folder) / "venv", lend=not install)
        options = [] if install else ["--no-index"]
        arguments = ["install", "-q", *options, str(wheel.resolve()), *install]
        _run([*pip_command(python), *arguments], wheel)
        if not install and importlib.util.find_spec(name):
            # pip skips a wheel if the lent packages include the same version of it
            again = ["--no-deps", "--ignore-installed"]
            _run([*pip_command(python), *arguments, *again], wheel)
        request = {"name": name, "texts": [*texts, *outside_texts(wheel), MIXED]}
        request["hide"] = find_unneeded(wheel)
        return _ask(python, Path(folder), wheel, request)


def find_unneeded(wheel: Path) -> list[str]:
    """List modules that a wheel has to do without, although the environment may have them.

    wheel (Path): The wheel.
    RETURNS (List[str]): Modules of word segmenters that it does not require, and for one on ONNX
        Runtime those of torch.
    """
    meta = read_meta(wheel)
    required = {get_name(requirement) for requirement in meta.get("requirements", [])}
    needed: set[str] = set()
    others = set(HIDDEN if "runtime" in meta else ())
    for segmenter in SEGMENTERS.values():
        known = needed if required.issuperset(map(get_name, segmenter.requires)) else others
        known.update(segmenter.modules)
    return sorted(others - needed)


def get_name(requirement: str) -> str:
    """Get the name of the distribution that a requirement is of, in the form to compare."""
    return canonicalize_name(Requirement(requirement).name)


def outside_texts(wheel: Path) -> list[str]:
    """Get sentences in languages that a wheel was not packaged for."""
    languages = read_languages(wheel)
    return [text for code, found in SENTENCES.items() if code not in languages for text in found]


def check_answer(
    wheel: Path, nlp: Language, texts: Sequence[str], answer: dict[str, Any]
) -> Verified:
    """Compare what a wheel found with what the pipeline finds that it was made from.

    wheel (Path): The wheel.
    nlp (Language): The pipeline.
    texts (Sequence[str]): The texts.
    answer (Dict[str, Any]): What `try_wheel` returns.
    RETURNS (Verified): What was found.
    """
    if answer["hidden"]:
        raise CrossnerError(Errors.CN743.format(wheel=wheel, modules=", ".join(answer["hidden"])))
    if answer["imported"]:
        raise CrossnerError(Errors.CN723.format(wheel=wheel, modules=answer["imported"]))
    outside = outside_texts(wheel)
    tried = [*texts, *outside]
    found = answer["docs"][: len(tried)]
    # on the wheel's own tokens: those of a single language may differ from those of the pipeline
    docs = [Doc(nlp.vocab, words=doc["words"], spaces=doc["spaces"]) for doc in found]
    with warnings.catch_warnings():
        # the encoder may not know every language that is tried
        warnings.simplefilter("ignore", UserWarning)
        expected = list(nlp.pipe(docs))
    weights = read_meta(wheel).get("runtime", {}).get("weights")
    # what differs by the rounding of float32 is not a difference
    tolerance = TOLERANCE if weights is None else GRAPH_TOLERANCE
    differences = [compare(*pair, tolerance) for pair in zip(found, expected, strict=True)]
    entities = sum(len(doc["ents"]) for doc in found[: len(texts)])
    agreement = agree(found[: len(texts)], expected[: len(texts)])
    if weights == "int8":
        if agreement < LEAST_AGREEMENT:
            values = {"found": agreement, "wanted": LEAST_AGREEMENT, "weights": weights}
            raise CrossnerError(Errors.CN742.format(wheel=wheel, **values))
        same = sum(
            doc["ents"] == list_entities(other)
            for doc, other in zip(found[len(texts) :], expected[len(texts) :], strict=True)
        )
        sizes = len(texts), entities, answer["seconds"], len(outside)
        return Verified(wheel, *sizes, same, agreement)
    must_be_same = len(texts) if is_trimmed(wheel) else len(tried)
    for text, difference in zip(tried[:must_be_same], differences, strict=False):
        if difference is not None:
            raise CrossnerError(Errors.CN722.format(wheel=wheel, text=text, what=difference))
    same = sum(difference is None for difference in differences[len(texts) :])
    return Verified(wheel, len(texts), entities, answer["seconds"], len(outside), same)


def agree(found: Sequence[dict[str, Any]], expected: Sequence[Doc]) -> float:
    """Compute F1 of a wheel's entities against those of its pipeline."""
    both = total = 0
    for doc, other in zip(found, expected, strict=True):
        entities = {tuple(ent) for ent in doc["ents"]}
        wanted = {tuple(ent) for ent in list_entities(other)}
        both += 2 * len(entities & wanted)
        total += len(entities) + len(wanted)
    return both / total if total else 1.0


def list_entities(doc: Doc) -> list[list[Any]]:
    """List first token, end and label of each entity."""
    return [[ent.start, ent.end, ent.label_] for ent in doc.ents]


def make_environment(folder: Path, *, lend: bool) -> Path:
    """Make a virtual environment.

    folder (Path): Where.
    lend (bool): Whether it sees the packages of the running environment.
    RETURNS (Path): Its Python.
    """
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if lend:
        scheme = {"base": str(folder), "platbase": str(folder)}
        # Python 3.10 does not know the scheme by that name
        known = sysconfig.get_scheme_names()
        name = "venv" if "venv" in known else ("nt" if os.name == "nt" else "posix_prefix")
        site = Path(sysconfig.get_path("purelib", name, vars=scheme))
        here = dict.fromkeys(sysconfig.get_path(key) for key in ("purelib", "platlib"))
        # not the bare paths: the .pth files there, as of editable installs, have to count as well
        lines = [f"import site; site.addsitedir({path!r})" for path in here]
        (site / "lent.pth").write_text("\n".join(lines) + "\n", encoding="utf8")
    return python


def compare(found: dict[str, Any], expected: Doc, tolerance: float = TOLERANCE) -> Optional[str]:
    """Compare what a wheel found in a text with what the pipeline finds.

    found (Dict[str, Any]): From the wheel.
    expected (Doc): From the pipeline, on the same tokens.
    tolerance (float): Largest difference of scores.
    RETURNS (Optional[str]): The first difference, or None.
    """
    entities = list_entities(expected)
    if found["ents"] != entities:
        return f"entities {found['ents']} instead of {entities}"
    for key, group in expected.spans.items():
        there = {(s, e, label): score for s, e, label, score in found["spans"].get(key, ())}
        for span, score in zip(group, scores_of(group), strict=True):
            other = there.get((span.start, span.end, span.label_))
            if other is None or abs(other - float(score)) > tolerance:
                return f"the score {other} of '{span.text}' instead of {float(score)}"
        if len(there) != len(group):
            return f"{len(there)} candidates in '{key}' instead of {len(group)}"
    return None


def spread(by_language: dict[Optional[str], list[str]], wheel: Path, limit: int) -> list[str]:
    """Sample texts evenly from the languages of a wheel."""
    languages = read_languages(wheel)
    groups: Iterable[list[str]] = by_language.values()
    if languages:
        # other languages may have lost pieces
        groups = [by_language.get(code, []) for code in (*languages, None)]
    texts = [text for group in groups for text in _pick(group, limit or len(group))]
    return [*texts, *TEXTS]


def _pick(texts: Sequence[str], limit: int) -> list[str]:
    count = min(limit, len(texts))
    return [texts[number * len(texts) // count] for number in range(count)]


def read_languages(wheel: Path) -> list[str]:
    """Read the languages that a wheel was packaged for, if it lists them."""
    return read_meta(wheel).get("languages", [])


def is_trimmed(wheel: Path) -> bool:
    """Check whether the vocabulary of a wheel was trimmed."""
    return read_meta(wheel).get(TRIMMED_TO, True) is not None


def read_meta(wheel: Path) -> dict[str, Any]:
    """Read the meta.json of a wheel, empty if it has none."""
    if not zipfile.is_zipfile(wheel):
        return {}  # pip will say so
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.count("/") == 1 and name.endswith("/meta.json"):
                return srsly.json_loads(archive.read(name))
    return {}


def _ask(python: Path, folder: Path, wheel: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Run the probe, with an empty home and an empty cache."""
    path = folder / "request.json"
    home = folder / "home"
    home.mkdir()
    srsly.write_json(path, request)
    shutil.copy(PROBE, folder / "probe.py")
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "HF_HUB_OFFLINE": "1"}
    env[PRECISION_VARIABLE] = "float32"
    env |= {"TRANSFORMERS_OFFLINE": "1", "HF_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    # -I: neither the current folder nor PYTHONPATH may lend a module
    _run([str(python), "-I", str(folder / "probe.py"), str(path)], wheel, env=env, cwd=home)
    return srsly.read_json(path)


def _run(arguments: list[str], wheel: Path, **options: Any) -> None:
    result = subprocess.run(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit code {result.returncode}"
        raise CrossnerError(Errors.CN721.format(wheel=wheel, reason=reason))
