"""Names that trade places: what is replaced, what must not change, and the augmenter."""

import random
import re
from collections import Counter
from pathlib import Path
from typing import Optional

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Corpus
from spacy.vocab import Vocab

from spacy_crossner.data.batchers import batch_by_group
from spacy_crossner.data.readers import create_parallel_corpus
from spacy_crossner.data.shards import iter_runs, write_docs
from spacy_crossner.data.view import View, get_group, get_view, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.translate.swap import Name, collect_names, create_name_augmenter, swap_names

VOCAB = Vocab()
NAMES = {
    "PER": [Name(("Ana", "Luísa"), (True, False), "pt"), Name(("王芳",), (False,), "zh")],
    "LOC": [Name(("Split",), (False,), "hr")],
}


def make_doc(text: str, *ents: tuple[int, int, str], view: Optional[View] = None) -> Doc:
    words = text.split()
    doc = Doc(VOCAB, words=words, spaces=[True] * (len(words) - 1) + [False])
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in ents])
    set_view(doc, view or View("g"))
    return doc


def swap(doc: Doc, names=NAMES, seed: int = 0):
    view = get_view(doc)
    assert view is not None
    return swap_names(doc, view, names, random.Random(seed))


class TestNames:
    def test_are_collected_by_label_once_and_sorted(self):
        docs = [
            make_doc("Zoe met Al Gore .", (0, 1, "PER"), (2, 4, "PER"), view=View("a", lang="en")),
            make_doc("Zoe left Rome", (0, 1, "PER"), (2, 3, "LOC"), view=View("b", lang="en")),
        ]
        assert collect_names(docs) == {
            "PER": [Name(("Al", "Gore"), (True, False), "en"), Name(("Zoe",), (False,), "en")],
            "LOC": [Name(("Rome",), (False,), "en")],
        }

    def test_text_without_views_has_some_language(self):
        doc = make_doc("Zoe left", (0, 1, "PER"))
        set_view(doc, None)
        assert collect_names([doc])["PER"][0].lang == "xx"


