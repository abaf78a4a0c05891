"""What is done of an output, so that a run that was stopped continues, and a finished one ends.

One line of JSON is appended for each shard: the cost of a shard does not grow with their number.
Once all is done, the lines are put in order, so that the file, too, is the same in every run.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import is_temporary, write_file

JOURNAL = "_manifest.log"
# Seconds between writes of the whole file on object storage, which can't append.
EVERY = 30.0


class Journal:
    """The journal of an output folder.

    shards (dict): Of each shard that is done: checksum, bytes, and what was counted.
    inputs (dict): Of each input file: its version, and once all its shards are done, their number.
    """

    def __init__(self, filesystem: Any, folder: str):
        """Read the journal of a folder, if it has one.

        filesystem (Any): The fsspec file system.
        folder (str): The folder.
        """
        self.filesystem = filesystem
        self.folder = folder
        self.path = f"{folder}/{JOURNAL}"
        self.settings: dict[str, Any] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.shards: dict[str, dict[str, Any]] = {}
        self.appends = "file" in filesystem.protocol
        self._written = time.monotonic()
        self._changed = False
        self.exists = filesystem.exists(self.path)
        if self.exists:
            self._read()

    def begin(self, settings: Mapping[str, Any], restart: bool) -> None:
        """Begin an output, or continue one that was begun with the same settings.

        settings (Mapping[str, Any]): All that decides what the shards hold.
        restart (bool): Delete an output with other settings instead of refusing.
        """
        wanted = json.loads(json.dumps(settings))
        if not self.exists and self.filesystem.exists(self.folder):
            strange = [p for p in self.filesystem.find(self.folder) if not is_temporary(Path(p))]
            if strange:
                message = Errors.CN804.format(folder=self.folder, found=strange[0])
                raise CrossnerError(message)
        if self.exists and self.settings != wanted:
            if not restart:
                name = next(
                    key
                    for key in (*wanted, *self.settings)
                    if wanted.get(key) != self.settings.get(key)
                )
                raise CrossnerError(
                    Errors.CN805.format(
                        folder=self.folder,
                        setting=name,
                        old=str(self.settings.get(name))[:80],
                        new=str(wanted.get(name))[:80],
                    )
                )
            for name in self.shards:
                self._delete(name)
            self.inputs, self.shards = {}, {}
        self.settings = wanted
        self._check_shards()

    def begin_inputs(self, versions: Mapping[str, Mapping[str, Any]], restart: bool) -> None:
        """Compare the input files with those that the output was made of. New ones may be added.

        versions (Mapping[str, Mapping[str, Any]]): Of each, what changes with its content.
        restart (bool): Delete the shards of files that were changed or are gone, instead of
            refusing.
        """
        stale = [
            name
            for name, known in self.inputs.items()
            if any(known.get(key) != value for key, value in versions.get(name, {"": 0}).items())
        ]
        if stale and not restart:
            raise CrossnerError(Errors.CN816.format(path=stale[0], folder=self.folder))
        for shard in [key for key, one in self.shards.items() if one["input"] in stale]:
            self._delete(shard)
            del self.shards[shard]
        for name in stale:
            del self.inputs[name]
        for name, version in versions.items():
            self.inputs.setdefault(name, dict(version))
        done = Counter(one["input"] for one in self.shards.values())
        for name, known in self.inputs.items():
            if known.get("shards") != done[name]:
                known.pop("shards", None)
        self.rewrite()

    def is_done(self, name: str) -> bool:
        """Check whether all shards of an input file are done."""
        return "shards" in self.inputs[name]

    def end_input(self, name: str, shards: int) -> None:
        """Note that all shards of an input file are done.

        name (str): Its name.
        shards (int): Their number.
        """
        self.inputs[name]["shards"] = shards
        self._append({"input": name, **self.inputs[name]})

    def add(self, name: str, source: str, data: bytes, counts: Mapping[str, Any]) -> None:
        """Write a shard, then note that it is done.

        name (str): Its path in the folder.
        source (str): Its input file.
        data (bytes): Its content.
        counts (Mapping[str, Any]): What was counted, as plain values.
        """
        write_bytes(self.filesystem, f"{self.folder}/{name}", data)
        entry = {"input": source, "bytes": len(data), "checksum": _digest(data), **counts}
        self.shards[name] = entry
        self._append({"shard": name, **entry})

    def rewrite(self) -> None:
        """Write the whole journal in order."""
        lines: list[dict[str, Any]] = [{"settings": self.settings}]
        lines += [{"input": name, **self.inputs[name]} for name in sorted(self.inputs)]
        lines += [{"shard": name, **self.shards[name]} for name in sorted(self.shards)]
        content = "".join(f"{json.dumps(line)}\n" for line in lines)
        write_bytes(self.filesystem, self.path, content.encode("utf8"))
        self._written, self._changed = time.monotonic(), False

    def close(self) -> None:
        """Write what storage without appending lacks."""
        if self._changed:
            self.rewrite()

    def _append(self, line: Mapping[str, Any]) -> None:
        if self.appends:
            with open(self.path, "a", encoding="utf8") as file:
                file.write(json.dumps(line) + "\n")
            return
        self._changed = True
        if time.monotonic() - self._written > EVERY:
            self.rewrite()

    def _read(self) -> None:
        lines = self.filesystem.cat_file(self.path).split(b"\n")
        try:
            # a process that was killed may have left half a line
            for line in map(json.loads, lines[:-1]):
                if "settings" in line:
                    self.settings = line["settings"]
                elif "shard" in line:
                    self.shards[line.pop("shard")] = line
                else:
                    self.inputs[line.pop("input")] = line
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CrossnerError(Errors.CN817.format(path=self.path, problem=error)) from None

    def _check_shards(self) -> None:
        """Forget shards that are not as they were written: they are made again."""
        for name, entry in list(self.shards.items()):
            path = f"{self.folder}/{name}"
            try:
                same = self.filesystem.size(path) == entry["bytes"]
                # elsewhere it would have to be fetched
                if same and self.appends:
                    same = _digest(self.filesystem.cat_file(path)) == entry["checksum"]
            except FileNotFoundError:
                same = False
            if not same:
                del self.shards[name]

    def _delete(self, name: str) -> None:
        path = f"{self.folder}/{name}"
        if self.filesystem.exists(path):
            self.filesystem.rm_file(path)


def write_bytes(filesystem: Any, path: str, data: bytes) -> None:
    """Write a file atomically.

    filesystem (Any): The fsspec file system.
    path (str): The path there.
    data (bytes): The content.
    """
    if "file" in filesystem.protocol:
        write_file(Path(path), data)
    else:
        # object storage shows a file once it is whole
        filesystem.pipe_file(path, data)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
