"""The network against its parts in NumPy, hand counts, and the slope of its loss."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_gun import CLASSES, OUTPUT, SEED, close, low_logits, narrow, outputs, trained
from reference_models import (
    conv_norm,
    drn_levels,
    drn_parameters,
    filled,
    images,
    quick_jit,
    relu,
    resized,
    shapes_of,
    size_of,
)

from gun_jax import GUN, guided_upsample

STEP = 1e-3
WEIGHTS = np.random.default_rng(5).normal(size=(2, 23, 34, CLASSES)).astype(np.float32)


# Sizes and counts


@functools.cache
def full_size(**options):
    return shapes_of(GUN(19, **options), (1, 64, 64, 3))


def test_the_paper_s_network_has_the_parameters_of_its_parts():
    encoder = drn_parameters()
    fusion = 128 * 512 + 2 * 512 + 9 * 512 * 128 + 2 * 128
    classifier = 128 * 19 + 19
    guidance = 128 * 32 + 2 * 32 + 32 * 32 + 2 * 32 + 32 * 2 + 2
    assert size_of(full_size()["params"]) == encoder + fusion + classifier + guidance == 16_545_157


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"guidance": None}, -5314),
        ({"guidance": "high_res"}, 64 - 5314),
        ({"fusion": "base_sum"}, -(9 * 512 * 128 + 256) + 384 * 19 + 384 * 32),
        ({"encoder": "enc24"}, drn_parameters(levels=5)),
        ({"encoder": "enc124shared"}, 128 * 128 + 256 + 9 * 128 * 128 + 256),
        ({"encoder": "enc4"}, -656_640 + 384 * 19 + 384 * 32),
        ({"method": "nearest"}, 0),
        ({"branch_norm": "separate"}, 0),
    ],
)
def test_other_designs_differ_by_the_parameters_of_the_parts_they_change(options, more):
    # Without a fusion that reduces to 128 channels, classifier and guidance see 512; a second one merges 128 and 128.
    assert size_of(full_size(**options)["params"]) == 16_545_157 + more


@pytest.mark.parametrize("width", [0.5, 0.25])
def test_width_scales_the_channels_of_all_parts(width):
    c, d, g = (int(channels * width) for channels in (512, 128, 32))
    expected = drn_parameters(width=width) + d * c + 2 * c + 9 * c * d + 2 * d + d * 19 + 19
    expected += d * g + 2 * g + g * g + 2 * g + g * 2 + 2
    assert size_of(full_size(width=width)["params"]) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (1, 128, 256, 19)),
        ({"input_subsampling": 2}, (1, 256, 512, 19)),
        ({"encoder": "baseline"}, (1, 256, 512, 19)),
        ({"encoder": "enc4"}, (1, 64, 128, 19)),
        ({"encoder": "enc124"}, (1, 256, 512, 19)),
        ({"guidance": None}, (1, 128, 256, 19)),
        ({"method": "nearest"}, (1, 128, 256, 19)),
    ],
)
def test_by_default_logits_have_the_size_that_the_finest_branch_sees(options, expected):
    logits = jax.eval_shape(GUN(19, **options).apply, full_size(**options), jnp.zeros((1, 256, 512, 3)))
    assert logits.shape == expected and logits.dtype == jnp.float32


@pytest.mark.parametrize(
    ("guidance", "size"),
    [("fusion", (256, 512)), ("fusion", (1, 3)), ("fusion", (97, 131)), ("large_rf", (97, 131)), (None, (97, 131))],
)
def test_the_output_has_the_size_asked_for(guidance, size):
    model, tree = narrow(guidance), shapes_of(narrow(guidance), (1, 64, 64, 3))
    x = jnp.zeros((3, 45, 59, 3))
    logits = jax.eval_shape(functools.partial(model.apply, output_size=size), tree, x)
    labels = jax.eval_shape(functools.partial(model.apply, output_size=size, method="predict"), tree, x)
    assert logits.shape == (3, *size, CLASSES)
    assert labels.shape == (3, *size) and labels.dtype == jnp.int32


# Values


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_logits_are_those_of_the_parts_in_a_row(method):
    low, table = low_logits()
    expected = guided_upsample(low.astype(np.float32), table.astype(np.float32), method=method)
    ours = np.asarray(outputs("fusion", method)[0])
    # Next to a half, rounding decides which of two pixels `nearest` reads.
    agree = np.abs(ours - expected).max(-1) < 1e-3 * np.abs(low).max()
    assert agree.mean() > (0.999 if method == "nearest" else 0.9999)


def test_three_branches_fuse_from_coarse_to_fine():
    model, x = narrow(None, encoder="enc124shared"), images(1, 45, 67)
    variables = filled(model, x, seed=SEED)
    sizes = ((12, 17), (23, 34), (45, 67))
    fused, *fine = (
        drn_levels(resized(x, size), variables, "d22", "encode/drn/", levels=levels)[-1]
        for size, levels in zip(sizes, (9, 5, 5), strict=True)
    )
    for step, signal in enumerate(fine, 1):
        expanded = conv_norm(signal, variables, f"fusion{step}/expand")
        merged = relu(expanded + resized(fused, signal.shape[1:3]))
        fused = relu(conv_norm(merged, variables, f"fusion{step}/postprocess"))
    last = variables["params"]["classifier"]
    logits = quick_jit(functools.partial(model.apply, output_size=(6, 9)))(variables, x)  # 45x67 at stride 8
    close(logits, fused @ last["kernel"][0, 0] + last["bias"])


def test_bfloat16_stays_near_float32():
    variables, x = trained("fusion")
    run = functools.partial(narrow("fusion", dtype=jnp.bfloat16).apply, output_size=OUTPUT)
    ours, exact = quick_jit(run)(variables, x), np.asarray(outputs("fusion", "bilinear")[0])
    assert ours.dtype == jnp.float32
    assert np.abs(ours - exact).mean() < 0.05 * exact.std()
    assert np.mean(ours.argmax(-1) == exact.argmax(-1)) > 0.9


def test_bfloat16_logits_and_offsets_are_not_rounded_to_bfloat16():
    variables, x = trained("fusion")
    low, offsets, _ = quick_jit(
        functools.partial(narrow("fusion", dtype=jnp.bfloat16).apply, train=False, output_size=OUTPUT,
                          method=GUN.logits_and_offsets)
    )(variables, x)  # fmt: skip
    for values in (low, offsets):
        assert np.mean(values != values.astype(jnp.bfloat16).astype(jnp.float32)) > 0.9


def test_bfloat16_keeps_parameters_and_statistics_in_float32():
    tree = shapes_of(narrow(dtype=jnp.bfloat16), (1, 64, 64, 3))
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}


# Training


def a_loss(method):
    """A weighted sum of the logits as a function of the parameters, and the statistics after it.

    Of a pass in evaluation with `bilinear`: the batch's own statistics amplify and kink too much for finite steps.
    """
    model = narrow("fusion", method)
    variables, x = trained("fusion")

    def loss(params):
        logits, after = model.apply(
            {**variables, "params": params}, x, train=method == "nearest", mutable=["batch_stats"]
        )
        return jnp.sum(logits * WEIGHTS), after["batch_stats"]

    return loss


@functools.cache
def gradients(method):
    """Those of the loss, and the statistics after the pass."""
    return quick_jit(jax.grad(a_loss(method), has_aux=True))(trained("fusion")[0]["params"])


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_gradients_reach_every_parameter(method):
    # With `nearest` the offsets borrow the gradients of `bilinear`.
    paths = jax.tree_util.tree_flatten_with_path(gradients(method)[0])[0]
    assert [jax.tree_util.keystr(path) for path, leaf in paths if not np.any(leaf)] == []
    assert all(np.all(np.isfinite(leaf)) for _, leaf in paths)


def test_gradients_are_the_slope_of_the_loss():
    params = trained("fusion")[0]["params"]
    rng = np.random.default_rng(7)
    direction = jax.tree.map(lambda p: (p * rng.normal(size=p.shape)).astype(np.float32), params)
    pairs = zip(jax.tree.leaves(gradients("bilinear")[0]), jax.tree.leaves(direction), strict=True)
    expected = sum(np.sum(np.asarray(gradient, np.float64) * way) for gradient, way in pairs)
    loss = quick_jit(lambda step: a_loss("bilinear")(jax.tree.map(lambda p, d: p + step * d, params, direction))[0])
    slope = (loss(STEP) - loss(-STEP)) / (2 * STEP)
    assert abs(slope - expected) < 0.01 * abs(expected)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_the_classifier_s_bias_gets_the_gradient_of_every_pixel_once(method):
    # Whatever the offsets: the weights of equation 4 sum to one, and equation 2 reads one pixel.
    close(gradients(method)[0]["classifier"]["bias"], WEIGHTS.astype(np.float64).sum((0, 1, 2)), 1e-4)


def test_a_training_pass_moves_every_running_statistic():
    before, (_, after) = trained("fusion")[0]["batch_stats"], gradients("nearest")
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), before, after)))


def test_evaluation_moves_no_running_statistic():
    *_, after = outputs("fusion", "bilinear")
    jax.tree.map(np.testing.assert_array_equal, trained("fusion")[0]["batch_stats"], after)


def test_vmap_over_images_is_the_batch():
    model = narrow("fusion")
    variables, x = trained("fusion")
    run = jax.vmap(lambda image: model.apply(variables, image[None], output_size=OUTPUT)[0])
    close(quick_jit(run)(x), outputs("fusion", "bilinear")[0], 1e-4)


def test_without_jit_the_logits_are_the_same():
    variables, x = trained("high_res")
    plain = narrow("high_res", "nearest").apply(variables, x, output_size=OUTPUT)
    agree = np.abs(plain - outputs("high_res", "nearest")[0]).max(-1) < 1e-4 * np.abs(plain).max()
    assert agree.mean() > 0.999  # next to a half, rounding decides which of two pixels `nearest` reads


# Bad input


@pytest.mark.parametrize("option", ["encoder", "fusion", "guidance", "method", "variant", "branch_norm"])
def test_an_unknown_name_is_named_on_one_line(option):
    with pytest.raises(ValueError, match=f"{option} 'unheard_of'; expected one of") as error:
        shapes_of(GUN(19, **{option: "unheard_of"}), (1, 64, 64, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 3, 64, 64), (1, 64, 64, 4), (1, 1, 64, 64, 3)])
def test_images_of_another_layout_are_named_on_one_line(shape):
    with pytest.raises(ValueError, match=re.escape(f"{shape}; expected (B, H, W, 3)")) as error:
        shapes_of(GUN(19), shape)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("encoder", "subsampling"), [("enc24shared", 4), ("baseline", 2)])
def test_images_too_small_for_the_branches_are_refused_on_one_line(encoder, subsampling):
    with pytest.raises(ValueError, match="would have to enlarge") as error:
        shapes_of(GUN(19, encoder, input_subsampling=subsampling), (1, 64, 64, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"num_classes": 0}, "num_classes 0; expected a whole number, 1 or more"),
        ({"num_classes": 2.5}, "num_classes 2.5; expected a whole number"),
        ({"input_subsampling": 0}, "input_subsampling 0; expected a whole number, 1 or more"),
        ({"input_subsampling": 1.5}, "input_subsampling 1.5; expected a whole number"),
        ({"width": 0}, "width 0; expected a factor on all channels, more than 0"),
        ({"width": float("nan")}, "width nan; expected"),
    ],
)
def test_numbers_that_no_network_has_are_refused_on_one_line(attributes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        shapes_of(GUN(**{"num_classes": 19} | attributes), (1, 64, 64, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("guidance", [None, "fusion"])
def test_an_output_size_may_be_a_list(guidance):
    model, x = GUN(19, guidance=guidance), (1, 64, 64, 3)
    assert shapes_of(model, x, output_size=[40, 24]) == shapes_of(model, x, output_size=(40, 24))


@pytest.mark.parametrize("size", [(0, 5), (5,), (5, 6, 7), (5.0, 6), (5, -1)])
@pytest.mark.parametrize("guidance", [None, "fusion"])
def test_an_output_size_that_no_map_has_is_refused_on_one_line(size, guidance):
    with pytest.raises(ValueError, match=r"output_size .*; expected (a whole number, 1 or more|\(height, width\))"):
        shapes_of(GUN(19, guidance=guidance), (1, 64, 64, 3), output_size=size)


def test_images_that_are_not_normalised_are_refused_with_the_remedy():
    with pytest.raises(
        ValueError, match=re.escape("GUN: images of uint8; expected normalised ones: gun_jax.normalise")
    ):
        narrow().init(jax.random.key(0), np.zeros((1, 64, 64, 3), np.uint8))
