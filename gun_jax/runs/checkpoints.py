"""Checkpoints of a run under `WORKDIR/checkpoints/STEP/`, which Orbax saves while the training continues.

A checkpoint has three items: `variables` (parameters and batch statistics, all that inference needs), `optimizer`, and
`position`, a small JSON file with the position in the training, the network, and digests of all arrays, which reveal
damage. The folder STEP appears only when the checkpoint is complete. The newest are kept, and the one with the best
validation mIoU.
"""

import contextlib
import dataclasses
import errno
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN, PreservationPolicy

from gun_jax.configuration import same_network
from gun_jax.errors import InputError
from gun_jax.runs.damage import digest_of, newest_whole, read_arrays, read_position, reading, reason_of, seal
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import CHECKPOINTS, METRICS
from gun_jax.system import distributed

_ITEMS = ("variables", "optimizer", "position")
_DAMAGED = ".damaged"  # suffix of a damaged checkpoint that training has renamed

Shapes = dict[str, tuple[int, ...]]  # by the arrays' paths


class State(Protocol):
    """The parts of a training state that a checkpoint holds."""

    @property
    def step(self) -> jax.Array: ...
    @property
    def variables(self) -> dict[str, Any]: ...
    @property
    def progress(self) -> Any: ...
    def restored(self, step: jax.Array, variables: dict[str, Any], progress: Any) -> Self: ...


AnyState = TypeVar("AnyState", bound=State)


@dataclasses.dataclass
class _Best(PreservationPolicy):
    """Keeps the checkpoint with the best mIoU so far."""

    step: int | None = None
    miou: float | None = None

    def should_preserve(self, checkpoints: Sequence, *, context: Any) -> list[bool]:
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Checkpoints:
    """The checkpoints of one workdir; use it as a context, whose end waits until all are saved.

    Args:
      workdir: of the run.
      keep: number of the newest that are kept, beside the best.
    """

    def __init__(self, workdir: pathlib.Path, keep: int = 3):
        self._folder = (workdir / CHECKPOINTS).absolute()
        self._best = _Best()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy([LatestN(keep), self._best]), cleanup_tmp_directories=True
        )
        with self._saving():
            self._manager = ocp.CheckpointManager(self._folder, options=options, item_names=_ITEMS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None and distributed.is_distributed() and not issubclass(kind, InputError):
            return  # most likely another process is gone, and what all were saving will never be complete
        with self._saving() if kind is None else contextlib.suppress(Exception):  # the first error matters
            self._manager.close()

    def latest(self) -> int | None:
        """The step of the newest checkpoint, as the main process sees it, or None."""
        step = self._manager.latest_step()
        first = int(distributed.broadcast_from_main(np.array([-1 if step is None else step], np.int64))[0])
        return None if first < 0 else first

    def scored(self, step: int, miou: float | None) -> None:
        """Records the mIoU of a checkpoint. From the next save on, the best one so far is kept."""
        if miou is not None and (self._best.miou is None or miou >= self._best.miou):
            self._best.step, self._best.miou = step, miou

    def save(self, state: State, position: dict[str, Any]) -> None:
        """Copies the state, and starts to write it.

        Args:
          state: of the training.
          position: JSON values; `restore` and `restore_variables` compare "network".

        Raises:
          InputError: this checkpoint, or the one before, cannot be written; complete ones stay.
        """
        items = {"variables": state.variables, "optimizer": state.progress}
        sealed = seal(position, {name: digest_of(tree) for name, tree in items.items()})
        arguments = ocp.args.Composite(
            variables=ocp.args.StandardSave(state.variables),
            optimizer=ocp.args.StandardSave(state.progress),
            position=ocp.args.JsonSave(sealed),
        )
        with self._saving():
            self._manager.wait_until_finished()
            self._check_space(sum(leaf.nbytes for leaf in jax.tree.leaves(items)))
            if not self._manager.save(int(state.step), args=arguments):
                raise RuntimeError(f"Orbax has skipped step {state.step} as already saved")

    def restore(self, like: AnyState, network: dict[str, Any]) -> tuple[AnyState, dict[str, Any]]:
        """Reads the newest checkpoint that is not damaged, with the shapes and shardings of `like`.

        Damaged ones are renamed, with the suffix ".damaged" and a warning. All processes read the same checkpoint; one
        that any of them cannot read is damaged.

        Args:
          like: a state of the training.
          network: the "network" of the position has to equal it.

        Returns:
          The state and the position.

        Raises:
          InputError: all checkpoints are damaged, or the newest is of another network or version.
        """

        def read(step: int) -> tuple[AnyState, dict[str, Any]]:
            path = self._folder / str(step)
            position = read_position(path)
            if not same_network(position["training"].get("network"), network):
                raise InputError(
                    f"{path} is of another network or version of gun_jax: {position['training'].get('network')} there, "
                    f"{network} here; resume with that version, or train in a new --workdir"
                )
            variables = read_arrays(path, "variables", like.variables, position)
            optimizer = read_arrays(path, "optimizer", like.progress, position)
            number = jax.device_put(jnp.asarray(step, jnp.int32), like.step.sharding)
            return like.restored(number, variables, optimizer), position["training"]

        steps = saved_steps(self._folder.parent)
        step, found = newest_whole(self._folder, steps, read)
        if distributed.is_main():
            for damaged in (other for other in steps if other > step):
                _rename_damaged(self._folder / str(damaged))
        distributed.wait_for_all("damaged checkpoints are renamed")
        self._manager.reload()
        return found

    def _check_space(self, size: int) -> None:
        """Raises an OSError if the disk is too full; Orbax and TensorStore would fill the screen with tracebacks."""
        needed, free = size * 5 // 4 + 2**20, shutil.disk_usage(self._folder).free
        if free < needed:
            reason = f"{os.strerror(errno.ENOSPC)} ({free / 1e6:.1f} MB free, up to {needed / 1e6:.1f} needed)"
            raise OSError(errno.ENOSPC, reason)

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax raises what its threads, TensorStore and the system raise
            if distributed.means_that_others_are_gone(error):
                raise
            for unfinished in self._folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            steps = saved_steps(self._folder.parent)
            left = f"the last complete one is of step {steps[-1]}" if steps else "there is none yet"
            raise InputError(
                f"cannot save a checkpoint in {self._folder}: {reason_of(error)}; {left}: free some space, and rerun "
                "the command to resume"
            ) from error


def saved_steps(workdir: pathlib.Path) -> list[int]:
    """Steps of the complete checkpoints in a workdir, ascending."""
    folder = workdir / CHECKPOINTS
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdecimal())


