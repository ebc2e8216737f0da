"""The sampler's values against the paper's equations as loops, `jax.image.resize`, closed forms and properties."""

import itertools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_sampling import MODES, example, paper_sum, sample

from gun_jax import guided_upsample
from gun_jax.ops.sampling import guided_argmax

SIZES = [  # upsampling: whole factors, odd and other factors, one axis only, maps of one pixel, no change
    ((4, 5), (8, 10)),
    ((3, 5), (7, 11)),
    ((7, 3), (8, 4)),
    ((2, 3), (31, 17)),
    ((9, 10), (13, 29)),
    ((30, 40), (360, 480)),
    ((16, 33), (128, 257)),
    ((6, 6), (6, 6)),
    ((5, 6), (5, 23)),
    ((1, 1), (6, 5)),
    ((1, 4), (9, 9)),
    ((5, 1), (12, 3)),
    ((1, 1), (1, 1)),
]


# Zero offsets


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_zero_offsets_with_nearest_are_nearest_resizing(source, target):
    features = np.random.default_rng(1).normal(size=(1, *source, 2)).astype(np.float32)
    ours = sample(features, np.zeros((1, *target, 2), np.float32), method="nearest")
    np.testing.assert_allclose(ours, jax.image.resize(features, (1, *target, 2), "nearest"), atol=1e-5)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_zero_offsets_with_bilinear_are_linear_resizing(source, target):
    features = np.random.default_rng(2).normal(size=(1, *source, 2)).astype(np.float32)
    ours = sample(features, np.zeros((1, *target, 2), np.float32), method="bilinear")
    with jax.enable_x64(True):  # in float32, wide maps of odd ratios are off by more than 1e-5 in resize itself
        expected = jax.image.resize(features.astype(np.float64), (1, *target, 2), "linear")
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 20), st.integers(0, 20), st.integers(0, 99))
def test_zero_offsets_are_resizing_at_any_upsampling_size(h, w, more_rows, more_columns, seed):
    target = (h + more_rows, w + more_columns)
    features = np.random.default_rng(seed).normal(size=(1, h, w, 1)).astype(np.float32)
    zeros = np.zeros((1, *target, 2), np.float32)
    for method, name in (("nearest", "nearest"), ("bilinear", "linear")):
        expected = jax.image.resize(features, (1, *target, 1), name)
        np.testing.assert_allclose(sample(features, zeros, method=method), expected, atol=1e-5)


def test_aligned_corners_carry_a_ramp_from_corner_to_corner():
    ramp = np.broadcast_to(np.linspace(-3, 5, 6, dtype=np.float32)[None, None, :, None], (1, 4, 6, 1))
    ours = sample(ramp, np.zeros((1, 9, 21, 2), np.float32), align_corners=True)
    np.testing.assert_allclose(ours[0, :, :, 0], np.broadcast_to(np.linspace(-3, 5, 21), (9, 21)), atol=1e-5)


# The equations


@pytest.mark.parametrize(("method", "padding", "align_corners"), MODES)
@pytest.mark.parametrize(("source", "target"), [((4, 5), (7, 9)), ((1, 3), (5, 4)), ((5, 4), (1, 6))])
def test_it_is_the_paper_s_sum_over_the_map(source, target, method, padding, align_corners):
    # For nearest the kinks lie half-way between pixels, where float32 and float64 may round apart.
    fractions = (-0.45, 0.45) if method == "nearest" else (-0.5, 0.5)
    features, offsets = example(source, target, seed=3, fractions=fractions, align_corners=align_corners)
    ours = sample(features, offsets, method=method, padding=padding, align_corners=align_corners)
    expected = paper_sum(features, offsets, method, padding, align_corners)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


