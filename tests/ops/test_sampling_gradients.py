"""The sampler's gradients against finite differences and closed forms, and the sampler under jit, vmap and grad."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from reference_sampling import example, grid_position, paper_sum, sample

from gun_jax import guided_upsample

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
@pytest.mark.parametrize("align_corners", [False, True])
def test_at_a_kink_of_equation_4_the_derivative_is_the_one_to_the_right(align_corners, padding):
    # At whole-numbered places, those at the border and, with zeros, those one pixel beyond it, included.
    rng = np.random.default_rng(12)
    features = rng.normal(size=(1, 4, 5, 2)).astype(np.float32)
    columns, rows = np.meshgrid(np.arange(-2, 7), np.arange(-2, 6))
    grids = [[grid_position(i, small, large, align_corners) for i in range(large)] for small, large in ((5, 9), (4, 8))]
    offsets = np.stack([columns - np.array(grids[0]), rows - np.array(grids[1])[:, None]], -1)[None].astype(np.float32)
    options = {"padding": padding, "align_corners": align_corners}
    exact = sample(features, offsets, **options)
    back = rng.normal(size=exact.shape).astype(np.float32)
    ours = jax.jit(lambda o: jax.vjp(lambda o: guided_upsample(features, o, **options), o)[1](back)[0])(offsets)
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 2**-7
        value, beside = (
            paper_sum(features, table, "bilinear", padding, align_corners) for table in (offsets, offsets + step)
        )
        slope = ((beside - value) / 2**-7 * back).sum(-1)
        np.testing.assert_allclose(ours[..., axis], slope, atol=1e-3)


def test_bilinear_sampling_can_be_differentiated_twice():
    features, offsets = example((3, 4), (5, 6), seed=7, channels=2)
    check_grads(lambda f, o: sample(f, o) ** 2, (features, offsets), order=2, atol=3e-2, rtol=3e-2, eps=1e-2)


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
def test_straight_through_gives_offsets_the_bilinear_gradient(padding):
    (_, ours), *_ = pull_back("nearest", padding, straight_through=True)
    (_, bilinear), *_ = pull_back("bilinear", padding)
    assert np.any(bilinear)
    np.testing.assert_array_equal(ours, bilinear)


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


# Transformations


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


# Gathers and scatters


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
