"""The version, in one place that costs nothing to import."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("spacy-crossner")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