class GuidedUpsample(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.parameters(("bilinear", "border", False), ("nearest", "zeros", True))
    def test_it_is_the_paper_s_sum(self, method, padding, align_corners):
        features, offsets = example(seed=12, fractions=(0.1, 0.4), align_corners=align_corners)
        options = {"method": method, "padding": padding, "align_corners": align_corners}
        found = self.variant(lambda features, offsets: guided_upsample(features, offsets, **options))(features, offsets)
        expected = paper_sum(features, offsets, method, padding, align_corners)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from(MODES),
    st.integers(0, 999),
)
def test_it_is_the_paper_s_sum_at_any_size(source, target, mode, seed):
    method, padding, align_corners = mode
    features, offsets = example(source, target, seed, fractions=(-0.45, 0.45), channels=1, align_corners=align_corners)
    ours = sample(features, offsets, method=method, padding=padding, align_corners=align_corners)
    np.testing.assert_allclose(ours, paper_sum(features, offsets, *mode), atol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize(("p", "q"), [(1, 0), (0, 1), (-2, 1)])
def test_whole_offsets_at_equal_size_shift_columns_by_p_and_rows_by_q(p, q, method):
    features = np.random.default_rng(4).normal(size=(1, 6, 7, 2)).astype(np.float32)
    offsets = np.broadcast_to(np.array([p, q], np.float32), (1, 6, 7, 2))
    rows, columns = np.clip(np.arange(6) + q, 0, 5), np.clip(np.arange(7) + p, 0, 6)
    np.testing.assert_array_equal(sample(features, offsets, method=method), features[:, rows][:, :, columns])


def test_nearest_rounds_a_half_up():
    features = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    offsets = np.zeros((1, 1, 4, 2), np.float32)
    offsets[..., 0] = [0.5, -0.5, 0.5, -0.5]
    np.testing.assert_array_equal(sample(features, offsets, method="nearest")[0, 0, :, 0], [1, 1, 3, 3])


def test_zeros_padding_fades_out_over_one_pixel():
    features = np.ones((1, 1, 3, 1), np.float32)
    offsets = np.zeros((1, 1, 3, 2), np.float32)
    offsets[0, 0, :, 0] = [-0.25, -1.75, 1.0]  # reads at x = -0.25, -0.75 and 3
    np.testing.assert_allclose(sample(features, offsets, padding="zeros")[0, 0, :, 0], [0.75, 0.25, 0.0], atol=1e-6)


# Properties


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from(MODES), st.floats(0, 50), st.integers(0, 999))
def test_the_output_stays_within_the_range_of_the_map(mode, size, seed):
    method, padding, align_corners = mode
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 2, (2, 4, 5, 3)).astype(np.float32)
    offsets = rng.normal(0, size, (2, 7, 9, 2)).astype(np.float32)
    ours = np.asarray(sample(features, offsets, method=method, padding=padding, align_corners=align_corners))
    bounds = np.append(features, 0.0) if padding == "zeros" else features
    assert bounds.min() - 1e-5 <= ours.min() and ours.max() <= bounds.max() + 1e-5


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.sampled_from(MODES), st.floats(-3, 3), st.integers(0, 999))
def test_it_is_linear_in_the_map(mode, factor, seed):
    options = dict(zip(("method", "padding", "align_corners"), mode, strict=True))
    (first, offsets), (second, _) = example(seed=seed), example(seed=seed + 1)
    together = sample(first + np.float32(factor) * second, offsets, **options)
    apart = sample(first, offsets, **options) + factor * sample(second, offsets, **options)
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize(("method", "padding", "align_corners"), MODES)
def test_swapping_the_axes_of_all_arrays_swaps_those_of_the_result(method, padding, align_corners):
    options = {"method": method, "padding": padding, "align_corners": align_corners}
    features, offsets = example(seed=5)
    swapped = sample(features.transpose(0, 2, 1, 3), offsets.transpose(0, 2, 1, 3)[..., ::-1], **options)
    np.testing.assert_allclose(swapped.transpose(0, 2, 1, 3), sample(features, offsets, **options), atol=1e-6)


def test_nearest_copies_whole_pixels_of_the_same_image():
    features, offsets = example(seed=6)
    ours = np.asarray(sample(features, offsets, method="nearest"))
    for image, result in zip(features, ours, strict=True):
        pixels = {tuple(pixel) for pixel in image.reshape(-1, 3)}
        assert {tuple(pixel) for pixel in result.reshape(-1, 3)} <= pixels


# Dtypes


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_bfloat16_maps_stay_bfloat16_and_near_float32(method):
    features, offsets = example(seed=16)
    ours = sample(jnp.asarray(features, jnp.bfloat16), offsets, method=method)
    assert ours.dtype == jnp.bfloat16
    # Half a unit in the last place of 8 bits, once for the input and once for the output, of values below 4.
    np.testing.assert_allclose(ours.astype(jnp.float32), sample(features, offsets, method=method), atol=2**-5)


def test_a_bfloat16_mixture_is_rounded_once():
    features, offsets = example(seed=17)
    features = jnp.asarray(features, jnp.bfloat16)
    exact = paper_sum(np.asarray(features, np.float64), offsets, "bilinear", "border", False)
    ours = np.asarray(sample(features, offsets), np.float64)
    assert np.all(np.abs(ours - exact) <= 2**-8 * np.abs(exact) + 1e-6)


def test_bfloat16_offsets_count_as_the_float32_ones_they_stand_for():
    features, offsets = example(seed=18)
    coarse = jnp.asarray(offsets, jnp.bfloat16)
    np.testing.assert_array_equal(sample(features, coarse), sample(features, coarse.astype(jnp.float32)))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_nearest_takes_maps_of_whole_numbers(dtype):
    labels = np.random.default_rng(19).integers(0, 20, (2, 4, 5, 1)).astype(dtype)
    _, offsets = example(fractions=(-0.4, 0.4))
    ours = sample(labels, offsets, method="nearest")
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, paper_sum(labels, offsets, "nearest", "border", False).astype(dtype))


