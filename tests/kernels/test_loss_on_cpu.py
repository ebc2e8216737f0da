"""The loss with its gradient in closed form against the automatic one of the plain form."""

import jax
import numpy as np
import pytest
from reference_models import quick_jit

from gun_jax.ops.losses import cross_entropy, pixel_losses


@pytest.mark.parametrize("spread", [3, 1e4])
def test_value_and_gradient_are_the_plain_ones(spread):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, spread, (2, 4, 6, 5)).astype(np.float32)
    logits[0, 0, 1, 1] = -np.inf
    labels = np.where(rng.random((2, 4, 6)) < 0.3, 255, rng.choice([0, 2, 3, 4], (2, 4, 6)))
    weights = rng.normal(size=labels.shape).astype(np.float32) * (labels < 5)

    def run(function):
        value, pull_back = jax.vjp(lambda logits: function(logits, labels), logits)
        return np.float32(1) * value, pull_back(weights)[0]

    for found, expected in zip(*quick_jit(lambda: [run(pixel_losses), run(pixel_losses.plain)])(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_nothing_labelled_gives_a_loss_of_0_and_gradients_of_0():
    logits = np.random.default_rng(1).normal(size=(1, 3, 4, 5)).astype(np.float32)
    loss, gradient = jax.value_and_grad(cross_entropy)(logits, np.full((1, 3, 4), 255))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)
