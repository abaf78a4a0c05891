"""The list of names and its student on the sample corpus."""

from benchmarks.rules import SAMPLE, choose_names, compare_with_rules
from spacy_crossner.data.markup import read_marked


def test_lists_have_half_of_the_names_of_a_seed():
    sentences = read_marked(SAMPLE / "de" / "test.txt")
    names = choose_names(sentences, 0)
    everything = {(s.text[start:end], label) for s in sentences for start, end, label in s.spans}
    assert names < everything
    assert abs(len(names) - len(everything) / 2) < 1
    assert names == choose_names(sentences, 0) != choose_names(sentences, 1)


def test_the_recall_of_both_is_measured(tiny_encoder, tmp_path):
    changes = {
        "components.transformer.model.window": 100,
        "components.transformer.model.stride": 50,
    }
    found = compare_with_rules(tmp_path, tiny_encoder, ["de"], 0, 2, changes)
    assert 0 < found["ruler"] < 10
    assert 45 < found["ruler with test names"] < 60
    assert 0 <= found["student"] <= 100
