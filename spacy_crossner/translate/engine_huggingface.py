"""Translation models of the Transformers library: Marian, M2M100, NLLB, mBART and their like.

What a model is told the languages by is found among its tokenizer's pieces: `__de__` (M2M100),
`deu_Latn` (NLLB), `de_DE` (mBART) or `>>deu<<` (Marian models for several targets). A model for a
single pair needs none.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Optional

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from spacy_crossner.data.languages import find_codes
from spacy_crossner.errors import Errors, NoModelError, NoTranslationError
from spacy_crossner.translate.engines import (
    ENGINES,
    Engine,
    EngineSettings,
    Failure,
    Outcome,
    Segment,
)

LANGUAGE_PIECE = re.compile(
    r"__([a-z]{2,3})__|>>([a-z]{2,3})(?:_\w+)?<<|([a-z]{2,3})_(?:[A-Z][a-z]{3}|[A-Z]{2})"
)


class HuggingFaceEngine:
    """Translates with a sequence-to-sequence model."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        source: str,
        target: str,
        device: str = "cpu",
        beams: int = 4,
        max_length: int = 256,
        batch_size: int = 16,
    ):
        """Take a model for a pair of languages.

        model (PreTrainedModel): The model.
        tokenizer (PreTrainedTokenizerBase): Its tokenizer.
        source (str): Language of the texts.
        target (str): Language to translate into.
        device (str): Where the model runs.
        beams (int): Width of the beam search.
        max_length (int): Most pieces of a text and of its translation.
        batch_size (int): Texts in one pass.
        """
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        # the positions of a model may end earlier than what was asked for
        positions = getattr(model.config, "max_position_embeddings", None) or max_length
        self.max_length = min(max_length, positions, tokenizer.model_max_length)
        self.options: dict[str, Any] = {
            "num_beams": beams,
            "do_sample": False,
            "max_length": self.max_length,
        }
        # a forced end would hide that a translation was cut
        model.generation_config.forced_eos_token_id = None
        pieces = find_pieces(tokenizer, source, target)
        self.prefix = ""
        if pieces and pieces[1].startswith(">>"):
            self.prefix = pieces[1] + " "
        elif pieces:
            # M2M100 alone calls its languages without the underscores around them
            tokenizer.src_lang = pieces[0].strip("_")
            self.options["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(pieces[1])
        self.identity = f"huggingface {_fingerprint(model)} {pieces} {sorted(self.options.items())}"

    def translate(self, segments: Sequence[Segment]) -> list[Outcome]:
        """Translate texts, those of similar length together. Marks are not carried."""
        texts = [self.prefix + segment.text for segment in segments]
        ids = [self.tokenizer(text, verbose=False)["input_ids"] for text in texts]
        outcomes: list[Outcome] = [
            Failure(f"It has {len(one)} pieces, and the model takes {self.max_length}.")
            for one in ids
        ]
        fitting = [i for i in range(len(ids)) if len(ids[i]) <= self.max_length]
        fitting.sort(key=lambda i: (len(ids[i]), texts[i]))
        for begin in range(0, len(fitting), self.batch_size):
            batch = fitting[begin : begin + self.batch_size]
            for i, outcome in zip(batch, self._generate([ids[i] for i in batch]), strict=True):
                outcomes[i] = outcome
        return outcomes

    def _generate(self, ids: list[list[int]]) -> Iterator[Outcome]:
        inputs = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            outputs = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                **self.options,
            )
        end = self.tokenizer.eos_token_id
        language = self.options.get("forced_bos_token_id")
        for output in outputs.tolist():
            pieces = [piece for piece in output if piece != language]
            text = self.tokenizer.decode(pieces, skip_special_tokens=True)
            # some models begin with the sign that others end with
            if end not in output[1:]:
                yield Failure(f"Its translation does not end within {self.max_length} pieces.")
            elif not text.strip():
                yield Failure("The model returned nothing.")
            else:
                yield Segment(" ".join(text.split()))


def find_pieces(tokenizer: Any, source: str, target: str) -> Optional[tuple[str, str]]:
    """Find what a model calls two languages.

    tokenizer (PreTrainedTokenizerBase): The model's tokenizer.
    source (str): Language of the texts.
    target (str): Language to translate into.
    RETURNS (Optional[tuple[str, str]]): The pieces of source and target, or None if the model is
        for a single pair. A model that only chooses among targets has "" for the source.
    """
    named: dict[str, str] = {}
    # M2M100's tokenizer may leave its languages out of its vocabulary
    apart = getattr(tokenizer, "lang_code_to_token", {}).values()
    for piece in sorted({*tokenizer.get_vocab(), *apart}):
        match = LANGUAGE_PIECE.fullmatch(piece)
        if match:
            # sorted, so that of several scripts Hans comes before Hant
            named.setdefault(match[1] or match[2] or match[3], piece)
    if not named:
        pair = (getattr(tokenizer, "source_lang", None), getattr(tokenizer, "target_lang", None))
        for language, said in zip((source, target), pair, strict=True):
            if said and said not in find_codes(language):
                known = "-".join(map(str, pair))
                raise NoTranslationError(
                    Errors.CN432.format(pair=f"{source}-{target}", known=known)
                )
        return None
    chooses_target = any(piece.startswith(">>") for piece in named.values())
    found = [
        next((named[code] for code in find_codes(language) if code in named), "")
        for language in (source, target)
    ]
    if not found[1] or not (found[0] or chooses_target):
        known = ", ".join(named)
        raise NoTranslationError(Errors.CN432.format(pair=f"{source}-{target}", known=known))
    return found[0], found[1]


def _fingerprint(model: Any) -> str:
    """Identify a model by a hash of its config and a sample of its weights."""
    digest = hashlib.sha256(model.config.to_json_string().encode("utf8"))
    for name, values in sorted(model.state_dict().items()):
        sample = values.flatten()[:: max(1, values.numel() // 64)]
        digest.update(f"{name} {sample.float().cpu().tolist()}".encode())
    return digest.hexdigest()


@ENGINES.register("huggingface")
def make_huggingface(source: str, target: str, settings: EngineSettings) -> Engine:
    """Make an engine of a translation model.

    source (str): Language of the texts.
    target (str): Language to translate into.
    settings (EngineSettings): `model` is the folder or the hub name; the limits.
    RETURNS (Engine): The engine.
    """
    if not settings.model:
        raise NoTranslationError(Errors.CN430)
    name = settings.model.replace("{source}", source).replace("{target}", target)
    path = str(Path(name).absolute()) if Path(name).exists() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModelForSeq2SeqLM.from_pretrained(path, trust_remote_code=False)
        model.to(settings.device)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        problem = shorten(str(error).strip().split("\n")[0], 300)
        # where the name has a place for the language, there need not be a model of each
        local = Path(name).exists()
        missing = not local and (isinstance(error, OSError) or Path(name).is_absolute())
        kind = NoTranslationError if missing and name != settings.model else NoModelError
        raise kind(Errors.CN431.format(name=name, problem=problem)) from error
    return HuggingFaceEngine(
        model,
        tokenizer,
        source=source,
        target=target,
        device=settings.device,
        beams=settings.beams,
        max_length=settings.max_length,
        batch_size=settings.batch_size,
    )
