"""The sample corpus in `assets/sample`: valid, varied, balanced, and what its card says it is."""

import re
from collections import Counter
from pathlib import Path

import numpy
import pytest
from rapidfuzz import fuzz, process

from spacy_crossner.data.markup import Marked, iter_lines, read_marked
from tests.marks import format_marks

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"
CARD = SAMPLE / "README.md"
REGISTERS = ("news", "wiki", "forum", "business", "sport", "science", "culture", "daily")
LANGUAGES = ("de", "es", "fr", "ja", "nl", "pt", "th", "zh")
NEAR_DUPLICATE = 85


def entities(sentence: Marked) -> list[tuple[str, str]]:
    """List the text and label of each flat entity."""
    return [(sentence.text[start:end], label) for start, end, label in sentence.spans]


def max_ratio(queries: list[str], choices: list[str]) -> numpy.ndarray:
    """Compute the similarity of each pair in percent. The diagonal is 0 if both sides are the same
    list.
    """
    ratios = process.cdist(queries, choices, scorer=fuzz.ratio, dtype=numpy.uint8)
    if queries is choices:
        numpy.fill_diagonal(ratios, 0)
    return ratios


@pytest.fixture(scope="module")
def train() -> list[Marked]:
    return [s for name in REGISTERS for s in read_marked(SAMPLE / "en" / f"train-{name}.txt")]


@pytest.fixture(scope="module")
def dev() -> list[Marked]:
    return read_marked(SAMPLE / "en" / "dev.txt")


@pytest.fixture(scope="module")
def english(train: list[Marked], dev: list[Marked]) -> list[Marked]:
    return train + dev


