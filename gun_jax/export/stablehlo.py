"""The network as StableHLO, which any program with JAX can run without this package."""

from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from gun_jax.models import GUN
from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.dispatch import plain_ops
from gun_jax.ops.normalisation import normalise

PLATFORMS = ("cpu", "cuda", "tpu")
MIN_SIDE = 16  # pixels; smaller images would need special cases at every level


def stablehlo_network(model: GUN, variables: dict[str, Any]) -> bytes:
    """A serialised `jax.export.Exported` from images, uint8 (B, H, W, 3) RGB, to labels, int32 (B, H, W).

    `jax.export.deserialize(content).call(images)` gives the labels of `predict` on CPU, CUDA and TPU, for any batch
    and any sides of 16 pixels or more. It contains the parameters.
    """
    folded = fold_batch_norm(variables)

    def label(images: jax.Array) -> Any:
        return model.apply(folded, normalise(images), output_size=images.shape[1:3], method="predict")

    constraints = [f"height >= {MIN_SIDE}", f"width >= {MIN_SIDE}"]
    shape = jax.export.symbolic_shape("batch, height, width, 3", constraints=constraints)
    with plain_ops():
        exported = jax.export.export(jax.jit(label), platforms=PLATFORMS)(jax.ShapeDtypeStruct(shape, jnp.uint8))
    return bytes(exported.serialize())
