"""DRNs against the published counts, the layer tables in NumPy, and the formulas of batch norm and initialisation."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import (
    CHANNELS,
    block,
    conv_norm,
    drn_levels,
    drn_parameters,
    filled,
    images,
    layers,
    quick_jit,
    relu,
    shapes_of,
    size_of,
)

from gun_jax import DRN
from gun_jax.models.drn import BasicBlock, BatchNorm, Bottleneck, ConvBatchNorm, batch_normalise, scaled

VARIANTS = ("d22", "d38", "d54", "c26")


@functools.cache
def shapes(variant, num_classes=1000, width=1.0):
    return shapes_of(DRN(variant, num_classes, width), (1, 32, 32, 3))


@functools.cache
def small(variant):
    """A narrow DRN's variables, an image of odd size, the outputs of its levels, and its class scores."""
    drn, x = DRN(variant, num_classes=7, width=1 / 16), images(2, 21, 35)
    variables = filled(drn, x)
    run = quick_jit(lambda v, x: (drn.apply(v, x, method="features"), drn.apply(v, x)))
    return variables, x, *run(variables, x)


def close(ours, expected, part=1e-4):
    """Equal up to a part of the largest value."""
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(ours, np.float64), expected, atol=part * np.abs(expected).max(), rtol=0)


# Counts


@pytest.mark.parametrize(
    ("variant", "published"), [("d22", 16_393_752), ("d38", 26_501_912), ("d54", 35_809_176), ("c26", 21_126_584)]
)
def test_the_parameters_with_the_imagenet_head_are_as_many_as_published(variant, published):
    assert size_of(shapes(variant)["params"]) == published


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", [0.5, 1 / 16])
def test_a_narrow_one_without_head_has_the_parameters_of_the_layer_table(variant, width):
    assert size_of(shapes(variant, None, width)["params"]) == drn_parameters(variant, width=width)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_level_has_the_parameters_of_its_rows(variant):
    params = shapes(variant)["params"]
    ours = [size_of(params[f"levels_{level}"]) for level in range(9)]
    assert ours == [drn_parameters(variant, level + 1) - drn_parameters(variant, level) for level in range(9)]


@pytest.mark.parametrize("num_classes", [1000, 7])
def test_the_head_has_a_weight_a_channel_and_a_bias_a_class(num_classes):
    assert size_of(shapes("d22", num_classes)["params"]["fc"]) == 512 * num_classes + num_classes


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_norm_keeps_a_mean_and_a_variance_a_channel(variant):
    tree = shapes(variant, None)
    kernels = sum(leaf.size for leaf in jax.tree.leaves(tree["params"]) if len(leaf.shape) == 4)
    assert size_of(tree["batch_stats"]) == size_of(tree["params"]) - kernels  # a scale and a bias each


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 0.25, 16), (16, 0.1, 2), (16, 0.01, 1), (512, 1, 512)]
)
def test_channels_scale_to_at_least_one(channels, width, expected):
    assert scaled(channels, width) == expected


# Sizes


@pytest.mark.parametrize("variant", ["d22", "d54"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 96), [(64, 96), (64, 96), (32, 48), (16, 24)] + 5 * [(8, 12)]),
        ((65, 97), [(65, 97), (65, 97), (33, 49), (17, 25)] + 5 * [(9, 13)]),
        ((47, 58), [(47, 58), (47, 58), (24, 29), (12, 15)] + 5 * [(6, 8)]),
        ((5, 1), [(5, 1), (5, 1), (3, 1), (2, 1)] + 5 * [(1, 1)]),
    ],
)
def test_levels_2_3_4_halve_the_size_rounding_up(variant, size, expected):
    channels = list(CHANNELS)
    if variant == "d54":
        channels[3:7] = [256, 512, 1024, 2048]
    run = functools.partial(DRN(variant).apply, method="features")
    levels = jax.eval_shape(run, shapes(variant), jnp.zeros((2, *size, 3)))
    assert [x.shape for x in levels] == [(2, *size, c) for size, c in zip(expected, channels, strict=True)]


def test_features_stop_at_the_level_asked_for():
    run = functools.partial(DRN("d22").apply, last_level=4, method="features")
    assert len(jax.eval_shape(run, shapes("d22"), jnp.zeros((1, 32, 32, 3)))) == 5


