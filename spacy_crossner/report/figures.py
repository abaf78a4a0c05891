"""The pictures of a report, each drawn twice: for light and for dark screens."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy

from spacy_crossner.report.compare import Reliability
from spacy_crossner.report.vectors import OUTSIDE, TokenVectors, project

WIDTH = 5.0  # inches; narrow, so that letters stay legible on a phone
DPI = 150
MARKERS = "osD^v<>pP*XhH8d"


@dataclass
class Theme:
    """Colours of a picture.

    ground (str): Background.
    ink (str): Text and axes.
    grid (str): Lines behind the data.
    colours (Sequence[str]): Told apart by people who don't see all colours, too.
    colormap (str): For shares of a whole.
    """

    ground: str
    ink: str
    grid: str
    colours: Sequence[str]
    colormap: str


LIGHT = Theme(
    "#ffffff",
    "#1b1f24",
    "#d5d9de",
    ("#0063a6", "#c2410c", "#00795a", "#8e3a8b", "#8a6100", "#b4235f", "#3b5b92", "#5c6b00"),
    "Blues",
)
DARK = Theme(
    "#12161c",
    "#e6e9ed",
    "#39414b",
    ("#5db5f0", "#ff9a5c", "#3fd0a4", "#e08fdc", "#e8c04a", "#ff8fb5", "#a9bff0", "#c6d65a"),
    "Blues_r",
)


@dataclass
class Picture:
    """One picture as PNG, for light and for dark screens.

    light, dark (bytes): The PNG files.
    width, height (int): Their size in CSS pixels.
    alt (str): What it shows, for who can't see it.
    """

    light: bytes
    dark: bytes
    width: int
    height: int
    alt: str


def has_matplotlib() -> bool:
    """RETURNS (bool): Whether pictures can be drawn here."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw(paint: Callable[[Any, Theme], None], height: float, alt: str) -> Picture:
    """Draw a picture for light and for dark screens.

    paint (Callable[[Figure, Theme], None]): Draws into a matplotlib figure.
    height (float): In inches.
    alt (str): What it shows.
    RETURNS (Picture): The picture.
    """
    light, dark = (_draw(paint, height, theme) for theme in (LIGHT, DARK))
    return Picture(light, dark, int(WIDTH * 96), int(height * 96), alt)


def _draw(paint: Callable[[Any, Theme], None], height: float, theme: Theme) -> bytes:
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys(ink, theme.ink),
        "font.size": 11,
        "axes.facecolor": theme.ground,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=theme.colours),
        "grid.color": theme.grid,
        "legend.frameon": False,
        "legend.fontsize": 9,
    }
    with rc_context(settings), warnings.catch_warnings():
        # labels may be in any script, and the font has some only
        warnings.filterwarnings("ignore", message=r".*Glyph .* missing from")
        figure = Figure(figsize=(WIDTH, height), facecolor=theme.ground, layout="constrained")
        paint(figure, theme)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def draw_languages(scores: Mapping[str, Mapping[str, float]]) -> Picture:
    """Draw F1 per language, with a bar for each recipe.

    scores (Mapping[str, Mapping[str, float]]): F1 in percent by recipe and language.
    RETURNS (Picture): The picture.
    """
    langs = list(dict.fromkeys(lang for values in scores.values() for lang in values))
    places = numpy.arange(len(langs))
    thick = 0.8 / len(scores)

    def paint(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        for number, (recipe, values) in enumerate(scores.items()):
            known = [place for place, lang in enumerate(langs) if lang in values]
            heights = [values[langs[place]] for place in known]
            shift = (number - (len(scores) - 1) / 2) * thick
            bars = axes.barh(places[known] + shift, heights, thick * 0.92, label=recipe)
            axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
        axes.set_yticks(places, langs)
        axes.invert_yaxis()
        axes.set_xlim(0, 109)
        axes.set_xlabel("F1 in percent")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper center", ncols=4)

    return draw(
        paint,
        0.9 + len(langs) * max(0.3, 0.2 * len(scores)),
        "Bars of F1 per language. The table below has all values.",
    )


def draw_dev_scores(curves: Mapping[str, Sequence[tuple[int, float]]]) -> Picture:
    """Draw the score on the development data while training.

    curves (Mapping[str, Sequence[Tuple[int, float]]]): Step and score in percent by recipe.
    RETURNS (Picture): The picture.
    """

    def paint(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        for recipe, points in curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=recipe)
        axes.set_xlabel("Training step")
        axes.set_ylabel("Score on development data")
        axes.set_ylim(0, 100)
        figure.legend(loc="outside upper center", ncols=4)

    ends = ", ".join(f"{recipe} {points[-1][1]:.1f}" for recipe, points in curves.items())
    return draw(paint, 3.2, f"Score on development data by training step. At the end: {ends}.")


def draw_losses(recipe: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> Picture:
    """Draw the loss of each objective while training.

    recipe (str): The recipe that they belong to.
    curves (Mapping[str, Sequence[Tuple[int, float]]]): Step and mean loss by objective.
    RETURNS (Picture): The picture.
    """
    columns = 2 if len(curves) > 1 else 1
    rows = -(-len(curves) // columns)

    def paint(figure: Any, theme: Theme) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for number, (name, points) in enumerate(curves.items()):
            colour = theme.colours[number % len(theme.colours)]
            grid[number].plot(*zip(*points, strict=True), color=colour)
            grid[number].set_title(name, fontsize=9, loc="left")
            grid[number].set_ylim(bottom=0)
            grid[number].tick_params(labelsize=8)
        for axes in grid[len(curves) :]:
            axes.set_visible(False)
        figure.supxlabel("Training step", fontsize=10)

    ends = ", ".join(
        f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in curves.items()
    )
    return draw(paint, 0.5 + 1.7 * rows, f"Mean loss of each objective of {recipe}: {ends}.")


def draw_reliability(reliability: Reliability) -> Picture:
    """Draw how often entities with a score are right.

    reliability (Reliability): The comparison.
    RETURNS (Picture): The picture.
    """
    means, shares, counts = zip(*reliability.bins, strict=True)

    def paint(figure: Any, theme: Theme) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], "--", color=theme.ink, linewidth=1, label="what scores promise")
        upper.plot(means, shares, marker="o", label="what comes true")
        upper.set_ylabel("Share that is right")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1.02)
        upper.legend(loc="upper left")
        lower.bar(means, counts, width=0.05)
        lower.set_ylabel("Entities")
        lower.set_xlabel("Score")

    return draw(
        paint,
        4.4,
        "Share of right entities by score, against the diagonal of perfect scores. "
        f"Expected calibration error {reliability.error:.3f} over {reliability.entities} entities.",
    )


