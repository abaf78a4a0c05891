"""Apertium, the rule-based translator: a system program that keeps inline markup in its place.

Sentences go through it as the paragraphs of one HTML document, entities as bold text with a number.
Where no pair of languages is installed directly, up to two languages in between are gone through.
A word with a known translation follows each sentence: where it comes back untranslated, the
sentence before it has stopped the translator, and those after it are translated again.
"""

import hashlib
import html
import re
import shutil
import subprocess
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from spacy_crossner.data.languages import find_codes, main_code
from spacy_crossner.errors import CrossnerError, Errors, NoTranslationError
from spacy_crossner.files import fingerprint
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Mark,
    Outcome,
    Segment,
)

PROGRAM = "apertium"
MODES = Path("share/apertium/modes")
LONGEST_ROUTE = 3
_MODE = re.compile(r"([a-z]{2,3})(_\w+)?-([a-z]{2,3})(_\w+)?")
_FILE = re.compile(r"'(/[^']+)'")
_PARAGRAPH = re.compile(r'<p id="(\d+)">(.*?)</p>', re.DOTALL)
_TAG = re.compile(r'<b id="(\d+)">|</b>')
# Characters that Apertium reads as markup or drops, and their private-use replacements.
_MARKUP = "~{}[]^\\"
_STAND_INS = {ord(sign): chr(0xF0000 + ord(sign)) for sign in _MARKUP}
_ORIGINALS = {ord(stand_in): chr(sign) for sign, stand_in in _STAND_INS.items()}
# Part of the identity: raise it when the same text may become another one.
_FORMAT = 2
# Words to try as the sentinel.
_CANDIDATES = 30


class ApertiumEngine:
    """Translates with a chain of Apertium's modes."""

    def __init__(self, route: Sequence[str], version: str):
        """Set the chain.

        route (Sequence[str]): The modes, one after the other.
        version (str): Of the program and its data.
        """
        self.route = list(route)
        self.identity = f"apertium {version} {' '.join(route)} format {_FORMAT}"
        self._sentinel: Optional[tuple[str, str]] = None

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Translate texts with one process per mode. Marks are carried.

        segments (Sequence[Segment]): The texts.
        RETURNS (list[Outcome]): Their translations. One text can't change the others' translations.
        """
        self._sentinel = self._sentinel or self._find_sentinel(segments)
        outcomes: list[Outcome] = []
        while len(outcomes) < len(segments):
            found = self._translate_until_stopped(segments[len(outcomes) :])
            if not found:
                # the first one of the rest stopped the translator: without the others it is tried
                # again, because the text that stopped it may come later
                found = self._translate_until_stopped(segments[len(outcomes) : len(outcomes) + 1])
            outcomes += found or [Failure("Apertium stopped translating in this text.")]
        return outcomes

    def _translate_until_stopped(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Translate the texts up to the first one that stops the translator."""
        word, expected = self._sentinel or ("", "")
        bodies = [body for segment in segments for body in (to_html(segment), word)]
        found = self._run(bodies)
        outcomes: list[Outcome] = []
        for body, sentinel in zip(found[::2], found[1::2], strict=True):
            if body is None or sentinel is None or (word and sentinel.strip() != expected):
                break
            outcomes.append(from_html(body))
        return outcomes

    def _run(self, bodies: Sequence[str]) -> list[Optional[str]]:
        """Translate paragraphs through all modes of the route; None stands for a lost paragraph."""
        document = "\n".join(f'<p id="{i}">{body}</p>' for i, body in enumerate(bodies))
        for mode in self.route:
            document = run_apertium("-u", "-f", "html", mode, text=document)
        found = {int(number): body for number, body in _PARAGRAPH.findall(document)}
        return [found.get(i) for i in range(len(bodies))]

    def _find_sentinel(self, segments: Sequence[Segment]) -> Optional[tuple[str, str]]:
        """Find a word that is always translated in the same way, and not into itself.

        segments (Sequence[Segment]): Texts in the source language.
        RETURNS (Optional[tuple[str, str]]): The word and its translation, None if there is none.
        """
        counts = Counter(word for segment in segments for word in segment.text.split())
        words = [w for w, _ in counts.most_common() if w.isalpha() and w.islower()][:_CANDIDATES]
        found = self._run([*words, *words[::-1]])
        for word, first, second in zip(words, found, found[::-1], strict=False):
            if first is not None and first == second and first.strip() not in ("", word):
                return word, first.strip()
        return None


@ENGINES.register("apertium")
def make_apertium(source: str, target: str, settings: EngineSettings) -> Engine:
    """Make an engine of what is installed.

    source (str): Language of the texts.
    target (str): Language to translate into.
    settings (EngineSettings): Not used.
    RETURNS (Engine): The engine.
    """
    if shutil.which(PROGRAM) is None:
        raise NoTranslationError(Errors.CN410)
    modes = run_apertium("-l").split()
    route = find_route(modes, source, target)
    if route is None:
        known = ", ".join(modes) or "none"
        raise NoTranslationError(Errors.CN411.format(source=source, target=target, modes=known))
    version = run_apertium("-V").split()[-1]
    return ApertiumEngine(route, f"{version} {hash_modes(route)}")


