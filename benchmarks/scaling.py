"""The growth of the time of labels with the pixels of an image and with the images of a batch."""

import dataclasses

import numpy as np

from benchmarks.peers import Say, fastest, in_turn

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

    def exponent(self, largest: int = 0) -> float:
        """The slope of log(median time) over log(pixels): 1 if the time is proportional to the pixels.

        It is fitted to the last `largest` inputs; by default to all.
        """
        pixels = [height * width * batch for (height, width), batch in self.sizes]
        times = np.median(self.seconds, 0)
        return float(np.polyfit(np.log(pixels[-largest:]), np.log(times[-largest:]), 1)[0])


def grow(sizes: tuple[tuple[tuple[int, int], int], ...], rounds: int, say: Say) -> Series:
    """Times labels of each input in turn, with `say` called for each line of progress."""
    return Series(sizes, in_turn("scaling", [(fastest(), size, batch) for size, batch in sizes], rounds, say))
