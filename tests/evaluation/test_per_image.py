"""Scores of each image against loops over one image at a time."""

import numpy as np
import pytest

import gun_jax
from gun_jax.evaluation.per_image import ImageScore, PerImageScores

CLASSES = 5


def draw(seed, size=(12, 16)):
    """A truth in which class 3 never occurs and some is ignored, and a prediction that is right in half of it."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 4, 255], size).astype(np.uint8)
    wrong = rng.integers(0, CLASSES, size)
    return truth, np.where((truth == 255) | (rng.random(size) < 0.5), wrong, truth).astype(np.int32)


@pytest.fixture(scope="module")
def pairs():
    return [draw(seed, size) for seed, size in enumerate([(12, 16), (12, 16), (9, 30), (20, 8), (12, 16)])]


@pytest.fixture(scope="module")
def scores(pairs):
    scores = PerImageScores(CLASSES)
    for index in (3, 0, 4, 1, 2):  # in the order of their sizes
        scores.add({"index": index, "id": str(index), "label": pairs[index][0]}, pairs[index][1])
    return scores


def test_the_miou_of_an_image_is_the_mean_over_the_classes_in_its_truth_or_prediction(scores, pairs, iou_by_loops):
    assert len(scores.images) == len(pairs)
    for one in scores.images:
        truth, prediction = pairs[one.index]
        _, expected, _ = iou_by_loops([truth], [prediction], CLASSES)
        np.testing.assert_allclose(one.miou, expected)


def test_a_class_that_is_only_predicted_counts_as_nothing_found():
    scores = PerImageScores(CLASSES)
    scores.add({"index": 0, "id": "0", "label": np.zeros((2, 4), np.uint8)}, np.array([[0, 0, 0, 0], [0, 0, 0, 3]]))
    np.testing.assert_allclose(scores.images[0].miou, (7 / 8 + 0) / 2)


def test_the_matrix_is_that_of_all_images(scores, pairs, iou_by_loops):
    iou, miou, accuracy = iou_by_loops(*zip(*pairs, strict=True), CLASSES)
    found = [None if np.isnan(value) else value for value in scores.matrix.iou()]
    assert found == pytest.approx(iou) and scores.matrix.miou() == pytest.approx(miou)
    assert scores.matrix.accuracy() == pytest.approx(accuracy)


def test_the_trimap_is_the_trimap_curve_of_all_images(scores, pairs):
    expected = gun_jax.trimap_curve(*zip(*pairs, strict=True), CLASSES)
    np.testing.assert_array_equal(scores.trimap.miou(), expected)
    assert np.isfinite(expected).all()


def test_an_image_of_which_no_pixel_counts_is_not_chosen():
    scores = PerImageScores(CLASSES, trimap=False)
    scores.add({"index": 0, "id": "0", "label": np.full((2, 3), 255, np.uint8)}, np.zeros((2, 3), np.int32))
    assert scores.images == [] and scores.worst_and_best(4) == ([], [])


def ranked(mious):
    scores = PerImageScores(CLASSES, trimap=False)
    scores.images = [ImageScore(miou, index, 0.5) for index, miou in enumerate(mious)]
    worst, best = scores.worst_and_best(2)
    return [one.index for one in worst], [one.index for one in best]


@pytest.mark.parametrize(
    ("mious", "worst", "best"),
    [
        ([0.5, 0.1, 0.9, 0.3, 0.7], [1, 3], [2, 4]),
        ([0.5, 0.5, 0.5, 0.5, 0.5], [0, 1], [4, 3]),
        ([0.5, 0.1, 0.9, 0.3], [1, 3, 0, 2], []),
        ([0.5], [0], []),
        ([], [], []),
    ],
)
def test_the_worst_come_first_and_no_image_is_both_worst_and_best(mious, worst, best):
    assert ranked(mious) == (worst, best)


def test_no_images_are_chosen_where_none_are_asked_for(scores):
    assert scores.worst_and_best(0) == ([], [])


def test_the_rows_are_the_scores_of_each_image_in_the_order_of_the_source(scores, pairs, iou_by_loops):
    rows = scores.rows()
    assert [row["id"] for row in rows] == ["0", "1", "2", "3", "4"]
    for row, (truth, prediction) in zip(rows, pairs, strict=True):
        _, miou, accuracy = iou_by_loops([truth], [prediction], CLASSES)
        assert row["miou"] == pytest.approx(miou) and row["accuracy"] == pytest.approx(accuracy)
