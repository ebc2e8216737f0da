"""The Cityscapes benchmark's further measures against its own scorer, on files as it takes them."""

import argparse

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from cityscapesscripts.helpers.labels import id2label, labels, trainId2label
from PIL import Image
from reference_cityscapes import assert_official

from gun_jax.data.classes import CITYSCAPES
from gun_jax.errors import InputError
from gun_jax.metrics.cityscapes import AVERAGE_SIZES, CATEGORIES, InstanceCounts, cityscapes_scores
from gun_jax.metrics.confusion import ConfusionMatrix

official = evalPixelLevelSemanticLabeling


def example(seed, absent=(), size=(48, 64)):
    """Label ids, all ignored ones among them, their instances and groups, and a prediction in train ids."""
    rng = np.random.default_rng(seed)
    blocks = rng.choice([i for i in range(34) if i not in absent], (12, 16))
    truth = blocks.repeat(4, 0).repeat(4, 1)
    number = rng.integers(0, 40, blocks.shape).repeat(4, 0).repeat(4, 1)
    has_instances = np.vectorize(lambda i: id2label[i].hasInstances)(truth)
    single = has_instances & (number < 30)  # the rest of them are groups
    instances = np.where(single, 1000 * truth + number, truth)
    train_ids = CITYSCAPES.lookup()[truth]
    other = rng.integers(0, 19, size)
    right = (train_ids != 255) & (rng.random(size) < 0.6)
    return truth.astype(np.uint8), instances.astype(np.uint16), np.where(right, train_ids, other)


@pytest.fixture
def numpy_of_the_scorer(monkeypatch):
    """The scorer calls a function by the name that it had before NumPy 2.4."""
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)


def official_results(tmp_path, examples):
    files = []
    for index, (truth, instances, prediction) in enumerate(examples):
        label_ids = np.vectorize(lambda i: trainId2label[i].id)(prediction).astype(np.uint8)
        names = [tmp_path / f"{index}_{kind}.png" for kind in ("prediction", "gtFine_labelIds", "gtFine_instanceIds")]
        for name, pixels in zip(names, (label_ids, truth, instances), strict=True):
            Image.fromarray(pixels).save(name)
        files.append(names)
    arguments = argparse.Namespace(**vars(official.args))
    arguments.quiet, arguments.JSONOutput = True, False
    return official.evaluateImgLists([str(one[0]) for one in files], [str(one[1]) for one in files], arguments)


def our_results(examples):
    matrix, counts = ConfusionMatrix(19), InstanceCounts()
    for truth, instances, prediction in examples:
        matrix.update(CITYSCAPES.lookup()[truth], prediction)
        counts.update(instances.astype(np.int32), prediction)
    return matrix.scores(CITYSCAPES.names) | cityscapes_scores(matrix, counts)


@pytest.mark.parametrize("absent", [(), (26, 29, 24, 25), (23,)], ids=["all", "no car, person, rider", "no sky"])
def test_all_cityscapes_measures_are_the_official_scorer_s_figure_by_figure(tmp_path, absent, numpy_of_the_scorer):
    examples = [example(seed, absent) for seed in range(3)]
    if absent:  # nor predicted, but for the sky
        for _, _, prediction in examples:
            prediction[np.isin(prediction, [CITYSCAPES.lookup()[i] for i in absent if i != 23])] = 0
    ours, theirs = our_results(examples), official_results(tmp_path, examples)
    assert_official(ours, theirs)
    assert sum(value is not None for value in ours["iiou"].values()) == 8 - sum(i in (24, 25, 26) for i in absent)


def test_categories_and_average_sizes_are_the_benchmark_s():
    theirs = {}
    for label in labels:
        if not label.ignoreInEval:
            theirs.setdefault(label.category, []).append(label.name)
    assert {name: set(members) for name, members in CATEGORIES.items()} == {k: set(v) for k, v in theirs.items()}
    assert list(AVERAGE_SIZES.items()) == [
        (label.name, official.args.avgClassSize[label.name])
        for label in labels
        if label.hasInstances and not label.ignoreInEval
    ]


def test_without_instances_there_is_no_instance_weighted_score():
    matrix = ConfusionMatrix(19).update(np.arange(19), np.arange(19))
    scores = cityscapes_scores(matrix, None)
    assert set(scores) == {"category_iou", "category_miou"}
    assert set(scores["category_iou"].values()) == {1.0} and scores["category_miou"] == 1.0


def test_a_small_instance_counts_as_much_as_a_large_one():
    instances = np.array([[26000] * 9 + [26001]])
    prediction = np.array([[13] * 9 + [0]])  # the large car is found, the small one is taken for road
    counts = InstanceCounts().update(instances, prediction)
    assert counts.hits[13] == pytest.approx(counts.misses[13]) == pytest.approx(AVERAGE_SIZES["car"])


def test_an_instance_of_a_class_that_has_none_is_refused_in_a_line():
    with pytest.raises(InputError, match="7001 is an instance of road, which has none"):
        InstanceCounts().update(np.full((2, 2), 7001), np.zeros((2, 2), int))


def test_instances_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"\(2, 3\) and prediction \(3, 2\)"):
        InstanceCounts().update(np.zeros((2, 3), int), np.zeros((3, 2), int))
