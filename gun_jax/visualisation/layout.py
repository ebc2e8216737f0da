"""Putting pictures together from smaller ones: texts, keys, borders, rows and columns, on white."""

import functools
import math
import pathlib

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
WHITE, _INK, LINE = (255, 255, 255), (34, 34, 34), (190, 190, 190)


def text_line(text: str, letters: int, width: int, bold: bool = False) -> np.ndarray:
    """One line of text on white, `letters` pixels high; what is wider than `width` is cut."""
    font = _font(letters, bold)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    picture = Image.new("RGB", (max(1, math.ceil(font.getlength(text))), sum(font.getmetrics())), WHITE)
    ImageDraw.Draw(picture).text((0, 0), text, _INK, font)
    return np.asarray(picture)


@functools.lru_cache
def _font(letters: int, bold: bool) -> ImageFont.FreeTypeFont:
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")  # matplotlib brings DejaVu along
    return ImageFont.truetype(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), letters)


def color_key(entries: list[tuple[str, Color]], width: int, letters: int) -> np.ndarray:
    """Swatches with their names, as many a line as fit into `width`."""
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


def border(picture: np.ndarray, thickness: int, color: Color) -> np.ndarray:
    """Puts a frame around a picture."""
    return cv2.copyMakeBorder(picture, thickness, thickness, thickness, thickness, cv2.BORDER_CONSTANT, value=color)


def below(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks pictures from top to bottom on white, flush left."""
    heights = [picture.shape[0] for picture in pictures]
    width = max(picture.shape[1] for picture in pictures)
    whole = np.full((sum(heights) + gap * (len(pictures) - 1), width, 3), 255, np.uint8)
    top = 0
    for picture in pictures:
        whole[top : top + picture.shape[0], : picture.shape[1]] = picture
        top += picture.shape[0] + gap
    return whole


def beside(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks pictures from left to right on white, flush at the top."""
    return below([picture.swapaxes(0, 1) for picture in pictures], gap).swapaxes(0, 1)
