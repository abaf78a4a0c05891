"""A MkDocs hook that lets the pages and the config share a folder."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Read the pages from the config's folder.

    config (Any): MkDocs' config.
    RETURNS (Any): The same config.
    """
    config["docs_dir"] = str(Path(config["config_file_path"]).parent)
    return config
