"""A training run from its configuration: source -> augment -> batch -> device -> step -> metrics -> report."""

import contextlib
import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gun_jax import configuration
from gun_jax.configuration import FREE_SETTINGS
from gun_jax.data.classes import ClassMap
from gun_jax.data.pipeline import training_batches
from gun_jax.data.sources import Source, find_data_dir, load_source
from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.models import GUN
from gun_jax.models.counting import parameters
from gun_jax.runs.checkpoints import Checkpoints, saved_steps
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import METRICS, save_config, saved_config
from gun_jax.system.distributed import broadcast_from_main, is_main
from gun_jax.training.interruption import InterruptedTrainingError, listening
from gun_jax.training.objective import make_objective
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.reporting import Reporter, SilentReporter
from gun_jax.training.start import starting_point, warn_of_slow_start
from gun_jax.training.state import TrainState, create_state
from gun_jax.training.step import batch_sharding, data_mesh, make_train_step, replicated
from gun_jax.training.step_log import StepLog

_FREE = (*FREE_SETTINGS, "data.eval_split")  # may change when a run resumes

Score = Callable[[dict[str, Any], Source], ConfusionMatrix]


def train(
    config: ConfigDict,
    workdir: pathlib.Path,
    make_scorer: Callable[[GUN, int, int], Score],
    clear_caches: bool = False,
) -> TrainState:
    """Trains to the end of the schedule, from the newest checkpoint in the workdir if there is one.

    Writes into the workdir: `config.json`, `checkpoints/`, `metrics.jsonl`, `curves/` (TensorBoard).

    Args:
      config: see `gun_jax.configuration.default_config`.
      workdir: a new or empty folder, or that of the same run.
      make_scorer: (network, batch size, threads) to a function that evaluates variables on a source, e.g.
        `gun_jax.evaluation.scoring.make_scorer`.
      clear_caches: see `make_train_step`.

    Returns:
      The last state.

    Raises:
      InputError: data or settings are missing or wrong, the workdir holds another run, or the disk is full.
      InterruptedTrainingError: SIGTERM or Ctrl-C ended the training, after a checkpoint was saved.
    """
    configuration.validate(config)
    # A run that resumes has parameters of its own.
    start_from = starting_point(config) if config.init and not saved_steps(workdir) else None
    source, eval_source, config = _open_data(config)
    total_steps = _total_steps(config, len(source))
    _check_workdir(workdir, config, source.classes)
    if is_main() and not saved_steps(workdir):
        warn_of_slow_start(config)

    mesh = data_mesh()
    if config.batch_size % mesh.size:
        raise InputError(f"config.batch_size is {config.batch_size}; expected a multiple of the {mesh.size} devices")
    model = configuration.build_model(config.model, len(source.classes))
    rate = learning_rate(config.optimizer, len(source) / config.batch_size, total_steps)
    optimizer = make_optimizer(config.optimizer, rate)
    averaged = config.optimizer.average_decay > 0
    state = jax.device_put(create_state(model, optimizer, config.seed, start_from, averaged), replicated(mesh))
    objective = make_objective(config, source, state.params)
    take_step = make_train_step(model, optimizer, mesh, clear_caches, objective)
    score = make_scorer(model, config.batch_size, config.data.threads)

    with Checkpoints(workdir, config.keep_checkpoints) as checkpoints, listening() as interruption:
        state, position = _newest_state(state, checkpoints, source, config, workdir)
        if is_main():
            count = parameters(state.params)
            save_config(workdir, config, source.classes, count, _image_size(eval_source))
        start, signal = int(state.step), 0
        log = StepLog(workdir, config.max_bad_steps, start, position.get("outcomes"))
        with _reporter(workdir, total_steps, start, config.batch_size) as reporter:
            reporter.say(_first_line(workdir, state, start, total_steps, len(source), mesh))
            between = _BetweenSteps(config, source, eval_source, total_steps, rate, score, checkpoints, log, reporter)
            between.catch_up(workdir, start, state)
            for step, records, batch in _numbered_batches(source, config, start, total_steps, mesh, reporter.waited):
                state, result = take_step(state, batch)
                for line in log.add(step, result, **records):
                    reporter.warn(line)
                if step == start + 1:
                    result.loss.block_until_ready()
                    reporter.first_step(step)
                signal = interruption.due(step)
                between.after(step, state, stopping=signal != 0)
                if signal:
                    break
    if signal:  # only now is the checkpoint complete
        raise InterruptedTrainingError(step, signal)
    return state


