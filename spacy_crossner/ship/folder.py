"""Write a folder whole or not at all, and say clearly what stood in the way."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors


@contextmanager
def disk_errors(folder: Path, *, full: str = Errors.CN005) -> Iterator[None]:
    """Turn what the disk refuses into one clear error.

    folder (Path): Where the block writes; the error names it.
    full (str): What to say of a full disk.
    """
    try:
        yield
    except CrossnerError:
        raise
    except Exception as error:
        # the Rust writers of safetensors and tokenizers raise no OSError, but tell its number
        if getattr(error, "errno", None) == errno.ENOSPC or "(os error 28)" in str(error):
            raise CrossnerError(full.format(folder=folder)) from error
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CrossnerError(Errors.CN006.format(folder=folder, reason=reason)) from error
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a new folder beside `path`, and put it in the place of `path` when the block succeeds.

    path (Path): The folder to make or to replace, resolved.
    YIELDS (Path): The folder to fill. Nothing is left of it if the block fails.
    """
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
            # one level deeper, because the scratch folder itself is closed to other users
            new = Path(scratch) / "new"
            new.mkdir()
            yield new
            if path.exists():
                path.rename(Path(scratch) / "old")
            new.rename(path)
