"""Folded batch norm against the network that it was folded from, and against one convolution in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import convolved, quick_jit

from gun_jax import DRN, GUN, fold_batch_norm
from gun_jax.models.drn import BatchNorm, ConvBatchNorm
from gun_jax.models.encoder import ENCODERS


def drawn(module, *inputs, seed=0):
    """Variables of a module whose batch norms all do something."""
    abstract = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name == "kernel":
            return rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.shape).astype(np.float32)
        positive = name == "scale" or name.startswith("var")
        return rng.uniform(*((0.5, 1.5) if positive else (-0.5, 0.5)), leaf.shape).astype(np.float32)

    return jax.tree.map_with_path(draw, abstract)


def close(ours, expected, part=1e-5):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(ours) / scale, np.asarray(expected) / scale, atol=part)


def test_a_layer_becomes_one_convolution_and_a_bias():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    layer = ConvBatchNorm(4, relu=False)
    variables = drawn(layer, x, False)
    params, statistics = variables["params"], variables["batch_stats"]["norm"]
    factor = params["norm"]["scale"] / np.sqrt(statistics["var"] + 1e-5)
    expected = (
        convolved(x, params["conv"]["kernel"] * factor, 1, 1) + params["norm"]["bias"] - statistics["mean"] * factor
    )
    folded = fold_batch_norm(variables)
    assert set(folded) == {"params"}
    assert set(folded["params"]["norm"]) == {"shift"}
    close(layer.apply(folded, x, False), expected)


NETWORKS = [
    *((encoder, "fusion", "shared") for encoder in ENCODERS),
    *((encoder, "fusion", "separate") for encoder in ("enc24shared", "enc124shared")),
    *(("enc4", guidance, "shared") for guidance in (None, "large_rf", "high_res")),
]


@pytest.mark.parametrize(("encoder", "guidance", "branch_norm"), NETWORKS)
def test_the_network_stays_the_same(encoder, guidance, branch_norm):
    images = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32)
    model = GUN(5, encoder, guidance=guidance, branch_norm=branch_norm, width=0.1)
    variables = drawn(model, images)
    deepest = len(ENCODERS[encoder].factors) == 3  # two fusions, one after the other: more to round
    ours, expected = (quick_jit(model.apply)(one, images) for one in (fold_batch_norm(variables), variables))
    close(ours, expected, 1e-4 if deepest else 1e-5)


@pytest.mark.parametrize("variant", ["d54", "c26"])
def test_a_drn_stays_the_same(variant):
    images = np.random.default_rng(2).normal(size=(1, 32, 32, 3)).astype(np.float32)
    drn = DRN(variant, 7, width=0.1)
    variables = drawn(drn, images)
    apply = quick_jit(drn.apply)
    close(apply(fold_batch_norm(variables), images), apply(variables, images))


def test_labels_stay_the_same():
    images = np.random.default_rng(3).normal(size=(1, 64, 96, 3)).astype(np.float32)
    model = GUN(5, width=0.1)
    variables = drawn(model, images)
    predict = quick_jit(functools.partial(model.apply, method="predict"))
    labels, folded = (predict(one, images) for one in (variables, fold_batch_norm(variables)))
    assert (labels == folded).mean() > 0.999  # a tie may fall the other way


def test_folded_variables_do_not_train_and_do_not_fold_again():
    x = jnp.zeros((1, 4, 2))
    folded = {"params": {"shift": jnp.zeros(2)}}
    with pytest.raises(ValueError, match="folded"):
        BatchNorm().apply(folded, x, True)
    with pytest.raises(ValueError, match="batch_stats"):
        fold_batch_norm(folded)
    with pytest.raises(ValueError, match="'norm' is missing"):
        fold_batch_norm({"params": {"norm": {"scale": jnp.ones(2), "bias": jnp.ones(2)}}, "batch_stats": {"other": {}}})
