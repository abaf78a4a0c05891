"""Read UTF-8 text files. Other encodings raise an error that gives the iconv command."""

from collections.abc import Iterator
from pathlib import Path

from spacy_crossner.errors import CrossnerError, Errors

# the longer marks first: UTF-32's begins with that of UTF-16
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\0\0": "UTF-32LE",
    b"\0\0\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_ARCHIVES = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


def read_lines(path: Path) -> Iterator[str]:
    """Read the lines of a UTF-8 file, one at a time.

    path (Path): The file; a byte order mark is skipped.
    YIELDS (str): The lines without their line ends.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        _check_head(head, path)
        file.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
        for number, raw in enumerate(file, start=1):
            yield _decode(raw, path, number).rstrip("\r\n")


def read_text(path: Path) -> str:
    """Read a UTF-8 file as it is, line ends included.

    path (Path): The file; a byte order mark is skipped.
    RETURNS (str): The text.
    """
    raw = path.read_bytes()
    _check_head(raw[:4096], path)
    lines = raw.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    return "".join(_decode(line, path, number) for number, line in enumerate(lines, start=1))


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf8")
    except UnicodeDecodeError as error:
        # only Windows-1252 has characters at 0x80 to 0x9f
        windows = any(0x80 <= byte <= 0x9F for byte in raw)
        message = Errors.CN205.format(
            where=f"{path}, line {number}",
            byte=f"0x{raw[error.start]:02x}",
            guess="WINDOWS-1252" if windows else "ISO-8859-1",
            path=path,
        )
        raise CrossnerError(message) from None


def _check_head(head: bytes, path: Path) -> None:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            raise CrossnerError(Errors.CN204.format(path=path, encoding=encoding))
    for mark, archive in _ARCHIVES.items():
        if head.startswith(mark):
            raise CrossnerError(Errors.CN206.format(path=path, archive=archive))
    if b"\n" not in head and b"\r" in head.rstrip(b"\r"):
        raise CrossnerError(Errors.CN900.format(where=path))
    if head.count(b"\0") * 5 > len(head):
        # without a mark: Western characters have their zero byte second in little-endian order
        little = head[1::2].count(b"\0") >= head[::2].count(b"\0")
        encoding = "UTF-16LE" if little else "UTF-16BE"
        raise CrossnerError(Errors.CN204.format(path=path, encoding=encoding))
