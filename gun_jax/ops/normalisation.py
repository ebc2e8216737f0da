"""Normalisation of images, as the published DRN weights expect it."""

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError

# Mean and deviation of ImageNet's RGB channels, 0 to 1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(images: jax.Array) -> jax.Array:
    """Normalises uint8 RGB (..., 3), 0 to 255, by ImageNet's mean and deviation: float32 (..., 3)."""
    if images.dtype != jnp.uint8:
        raise InputError(f"normalise: images of {images.dtype}; expected uint8, 0 to 255")
    scale = 1 / (255 * np.asarray(STD, np.float32))
    shift = -np.asarray(MEAN, np.float32) / np.asarray(STD, np.float32)
    return images.astype(jnp.float32) * scale + shift
