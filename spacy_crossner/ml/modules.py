"""The heads as torch modules: they know tensors, and nothing of spaCy or Thinc.

All read the token vectors of a batch as one flat array, texts one after the other, so that texts
of different lengths cost no padding. All normalize them first: encoders differ in the size of
their vectors (the embedded one's are small), and with it would differ how fast a head learns.
"""

from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Almost all token pairs are negative, and the more so the larger their distance. A head that
# starts by saying so learns from the first step on, instead of unlearning the opposite. About a
# token alone it starts undecided: what speaks against it has to come from its vector. A constant
# would outweigh the vectors of other languages, which are less clear.
RARE = -5.0
NEAR = 2.0
# Standard deviation of a BIO classifier's first weights.
CLASS_STD = 0.02
# The log-probability of a span stays below 0 by this much, so that its log-odds are finite.
CERTAIN = 1e-9
# Ratio of the slowest to the fastest rotation of queries and keys.
ROTARY_BASE = 10_000.0


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
        nn.init.normal_(self.output.weight, std=CLASS_STD)
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
    n_relations (int): Number of relations.
    hidden_width (int): Width of queries and keys, the rank of the form.
    max_span_length (int): Width of the band: pairs with 0 <= d < max_span_length are scored.
    """

    def __init__(self, in_width: int, n_relations: int, hidden_width: int, max_span_length: int):
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

    def forward(
        self, vectors: Tensor, is_token: Optional[Tensor] = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """vectors: (n_tokens, in_width), is_token: not used ->
        logits: (n_tokens, max_span_length, n_relations),
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


class PriorPairModule(nn.Module):
    """Score the relations of each pair of tokens in a band, starting from what BIO classes say.

    A BIO classifier gives each span a probability: its first token begins a name, the others
    continue it, the next one does not. The score of a THW relation is the log-odds of that, times
    a gain, plus a low-rank bilinear form over a query of the first and a key of the last token,
    which adds what only the pair can say:

        score[i, d, THW-l] = gain[l] * log_odds[i, d, l] + <w[l] * q[i], k[i + d]>
        score[i, d, NNW] = <w[0] * q[i], k[i + d]> + <u, s[i]> + <v, e[i + d]> + b[d]

    BIO classes hold the outermost names only, and so speak against a name inside of one. A second
    classifier, for those, can be added: the log-odds are then those of a name in either.

    The rows of w for THW start at zero, so that an untrained head equals a BIO tagger. Queries and
    keys are rotated by their positions, so that the form sees the distance; THW has no bias for
    it, because the lengths of names differ between languages. s[i] is the vectors of i - 1 and i,
    e[i] those of i and i + 1.

    Optimizers such as Adam move every weight at the same rate. With a learn factor c, a weight is
    stored divided by c and used times c, which makes its rate c times as high.

    in_width (int): Width of the token vectors.
    n_relations (int): Number of relations: NNW, and THW of each label.
    hidden_width (int): Width of queries and keys, the rank of the form; even if rotary.
    max_span_length (int): Width of the band: pairs with 0 <= d < max_span_length are scored.
    learn_factor (float): Factor on the learning rate of the pair form and of NNW.
    rotary (bool): Rotate queries and keys by their positions.
    inner (bool): Add BIO classes for names inside of others.
    """

    def __init__(
        self,
        in_width: int,
        n_relations: int,
        hidden_width: int,
        max_span_length: int,
        learn_factor: float = 1.0,
        rotary: bool = True,
        inner: bool = False,
    ):
        super().__init__()
        n_labels = n_relations - 1
        self.max_span_length = max_span_length
        self.learn_factor = learn_factor
        self.rotary = rotary
        self.norm = nn.LayerNorm(in_width)
        self.dropout = nn.Dropout(0.0)
        self.output = nn.Linear(in_width, 1 + 2 * n_labels)
        nn.init.normal_(self.output.weight, std=CLASS_STD)
        nn.init.zeros_(self.output.bias)
        self.inner = nn.Linear(in_width, 1 + 2 * n_labels) if inner else None
        if self.inner is not None:
            nn.init.normal_(self.inner.weight, std=CLASS_STD)
            nn.init.zeros_(self.inner.bias)
            self.inner.bias.data[0] = -RARE
        self.query = nn.Linear(in_width, hidden_width)
        self.key = nn.Linear(in_width, hidden_width)
        # both halves of a rotated vector share their weights, or positions would not cancel out
        rank = hidden_width // 2 if rotary else hidden_width
        self.pair = nn.Parameter(torch.zeros(n_relations, rank))
        nn.init.normal_(self.pair[:1], std=hidden_width**-0.5)
        self.first = nn.Linear(2 * in_width, 1, bias=False)
        self.last = nn.Linear(2 * in_width, 1, bias=False)
        for layer in (self.query, self.key, self.pair, self.first, self.last):
            for weights in layer.parameters() if isinstance(layer, nn.Linear) else [layer]:
                weights.data.div_(learn_factor)
        self.distance = nn.Parameter(RARE * (1 - torch.exp(-torch.arange(max_span_length) / NEAR)))
        self.gain = nn.Parameter(torch.ones(n_labels))

    def forward(self, vectors: Tensor, is_token: Tensor) -> tuple[Tensor, ...]:
        """vectors: (n_tokens, in_width), is_token: (n_tokens,), 0 for the rows between texts ->
        logits: (n_tokens, max_span_length, n_relations), queries: (n_tokens, hidden_width),
        keys: (n_tokens, hidden_width), classes: (n_tokens, 1 + 2 * n_labels) BIO logits, and if
        there are any those of inner names.

        Entries that leave a text are scored too; whoever reads the band masks them. Queries and
        keys are those before rotation.
        """
        reach, factor = self.max_span_length, self.learn_factor
        vectors = self.dropout(self.norm(vectors))
        classes = self.output(vectors)
        queries = F.gelu(factor * self.query(vectors))
        keys = F.gelu(factor * self.key(vectors))
        pair = factor * self.pair
        turned, turned_keys = queries, keys
        if self.rotary:
            turned, turned_keys = rotate(queries, keys)
            pair = torch.cat([pair, pair], dim=1)
        # (n, r, h) x (n, h, d): per token, the relation-weighted query against the keys in reach
        form = torch.matmul(turned[:, None, :] * pair, in_reach(turned_keys, reach))
        around = F.pad(vectors, (0, 0, 1, 1))
        first = factor * self.first(torch.cat([around[:-2], vectors], dim=1))
        last = in_reach(factor * self.last(torch.cat([vectors, around[2:]], dim=1)), reach)
        words = form[:, :1] + first[:, None] + last + self.distance
        tables = [classes] if self.inner is None else [classes, self.inner(vectors)]
        odds = [span_log_odds(table, is_token, reach) for table in tables]
        prior = odds[0]
        if self.inner is not None:
            # the odds of either are the sum of both and of their product
            prior = torch.stack([*odds, odds[0] + odds[1]]).logsumexp(dim=0)
        spans = form[:, 1:] + self.gain[:, None] * prior
        logits = torch.cat([words, spans], dim=1).transpose(1, 2)
        return logits, queries, keys, *tables


