"""Cut an encoder's vocabulary to the languages of a pipeline, in tokenizer and embeddings together.

A multilingual encoder spends most of its size on word pieces that a pipeline for a few languages
never reads. What stays is meant to cut texts that nobody has seen yet just as before:

- all pieces of the scripts of the given texts. In alphabets, which many languages share, those with
  letters that the texts never use stay only if they are common;
- common pieces in Latin script, as names and brands are written in it inside of any other script;
- all pieces without letters: digits, punctuation, symbols;
- each single character of any script, so that a stray Greek or Thai word becomes characters rather
  than one unknown piece;
- each piece that the given texts need.
"""

import json
from collections.abc import Iterable, Sequence
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy
import torch
from spacy.language import Language
from tokenizers import Tokenizer

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.half import HalfEmbedding
from spacy_crossner.ml.loading import EncoderShim
from spacy_crossner.ml.unknown import TRIMMED_TO
from spacy_crossner.scripts import main_scripts, script_of
from spacy_crossner.ship.embedded import rewrap_tokenizer

# The script whose common pieces stay in any wheel.
VISITOR = "LATIN"
# What marks the begin of a word (XLM-R's tokenizer) or its continuation (BERT's).
MARKERS = ("▁", "##")


class Trimmed(NamedTuple):
    """What was cut from an encoder.

    before (int): Number of pieces it had.
    after (int): Number of pieces it has.
    scripts (Tuple[str, ...]): The scripts whose pieces were all kept, by their Unicode names.
    """

    before: int
    after: int
    scripts: tuple[str, ...]


def trim_pipeline(nlp: Language, texts: Iterable[str]) -> Trimmed:
    """Trim the encoder of a pipeline, in place.

    nlp (Language): A trained pipeline. All of its encoders are trimmed.
    texts (Iterable[str]): Texts in all languages of the pipeline, the more the better.
    RETURNS (Trimmed): What was cut.
    """
    shims = find_encoders(nlp)
    if not shims:
        raise CrossnerError(Errors.CN701.format(pipeline=", ".join(nlp.pipe_names)))
    texts = list(texts)
    reports = [trim_encoder(shim, texts) for shim in shims]
    return reports[0]


def find_encoders(nlp: Language) -> list[EncoderShim]:
    """List the encoders of a pipeline without duplicates."""
    shims: dict[int, EncoderShim] = {}
    for _, pipe in nlp.components:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            shims.update({id(s): s for s in node.shims if isinstance(s, EncoderShim)})
    return [shim for shim in shims.values() if shim._hfmodel.transformer is not None]


def trim_encoder(shim: EncoderShim, texts: Sequence[str]) -> Trimmed:
    """Trim one encoder and its tokenizer, in place; see `trim_pipeline`.

    shim (EncoderShim): Holds both.
    texts (Sequence[str]): Texts in the languages to keep.
    RETURNS (Trimmed): What was cut.
    """
    tokenizer, encoder = shim._hfmodel.tokenizer, shim._hfmodel.transformer
    backend = tokenizer.backend_tokenizer
    scripts = main_scripts(texts)
    keep = choose_pieces(backend, texts, scripts)
    before = backend.get_vocab_size(with_added_tokens=True)
    shim._hfmodel.tokenizer = rewrap_tokenizer(tokenizer, renumber_tokenizer(backend, keep))
    shim._hfmodel.vocab_file_contents = None
    trim_embeddings(encoder, keep)
    setattr(encoder.config, TRIMMED_TO, sorted({*scripts, VISITOR}))
    return Trimmed(before, len(keep), tuple(sorted(scripts)))


