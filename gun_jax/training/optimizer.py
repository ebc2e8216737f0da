"""Learning rate schedules and the optimiser (section 5 of the paper)."""

from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from gun_jax.configuration import SETTINGS
from gun_jax.errors import InputError
from gun_jax.training.parts import map_parts, numbers_of_parts


def learning_rate(optimizer: ConfigDict, steps_per_epoch: float, total_steps: int) -> optax.Schedule:
    """The learning rate as a function of the number of steps taken.

    It rises linearly during the warm-up. Then, counted from its end, `step` multiplies the peak rate by `step_factor`
    every `step_epochs`, `poly` is peak * (1 - progress) ^ `poly_power`, `cosine` is
    peak * (1 + cos(pi * progress)) / 2, and `constant` keeps the peak rate.

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
    elif optimizer.schedule == "cosine":
        main = optax.cosine_decay_schedule(peak, rest)
    else:
        main = optax.constant_schedule(peak)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(peak / warmup, peak, warmup), main], [warmup])


def make_optimizer(optimizer: ConfigDict, rate: optax.Schedule) -> optax.GradientTransformation:
    """SGD with momentum, or AdamW, with rates and weight decays for parts of the network.

    As in PyTorch, SGD adds the weight decay to the (clipped) gradient before the momentum, and AdamW (Loshchilov and
    Hutter, 2019) adds it to its step. The factor on the rate of a part holds for its weight decay too. With
    `accumulate`, the mean gradient of so many steps makes one update; batch norm still sees one batch at a time.
    """
    every = optimizer.accumulate
    if every > 1:
        single = optimizer.copy_and_resolve_references()
        single.accumulate = 1
        inner = make_optimizer(single, lambda update: rate(update * every))
        return optax.MultiSteps(inner, every).gradient_transformation()
    clip = optax.clip_by_global_norm(optimizer.clip_norm) if optimizer.clip_norm else optax.identity()
    decay = _weight_decay(optimizer)
    if optimizer.name == "sgd":
        steps = [clip, decay, optax.sgd(rate, momentum=optimizer.momentum)]
    else:
        adam = optax.scale_by_adam(b1=optimizer.momentum, b2=0.999, eps=1e-8)
        steps = [clip, adam, decay, optax.scale_by_learning_rate(rate)]
    if optimizer.rates:
        steps.append(_scale_parts(numbers_of_parts(optimizer.rates)))
    return optax.chain(*steps)


def _weight_decay(optimizer: ConfigDict) -> optax.GradientTransformation:
    if not optimizer.decays:
        return optax.add_decayed_weights(optimizer.weight_decay, mask=decayed)
    factors = numbers_of_parts(optimizer.decays)

    def with_factor(factor: float) -> optax.GradientTransformation:
        def mask(params: dict[str, Any]) -> dict[str, Any]:
            return map_parts(lambda number, kernel: kernel and number == factor, factors, decayed(params))

        return optax.add_decayed_weights(optimizer.weight_decay * factor, mask=mask)

    return optax.chain(*map(with_factor, sorted({1.0, *factors.values()})))


def _scale_parts(factors: dict[str, float]) -> optax.GradientTransformation:
    return optax.stateless(lambda updates, _: map_parts(lambda factor, update: factor * update, factors, updates))


def decayed(params: dict[str, Any]) -> dict[str, Any]:
    """True for parameters with weight decay: convolution kernels, but neither biases nor batch norm."""
    return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)
