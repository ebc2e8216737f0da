"""Scoring in batches against a loop that takes one image at a time and counts pixels with NumPy."""

import types

import jax
import numpy as np
import pytest

from gun_jax import GUN
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.evaluation.scoring import make_scorer, score_labels
from gun_jax.evaluation.views import Views
from gun_jax.metrics.confusion import ConfusionMatrix

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, as torchvision has them


class Records:
    """Images and labels of any sizes, in a list."""

    classes = CITYSCAPES

    def __init__(self, sizes, label_sizes=None):
        self.records = []
        for index, (size, label_size) in enumerate(zip(sizes, label_sizes or sizes, strict=True)):
            image = SyntheticScenes(20, size, seed=5)[index]["image"]
            label = np.random.default_rng(index).integers(0, 19, label_size).astype(np.uint8)
            label[: label_size[0] // 4] = 255
            self.records.append({"image": image, "label": label, "id": str(index)})

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]


SMALL, LARGE, ODD = (64, 128), (96, 128), (70, 101)


@pytest.fixture(scope="module")
def network(random_variables):
    """A network, random variables with which it tells classes apart, and `labels(record)`: what it says to one."""
    model = GUN(19, width=0.1, input_subsampling=2, encoder="enc4", guidance=None)  # compiles quickly
    variables = random_variables(model, seed=6)
    apply = jax.jit(
        lambda variables, image, size: model.apply(variables, image, output_size=size, method="predict"),
        static_argnums=2,
    )

    def labels(record):
        image = ((record["image"] / 255.0 - MEAN) / STD).astype(np.float32)[None]
        return np.asarray(apply(variables, image, record["label"].shape))[0]

    return types.SimpleNamespace(model=model, variables=variables, labels=labels, score=make_scorer(model, 2, 2))


def counts_by_loops(network, source):
    """Pixels by true and by predicted class, one image at a time: int (19, 19)."""
    counts = np.zeros((19, 19), np.int64)
    for record in source.records:
        counted = record["label"] != 255
        np.add.at(counts, (record["label"][counted], network.labels(record)[counted]), 1)
    return counts


def assert_nearly(found, expected):
    """The same number of pixels by true class; a pixel in 10,000 may fall to the other side of a tie."""
    np.testing.assert_array_equal(found.sum(1), expected.sum(1))
    assert np.abs(found - expected).sum() <= 2e-4 * expected.sum()


@pytest.mark.parametrize(
    ("sizes", "label_sizes"),
    [
        ([SMALL] * 4, None),
        ([SMALL] * 3, None),  # the last batch is not full
        ([SMALL, LARGE, SMALL, SMALL, ODD], None),
        ([SMALL, SMALL, SMALL], [(32, 64), (64, 128), (100, 150)]),  # one image size, several of labels
    ],
    ids=["full batches", "a batch that is not full", "several sizes", "labels of other sizes"],
)
def test_the_counts_are_those_of_one_image_at_a_time(network, sizes, label_sizes):
    source = Records(sizes, label_sizes)
    expected = counts_by_loops(network, source)
    assert np.count_nonzero(expected.sum(0)) > 5  # the network does tell classes apart
    assert_nearly(network.score(network.variables, source).counts, expected)


def test_the_iou_is_that_of_loops_over_one_image_at_a_time(network, iou_by_loops):
    source = Records([SMALL] * 3)
    found = network.score(network.variables, source)
    labels = [record["label"] for record in source.records]
    iou, miou, accuracy = iou_by_loops(labels, [network.labels(record) for record in source.records], 19)
    np.testing.assert_allclose(found.iou(), np.array(iou, float), atol=1e-3)
    np.testing.assert_allclose([found.miou(), found.accuracy()], [miou, accuracy], atol=1e-3)


def test_scoring_again_starts_from_nothing(network):
    source = Records([SMALL] * 3)
    first, second = (network.score(network.variables, source).counts for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_variables_give_other_counts(network, random_variables):
    source = Records([SMALL] * 2)
    other = network.score(random_variables(network.model, seed=9), source).counts
    assert np.any(other != network.score(network.variables, source).counts)


def test_records_of_many_sizes_do_not_all_wait_for_others_of_theirs():
    source, read, scored = Records([(32 + i, 32) for i in range(20)]), [], []

    class Counted:
        classes, __len__ = CITYSCAPES, lambda _: 20

        def __getitem__(self, index):
            read.append(index)
            return source[index]

    def label(images, size):
        assert len(images) == 1 and len(read) <= len(scored) + 10  # some wait, and some are read ahead
        return np.zeros((1, *size), np.uint8)

    found = score_labels(label, 19, Counted(), 2, 1, lambda record, _: scored.append(record["id"]))
    assert scored == [str(number) for number in range(20)]
    labels = np.concatenate([record["label"].ravel() for record in source.records])
    np.testing.assert_array_equal(found.counts[:, 0], np.bincount(labels[labels != 255], minlength=19))


def test_every_record_is_handed_on_once_with_its_own_prediction(network):
    source, matrix, seen = Records([SMALL, LARGE, SMALL, SMALL]), ConfusionMatrix(network.model.num_classes), []

    def each(record, prediction):
        seen.append(record["id"])
        assert prediction.shape == record["label"].shape
        matrix.update(record["label"], prediction)

    whole = network.score(network.variables, source, each)
    assert sorted(seen) == sorted(source[i]["id"] for i in range(4))
    np.testing.assert_array_equal(matrix.counts, whole.counts)


def test_every_record_says_its_place_in_the_source(network):
    source = Records([SMALL, LARGE, SMALL, SMALL])
    seen = []
    network.score(network.variables, source, each=lambda record, _: seen.append((record["index"], record["id"])))
    assert sorted(seen) == [(0, "0"), (1, "1"), (2, "2"), (3, "3")]


def test_batches_of_one_size_are_compiled_once(network, random_variables):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    score = make_scorer(network.model, 2, 2)
    score(network.variables, Records([SMALL] * 5))
    assert compiled
    compiled.clear()
    score(random_variables(network.model, seed=4), Records([SMALL] * 5))
    assert not compiled


def test_mirror_images_give_mirrored_labels(network):
    """With both views the network's labels of a mirrored image are the mirrored labels."""
    source = Records([SMALL])
    found = []
    for image in (source[0]["image"], source[0]["image"][:, ::-1]):
        source.records[0]["image"] = np.ascontiguousarray(image)
        make_scorer(network.model, 1, 1, Views(flip=True))(
            network.variables, source, lambda _, labels: found.append(np.array(labels))
        )
    assert np.mean(found[0] == found[1][:, ::-1]) > 0.999
