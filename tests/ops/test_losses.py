"""The loss and its gradient against loops and closed forms, in variants of chex."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gun_jax.ops.losses import cross_entropy, pixel_losses


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


def test_class_weights_weigh_the_mean_and_its_gradient():
    """The sum of weight times loss over the sum of the weights, as in PyTorch."""
    logits, labels = logits_and_labels()
    weights = np.array([1.0, 3.0, 0.5, 0.0, 2.0])
    losses, gradient = [], np.zeros(logits.shape)
    total = sum(weights[labels[pixel]] for pixel in np.ndindex(labels.shape) if labels[pixel] != 255)
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] != 255:
            exponentials = np.exp(logits[pixel].astype(np.float64))
            probabilities, weight = exponentials / exponentials.sum(), weights[labels[pixel]] / total
            losses.append(-weight * np.log(probabilities[labels[pixel]]))
            gradient[pixel] = weight * (probabilities - np.eye(5)[labels[pixel]])
    found = jax.value_and_grad(cross_entropy)(logits, labels, 255, weights.astype(np.float32))
    np.testing.assert_allclose(found[0], np.sum(losses), rtol=1e-5)
    np.testing.assert_allclose(found[1], gradient, atol=1e-7)


def test_without_a_weighted_pixel_the_loss_is_0_and_so_is_its_gradient():
    logits, _ = logits_and_labels()
    labels = np.full((2, 4, 6), 3, np.uint8)
    loss, gradient = jax.value_and_grad(cross_entropy)(logits, labels, 255, np.eye(5, dtype=np.float32)[0])
    assert loss == 0 and not gradient.any()


@pytest.mark.parametrize("weighted", [False, True])
def test_label_smoothing_is_the_mixture_of_two_targets(weighted):
    """1 - e at the label, and e / 5 more at each class; weights of the classes as in PyTorch."""
    logits, labels = logits_and_labels()
    weights = np.array([1.0, 3.0, 0.5, 2.0, 2.0]) if weighted else np.ones(5)
    losses, total = [], 0.0
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] != 255:
            exponentials = np.exp(logits[pixel].astype(np.float64))
            target = np.eye(5)[labels[pixel]] * 0.8 + 0.2 / 5
            losses.append(-(weights * target * np.log(exponentials / exponentials.sum())).sum())
            total += weights[labels[pixel]]
    found = cross_entropy(logits, labels, 255, weights.astype(np.float32) if weighted else None, 0.2)
    np.testing.assert_allclose(found, np.sum(losses) / total, rtol=1e-5)


@pytest.mark.parametrize(("threshold", "share"), [(0.3, 0.0), (0.3, 0.6), (0.9, 0.1), (0.01, 0.25), (1.0, 1.0)])
def test_hard_pixels_are_those_below_the_threshold_and_at_least_a_share(threshold, share):
    logits, labels = logits_and_labels()
    losses = np.asarray(pixel_losses(logits, labels), np.float64)
    counted = labels != 255
    ordered = np.sort(losses[counted])[::-1]
    below = int((np.exp(-ordered) <= threshold).sum())
    expected = ordered[: max(below, int(np.ceil(np.float32(share) * np.float32(len(ordered)))))].mean()
    np.testing.assert_allclose(cross_entropy(logits, labels, hard=(threshold, share)), expected, rtol=1e-5)


def test_hard_pixels_of_images_without_labels_do_no_harm():
    logits, labels = logits_and_labels()
    labels[0] = 255
    alone = cross_entropy(logits[1:], labels[1:], hard=(0.5, 0.25))
    np.testing.assert_allclose(cross_entropy(logits, labels, hard=(0.5, 0.25)), alone, rtol=1e-6)
    loss, gradient = jax.value_and_grad(cross_entropy)(logits, np.full_like(labels, 255), hard=(0.5, 0.25))
    assert loss == 0 and not gradient.any()
