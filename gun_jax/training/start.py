"""Starting a new run from a published DRN or from another run, in place of random numbers."""

import functools
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gun_jax.errors import InputError, InputWarning
from gun_jax.models.efficientnet import VARIANTS as EFFICIENTNETS
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights.drn import load_drn_weights, start_from_drn
from gun_jax.weights.imagenet import load_imagenet_weights, start_from_imagenet
from gun_jax.weights.pretrained import MODELS, folder_of

_PRETRAINED_RATE = 0.001  # the paper's, from ImageNet weights


def starting_point(config: ConfigDict) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Reads `config.init`; returns a function from the variables of a new GUN to those that the run starts with.

    Raises:
      InputError: `config.init` is neither a published DRN of the network's variant and width, nor the workdir of a run
        with the same encoder.
    """
    if config.init == "imagenet":
        if config.model.encoder not in EFFICIENTNETS:
            raise InputError(
                f"config.init is 'imagenet' with the encoder {config.model.encoder!r}; expected an EfficientNet, "
                "or the file of a published DRN, e.g. drn_d_22-4bd2f8ea.pth"
            )
        return functools.partial(start_from_imagenet, weights=load_imagenet_weights(config.model.encoder))
    path = folder_of(config.init) if config.init in MODELS else pathlib.Path(config.init).expanduser()
    if path.is_dir():
        other = load_checkpoint(path)
        for name in ("encoder", "variant"):
            if other.config.model[name] != config.model[name]:
                raise InputError(
                    f"config.init: the {name} in {path} is {other.config.model[name]!r}, not {config.model[name]!r}"
                )
        return functools.partial(start_from_run, other=other.variables, run=str(path))
    if config.model.width != 1 and path.exists():
        raise InputError(
            f"config.model.width is {config.model.width!r}; expected 1 with {path}: published weights have full width"
        )
    weights = load_drn_weights(path, config.model.variant)
    return functools.partial(start_from_drn, weights=weights)


def warn_of_slow_start(config: ConfigDict) -> None:
    """Warns if a run starts from random weights at a learning rate that suits pretrained ones."""
    rate = config.optimizer.peak_rate
    if not config.init and rate <= _PRETRAINED_RATE and config.data.source != "synthetic":
        warnings.warn(
            f"a learning rate of {rate:g} is for pretrained weights, but this run starts from random ones; set "
            "--config.init=drn_d_22-4bd2f8ea.pth, or a higher --config.optimizer.peak_rate, e.g. 0.05",
            InputWarning,
            stacklevel=2,
        )


def start_from_run(variables: dict[str, Any], other: dict[str, Any], run: str) -> dict[str, Any]:
    """Copies from another network the parts whose names and shapes are all the same.

    Args:
      variables: of a new GUN.
      other: variables of the other one. The encoders have to be the same; a fusion module, classifier or guidance
        module of other shapes keeps its new variables. (A classifier is copied if it has as many classes.)
      run: name of the other network in an error.

    Raises:
      InputError: the encoders differ.
    """
    taken = {collection: dict(parts) for collection, parts in variables.items()}
    for part in variables["params"]:
        here, there = (_arrays(one, part) for one in (variables, other))
        differing = sorted(name for name in here | there if _shape(here, name) != _shape(there, name))
        if differing and part == "encode":
            name = differing[0]
            raise InputError(
                f"config.init: the encoder in {run} differs: {name} has shape {_shape(there, name)} there and "
                f"{_shape(here, name)} here"
            )
        for collection, parts in taken.items():
            if not differing and part in parts:
                # Copies: a training step donates its state.
                parts[part] = jax.tree.map(jnp.array, other[collection][part])
    return taken


def _arrays(variables: dict[str, Any], part: str) -> dict[str, jax.Array]:
    """The arrays of a part by path: "params/encode/..."."""
    of_part = {collection: parts[part] for collection, parts in variables.items() if part in parts}
    return flax.traverse_util.flatten_dict(of_part, sep="/")


def _shape(arrays: dict[str, jax.Array], name: str) -> tuple[int, ...] | None:
    return arrays[name].shape if name in arrays else None
