"""Load a pipeline with two sets of versions, save it with one and load it with the other, compare.

python .ci/compare_versions.py PIPELINE OTHER_PYTHON TEXTS: a pipeline's folder, the interpreter of
an environment with other versions, and a file with a text a line.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TOLERANCE = 1e-4
READ = """
import json, sys
import spacy
pipeline, texts, answer, copy = sys.argv[1:]
nlp = spacy.load(pipeline)
lines = open(texts, encoding="utf8").read().splitlines()
docs = []
for doc in nlp.pipe(lines):
    spans = {
        f"{key} {span.start_char} {span.end_char} {span.label_}": float(score)
        for key, group in doc.spans.items()
        for span, score in zip(group, group.attrs.get("scores", [0.0] * len(group)))
    }
    docs.append([[[e.start_char, e.end_char, e.label_] for e in doc.ents], spans])
json.dump(docs, open(answer, "w", encoding="utf8"))
nlp.to_disk(copy)
"""


def main(pipeline: str, other: str, texts: str) -> None:
    """Read the texts in all four ways, and compare each with the first."""
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "here": (sys.executable, pipeline),
            "there": (other, pipeline),
            "saved here, loaded there": (other, f"{folder}/here"),
            "saved there, loaded here": (sys.executable, f"{folder}/there"),
        }
        found = {}
        for name, (python, path) in ways.items():
            answer = Path(folder) / "answer.json"
            copy = Path(folder) / name
            subprocess.run([python, "-c", READ, path, texts, str(answer), str(copy)], check=True)
            found[name] = json.loads(answer.read_text(encoding="utf8"))
            print(f"{name}: {compare(found['here'], found[name])}")


def compare(first: list, second: list) -> str:
    """RETURNS (str): How many texts have other entities, and how far scores lie apart at most."""
    other = sum(
        one[0] != two[0] or one[1].keys() != two[1].keys()
        for one, two in zip(first, second, strict=True)
    )
    apart = max(
        (
            abs(score - two[1].get(key, score))
            for one, two in zip(first, second, strict=True)
            for key, score in one[1].items()
        ),
        default=0.0,
    )
    if other or apart > TOLERANCE:
        sys.exit(f"{other} of {len(first)} texts differ, scores by {apart:.6f} at most")
    return f"{len(first)} texts, the same entities, scores differ by {apart:.6f} at most"


if __name__ == "__main__":
    main(*sys.argv[1:])
