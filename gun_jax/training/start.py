"""What a new run starts from, other than random numbers: a published DRN, or another run."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gun_jax.errors import InputError
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights.drn import load_drn_weights, start_from_drn


def starting_point(config: ConfigDict) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Reads what `config.init` names: a function from the variables of a new GUN to those that it starts with.

    Raises:
      InputError: it is neither the file of a published DRN of the network's variant and width, nor a run.
    """
    path = pathlib.Path(config.init).expanduser()
    if path.is_dir():
        there = load_checkpoint(path)
        for name in ("encoder", "variant"):
            if there.config.model[name] != config.model[name]:
                raise InputError(
                    f"config.init: the {name} in {path} is {there.config.model[name]!r}, not {config.model[name]!r}"
                )
        return functools.partial(start_from_run, there=there.variables, run=str(path))
    if config.model.width != 1 and path.exists():
        raise InputError(
            f"config.model.width is {config.model.width!r}; expected 1 with {path}: published weights are of the whole "
            "width"
        )
    weights = load_drn_weights(path, config.model.variant)
    return functools.partial(start_from_drn, weights=weights)


def start_from_run(variables: dict[str, Any], there: dict[str, Any], run: str) -> dict[str, Any]:
    """Takes from another network the parts that are the same in both: of the same names and shapes throughout.

    Args:
      variables: of a new GUN.
      there: of the other one. Its encoder has to be the same; a fusion module, classifier or guidance module of other
        shapes stays as it is. (A classifier of as many classes is taken, whatever they are called.)
      run: what to call the other one in an error.

    Raises:
      InputError: the encoders differ.
    """
    taken = {collection: dict(parts) for collection, parts in variables.items()}
    for part in variables["params"]:
        own, other = (_arrays(one, part) for one in (variables, there))
        differing = sorted(name for name in own | other if _shape(own, name) != _shape(other, name))
        if differing and part == "encode":
            name = differing[0]
            raise InputError(
                f"config.init: the encoder in {run} is another: {name} has shape {_shape(other, name)} there and "
                f"{_shape(own, name)} here"
            )
        for collection, parts in taken.items():
            if not differing and part in parts:
                # Copies: the state of a training is given away.
                parts[part] = jax.tree.map(jnp.array, there[collection][part])
    return taken


def _arrays(variables: dict[str, Any], part: str) -> dict[str, jax.Array]:
    """All arrays of a part by their paths, "params/encode/..."."""
    of_part = {collection: parts[part] for collection, parts in variables.items() if part in parts}
    return flax.traverse_util.flatten_dict(of_part, sep="/")


def _shape(arrays: dict[str, jax.Array], name: str) -> tuple[int, ...] | None:
    return arrays[name].shape if name in arrays else None