# Offsets that no network should predict


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("far", [np.inf, 3e38, 1e10, 2.0**31])
def test_far_offsets_end_at_the_border_pixel(far, method):
    features = example(seed=20)[0]
    directions = [(-1, -1), (1, -1), (-1, 1), (1, 1)]
    offsets = np.array([[far * dx, far * dy] for dx, dy in directions], np.float32)
    ours = sample(features, np.broadcast_to(offsets.reshape(1, 2, 2, 2), (2, 2, 2, 2)), method=method)
    np.testing.assert_array_equal(ours, features[:, [0, -1]][:, :, [0, -1]])


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("far", [np.inf, -np.inf, 3e38, -1e10, 2.0**31])
def test_far_offsets_read_zero_with_zeros_padding(far, method):
    features = example(seed=21)[0]
    ours = sample(features, np.full((2, 6, 6, 2), far, np.float32), method=method, padding="zeros")
    assert not np.any(ours)


@pytest.mark.parametrize(("method", "padding"), list(itertools.product(("bilinear", "nearest"), ("border", "zeros"))))
def test_an_offset_that_is_not_a_number_counts_as_none(method, padding):
    features, offsets = example(seed=22)
    broken, repaired = offsets.copy(), offsets.copy()
    broken[:, ::2, 1::2, 0], repaired[:, ::2, 1::2, 0] = np.nan, 0.0
    broken[:, 1::3, :, 1], repaired[:, 1::3, :, 1] = np.nan, 0.0
    expected = sample(features, repaired, method=method, padding=padding)
    np.testing.assert_array_equal(sample(features, broken, method=method, padding=padding), expected)


# Bad input


@pytest.mark.parametrize(
    ("features", "offsets", "named"),
    [
        ((4, 5, 3), (1, 8, 10, 2), "(4, 5, 3)"),
        ((1, 4, 5, 3), (8, 10, 2), "(8, 10, 2)"),
        ((1, 4, 5, 3), (1, 8, 10, 3), "(1, 8, 10, 3)"),
        ((2, 4, 5, 3), (3, 8, 10, 2), "(2, 4, 5, 3)"),
        ((1, 0, 5, 3), (1, 8, 10, 2), "(1, 0, 5, 3)"),
    ],
)
def test_shapes_that_do_not_fit_are_named_on_one_line(features, offsets, named):
    with pytest.raises(ValueError, match=re.escape(named)) as error:
        guided_upsample(jnp.zeros(features), jnp.zeros(offsets))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["method", "padding"])
def test_an_unknown_option_is_named_on_one_line(option):
    with pytest.raises(ValueError, match=f"{option} 'cubic'") as error:
        guided_upsample(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 4, 4, 2)), **{option: "cubic"})
    assert "\n" not in str(error.value)


def test_mixtures_of_whole_numbers_are_refused_and_nearest_takes_them():
    features, offsets = example()
    whole = features.astype(np.int32)
    with pytest.raises(ValueError, match="features of int32 have no mixtures; use method='nearest'"):
        guided_upsample(whole, offsets)
    assert guided_upsample(whole, offsets, method="nearest").dtype == np.int32


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_offsets_of_whole_numbers_are_refused(method):
    features, offsets = example()
    with pytest.raises(ValueError, match="offsets of int32; expected floating numbers of pixels"):
        guided_upsample(features, offsets.astype(np.int32), method=method)


@pytest.mark.parametrize(("method", "padding", "align_corners"), MODES)
@pytest.mark.parametrize("classes", [1, 2, 19, 70])
def test_guided_argmax_is_the_argmax_of_the_upsampled_logits(classes, method, padding, align_corners):
    rng = np.random.default_rng(classes)
    logits = rng.normal(size=(2, 7, 9, classes)).astype(np.float32)
    logits[0] = rng.integers(0, 2, logits[0].shape)  # with many that are equal
    offsets = rng.normal(0, 3, (2, 61, 50, 2)).astype(np.float32)
    options = {"method": method, "padding": padding, "align_corners": align_corners}
    upsampled = jax.jit(lambda logits, offsets: guided_upsample(logits, offsets, **options))(logits, offsets)
    labels = jax.jit(lambda logits, offsets: guided_argmax(logits, offsets, **options))(logits, offsets)
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels, np.argmax(upsampled, -1))


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_guided_argmax_takes_not_a_number_for_the_largest(method):
    logits = np.zeros((1, 2, 2, 4), np.float32)
    logits[0, 0, 0, 1:3] = np.nan
    logits[0, :, :, 3] = 5
    labels = guided_argmax(logits, np.zeros((1, 2, 2, 2), np.float32), method=method)
    assert labels[0, 0, 0] == 1


def test_guided_argmax_refuses_what_guided_upsample_refuses():
    with pytest.raises(ValueError, match="cubic"):
        guided_argmax(np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 4, 4, 2), np.float32), method="cubic")
    with pytest.raises(ValueError, match="expected"):
        guided_argmax(np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 4, 4), np.float32))
