"""Checkpoints of a run under `WORKDIR/checkpoints/STEP/`, saved by Orbax while the training goes on.

A checkpoint is three items: `variables` (parameters and batch statistics, all that inference needs), `optimizer`, and
`position`, a small JSON file that says where the data stands and which network it is. It appears under its step only
when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from gun_jax.errors import InputError

if TYPE_CHECKING:
    from gun_jax.training.state import TrainState  # imports Optax, for which evaluating need not wait

FOLDER = "checkpoints"
_ITEMS = ("variables", "optimizer", "position")

Shapes = dict[str, tuple[int, ...]]  # of arrays, by their paths


class Checkpoints:
    """The checkpoints of one workdir; use it as a context, whose end waits for what is being saved."""

    def __init__(self, workdir: pathlib.Path, keep: int = 3):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager((workdir / FOLDER).absolute(), options=options, item_names=_ITEMS)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, position: dict[str, Any]) -> None:
        """Copies the state, and starts to write it.

        Args:
          state: of the training.
          position: JSON values; "network" is what `restore_variables` compares.
        """
        items = ocp.args.Composite(
            variables=ocp.args.StandardSave(state.variables),
            optimizer=ocp.args.StandardSave(state.opt_state),
            position=ocp.args.JsonSave(position),
        )
        self._manager.save(int(state.step), args=items)

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The newest checkpoint, with the shapes and shardings of `like`, and the data's position."""
        items = ocp.args.Composite(
            variables=ocp.args.StandardRestore(like.variables),
            optimizer=ocp.args.StandardRestore(like.opt_state),
            position=ocp.args.JsonRestore(),
        )
        found = self._manager.restore(self.latest(), args=items)
        step = jax.device_put(jnp.asarray(self.latest(), jnp.int32), like.step.sharding)
        return dataclasses.replace(like, step=step, opt_state=found.optimizer, **found.variables), found.position


def saved_steps(workdir: pathlib.Path) -> list[int]:
    """Steps of the whole checkpoints in a workdir, ascending."""
    folder = workdir / FOLDER
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdecimal())


def restore_variables(
    workdir: pathlib.Path, network: dict[str, Any], like: Callable[[], Any], step: int | None = None
) -> tuple[dict[str, Any], int]:
    """Reads what `GUN.apply` takes.

    Args:
      workdir: of the run.
      network: what it has to be of. A checkpoint that was saved with an equal "network" is taken to be.
      like: gives variables of the structure that it has to have otherwise; their arrays may be abstract.
      step: of the checkpoint; by default the newest.

    Returns:
      The variables on the first device, and the step.

    Raises:
      InputError: there is no such checkpoint, or it is one of another network, or not whole.
    """
    steps = saved_steps(workdir)
    if not steps:
        raise InputError(f"{workdir} has no checkpoint yet; train it with train.py --workdir={workdir}")
    if step is not None and step not in steps:
        raise InputError(f"{workdir} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    step = steps[-1] if step is None else step
    path = (workdir / FOLDER / str(step)).absolute()
    with _reading(path):
        with contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
            there = handler.restore(path / "position").get("network")
        with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
            saved = handler.metadata(path / "variables").tree
    if there != network:  # tracing a network for its shapes takes half a second
        _check_shapes(_shapes(saved), _shapes(like()), path, workdir)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), saved)
    with _reading(path), ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path / "variables", wanted), step


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what Orbax, TensorStore and a reader of JSON make of files that are not whole
        reason = (str(error).splitlines() or [""])[0][:120]
        raise InputError(
            f"{path} is not a whole checkpoint ({type(error).__name__}: {reason}); take another step, or copy it anew"
        ) from error


def _check_shapes(there: Shapes, here: Shapes, path: pathlib.Path, workdir: pathlib.Path) -> None:
    differing = sorted(name for name in there | here if there.get(name) != here.get(name))
    if differing:
        name = differing[0]
        raise InputError(
            f"{path} does not hold the network that {workdir} describes: {name} has shape {there.get(name)} there and "
            f"{here.get(name)} here"
        )


def _shapes(tree: Any) -> Shapes:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in paths}
