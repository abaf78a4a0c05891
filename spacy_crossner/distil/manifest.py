"""Record how an annotated corpus was made, to continue interrupted runs."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, cast

import srsly

from spacy_crossner.data.shards import SUFFIX
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import fingerprint, is_temporary, write_json

MANIFEST = "manifest.json"


@dataclass
class Tally:
    """What was annotated in one language.

    docs (int): Texts.
    tokens (int): Their tokens.
    masked (int): Tokens that the teachers are not sure of.
    entities (Counter): Entities that they are sure of, by label.
    found (int): All entities.
    correct (float): The sum of their scores.
    expected (float): The number of entities that the probabilities let expect.
    agreement (float): The sum of the texts' agreement.
    soft_bytes (int): The size of the soft targets.
    misaligned (int): Entities that were masked since they cut a token.
    untaught (Counter): Entities that were masked since no student learns their label, by label.
    """

    docs: int = 0
    tokens: int = 0
    masked: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    found: int = 0
    correct: float = 0.0
    expected: float = 0.0
    agreement: float = 0.0
    soft_bytes: int = 0
    misaligned: int = 0
    untaught: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Add up two tallies."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Manifest:
    """The state of an annotated corpus.

    settings (dict): All that decides what the shards hold.
    shards (dict): Of each shard that is done, the tally of each language.
    complete (bool): Whether all texts are annotated.
    files (dict): The fingerprint of each of these shards, sorted by name.
    """

    settings: dict[str, Any]
    shards: dict[str, dict[str, Tally]] = field(default_factory=dict)
    complete: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def sum_up(self) -> dict[str, Tally]:
        """Sum the counts of all shards per language."""
        total: dict[str, Tally] = {}
        for tallies in self.shards.values():
            for lang, tally in tallies.items():
                total.setdefault(lang, Tally()).add(tally)
        return total


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest, all or nothing.

    folder (Path): The corpus.
    manifest (Manifest): Its state.
    """
    shards = {
        name: {lang: vars(tally) for lang, tally in tallies.items()}
        for name, tallies in manifest.shards.items()
    }
    # of a shard that is new; what was there before keeps the fingerprint that it was written with
    for name in shards.keys() - manifest.files.keys():
        manifest.files[name] = fingerprint(folder / name)
    manifest.files = {name: manifest.files[name] for name in sorted(shards)}
    write_json(folder / MANIFEST, {**vars(manifest), "shards": shards})


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a corpus."""
    path = folder / MANIFEST
    try:
        msg: Any = srsly.read_json(path)
        shards = {
            name: {
                lang: Tally(
                    **{
                        **values,
                        "entities": Counter(values["entities"]),
                        "untaught": Counter(values["untaught"]),
                    }
                )
                for lang, values in tallies.items()
            }
            for name, tallies in msg["shards"].items()
        }
        return Manifest(msg["settings"], shards, msg["complete"], dict(msg.get("files", {})))
    except RecursionError:
        raise CrossnerError(Errors.CN509.format(path=path, problem="nested too deeply")) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CrossnerError(Errors.CN509.format(path=path, problem=repr(error))) from None


def open_folder(folder: Path, settings: dict[str, Any], restart: bool) -> Manifest:
    """Start a corpus, or continue one that was started with the same settings.

    folder (Path): The corpus.
    settings (dict): All that decides what the shards hold.
    restart (bool): Replace an annotation with other settings.
    RETURNS (Manifest): What is done of it.
    """
    if folder.is_file():
        raise CrossnerError(Errors.CN267.format(path=folder))
    folder.mkdir(parents=True, exist_ok=True)
    # what a killed process has left goes when its file is written again
    found = sorted(path.name for path in folder.iterdir() if not is_temporary(path))
    if found and MANIFEST not in found:
        raise CrossnerError(Errors.CN504.format(path=folder, found=found[0]))
    manifest = Manifest(settings)
    if found:
        try:
            manifest = _go_on(folder, settings)
        except CrossnerError:
            if not restart:
                raise
            for path in [folder / MANIFEST, *folder.glob(f"part-*{SUFFIX}")]:
                path.unlink(missing_ok=True)
    write_manifest(folder, manifest)
    return manifest


def _go_on(folder: Path, settings: dict[str, Any]) -> Manifest:
    manifest = read_manifest(folder)
    # as they come out of the file: srsly rounds numbers
    settings = cast(dict[str, Any], srsly.json_loads(srsly.json_dumps(settings)))
    for name in dict.fromkeys((*settings, *manifest.settings)):
        old, value = manifest.settings.get(name), settings.get(name)
        if old != value:
            raise CrossnerError(
                Errors.CN505.format(path=folder, setting=name, old=_short(old), new=_short(value))
            )
    # deleted, damaged and replaced shards are annotated again
    kept = {name for name in manifest.shards if _is_whole(folder / name, manifest.files.get(name))}
    if kept != manifest.shards.keys():
        manifest.complete = False
    manifest.shards = {name: one for name, one in manifest.shards.items() if name in kept}
    manifest.files = {name: one for name, one in manifest.files.items() if name in kept}
    return manifest


def _is_whole(path: Path, expected: Optional[str]) -> bool:
    """Check a shard against its fingerprint, or that it exists if it has none."""
    return path.is_file() and expected in (None, fingerprint(path))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
