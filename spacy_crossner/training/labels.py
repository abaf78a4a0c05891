"""The entity types of a corpus, for components that have to know them before training begins.

spaCy shows a component no more than the first hundred docs of a corpus that it streams. A rare
type may not be among them.
"""

from pathlib import Path
from typing import Optional, Union

import spacy
from spacy.util import registry

from spacy_crossner.data.groups import SPANS_KEY
from spacy_crossner.data.readers import split_path
from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.gold import reference_mentions


@registry.readers("spacy-crossner.Labels.v1")
def read_labels(
    path: Union[str, Path], spans_key: str = SPANS_KEY, require: bool = False
) -> Optional[list[str]]:
    """Collect the entity types of a corpus, without keeping it in memory.

    path (Union[str, Path]): A `.spacy` file, a folder of them, or several with commas, as for
        `spacy-crossner.ParallelCorpus.v1`.
    spans_key (str): Span group that may hold entities, too.
    require (bool): Whether a corpus that does not exist is an error here. It is one in training
        anyway; `spacy debug config` should work without it.
    RETURNS (Optional[List[str]]): The types of entities, spans and soft targets, sorted; None if
        there is no corpus.
    """
    parts = split_path(path)
    if not require and not all(part.exists() for part in parts):
        return None
    labels: set[str] = set()
    vocab = spacy.blank("xx").vocab
    shards = [shard for part in parts for shard in find_shards(part)]
    for shard in shards:
        for doc in read_docs(shard, vocab):
            labels.update(mention.label for mention in reference_mentions(doc, spans_key))
            view = get_view(doc)
            if view is not None and view.soft is not None:
                labels.update(name[2:] for name in view.soft.classes if name[:2] in ("B-", "I-"))
                labels.update(name[4:] for name in view.soft.classes if name[:4] == "THW-")
    if not labels:
        raise CrossnerError(Errors.CN276.format(path=path))
    return sorted(labels)
