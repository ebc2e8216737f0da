"""The sampler against the paper's sums where numbers are as bad as they come."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_sampling import MODES, example, paper_sum, sample

from gun_jax.ops.sampling import guided_argmax

SPECIAL = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 1e-40, -1e-40, 0.0, -0.0], np.float32)
TOLERANCE = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}

FAULT = "offsets that are NaN, infinite, huge or denormal"
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@st.composite
def tables(draw):
    """A map, and a table in which some offsets are special; the two after which equations hold, and how to sample."""
    mode = draw(st.sampled_from(MODES))
    source, target, seed = draw(sizes), draw(sizes), draw(st.integers(0, 9999))
    features, offsets = example(source, target, seed, (-0.45, 0.45), channels=2, align_corners=mode[2])
    rng = np.random.default_rng(seed)
    here = rng.random(offsets.shape) < draw(st.floats(0, 1))
    offsets = np.where(here, rng.choice(SPECIAL, offsets.shape), offsets)
    return features, offsets, mode


def clear_of_kinks(offsets, size, mode):
    """Whether `nearest` reads well inside a pixel, where float32 and float64 take the same one."""
    if mode[0] == "bilinear":
        return np.ones(offsets.shape[:3], bool)
    from reference_sampling import grid_position

    clear = np.ones(offsets.shape[:3], bool)
    for axis, (small, large) in enumerate(((size[1], offsets.shape[2]), (size[0], offsets.shape[1]))):
        grid = np.array([grid_position(i, small, large, mode[2]) for i in range(large)])
        place = offsets[..., axis].astype(np.float64) + (grid if axis == 0 else grid[:, None])
        with np.errstate(invalid="ignore"):
            apart = np.abs(place + 0.5 - np.round(place + 0.5))
        clear &= ~np.isfinite(place) | (np.abs(place) > 1e6) | (apart > 1e-3)
    return clear


@pytest.mark.fault(FAULT, tried=60)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(tables())
def test_special_offsets_read_what_the_equations_say(table):
    features, offsets, (method, padding, align_corners) = table
    ours = np.asarray(sample(features, offsets, method=method, padding=padding, align_corners=align_corners))
    repaired = np.where(np.isnan(offsets), 0, offsets)  # NaN is no offset
    expected = paper_sum(features, repaired, method, padding, align_corners)
    clear = clear_of_kinks(repaired, features.shape[1:3], table[2])
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours[clear], expected[clear], atol=1e-5)


@pytest.mark.fault(FAULT, tried=15)
@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(tables())
def test_special_offsets_do_so_in_every_precision(dtype, table):
    features, offsets, (method, padding, align_corners) = table
    short = jnp.asarray(features, dtype)
    ours = sample(short, offsets, method=method, padding=padding, align_corners=align_corners)
    assert ours.dtype == short.dtype
    repaired = np.where(np.isnan(offsets), 0, offsets)
    expected = paper_sum(np.asarray(short, np.float32), repaired, method, padding, align_corners)
    clear = clear_of_kinks(repaired, features.shape[1:3], table[2])
    np.testing.assert_allclose(np.asarray(ours, np.float32)[clear], expected[clear], atol=TOLERANCE[dtype])


@pytest.mark.fault(FAULT, tried=10)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(tables(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_in_the_map_stays_where_it_is_read(table, value):
    features, offsets, (method, padding, align_corners) = table
    options = {"method": method, "padding": padding, "align_corners": align_corners}
    spoilt = features.copy()
    spoilt[0, -1, -1, 0] = value
    ours, clean = (np.asarray(sample(one, offsets, **options)) for one in (spoilt, features))
    np.testing.assert_array_equal(ours[1:], clean[1:])  # the other image
    np.testing.assert_array_equal(ours[..., 1], clean[..., 1])  # the other channel
    labels = np.asarray(guided_argmax(spoilt, offsets, **options))
    assert labels.min() >= 0 and labels.max() < features.shape[-1]
