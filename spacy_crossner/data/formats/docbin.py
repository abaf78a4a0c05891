"""spaCy's own binary format, `.spacy`."""

from collections.abc import Iterator

from spacy.vocab import Vocab

from spacy_crossner.data.docs import take_apart
from spacy_crossner.data.formats.base import Format, Source
from spacy_crossner.data.sentences import Parsed
from spacy_crossner.data.shards import SUFFIX, read_docs


def read(source: Source) -> Iterator[Parsed]:
    """Read docs as sentences with words and entities.

    source (Source): A `.spacy` file.
    RETURNS (Iterator[Parsed]): The sentences.
    """
    return take_apart(read_docs(source.path, Vocab()))


DOCBIN = Format(
    "spacy",
    "docs as spaCy stores them (.spacy)",
    read,
    lambda source: source.path.suffix.lower() == SUFFIX,
    (SUFFIX,),
    ending=SUFFIX,
    holds=frozenset({"overlaps", "gaps", "scores", "unlabelled"}),
)
