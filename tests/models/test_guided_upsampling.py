"""Guided upsampling, in the network and on its own: against plain upsampling, the sampler and its own parts."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_gun import CLASSES, OUTPUT, close, compiled, low_logits, narrow, outputs, trained
from reference_models import filled, quick_jit, resized, shapes_of

from gun_jax import GuidedUpsampling, guided_upsample

KINDS = [
    ("fusion", "bilinear"),
    ("fusion", "nearest"),
    ("large_rf", "bilinear"),
    ("high_res", "nearest"),
    (None, "bilinear"),
]


# Logits


def without_gum(tree):
    return {name: branch for name, branch in tree.items() if name != "gum"}


def test_an_untrained_gum_is_the_bilinear_baseline():
    _, x = trained("fusion")
    variables = quick_jit(narrow("fusion").init)(jax.random.key(0), x)
    logits, *_ = compiled("fusion", "bilinear")(variables, x)
    baseline, *_ = compiled(None, "bilinear")({name: without_gum(tree) for name, tree in variables.items()}, x)
    assert np.ptp(logits) > 0
    close(logits, baseline, 1e-5)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_zero_offsets_resize_the_low_logits(method):
    variables, x = trained("fusion")
    params = jax.tree.map(np.array, variables["params"])
    for leaf in jax.tree.leaves(params["gum"]["guide"]["offsets"]):
        leaf[:] = 0
    logits, *_ = compiled("fusion", method)({**variables, "params": params}, x)
    close(logits, jax.image.resize(low_logits()[0], (2, *OUTPUT, CLASSES), {"bilinear": "linear"}.get(method, method)))


def test_without_guidance_logits_are_the_low_ones_resized():
    close(outputs(None, "bilinear")[0], resized(low_logits()[0], OUTPUT))


# Labels and offsets


def best(labels, logits):
    """Whether every label has the largest logit of its pixel, but for a tie that rounding decides."""
    logits = np.asarray(logits)
    chosen = np.take_along_axis(logits, np.asarray(labels)[..., None], -1)[..., 0]
    return np.all(logits.max(-1) - chosen <= 1e-4 * np.abs(logits).max())


@pytest.mark.parametrize(("guidance", "method"), KINDS)
def test_predict_is_the_argmax_of_the_logits(guidance, method):
    logits, labels, *_ = outputs(guidance, method)
    assert len(np.unique(labels)) > 2
    assert best(labels, logits)


@pytest.mark.parametrize(("guidance", "method"), KINDS)
def test_predict_with_offsets_gives_the_labels_of_predict(guidance, method):
    _, labels, with_offsets, _ = outputs(guidance, method)
    np.testing.assert_array_equal(with_offsets["labels"], labels)
    assert with_offsets["labels"].dtype == with_offsets["bilinear_labels"].dtype == jnp.int32


@pytest.mark.parametrize(("guidance", "method"), KINDS)
def test_predict_with_offsets_gives_the_labels_of_bilinear_upsampling(guidance, method):
    with_offsets = outputs(guidance, method)[2]
    assert best(with_offsets["bilinear_labels"], resized(low_logits()[0], OUTPUT))
    assert np.any(with_offsets["bilinear_labels"] != with_offsets["labels"]) == (guidance is not None)


@pytest.mark.parametrize(("guidance", "method"), KINDS)
def test_predict_with_offsets_gives_the_offsets_at_the_size_of_the_output(guidance, method):
    table = outputs(guidance, method)[2]["offsets"]
    assert table.shape == (2, *OUTPUT, 2) and table.dtype == jnp.float32
    assert np.any(table) == (guidance is not None)


def test_the_offsets_are_those_of_the_parts_in_a_row():
    close(outputs("fusion", "bilinear")[2]["offsets"], low_logits()[1], 1e-3)


def test_with_nearest_predict_gathers_one_integer_a_pixel():
    variables, x = trained("fusion")
    run = functools.partial(narrow("fusion", "nearest").apply, output_size=OUTPUT, method="predict")
    gathers = re.findall(r":(\w+)\[([\d,]+)\] = gather", str(jax.make_jaxpr(run)(variables, x)))
    integers = [shape for dtype, shape in gathers if dtype == "i32"]
    assert f"2,{OUTPUT[0]},{OUTPUT[1]},1" in integers


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_the_network_samples_with_its_align_corners_and_padding(method):
    low, table = (array.astype(np.float32) for array in low_logits())
    options = {"align_corners": True, "padding": "zeros"}
    network = narrow("fusion", method, **options).bind(trained("fusion")[0])
    expected = guided_upsample(low, table, method=method, **options)
    close(network.sample(low, table, OUTPUT), expected, 1e-6)
    assert np.any(expected != guided_upsample(low, table, method=method))
    np.testing.assert_array_equal(network.label(low, table, OUTPUT), expected.argmax(-1))


# The module on its own


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_module_samples_by_the_table_of_its_guidance(method, padding, align_corners):
    options = {"method": method, "padding": padding, "align_corners": align_corners}
    rng = np.random.default_rng(8)
    low, fused, high = (rng.normal(size=(2, *s)).astype(np.float32) for s in ((4, 5, 3), (6, 7, 9), (11, 13, 6)))
    kernel = rng.normal(size=(1, 1, 6, 2)).astype(np.float32)
    module = GuidedUpsampling("high_res", **options)
    variables = {"params": {"guide": {"offsets": {"kernel": kernel}}}}
    ours = module.apply(variables, low, fused, high, (19, 22))
    expected = guided_upsample(low, resized(high @ kernel[0, 0], (19, 22)), **options)
    assert np.mean(np.abs(ours - expected).max(-1) < 1e-4) > 0.99  # next to a half, rounding decides for `nearest`


@pytest.mark.parametrize(("straight_through", "learns"), [(True, True), (False, False)])
def test_with_nearest_offsets_learn_by_straight_through_alone(straight_through, learns):
    module = GuidedUpsampling("high_res", "nearest", straight_through=straight_through)
    rng = np.random.default_rng(9)
    low, high = (rng.normal(size=(1, *s)).astype(np.float32) for s in ((4, 5, 3), (11, 13, 6)))
    variables = filled(module, low, low, high, output_size=(11, 13))
    slope = jax.grad(lambda v: jnp.square(module.apply(v, low, low, high, (11, 13))).sum())
    gradient = quick_jit(slope)(variables)
    assert np.any(gradient["params"]["guide"]["offsets"]["kernel"]) == learns


def test_the_module_s_gradients_an_image_add_up_to_those_of_the_batch():
    module = GuidedUpsampling("fusion", width=0.25)
    rng = np.random.default_rng(10)
    low, fused, high = (rng.normal(size=(3, *s)).astype(np.float32) for s in ((4, 5, 3), (4, 5, 9), (11, 13, 6)))
    variables = filled(module, low, fused, high, output_size=(17, 19))

    def loss(params, *inputs):
        return jnp.square(module.apply({**variables, "params": params}, *inputs, (17, 19))).sum()

    def one(params, *inputs):
        return jax.grad(loss)(params, *(x[None] for x in inputs))

    together = quick_jit(jax.grad(loss))(variables["params"], low, fused, high)
    apart = quick_jit(jax.vmap(one, (None, 0, 0, 0)))(variables["params"], low, fused, high)
    jax.tree.map(lambda a, b: close(a.sum(0), b), apart, together)


@pytest.mark.parametrize("option", ["guidance", "method"])
def test_the_module_names_an_unknown_name_on_one_line(option):
    module = GuidedUpsampling(**{option: "unheard_of"})
    with pytest.raises(ValueError, match=f"{option} 'unheard_of'; expected one of") as error:
        shapes_of(module, (1, 4, 4, 3), (1, 4, 4, 8), (1, 8, 8, 4), output_size=(8, 8))
    assert "\n" not in str(error.value)
