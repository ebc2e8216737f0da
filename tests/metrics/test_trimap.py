"""The trimap against a search through all pairs of pixels, against closed forms, and by properties."""

import numpy as np
import pytest

import gun_jax
from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import DISTANCES, Trimap, trimap_curve

CLASSES = 5


def blobs(seed, size=(24, 31), ignored=True):
    """Truth of a few regions, the class 4 absent, some of it ignored; and a prediction that is wrong here and there."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, CLASSES - 1, (6, 8))
    truth = coarse.repeat(4, 0).repeat(4, 1)[: size[0], : size[1]]
    prediction = np.where(rng.random(size) < 0.25, rng.integers(0, CLASSES, size), np.roll(truth, 1, 1))
    if ignored:
        truth = np.where(rng.random(size) < 0.1, 255, truth)
    return truth, prediction


def distance_by_search(truth, class_id, row, column):
    """From one pixel to the nearest of the other side, among the pixels that count."""
    inside = truth[row, column] == class_id
    others = (truth != class_id) & (truth != 255) if inside else truth == class_id
    places = np.argwhere(others)
    if not len(places):
        return np.inf
    return np.sqrt(((places - (row, column)) ** 2).sum(1).min())


def curve_by_search(pairs, distances):
    """mIoU by distance: every pixel of every class asked by itself."""
    hits, unions = np.zeros((len(distances), CLASSES)), np.zeros((len(distances), CLASSES))
    for truth, prediction in pairs:
        for class_id in range(CLASSES):
            for row, column in np.argwhere(truth != 255):
                there, found = truth[row, column] == class_id, prediction[row, column] == class_id
                if there or found:
                    near = distance_by_search(truth, class_id, row, column) <= np.asarray(distances)
                    hits[:, class_id] += near & there & found
                    unions[:, class_id] += near
    iou = [[hit / union for hit, union in zip(*row, strict=True) if union] for row in zip(hits, unions, strict=True)]
    return np.array([np.mean(row) for row in iou])


def test_the_curve_is_that_of_a_search_through_all_pairs_of_pixels():
    pairs = [blobs(seed) for seed in range(3)]
    distances = (1, 1.5, 2, 3, 4.5, 7)
    ours = gun_jax.trimap_curve(*zip(*pairs, strict=True), CLASSES, distances)
    np.testing.assert_allclose(ours, curve_by_search(pairs, distances), rtol=1e-12)
    assert len(set(ours.tolist())) == len(distances)


def test_a_straight_boundary_that_is_a_pixel_off_has_the_iou_of_the_closed_form():
    # 10 columns of class 0, then 10 of class 1; predicted one column to the right. Within d lie d columns of either: of
    # class 0 all are found and one of the others', of class 1 all but one.
    truth = np.repeat([[0] * 10 + [1] * 10], 6, 0)
    prediction = np.repeat([[0] * 11 + [1] * 9], 6, 0)
    d = np.arange(1, 8)
    expected = (d / (d + 1) + (d - 1) / d) / 2
    np.testing.assert_allclose(trimap_curve([truth], [prediction], 2, d), expected, rtol=1e-12)


def test_within_a_distance_beyond_all_pixels_it_is_the_plain_iou():
    pairs = [blobs(seed) for seed in range(3)]
    trimap, matrix = Trimap(CLASSES, (1, 1000)), ConfusionMatrix(CLASSES)
    for truth, prediction in pairs:
        prediction = np.where(prediction == 4, 0, prediction)  # a class that is nowhere has no boundary anywhere
        trimap.update(truth, prediction)
        matrix.update(truth, prediction)
    np.testing.assert_allclose(trimap.iou()[-1], matrix.iou())


def test_a_perfect_prediction_has_1_everywhere_and_classes_that_are_nowhere_do_not_count():
    truth, _ = blobs(0)
    trimap = Trimap(CLASSES).update(truth, np.where(truth == 255, 0, truth))
    np.testing.assert_array_equal(trimap.miou(), 1.0)
    assert np.isnan(trimap.iou()[:, 4]).all() and not np.isnan(trimap.iou()[:, :4]).any()


def test_what_is_ignored_is_no_boundary_and_does_not_count():
    truth = np.repeat([[0] * 5 + [255] * 3 + [1] * 4], 5, 0)
    prediction = np.zeros_like(truth)
    trimap = Trimap(2, (3, 4, 8)).update(truth, prediction)
    # From column 4 it is 4 columns to the first of class 1, in column 8.
    assert trimap.union.tolist() == [[0, 0], [10, 5], [45, 20]]
    assert trimap.intersection.tolist() == [[0, 0], [5, 0], [25, 0]]


def test_an_image_of_one_class_has_no_boundary():
    curve = trimap_curve([np.zeros((4, 4), int)], [np.ones((4, 4), int)], 2)
    assert curve.shape == (len(DISTANCES),) and np.isnan(curve).all()


def test_merging_is_counting_all_and_the_order_of_images_does_not_matter():
    pairs = [blobs(seed) for seed in range(4)]
    one, other, both = Trimap(CLASSES), Trimap(CLASSES), Trimap(CLASSES)
    for number, pair in enumerate(pairs):
        (one if number % 2 else other).update(*pair)
        both.update(*pair)
    one.merge(other)
    np.testing.assert_array_equal(one.intersection, both.intersection)
    np.testing.assert_array_equal(one.union, both.union)


@pytest.mark.parametrize("distances", [(), (0, 1), (-1, 1), (2, 1), (1, 1), (float("nan"),), 3])
def test_impossible_distances_are_refused_in_a_line(distances):
    with pytest.raises(InputError, match=r"trimap distances .*; expected positive and ascending") as error:
        Trimap(2, distances)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("label", "prediction"),
    [
        (np.zeros((3, 4), int), np.zeros((4, 3), int)),
        (np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int)),
        (np.full((3, 4), 2), np.zeros((3, 4), int)),
        (np.zeros((3, 4), int), np.full((3, 4), 7)),
        (np.full((3, 4), -1), np.zeros((3, 4), int)),
    ],
)
def test_maps_of_other_shapes_or_numbers_are_refused_in_a_line_and_nothing_is_added(label, prediction):
    trimap = Trimap(2)
    with pytest.raises(InputError, match=r"trimap.*; expected|holds") as error:
        trimap.update(label, prediction)
    assert "\n" not in str(error.value) and not trimap.union.any()


def test_not_as_many_predictions_as_labels_are_refused():
    with pytest.raises(InputError, match="not as many"):
        trimap_curve([np.zeros((3, 4), int)] * 2, [np.zeros((3, 4), int)], 2)


def test_merging_other_classes_or_distances_is_refused():
    for other in (Trimap(3), Trimap(2, (1, 2))):
        with pytest.raises(InputError, match="merging"):
            Trimap(2).merge(other)
