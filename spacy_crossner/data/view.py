"""What a training doc knows about itself: its view, kept in one custom extension.

`doc._.crossner` holds a `View`. It is stored as plain values and small arrays in `doc.user_data`,
so that `DocBin(store_user_data=True)` carries it, and is `None` on a doc that has none.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, Optional

import numpy
from spacy.tokens import Doc

from spacy_crossner.errors import CrossnerError, Errors, shorten

EXTENSION = "crossner"
USER_DATA_KEY = "spacy_crossner.view"

Kind = Literal["source", "translation", "codeswitch", "target"]
KINDS: tuple[str, ...] = ("source", "translation", "codeswitch", "target")


@dataclass
class SoftTargets:
    """A teacher's probabilities for one doc, sparse: what is not listed is outside.

    scheme (str): "bio" (rows are tokens) or "relations" (rows are token pairs).
    classes (tuple): Names of the columns of `probs`, in order.
    index (numpy.ndarray): int32, shape (m,) token indices, or (m, 2) pairs (head, tail).
    probs (numpy.ndarray): float16, shape (m, len(classes)).
    masked (Optional[numpy.ndarray]): int32, shape (k,), tokens that the teacher says nothing about.
    bio (Optional[SoftTargets]): With relations, the BIO classes of the same teacher, if it has any.
    """

    scheme: Literal["bio", "relations"]
    classes: tuple[str, ...]
    index: numpy.ndarray
    probs: numpy.ndarray
    masked: Optional[numpy.ndarray] = None
    bio: Optional["SoftTargets"] = None

    @property
    def parts(self) -> list["SoftTargets"]:
        """The targets, and the BIO classes beside them if there are any."""
        return [self] if self.bio is None else [self, self.bio]

    @property
    def nbytes(self) -> int:
        """Size of the probabilities and their index in memory."""
        return sum(part.index.nbytes + part.probs.nbytes for part in self.parts)


@dataclass
class View:
    """How a doc relates to the sentence it came from.

    group (str): Shared by all views of one source sentence; never empty.
    kind (str): "source", "translation", "codeswitch", or "target" (unlabelled target text).
    lang (str): Language code of the text; of a code-switched text, its main language.
    links (numpy.ndarray): int32, shape (n, 2): pairs (token of the source view, token of this doc).
    labelled (bool): Whether the doc's entities may be trained on. False for target text.
    weight (float): How much the doc's labels count in the training loss, e.g. the confidence of
        a projection.
    soft (SoftTargets): A teacher's soft targets, or None.
    by_hand (bool): Whether a person has labelled this translation. False for projected labels.
    """

    group: str
    kind: Kind = "source"
    lang: str = "xx"
    links: Optional[numpy.ndarray] = None
    labelled: bool = True
    weight: float = 1.0
    soft: Optional[SoftTargets] = None
    by_hand: bool = False


def to_dict(view: View) -> dict[str, Any]:
    """Reduce a view to values that msgpack can store.

    view (View): The view.
    RETURNS (dict): Plain values and numpy arrays; what is unset or at its default is left out.
    """
    msg: dict[str, Any] = {"group": view.group, "kind": view.kind, "lang": view.lang}
    if view.links is not None and len(view.links):
        msg["links"] = numpy.ascontiguousarray(view.links, dtype="int32")
    if not view.labelled:
        msg["labelled"] = False
    if view.weight != 1.0:
        msg["weight"] = float(view.weight)
    if view.by_hand:
        msg["by_hand"] = True
    if view.soft is not None:
        msg["soft"] = _soft_to_dict(view.soft)
    return msg


def _soft_to_dict(soft: SoftTargets) -> dict[str, Any]:
    msg: dict[str, Any] = {
        "scheme": soft.scheme,
        "classes": list(soft.classes),
        "index": numpy.ascontiguousarray(soft.index, dtype="int32"),
        "probs": numpy.ascontiguousarray(soft.probs, dtype="float16"),
    }
    if soft.masked is not None:
        msg["masked"] = numpy.ascontiguousarray(soft.masked, dtype="int32")
    if soft.bio is not None:
        msg["bio"] = _soft_to_dict(soft.bio)
    return msg


def _soft_from_dict(msg: dict[str, Any]) -> SoftTargets:
    return SoftTargets(
        scheme=msg["scheme"],
        classes=tuple(msg["classes"]),
        index=msg["index"],
        probs=msg["probs"],
        masked=msg.get("masked"),
        bio=_soft_from_dict(msg["bio"]) if "bio" in msg else None,
    )


def from_dict(msg: dict[str, Any]) -> View:
    """Rebuild a view, refusing what is damaged.

    msg (dict): What `to_dict` made.
    RETURNS (View): The view.
    """
    try:
        group, kind, lang = msg["group"], msg["kind"], msg["lang"]
        soft = _soft_from_dict(msg["soft"]) if "soft" in msg else None
    except (KeyError, TypeError, AttributeError) as error:
        problem = shorten(repr(error))
        raise CrossnerError(Errors.CN201.format(name=EXTENSION, problem=problem)) from None
    wrong = _find_wrong(msg)
    if wrong:
        problem = f"{wrong} is {shorten(repr(msg[wrong]))}"
        raise CrossnerError(Errors.CN201.format(name=EXTENSION, problem=problem))
    return View(
        group=group,
        kind=kind,
        lang=lang,
        links=msg.get("links"),
        labelled=msg.get("labelled", True),
        weight=msg.get("weight", 1.0),
        soft=soft,
        by_hand=msg.get("by_hand", False),
    )


def _find_wrong(msg: dict[str, Any]) -> Optional[str]:
    """Return the first key of a stored view whose value has the wrong type, or None."""
    links, soft, weight = msg.get("links"), msg.get("soft"), msg.get("weight", 1.0)
    fits = {
        "group": bool(msg["group"]) and isinstance(msg["group"], str),
        "kind": isinstance(msg["kind"], str) and msg["kind"] in KINDS,
        "lang": isinstance(msg["lang"], str),
        "links": links is None or isinstance(links, numpy.ndarray),
        "labelled": isinstance(msg.get("labelled", True), bool),
        "by_hand": isinstance(msg.get("by_hand", False), bool),
        "weight": isinstance(weight, (int, float)) and math.isfinite(weight),
        "soft": soft is None or _is_soft(soft),
    }
    return next((key for key, fine in fits.items() if not fine), None)


def _is_soft(soft: dict[str, Any]) -> bool:
    tables = [soft["index"], soft["probs"]]
    if soft.get("masked") is not None:
        tables.append(soft["masked"])
    return (
        all(isinstance(table, numpy.ndarray) for table in tables)
        and all(isinstance(name, str) for name in soft["classes"])
        and ("bio" not in soft or _is_soft(soft["bio"]))
    )


def get_view(doc: Doc) -> Optional[View]:
    """Get the view of a doc, or None."""
    msg = doc.user_data.get(USER_DATA_KEY)
    return None if msg is None else from_dict(msg)


def get_lang(doc: Doc) -> str:
    """Get the language of a doc's view, "xx" without a view. Faster than reading the whole view."""
    msg = doc.user_data.get(USER_DATA_KEY)
    return "xx" if msg is None else msg["lang"]


def get_group(doc: Doc) -> Optional[str]:
    """Get the group of a doc, or None. Faster than reading the whole view."""
    msg = doc.user_data.get(USER_DATA_KEY)
    return None if msg is None else msg["group"]


def set_view(doc: Doc, view: Optional[View]) -> None:
    """Store a view on the doc; None removes it."""
    if view is None:
        doc.user_data.pop(USER_DATA_KEY, None)
    else:
        doc.user_data[USER_DATA_KEY] = to_dict(view)


def install_extension() -> None:
    """Register `doc._.crossner`. Safe to call any number of times."""
    if not Doc.has_extension(EXTENSION):
        Doc.set_extension(EXTENSION, getter=get_view, setter=set_view)


install_extension()
