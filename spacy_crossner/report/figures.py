"""Charts as inline SVG, in the font and the colours of the page that holds them.

Horizontal positions are percentages and heights are pixels, so that letters keep their size while a
chart grows and shrinks with the page. Colours are the page's CSS classes l0 to l7.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

import numpy
from markupsafe import Markup, escape

from spacy_crossner.report.compare import Reliability
from spacy_crossner.report.vectors import OUTSIDE, TokenVectors, project

COLOURS = 8
# The plot's left and right edge in percent, and its upper and lower edge in pixels.
LEFT, RIGHT = 11.0, 97.0
TOP, BOTTOM = 10.0, 34.0
BAR, GAP, LINE = 16, 5, 22  # pixels
MAX_DOTS = 60  # of a line: with more, the dots would hide it
# Marks of a scatter plot, drawn from their centre; 2.6 is the radius.
SHAPES = (
    "m-2.6,0a2.6,2.6 0 1,0 5.2,0a2.6,2.6 0 1,0-5.2,0z",
    "m-2.3,-2.3h4.6v4.6h-4.6z",
    "m0,-3.1l2.9,5h-5.8z",
    "m0,-3.3l3.3,3.3l-3.3,3.3l-3.3,-3.3z",
    "m0,3.1l2.9,-5h-5.8z",
    "m-.9,-3h1.8v2.1h2.1v1.8h-2.1v2.1h-1.8v-2.1h-2.1v-1.8h2.1z",
    "m-3,-1l6,0l-4.9,3.6l1.9,-5.8l1.9,5.8z",
    "m-3,-1.3h6v2.6h-6z",
)
PANEL = (400, 300)
Curve = Sequence[tuple[float, float]]


@dataclass
class Chart:
    """One chart.

    title (str): What it shows, in a few words.
    svg (Markup): The drawing, with a description for those who can't see it.
    legend (List[Tuple[str, Markup]]): Name and sample of each series; empty for a single one.
    """

    title: str
    svg: Markup
    legend: list[tuple[str, Markup]] = field(default_factory=list)


def _svg(parts: Iterable[str], height: float, alt: str) -> Markup:
    return Markup(
        f'<svg class="chart" width="100%" height="{height:g}" role="img" '
        f'aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "") -> str:
    return (
        f'<text x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
        f"{escape(words)}</text>"
    )


def _swatch(number: int, shape: Optional[str] = None) -> Markup:
    inner = '<rect width="12" height="12" rx="3"/>'
    if shape is not None:
        inner = f'<path transform="scale(1.6)" d="M3.75,3.75{shape}"/>'
    kind = f"l{number % COLOURS}" if number >= 0 else "plain"
    return Markup(
        f'<svg class="swatch {kind}" width="12" height="12" aria-hidden="true">{inner}</svg>'
    )


def _list_series(names: Sequence[str]) -> list[tuple[str, Markup]]:
    return [(name, _swatch(n)) for n, name in enumerate(names)] if len(names) > 1 else []


def draw_bars(title: str, groups: Mapping[str, Mapping[str, float]]) -> Chart:
    """Draw a bar for each series of each group.

    title (str): What the values are.
    groups (Mapping[str, Mapping[str, float]]): Percentages by group and series.
    RETURNS (Chart): The chart.
    """
    series = list(dict.fromkeys(name for values in groups.values() for name in values))
    parts, y = [], 0.0
    for group, values in groups.items():
        parts.append(_text(0, y + 14, group, "start"))
        y += LINE
        for name in filter(values.__contains__, series):
            value, number = values[name], series.index(name)
            parts.append(
                f'<rect y="{y:.0f}" width="{0.88 * value:.2f}%" height="{BAR}" rx="3" '
                f'class="l{number % COLOURS}"><title>{escape(f"{group}, {name}: {value:.1f}")}'
                f"</title></rect>{_text(0.88 * value + 1.2, y + BAR - 3, f'{value:.1f}', 'start')}"
            )
            y += BAR + GAP
        y += GAP
    said = "; ".join(
        f"{group}: {', '.join(f'{name} {value:.1f}' for name, value in values.items())}"
        for group, values in groups.items()
    )
    return Chart(title, _svg(parts, y, f"{title}. {said}."), _list_series(series))


def draw_ranges(title: str, rows: Mapping[str, Mapping[str, float]]) -> Chart:
    """Draw the mean of each row as a bar, and a line from its least to its greatest value.

    title (str): What the values are.
    rows (Mapping[str, Mapping[str, float]]): Percentages by row and series.
    RETURNS (Chart): The chart.
    """
    parts, said, y = [], [], 0.0
    for number, (row, values) in enumerate(rows.items()):
        mean = float(numpy.mean(list(values.values())))
        least, most = (choose(values, key=values.__getitem__) for choose in (min, max))
        ends = f"from {values[least]:.1f} in {least} to {values[most]:.1f} in {most}"
        told = f"{row}: mean {mean:.1f}" + (f", {ends}" if len(values) > 1 else "")
        said.append(told)
        middle = y + LINE + BAR / 2
        parts += [
            _text(0, y + 14, row, "start"),
            _text(100, y + 14, f"{mean:.1f}", "end"),
            f'<rect y="{y + LINE:.0f}" width="{mean:.2f}%" height="{BAR}" rx="3" '
            f'class="l{number % COLOURS} soft"><title>{escape(told)}</title></rect>',
        ]
        if len(values) > 1:
            parts.append(
                f'<line x1="{values[least]:.2f}%" x2="{values[most]:.2f}%" y1="{middle:g}" '
                f'y2="{middle:g}" class="ink"/>'
            )
            parts += [
                f'<line x1="{value:.2f}%" x2="{value:.2f}%" y1="{middle - 5:g}" '
                f'y2="{middle + 5:g}" class="ink"><title>{escape(f"{name}: {value:.1f}")}</title>'
                "</line>"
                for name, value in values.items()
            ]
        y += LINE + BAR + 2 * GAP
    return Chart(title, _svg(parts, y, f"{title}. {'; '.join(said)}."))


def find_ticks(most: float, count: int = 4) -> list[float]:
    """Choose round numbers for an axis that begins at 0.

    most (float): The greatest value to show.
    count (int): About how many steps there should be.
    RETURNS (List[float]): The ticks; the last one is at least `most`.
    """
    rough = max(most, 1e-12) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [step * n for n in range(math.ceil(most / step - 1e-9) + 1)] if most > 0 else [0.0, step]


def draw_lines(
    title: str,
    curves: Mapping[str, Curve],
    *,
    across: str,
    most: Optional[float] = None,
    height: float = 240,
    colour: int = 0,
) -> Chart:
    """Draw a line for each series.

    title (str): What the values are.
    curves (Mapping[str, Curve]): Places and values by series.
    across (str): What the places are, such as "Training step".
    most (Optional[float]): Where the vertical axis ends; found by the values if None.
    height (float): In pixels.
    colour (int): Number of the first series' colour.
    RETURNS (Chart): The chart.
    """
    values = [value for points in curves.values() for _, value in points]
    ticks = find_ticks(max(values) if most is None else most, 4 if height > 200 else 2)
    last = max(place for points in curves.values() for place, _ in points)
    ways = [tick for tick in find_ticks(last) if tick <= last] or [0.0]
    plot = _Plot(height, max(last, 1e-12), ticks[-1])
    parts = [*plot.draw_grid(ticks, ways), plot.name(across)]
    lines, dots = [], []
    for number, (name, points) in enumerate(curves.items()):
        kind = f"l{(number + colour) % COLOURS}"
        places = " ".join(
            f"{100 * x / plot.last:.2f},{100 - 100 * y / plot.most:.2f}" for x, y in points
        )
        lines.append(f'<polyline points="{places}" class="{kind}"/>')
        if len(points) <= MAX_DOTS:
            dots += [
                f'<circle cx="{plot.x(x):.2f}%" cy="{plot.y(y):.1f}" r="3" class="{kind}">'
                f"<title>{escape(f'{name}, {x:g}: {y:.4g}')}</title></circle>"
                for x, y in points
            ]
    ends = "; ".join(
        f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in curves.items()
    )
    svg = _svg([*parts, plot.inner(lines), *dots], height, f"{title}: {ends}.")
    return Chart(title, svg, _list_series(list(curves)))


@dataclass
class _Plot:
    """Turns values into places of a chart with axes."""

    height: float
    last: float
    most: float

    def x(self, value: float) -> float:
        return LEFT + (RIGHT - LEFT) * value / self.last

    def y(self, value: float) -> float:
        return TOP + (self.height - TOP - BOTTOM) * (1 - value / self.most)

    def draw_grid(self, ticks: Sequence[float], ways: Sequence[float]) -> list[str]:
        rows = [
            f'<line x1="{LEFT}%" x2="{RIGHT}%" y1="{self.y(t):.1f}" y2="{self.y(t):.1f}" '
            f'class="grid"/>{_text(LEFT - 1.5, self.y(t) + 4, f"{t:.4g}", "end", "soft")}'
            for t in ticks
        ]
        foot = self.height - BOTTOM + 16
        return rows + [_text(self.x(w), foot, f"{w:.4g}", kind="soft") for w in ways]

    def name(self, across: str) -> str:
        return _text((LEFT + RIGHT) / 2, self.height - 2, across, kind="soft")

    def inner(self, parts: Iterable[str]) -> str:
        """A plane of 100 by 100 units that is stretched over the plot."""
        return (
            f'<svg x="{LEFT}%" y="{TOP}" width="{RIGHT - LEFT}%" '
            f'height="{self.height - TOP - BOTTOM}" viewBox="0 0 100 100" '
            f'preserveAspectRatio="none" overflow="visible">{"".join(parts)}</svg>'
        )


def draw_reliability(reliability: Reliability) -> Chart:
    """Draw the share of right entities by score.

    reliability (Reliability): The comparison.
    RETURNS (Chart): The chart.
    """
    plot = _Plot(300, 1.0, 1.0)
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    most = max(count for _, _, count in reliability.bins)
    line = " ".join(f"{100 * x:.1f},{100 - 100 * y:.1f}" for x, y, _ in reliability.bins)
    inner = [
        '<line x1="0" y1="100" x2="100" y2="0" class="dashed"/>',
        f'<polyline points="{line}" class="l0"/>',
    ]
    dots = [
        f'<circle cx="{plot.x(x):.2f}%" cy="{plot.y(y):.1f}" r="{3 + 7 * math.sqrt(n / most):.1f}" '
        f'class="l0"><title>score {x:.2f}: {y:.0%} of {n} entities are right</title></circle>'
        for x, y, n in reliability.bins
    ]
    alt = (
        "Share of right entities by score, against the diagonal of perfect scores. "
        f"Expected calibration error {reliability.error:.3f} over {reliability.entities} entities."
    )
    grid = [*plot.draw_grid(ticks, ticks), plot.name("Score")]
    title = "Share of right entities by score"
    return Chart(title, _svg([*grid, plot.inner(inner), *dots], plot.height, alt))


def draw_vectors(title: str, tokens: TokenVectors, names: Mapping[str, str]) -> Chart:
    """Draw token vectors in the plane in which they differ most.

    title (str): When they were read.
    tokens (TokenVectors): The vectors.
    names (Mapping[str, str]): Name of each language.
    RETURNS (Chart): The chart: colours stand for entity types, shapes for languages.
    """
    places = project(tokens.vectors)
    low, high = places.min(axis=0), places.max(axis=0)
    size = numpy.array(PANEL, dtype=float)
    places = 8 + (places - low) / numpy.maximum(high - low, 1e-12) * (size - 16)
    types, langs = sorted(set(tokens.labels) - {OUTSIDE}), sorted(set(tokens.langs))
    labels, of_lang = numpy.array(tokens.labels), numpy.array(tokens.langs)
    paths = []
    for number, label in enumerate([OUTSIDE, *types], start=-1):
        for order, lang in enumerate(langs):
            chosen = places[(labels == label) & (of_lang == lang)]
            shape = SHAPES[order % len(SHAPES)]
            drawn = "".join(f"M{x:.1f},{y:.1f}{shape}" for x, y in chosen)
            kind = f"l{number % COLOURS}" if number >= 0 else "plain"
            if drawn:
                paths.append(f'<path class="{kind}" d="{drawn}"/>')
    legend = [(label, _swatch(n)) for n, label in enumerate([*types])]
    legend.append((OUTSIDE, _swatch(-1)))
    legend += [
        (names.get(lang, lang), _swatch(-2, SHAPES[order % len(SHAPES)]))
        for order, lang in enumerate(langs)
    ]
    alt = f"{title}: vectors of {len(tokens.labels)} words by entity type and language."
    svg = Markup(
        f'<svg class="chart dots" viewBox="0 0 {PANEL[0]} {PANEL[1]}" role="img" '
        f'aria-label="{escape(alt)}">{"".join(paths)}</svg>'
    )
    return Chart(title, svg, legend)
