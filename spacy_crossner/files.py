"""Files and folders, written whole or not at all."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any, Optional, Union

import srsly

from spacy_crossner.errors import CrossnerError, Errors

# SQLite and the Rust writers of safetensors and tokenizers raise no OSError, but say what it is.
SIGNS_OF_A_FULL_DISK = ("(os error 28)", "disk is full", "No space left on device")
# Where a folder waits while another takes its place.
OLD, NEW = "old", "new"


def make_parent(path: Path) -> None:
    """Make the folder that a file or folder is to be written to, if it is not there.

    path (Path): The file or folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise CrossnerError(Errors.CN212.format(path=path, folder=path.parent)) from None


def temporary_beside(path: Path) -> Path:
    """Name a neighbour of a file or folder, to be written first and then put in its place.

    The folder of both is made. What killed processes left under such names is deleted, but for a
    folder that one of them had moved away to replace it, and could not: it is put back.

    path (Path): The file or folder.
    RETURNS (Path): The neighbour, which no other process writes.
    """
    make_parent(path)
    for left in path.parent.glob(f".{escape(path.name)}.tmp*"):
        number = left.name.rpartition(".tmp")[2]
        if number.isdigit() and not _is_other_process(int(number)):
            _put_back(left, path)
            remove(left)
    return path.with_name(f".{path.name}.tmp{os.getpid()}")


def is_temporary(path: Path) -> bool:
    """RETURNS (bool): Whether a path has a name as `temporary_beside` gives."""
    stem, _, number = path.name.rpartition(".tmp")
    return stem.startswith(".") and number.isdigit()


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_other_process(number: int) -> bool:
    if number == os.getpid():
        return False
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is another user's
    return True


def write_file(path: Path, content: Union[str, bytes]) -> None:
    """Write a file; whoever reads it meanwhile sees the old one, or none.

    path (Path): Where to write.
    content (Union[str, bytes]): What to write; text becomes UTF-8.
    """
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(content.encode("utf8") if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write a file of JSON, whole or not at all.

    path (Path): Where to write.
    data (Any): What can be expressed in JSON.
    """
    write_file(path, srsly.json_dumps(data, indent=2))


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a new folder beside `path`, and put it in the place of `path` when the block succeeds.

    path (Path): The folder to make or to replace.
    YIELDS (Path): The folder to fill. Nothing is left of it if the block fails.
    """
    scratch = temporary_beside(path)
    new = scratch / NEW
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            path.rename(scratch / OLD)
        new.rename(path)
    finally:
        _put_back(scratch, path)
        remove(scratch)


def _put_back(scratch: Path, path: Path) -> None:
    """Undo the first half of a replacement that has no second one; see `atomic_folder`."""
    old = scratch / OLD
    # after the second half there is no new one left
    if old.exists() and (scratch / NEW).exists() and not path.exists():
        old.rename(path)


def fingerprint(path: Path) -> str:
    """RETURNS (str): A checksum of a file, or of a folder's files and their names."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.relative_to(path).as_posix().encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def is_disk_full(error: Optional[BaseException]) -> bool:
    """Tell whether an error came about because a disk has no room.

    error (Optional[BaseException]): The error.
    RETURNS (bool): Whether it, or the one that it came from, says so.
    """
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(error) for sign in SIGNS_OF_A_FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False
