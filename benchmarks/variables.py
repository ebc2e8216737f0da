"""Random variables for networks that are timed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.models import GUN


def random_variables(model: GUN) -> dict[str, Any]:
    """Variables of a network as NumPy arrays, "params" and "batch_stats"; its outputs have usual magnitudes."""
    abstract = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    return jax.tree.map_with_path(_random_leaf, abstract)


def _random_leaf(path, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    """Normal kernels that keep the magnitude of their inputs; batch norm that changes nothing."""
    if path[-1].key == "kernel":
        noise = np.random.default_rng(len(path)).standard_normal(leaf.shape, np.float32)
        noise /= np.sqrt(np.prod(leaf.shape[:-1]))
        return noise.astype(leaf.dtype, copy=False)
    return np.full(leaf.shape, float(path[-1].key in ("scale", "var")), leaf.dtype)
