"""Drawn street scenes with the 19 classes of Cityscapes: a data set that needs no download.

A small procedural painter: a pin-hole camera looks along a street that is planned at random (`scene`, `traffic`) and
painted from far to near (`street`, `surroundings`, and objects built from `models`). Image and label come from the same
drawing calls, so the label is exact to the pixel. Light, texture and camera noise follow (`weather`).
"""

import operator

import numpy as np

from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.synthetic.scene import paint_scene
from gun_jax.data.synthetic.scene_rng import SceneRng
from gun_jax.errors import InputError

__all__ = ["SyntheticScenes"]

_MIN_SIZE, _MAX_SIZE = 32, 4096


class SyntheticScenes:
    """Random access to drawn street scenes.

    `source[i]` is `{"image": uint8 (H, W, 3) RGB, "label": uint8 (H, W), "id": str}`; the label holds train ids 0 to
    18, and 255 on the bonnet of the camera's car. It depends only on (seed, i, size), so every process draws the same
    bytes. The only state is the three arguments, so the source can be pickled.

    Args:
      length: number of scenes.
      size: (height, width) in pixels, each 32 to 4096.
      seed: not negative; other seeds are other scenes.

    Raises:
      InputError: one of the arguments is outside its range.
    """

    classes = CITYSCAPES

    def __init__(self, length: int, size: tuple[int, int] = (256, 512), seed: int = 0):
        if not _is_whole(length) or length < 1:
            raise InputError(f"synthetic scenes: length {length!r}; expected a whole number of scenes, at least 1")
        if not isinstance(size, tuple | list) or len(size) != 2 or not all(_is_whole(side) for side in size):
            raise InputError(
                f"synthetic scenes: size {size!r}; expected (height, width) in whole pixels, like (256, 512)"
            )
        if not all(_MIN_SIZE <= side <= _MAX_SIZE for side in size):
            raise InputError(
                f"synthetic scenes: size {tuple(size)}; expected sides from {_MIN_SIZE} to {_MAX_SIZE} pixels"
            )
        if not _is_whole(seed) or seed < 0:
            raise InputError(f"synthetic scenes: seed {seed!r}; expected a whole number, 0 or more")
        self.length = int(length)
        self.size = (int(size[0]), int(size[1]))
        self.seed = int(seed)
        self.identity = repr(self)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        """Draws scene `index`, 0 to `length - 1` (negative counts from the end).

        Raises:
          IndexError: there is no such scene.
        """
        index = operator.index(index)
        if not -self.length <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        index %= self.length
        image, label = paint_scene(self.size, SceneRng(self.seed, index))
        return {"image": image, "label": label, "id": f"synthetic-{self.seed}-{index:06d}"}

    def __repr__(self) -> str:
        return f"SyntheticScenes(length={self.length}, size={self.size}, seed={self.seed})"


def _is_whole(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
