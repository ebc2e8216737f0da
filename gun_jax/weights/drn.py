"""The published weights of the DRNs (github.com/fyu/drn) as Flax variables: one table of names, checked both ways."""

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
from gun_jax.weights.torch_file import read_torch_file

# Our modules and the published ones; the first row that fits counts. Type C names its first convolution by itself; type
# D numbers convolution, batch norm and ReLU of a plain level 0, 1, 2.
_TYPE_C = (
    (r"levels_0/layers_0/conv", r"conv1"),
    (r"levels_0/layers_0/norm", r"bn1"),
)
_MODULES = (
    (r"levels_(\d)/layers_0/conv", r"layer\1.0"),
    (r"levels_(\d)/layers_0/norm", r"layer\1.1"),
    (r"levels_(\d)/layers_(\d+)/conv(\d)/conv", r"layer\1.\2.conv\3"),
    (r"levels_(\d)/layers_(\d+)/conv(\d)/norm", r"layer\1.\2.bn\3"),
    (r"levels_(\d)/layers_(\d+)/downsample/conv", r"layer\1.\2.downsample.0"),
    (r"levels_(\d)/layers_(\d+)/downsample/norm", r"layer\1.\2.downsample.1"),
    (r"fc", r"fc"),
)
_ENTRIES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
_KERNEL_AXES = (2, 3, 1, 0)  # PyTorch's (Cout, Cin, k, k) to (k, k, Cin, Cout)
_COUNTER = "num_batches_tracked"  # of batch norm, in files of PyTorch since 0.4.1: nothing here uses it
_WRAPPER = "module."  # what torch.nn.DataParallel puts before all names
_SHOWN = 3  # names of a kind in an error message


def load_drn_weights(path: str | os.PathLike, variant: str = "d22") -> dict[str, Any]:
    """Reads a published DRN (`drn_d_22-4bd2f8ea.pth` and its kin, of PyTorch); needs no PyTorch and runs no code of it.

    Args:
      path: a file of a state dictionary, in either format of `torch.save`.
      variant: "d22", "d38", "d54" or "c26".

    Returns:
      {"params", "batch_stats"} of `DRN(variant, num_classes)`, float32, with as many classes as the file has (1000);
      of `DRN(variant, None)` if the file has no classifier.

    Raises:
      InputError: a `ValueError`; the file cannot be read or asks for code, or its names and shapes are not those of
        the variant: says which variant they are of, or which are missing, left over, or of another shape (the first
        three of each kind by name, and how many more).
    """
    check_choice("load_drn_weights", "variant", variant, VARIANTS)
    tensors = {name: array for name, array in read_torch_file(path).items() if not name.endswith(_COUNTER)}
    if all(name.startswith(_WRAPPER) for name in tensors):
        tensors = {name.removeprefix(_WRAPPER): array for name, array in tensors.items()}
    names = _published_names(variant, _classes(tensors))
    if wrong := _differences(tensors, names):
        fitting = [other for other in VARIANTS if not _differences(tensors, _published_names(other, _classes(tensors)))]
        if fitting:
            wrong = f"they are those of {fitting[0]!r}; name that variant (config.model.variant)"
        raise InputError(f"weights {path} are not those of a DRN of variant {variant!r}: {wrong}")

    leaves = {}
    for name, (own, _) in names.items():
        array = tensors[name]
        if not jnp.issubdtype(array.dtype, jnp.floating) or not np.isfinite(array).all():
            raise InputError(f"weights {path}: {name} has numbers that are no finite floats; fetch or save it again")
        leaves[own] = np.array(array.transpose(_KERNEL_AXES) if array.ndim == 4 else array, np.float32, order="C")
    return flax.traverse_util.unflatten_dict(leaves, sep="/")


def start_from_drn(variables: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """Puts a DRN into every branch of a GUN's encoder.

    Args:
      variables: of a `GUN` of width 1.
      weights: of `load_drn_weights`, of the same variant. Its classifier is not used, nor are the levels that a branch
        does not have.

    Returns:
      The variables: parameters and running statistics of the encoder are the DRN's (with `branch_norm="separate"` each
      branch's statistics are), all others as they were.
    """
    published = flax.traverse_util.flatten_dict(weights, sep="/")

    def pick(path: str, leaf: Any) -> Any:
        branch = re.fullmatch(r"(params|batch_stats)/encode/drn\d*/(.+?)(_branch\d+)?", path)
        # A copy for each: branches of separate weights must not share memory.
        return jnp.array(published[f"{branch[1]}/{branch[2]}"], leaf.dtype) if branch else leaf

    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    return flax.traverse_util.unflatten_dict({path: pick(path, leaf) for path, leaf in flat.items()}, sep="/")


def _classes(tensors: dict[str, np.ndarray]) -> int | None:
    """How many the classifier in the file tells apart; None: it has none."""
    if not any(name.startswith("fc.") for name in tensors):
        return None
    shape = tensors["fc.weight"].shape if "fc.weight" in tensors else ()
    return shape[0] if shape and shape[0] else 1000


@functools.cache
def _published_names(variant: str, classes: int | None) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Published name to our path, "params/levels_3/layers_0/conv1/norm/scale", and the shape in PyTorch's order."""
    variables = jax.eval_shape(DRN(variant, classes).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    modules = _MODULES if VARIANTS[variant].plain else _TYPE_C + _MODULES
    names = {}
    for path, leaf in flax.traverse_util.flatten_dict(variables, sep="/").items():
        module, _, entry = path.partition("/")[2].rpartition("/")
        ours, published = next(row for row in modules if re.fullmatch(row[0], module))
        shape = leaf.shape
        if len(shape) == 4:
            shape = tuple(shape[_KERNEL_AXES.index(axis)] for axis in range(4))
        names[f"{re.sub(ours, published, module)}.{_ENTRIES[entry]}"] = (path, shape)
    return names


def _differences(tensors: dict[str, np.ndarray], names: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    """What is missing, left over or of another shape, in words; "" if nothing is."""
    misshapen = [
        f"{name} {tensors[name].shape} in place of {shape}"
        for name, (_, shape) in names.items()
        if name in tensors and tensors[name].shape != shape
    ]
    kinds = {
        "missing": [name for name in names if name not in tensors],
        "left over": [name for name in tensors if name not in names],
        "misshapen": misshapen,
    }
    return "; ".join(f"{kind}: {_first(entries)}" for kind, entries in kinds.items() if entries)


def _first(entries: list[str]) -> str:
    more = len(entries) - _SHOWN
    return ", ".join(entries[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
