"""Settings for parts of a network: "encode=0.25,gum=10" gives numbers to the parameters of `encode` and of `gum`."""

from collections.abc import Iterable
from typing import Any

import flax.traverse_util
import jax

from gun_jax.errors import InputError


def numbers_of_parts(text: str) -> dict[str, float]:
    """The number of each part: "encode=0.25,gum/guide=10" is {"encode": 0.25, "gum/guide": 10.0}."""
    return {name: float(number) for name, _, number in (entry.partition("=") for entry in names_of_parts(text))}


def names_of_parts(text: str) -> tuple[str, ...]:
    """The entries of a list: "encode,gum" is ("encode", "gum")."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def of_parameter(path: str, numbers: dict[str, float]) -> float:
    """The number of the longest part that holds a parameter, e.g. "gum/guide/offsets/kernel"; 1 without one."""
    parts = [part for part in numbers if belongs(path, part)]
    return numbers[max(parts, key=len)] if parts else 1.0


def belongs(path: str, part: str) -> bool:
    """Whether "gum/guide/offsets/kernel" belongs to "gum", to "gum/guide" and so on."""
    return path == part or path.startswith(f"{part}/")


def map_parts(function: Any, numbers: dict[str, float], *trees: Any) -> Any:
    """`function(number, leaf, ...)` at each leaf of trees of parameters, with the number of its part."""
    return jax.tree.map_with_path(
        lambda path, *leaves: function(of_parameter("/".join(key.key for key in path), numbers), *leaves), *trees
    )


def check_parts(setting: str, parts: Iterable[str], params: Any) -> None:
    """Raises an InputError unless each part has parameters."""
    paths = flax.traverse_util.flatten_dict(params, sep="/")
    for part in parts:
        if not any(belongs(path, part) for path in paths):
            raise InputError(
                f"config.{setting} names the part {part!r}; expected one of {', '.join(sorted(params))}, "
                "or a part inside one, e.g. 'gum/guide'"
            )
