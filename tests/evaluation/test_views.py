"""Views of an image against the average of probabilities by loops over views, windows and mirror images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.evaluation.views import Views


class Brightness:
    """A "network" whose logits depend on the place in what it sees, and on its size."""

    def apply(self, variables, images, output_size, method=None):
        value = jax.image.resize(images[..., :1], (len(images), *output_size, 1), "nearest")
        tilt = jnp.linspace(0, 1, output_size[1])[:, None]
        return jnp.concatenate([value * images.shape[1] / 8, tilt + 0 * value, 0.3 + 0 * value], -1)


def probabilities(images, size):
    logits = np.asarray(Brightness().apply(None, images, size), np.float64)
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(-1, keepdims=True)


def noise(*shape):
    return np.random.default_rng(0).normal(size=(*shape, 3)).astype(np.float32)


def test_views_average_the_probabilities_of_scales_and_mirror_images():
    images = noise(2, 8, 12)
    expected = 0.0
    for height, width in ((8, 12), (4, 6)):
        seen = np.asarray(jax.image.resize(images, (2, height, width, 3), "linear", antialias=True))
        expected += probabilities(seen, (8, 12)) + probabilities(seen[:, :, ::-1], (8, 12))[:, :, ::-1]
    labels = Views((1.0, 0.5), flip=True).label(Brightness(), None, jnp.asarray(images), (8, 12))
    np.testing.assert_array_equal(labels, expected.argmax(-1))
    assert len(np.unique(labels)) == 2


@pytest.mark.parametrize(
    ("size", "starts"),
    [
        ((70, 100), ([0, 21, 38], [0, 33, 50])),  # steps of 2/3 of a window; the last window ends with the image
        ((32, 90), ([0], [0, 33, 40])),
        ((20, 73), ([0], [0, 23])),  # lower than the window
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_windows_average_the_probabilities_where_they_overlap(size, starts, flip):
    images = noise(1, *size)
    expected = 0.0
    for seen in (images, images[:, :, ::-1])[: 1 + flip]:
        total, counts = np.zeros((1, *size, 3)), np.zeros((*size, 1))
        for top in starts[0]:
            for left in starts[1]:
                place = slice(top, min(size[0], top + 32)), slice(left, left + 50)
                crop = seen[:, *place]
                total[:, *place] += probabilities(crop, crop.shape[1:3])
                counts[place] += 1
        expected = expected + (total / counts if seen is images else (total / counts)[:, :, ::-1])
    views = Views(flip=flip, window=(32, 50), overlap=0.33)
    labels = np.asarray(views.label(Brightness(), None, jnp.asarray(images), size))
    np.testing.assert_array_equal(labels, expected.argmax(-1))
    assert len(np.unique(labels)) > 1


def test_an_image_that_fits_into_the_window_is_seen_whole():
    images = jnp.asarray(noise(2, 33, 40))
    found = Views(window=(64, 40)).label(Brightness(), None, images, (66, 80))
    np.testing.assert_array_equal(found, probabilities(images, (66, 80)).argmax(-1))


def test_labels_of_windows_have_the_size_that_is_asked_for():
    images = jnp.asarray(np.full((1, 64, 64, 3), 2.0, np.float32))
    found = Views(window=(32, 32)).label(Brightness(), None, images, (40, 90))
    assert found.shape == (1, 40, 90) and (np.asarray(found) == 0).all()


@pytest.mark.parametrize(
    ("views", "told"),
    [
        ({}, {}),
        ({"flip": True}, {"scales": [1.0], "flip": True}),
        ({"window": (64, 32)}, {"scales": [1.0], "flip": False, "window": [64, 32], "overlap": 1 / 3}),
    ],
)
def test_the_file_of_the_scores_tells_the_views(views, told):
    assert Views(**views).told() == told


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ({"scales": ()}, r"^scales \(\); expected one or several within 1/16 and 16"),
        ({"scales": (1.0, 100.0)}, r"^scales \(1.0, 100.0\); expected one or several within 1/16 and 16"),
        ({"scales": (float("nan"),)}, r"^scales \(nan,\); expected"),
        ({"window": (31, 64)}, r"^window of 31x64 pixels; expected 32x32 or more$"),
        ({"overlap": 1.0}, r"^windows that overlap by 1.0; expected 0 to 0.9 of a window$"),
    ],
)
def test_impossible_views_are_refused(views, words):
    with pytest.raises(InputError, match=words):
        Views(**views)
