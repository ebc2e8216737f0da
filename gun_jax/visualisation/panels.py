"""A panel: one image of the effect of guided upsampling on one input."""

import math

import cv2
import numpy as np

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.errors import InputError
from gun_jax.visualisation.layout import LINE, WHITE, below, beside, border, color_key, text_line
from gun_jax.visualisation.palettes import VERDICTS, colorize, error_map, label_map, offset_colors, verdicts, wheel_key

_TILE_WIDTHS = (320, 640)


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
    """The effect of guided upsampling on one image: six captioned tiles, three a row, and a legend.

    The tiles are image, ground truth, bilinear upsampling; GUM, its offsets, its errors against bilinear upsampling.
    The legend has the classes that occur. Shares of errors leave out ignored pixels.

    Args:
      image: uint8 (h, w, 3) RGB, of any size.
      truth: integer (H, W), train ids or `IGNORE`; without it there are four tiles, two a row.
      bilinear_labels: integer (H, W), from the same logits by bilinear upsampling.
      labels: integer (H, W), by guided upsampling.
      offsets: float (H, W, 2) in low-resolution pixels.
      classes: names and colours.
      title: a line above the tiles, cut to their width.
      tile_width: pixels, 320 to 640. Default: the labels' width in this range; wider labels are shrunk to 640,
        narrower ones enlarged by a whole factor to at least 320.

    Returns:
      uint8 (height, width, 3) RGB.

    Raises:
      InputError: a shape, type, label or `tile_width` is not as above.
    """
    image, labels = np.asarray(image), label_map("labels", labels)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of shape {image.shape}, {image.dtype}; expected (height, width, 3), uint8")
    if not labels.size or np.shape(offsets) != (*labels.shape, 2):
        raise InputError(f"offsets of shape {np.shape(offsets)} for labels of shape {labels.shape}; expected (H, W, 2)")
    bilinear_labels = label_map("bilinear labels", bilinear_labels, labels.shape)
    size = width, _ = _tile_size(labels.shape, tile_width)
    letters = max(13, width // 27)
    drawn_offsets, largest = offset_colors(offsets)
    drawn_offsets = _with_wheel(_scale(drawn_offsets, size, smooth=True))
    reach = f"rim of the wheel: {largest:.2g} px of the low-resolution map"
    tiles = [
        _tile("image", _scale(image, size, smooth=True), letters),
        _tile("bilinear upsampling", _scale(colorize(bilinear_labels, classes), size), letters),
        _tile("guided upsampling (GUM)", _scale(colorize(labels, classes), size), letters),
        _tile("offsets of GUM", drawn_offsets, letters, text_line(reach, _small(letters), width)),
    ]
    occurring = np.union1d(bilinear_labels, labels)
    if truth is not None:
        truth = label_map("truth", truth, labels.shape)
        errors = _scale(error_map(truth, labels, bilinear_labels), size)
        key = _error_key(verdicts(truth, labels, bilinear_labels), width, _small(letters))
        tiles.insert(1, _tile("ground truth", _scale(colorize(truth, classes), size), letters))
        tiles.append(_tile("errors: GUM against bilinear", errors, letters, key))
        occurring = np.union1d(occurring, truth)
    a_row = len(tiles) // 2
    rows = [beside(tiles[:a_row], letters), beside(tiles[a_row:], letters)]
    names = dict(enumerate(classes.names)) | {IGNORE: "ignored"}
    legend = color_key([(names[i], classes.palette()[i]) for i in occurring.tolist()], rows[0].shape[1], letters)
    heading = [text_line(" ".join(title.split()), letters + 3, rows[0].shape[1], bold=True)] if title.strip() else []
    return border(below([*heading, *rows, legend], letters), letters, WHITE)


def _tile_size(shape: tuple[int, ...], tile_width: int | None) -> tuple[int, int]:
    """(width, height) of a tile for labels of this size."""
    height, width = shape
    narrowest, widest = _TILE_WIDTHS
    if tile_width is None:
        tile_width = widest if width > widest else width * math.ceil(narrowest / width)
    elif not narrowest <= tile_width <= widest:
        raise InputError(f"panel: tiles {tile_width} pixels wide; expected {narrowest} to {widest}")
    return tile_width, max(1, round(height * tile_width / width))


def _scale(tile: np.ndarray, size: tuple[int, int], smooth: bool = False) -> np.ndarray:
    smooth_method = cv2.INTER_AREA if size[0] < tile.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(tile, size, interpolation=smooth_method if smooth else cv2.INTER_NEAREST_EXACT)


def _small(letters: int) -> int:
    return round(letters * 0.86)


def _tile(caption: str, tile: np.ndarray, letters: int, *notes: np.ndarray) -> np.ndarray:
    return below([text_line(caption, letters, tile.shape[1]), border(tile, 1, LINE), *notes], letters // 3)


def _error_key(verdicts: np.ndarray, width: int, letters: int) -> np.ndarray:
    counts = np.bincount(verdicts.ravel(), minlength=len(VERDICTS))
    scored = max(1, counts[:-1].sum())
    shares = [f" {count / scored:.1%}".replace("%", " %") for count in counts[:-1]] + [""]
    entries = [(name + share, color) for (name, color), share in zip(VERDICTS.items(), shares, strict=True)]
    return color_key(entries, width, letters)


def _with_wheel(tile: np.ndarray) -> np.ndarray:
    """Puts the key to the colours of offsets into the lower right corner."""
    height, width = tile.shape[:2]
    key = border(border(wheel_key(max(1, min(width // 6, height // 2) - 8)), 3, WHITE), 1, LINE)[:height]
    tile = tile.copy()
    tile[height - key.shape[0] :, width - key.shape[1] :] = key
    return tile
