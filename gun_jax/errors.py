"""The exception for input of the user that cannot be used, and checks that raise it."""

import difflib
import numbers
from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.export


class InputError(ValueError):
    """Bad input. The message is one line: what, where, what was expected, and the remedy.

    The programs print it and exit with status 2. Any other exception is a defect and keeps its traceback.
    """


class InputWarning(UserWarning):
    """Input that can be used, but not as a user would expect. The programs print the message on one line."""


def one_of(value: Any, choices: Collection[str]) -> str:
    """For a message: all choices, and the one nearest to a value that is none of them."""
    near = difflib.get_close_matches(str(value), choices, 1)
    return f"one of {', '.join(choices)}" + (f" (did you mean {near[0]!r}?)" if near else "")


def check_choice(where: str, what: str, value: str, choices: Collection[str]) -> None:
    """Raises an InputError unless `value` is one of the choices."""
    if value not in choices:
        raise InputError(f"{where}: {what} {value!r}; expected {one_of(value, choices)}")


def check_count(where: str, what: str, value: int) -> None:
    """Raises an InputError unless `value` is a whole number of 1 or more, or a size that an export leaves open."""
    if jax.export.is_symbolic_dim(value):
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise InputError(f"{where}: {what} {value!r}; expected a whole number, 1 or more")


def check_size(where: str, what: str, value: Sequence[int]) -> None:
    """Raises an InputError unless `value` is a height and a width, each as `check_count` takes it."""
    if len(value) != 2:
        raise InputError(f"{where}: {what} {value!r}; expected (height, width)")
    check_count(where, f"height of {what}", value[0])
    check_count(where, f"width of {what}", value[1])
