"""What MkDocs does differently here: pages and config share a folder, notebooks become pages."""

import json
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Read the pages from the folder of the config.

    config (Any): The config of MkDocs.
    RETURNS (Any): The same config.
    """
    config["docs_dir"] = str(Path(config["config_file_path"]).parent)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each notebook, beside the notebook itself.

    files (Any): The files of the site.
    config (Any): The config of MkDocs.
    RETURNS (Any): The same files.
    """
    # here, because the tests of `write_page` do not need MkDocs
    from mkdocs.structure.files import File

    for path in sorted(Path(config["docs_dir"], "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, name, content=write_page(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Make a link that leads outside of the site plain text: spaCy writes it into project.md.

    markdown (str): A page.
    RETURNS (str): The page without the link.
    """
    return markdown.replace("[`project.yml`](project.yml)", "`project.yml`")


def write_page(path: Path) -> str:
    """Convert a notebook to Markdown.

    path (Path): The notebook.
    RETURNS (str): Its texts and its code, with a link to download it under the title.
    """
    parts = []
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        source = "".join(cell["source"]).strip()
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    title, _, rest = parts[0].partition("\n")
    parts[0] = f"{title}\n\n[Download this notebook]({path.name}).\n{rest}"
    return "\n\n".join(parts) + "\n"
