"""The curves of training runs: of one, and of several in one figure."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gun_jax.errors import InputError
from gun_jax.visualisation.png import write_png

_DPI = 120
_MAX_POINTS = 60  # of a run's loss beside others, behind whose noise they would hide
_STYLES = ("-", "--", ":", "-.")
_LEGEND_COLUMNS, _LEGEND_LETTERS = 4, 110  # in a line, at most


def curve_figure(rows: list[dict], path: str | os.PathLike) -> None:
    """Draws the curves of a training run into a PNG file: loss and learning rate, and below validation mIoU.

    Args:
      rows: the lines of a run's `metrics.jsonl`: "epoch" with "loss" and "learning_rate", or with "val/miou" (0 to 1;
        "val" may be another split). Of rows with the same epoch, as a resumed run writes them, the last counts.
      path: the file.

    Raises:
      InputError: no row has an epoch and one of these values, or the file cannot be written.
    """
    loss, rate, miou = curve(rows, "loss"), curve(rows, "learning_rate"), curve(rows, _miou_name(rows))
    if not (len(loss) or len(miou)):
        raise InputError(f'curves: none of {len(rows)} rows has "epoch" and "loss" or "val/miou"; nothing to draw')
    figure = Figure(figsize=(7, 5), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True)
    above.plot(*loss.T, color="tab:blue", linewidth=0.9, marker=_marker(loss))
    above.set_ylabel("training loss (nats per pixel)", color="tab:blue")
    if len(rate) and rate[:, 1].max() > 0:
        second = above.twinx()
        second.plot(*rate.T, color="tab:gray", linewidth=1.2, linestyle="--")
        second.set_yscale("log")
        # A schedule that ends at nought would stretch the axis without end.
        second.set_ylim(max(rate[:, 1].min(), rate[:, 1].max() * 1e-4) / 1.5, rate[:, 1].max() * 1.5)
        second.set_ylabel("learning rate (dashed)", color="tab:gray")
        second.spines[["top"]].set_visible(False)
    below.plot(*(miou * [1, 100]).T, color="tab:green", linewidth=1.2, marker="o", markersize=3)
    if len(miou):
        epoch, last = miou[-1]
        below.set_title(f"{100 * last:.1f} % at epoch {epoch:.0f}", loc="right", fontsize=9)
    else:
        below.set_yticks([])
        below.set_title("not evaluated yet", loc="right", fontsize=9)
    below.set_ylabel("validation mIoU (%)", color="tab:green")
    below.set_xlabel("epoch")
    for axes in (above, below):
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    write_png(path, np.asarray(canvas.buffer_rgba())[..., :3])


def comparison_figure(runs: Mapping[str, list[dict]], path: str | os.PathLike) -> None:
    """Draws the losses of several runs, and below their validation mIoU, into a PNG file, with a legend.

    Args:
      runs: rows by the name of a run, as `curve_figure` takes them. Of a run with many, a point of its loss is the
        mean of several.
      path: the file.

    Raises:
      InputError: there is nothing to draw, or the file cannot be written.
    """
    curves = {
        name: (thinned(curve(rows, "loss"), _MAX_POINTS), curve(rows, _miou_name(rows))) for name, rows in runs.items()
    }
    if not any(len(curve) for pair in curves.values() for curve in pair):
        raise InputError(f'curves: no row of {len(runs)} runs has "epoch" and "loss" or "val/miou"; nothing to draw')
    beside = max(1, min(_LEGEND_COLUMNS, _LEGEND_LETTERS // (max(map(len, curves)) + 8)))
    height = 6 + 0.2 * -(-len(curves) // beside)
    figure = Figure(figsize=(9, height), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True)
    for number, (name, (loss, miou)) in enumerate(curves.items()):
        style = {"color": f"C{number % 10}", "linestyle": _STYLES[number // 10 % len(_STYLES)], "linewidth": 1.2}
        above.plot(*loss.T, **style, marker=_marker(loss), label=name)
        below.plot(*(miou * [1, 100]).T, **style, marker="o", markersize=2.5)
    above.set_ylabel("training loss (nats per pixel)")
    below.set_ylabel("validation mIoU (%)")
    below.set_xlabel("epoch")
    for axes in (above, below):
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=beside, fontsize=9, frameon=False)
    canvas.draw()
    write_png(path, np.asarray(canvas.buffer_rgba())[..., :3])


def _marker(curve: np.ndarray) -> str:
    """Of a line: one point alone makes none."""
    return "o" if len(curve) == 1 else ""


def thinned(curve: np.ndarray, max_points: int) -> np.ndarray:
    """The means of at most `max_points` equal parts of a curve (N, 2)."""
    parts = np.array_split(curve, min(max_points, len(curve))) if len(curve) else []
    return np.array([part.mean(0) for part in parts]).reshape(-1, 2)


def _miou_name(rows: list[dict]) -> str:
    """What the rows call the mIoU: "val/miou", or that of the last split that was evaluated."""
    names = [name for row in rows for name in row if name.endswith("/miou")]
    return names[-1] if names else "val/miou"


def curve(rows: list[dict], name: str) -> np.ndarray:
    """The (epoch, value) of the rows that have both as finite numbers, by epoch: float64 (N, 2)."""
    values = {row["epoch"]: row[name] for row in rows if row.get("epoch") is not None and row.get(name) is not None}
    curve = np.array(sorted(values.items()), np.float64).reshape(-1, 2)
    return curve[np.isfinite(curve).all(-1)]
