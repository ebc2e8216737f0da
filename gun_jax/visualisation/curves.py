"""The curves of a training run."""

import os

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gun_jax.errors import InputError
from gun_jax.visualisation.png import write_png


def curve_figure(rows: list[dict], path: str | os.PathLike) -> None:
    """Draws the curves of a training run into a PNG file: loss and learning rate, and below validation mIoU.

    Args:
      rows: the lines of a run's `metrics.jsonl`: "epoch" with "loss" and "learning_rate", or with "val/miou" (0 to 1).
        Of rows with the same epoch, as a resumed run writes them, the last counts.
      path: the file.

    Raises:
      InputError: no row has an epoch and one of these values, or the file cannot be written.
    """
    loss, rate, miou = (curve(rows, name) for name in ("loss", "learning_rate", "val/miou"))
    if not (len(loss) or len(miou)):
        raise InputError(f'curves: none of {len(rows)} rows has "epoch" and "loss" or "val/miou"; nothing to draw')
    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True)
    above.plot(*loss.T, color="tab:blue", linewidth=0.9)
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


def curve(rows: list[dict], name: str) -> np.ndarray:
    """The (epoch, value) of the rows that have both as finite numbers, by epoch: float64 (N, 2)."""
    values = {row["epoch"]: row[name] for row in rows if row.get("epoch") is not None and row.get(name) is not None}
    curve = np.array(sorted(values.items()), np.float64).reshape(-1, 2)
    return curve[np.isfinite(curve).all(-1)]
