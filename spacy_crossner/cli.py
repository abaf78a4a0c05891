"""`python -m spacy crossner COMMAND`: parse, call, print.

Each command is a thin shell around a plain function that can be imported. Those functions are
imported inside the commands: `python -m spacy --help` loads this module, and must stay quick.
"""

import functools
from collections.abc import Callable
from typing import Any

import typer
from spacy.cli._util import app as spacy_app
from wasabi import msg

from spacy_crossner.errors import CrossnerError

app = typer.Typer(
    name="crossner",
    help="Cross-lingual NER: train where labels are, ship where none are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
spacy_app.add_typer(app, name="crossner")


def command(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command whose user errors end in one clear line and exit code 1.

    name (str): The name after `python -m spacy crossner`.
    RETURNS (Callable): The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @app.command(name)
        @functools.wraps(function)
        def shell(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except CrossnerError as error:
                msg.fail(str(error))
                raise typer.Exit(1) from None

        return shell

    return decorate
