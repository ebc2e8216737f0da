"""Images as files."""

import os

import cv2
import numpy as np

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an image, uint8 (H, W, 3) RGB, as a PNG file; makes its folder; the file is whole or not there at all.

    Raises:
      InputError: the file cannot be written, or `image` is not such an array.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of shape {image.shape}, {image.dtype}; expected (height, width, 3), uint8")
    _, content = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    atomic_write(path, content.tobytes())
