"""Where an encoder comes from: a folder of Hugging Face, or what a pipeline saved."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

import srsly
import torch
from spacy.util import SimpleFrozenDict
from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers.hf_shim import HFShim
from thinc.api import get_torch_default_device
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from transformers.modeling_utils import no_init_weights
from transformers.utils import logging

from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.ml.freeze import freeze_encoder, limit_layers
from spacy_crossner.ml.half import store_embeddings_half
from spacy_crossner.ml.precision import Precision, PrecisionShim
from spacy_crossner.ml.sampling import PieceSampler
from spacy_crossner.ml.saved import (
    SAFE,
    check_encoder_config,
    read_saved,
    read_weights,
    write_files,
)
from spacy_crossner.ml.unknown import VocabularyWatch


class BareEncoder:
    """`AutoModel` without the pooler, which token classifiers do not use."""

    @staticmethod
    def from_pretrained(name: str, config: Any) -> torch.nn.Module:
        """Load an encoder by path or hub name, in float32; a missing weight is an error."""
        level = logging.get_verbosity()
        logging.set_verbosity_error()  # it would warn of the pooler that is dropped anyway
        try:
            encoder, report = (find_class(config) or AutoModel).from_pretrained(
                name,
                config=config,
                torch_dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,
            )
        finally:
            logging.set_verbosity(level)
        missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
        if missing:
            raise ValueError(f"the weights lack {', '.join(missing[:3])}.")
        return _drop_pooler(encoder)

    @staticmethod
    def from_config(config: Any) -> torch.nn.Module:
        """Build an encoder without initializing its weights, which are loaded next."""
        config.torch_dtype = torch.float32
        build = find_class(config) or AutoModel.from_config
        with no_init_weights():
            return _drop_pooler(build(config))


def find_class(config: Any) -> Optional[Any]:
    """Find the one class that `AutoModel` would take. It imports all models before it looks.

    config (PretrainedConfig): The config of an encoder.
    RETURNS (Optional[Any]): The class, or None if there are several, or the library has none.
    """
    found = MODEL_MAPPING.get(type(config), None)
    return found if isinstance(found, type) else None


def _drop_pooler(encoder: torch.nn.Module) -> torch.nn.Module:
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment]
    return encoder


class EncoderShim(PrecisionShim, HFShim):
    """spacy-transformers' shim that keeps frozen parts frozen and loads all weights or none,
    with no more memory than they need."""

    def __init__(
        self,
        objects: HFObjects,
        *,
        freeze_embeddings: bool,
        freeze_layers: float,
        mixed_precision: bool,
        grad_scaler_config: dict,
        precision: Precision = "float32",
    ):
        self.precision = precision
        self.freeze_embeddings = freeze_embeddings
        self.freeze_layers = freeze_layers
        self.n_positions: Optional[int] = None
        self._sampler: Optional[PieceSampler] = None
        self.watch = VocabularyWatch()
        super().__init__(
            objects,
            mixed_precision=mixed_precision,
            grad_scaler_config=dict(grad_scaler_config),
            model_cls=BareEncoder,
        )

    def take_over(self) -> None:
        """Apply the settings to whatever encoder is set now, and see how much it can read."""
        freeze_encoder(self._model, embeddings=self.freeze_embeddings, layers=self.freeze_layers)
        store_embeddings_half(self._model)
        self.n_positions = count_positions(self._model)
        self._sampler = None

    def get_sampler(self, alpha: float) -> PieceSampler:
        """Get what draws the pieces of words, made once for each encoder.

        alpha (float): See `PieceSampler`.
        RETURNS (PieceSampler): The sampler.
        """
        if self._sampler is None:
            self._sampler = PieceSampler(self._hfmodel.tokenizer.backend_tokenizer, alpha)
        return self._sampler

    @property
    def trainable(self) -> bool:
        """Whether any parameter of the encoder is trainable."""
        return any(parameter.requires_grad for parameter in self._model.parameters())

    def from_bytes(self, bytes_data: bytes) -> "EncoderShim":
        """Load the tokenizer and weights from bytes, without network access, code or other files.

        bytes_data (bytes): What `to_bytes` made.
        RETURNS (EncoderShim): The shim itself.
        """
        saved = read_saved(bytes_data, "config", "state", "tokenizer")
        del bytes_data  # as big as the weights
        if not saved["config"]:
            settings = saved["_init_tokenizer_config"], saved["_init_transformer_config"]
            self._hfmodel = HFObjects(None, None, None, *settings)
            return self
        check_encoder_config(saved["config"])
        with TemporaryDirectory() as name:
            folder = Path(name)
            # loading instructions in the file are ignored, because they could run code
            saved["tokenizer"].pop("kwargs", None)
            write_files(folder, saved.pop("tokenizer"))
            # last, so that it can't be replaced by one of those files
            srsly.write_json(folder / "config.json", saved["config"])
            try:
                config = AutoConfig.from_pretrained(folder, **SAFE)
                config._name_or_path = ""  # the folder is temporary, and its name would be saved
                encoder = BareEncoder.from_config(config)
                # before the tokenizer, so that the saved weights are gone when it needs memory
                self._load_weights(encoder, saved.pop("state"))
                tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **SAFE)
            except CrossnerError:
                raise
            except Exception as error:  # transformers and tokenizers raise various types
                raise CrossnerError(Errors.CN053.format(reason=shorten(error))) from None
            if not isinstance(tokenizer, PreTrainedTokenizerFast):
                raise CrossnerError(Errors.CN053.format(reason="the tokenizer is not fast"))
            contents = _vocab_file_contents(tokenizer)
        no_settings = SimpleFrozenDict(), SimpleFrozenDict()
        self._hfmodel = HFObjects(tokenizer, self._model, contents, *no_settings)
        return self

    def _load_weights(self, encoder: torch.nn.Module, data: bytes) -> None:
        weights = read_weights(data, "encoder")
        del data
        try:
            # the loaded tensors become the encoder's: what it came with was never written to
            encoder.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise CrossnerError(Errors.CN024.format(reason=shorten(error))) from None
        self._model = encoder
        self.take_over()
        for parameter in encoder.parameters():
            parameter.data = parameter.data.float()
        encoder.to(get_torch_default_device())


def count_positions(encoder: Any) -> Optional[int]:
    """Get the encoder's maximum length in word pieces, or None if it is unlimited."""
    longest = getattr(encoder.config, "max_position_embeddings", None)
    if longest is None or longest < 1:
        return None
    # RoBERTa and its kin count their positions from behind the padding id on
    unused = [
        module.padding_idx + 1
        for name, module in encoder.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    ]
    return longest - max(unused, default=0)


