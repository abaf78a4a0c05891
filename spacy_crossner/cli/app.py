"""Define `python -m spacy crossner COMMAND`.

Each command is a thin shell around a function that can be imported. The commands import these
functions when they are called, to keep `python -m spacy --help` fast.
"""

import errno
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Optional, get_args

import typer
from spacy.cli._util import app as spacy_app
from typer.core import TyperCommand
from typer.models import OptionInfo
from wasabi import msg

from spacy_crossner.about import __version__
from spacy_crossner.errors import CrossnerError, Errors

app = typer.Typer(
    name="crossner",
    help="Cross-lingual NER: train on labelled languages, predict in others.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
spacy_app.add_typer(app, name="crossner")

# Errors of the file system, which are shown without a traceback.
PLACES = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
)
# Short forms of options, as in spaCy's own commands.
SHORT = {
    "output": "-o",
    "gpu_id": "-g",
    "lang": "-l",
    "n_process": "-n",
    "batch_size": "-b",
    "force": "-F",
    "quiet": "-q",
}
# Names of options before 0.2, accepted for one release: of all commands, and of single ones.
RENAMED = {"--language": "--lang"}
RENAMED_IN = {
    "select": {"--output": "--report", "-o": "--report"},
    "try": {"--html": "--output"},
}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Command(TyperCommand):
    """A command that also accepts the former names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace former names of options, and parse the arguments."""
        known = {name for parameter in self.params for name in parameter.opts}
        renames = RENAMED | RENAMED_IN.get(str(self.name), {})
        renamed = {old: new for old, new in renames.items() if old not in known and new in known}
        for position, word in enumerate(args):
            name, equals, value = word.partition("=")
            if name in renamed:
                args[position] = renamed[name] + equals + value
        return super().parse_args(ctx, args)


@app.callback(invoke_without_command=True, no_args_is_help=True)
def callback(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only print errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Cross-lingual NER: train on labelled languages, predict in others."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    msg.no_print = quiet
    State.verbose = verbose


class State:
    """Global settings of the command line.

    verbose (bool): Whether to show tracebacks.
    """

    verbose = False


def split_list(text: str) -> list[str]:
    """Split a comma-separated list such as "de, es".

    text (str): The list.
    RETURNS (list[str]): Its items without surrounding spaces; empty items are left out.
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def refuse(message: str, options: Mapping[str, Any]) -> None:
    """Raise an error if an option is given that would have no effect.

    message (str): The error, with a place for the option.
    options (Mapping[str, Any]): What was given, by option; nothing, 0 or False if it was not.
    """
    for option, given in options.items():
        if given:
            raise CrossnerError(message.format(option=option))


def command(name: str, panel: str = "", *, to: typer.Typer = app) -> Decorator:
    """Register a command that prints user errors in one line and exits with code 1.

    name (str): Name of the command.
    panel (str): Panel of the help page that lists it.
    to (typer.Typer): The app to register it with.
    RETURNS (Callable): The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        _add_short_forms(function)

        @to.command(name, cls=Command, rich_help_panel=panel or None)
        @functools.wraps(function)
        def shell(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:
                message = explain(error)
                if message is None or State.verbose:
                    raise
                msg.no_print = False
                msg.fail(f"{to.info.name} {name}: {message}")
                raise typer.Exit(1) from None

        return shell

    return decorate


def _add_short_forms(function: Callable[..., Any]) -> None:
    for name, parameter in inspect.signature(function).parameters.items():
        for info in get_args(parameter.annotation)[1:]:
            if name in SHORT and isinstance(info, OptionInfo):
                names = info.param_decls or (f"--{name.replace('_', '-')}",)
                info.param_decls = tuple(dict.fromkeys((*names, SHORT[name])))


def explain(error: Exception) -> Optional[str]:
    """Format an error that the user can correct.

    error (Exception): The error that stopped a command.
    RETURNS (Optional[str]): The message, or None for any other error.
    """
    from spacy_crossner.files import is_disk_full

    if isinstance(error, CrossnerError):
        return str(error)
    path = getattr(error, "filename", None) or "the output"
    if is_disk_full(error):
        return Errors.CN015.format(path=path)
    if isinstance(error, OSError) and error.errno in PLACES:
        return Errors.CN016.format(path=path, reason=error.strerror)
    return None
