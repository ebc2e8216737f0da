"""The sampler against the paper's equations as loops, `jax.image.resize`, closed forms and properties."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from gun_jax import guided_upsample

MODES = list(itertools.product(("bilinear", "nearest"), ("border", "zeros"), (False, True)))
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
sample = functools.partial(jax.jit, static_argnames=("method", "align_corners", "padding", "straight_through"))(
    guided_upsample
)


def grid_position(index, source, target, align_corners):
    """Equation 1 for one output pixel along one axis, in Python's float64."""
    if align_corners:
        return 0.0 if target == 1 else index * (source - 1) / (target - 1)
    return (index + 0.5) * source / target - 0.5


def paper_sum(features, offsets, method, padding, align_corners):
    """Equations 2 and 4 as printed: for every output pixel, a sum over all pixels of the map, in float64."""
    batch, h, w, channels = features.shape
    height, width = offsets.shape[1:3]
    features, offsets = features.astype(np.float64), offsets.astype(np.float64)
    out = np.zeros((batch, height, width, channels))
    for i in range(height):
        for j in range(width):
            x = grid_position(j, w, width, align_corners) + offsets[:, i, j, 0]
            y = grid_position(i, h, height, align_corners) + offsets[:, i, j, 1]
            if padding == "border":  # coordinates end at the outermost pixel centres
                x, y = np.minimum(np.maximum(x, 0), w - 1), np.minimum(np.maximum(y, 0), h - 1)
            for n in range(h):
                for m in range(w):
                    if method == "nearest":
                        weight = (np.floor(x + 0.5) == m) * (np.floor(y + 0.5) == n)
                    else:
                        weight = np.maximum(0, 1 - np.abs(x - m)) * np.maximum(0, 1 - np.abs(y - n))
                    out[:, i, j] += weight[:, None] * features[:, n, m]
    return out


def offsets_that_read_at(fractions, source, target, align_corners, rng, batch=2, beyond=3):
    """Offsets (batch, H, W, 2) to random places, `beyond` pixels out at most, `fractions` right of a pixel centre."""
    out = np.zeros((batch, *target, 2))
    for axis, (small, large) in enumerate(((source[1], target[1]), (source[0], target[0]))):
        place = rng.integers(-beyond, small + beyond, (batch, *target)) + rng.uniform(*fractions, (batch, *target))
        grid = np.array([grid_position(i, small, large, align_corners) for i in range(large)])
        out[..., axis] = place - (grid if axis == 0 else grid[:, None])
    return out.astype(np.float32)


