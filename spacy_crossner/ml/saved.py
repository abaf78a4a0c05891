"""Read what a pipeline saved, without trust in who made it: tensors and plain files, no code."""

import pickle
import re
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import srsly
import torch

from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.ml.half import CHUNK

# For everything of transformers that loads from a folder that a pipeline brought.
SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
TOKENIZER_CONFIG = "tokenizer_config.json"
# A plain file name: no folder, no drive, nothing hidden.
_PLAIN = re.compile(r"\w[\w .+-]*", re.ASCII)
# What tokenizers of transformers save. Others of its formats are unpickled.
_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".codes")
# Names code, or files and repositories outside of the folder.
_OUTSIDE = re.compile(r"auto_map|.*_files?|.*_?name_or_path|custom_pipelines")
_BACKBONES = ("backbone", "backbone_config", "use_pretrained_backbone", "use_timm_backbone")


def read_saved(data: bytes, *keys: str) -> dict[str, Any]:
    """Unpack a message of a pipeline's file.

    data (bytes): The message.
    keys (str): What it has to hold.
    RETURNS (dict[str, Any]): Its contents.
    """
    try:
        saved = srsly.msgpack_loads(data)
        missing = [key for key in keys if key not in saved]
    except Exception as error:  # msgpack, numpy and Python raise various types
        raise CrossnerError(Errors.CN054.format(reason=shorten(error))) from None
    if missing or not isinstance(saved, dict):
        raise CrossnerError(Errors.CN054.format(reason=f"it lacks {', '.join(missing)}"))
    return saved


def sum_message(message: Mapping[str, Any]) -> int:
    """Compute the checksum of a saved model: against damage, not against forgery.

    message (Mapping[str, Any]): What Thinc's `to_dict` returned, or what was read back.
    RETURNS (int): The checksum of everything but an earlier checksum.
    """
    rest = {key: value for key, value in message.items() if key not in ("checksum", "shims")}
    total = zlib.crc32(srsly.msgpack_dumps(rest))
    for shims in message["shims"]:
        for data in shims:
            total = zlib.crc32(data, total)
    return total


def check_sum(message: Mapping[str, Any]) -> None:
    """Refuse a saved model that does not have its checksum. Older ones have none.

    message (Mapping[str, Any]): The model, unpacked.
    """
    if "checksum" not in message:
        return
    try:
        fits = sum_message(message) == message["checksum"]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise CrossnerError(Errors.CN054.format(reason="the encoder does not fit its checksum"))


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a saved tokenizer.

    A name that leads out of the folder, and a kind of file that is run or unpickled, is an error.

    folder (Path): An empty folder.
    files (Mapping[str, bytes]): Names and contents.
    """
    if not isinstance(files, Mapping):
        raise CrossnerError(Errors.CN054.format(reason="its tokenizer is not a set of files"))
    for name, content in files.items():
        if not (isinstance(name, str) and _PLAIN.fullmatch(name) and name.endswith(_SUFFIXES)):
            raise CrossnerError(Errors.CN050.format(name=shorten(repr(name))))
        if not isinstance(content, bytes):
            raise CrossnerError(Errors.CN054.format(reason=f"its file {name} is not bytes"))
        if name == TOKENIZER_CONFIG:
            content = _drop_outside(content)
        (folder / name).write_bytes(content)


def _drop_outside(content: bytes) -> bytes:
    """Remove the tokenizer settings that refer to code or other files."""
    try:
        settings = srsly.json_loads(content.decode("utf8"))
        kept = {key: value for key, value in settings.items() if not _OUTSIDE.fullmatch(key)}
    except (ValueError, AttributeError, RecursionError) as error:
        reason = f"{TOKENIZER_CONFIG}: {shorten(error)}"
        raise CrossnerError(Errors.CN054.format(reason=reason)) from None
    return srsly.json_dumps(kept).encode("utf8")


def check_encoder_config(config: Any) -> None:
    """Drop what names code from a saved encoder's config, and refuse what can't be dropped.

    config (Any): The config, changed in place.
    """
    if not isinstance(config, dict):
        raise CrossnerError(Errors.CN054.format(reason="its config is not a set of settings"))
    for key in list(config):
        if _OUTSIDE.fullmatch(str(key)) or "attn_implementation" in str(key):
            del config[key]
    found = [key for key in _BACKBONES if config.get(key)]
    if found:
        raise CrossnerError(Errors.CN052.format(setting=found[0]))


def read_weights(data: Any, part: str) -> dict[str, torch.Tensor]:
    """Read saved weights: tensors and nothing else, all of them finite.

    data (bytes): What `torch.save` wrote.
    part (str): What they belong to, for messages.
    RETURNS (dict[str, torch.Tensor]): The tensors by name.
    """
    try:
        weights = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # its message recommends to load the file without the protection
        reason = "they are damaged, or hold something other than tensors"
        raise CrossnerError(Errors.CN055.format(part=part, reason=reason)) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive raises various types
        raise CrossnerError(Errors.CN055.format(part=part, reason=shorten(error))) from None
    if not isinstance(weights, dict):
        reason = "they are not a table of tensors"
        raise CrossnerError(Errors.CN055.format(part=part, reason=reason))
    for name, tensor in weights.items():
        if not (isinstance(name, str) and isinstance(tensor, torch.Tensor)):
            reason = f"{shorten(repr(name))} is not a tensor"
            raise CrossnerError(Errors.CN055.format(part=part, reason=reason))
        if tensor.is_floating_point() and not is_finite(tensor):
            reason = f"{name} has values that are not finite numbers"
            raise CrossnerError(Errors.CN055.format(part=part, reason=reason))
    return weights


def is_finite(tensor: torch.Tensor) -> bool:
    """Check if all values are finite, without a copy of the whole tensor."""
    return all(chunk.isfinite().all() for chunk in tensor.reshape(-1).split(CHUNK))