class TestSwap:
    def test_names_change_and_nothing_else(self):
        doc = make_doc("Yesterday Zoe left New York .", (1, 2, "PER"), (3, 5, "LOC"))
        found = {swap(doc, seed=seed).text for seed in range(20)}
        assert found == {
            "Yesterday Ana Luísa left Split .",
            "Yesterday 王芳 left Split .",
        }
        copy = swap(doc)
        assert [ent.label_ for ent in copy.ents] == ["PER", "LOC"]
        assert copy.ents[1].text == "Split"
        assert doc.text == "Yesterday Zoe left New York ."

    def test_spaces_behind_a_name_stay(self):
        doc = Doc(VOCAB, words=["(", "Zoe", ")"], spaces=[False, False, False])
        doc.set_ents([Span(doc, 1, 2, label="LOC")])
        set_view(doc, View("g"))
        assert swap(doc).text == "(Split)"

    def test_a_name_that_comes_again_is_replaced_by_the_same(self):
        doc = make_doc("Zoe saw Zoe and Al", (0, 1, "PER"), (2, 3, "PER"), (4, 5, "PER"))
        for seed in range(20):
            first, second, _ = (ent.text for ent in swap(doc, seed=seed).ents)
            assert first == second

    def test_the_copy_is_no_view_of_the_sentence(self):
        view = View("g", "translation", "de", weight=0.5)
        found = get_view(swap(make_doc("Zoe ging", (0, 1, "PER"), view=view)))
        assert found == View(found.group, "codeswitch", "de", weight=0.5)
        assert re.fullmatch("g [0-9a-f]{8} names", found.group)
        # nor of the copy of another view, which has other names
        other = get_view(swap(make_doc("Zoe left", (0, 1, "PER"), view=View("g", lang="en"))))
        assert other.group != found.group

    def test_entities_with_gaps_stay(self):
        doc = make_doc("Zoe or Al Hart left", (0, 1, "PER"))
        assert swap(doc) is not None
        doc.spans["sc"] = []
        doc.spans["sc"].attrs["discontinuous"] = [[[0, 3], "PER"]]
        assert swap(doc) is None

    def test_nothing_to_swap(self):
        assert swap(make_doc("It rained")) is None
        assert swap(make_doc("Acme grew", (0, 1, "ORG"))) is None
        assert swap(make_doc("Split grew", (0, 1, "LOC"))) is None

    def test_tokens_without_annotation_stay_so(self):
        doc = make_doc("Zoe maybe left")
        doc.set_ents([Span(doc, 0, 1, label="LOC")], missing=[doc[1:2]])
        assert [token.ent_iob for token in swap(doc)] == [3, 0, 2]

    def test_spans_move_along_and_protect_what_they_divide(self):
        doc = make_doc(
            "Zoe of New York University left Rome",
            (0, 1, "PER"),
            (2, 5, "LOC"),
            (6, 7, "LOC"),
        )
        inner, same, whole = doc[2:4], doc[6:7], doc[0:5]
        doc.spans["sc"] = [
            Span(doc, span.start, span.end, label="X") for span in (inner, same, whole)
        ]
        copy = swap(doc, {**NAMES, "PER": NAMES["PER"][:1]})
        assert copy.text == "Ana Luísa of New York University left Split"
        assert [span.text for span in copy.spans["sc"]] == [
            "New York",
            "Split",
            "Ana Luísa of New York University",
        ]

    @given(st.data())
    def test_every_other_token_stays(self, data):
        words = data.draw(st.lists(st.sampled_from("a b c .".split()), min_size=1, max_size=8))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
        ents = [
            (start, end, data.draw(st.sampled_from(["PER", "LOC", "ORG"])))
            for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        doc = make_doc(" ".join(words), *ents)
        copy = swap(doc, seed=data.draw(st.integers(0, 99)))
        if copy is None:
            assert not {label for *_, label in ents} & set(NAMES)
            return
        assert [ent.label_ for ent in copy.ents] == [label for *_, label in ents]
        outside = [[token.text for token in one if not token.ent_type] for one in (doc, copy)]
        assert outside[0] == outside[1]
        for ent in copy.ents:
            assert ent.label_ == "ORG" or ent.text in ("Ana Luísa", "王芳", "Split")


class TestAugmenter:
    @pytest.fixture
    def corpus(self, tmp_path) -> Path:
        docs = []
        for number in range(9):
            for kind, lang, labelled in (
                ("source", "en", True),
                ("translation", "de", True),
                ("translation", "fr", False),
            ):
                view = View(f"g{number}", kind, lang, labelled=labelled)  # type: ignore[arg-type]
                ents = [(0, 1, "PER")] if number % 3 else []
                docs.append(make_doc(f"Name{number} left", *ents, view=view))
        write_docs(tmp_path / "train.spacy", docs)
        sure = make_doc("许 来", (0, 1, "PER"), view=View("t", "target", "zh", labelled=False))
        write_docs(tmp_path / "target.spacy", [sure])
        return tmp_path / "train.spacy"

    def read(self, corpus: Path, **settings):
        augmenter = create_name_augmenter(**{"path": corpus, **settings})
        reader = create_parallel_corpus(corpus, augmenter=augmenter)
        return lambda: list(reader(spacy.blank("xx")))

    def test_labelled_examples_get_copies_behind_their_group(self, corpus):
        examples = self.read(corpus)()
        groups = [[get_view(eg.reference) for eg in run] for run in self.runs(examples)]
        for number in range(9):
            views = [view for group in groups for view in group if view.group == f"g{number}"]
            assert [view.kind for view in views] == ["source", "translation", "translation"]
        copies = [view for group in groups for view in group if view.group.endswith("names")]
        assert copies
        assert {view.lang for view in copies} <= {"en", "de"}
        # groups without names have nothing to swap
        assert not {"g0", "g3", "g6"} & {view.group.split()[0] for view in copies}
        for eg in examples:
            assert eg.predicted.text == eg.reference.text
            assert get_view(eg.predicted) == get_view(eg.reference)

    @staticmethod
    def runs(examples):
        runs = list(iter_runs(examples, lambda eg: get_group(eg.reference)))
        groups = [get_group(run[0].reference) for run in runs]
        assert len(set(groups)) == len(groups)
        return runs

    def test_batches_hold_whole_groups(self, corpus):
        for batch in batch_by_group(iter(self.read(corpus)()), size=40):
            counts = Counter(get_group(eg.reference) for eg in batch)
            assert {n for group, n in counts.items() if not group.endswith("names")} <= {3}

    def test_epochs_differ_and_runs_agree(self, corpus):
        runs = []
        for _ in range(2):
            read = self.read(corpus, seed=1)
            runs.append([[eg.reference.text for eg in read()] for _ in range(3)])
        assert runs[0] == runs[1]
        assert runs[0][0] != runs[0][1] != runs[0][2]

    @pytest.mark.parametrize("as_list", [True, False])
    def test_names_of_target_text_that_a_teacher_was_sure_of(self, corpus, as_list):
        paths = [str(corpus), str(corpus.with_name("target.spacy"))]
        read = self.read(corpus, path=paths if as_list else ",".join(paths))
        texts = {eg.reference.text for _ in range(20) for eg in read()}
        assert "许 left" in texts

    def test_probability(self, corpus):
        assert len(self.read(corpus, probability=0.0)()) == 27
        counts = [len(read()) for read in [self.read(corpus, probability=0.5)] for _ in range(9)]
        assert min(counts) > 27
        assert max(counts) < 27 + 12

    def test_reader_of_spacy(self, corpus):
        path = corpus.with_name("plain.spacy")
        docs = [make_doc(f"Name{n} left", (0, 1, "PER")) for n in range(9)]
        for doc in docs:
            set_view(doc, None)
        write_docs(path, docs)
        augmenter = {"@augmenters": "spacy-crossner.name_augmenter.v1", "path": str(path)}
        resolved = spacy.registry.resolve({"augmenter": augmenter})["augmenter"]
        examples = list(Corpus(path, augmenter=resolved)(spacy.blank("en")))
        plain = [eg for eg in examples if get_view(eg.reference) is None]
        assert len(plain) == 9 < len(examples) <= 18
        assert len(list(create_parallel_corpus(path, augmenter=resolved)(spacy.blank("en")))) > 9

    def test_bad_settings(self, corpus):
        with pytest.raises(CrossnerError, match=r"CN112.*probability"):
            create_name_augmenter(corpus, probability=1.5)
        with pytest.raises(CrossnerError, match=r"CN202.*nowhere"):
            self.read(corpus, path=corpus.with_name("nowhere"))()
