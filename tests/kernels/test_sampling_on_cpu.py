"""The sampler's forms for CPUs against the plain ones: values, gradients, and the argmax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from reference_models import quick_jit
from reference_sampling import MODES, example, sample

from gun_jax import guided_upsample, plain_ops
from gun_jax.ops.sampling import guided_argmax


def with_plain(function):
    """A function of the same arguments that returns the results of both forms, in one program."""

    def both(*arguments):
        ours = function(*arguments)
        with plain_ops():
            return ours, function(*arguments)

    return both


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("channels", [3, 65])  # class by class, and together
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_bilinear_values_and_gradients_are_the_plain_ones(padding, channels, dtype):
    features, offsets = example((3, 4), (13, 11), seed=5, channels=channels)
    offsets[0, :3] = 50.0
    offsets[1, 0, :] = 0.0
    offsets[1, 1, 4:7, 0] = np.inf, -np.inf, np.nan
    back = jnp.asarray(np.random.default_rng(6).normal(size=(*offsets.shape[:3], channels)), dtype)

    def run(features, offsets):
        value, pull_back = jax.vjp(functools.partial(guided_upsample, padding=padding), features, offsets)
        return value, *pull_back(back)

    for found, expected in zip(*quick_jit(with_plain(run))(jnp.asarray(features, dtype), offsets), strict=True):
        assert found.dtype == expected.dtype
        size = np.abs(np.asarray(expected, np.float32)).max()
        near = 1e-4 if dtype == jnp.float32 else 2**-6
        np.testing.assert_allclose(found.astype(jnp.float32), expected.astype(jnp.float32), atol=near * size)


def test_at_whole_numbers_the_gradients_are_the_plain_ones():
    features = np.random.default_rng(7).normal(size=(1, 4, 5, 2)).astype(np.float32)
    columns, rows = np.meshgrid(np.arange(-2, 7), np.arange(-2, 6))
    for padding in ("border", "zeros"):
        zero = np.zeros((1, 8, 9, 2), np.float32)
        x, y = ((small / large * (np.arange(large) + 0.5) - 0.5) for small, large in ((5, 9), (4, 8)))
        offsets = zero + np.stack([columns - x, rows - y[:, None]], -1).astype(np.float32)
        slopes = jax.grad(lambda o, padding=padding: jnp.square(guided_upsample(features, o, padding=padding)).sum())
        np.testing.assert_allclose(*quick_jit(with_plain(slopes))(offsets), atol=1e-4)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_straight_through_values_and_gradients_are_the_plain_ones(padding):
    features, offsets = example(seed=8)
    weights = np.random.default_rng(9).normal(size=(2, 7, 9, 3)).astype(np.float32)

    def run(features, offsets):
        options = {"method": "nearest", "straight_through": True, "padding": padding}
        value, pull_back = jax.vjp(functools.partial(guided_upsample, **options), features, offsets)
        return value, *pull_back(weights)

    ours, plain = quick_jit(with_plain(run))(features, offsets)
    np.testing.assert_array_equal(ours[0], plain[0])
    for found, expected in zip(ours[1:], plain[1:], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_straight_through_costs_nothing_where_nothing_is_differentiated():
    features, offsets = example(seed=10)
    programs = [
        sample.lower(features, offsets, method="nearest", straight_through=on).as_text() for on in (False, True)
    ]
    assert programs[0].count("gather") == programs[1].count("gather") > 0


def test_bilinear_sampling_can_be_differentiated_forwards_and_twice():
    features, offsets = example((3, 4), (5, 6), seed=7, channels=2)
    check_grads(lambda f, o: sample(f, o) ** 2, (features, offsets), order=2, atol=3e-2, rtol=3e-2, eps=1e-2)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_vmap_over_tables_is_a_loop_over_them(method):
    features, offsets = example(seed=13)
    tables = np.stack([offsets, 0.5 * offsets, -offsets])
    mapped = jax.jit(jax.vmap(functools.partial(guided_upsample, method=method), (None, 0)))(features, tables)
    looped = np.stack([sample(features, table, method=method) for table in tables])
    np.testing.assert_allclose(mapped, looped, atol=1e-6)


def test_gradients_of_broken_offsets_are_finite():
    features, offsets = example(seed=23)
    offsets[:, 0], offsets[:, 1], offsets[:, 2], offsets[:, 3] = np.nan, np.inf, -np.inf, 1e30
    loss = lambda features, offsets: jnp.square(guided_upsample(features, offsets)).sum()  # noqa: E731
    for gradient in jax.jit(jax.grad(loss, (0, 1)))(features, offsets):
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(("method", "padding", "align_corners"), MODES)
@pytest.mark.parametrize("classes", [1, 19, 70])
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


def test_guided_argmax_takes_not_a_number_for_the_largest():
    logits = np.zeros((1, 2, 2, 4), np.float32)
    logits[0, 0, 0, 1:3] = np.nan
    logits[0, :, :, 3] = 5
    assert guided_argmax(logits, np.zeros((1, 2, 2, 2), np.float32))[0, 0, 0] == 1
