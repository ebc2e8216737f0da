"""Statistics of images and labels: sizes, and the pixels of each number or colour."""

import collections
import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from gun_jax.data.classes import ClassMap
from gun_jax.data.color_labels import pack_colors
from gun_jax.data.folders import FolderSource
from gun_jax.data.images import read_image, read_label, read_label_colors
from gun_jax.errors import InputError

Size = tuple[int, int]  # height, width
_MAX_VALUES = 255  # 254 classes and one ignored value
_NUMBERS = ("L", "P", "1")  # Pillow's names for grey, palette, black and white
_COLORS = ("RGB", "RGBA", "LA", "PA")


@dataclasses.dataclass
class LabelStats:
    """Counts over the images of a split.

    A value is a number or a packed colour (see `gun_jax.data.color_labels`); where the classes are known, a train id or
    `IGNORE`.

    Attributes:
      images: number of images.
      sizes: number of images of each size.
      pixels: number of pixels of each value.
      occurs: number of images in which each value occurs.
    """

    images: int = 0
    sizes: collections.Counter[Size] = dataclasses.field(default_factory=collections.Counter)
    pixels: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    occurs: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)

    def __add__(self, other: "LabelStats") -> "LabelStats":
        return LabelStats(
            self.images + other.images,
            self.sizes + other.sizes,
            self.pixels + other.pixels,
            self.occurs + other.occurs,
        )

    def by_class(self, classes: ClassMap) -> "LabelStats":
        """The same by train id, for a map with one value for each class and at most one that is ignored."""
        assert classes.values is not None
        pixels, occurs = (
            collections.Counter({classes.values[value]: count for value, count in counts.items()})
            for counts in (self.pixels, self.occurs)
        )
        return LabelStats(self.images, self.sizes, pixels, occurs)


def count_labels(
    source: FolderSource, by_color: bool, classes: ClassMap | None, threads: int, advance: Callable[[], object]
) -> LabelStats:
    """Counts over all labels of a source.

    Args:
      source: only its paths are used, not its class map.
      by_color: whether labels show colours.
      classes: the class map that labels must fit, to count by train id; None: there is no map yet.
      threads: number of reader threads.
      advance: called after each record.

    Raises:
      InputError: a file cannot be read, image and label differ in size, or labels hold a value outside the class map,
        or, without a map, more values than there can be classes.
    """

    def look(index: int) -> tuple[pathlib.Path, Size, np.ndarray, np.ndarray]:
        image, label = source.paths(index)
        pixels = read_label_colors(label) if by_color else read_label(label)
        size, (height, width) = _size_of(image), pixels.shape[:2]
        if size != (height, width):
            raise InputError(
                f"label {label} is {width}x{height} (width x height), its image {image} {size[1]}x{size[0]}; expected "
                "the same size"
            )
        if classes is not None:
            pixels = classes.train_ids(pixels, f"label {label}")
        elif by_color:
            pixels = pack_colors(pixels)
        return label, size, *count(pixels)

    stats = LabelStats()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for label, size, values, pixels in pool.map(look, range(len(source))):
            stats.images += 1
            stats.sizes[size] += 1
            stats.pixels.update(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
            stats.occurs.update(values.tolist())
            if len(stats.pixels) > _MAX_VALUES:
                pool.shutdown(cancel_futures=True)
                what = "colours" if by_color else "numbers"
                raise InputError(
                    f"labels hold more than {_MAX_VALUES} {what}, {len(values)} of them {label}: these cannot be "
                    f"classes; save labels without smoothing and not as JPEG, which mix {what}"
                )
            advance()
    return stats


def count(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of an array, ascending, and their counts, int64.

    It counts runs of equal values: label images have few, and sorting all pixels takes ten times as long.
    """
    flat = values.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    found, which = np.unique(flat[starts], return_inverse=True)
    return found, np.bincount(which, weights=np.diff(starts, append=flat.size)).astype(np.int64)


def shows_colors(labels: Sequence[pathlib.Path]) -> bool:
    """Whether label files show classes by colours: one is RGB, or the palettes of two differ.

    Some programs sort the palette of each image, so that a number means different classes in two images.
    """
    longest = b""
    for path in labels:
        mode, palette = _kind(path)
        if mode in _COLORS:
            return True
        if mode not in _NUMBERS:
            read_label(path)  # raises an error that says why
        common = min(len(palette), len(longest))
        if palette[:common] != longest[:common]:
            return True
        longest = max(longest, palette, key=len)
    return False


def palette_of(labels: Sequence[pathlib.Path]) -> np.ndarray | None:
    """The longest palette of the images, uint8 (N, 3); None without palettes, or if it is grey."""
    longest = max((_kind(path)[1] for path in labels), key=len, default=b"")
    palette = np.frombuffer(longest, np.uint8).reshape(-1, 3)
    return palette if (palette != palette[:, :1]).any() else None


def _kind(path: pathlib.Path) -> tuple[str, bytes]:
    """Pillow's mode of an image, and its RGB palette."""
    try:
        with Image.open(path) as image:
            palette = image.getpalette("RGB") if image.mode == "P" else None
            return image.mode, bytes(palette or ())
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        read_label(path)  # raises an error that says why
        raise


def _size_of(path: pathlib.Path) -> Size:
    """The size of an image, from its header if Pillow knows the format."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        height, width = read_image(path).shape[:2]
        return height, width
