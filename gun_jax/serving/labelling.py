"""Image files in, PNG files out: labels, offsets, and drawn scenes as examples."""

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
from gun_jax.visualisation.palettes import overlay_palette

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # Pillow's names
_CAMERA_SIZE = 480, 640
_EXAMPLES = 1000
_FASTEST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclasses.dataclass(frozen=True)
class Answer:
    """The result for one image.

    Attributes:
      labels: PNG file of class indices, 8-bit grey, of the image's size.
      offsets: PNG file of the offsets in colours, of the size at which labels are decided; None if not requested.
      full_color: length of the offsets drawn in full colour, in pixels of the logit map; None if not requested.
      milliseconds: time of each part of the work, by name.
    """

    labels: bytes
    offsets: bytes | None
    full_color: float | None
    milliseconds: dict[str, float]


class Labeller:
    """Labels image files, one at a time.

    Args:
      segmenter: the network.
      max_pixels: largest image.

    Attributes:
      frame_size: (height, width) of a webcam's images, 480x640 or as the page shrinks them: to the number of pixels
        that the network sees.
    """

    def __init__(self, segmenter: Segmenter, max_pixels: int):
        self._segmenter, self._max_pixels = segmenter, max_pixels
        self.frame_size = _shrink(_CAMERA_SIZE, segmenter.max_pixels)

    def facts(self) -> dict[str, Any]:
        """Classes and limits for the page, as JSON values."""
        names = self._segmenter.classes.names
        classes = zip(names, overlay_palette(self._segmenter.classes)[: len(names)].tolist(), strict=True)
        return {
            "classes": [{"name": name, "color": color} for name, color in classes],
            "frame_pixels": self._segmenter.max_pixels,
            "most_pixels": self._max_pixels,
        }

    def label(self, content: bytes) -> Answer:
        """Labels of an image file.

        Raises:
          InputError: the image is damaged, of an unknown format, or too large.
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
        """Like `label`, with the offsets of guided upsampling."""
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
        """A drawn street scene of `frame_size` as a PNG file; the scenes repeat after 1000."""
        scene = SyntheticScenes(_EXAMPLES, self.frame_size)[number % _EXAMPLES]
        return _png(cv2.cvtColor(scene["image"], cv2.COLOR_RGB2BGR))

    def _decode(self, content: bytes) -> np.ndarray:
        # Pillow reads the size before OpenCV decodes, so only formats that both know are accepted.
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
                width, height = opened.size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise InputError(f"the image has too many pixels; expected at most {self._max_pixels}") from error
        except Exception as error:  # Pillow raises many kinds for broken headers
            raise InputError(f"this is not an image in a supported format; expected {', '.join(_FORMATS)}") from error
        if width * height > self._max_pixels:
            raise InputError(f"the image is {width}x{height}; expected at most {self._max_pixels} pixels")
        return decode_image(content, "the image", upright=True)


class _Laps:
    """Measures consecutive parts of the work."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._begin = time.perf_counter()

    def end(self, part: str) -> None:
        now = time.perf_counter()
        self.milliseconds[part] = 1000 * (now - self._begin)
        self._begin = now


def _shrink(shape: Size, max_pixels: int) -> Size:
    scale = min(1.0, math.sqrt(max_pixels / math.prod(shape)))
    return math.floor(shape[0] * scale), math.floor(shape[1] * scale)


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image, _FASTEST_PNG)[1].tobytes()
