"""Pictures of what the network does: label maps, offsets, errors, panels of them, and the curves of a training run.

Every picture is RGB, uint8 (H, W, 3). Label maps are integer (H, W) arrays of train ids and `IGNORE`. Offsets are
(p, q) = (x, y) in pixels of the low-resolution map, x to the right and y down: where the Guided Upsampling Module reads
an output pixel, relative to where plain upsampling reads it.
"""

import functools
import math
import os
import pathlib

import cv2
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.errors import InputError
from gun_jax.files import write_whole

# Lengths below this many low-resolution pixels are not blown up to full colour: an untrained table is white, not noise.
_LEAST_FULL_LENGTH = 0.1
_TILE_WIDTHS = (320, 640)
_WHITE, _INK, _LINE = (255, 255, 255), (34, 34, 34), (190, 190, 190)
# In the order of the verdicts: 2 x (GUM is wrong) + (the baseline is wrong), then ignored.
_VERDICTS = {
    "both right": (92, 92, 92),
    "mended": (0, 222, 140),
    "spoiled": (255, 40, 60),
    "both wrong": (255, 196, 0),
    "ignored": (0, 0, 0),
}


def colorize(labels: np.ndarray, classes: ClassMap) -> np.ndarray:
    """Draws a label map in the colours of its classes, `IGNORE` in black.

    Args:
      labels: integer (H, W), train ids of `classes` or `IGNORE`.
      classes: names and colours.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: `labels` is not such an array, or holds a number that is neither a class nor `IGNORE`.
    """
    labels = _label_map("labels", labels)
    strange = labels[((labels < 0) | (labels >= len(classes))) & (labels != IGNORE)]
    if strange.size:
        raise InputError(
            f"labels hold {strange[0]}; expected 0 to {len(classes) - 1}, or {IGNORE} for ignored: "
            "do they belong to another class map?"
        )
    return classes.palette()[labels]


def offset_colors(offsets: np.ndarray, largest: float | None = None) -> tuple[np.ndarray, float]:
    """Draws offsets as optical flow is drawn: the direction is the hue, the length the saturation, none is white.

    Red points right, yellow-green down, cyan left, violet up.

    Args:
      offsets: float (H, W, 2), (x, y) in low-resolution pixels. What is not finite is drawn black.
      largest: the length that gets the full colour, as do longer ones. Default: what 99 % of the finite offsets stay
        below, and at least 0.1.

    Returns:
      uint8 (H, W, 3) RGB, and `largest`.

    Raises:
      InputError: `offsets` has another shape, or `largest` is not a positive number.
    """
    offsets = np.asarray(offsets, np.float64)
    if offsets.ndim != 3 or offsets.shape[-1] != 2:
        raise InputError(f"offsets of shape {offsets.shape}; expected (H, W, 2)")
    finite = np.isfinite(offsets).all(-1)
    x, y = np.moveaxis(np.where(finite[..., None], offsets, 0.0), -1, 0)
    length = np.hypot(x, y)
    if largest is None:
        largest = max(np.quantile(length[finite], 0.99), _LEAST_FULL_LENGTH) if finite.any() else _LEAST_FULL_LENGTH
    elif not (math.isfinite(largest) and largest > 0):
        raise InputError(f"full colour at a length of {largest!r}; expected a positive number of pixels")
    saturation = np.minimum(length / largest, 1)
    # HSV to RGB at value 1: each channel is a trapezium over the hue, shifted by a third of the circle.
    sector = np.arctan2(y, x)[..., None] * (3 / np.pi) + np.array([0.0, 4.0, 2.0])
    pure = np.clip(np.abs(sector % 6 - 3) - 1, 0, 1)
    picture = np.where(finite[..., None], 1 - saturation[..., None] * (1 - pure), 0.0)
    return np.round(255 * picture).astype(np.uint8), float(largest)


def wheel_key(size: int) -> np.ndarray:
    """The key to `offset_colors`: a wheel whose points have the colour of the offset that leads there from the centre.

    Returns:
      uint8 (size, size, 3) RGB, white around the wheel.

    Raises:
      InputError: `size` is below 1.
    """
    if size < 1:
        raise InputError(f"colour wheel of {size} pixels; expected at least 1")
    fine = 4 * size  # averaged down again, so that the rim is smooth
    x, y = np.meshgrid(*[(np.arange(fine) + 0.5) / (fine / 2) - 1] * 2)
    offsets = np.stack([x, y], -1) * (np.hypot(x, y) <= 1)[..., None]
    return cv2.resize(offset_colors(offsets, 1.0)[0], (size, size), interpolation=cv2.INTER_AREA)


def error_map(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None = None) -> np.ndarray:
    """Draws where labels are wrong: right is grey, wrong red, ignored black.

    With the labels of a baseline: both right grey, the baseline's error mended green, a new error red, both wrong
    yellow.

    Args:
      truth: integer (H, W), train ids or `IGNORE`.
      labels: integer (H, W), the predictions.
      baseline: integer (H, W), predictions to compare with.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: the shapes differ.
    """
    return np.array(list(_VERDICTS.values()), np.uint8)[_verdicts(truth, labels, baseline)]


