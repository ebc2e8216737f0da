"""Reading images and labels against Pillow, which writes them and decodes them in another way, and against NumPy."""

import re
import struct
import zlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gun_jax.data.images import MEAN_COLOR, read_image, read_label, read_label_colors
from gun_jax.errors import InputError
from gun_jax.ops.normalisation import normalise

SIZE = (9, 14)  # height, width


def noise(*channels, seed=0, dtype=np.uint8, limit=None, size=SIZE):
    limit = limit if limit is not None else np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, limit, (*size, *channels)).astype(dtype)


def saved(path, image, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def palette_image(indices):
    image = Image.fromarray(indices)
    image.putpalette(np.random.default_rng(5).integers(0, 256, 3 * 256).tolist())
    assert image.mode == "P"
    return image


def png(bits, rows):
    """A grey PNG of 1, 2, 4 or 8 bits a pixel, by the specification; Pillow writes 8 only."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = rows.shape
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    packed = b""
    for row in rows:
        digits = "".join(format(value, f"0{bits}b") for value in row)
        digits += "0" * (-len(digits) % 8)
        packed += b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big")
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def refusal(read, path):
    """The line with which a file is refused; it names the file."""
    with pytest.raises(InputError) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


# Images


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp"])
def test_an_rgb_image_is_read_as_it_was_written(ending, tmp_path):
    pixels = noise(3)
    path = saved(tmp_path / f"a.{ending}", pixels, **({"lossless": True} if ending == "webp" else {}))
    ours = read_image(path)
    assert ours.dtype == np.uint8 and ours.flags.c_contiguous
    np.testing.assert_array_equal(ours, pixels)


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path):
    smooth = cv2.resize(noise(3, size=(4, 5)), (64, 48), interpolation=cv2.INTER_CUBIC)
    path = saved(tmp_path / "a.jpg", smooth, quality=95)
    with Image.open(path) as image:
        expected = np.asarray(image).astype(int)
    assert np.abs(read_image(path) - expected).max() <= 2  # decoders may round apart


def test_the_order_of_channels_is_red_green_blue(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (2, 2), (250, 100, 3)))
    assert read_image(path)[0, 0].tolist() == [250, 100, 3]


def test_a_grey_image_gets_three_equal_channels(tmp_path):
    pixels = noise()
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", pixels)), np.stack([pixels] * 3, -1))


def test_of_grey_with_transparency_the_grey_is_kept(tmp_path):
    pixels = noise(2)
    ours = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    np.testing.assert_array_equal(ours, pixels[..., [0, 0, 0]])


def test_of_rgb_with_transparency_the_colours_are_kept_unmixed(tmp_path):
    pixels = noise(4)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", pixels)), pixels[..., :3])


@pytest.mark.parametrize("options", [{}, {"transparency": 1}], ids=["opaque", "one colour transparent"])
def test_a_palette_image_is_read_in_its_colours(options, tmp_path):
    image = palette_image(noise(limit=7))
    ours = read_image(saved(tmp_path / "a.png", image, **options))
    np.testing.assert_array_equal(ours, np.asarray(image.convert("RGB")))


def test_a_black_and_white_image_is_0_and_255(tmp_path):
    pixels = noise(limit=2).astype(bool)
    ours = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    np.testing.assert_array_equal(ours, np.where(pixels, 255, 0)[..., None].repeat(3, -1))


def test_a_label_in_colours_is_read_as_an_image_is_and_called_a_label(tmp_path):
    pixels = noise(4)
    path = saved(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_label_colors(path), pixels[..., :3])
    path.write_bytes(b"no image")
    assert refusal(read_label_colors, path).startswith(f"label {path}")


def test_sixteen_bits_of_grey_are_scaled_to_eight(tmp_path):
    pixels = noise(dtype=np.uint16)
    pixels[0, :4] = [0, 128, 129, 65535]
    ours = read_image(saved(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(ours, np.round(pixels / 257)[..., None].repeat(3, -1))


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_colour_are_scaled_to_eight(channels, tmp_path):
    pixels = noise(channels, dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), pixels[..., [2, 1, 0, 3][:channels]])  # OpenCV's order is blue, green, red
    np.testing.assert_array_equal(read_image(path), np.round(pixels[..., :3] / 257))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_asked_for_an_image_is_turned_upright_as_pillow_does(orientation, ending, tmp_path):
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{ending}", exif=exif, **({"lossless": True} if ending == "webp" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / f"a.{ending}")))
    found = read_image(tmp_path / f"a.{ending}", upright=True)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=4 if ending == "jpg" else 0)  # two decoders of JPEG


def test_a_rotation_in_the_metadata_is_not_applied(tmp_path):
    # Labels are not rotated either, so an image and its label stay the same size.
    pixels = noise(3)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    ours = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(ours, pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_tiff_of_other_numbers_is_refused_by_their_name(dtype, tmp_path):
    path = saved(tmp_path / "a.tif", np.ones(SIZE, dtype))
    assert np.dtype(dtype).name in refusal(read_image, path)


def test_an_empty_image_file_is_called_empty(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    assert "empty" in refusal(read_image, path)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_truncated_image_is_refused_rather_than_half_read(kept, ending, tmp_path):
    path = saved(tmp_path / f"a.{ending}", noise(3, size=(80, 90)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert re.search(r"is cut off|is not an image", refusal(read_image, path))


def test_a_text_file_is_no_image(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("<html>404</html>")
    assert "not an image" in refusal(read_image, path)


def test_a_missing_image_and_a_folder_are_named(tmp_path):
    assert "No such file" in refusal(read_image, tmp_path / "nowhere.png")
    assert "Is a directory" in refusal(read_image, tmp_path)


# Labels


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_a_grey_label_is_its_numbers(ending, tmp_path):
    pixels = noise()
    ours = read_label(saved(tmp_path / f"a.{ending}", pixels))
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, pixels)


def test_a_palette_label_is_its_indices_not_its_colours(tmp_path):
    indices = noise(limit=200)
    np.testing.assert_array_equal(read_label(saved(tmp_path / "a.png", palette_image(indices))), indices)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_palette_label_of_few_bits_is_its_indices(bits, tmp_path):
    indices = noise(limit=2**bits)
    image = Image.fromarray(indices)
    image.putpalette(list(range(3 * 2**bits)))
    path = saved(tmp_path / "a.png", image, bits=bits)
    assert path.read_bytes()[24] == bits  # the depth in the PNG's header
    np.testing.assert_array_equal(read_label(path), indices)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_grey_label_of_few_bits_is_its_numbers(bits, tmp_path):
    numbers = noise(limit=2**bits)
    path = tmp_path / "a.png"
    path.write_bytes(png(bits, numbers))
    np.testing.assert_array_equal(read_label(path), numbers)


@pytest.mark.parametrize(
    ("mode", "channels"), [("RGB", (3,)), ("RGBA", (4,)), ("LA", (2,)), ("I;16", ())], ids=lambda value: str(value)
)
def test_a_label_of_more_than_one_byte_a_pixel_is_refused_by_its_mode(mode, channels, tmp_path):
    path = saved(tmp_path / "a.png", noise(*channels, dtype=np.uint16 if mode == "I;16" else np.uint8))
    message = refusal(read_label, path)
    assert f"mode {mode};" in message and "expected one byte" in message


@pytest.mark.parametrize(("content", "what"), [(b"", "is an empty file"), (b"<html>404</html>", "is not an image")])
def test_a_file_that_is_no_image_is_no_label(content, what, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert what in refusal(read_label, path)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_truncated_label_is_refused_rather_than_half_read(kept, tmp_path):
    path = saved(tmp_path / "a.png", noise(size=(80, 90)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refusal(read_label, path)


def test_a_label_with_a_damaged_byte_is_refused(tmp_path):
    path = saved(tmp_path / "a.png", noise(size=(80, 90)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refusal(read_label, path)


def test_a_missing_label_and_a_folder_are_named(tmp_path):
    assert "No such file" in refusal(read_label, tmp_path / "nowhere.png")
    assert "Is a directory" in refusal(read_label, tmp_path)


@pytest.mark.parametrize("read", [read_image, read_label])
def test_a_header_that_promises_ten_thousand_million_pixels_is_bad_input(read, tmp_path):
    path = tmp_path / "a.png"
    content = bytearray(png(8, noise()))
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    refusal(read, path)


# Normalisation


def test_normalising_is_imagenet_s_formula():
    images = noise(3, size=(2, 5, 6))
    expected = (images / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    ours = normalise(jnp.asarray(images))
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_the_mean_colour_becomes_nought_to_half_a_grey_level():
    ours = normalise(jnp.asarray(MEAN_COLOR, jnp.uint8))
    assert np.all(np.abs(ours) <= 0.5 / 255 / np.array([0.229, 0.224, 0.225]) + 1e-6)


def test_normalising_what_is_no_byte_is_refused_by_its_dtype():
    with pytest.raises(InputError, match="float32; expected uint8"):
        normalise(jnp.zeros((2, 2, 3), jnp.float32))


# Damaged and hostile files

FAULT = "images that are truncated, decompression bombs, or random bytes"
HOSTILE = pytest.mark.fault(FAULT)


@HOSTILE
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_an_image_that_is_cut_off_anywhere_is_refused(ending, tmp_path):
    content = saved(tmp_path / f"a.{ending}", noise(3, size=(40, 30))).read_bytes()
    read_image(tmp_path / f"a.{ending}")
    for left in range(0, len(content) - 13, max(1, len(content) // 23)):
        (tmp_path / f"b.{ending}").write_bytes(content[:left])
        refusal(read_image, tmp_path / f"b.{ending}")


@HOSTILE
def test_a_jpeg_with_a_thumbnail_and_a_trailer_is_read_and_refused_when_it_is_cut_off(tmp_path):
    thumbnail = saved(tmp_path / "small.jpg", noise(3, size=(8, 8))).read_bytes()
    content = saved(tmp_path / "a.jpg", noise(3, size=(40, 30))).read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    path = tmp_path / "with.jpg"
    path.write_bytes(content[:2] + segment + content[2:] + b"a film \xff\xda of the moment")
    np.testing.assert_array_equal(read_image(path), read_image(tmp_path / "a.jpg"))
    path.write_bytes((content[:2] + segment + content[2:])[:-300])
    assert "is cut off" in refusal(read_image, path)


@HOSTILE
@pytest.mark.parametrize("read", [read_image, read_label])
def test_a_header_that_promises_more_pixels_than_memory_is_refused_unread(read, tmp_path):
    path = tmp_path / "bomb.png"
    honest = png(8, np.zeros((2, 2), int))
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path.write_bytes(honest[:16] + header + checksum + honest[33:])
    refusal(read, path)


@pytest.mark.fault(FAULT, tried=150)
@pytest.mark.parametrize("read", [read_image, read_label])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_are_an_image_or_refused(read, data, tmp_path_factory):
    base = tmp_path_factory.getbasetemp() / "fuzz"
    base.mkdir(exist_ok=True)
    ending = data.draw(st.sampled_from(["png", "jpg", "bmp", "tif", "webp"]))
    content = bytearray(saved(base / f"good.{ending}", noise(size=(12, 10))).read_bytes())
    if data.draw(st.booleans()):
        content = bytearray(data.draw(st.binary(max_size=200)))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8)):
        if content:
            content[place % len(content)] = value
    path = base / f"fuzzed.{ending}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        assert read(path).dtype == np.uint8
    except InputError as error:
        assert "\n" not in str(error) and str(path) in str(error)
