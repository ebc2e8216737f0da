"""Images of what the network does: label maps, offsets, errors, panels and crops of them, and curves.

Every image is RGB, uint8 (H, W, 3). Label maps are integer (H, W) arrays of train ids and `IGNORE`. Offsets are
(p, q) = (x, y) in pixels of the low-resolution map, x to the right and y down: where the Guided Upsampling Module reads
an output pixel, relative to where plain upsampling reads it.
"""

from gun_jax.visualisation.boundaries import Crop, crop_figure, most_mended, trimap_figure
from gun_jax.visualisation.curves import comparison_figure, curve_figure
from gun_jax.visualisation.palettes import colorize, error_map, offset_colors, wheel_key
from gun_jax.visualisation.panels import panel
from gun_jax.visualisation.png import write_png

__all__ = [
    "Crop",
    "colorize",
    "comparison_figure",
    "crop_figure",
    "curve_figure",
    "error_map",
    "most_mended",
    "offset_colors",
    "panel",
    "trimap_figure",
    "wheel_key",
    "write_png",
]
