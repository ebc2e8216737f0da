"""One training step: loss, gradient, update, compiled for a mesh of devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gun_jax.models import GUN
from gun_jax.ops.normalisation import normalise
from gun_jax.system import runtime
from gun_jax.training.objective import PAPERS_OBJECTIVE, Objective
from gun_jax.training.state import TrainState, moved

DATA_AXIS = "data"
# XLA's default order starts operations as early as it can, and needs up to a third more memory (docs/performance.md).
_FRUGAL = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


def _frugal_on_cpu(mesh: Mesh) -> dict[str, str]:
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=_FRUGAL)()
    except jax.errors.JaxRuntimeError:  # another XLA has other options
        return {}
    return _FRUGAL


class StepResult(NamedTuple):
    """Loss and gradient of a step.

    Attributes:
      loss: float32 (), of the batch, with the parameters before the step.
      gradient_norm: float32 (), Euclidean norm over all parameters, before clipping.
      applied: bool (), whether loss, gradient and update are finite. If not, only the step number changes.
    """

    loss: jax.Array
    gradient_norm: jax.Array
    applied: jax.Array


def data_mesh() -> Mesh:
    """One axis of all devices of all processes, over which batches are sharded."""
    return Mesh(np.asarray(jax.devices()), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding in which every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of the first axis over all devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def train_step(
    model: GUN, optimizer: optax.GradientTransformation, objective: Objective = PAPERS_OBJECTIVE
) -> Callable[[TrainState, dict], tuple[TrainState, StepResult]]:
    """A step as a pure function: (state, batch) to (next state, result).

    The batch is `{"image": uint8 (B, H, W, 3), "label": uint8 (B, H, W)}`.
    """

    def step(state: TrainState, batch: dict) -> tuple[TrainState, StepResult]:
        images, labels = normalise(batch["image"]), batch["label"]

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            variables = {"params": objective.without_frozen(params), "batch_stats": state.batch_stats}
            return objective.loss(model, variables, images, labels)

        (loss, batch_stats), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        norm = optax.tree.norm(gradient)
        applied = jnp.isfinite(jnp.stack([loss, norm, optax.tree.norm((updates, batch_stats))])).all()
        new = state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state)
        if state.average:
            new = new.replace(average=moved(state.average, new.trained, objective.average_decay, state.step))
        kept = jax.lax.cond(applied, lambda: new, lambda: state)
        return kept.replace(step=state.step + 1), StepResult(loss, norm, applied)

    return step


def make_train_step(
    model: GUN,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    clear_caches: bool = False,
    objective: Objective = PAPERS_OBJECTIVE,
) -> Callable[[TrainState, dict], tuple[TrainState, StepResult]]:
    """Compiles `train_step` for a mesh, over which the batch is sharded.

    Batch norm and loss see the whole batch. The state is donated: use only the returned one. The first call with images
    of a new size compiles, and returns the memory that compiling took to the system before it runs the step.

    Args:
      model: the network.
      optimizer: of its parameters.
      mesh: one axis, `DATA_AXIS`.
      clear_caches: call `jax.clear_caches()` after the first compilation. It frees all that the process has traced and
        compiled so far.
      objective: what the step minimises, and by which parts.
    """
    whole, sharded = replicated(mesh), batch_sharding(mesh)
    jitted = jax.jit(
        train_step(model, optimizer, objective),
        in_shardings=(whole, sharded),
        out_shardings=(whole, whole),
        donate_argnums=0,
        compiler_options=_frugal_on_cpu(mesh),
    )
    programs: dict[tuple[int, ...], jax.stages.Compiled] = {}

    def take_step(state: TrainState, batch: dict) -> tuple[TrainState, StepResult]:
        shape = batch["image"].shape
        if shape not in programs:
            programs[shape] = jitted.lower(state, batch).compile()
            if clear_caches and len(programs) == 1:
                jax.clear_caches()
            runtime.give_back_memory()
        return programs[shape](state, batch)

    return take_step
