"""Atomic writing of files and folders."""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Union

import srsly

from spacy_crossner.errors import CrossnerError, Errors

# SQLite and the Rust writers of safetensors and tokenizers raise no OSError, but say what it is.
SIGNS_OF_A_FULL_DISK = ("(os error 28)", "disk is full", "No space left on device")
# Where a folder waits while another takes its place.
OLD, NEW = "old", "new"
# Bytes of a file's name that its temporary name keeps: most systems allow 255 in all.
LONGEST_STEM = 180
# Machines and containers may share a folder, where their process ids mean nothing to each other.
_HOST = hashlib.blake2b(platform.node().encode("utf8", "replace"), digest_size=4).hexdigest()
_TEMPORARY = re.compile(r"\..+\.tmp-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}", re.DOTALL)
# The temporary files and folders that this process uses.
_ours: set[str] = set()


def make_parent(path: Path) -> None:
    """Make the folder that a file or folder is to be written to, if it is not there.

    path (Path): The file or folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise CrossnerError(Errors.CN212.format(path=path, folder=path.parent)) from None


def refuse_input(output: Path, inputs: Iterable[Union[str, Path]]) -> None:
    """Raise an error if a file to write is one that is read.

    output (Path): The file to write.
    inputs (Iterable[Union[str, Path]]): Files and folders to read.
    """
    if any(output.resolve() == Path(path).resolve() for path in inputs):
        raise CrossnerError(Errors.CN213.format(path=output))


def temporary_beside(path: Path) -> Path:
    """Name a neighbour of a file or folder, to be written first and then put in its place.

    The folder of both is made. What killed processes of this machine left under such names is
    deleted, but for a folder that one of them had moved away and not replaced: it is put back.

    path (Path): The file or folder.
    RETURNS (Path): The neighbour. No other thread, process or machine writes it.
    """
    make_parent(path)
    stem = f".{_shorten_name(path.name)}.tmp"
    for left in path.parent.glob(f"{escape(stem)}-*"):
        match = _TEMPORARY.fullmatch(left.name)
        if match and match["host"] == _HOST and not _is_alive(int(match["process"]), left):
            _put_back(left, path)
            remove(left)
    found = path.with_name(f"{stem}-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}")
    _ours.add(str(found.absolute()))
    return found


def is_temporary(path: Path) -> bool:
    """Check if a path has a temporary name made by `temporary_beside`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _shorten_name(name: str) -> str:
    """Shorten a file name so that the suffix of a temporary name fits."""
    data = name.encode("utf8", errors="surrogateescape")
    if len(data) <= LONGEST_STEM:
        return name
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    return f"{data[: LONGEST_STEM - 20].decode('utf8', errors='ignore')}-{digest}"


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(number: int, left: Path) -> bool:
    """Check if the process that made a temporary file or folder may still use it."""
    if number == os.getpid():
        # a restarted container has the same number again
        return str(left.absolute()) in _ours
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is another user's
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside `path`, and put it in the place of `path` when the block succeeds.

    A link is followed, and the file that it names replaced. What is not a file, such as
    /dev/stdout, is written to. The permissions of an older file are kept.

    path (Path): The file to make or to replace.
    YIELDS (Path): The file to write. Nothing is left of it if the block fails.
    """
    path = follow_links(path)
    special = path.exists() and not path.is_file() and not path.is_dir()
    if special:
        # such places take no new files beside them
        with TemporaryDirectory() as folder:
            temporary = Path(folder) / "content"
            yield temporary
            with temporary.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        return
    temporary = temporary_beside(path)
    try:
        yield temporary
        _finish(temporary, path)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        _ours.discard(str(temporary.absolute()))


def follow_links(path: Path) -> Path:
    """Resolve a path if it is a link."""
    return path.resolve() if path.is_symlink() else path


def _finish(new: Path, old: Path) -> None:
    """Give what was written the permissions of what it replaces, and see that it is on the disk."""
    if old.exists():
        # not every file system knows permissions
        with suppress(OSError):
            new.chmod(stat.S_IMODE(old.stat().st_mode))
    for file in new.rglob("*") if new.is_dir() else [new]:
        if file.is_file():
            _sync(file)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk, where the system can."""
    if os.name == "nt" and path.is_dir():
        return
    number = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse
            os.fsync(number)
    finally:
        os.close(number)


def write_file(path: Path, content: Union[str, bytes]) -> None:
    """Write a file; whoever reads it meanwhile sees the old one, or none.

    path (Path): Where to write.
    content (Union[str, bytes]): What to write; text becomes UTF-8.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf8") if isinstance(content, str) else content)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file atomically.

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
    path = follow_links(path)
    with scratch_beside(path) as scratch:
        new = scratch / NEW
        new.mkdir()
        try:
            yield new
            _finish(new, path)
            if path.exists():
                path.rename(scratch / OLD)
            new.rename(path)
            _sync(path.parent)
        finally:
            _put_back(scratch, path)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside a file or folder, from which results can be moved.

    path (Path): The file or folder. What killed processes left beside it is deleted.
    YIELDS (Path): The folder, which is deleted in the end.
    """
    scratch = temporary_beside(path)
    try:
        scratch.mkdir()
        yield scratch
    finally:
        remove(scratch)
        _ours.discard(str(scratch.absolute()))


def _put_back(scratch: Path, path: Path) -> None:
    """Undo the first half of a replacement that has no second one; see `atomic_folder`."""
    old = scratch / OLD
    # after the second half there is no new one left
    if old.exists() and (scratch / NEW).exists() and not path.exists():
        old.rename(path)


def fingerprint(path: Path) -> str:
    """Compute a checksum of a file, or of the files of a folder and their names."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(os.fsencode(file.relative_to(path).as_posix()))
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def is_disk_full(error: Optional[BaseException]) -> bool:
    """Check if a full disk caused an error.

    error (Optional[BaseException]): The error.
    RETURNS (bool): Whether the error or one of its causes is a full disk.
    """
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(error) for sign in SIGNS_OF_A_FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False
