"""Groups of views from disk to batch: whole, shuffled by a seed, one shard in memory at a time."""

import random
import shutil
import subprocess
import sys
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_crossner.data.batchers import batch_by_group, configure_batch_by_group
from spacy_crossner.data.groups import label_groups
from spacy_crossner.data.readers import (
    create_parallel_corpus,
    make_example,
    shuffle_buffered,
)
from spacy_crossner.data.shards import write_docs
from spacy_crossner.data.view import (
    KINDS,
    USER_DATA_KEY,
    SoftTargets,
    View,
    get_group,
    get_view,
    set_view,
)
from spacy_crossner.errors import CrossnerError


def make_docs(n_groups: int, views: int = 3, prefix: str = "g", vocab: Vocab | None = None):
    vocab = vocab or Vocab()
    langs = ("en", "de", "en")
    for number in range(n_groups):
        for view in range(views):
            words = [f"{prefix}{number}", KINDS[view], *["w"] * (number % 5)]
            doc = Doc(vocab, words=words, ents=["B-PER"] + ["O"] * (len(words) - 1))
            set_view(doc, View(f"{prefix}{number}", KINDS[view], langs[view]))  # type: ignore[arg-type]
            yield doc


@pytest.fixture
def nlp():
    return spacy.blank("xx")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write_docs(tmp_path / "corpus", make_docs(40), shard_size=15)
    return tmp_path / "corpus"


def read_words(corpus, nlp) -> list[tuple[str, str]]:
    return [(eg.reference[0].text, eg.reference[1].text) for eg in corpus(nlp)]


def list_groups(examples) -> list[str]:
    return [get_group(eg.reference) for eg in examples]


def is_contiguous(groups: list[str]) -> bool:
    starts = [b for a, b in pairwise([None, *groups]) if a != b]
    return len(starts) == len(set(starts))


def test_registered_names_resolve():
    assert spacy.registry.readers.get("spacy-crossner.ParallelCorpus.v1") is create_parallel_corpus
    assert (
        spacy.registry.batchers.get("spacy-crossner.batch_by_group.v1") is configure_batch_by_group
    )


def test_soft_targets_of_both_schemes_are_stored(nlp, tmp_path):
    doc = Doc(nlp.vocab, words=["a", "b"])
    classes = SoftTargets(
        "bio", ("O", "B-X", "I-X"), numpy.array([1]), numpy.array([[0.5, 0.5, 0]]), numpy.array([0])
    )
    index, probs = numpy.array([[1, 1]]), numpy.array([[0.0, 0.5]])
    soft = SoftTargets("relations", ("NNW", "THW-X"), index, probs, bio=classes)
    set_view(doc, View("g", "target", soft=soft))
    write_docs(tmp_path / "a.spacy", [doc])
    (example,) = create_parallel_corpus(tmp_path / "a.spacy")(nlp)
    found = get_view(example.reference).soft
    assert (found.scheme, found.index.tolist(), found.masked) == ("relations", [[1, 1]], None)
    assert (found.bio.scheme, found.bio.classes) == ("bio", classes.classes)
    assert found.bio.probs.tolist() == [[0.5, 0.5, 0]]
    assert found.bio.masked.tolist() == [0]
    doc.user_data[USER_DATA_KEY]["soft"]["bio"]["probs"] = "none"
    with pytest.raises(CrossnerError, match="CN201"):
        get_view(doc)


def test_predicted_docs_have_the_tokens_and_views_of_their_references(nlp, tmp_path):
    doc = Doc(nlp.vocab, words=["U.S.-", "based", " ", "Acme"], spaces=[False, True, False, False])
    doc.set_ents([doc[3:4]])
    soft = SoftTargets("bio", ("O", "B-PER"), numpy.array([1]), numpy.array([[0.5, 0.5]]))
    set_view(doc, View("g", "target", "en", numpy.array([[0, 1]]), False, 0.5, soft))
    unspaced = Doc(nlp.vocab, words=["a", "b"])
    write_docs(tmp_path / "a.spacy", [doc, unspaced])
    first, second = create_parallel_corpus(tmp_path / "a.spacy")(nlp)
    assert [token.text for token in first.predicted] == [token.text for token in doc]
    assert first.predicted.text == first.reference.text == "U.S.-based  Acme"
    assert first.alignment.x2y.lengths.tolist() == [1] * 4
    assert not first.predicted.ents
    for side in (first.predicted, first.reference):
        view = get_view(side)
        assert (view.group, view.kind, view.labelled, view.weight) == ("g", "target", False, 0.5)
        assert view.links.tolist() == [[0, 1]]
        assert view.soft.probs.tolist() == [[0.5, 0.5]]
    assert second.predicted.has_unknown_spaces
    assert get_view(second.predicted) is None
    # the copy that spaCy's update makes of the predicted doc keeps the view
    assert get_view(first.predicted.copy()).group == "g"


