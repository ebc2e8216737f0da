"""Checkpoints of a run under `WORKDIR/checkpoints/STEP/`, saved by Orbax while the training goes on.

A checkpoint is three items: `variables` (parameters and batch statistics, all that inference needs), `optimizer`, and
`position`, a small JSON file that says where the data stands and which network it is. It appears under its step only
when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from gun_jax.errors import InputError

if TYPE_CHECKING:
    from gun_jax.training.state import TrainState  # imports Optax, for which evaluating need not wait

FOLDER = "checkpoints"
_ITEMS = ("variables", "optimizer", "position")


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
    workdir: pathlib.Path, network: dict[str, Any], step: int | None = None
) -> tuple[dict[str, Any], int]:
    """Reads what `GUN.apply` takes.

    Args:
      workdir: of the run.
      network: what it has to be of: the "network" that was saved with it.
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
    path = (workdir / FOLDER / str(step)).absolute()
    with contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
        there = handler.restore(path / "position").get("network")
    if there is None:
        raise InputError(f"{path} was saved by another version, which did not say of which network it is; train anew")
    for name in there | network:
        if there.get(name) != network.get(name):
            raise InputError(
                f"{path} does not hold the network that {workdir} describes: {name} is {there.get(name)!r} there and "
                f"{network.get(name)!r} here; bring back the config.json that it was trained with"
            )
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        saved = handler.metadata(path / "variables").tree
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), saved)
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path / "variables", like), step
