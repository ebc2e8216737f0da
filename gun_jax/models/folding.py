"""Batch norm folded into the convolutions before it, for inference."""

from collections.abc import Mapping
from typing import Any

import jax

from gun_jax.errors import InputError
from gun_jax.models import efficientnet
from gun_jax.models.drn import BatchNorm


def fold_batch_norm(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Folds batch norm: variables without it, which make the same network up to rounding.

    With running statistics m, v, scale s and bias b, a convolution K and its norm make (x * K - m) s / sqrt(v + eps)
    + b of x. That is a convolution with the kernel K s / sqrt(v + eps), and a bias. Where branches share a kernel but
    not their statistics, the kernel stays, and each branch has its own factor and bias.

    Args:
      variables: "params" and "batch_stats" of a `GUN` or a `DRN`, as `init` or `load_run` give them: dicts, or Flax's
        FrozenDicts.

    Returns:
      {"params": ...} for the same module's `apply` or `predict`, with `train=False`; float32.

    Raises:
      InputError: a `ValueError`: there are no running statistics (e.g. they are folded already), or they are not
        those of these parameters.
    """
    if not variables.get("batch_stats") or not variables.get("params"):
        raise InputError(
            "fold_batch_norm: no params and batch_stats to fold; expected the variables of a trained network"
        )
    try:
        # One program: without jit, JAX compiles and keeps one for each shape of kernel.
        return {"params": jax.jit(_fold)(variables["params"], variables["batch_stats"])}
    except KeyError as error:
        raise InputError(
            f"fold_batch_norm: {error} is missing from params or batch_stats; expected both of one network"
        ) from error


def _fold(
    params: Mapping[str, Any], statistics: Mapping[str, Any], epsilon: float = BatchNorm.epsilon
) -> dict[str, Any]:
    if "stem" in params:  # of an EfficientNet
        epsilon = efficientnet.EPSILON
    folded = {
        name: _fold(child, statistics.get(name, {}), epsilon) if isinstance(child, Mapping) else child
        for name, child in params.items()
    }
    if "norm" not in params:
        return folded
    scale, bias = params["norm"]["scale"], params["norm"]["bias"]
    of_norm = statistics["norm"]
    sets = [name.removeprefix("var") for name in of_norm if name.startswith("var")]  # "", or "_branch2", "_branch4"
    norm = {}
    for suffix in sets:
        factor = scale * jax.lax.rsqrt(of_norm[f"var{suffix}"] + epsilon)
        norm[f"factor{suffix}"] = factor
        norm[f"shift{suffix}"] = bias - of_norm[f"mean{suffix}"] * factor
    if len(sets) == 1:
        factor = norm.pop(f"factor{sets[0]}")
        folded["conv"] = {"kernel": params["conv"]["kernel"] * factor}
    return folded | {"norm": norm}
