"""Word alignment learned from the corpus itself, with the optional package eflomal.

It needs no encoder, but thousands of sentences to be any good, and it draws at random: another run
over the same sentences may align them differently.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy

from spacy_crossner.errors import CrossnerError, Errors


def align_corpus(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[numpy.ndarray]:
    """Align the words of all sentences with those of their translations.

    pairs (Sequence[tuple[Sequence[str], Sequence[str]]]): The words of each sentence and of its
        translation.
    RETURNS (list[numpy.ndarray]): For each pair of n and m words an array of shape (n, m): the
        share of the two directions, from and to the target, that links the words.
    """
    try:
        from eflomal import Aligner
    except ImportError:
        raise CrossnerError(Errors.CN408) from None
    with tempfile.TemporaryDirectory() as folder:
        forward, backward = Path(folder, "forward"), Path(folder, "backward")
        Aligner().align(
            _format(source for source, _ in pairs),
            _format(target for _, target in pairs),
            links_filename_fwd=str(forward),
            links_filename_rev=str(backward),
        )
        evidence = [numpy.zeros((len(source), len(target))) for source, target in pairs]
        for path in (forward, backward):
            for table, line in zip(evidence, path.read_text().split("\n"), strict=False):
                for link in line.split():
                    i, j = map(int, link.split("-"))
                    table[i, j] += 0.5
    return evidence


def _format(sentences: Iterable[Sequence[str]]) -> list[str]:
    # words are what stands between two spaces, so that none may hold one or be empty
    return [" ".join("_".join(word.lower().split()) or "_" for word in one) for one in sentences]
