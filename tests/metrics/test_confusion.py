"""Scores against the scorer of the Cityscapes benchmark itself, against NumPy loops, and by properties."""

import argparse
import json
import math

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from cityscapesscripts.helpers.labels import id2label, trainId2label
from PIL import Image

from gun_jax.data.classes import CITYSCAPES
from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ConfusionMatrix

official = evalPixelLevelSemanticLabeling
TRAIN_IDS = range(19)
ABSENT = 15  # the bus, neither there nor predicted in the examples
NEVER_RIGHT = 3  # the wall, there but never predicted


def label_id(train_id):
    return trainId2label[train_id].id


def example(seed, size=(60, 80)):
    """Ground truth in label ids, all ignored ones among them, and a prediction in train ids, right on half of it."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([i for i in range(34) if i != label_id(ABSENT)], size)
    classes = [i for i in TRAIN_IDS if i not in (ABSENT, NEVER_RIGHT)]
    prediction = rng.choice(classes, size)
    for train_id in classes:
        prediction[(truth == label_id(train_id)) & (rng.random(size) < 0.5)] = train_id
    return truth.astype(np.uint8), prediction


def official_matrix(tmp_path, pairs):
    """The benchmark's own confusion matrix, in label ids, of label files as it takes them."""
    arguments = argparse.Namespace(**vars(official.args))
    arguments.evalInstLevelScore = arguments.evalPixelAccuracy = False
    arguments.normalized = True
    matrix = official.generateMatrix(arguments)
    for number, (truth, prediction) in enumerate(pairs):
        files = [str(tmp_path / f"{number}_{kind}.png") for kind in ("prediction", "truth")]
        in_label_ids = np.vectorize(label_id)(prediction)
        Image.fromarray(in_label_ids.astype(np.uint8)).save(files[0])
        Image.fromarray(truth).save(files[1])
        official.evaluatePair(*files, matrix, {}, {}, arguments)
    return matrix, arguments


def ours(pairs):
    matrix = ConfusionMatrix(19)
    for truth, prediction in pairs:
        matrix.update(CITYSCAPES.lookup()[truth], prediction)
    return matrix


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    pairs = [example(seed) for seed in range(3)]
    return ours(pairs), *official_matrix(tmp_path_factory.mktemp("scorer"), pairs)


# The benchmark's scorer


def test_iou_of_each_class_is_the_benchmark_s(both):
    matrix, theirs, arguments = both
    expected = [official.getIouScoreForLabel(label_id(i), theirs, arguments) for i in TRAIN_IDS]
    assert 0.2 < np.nanmax(expected) < 0.9 and expected[NEVER_RIGHT] == 0
    np.testing.assert_array_equal(matrix.iou(), expected)


def test_a_class_that_is_neither_there_nor_predicted_has_no_iou_as_in_the_benchmark(both):
    matrix, theirs, arguments = both
    assert math.isnan(official.getIouScoreForLabel(label_id(ABSENT), theirs, arguments))
    assert np.flatnonzero(np.isnan(matrix.iou())).tolist() == [ABSENT]


def test_miou_is_the_benchmark_s_average_over_the_classes_that_have_a_score(both):
    matrix, theirs, arguments = both
    scores = {i: official.getIouScoreForLabel(i, theirs, arguments) for i in arguments.evalLabels}
    assert matrix.miou() == pytest.approx(official.getScoreAverage(scores, arguments), abs=1e-12)


def test_accuracy_is_the_benchmark_s_recall_weighted_by_its_priors(both):
    matrix, theirs, arguments = both
    scored = [i for i in arguments.evalLabels if not id2label[i].ignoreInEval and theirs[i].sum()]
    prior = np.array([official.getPrior(i, theirs) for i in scored])
    recall = np.array([official.getMatrixFieldValue(theirs, i, i, arguments) for i in scored])
    assert matrix.accuracy() == pytest.approx((prior * recall).sum() / prior.sum(), abs=1e-12)


def test_counts_are_the_benchmark_s_for_every_pair_of_classes(both):
    matrix, theirs, _ = both
    ids = [label_id(i) for i in TRAIN_IDS]
    np.testing.assert_array_equal(matrix.counts, theirs[np.ix_(ids, ids)])


@pytest.mark.parametrize("only", [None, 7], ids=["two classes", "one class"])
def test_it_is_the_benchmark_s_score_where_most_classes_are_absent(only, tmp_path):
    rng = np.random.default_rng(3)
    truth = rng.choice([0, 7, 23] if only is None else [0, only], (30, 40)).astype(np.uint8)
    pairs = [(truth, rng.choice([0, 10], (30, 40)))]
    theirs, arguments = official_matrix(tmp_path, pairs)
    expected = [official.getIouScoreForLabel(label_id(i), theirs, arguments) for i in TRAIN_IDS]
    np.testing.assert_array_equal(ours(pairs).iou(), expected)
    average = official.getScoreAverage(dict(enumerate(expected)), arguments)
    assert ours(pairs).miou() == pytest.approx(average, abs=1e-12)


# Counting


def test_counts_are_those_of_a_loop_over_the_pixels():
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 1, 2, 3, 255], (2, 5, 6)).astype(np.uint8)
    predictions = rng.integers(0, 4, (2, 5, 6)).astype(np.int32)
    expected = np.zeros((4, 4), int)
    for place in np.ndindex(labels.shape):
        if labels[place] != 255:
            expected[labels[place], predictions[place]] += 1
    matrix = ConfusionMatrix(4).update(labels, predictions)
    np.testing.assert_array_equal(matrix.counts, expected)
    assert matrix.counts.dtype == np.int64


