"""The state of a training run: one pytree."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gun_jax.models import GUN
from gun_jax.ops.dispatch import plain_ops


class TrainState(flax.struct.PyTreeNode):
    """All that a step changes.

    Attributes:
      step: int32 (), number of steps taken; also the position in the training data.
      params: float32 parameters.
      batch_stats: float32 running statistics of batch norm.
      opt_state: momentum and step count of the optimiser.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of `GUN.apply`."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(
    model: GUN,
    optimizer: optax.GradientTransformation,
    seed: int,
    start_from: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> TrainState:
    """The state before the first step: variables drawn from the seed, or what `start_from` makes of them."""
    # The parameters do not depend on the image size; small images initialise quickly.
    # It runs once: more optimisation takes longer than it saves. The numbers are the same.
    with plain_ops():
        initialise = jax.jit(model.init, compiler_options={"xla_backend_optimization_level": 1})
        variables = initialise(jax.random.key(seed), jnp.zeros((1, 64, 64, 3)))
    if start_from is not None:
        variables = start_from(variables)
    params = variables["params"]
    return TrainState(jnp.zeros((), jnp.int32), params, variables["batch_stats"], optimizer.init(params))
