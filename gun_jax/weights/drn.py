"""The published weights of the DRNs (github.com/fyu/drn) as Flax variables."""

import functools
import os
import re
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError, check_choice
from gun_jax.models.drn import DRN, VARIANTS
from gun_jax.weights.assign import HWIO, Row, assign, conv_norm
from gun_jax.weights.torch_file import read_torch_file

_BLOCK = r"layer(\d)\.(\d+)"
_TABLE: list[Row] = [
    *conv_norm("conv1", "bn1", "levels_0/layers_0"),  # type C; in type D a plain level is (convolution, norm, ReLU):
    *conv_norm(r"layer(\d)\.0", r"layer(\d)\.1", r"levels_\1/layers_0"),
    *conv_norm(rf"{_BLOCK}\.conv(\d)", rf"{_BLOCK}\.bn(\d)", r"levels_\1/layers_\2/conv\3"),
    *conv_norm(rf"{_BLOCK}\.downsample\.0", rf"{_BLOCK}\.downsample\.1", r"levels_\1/layers_\2/downsample"),
    (r"fc\.weight", "params/fc/kernel", HWIO),
    (r"fc\.bias", "params/fc/bias", None),
]
_COUNTER = "num_batches_tracked"  # of batch norm, since PyTorch 0.4.1; not used here
_WRAPPER = "module."  # torch.nn.DataParallel's prefix of all names


def load_drn_weights(path: str | os.PathLike, variant: str = "d22") -> dict[str, Any]:
    """Reads a published DRN, e.g. `drn_d_22-4bd2f8ea.pth`, without PyTorch and without running code from the file.

    Args:
      path: a state dictionary, in either format of `torch.save`.
      variant: "d22", "d38", "d54" or "c26".

    Returns:
      {"params", "batch_stats"} of `DRN(variant, num_classes)`, float32, with the file's number of classes (1000);
      of `DRN(variant, None)` if the file has no classifier.

    Raises:
      InputError: the file cannot be read or asks for code, or its names, shapes and numbers do not fit the variant;
        the message names the variant that they fit, or the differences.
    """
    check_choice("load_drn_weights", "variant", variant, VARIANTS)
    arrays = {name: array for name, array in read_torch_file(path).items() if not name.endswith(_COUNTER)}
    if all(name.startswith(_WRAPPER) for name in arrays):
        arrays = {name.removeprefix(_WRAPPER): array for name, array in arrays.items()}
    classes = _classes(arrays)
    found, differences = assign(arrays, _TABLE, _shapes(variant, classes))
    if differences:
        for other in VARIANTS:
            if not assign(arrays, _TABLE, _shapes(other, classes))[1]:
                differences = f"it is a DRN of variant {other!r}; set config.model.variant={other}"
        raise InputError(f"weights {path}: expected a DRN of variant {variant!r}; {differences}")
    leaves = {path: np.array(array, np.float32, order="C") for path, array in found.items()}
    return flax.traverse_util.unflatten_dict(leaves, sep="/")


def start_from_drn(variables: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """Copies a DRN into every branch of a GUN's encoder.

    Args:
      variables: of a `GUN` of width 1.
      weights: from `load_drn_weights`, of the same variant. The classifier is not used, nor are levels that a branch
        does not have.

    Returns:
      The variables with the DRN's parameters and running statistics in the encoder (in those of each branch, with
      `branch_norm="separate"`). All others are unchanged.
    """
    published = flax.traverse_util.flatten_dict(weights, sep="/")

    def pick(path: str, leaf: Any) -> Any:
        branch = re.fullmatch(r"(params|batch_stats)/encode/drn\d*/(.+?)(_branch\d+)?", path)
        # A copy each: branches of separate weights must not share memory.
        return jnp.array(published[f"{branch[1]}/{branch[2]}"], leaf.dtype) if branch else leaf

    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    return flax.traverse_util.unflatten_dict({path: pick(path, leaf) for path, leaf in flat.items()}, sep="/")


def _classes(arrays: dict[str, np.ndarray]) -> int | None:
    """Number of classes of the file's classifier; None without one."""
    if not any(name.startswith("fc.") for name in arrays):
        return None
    shape = arrays["fc.weight"].shape if "fc.weight" in arrays else ()
    return shape[0] if shape and shape[0] else 1000


@functools.cache
def _shapes(variant: str, classes: int | None) -> dict[str, tuple[int, ...]]:
    """Our paths, e.g. "params/levels_3/layers_0/conv1/norm/scale", and their shapes."""
    variables = jax.eval_shape(DRN(variant, classes).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    return {path: leaf.shape for path, leaf in flax.traverse_util.flatten_dict(variables, sep="/").items()}
