"""Augmentations against closed forms, on images that tell from where each pixel came."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

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
from gun_jax.data.augment import RandomCrop, RandomFlip, RandomScale
from gun_jax.errors import InputError

MEAN_COLOR = (124, 116, 104)  # 255 times ImageNet's 0.485, 0.456, 0.406
COVARIANCE = ((0.08, 0.06, 0.05), (0.06, 0.07, 0.06), (0.05, 0.06, 0.09))  # of colours from 0 to 1
TRANSFORMS = [RandomScale(), RandomCrop((5, 7)), RandomCrop((30, 40)), RandomFlip(), ColorJitter(0.4),
              LightingJitter(0.5, COVARIANCE), RandomCrop((5, 7), 0.5), GammaJitter(0.5), Blur(2.0), Noise(20.0),
              Grey(0.5), JpegArtefacts(20)]  # fmt: skip


def record(height, width):
    """A record whose pixels say their place: red the row, green the column, blue and label both in one number."""
    rows, columns = np.mgrid[:height, :width]
    place = (16 * rows + columns) % 251
    return {"image": np.stack([rows, columns, place], -1).astype(np.uint8), "label": place.astype(np.uint8), "id": "x"}


def patches(height, width, seed, step=16):
    """An image of grey patches, each with its label for grey value: what is right in one is right in the other."""
    values = np.random.default_rng(seed).choice([0, 60, 120, 180, 240], (-(-height // step), -(-width // step)))
    label = values.repeat(step, 0).repeat(step, 1)[:height, :width].astype(np.uint8)
    return {"image": np.stack([label] * 3, -1), "label": label, "id": "x"}


def drawn(transform, record, count, seed=0):
    rng = np.random.default_rng(seed)
    return [transform.random_map(record, rng) for _ in range(count)]


# All of them


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_the_generator_alone_decides(transform):
    source = record(20, 24)
    results = [drawn(transform, source, 6, seed) for seed in (1, 1, 2)]
    contents = [[one["image"].tobytes() for one in result] for result in results]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_the_record_handed_in_is_left_as_it_was_and_keeps_its_id(transform):
    source, untouched = record(20, 24), record(20, 24)
    results = drawn(transform, source, 6)
    assert all(result["id"] == "x" for result in results)
    np.testing.assert_array_equal(source["image"], untouched["image"])
    np.testing.assert_array_equal(source["label"], untouched["label"])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_results_are_bytes_in_one_piece_of_one_size(transform):
    for result in drawn(transform, record(20, 24), 6):
        assert result["image"].shape == (*result["label"].shape, 3)
        for array in (result["image"], result["label"]):
            assert array.dtype == np.uint8 and array.flags.c_contiguous


# Scale


@pytest.mark.parametrize(("smallest", "largest"), [(0.5, 2.0), (0.8, 1.25), (1.0, 3.0)])
@pytest.mark.parametrize("distribution", ["log_uniform", "uniform"])
def test_factors_have_their_distribution_by_the_test_of_kolmogorov_and_smirnov(smallest, largest, distribution):
    transform = RandomScale(smallest, largest, distribution)
    widths = np.array([result["label"].shape[1] for result in drawn(transform, record(2, 1000), 1000)])
    factors = np.sort(widths / 1000)
    assert smallest <= factors[0] and factors[-1] <= largest
    closed_form = (factors - smallest) / (largest - smallest)
    if distribution == "log_uniform":
        closed_form = np.log(factors / smallest) / np.log(largest / smallest)
    steps = np.arange(1001) / 1000
    distance = max(np.abs(closed_form - steps[1:]).max(), np.abs(closed_form - steps[:-1]).max())
    assert distance < 1.63 / np.sqrt(1000)  # the 1 % point; in [0.5, 2] the two distributions are 0.17 apart


def test_the_default_is_the_paper_s_half_to_double():
    assert dataclasses.astuple(RandomScale()) == (0.5, 2.0, "log_uniform")


def test_both_sides_are_scaled_by_one_factor():
    for result in drawn(RandomScale(), record(80, 250), 40):
        height, width = result["label"].shape
        assert abs(height / 80 - width / 250) <= 0.5 / 80 + 0.5 / 250


def test_an_image_of_one_pixel_keeps_at_least_one():
    assert all(min(result["label"].shape) >= 1 for result in drawn(RandomScale(0.1, 0.2), record(1, 1), 5))


def test_a_factor_of_one_changes_nothing():
    source = record(7, 9)
    result = RandomScale(1.0, 1.0).random_map(source, np.random.default_rng(0))
    np.testing.assert_array_equal(result["image"], source["image"])
    np.testing.assert_array_equal(result["label"], source["label"])


@pytest.mark.parametrize("factor", [0.5, 0.61, 0.93, 1.27, 1.5, 1.9, 2.0])
def test_a_label_is_that_of_the_pixel_whose_centre_is_nearest(factor):
    source = record(50, 70)
    label = RandomScale(factor, factor).random_map(source, np.random.default_rng(0))["label"]
    height, width = label.shape
    for i, j in np.ndindex(height, width):
        y, x = (i + 0.5) * 50 / height - 0.5, (j + 0.5) * 70 / width - 0.5
        # Where two centres are as near, either will do.
        rows, columns = ({int(np.rint(at - 1e-6)), int(np.rint(at + 1e-6))} for at in (y, x))
        assert label[i, j] in {source["label"][row, column] for row in rows for column in columns}


@pytest.mark.parametrize("factor", [0.25, 0.375, 0.5])
def test_an_image_shrunk_to_a_half_or_less_is_the_mean_of_what_each_pixel_covers(factor):
    image = np.random.default_rng(3).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    source = {"image": image, "label": image[..., 0], "id": "x"}
    ours = RandomScale(factor, factor).random_map(source, np.random.default_rng(0))["image"]
    expected = image.astype(float)
    for axis, length in ((0, 16), (1, 24)):
        edges = np.arange(round(length * factor) + 1) / factor
        pixels = np.arange(length)
        shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        expected = np.moveaxis(np.tensordot(np.maximum(shared, 0) * factor, expected, (1, axis)), 0, axis)
    assert np.abs(ours - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.25, 2.0])
def test_from_a_half_on_an_image_is_mixed_linearly_between_pixel_centres(factor):
    image = np.random.default_rng(4).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    source = {"image": image, "label": image[..., 0], "id": "x"}
    ours = RandomScale(factor, factor).random_map(source, np.random.default_rng(0))["image"]
    expected = image.astype(float)
    for axis, length in ((0, 8), (1, 12)):
        positions = np.clip((np.arange(round(factor * length)) + 0.5) / factor - 0.5, 0, length - 1)
        weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(length)))
        expected = np.moveaxis(np.tensordot(weights, expected, (1, axis)), 0, axis)
    assert np.abs(ours - expected).max() <= 1  # OpenCV mixes in whole numbers of 11 bits


@pytest.mark.parametrize("seed", range(8))
def test_image_and_label_stay_aligned_at_any_scale(seed):
    result = RandomScale().random_map(patches(96, 128, seed), np.random.default_rng(seed))
    label, grey = result["label"].astype(int), result["image"][..., 1].astype(int)
    inner = np.ones(label.shape, bool)  # pixels whose neighbours all have their label
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        same = label == np.roll(label, (rows, columns), (0, 1))
        inner &= same & np.roll(same, (-rows, -columns), (0, 1))
    assert inner.mean() > 0.5
    np.testing.assert_array_equal(grey[inner], label[inner])


@pytest.mark.parametrize(("smallest", "largest"), [(0, 1), (-1, 2), (2, 1), (float("nan"), 2)])
def test_impossible_scales_stop_with_one_line(smallest, largest):
    with pytest.raises(InputError, match=f"from {smallest} to {largest}; expected") as error:
        RandomScale(smallest, largest)
    assert "\n" not in str(error.value)


# Crop


def test_a_crop_is_a_window_of_the_image_and_of_the_label_at_one_place():
    source = record(11, 13)
    for result in drawn(RandomCrop((4, 6)), source, 50):
        top, left = result["image"][0, 0, :2].astype(int)
        assert 0 <= top <= 7 and 0 <= left <= 7
        np.testing.assert_array_equal(result["image"], source["image"][top : top + 4, left : left + 6])
        np.testing.assert_array_equal(result["label"], source["label"][top : top + 4, left : left + 6])


def test_every_place_of_a_window_is_as_likely():
    results = drawn(RandomCrop((4, 6)), record(7, 10), 4000)
    places = np.array([result["image"][0, 0, :2] for result in results], int)
    counts = np.zeros((4, 5))
    np.add.at(counts, tuple(places.T), 1)
    # Chi-square of 20 places: 19 degrees of freedom, 36.2 is the 1 % point; a place never reached adds 200.
    assert ((counts - 200) ** 2 / 200).sum() < 36.2


def test_a_small_image_lies_anywhere_in_the_window_within_mean_colour_and_ignored_label():
    source = record(3, 4)
    places = set()
    for result in drawn(RandomCrop((5, 7)), source, 400):
        rows, columns = np.nonzero(result["label"] != 255)
        top, left = rows.min(), columns.min()
        inside = np.s_[top : top + 3, left : left + 4]
        np.testing.assert_array_equal(result["image"][inside], source["image"])
        np.testing.assert_array_equal(result["label"][inside], source["label"])
        outside = np.ones((5, 7), bool)
        outside[inside] = False
        assert (result["label"][outside] == 255).all() and (result["image"][outside] == MEAN_COLOR).all()
        places.add((int(top), int(left)))
    assert places == {(top, left) for top in range(3) for left in range(4)}


def test_an_image_that_is_small_in_one_direction_is_padded_there_and_cut_in_the_other():
    source = record(4, 30)
    places = set()
    for result in drawn(RandomCrop((6, 8)), source, 400):
        assert result["label"].shape == (6, 8)
        top = int(np.nonzero(result["label"][:, 0] != 255)[0].min())
        left = int(result["image"][top, 0, 1])
        np.testing.assert_array_equal(result["label"][top : top + 4], source["label"][:, left : left + 8])
        np.testing.assert_array_equal(result["image"][top : top + 4], source["image"][:, left : left + 8])
        places.add((top, left))
    assert {top for top, _ in places} == {0, 1, 2} and {left for _, left in places} == set(range(23))


def test_a_window_of_the_image_s_size_is_the_image():
    source = record(9, 12)
    result = RandomCrop((9, 12)).random_map(source, np.random.default_rng(0))
    np.testing.assert_array_equal(result["image"], source["image"])


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (3,)])
def test_impossible_windows_stop_with_one_line(size):
    with pytest.raises(InputError, match=f"{re.escape(str(size))}; expected") as error:
        RandomCrop(size)
    assert "\n" not in str(error.value)


def test_a_window_without_a_size_has_that_of_the_image_before_its_scale():
    generator = np.random.default_rng(0)
    for factor in (0.5, 2.0):
        scaled = RandomScale(factor, factor).random_map(record(9, 12), generator)
        result = RandomCrop().random_map(scaled, generator)
        assert result["label"].shape == (9, 12) and result["image"].shape == (9, 12, 3)
    assert RandomCrop().random_map(record(9, 12), generator)["label"].shape == (9, 12)


# Flip


def test_a_flip_mirrors_image_and_label_left_to_right_every_other_time():
    source = record(5, 8)
    mirrored = 0
    for result in drawn(RandomFlip(), source, 1000):
        flipped = result["label"][0, 0] != source["label"][0, 0]
        for key in ("image", "label"):
            np.testing.assert_array_equal(result[key], np.fliplr(source[key]) if flipped else source[key])
        mirrored += flipped
    assert abs(mirrored - 500) < 2.58 * np.sqrt(250)  # the 1 % points of a fair coin


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


def test_rare_crops_hold_each_class_about_equally_often():
    """A class of one pixel is in half of the windows, instead of one in hundreds."""
    label = np.zeros((40, 60), np.uint8)
    label[33, 7] = 1
    source = {"image": np.stack([label] * 3, -1), "label": label, "id": "x"}
    held = [1 in result["label"] for result in drawn(RandomCrop((5, 6), 1.0), source, 400)]
    assert 160 < sum(held) < 250
    plain = [1 in result["label"] for result in drawn(RandomCrop((5, 6)), source, 400)]
    assert sum(plain) < 20


def test_rare_crops_of_an_image_without_labels_are_any_windows():
    source = record(20, 24) | {"label": np.full((20, 24), 255, np.uint8)}
    assert {result["label"].shape for result in drawn(RandomCrop((5, 7), 1.0), source, 20)} == {(5, 7)}