def load_encoder(
    name: str, tokenizer_config: dict, transformer_config: dict, layers: Optional[int] = None
) -> HFObjects:
    """Load a tokenizer and an encoder, by path or hub name.

    name (str): A folder or a hub name.
    tokenizer_config (dict): Settings for the tokenizer.
    transformer_config (dict): Settings for the encoder's config.
    layers (Optional[int]): Number of layers to load, counted from below; None for all.
    RETURNS (HFObjects): Both, the encoder on the active device.
    """
    source = str(Path(name).absolute()) if Path(name).exists() else name
    for settings in (tokenizer_config, transformer_config):
        if settings.get("trust_remote_code") or settings.get("auto_map"):
            raise CrossnerError(Errors.CN051.format(name=name))
    trust = {"trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, **{"use_fast": True, **tokenizer_config, **trust}
        )
        config = AutoConfig.from_pretrained(
            source, **{**transformer_config, "return_dict": True, **trust}
        )
        if layers is not None:
            limit_layers(config, layers)
        encoder = BareEncoder.from_pretrained(source, config)
    except CrossnerError:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise CrossnerError(Errors.CN020.format(name=name, reason=reason)) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CrossnerError(Errors.CN021.format(name=name))
    encoder.to(get_torch_default_device())
    return HFObjects(tokenizer, encoder, _vocab_file_contents(tokenizer))


def _vocab_file_contents(tokenizer: PreTrainedTokenizerFast) -> Optional[bytes]:
    """spacy-transformers saves this file beside the tokenizer, where the class has one."""
    path = getattr(tokenizer, "vocab_file", None)
    if path is None:
        # a fast tokenizer needs none, but the attribute alone makes HFShim look for the file
        if hasattr(tokenizer, "vocab_file"):
            del tokenizer.vocab_file
        return None
    return Path(path).read_bytes()
