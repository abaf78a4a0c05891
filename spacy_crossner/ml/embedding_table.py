"""Word embeddings in 4 or 8 bits: no torch.

A row is cut into blocks of up to 32 weights, each a small integer times the block's scale. Four
bits are enough where that loses nothing, as with an encoder that comes in 4-bit blocks itself. Rows
are expanded when they are looked up, so a table can stay in its file and is shared by processes.
"""

import math
from pathlib import Path
from typing import Optional

import numpy

BLOCK = 32
# Largest integers of both kinds; four bits hold -8 to 7.
MOST_8 = 127
MOST_4 = 8
# Rows to convert at a time.
CHUNK = 8192
CODES, SCALES = "embeddings.codes.npy", "embeddings.scales.npy"


class EmbeddingTable:
    """Rows of small integers with their scales.

    codes (numpy.ndarray): (n_rows, width) int8, or (n_rows, width / 2) uint8 with two weights each:
        the first half of the row in the low bits, the second in the high ones; or the weights
        themselves, as floats.
    scales (numpy.ndarray): (n_rows, n_blocks) float16; empty if there are no codes.
    """

    def __init__(self, codes: numpy.ndarray, scales: numpy.ndarray):
        self.codes = codes
        self.scales = scales

    @property
    def width(self) -> int:
        """Number of weights in a row."""
        return self.codes.shape[1] * (2 if self.codes.dtype == numpy.uint8 else 1)

    def look_up(self, ids: numpy.ndarray) -> numpy.ndarray:
        """Expand rows.

        ids (numpy.ndarray): Row numbers, of any shape.
        RETURNS (numpy.ndarray): (*ids.shape, width) float32.
        """
        codes = self.codes[ids]
        if codes.dtype.kind == "f":
            return codes.astype("float32")
        if codes.dtype == numpy.uint8:
            halves = numpy.concatenate([codes & 15, codes >> 4], axis=-1)
            rows = halves.astype("float32") - MOST_4
        else:
            rows = codes.astype("float32")
        scales = self.scales[ids].astype("float32")
        blocks = rows.reshape(*scales.shape, self.width // scales.shape[-1])
        blocks *= scales[..., None]
        # 4 bits are exact as float16, which the weights were
        return rows.astype("float16").astype("float32") if codes.dtype == numpy.uint8 else rows

    def to_disk(self, folder: Path) -> None:
        """Write the table as two .npy files."""
        for name, array in ((CODES, self.codes), (SCALES, self.scales)):
            # not in place: the table may have been opened from this very file
            numpy.save(folder / f"new.{name}", array)
            (folder / f"new.{name}").replace(folder / name)

    @classmethod
    def from_disk(cls, folder: Path) -> "EmbeddingTable":
        """Open the two files without reading them: rows are read when they are looked up."""
        codes, scales = (numpy.load(folder / name, mmap_mode="r") for name in (CODES, SCALES))
        return cls(codes, scales)


def make_table(weights: numpy.ndarray, *, exact: bool = False) -> EmbeddingTable:
    """Quantize embeddings: in 4 bits if that loses nothing, otherwise in 8.

    weights (numpy.ndarray): (n_rows, width) float16 or float32.
    exact (bool): Keep floats where 4 bits would lose something.
    RETURNS (EmbeddingTable): The table.
    """
    block = math.gcd(weights.shape[1], BLOCK)
    chunks = [weights[i : i + CHUNK] for i in range(0, len(weights), CHUNK)]
    parts = []
    for chunk in chunks:
        part = _in_4_bits(chunk, block)
        if part is None and exact:
            return EmbeddingTable(weights, numpy.zeros((0, 0), dtype="float16"))
        if part is None:
            parts = [_in_8_bits(chunk, block) for chunk in chunks]
            break
        parts.append(part)
    codes, scales = (numpy.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return EmbeddingTable(codes, scales)


def _in_4_bits(weights: numpy.ndarray, block: int) -> Optional[tuple[numpy.ndarray, numpy.ndarray]]:
    """Quantize weights to 4-bit codes and scales. Return None if float16 values would change."""
    if weights.shape[1] % 2:
        return None
    blocks = weights.reshape(len(weights), -1, block)
    largest = numpy.abs(blocks).argmax(axis=2)[..., None]
    # the usual choice of such formats: the largest weight is -8 steps
    scales = (numpy.take_along_axis(blocks, largest, axis=2) / -MOST_4).astype("float16")
    steps = numpy.where(scales == 0, numpy.float32(1), scales.astype("float32"))
    numbers = numpy.rint(blocks.astype("float32") / steps)
    exact = (numbers * scales.astype("float32")).astype("float16") == blocks
    if not exact.all() or numbers.min() < -MOST_4 or numbers.max() >= MOST_4:
        return None
    codes = (numbers + MOST_4).astype("uint8").reshape(weights.shape)
    half = weights.shape[1] // 2
    return codes[:, :half] | (codes[:, half:] << 4), scales[..., 0]


def _in_8_bits(weights: numpy.ndarray, block: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    blocks = weights.reshape(len(weights), -1, block).astype("float32")
    scales = (numpy.abs(blocks).max(axis=2, keepdims=True) / MOST_8).astype("float16")
    steps = numpy.where(scales == 0, numpy.float32(1), scales.astype("float32"))
    numbers = numpy.rint(blocks / steps).clip(-MOST_8, MOST_8)
    return numbers.astype("int8").reshape(weights.shape), scales[..., 0]
