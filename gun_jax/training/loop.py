"""A training run from its configuration: source -> augment -> batch -> device -> step -> metrics -> report."""

import contextlib
import functools
import math
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gun_jax import configuration
from gun_jax.counting import parameters
from gun_jax.data.classes import ClassMap
from gun_jax.data.pipeline import training_batches
from gun_jax.data.sources import Source, find_data_dir, load_source
from gun_jax.errors import InputError
from gun_jax.scoring import make_scorer
from gun_jax.training.checkpoints import Checkpoints, saved_steps
from gun_jax.training.reporting import Reporter, SilentReporter
from gun_jax.training.schedule import learning_rate, sgd
from gun_jax.training.start import starting_point
from gun_jax.training.state import TrainState, create_state
from gun_jax.training.step import data_mesh, make_train_step, replicated, split

# What may change between the pieces of a run: nothing of it decides what is learned.
_FREE = (
    "eval_every_epochs",
    "checkpoint_every_epochs",
    "keep_checkpoints",
    "log_every_steps",
    "data.dir",
    "data.partial",
    "data.eval_split",
    "data.workers",
    "data.threads",
    "data.prefetch",
)
_DIVERGED = "in a new --workdir, lower config.optimizer.peak_rate or warm up longer"


def train(config: ConfigDict, workdir: pathlib.Path, forget: bool = False) -> TrainState:
    """Trains to the end of the schedule, from the newest checkpoint in the workdir if there is one.

    Writes into the workdir: `config.json`, `checkpoints/`, `metrics.jsonl`, `curves/` (TensorBoard).

    Args:
      config: see `gun_jax.configuration.default_config`.
      workdir: a new or empty folder, or that of the same run.
      forget: whether JAX shall forget all that this process has traced and compiled before, for less memory.

    Returns:
      The last state.

    Raises:
      InputError: data that are missing or wrong, settings that are, or the workdir of another run.
    """
    # A run that goes on has its own parameters, and does not ask for those again.
    start_from = starting_point(config) if config.init and not saved_steps(workdir) else None
    source, eval_source, config = _open_data(config)
    steps_per_epoch = len(source) / config.batch_size
    total_steps = config.steps or round(config.epochs * steps_per_epoch)
    if total_steps < 1:
        raise InputError(f"config.epochs is {config.epochs} of {steps_per_epoch:.1f} steps; expected a step at least")
    _check_workdir(workdir, config, source.classes)

    mesh = data_mesh()
    model = configuration.build_model(config.model, len(source.classes))
    network = configuration.describe_network(config.model, len(source.classes))
    rate = learning_rate(config.optimizer, steps_per_epoch, total_steps)
    optimizer = sgd(config.optimizer, rate)
    state = jax.device_put(create_state(model, optimizer, config.seed, start_from), replicated(mesh))
    if config.batch_size % mesh.size:
        raise InputError(f"config.batch_size is {config.batch_size}; expected a multiple of the {mesh.size} devices")
    take_step = make_train_step(model, optimizer, mesh, forget)
    score = make_scorer(model, config.batch_size, config.data.threads)

    with Checkpoints(workdir, config.keep_checkpoints) as checkpoints:
        if checkpoints.latest() is not None:
            state, position = checkpoints.restore(state)
            if position["data"] != source.identity:
                raise InputError(
                    f"{workdir} was trained on other data: {position['data']} there and {source.identity} here (a name "
                    "of a file or a value of the class map has changed); bring them back, or name another --workdir"
                )
        if jax.process_index() == 0:
            configuration.save_config(workdir, config, source.classes)
        start = int(state.step)
        with _reporter(workdir, total_steps, start, config.batch_size) as reporter:
            reporter.say(_beginning(workdir, state, start, total_steps, len(source), mesh))
            losses = []
            for step, batch in _numbered_batches(source, config, start, total_steps, mesh, reporter.waited):
                state, loss = take_step(state, batch)
                losses.append(loss)
                if step == start + 1:
                    loss.block_until_ready()
                    reporter.first_step(step)
                epoch = step / steps_per_epoch
                due = functools.partial(_due, step, total_steps)
                evaluating = due(config.eval_every_epochs * steps_per_epoch)
                saving = due(config.checkpoint_every_epochs * steps_per_epoch)
                if evaluating or saving or due(config.log_every_steps):
                    reporter.training(step, epoch, _finite_mean(losses, step), float(rate(step - 1)))
                    losses = []
                if evaluating:
                    matrix = score(state.variables, eval_source)
                    reporter.evaluation(step, epoch, config.data.eval_split, matrix, source.classes.names)
                if saving:
                    _check_finite(state, step)
                    checkpoints.save(state, {"batches": step, "data": source.identity, "network": network})
    return state


