"""What the tests of sources draw into folders, and what they read back from there or see refused."""

import numpy as np
import pytest
from PIL import Image

from gun_jax.errors import InputError

SIZE = (6, 8)  # height, width


def draw(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return pixels


def image(path, seed=0, size=SIZE):
    return draw(path, np.random.default_rng(seed).integers(0, 256, (*size, 3)))


def label(path, values=(5, 6, 7, 9), seed=0, size=SIZE):
    return draw(path, np.random.default_rng(seed).choice(values, size))


def refusal(call, *arguments):
    """The one line with which something is refused."""
    with pytest.raises(InputError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def ids(source):
    return [source[i]["id"] for i in range(len(source))]
