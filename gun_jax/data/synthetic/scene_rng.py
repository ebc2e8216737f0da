"""Random draws and cached noise: everything a scene varies by comes from here, and only from (seed, index)."""

import functools

import cv2
import numpy as np


class SceneRng:
    """Draws from `default_rng([seed, index])`, one by one."""

    def __init__(self, seed: int, index: int):
        self._generator = np.random.default_rng([seed, index])

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        return self._generator.random()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both possible."""
        return low + int((high - low + 1) * self.unit())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def pick(self, choices):
        """One of a sequence, all alike."""
        return choices[int(len(choices) * self.unit())]

    def color(self, choices, spread: float = 14.0) -> tuple[float, float, float]:
        """One of a sequence of RGB colours, moved by up to `spread` a channel."""
        red, green, blue = self.pick(choices)
        low, wide = -spread, 2 * spread
        return (red + low + wide * self.unit(), green + low + wide * self.unit(), blue + low + wide * self.unit())

    def units(self, count: int) -> np.ndarray:
        """`count` uniforms in [0, 1): float64 (count,)."""
        return self._generator.random(count)


TEXTURE_SIZE = (640, 1280)


@functools.cache
def texture(name: str) -> np.ndarray:
    """A noise image, the same in every process: uint8 `TEXTURE_SIZE`, 128 = leave as it is, 255 = twice as bright.

    `sensor` has three channels, the others one. Made at first use, from a seed of its own.
    """
    seed, octaves = _OCTAVES[name]
    generator = np.random.default_rng(seed)
    height, width = TEXTURE_SIZE
    if name == "sensor":
        noise = generator.normal(0, octaves[0][1], (height, width, 3))
        return np.clip(128 + noise, 0, 255).astype(np.uint8)
    total = np.zeros(TEXTURE_SIZE, np.float32)
    for cell, amplitude in octaves:
        cells = generator.normal(0, 1, (-(-height // cell[0]), -(-width // cell[1]))).astype(np.float32)
        total += amplitude * cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


# name: (seed, ((cell height, cell width), amplitude) ...): what each surface looks like at a hand's distance.
_OCTAVES = {
    "leaves": (1, (((1, 1), 14), ((2, 2), 22), ((4, 5), 20), ((10, 12), 14))),
    "grass": (2, (((1, 1), 9), ((3, 1), 8), ((4, 16), 7))),
    "plaster": (3, (((1, 1), 2.5), ((7, 7), 2.5), ((40, 40), 5))),
    "asphalt": (4, (((1, 1), 9), ((3, 3), 6), ((40, 10), 6), ((90, 90), 7))),
    "clouds": (5, (((160, 240), 42), ((70, 110), 30), ((28, 44), 16), ((10, 14), 7), ((4, 6), 3))),
    "plain": (6, (((1, 1), 2),)),
    "sensor": (7, (((1, 1), 10.0),)),
}


def texture_crop(name: str, height: int, width: int, rng: SceneRng, detail: int = 1) -> np.ndarray:
    """A random part of a texture: uint8 (height, width) or (height, width, 3).

    Args:
      detail: pixels of the image per pixel of the texture, so that large images do not get finer leaves.
    """
    source = texture(name)
    rows, columns = -(-height // detail), -(-width // detail)
    if rows > source.shape[0] or columns > source.shape[1]:
        repeats = (-(-rows // source.shape[0]), -(-columns // source.shape[1])) + (1,) * (source.ndim - 2)
        source = np.tile(source, repeats)
    top = rng.whole(0, source.shape[0] - rows)
    left = rng.whole(0, source.shape[1] - columns)
    crop = source[top : top + rows, left : left + columns]
    if detail > 1:
        crop = cv2.resize(crop, (columns * detail, rows * detail), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return crop
