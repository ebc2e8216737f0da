"""Learning rate schedules and the optimiser (section 5 of the paper)."""

from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from gun_jax.configuration import SETTINGS
from gun_jax.errors import InputError


def learning_rate(optimizer: ConfigDict, steps_per_epoch: float, total_steps: int) -> optax.Schedule:
    """The learning rate as a function of the number of steps taken.

    It rises linearly during the warm-up. Then, counted from its end, `step` multiplies the peak rate by `step_factor`
    every `step_epochs`, `poly` is peak * (1 - progress) ^ `poly_power`, and `constant` keeps the peak rate.

    Raises:
      InputError: the schedule is unknown, or the warm-up is not shorter than the training.
    """
    SETTINGS["optimizer.schedule"].check("optimizer.schedule", optimizer.schedule)
    warmup = round(optimizer.warmup_epochs * steps_per_epoch)
    if not 0 <= warmup < max(total_steps, 1):
        raise InputError(
            f"config.optimizer.warmup_epochs of {optimizer.warmup_epochs} is not shorter than the training"
        )
    peak, rest = optimizer.peak_rate, total_steps - warmup
    if optimizer.schedule == "step":
        every = max(1, round(optimizer.step_epochs * steps_per_epoch))
        main = optax.exponential_decay(peak, every, optimizer.step_factor, staircase=True)
    elif optimizer.schedule == "poly":
        main = optax.polynomial_schedule(peak, 0.0, optimizer.poly_power, rest)
    else:
        main = optax.constant_schedule(peak)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(peak / warmup, peak, warmup), main], [warmup])


def sgd(optimizer: ConfigDict, rate: optax.Schedule) -> optax.GradientTransformation:
    """SGD with momentum. As in PyTorch, weight decay is added to the (clipped) gradient before the momentum."""
    clip = optax.clip_by_global_norm(optimizer.clip_norm) if optimizer.clip_norm else optax.identity()
    return optax.chain(
        clip,
        optax.add_decayed_weights(optimizer.weight_decay, mask=decayed),
        optax.sgd(rate, momentum=optimizer.momentum),
    )


def decayed(params: dict[str, Any]) -> dict[str, Any]:
    """True for parameters with weight decay: convolution kernels, but neither biases nor batch norm."""
    return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)
