"""File formats: one module per format, and a table of all formats.

A `Format` can recognize a source (`sniff`), read it, and in most cases write it. To add one, write
its module and put its entry into `FORMATS`.
"""

from pathlib import Path

from spacy_crossner.data.formats.base import Format, Source
from spacy_crossner.data.formats.brat import ANNOTATION, BRAT, list_texts
from spacy_crossner.data.formats.columns import BIOES, COLUMNS, IOB, IOB2
from spacy_crossner.data.formats.conllu import CONLLU
from spacy_crossner.data.formats.docbin import DOCBIN
from spacy_crossner.data.formats.doccano import DOCCANO
from spacy_crossner.data.formats.gliner import GLINER, GLINER_OUTPUT
from spacy_crossner.data.formats.huggingface import HUGGINGFACE, HUGGINGFACE_JSON, is_dataset
from spacy_crossner.data.formats.jsonl import JSONL, PRODIGY
from spacy_crossner.data.formats.label_studio import (
    LABEL_STUDIO,
    LABEL_STUDIO_CSV,
    LABEL_STUDIO_MIN,
)
from spacy_crossner.data.formats.spacy_json import SPACY_JSON, SPACY_TRAINING
from spacy_crossner.data.formats.table import TABLE
from spacy_crossner.data.formats.text import TEXT
from spacy_crossner.data.formats.webanno import WEBANNO
from spacy_crossner.data.shards import find_files
from spacy_crossner.errors import CrossnerError, Errors

AUTO = "auto"
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        COLUMNS,
        IOB,
        IOB2,
        BIOES,
        CONLLU,
        TABLE,
        WEBANNO,
        JSONL,
        PRODIGY,
        DOCCANO,
        LABEL_STUDIO,
        LABEL_STUDIO_MIN,
        LABEL_STUDIO_CSV,
        GLINER,
        GLINER_OUTPUT,
        HUGGINGFACE,
        HUGGINGFACE_JSON,
        SPACY_JSON,
        SPACY_TRAINING,
        BRAT,
        TEXT,
        DOCBIN,
    )
}
# Formats that an output's file extension determines.
ENDINGS = {".iob2": IOB2, ".conll": IOB2, ".jsonl": JSONL, ".csv": TABLE, ".spacy": DOCBIN}
# File extensions that are read from a folder.
SUFFIXES = {suffix for format in FORMATS.values() for suffix in format.suffixes} | {
    ".json",
    ".jsonl",
}


def list_formats() -> list[tuple[str, str, str]]:
    """List the formats: name, whether it can be written, and description."""
    return [
        (name, "yes" if one.write or name == DOCBIN.name else "", one.about)
        for name, one in FORMATS.items()
    ]


def guess_format(source: Source) -> Format:
    """Detect the format of a file or folder.

    source (Source): The file or folder.
    RETURNS (Format): The only format that fits. If several fit, an error names them.
    """
    certain = [
        format for format in FORMATS.values() if not format.is_fallback and format.sniff(source)
    ]
    if len(certain) > 1:
        names = " or ".join(format.name for format in certain)
        raise CrossnerError(
            Errors.CN904.format(path=source.path, names=names, first=certain[0].name)
        )
    if certain:
        return certain[0]
    if source.is_json:
        return JSONL
    return COLUMNS


def list_sources(path: Path, format: str = AUTO) -> list[Path]:
    """List the files that are read from a path.

    path (Path): A file or folder.
    format (str): The format, or "auto".
    RETURNS (list[Path]): The file; the files of a folder (for brat, the text files); or the folder
        of a saved data set.
    """
    if not path.is_dir() or is_dataset(path):
        return [path]
    texts = list_texts(path) if format in (AUTO, BRAT.name) else []
    if format == BRAT.name:
        return texts or find_files(path, (".txt",))
    files = find_files(path, SUFFIXES if format == AUTO else ())
    others = [file for file in files if file.suffix.lower() != ANNOTATION]
    return sorted({*texts, *(others if format == AUTO else files)})


__all__ = ["AUTO", "ENDINGS", "FORMATS", "Format", "Source", "guess_format", "list_sources"]
