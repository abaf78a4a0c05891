"""The file of weights: every value is read, and every kind of damage is noticed."""

import contextlib
import struct

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_crossner.errors import CrossnerError
from spacy_crossner.ship.blocks import BLOCK, read_weights, unpack_blocks
from spacy_crossner.ship.embedded import bert_state
from tests.blocks import exact_values, pack, random_tensors, tensor_shapes, tiny_sizes

SIZES = tiny_sizes(vocab=10)
TENSORS = random_tensors(SIZES)
DATA = pack(SIZES, TENSORS)


@given(
    scale=st.floats(-1000, 1000, width=16),
    halves=st.binary(min_size=16, max_size=16),
    count=st.integers(1, 32),
)
def test_a_block_is_unpacked_to_the_nearest_16_bit_numbers(
    scale: float, halves: bytes, count: int
) -> None:
    data = struct.pack("<e", scale) + halves
    weights = unpack_blocks(data, count)
    expected = exact_values(numpy.frombuffer(data, dtype=BLOCK))[:count]
    assert weights.dtype == numpy.float16
    numpy.testing.assert_array_equal(weights, expected.astype("float16"))


def test_every_tensor_is_read() -> None:
    sizes, weights = read_weights(DATA, "tiny.bin")
    assert sizes == SIZES
    assert weights.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        numpy.testing.assert_array_equal(weights[key], exact_values(tensor).astype("float16"))


def test_plain_tensors_keep_all_their_bits() -> None:
    tensors = TENSORS | {"emb.ln.b": numpy.full(SIZES.hidden, 1 / 3, dtype="float32")}
    _, weights = read_weights(pack(SIZES, tensors), "tiny.bin")
    numpy.testing.assert_array_equal(weights["emb.ln.b"], tensors["emb.ln.b"])


def test_weights_get_the_names_and_shapes_of_bert() -> None:
    sizes, weights = read_weights(DATA, "tiny.bin")
    state = bert_state(sizes, weights, "tiny.bin")
    assert len(state) == len(weights)
    assert state["encoder.layer.1.output.dense.weight"].shape == tensor_shapes(SIZES)["l1.fo.w"]
    numpy.testing.assert_array_equal(
        state["encoder.layer.0.attention.self.key.weight"].ravel(), weights["l0.k.w"]
    )


@given(st.integers(0, len(DATA) - 1))
@settings(max_examples=200)
def test_a_truncated_file_is_one_clear_error(size: int) -> None:
    with pytest.raises(CrossnerError, match=r"CN00[78].*tiny\.bin"):
        read_weights(DATA[:size], "tiny.bin")


@pytest.mark.parametrize(
    "start", [b"E5S2\x01\0\0\0", b"E5S1\x02\0\0\0", b"PK\x03\x04\0\0\0\0", DATA[:40] + b"\x10"]
)
def test_another_format_is_named_as_such(start: bytes) -> None:
    with pytest.raises(CrossnerError, match=r"CN007.*tiny\.bin"):
        read_weights(start + DATA[len(start) :], "tiny.bin")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a scale may become infinite
@given(st.integers(8, len(DATA) - 1), st.integers(0, 255))
@settings(max_examples=300)
def test_a_changed_byte_never_ends_in_another_error(at: int, byte: int) -> None:
    damaged = DATA[:at] + bytes([byte]) + DATA[at + 1 :]
    with contextlib.suppress(CrossnerError):
        bert_state(*read_weights(damaged, "tiny.bin"), "tiny.bin")


@pytest.mark.parametrize("key", ["emb.word", "emb.ln.b", "l1.oln.w"])
def test_missing_tensors_and_wrong_shapes_are_damage(key: str) -> None:
    sizes, weights = read_weights(DATA, "tiny.bin")
    for changed in (
        {name: array for name, array in weights.items() if name != key},
        weights | {key: weights[key][:-1]},
    ):
        with pytest.raises(CrossnerError, match="CN008"):
            bert_state(sizes, changed, "tiny.bin")
