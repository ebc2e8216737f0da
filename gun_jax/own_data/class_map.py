"""Proposes a class map for labels without one: a class for each number, or colour, in them."""

import colorsys
import json

import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.data.color_labels import unpack_color
from gun_jax.own_data.label_stats import LabelStats

_GOLDEN = 0.6180339887  # of the colour circle: hues at multiples of it stay far from each other


def propose_class_map(stats: LabelStats, by_color: bool, palette: np.ndarray | None) -> str:
    """The text of a class map for `gun_jax.data.classes.load_class_map`, with names to be edited.

    255 is ignored, unless labels hold only 0 and 255: it is the foreground then.

    Args:
      stats: statistics of all labels.
      by_color: whether labels show colours; the classes are then sorted by their number of pixels, largest first.
      palette: colours of the numbers, uint8 (N, 3); None: the colours are made up.
    """
    pixels = stats.pixels
    whole = sum(pixels.values())
    found = sorted(pixels, key=lambda value: (-pixels[value], value) if by_color else value)
    ignored = [] if by_color or set(found) <= {0, IGNORE} else [value for value in found if value == IGNORE]
    lines = []
    for place, value in enumerate(value for value in found if value not in ignored):
        entry: dict = {
            "name": f"class {place if by_color else value}",
            "color": _color(place, value, by_color, palette),
        }
        if not by_color:
            entry["values"] = [value]
        share = f"{100 * pixels[value] / whole:.3g} % of the pixels"
        entry["comment"] = f"{share}, in {stats.occurs[value]} of {stats.images} images"
        lines.append("    " + json.dumps(entry))
    kind = '  "labels": "colors",\n' if by_color else ""
    classes = ",\n".join(lines)
    return f'{{\n{kind}  "classes": [\n{classes}\n  ],\n  "ignore": {json.dumps(ignored)}\n}}\n'


def _color(place: int, value: int, by_color: bool, palette: np.ndarray | None) -> list[int]:
    if by_color:
        return list(unpack_color(value))
    if palette is not None and value < len(palette):
        return palette[value].tolist()
    lightness = (0.9, 0.6, 0.75)[place % 3]
    return [round(255 * part) for part in colorsys.hsv_to_rgb(place * _GOLDEN % 1, 0.75, lightness)]
