"""The loss and its gradient against loops and closed forms, in variants of chex."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.ops.losses import cross_entropy


def logits_and_labels(seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, (2, 4, 6)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = 255
    return rng.normal(0, spread, (2, 4, 6, 5)).astype(np.float32), labels


def mean_by_loops(logits, labels):
    """Mean of -log softmax at the label, in float64, pixel by pixel."""
    losses = []
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] != 255:
            scores = logits[pixel].astype(np.float64)
            exponentials = np.exp(scores - scores.max())
            losses.append(-np.log(exponentials[labels[pixel]] / exponentials.sum()))
    return np.mean(losses)


class CrossEntropy(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_the_loss_is_the_mean_over_the_labelled_pixels(self):
        logits, labels = logits_and_labels()
        loss = self.variant(cross_entropy)(logits, labels)
        np.testing.assert_allclose(loss, mean_by_loops(logits, labels), rtol=1e-6)


def test_another_label_can_be_ignored():
    logits, labels = logits_and_labels()
    np.testing.assert_allclose(
        cross_entropy(logits, np.where(labels == 255, 7, labels), 7), mean_by_loops(logits, labels), rtol=1e-6
    )


def test_the_loss_of_equal_logits_is_the_logarithm_of_the_number_of_classes():
    _, labels = logits_and_labels()
    np.testing.assert_allclose(cross_entropy(jnp.full((2, 4, 6, 5), 7.0), labels), np.log(5), rtol=1e-6)


def test_the_loss_of_huge_logits_is_finite():
    logits, labels = logits_and_labels(spread=1e4)
    best = logits.max(-1)
    margins = [best[p] - logits[p][labels[p]] for p in np.ndindex(labels.shape) if labels[p] != 255]
    np.testing.assert_allclose(cross_entropy(logits, labels), np.mean(margins), rtol=1e-4)


def test_the_gradient_is_softmax_less_the_label_over_the_number_of_labelled_pixels():
    logits, labels = logits_and_labels()
    expected = np.zeros(logits.shape)
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] != 255:
            exponentials = np.exp(logits[pixel].astype(np.float64))
            expected[pixel] = exponentials / exponentials.sum() - np.eye(5)[labels[pixel]]
    expected /= np.sum(labels != 255)
    np.testing.assert_allclose(jax.grad(cross_entropy)(jnp.asarray(logits), labels), expected, atol=1e-7)


def test_the_gradient_of_huge_and_of_infinite_logits_is_that_of_softmax():
    logits, labels = logits_and_labels(spread=1e4)
    labels[0, 0] = [0, 1, 2, 3, 4, 255]
    logits[0, 0, 1, 1] = logits[0, 0, 2, 0] = -np.inf
    exact = logits.astype(np.float64)
    exponentials = np.exp(exact - exact.max(-1, keepdims=True))
    expected = exponentials / exponentials.sum(-1, keepdims=True) - (labels[..., None] == np.arange(5))
    expected[labels == 255] = 0
    ours = jax.grad(cross_entropy)(jnp.asarray(logits), labels)
    np.testing.assert_allclose(ours * np.sum(labels != 255), expected, atol=2e-3)


def test_nothing_labelled_gives_a_loss_of_0_and_gradients_of_0():
    logits, labels = logits_and_labels()
    loss, gradient = jax.value_and_grad(cross_entropy)(jnp.asarray(logits), np.full_like(labels, 255))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)