def hash_modes(route: Iterable[str]) -> str:
    """Tell dictionaries and rules of one version from those of another: they are packages of their
    own, and change what a text becomes while the program stays.

    route (Iterable[str]): Names of modes.
    RETURNS (str): A checksum of the modes and of all files of theirs that exist
        where the program was installed.
    """
    digest = hashlib.blake2b(digest_size=8)
    folder = Path(shutil.which(PROGRAM) or PROGRAM).resolve().parent.parent / MODES
    for path in (folder / f"{mode}.mode" for mode in route):
        if path.is_file():
            pipeline = path.read_text(encoding="utf8")
            digest.update(pipeline.encode())
            for name in _FILE.findall(pipeline):
                digest.update(fingerprint(Path(name)).encode())
    return digest.hexdigest()


def find_route(modes: Iterable[str], source: str, target: str) -> Optional[list[str]]:
    """Find the shortest chain of modes from one language to another.

    modes (Iterable[str]): What is installed, such as "eng-spa" or "spa-cat_valencia".
    source (str): The language to start from.
    target (str): The language to arrive at.
    RETURNS (Optional[list[str]]): The modes, or None if the pair is not supported.
    """
    edges: dict[str, list[tuple[str, str]]] = {}
    # plain modes before those of a variety, and always in the same order
    for mode in sorted(modes, key=lambda mode: (len(mode), mode)):
        match = _MODE.fullmatch(mode)
        if match:
            edges.setdefault(main_code(match[1]), []).append((main_code(match[3]), mode))
    goals = set(map(main_code, find_codes(target)))
    starts: list[str] = list(dict.fromkeys(map(main_code, find_codes(source))))
    queue: deque[tuple[str, list[str]]] = deque((start, []) for start in starts)
    seen = set()
    while queue:
        language, route = queue.popleft()
        if language in goals:
            return route
        if language in seen or len(route) == LONGEST_ROUTE:
            continue
        seen.add(language)
        queue.extend((end, [*route, mode]) for end, mode in edges.get(language, ()))
    return None


def run_apertium(*arguments: str, text: str = "") -> str:
    """Run the program once.

    arguments (str): Its arguments.
    text (str): Its input.
    RETURNS (str): Its output.
    """
    process = subprocess.run(
        [PROGRAM, *arguments], input=text, capture_output=True, encoding="utf8", errors="replace"
    )
    if process.returncode:
        problem = (process.stderr or process.stdout).strip().split("\n")[0]
        command = " ".join([PROGRAM, *arguments])
        raise CrossnerError(Errors.CN412.format(command=command, problem=problem))
    return process.stdout


def to_html(segment: Segment) -> str:
    """Write a text as HTML.

    segment (Segment): The text and its marks.
    RETURNS (str): The text on one line, its entities in numbered bold.
    """
    parts = []
    position = 0
    for start, end, entity in segment.marks or ():
        parts.append(_escape(segment.text[position:start]))
        parts.append(f'<b id="{entity}">{_escape(segment.text[start:end])}</b>')
        position = end
    return "".join(parts) + _escape(segment.text[position:])


def _escape(text: str) -> str:
    return html.escape(re.sub(r"\s", " ", text), quote=False).translate(_STAND_INS)


def from_html(body: str) -> Segment:
    """Read a text back from HTML.

    body (str): What `to_html` writes, translated.
    RETURNS (Segment): The text, single spaces between its words, and its marks in order.
    """
    text = ""
    marks = []
    for piece, entity in _split_tags(body):
        for word in re.findall(r"\S+|\s+", html.unescape(piece).translate(_ORIGINALS)):
            if not word.isspace():
                if entity is not None:
                    marks.append(Mark(len(text), len(text) + len(word), entity))
                text += word
            elif text and not text.endswith(" "):
                text += " "
    return Segment(text.rstrip(), tuple(_join_words(marks, text)))


def _split_tags(body: str) -> Iterator[tuple[str, Optional[int]]]:
    """Split translated markup into pieces of text, each with its entity or None."""
    position = 0
    entity = None
    for tag in _TAG.finditer(body):
        yield body[position : tag.start()], entity
        entity = int(tag[1]) if tag[1] else None
        position = tag.end()
    yield body[position:], entity


def _join_words(marks: Iterable[Mark], text: str) -> Iterator[Mark]:
    """Merge marks of the same entity that only white space separates."""
    last: Optional[Mark] = None
    for mark in marks:
        if last and last.entity == mark.entity and not text[last.end : mark.start].strip():
            last = last._replace(end=mark.end)
            continue
        if last:
            yield last
        last = mark
    if last:
        yield last
