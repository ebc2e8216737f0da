"""Checkpoints of a run under `WORKDIR/checkpoints/STEP/`, saved by Orbax while the training goes on.

A checkpoint is three items: `variables` (parameters and batch statistics, all that inference needs), `optimizer`, and
`position`, a small JSON file that says where the data stands. It appears under its step only when it is whole.
"""

import contextlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from gun_jax.errors import InputError
from gun_jax.training.state import TrainState

FOLDER = "checkpoints"
_ITEMS = ("variables", "optimizer", "position")


class Checkpoints:
    """The checkpoints of one workdir; use it as a context, whose end waits for what is being saved."""

    def __init__(self, workdir: pathlib.Path, keep: int = 3):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager((workdir / FOLDER).absolute(), options=options, item_names=_ITEMS)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, position: dict[str, Any]) -> None:
        """Copies the state, and starts to write it."""
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
        return TrainState(step=step, opt_state=found.optimizer, **found.variables), found.position


def saved_steps(workdir: pathlib.Path) -> list[int]:
    """Steps of the whole checkpoints in a workdir, ascending."""
    folder = workdir / FOLDER
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdecimal())


def restore_variables(workdir: pathlib.Path, like: Any, step: int | None = None) -> tuple[Any, int]:
    """Reads what `GUN.apply` takes.

    Args:
      workdir: of the run.
      like: variables of the same structure; their arrays may be abstract.
      step: of the checkpoint; by default the newest.

    Returns:
      The variables on the first device, and the step.

    Raises:
      InputError: there is no such checkpoint, or it is one of another network.
    """
    steps = saved_steps(workdir)
    if not steps:
        raise InputError(f"{workdir} has no checkpoint yet; train it with train.py --workdir={workdir}")
    if step is not None and step not in steps:
        raise InputError(f"{workdir} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    step = steps[-1] if step is None else step
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like)
    path = (workdir / FOLDER / str(step) / "variables").absolute()
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        there, here = _shapes(handler.metadata(path).tree), _shapes(like)
    differing = sorted(name for name in there | here if there.get(name) != here.get(name))
    if differing:
        name = differing[0]
        raise InputError(
            f"{path} does not hold the network that {workdir} describes: {name} has shape {there.get(name)} there and "
            f"{here.get(name)} here"
        )
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path, like), step


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in paths}
