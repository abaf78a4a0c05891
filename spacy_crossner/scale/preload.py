"""What worker processes have in common: imported once, by the process that they are forked from."""

from spacy_crossner.distil import annotate  # noqa: F401
from spacy_crossner.pipeline import token_label_ner, token_pair_ner  # noqa: F401
from spacy_crossner.scale import outputs  # noqa: F401
