"""Batch norm folded into the convolutions before it, for networks that do not learn any more."""

from collections.abc import Mapping
from typing import Any

import jax

from gun_jax.errors import InputError
from gun_jax.models.drn import BatchNorm


def fold_batch_norm(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables without batch norm that make the same network, up to rounding.

    With running statistics m, v, scale s and bias b, a convolution K and its norm make (x * K - m) s / sqrt(v + eps)
    + b of x: again a convolution, of the kernel K s / sqrt(v + eps), and one bias. Where branches share a kernel but
    not their statistics, the kernel stays, and each branch has a factor and a bias of its own.

    Args:
      variables: "params" and "batch_stats" of a `GUN` or a `DRN`, as `init` or `load_run` give them: dicts, or Flax's
        FrozenDicts.

    Returns:
      {"params": ...} for the same module's `apply` or `predict`, with `train=False`; float32.

    Raises:
      InputError: a `ValueError`: there are no running statistics to fold, as when they are folded already, or they are
        not those of these parameters.
    """
    if not variables.get("batch_stats") or not variables.get("params"):
        raise InputError(
            "fold_batch_norm: no params and batch_stats to fold; expected the variables of a trained network"
        )
    try:
        # As one program: by itself, each shape of kernel would be compiled, and kept.
        return {"params": jax.jit(_fold)(variables["params"], variables["batch_stats"])}
    except KeyError as error:
        raise InputError(
            f"fold_batch_norm: {error} is missing from params or batch_stats; expected both of one network"
        ) from error


def _fold(params: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    folded = {
        name: _fold(child, statistics.get(name, {})) if isinstance(child, Mapping) else child
        for name, child in params.items()
    }
    if "norm" not in params:
        return folded
    scale, bias = params["norm"]["scale"], params["norm"]["bias"]
    of_norm = statistics["norm"]
    sets = [name.removeprefix("var") for name in of_norm if name.startswith("var")]  # "", or "_branch2", "_branch4"
    norm = {}
    for suffix in sets:
        factor = scale * jax.lax.rsqrt(of_norm[f"var{suffix}"] + BatchNorm.epsilon)
        norm[f"factor{suffix}"] = factor
        norm[f"shift{suffix}"] = bias - of_norm[f"mean{suffix}"] * factor
    if len(sets) == 1:
        factor = norm.pop(f"factor{sets[0]}")
        folded["conv"] = {"kernel": params["conv"]["kernel"] * factor}
    return folded | {"norm": norm}
