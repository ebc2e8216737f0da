"""Labels that show classes by their colours: colours as numbers, and their classes by one look into a table.

A colour is a whole number 0xRRGGBB here, 0 to 2**24 - 1, as "#804080" of the web is read.
"""

import functools
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

COLORS = 2**24
UNKNOWN = 254  # in the table, what is no colour of the map: no train id, of which there are 254 at most, and not IGNORE

Color = tuple[int, int, int]


def pack_color(color: Iterable[int]) -> int:
    """(red, green, blue), 0 to 255 each, as one number."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def unpack_color(number: int) -> Color:
    """The red, green and blue of a colour's number."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


def pack_colors(pixels: np.ndarray) -> np.ndarray:
    """Colours as numbers: int32 (H, W) of uint8 (H, W, 3) RGB."""
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGRA)  # (H, W, 4): blue is the lowest byte of a little-endian number
    return (four.view("<u4")[..., 0] & (COLORS - 1)).astype(np.int32)


def look_up(colors: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Train ids, uint8 (H, W), of packed colours (H, W); `UNKNOWN` where a colour is none of the map's keys."""
    return np.take(_table(tuple(sorted(values.items()))), colors)


@functools.lru_cache(maxsize=2)  # 16 MiB each, which no worker has to be sent
def _table(values: tuple[tuple[int, int], ...]) -> np.ndarray:
    table = np.full(COLORS, UNKNOWN, np.uint8)
    for color, train_id in values:
        table[color] = train_id
    return table


def nearest_color(color: int, colors: Iterable[int]) -> int:
    """Of packed colours the one with the smallest Euclidean distance in RGB, of equal ones the first."""

    def distance(other: int) -> int:
        return sum((a - b) ** 2 for a, b in zip(unpack_color(color), unpack_color(other), strict=True))

    return min(colors, key=distance)
