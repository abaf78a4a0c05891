"""Learn a dictionary from translated sentences, for language pairs without one.

Views written by the command `translate` link their tokens with those of their source. Words that
are often linked are taken as translations; a few hundred sentences give the common words.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_crossner.data.shards import find_shards, read_docs
from spacy_crossner.data.view import get_view
from spacy_crossner.lexicon.lexicon import Row
from spacy_crossner.lexicon.switch import is_word

# A single link may be an alignment error.
LEAST_COUNT = 2
# Minimum share of all links of either word.
LEAST_SHARE = 0.4


def learn_rows(path: Path, source: str, target: str) -> Iterator[Row]:
    """Learn translations of words from aligned views.

    path (Path): A `.spacy` file, or a folder of them, with sources and their translations.
    source (str): Language of the words.
    target (str): Language of the translations.
    YIELDS (Row): The translations, weighted by frequency.
    """
    vocab = Vocab()
    docs = chain.from_iterable(read_docs(shard, vocab) for shard in find_shards(path))
    pairs = Counter(iter_pairs(docs, source, target))
    by_word: Counter[str] = Counter()
    by_text: Counter[str] = Counter()
    for (word, text), count in pairs.items():
        by_word[word] += count
        by_text[text] += count
    for (word, text), count in sorted(pairs.items()):
        often = count >= LEAST_COUNT
        if often and count >= LEAST_SHARE * max(by_word[word], by_text[text]):
            yield Row(word, "", text, float(count))


def iter_pairs(docs: Iterable[Doc], source: str, target: str) -> Iterator[tuple[str, str]]:
    """Pair words outside entities with the tokens that are linked to them alone.

    docs (Iterable[Doc]): Sources, each before its translations.
    source (str): Language of the sources.
    target (str): Language of the translations; others are skipped.
    YIELDS (Tuple[str, str]): A word in lower case, and its translation.
    """
    sources: dict[str, Doc] = {}
    for doc in docs:
        view = get_view(doc)
        if view is None:
            continue
        if view.kind == "source" and view.lang == source:
            sources[view.group] = doc
        original = sources.get(view.group)
        if view.lang != target or view.links is None or original is None:
            continue
        links = view.links.tolist()
        fertility = Counter(j for _, j in links)
        runs = defaultdict(list)
        for i, j in sorted(links):
            runs[i].append(j)
        for i, run in runs.items():
            span = doc[run[0] : run[-1] + 1]
            whole = len(span) == len(run) and all(fertility[j] == 1 for j in run)
            word = original[i]
            if not whole or word.ent_type or any(token.ent_type for token in span):
                continue
            # the first word of a sentence is capitalized in any case
            if is_word(word.text) and is_word(span.text) and span.start > 0:
                yield word.text.lower(), span.text
