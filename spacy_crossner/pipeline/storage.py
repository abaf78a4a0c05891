"""Loading of components whose torch module does not exist until its dimensions are known."""

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

import srsly
from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe


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

    def from_disk(
        self, path: Union[str, Path], *, exclude: Iterable[str] = util.SimpleFrozenList()
    ) -> "LazyPipe":
        """Load from disk.

        path (Union[str, Path]): What `to_disk` wrote.
        exclude (Iterable[str]): Names of parts to leave out.
        RETURNS (LazyPipe): The component itself.
        """
        deserialize = {
            "cfg": lambda p: self.load_cfg(srsly.read_json(p)),
            "vocab": lambda p: self.vocab.from_disk(p, exclude=exclude),
            "model": lambda p: self.model.from_bytes(Path(p).read_bytes()),
        }
        util.from_disk(path, deserialize, exclude)
        return self