def test_predictions_under_ignored_labels_do_not_matter_whatever_they_are():
    labels = np.array([0, 255, 1, 255], np.uint8)
    matrix = ConfusionMatrix(2).update(labels, np.array([0, 7, 1, -3]))
    np.testing.assert_array_equal(matrix.counts, np.eye(2))


def test_another_label_can_be_the_ignored_one():
    matrix = ConfusionMatrix(3, ignore_label=11).update(np.array([0, 11, 2]), np.array([0, 1, 1]))
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 0], [0, 0, 0], [0, 1, 0]])


def test_the_order_of_truth_and_prediction_matters():
    matrix = ConfusionMatrix(2).update(np.array([0, 0, 1]), np.array([1, 1, 1]))
    assert matrix.counts.tolist() == [[0, 2], [0, 1]]


def test_merging_is_updating_one_matrix_with_both():
    (a, b), (c, d) = [(CITYSCAPES.lookup()[truth], prediction) for truth, prediction in map(example, (4, 5))]
    first, second = ConfusionMatrix(19).update(a, b), ConfusionMatrix(19).update(c, d)
    whole = ConfusionMatrix(19).update(np.stack([a, c]), np.stack([b, d]))
    other_counts = second.counts.copy()
    assert first.merge(second) is first
    np.testing.assert_array_equal(first.counts, whole.counts)
    np.testing.assert_array_equal(second.counts, other_counts)


def test_updating_returns_the_matrix_itself():
    matrix = ConfusionMatrix(2)
    assert matrix.update(np.array([0]), np.array([1])) is matrix


def test_the_type_of_whole_numbers_does_not_change_the_counts():
    truth, prediction = example(6)
    truth = CITYSCAPES.lookup()[truth]
    expected = ConfusionMatrix(19).update(truth, prediction).counts
    for dtype in (np.uint8, np.int16, np.int32, np.uint32, np.int64):
        matrix = ConfusionMatrix(19).update(truth.astype(dtype), prediction.astype(dtype))
        np.testing.assert_array_equal(matrix.counts, expected)


def test_254_classes_are_counted_in_bytes_without_overflow():
    every = np.arange(254, dtype=np.uint8)
    assert np.trace(ConfusionMatrix(254).update(every, every).counts) == 254


# Scores of hand-made counts


def test_perfect_predictions_score_one():
    labels = np.array([0, 1, 2, 2])
    matrix = ConfusionMatrix(3).update(labels, labels)
    assert matrix.iou().tolist() == [1, 1, 1] and matrix.miou() == 1 and matrix.accuracy() == 1


def test_half_of_two_classes_swapped_is_a_third_and_a_half():
    matrix = ConfusionMatrix(2).update(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert matrix.iou() == pytest.approx([1 / 3, 1 / 3]) and matrix.miou() == pytest.approx(1 / 3)
    assert matrix.accuracy() == 0.5


def test_a_class_that_is_only_predicted_counts_as_nought_in_the_mean():
    matrix = ConfusionMatrix(3).update(np.array([0, 0]), np.array([0, 2]))
    np.testing.assert_array_equal(matrix.iou(), [0.5, np.nan, 0.0])
    assert matrix.miou() == 0.25


def test_without_counted_pixels_there_are_no_scores():
    matrix = ConfusionMatrix(3).update(np.full((2, 2), 255), np.zeros((2, 2), int))
    assert np.isnan(matrix.iou()).all() and math.isnan(matrix.miou()) and math.isnan(matrix.accuracy())


def test_scores_go_through_json_with_null_where_there_is_none():
    matrix = ConfusionMatrix(3).update(np.array([0, 0]), np.array([0, 2]))
    scores = json.loads(json.dumps(matrix.scores(("a", "b", "c")), allow_nan=False))
    assert scores == {"miou": 0.25, "accuracy": 0.5, "iou": {"a": 0.5, "b": None, "c": 0.0}}
    empty = json.loads(json.dumps(ConfusionMatrix(1).scores(("a",)), allow_nan=False))
    assert empty == {"miou": None, "accuracy": None, "iou": {"a": None}}


# Bad input


@pytest.mark.parametrize(
    ("labels", "predictions", "named"),
    [
        ([0, 3], [0, 0], "labels hold 3; expected 0 to 2"),
        ([0, -1], [0, 0], "labels hold -1; expected 0 to 2"),
        ([0, 254], [0, 0], "labels hold 254; expected 0 to 2"),
        ([0, 1], [0, 3], "predictions hold 3; expected 0 to 2"),
        ([0, 1], [-2, 0], "predictions hold -2; expected 0 to 2"),
        ([0, 1], [255, 0], "predictions hold 255; expected 0 to 2"),
    ],
)
def test_a_number_that_is_no_class_is_named_and_nothing_is_added(labels, predictions, named):
    matrix = ConfusionMatrix(3)
    with pytest.raises(InputError, match=named) as error:
        matrix.update(np.array(labels), np.array(predictions))
    assert "\n" not in str(error.value) and not matrix.counts.any()


def test_shapes_that_differ_are_named_even_if_numpy_could_broadcast_them():
    with pytest.raises(InputError, match=r"labels \(2, 3\) and predictions \(1, 3\)"):
        ConfusionMatrix(3).update(np.zeros((2, 3), int), np.zeros((1, 3), int))


def test_merging_with_another_number_of_classes_is_refused():
    with pytest.raises(InputError, match="of 3 and of 1 classes"):
        ConfusionMatrix(3).merge(ConfusionMatrix(1))


@pytest.mark.parametrize("number", [0, -1])
def test_a_matrix_without_classes_is_refused(number):
    with pytest.raises(InputError, match=f"of {number} classes"):
        ConfusionMatrix(number)
