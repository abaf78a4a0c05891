"""`python -m spacy crossner COMMAND`, one module for each group of commands."""

from spacy_crossner.cli import (  # noqa: F401, I001 (the order of the help page)
    start,
    data,
    views,
    train,
    teach,
    report,
    demo,
    scale,
    ship,
)
from spacy_crossner.cli.app import app, command, explain

__all__ = ["app", "command", "explain"]
