"""What a per_image keeps of every image, against loops over one image at a time."""

import numpy as np
import pytest

import gun_jax
from gun_jax.evaluation.report.per_image import PerImageScores, Scored

CLASSES = 5


def draw(seed, size=(12, 16)):
    """A truth in which class 3 never occurs and some is ignored, and a prediction that is right in the half of it."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 4, 255], size).astype(np.uint8)
    wrong = rng.integers(0, CLASSES, size)
    return truth, np.where((truth == 255) | (rng.random(size) < 0.5), wrong, truth).astype(np.int32)


@pytest.fixture(scope="module")
def pairs():
    return [draw(seed, size) for seed, size in enumerate([(12, 16), (12, 16), (9, 30), (20, 8), (12, 16)])]


@pytest.fixture(scope="module")
def per_image(pairs):
    per_image = PerImageScores(CLASSES)
    for index in (3, 0, 4, 1, 2):  # they come by their sizes, not by their places
        per_image.add({"index": index, "label": pairs[index][0]}, pairs[index][1])
    return per_image


def test_the_miou_of_a_image_is_the_mean_over_the_classes_in_its_truth_or_prediction(per_image, pairs, iou_by_loops):
    assert len(per_image.images) == len(pairs)
    for one in per_image.images:
        truth, prediction = pairs[one.index]
        _, expected, _ = iou_by_loops([truth], [prediction], CLASSES)
        np.testing.assert_allclose(one.miou, expected)


def test_a_class_that_is_only_predicted_counts_as_nothing_found():
    per_image = PerImageScores(CLASSES)
    per_image.add({"index": 0, "label": np.zeros((2, 4), np.uint8)}, np.array([[0, 0, 0, 0], [0, 0, 0, 3]]))
    np.testing.assert_allclose(per_image.images[0].miou, (7 / 8 + 0) / 2)


def test_the_matrix_of_a_survey_is_that_of_all_images(per_image, pairs, iou_by_loops):
    iou, miou, accuracy = iou_by_loops(*zip(*pairs, strict=True), CLASSES)
    found = [None if np.isnan(value) else value for value in per_image.matrix.iou()]
    assert found == pytest.approx(iou) and per_image.matrix.miou() == pytest.approx(miou)
    assert per_image.matrix.accuracy() == pytest.approx(accuracy)


def test_the_trimap_of_a_survey_is_the_trimap_curve_of_all_images(per_image, pairs):
    expected = gun_jax.trimap_curve(*zip(*pairs, strict=True), CLASSES)
    np.testing.assert_array_equal(per_image.trimap.miou(), expected)
    assert np.isfinite(expected).all()


def test_a_image_of_which_no_pixel_counts_is_not_chosen():
    per_image = PerImageScores(CLASSES, trimap=False)
    per_image.add({"index": 0, "label": np.full((2, 3), 255, np.uint8)}, np.zeros((2, 3), np.int32))
    assert per_image.images == [] and per_image.worst_and_best(4) == ([], [])


def ranked(mious):
    per_image = PerImageScores(CLASSES, trimap=False)
    per_image.images = [Scored(miou, index) for index, miou in enumerate(mious)]
    worst, best = per_image.worst_and_best(2)
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


def test_no_images_are_chosen_where_none_are_asked_for(per_image):
    assert per_image.worst_and_best(0) == ([], [])
