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
      average: moving averages of "params" and "batch_stats"; {} without them.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any = flax.struct.field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of `GUN.apply` to evaluate and to keep: the averages, if there are any."""
        return self.average or self.trained

    @property
    def trained(self) -> dict[str, Any]:
        """The variables that the optimiser changes."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def progress(self) -> Any:
        """What resuming needs beside `variables`."""
        return {"opt_state": self.opt_state, "trained": self.trained} if self.average else self.opt_state

    def restored(self, step: jax.Array, variables: dict[str, Any], progress: Any) -> "TrainState":
        """The state of which these are `variables` and `progress`."""
        if not self.average:
            return self.replace(step=step, opt_state=progress, **variables)
        return self.replace(step=step, opt_state=progress["opt_state"], average=variables, **progress["trained"])


def create_state(
    model: GUN,
    optimizer: optax.GradientTransformation,
    seed: int,
    start_from: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    averaged: bool = False,
) -> TrainState:
    """The state before the first step: variables drawn from the seed, or what `start_from` makes of them.

    `averaged` is whether it holds moving averages of them.
    """
    # The parameters do not depend on the image size; small images initialise quickly.
    # It runs once: more optimisation takes longer than it saves. The numbers are the same.
    with plain_ops():
        initialise = jax.jit(model.init, compiler_options={"xla_backend_optimization_level": 1})
        variables = initialise(jax.random.key(seed), jnp.zeros((1, 64, 64, 3)))
    if start_from is not None:
        variables = start_from(variables)
    params = variables["params"]
    average = jax.tree.map(jnp.array, variables) if averaged else {}  # copies: a step donates its state
    return TrainState(jnp.zeros((), jnp.int32), params, variables["batch_stats"], optimizer.init(params), average)


def moved(average: Any, trained: Any, decay: float, step: jax.Array) -> Any:
    """The moving average after a step: decay * average + (1 - decay) * trained.

    The first steps have a smaller decay, (1 + step) / (10 + step), as in TensorFlow's ExponentialMovingAverage: the
    initial weights are forgotten sooner. Batch statistics are averaged like parameters.
    """
    keep = jnp.minimum(decay, (1 + step) / (10 + step)).astype(jnp.float32)
    return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, trained)