def best_step(workdir: pathlib.Path) -> int:
    """The checkpoint with the best mIoU in the evaluations of the training; of equal ones the last.

    Raises:
      InputError: no checkpoint has been evaluated.
    """
    kept = saved_steps(workdir)
    rows = [row for row in read_rows(workdir / METRICS) if row["step"] in kept]
    scores = [(row[name] or 0, row["step"]) for row in rows for name in row if name.endswith("/miou")]
    if not scores:
        raise InputError(f"{workdir} has no evaluated checkpoint; give the number of a step, or none for the newest")
    return max(scores)[1]


def restore_variables(
    workdir: pathlib.Path, network: dict[str, Any], like: Callable[[], Any], step: int | None = None
) -> tuple[dict[str, Any], int]:
    """Reads the variables of `GUN.apply`.

    Args:
      workdir: of the run.
      network: describes the network. The shapes of a checkpoint with an equal "network" are not checked.
      like: returns variables of the expected structure; their arrays may be abstract.
      step: of the checkpoint; by default the newest that is not damaged, with a warning for each damaged one.

    Returns:
      The variables on the first device, and the step.

    Raises:
      InputError: there is no such checkpoint, or it is damaged or of another network.
    """
    steps = saved_steps(workdir)
    if not steps:
        raise InputError(f"{workdir} has no checkpoint yet; train it with train.py --workdir={workdir}")
    if step is not None and step not in steps:
        raise InputError(f"{workdir} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def read(step: int) -> dict[str, Any]:
        path = (workdir / CHECKPOINTS / str(step)).absolute()
        position = read_position(path)
        with reading(), contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
            saved = handler.metadata(path / "variables").tree
        if not same_network(position["training"].get("network"), network):  # tracing the shapes takes half a second
            _check_shapes(_shapes(saved), _shapes(like()), path, workdir)
        wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), saved)
        return read_arrays(path, "variables", wanted, position)

    step, variables = newest_whole((workdir / CHECKPOINTS).absolute(), steps if step is None else [step], read)
    return variables, step


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


def _rename_damaged(path: pathlib.Path) -> None:
    damaged = path.with_name(path.name + _DAMAGED)
    shutil.rmtree(damaged, ignore_errors=True)
    path.rename(damaged)