@pytest.fixture(scope="module")
def translate_ids() -> list[str]:
    lines = (SAMPLE / "translate-ids.txt").read_text(encoding="utf8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_english_file_is_known():
    names = {path.name for path in (SAMPLE / "en").glob("*.txt")}
    assert names == {"dev.txt", *(f"train-{name}.txt" for name in REGISTERS)}


def test_marks_come_back_as_they_stand_there():
    for path in (SAMPLE / "en").glob("*.txt"):
        sentences = {sentence.id: sentence for sentence in read_marked(path)}
        for _, id_, marked in iter_lines(path):
            sentence = sentences[id_]
            assert format_marks(sentence.text, sentence.spans, sentence.nested) == marked


def test_there_are_enough_sentences(train: list[Marked], dev: list[Marked]):
    assert len(train) >= 620
    assert len(dev) >= 100


def test_ids_name_the_register_and_are_unique(train: list[Marked], dev: list[Marked]):
    ids = [sentence.id for sentence in train + dev]
    assert len(ids) == len(set(ids))
    for sentences, pattern in ((train, r"en-(\w+)-\d{3}"), (dev, r"en-dev-(\w+)-\d{3}")):
        matches = [re.fullmatch(pattern, sentence.id) for sentence in sentences]
        counts = Counter(match[1] for match in matches if match)
        assert counts.total() == len(sentences)
        assert set(counts) == set(REGISTERS)
        assert min(counts.values()) >= 0.8 * len(sentences) / len(REGISTERS)


def test_labels_are_balanced_and_some_sentences_have_none(english: list[Marked]):
    counts = Counter(label for sentence in english for _, label in entities(sentence))
    assert set(counts) == {"PER", "ORG", "LOC"}
    assert min(counts.values()) / counts.total() >= 0.15
    assert counts.total() / len(english) >= 2
    assert 0.05 <= sum(not sentence.spans for sentence in english) / len(english) <= 0.12


def test_entities_are_many_and_seldom_repeated(english: list[Marked]):
    counts = Counter(text for sentence in english for text, _ in entities(sentence))
    assert len(counts) >= 1200
    assert {text: count for text, count in counts.items() if count > 3} == {}


def test_sentences_are_no_templates(english: list[Marked]):
    words = [sentence.text.lower().split() for sentence in english]
    grams = [tuple(line[i : i + 4]) for line in words for i in range(len(line) - 3)]
    share = len(set(grams)) / len(grams)
    assert share >= 0.9
    assert f"sequences is {share:.1%}".replace("%", " %") in CARD.read_text(encoding="utf8")
    lengths = [len(line) for line in words]
    assert min(lengths) <= 6
    assert max(lengths) >= 40


def test_no_sentence_nearly_repeats_another(english: list[Marked]):
    texts = [sentence.text for sentence in english]
    ratios = max_ratio(texts, texts)
    near = [(english[i].id, english[j].id) for i, j in numpy.argwhere(ratios > NEAR_DUPLICATE)]
    assert near == []


def test_300_sentences_are_chosen_for_translation(translate_ids: list[str], train: list[Marked]):
    assert len(translate_ids) == len(set(translate_ids)) == 300
    assert set(translate_ids) <= {sentence.id for sentence in train}
    assert {id_.split("-")[1] for id_ in translate_ids} == set(REGISTERS)


@pytest.mark.parametrize("part", ["train", "dev"])
def test_the_card_states_the_counts(part: str, request: pytest.FixtureRequest):
    sentences = request.getfixturevalue(part)
    found = [entity for sentence in sentences for entity in entities(sentence)]
    labels = Counter(label for _, label in found)
    numbers = [len(sentences), sum(not sentence.spans for sentence in sentences), len(found)]
    numbers += [labels["PER"], labels["ORG"], labels["LOC"], len({text for text, _ in found})]
    row = f"| en {part} | {' | '.join(map(str, numbers))} |"
    assert row in CARD.read_text(encoding="utf8")


def read_part(lang: str, name: str) -> list[Marked]:
    """Read a file of a target language; skip the test if there is none."""
    path = SAMPLE / lang / name
    if not path.exists():
        pytest.skip(f"the sample has no {lang}/{name}")
    return read_marked(path)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_translations_have_the_entities_of_their_source(
    lang: str, translate_ids: list[str], train: list[Marked]
):
    memory = read_part(lang, "memory.txt")
    sources = {sentence.id: sentence for sentence in train if sentence.id in set(translate_ids)}
    assert {sentence.id for sentence in memory} <= set(sources)
    for sentence in memory:
        labels = sorted(label for _, label in entities(sentence))
        assert labels == sorted(label for _, label in entities(sources[sentence.id])), sentence.id


@pytest.mark.parametrize("lang", LANGUAGES)
def test_unlabelled_text_is_enough_and_unmarked(lang: str):
    unlabelled = read_part(lang, "unlabelled.txt")
    assert len(unlabelled) >= 200
    assert [sentence.id for sentence in unlabelled if sentence.spans] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_test_sentences_are_enough_and_labelled(lang: str):
    counts = Counter(label for s in read_part(lang, "test.txt") for _, label in entities(s))
    assert len(read_part(lang, "test.txt")) >= 100
    assert set(counts) == {"PER", "ORG", "LOC"}
    assert min(counts.values()) / counts.total() >= 0.15


@pytest.mark.parametrize("lang", LANGUAGES)
def test_test_sentences_are_seen_nowhere_else(lang: str, english: list[Marked]):
    test, unlabelled = read_part(lang, "test.txt"), read_part(lang, "unlabelled.txt")
    # Japanese and Thai have no translations
    memory = read_part(lang, "memory.txt") if (SAMPLE / lang / "memory.txt").exists() else []
    ids = [s.id for s in test + memory + unlabelled]
    assert len(ids) == len(set(ids))
    others = [s.text for s in memory + unlabelled]
    ratios = max_ratio([s.text for s in test], others)
    assert [test[i].id for i, _ in numpy.argwhere(ratios > NEAR_DUPLICATE)] == []
    # Names survive translation: two of them together betray a sentence that was translated.
    named = [{text for text, _ in entities(s)} for s in english + memory]
    for sentence in test:
        names = {text for text, _ in entities(sentence)}
        assert max(len(names & known) for known in named) < 2, sentence.id
