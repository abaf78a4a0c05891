"""Cut docs into word pieces, and run an encoder over them in windows: no torch."""

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional, cast

import numpy
from spacy.tokens import Doc, Token
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ints2d
from tokenizers import Tokenizer

from spacy_crossner.errors import Warnings
from spacy_crossner.ml.sampling import PieceSampler
from spacy_crossner.ml.windows import (
    align_by_offsets,
    cut_windows,
    pack_by_length,
    truncate_long_tokens,
)

# Longer than any word.
MAX_TOKEN_PIECES = 96
# Padded pieces in one forward pass of prediction. On a CPU, few enough that what one layer hands to
# the next stays in the cache; a GPU is only busy with many.
PREDICT_BUDGET = 1024
PREDICT_BUDGET_GPU = 16384
# The same of training. Texts of as many tokens differ much in their pieces: read in one pass, half
# of a batch would be padding. On a GPU one pass is faster, and the gradient scaler knows no more.
TRAIN_BUDGET = 512
TRAIN_BUDGET_GPU = sys.maxsize
_warned_of_giant = False


class PieceTokenizer:
    """Cuts texts into word pieces.

    backend (Tokenizer): A tokenizer of the tokenizers library.
    unknown_id (int): Id of the unknown piece.
    unknown (str): The unknown piece.
    pad_id (int): Id of the padding.
    """

    def __init__(self, backend: Tokenizer, unknown_id: int, unknown: str, pad_id: int):
        self.backend = backend
        self.unknown_id = unknown_id
        self.unknown = unknown
        self.pad_id = pad_id
        encoding = backend.encode("a", add_special_tokens=True)
        ids = numpy.array(encoding.ids, dtype="int64")
        inside = numpy.flatnonzero(numpy.array(encoding.special_tokens_mask) == 0)
        # what stands around a text
        self.prefix, self.suffix = ids[: inside[0]], ids[inside[-1] + 1 :]

    @property
    def n_special(self) -> int:
        """Number of special pieces around a text."""
        return len(self.prefix) + len(self.suffix)


@dataclass
class PieceBatch:
    """Padded windows of a batch, and the position of each word piece's vector in them.

    input_ids (Ints2d): (n_windows, longest) piece ids.
    mask (Ints2d): (n_windows, longest) 1 where there is a piece.
    rows (Ints1d): (n_pieces,) index of each piece in the flattened windows.
    """

    input_ids: Ints2d
    mask: Ints2d
    rows: Ints1d


@dataclass
class ReadText:
    """One text as pieces.

    ids (numpy.ndarray): (n_pieces,) piece ids, without special tokens.
    strings (List[str]): The pieces.
    align (numpy.ndarray): (n_aligned,) the pieces of all tokens, one token after the other.
    align_lengths (numpy.ndarray): (n_tokens,) how many of them each token has.
    """

    ids: numpy.ndarray
    strings: list[str]
    align: numpy.ndarray
    align_lengths: numpy.ndarray


def read_text(
    doc: Doc, tokenizer: PieceTokenizer, sampler: Optional[PieceSampler] = None
) -> Optional[ReadText]:
    """Cut a doc's text into pieces and align them with its tokens.

    doc (Doc): The doc.
    tokenizer (PieceTokenizer): The encoder's tokenizer.
    sampler (Optional[PieceSampler]): Draws other pieces of the words.
    RETURNS (Optional[ReadText]): The text, or None for a doc without tokens.
    """
    if len(doc) == 0:
        return None
    backend = tokenizer.backend
    if backend.truncation is not None:
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    text = doc.text
    encoding = backend.encode(text, add_special_tokens=False)
    ids = numpy.array(encoding.ids, dtype="int64")
    strings = encoding.tokens
    offsets = numpy.array(encoding.offsets, dtype="int64").reshape((-1, 2))
    if sampler is not None:
        ids, strings, offsets = sampler.sample(text, ids, strings, offsets)
    # lengths and trailing spaces give all offsets at once
    sizes = doc.to_array(["LENGTH", "SPACY"]).astype("int64")
    token_ends = numpy.cumsum(sizes.sum(axis=1)) - sizes[:, 1]
    token_starts = token_ends - sizes[:, 0]
    first, counts = align_by_offsets(token_starts, token_ends, offsets[:, 0], offsets[:, 1])
    if counts.max() > MAX_TOKEN_PIECES:
        keep = truncate_long_tokens(first, counts, len(ids), MAX_TOKEN_PIECES)
        _warn_long_token(doc[int(counts.argmax())])
        ids, offsets = ids[keep], offsets[keep]
        strings = [string for string, kept in zip(strings, keep, strict=True) if kept]
        first, counts = align_by_offsets(token_starts, token_ends, offsets[:, 0], offsets[:, 1])
    if len(ids) == 0:
        # nothing but spaces: a piece that no token aligns with keeps all shapes regular
        ids = numpy.array([tokenizer.unknown_id], dtype="int64")
        strings = [tokenizer.unknown]
        counts = numpy.zeros_like(counts)
    # rows of all tokens, flat: each token's run is counted up from its first piece
    total = int(counts.sum())
    rows = numpy.repeat(first - (numpy.cumsum(counts) - counts), counts) + numpy.arange(total)
    return ReadText(ids, strings, rows.astype("i"), counts.astype("i"))


def ids_of(text: Optional[ReadText]) -> numpy.ndarray:
    """Get the (n_pieces,) piece ids of a text, none without tokens."""
    return numpy.zeros((0,), dtype="int64") if text is None else text.ids


