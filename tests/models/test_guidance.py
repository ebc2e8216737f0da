"""Guidance modules against Table 4's descriptions in NumPy, with `jax.image.resize` to resize, and hand counts."""

import functools

import jax
import numpy as np
import pytest
from reference_models import conv_norm, filled, quick_jit, relu, resized, shapes_of, size_of

from gun_jax.models.guidance import GUIDANCES, FusionGuidance, HighRes, LargeRF

FUSED, HIGH = (2, 16, 32, 128), (2, 64, 128, 32)  # of the final model, an image of 256x512


def example(module, fused=(2, 3, 4, 8), high=(2, 11, 15, 6), seed=0):
    """Variables (offsets included) and both inputs, of sizes that divide nothing."""
    rng = np.random.default_rng(seed)
    fused, high = (rng.normal(size=shape).astype(np.float32) for shape in (fused, high))
    return filled(module, fused, high, seed=seed), fused, high


def offsets(x, variables):
    params = variables["params"]["offsets"]
    return x @ params["kernel"][0, 0].astype(np.float64) + params.get("bias", 0)


def test_the_guidances_are_those_of_table_4():
    assert set(GUIDANCES) == {"large_rf", "high_res", "fusion"}


@pytest.mark.parametrize(
    ("name", "expected"), [("large_rf", (128, 256)), ("high_res", (64, 128)), ("fusion", (64, 128))]
)
def test_the_table_has_two_channels_at_the_size_of_its_finest_signal(name, expected):
    run = functools.partial(GUIDANCES[name]().init_with_output, jax.random.key(0))
    table, _ = jax.eval_shape(run, np.zeros(FUSED, np.float32), np.zeros(HIGH, np.float32))
    assert table.shape == (2, *expected, 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("large_rf", 9 * (128 * 64 + 64 * 32 + 32 * 16) + 2 * (64 + 32 + 16) + 16 * 2 + 2),
        ("high_res", 64),
        ("fusion", 128 * 32 + 2 * 32 + 32 * 32 + 2 * 32 + 32 * 2 + 2),
    ],
)
def test_the_parameters_at_full_width_are_the_paper_s(name, expected):
    assert size_of(shapes_of(GUIDANCES[name](), FUSED, HIGH)["params"]) == expected


@pytest.mark.parametrize("name", GUIDANCES)
def test_an_untrained_table_is_zero(name):
    module = GUIDANCES[name](width=0.25)
    _, fused, high = example(module)
    table, _ = quick_jit(module.init_with_output)(jax.random.key(3), fused, high)
    assert not np.any(table)


def test_large_rf_upsamples_and_convolves_three_times_halving_the_channels():
    module = LargeRF()
    variables, fused, high = example(module)
    x, channels = fused, []
    for step in (1, 2, 3):
        x = resized(x, (2 * x.shape[1], 2 * x.shape[2]))
        x = relu(conv_norm(x, variables, f"up{step}"))
        channels.append(x.shape[-1])
    assert channels == [4, 2, 1]
    np.testing.assert_allclose(quick_jit(module.apply)(variables, fused, high), offsets(x, variables), atol=5e-5)


def test_high_res_is_one_matrix_on_every_early_pixel():
    variables, fused, high = example(HighRes())
    np.testing.assert_allclose(HighRes().apply(variables, fused, high), offsets(high, variables), atol=1e-5)


def test_fusion_is_a_base_sum_of_both_signals_then_a_matrix():
    module = FusionGuidance(width=0.25)  # 8 channels
    variables, fused, high = example(module)
    # In Figure 3's order: the deep signal is upsampled first, then brought to the channels of the other.
    low = conv_norm(resized(fused, (11, 15)), variables, "expand_low")
    x = relu(conv_norm(high, variables, "expand_high") + low)
    assert x.shape[-1] == 8
    np.testing.assert_allclose(quick_jit(module.apply)(variables, fused, high), offsets(x, variables), atol=2e-5)


@pytest.mark.parametrize(("name", "deep", "early"), [("large_rf", 1, 0), ("high_res", 0, 1), ("fusion", 1, 1)])
def test_a_guidance_module_listens_to_the_signals_of_table_4_alone(name, deep, early):
    module = GUIDANCES[name](width=0.25)
    variables, fused, high = example(module, seed=1)
    run = quick_jit(module.apply)
    table = run(variables, fused, high)
    assert np.any(run(variables, -fused, high) != table) == bool(deep)
    assert np.any(run(variables, fused, -high) != table) == bool(early)


@pytest.mark.parametrize("channels", [1, 3])
def test_large_rf_keeps_a_channel_however_narrow_its_input(channels):
    kernels = shapes_of(LargeRF(), (1, 2, 2, channels), (1, 8, 8, 2))["params"]
    assert [kernels[f"up{step}"]["conv"]["kernel"].shape[-1] for step in (1, 2, 3)] == [1, 1, 1]
