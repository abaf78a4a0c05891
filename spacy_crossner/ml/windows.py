"""Texts of any length cut into overlapping windows of word pieces: pure functions on arrays.

Every piece is read in each window that holds it, but its vector is taken from only one: the window
in which it stands farthest from an edge. So nothing is truncated, and nothing is counted twice.
"""

from typing import NamedTuple

import numpy


class Windows(NamedTuple):
    """Where to read the pieces of one text, and where to take their vectors from.

    starts, ends (numpy.ndarray): (n_windows,) piece offsets of each window, end exclusive.
    owner (numpy.ndarray): (n_pieces,) index of the window that gives a piece its vector.
    """

    starts: numpy.ndarray
    ends: numpy.ndarray
    owner: numpy.ndarray


def cut_windows(n_pieces: int, window: int, stride: int) -> Windows:
    """Cover a sequence of pieces with overlapping windows of at most `window` pieces.

    n_pieces (int): Length of the sequence, at least 1.
    window (int): Largest number of pieces in a window.
    stride (int): Distance between the starts of two windows; the last one is moved back so that
        it ends with the text and reads as much context as the others.
    RETURNS (Windows): The windows and each piece's owner.
    """
    if n_pieces <= window:
        owner = numpy.zeros((n_pieces,), dtype="int64")
        return Windows(numpy.array([0]), numpy.array([n_pieces]), owner)
    starts = numpy.append(numpy.arange(0, n_pieces - window, stride), n_pieces - window)
    ends = starts + window
    # two neighbours share the stretch [starts[k + 1], ends[k]): the middle of it is the border
    borders = (starts[1:] + ends[:-1]) // 2
    owner = numpy.searchsorted(borders, numpy.arange(n_pieces), side="right")
    return Windows(starts, ends, owner)


def align_by_offsets(
    token_starts: numpy.ndarray,
    token_ends: numpy.ndarray,
    piece_starts: numpy.ndarray,
    piece_ends: numpy.ndarray,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Find the pieces that share a character with each token.

    token_starts, token_ends (numpy.ndarray): (n_tokens,) character offsets, ascending.
    piece_starts, piece_ends (numpy.ndarray): (n_pieces,) character offsets, ascending.
    RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): (n_tokens,) first piece of each token and the
        number of its pieces, which is 0 for tokens that have none (zero-width characters; white
        space, unless the piece behind it begins with it).
    """
    first = numpy.searchsorted(piece_ends, token_starts, side="right")
    last = numpy.searchsorted(piece_starts, token_ends, side="left")
    return first, numpy.maximum(last - first, 0)


def truncate_long_tokens(
    first: numpy.ndarray, counts: numpy.ndarray, n_pieces: int, limit: int
) -> numpy.ndarray:
    """Say which pieces to read when a "token" is longer than any word.

    A token of hundreds of pieces (a line of base64, a forgotten space bar) would fill the windows
    of its neighbours with noise; its first and last `limit // 2` pieces stand for it.

    first, counts (numpy.ndarray): (n_tokens,) as `align_by_offsets` gives them.
    n_pieces (int): Number of pieces of the text.
    limit (int): Largest number of pieces that a token keeps.
    RETURNS (numpy.ndarray): (n_pieces,) bool, True where the piece is read.
    """
    keep = numpy.ones((n_pieces,), dtype=bool)
    half = limit // 2
    for token in numpy.flatnonzero(counts > limit):
        keep[first[token] + half : first[token] + counts[token] - half] = False
    return keep


def pack_by_length(lengths: numpy.ndarray, budget: int) -> list[numpy.ndarray]:
    """Group windows of similar length, so that padding wastes little.

    lengths (numpy.ndarray): (n_windows,) lengths.
    budget (int): Largest padded size (windows x longest) of a group; a window that is longer on
        its own still gets a group.
    RETURNS (List[numpy.ndarray]): Indices of the windows of each group.
    """
    order = numpy.argsort(lengths, kind="stable")
    groups: list[numpy.ndarray] = []
    begin = 0
    for i in range(1, len(order) + 1):
        # sorted ascending, so the newest window is the longest of its group
        if i == len(order) or (i + 1 - begin) * lengths[order[i]] > budget:
            groups.append(order[begin:i])
            begin = i
    return groups