def test_without_head_it_returns_the_last_level():
    last = jax.eval_shape(DRN("d22", None).apply, shapes("d22", None), jnp.zeros((2, 40, 64, 3)))
    assert last.shape == (2, 5, 8, 512)


# Values


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_level_is_that_of_the_layer_table(variant):
    variables, x, levels, _ = small(variant)
    for ours, expected in zip(levels, drn_levels(x, variables, variant), strict=True):
        close(ours, expected)


def test_class_scores_are_the_classifier_on_the_mean_of_the_last_level():
    variables, _, levels, scores = small("d22")
    fc = variables["params"]["fc"]
    close(scores, np.asarray(levels[-1], np.float64).mean((1, 2)) @ fc["kernel"][0, 0] + fc["bias"])


def test_images_of_a_batch_do_not_mix():
    variables, x, _, scores = small("d22")
    drn = DRN("d22", num_classes=7, width=1 / 16)
    alone = quick_jit(jax.vmap(lambda image: drn.apply(variables, image[None])[0]))(x)
    close(scores, alone, 1e-5)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (3, 1, 4), (1, 2, 1), (7, 1, 1)])
@pytest.mark.parametrize("with_relu", [True, False])
def test_convolution_and_norm_are_their_formulas(kernel, stride, dilation, with_relu):
    layer, x = ConvBatchNorm(4, kernel, stride, dilation, relu=with_relu), images(2, 9, 12)
    variables = filled(layer, x, train=False)
    expected = conv_norm(x, {name: {"layer": tree} for name, tree in variables.items()}, "layer", stride, dilation)
    close(layer.apply(variables, x, False), relu(expected) if with_relu else expected, 1e-5)


@pytest.mark.parametrize(("channels", "stride", "dilation"), [(3, 1, 1), (3, 1, 2), (5, 1, 1), (3, 2, 1), (5, 2, 2)])
@pytest.mark.parametrize(
    ("module", "kind"), [(BasicBlock, "basic"), (BasicBlock, "no_skip"), (Bottleneck, "bottleneck")]
)
def test_a_block_is_its_convolutions_plus_the_skip(module, kind, channels, stride, dilation):
    layer = module(channels, stride, (dilation, dilation), residual=kind != "no_skip")
    x = images(2, 9, 12)
    run = functools.partial(layer.apply, train=False)
    variables = filled(layer, x, train=False)
    expected = block(x, {name: {"block": tree} for name, tree in variables.items()}, "block", kind, stride, dilation)
    close(quick_jit(run)(variables, x), expected, 1e-5)


def test_a_skip_that_fits_has_no_parameters():
    assert set(shapes_of(BasicBlock(8), (1, 4, 4, 8), train=False)["params"]) == {"conv1", "conv2"}


def test_no_convolution_but_the_classifier_has_a_bias():
    paths = jax.tree_util.tree_flatten_with_path(shapes("d54")["params"])[0]
    biases = [path for path, _ in paths if path[-1].key == "bias" and path[-2].key != "norm"]
    assert [path[0].key for path in biases] == ["fc"]


def test_blocks_stand_under_their_published_numbers():
    params = shapes("d38")["params"]
    ours = [(level, number) for level in range(9) for number in range(len(params[f"levels_{level}"]))]
    assert ours == [(level, number) for level, number, *_ in layers("d38")]


def test_bfloat16_convolutions_keep_float32_parameters():
    tree = shapes_of(DRN("d22", 10, 1 / 16, jnp.bfloat16), (1, 32, 32, 3))
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}
    drn = DRN("d22", 10, 1 / 16, jnp.bfloat16)
    levels = jax.eval_shape(functools.partial(drn.apply, method="features"), tree, jnp.zeros((1, 32, 32, 3)))
    assert {level.dtype for level in levels} == {jnp.dtype("bfloat16")}


# Batch norm


def norm_example(shape=(3, 5, 7, 4), seed=0, statistics=""):
    """A norm's variables and an input of which each channel has its own mean and spread."""
    rng = np.random.default_rng(seed)
    c = shape[-1]
    x = (rng.normal(size=shape) * rng.uniform(0.5, 3, c) + rng.uniform(-2, 2, c)).astype(np.float32)
    return filled(BatchNorm(), x, train=False, statistics=statistics, seed=seed), x


