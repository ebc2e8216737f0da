"""Several views of an image, whose probabilities are averaged: scales, mirror images, sliding windows."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError
from gun_jax.ops.resizing import resize

Size = tuple[int, int]  # (height, width)


@dataclasses.dataclass(frozen=True)
class Views:
    """The views of an image. The probabilities (softmax) are averaged, not the logits.

    Attributes:
      scales: factors on the image's size.
      flip: whether each is also seen mirrored.
      window: (height, width) in pixels of the scaled image; a larger image is seen in windows of this size, side by
        side, whose probabilities are averaged where they overlap. None: the whole image at once.
      overlap: of neighbouring windows, at least, as a share of their side.

    Raises:
      InputError: an impossible value.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: Size | None = None
    overlap: float = 1 / 3

    def __post_init__(self) -> None:
        if not self.scales or not all(1 / 16 <= scale <= 16 for scale in self.scales):
            raise InputError(f"scales {self.scales}; expected one or several within 1/16 and 16, e.g. 0.75,1,1.25")
        if self.window is not None and min(self.window) < 32:
            raise InputError(f"window of {self.window[0]}x{self.window[1]} pixels; expected 32x32 or more")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"windows that overlap by {self.overlap}; expected 0 to 0.9 of a window")

    def label(self, model: Any, variables: Any, images: jax.Array, size: Size) -> jax.Array:
        """Labels int32 (B, H', W') of normalised images (B, H, W, 3): the argmax of the mean of the probabilities."""
        if self == ONE_VIEW:
            return model.apply(variables, images, output_size=size, method="predict")
        total: Any = 0.0
        for scale in self.scales:
            height, width = (max(1, round(side * scale)) for side in images.shape[1:3])
            seen = resize(images, (height, width))
            for mirrored in (False, True)[: 1 + self.flip]:
                found = self._probabilities(model, variables, seen[:, :, ::-1] if mirrored else seen, size)
                total = total + (found[:, :, ::-1] if mirrored else found)
        return total.argmax(-1).astype(jnp.int32)

    def told(self) -> dict[str, Any]:
        """JSON values for the file of the scores; none for one view."""
        if self == ONE_VIEW:
            return {}
        windows = {} if self.window is None else {"window": list(self.window), "overlap": self.overlap}
        return {"scales": list(self.scales), "flip": self.flip} | windows

    def _probabilities(self, model: Any, variables: Any, images: jax.Array, size: Size) -> jax.Array:
        """(B, H', W', C) of one view."""
        whole = images.shape[1], images.shape[2]
        window = whole if self.window is None else (min(self.window[0], whole[0]), min(self.window[1], whole[1]))
        if window == whole:
            return jax.nn.softmax(model.apply(variables, images, output_size=size))
        # A loop of the compiled program: unrolled, each window would be compiled.
        starts = list(itertools.product(*(_starts(*sides, self.overlap) for sides in zip(whole, window, strict=True))))
        counts = np.zeros((*whole, 1), np.float32)
        for top, left in starts:
            counts[top : top + window[0], left : left + window[1]] += 1

        def seen(start: jax.Array) -> jax.Array:
            crop = jax.lax.dynamic_slice(images, (0, *start, 0), (len(images), *window, images.shape[-1]))
            return jax.nn.softmax(model.apply(variables, crop, output_size=window))

        def add(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
            found, place = seen(start), (0, *start, 0)
            there = jax.lax.dynamic_slice(total, place, found.shape)
            return jax.lax.dynamic_update_slice(total, there + found, place), None

        places = jnp.asarray(starts, jnp.int32)
        one = jax.eval_shape(seen, places[0])
        total, _ = jax.lax.scan(add, jnp.zeros((len(images), *whole, one.shape[-1]), one.dtype), places)
        return resize(total / counts, size)


ONE_VIEW = Views()


def _starts(side: int, window: int, overlap: float) -> list[int]:
    """First pixels of the windows along a side; the last window ends with the image."""
    step = max(1, math.floor(window * (1 - overlap)))
    return [min(start, side - window) for start in range(0, side - window + step, step)]
