"""What the tests of images draw and compare with: label maps, their colours pixel by pixel, and refusals."""

import numpy as np
import pytest

from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError

FOUR = ClassMap(("sky", "road", "tree", "car"), ((10, 120, 240), (130, 60, 130), (20, 140, 30), (0, 0, 150)))
CLASSES = tuple(range(4))


def labels(seed, size=(160, 320), choice=CLASSES):
    """A label map of patches."""
    height, width = size
    small = np.random.default_rng(seed).choice(choice, (-(-height // 8), -(-width // 8)))
    return small.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.int32)


def in_colours(label_map, classes=FOUR):
    """A label map in its colours, pixel by pixel."""
    image = np.zeros((*label_map.shape, 3), np.uint8)
    for place in np.ndindex(label_map.shape):
        if label_map[place] != 255:
            image[place] = classes.colors[label_map[place]]
    return image


def refusal(call, *arguments, **options):
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)
