"""Images composed of smaller ones, on white: text, colour keys, borders, rows, columns; and PNG files."""

import functools
import math
import os
import pathlib

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

Color = tuple[int, int, int]
WHITE, _INK, LINE = (255, 255, 255), (34, 34, 34), (190, 190, 190)


def text_line(text: str, letters: int, width: int, bold: bool = False) -> np.ndarray:
    """One line of text on white, `letters` pixels high, cut to `width`."""
    font = _font(letters, bold)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    image = Image.new("RGB", (max(1, math.ceil(font.getlength(text))), sum(font.getmetrics())), WHITE)
    ImageDraw.Draw(image).text((0, 0), text, _INK, font)
    return np.asarray(image)


@functools.lru_cache
def _font(letters: int, bold: bool) -> ImageFont.FreeTypeFont:
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")  # Matplotlib includes DejaVu
    return ImageFont.truetype(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), letters)


def color_key(entries: list[tuple[str, Color]], width: int, letters: int) -> np.ndarray:
    """Colour swatches with names, in lines of at most `width` pixels."""
    lines: list[list[np.ndarray]] = [[]]
    gap = letters // 3
    for text, color in entries:
        name = text_line(text, letters, width - letters - gap)
        swatch = border(np.full((letters - 2, letters - 2, 3), color, np.uint8), 1, LINE)
        margin = name.shape[0] - letters
        swatch = cv2.copyMakeBorder(swatch, margin // 2, margin - margin // 2, 0, 0, cv2.BORDER_CONSTANT, value=WHITE)
        entry = beside([swatch, name], gap)
        if lines[-1] and sum(other.shape[1] + letters for other in lines[-1]) + entry.shape[1] > width:
            lines.append([])
        lines[-1].append(entry)
    return below([beside(line, letters) for line in lines], gap)


def border(image: np.ndarray, thickness: int, color: Color) -> np.ndarray:
    """Puts a frame around an image."""
    return cv2.copyMakeBorder(image, thickness, thickness, thickness, thickness, cv2.BORDER_CONSTANT, value=color)


def below(images: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks images from top to bottom on white, flush left."""
    heights = [image.shape[0] for image in images]
    width = max(image.shape[1] for image in images)
    whole = np.full((sum(heights) + gap * (len(images) - 1), width, 3), 255, np.uint8)
    top = 0
    for image in images:
        whole[top : top + image.shape[0], : image.shape[1]] = image
        top += image.shape[0] + gap
    return whole


def beside(images: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks images from left to right on white, flush at the top."""
    return below([image.swapaxes(0, 1) for image in images], gap).swapaxes(0, 1)


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an image, uint8 (H, W, 3) RGB, as a PNG file, atomically; makes its folder.

    Raises:
      InputError: the file cannot be written, or `image` is not such an array.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of shape {image.shape}, {image.dtype}; expected (height, width, 3), uint8")
    _, content = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    atomic_write(path, content.tobytes())
