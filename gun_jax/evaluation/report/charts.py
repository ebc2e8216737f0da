"""Lines over axes, as places in an SVG image of `WIDTH` x `HEIGHT`."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 420, 14, 210  # of the plot
_TICKS = 5  # about
_MAX_POINTS = 400  # of a line; more are joined to their means
_MAX_DOTS = 60

Points = Sequence[tuple[float, float | None]]


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a chart: `path` as the `points` of a polyline, `dots` as (x, y, text)."""

    name: str
    path: str
    dots: list[tuple[float, float, str]]


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart: ticks are (place, text)."""

    title: str
    x_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]


def line_chart(title: str, x_label: str, curves: Mapping[str, Points], log_x: Sequence[float] = ()) -> Chart | None:
    """Draws curves; the title says what the vertical axis is.

    Args:
      title, x_label: what is drawn, with units.
      curves: (x, y) by name; points whose y is None or not finite are left out.
      log_x: ticks of a logarithmic horizontal axis, ascending. Without them it is linear, from 0, with round ticks.

    Returns:
      The chart, or None if there is no point.
    """
    kept = {
        name: _thinned([(x, y) for x, y in points if y is not None and math.isfinite(y)])
        for name, points in curves.items()
    }
    every = np.array([point for points in kept.values() for point in points], np.float64).reshape(-1, 2)
    if not len(every):
        return None
    y_values = round_ticks(every[:, 1].min(), every[:, 1].max())
    last = every[:, 0].max()
    x_values = list(log_x) or [value for value in round_ticks(0, last) if 0 <= value <= last]
    across = _axis(log_x[0], log_x[-1], LEFT, RIGHT, math.log) if log_x else _axis(0, last, LEFT, RIGHT)
    up = _axis(y_values[0], y_values[-1], BOTTOM, TOP)
    lines = []
    for name, points in kept.items():
        places = [(across(x), up(y)) for x, y in points]
        texts = [f"{x:g}: {y:.4g}" for x, y in points]
        dots = [(*place, text) for place, text in zip(places, texts, strict=True)] if len(points) <= _MAX_DOTS else []
        lines.append(Line(name, " ".join(f"{x:g},{y:g}" for x, y in places), dots))
    return Chart(
        title,
        x_label,
        [(across(value), _short(value)) for value in x_values],
        [(up(value), _short(value)) for value in y_values],
        lines,
    )


def round_ticks(lowest: float, highest: float) -> list[float]:
    """Round numbers, evenly spaced, about `_TICKS`, from at most `lowest` to at least `highest`."""
    if highest <= lowest:
        margin = abs(lowest) / 10 or 1.0
        lowest, highest = lowest - margin, highest + margin
    rough = (highest - lowest) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _short(value: float) -> str:
    """A number in the few letters that there is room for beside the axis."""
    text = f"{value:g}"
    return text if len(text) <= 6 else f"{value:.2g}"


def _axis(
    first: float, last: float, start: int, end: int, scale: Callable[[float], float] = float
) -> Callable[[float], float]:
    """Where a value lies between two places, to a hundredth."""
    span = (scale(last) - scale(first)) or 1.0
    return lambda value: round(start + (scale(value) - scale(first)) / span * (end - start), 2)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of as many neighbours each as it takes to have no more than `_MAX_POINTS`."""
    together = -(-len(points) // _MAX_POINTS)
    if together <= 1:
        return points
    return [
        (float(x), float(y))
        for x, y in (np.mean(points[start : start + together], 0) for start in range(0, len(points), together))
    ]
