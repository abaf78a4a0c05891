"""A tiny random encoder and tokenizer, so that unit tests take seconds and need no network."""

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
WORDS = (
    "the a in of and is was to by at Berlin Paris London Angela Merkel Maria Silva Acme Corp "
    "visited works lives Germany France Spain president company city new york times bank river "
    "der die das in von und ist war el la en de y es fue . , ! ? ( ) ' -"
).split()
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789äöüßéñçãõ.,!?()'\"-:;/&"
    "北京上海中国大学李明在的是了和人民银行"
)


def write_tiny_encoder(path: Path, *, hidden: int = 32, layers: int = 4, seed: int = 0) -> Path:
    """Write a random BERT with an XLM-R-like tokenizer as a Hugging Face directory.

    path (Path): The directory to make.
    hidden (int): Width of the hidden layers.
    layers (int): Number of layers.
    seed (int): Seed of the random weights.
    RETURNS (Path): The directory.
    """
    path.mkdir(parents=True, exist_ok=True)
    pieces = [(piece, 0.0) for piece in SPECIALS[:4]]
    # longer pieces score better per character, so that known words stay whole
    pieces += [("▁" + word, -math.log(2 + i)) for i, word in enumerate(dict.fromkeys(WORDS))]
    seen = {piece for piece, _ in pieces}
    pieces += [(c, -12.0) for c in ["▁", *CHARACTERS] if c not in seen]
    pieces.append(("<mask>", 0.0))
    backend = Tokenizer(Unigram(pieces, unk_id=3))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=128,
    )
    tokenizer.save_pretrained(path)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=128,
        pad_token_id=1,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(path)
    return path
