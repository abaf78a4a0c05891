"""Write a wheel of a pipeline: a zip file with a few files of metadata.

That is all a wheel of data is, so neither a build backend nor a network is needed for it, and the
same pipeline gives the same bytes.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from spacy_crossner.about import __version__
from spacy_crossner.files import replacing

# The oldest date that a zip file can hold: with the real one, no two wheels would be the same.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# Weights hardly get smaller with more (1 % at most), and it takes up to half as long again.
COMPRESSION = 1


def write_wheel(
    output: Path,
    name: str,
    version: str,
    files: Mapping[str, Path],
    *,
    summary: str = "",
    readme: str = "",
    license_name: str = "",
    requires: Iterable[str] = (),
    entry_points: str = "",
    notices: str = "",
) -> Path:
    """Write a wheel of pure data.

    output (Path): The folder to write it to. A wheel of the same name is replaced.
    name (str): The name of the distribution, letters and underscores.
    version (str): Its version.
    files (Mapping[str, Path]): What the wheel installs: names in it, and where the files are.
    summary (str): One line of description.
    readme (str): A longer description, in Markdown.
    license_name (str): The licence.
    requires (Iterable[str]): The distributions that it needs.
    entry_points (str): The content of its entry_points.txt.
    notices (str): What the licences of its content want to be said in every copy, in Markdown.
    RETURNS (Path): The wheel.
    """
    metadata = _fields(
        ("Metadata-Version", "2.1"),
        ("Name", name),
        ("Version", version),
        ("Summary", summary),
        ("License", license_name),
        *(("Requires-Dist", requirement) for requirement in requires),
        ("Description-Content-Type", "text/markdown"),
    )
    wheel = _fields(
        ("Wheel-Version", "1.0"),
        ("Generator", f"spacy-crossner {__version__}"),
        ("Root-Is-Purelib", "true"),
        ("Tag", "py3-none-any"),
    )
    info = f"{name}-{version}.dist-info"
    texts = {
        f"{info}/METADATA": f"{metadata}\n{readme}",
        f"{info}/WHEEL": wheel,
        f"{info}/entry_points.txt": entry_points,
        f"{info}/top_level.txt": f"{name}\n",
    }
    if notices:
        texts[f"{info}/licenses/THIRD_PARTY_NOTICES.md"] = notices
    target = output / f"{name}-{version}-py3-none-any.whl"
    rows = []
    with replacing(target) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        for member, path in sorted(files.items()):
            rows.append(_add(archive, member, path.read_bytes()))
        for member, text in texts.items():
            rows.append(_add(archive, member, text.encode("utf8")))
        rows.append(f"{info}/RECORD,,")
        _add(archive, f"{info}/RECORD", ("\n".join(rows) + "\n").encode("utf8"))
    return target


def _fields(*pairs: tuple[str, str]) -> str:
    """Format the fields that have a value, one per line."""
    return "".join(f"{key}: {' '.join(value.split())}\n" for key, value in pairs if value)


def _add(archive: zipfile.ZipFile, member: str, data: bytes) -> str:
    """Add a file; RETURNS (str): Its line in the wheel's RECORD."""
    entry = zipfile.ZipInfo(member, TIMESTAMP)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, compresslevel=COMPRESSION)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
    return f"{member},sha256={digest},{len(data)}"