def span_log_odds(classes: Tensor, is_token: Tensor, reach: int) -> Tensor:
    """Compute the log-odds of every span in a band from the BIO classes of its tokens.

    classes (Tensor): BIO logits, shape (n, 1 + 2 * n_labels).
    is_token (Tensor): Shape (n,), 0 for the rows between texts, which end every span.
    reach (int): Width of the band.
    RETURNS (Tensor): Shape (n, n_labels, reach): [i, l, d] is about tokens i to i + d as a name
        with label l.
    """
    total = classes.logsumexp(dim=1, keepdim=True)
    begin = classes[:, 1::2] - total
    inside = classes[:, 2::2] - total
    # the sum of all other classes, because log(1 - exp(inside)) loses what is nearly certain
    n_labels = begin.shape[1]
    is_inside = torch.zeros(n_labels, classes.shape[1], dtype=torch.bool, device=classes.device)
    is_inside[torch.arange(n_labels), 2 + 2 * torch.arange(n_labels)] = True
    stop = classes[:, None, :].masked_fill(is_inside, -torch.inf).logsumexp(dim=2) - total
    stop = torch.where(is_token[:, None] != 0, stop, 0.0)
    run = in_reach(inside, reach + 1)[:, :, 1:].cumsum(dim=2)
    run = F.pad(run[:, :, :-1], (1, 0))
    span = begin[:, :, None] + run + in_reach(stop, reach + 1)[:, :, 1:]
    span = span.clamp(max=-CERTAIN)
    return span - torch.log(-torch.expm1(span))


def rotate(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate vectors by their positions, so that products depend on the distance alone.

    queries, keys (Tensor): Shape (n, width), of an even width. The first half of a vector are real
        parts, the second half imaginary parts.
    RETURNS (tuple[Tensor, Tensor]): Both, rotated.
    """
    n, half = queries.shape[0], queries.shape[1] // 2
    # in double precision, because positions in a batch of long texts are large
    rates = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64, device=queries.device) / half)
    angles = torch.arange(n, dtype=torch.float64, device=queries.device)[:, None] * rates
    cos, sin = angles.cos().to(queries.dtype), angles.sin().to(queries.dtype)

    def turn(rows: Tensor) -> Tensor:
        real, imaginary = rows[:, :half], rows[:, half:]
        return torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=1)

    return turn(queries), turn(keys)


def in_reach(rows: Tensor, reach: int) -> Tensor:
    """Line up each row with those that follow it.

    rows (Tensor): (n, width).
    reach (int): How many rows, the row itself included.
    RETURNS (Tensor): (n, width, reach): [i, :, d] is row i + d, or zeros past the end. A view.
    """
    return F.pad(rows, (0, 0, 0, reach - 1)).unfold(0, reach, 1)
