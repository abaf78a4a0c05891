"""What comes from others runs no code and writes no file: pipelines and weights."""

import io
import pickle
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import spacy
import srsly
import torch

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ml.saved import read_weights, write_files
from tests.pipelines import found, make_examples, make_nlp, train

TEXT = "Angela Merkel visited Berlin."
HEADS = ("token_label_ner", "token_pair_ner")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_encoder) -> Path:
    nlp = make_nlp(tiny_encoder, token_label_ner={}, token_pair_ner={})
    train(nlp, make_examples(nlp), steps=2)
    folder = tmp_path_factory.mktemp("pipelines") / "trained"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def pipeline(trained, tmp_path) -> Path:
    """A data-only copy of a trained pipeline."""
    folder = tmp_path / "pipeline"
    for path in trained.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(trained)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return folder


def change_encoder(pipeline: Path, change) -> None:
    """Change what a saved pipeline holds of its encoder."""
    path = pipeline / "transformer" / "model"
    model = srsly.msgpack_loads(path.read_bytes())
    shims = model["shims"]
    index = next(i for i, one in enumerate(shims) if one)
    saved = srsly.msgpack_loads(shims[index][0])
    change(saved)
    shims[index] = [srsly.msgpack_dumps(saved)]
    model.pop("checksum", None)
    path.write_bytes(srsly.msgpack_dumps(model))


def change_head(pipeline: Path, name: str, state: bytes) -> None:
    """Replace the saved weights of a head."""
    path = pipeline / name / "model"
    model = srsly.msgpack_loads(path.read_bytes())
    for shims in model["shims"]:
        for i, shim in enumerate(shims):
            shims[i] = srsly.msgpack_dumps({**srsly.msgpack_loads(shim), "state": state})
    path.write_bytes(srsly.msgpack_dumps(model))
    (pipeline / name / "checksums.json").unlink(missing_ok=True)


class Exploit:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def pickled(target: Path, legacy: bool) -> bytes:
    """Make a file of weights that runs code when it is unpickled."""
    if legacy:
        return pickle.dumps(Exploit(target), protocol=2)
    stream = io.BytesIO()
    torch.save({"norm.weight": Exploit(target)}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name",
    "/ABSOLUTE ../escaped.json folder/file.json .. .hidden.json a\0b.json code.py tokenization.PY "
    "weights.bin vocab.pkl C:x.json x\\y.json".split(" "),
)
def test_names_of_saved_files(pipeline, tmp_path, name):
    written = tmp_path / "anywhere.json"
    change_encoder(
        pipeline,
        lambda saved: saved["tokenizer"].update({name.replace("/ABSOLUTE", str(written)): b"{}"}),
    )
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CrossnerError, match="CN050"):
        spacy.load(pipeline)
    assert sorted(tmp_path.rglob("*")) == before


def test_saved_settings_run_no_code(pipeline, tmp_path):
    """Settings and files that make transformers import code change nothing."""
    expected = found(spacy.load(pipeline)(TEXT))
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hook.py").write_text(code)

    def change(saved):
        saved["tokenizer"]["kwargs"] = {"trust_remote_code": True, "cache_dir": str(elsewhere)}
        saved["config"]["auto_map"] = {"AutoModel": "hook.Hook", "AutoConfig": "hook.Hook"}
        saved["config"]["_name_or_path"] = str(elsewhere)
        settings = srsly.json_loads(saved["tokenizer"]["tokenizer_config.json"])
        settings["auto_map"] = {"AutoTokenizer": [None, f"{elsewhere}--hook.Hook"]}
        settings["tokenizer_file"] = str(elsewhere / "tokenizer.json")
        saved["tokenizer"]["tokenizer_config.json"] = srsly.json_dumps(settings).encode()

    change_encoder(pipeline, change)
    assert found(spacy.load(pipeline)(TEXT)) == expected
    assert not trace.exists()
    change_encoder(pipeline, lambda saved: saved["tokenizer"].update({"hook.py": code.encode()}))
    with pytest.raises(CrossnerError, match=r"CN050.*hook\.py"):
        spacy.load(pipeline)
    assert not trace.exists()
    assert "hook" not in sys.modules


def test_encoders_that_would_load_others(pipeline):
    change_encoder(pipeline, lambda saved: saved["config"].update(use_pretrained_backbone=True))
    with pytest.raises(CrossnerError, match=r"CN052.*use_pretrained_backbone"):
        spacy.load(pipeline)


@pytest.mark.parametrize("settings", ["tokenizer_config", "transformer_config"])
def test_training_runs_no_code_of_an_encoder(tiny_encoder, settings):
    nlp = make_nlp(tiny_encoder, transformer={settings: {"trust_remote_code": True}})
    with pytest.raises(CrossnerError, match=r"CN051.*trust_remote_code"):
        nlp.initialize()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", [*HEADS, "transformer"])
def test_weights_run_no_code(pipeline, tmp_path, name, legacy):
    trace = tmp_path / "trace"
    data = pickled(trace, legacy)
    if name == "transformer":
        change_encoder(pipeline, lambda saved: saved.update(state=data))
    else:
        change_head(pipeline, name, data)
    with pytest.raises(CrossnerError, match="CN055"):
        spacy.load(pipeline)
    assert not trace.exists()
    # but it would have run
    pickle.loads(data) if legacy else torch.load(io.BytesIO(data), weights_only=False)
    assert trace.exists()


def test_weights_that_are_not_numbers(pipeline):
    nlp = spacy.load(pipeline)
    for name in HEADS:
        shim = next(s for n in nlp.get_pipe(name).model.walk() for s in n.shims)
        state = {key: value.clone() for key, value in shim._model.state_dict().items()}
        next(iter(state.values())).view(-1)[0] = float("nan")
        stream = io.BytesIO()
        torch.save(state, stream)
        with pytest.raises(CrossnerError, match=r"CN055.*not finite"):
            read_weights(stream.getvalue(), "head")
        change_head(pipeline, name, stream.getvalue())
        with pytest.raises(CrossnerError, match=r"CN055.*not finite"):
            spacy.load(pipeline)


@pytest.mark.parametrize("content", [b"", b"PK", b"no weights", pickle.dumps([1, 2], protocol=2)])
def test_weights_that_are_not_weights(content):
    with pytest.raises(CrossnerError, match="CN055"):
        read_weights(content, "head")


def test_damaged_archives_of_weights():
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, stream)
    data = stream.getvalue()
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        # torch checks the sums of the archive's parts, but not every byte between them
        with suppress(CrossnerError):
            read_weights(bytes(damaged), "head")
    assert zipfile.is_zipfile(stream)


def test_plain_files_are_written(tmp_path):
    files = {"tokenizer.json": b"{}", "spm.model": b"\0", "special_tokens_map.json": b"[]"}
    write_files(tmp_path, files)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
