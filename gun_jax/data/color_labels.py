"""Labels that show classes by colours: packs colours into integers and looks their classes up in a table.

A packed colour is 0xRRGGBB, 0 to 2**24 - 1.
"""

import functools
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

COLORS = 2**24
UNKNOWN = 254  # of a colour outside the map; neither a train id (0 to 253) nor IGNORE

Color = tuple[int, int, int]


def pack_color(color: Iterable[int]) -> int:
    """Packs (red, green, blue), 0 to 255 each."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def unpack_color(number: int) -> Color:
    """Red, green and blue of a packed colour."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


def pack_colors(pixels: np.ndarray) -> np.ndarray:
    """Packs uint8 (H, W, 3) RGB into int32 (H, W)."""
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGRA)  # (H, W, 4): blue is the lowest byte of a little-endian number
    return (four.view("<u4")[..., 0] & (COLORS - 1)).astype(np.int32)


def look_up(colors: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Train ids, uint8 (H, W), of packed colours (H, W); `UNKNOWN` for colours that are not keys of the map."""
    return np.take(_table(tuple(sorted(values.items()))), colors)


@functools.lru_cache(maxsize=2)  # 16 MiB each; cached here so that workers build their own
def _table(values: tuple[tuple[int, int], ...]) -> np.ndarray:
    table = np.full(COLORS, UNKNOWN, np.uint8)
    for color, train_id in values:
        table[color] = train_id
    return table


def nearest_color(color: int, colors: Iterable[int]) -> int:
    """The packed colour at the smallest Euclidean distance in RGB; the first of equals."""

    def distance(other: int) -> int:
        return sum((a - b) ** 2 for a, b in zip(unpack_color(color), unpack_color(other), strict=True))

    return min(colors, key=distance)
