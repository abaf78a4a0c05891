"""Validate settings, with errors that give the name of the setting."""

import math
from collections.abc import Sequence

from spacy_crossner.errors import CrossnerError, Errors


def check_choice(setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise an error unless the value is one of the choices.

    setting (str): Name of the setting.
    value (str): Its value.
    choices (Sequence[str]): The allowed values.
    """
    if value not in choices:
        known = ", ".join(choices)
        raise CrossnerError(Errors.CN207.format(setting=setting, value=value, known=known))


def check_range(setting: str, value: float, least: float, most: float = math.inf) -> None:
    """Raise an error if a number is out of range, infinite or NaN.

    setting (str): Name of the setting.
    value (float): Its value.
    least (float): Minimum.
    most (float): Maximum.
    """
    if not least <= value <= most or math.isinf(value):
        allowed = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise CrossnerError(Errors.CN112.format(setting=setting, value=value, allowed=allowed))


def check_least(setting: str, value: int, least: int = 1) -> None:
    """Raise an error if a number is too small.

    setting (str): Name of the setting.
    value (int): Its value.
    least (int): Minimum.
    """
    if value < least:
        raise CrossnerError(Errors.CN273.format(setting=setting, value=value, least=least))
