"""Reads image and label files, and checks them."""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from gun_jax.errors import InputError
from gun_jax.ops.normalisation import MEAN

MEAN_COLOR = tuple(round(255 * channel) for channel in MEAN)

_LABEL_MODES = ("L", "P", "1")  # Pillow's names for grey, palette, black and white: one number a pixel
_INSTANCE_MODES = ("L", "I", "I;16", "I;16B")
_PNG, _PNG_KIND, _GREY_OF_8_BITS, _PNG_END = b"\x89PNG\r\n\x1a\n", slice(24, 26), b"\x08\x00", b"IEND\xaeB`\x82"
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TRAILER = 2**16  # bytes that some programs append to a PNG, at most
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26  # of an image; Pillow warns of decompression bombs beyond it
_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow's raw mode to the factor by which Pillow multiplies grey levels


def read_image(path: str | os.PathLike, upright: bool = False) -> np.ndarray:
    """Reads an image: uint8 (H, W, 3) RGB.

    Grey images get three equal channels, transparency is dropped, 16 bits are scaled to 8.

    Args:
      path: the file.
      upright: whether to apply the EXIF orientation that cameras write. Leave it off for images with labels, which
        match the stored pixels.

    Raises:
      InputError: no such file, not a whole image, not 8 or 16 bits a channel, or more than `MAX_PIXELS`.
    """
    return decode_image(_content("image", path), f"image {path}", upright)


def decode_image(content: bytes, what: str, upright: bool = False) -> np.ndarray:
    """Like `read_image`, from a file's content; `what` names it in error messages."""
    _check_whole(what, content)
    image = _decode(content, what)
    return _turned(image, _orientation(content)) if upright else image


def read_label_colors(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image that shows classes by colours: uint8 (H, W, 3) RGB; palettes are applied.

    Raises:
      InputError: as for `read_image`.
    """
    return decode_image(_content("label", path), f"label {path}")


def _decode(content: bytes, what: str) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # the header claims more pixels than OpenCV accepts
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
    """Applies EXIF's orientation, which says whether row 0 is the image's top, bottom, left or right side."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def read_label(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image: uint8 (H, W), the numbers in the file, or a palette image's indices.

    Raises:
      InputError: no such file, not a whole image, too many pixels, or not one byte a pixel.
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
        # Pillow scales grey images of 2 and 4 bits to 0 to 255.
        stored = getattr(image, "tile", None)
        spread = _SPREAD.get(str(stored[0][3]), 1) if stored else 1
        return np.asarray(image).astype(np.uint8) // spread


def _plain_grey(content: bytes) -> np.ndarray | None:
    """Decodes the usual label, a grey PNG of 8 bits, faster than Pillow; None for other or damaged files."""
    if not content.startswith(_PNG) or content[_PNG_KIND] != _GREY_OF_8_BITS:
        return None
    with contextlib.suppress(cv2.error):
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return None


def read_instances(path: str | os.PathLike) -> np.ndarray:
    """Reads an instance image, e.g. Cityscapes' `instanceIds`: int32 (H, W), the numbers in the file.

    Raises:
      InputError: no such file, not a whole image, more than one number a pixel, or too many pixels.
    """
    content = _content("label", path)
    _check_whole(f"label {path}", content)
    with _opened(path, content, _INSTANCE_MODES, "one number a pixel, of 8 or 16 bits") as image:
        return np.asarray(image).astype(np.int32)


@contextlib.contextmanager
def _opened(path: str | os.PathLike, content: bytes, modes: tuple[str, ...], expected: str) -> Iterator[Image.Image]:
    """Opens an image of numbers with Pillow; its errors become InputErrors."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode not in modes:
                raise InputError(f"label {path} is an image of mode {image.mode}; expected {expected}")
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"label {path} is not an image; expected a grey or palette PNG of class numbers") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's errors of damaged files
        raise InputError(f"label {path} cannot be read: {error}") from error


def _content(kind: str, path: str | os.PathLike) -> bytes:
    """The content of a file that is not empty."""
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{kind} {path} cannot be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{kind} {path} is an empty file")
    return content


def _check_whole(what: str, content: bytes) -> None:
    """Refuses images that OpenCV and Pillow would decode in part, or that would fill the memory."""
    if (content.startswith(_PNG) and _PNG_END not in content[-_TRAILER:]) or _is_cut_jpeg(content):
        raise InputError(f"{what} is cut off; copy it again")
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{what} has too many pixels; expected at most {MAX_PIXELS}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return  # OpenCV may read it; the decoders report what is wrong
    if width * height > MAX_PIXELS:
        raise InputError(f"{what} is {width}x{height}; expected at most {MAX_PIXELS} pixels: cut it into parts")


def _is_cut_jpeg(content: bytes) -> bool:
    """Whether a JPEG has no end marker after its first scan starts; thumbnails, which have one, precede it."""
    place = len(_JPEG)
    while content.startswith(_JPEG) and place + 4 <= len(content) and content[place] == 0xFF:
        if content[place : place + 2] == _JPEG_SCAN:
            return content.find(_JPEG_END, place) < 0  # a scan's data contains none
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")  # a segment with its length
    return False  # not a JPEG, or one whose damage OpenCV reports