def _due(step: int, total: int, every: float) -> bool:
    """Whether a multiple of `every` steps (0: none) was reached with this step; at the last step always."""
    return step == total or (every > 0 and step // every > (step - 1) // every)


def _beginning(workdir: pathlib.Path, state: TrainState, start: int, total: int, images: int, mesh: Mesh) -> str:
    if start >= total:
        return f"{workdir} was trained to its end, step {start}, already"
    millions = parameters(state.params) / 1e6
    devices = f"{mesh.size} {jax.devices()[0].platform.upper()} device{'s' if mesh.size > 1 else ''}"
    begin = f"going on at step {start}" if start else "compiling the first step"
    return f"{workdir}: {millions:.2f} M parameters, {images} images, {total} steps on {devices}; {begin} ..."


def _open_data(config: ConfigDict) -> tuple[Source, Source, ConfigDict]:
    """The data to train on and to evaluate on, and the configuration with the folder where they were found."""
    config = config.copy_and_resolve_references()
    directory = find_data_dir(config.data, config.data.train_split)
    if directory is not None:
        config.data.dir = str(directory)
    source = load_source(config.data, config.data.train_split)
    eval_source = load_source(config.data, config.data.eval_split)
    return source, eval_source, config


def _check_workdir(workdir: pathlib.Path, config: ConfigDict, classes: ClassMap) -> None:
    """Refuses a workdir in which another run lies; one that never came to a checkpoint is free."""
    if re.search(r"[][*?]", str(workdir.absolute())):
        raise InputError(f"workdir {workdir.absolute()} has one of [ ] * ? in it, with which Orbax reads nothing back")
    if not saved_steps(workdir):
        return
    saved, saved_classes = configuration.saved_config(workdir)
    for name in configuration.setting_names(config):
        here, there = (configuration.setting(one, name) for one in (config, saved))
        if name not in _FREE and here != there:
            raise InputError(
                f"{workdir} holds another run: config.{name} is {there!r} there and {here!r} here; "
                "name another --workdir, or the same settings to go on"
            )
    if classes.names != saved_classes.names:
        raise InputError(f"{workdir} holds a run of other classes; name another --workdir")


def _reporter(workdir: pathlib.Path, total: int, start: int, images: int) -> Reporter | SilentReporter:
    return Reporter(workdir, total, start, images) if jax.process_index() == 0 else SilentReporter()


def _numbered_batches(
    source: Source, config: ConfigDict, start: int, total: int, mesh: Mesh, waited: Callable[[float], None]
) -> Iterator[tuple[int, dict]]:
    """(number of the step, batch on the devices) from where the run stands to its end.

    `waited` is told the seconds that each batch was waited for.
    """
    if start >= total:
        return
    process = jax.process_index(), jax.process_count()
    batches = training_batches(source, config.data, config.batch_size, config.seed, start, process)
    with contextlib.closing(batches):
        for step in range(start + 1, total + 1):
            begin = time.monotonic()
            batch = jax.make_array_from_process_local_data(split(mesh), next(batches))
            waited(time.monotonic() - begin)
            yield step, batch


def _finite_mean(losses: list[jax.Array], step: int) -> float:
    mean = float(np.mean(jax.device_get(losses)))
    if not math.isfinite(mean):
        raise InputError(f"the loss is {mean} at step {step}; {_DIVERGED}")
    return mean


def _check_finite(state: TrainState, step: int) -> None:
    """A step whose loss was finite can still have thrown its parameters away."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.variables)):
        raise InputError(f"the parameters are not finite after step {step}; {_DIVERGED}")
