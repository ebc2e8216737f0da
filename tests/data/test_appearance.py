"""Augmentations of appearance against closed forms and loops."""

import itertools

import numpy as np
import pytest
from reference_augment import COVARIANCE, drawn, record

from gun_jax.data.appearance import (
    Blur,
    ColorJitter,
    GammaJitter,
    Grey,
    JpegArtefacts,
    LightingJitter,
    Noise,
    color_covariance,
)
from gun_jax.errors import InputError

# Colour jitter


class Chosen:
    """A generator that gives the order and the factors that it is told."""

    def __init__(self, order, factors):
        self.order, self.factors = order, iter(factors)

    def permutation(self, count):
        assert count == len(self.order)
        return self.order

    def uniform(self, smallest, largest):
        factor = next(self.factors)
        assert smallest <= factor <= largest
        return factor


def grey_of(pixel):
    """ITU-R BT.601's luma."""
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def jittered_by_loops(image, order, factors):
    """Pixel by pixel: 0 mixes with black, 1 with the mean grey of the image, 2 with the pixel's own grey."""
    pixels = [[float(value) for value in pixel] for pixel in image.reshape(-1, 3)]
    for change, factor in zip(order, factors, strict=True):
        mean = sum(map(grey_of, pixels)) / len(pixels)
        for pixel in pixels:
            other = {0: 0.0, 1: mean, 2: grey_of(pixel)}[change]
            pixel[:] = [factor * value + (1 - factor) * other for value in pixel]
    return np.clip(np.reshape(pixels, image.shape), 0, 255)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_colour_jitter_is_brightness_contrast_and_saturation_in_the_order_drawn(order):
    image = np.random.default_rng(1).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    for factors in ((0.7, 1.3, 1.2), (1.4, 0.6, 0.9)):
        result = ColorJitter(0.4).random_map({"image": image, "label": image[..., 0]}, Chosen(order, factors))
        np.testing.assert_allclose(result["image"], jittered_by_loops(image, order, factors), atol=0.502)


def test_colour_jitter_draws_every_order_and_factors_over_the_whole_range():
    class Listening:
        def __init__(self):
            self.rng, self.orders, self.factors = np.random.default_rng(0), [], []

        def permutation(self, count):
            self.orders.append(tuple(self.rng.permutation(count).tolist()))
            return self.orders[-1]

        def uniform(self, smallest, largest):
            self.factors.append(self.rng.uniform(smallest, largest))
            return self.factors[-1]

    listening = Listening()
    for _ in range(600):
        ColorJitter(0.4).random_map(record(4, 4), listening)
    counts = [listening.orders.count(order) for order in itertools.permutations(range(3))]
    assert min(counts) > 70  # of 100 expected
    assert len(listening.factors) == 1800
    assert 0.6 <= min(listening.factors) < 0.605 and 1.395 < max(listening.factors) <= 1.4


def test_no_colour_jitter_changes_nothing():
    (result,) = drawn(ColorJitter(0.0), record(20, 24), 1)
    np.testing.assert_array_equal(result["image"], record(20, 24)["image"])


# Lighting jitter


def test_lighting_jitter_adds_one_colour_to_all_pixels_and_leaves_the_label():
    source = {"image": np.full((5, 6, 3), 128, np.uint8), "label": np.zeros((5, 6), np.uint8)}
    for result in drawn(LightingJitter(0.5, COVARIANCE), source, 20):
        assert len(np.unique(result["image"].reshape(-1, 3), axis=0)) == 1
        np.testing.assert_array_equal(result["label"], source["label"])


def test_lighting_jitter_has_the_covariance_of_the_formula():
    # The noise is P (a * l) with a ~ N(0, s): its covariance is s^2 P diag(l^2) P^T = s^2 C C, whatever signs P has.
    covariance, sigma = 9 * np.asarray(COVARIANCE), 0.1
    source = {"image": np.full((1, 1, 3), 128, np.uint8), "label": np.zeros((1, 1), np.uint8)}
    noise = np.array([one["image"][0, 0] for one in drawn(LightingJitter(sigma, covariance), source, 20_000)]) - 128.0
    expected = 255**2 * sigma**2 * covariance @ covariance + np.eye(3) / 12  # and that of rounding to whole numbers
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.5)
    np.testing.assert_allclose(np.cov(noise.T), expected, rtol=0.05)


