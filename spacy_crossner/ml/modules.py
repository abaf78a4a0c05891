"""The heads as torch modules: they know tensors, and nothing of spaCy or Thinc.

Both read the token vectors of a batch as one flat array, texts one after the other, so that texts
of different lengths cost no padding. Both normalize them first: encoders differ in the size of
their vectors (the embedded one's are small), and with it would differ how fast a head learns.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Nearly all pairs of two tokens are no mention, the rarer the farther they are apart. A head that
# starts by saying so learns from the first step on, instead of unlearning the opposite. About a
# token alone it starts undecided: what speaks against it has to come from its vector. A constant
# would outweigh the vectors of other languages, which are less clear.
RARE = -5.0
NEAR = 2.0


class TokenLabelModule(nn.Module):
    """Score the BIO classes of each token.

    in_width (int): Width of the token vectors.
    n_classes (int): Number of classes.
    """

    def __init__(self, in_width: int, n_classes: int):
        super().__init__()
        self.norm = nn.LayerNorm(in_width)
        self.dropout = nn.Dropout(0.0)
        self.output = nn.Linear(in_width, n_classes)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """vectors: (n_tokens, in_width) -> logits: (n_tokens, n_classes)."""
        return self.output(self.dropout(self.norm(vectors)))


class TokenPairModule(nn.Module):
    """Score the relations of each pair of tokens in a band.

    The score of relation r for the pair (i, i + d) is a low-rank bilinear form over a query of i
    and a key of i + d, plus what s, the start, and e, the end, say on their own, plus a bias for
    the distance:

        score[i, d, r] = <w[r] * q[i], k[i + d]> + <u[r], s[i]> + <v[r], e[i + d]> + b[d, r]

    s[i] is the vectors of i - 1 and i, e[i] those of i and i + 1: that a name ends where it does
    shows in the token behind it, above all where no space says so. The first relation joins words
    whatever they are. All others, one for each label, have a part of u and of v in common, which
    the few mentions of every label teach.

    in_width (int): Width of the token vectors.
    hidden_width (int): Width of queries and keys, the rank of the form.
    n_relations (int): Number of relations.
    max_span_length (int): Width of the band: pairs with 0 <= d < max_span_length are scored.
    """

    def __init__(self, in_width: int, hidden_width: int, n_relations: int, max_span_length: int):
        super().__init__()
        self.max_span_length = max_span_length
        self.norm = nn.LayerNorm(in_width)
        self.dropout = nn.Dropout(0.0)
        self.query = nn.Linear(in_width, hidden_width)
        self.key = nn.Linear(in_width, hidden_width)
        self.pair = nn.Parameter(torch.empty(n_relations, hidden_width))
        self.first = nn.Linear(2 * in_width, n_relations, bias=False)
        self.last = nn.Linear(2 * in_width, n_relations, bias=False)
        self.any_first = nn.Linear(2 * in_width, 1, bias=False)
        self.any_last = nn.Linear(2 * in_width, 1, bias=False)
        rare = RARE * (1.0 - torch.exp(-torch.arange(max_span_length) / NEAR))
        self.distance = nn.Parameter(rare[:, None].repeat(1, n_relations))
        nn.init.normal_(self.pair, std=hidden_width**-0.5)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """vectors: (n_tokens, in_width) -> logits: (n_tokens, max_span_length, n_relations),
        queries: (n_tokens, hidden_width), keys: (n_tokens, hidden_width).

        Entries that reach past the last token are scored against zeros; entries that reach into
        the next text are scored too. Whoever reads the band masks both, and puts a row of zeros
        between texts, so that no text is the other's neighbour.
        """
        vectors = self.dropout(self.norm(vectors))
        queries = F.gelu(self.query(vectors))
        keys = F.gelu(self.key(vectors))
        # (n, r, h) x (n, h, d): per token, the relation-weighted query against the keys in reach
        weighted = queries[:, None, :] * self.pair
        logits = torch.matmul(weighted, in_reach(keys, self.max_span_length)).transpose(1, 2)
        n_labels = self.pair.shape[0] - 1
        around = F.pad(vectors, (0, 0, 1, 1))
        starts = torch.cat([around[:-2], vectors], dim=1)
        ends = torch.cat([vectors, around[2:]], dim=1)
        first = self.first(starts) + F.pad(self.any_first(starts).expand(-1, n_labels), (1, 0))
        last = self.last(ends) + F.pad(self.any_last(ends).expand(-1, n_labels), (1, 0))
        last = in_reach(last, self.max_span_length).transpose(1, 2)
        logits = logits + first[:, None, :] + last + self.distance
        return logits, queries, keys


def in_reach(rows: Tensor, reach: int) -> Tensor:
    """Line up each row with those that follow it.

    rows (Tensor): (n, width).
    reach (int): How many rows, the row itself included.
    RETURNS (Tensor): (n, width, reach): [i, :, d] is row i + d, or zeros past the end. A view.
    """
    return F.pad(rows, (0, 0, 0, reach - 1)).unfold(0, reach, 1)
