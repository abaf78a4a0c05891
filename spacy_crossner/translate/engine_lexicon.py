"""Word by word with a lexicon: the last resort, where nothing else knows the language.

It replaces every word, like code-switching. The result is not a sentence of the target
language, but its words are, and the entities are exactly where they were.
"""

import hashlib
import random
from collections.abc import Sequence

from spacy_crossner.data.languages import find_tokenizer
from spacy_crossner.errors import Errors, NoTranslationError
from spacy_crossner.lexicon.lexicon import Lexicon, read_lexicon
from spacy_crossner.lexicon.switch import Sentence, Switcher, switch_sentence
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Mark,
    Outcome,
    Segment,
)


class LexiconEngine:
    """Replaces every word and phrase that a lexicon knows."""

    def __init__(self, lexicon: Lexicon):
        """Take a lexicon.

        lexicon (Lexicon): The translations.
        """
        self.switcher = Switcher(lexicon)
        self.tokenize = find_tokenizer(lexicon.source)
        digest = hashlib.sha256()
        for entry in lexicon:
            digest.update(repr(entry).encode("utf8"))
        self.identity = f"lexicon {digest.hexdigest()}"

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Translate texts word by word. Marks are carried."""
        return [self._translate(segment) for segment in segments]

    def _translate(self, segment: Segment) -> Outcome:
        doc = self.tokenize(segment.text)
        words = [token.text for token in doc]
        spaces = [bool(token.whitespace_) for token in doc]
        spans = []
        for start, end, entity in segment.marks or ():
            span = doc.char_span(start, end, alignment_mode="expand")
            if span is not None:
                spans.append((span.start, span.end, entity))
        marks = [(start, end) for start, end, _ in spans]
        switched = switch_sentence(
            Sentence(words, spaces, marks),
            [self.switcher],
            random.Random(0),
            ratio=1.0,
            switch_entities=True,
        )
        if switched is None:
            return Failure("The lexicon has none of its words.")
        offsets = [0]
        for word, space in zip(switched.words, switched.spaces, strict=True):
            offsets.append(offsets[-1] + len(word) + space)
        text = "".join(
            word + " " * space for word, space in zip(switched.words, switched.spaces, strict=True)
        )
        moved = []
        for start, end, entity in spans:
            first, last = switched.starts[start], switched.starts[end] - 1
            moved.append(Mark(offsets[first], offsets[last] + len(switched.words[last]), entity))
        return Segment(text, tuple(moved))


@ENGINES.register("lexicon")
def make_lexicon(source: str, target: str, settings: EngineSettings) -> Engine:
    """Make an engine of a lexicon.

    source (str): Language of the texts.
    target (str): Language to translate into.
    settings (EngineSettings): `lexicons` names the file of each target language.
    RETURNS (Engine): The engine.
    """
    if target not in settings.lexicons:
        raise NoTranslationError(Errors.CN440.format(target=target))
    return LexiconEngine(read_lexicon(settings.lexicons[target], source, target))
