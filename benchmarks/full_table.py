"""A head that scores every pair of words of a sentence, as W2NER does: what banded scoring saves.

Untrained, and without the encoding of gold and the decoding of entities: only its cost matters.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

# The usual widths of that architecture.
LSTM, DISTANCES, REGIONS, CHANNELS, BIAFFINE, DILATIONS = 512, 20, 20, 96, 512, (1, 2, 3)
N_DISTANCES = 20


class FullTable(nn.Module):
    """An LSTM over word vectors, a grid of all pairs, dilated convolutions, and two predictors.

    width (int): Width of the encoder.
    n_relations (int): Number of relations.
    """

    def __init__(self, width: int, n_relations: int):
        super().__init__()
        self.lstm = nn.LSTM(width, LSTM // 2, batch_first=True, bidirectional=True)
        self.gain = nn.Linear(LSTM, LSTM)
        self.shift = nn.Linear(LSTM, LSTM)
        self.distance = nn.Embedding(N_DISTANCES, DISTANCES)
        self.region = nn.Embedding(3, REGIONS)
        self.mix = nn.Sequential(nn.Conv2d(LSTM + DISTANCES + REGIONS, CHANNELS, 1), nn.GELU())
        self.convolutions = nn.ModuleList(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.head = nn.Linear(LSTM, BIAFFINE)
        self.tail = nn.Linear(LSTM, BIAFFINE)
        self.biaffine = nn.Parameter(torch.zeros(n_relations, BIAFFINE + 1, BIAFFINE + 1))
        self.grid = nn.Sequential(
            nn.Linear(CHANNELS * len(DILATIONS), BIAFFINE),
            nn.GELU(),
            nn.Linear(BIAFFINE, n_relations),
        )

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Score all pairs.

        words (torch.Tensor): (n_sentences, n_words, width) vectors.
        RETURNS (torch.Tensor): (n_sentences, n_words, n_words, n_relations).
        """
        words, _ = self.lstm(words)
        normed = nn.functional.layer_norm(words, words.shape[-1:])
        # each word's normalized vector, conditioned on each other word
        pairs = self.gain(words)[:, :, None] * normed[:, None] + self.shift(words)[:, :, None]
        places = torch.arange(words.shape[1])
        gaps = places[None] - places[:, None]
        buckets = gaps.abs().clamp(max=N_DISTANCES - 1)
        extra = torch.cat([self.distance(buckets), self.region(gaps.sign() + 1)], dim=-1)
        extra = extra.expand(len(words), -1, -1, -1)
        grid = self.mix(torch.cat([pairs, extra], dim=-1).permute(0, 3, 1, 2))
        found = []
        for convolution in self.convolutions:
            grid = nn.functional.gelu(convolution(grid))
            found.append(grid)
        scores = self.grid(torch.cat(found, dim=1).permute(0, 2, 3, 1))
        one = words.new_ones(*words.shape[:2], 1)
        head = torch.cat([nn.functional.gelu(self.head(words)), one], dim=-1)
        tail = torch.cat([nn.functional.gelu(self.tail(words)), one], dim=-1)
        return scores + torch.einsum("bxi,rij,byj->bxyr", head, self.biaffine, tail)


class FullTableReader:
    """Reads texts with an encoder and a full table.

    encoder (Path): A Hugging Face folder.
    n_relations (int): Number of relations.
    """

    def __init__(self, encoder: Path, n_relations: int = 5):
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.encoder = AutoModel.from_pretrained(encoder).eval()
        self.head = FullTable(self.encoder.config.hidden_size, n_relations).eval()

    def __call__(self, texts: list[str], batch_size: int) -> list[Any]:
        """Predict the relation of every pair of words, batch by batch."""
        return [
            self.read([text.split() for text in texts[i : i + batch_size]])
            for i in range(0, len(texts), batch_size)
        ]

    @torch.no_grad()
    def read(self, words: list[list[str]]) -> torch.Tensor:
        """Score all pairs of words of a batch of sentences.

        words (List[List[str]]): The sentences.
        RETURNS (torch.Tensor): (n_sentences, n_words, n_words) indices of relations.
        """
        inputs = self.tokenizer(
            words, is_split_into_words=True, truncation=True, padding=True, return_tensors="pt"
        )
        pieces = self.encoder(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).last_hidden_state
        vectors = pieces.new_zeros(len(words), max(map(len, words)), pieces.shape[-1])
        for number in range(len(words)):
            for place, word in enumerate(inputs.word_ids(number)):
                if word is not None:
                    vectors[number, word] = torch.maximum(
                        vectors[number, word], pieces[number, place]
                    )
        return self.head(vectors).argmax(-1)
