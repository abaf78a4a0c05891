"""Marked text: what is read, and what is refused with the place named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_crossner.data.markup import Marked, Span, parse_marks, read_marked
from spacy_crossner.errors import CrossnerError
from tests.marks import format_marks


def test_marks_become_spans_of_the_plain_text():
    text, spans, nested = parse_marks("[PER Angela Ruiz]'s flight to [LOC Lisbon].")
    assert text == "Angela Ruiz's flight to Lisbon."
    assert [(text[start:end], label) for start, end, label in spans] == [
        ("Angela Ruiz", "PER"),
        ("Lisbon", "LOC"),
    ]
    assert nested == ()


def test_inner_marks_are_kept_beside_the_outer_one():
    text, spans, nested = parse_marks("the [ORG [PER Ada] Museum of [LOC Oxford]] is shut")
    assert [text[start:end] for start, end, _ in spans] == ["Ada Museum of Oxford"]
    assert [(text[start:end], label) for start, end, label in nested] == [
        ("Ada", "PER"),
        ("Oxford", "LOC"),
    ]


def test_escapes_stand_for_real_brackets():
    marked = r"\[sic\] [ORG a\[b\]c] C:\\temp"
    text, spans, _ = parse_marks(marked)
    assert text == r"[sic] a[b]c C:\temp"
    assert spans == ((6, 11, "ORG"),)
    assert format_marks(text, spans) == marked


def test_marks_need_no_spaces_around_them():
    text, spans, _ = parse_marks("[PER 王小明]去[LOC 北京]。")
    assert text == "王小明去北京。"
    assert spans == ((0, 3, "PER"), (4, 6, "LOC"))


def test_other_labels_can_be_allowed():
    assert parse_marks("[EVENT Expo]", labels=["EVENT"])[1] == ((0, 4, "EVENT"),)


@pytest.mark.parametrize(
    ("marked", "code"),
    [
        (r"a \n b", "CN292"),
        ("ends in \\", "CN292"),
        ("[PRE Ada] left", "CN293"),
        ("[Ada] left", "CN293"),
        ("[PERAda] left", "CN293"),
        ("Ada] left", "CN294"),
        ("[PER ] left", "CN295"),
        ("[PER  Ada] left", "CN295"),
        ("[PER Ada ]left", "CN295"),
        ("[PER Ada left", "CN296"),
        ("[ORG Bank of [LOC Ghana]", "CN296"),
    ],
)
def test_broken_marks_are_refused(marked: str, code: str):
    with pytest.raises(CrossnerError, match=rf"^\[{code}\] dev.txt, line 3: "):
        parse_marks(marked, where="dev.txt, line 3")


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf8")
    return path


def test_files_skip_comments_and_blank_lines(tmp_path: Path):
    path = write(tmp_path / "dev.txt", "# about", "", "a-1\t[PER Ada] left.\r", "a-2\tNobody.", "")
    assert read_marked(path) == [
        Marked("a-1", "Ada left.", ((0, 3, "PER"),)),
        Marked("a-2", "Nobody."),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("a-2 no tab here", "CN290"),
        ("\tno id", "CN290"),
        ("a 2\tspace in the id", "CN290"),
        ("a-2\t", "CN290"),
        ("a-2\ttrailing space ", "CN290"),
        ("a-1\ttwice", "CN291"),
        ("a-2\t[PER Ada", "CN296"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, line: str, code: str):
    path = write(tmp_path / "dev.txt", "a-1\tFirst.", line)
    with pytest.raises(CrossnerError, match=rf"\[{code}\] .*dev\.txt, line 2: "):
        read_marked(path)


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, tuple[Span, ...], tuple[Span, ...]]:
    """Words with brackets, backslashes and other scripts; some words in spans, some nested."""
    text = ""
    spans: list[Span] = []
    nested: list[Span] = []
    for _ in range(draw(st.integers(1, 6))):
        words = draw(st.lists(st.text("a[]\\é王-", min_size=1, max_size=5), min_size=1, max_size=3))
        start = len(text)
        text += " ".join(words)
        if draw(st.booleans()):
            spans.append((start, len(text), draw(st.sampled_from(["PER", "ORG", "LOC"]))))
            if draw(st.booleans()):
                nested.append((start, start + len(words[0]), "LOC"))
        text += draw(st.sampled_from([" ", "", "; "]))
    return text, tuple(spans), tuple(nested)


@given(marked_texts())
def test_parse_undoes_format(sample: tuple[str, tuple[Span, ...], tuple[Span, ...]]):
    marked = format_marks(*sample)
    assert parse_marks(marked) == sample
    assert format_marks(*parse_marks(marked)) == marked
