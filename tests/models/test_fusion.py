"""Fusion modules against Table 2's formulas in NumPy, with `jax.image.resize` to resize."""

import functools

import jax
import numpy as np
import pytest
from reference_models import conv_norm, filled, relu, resized, shapes_of, size_of

from gun_jax.models.fusion import FUSIONS, Fusion

NAMES = ("base_sum", "base_concat", "postproc_sum", "postproc_concat")


def example(name, fine_size=(7, 10), low_size=(4, 5), seed=0):
    """A fusion module of 6 channels into 8, its variables, and both signals."""
    rng = np.random.default_rng(seed)
    fine = rng.normal(size=(2, *fine_size, 6)).astype(np.float32)
    low = rng.normal(size=(2, *low_size, 8)).astype(np.float32)
    module = Fusion(name, reduced_channels=5)
    return module, filled(module, fine, low, seed=seed), fine, low


def reference_fusion(name, variables, fine, low):
    """1x1 convolution and norm on the fine signal, the low one resized to it, sum or concat, ReLU, and the 3x3 step."""
    fine, low = conv_norm(fine, variables, "expand"), resized(low, fine.shape[1:3])
    merged = relu(np.concatenate([fine, low], -1) if name.endswith("concat") else fine + low)
    return relu(conv_norm(merged, variables, "postprocess")) if name.startswith("postproc") else merged


def test_an_unknown_fusion_is_named_on_one_line():
    with pytest.raises(ValueError, match=r"^Fusion: fusion 'product'; expected one of base_sum, base_concat"):
        shapes_of(Fusion("product"), (1, 4, 4, 3), (1, 4, 4, 5))


def test_the_fusions_are_those_of_table_2():
    assert set(FUSIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("fine_size", "low_size"), [((8, 10), (4, 5)), ((7, 9), (4, 5)), ((3, 4), (3, 4))])
def test_a_fusion_is_its_formula(name, fine_size, low_size):
    module, variables, fine, low = example(name, fine_size, low_size)
    ours = module.apply(variables, fine, low)
    np.testing.assert_allclose(ours, reference_fusion(name, variables, fine, low), atol=2e-5)


@pytest.mark.parametrize(
    ("name", "channels"), [("base_sum", 512), ("base_concat", 1024), ("postproc_sum", 128), ("postproc_concat", 128)]
)
def test_the_output_has_the_fine_signal_s_size_and_table_2_s_channels(name, channels):
    run = functools.partial(Fusion(name).init_with_output, jax.random.key(0))
    out, _ = jax.eval_shape(run, np.zeros((3, 16, 32, 128), np.float32), np.zeros((3, 8, 16, 512), np.float32))
    assert out.shape == (3, 16, 32, channels)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base_sum", 128 * 512 + 2 * 512),
        ("base_concat", 128 * 512 + 2 * 512),
        ("postproc_sum", 128 * 512 + 2 * 512 + 9 * 512 * 128 + 2 * 128),
        ("postproc_concat", 128 * 512 + 2 * 512 + 9 * 1024 * 128 + 2 * 128),
    ],
)
def test_its_parameters_are_the_expansion_s_and_the_reduction_s(name, expected):
    assert size_of(shapes_of(Fusion(name), (1, 16, 32, 128), (1, 8, 16, 512))["params"]) == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_negative(name):
    module, variables, fine, low = example(name, seed=1)
    out = np.asarray(module.apply(variables, fine, low))
    assert out.min() == 0 and out.max() > 0


def test_in_training_the_expansion_s_norm_sees_the_fine_signal_alone():
    module, variables, fine, low = example("base_sum", seed=2)
    _, updated = module.apply(variables, fine, low, train=True, mutable=["batch_stats"])
    kernel = variables["params"]["expand"]["conv"]["kernel"][0, 0].astype(np.float64)
    expected = 0.9 * variables["batch_stats"]["expand"]["norm"]["mean"] + 0.1 * (fine @ kernel).mean((0, 1, 2))
    np.testing.assert_allclose(updated["batch_stats"]["expand"]["norm"]["mean"], expected, atol=1e-6)
