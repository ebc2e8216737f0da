"""The images of a report: what a network makes of one, in layers, inside the page."""

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

PALETTE_OF_ERRORS = {"right": VERDICTS["both right"], "wrong": VERDICTS["spoiled"], "ignored": VERDICTS["ignored"]}
_BYTES = 3_200_000  # of all images in a page, before base64 makes them a third larger
_BYTES_A_PIXEL = 0.6  # of all layers, about
_QUALITY = 88  # of JPEG


@dataclasses.dataclass(frozen=True)
class Layers:
    """One image as arrays (H, W): RGB, or numbers in a palette.

    Attributes:
      id: its name.
      size: (height, width) of its labels, in the data.
      miou: 0 to 1.
      photos: uint8 (h, w, 3) by name: "image", and "offsets" if the network has some.
      maps: uint8 (h, w) by name, and the palette of each, uint8 (256, 3): "truth", "prediction", "errors".
      legend: (name, colour, IoU) of the classes that occur in truth or prediction, the largest first, and "ignored".
      shares: how many of the pixels that count are of which verdict, 0 to 1.
      full_color: the offset, in pixels of the low-resolution map, that has the full colour; None without offsets.
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
class Picture:
    """One image as a page has it: `uris` of its layers by name, each `shown` = (height, width) pixels large."""

    layers: Layers
    shown: tuple[int, int]
    uris: dict[str, str]

    @property
    def shrunk(self) -> bool:
        """Whether it has fewer pixels than its labels."""
        return self.shown != self.layers.size


def pixels_each(count: int) -> int:
    """How many pixels each of `count` images may have, so that the page does not become too large."""
    return int(_BYTES / _BYTES_A_PIXEL / max(1, count))


def take_apart(record: dict, seen: dict, classes: ClassMap, guided: bool, most_pixels: int) -> Layers:
    """The layers of an image, shrunk to at most `most_pixels`.

    Args:
      record: "image", "label" and "id".
      seen: what `GUN.predict_with_offsets` gives, without batch axis.
      classes: names and colours.
      guided: whether there are offsets; errors are then compared with those of bilinear upsampling.
      most_pixels: of each layer.
    """
    truth, labels = record["label"], seen["labels"]
    matrix = ConfusionMatrix(len(classes), IGNORE).update(truth, labels)
    found = verdicts(truth, labels, seen["bilinear_labels"] if guided else None)
    names = list(VERDICTS if guided else PALETTE_OF_ERRORS)
    if not guided:
        found = np.array([0, 0, 1, 1, 2])[found]
    counts = np.bincount(found.ravel(), minlength=len(names))
    shares = {name: count / max(1, counts[:-1].sum()) for name, count in zip(names[:-1], counts.tolist(), strict=False)}
    photos = {"image": record["image"]}
    full_color = None
    if guided:
        photos["offsets"], full_color = offset_colors(seen["offsets"])
    error_palette = np.zeros((256, 3), np.uint8)
    error_palette[: len(names)] = list((VERDICTS if guided else PALETTE_OF_ERRORS).values())
    palette = classes.palette()
    maps = {"truth": (truth, palette), "prediction": (labels, palette), "errors": (found, error_palette)}
    iou = matrix.iou()
    sizes = np.bincount(truth.ravel(), minlength=256) + np.bincount(labels.ravel(), minlength=256)
    occurring = sorted(np.flatnonzero(sizes[:IGNORE]).tolist(), key=lambda i: -sizes[i])
    legend = [(classes.names[i], hex_color(classes.colors[i]), none_for_nan(iou[i])) for i in occurring]
    if sizes[IGNORE]:
        legend.append(("ignored", hex_color((0, 0, 0)), None))
    size = truth.shape
    shown = _fitting(size, most_pixels)
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


def encode(images: list[Layers], most_bytes: int = _BYTES) -> list[Picture]:
    """Images as data URIs, photos as JPEG and maps as PNG: smaller than they are if they are too many bytes."""
    part = 1.0  # of the pixels of each
    while True:
        encoded = [_encode(layers, part) for layers in images]
        size = sum(len(content) for _, contents in encoded for _, content in contents.values())
        if size <= most_bytes or part < 0.02:
            break
        part *= min(0.8, most_bytes / size)
    return [
        Picture(layers, shown, {name: _data_uri(*content) for name, content in contents.items()})
        for layers, (shown, contents) in zip(images, encoded, strict=True)
    ]


def _encode(layers: Layers, part: float) -> tuple[tuple[int, int], dict[str, tuple[str, bytes]]]:
    """(height, width), and the type and bytes of each layer."""
    height, width = layers.photos["image"].shape[:2]
    shown = _fitting((height, width), max(1, int(height * width * part)))
    contents = {}
    for name, photo in layers.photos.items():
        contents[name] = "image/jpeg", _jpeg(_shrink(photo, shown, smooth=True))
    for name, (numbers, palette) in layers.maps.items():
        contents[name] = "image/png", palette_png(_shrink(numbers, shown), palette)
    return shown, contents


def _fitting(size: tuple[int, int], most_pixels: int) -> tuple[int, int]:
    """`size`, or the largest one of its shape that has at most `most_pixels`."""
    height, width = size
    factor = math.sqrt(most_pixels / (height * width))
    if factor >= 1:
        return height, width
    return max(1, math.floor(height * factor)), max(1, math.floor(width * factor))


def _shrink(image: np.ndarray, size: tuple[int, int], smooth: bool = False) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smooth else cv2.INTER_NEAREST_EXACT)


def _jpeg(photo: np.ndarray) -> bytes:
    # Colour in full resolution: in offsets it is all that there is.
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, _QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    return cv2.imencode(".jpg", photo[..., ::-1], settings)[1].tobytes()


def palette_png(numbers: np.ndarray, palette: np.ndarray) -> bytes:
    """A PNG of numbers, uint8 (H, W), in the colours of a palette, uint8 (256, 3)."""
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def png_uri(image: np.ndarray) -> str:
    """An image, uint8 (H, W, 3) RGB, as the data URI of a PNG."""
    return _data_uri("image/png", cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
