"""Loading of pipelines by those who work with them."""

from pathlib import Path
from typing import Union

import spacy
from spacy.language import Language

from spacy_crossner.errors import CrossnerError, Errors, shorten


def check_output(folder: Path) -> None:
    """Refuse to replace by a pipeline what is none.

    folder (Path): Where a pipeline is to be written.
    """
    if Path.cwd().is_relative_to(folder.resolve()):
        raise CrossnerError(Errors.CN043.format(folder=folder))
    if not folder.exists():
        return
    is_pipeline = all((folder / name).is_file() for name in ("config.cfg", "meta.json"))
    if not folder.is_dir() or not (is_pipeline or next(folder.iterdir(), None) is None):
        raise CrossnerError(Errors.CN042.format(folder=folder))


def load_pipeline(model: Union[str, Path]) -> Language:
    """Load an installed pipeline or one from a folder; raise a coded error if it is damaged."""
    try:
        return spacy.load(model)
    except CrossnerError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in msgpack, srsly, numpy or anywhere else
        raise CrossnerError(Errors.CN611.format(model=model, reason=shorten(error))) from None
