"""How the time of labels grows with the pixels of an image and with the images of a batch."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np

from gun_jax.benchmark.peers import Worker

PIXELS = (((256, 512), 1), ((512, 1024), 1), ((1024, 2048), 1), ((2048, 4096), 1))
BATCHES = (((256, 512), 1), ((256, 512), 2), ((256, 512), 4), ((256, 512), 8))
LARGEST = (4096, 8192), 1


@dataclasses.dataclass(frozen=True)
class Series:
    """Labels of growing inputs.

    Attributes:
      sizes: ((height, width), batch) of each input.
      seconds: float64 (rounds, inputs).
    """

    sizes: tuple[tuple[tuple[int, int], int], ...]
    seconds: np.ndarray

    def exponent(self) -> float:
        """The slope of the logarithm of the median time by that of the pixels: 1 when time grows in proportion."""
        pixels = [height * width * batch for (height, width), batch in self.sizes]
        return float(np.polyfit(np.log(pixels), np.log(np.median(self.seconds, 0)), 1)[0])


def grow(sizes: tuple[tuple[tuple[int, int], int], ...], rounds: int, say: Callable[[str], None]) -> Series:
    """Times labels of each input in turn; `say` is told what is going on."""
    with contextlib.ExitStack() as stack:
        workers = []
        for size, batch in sizes:
            say(f"scaling: starting {batch}x{size[0]}x{size[1]}")
            workers.append(stack.enter_context(Worker("jax", size, batch)))
        seconds = np.asarray([[worker.measure() for worker in workers] for _ in range(rounds)])
    return Series(sizes, seconds)
