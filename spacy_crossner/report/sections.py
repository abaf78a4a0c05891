"""The sections of a report: what the template shows of scores, logs, entities and vectors.

Each function gives entries for the template. An entry whose name begins with "draw_" draws a
picture.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy
from markupsafe import Markup, escape
from spacy.displacy import render
from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.report import figures
from spacy_crossner.report.compare import (
    KINDS,
    NOTHING,
    Compared,
    Entity,
    count_types,
    measure_reliability,
)
from spacy_crossner.report.vectors import (
    TokenVectors,
    find_transformer,
    make_untrained,
    read_vectors,
    sample_tokens,
    share_of_neighbours,
)

# Backgrounds of entities: all light enough for black letters.
BACKGROUNDS = ("#9fd0f5", "#ffc79e", "#9fe3c9", "#e8b9e6", "#f2dc8c", "#ffb8cd", "#c3cff5")
ENTITY = '<mark style="background:{bg}">{text}<b>{label}</b></mark>'
# What spaCy logs of them is the size of their gradient.
NO_LOSSES = ("transformer", "tok2vec")

# F1 by recipe and test file.
Recipes = dict[str, dict[str, float]]
Entries = dict[str, Any]


def describe(nlp: Language, name: str, scores: dict[str, dict[str, Any]]) -> Entries:
    """RETURNS (Entries): Title, summary, and the scores of the pipeline itself."""
    mean = numpy.mean([values["f"] for values in scores.values()])
    sentences = sum(values["docs"] for values in scores.values())
    labels = sorted({label for values in scores.values() for label in values["per_type"]})
    rows = [
        [label, *(_cell(values["per_type"].get(label, {}).get("f")) for values in scores.values())]
        for label in labels
    ]
    return {
        "title": f"What {name} finds in {', '.join(scores)}",
        "summary": f"On {sentences} labelled test sentences in {len(scores)} languages, its mean "
        f"F1 is {mean:.1f}.",
        "pipeline": {
            "name": f"{nlp.lang}_{nlp.meta['name']} {nlp.meta['version']}",
            "components": nlp.pipe_names,
        },
        "labels": labels,
        "languages": [
            [key, values["docs"], *(_cell(values[figure]) for figure in "prf")]
            for key, values in scores.items()
        ],
        "types": {"header": ["Type", *scores], "rows": rows},
    }


def join_recipes(name: str, scores: dict[str, dict[str, Any]], others: Recipes) -> Recipes:
    """RETURNS (Recipes): All recipes; the pipeline itself only if it is none of them."""
    own = {key: values["f"] for key, values in scores.items()}
    return others if own in others.values() else {**others, name: own}


def show_recipes(recipes: Recipes) -> Entries:
    """RETURNS (Entries): F1 per language and recipe, and the mean over what all were tested on."""
    tests = list(dict.fromkeys(test for values in recipes.values() for test in values))
    shared = [test for test in tests if all(test in values for values in recipes.values())]
    title = "Mean" if shared == tests else f"Mean of {', '.join(shared) or 'none'}"
    rows = [
        [
            name,
            *(_cell(values.get(test)) for test in tests),
            _cell(float(numpy.mean([values[test] for test in shared])) if shared else None),
        ]
        for name, values in recipes.items()
    ]
    return {
        "recipes": {"header": ["Recipe", *tests, title], "rows": rows},
        "draw_languages": lambda: figures.draw_languages(recipes),
    }


def show_runs(runs: dict[str, list[dict[str, Any]]]) -> Entries:
    """RETURNS (Entries): Scores and losses while training, by recipe."""
    dev = {
        recipe: [(row["step"], 100 * row["score"]) for row in rows if row["score"] is not None]
        for recipe, rows in runs.items()
    }
    dev = {recipe: points for recipe, points in dev.items() if points}
    curves = []
    for recipe, rows in runs.items():
        losses = mean_losses(rows)
        if losses:
            ends = [
                [name, f"{points[0][1]:.4g}", f"{points[-1][1]:.4g}"]
                for name, points in losses.items()
            ]
            curves.append({"recipe": recipe, "rows": ends, "losses": losses})
    page: Entries = {"curves": curves}
    if dev:
        page["draw_dev_scores"] = lambda: figures.draw_dev_scores(dev)
    return page


def mean_losses(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Turn the sums that a log holds into means.

    rows (Sequence[Mapping[str, Any]]): The rows of one run.
    RETURNS (Dict[str, List[Tuple[int, float]]]): Of each objective that has a loss: the step of
        each evaluation, and the mean loss of the steps since the one before.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    before = -1  # the row of step 0 has its loss
    for row in rows:
        steps = row["step"] - before
        before = row["step"]
        for name, total in row["losses"].items():
            if name not in NO_LOSSES and steps > 0 and total is not None:
                curves.setdefault(name, []).append((row["step"], total / steps))
    return {name: points for name, points in curves.items() if any(loss for _, loss in points)}


def show_reliability(compared: Sequence[Compared]) -> Entries:
    """RETURNS (Entries): How far scores can be believed."""
    overall = measure_reliability(compared)
    if overall is None:
        return {"reliability": None}
    langs = {}
    for lang in dict.fromkeys(sentence.lang for sentence in compared):
        langs[lang] = measure_reliability(s for s in compared if s.lang == lang)
    return {
        "reliability": {
            "error": overall.error,
            "rows": [[f"{mean:.2f}", f"{share:.2f}", n] for mean, share, n in overall.bins],
            "languages": [
                [lang, f"{found.error:.3f}", found.entities]
                for lang, found in langs.items()
                if found is not None
            ],
        },
        "draw_reliability": lambda: figures.draw_reliability(overall),
    }


def show_confusion(compared: Sequence[Compared]) -> Entries:
    """RETURNS (Entries): Which gold type was found as which type."""
    counts = count_types(compared)
    labels = [*sorted({label for pair in counts for label in pair} - {NOTHING}), NOTHING]
    table = numpy.array([[counts[gold, found] for found in labels] for gold in labels])
    rows = [[label, *row] for label, row in zip(labels, table.tolist(), strict=True)]
    return {
        "confusion": {"header": ["Gold", *labels], "rows": rows},
        "draw_confusion": lambda: figures.draw_confusion(labels, table),
    }


def show_vectors(nlp: Language, docs: Iterable[tuple[str, Doc]], encoder: Optional[str]) -> Entries:
    """RETURNS (Entries): Token vectors after and, given the encoder, before training."""
    transformer = find_transformer(nlp)
    sample = sample_tokens(docs)
    if transformer is None or len({lang for _, drawn in sample for _, _, lang in drawn}) < 2:
        return {"alignment": []}
    after = read_vectors(transformer, sample)
    before: Optional[TokenVectors] = None
    if encoder is not None:
        before = read_vectors(make_untrained(nlp, encoder), sample)
    shares = {
        name: f"{share_of_neighbours(tokens):.1%}"
        for name, tokens in (("before training", before), ("after training", after))
        if tokens is not None
    }
    told = ", ".join(f"{share} {name}" for name, share in shares.items())
    alt = (
        f"Vectors of {len(after.labels)} words by entity type and language. Entity words whose "
        f"nearest word in another language has the same type: {told}."
    )
    return {
        "alignment": list(shares.items()),
        "draw_vectors": lambda: figures.draw_vectors(before, after, alt),
    }


def show_errors(compared: Sequence[Compared], limit: int) -> Entries:
    """RETURNS (Entries): Counts of errors, and sentences with errors."""
    langs = list(dict.fromkeys(sentence.lang for sentence in compared))
    counts = Counter((pair.kind, sentence.lang) for sentence in compared for pair in sentence.pairs)
    labels = sorted({e.label for s in compared for e in (*s.gold, *s.found)})
    colours = {label: BACKGROUNDS[n % len(BACKGROUNDS)] for n, label in enumerate(labels)}
    return {
        "kinds": KINDS,
        "error_langs": langs,
        "error_counts": {
            "header": ["Kind", *langs],
            "rows": [
                [name, *(counts[kind, lang] for lang in langs)] for kind, name in KINDS.items()
            ],
        },
        "errors": [
            {
                "lang": sentence.lang,
                "kinds": [kind for kind in KINDS if kind in sentence.kinds],
                "gold": render_entities(sentence, sentence.gold, colours),
                "found": render_entities(sentence, sentence.found, colours),
            }
            for sentence in choose_errors(compared, limit)
        ],
    }


def choose_errors(compared: Iterable[Compared], limit: int) -> list[Compared]:
    """Choose sentences with errors, the first ones of each language and kind.

    compared (Iterable[Compared]): The sentences.
    limit (int): Most sentences of each language and kind of error.
    RETURNS (List[Compared]): The sentences, in their order.
    """
    counts: Counter[tuple[str, str]] = Counter()
    chosen = []
    for sentence in compared:
        keys = [(sentence.lang, kind) for kind in sentence.kinds]
        if any(counts[key] < limit for key in keys):
            counts.update(keys)
            chosen.append(sentence)
    return chosen


def render_entities(
    sentence: Compared, entities: Sequence[Entity], colours: Mapping[str, str]
) -> Markup:
    """Mark entities in a text with displaCy.

    sentence (Compared): The sentence.
    entities (Sequence[Entity]): Entities in it, in the order of the text.
    colours (Mapping[str, str]): Background by label.
    RETURNS (Markup): The HTML.
    """
    ents = []
    for entity in entities:
        label = entity.label if entity.score is None else f"{entity.label} {entity.score:.2f}"
        # displaCy escapes the text, but not the label
        params = {"label": escape(label), "bg": colours[entity.label]}
        ents.append({"start": entity.start, "end": entity.end, "label": "", "params": params})
    doc = {"text": sentence.text, "ents": ents, "settings": {"direction": sentence.direction}}
    # the text is wanted, also where a notebook would show it
    settings: Any = {"style": "ent", "manual": True, "minify": True, "jupyter": False}
    return Markup(render(doc, options={"template": ENTITY}, **settings))


def _cell(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.1f}"