@pytest.mark.parametrize("shuffle", [False, True])
def test_groups_are_contiguous_and_complete(nlp, shards, shuffle):
    corpus = create_parallel_corpus(shards, shuffle=shuffle, buffer=7)
    groups = list_groups(corpus(nlp))
    assert is_contiguous(groups)
    assert Counter(groups) == {f"g{number}": 3 for number in range(40)}


def test_order_without_shuffling_is_that_of_the_files(nlp, shards):
    groups = list_groups(create_parallel_corpus(shards)(nlp))
    assert list(dict.fromkeys(groups)) == [f"g{number}" for number in range(40)]


def test_groups_scattered_in_a_file_are_put_together(nlp, tmp_path):
    docs = list(make_docs(6))
    random.Random(0).shuffle(docs)
    write_docs(tmp_path / "a.spacy", docs)
    groups = list_groups(create_parallel_corpus(tmp_path / "a.spacy")(nlp))
    assert is_contiguous(groups)
    assert len(groups) == 18


def test_epochs_differ_and_runs_agree(nlp, shards):
    settings = {"shuffle": True, "buffer": 10}
    corpus = create_parallel_corpus(shards, seed=1, **settings)
    first, second = read_words(corpus, nlp), read_words(corpus, nlp)
    assert first != second
    assert sorted(first) == sorted(second)
    again = create_parallel_corpus(shards, seed=1, **settings)
    # the order depends on nothing but the seed and the epoch
    random.seed(99)
    assert [read_words(again, nlp), read_words(again, nlp)] == [first, second]
    assert read_words(create_parallel_corpus(shards, seed=2, **settings), nlp) != first


def test_the_epoch_is_that_of_the_call(nlp, shards):
    corpus = create_parallel_corpus(shards, shuffle=True)
    first, second = corpus(nlp), corpus(nlp)
    later = [eg.reference[0].text for eg in second]
    earlier = [eg.reference[0].text for eg in first]
    again = create_parallel_corpus(shards, shuffle=True)
    assert [eg.reference[0].text for eg in again(nlp)] == earlier
    assert [eg.reference[0].text for eg in again(nlp)] == later


def test_limit_takes_the_same_groups_in_each_epoch(nlp, shards):
    corpus = create_parallel_corpus(shards, limit=5, shuffle=True)
    epochs = [read_words(corpus, nlp) for _ in range(4)]
    assert {group for group, _ in epochs[0]} == {f"g{number}" for number in range(5)}
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert any(epoch != epochs[0] for epoch in epochs)
    assert len(epochs[0]) == 15


def test_filters(nlp, shards):
    assert {kind for _, kind in read_words(create_parallel_corpus(shards, langs=["de"]), nlp)} == {
        "translation"
    }
    kinds = ["source", "codeswitch"]
    words = read_words(create_parallel_corpus(shards, kinds=kinds), nlp)
    assert Counter(kind for _, kind in words) == {"source": 40, "codeswitch": 40}
    with pytest.raises(CrossnerError, match=r"CN272.*fi"):
        list(create_parallel_corpus(shards, langs=["fi"])(nlp))


def test_views_are_drawn_anew_in_each_epoch(nlp, shards):
    corpus = create_parallel_corpus(shards, max_views=1, seed=3)
    epochs = [read_words(corpus, nlp) for _ in range(3)]
    for epoch in epochs:
        kinds = Counter(kind for _, kind in epoch)
        # each group keeps its source, and one of its two other views
        assert kinds["source"] == 40
        assert kinds["translation"] + kinds["codeswitch"] == 40
    assert epochs[0] != epochs[1]
    again = create_parallel_corpus(shards, max_views=1, seed=3)
    assert [read_words(again, nlp) for _ in range(3)] == epochs


def test_groups_with_few_views_are_read_whole(nlp, shards):
    everything = read_words(create_parallel_corpus(shards), nlp)
    assert read_words(create_parallel_corpus(shards, max_views=2), nlp) == everything
    with pytest.raises(CrossnerError, match=r"CN273.*max_views is -1.*at least 0"):
        create_parallel_corpus(shards, max_views=-1)


