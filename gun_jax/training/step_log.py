"""Losses since the last report, and the steps whose loss, gradient or update is not finite."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gun_jax.errors import InputError
from gun_jax.runs.rows import append_row, drop_rows_after
from gun_jax.system.distributed import all_reduce_sum, is_main
from gun_jax.training.step import StepResult

BAD_STEPS_NAME = "bad_steps.jsonl"  # in the workdir
_SKIPPED = "skipped_records"
_COUNTS = ("bad_steps", _SKIPPED)


class StepLog:
    """Collects the results of steps between two reports. It reads each one while the next step runs.

    A bad step, one that was not applied, gets a row in `bad_steps.jsonl`: its loss, its gradient's norm, and the ids of
    the records of its batch (those of this process).

    Attributes:
      bad_steps: number of bad steps in the run.

    Args:
      workdir: of the run.
      limit: number of bad steps in a row that end the training.
      start: the step at which the run starts or resumes.
      saved: what `saved` returned at that step.
    """

    def __init__(self, workdir: pathlib.Path, limit: int, start: int, saved: dict[str, Any] | None = None):
        name = BAD_STEPS_NAME
        if jax.process_index():
            name = name.replace(".", f"-{jax.process_index()}.", 1)
        self._path, self._limit = workdir / name, limit
        if is_main():  # also the files of more processes than there are now
            for path in workdir.glob(BAD_STEPS_NAME.replace(".", "*.")):
                drop_rows_after(path, start)
        saved = saved or {}
        self.bad_steps: int = saved.get("bad_steps", 0)
        self._losses: list[float] = saved.get("losses", [])
        self._counts: dict[str, int] = saved.get("counts", dict.fromkeys(_COUNTS, 0))  # since the last report
        if not is_main():
            self._counts[_SKIPPED] = 0  # the saved count is that of all processes
        self._in_a_row: int = saved.get("in_a_row", 0)
        self._reported: set[str] = set()
        self._waiting: tuple[int, Sequence[str], StepResult] | None = None

    def add(self, step: int, result: StepResult, ids: Sequence[str], skipped: Sequence[str] = ()) -> list[str]:
        """Adds the result of a step.

        Args:
          step: its number.
          result: what it returned.
          ids: of the records of its batch.
          skipped: a reason for each record that was replaced by another.

        Returns:
          Lines to show: the reasons that are new.

        Raises:
          InputError: the limit of bad steps in a row was reached with the step before.
        """
        self._settle()
        self._waiting = step, ids, result
        self._counts[_SKIPPED] += len(skipped)
        new = [f"skipped: {reason}" for reason in dict.fromkeys(skipped) if reason not in self._reported]
        self._reported.update(skipped)
        return new

    def saved(self) -> dict[str, Any]:
        """JSON values for a checkpoint, with which another `StepLog` resumes. All processes call it.

        Raises:
          InputError: the limit of bad steps in a row is reached.
        """
        self._settle()
        saved = {"losses": list(self._losses), "counts": self._counts_of_all(), "in_a_row": self._in_a_row}
        return saved | {"bad_steps": self.bad_steps}

    def report(self) -> tuple[float | None, dict[str, int]]:
        """Mean loss since the last report (None: no step was applied), and the numbers of bad steps and records.

        All processes call it at the same step; the records are those of all processes.

        Raises:
          InputError: the limit of bad steps in a row is reached.
        """
        self._settle()
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        counts = self._counts_of_all()
        self._losses, self._counts = [], dict.fromkeys(_COUNTS, 0)
        return loss, counts

    def _counts_of_all(self) -> dict[str, int]:
        """Each process skips records of its own; all see the same steps."""
        return self._counts | {_SKIPPED: int(all_reduce_sum(np.array([self._counts[_SKIPPED]], np.int64))[0])}

    def _settle(self) -> None:
        if self._waiting is None:
            return
        step, ids, result = self._waiting
        self._waiting = None
        loss, norm, applied = jax.device_get(result)
        if applied:
            self._losses.append(float(loss))
            self._in_a_row = 0
            return
        self.bad_steps += 1
        self._counts["bad_steps"] += 1
        self._in_a_row += 1
        numbers = {"loss": str(loss), "gradient_norm": str(norm)}  # JSON has no NaN
        append_row(self._path, {"step": step, **numbers, "ids": list(ids)})
        if self._in_a_row >= self._limit:
            raise InputError(
                f"step {step} is number {self._in_a_row} in a row whose loss ({loss}), gradient (norm {norm}) or "
                f"update is not finite; none was applied, and {self._path} lists their records. In a new --workdir, "
                "lower config.optimizer.peak_rate, warm up longer, or set config.optimizer.clip_norm"
            )