def draw_confusion(labels: Sequence[str], counts: numpy.ndarray) -> Picture:
    """Draw which type was found where gold has which.

    labels (Sequence[str]): Names of rows (gold) and columns (found), "nothing" the last.
    counts (numpy.ndarray): (n, n) how often.
    RETURNS (Picture): The picture.
    """
    shares = counts / numpy.maximum(counts.sum(axis=1, keepdims=True), 1)

    def paint(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        axes.imshow(shares, cmap=theme.colormap, vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 5 else 0)
        axes.set_yticks(range(len(labels)), labels)
        axes.grid(visible=False)
        axes.set_xlabel("Found as")
        axes.set_ylabel("Gold type")
        for i, j in numpy.ndindex(*counts.shape):
            # both colour maps are dark at one end: at the full one in light, at the empty in dark
            dark = shares[i, j] > 0.5 if theme is LIGHT else shares[i, j] < 0.5
            colour = "#ffffff" if dark else "#101010"
            axes.text(j, i, int(counts[i, j]), ha="center", va="center", color=colour, fontsize=9)

    right = int(numpy.trace(counts))
    return draw(
        paint,
        1.2 + 0.45 * len(labels),
        f"How often each gold type was found as which type. {right} of {int(counts.sum())} lie on "
        "the diagonal. The table below has all values.",
    )


def draw_vectors(before: Optional[TokenVectors], after: TokenVectors, alt: str) -> Picture:
    """Draw token vectors in the plane in which they differ most.

    before (Optional[TokenVectors]): Before training.
    after (TokenVectors): The same tokens after training.
    alt (str): What can be seen.
    RETURNS (Picture): The picture.
    """
    panels = {"After training": after} if before is None else {"Before training": before}
    if before is not None:
        panels["After training"] = after
    points = {title: project(tokens.vectors) for title, tokens in panels.items()}
    types = sorted(set(after.labels) - {OUTSIDE})
    langs = sorted(set(after.langs))
    labels, of_lang = numpy.array(after.labels), numpy.array(after.langs)

    def paint(figure: Any, theme: Theme) -> None:
        colours = {name: theme.colours[n % len(theme.colours)] for n, name in enumerate(types)}
        colours = {OUTSIDE: theme.grid, **colours}
        marks = {lang: MARKERS[n % len(MARKERS)] for n, lang in enumerate(langs)}
        for axes, (title, places) in zip(
            figure.subplots(len(panels), 1, squeeze=False).ravel(), points.items(), strict=True
        ):
            for name, colour in colours.items():
                for lang, mark in marks.items():
                    chosen = places[(labels == name) & (of_lang == lang)].T
                    axes.scatter(*chosen, s=16, marker=mark, color=colour, alpha=0.75, linewidths=0)
            axes.set_title(title, loc="left", fontsize=11)
            axes.set_xticks([])
            axes.set_yticks([])
        for name, colour in colours.items():
            axes.scatter([], [], marker="s", color=colour, label=name)
        for lang, mark in marks.items():
            axes.scatter([], [], marker=mark, color=theme.ink, label=lang)
        figure.legend(loc="outside upper center", ncols=5)

    return draw(paint, 0.7 + 3.6 * len(panels), alt)
