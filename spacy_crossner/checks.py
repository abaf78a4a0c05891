"""Checks of settings: what is out of range is refused, by the setting's name."""

import math
from collections.abc import Sequence

from spacy_crossner.errors import CrossnerError, Errors


def check_choice(setting: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is none of the choices.

    setting (str): Name of the setting.
    value (str): Its value.
    choices (Sequence[str]): What it may be.
    """
    if value not in choices:
        known = ", ".join(choices)
        raise CrossnerError(Errors.CN207.format(setting=setting, value=value, known=known))


def check_range(setting: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a number that is out of range, infinite or no number.

    setting (str): Name of the setting.
    value (float): Its value.
    least (float): The least that it may be.
    most (float): The most.
    """
    if not least <= value <= most or math.isinf(value):
        raise CrossnerError(
            Errors.CN112.format(setting=setting, value=value, least=least, most=most)
        )


def check_least(setting: str, value: int, least: int = 1) -> None:
    """Refuse a number that is too small.

    setting (str): Name of the setting.
    value (int): Its value.
    least (int): The least that it may be.
    """
    if value < least:
        raise CrossnerError(Errors.CN273.format(setting=setting, value=value, least=least))
