"""The one exception that means: what the user handed in cannot be used."""

import numbers
from collections.abc import Iterable, Sequence

import jax
import jax.export


class InputError(ValueError):
    """Bad input: its message is one line that says what, where, what was expected and the remedy.

    The programs print it as it is and exit with status 2; any other exception is a defect and keeps its traceback.
    """


def check_choice(where: str, what: str, value: str, choices: Iterable[str]) -> None:
    """Raises an InputError unless `value` is one of the choices."""
    if value not in choices:
        raise InputError(f"{where}: {what} {value!r}; expected one of {', '.join(choices)}")


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
