"""Pictures as files."""

import os

import cv2
import numpy as np

from gun_jax.errors import InputError
from gun_jax.system.files import write_whole


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
