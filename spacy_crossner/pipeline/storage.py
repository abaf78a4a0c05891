"""Load components whose torch module is built when its dimensions are known."""

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

import srsly
from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe

from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.files import fingerprint
from spacy_crossner.ml.onnx_graph import find_graphs

CHECKSUMS = "checksums.json"
TOKENIZER = "tokenizer"


class LazyPipe(TrainablePipe):
    """A component that builds its module from what it saved, and loads the weights after that.

    Thinc can't load weights into a module that is not there, and spaCy's own loading never builds
    one.
    """

    @abstractmethod
    def load_cfg(self, saved: dict[str, Any]) -> None:
        """Take over what was saved with the component, and build the module."""

    def from_bytes(
        self, bytes_data: bytes, *, exclude: Iterable[str] = util.SimpleFrozenList()
    ) -> "LazyPipe":
        """Load from bytes.

        bytes_data (bytes): What `to_bytes` made.
        exclude (Iterable[str]): Names of parts to leave out.
        RETURNS (LazyPipe): The component itself.
        """
        deserialize = {
            "cfg": lambda b: self.load_cfg(srsly.json_loads(b)),
            "vocab": lambda b: self.vocab.from_bytes(b, exclude=exclude),
            "model": self.model.from_bytes,
        }
        util.from_bytes(bytes_data, deserialize, exclude)
        return self

    def to_disk(
        self, path: Union[str, Path], *, exclude: Iterable[str] = util.SimpleFrozenList()
    ) -> None:
        """Save to disk, with checksums. ONNX graphs become files, which are opened in place.

        path (Union[str, Path]): The folder to make.
        exclude (Iterable[str]): Names of parts to leave out.
        """
        graphs = [] if "model" in exclude else find_graphs(self.model)
        super().to_disk(path, exclude=[*exclude, "model"] if graphs else exclude)
        files = [Path(path) / name for name in ("cfg", "model")]
        for graph in graphs:
            files += graph.to_disk(path)
        # the pipeline's: spaCy writes it before the components, and reads it before them
        files.append(Path(path).parent / TOKENIZER)
        sums = {file.name: fingerprint(file) for file in files if file.is_file()}
        srsly.write_json(Path(path) / CHECKSUMS, sums)

    def from_disk(
        self, path: Union[str, Path], *, exclude: Iterable[str] = util.SimpleFrozenList()
    ) -> "LazyPipe":
        """Load from disk.

        path (Union[str, Path]): What `to_disk` wrote.
        exclude (Iterable[str]): Names of parts to leave out.
        RETURNS (LazyPipe): The component itself.
        """
        check_files(Path(path))
        deserialize = {
            "cfg": lambda p: self.load_cfg(srsly.read_json(p)),
            "vocab": lambda p: self.vocab.from_disk(p, exclude=exclude),
            "model": self._load_model,
        }
        util.from_disk(path, deserialize, exclude)
        return self

    def _load_model(self, path: Path) -> None:
        graphs = find_graphs(self.model)
        if not graphs:
            self.model.from_bytes(Path(path).read_bytes())
        for graph in graphs:
            graph.from_disk(path.parent)


def check_files(folder: Path) -> None:
    """Refuse the files of a component that are not as they were saved. Older ones have no checksum.

    folder (Path): The component's folder in a pipeline.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return
    try:
        sums = dict(srsly.read_json(path))
    except (ValueError, TypeError) as error:
        raise CrossnerError(Errors.CN057.format(path=path, reason=shorten(error))) from None
    for name, expected in sums.items():
        file = (folder.parent if name == TOKENIZER else folder) / Path(str(name)).name
        # what was left out when the pipeline was copied or saved anew is spaCy's to judge
        if file.is_file() and fingerprint(file) != expected:
            reason = f"its checksum is not the one in {path}"
            raise CrossnerError(Errors.CN057.format(path=file, reason=reason))
