"""`python -m spacy crossner COMMAND`: parse, call, print.

Each command is a thin shell around a plain function that can be imported. Those functions are
imported inside the commands: `python -m spacy --help` loads this module, and must stay quick.
"""

import errno
import functools
from collections.abc import Callable
from typing import Any, Optional

import typer
from spacy.cli._util import app as spacy_app
from wasabi import msg

from spacy_crossner.errors import CrossnerError, Errors

app = typer.Typer(
    name="crossner",
    help="Cross-lingual NER: train where labels are, ship where none are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
spacy_app.add_typer(app, name="crossner")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def command(name: str, panel: str = "", *, to: typer.Typer = app) -> Decorator:
    """Register a command whose user errors end in one clear line with its name, and exit code 1.

    name (str): The command's name.
    panel (str): The panel of the help page that lists it.
    to (typer.Typer): The app that gets the command.
    RETURNS (Callable): The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @to.command(name, rich_help_panel=panel or None)
        @functools.wraps(function)
        def shell(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:
                message = explain(error)
                if message is None:
                    raise
                msg.fail(f"{to.info.name} {name}: {message}")
                raise typer.Exit(1) from None

        return shell

    return decorate


def explain(error: Exception) -> Optional[str]:
    """Say what a user can do about an error.

    error (Exception): What stopped a command.
    RETURNS (Optional[str]): The message, or None if the mistake is ours.
    """
    from spacy_crossner.files import is_disk_full

    if isinstance(error, CrossnerError):
        return str(error)
    path = getattr(error, "filename", None) or "what the command writes"
    if is_disk_full(error):
        return Errors.CN015.format(path=path)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Errors.CN016.format(path=path, reason=error.strerror)
    return None