def affine(x, mean, var, params):
    return (x - mean) / np.sqrt(np.float64(var) + 1e-5) * params["scale"] + params["bias"]


def train(variables, x, **options):
    y, updated = BatchNorm().apply(variables, x, True, mutable=["batch_stats"], **options)
    return y, updated["batch_stats"]


@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (2, 1, 1, 6), (9, 3)])
def test_in_training_a_norm_uses_the_mean_and_variance_of_the_batch(shape):
    variables, x = norm_example(shape)
    x64, axes = x.astype(np.float64), tuple(range(len(shape) - 1))
    close(train(variables, x)[0], affine(x64, x64.mean(axes), x64.var(axes), variables["params"]), 1e-5)


def test_the_gradient_in_training_goes_through_mean_and_variance():
    variables, x = norm_example(seed=8)
    back = np.random.default_rng(9).normal(size=x.shape).astype(np.float32)
    ours = quick_jit(lambda x: jax.vjp(lambda x: train(variables, x)[0], x)[1](back)[0])(x)
    # Ioffe and Szegedy, section 3, in closed form.
    x, axes = x.astype(np.float64), (0, 1, 2)
    unit = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)
    pull = back - back.mean(axes) - unit * (back * unit).mean(axes)
    close(ours, variables["params"]["scale"] / np.sqrt(x.var(axes) + 1e-5) * pull, 1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_gradients_of_a_norm_are_the_automatic_ones_of_its_formula(dtype):
    rng = np.random.default_rng(3)
    x, back = (jnp.asarray(rng.normal(size=(2, 3, 5, 4)) + shift, dtype) for shift in (2.0, 0.0))
    scale, bias = jnp.asarray(rng.normal(size=(2, 4)), jnp.float32)

    def formula(x, scale, bias):
        x = x.astype(jnp.float32)
        unit = (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5)
        return (unit * scale + bias).astype(dtype)

    ours = jax.vjp(lambda *arrays: batch_normalise(*arrays, 1e-5)[0], x, scale, bias)[1](back)
    for found, expected in zip(ours, jax.vjp(formula, x, scale, bias)[1](back), strict=True):
        assert found.dtype == expected.dtype
        near = 1e-5 if dtype == jnp.float32 else 2**-6
        scale_of_it = np.abs(np.asarray(expected, np.float32)).max()
        np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), atol=near * scale_of_it)


def test_in_evaluation_a_norm_uses_the_running_mean_and_variance():
    variables, x = norm_example(seed=1)
    stats = variables["batch_stats"]
    expected = affine(x.astype(np.float64), stats["mean"], stats["var"], variables["params"])
    close(BatchNorm().apply(variables, x, False), expected, 1e-5)


