"""A run from the small files in its workdir: settings, metrics, evaluations. No checkpoint is read."""

import dataclasses
import functools
import json
import os
import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gun_jax import configuration
from gun_jax.errors import InputError
from gun_jax.models.counting import parameters
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import CHECKPOINTS, EVALUATION, METRICS, SAVED_NAME, saved_config, saved_parameters

_SIGNS = (SAVED_NAME, METRICS, CHECKPOINTS)  # a folder with one of these is a workdir


@dataclasses.dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
      workdir: its folder.
      settings: values by name, e.g. "data.crop".
      classes: names of the classes.
      rows: rows of `metrics.jsonl`, at least one.
      evaluations: scores by `evaluate.py`, by the stem of their file, e.g. "val".
      parameters: number of parameters of the network.
    """

    workdir: pathlib.Path
    settings: dict[str, Any]
    classes: tuple[str, ...]
    rows: list[dict]
    evaluations: dict[str, dict]
    parameters: int

    @property
    def step(self) -> int:
        """The last reported step."""
        return self.rows[-1]["step"]

    @property
    def epoch(self) -> float:
        """The last reported epoch."""
        return self.rows[-1]["epoch"]

    @property
    def scores(self) -> dict[str, float | None]:
        """Scores of the last evaluation in the training: "miou", "accuracy", "iou/road"; empty before the first."""
        split = self.settings["data.eval_split"] + "/"
        last: dict = next((row for row in reversed(self.rows) if f"{split}miou" in row), {})
        return {name.removeprefix(split): value for name, value in last.items() if name.startswith(split)}

    @property
    def loss(self) -> float | None:
        """The last reported loss, a mean since the report before."""
        return next((row["loss"] for row in reversed(self.rows) if row.get("loss") is not None), None)

    @property
    def images_per_second(self) -> float | None:
        """The median of the reported speeds."""
        speeds = [row["images_per_second"] for row in self.rows if row.get("images_per_second") is not None]
        return statistics.median(speeds) if speeds else None

    @property
    def finished(self) -> bool:
        """Whether the training reached the end of its schedule and evaluated there."""
        if self.settings["steps"]:
            at_the_end = self.step >= self.settings["steps"]
        else:  # up to half a step; "epoch" is rounded to four digits
            at_the_end = self.epoch + 5e-5 >= self.settings["epochs"] - 0.5 * self.epoch / self.step
        return at_the_end and f"{self.settings['data.eval_split']}/miou" in self.rows[-1]


def find_workdirs(named: Sequence[pathlib.Path]) -> tuple[list[pathlib.Path], list[str]]:
    """Finds workdirs: the given folders, or the workdirs below them.

    Returns:
      The workdirs, each once, and a line for each folder without any.
    """
    found: dict[str, pathlib.Path] = {}
    problems = []
    for folder in named:
        below = list(_below(folder))
        if not below:
            what = "holds no run" if folder.is_dir() else "is not a folder"
            problems.append(f"{folder} {what}; expected a folder that train.py has written, or one of such folders")
        for workdir in below:
            found.setdefault(os.path.abspath(workdir), workdir)
    return list(found.values()), problems


def _below(folder: pathlib.Path) -> Iterable[pathlib.Path]:
    for path, folders, files in os.walk(folder):
        folders.sort()
        if any(sign in files or sign in folders for sign in _SIGNS):
            yield pathlib.Path(path)
            folders.clear()


def read_run(workdir: pathlib.Path) -> Run:
    """Reads a run.

    Raises:
      InputError: the run has not reported yet, has settings of another version, or a file is damaged.
    """
    config, classes = saved_config(workdir)
    names = configuration.setting_names(config)
    return Run(
        workdir,
        {name: configuration.setting(config, name) for name in names},
        classes.names,
        _rows(workdir / METRICS),
        dict(_evaluations(workdir / EVALUATION)),
        saved_parameters(workdir) or _count(json.dumps(config.model.to_dict()), len(classes)),
    )


@functools.cache
def _count(model: str, num_classes: int) -> int:
    """Number of parameters of the network of a `model` section, given as JSON. Tracing takes half a second."""
    config = configuration.default_config().model
    config.update(json.loads(model))
    network = configuration.build_model(config, num_classes)
    return parameters(jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"])


def _rows(path: pathlib.Path) -> list[dict]:
    rows = read_rows(path)
    for number, row in enumerate(rows, 1):
        try:
            if not (_is_number(row["step"]) and _is_number(row["epoch"]) and row["step"] > 0):
                raise ValueError("no step above 0, or no epoch")
            if not all(value is None or _is_number(value) for value in row.values()):
                raise ValueError("a value that is not a number")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path}, line {number}, is no row of a run: {error}") from error
    if not rows:
        raise InputError(f"{path} is missing or empty: the run has reported nothing yet")
    return rows


def _evaluations(folder: pathlib.Path) -> Iterable[tuple[str, dict]]:
    for path in sorted(folder.glob("*.json")):
        try:
            report = json.loads(path.read_bytes())
            if "miou" not in report:
                continue  # a file of `--trimap`
            if not all(report[name] is None or _is_number(report[name]) for name in ("miou", "accuracy", "step")):
                raise ValueError("a score that is not a number")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is no evaluation: {error}; evaluate the run again") from error
        yield path.stem, report


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
