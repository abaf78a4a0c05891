"""Whether the installed libraries are those that the encoder was written for."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Optional

from packaging.requirements import Requirement

from spacy_crossner.errors import CrossnerError, Errors

DISTRIBUTION = "spacy-crossner"
# What holds weights, reads them, or computes with them.
LIBRARIES = ("torch", "transformers", "spacy-transformers", "thinc")


def check_versions(requirements: Optional[Iterable[str]] = None) -> None:
    """Raise an error if the version of a library is not supported.

    Pip sees to it when it installs, but not when somebody installs another version afterwards.
    What goes wrong then looks like a mistake in a pipeline.

    requirements (Optional[Iterable[str]]): Lines such as "torch>=2.6". None takes those of the
        installed package; where it is not installed, nothing is known and nothing refused.
    """
    if requirements is None:
        try:
            requirements = requires(DISTRIBUTION) or ()
        except PackageNotFoundError:
            return
    for requirement in map(Requirement, requirements):
        if requirement.name not in LIBRARIES or requirement.marker is not None:
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            continue  # the import will say so
        if not requirement.specifier.contains(found, prereleases=True):
            raise CrossnerError(Errors.CN017.format(found=found, wanted=requirement))
