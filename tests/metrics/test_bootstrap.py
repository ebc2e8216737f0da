"""The paired bootstrap against scores by loops, closed forms of the spread, and properties."""

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.metrics.bootstrap import paired_bootstrap
from gun_jax.metrics.confusion import ConfusionMatrix


def counts(seed, trainings, images, classes=4):
    """Confusion matrices in which the last class neither occurs nor is predicted."""
    matrices = np.random.default_rng(seed).integers(0, 50, (trainings, images, classes, classes))
    matrices[..., -1, :] = matrices[..., -1] = 0
    return matrices


def score_by_loops(folds):
    """[mIoU, IoU of the classes]: mean over folds of the mean over trainings."""
    of_folds = []
    for matrices in folds:
        of_trainings = []
        for training in matrices:
            matrix = ConfusionMatrix(training.shape[-1])
            for image in training:
                matrix.counts += image
            of_trainings.append([matrix.miou(), *matrix.iou()])
        of_folds.append(np.mean(of_trainings, 0))
    return np.mean(of_folds, 0)


def test_the_scores_are_the_means_over_trainings_and_folds():
    first = [counts(0, 2, 5), counts(1, 1, 9)]
    second = [counts(2, 1, 5), counts(3, 3, 9)]
    found = paired_bootstrap(list(zip(first, second, strict=True)), 2, 50)
    np.testing.assert_allclose(found.first, score_by_loops(first))
    np.testing.assert_allclose(found.second, score_by_loops(second))
    assert (found.low <= found.high)[:4].all() and np.isnan([found.low[4], found.high[4], found.first[4]]).all()


def test_a_network_does_not_differ_from_itself():
    one = counts(0, 2, 20)
    found = paired_bootstrap([(one, one)], 3, 100)
    assert (found.low[:4] == 0).all() and (found.high[:4] == 0).all()


def test_a_block_of_all_images_draws_each_once():
    first, second = counts(0, 1, 7), counts(1, 1, 7)
    found = paired_bootstrap([(first, second)], 7, 20)
    expected = score_by_loops([first]) - score_by_loops([second])
    np.testing.assert_allclose(found.low, expected)
    np.testing.assert_allclose(found.high, expected)


def right_shares(shares):
    """Images of 1000 pixels of class 0, of which a share is right: the IoU of class 0 is the mean share."""
    matrices = np.zeros((1, len(shares), 2, 2), np.int64)
    matrices[0, :, 0, 0] = np.round(1000 * shares)
    matrices[0, :, 0, 1] = 1000 - matrices[0, :, 0, 0]
    return matrices


def width_of(first, second, block):
    found = paired_bootstrap([(right_shares(first), right_shares(second))], block, 4000)
    return (found.high - found.low)[1]


def test_the_interval_of_a_mean_over_independent_images_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    difficulty = rng.uniform(0.3, 0.8, 200)  # which both networks share: it is not in the interval
    first, second = (difficulty + rng.uniform(-0.1, 0.1, 200) for _ in range(2))
    deviation = np.std(first - second) / np.sqrt(200)
    assert width_of(first, second, 1) == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_blocks_widen_the_interval_where_neighbours_are_alike():
    rng = np.random.default_rng(0)
    first, second = (np.repeat(rng.uniform(0.3, 0.8, 40), 10) for _ in range(2))
    deviation = np.std(first - second) / np.sqrt(40)
    assert width_of(first, second, 100) == pytest.approx(2 * 1.96 * deviation, rel=0.4)
    assert width_of(first, second, 1) == pytest.approx(2 * 1.96 * deviation / np.sqrt(10), rel=0.1)


def test_the_draws_are_those_of_the_seed():
    pair = [(counts(0, 1, 20), counts(1, 1, 20))]
    once, again, other = (paired_bootstrap(pair, 3, 100, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once.low, again.low)
    assert once.low[0] != other.low[0]


@pytest.mark.parametrize(
    ("folds", "numbers", "words"),
    [
        ([], (10, 10), "expected counts"),
        ([(counts(0, 1, 4), counts(0, 1, 5))], (10, 10), "of the same images"),
        ([(counts(0, 1, 0), counts(0, 1, 0))], (10, 10), "one or more"),
        ([(counts(0, 1, 4), counts(0, 1, 4))], (0, 10), "blocks of 0 images and 10 resamples; expected 1 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(folds, numbers, words):
    with pytest.raises(InputError, match=rf"^bootstrap: .*{words}"):
        paired_bootstrap(folds, *numbers)
