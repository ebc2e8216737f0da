"""Curves with Matplotlib: the training of one run or of several, and the trimap experiment (Figure 4a)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gun_jax.errors import InputError
from gun_jax.visualisation.layout import write_png

_DPI = 120
_MAX_POINTS = 60  # of a run's loss beside others: its noise would hide them
_STYLES = ("-", "--", ":", "-.")
_MAX_LEGEND_COLUMNS, _MAX_LEGEND_LETTERS = 4, 110  # in a line


def curve_figure(rows: list[dict], path: str | os.PathLike) -> None:
    """Draws the curves of a training run as a PNG file: loss and learning rate, and below them validation mIoU.

    Args:
      rows: the rows of the run's `metrics.jsonl`: "epoch" with "loss" and "learning_rate", or with "val/miou" (0 to 1;
        another split's name may stand for "val"). Of rows with the same epoch, e.g. of a resumed run, the last counts.
      path: the file.

    Raises:
      InputError: no row has an epoch and one of these values, or the file cannot be written.
    """
    loss, rate, miou = curve(rows, "loss"), curve(rows, "learning_rate"), curve(rows, _miou_name(rows))
    if not (len(loss) or len(miou)):
        raise InputError(f'curves: none of {len(rows)} rows has "epoch" and "loss" or "val/miou"; nothing to draw')
    figure = Figure(figsize=(7, 5), dpi=_DPI, layout="constrained")
    above, below = _loss_above_miou(figure)
    above.plot(*loss.T, color="tab:blue", linewidth=0.9, marker=_marker(loss))
    above.yaxis.label.set_color("tab:blue")
    if len(rate) and rate[:, 1].max() > 0:
        second = above.twinx()
        second.plot(*rate.T, color="tab:gray", linewidth=1.2, linestyle="--")
        second.set_yscale("log")
        # A schedule that ends at zero would stretch the axis without end.
        second.set_ylim(max(rate[:, 1].min(), rate[:, 1].max() * 1e-4) / 1.5, rate[:, 1].max() * 1.5)
        second.set_ylabel("learning rate (dashed)", color="tab:gray")
        second.spines[["top"]].set_visible(False)
    below.plot(*(miou * [1, 100]).T, color="tab:green", linewidth=1.2, marker="o", markersize=3)
    below.yaxis.label.set_color("tab:green")
    if len(miou):
        epoch, last = miou[-1]
        below.set_title(f"{100 * last:.1f} % at epoch {epoch:.0f}", loc="right", fontsize=9)
    else:
        below.set_yticks([])
        below.set_title("not evaluated yet", loc="right", fontsize=9)
    write_png(path, render(figure))


def comparison_figure(runs: Mapping[str, list[dict]], path: str | os.PathLike) -> None:
    """Draws the losses of several runs, and below them their validation mIoU, as a PNG file with a legend.

    Args:
      runs: rows by the name of a run, see `curve_figure`. Long losses are averaged.
      path: the file.

    Raises:
      InputError: there is nothing to draw, or the file cannot be written.
    """
    curves = {
        name: (thinned(curve(rows, "loss"), _MAX_POINTS), curve(rows, _miou_name(rows))) for name, rows in runs.items()
    }
    if not any(len(curve) for pair in curves.values() for curve in pair):
        raise InputError(f'curves: no row of {len(runs)} runs has "epoch" and "loss" or "val/miou"; nothing to draw')
    columns = max(1, min(_MAX_LEGEND_COLUMNS, _MAX_LEGEND_LETTERS // (max(map(len, curves)) + 8)))
    figure = Figure(figsize=(9, 6 + 0.2 * -(-len(curves) // columns)), dpi=_DPI, layout="constrained")
    above, below = _loss_above_miou(figure)
    for number, (name, (loss, miou)) in enumerate(curves.items()):
        style: dict[str, Any] = {
            "color": f"C{number % 10}",
            "linestyle": _STYLES[number // 10 % len(_STYLES)],
            "linewidth": 1.2,
        }
        above.plot(*loss.T, **style, marker=_marker(loss), label=name)
        below.plot(*(miou * [1, 100]).T, **style, marker="o", markersize=2.5)
    figure.legend(loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    write_png(path, render(figure))


def trimap_figure(
    distances: Sequence[float], curves: Mapping[str, Mapping[int, np.ndarray]], baseline: str
) -> np.ndarray:
    """Draws trimap curves (Figure 4a), one line a name: mIoU, and its gain over a baseline.

    Args:
      distances: (D,), pixels.
      curves: mIoU by name and by seed, float (D,), 0 to 1. With several seeds the line is the mean, and the gain has a
        band from the lowest to the highest. The gain is taken seed by seed where a name has the baseline's seeds, else
        over the baseline's mean.
      baseline: one of the names.

    Returns:
      uint8 (height, width, 3) RGB.
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    percent = {name: 100 * np.array([of_name[seed] for seed in sorted(of_name)]) for name, of_name in curves.items()}
    for name, by_seed in percent.items():
        label = name if len(by_seed) == 1 else f"{name} (mean of {len(by_seed)})"
        style = {"linewidth": 1.3, "marker": "o", "markersize": 3, "color": "black" if name == baseline else None}
        (line,) = left.plot(distances, by_seed.mean(0), label=label, **style)
        if name == baseline:
            right.axhline(0, color="black", linewidth=1.3)
            continue
        paired = set(curves[name]) == set(curves[baseline])
        gain = by_seed - (percent[baseline] if paired else percent[baseline].mean(0))
        right.plot(distances, gain.mean(0), **style | {"color": line.get_color()})
        right.fill_between(distances, gain.min(0), gain.max(0), color=line.get_color(), alpha=0.12, linewidth=0)
    for axes, label in ((left, "mIoU (%)"), (right, f"mIoU, gain in points over\n{baseline}")):
        axes.set_xscale("log")
        axes.set_xticks(distances, [f"{distance:g}" for distance in distances], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("distance from the boundary, at most (pixels)")
        axes.set_ylabel(label)
    _tidy((left, right))
    left.legend(frameon=False, fontsize=8)
    return render(figure)


def render(figure: Figure) -> np.ndarray:
    """A figure as an image, uint8 (H, W, 3) RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def curve(rows: list[dict], name: str) -> np.ndarray:
    """The (epoch, value) of the rows in which both are finite numbers, by epoch: float64 (N, 2)."""
    values = {row["epoch"]: row[name] for row in rows if row.get("epoch") is not None and row.get(name) is not None}
    curve = np.array(sorted(values.items()), np.float64).reshape(-1, 2)
    return curve[np.isfinite(curve).all(-1)]


def thinned(curve: np.ndarray, max_points: int) -> np.ndarray:
    """The means of at most `max_points` equal parts of a curve (N, 2)."""
    parts = np.array_split(curve, min(max_points, len(curve))) if len(curve) else []
    return np.array([part.mean(0) for part in parts]).reshape(-1, 2)


def _loss_above_miou(figure: Figure) -> tuple[Axes, Axes]:
    above, below = figure.subplots(2, sharex=True)
    above.set_ylabel("training loss (nats per pixel)")
    below.set_ylabel("validation mIoU (%)")
    below.set_xlabel("epoch")
    _tidy((above, below))
    return above, below


def _tidy(all_axes: Iterable[Axes]) -> None:
    for axes in all_axes:
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)


def _marker(curve: np.ndarray) -> str:
    """A line of one point would be invisible without a marker."""
    return "o" if len(curve) == 1 else ""


def _miou_name(rows: list[dict]) -> str:
    """The name of the last mIoU in the rows, or "val/miou"."""
    names = [name for row in rows for name in row if name.endswith("/miou")]
    return names[-1] if names else "val/miou"