def test_empty_docs_are_left_out(nlp, tmp_path):
    write_docs(tmp_path / "a.spacy", [Doc(Vocab(), words=[]), Doc(Vocab(), words=["a"])])
    assert len(list(create_parallel_corpus(tmp_path / "a.spacy")(nlp))) == 1


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("form", ["list", "commas"])
def test_several_paths_are_mixed_evenly(nlp, tmp_path, shuffle, form):
    write_docs(tmp_path / "source", make_docs(60, 3, "s"), shard_size=30)
    write_docs(tmp_path / "target.spacy", make_docs(240, 1, "t"))
    paths = [str(tmp_path / "source"), str(tmp_path / "target.spacy")]
    path = paths if form == "list" else ",".join(paths)
    groups = list_groups(create_parallel_corpus(path, shuffle=shuffle, buffer=20)(nlp))
    assert len(groups) == 60 * 3 + 240
    # every stretch of the stream has its share of both
    for start in range(0, 300, 100):
        from_source = sum(group.startswith("s") for group in groups[start : start + 100])
        assert 25 <= from_source <= 60


def test_a_path_with_a_comma_in_it_is_one_path(nlp, tmp_path):
    write_docs(tmp_path / "a,b.spacy", make_docs(2))
    assert len(list(create_parallel_corpus(str(tmp_path / "a,b.spacy"))(nlp))) == 6


def test_mistakes_are_named(nlp, tmp_path):
    with pytest.raises(CrossnerError, match="CN270"):
        create_parallel_corpus(None)
    with pytest.raises(CrossnerError, match=r"CN202.*none"):
        list(create_parallel_corpus(tmp_path / "none")(nlp))
    with pytest.raises(CrossnerError, match=r"CN271"):
        list(create_parallel_corpus(tmp_path)(nlp))
    with pytest.raises(CrossnerError, match="CN273"):
        create_parallel_corpus(tmp_path, buffer=0)
    (tmp_path / "a.spacy").write_bytes(b"x")
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy"):
        list(create_parallel_corpus(tmp_path)(nlp))
    doc = Doc(nlp.vocab, words=["a"])
    doc.user_data["spacy_crossner.view"] = {"kind": "source"}
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "a.spacy")
    with pytest.raises(CrossnerError, match=r"CN217.*a\.spacy"):
        list(create_parallel_corpus(tmp_path)(nlp))


def test_shuffling_with_a_buffer_loses_nothing():
    groups = [[number] for number in range(50)]
    for size in (1, 7, 100):
        shuffled = list(shuffle_buffered(groups, size, random.Random(0)))  # type: ignore[arg-type]
        assert sorted(shuffled) == groups
        # nothing comes earlier than the buffer lets it
        assert all(place >= number - size for place, (number,) in enumerate(shuffled))


def make_examples(sizes: list[list[int]]) -> list[Example]:
    """Make groups out of the lengths of their docs."""
    vocab = Vocab()
    examples = []
    for number, lengths in enumerate(sizes):
        for length in lengths:
            doc = Doc(vocab, words=["w"] * length)
            set_view(doc, View(f"g{number}"))
            examples.append(make_example(doc))
    return examples


SIZES = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4), max_size=30)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, st.integers(1, 150), st.integers(1, 40), st.booleans())
def test_batches_keep_groups_whole_within_the_budget(sizes, budget, buffer, streamed):
    examples = make_examples(sizes)
    batcher = configure_batch_by_group(size=budget, buffer=buffer)
    batches = list(batcher(iter(examples) if streamed else examples))
    assert sorted(map(id, examples)) == sorted(id(eg) for batch in batches for eg in batch)
    seen: set[str] = set()
    for batch in batches:
        groups = set(list_groups(batch))
        assert batch
        assert not groups & seen
        seen |= groups
        padded = len(batch) * max(map(len, batch))
        assert padded <= budget or len(groups) == 1


def test_a_shuffled_list_is_grouped_again():
    examples = make_examples([[3, 4, 5]] * 50)
    random.Random(0).shuffle(examples)
    for batch in batch_by_group(examples, size=60, buffer=10):
        assert set(Counter(list_groups(batch)).values()) == {3}


def test_docs_without_views_are_batched_one_by_one():
    docs = [Doc(Vocab(), words=["w"] * 5) for _ in range(10)]
    batches = list(batch_by_group(iter(map(make_example, docs)), size=20))
    assert sorted(map(len, batches)) == [2, 4, 4]


