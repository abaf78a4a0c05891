"""The notebooks of the documentation run, on a tiny encoder and with few steps."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))
SMALL = {
    "STEPS": 2,
    "CHANGES": {
        "components.transformer.model.window": 100,
        "components.transformer.model.stride": 50,
    },
}


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["own-data", "quickstart"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("encoder").symlink_to(tiny_encoder)
    names = {"Path": Path}
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        tags = cell["metadata"].get("tags", ())
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or "encoder" in tags:
            continue
        assert not cell["outputs"]
        exec(compile(source, f"{path.name}, {cell['id']}", "exec"), names)
        if "parameters" in tags:
            assert set(SMALL) <= set(names)
            names.update(SMALL)
    shown = names["scores"] if path.stem == "quickstart" else names["asked"]
    assert str(shown)
