"""Colours of overlays, their outlines and their legend."""

import numpy as np
import pytest

from gun_jax.data.classes import CAMVID, CITYSCAPES
from gun_jax.visualisation.palettes import draw_legend, draw_outlines, overlay_palette


def lab(colors):
    """CIELAB of sRGB colours by its formulas, for D65."""
    linear = np.asarray(colors, np.float64) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    scaled = linear @ np.transpose(to_xyz) / [0.9505, 1, 1.089]
    roots = np.where(scaled > (6 / 29) ** 3, np.cbrt(scaled), scaled / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@pytest.mark.parametrize("ground", [0, 80, 160, 255], ids="on grey {}".format)
def test_the_overlay_colours_of_camvid_can_be_told_apart_over_dark_and_light_images(ground):
    """A difference of 2 can be seen side by side; half of the image shows through."""
    mixed = lab(overlay_palette(CAMVID)[:11] * 0.5 + ground * 0.5)
    distances = np.linalg.norm(mixed[:, None] - mixed[None], axis=-1)[~np.eye(11, dtype=bool)]
    own = lab(CAMVID.palette()[:11] * 0.5 + ground * 0.5)
    before = np.linalg.norm(own[:, None] - own[None], axis=-1)[~np.eye(11, dtype=bool)]
    assert distances.min() > 18 and distances.min() > before.min()


def test_no_class_looks_like_the_bare_image():
    for ground in (40, 80, 120, 160):
        mixed, bare = lab(overlay_palette(CAMVID)[:11] * 0.5 + ground * 0.5), lab([ground] * 3)
        assert np.linalg.norm(mixed - bare, axis=-1).min() > 17


def test_other_classes_keep_their_colours_in_overlays():
    np.testing.assert_array_equal(overlay_palette(CITYSCAPES), CITYSCAPES.palette())


def test_outlines_are_the_pixels_before_another_class():
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    image = np.full((3, 3, 3), 200, np.uint8)
    dark = draw_outlines(image, labels)[..., 0] < 100
    np.testing.assert_array_equal(dark, [[False, True, False], [True, True, True], [False, False, False]])
    assert (image == 200).all()


def test_the_legend_names_the_classes_that_occur_the_largest_first():
    labels = np.zeros((240, 320), np.uint8)
    labels[:80] = 8
    image = np.full((240, 320, 3), 7, np.uint8)
    drawn = draw_legend(image, labels, CAMVID.names, overlay_palette(CAMVID))
    changed = (drawn != image).any(-1)
    assert drawn.shape == image.shape and 0 < changed.mean() < 0.3 and not changed[:200].any()
    shown = [tuple(color) for color in overlay_palette(CAMVID)[:11].tolist() if (drawn == color).all(-1).sum() > 20]
    places = {color: np.argwhere((drawn == color).all(-1))[:, 1].min() for color in shown}
    colors = [tuple(color) for color in overlay_palette(CAMVID)[[0, 8]].tolist()]
    assert [color for color in sorted(places, key=places.get) if color != (255, 255, 255)] == colors


def test_an_image_too_small_for_a_legend_has_none():
    image = np.full((12, 20, 3), 7, np.uint8)
    np.testing.assert_array_equal(draw_legend(image, image[..., 0], ["a"] * 8, CAMVID.palette()), image)
