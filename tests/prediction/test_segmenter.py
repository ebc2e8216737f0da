"""Labels of images of any size."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from reference_videos import scenes

import gun_jax
from gun_jax.errors import InputError
from gun_jax.prediction.segmenter import Segmenter, enlarge, labels_size, network_size
from gun_jax.runs.loading import load_checkpoint


@pytest.fixture(scope="module")
def trained(random_run):
    return dataclasses.replace(load_checkpoint(random_run.workdir), image_size=(64, 128))


@pytest.fixture(scope="module")
def segmenter(trained):
    return Segmenter(trained)


def predict(trained, images, size):
    run = jax.jit(functools.partial(trained.model.apply, output_size=size, method="predict"))
    return np.asarray(run(trained.variables, gun_jax.normalise(images)))


def test_images_of_the_training_size_are_labelled_as_by_the_network(segmenter, trained):
    images = scenes(3)
    labels = segmenter(images)
    assert labels.dtype == np.uint8 and len(np.unique(labels)) > 5
    assert np.mean(labels == predict(trained, images, (64, 128))) > 0.9999  # batch norm is folded


def test_larger_images_are_shrunk_for_the_network_and_labelled_at_a_finer_size(segmenter, trained):
    images = scenes(1, (200, 400))  # 9.8 times the pixels
    labels = segmenter(images)
    assert labels.shape == (1, 200, 400)
    shrunk = segmenter.shrink(images[0])
    assert shrunk.shape == (64, 128, 3)
    finer = predict(trained, shrunk[None], (192, 384))[0]
    rows, columns = (np.arange(n)[(np.arange(n) + 0.5) * m % n != 0] for n, m in ((200, 192), (400, 384)))  # no ties
    expected = finer[((rows + 0.5) * 192 / 200).astype(int)][:, ((columns + 0.5) * 384 / 400).astype(int)]
    assert np.mean(labels[0][rows][:, columns] == expected) > 0.9999


@pytest.mark.parametrize(
    ("shape", "learned", "expected"),
    [
        ((360, 480), (360, 480), (360, 480)),
        ((360, 480), None, (360, 480)),  # of unknown size: as they are,
        ((1024, 2048), None, (1024, 2048)),
        ((2048, 4096), None, (1024, 2048)),  # up to 2 million pixels
        ((361, 483), None, (360, 480)),
        ((720, 1280), (360, 480), (320, 544)),  # 174080 pixels in place of 172800
        ((4000, 3000), (360, 480), (480, 352)),  # upright: as many pixels, not as wide
        ((240, 320), (360, 480), (240, 320)),  # never enlarged,
        ((1, 1), (360, 480), (64, 64)),  # but to 64 pixels
        ((100, 10000), (360, 480), (64, 2688)),  # not more, where a side cannot be less
    ],
)
def test_the_input_has_about_as_many_pixels_as_the_training_images(shape, learned, expected):
    assert network_size(shape, learned) == expected


@pytest.mark.parametrize(
    ("seen", "shape", "expected"),
    [
        ((360, 480), (360, 480), (360, 480)),
        ((320, 544), (720, 1280), (640, 1088)),
        ((352, 480), (3000, 4000), (1408, 1920)),  # at most four times
        ((64, 64), (1, 1), (64, 64)),
    ],
)
def test_labels_are_decided_at_up_to_four_times_the_input_size(seen, shape, expected):
    assert labels_size(seen, shape) == expected


def test_enlarging_takes_the_nearest_label():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = enlarge(labels, (7, 9))
    rows, columns = (np.floor((np.arange(n) + 0.5) * m / n).astype(int) for n, m in ((7, 3), (9, 4)))
    np.testing.assert_array_equal(found, labels[rows][:, columns])


@pytest.mark.slow
def test_labels_with_offsets_are_the_network_s(segmenter, trained):
    image = scenes(1)[0]
    labels, offsets = segmenter.predict_with_offsets(image)
    seen = trained.model.apply(
        trained.variables, gun_jax.normalise(image[None]), output_size=(64, 128), method="predict_with_offsets"
    )
    assert np.mean(labels == np.asarray(seen["labels"])[0]) > 0.9999
    np.testing.assert_allclose(offsets, seen["offsets"][0], atol=1e-3)


def test_openvino_gives_the_labels_of_jax(trained, segmenter):
    for package in ("onnx", "gun_jax.export.quiet_openvino"):
        pytest.importorskip(package)
    images = scenes(2, (200, 400))
    by_jax = np.concatenate([segmenter(image[None]) for image in images])  # of a size that is compiled already
    assert np.mean(Segmenter(trained, "openvino")(images) == by_jax) > 0.999


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((4, 6, 3), np.uint8),
        np.zeros((1, 4, 6, 4), np.uint8),
        np.zeros((1, 4, 6, 3)),
        np.zeros((0, 4, 6, 3), np.uint8),
    ],
    ids=["no batch", "four channels", "floats", "none"],
)
def test_other_arrays_are_refused(segmenter, images):
    with pytest.raises(InputError, match=r"expected \(B, H, W, 3\), uint8 RGB"):
        segmenter(images)


def test_another_engine_or_size_is_refused(trained):
    with pytest.raises(InputError, match="engine 'openvin'; expected one of jax, openvino"):
        Segmenter(trained, "openvin")
    with pytest.raises(InputError, match="height of size 0"):
        Segmenter(trained, size=(0, 4))
