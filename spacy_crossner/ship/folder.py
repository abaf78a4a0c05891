"""Say clearly what stood in the way of writing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import is_disk_full


@contextmanager
def disk_errors(folder: Path, *, full: str = Errors.CN005) -> Iterator[None]:
    """Turn what the disk refuses into one clear error.

    folder (Path): Where the block writes; the error names it.
    full (str): Message for a full disk.
    """
    try:
        yield
    except CrossnerError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise CrossnerError(full.format(folder=folder)) from error
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CrossnerError(Errors.CN006.format(folder=folder, reason=reason)) from error
        raise