@dataclasses.dataclass(frozen=True)
class _BetweenSteps:
    """Reports, checkpoints and evaluations, where they are due."""

    config: ConfigDict
    source: Source
    eval_source: Source
    total: int
    rate: Callable[[int], Any]
    score: Score
    checkpoints: Checkpoints
    log: StepLog
    reporter: Reporter | SilentReporter

    def after(self, step: int, state: TrainState, stopping: bool) -> None:
        """Does what is due after a step. A run that stops here saves, and evaluates when it resumes."""
        evaluating = self._evaluating(step)
        saving = self._due(step, self.config.checkpoint_every_epochs * self._steps_per_epoch)
        if evaluating or saving or self._due(step, self.config.log_every_steps):
            loss, counts = self.log.report()
            rate = float(self.rate(step - 1 - self.log.bad_steps))
            self.reporter.training(step, self._epochs(step), loss, rate, counts)
        if evaluating or saving or stopping:  # before evaluating, which takes long and can fail
            self._save(step, state)
        if evaluating and not stopping:
            self._evaluate(step, state)

    def catch_up(self, workdir: pathlib.Path, start: int, state: TrainState) -> None:
        """Finds the best checkpoint so far, and makes up for an evaluation that was cut short."""
        name = f"{self.config.data.eval_split}/miou"
        rows = [row for row in read_rows(workdir / METRICS) if name in row and row["step"] <= start]
        best = max(((row[name], row["step"]) for row in rows if row[name] is not None), default=(0, 0))
        done = any(row["step"] == start for row in rows)
        # Other processes may read an older file.
        miou, step, done = broadcast_from_main(np.array([*best, done], np.float64))
        if step:
            self.checkpoints.scored(int(step), float(miou))
        if start and self._evaluating(start) and not done:
            self._evaluate(start, state)

    def _evaluating(self, step: int) -> bool:
        return self._due(step, self.config.eval_every_epochs * self._steps_per_epoch)

    def _evaluate(self, step: int, state: TrainState) -> None:
        matrix = self.score(state.variables, self.eval_source)
        names = self.source.classes.names
        self.reporter.evaluation(step, self._epochs(step), self.config.data.eval_split, matrix, names)
        self.checkpoints.scored(step, matrix.scores(names)["miou"])

    def _save(self, step: int, state: TrainState) -> None:
        position = {
            "batches": step,
            "data": self.source.identity,
            "network": configuration.describe_network(self.config.model, len(self.source.classes)),
            "outcomes": self.log.saved(),
        }
        self.checkpoints.save(state, position)

    @property
    def _steps_per_epoch(self) -> float:
        return len(self.source) / self.config.batch_size

    def _epochs(self, step: int) -> float:
        return step / self._steps_per_epoch

    def _due(self, step: int, every: float) -> bool:
        """Whether this step reaches a multiple of `every` steps (0: never), or is the last."""
        return step == self.total or (every > 0 and step // every > (step - 1) // every)


def _open_data(config: ConfigDict) -> tuple[Source, Source, ConfigDict]:
    """The data to train on and to evaluate on, and the configuration with the folder where they were found."""
    config = config.copy_and_resolve_references()
    directory = find_data_dir(config.data, config.data.train_split)
    if directory is not None:
        config.data.dir = str(directory)
    source = load_source(config.data, config.data.train_split)
    eval_source = load_source(config.data, config.data.eval_split)
    return source, eval_source, config


def _total_steps(config: ConfigDict, images: int) -> int:
    steps_per_epoch = images / config.batch_size
    steps = config.steps or round(config.epochs * steps_per_epoch)
    if not 1 <= steps <= configuration.MAX_STEPS:
        raise InputError(
            f"config.epochs is {config.epochs} of {steps_per_epoch:.1f} steps each; expected 1 to "
            f"{configuration.MAX_STEPS} steps"
        )
    return steps


def _check_workdir(workdir: pathlib.Path, config: ConfigDict, classes: ClassMap) -> None:
    """Refuses the workdir of another run, unless that run has no checkpoint yet."""
    if re.search(r"[][*?]", str(workdir.absolute())):
        raise InputError(
            f"workdir {workdir.absolute()} has one of [ ] * ? in it, which Orbax cannot read back; choose another name"
        )
    if not saved_steps(workdir):
        return
    saved, saved_classes = saved_config(workdir)
    for name in configuration.setting_names(config):
        here, there = (configuration.setting(one, name) for one in (config, saved))
        if name not in _FREE and here != there:
            raise InputError(
                f"{workdir} holds another run: config.{name} is {there!r} there and {here!r} here; "
                "choose another --workdir, or the same settings to resume"
            )
    if classes.names != saved_classes.names:
        raise InputError(f"{workdir} holds a run of other classes; choose another --workdir")


def _newest_state(
    first: TrainState, checkpoints: Checkpoints, source: Source, config: ConfigDict, workdir: pathlib.Path
) -> tuple[TrainState, dict[str, Any]]:
    """The state of the newest checkpoint and its position; `first` and {} where there is none."""
    if checkpoints.latest() is None:
        return first, {}
    state, position = checkpoints.restore(first, configuration.describe_network(config.model, len(source.classes)))
    if position["data"] != source.identity:
        raise InputError(
            f"{workdir} was trained on other data: {position['data']} there and {source.identity} here (a file name or "
            "a value of the class map has changed); restore the data, or choose another --workdir"
        )
    return state, position


def _image_size(source: Source) -> tuple[int, int] | None:
    """(height, width) of the first image; None if it is damaged, which the evaluation reports."""
    try:
        height, width, _ = source[0]["image"].shape
    except InputError:
        return None
    return height, width


def _reporter(workdir: pathlib.Path, *run: Any) -> Reporter | SilentReporter:
    return Reporter(workdir, *run) if is_main() else SilentReporter()


def _first_line(workdir: pathlib.Path, state: TrainState, start: int, total: int, images: int, mesh: Mesh) -> str:
    if start >= total:
        return f"{workdir} is already trained: all {start} steps are done"
    millions = parameters(state.params) / 1e6
    devices = f"{mesh.size} {jax.devices()[0].platform.upper()} device{'s' if mesh.size > 1 else ''}"
    begin = f"resuming at step {start}" if start else "compiling the first step"
    return f"{workdir}: {millions:.2f} M parameters, {images} images, {total} steps on {devices}; {begin} ..."


def _numbered_batches(
    source: Source, config: ConfigDict, start: int, total: int, mesh: Mesh, waited: Callable[[float], None]
) -> Iterator[tuple[int, dict[str, list[str]], dict[str, jax.Array]]]:
    """(step, "ids" and "skipped" of its records, batch on the devices) from step `start` + 1 to the last.

    Calls `waited` with the seconds for which each batch was waited.
    """
    if start >= total:
        return
    process = jax.process_index(), jax.process_count()
    batches = training_batches(source, config.data, config.batch_size, config.seed, start, process)
    with contextlib.closing(batches):
        for step in range(start + 1, total + 1):
            begin = time.monotonic()
            arrays = next(batches)
            records = {"ids": arrays.pop("id"), "skipped": arrays.pop("skipped")}
            batch = jax.make_array_from_process_local_data(batch_sharding(mesh), arrays)
            waited(time.monotonic() - begin)
            yield step, records, batch
