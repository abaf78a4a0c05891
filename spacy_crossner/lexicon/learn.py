"""Learn a dictionary from translations, where there is none to be had.

The views that the command `translate` wrote link their tokens with those of their source. Words
that were linked again and again translate each other; a few hundred sentences give common words.
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

# One link may be an error of the aligner; two of the same seldom are.
LEAST_COUNT = 2
# The share that a pair must have of all links of either word.
LEAST_SHARE = 0.4


def learn_rows(path: Path, source: str, target: str) -> Iterator[Row]:
    """Learn translations of words from aligned views.

    path (Path): A `.spacy` file, or a folder of them, with sources and their translations.
    source (str): Language of the words.
    target (str): Language of the translations.
    YIELDS (Row): The translations, weighted by how often they were seen.
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
    """Pair the words outside of entities with the runs of tokens that only they are linked to.

    docs (Iterable[Doc]): Sources, each before its translations.
    source (str): Language of the sources.
    target (str): Language of the translations; those in others are passed over.
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
            # the first word of a sentence hides whether it has a capital of its own
            if is_word(word.text) and is_word(span.text) and span.start > 0:
                yield word.text.lower(), span.text
