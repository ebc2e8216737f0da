"""What the page asks for, as files: labels and offsets of an image, a drawn scene."""

import dataclasses
import io
import math
import time
from typing import Any

import cv2
import numpy as np
from PIL import Image

from gun_jax.data.images import decode_image
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.prediction.segmenter import Segmenter, Size
from gun_jax.visualisation import offset_colors

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # Pillow's names
_CAMERA_SIZE = 480, 640
_EXAMPLES = 1000
_FASTEST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What was found in an image.

    Attributes:
      labels: a PNG file, grey, 8 bits, of the image's size: the places of classes.
      offsets: None, or a PNG file of the offsets in colours, of the size at which labels are decided.
      full_color: None, or the length of the offsets that are drawn in full colour, in pixels of the map of logits.
      milliseconds: that each part of the work took.
    """

    labels: bytes
    offsets: bytes | None
    full_color: float | None
    milliseconds: dict[str, float]


class Labeller:
    """Labels images that come as files, one at a time.

    Args:
      segmenter: the network.
      most_pixels: of an image.

    Attributes:
      frame_size: (height, width) of a camera's images, 480x640, shrunk as the page does it: to the most pixels that
        the network sees.
    """

    def __init__(self, segmenter: Segmenter, most_pixels: int):
        self._segmenter, self._most_pixels = segmenter, most_pixels
        self.frame_size = _shrunk(_CAMERA_SIZE, segmenter.most_pixels)

    def facts(self) -> dict[str, Any]:
        """What the page is told, for JSON."""
        classes = zip(self._segmenter.classes.names, self._segmenter.classes.colors, strict=True)
        return {
            "classes": [{"name": name, "color": color} for name, color in classes],
            "frame_pixels": self._segmenter.most_pixels,
            "most_pixels": self._most_pixels,
        }

    def label(self, content: bytes) -> Answer:
        """Labels of an image file.

        Raises:
          InputError: it is not a whole image of a known format, or has too many pixels.
        """
        laps = _Laps()
        image = self._decode(content)
        laps.end("decode")
        labels = self._segmenter(image[None])[0]
        laps.end("label")
        answer = _png(labels)
        laps.end("encode")
        return Answer(answer, None, None, laps.milliseconds)

    def predict_with_offsets(self, content: bytes) -> Answer:
        """As `label`, with the offsets of guided upsampling."""
        laps = _Laps()
        image = self._decode(content)
        laps.end("decode")
        labels, offsets = self._segmenter.predict_with_offsets(image)
        laps.end("label")
        colors, full_color = offset_colors(offsets)
        answer = _png(labels), _png(cv2.cvtColor(colors, cv2.COLOR_RGB2BGR))
        laps.end("encode")
        return Answer(*answer, full_color, laps.milliseconds)

    def example(self, number: int) -> bytes:
        """A drawn street scene, of the size of a camera's images, as a PNG file; they repeat after 1000."""
        scene = SyntheticScenes(_EXAMPLES, self.frame_size)[number % _EXAMPLES]
        return _png(cv2.cvtColor(scene["image"], cv2.COLOR_RGB2BGR))

    def _decode(self, content: bytes) -> np.ndarray:
        # Before it is decoded, and only what both read: of other formats Pillow could not tell the size.
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                width, height = picture.size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise InputError(f"the image has too many pixels; expected at most {self._most_pixels}") from error
        except Exception as error:  # whatever a broken header makes of a reader
            raise InputError(f"this is not an image that is known here; expected {', '.join(_FORMATS)}") from error
        if width * height > self._most_pixels:
            raise InputError(f"the image is {width}x{height}; expected at most {self._most_pixels} pixels")
        return decode_image(content, "the image", upright=True)


class _Laps:
    """Milliseconds of one part of a work after the other."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._begin = time.perf_counter()

    def end(self, part: str) -> None:
        now = time.perf_counter()
        self.milliseconds[part] = 1000 * (now - self._begin)
        self._begin = now


def _shrunk(shape: Size, most_pixels: int) -> Size:
    scale = min(1.0, math.sqrt(most_pixels / math.prod(shape)))
    return math.floor(shape[0] * scale), math.floor(shape[1] * scale)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture, _FASTEST_PNG)[1].tobytes()