def test_similar_lengths_are_put_together():
    rng = random.Random(0)
    examples = make_examples([[rng.randint(1, 60)] * 2 for _ in range(300)])
    used = sum(map(len, examples))
    batches = list(batch_by_group(iter(examples), size=1000, buffer=300))
    padded = sum(len(batch) * max(map(len, batch)) for batch in batches)
    assert used / padded > 0.9


def test_oversize_groups_are_kept_or_told():
    examples = make_examples([[5, 5], [50, 50], [5, 5]])
    batches = list(batch_by_group(examples, size=20))
    assert sorted(map(len, batches)) == [2, 4]
    with pytest.warns(UserWarning, match="CNW20.* 1 groups"):
        batches = list(batch_by_group(examples, size=20, discard_oversize=True))
    assert [len(eg) for batch in batches for eg in batch] == [5] * 4


def test_sizes_may_follow_a_schedule():
    examples = make_examples([[10]] * 20)
    for size in ([20, 50, 100], iter([20, 50, 100])):
        batches = list(batch_by_group(examples, size=size))  # type: ignore[arg-type]
        assert sorted(map(len, batches)) == [2, 3, 5, 10]
    config = {"size": {"@schedules": "compounding.v1", "start": 20, "stop": 40, "compound": 2}}
    config["@batchers"] = "spacy-crossner.batch_by_group.v1"  # type: ignore[assignment]
    batcher = spacy.registry.resolve({"batcher": config})["batcher"]
    assert sorted(map(len, islice(batcher(examples), 3))) == [2, 4, 4]


def test_lengths_may_be_measured_otherwise():
    examples = make_examples([[1]] * 8)
    batches = list(batch_by_group(examples, size=20, get_length=lambda example: 10))
    assert list(map(len, batches)) == [2, 2, 2, 2]


def test_the_order_of_batches_depends_on_the_seed():
    examples = make_examples([[number] for number in range(1, 30)])
    orders = []
    for seed in (1, 1, 2):
        random.seed(seed)
        orders.append([[len(eg) for eg in batch] for batch in batch_by_group(examples, size=60)])
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("setting", ["size", "buffer"])
def test_bad_batch_settings_are_named(setting):
    with pytest.raises(CrossnerError, match=f"CN273.*{setting}"):
        configure_batch_by_group(**{"size": 10, setting: 0})


@pytest.mark.parametrize("max_epochs", [1, -1])
def test_groups_stay_whole_on_the_road_that_spacy_takes(nlp, shards, max_epochs):
    from spacy.training.loop import create_train_batches

    corpus = create_parallel_corpus(shards, shuffle=True)
    batcher = configure_batch_by_group(size=60, buffer=30)
    batches = create_train_batches(nlp, corpus, batcher, max_epochs)
    seen = 0
    for epoch, batch in batches:
        if epoch:
            break
        seen += len(batch)
        assert set(Counter(list_groups(batch)).values()) == {3}
    assert seen == 120


