"""What MkDocs does differently here: pages and config share a folder."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Read the pages from the folder of the config.

    config (Any): The config of MkDocs.
    RETURNS (Any): The same config.
    """
    config["docs_dir"] = str(Path(config["config_file_path"]).parent)
    return config
