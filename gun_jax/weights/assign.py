"""Foreign arrays as Flax variables, by a table of names and axes that is checked in both directions."""

import re
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

HWIO = (2, 3, 1, 0)  # of PyTorch's convolution kernels, (Cout, Cin, k, k), the axes in Flax's order
_SHOWN = 3  # names of each kind in a message

# A regular expression of the foreign name, our path with its groups, and the axes in our order (None: the same).
Row = tuple[str, str, tuple[int, ...] | None]


def conv_norm(conv: str, norm: str, path: str) -> list[Row]:
    """The rows of a convolution without bias and its batch norm: patterns of their foreign names, and our path."""
    return [
        (rf"{conv}\.weight", f"params/{path}/conv/kernel", HWIO),
        (rf"{norm}\.weight", f"params/{path}/norm/scale", None),
        (rf"{norm}\.bias", f"params/{path}/norm/bias", None),
        (rf"{norm}\.running_mean", f"batch_stats/{path}/norm/mean", None),
        (rf"{norm}\.running_var", f"batch_stats/{path}/norm/var", None),
    ]


def assign(
    arrays: Mapping[str, np.ndarray], table: Sequence[Row], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, np.ndarray], str]:
    """Finds the array for each of our paths.

    Args:
      arrays: by their foreign names.
      table: the first row that matches a name decides.
      shapes: our paths, each with the shape that is expected there.

    Returns:
      Our path to array, and the differences as text: names left over, paths missing, shapes and numbers that do not
      fit (three of each kind by name, and how many more); "" if there are none.
    """
    found: dict[str, np.ndarray] = {}
    left_over, misshapen, unfit = [], [], []
    for name, array in arrays.items():
        matches = ((re.fullmatch(pattern, name), path, axes) for pattern, path, axes in table)
        match, path, axes = next((row for row in matches if row[0]), (None, "", None))
        path = match.expand(path) if match else ""
        if path not in shapes or path in found:
            left_over.append(name)
            continue
        expected = shapes[path]
        if axes and array.ndim == len(axes):
            array = array.transpose(axes)
        if array.shape != expected:
            misshapen.append(f"{name} {array.shape} instead of {expected}")
        elif not jnp.issubdtype(array.dtype, jnp.floating) or not np.isfinite(array).all():
            unfit.append(name)
        found[path] = array
    differences = {
        "missing": [path for path in shapes if path not in found],
        "left over": left_over,
        "misshapen": misshapen,
        "not finite floats": unfit,
    }
    return found, "; ".join(f"{kind}: {_first(names)}" for kind, names in differences.items() if names)


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
