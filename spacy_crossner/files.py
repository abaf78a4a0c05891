"""Small files, written whole or not at all."""

import os
from pathlib import Path
from typing import Any, Union

import srsly


def write_file(path: Path, content: Union[str, bytes]) -> None:
    """Write a file; whoever reads it meanwhile sees the old one, or none.

    path (Path): Where to write.
    content (Union[str, bytes]): What to write; text becomes UTF-8.
    """
    temporary = path.with_name(f".{path.name}.tmp{os.getpid()}")
    temporary.write_bytes(content.encode("utf8") if isinstance(content, str) else content)
    temporary.replace(path)


def write_json(path: Path, data: Any) -> None:
    """Write a file of JSON, whole or not at all.

    path (Path): Where to write.
    data (Any): What can be expressed in JSON.
    """
    write_file(path, srsly.json_dumps(data, indent=2))
