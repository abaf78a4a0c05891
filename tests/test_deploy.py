"""The examples of the page deploy.md run; a small stand-in takes the place of FastAPI."""

import asyncio
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import spacy
from pydantic import ValidationError

from spacy_crossner.pipeline.scores import install_score

PAGE = (Path(__file__).parent.parent / "docs" / "deploy.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class FastAPI:
    """What the example uses of FastAPI: a lifespan, a state and routes."""

    def __init__(self, lifespan):
        self.lifespan, self.state, self.routes = lifespan, SimpleNamespace(), {}

    def post(self, path):
        return lambda function: self.routes.setdefault(path, function)


@pytest.fixture
def nlp(monkeypatch):
    """Loading any pipeline gives one that finds Berlin."""
    install_score()
    nlp = spacy.blank("xx")

    class Finder:
        def __call__(self, doc):
            spans = [doc.char_span(*m.span(), label="LOC") for m in re.finditer("Berlin", doc.text)]
            doc.spans["sc"] = spans
            doc.spans["sc"].attrs["scores"] = [0.75] * len(spans)
            doc.set_ents(spans)
            for ent in doc.ents:
                ent._.score = 0.75
            return doc

    spacy.Language.component("finder", func=Finder())
    nlp.add_pipe("finder")
    monkeypatch.setattr(spacy, "load", lambda name: nlp)
    return nlp


def run(part: str) -> dict:
    (block,) = [block for block in BLOCKS if part in block]
    names: dict = {}
    exec(block, names)
    return names


def test_web_service(nlp, monkeypatch):
    module = ModuleType("fastapi")
    module.FastAPI = FastAPI
    monkeypatch.setitem(sys.modules, "fastapi", module)
    names = run("FastAPI")
    app, query = names["app"], names["Query"]

    async def ask():
        async with app.lifespan(app):
            return app.routes["/entities"](query(text="In Berlin."))

    assert asyncio.run(ask()) == [{"start": 3, "end": 9, "label": "LOC", "score": 0.75}]
    with pytest.raises(ValidationError):
        query(text="x" * 20_001)


def test_batch(nlp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("In Berlin.\nNowhere.\n", encoding="utf8")
    run("entities.jsonl")
    rows = [json.loads(line) for line in Path("entities.jsonl").read_text("utf8").splitlines()]
    assert rows[0] == {"text": "In Berlin.", "entities": [[3, 9, "LOC", 0.75]]}
    assert rows[1] == {"text": "Nowhere.", "entities": []}
