"""A trained network that labels images of any size."""

import math
from collections.abc import Callable
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError, check_choice, check_size
from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.normalisation import normalise
from gun_jax.runs.loading import Trained

ENGINES = ("jax", "openvino")
Size = tuple[int, int]  # (height, width)

_MIN_SIDE = 64  # pixels; the shortest side of the network's input
_STEP, _SHRUNK_STEP = 8, 32  # the input's sides are multiples: each new size is compiled
_MAX_PIXELS = 1024 * 2048  # the largest input, where the size of the training images is unknown
_MAX_FACTOR = 4  # between the sizes of labels and input


class Segmenter:
    """Labels images of any size by a trained network.

    An image larger than the training images is shrunk to about their number of pixels, so that objects have the size
    that the network has learned. Labels are decided at up to four times that size, and enlarged to the image's.

    Args:
      trained: the network.
      engine: "jax", or "openvino" (needs the `export` extra), which is faster on some CPUs.
      size: (height, width) of the training images; by default that of the run.

    Attributes:
      classes: names and colours of the labels.
      max_pixels: an image with more is shrunk.

    Raises:
      InputError: unknown engine or impossible size, or OpenVINO is not installed.
    """

    def __init__(self, trained: Trained, engine: str = "jax", size: Size | None = None):
        check_choice("Segmenter", "engine", engine, ENGINES)
        if size is not None:
            check_size("Segmenter", "size", size)
        self.classes = trained.classes
        self._learned_size = size or trained.image_size
        self.max_pixels = _max_pixels(self._learned_size)
        self._trained = trained
        self._label: Callable[[np.ndarray, Size], np.ndarray]
        self._label = _by_jax(trained) if engine == "jax" else _by_openvino(trained)
        self._label_with_offsets: Callable[[np.ndarray, Size], Any] | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Labels of images.

        Args:
          images: uint8 (B, H, W, 3) RGB.

        Returns:
          uint8 (B, H, W), indices into `classes`.

        Raises:
          InputError: images of another shape or type.
        """
        shape = _checked(images)
        seen = np.stack([self.shrink(image) for image in images])
        return np.stack([enlarge(labels, shape) for labels in self.label(seen, shape)])

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """The network's input, uint8 (h, w, 3), for an image, uint8 (H, W, 3)."""
        size = network_size(image.shape[:2], self._learned_size)
        return image if image.shape[:2] == size else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)

    def label(self, seen: np.ndarray, shape: Size) -> np.ndarray:
        """Labels, uint8 (B, h', w'), of shrunk images, uint8 (B, h, w, 3); `enlarge` brings them to `shape`.

        The first call for a shape compiles.
        """
        return self._label(seen, labels_size(seen.shape[1:3], shape))

    def predict_with_offsets(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels and offsets of an image, uint8 (H, W, 3); by JAX, whatever the engine.

        Returns:
          Labels, uint8 (H, W), and the offsets of guided upsampling, float32 (h', w', 2): (x, y) in pixels of the
          logit map, at the size at which labels are decided.
        """
        shape = _checked(image[None])
        if self._label_with_offsets is None:
            self._label_with_offsets = _with_offsets_by_jax(self._trained)
        seen = self.shrink(image)
        labels, offsets = self._label_with_offsets(seen[None], labels_size(seen.shape[:2], shape))
        return enlarge(np.asarray(labels)[0], shape), np.asarray(offsets)[0]


def network_size(shape: Size, learned: Size | None) -> Size:
    """The size of the network's input for an image of this shape; `learned` is the size of its training images."""
    if shape == learned:
        return shape
    limit = _max_pixels(learned)
    scale = min(1.0, math.sqrt(limit / math.prod(shape)))
    step = _STEP if scale == 1.0 else _SHRUNK_STEP
    longest = max(_MIN_SIDE, limit // _MIN_SIDE // step * step)  # else an image of one row could fill the memory
    height, width = (min(longest, max(_MIN_SIDE, step * round(side * scale / step))) for side in shape)
    return height, width


def _max_pixels(learned: Size | None) -> int:
    return math.prod(learned) if learned else _MAX_PIXELS


def labels_size(seen: Size, shape: Size) -> Size:
    """The size at which labels are decided, for an image of this shape and a network input of size `seen`."""
    factor = min(_MAX_FACTOR, max(1, round(math.sqrt(math.prod(shape) / math.prod(seen)))))
    return factor * seen[0], factor * seen[1]


def enlarge(labels: np.ndarray, shape: Size) -> np.ndarray:
    """Labels (h', w') by nearest neighbour at the size of their image, (H, W)."""
    if labels.shape == shape:
        return labels
    return cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _checked(images: np.ndarray) -> Size:
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not images.size:
        raise InputError(f"images of shape {images.shape}, {images.dtype}; expected (B, H, W, 3), uint8 RGB")
    return images.shape[1], images.shape[2]


def _by_jax(trained: Trained) -> Callable[[np.ndarray, Size], np.ndarray]:
    folded = fold_batch_norm(trained.variables)

    def label(images: jax.Array, size: Size) -> jax.Array:
        labels: Any = trained.model.apply(folded, normalise(images), output_size=size, method="predict")
        return labels.astype(jnp.uint8)

    compiled = jax.jit(label, static_argnums=1)
    return lambda images, size: np.asarray(compiled(images, size))


def _with_offsets_by_jax(trained: Trained) -> Callable[[np.ndarray, Size], Any]:
    def predict_with_offsets(images: jax.Array, size: Size) -> tuple[jax.Array, jax.Array]:
        seen: Any = trained.model.apply(
            trained.variables, normalise(images), output_size=size, method="predict_with_offsets"
        )
        return seen["labels"].astype(jnp.uint8), seen["offsets"]

    return jax.jit(predict_with_offsets, static_argnums=1)


def _by_openvino(trained: Trained) -> Callable[[np.ndarray, Size], np.ndarray]:
    try:  # here, because only this engine needs the packages of the `export` extra
        from gun_jax.export.exported import compile_openvino
        from gun_jax.export.onnx_network import onnx_network
        from gun_jax.export.openvino_network import openvino_network
    except ImportError as error:
        raise InputError(
            f"engine openvino needs {error.name}, from the `export` extra: make install EXTRAS=test,export, or "
            "pip install 'gun_jax[export]'"
        ) from error
    compiled: dict[tuple[Size, Size], Callable[[np.ndarray], np.ndarray]] = {}

    def label(images: np.ndarray, size: Size) -> np.ndarray:
        sizes = images.shape[1:3], size
        if sizes not in compiled:
            compiled[sizes] = compile_openvino(
                openvino_network(onnx_network(trained.model.clone(dtype=jnp.float32), trained.variables, *sizes))
            )
        return compiled[sizes](images).astype(np.uint8)

    return label
