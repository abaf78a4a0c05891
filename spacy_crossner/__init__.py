"""Cross-lingual named entity recognition for spaCy.

Train in a language that has labels, ship in languages that have none. Importing this package is
cheap on purpose (no torch): spaCy reaches its parts through entry points when a config names them.
"""

from spacy_crossner.about import __version__

__all__ = ["__version__"]