def example(source=(4, 5), target=(7, 9), seed=0, fractions=(0.1, 0.9), channels=3, beyond=3, align_corners=False):
    """A map and a table that keeps clear of the kinks of equation 4 (whole numbers)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, *source, channels)).astype(np.float32)
    return features, offsets_that_read_at(fractions, source, target, align_corners, rng, beyond=beyond)


def primitives(jaxpr):
    """Names of all primitives of a jaxpr and of the jaxprs nested in it."""
    names = set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        for leaf in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")):
            inner = getattr(leaf, "jaxpr", leaf)
            if hasattr(inner, "eqns"):
                names |= primitives(inner)
    return names


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


# Gradients


@pytest.mark.parametrize(("padding", "align_corners"), list(itertools.product(("border", "zeros"), (False, True))))
@pytest.mark.parametrize("argument", ["features", "offsets"])
def test_bilinear_gradients_are_those_of_finite_differences(argument, padding, align_corners):
    features, offsets = example((3, 4), (5, 6), seed=7, channels=2, align_corners=align_corners)
    options = {"padding": padding, "align_corners": align_corners}
    # Between two kinks equation 4 is linear in each coordinate, so a long step loses nothing to curvature.
    if argument == "features":
        check_grads(lambda f: sample(f, offsets, **options), (features,), order=1, atol=1e-2, rtol=1e-2, eps=1e-2)
    else:
        check_grads(lambda o: sample(features, o, **options), (offsets,), order=1, atol=1e-2, rtol=1e-2, eps=1e-2)


@functools.cache
def pull_back(method, padding, straight_through=False):
    """Gradients (map's, offsets') of a weighted sum of the output, with the weights and the inputs."""
    features, offsets = example(seed=8)
    weights = np.random.default_rng(9).normal(size=(2, 7, 9, 3)).astype(np.float32)

    def loss(features, offsets):
        out = guided_upsample(features, offsets, method=method, padding=padding, straight_through=straight_through)
        return jnp.sum(out * weights)

    return jax.jit(jax.grad(loss, (0, 1)))(features, offsets), weights, features, offsets


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_bilinear_offset_gradients_are_the_derivative_of_equation_4(padding):
    (_, gradient), weights, features, offsets = pull_back("bilinear", padding)
    # The derivative of max(0, 1 - |x - m|): 1 left of m, -1 right of it (Jaderberg et al., equation 7).
    expected = np.zeros(offsets.shape)
    for b, i, j in np.ndindex(2, 7, 9):
        grid = [grid_position(j, 5, 9, False), grid_position(i, 4, 7, False)]
        place = grid + offsets[b, i, j].astype(np.float64)
        inside = [0 < place[0] < 4, 0 < place[1] < 3] if padding == "border" else [True, True]
        x, y = np.clip(place, 0, [4, 3]) if padding == "border" else place
        for n, m in np.ndindex(4, 5):
            hat = np.maximum(0, [1 - abs(x - m), 1 - abs(y - n)])
            slope = np.array([np.sign(m - x), np.sign(n - y)]) * (hat > 0) * inside
            pull = weights[b, i, j] @ features[b, n, m]
            expected[b, i, j] += pull * slope * hat[::-1]
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


def test_nearest_gives_offsets_no_gradient():
    (_, gradient), *_ = pull_back("nearest", "border")
    assert not np.any(gradient)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_straight_through_lends_offsets_the_bilinear_gradient(padding):
    (_, borrowed), *_ = pull_back("nearest", padding, straight_through=True)
    (_, lent), *_ = pull_back("bilinear", padding)
    assert np.any(lent)
    np.testing.assert_array_equal(borrowed, lent)


def test_straight_through_leaves_the_map_s_gradient_to_nearest():
    (with_it, _), *_ = pull_back("nearest", "border", straight_through=True)
    (without, _), *_ = pull_back("nearest", "border")
    np.testing.assert_array_equal(with_it, without)


def test_straight_through_does_not_change_the_values():
    features, offsets = example(seed=10)
    plain = sample(features, offsets, method="nearest")
    np.testing.assert_array_equal(sample(features, offsets, method="nearest", straight_through=True), plain)


def test_straight_through_reads_a_map_that_is_not_finite_as_nearest_does():
    features, offsets = example(seed=10)
    features[0, ::2, ::2], features[1, 1::2] = np.inf, -np.inf
    plain = sample(features, offsets, method="nearest")
    assert np.any(np.isposinf(plain))
    np.testing.assert_array_equal(sample(features, offsets, method="nearest", straight_through=True), plain)


def test_straight_through_costs_nothing_where_nothing_is_differentiated():
    features, offsets = example(seed=10)
    programs = [
        sample.lower(features, offsets, method="nearest", straight_through=lent).as_text() for lent in (False, True)
    ]
    assert programs[0].count("gather") == programs[1].count("gather") > 0


def test_the_map_s_nearest_gradient_counts_how_often_a_pixel_is_read():
    features, offsets = example((3, 4), (8, 9), seed=11, fractions=(-0.4, 0.4), channels=1)
    counts = jax.jit(jax.grad(lambda f: guided_upsample(f, offsets, method="nearest").sum()))(features)
    number = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1).repeat(2, 0)
    read = paper_sum(number, offsets, "nearest", "border", False).astype(int).reshape(2, -1)
    expected = np.stack([np.bincount(image, minlength=12) for image in read])
    np.testing.assert_array_equal(counts.reshape(2, 12), expected)


def test_offsets_that_leave_a_border_padded_map_have_no_gradient():
    features = example()[0]
    offsets = np.full((2, 7, 9, 2), 40.0, np.float32)
    gradient = jax.jit(jax.grad(lambda o: jnp.square(guided_upsample(features, o)).sum()))(offsets)
    assert not np.any(gradient)


# Transformations


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_jit_changes_nothing(method):
    features, offsets = example(seed=12)
    plain = guided_upsample(features, offsets, method=method)
    np.testing.assert_allclose(sample(features, offsets, method=method), plain, atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_vmap_over_tables_is_a_loop_over_them(method):
    features, offsets = example(seed=13)
    tables = np.stack([offsets, 0.5 * offsets, -offsets])
    mapped = jax.jit(jax.vmap(functools.partial(guided_upsample, method=method), (None, 0)))(features, tables)
    looped = np.stack([sample(features, table, method=method) for table in tables])
    np.testing.assert_allclose(mapped, looped, atol=1e-6)


def test_the_gradient_under_vmap_and_jit_is_the_plain_one():
    features, offsets = example(seed=14)

    def loss(features, offsets):
        return jnp.square(guided_upsample(features[None], offsets[None])).sum()

    gradient = jax.grad(loss, (0, 1))
    plain = [gradient(feature, offset) for feature, offset in zip(jnp.asarray(features), offsets, strict=True)]
    mapped = jax.jit(jax.vmap(gradient))(features, offsets)
    for side in (0, 1):
        np.testing.assert_allclose(mapped[side], np.stack([pair[side] for pair in plain]), atol=1e-5)


def test_images_of_a_batch_do_not_mix():
    features, offsets = example(seed=15)
    both = sample(features, offsets)
    one_by_one = np.concatenate([sample(features[i : i + 1], offsets[i : i + 1]) for i in (0, 1)])
    np.testing.assert_allclose(both, one_by_one, atol=1e-6)


@pytest.mark.parametrize(("method", "padding"), list(itertools.product(("bilinear", "nearest"), ("border", "zeros"))))
def test_the_forward_pass_gathers_and_never_scatters(method, padding):
    features, offsets = example()
    forward = functools.partial(guided_upsample, method=method, padding=padding, straight_through=True)
    names = primitives(jax.make_jaxpr(jax.jit(forward))(features, offsets).jaxpr)
    assert "gather" in names
    assert not [name for name in names if "scatter" in name]


def test_the_search_for_scatters_finds_the_one_of_the_backward_pass():
    features, offsets = example()
    backward = jax.jit(jax.grad(lambda f: guided_upsample(f, offsets).sum()))
    assert [name for name in primitives(jax.make_jaxpr(backward)(features).jaxpr) if "scatter" in name]


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


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_gradients_of_broken_offsets_are_finite(method, padding):
    features, offsets = example(seed=23)
    offsets = offsets.copy()
    offsets[:, 0], offsets[:, 1], offsets[:, 2], offsets[:, 3] = np.nan, np.inf, -np.inf, 1e30

    def loss(features, offsets):
        out = guided_upsample(features, offsets, method=method, padding=padding, straight_through=True)
        return jnp.square(out).sum()

    for gradient in jax.jit(jax.grad(loss, (0, 1)))(features, offsets):
        assert np.all(np.isfinite(gradient))


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
