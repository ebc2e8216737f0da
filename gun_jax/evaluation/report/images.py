"""The images of a report: the layers of each, encoded into the page."""

import base64
import dataclasses
import io
import math

import cv2
import numpy as np
from PIL import Image

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.evaluation.report.tables import hex_color
from gun_jax.metrics.confusion import ConfusionMatrix, none_for_nan
from gun_jax.visualisation import offset_colors
from gun_jax.visualisation.palettes import VERDICTS, verdicts

PALETTE_OF_ERRORS = {"right": VERDICTS["both right"], "wrong": VERDICTS["new error"], "ignored": VERDICTS["ignored"]}
_MAX_BYTES = 3_200_000  # of all images in a page; base64 adds a third
_BYTES_A_PIXEL = 0.6  # of all layers, about
_JPEG_QUALITY = 88


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers of an image.

    Attributes:
      id: name of the image.
      size: (height, width) of its labels in the data set.
      miou: 0 to 1.
      photos: RGB, uint8 (h, w, 3), by name: "image", and "offsets" of a network with guidance.
      maps: indices, uint8 (h, w), and their palette, uint8 (256, 3), by name: "truth", "prediction", "errors".
      legend: (name, colour, IoU) of the classes in truth or prediction, the largest first, and "ignored".
      shares: fraction of the pixels by verdict, without ignored pixels.
      full_color: length of the offsets with the full colour, in low-resolution pixels; None without offsets.
    """

    id: str
    size: tuple[int, int]
    miou: float
    photos: dict[str, np.ndarray]
    maps: dict[str, tuple[np.ndarray, np.ndarray]]
    legend: list[tuple[str, str, float | None]]
    shares: dict[str, float]
    full_color: float | None


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image in a page: data URIs of its layers by name, each of the size `shown`, (height, width)."""

    layers: Layers
    shown: tuple[int, int]
    uris: dict[str, str]

    @property
    def shrunk(self) -> bool:
        """Whether it is smaller than its labels."""
        return self.shown != self.layers.size


def pixels_each(count: int) -> int:
    """The largest number of pixels of each of `count` images with which the page stays small enough."""
    return int(_MAX_BYTES / _BYTES_A_PIXEL / max(1, count))


def image_layers(record: dict, found: dict, classes: ClassMap, guided: bool, max_pixels: int) -> Layers:
    """The layers of an image, shrunk to at most `max_pixels` pixels each.

    Args:
      record: "image", "label" and "id".
      found: the output of `GUN.predict_with_offsets`, without batch axis.
      classes: names and colours.
      guided: whether the network has offsets; errors are then compared with those of bilinear upsampling.
      max_pixels: number of pixels.
    """
    truth, labels = record["label"], found["labels"]
    matrix = ConfusionMatrix(len(classes), IGNORE).update(truth, labels)
    verdict = verdicts(truth, labels, found["bilinear_labels"] if guided else None)
    names = list(VERDICTS if guided else PALETTE_OF_ERRORS)
    if not guided:
        verdict = np.array([0, 0, 1, 1, 2])[verdict]
    counts = np.bincount(verdict.ravel(), minlength=len(names))
    shares = {name: count / max(1, counts[:-1].sum()) for name, count in zip(names[:-1], counts.tolist(), strict=False)}
    photos = {"image": record["image"]}
    full_color = None
    if guided:
        photos["offsets"], full_color = offset_colors(found["offsets"])
    error_palette = np.zeros((256, 3), np.uint8)
    error_palette[: len(names)] = list((VERDICTS if guided else PALETTE_OF_ERRORS).values())
    palette = classes.palette()
    maps = {"truth": (truth, palette), "prediction": (labels, palette), "errors": (verdict, error_palette)}
    iou = matrix.iou()
    sizes = np.bincount(truth.ravel(), minlength=256) + np.bincount(labels.ravel(), minlength=256)
    occurring = sorted(np.flatnonzero(sizes[:IGNORE]).tolist(), key=lambda i: -sizes[i])
    legend = [(classes.names[i], hex_color(classes.colors[i]), none_for_nan(iou[i])) for i in occurring]
    if sizes[IGNORE]:
        legend.append(("ignored", hex_color((0, 0, 0)), None))
    size = truth.shape
    shown = _fitting(size, max_pixels)
    return Layers(
        record["id"],
        size,
        matrix.miou(),
        {name: _shrink(photo, shown, smooth=True) for name, photo in photos.items()},
        {name: (_shrink(numbers.astype(np.uint8), shown), colors) for name, (numbers, colors) in maps.items()},
        legend,
        shares,
        full_color,
    )


def encode(all_layers: list[Layers], max_bytes: int = _MAX_BYTES) -> list[EncodedImage]:
    """Images as data URIs, photos as JPEG and maps as PNG, shrunk until they have at most `max_bytes`."""
    part = 1.0  # of the pixels of each image
    while True:
        encoded = [_encode(layers, part) for layers in all_layers]
        size = sum(len(content) for _, contents in encoded for _, content in contents.values())
        if size <= max_bytes or part < 0.02:
            break
        part *= min(0.8, max_bytes / size)
    return [
        EncodedImage(layers, shown, {name: _data_uri(*content) for name, content in contents.items()})
        for layers, (shown, contents) in zip(all_layers, encoded, strict=True)
    ]


def _encode(layers: Layers, part: float) -> tuple[tuple[int, int], dict[str, tuple[str, bytes]]]:
    """The size (height, width), and the MIME type and bytes of each layer."""
    height, width = layers.photos["image"].shape[:2]
    shown = _fitting((height, width), max(1, int(height * width * part)))
    contents = {}
    for name, photo in layers.photos.items():
        contents[name] = "image/jpeg", _jpeg(_shrink(photo, shown, smooth=True))
    for name, (numbers, palette) in layers.maps.items():
        contents[name] = "image/png", _palette_png(_shrink(numbers, shown), palette)
    return shown, contents


def _fitting(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The largest size of the same aspect ratio with at most `max_pixels`, and at most `size`."""
    height, width = size
    factor = math.sqrt(max_pixels / (height * width))
    if factor >= 1:
        return height, width
    return max(1, math.floor(height * factor)), max(1, math.floor(width * factor))


def _shrink(image: np.ndarray, size: tuple[int, int], smooth: bool = False) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smooth else cv2.INTER_NEAREST_EXACT)


def _jpeg(photo: np.ndarray) -> bytes:
    # Colour at full resolution: offsets differ in nothing else.
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    return cv2.imencode(".jpg", photo[..., ::-1], settings)[1].tobytes()


def _palette_png(numbers: np.ndarray, palette: np.ndarray) -> bytes:
    """A PNG of indices, uint8 (H, W), with a palette, uint8 (256, 3)."""
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def png_uri(image: np.ndarray) -> str:
    """The data URI of an image, uint8 (H, W, 3) RGB, as PNG."""
    return _data_uri("image/png", cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
