"""Notice texts that a vocabulary was not made for."""

import warnings
from collections.abc import Sequence
from typing import Optional

import numpy
from spacy.tokens import Doc

from spacy_crossner.errors import Warnings
from spacy_crossner.scripts import count_scripts

# Entry of the encoder's config: the scripts that its vocabulary was trimmed to.
TRIMMED_TO = "trimmed_to"
# Shares of a text: pieces that are unknown, letters in scripts that were cut.
UNKNOWN_SHARE = 0.2
FOREIGN_SHARE = 0.5
# Shorter texts can be one odd symbol.
LEAST_PIECES = 5
# Text in a script that was cut has about one piece per letter, other text two or more letters.
LEAST_PIECES_PER_LETTER = 0.6


class VocabularyWatch:
    """Warns once of texts in scripts that the vocabulary does not cover."""

    def __init__(self) -> None:
        self.warned = False

    def check(
        self,
        docs: Sequence[Doc],
        ids: Sequence[numpy.ndarray],
        unknown_id: Optional[int],
        scripts: Optional[Sequence[str]],
    ) -> None:
        """Warn of the first text that is not covered.

        docs (Sequence[Doc]): The texts.
        ids (Sequence[numpy.ndarray]): (n_pieces,) the piece ids of each.
        unknown_id (Optional[int]): The id of the unknown piece.
        scripts (Optional[Sequence[str]]): What the vocabulary was trimmed to; None if it is whole.
        """
        for doc, pieces in zip(docs, ids, strict=True):
            if self.warned:
                return
            if len(pieces) < LEAST_PIECES:
                continue
            share = float((pieces == unknown_id).mean())
            if share >= UNKNOWN_SHARE:
                self._warn(Warnings.CNW03, doc, share=f"{share:.0%}", script=_main_script(doc))
            elif scripts and len(pieces) > LEAST_PIECES_PER_LETTER * len(doc.text):
                counts = count_scripts([doc.text])
                foreign = {script: n for script, n in counts.items() if script not in scripts}
                if sum(foreign.values()) > FOREIGN_SHARE * sum(counts.values()):
                    script = max(foreign, key=lambda key: foreign[key])
                    self._warn(Warnings.CNW02, doc, scripts=", ".join(scripts), script=script)

    def _warn(self, message: str, doc: Doc, **values: str) -> None:
        self.warned = True
        warnings.warn(message.format(start=doc.text[:20], **values), stacklevel=2)


def _main_script(doc: Doc) -> str:
    counts = count_scripts([doc.text])
    return counts.most_common(1)[0][0] if counts else "symbols"
