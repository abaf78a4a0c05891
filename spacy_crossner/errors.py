"""Every error and warning of the package, each with a code that a person can search for.

Codes are grouped by floor and never reused: 0xx setup and encoder, 1xx components, 2xx data,
3xx objectives, 4xx translation, 5xx distillation, 6xx measuring, 7xx shipping.
"""


class CrossnerError(ValueError):
    """A mistake that the user can mend: the commands print it as one line and exit with 1."""


class _Coded(type):
    """Prefix each message with its code, so that `Errors.CN001` reads "[CN001] ..."."""

    def __getattribute__(cls, name: str) -> str:
        message = super().__getattribute__(name)
        if name.startswith("__"):
            return message
        return f"[{name}] {message}"


class Errors(metaclass=_Coded):
    # 0xx: setup and encoder

    # 1xx: components

    # 2xx: data
    CN201 = (
        "A training doc of '{name}' has a view that can't be read: {problem}. Re-create the file "
        "with the crossner command that wrote it."
    )

    # 3xx: objectives

    # 4xx: translation

    # 5xx: distillation

    # 6xx: measuring

    # 7xx: shipping

    pass


class Warnings(metaclass=_Coded):
    # 1xx: components

    # 2xx: data

    pass
