"""Code-switched views of docs, written to a corpus or generated anew in each training epoch."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

import numpy
import spacy
from spacy.attrs import ENT_IOB, ORTH, SPACY
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_crossner.checks import check_choice, check_range
from spacy_crossner.data.groups import has_gaps, label_groups
from spacy_crossner.data.readers import make_example
from spacy_crossner.data.shards import find_shards, read_docs, write_docs
from spacy_crossner.data.view import View, get_view, set_view
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.lexicon.lexicon import read_lexicon
from spacy_crossner.lexicon.switch import (
    Sentence,
    Switched,
    Switcher,
    switch_sentence,
)

MIXES = ("single", "sentence", "token")


def read_sentence(doc: Doc) -> Sentence:
    """Read from a doc what code-switching needs. Tokens without annotation are not replaced,
    because they may be part of an entity, unless the whole doc is unannotated.

    doc (Doc): The doc.
    RETURNS (Sentence): Its tokens, entities and spans.
    """
    # read as arrays: creating Token objects would take most of the time
    columns = doc.to_array([ORTH, SPACY, ENT_IOB])
    words = [doc.vocab.strings[orth] for orth in columns[:, 0].tolist()]
    spaces = list(map(bool, columns[:, 1].tolist()))
    missing = numpy.flatnonzero(columns[:, 2] == 0).tolist()
    spans = [*doc.ents, *(span for group in label_groups(doc).values() for span in group)]
    return Sentence(
        words,
        spaces,
        marks=[(span.start, span.end) for span in spans],
        frozen=missing if len(missing) < len(words) else [],
        tags=[token.pos_ for token in doc] if doc.has_annotation("POS") else [],
    )


def make_view(
    doc: Doc, view: View, sentence: Sentence, switched: Switched, *, labelled: bool = True
) -> Doc:
    """Make a doc from a code-switched sentence. Entities and span groups keep their words.

    doc (Doc): The original doc.
    view (View): Its view.
    sentence (Sentence): The sentence read from it.
    switched (Switched): The code-switched sentence.
    labelled (bool): Whether the new doc may be trained on like labelled text.
    RETURNS (Doc): The new doc, a view of the same group.
    """
    copy = Doc(doc.vocab, words=switched.words, spaces=switched.spaces)
    copy.has_unknown_spaces = doc.has_unknown_spaces
    starts = switched.starts
    if doc.has_annotation("ENT_IOB"):
        holes = [Span(copy, starts[i], starts[i + 1]) for i in sentence.frozen]
        copy.set_ents([_move(ent, copy, starts) for ent in doc.ents], missing=holes)
    for key, group in label_groups(doc).items():
        copy.spans[key] = [_move(span, copy, starts) for span in group]
    set_view(
        copy,
        View(
            group=view.group,
            kind="codeswitch",
            lang=switched.lang,
            links=numpy.asarray(switched.links, dtype="int32"),
            # the tokens of a discontinuous entity can't be mapped
            labelled=labelled and view.labelled and not has_gaps(doc),
            weight=view.weight,
        ),
    )
    return copy


def _move(span: Span, doc: Doc, starts: Sequence[int]) -> Span:
    return Span(
        doc,
        starts[span.start],
        starts[span.end],
        label=span.label,
        kb_id=span.kb_id,
        span_id=span.id,
    )


def ensure_view(doc: Doc, lang: str) -> View:
    """Set a doc's view if it has none. The group is a hash of the text, equal in each run.

    doc (Doc): The doc.
    lang (str): Its language, used if it has no view.
    RETURNS (View): The view.
    """
    view = get_view(doc)
    if view is None:
        view = make_first_view(doc, lang)
        set_view(doc, view)
    return view


def make_first_view(doc: Doc, lang: str) -> View:
    """Make a view for a doc that has none, with a hash of its text as the group."""
    return View(group=hashlib.sha256(doc.text.encode("utf8")).hexdigest()[:16], lang=lang)


def parse_lexicons(values: Iterable[str]) -> dict[str, Path]:
    """Read settings such as "de=en-de.tsv".

    values (Iterable[str]): The settings. A folder stands for all its files that are named after a
        language, such as de.tsv.
    RETURNS (dict[str, Path]): Target languages and their lexicon files.
    """
    lexicons: dict[str, Path] = {}
    for value in values:
        if Path(value).is_dir():
            lexicons |= {path.stem: path for path in sorted(Path(value).glob("*.tsv"))}
            continue
        lang, _, path = value.partition("=")
        if not lang or not path or lang in lexicons:
            raise CrossnerError(Errors.CN465.format(value=value))
        lexicons[lang] = Path(path)
    return lexicons


def read_switchers(lexicons: Mapping[str, Union[str, Path]]) -> list[Switcher]:
    """Read the lexicons of several languages.

    lexicons (Mapping[str, Union[str, Path]]): Target languages and their lexicon files.
    RETURNS (list[Switcher]): One for each language. All have the same source language.
    """
    if not lexicons:
        raise CrossnerError(Errors.CN460)
    switchers = [Switcher(read_lexicon(Path(path), target=lang)) for lang, path in lexicons.items()]
    source = switchers[0].lexicon.source
    for switcher, path in zip(switchers, lexicons.values(), strict=True):
        if switcher.lexicon.source != source:
            found = f"{switcher.lexicon.source}-{switcher.lang}"
            asked = f"{source}-{switcher.lang}"
            raise CrossnerError(Errors.CN453.format(path=path, found=found, asked=asked))
    return switchers


def is_switchable(view: View, source: str) -> bool:
    """Decide whether to code-switch a view.

    view (View): The view.
    source (str): The language that the lexicons translate from.
    RETURNS (bool): Whether it is a source view. A source view in another language raises an error.
    """
    if view.kind != "source":
        return False
    if view.lang not in ("xx", source):
        raise CrossnerError(Errors.CN461.format(source=source, lang=view.lang, group=view.group))
    return True


def check_settings(ratio: float, mix: str) -> None:
    """Raise an error for invalid settings.

    ratio (float): The share of words to replace.
    mix (str): How languages are mixed.
    """
    if not 0.0 < ratio <= 1.0:
        raise CrossnerError(Errors.CN462.format(value=ratio))
    check_choice("mix", mix, MIXES)


def draw_switchers(
    switchers: Sequence[Switcher], mix: str, rng: random.Random
) -> Sequence[Switcher]:
    """Choose the languages of one copy: all of them, or a random one."""
    return switchers if mix == "token" else [rng.choice(switchers)]


@dataclass
class Report:
    """Counts of a code-switching run.

    sentences (int): Source sentences.
    views (int): Code-switched copies of them.
    unchanged (int): Copies left out because no word could be replaced.
    words (int): Words outside entities, counted once per copy of their sentence.
    replaced (int): How many of them were replaced.
    langs (Counter[str]): Copies by their main language.
    """

    sentences: int = 0
    views: int = 0
    unchanged: int = 0
    words: int = 0
    replaced: int = 0
    langs: Counter[str] = field(default_factory=Counter)


def codeswitch_docs(
    docs: Iterable[Doc],
    switchers: Sequence[Switcher],
    report: Report,
    *,
    ratio: float = 0.5,
    copies: int = 1,
    mix: str = "sentence",
    seed: int = 0,
    switch_entities: bool = False,
    labelled: bool = True,
    views_only: bool = False,
) -> Iterator[Doc]:
    """Insert code-switched copies after each source doc; see `codeswitch` for the settings.

    docs (Iterable[Doc]): The docs. Docs that are not source views are passed through.
    switchers (Sequence[Switcher]): The languages.
    report (Report): Updated while docs are processed.
    YIELDS (Doc): The docs. The views of a group follow one another.
    """
    source = switchers[0].lexicon.source
    plans = [[one] for one in switchers] if mix == "single" else [None]
    for doc in docs:
        view = ensure_view(doc, source)
        if not views_only:
            yield doc
        if not is_switchable(view, source):
            continue
        report.sentences += 1
        sentence = read_sentence(doc)
        total = sentence.count_open_words()
        for number in range(copies):
            for plan in plans:
                key = plan[0].lang if plan else mix
                # a seed per copy makes the result independent of where a run starts
                rng = random.Random(f"{seed} {view.group} {number} {key}")
                languages = plan or draw_switchers(switchers, mix, rng)
                switched = switch_sentence(
                    sentence, languages, rng, ratio=ratio, switch_entities=switch_entities
                )
                report.words += total
                if switched is None:
                    report.unchanged += 1
                    continue
                report.views += 1
                report.replaced += switched.replaced
                report.langs[switched.lang] += 1
                yield make_view(doc, view, sentence, switched, labelled=labelled)


def codeswitch(
    path: Path,
    out: Path,
    lexicons: Mapping[str, Union[str, Path]],
    *,
    ratio: float = 0.5,
    copies: int = 1,
    mix: str = "sentence",
    seed: int = 0,
    switch_entities: bool = False,
    labelled: bool = True,
    views_only: bool = False,
    progress: bool = False,
) -> Report:
    """Write a corpus with code-switched views after each source doc.

    path (Path): A `.spacy` file, or a folder of them.
    out (Path): The `.spacy` file to write. It is written completely or not at all.
    lexicons (Mapping[str, Union[str, Path]]): Target languages and their lexicon files.
    ratio (float): The share of words outside of entities to replace.
    copies (int): Copies per sentence; with "single", per sentence and language.
    mix (str): "single" makes copies in each language, "sentence" draws a language for each copy,
        and "token" draws one for each phrase.
    seed (int): Random seed.
    switch_entities (bool): Also replace entities that have a dominant translation.
    labelled (bool): Whether the copies may be used as labelled training data. If not, they are
        only used for contrastive objectives.
    views_only (bool): Omit the sources and all other docs.
    progress (bool): Show a progress bar if the output is a terminal.
    RETURNS (Report): The counts.
    """
    check_settings(ratio, mix)
    shards = find_shards(Path(path))
    out = Path(out)
    if out.resolve() in (shard.resolve() for shard in shards):
        raise CrossnerError(Errors.CN213.format(path=out))
    switchers = read_switchers(lexicons)
    vocab = Vocab()
    docs = (doc for shard in shards for doc in read_docs(shard, vocab))
    report = Report()
    views = codeswitch_docs(
        tqdm(docs, unit=" sentences", disable=None if progress else True, leave=False),
        switchers,
        report,
        ratio=ratio,
        copies=copies,
        mix=mix,
        seed=seed,
        switch_entities=switch_entities,
        labelled=labelled,
        views_only=views_only,
    )
    write_docs(out, _check_views(views, report, path))
    return report


def _check_views(docs: Iterator[Doc], report: Report, path: Path) -> Iterator[Doc]:
    yield from docs
    if not report.views:
        raise CrossnerError(Errors.CN463.format(path=path, sentences=report.sentences))


@spacy.registry.augmenters("spacy-crossner.codeswitch_augmenter.v1")
def create_codeswitch_augmenter(
    lexicons: dict[str, Union[str, Path]],
    ratio: float = 0.5,
    probability: float = 1.0,
    mix: str = "sentence",
    switch_entities: bool = False,
    labelled: bool = True,
    seed: int = 0,
) -> Callable[[Language, Example], Iterator[Example]]:
    """Add a code-switched view after each source example, a different one in each epoch.

    lexicons (Dict[str, Union[str, Path]]): Target languages and their lexicon files.
    ratio (float): The share of words outside of entities to replace.
    probability (float): The share of examples that get a view.
    mix (str): "sentence" draws a language for each example, "token" one for each phrase.
    switch_entities (bool): Also replace entities that have a dominant translation.
    labelled (bool): Whether the views may be used as labelled training data. If not, they are only
        used for contrastive objectives.
    seed (int): Random seed.
    """
    check_settings(ratio, mix)
    check_range("probability", probability, 0.0, 1.0)
    if mix == "single":
        raise CrossnerError(Errors.CN464)
    return CodeswitchAugmenter(
        read_switchers(lexicons),
        ratio=ratio,
        probability=probability,
        mix=mix,
        switch_entities=switch_entities,
        labelled=labelled,
        seed=seed,
    )


class EpochRng:
    """Random number generators by group and epoch, independent of the order of groups."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()

    def make_rng(self, group: str) -> random.Random:
        """Make a random number generator for the group's next epoch."""
        self._counts[group] += 1
        return random.Random(f"{self._seed} {group} {self._counts[group] - 1}")


