"""Reading image and label files into the arrays that the rest of the package trusts."""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from gun_jax.errors import InputError

# Mean and deviation of ImageNet's RGB channels in 0..1, which the published DRN weights were trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MEAN_COLOR = tuple(round(255 * channel) for channel in MEAN)

_LABEL_MODES = ("L", "P", "1")  # Pillow's names for grey, palette, black and white: one number a pixel
_INSTANCE_MODES = ("L", "I", "I;16", "I;16B")
_PNG, _PNG_KIND, _GREY_OF_8_BITS, _PNG_END = b"\x89PNG\r\n\x1a\n", slice(24, 26), b"\x08\x00", b"IEND\xaeB`\x82"
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TRAILER = 2**16  # bytes after the end of a PNG that some programs leave
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26  # of an image: beyond, Pillow warns of decompression bombs
_SPREAD = {"L;2": 85, "L;4": 17}  # by Pillow's name of how the file stores them


def normalise(images: jax.Array) -> jax.Array:
    """Turns uint8 RGB (..., 3), 0 to 255, into what the networks take: float32, ImageNet's mean 0 and deviation 1."""
    if images.dtype != jnp.uint8:
        raise InputError(f"normalise: images of {images.dtype}; expected uint8, 0 to 255")
    scale = 1 / (255 * np.asarray(STD, np.float32))
    shift = -np.asarray(MEAN, np.float32) / np.asarray(STD, np.float32)
    return images.astype(jnp.float32) * scale + shift


def read_image(path: str | os.PathLike, upright: bool = False) -> np.ndarray:
    """Reads an image: uint8 (H, W, 3) RGB.

    Grey images get three equal channels, a transparency channel is dropped, 16 bits are scaled to 8.

    Args:
      path: of the file.
      upright: whether the image is turned as its metadata say (EXIF's orientation, as cameras write it); labels
        belong to images as they are stored.

    Raises:
      InputError: no such file, not a whole image, one of another kind of number, or of more than `MAX_PIXELS`.
    """
    return decode_image(_content("image", path), f"image {path}", upright)


def decode_image(content: bytes, what: str, upright: bool = False) -> np.ndarray:
    """As `read_image`, of the bytes of a file; `what` names it in errors."""
    _check_whole(what, content)
    image = _decode(content, what)
    return _turned(image, _orientation(content)) if upright else image


def read_label_colors(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image that shows classes by their colours, as `read_image` does: uint8 (H, W, 3) RGB.

    Of a palette image the palette's colours.

    Raises:
      InputError: as `read_image`.
    """
    return decode_image(_content("label", path), f"label {path}")


def _decode(content: bytes, what: str) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # a header that promises more pixels than OpenCV takes
        raise InputError(f"{what} is damaged or too large: OpenCV cannot decode it") from error
    if image is None:
        raise InputError(f"{what} is not an image that OpenCV reads; expected PNG, JPEG, TIFF, BMP or WebP")
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 is 255
    if image.dtype != np.uint8:
        raise InputError(f"{what} holds {image.dtype} numbers; save it with 8 or 16 bits a channel")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    code = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}.get(image.shape[2])
    if code is None:
        raise InputError(f"{what} has {image.shape[2]} channels; save it as grey, RGB or RGBA")
    return cv2.cvtColor(image, code)


def _orientation(content: bytes) -> int:
    """EXIF's orientation, 1 (upright) to 8."""
    with (
        contextlib.suppress(UnidentifiedImageError, OSError, SyntaxError, ValueError),
        Image.open(io.BytesIO(content)) as image,
    ):
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes an orientation of EXIF: the stored row 0 is the image's top, bottom, left or right side."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def read_label(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image: uint8 (H, W), the numbers in the file (of a palette image, the indices).

    Raises:
      InputError: no such file, not a whole image, of too many pixels, more than one number a pixel, or 16 bits of it.
    """
    content = _content("label", path)
    _check_whole(f"label {path}", content)
    plain = _plain_grey(content)
    if plain is not None:
        return plain
    expected = (
        'one byte a pixel, the class\'s number (grey or palette PNG), or a class map that says "labels": "colors"'
    )
    with _opened(path, content, _LABEL_MODES, expected) as image:
        # Pillow spreads the numbers of grey images of 2 and 4 bits over 0 to 255.
        stored = getattr(image, "tile", None)
        spread = _SPREAD.get(str(stored[0][3]), 1) if stored else 1
        return np.asarray(image).astype(np.uint8) // spread


def _plain_grey(content: bytes) -> np.ndarray | None:
    """A grey PNG of 8 bits, as most labels are, faster than by Pillow; None for anything else and damaged ones."""
    if not content.startswith(_PNG) or content[_PNG_KIND] != _GREY_OF_8_BITS:
        return None
    with contextlib.suppress(cv2.error):
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return None


def read_instances(path: str | os.PathLike) -> np.ndarray:
    """Reads an image of instances, as Cityscapes' `instanceIds`: int32 (H, W), the numbers in the file.

    Raises:
      InputError: no such file, not a whole image, more than one number a pixel, or too many pixels.
    """
    content = _content("label", path)
    _check_whole(f"label {path}", content)
    with _opened(path, content, _INSTANCE_MODES, "one number a pixel, of 8 or 16 bits") as image:
        return np.asarray(image).astype(np.int32)


@contextlib.contextmanager
def _opened(path: str | os.PathLike, content: bytes, modes: tuple[str, ...], expected: str) -> Iterator[Image.Image]:
    """An image of numbers, while it is read; what is wrong with it as an InputError."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode not in modes:
                raise InputError(f"label {path} is an image of mode {image.mode}; expected {expected}")
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"label {path} is not an image; expected a grey or palette PNG of class numbers") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow calls damaged
        raise InputError(f"label {path} cannot be read: {error}") from error


def _content(kind: str, path: str | os.PathLike) -> bytes:
    """The bytes of a file, of which there are some."""
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{kind} {path} cannot be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{kind} {path} is an empty file")
    return content


def _check_whole(what: str, content: bytes) -> None:
    """Refuses images that OpenCV and Pillow would decode in part, or for which they would fill the memory."""
    if (content.startswith(_PNG) and _PNG_END not in content[-_TRAILER:]) or _is_cut_jpeg(content):
        raise InputError(f"{what} is cut off; copy it anew")
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{what} has too many pixels; expected at most {MAX_PIXELS}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return  # OpenCV reads more kinds; and both say what is wrong
    if width * height > MAX_PIXELS:
        raise InputError(f"{what} is {width}x{height}; expected at most {MAX_PIXELS} pixels: cut it into parts")


def _is_cut_jpeg(content: bytes) -> bool:
    """Whether a JPEG has no end marker after its first scan began (thumbnails, with their own, lie before it)."""
    place = len(_JPEG)
    while content.startswith(_JPEG) and place + 4 <= len(content) and content[place] == 0xFF:
        if content[place : place + 2] == _JPEG_SCAN:
            return content.find(_JPEG_END, place) < 0  # in the data of a scan there is none
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")  # a segment with its length
    return False  # none, or one of whose damage OpenCV tells