def test_lighting_jitter_ends_at_black_and_white():
    for value in (0, 255):
        source = {"image": np.full((1, 1, 3), value, np.uint8), "label": np.zeros((1, 1), np.uint8)}
        seen = np.array([one["image"][0, 0] for one in drawn(LightingJitter(2.0, COVARIANCE), source, 200)])
        assert (np.abs(seen.astype(int) - value) <= 200).all() and (seen == value).any() and (seen != value).any()


def test_the_colour_covariance_is_that_of_all_pixels():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3)).astype(np.uint8)
    images[..., 1] //= 3
    source = [{"image": image} for image in images]
    expected = np.cov(images.reshape(-1, 3).T / 255, bias=True)
    np.testing.assert_allclose(color_covariance(source), expected, atol=1e-12)
    ends = np.cov(images[[0, 2, 4]].reshape(-1, 3).T / 255, bias=True)
    np.testing.assert_allclose(color_covariance(source, images=3), ends, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: ColorJitter(-0.1), lambda: ColorJitter(1.1), lambda: LightingJitter(-1.0, COVARIANCE)]
)
def test_impossible_jitters_stop_with_one_line(make):
    with pytest.raises(InputError, match=r"jitter of .*; expected") as error:
        make()
    assert "\n" not in str(error.value)


# Other changes of appearance


def test_gamma_raises_grey_levels_to_a_power_between_the_bounds():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, -1)
    powers = []
    for result in drawn(GammaJitter(1.0), {"image": levels, "label": levels[..., 0], "id": "x"}, 200):
        image = result["image"][0, :, 0].astype(np.float64)
        power = np.log(image[128] / 255) / np.log(128 / 255)
        np.testing.assert_allclose(image, 255 * (np.arange(256) / 255) ** power, atol=2)
        powers.append(power)
    assert 0.48 < min(powers) < 0.6 and 1.7 < max(powers) < 2.1


def test_every_other_image_is_blurred_by_a_gaussian():
    """A white pixel becomes the bell curve; its sum stays, and its variance is the square of the deviation."""
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    results = [result["image"] for result in drawn(Blur(3.0), {"image": image, "label": image[..., 0], "id": "x"}, 400)]
    changed = [result[..., 0].astype(np.float64) for result in results if not np.array_equal(result, image)]
    assert 160 < len(changed) < 240
    offsets = np.arange(41) - 20
    variances = [(one.sum(0) * offsets**2).sum() / one.sum() for one in changed if one.max() > 40]
    assert max(variances) < 1.2  # faint tails round to 0
    assert min(one.max() for one in changed) < 10  # of deviation 3: 255 / (2 pi 9) is 4.5


def test_noise_has_deviations_from_nothing_to_the_largest():
    grey = np.full((64, 64, 3), 128, np.uint8)
    results = drawn(Noise(20.0), {"image": grey, "label": grey[..., 0], "id": "x"}, 200)
    deviations = [result["image"].astype(np.float64).std() for result in results]
    assert 70 < sum(deviation == 0 for deviation in deviations) < 130
    assert max(deviations) == pytest.approx(20, abs=1) and all(abs(r["image"].mean() - 128) < 1.5 for r in results)


def test_a_share_of_the_images_is_grey_with_the_luma_of_bt_601():
    source = record(20, 24)
    results = [result["image"] for result in drawn(Grey(0.25), source, 400)]
    grey = [result for result in results if not np.array_equal(result, source["image"])]
    assert 70 < len(grey) < 130
    expected = np.rint(source["image"].astype(np.float64) @ (0.299, 0.587, 0.114))
    np.testing.assert_allclose(grey[0], np.stack([expected] * 3, -1), atol=1)


def test_jpeg_artefacts_are_small_at_a_high_quality_and_large_at_a_low_one():
    waves = 128 + 60 * np.sin(np.mgrid[:32, :32].sum(0) / 3)
    source = {"image": np.stack([waves] * 3, -1).astype(np.uint8), "id": "x"}
    errors = {}
    for lowest in (95, 5):
        results = [result["image"].astype(np.float64) for result in drawn(JpegArtefacts(lowest), source, 60)]
        errors[lowest] = [np.abs(result - source["image"]).mean() for result in results]
        assert 15 < sum(error == 0 for error in errors[lowest]) < 45
    assert max(errors[95]) < 1.5 and max(errors[5]) > 5
