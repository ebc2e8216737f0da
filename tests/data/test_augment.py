"""Augmentations against closed forms, on images that tell from where each pixel came."""

import dataclasses
import re

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
)
from gun_jax.data.augment import RandomCrop, RandomFlip, RandomScale
from gun_jax.errors import InputError

MEAN_COLOR = (124, 116, 104)  # 255 times ImageNet's 0.485, 0.456, 0.406
TRANSFORMS = [RandomScale(), RandomCrop((5, 7)), RandomCrop((30, 40)), RandomFlip(), ColorJitter(0.4),
              LightingJitter(0.5, COVARIANCE), RandomCrop((5, 7), 0.5), GammaJitter(0.5), Blur(2.0), Noise(20.0),
              Grey(0.5), JpegArtefacts(20)]  # fmt: skip


def patches(height, width, seed, step=16):
    """An image of grey patches, each with its label for grey value: what is right in one is right in the other."""
    values = np.random.default_rng(seed).choice([0, 60, 120, 180, 240], (-(-height // step), -(-width // step)))
    label = values.repeat(step, 0).repeat(step, 1)[:height, :width].astype(np.uint8)
    return {"image": np.stack([label] * 3, -1), "label": label, "id": "x"}


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
