"""Line charts as SVG to inline in a page: Matplotlib draws them, the page's CSS variables colour them."""

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gun_jax.visualisation.curves import thinned

_WIDTH, _HEIGHT = 440, 260  # pixels of CSS
_MAX_POINTS = 400  # of a line; longer ones are averaged
_MAX_MARKERS = 60
_NUM_COLORS = 6
_GRID, _AXIS = "#0000f6", "#0000f7"
# Matplotlib takes no CSS variables: each has a colour of its own until the SVG is written.
_VARIABLES = {f"#0000f{number}": f"var(--line{number})" for number in range(_NUM_COLORS)} | {
    _GRID: "var(--line)",
    _AXIS: "var(--strong-line)",
}
_STYLE: Any = {
    "axes.edgecolor": _AXIS,
    "axes.formatter.useoffset": False,
    "axes.xmargin": 0.0,
    "font.size": 15,
    "grid.color": _GRID,
    "svg.fonttype": "none",
    "svg.hashsalt": "gun_jax",  # the same chart has the same bytes
}


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart: `svg` is an element without the title and without the legend; `legend` is (name, CSS colour) by line."""

    title: str
    x_label: str
    svg: str
    legend: list[tuple[str, str]]


def line_chart(
    title: str, x_label: str, curves: Mapping[str, Sequence[tuple[float, float | None]]], log_x: Sequence[float] = ()
) -> Chart | None:
    """Draws curves; the title names the vertical axis.

    Args:
      title, x_label: names of the axes, with units.
      curves: (x, y) by name; points whose y is None or not finite are left out.
      log_x: ticks of a logarithmic horizontal axis, ascending. Without them it is linear, from 0.

    Returns:
      The chart, or None if there is no point.
    """
    kept = {name: np.array(points, np.float64).reshape(-1, 2) for name, points in curves.items()}
    kept = {name: thinned(points[np.isfinite(points).all(1)], _MAX_POINTS) for name, points in kept.items()}
    if not any(map(len, kept.values())):
        return None
    colors = [f"#0000f{number % _NUM_COLORS}" for number in range(len(kept))]
    titles = []
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), layout="constrained")
        axes = figure.subplots()
        for points, color in zip(kept.values(), colors, strict=True):
            marked = len(points) <= _MAX_MARKERS
            axes.plot(*points.T, color=color, linewidth=2, marker="o" if marked else "", markersize=6, clip_on=False)
            titles += [f"{x:g}: {y:.4g}" for x, y in points if marked]
        axes.set_xlabel(x_label)
        axes.locator_params(nbins=6)
        if log_x:
            axes.set_xscale("log")
            axes.set_xticks(log_x, [f"{tick:g}" for tick in log_x])
            axes.minorticks_off()
        else:
            axes.set_xlim(left=0)
        axes.grid(axis="y")
        axes.tick_params(left=False, bottom=False)  # so that only points are markers
        axes.spines[["left", "right", "top"]].set_visible(False)
        content = io.StringIO()
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(content, format="svg", transparent=True, metadata=no_metadata)
    return Chart(
        title,
        x_label,
        _inline(content.getvalue(), titles),
        [(n, _VARIABLES[c]) for n, c in zip(kept, colors, strict=True)],
    )


def _inline(document: str, titles: Sequence[str]) -> str:
    """The <svg> of a document as a part of a page; the titles are those of its markers."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg)  # would style the page, too
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)  # equal in all charts
    remaining = iter(titles)
    svg = re.sub("(<use [^>]*)/>", lambda use: f"{use[1]}><title>{next(remaining)}</title></use>", svg)
    return re.sub("#0000f[0-7]", lambda color: _VARIABLES[color[0]], svg)
