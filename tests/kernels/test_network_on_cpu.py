"""The whole network with the forms for CPUs against the one with plain operations."""

import jax
import numpy as np
import pytest
from reference_models import quick_jit

import gun_jax
from gun_jax.ops.losses import cross_entropy

SIZE = 96, 128  # height, width


@pytest.fixture(scope="module")
def both(random_variables):
    """With the forms for CPUs and without: labels, logits, and the gradients of the loss."""
    # A quarter of the width: some convolutions are wide enough for Winograd's form, some narrow enough to be packed.
    model = gun_jax.GUN(5, width=0.25)
    variables = random_variables(model)
    rng = np.random.default_rng(0)
    # The coarsest maps have 12 pixels: batch norm over fewer amplifies the rounding of all layers before it.
    images = gun_jax.normalise(rng.integers(0, 256, (1, *SIZE, 3), np.uint8))
    labels = rng.integers(0, 5, (1, *SIZE))

    def loss(params):
        logits, _ = model.apply({**variables, "params": params}, images, True, SIZE, mutable=["batch_stats"])
        return cross_entropy(logits, labels), logits

    def run(params):
        predicted = model.apply(variables, images, SIZE, method="predict")
        gradients, logits = jax.grad(loss, has_aux=True)(params)
        return predicted, logits, gradients

    compiled = quick_jit(run)
    ours = compiled(variables["params"])
    with gun_jax.plain_ops():
        return ours, compiled(variables["params"])


def test_the_labels_are_the_same(both):
    (ours, *_), (plain, *_) = both
    assert len(np.unique(plain)) > 1
    assert np.mean(ours == plain) > 0.999  # a tie may fall the other way


def test_the_logits_are_the_same(both):
    (_, ours, _), (_, plain, _) = both
    np.testing.assert_allclose(ours, plain, atol=1e-4 * np.abs(plain).max())


def test_the_gradients_are_the_same(both):
    def close(ours, plain):
        # A sum near zero may round to the other side of a ReLU.
        assert np.linalg.norm(ours - plain) < 1e-3 * np.linalg.norm(plain) + 1e-6

    jax.tree.map(close, both[0][2], both[1][2])
