"""The documentation site: complete, without dead links, and nothing from a network."""

import re
import subprocess
import sys
import textwrap
from importlib.metadata import distribution
from pathlib import Path

import pytest

from docs.troubleshooting import split_message, write_troubleshooting
from spacy_crossner import cli
from spacy_crossner.errors import Errors, Warnings
from tests.test_readme import SPACY, check_command

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCKS = [
    (page.name, lang, textwrap.dedent(text).strip())
    for page in PAGES
    for _, lang, text in re.findall(
        r"^( *)```(\w+)\n(.*?)^ *```$", page.read_text(encoding="utf8"), re.MULTILINE | re.DOTALL
    )
]
COMMANDS = [
    (page, command)
    for page, lang, text in BLOCKS
    if lang == "bash"
    for command in text.splitlines()
    if command.split()[:3] == SPACY
]
CODES = [c for table in (Errors, Warnings) for c in vars(table) if c.startswith("CN")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "mkdocs", "build", "--strict", "-f", DOCS / "mkdocs.yml", "-d", folder]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_builds_and_asks_for_nothing(site):
    assert {page.stem for page in site.glob("*.html")} == {page.stem for page in PAGES} | {"404"}
    loads = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//")
    for page in site.glob("*.html"):
        assert not loads.findall(page.read_text(encoding="utf8")), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\"?(?:https?:)?//", style.read_text(encoding="utf8"))
    assert not list(site.rglob("*.py"))


def test_site_names_everything_public(site):
    text = "\n".join(page.read_text(encoding="utf8") for page in site.glob("*.html"))
    points = distribution("spacy-crossner").entry_points
    names = [p.name for p in points if p.group != "spacy_cli" and p.value.startswith("spacy_cross")]
    assert len(names) > 15
    commands = [str(command.name) for command in cli.app.registered_commands]
    assert [name for name in (*names, *commands, *CODES) if f"{name}</code>" not in text] == []


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_have_their_options(page, command):
    check_command(command)


def test_python_of_the_pages_is_valid():
    blocks = [(page, text) for page, lang, text in BLOCKS if lang == "python"]
    assert len(blocks) > 4
    for page, text in blocks:
        compile(text, page, "exec")


def test_cuts_of_scripts_without_spaces(capsys):
    """The example of the page prints what it says."""
    for package in ("jieba", "opencc", "sudachipy", "pythainlp"):
        pytest.importorskip(package)
    (text,) = [text for page, lang, text in BLOCKS if (page, lang) == ("scripts.md", "python")]
    exec(text, {})
    assert f"# {capsys.readouterr().out.strip()}" == text.splitlines()[-1]


def test_pictures_exist_and_are_described():
    for page in PAGES:
        for words, path in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text(encoding="utf8")):
            assert len(words) > 10
            picture = (DOCS / path).read_text(encoding="utf8")
            assert "<title" in picture
            assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_troubleshooting_is_current():
    """If this fails: python docs/reference.py."""
    written = (DOCS / "troubleshooting.md").read_text(encoding="utf8")
    assert written == write_troubleshooting()
    rows = re.findall(r"^\| `(\w+)`\{ #\w+ \} \| (.+) \| (.+) \|$", written, re.MULTILINE)
    assert sorted(code for code, *_ in rows) == sorted(CODES)


@pytest.mark.parametrize(
    ("message", "cause", "remedy"),
    [
        ("It is gone. It hides. Look. Run it.", "It is gone. It hides. Look.", "Run it."),
        ("No {name}: {why} Use another.", "No {name}: {why}", "Use another."),
        ("No text:\n\npython -m spacy", "No text:", "python -m spacy"),
        ("It is torn. Both halves matter.", "It is torn.", "Both halves matter."),
    ],
)
def test_messages_are_taken_apart(message, cause, remedy):
    assert split_message(message) == (cause, remedy)


def test_messages_without_a_remedy():
    assert split_message("{where}: empty.")[1].startswith("Correct that line")
    assert split_message("It is {value}, not {other}.")[1] == ""