def test_running_statistics_take_a_tenth_of_the_batch_s_mean_and_unbiased_variance():
    variables, x = norm_example(seed=2)
    before, (_, after) = variables["batch_stats"], train(variables, x)
    x = x.astype(np.float64)
    np.testing.assert_allclose(after["mean"], 0.9 * before["mean"] + 0.1 * x.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(after["var"], 0.9 * before["var"] + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-5)


def test_a_batch_of_one_number_a_channel_leaves_finite_statistics():
    variables, x = norm_example((1, 1, 1, 4), seed=3)
    y, after = train(variables, x)
    np.testing.assert_allclose(y[0, 0, 0], variables["params"]["bias"], atol=1e-3)  # the rest is divided by 0.003
    np.testing.assert_allclose(after["var"], 0.9 * variables["batch_stats"]["var"], rtol=1e-6)


def test_a_large_mean_does_not_drown_the_variance():
    variables, x = norm_example(seed=4)
    x = (x + 30_000).astype(np.float32)
    _, after = train(variables, x)
    expected = 0.9 * variables["batch_stats"]["var"] + 0.1 * x.astype(np.float64).var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(after["var"], expected, rtol=1e-4)


def test_training_on_one_set_of_statistics_leaves_the_other_alone():
    (first, x), (second, _) = norm_example(seed=5, statistics="branch2"), norm_example(seed=6, statistics="branch4")
    stats = {**first["batch_stats"], **second["batch_stats"]}
    _, after = train({"params": first["params"], "batch_stats": stats}, x, statistics="branch4")
    assert set(after) == {"mean_branch2", "var_branch2", "mean_branch4", "var_branch4"}
    np.testing.assert_array_equal(after["mean_branch2"], stats["mean_branch2"])
    np.testing.assert_array_equal(after["var_branch2"], stats["var_branch2"])
    expected = 0.9 * stats["mean_branch4"] + 0.1 * x.astype(np.float64).mean((0, 1, 2))
    np.testing.assert_allclose(after["mean_branch4"], expected, atol=1e-6)


def test_evaluation_reads_the_set_of_statistics_that_is_named():
    (first, x), (second, _) = norm_example(seed=5, statistics="branch2"), norm_example(seed=6, statistics="branch4")
    stats = {**first["batch_stats"], **second["batch_stats"]}
    ours = BatchNorm().apply({"params": first["params"], "batch_stats": stats}, x, False, statistics="branch4")
    expected = affine(x.astype(np.float64), stats["mean_branch4"], stats["var_branch4"], first["params"])
    close(ours, expected, 1e-5)


def test_all_sets_of_statistics_share_one_scale_and_bias():
    variables, _ = norm_example(statistics="branch2")
    assert set(variables["params"]) == {"scale", "bias"}
    assert set(variables["batch_stats"]) == {"mean_branch2", "var_branch2"}


def test_a_new_norm_changes_nothing_but_the_epsilon():
    x = images(2, 4, 5)
    variables = BatchNorm().init(jax.random.key(0), x, train=True)  # initialisation is no step of training
    close(BatchNorm().apply(variables, x, False), x / np.sqrt(1 + 1e-5), 1e-6)


def test_a_norm_of_bfloat16_is_that_of_float32_rounded_once():
    variables, x = norm_example(seed=7)
    coarse = jnp.asarray(x, jnp.bfloat16)
    ours, after = train(variables, coarse)
    x = np.asarray(coarse, np.float64)
    exact = affine(x, x.mean((0, 1, 2)), x.var((0, 1, 2)), variables["params"])
    assert ours.dtype == jnp.bfloat16 and after["mean"].dtype == after["var"].dtype == jnp.float32
    assert np.all(np.abs(np.asarray(ours, np.float64) - exact) <= 2**-8 * np.abs(exact) + 1e-5)
    np.testing.assert_allclose(
        after["mean"], 0.9 * variables["batch_stats"]["mean"] + 0.1 * x.mean((0, 1, 2)), atol=1e-6
    )


# Initialisation


@pytest.mark.parametrize(("kernel", "channels"), [(3, 96), (7, 32), (1, 256)])
def test_kernels_start_normal_with_variance_2_over_fan_out(kernel, channels):
    layer = ConvBatchNorm(channels, kernel)
    init = quick_jit(functools.partial(layer.init, train=False))
    variables = init(jax.random.key(0), jnp.zeros((1, 8, 8, 64)))
    drawn = np.asarray(variables["params"]["conv"]["kernel"], np.float64)
    deviation = np.sqrt(2 / (kernel * kernel * channels))
    assert abs(drawn.std() / deviation - 1) < 4 / np.sqrt(2 * drawn.size)
    assert abs(drawn.mean() / deviation) < 4 / np.sqrt(drawn.size)
    assert abs(np.mean(np.abs(drawn) > 2 * deviation) - 0.0455) < 0.01  # none beyond, were it a truncated normal


# Bad input


def test_an_unknown_variant_is_named_on_one_line():
    with pytest.raises(ValueError, match="variant 'd105'") as error:
        shapes_of(DRN("d105"), (1, 32, 32, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 32, 32), (1, 3, 32, 32), (1, 0, 32, 3)])
def test_images_of_another_layout_are_named_on_one_line(shape):
    with pytest.raises(ValueError, match=re.escape(f"DRN: images of shape {shape}; expected (B, H, W, 3)")):
        shapes_of(DRN("d22"), shape)
