"""Loading of pipelines by those who work with them."""

from pathlib import Path
from typing import Union

import spacy
from spacy.language import Language

from spacy_crossner.errors import CrossnerError, Errors


def load_pipeline(model: Union[str, Path]) -> Language:
    """RETURNS (Language): The pipeline of a folder, or an installed one."""
    try:
        return spacy.load(model)
    except CrossnerError:
        raise
    except (OSError, ValueError) as error:
        raise CrossnerError(Errors.CN611.format(model=model, reason=error)) from None