def choose_pieces(backend: Tokenizer, texts: Sequence[str], scripts: set[str]) -> numpy.ndarray:
    """Choose the pieces that stay.

    backend (Tokenizer): A tokenizer with a Unigram or WordPiece model.
    texts (Sequence[str]): Texts whose pieces must all stay.
    scripts (Set[str]): The scripts of the texts.
    RETURNS (numpy.ndarray): int64, (n_kept,) their ids, ascending.
    """
    model = json.loads(backend.to_str())["model"]
    pieces = _read_pieces(model)
    keep = set(backend.get_added_tokens_decoder())
    for text in texts:
        keep.update(backend.encode(text, add_special_tokens=False).ids)
    known = {*ascii_lowercase, *(letter for text in texts for letter in text.casefold())}
    for i, piece in pieces.items():
        content = piece
        for marker in MARKERS:
            content = content.removeprefix(marker)
        written_in = {script_of(character) for character in content} - {None}
        # both kinds of vocabulary list their pieces from common to rare
        if i < len(pieces) / 2:
            safe = written_in <= {*scripts, VISITOR}
        else:
            safe = written_in <= scripts and not _has_foreign_letter(content, known)
        if safe or len(content) <= 1:
            keep.add(i)
    if model["type"] == "Unigram":
        keep.add(model["unk_id"])
        # the least score decides what an unknown character costs
        keep.add(min(pieces, key=lambda i: model["vocab"][i][1]))
    else:
        keep.add(model["vocab"][model["unk_token"]])
    return numpy.array(sorted(keep), dtype="int64")


def renumber_tokenizer(backend: Tokenizer, keep: numpy.ndarray) -> Tokenizer:
    """Make a tokenizer of some pieces, which are numbered in their old order.

    backend (Tokenizer): The tokenizer.
    keep (numpy.ndarray): int64, (n_kept,) ids of the pieces to keep, ascending.
    RETURNS (Tokenizer): The new tokenizer.
    """
    data = json.loads(backend.to_str())
    new_ids = {int(old): new for new, old in enumerate(keep)}
    model = data["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [entry for i, entry in enumerate(model["vocab"]) if i in new_ids]
        model["unk_id"] = new_ids[model["unk_id"]]
    else:
        model["vocab"] = {p: new_ids[i] for p, i in model["vocab"].items() if i in new_ids}
    for token in data["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    data["padding"] = None  # it would name a piece by its id; the encoder here pads by itself
    if data["post_processor"] is not None:
        _renumber_processor(data["post_processor"], new_ids)
    return Tokenizer.from_str(json.dumps(data))


def trim_embeddings(encoder: torch.nn.Module, keep: numpy.ndarray) -> None:
    """Keep some rows of an encoder's word embeddings, in place, and renumber what its config names.

    encoder (torch.nn.Module): A Hugging Face encoder.
    keep (numpy.ndarray): int64, (n_kept,) the rows to keep.
    """
    old: Any = encoder.get_input_embeddings()  # type: ignore[operator]
    new_ids = {int(old_id): new for new, old_id in enumerate(keep)}
    config: Any = encoder.config
    for name, value in list(config.to_dict().items()):
        if name.endswith("_token_id") and isinstance(value, int):
            setattr(config, name, new_ids.get(value))
    config.vocab_size = len(keep)
    rows = torch.from_numpy(keep).to(old.weight.device)
    padding = None if old.padding_idx is None else new_ids[old.padding_idx]
    weight = old.weight.detach()[rows]
    embeddings = (
        HalfEmbedding(weight, padding)
        if isinstance(old, HalfEmbedding)
        else torch.nn.Embedding.from_pretrained(
            weight, freeze=not old.weight.requires_grad, padding_idx=padding
        )
    )
    encoder.set_input_embeddings(embeddings)  # type: ignore[operator]


def _read_pieces(model: dict[str, Any]) -> dict[int, str]:
    if model["type"] == "Unigram" and not model.get("byte_fallback"):
        return {i: piece for i, (piece, _) in enumerate(model["vocab"])}
    if model["type"] == "WordPiece":
        return {i: piece for piece, i in model["vocab"].items()}
    kind = "Unigram with byte fallback" if model["type"] == "Unigram" else model["type"]
    raise CrossnerError(Errors.CN702.format(kind=kind))


def _has_foreign_letter(content: str, known: set[str]) -> bool:
    """Find letters of an alphabet that are not among the known ones; case does not matter."""
    # only alphabets have case; a few thousand texts don't show all characters of other scripts
    return any(c not in known and c.lower() != c.upper() for c in content.casefold())


def _renumber_processor(processor: dict[str, Any], new_ids: dict[int, int]) -> None:
    """Renumber the special tokens that a post-processor puts around a text, in place."""
    for part in processor.get("processors", ()):
        _renumber_processor(part, new_ids)
    if processor["type"] == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [new_ids[i] for i in token["ids"]]
    for key in ("sep", "cls"):  # BertProcessing, RobertaProcessing
        if key in processor:
            token, i = processor[key]
            processor[key] = [token, new_ids[i]]
