"""Write the page troubleshooting.md from the table of errors and warnings."""

import re
from collections.abc import Iterator
from pathlib import Path

from spacy_crossner.errors import Errors, Warnings

OUTPUT = Path(__file__).with_name("troubleshooting.md")
INTRODUCTION = """
# Troubleshooting

Generated from `spacy_crossner/errors.py` by `python docs/reference.py`: edit that file instead.

Each error starts with a code such as `[CN611]`, each warning with one such as `[CNW61]`. A command
that fails exits with code 1. Words in braces are placeholders for a file, a line or a value. To
turn off a warning in Python:

```python
import warnings

warnings.filterwarnings("ignore", message=r"\\[CNW61\\]")
```

## One bad text among many

`nlp.pipe` stops at a text that raises an error. To continue instead, set an error handler:

```python
from spacy.util import ignore_error

nlp.set_error_handler(ignore_error)
```

Our tokenizer and our components call it. A string with half of a surrogate pair (`CN125`), which
can't be stored as UTF-8, is then read with U+FFFD in place of the half; if a component fails, spaCy
drops the texts of that batch. Without a handler such a string raises `CN125`.

Tokenizers other than ours, and worker processes that are spawned rather than forked, do not call
the handler: replace such halves first with `text.encode("utf8", "replace").decode("utf8")`.
`apply`, `annotate` and `convert` skip such records, count them and name the first; `demo` replaces
the halves, and `try` raises `CN233`.
"""
# The first digit of a code determines its topic.
AREAS = {
    "0": "Set up and encoder",
    "1": "Components",
    "2": "Data",
    "3": "Training",
    "4": "Translation and lexicons",
    "5": "Teachers and annotation",
    "6": "Measuring, report and demo",
    "7": "Packages",
    "8": "Scale",
    "9": "Runtime",
}
# A remedy starts with one of these words.
IMPERATIVES = """
Add Allow Annotate Ask Build Call Change Check Choose Clean Close Compare Convert Copy Correct
Create Cut Decode Delete Disable Download Either Export Fetch Fill Find First Fit For Free Get Give
If Increase Initialize Install Instead Keep Leave Let Link List Load Lower Make Map Mark Merge Mix
Mount Move Name Open Package Pass Point Put Raise Re-create Read Reduce Reinstall Remove Rename
Repair Repeat Replace Rerun Restart Run Save Say See Send Separate Set Shorten Show Split Start
Stop Strip Take Teach Tell Test To Train Try Turn Unpack Unset Update Upgrade Use Wait With Write
""".split()
SENTENCE = re.compile(r"(?<=[.!?:}])\s+(?=[A-Z`'{\"(]|python -m)")


# The remedy of one-sentence messages, which are about a line of a file to convert.
OF_A_LINE = (
    "Correct that line. `convert` counts such lines and leaves them out; with `--strict` it stops."
)


def split_message(message: str) -> tuple[str, str]:
    """Split a message into cause and remedy.

    message (str): The message: what is wrong, then what to do.
    RETURNS (Tuple[str, str]): The cause and the remedy, or an empty string.
    """
    sentences = SENTENCE.split(message)
    begins = [sentence.split(maxsplit=1)[0].strip("`,:") for sentence in sentences]
    actions = [n for n, word in enumerate(begins) if n and word in (*IMPERATIVES, "python")]
    if actions:
        return " ".join(sentences[: actions[0]]), " ".join(sentences[actions[0] :])
    whole = next((n for n, sentence in enumerate(sentences, 1) if sentence[-1] == "."), 0)
    if 0 < whole < len(sentences):
        return " ".join(sentences[:whole]), " ".join(sentences[whole:])
    return message, OF_A_LINE if message.startswith("{where}") else ""


def write_troubleshooting() -> str:
    """Make the whole page.

    RETURNS (str): Markdown.
    """
    return "\n".join([INTRODUCTION.strip(), *_iter_areas()]) + "\n"


def _iter_areas() -> Iterator[str]:
    codes = {
        code: getattr(messages, code).partition("] ")[2]
        for messages in (Errors, Warnings)
        for code in vars(messages)
        if code.startswith("CN")
    }
    for digit, title in AREAS.items():
        found = sorted(c for c in codes if c.removeprefix("CN").removeprefix("W")[0] == digit)
        if found:
            yield f"\n## {title}\n"
            yield "| Code | Cause | Remedy |\n| --- | --- | --- |"
        for code in found:
            cells = (_escape(part) for part in split_message(codes[code]))
            yield f"| `{code}`{{ #{code.lower()} }} | {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Format a part of a message as a table cell, with its placeholders as code."""
    text = text.replace("{{", "\0").replace("}}", "\1")
    parts = re.split(r"(`[^`]*`)", text)
    # inside code, braces stay as they are
    parts[::2] = [re.sub(r"\{(\w+)[^}]*\}", r"`{\1}`", part) for part in parts[::2]]
    text = "".join(parts).replace("\0", "{").replace("\1", "}")
    for old, new in (("|", "\\|"), ("<", "&lt;"), ("*", "\\*"), ("\n\n", "<br>"), ("\n", "<br>")):
        text = text.replace(old, new)
    return text