def panel(
    image: np.ndarray,
    truth: np.ndarray | None,
    bilinear_labels: np.ndarray,
    labels: np.ndarray,
    offsets: np.ndarray,
    classes: ClassMap,
    title: str = "",
    tile_width: int | None = None,
) -> np.ndarray:
    """One picture of what guided upsampling does to one image: six captioned tiles, three a row, and a legend.

    Image, ground truth, bilinear upsampling; GUM, its offsets, its errors against bilinear upsampling. The legend has
    the classes that occur. Shares of errors count the pixels of the label map that are not ignored.

    Args:
      image: uint8 (h, w, 3) RGB, of any size.
      truth: integer (H, W), train ids or `IGNORE`; None leaves out the tiles that need it: four are left, two a row.
      bilinear_labels: integer (H, W), from the same logits by bilinear upsampling.
      labels: integer (H, W), by guided upsampling.
      offsets: float (H, W, 2) in low-resolution pixels.
      classes: names and colours.
      title: a line above, cut where it is too long.
      tile_width: pixels, 320 to 640. Default: the labels' width, if that is in this range; wider ones are shrunk to
        640, narrower ones enlarged by a whole factor to at least 320.

    Returns:
      uint8 (height, width, 3) RGB.

    Raises:
      InputError: shapes, types, labels or `tile_width` are not as said above.
    """
    image, labels = np.asarray(image), _label_map("labels", labels)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of shape {image.shape}, {image.dtype}; expected (height, width, 3), uint8")
    if not labels.size or np.shape(offsets) != (*labels.shape, 2):
        raise InputError(f"offsets of shape {np.shape(offsets)} for labels of shape {labels.shape}; expected (H, W, 2)")
    bilinear_labels = _label_map("bilinear labels", bilinear_labels, labels.shape)
    size = width, _ = _tile_size(*labels.shape, tile_width)
    letters = max(13, width // 27)
    drawn_offsets, largest = offset_colors(offsets)
    drawn_offsets = _with_wheel(_scale(drawn_offsets, size, smooth=True))
    reach = f"rim of the wheel: {largest:.2g} px of the low-resolution map"
    tiles = [
        _tile("image", _scale(image, size, smooth=True), letters),
        _tile("bilinear upsampling", _scale(colorize(bilinear_labels, classes), size), letters),
        _tile("guided upsampling (GUM)", _scale(colorize(labels, classes), size), letters),
        _tile("offsets: where GUM reads instead", drawn_offsets, letters, _text(reach, _small(letters), width)),
    ]
    occurring = np.union1d(bilinear_labels, labels)
    if truth is not None:
        truth = _label_map("truth", truth, labels.shape)
        errors = _scale(error_map(truth, labels, bilinear_labels), size)
        key = _error_key(_verdicts(truth, labels, bilinear_labels), width, _small(letters))
        tiles.insert(1, _tile("ground truth", _scale(colorize(truth, classes), size), letters))
        tiles.append(_tile("errors: GUM against bilinear", errors, letters, key))
        occurring = np.union1d(occurring, truth)
    a_row = len(tiles) // 2
    rows = [_beside(tiles[:a_row], letters), _beside(tiles[a_row:], letters)]
    names = dict(enumerate(classes.names)) | {IGNORE: "ignored"}
    legend = _key([(names[i], classes.palette()[i]) for i in occurring.tolist()], rows[0].shape[1], letters)
    heading = [_text(" ".join(title.split()), letters + 3, rows[0].shape[1], bold=True)] if title.strip() else []
    return _border(_below([*heading, *rows, legend], letters), letters, _WHITE)


def write_png(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes a picture, uint8 (H, W, 3) RGB, as a PNG file; makes its folder; the file is whole or not there at all.

    Raises:
      InputError: the file cannot be written, or `picture` is not such an array.
    """
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise InputError(f"picture of shape {picture.shape}, {picture.dtype}; expected (height, width, 3), uint8")
    _, content = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_whole(path, content.tobytes())


def curve_figure(rows: list[dict], path: str | os.PathLike) -> None:
    """Draws the curves of a training run into a PNG file: loss and learning rate, and below validation mIoU.

    Args:
      rows: the lines of a run's `metrics.jsonl`: "epoch" with "loss" and "learning_rate", or with "val/miou" (0 to 1).
        Of rows with the same epoch, as a resumed run writes them, the last counts.
      path: the file.

    Raises:
      InputError: no row has an epoch and one of these values, or the file cannot be written.
    """
    loss, rate, miou = (_curve(rows, name) for name in ("loss", "learning_rate", "val/miou"))
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
        epoch, best = miou[miou[:, 1].argmax()]
        below.set_title(f"best {100 * best:.1f} % at epoch {epoch:g}", loc="right", fontsize=9)
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


def _curve(rows: list[dict], name: str) -> np.ndarray:
    """(epoch, value) of the rows that have both as finite numbers, by epoch: float64 (N, 2)."""
    values = {row["epoch"]: row[name] for row in rows if row.get("epoch") is not None and row.get(name) is not None}
    curve = np.array(sorted(values.items()), np.float64).reshape(-1, 2)
    return curve[np.isfinite(curve).all(-1)]


def _label_map(what: str, labels: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or (shape is not None and labels.shape != shape):
        expected = "(H, W)" if shape is None else shape
        raise InputError(f"{what} of shape {labels.shape}, {labels.dtype}; expected {expected}, whole numbers")
    return labels


def _verdicts(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """The place in `_VERDICTS` for every pixel: (H, W)."""
    truth = _label_map("truth", truth)
    wrong = _label_map("labels", labels, truth.shape) != truth
    baseline_wrong = False if baseline is None else _label_map("baseline", baseline, truth.shape) != truth
    return np.where(truth == IGNORE, 4, 2 * wrong + baseline_wrong)


def _tile_size(height: int, width: int, tile_width: int | None) -> tuple[int, int]:
    """(width, height) of a tile for labels of this size."""
    least, most = _TILE_WIDTHS
    if tile_width is None:
        tile_width = most if width > most else width * math.ceil(least / width)
    elif not least <= tile_width <= most:
        raise InputError(f"panel: tiles {tile_width} pixels wide; expected {least} to {most}")
    return tile_width, max(1, round(height * tile_width / width))


def _scale(picture: np.ndarray, size: tuple[int, int], smooth: bool = False) -> np.ndarray:
    smooth_method = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=smooth_method if smooth else cv2.INTER_NEAREST_EXACT)


# What follows puts pictures together from smaller pictures: texts, keys, tiles, rows.


@functools.lru_cache
def _font(letters: int, bold: bool) -> ImageFont.FreeTypeFont:
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")  # matplotlib brings DejaVu along
    return ImageFont.truetype(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), letters)


def _small(letters: int) -> int:
    return round(letters * 0.86)


def _text(text: str, letters: int, width: int, bold: bool = False) -> np.ndarray:
    """One line of text on white, `letters` pixels high; what is wider than `width` is cut."""
    font = _font(letters, bold)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    picture = Image.new("RGB", (max(1, math.ceil(font.getlength(text))), sum(font.getmetrics())), _WHITE)
    ImageDraw.Draw(picture).text((0, 0), text, _INK, font)
    return np.asarray(picture)


def _key(entries: list[tuple[str, tuple[int, int, int]]], width: int, letters: int) -> np.ndarray:
    """Swatches with their names, as many a line as fit into `width`."""
    lines, gap = [[]], letters // 3
    for name, color in entries:
        name = _text(name, letters, width - letters - gap)
        swatch = _border(np.full((letters - 2, letters - 2, 3), color, np.uint8), 1, _LINE)
        margin = name.shape[0] - letters
        swatch = cv2.copyMakeBorder(swatch, margin // 2, margin - margin // 2, 0, 0, cv2.BORDER_CONSTANT, value=_WHITE)
        entry = _beside([swatch, name], gap)
        if lines[-1] and sum(other.shape[1] + letters for other in lines[-1]) + entry.shape[1] > width:
            lines.append([])
        lines[-1].append(entry)
    return _below([_beside(line, letters) for line in lines], gap)


def _error_key(verdicts: np.ndarray, width: int, letters: int) -> np.ndarray:
    counts = np.bincount(verdicts.ravel(), minlength=len(_VERDICTS))
    scored = max(1, counts[:-1].sum())
    shares = [f" {count / scored:.1%}".replace("%", " %") for count in counts[:-1]] + [""]
    entries = [(name + share, color) for (name, color), share in zip(_VERDICTS.items(), shares, strict=True)]
    return _key(entries, width, letters)


def _with_wheel(picture: np.ndarray) -> np.ndarray:
    """Puts the key to the offsets' colours into the lower right corner."""
    height, width = picture.shape[:2]
    key = _border(_border(wheel_key(max(1, min(width // 6, height // 2) - 8)), 3, _WHITE), 1, _LINE)[:height]
    picture = picture.copy()
    picture[height - key.shape[0] :, width - key.shape[1] :] = key
    return picture


def _tile(caption: str, picture: np.ndarray, letters: int, *notes: np.ndarray) -> np.ndarray:
    return _below([_text(caption, letters, picture.shape[1]), _border(picture, 1, _LINE), *notes], letters // 3)


def _border(picture: np.ndarray, thickness: int, color: tuple[int, int, int]) -> np.ndarray:
    return cv2.copyMakeBorder(picture, *[thickness] * 4, cv2.BORDER_CONSTANT, value=color)


def _below(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks pictures from top to bottom on white, flush left."""
    heights = [picture.shape[0] for picture in pictures]
    width = max(picture.shape[1] for picture in pictures)
    whole = np.full((sum(heights) + gap * (len(pictures) - 1), width, 3), 255, np.uint8)
    top = 0
    for picture in pictures:
        whole[top : top + picture.shape[0], : picture.shape[1]] = picture
        top += picture.shape[0] + gap
    return whole


def _beside(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks pictures from left to right on white, flush at the top."""
    return _below([picture.swapaxes(0, 1) for picture in pictures], gap).swapaxes(0, 1)
