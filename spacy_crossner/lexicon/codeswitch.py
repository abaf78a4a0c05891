"""Code-switched views of docs: written into a corpus, or made anew in each epoch of a training."""

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
    """Read off a doc what code-switching has to know. Tokens whose annotation is missing are left
    alone, for they may be a part of an entity; unless the doc has no annotation at all.

    doc (Doc): The doc.
    RETURNS (Sentence): Its tokens, entities and spans.
    """
    # as columns: to make a token of each costs more than all else here
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
    """Make a doc of a code-switched sentence: entities and span groups move with their words.

    doc (Doc): The doc that was code-switched.
    view (View): Its view.
    sentence (Sentence): What was read off it.
    switched (Switched): What became of it.
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
            # of an entity with gaps nothing tells where its tokens went
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
    """Give a doc a view if it has none. Its group is made of its text, the same in each run.

    doc (Doc): The doc.
    lang (str): Its language, if it has to be given a view.
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

    values (Iterable[str]): The settings. A folder stands for all files in it that are named after
        their language, such as de.tsv.
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
    RETURNS (list[Switcher]): A switcher for each. All translate from the same language.
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
    RETURNS (bool): Whether it is a source view. One in another language raises an error.
    """
    if view.kind != "source":
        return False
    if view.lang not in ("xx", source):
        raise CrossnerError(Errors.CN461.format(source=source, lang=view.lang, group=view.group))
    return True


def check_settings(ratio: float, mix: str) -> None:
    """Refuse settings that make no sense.

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
    """What was code-switched.

    sentences (int): Source sentences.
    views (int): Code-switched copies of them.
    unchanged (int): Copies left out because no word could be replaced.
    words (int): Words outside of entities, in all sentences as often as they have copies.
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
    """Follow each source doc by its code-switched copies; `codeswitch` says what the settings mean.

    docs (Iterable[Doc]): The docs. Those that are no source views are passed on.
    switchers (Sequence[Switcher]): The languages.
    report (Report): Is filled on the way.
    YIELDS (Doc): The docs, the views of a group one after the other.
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
                # each copy has a seed of its own: it comes out the same wherever a run begins
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
    """Write code-switched views of a corpus, each behind its source.

    path (Path): A `.spacy` file, or a folder of them.
    out (Path): The `.spacy` file to write, all or nothing.
    lexicons (Mapping[str, Union[str, Path]]): Target languages and their lexicon files.
    ratio (float): The share of words outside of entities to replace.
    copies (int): How many copies to make of each sentence; with "single", in each language.
    mix (str): "single" makes copies in each of the languages, "sentence" draws a language for each
        copy, and "token" draws one for each phrase.
    seed (int): Decides what is replaced.
    switch_entities (bool): Also replace entities whose translation the lexicon is sure of.
    labelled (bool): Whether the copies may be trained on like labelled text. If not, they only
        serve as contrast to their source.
    views_only (bool): Leave the sources and all other docs out.
    progress (bool): Show a progress bar, if there is a terminal.
    RETURNS (Report): What was done.
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
    """Follow source examples by a code-switched view of themselves, another one in each epoch.

    lexicons (Dict[str, Union[str, Path]]): Target languages and their lexicon files.
    ratio (float): The share of words outside of entities to replace.
    probability (float): The share of examples that get a view.
    mix (str): "sentence" draws a language for each example, "token" one for each phrase.
    switch_entities (bool): Also replace entities whose translation the lexicon is sure of.
    labelled (bool): Whether the views may be trained on like labelled text. If not, they only serve
        as contrast to their source.
    seed (int): Decides what is replaced.
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
    """A source of chance for each time that a group comes by: the order of groups makes no
    difference, and each epoch is another."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()

    def make_rng(self, group: str) -> random.Random:
        """Make a random number generator for the group's next epoch."""
        self._counts[group] += 1
        return random.Random(f"{self._seed} {group} {self._counts[group] - 1}")


class CodeswitchAugmenter:
    """Yields examples and their code-switched views.

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
        """Augment one example.

        nlp (Language): The pipeline.
        example (Example): The example. If its reference has no view, both docs are given one.
        YIELDS (Example): The example itself; then perhaps its code-switched view, whose predicted
            doc has the tokens of its reference.
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
