"""The sections of a report: what the template shows of scores, logs, entities and vectors.

Each function returns entries for the template. A section without content returns none, and the page
leaves it out.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.data.languages import LANGUAGES
from spacy_crossner.report import figures
from spacy_crossner.report.compare import (
    KINDS,
    NOTHING,
    Compared,
    count_types,
    measure_reliability,
)
from spacy_crossner.report.names import join_langs, language_name
from spacy_crossner.report.render import (
    choose_examples,
    describe_pair,
    number_labels,
    render_sentence,
)
from spacy_crossner.report.tables import Table
from spacy_crossner.report.vectors import (
    find_transformer,
    make_untrained,
    read_vectors,
    sample_tokens,
    share_of_neighbours,
)

# What spaCy logs of them is the size of their gradient.
NO_LOSSES = ("transformer", "tok2vec")
# Keeps the page small, however many languages and kinds of error there are.
MAX_ERRORS = 240

# F1 by recipe and test file.
Recipes = dict[str, dict[str, float]]
Entries = dict[str, Any]


def name_test(key: str, lang: str) -> str:
    """Name a test by its language, and by its file name if that says more."""
    if key == lang or lang == "xx":
        return language_name(key)
    return f"{language_name(lang)} ({key.removeprefix(f'{lang}-')})"


def show_cards(
    scores: Mapping[str, Mapping[str, Any]],
    compared: Mapping[str, Sequence[Compared]],
    names: Mapping[str, str],
) -> Entries:
    """Show each language with its scores and example sentences.

    scores (Mapping[str, Mapping[str, Any]]): "docs", "p", "r" and "f" by test.
    compared (Mapping[str, Sequence[Compared]]): The sentences by test.
    names (Mapping[str, str]): Name of each test.
    RETURNS (Entries): Cards, the best first, and the figures above them.
    """
    colours = number_labels([s for sentences in compared.values() for s in sentences])
    order = sorted(scores, key=lambda key: -scores[key]["f"])
    counts = Counter(p.kind for ss in compared.values() for s in ss for p in s.pairs)
    errors = [(counts[kind], name) for kind, name in KINDS.items() if counts[kind]]
    return {
        "colours": colours,
        "mean": _cell(float(numpy.mean([values["f"] for values in scores.values()]))),
        "best": (names[order[0]], _cell(scores[order[0]]["f"])),
        "weakest": (names[order[-1]], _cell(scores[order[-1]]["f"])),
        "sentences": sum(values["docs"] for values in scores.values()),
        "entities": sum(len(s.gold) for ss in compared.values() for s in ss),
        "worst_error": max(errors, default=None),
        "cards": [
            {
                "name": names[key],
                "lang": join_langs(sentence.lang for sentence in compared[key]),
                "docs": scores[key]["docs"],
                **{figure: _cell(scores[key][figure]) for figure in "prf"},
                "inner": _cell(scores[key]["inner"]["f"]) if "inner" in scores[key] else None,
                "examples": [_show_sentence(s, colours) for s in choose_examples(compared[key])],
            }
            for key in order
        ],
    }


def _show_sentence(sentence: Compared, colours: Mapping[str, int]) -> Entries:
    wrong = [pair for pair in sentence.pairs if pair.kind in KINDS]
    return {
        "lang": sentence.lang,
        "direction": sentence.direction,
        "html": render_sentence(sentence, colours),
        "kinds": sorted(sentence.kinds),
        "notes": [describe_pair(pair, sentence.text) for pair in wrong],
    }


def list_next_steps(model: str, tests: Sequence[str], sentences: Iterable[Compared]) -> Entries:
    """List commands for the next steps, with their purpose."""
    codes = ",".join(dict.fromkeys(s.lang for s in sentences if s.lang in LANGUAGES))
    texts = " ".join(f"--texts {shlex.quote(test)}" for test in tests)
    pipeline = shlex.quote(model)
    steps = [("Try it on any text in a browser:", f"demo {pipeline}")]
    if codes:
        steps.append(
            ("Ship it as wheels:", f"package {pipeline} packages --languages {codes} {texts}")
        )
    return {"next": [(purpose, f"python -m spacy crossner {step}") for purpose, step in steps]}


def show_types(scores: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> Entries:
    """Tabulate F1 per entity type and language."""
    labels = sorted({label for values in scores.values() for label in values["per_type"]})
    found = {
        label: {
            names[key]: values["per_type"][label]["f"]
            for key, values in scores.items()
            if label in values["per_type"]
        }
        for label in labels
    }
    if not found:
        return {}
    header = ["Type", *names.values()]
    rows = [[lb, *(_cell(found[lb].get(name)) for name in names.values())] for lb in labels]
    return {
        "types": {
            "chart": figures.draw_ranges("F1 per entity type", found),
            "table": Table("F1 per type and language", header, rows),
        }
    }


def join_recipes(name: str, scores: Mapping[str, Mapping[str, Any]], others: Recipes) -> Recipes:
    """Join the scores of recipes with those of the pipeline."""
    own = {key: values["f"] for key, values in scores.items()}
    return others if own in others.values() else {**others, name: own}


def show_recipes(recipes: Recipes, names: Mapping[str, str]) -> Entries:
    """Compare recipes.

    recipes (Recipes): F1 by recipe and test.
    names (Mapping[str, str]): Name of each test.
    RETURNS (Entries): F1 per language and recipe, and the mean over what all were tested on;
        nothing of a single recipe.
    """
    if len(recipes) < 2:
        return {}
    tests = list(dict.fromkeys(test for values in recipes.values() for test in values))
    shared = [test for test in tests if all(test in values for values in recipes.values())]
    named = {test: names.get(test) or language_name(test) for test in tests}
    title = "Mean" if shared == tests else f"Mean of {', '.join(map(named.get, shared)) or 'none'}"  # type: ignore[arg-type]
    rows = [
        [
            name,
            *(_cell(values.get(test)) for test in tests),
            _cell(float(numpy.mean([values[test] for test in shared])) if shared else None),
        ]
        for name, values in recipes.items()
    ]
    groups = {
        named[test]: {name: values[test] for name, values in recipes.items() if test in values}
        for test in tests
    }
    return {
        "recipes": {
            "chart": figures.draw_bars("F1 per language and recipe", groups),
            "table": Table("F1 of each recipe", ["Recipe", *named.values(), title], rows),
        }
    }


def show_runs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Entries:
    """Chart the scores and losses of each training run."""
    dev = {
        run: [(row["step"], 100 * row["score"]) for row in rows if row["score"] is not None]
        for run, rows in runs.items()
    }
    dev = {run: points for run, points in dev.items() if points}
    page: Entries = {}
    if dev:
        title, across = "Score on development data", "Training step"
        page["dev_scores"] = figures.draw_lines(title, dev, across=across, most=100.0)
    losses = []
    for run, rows in runs.items():
        curves = mean_losses(rows)
        if curves:
            ends = [[k, f"{v[0][1]:.4g}", f"{v[-1][1]:.4g}"] for k, v in curves.items()]
            caption = f"Mean loss of {run} at the first and the last evaluation"
            charts = [
                figures.draw_lines(k, {k: v}, across="Training step", height=170, colour=number)
                for number, (k, v) in enumerate(curves.items())
            ]
            table = Table(caption, ["Objective", "First", "Last"], ends)
            losses.append({"run": run, "charts": charts, "table": table})
    return {**page, "losses": losses} if losses else page


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


def show_reliability(
    compared: Mapping[str, Sequence[Compared]], names: Mapping[str, str]
) -> Entries:
    """Chart the calibration of the scores."""
    overall = measure_reliability(s for sentences in compared.values() for s in sentences)
    if overall is None:
        return {}
    tests = {names[key]: measure_reliability(sentences) for key, sentences in compared.items()}
    bins = [[f"{mean:.2f}", f"{share:.2f}", str(n)] for mean, share, n in overall.bins]
    errors = [[k, f"{v.error:.3f}", str(v.entities)] for k, v in tests.items() if v is not None]
    header = ["Language", "Calibration error", "Entities"]
    return {
        "reliability": {
            "error": f"{overall.error:.3f}",
            "chart": figures.draw_reliability(overall),
            "tables": [
                Table("Entities by score", ["Mean score", "Share that is right", "Entities"], bins),
                Table("Calibration error per language", header, errors),
            ],
        }
    }


def show_confusion(compared: Iterable[Compared]) -> Entries:
    """Tabulate gold types against predicted types."""
    counts = count_types(compared)
    labels = [*sorted({label for pair in counts for label in pair} - {NOTHING}), NOTHING]
    if len(labels) < 2:
        return {}
    rows = []
    for gold in labels:
        row = [counts[gold, found] for found in labels]
        rows.append((gold, [(n, round(n / max(1, sum(row)), 3)) for n in row]))
    return {"confusion": {"labels": labels, "rows": rows}}


def show_vectors(nlp: Language, docs: Iterable[tuple[str, Doc]], encoder: Optional[str]) -> Entries:
    """Chart token vectors after and, given the encoder, before training."""
    transformer = find_transformer(nlp)
    sample = sample_tokens(docs)
    langs = {lang for _, drawn in sample for _, _, lang in drawn}
    if transformer is None or len(langs) < 2:
        return {}
    panels = {"After training": read_vectors(transformer, sample)}
    if encoder is not None:
        before = read_vectors(make_untrained(nlp, encoder), sample)
        panels = {"Before training": before, **panels}
    names = {lang: language_name(lang) for lang in langs}
    return {
        "vectors": {
            "charts": [figures.draw_vectors(k, tokens, names) for k, tokens in panels.items()],
            "shares": [(k, f"{share_of_neighbours(tokens):.1%}") for k, tokens in panels.items()],
        }
    }


def show_errors(
    compared: Mapping[str, Sequence[Compared]], names: Mapping[str, str], limit: int
) -> Entries:
    """Tabulate error counts, and list sentences with errors."""
    everything = [s for sentences in compared.values() for s in sentences]
    counts = {
        key: Counter(pair.kind for s in sentences for pair in s.pairs)
        for key, sentences in compared.items()
    }
    if not any(sentence.kinds for sentence in everything):
        return {}
    colours = number_labels(everything)
    chosen = choose_errors(everything, limit)
    while len(chosen) > MAX_ERRORS and limit > 1:
        limit -= 1
        chosen = choose_errors(everything, limit)
    # languages take turns, so that the first errors shown are of all of them
    turns: Counter[str] = Counter()
    order = []
    for sentence in chosen:
        turns[sentence.lang] += 1
        order.append(turns[sentence.lang])
    chosen = [chosen[n] for n in sorted(range(len(chosen)), key=order.__getitem__)]
    rows = [[name, *(str(counts[key][kind]) for key in counts)] for kind, name in KINDS.items()]
    return {
        "errors": {
            "kinds": KINDS,
            "languages": {s.lang: language_name(s.lang) for s in chosen},
            "limit": limit,
            "table": Table(
                "Errors by kind and language", ["Kind", *(names[key] for key in counts)], rows
            ),
            "sentences": [_show_sentence(sentence, colours) for sentence in chosen],
        }
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


def _cell(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.1f}"