MEASURE = """
import resource, sys, spacy
from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.batchers import configure_batch_by_group
batcher = configure_batch_by_group(size=4000, buffer=64)
for path in sys.argv[1:]:
    corpus = create_parallel_corpus(path, shuffle=True, buffer=100)
    print(sum(len(eg) for batch in batcher(corpus(spacy.blank("xx"))) for eg in batch))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    # long docs, so that few of them would fill the memory if they were held
    vocab = Vocab()
    docs = [Doc(vocab, words=["w"] * 500) for _ in range(100)]
    write_docs(tmp_path / "small", docs, shard_size=100)
    shutil.copytree(tmp_path / "small", tmp_path / "large")
    for number in range(2, 11):
        shutil.copy(tmp_path / "small" / "part-00001.spacy", tmp_path / f"large/{number}.spacy")
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small"), str(tmp_path / "large")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    small, peak, large, later_peak = map(int, output.split())
    assert (small, large) == (100 * 500, 1000 * 500)
    assert later_peak - peak < 60


class TestAugmenter:
    """What an augmenter adds stays in its group, and is made anew in each epoch."""

    LEXICON = "# lexicon\ten\tde\nbank\t\tGeldhaus\t1\nlost\t\that verloren\t1\nmoney\t\tGeld\t1\n"

    def make_corpus(self, tmp_path: Path, **settings):
        docs = []
        for number in range(12):
            for kind, lang in (("source", "en"), ("translation", "de")):
                words = f"The bank of Ann lost money {number}".split()
                ents = ["O", "O", "O", "B-PER", "O", "O", "O"]
                doc = Doc(Vocab(), words=words, ents=ents)
                set_view(doc, View(f"g{number}", kind, lang))  # type: ignore[arg-type]
                docs.append(doc)
        write_docs(tmp_path / "in.spacy", docs)
        (tmp_path / "en-de.tsv").write_text(self.LEXICON, encoding="utf8")
        augmenter = {
            "@augmenters": "spacy-crossner.codeswitch_augmenter.v1",
            "lexicons": {"de": str(tmp_path / "en-de.tsv")},
            **settings,
        }
        config = {
            "@readers": "spacy-crossner.ParallelCorpus.v1",
            "path": str(tmp_path / "in.spacy"),
            "shuffle": True,
            "augmenter": augmenter,
        }
        return spacy.registry.resolve({"corpus": config})["corpus"]

    def test_code_switched_views_join_their_groups(self, nlp, tmp_path):
        examples = list(self.make_corpus(tmp_path)(nlp))
        groups = list_groups(examples)
        assert is_contiguous(groups)
        assert Counter(groups) == {f"g{number}": 3 for number in range(12)}
        for source, switched, translation in zip(*[iter(examples)] * 3, strict=True):
            views = [get_view(eg.reference) for eg in (source, switched, translation)]
            assert [view.kind for view in views] == ["source", "codeswitch", "translation"]
            links = views[1].links.tolist()
            assert [3, [t.text for t in switched.reference].index("Ann")] in links
            assert [ent.text for ent in switched.reference.ents] == ["Ann"]
            assert get_view(switched.predicted).group == views[0].group
            assert [t.text for t in switched.predicted] == [t.text for t in switched.reference]

    def test_epochs_differ_and_runs_agree(self, nlp, tmp_path):
        runs = []
        for _ in range(2):
            corpus = self.make_corpus(tmp_path, seed=3)
            runs.append([sorted(eg.reference.text for eg in corpus(nlp)) for _ in range(3)])
        assert runs[0] == runs[1]
        assert runs[0][0] != runs[0][1] != runs[0][2]

    def test_batches_hold_whole_groups(self, nlp, tmp_path):
        batches = list(batch_by_group(self.make_corpus(tmp_path)(nlp), size=70))
        assert len(batches) > 2
        for batch in batches:
            assert set(Counter(list_groups(batch)).values()) == {3}

    @pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
    def test_augmenters_of_spacy(self, nlp, shards, level):
        augmenter = spacy.registry.augmenters.get("spacy.lower_case.v1")(level)
        plain = list(create_parallel_corpus(shards)(nlp))
        examples = list(create_parallel_corpus(shards, augmenter=augmenter)(nlp))
        assert list_groups(examples) == list_groups(plain)
        for before, after in zip(plain, examples, strict=True):
            assert get_view(after.reference) == get_view(before.reference)
            assert get_view(after.predicted) == get_view(before.reference)
            assert after.reference.text.lower() == before.reference.text.lower()
            assert [e.label_ for e in after.reference.ents] == ["PER"]

    @pytest.mark.parametrize("view", [None, View("g", lang="en")])
    def test_augmenters_of_spacy_keep_what_groups_are(self, nlp, tmp_path, view):
        """Scores tell predictions from labels, and some entities stand in the attributes alone."""
        doc = nlp.make_doc("Maria met Ruiz")
        doc.set_ents([Span(doc, 0, 1, label="PER")])
        doc.spans["found"] = [Span(doc, 2, 3, label="LOC")]
        doc.spans["found"].attrs["scores"] = [0.5]
        doc.spans["sc"] = [Span(doc, 0, 1, label="PER")]
        doc.spans["sc"].attrs["discontinuous"] = [[[0, 2], "PER"]]
        if view is not None:
            set_view(doc, view)
        DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "one.spacy")
        augmenter = spacy.registry.augmenters.get("spacy.lower_case.v1")(1.0)
        reader = create_parallel_corpus(tmp_path / "one.spacy", augmenter=augmenter)
        for found in (example.reference for example in reader(nlp)):
            assert list(label_groups(found)) == ["sc"]
            assert found.spans["sc"].attrs["discontinuous"] == [[[0, 2], "PER"]]

    def test_lost_tokens_are_named(self, nlp, shards):
        def shorten(nlp, example):
            yield make_example(Doc(nlp.vocab, words=["one"]))

        with pytest.raises(CrossnerError, match="CN274"):
            list(create_parallel_corpus(shards, augmenter=shorten)(nlp))