def _warn_long_token(token: Token) -> None:
    """Warn about long tokens once, because texts may have many web addresses."""
    global _warned_of_giant
    if not _warned_of_giant:
        _warned_of_giant = True
        start, half = token.text[:20], MAX_TOKEN_PIECES // 2
        warnings.warn(Warnings.CNW01.format(start=start, index=token.i, limit=half), stacklevel=2)


def run_texts(
    wrapper: Model[PieceBatch, Floats2d],
    texts: Sequence[Optional[ReadText]],
    tokenizer: PieceTokenizer,
    window: int,
    stride: int,
    is_train: bool,
) -> tuple[Floats2d, Callable[[Floats2d], None]]:
    """Encode texts of any length in overlapping windows.

    wrapper (Model[PieceBatch, Floats2d]): The encoder.
    texts (Sequence[Optional[ReadText]]): The texts.
    tokenizer (PieceTokenizer): The tokenizer that cut them.
    window, stride (int): Length of the windows and their distance, in word pieces.
    is_train (bool): Whether gradients will come back.
    RETURNS (Tuple[Floats2d, Callable]): (n_pieces, width) vectors of all texts, and the
        backpropagation.
    """
    prefix, suffix = tokenizer.prefix, tokenizer.suffix
    windows: list[numpy.ndarray] = []
    owners, positions = [], []
    for text in texts:
        if text is None:
            continue
        cut = cut_windows(len(text.ids), window, stride)
        owners.append(cut.owner + len(windows))
        positions.append(numpy.arange(len(text.ids)) - cut.starts[cut.owner] + len(prefix))
        for start, end in zip(cut.starts, cut.ends, strict=True):
            windows.append(numpy.concatenate([prefix, text.ids[start:end], suffix]))
    owner = numpy.concatenate(owners)
    position = numpy.concatenate(positions)
    return run_windows(wrapper, windows, tokenizer.pad_id, owner, position, is_train)


def pad_windows(
    windows: list[numpy.ndarray], pad_id: int, owner: numpy.ndarray, position: numpy.ndarray
) -> PieceBatch:
    """Pad windows to one table.

    windows (List[numpy.ndarray]): The piece ids of each window.
    pad_id (int): The id to fill up with.
    owner, position (numpy.ndarray): (n_pieces,) window of each piece and its place there.
    RETURNS (PieceBatch): The table.
    """
    lengths = numpy.array([len(ids) for ids in windows])
    longest = int(lengths.max())
    mask = numpy.arange(longest)[None, :] < lengths[:, None]
    # a tokenizer may have none; the mask says what counts
    input_ids = numpy.full((len(windows), longest), pad_id or 0, dtype="int64")
    input_ids[mask] = numpy.concatenate(windows)
    rows = owner * longest + position
    return PieceBatch(
        cast(Ints2d, input_ids), cast(Ints2d, mask.astype("int64")), cast(Ints1d, rows)
    )


def run_windows(
    wrapper: Model[PieceBatch, Floats2d],
    windows: list[numpy.ndarray],
    pad_id: int,
    owner: numpy.ndarray,
    position: numpy.ndarray,
    is_train: bool,
) -> tuple[Floats2d, Callable[[Floats2d], None]]:
    """Run the encoder over windows of similar length at a time.

    wrapper (Model[PieceBatch, Floats2d]): The encoder.
    windows (List[numpy.ndarray]): The piece ids of each window.
    pad_id (int): The id to fill up with.
    owner, position (numpy.ndarray): (n_pieces,) window of each piece and its place there.
    is_train (bool): Whether gradients will come back.
    RETURNS (Tuple[Floats2d, Callable]): (n_pieces, width) vectors in the order of the pieces, and
        what takes their gradient to the encoder.
    """
    lengths = numpy.array([len(ids) for ids in windows])
    on_cpu = wrapper.ops.device_type == "cpu"
    if is_train:
        budget = TRAIN_BUDGET if on_cpu else TRAIN_BUDGET_GPU
    else:
        budget = PREDICT_BUDGET if on_cpu else PREDICT_BUDGET_GPU
    groups = pack_by_length(lengths, budget)
    place = numpy.empty((len(windows),), dtype="int64")  # of a window in its group
    group_of = numpy.empty((len(windows),), dtype="int64")
    for number, group in enumerate(groups):
        place[group] = numpy.arange(len(group))
        group_of[group] = number
    # pieces sorted by group once, so that the cost stays linear with many groups
    order = numpy.argsort(group_of[owner], kind="stable")
    bounds = numpy.searchsorted(group_of[owner][order], numpy.arange(len(groups) + 1))
    vectors: Any = None
    backprops: list[tuple[numpy.ndarray, Callable]] = []
    for number, group in enumerate(groups):
        pieces = order[bounds[number] : bounds[number + 1]]
        batch = pad_windows(
            [windows[i] for i in group], pad_id, place[owner[pieces]], position[pieces]
        )
        output, backprop_group = wrapper(batch, is_train)
        if is_train:
            backprops.append((pieces, backprop_group))
        if vectors is None:
            vectors = wrapper.ops.alloc2f(len(owner), output.shape[1], zeros=False)
        vectors[pieces] = output

    def backprop(d_vectors: Floats2d) -> None:
        for pieces, backprop_group in backprops:
            backprop_group(cast(Any, d_vectors)[pieces])

    return cast(Floats2d, vectors), backprop
