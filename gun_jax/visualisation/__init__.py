"""Images of label maps, offsets and errors, alone, in panels and in crops; and curves.

Every image is RGB, uint8 (H, W, 3). Label maps are integer (H, W) arrays of train ids and `IGNORE`. Offsets are
(p, q) = (x, y) in pixels of the low-resolution map, x to the right and y down: they shift the position at which the
Guided Upsampling Module reads the map for an output pixel.
"""

from gun_jax.visualisation.crops import Crop, best_crop, crop_figure
from gun_jax.visualisation.curves import comparison_figure, curve_figure, render, trimap_figure
from gun_jax.visualisation.layout import write_png
from gun_jax.visualisation.palettes import colorize, error_map, offset_colors, wheel_key
from gun_jax.visualisation.panels import panel

__all__ = [
    "Crop",
    "best_crop",
    "colorize",
    "comparison_figure",
    "crop_figure",
    "curve_figure",
    "error_map",
    "offset_colors",
    "panel",
    "render",
    "trimap_figure",
    "wheel_key",
    "write_png",
]