class CodeswitchAugmenter:
    """Augmenter that yields examples and their code-switched views.

    switchers (Sequence[Switcher]): The languages.

    The other settings are those of `create_codeswitch_augmenter`.
    """

    def __init__(
        self,
        switchers: Sequence[Switcher],
        *,
        ratio: float,
        probability: float,
        mix: str,
        switch_entities: bool,
        labelled: bool,
        seed: int,
    ) -> None:
        self.switchers = switchers
        self.ratio = ratio
        self.probability = probability
        self.mix = mix
        self.switch_entities = switch_entities
        self.labelled = labelled
        self.visits = EpochRng(seed)

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield an example and perhaps a code-switched view of it.

        nlp (Language): The pipeline.
        example (Example): The example. If its reference has no view, both docs are given one.
        YIELDS (Example): The example, then the view, whose predicted doc has the tokens of its
            reference.
        """
        source = self.switchers[0].lexicon.source
        view = ensure_view(example.reference, source)
        if get_view(example.predicted) is None:
            set_view(example.predicted, view)
        yield example
        if not is_switchable(view, source):
            return
        rng = self.visits.make_rng(view.group)
        if rng.random() >= self.probability:
            return
        sentence = read_sentence(example.reference)
        switched = switch_sentence(
            sentence,
            draw_switchers(self.switchers, self.mix, rng),
            rng,
            ratio=self.ratio,
            switch_entities=self.switch_entities,
        )
        if switched is not None:
            doc = make_view(example.reference, view, sentence, switched, labelled=self.labelled)
            yield make_example(doc)
