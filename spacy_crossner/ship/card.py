"""Model cards: what a pipeline is for, how good it is, and what it was made from."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import srsly

from spacy_crossner.errors import CrossnerError, Errors

DEFAULT_NAME = "crossner_trf"
# Scores in a card's table.
SCORES = {"ents_p": "Precision", "ents_r": "Recall", "ents_f": "F1"}


def project_name(pipeline: Path) -> str:
    """Find a name for the wheels of a pipeline: that of the project folder it lies in.

    pipeline (Path): The pipeline's folder.
    RETURNS (str): Letters, digits and underscores; "crossner_trf" outside of a project.
    """
    for folder in pipeline.resolve().parents:
        if (folder / "project.yml").is_file():
            name = re.sub(r"\W+", "_", folder.name, flags=re.ASCII).strip("_").lower()
            return name if name.isidentifier() else DEFAULT_NAME
    return DEFAULT_NAME


def write_card(meta: dict[str, Any]) -> str:
    """Write a model card in Markdown, with the header that the Hugging Face hub reads.

    meta (Dict[str, Any]): The pipeline's meta, as `package` fills it.
    RETURNS (str): The card.
    """
    name = f"{meta['lang']}_{meta['name']}"
    languages = list(meta.get("languages", [])) or [meta["lang"]]
    tests = meta.get("performance", {}).get("tests", {})
    labels = sorted({label for found in meta.get("labels", {}).values() for label in found})
    header: dict[str, Any] = {
        "tags": ["spacy", "token-classification"],
        "language": ["multilingual", *languages] if meta["lang"] == "xx" else languages,
        "model-index": [{"name": name, "results": [_result(*item) for item in tests.items()]}],
    }
    if meta.get("license"):
        header["license"] = meta["license"]
    lines = ["---", srsly.yaml_dumps(header).strip(), "---", "", f"# {name}", ""]
    lines += [meta.get("description", ""), "", "| | |", "| --- | --- |"]
    rows = {
        "Version": meta.get("version"),
        "spaCy": meta.get("spacy_version"),
        "Languages": ", ".join(languages),
        "Labels": ", ".join(labels),
        "Components": ", ".join(meta.get("pipeline", [])),
        "Runtime": _runtime(meta),
        "License": meta.get("license") or "not stated",
    }
    lines += [f"| **{key}** | {value} |" for key, value in rows.items() if value]
    lines += ["", "## How to load", "", "```python", "import spacy", ""]
    lines += [f'nlp = spacy.load("{name}")', 'doc = nlp("Your text.")']
    lines += ["print([(ent.text, ent.label_) for ent in doc.ents])", "```", ""]
    lines += ["All candidates with their scores are in `doc.spans`.", "", "## Intended use", ""]
    lines += [_use(meta, languages), ""]
    if tests:
        lines += ["## Scores", "", f"| Test | Language | Docs | {' | '.join(SCORES.values())} |"]
        lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
        for test, found in tests.items():
            values = " | ".join(f"{100 * found[key]:.1f}" for key in SCORES)
            lines.append(f"| {test} | {found['lang']} | {found['docs']} | {values} |")
        lines.append("")
    if meta.get("sources"):
        lines += ["## Training data and other sources", ""]
        for source in meta["sources"]:
            link = f" ({source['url']})" if source.get("url") else ""
            licence = source.get("license") or "licence not stated"
            lines.append(f"- {source.get('name')}{link}: {licence}")
        lines.append("")
    return "\n".join(lines)


def push(wheels: Iterable[Path], organization: str) -> None:
    """Upload wheels to the Hugging Face hub, each as a model with its card.

    wheels (Iterable[Path]): The wheels.
    organization (str): The account or organization to upload to.
    """
    for wheel in wheels:
        command = [sys.executable, "-m", "spacy", "huggingface-hub", "push", str(wheel)]
        result = subprocess.run([*command, "--org", organization], check=False)
        if result.returncode != 0:
            raise CrossnerError(Errors.CN740.format(wheel=wheel))


def _result(test: str, found: dict[str, Any]) -> dict[str, Any]:
    """Make one entry of the hub's model index."""
    metrics = [
        {"name": f"NER {title}", "type": title.lower(), "value": round(found[key], 4)}
        for key, title in SCORES.items()
    ]
    return {
        "task": {"name": "NER", "type": "token-classification"},
        "dataset": {"name": test, "type": test},
        "metrics": metrics,
    }


def _runtime(meta: dict[str, Any]) -> str:
    runtime = meta.get("runtime")
    if runtime is None:
        return "PyTorch"
    return f"ONNX Runtime, {runtime['weights']} weights: `pip install 'spacy-crossner[onnx]'`"


def _use(meta: dict[str, Any], languages: Iterable[str]) -> str:
    trimmed = meta.get("trimmed_to")
    named = ", ".join(languages)
    use = f"Finding names in running text in these languages: {named}."
    if trimmed:
        scripts = ", ".join(trimmed)
        use += f" The vocabulary was cut to the scripts {scripts}; text in others is not read well."
    elif meta["lang"] == "xx":
        use += " Other languages that the encoder knows are read as well, but were not tested."
    return use + (
        " Languages without labelled training data get lower scores than those with them: check a "
        "sample of your own text before you rely on the result."
    )
