"""Pictures of what the network does: label maps, offsets, errors, panels of them, and the curves of a training run.

Every picture is RGB, uint8 (H, W, 3). Label maps are integer (H, W) arrays of train ids and `IGNORE`. Offsets are
(p, q) = (x, y) in pixels of the low-resolution map, x to the right and y down: where the Guided Upsampling Module reads
an output pixel, relative to where plain upsampling reads it.
"""

from gun_jax.visualisation.colors import colorize, error_map, offset_colors, wheel_key
from gun_jax.visualisation.curves import curve_figure
from gun_jax.visualisation.panels import panel
from gun_jax.visualisation.png import write_png

__all__ = ["colorize", "curve_figure", "error_map", "offset_colors", "panel", "wheel_key", "write_png"]
