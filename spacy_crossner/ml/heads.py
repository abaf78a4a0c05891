"""Thinc glue of the two NER heads: docs in, flat tables of logits out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional, cast
from unicodedata import category

import numpy
from spacy import registry
from spacy.attrs import IS_ALPHA, IS_SPACE, SPACY
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats1d, Floats2d, Floats3d

from spacy_crossner.checks import check_least, check_range
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.ml.lazy import Build, LazyTorch, build_later, build_module
from spacy_crossner.ml.onnx_graph import runs_graphs

# Tokens that the pair head scores at once in prediction. Each costs hidden_width x
# max_span_length floats while it is scored.
PREDICT_TOKENS = 2048
# Names of a pair head's outputs; version 1 lacks the last two, version 2 the last by default.
PAIR_OUTPUTS = ("logits", "queries", "keys", "classes", "inner")


@dataclass
class TokenLabelScores:
    """Scores of the token-label head for a batch, or their gradient.

    logits (Floats2d): (n_units, n_classes), all docs one after the other.
    lengths (List[int]): Number of units of each doc.
    starts (List[numpy.ndarray]): First token of each unit of each doc. A unit is a token, or a
        run of tokens with the same vector, and the white space behind it.
    n_tokens (List[int]): Number of tokens of each doc.
    glued (numpy.ndarray): (n_units,) bool, whether a unit goes on where the one before it ends,
        letter to letter: inside a word, or in a script without spaces.
    """

    logits: Floats2d
    lengths: list[int]
    starts: list[numpy.ndarray]
    n_tokens: list[int]
    glued: numpy.ndarray


@dataclass
class TokenPairScores:
    """Scores of the token-pair head for a batch, or their gradient.

    logits (Floats3d): (n_units, max_span_length, n_relations), all docs one after the other.
    lengths (List[int]): Number of units of each doc.
    starts (List[numpy.ndarray]): First token of each unit of each doc. A unit is a token, or a
        run of tokens with the same vector, and the white space behind it.
    n_tokens (List[int]): Number of tokens of each doc.
    glued (numpy.ndarray): (n_units,) bool, as in `TokenLabelScores`.
    queries, keys (Optional[Floats2d]): (n_units, hidden_width), what pair vectors are made of.
        In a gradient they are None unless relation contrast is on.
    classes (Optional[Floats2d]): (n_units, n_classes) BIO logits that the pair logits start from;
        None for version 1 of the head.
    inner (Optional[Floats2d]): The same for names inside of others; None unless the head has them.
    """

    logits: Floats3d
    lengths: list[int]
    starts: list[numpy.ndarray]
    n_tokens: list[int]
    glued: numpy.ndarray
    queries: Optional[Floats2d] = None
    keys: Optional[Floats2d] = None
    classes: Optional[Floats2d] = None
    inner: Optional[Floats2d] = None


@registry.architectures("spacy-crossner.TokenLabelHead.v1")
def TokenLabelHead(  # noqa: N802 (a Thinc layer)
    tok2vec: Model[list[Doc], list[Floats2d]],
) -> Model[list[Doc], TokenLabelScores]:
    """Score BIO classes with one linear layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): Token vectors, usually a TransformerListener.
    RETURNS (Model[List[Doc], TokenLabelScores]): The model.
    """
    head = LazyTorch("token_label", build_later("TokenLabelModule"))
    return _join("token_label_head", tok2vec, head, _label_forward)


@registry.architectures("spacy-crossner.TokenPairHead.v1")
def TokenPairHead_v1(  # noqa: N802 (a Thinc layer)
    tok2vec: Model[list[Doc], list[Floats2d]],
    hidden_width: int = 128,
    max_span_length: int = 32,
) -> Model[list[Doc], TokenPairScores]:
    """Score the relations between each token and those that follow it, each pair by itself.

    Kept for pipelines that were trained with it; `TokenPairHead.v2` learns more from little data.

    tok2vec (Model[List[Doc], List[Floats2d]]): Token vectors, usually a TransformerListener.
    hidden_width (int): Width of the queries and keys, the rank of the bilinear form.
    max_span_length (int): Longest entity, in tokens (tokens that share a word piece count as
        one). Cost grows in proportion to it.
    RETURNS (Model[List[Doc], TokenPairScores]): The model.
    """
    build = build_later(
        "TokenPairModule", hidden_width=hidden_width, max_span_length=max_span_length
    )
    return _join_pairs(tok2vec, build, max_span_length)


@registry.architectures("spacy-crossner.TokenPairHead.v2")
def TokenPairHead_v2(  # noqa: N802 (a Thinc layer)
    tok2vec: Model[list[Doc], list[Floats2d]],
    hidden_width: int = 128,
    max_span_length: int = 32,
    learn_factor: float = 1.0,
    rotary: bool = True,
    inner: bool = False,
) -> Model[list[Doc], TokenPairScores]:
    """Score token pairs with a BIO classifier's span probabilities plus a bilinear form.

    Untrained, it equals a BIO tagger. The form adds what only the pair of first and last token can
    say: nested names, and long ones.

    tok2vec (Model[List[Doc], List[Floats2d]]): Token vectors, usually a TransformerListener.
    hidden_width (int): Width of the queries and keys, the rank of the bilinear form.
    max_span_length (int): Longest entity, in tokens (tokens that share a word piece count as
        one). Cost grows in proportion to it.
    learn_factor (float): Factor on the learning rate of the bilinear form.
    rotary (bool): Let the form see the distance of the pair, by rotated queries and keys.
    inner (bool): Add a second BIO classifier, for names inside of others. For data that marks them.
    RETURNS (Model[List[Doc], TokenPairScores]): The model.
    """
    section = "token_pair_ner.model"
    check_least(f"{section}.hidden_width", hidden_width)
    check_range(f"{section}.learn_factor", learn_factor, 1e-3, 1e3)
    if rotary and hidden_width % 2:
        raise CrossnerError(Errors.CN130.format(section=section, width=hidden_width))
    build = build_later(
        "PriorPairModule",
        hidden_width=hidden_width,
        max_span_length=max_span_length,
        learn_factor=learn_factor,
        rotary=rotary,
        inner=inner,
    )
    return _join_pairs(tok2vec, build, max_span_length)


def _join_pairs(tok2vec: Model, build: Build, max_span_length: int) -> Model:
    check_least("token_pair_ner.model.max_span_length", max_span_length)
    head = LazyTorch("token_pair", build)
    model = _join("token_pair_head", tok2vec, head, _pair_forward)
    model.set_dim("nW", max_span_length)
    return model


def _join(name: str, tok2vec: Model, head: Model, forward: Callable) -> Model:
    # The parts are children, so that listeners are found and weights are saved; the argument and
    # ref are called tok2vec because `nlp.replace_listeners` looks for that name.
    return Model(
        name,
        forward,
        init=_init,
        layers=[tok2vec, head],
        refs={"tok2vec": tok2vec, "head": head},
        dims={"nW": None},
    )


def _init(model: Model, X: Optional[list[Doc]] = None, Y: Any = None) -> None:
    tok2vec, head = model.get_ref("tok2vec"), model.get_ref("head")
    tok2vec.initialize(X=X)
    sample = flatten(head, tok2vec.predict(X)) if X is not None else None
    head.initialize(X=sample)


def flatten(head: Model, vectors: list[Floats2d]) -> Floats2d:
    """Put the vectors of all docs one after the other. Docs without tokens have no width.

    RETURNS (Floats2d): (n_tokens, width)
    """
    filled = [rows for rows in vectors if len(rows)]
    if not filled:
        width = head.get_dim("nI") if head.has_dim("nI") else 0
        return head.ops.alloc2f(0, width)
    return head.ops.xp.concatenate(filled)


def _label_forward(
    model: Model, docs: list[Doc], is_train: bool
) -> tuple[TokenLabelScores, Callable]:
    vectors, backprop_vectors = model.get_ref("tok2vec")(docs, is_train)
    starts, n_tokens = find_units(vectors, docs), [len(rows) for rows in vectors]
    head = model.get_ref("head")
    (logits,), backprop_head = head(flatten(head, take_units(vectors, starts)), is_train)

    def backprop(d_scores: TokenLabelScores) -> Any:
        return backprop_vectors(
            spread_units(head, backprop_head((d_scores.logits,)), starts, n_tokens)
        )

    lengths = [len(rows) for rows in starts]
    glued = find_all_glued(docs, starts)
    return TokenLabelScores(logits, lengths, starts, n_tokens, glued), backprop


def _pair_forward(
    model: Model, docs: list[Doc], is_train: bool
) -> tuple[TokenPairScores, Callable]:
    vectors, backprop_vectors = model.get_ref("tok2vec")(docs, is_train)
    starts, n_tokens = find_units(vectors, docs), [len(rows) for rows in vectors]
    lengths = [len(rows) for rows in starts]
    head = model.get_ref("head")
    glued = find_all_glued(docs, starts)
    rows = spaced_rows(lengths)
    n_rows = len(rows) + len(lengths) + 1
    spaced: Any = put_rows(head, flatten(head, take_units(vectors, starts)), rows, n_rows)
    is_token: Any = put_rows(head, head.ops.alloc1f(len(rows)) + 1.0, rows, n_rows)
    if is_train:
        outputs, backprop_head = head((spaced, is_token), is_train)
        found = dict(zip(PAIR_OUTPUTS, outputs, strict=False))
    else:
        found = _predict_in_chunks(head, spaced, is_token, model.get_dim("nW"))
    scores = TokenPairScores(
        lengths=lengths,
        starts=starts,
        n_tokens=n_tokens,
        glued=glued,
        **{name: table[rows] for name, table in found.items()},
    )
    if not is_train:
        return scores, _no_backprop

    def backprop(d_scores: TokenPairScores) -> Any:
        d_outputs = [getattr(d_scores, name) for name in found]
        d_spaced = backprop_head(
            tuple(None if d is None else put_rows(head, d, rows, n_rows) for d in d_outputs)
        )
        return backprop_vectors(spread_units(head, d_spaced[rows], starts, n_tokens))

    return scores, backprop


def spaced_rows(lengths: Sequence[int]) -> numpy.ndarray:
    """Compute row numbers in a table with padding around each doc.

    RETURNS (numpy.ndarray): (n_units,) row of each unit in a table that has an empty row before
    each doc, and one behind the last.
    """
    empty = 1 + numpy.repeat(numpy.arange(len(lengths)), lengths)
    return numpy.arange(len(empty)) + empty


def _predict_in_chunks(
    head: Model, spaced: Floats2d, is_token: Floats1d, reach: int
) -> dict[str, Any]:
    """Score a stretch of tokens at a time, with the one before and those in reach behind it.

    RETURNS (Dict[str, Any]): The outputs by name, without queries and keys.
    """
    parts: dict[str, list[Any]] = {}
    for begin in range(0, len(spaced), PREDICT_TOKENS):
        first = max(begin - 1, 0)
        chunk = slice(first, begin + PREDICT_TOKENS + reach)
        outputs = head.predict((spaced[chunk], is_token[chunk]))
        kept = slice(begin - first, begin - first + PREDICT_TOKENS)
        for name, output in zip(PAIR_OUTPUTS, outputs, strict=False):
            if name not in ("queries", "keys"):
                parts.setdefault(name, []).append(output[kept])
    return {name: head.ops.xp.concatenate(tables) for name, tables in parts.items()}


def find_units(vectors: list[Floats2d], docs: list[Doc]) -> list[numpy.ndarray]:
    """Find the tokens that start a unit: those with a different vector than the token before.

    White space begins a unit at the beginning of a doc only. Its vector is that of the word behind
    it, where a piece begins with the space before it, and else is empty.

    vectors (List[Floats2d]): (n_tokens, width) of each doc.
    docs (List[Doc]): The docs.
    RETURNS (List[numpy.ndarray]): (n_units,) token indices of each doc.
    """
    starts = []
    for rows, doc in zip(vectors, docs, strict=True):
        words = numpy.flatnonzero(~find_spaces(doc))
        table: Any = rows if len(words) == len(rows) else cast(Any, rows)[words]
        changed = numpy.ones((len(words),), dtype=bool)
        if len(words) > 1:
            differs = (table[1:] != table[:-1]).any(axis=1)
            changed[1:] = differs.get() if hasattr(differs, "get") else differs
        first = words[changed]
        if len(rows) and not (len(first) and first[0] == 0):
            first = numpy.append(0, first)
        starts.append(first)
    return starts


def find_spaces(doc: Doc) -> numpy.ndarray:
    """Find the whitespace tokens of a doc.

    RETURNS (numpy.ndarray): (n_tokens,) bool, which tokens are white space.
    """
    return doc.to_array(IS_SPACE).reshape(-1).astype(bool)


def find_all_glued(docs: list[Doc], starts: list[numpy.ndarray]) -> numpy.ndarray:
    """Find the glued units of all docs.

    RETURNS (numpy.ndarray): (n_units,) bool of all docs, see `TokenLabelScores.glued`.
    """
    return numpy.concatenate(
        [find_glued(doc, first) for doc, first in zip(docs, starts, strict=True)]
    )


def find_glued(doc: Doc, starts: numpy.ndarray) -> numpy.ndarray:
    """Find the glued units of a doc.

    RETURNS (numpy.ndarray): (n_units,) bool, see `TokenLabelScores.glued`.
    """
    spaced, is_alpha = doc.to_array([SPACY, IS_ALPHA]).reshape(-1, 2).astype(bool).T
    glued = numpy.zeros((len(doc),), dtype=bool)
    glued[1:] = ~spaced[:-1] & is_alpha[:-1] & is_alpha[1:]
    # words with vowel signs or tone marks, as in Thai, are not "alpha"
    for i in numpy.flatnonzero(~spaced[:-1] & ~glued[1:]).tolist():
        glued[i + 1] = _is_letter(doc[i].text[-1:]) and _is_letter(doc[i + 1].text[:1])
    return glued[starts]


def _is_letter(character: str) -> bool:
    """Check if a character is a letter, or a mark that belongs to one."""
    return bool(character) and category(character)[0] in "LM"


def take_units(vectors: list[Floats2d], starts: list[numpy.ndarray]) -> list[Floats2d]:
    """Take the vectors of the units of each doc."""
    return [
        rows if len(first) == len(rows) else cast(Any, rows)[first]
        for rows, first in zip(vectors, starts, strict=True)
    ]


def put_rows(head: Model, table: Any, rows: numpy.ndarray, n_rows: int) -> Any:
    """Scatter rows into a table of zeros with `n_rows` rows."""
    larger = head.ops.xp.zeros((n_rows, *table.shape[1:]), dtype=table.dtype)
    larger[rows] = table
    return larger


def spread_units(
    head: Model, flat: Floats2d, starts: list[numpy.ndarray], n_tokens: list[int]
) -> list[Floats2d]:
    """Give the gradient of each unit to its first token; its pieces get it from there.

    head (Model): The head, for its operations.
    flat (Floats2d): (n_units, width) of all docs.
    starts (List[numpy.ndarray]): First token of each unit of each doc.
    n_tokens (List[int]): Number of tokens of each doc.
    RETURNS (List[Floats2d]): (n_tokens, width) of each doc.
    """
    spread = []
    units = split(flat, [len(first) for first in starts])
    for rows, first, n in zip(units, starts, n_tokens, strict=True):
        spread.append(rows if len(first) == n else put_rows(head, rows, first, n))
    return spread


def split(flat: Floats2d, lengths: list[int]) -> list[Floats2d]:
    """Split a table into the rows of each doc."""
    bounds = numpy.cumsum(lengths)
    return [cast(Any, flat)[end - n : end] for end, n in zip(bounds, lengths, strict=True)]


def _no_backprop(d_scores: Any) -> list:
    return []


def build_head(model: Model, n_in: int, n_out: int) -> None:
    """Build the head without a sample, as loading needs it. The encoder is left alone.

    model (Model): What `TokenLabelHead` or `TokenPairHead` made.
    n_in (int): Width of the token vectors.
    n_out (int): Number of classes or relations.
    """
    is_graph = runs_graphs(model.get_ref("tok2vec"))
    build_module(model.get_ref("head"), n_in, n_out, is_graph=is_graph)
