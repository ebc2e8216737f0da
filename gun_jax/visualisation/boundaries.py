"""Figure 4: the trimap curves, and crops in which one labelling is better than another."""

import dataclasses
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.visualisation.layout import LINE, WHITE, below, beside, border, color_key, text_line
from gun_jax.visualisation.palettes import VERDICTS, colorize, error_map

_TILE = 176  # pixels, of a crop


def trimap_figure(
    distances: Sequence[float], curves: Mapping[str, Mapping[int, np.ndarray]], baseline: str
) -> np.ndarray:
    """Draws trimap curves (Figure 4a), one line a name: mIoU, and what it is better by than a baseline.

    Args:
      distances: (D,), pixels.
      curves: by name and by seed, float (D,), mIoU from 0 to 1. Of several seeds the line is the mean, and the gain has
        a band from the lowest to the highest; it is taken seed by seed, where a name and the baseline have the same
        seeds, else over the baseline's mean.
      baseline: one of the names.

    Returns:
      uint8 (height, width, 3) RGB.
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    percent = {name: 100 * np.array([of_name[seed] for seed in sorted(of_name)]) for name, of_name in curves.items()}
    for name, several in percent.items():
        label = name if len(several) == 1 else f"{name} (mean of {len(several)})"
        style = {"linewidth": 1.3, "marker": "o", "markersize": 3, "color": "black" if name == baseline else None}
        (line,) = left.plot(distances, several.mean(0), label=label, **style)
        if name == baseline:
            right.axhline(0, color="black", linewidth=1.3)
            continue
        paired = set(curves[name]) == set(curves[baseline])
        gain = several - (percent[baseline] if paired else percent[baseline].mean(0))
        right.plot(distances, gain.mean(0), **style | {"color": line.get_color()})
        right.fill_between(distances, gain.min(0), gain.max(0), color=line.get_color(), alpha=0.12, linewidth=0)
    for axes, label in ((left, "mIoU (%)"), (right, f"mIoU, points more than\n{baseline}")):
        axes.set_xscale("log")
        axes.set_xticks(distances, [f"{distance:g}" for distance in distances], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("pixels from the boundary, at most")
        axes.set_ylabel(label)
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@dataclasses.dataclass(frozen=True)
class Crop:
    """A square part of an image, as two networks label it.

    Attributes:
      image: uint8 (S, S, 3) RGB.
      truth, baseline, labels: integer (S, S), train ids; `truth` also `IGNORE`.
      gain: by how many of its pixels near boundaries `labels` are better than `baseline`.
      top, left: its first row and column in the image.
    """

    image: np.ndarray
    truth: np.ndarray
    baseline: np.ndarray
    labels: np.ndarray
    gain: int
    top: int
    left: int


def most_mended(
    image: np.ndarray, truth: np.ndarray, baseline: np.ndarray, labels: np.ndarray, reach: int = 5, part: float = 0.25
) -> Crop:
    """The square of an image in which `labels` are better than `baseline` by the most pixels near boundaries.

    Args:
      image: uint8 (H, W, 3) RGB, of the size of the labels.
      truth: integer (H, W), train ids or `IGNORE`.
      baseline: integer (H, W), the labels to compare with.
      labels: integer (H, W).
      reach: how many pixels from a boundary of the truth count.
      part: side of the square, as a part of the shorter side of the image.
    """
    near = cv2.distanceTransform(1 - _boundaries(truth), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    better = ((labels == truth) * 1 - (baseline == truth)) * (truth != IGNORE) * near  # 1 mended, -1 spoiled
    side = max(1, round(min(truth.shape) * part))
    sums = cv2.integral(better.astype(np.float32), sdepth=cv2.CV_64F)  # (H + 1, W + 1)
    gains = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = (int(place) for place in np.unravel_index(gains.argmax(), gains.shape))
    square = np.s_[top : top + side, left : left + side]
    return Crop(image[square], truth[square], baseline[square], labels[square], int(gains[top, left]), top, left)


def _boundaries(truth: np.ndarray) -> np.ndarray:
    """1 where a pixel and its right or lower neighbour are of two classes: uint8 (H, W)."""
    boundaries = np.zeros(truth.shape, np.uint8)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        one, other = truth[here], truth[there]
        boundaries[here] |= (one != other) & (one != IGNORE) & (other != IGNORE)
    return boundaries


def crop_figure(crops: Sequence[Crop], baseline: str, name: str, classes: ClassMap) -> np.ndarray:
    """Draws crops (Figure 4b), one a column: image, truth, two labellings, and what the second one mends and spoils.

    Args:
      crops: as many as there shall be columns.
      baseline, name: how the two labellings are called.
      classes: names and colours.

    Returns:
      uint8 (height, width, 3) RGB.
    """
    letters = 13
    captions = ["image", "ground truth", baseline, f"guided: {name}", "errors"]
    columns = []
    for crop in crops:
        tiles = [
            cv2.resize(crop.image, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR),
            *(_enlarged(colorize(one, classes)) for one in (crop.truth, crop.baseline, crop.labels)),
            _enlarged(error_map(crop.truth, crop.labels, crop.baseline)),
        ]
        columns.append([border(tile, 1, LINE) for tile in tiles])
    rows = [
        below([text_line(caption, letters, _TILE * len(crops)), beside(list(row), letters // 2)], letters // 4)
        for caption, row in zip(captions, zip(*columns, strict=True), strict=True)
    ]
    width = rows[0].shape[1]
    maps = [labels for crop in crops for labels in (crop.truth, crop.baseline, crop.labels)]
    names = dict(enumerate(classes.names)) | {IGNORE: "ignored"}
    occurring = sorted({int(i) for labels in maps for i in np.unique(labels)})
    keys = [
        color_key(list(VERDICTS.items()), width, letters),
        color_key([(names[i], classes.palette()[i]) for i in occurring], width, letters),
    ]
    return border(below([*rows, *keys], letters // 2), letters, WHITE)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST_EXACT)
