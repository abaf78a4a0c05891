"""Draw the picture of the README: a labelled sentence, and what a pipeline finds in six languages.

python -m docs.picture PIPELINE [OUTPUT]
"""

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from unicodedata import east_asian_width

import spacy
from spacy.tokens import Doc

from spacy_crossner.distil.pipelines import Reading, find_score
from spacy_crossner.files import write_file
from spacy_crossner.report.names import language_name

ROOT = Path(__file__).parent.parent
# What the labels look like; the sentence itself is not in the sample corpus.
LABELLED = "Angela Merkel visited Humboldt University in Berlin."
LABELS = ((0, 13, "PER"), (22, 41, "ORG"), (45, 51, "LOC"))
SENTENCES = {
    "de": "Angela Merkel besuchte die Humboldt-Universität in Berlin.",
    "es": "Angela Merkel visitó la Universidad Humboldt en Berlín.",
    "nl": "Angela Merkel bezocht de Humboldt-Universiteit in Berlijn.",
    "pt": "Angela Merkel visitou a Universidade Humboldt em Berlim.",
    "ja": "アンゲラ・メルケルがベルリンのフンボルト大学を訪れた。",
    "zh": "安格拉·默克尔访问了柏林的洪堡大学。",
}
COLOURS = {"PER": "#c3dafe", "ORG": "#c6f0c2", "LOC": "#fde3a7"}
OTHER = "#e2e8f0"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
SIZE, SMALL, ROW, LEFT, TEXT, WIDTH = 15, 10, 38, 20, 110, 760
# Widths of characters in em, as in common sans-serif fonts; those that are not listed have OTHERS.
WIDTHS = {"iíjlI.,'·": 0.27, " -frt": 0.34, "mwMW": 0.85, "ABCDEGHLNOPRSU": 0.65}
OTHERS = 0.56


def measure(text: str, size: float) -> float:
    """Estimate the width of a text; the browser is told to fill exactly this."""
    return size * sum(
        1.0
        if east_asian_width(character) in "WF"
        else next((width for known, width in WIDTHS.items() if character in known), OTHERS)
        for character in text
    )


def write(text: str, x: float, y: float, size: float, colour: str = "#1a202c") -> str:
    """Draw a text from the left."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" xml:space="preserve" '
        f'textLength="{measure(text, size):.1f}">{escape(text)}</text>'
    )


def draw_row(title: str, text: str, spans: Sequence[tuple[int, int, str, str]], top: float) -> str:
    """Draw a sentence with its entities.

    title (str): The language.
    text (str): The sentence.
    spans (Sequence[Tuple[int, int, str, str]]): Start, end and label of each entity, and what
        stands behind the label.
    top (float): Where the row begins.
    RETURNS (str): The elements.
    """
    base = top + 22
    parts = [write(title, LEFT, base, 13, "#4a5568")]
    x, done = float(TEXT), 0
    for start, end, label, note in sorted(spans):
        parts.append(write(text[done:start], x, base, SIZE) if start > done else "")
        x += measure(text[done:start], SIZE)
        tag = f"{label} {note}".strip()
        width = measure(text[start:end], SIZE) + measure(tag, SMALL) + 18
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{top + 4:.1f}" width="{width - 2:.1f}" height="26" rx="5" '
            f'fill="{COLOURS.get(label, OTHER)}"/>'
        )
        parts.append(write(text[start:end], x + 6, base, SIZE))
        parts.append(
            write(tag, x + 12 + measure(text[start:end], SIZE), base - 1, SMALL, "#2d3748")
        )
        x, done = x + width, end
    parts.append(write(text[done:], x, base, SIZE))
    return "".join(parts)


def draw(docs: Sequence[tuple[str, Doc]], path: str) -> str:
    """Draw all rows.

    docs (Sequence[Tuple[str, Doc]]): Languages, and their sentences with entities.
    path (str): Name of the pipeline.
    RETURNS (str): The SVG.
    """
    rows = [
        write("Labels in English", LEFT, 30, 13, "#4a5568"),
        draw_row("English", LABELLED, [(*span, "") for span in LABELS], 40),
        write("What the trained pipeline finds, with scores", LEFT, 108, 13, "#4a5568"),
    ]
    top = 118.0
    for lang, doc in docs:
        spans = [
            (ent.start_char, ent.end_char, ent.label_, f"{find_score(ent, Reading()):.2f}")
            for ent in doc.ents
        ]
        rows.append(draw_row(language_name(lang), doc.text, spans, top))
        top += ROW
    said = "; ".join(
        f"{language_name(lang)}: " + ", ".join(f"{ent.text} {ent.label_}" for ent in doc.ents)
        for lang, doc in docs
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 12:.0f}" '
        f'font-family="{FONT}" role="img" aria-labelledby="title desc">'
        f'<title id="title">An English sentence with labels, and entities in six languages</title>'
        f'<desc id="desc">Predictions of {escape(path)}. {escape(said)}</desc>'
        f'<rect width="{WIDTH}" height="{top + 12:.0f}" rx="10" fill="#ffffff"/>'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{top + 11:.0f}" rx="10" fill="none" '
        f'stroke="#cbd5e0"/>{"".join(rows)}</svg>\n'
    )


def main(pipeline: str, output: Path = ROOT / "assets" / "entities.svg") -> None:
    """Let a pipeline read the sentences, and draw what it finds."""
    nlp = spacy.load(pipeline)
    docs = list(zip(SENTENCES, nlp.pipe(SENTENCES.values()), strict=True))
    write_file(output, draw(docs, f"{nlp.lang}_{nlp.meta['name']}").encode("utf8"))
    for lang, doc in docs:
        print(lang, [(ent.text, ent.label_, find_score(ent, Reading())) for ent in doc.ents])


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
