"""What the steps gave since the last report, and what becomes of those whose numbers are not finite."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gun_jax.errors import InputError
from gun_jax.runs.rows import append_row, drop_rows_after
from gun_jax.system.distributed import all_reduce_sum, is_main
from gun_jax.training.step import Outcome

BAD_STEPS_NAME = "bad_steps.jsonl"  # in the workdir
_SKIPPED = "skipped_records"
_COUNTS = ("bad_steps", _SKIPPED)


class Outcomes:
    """Collects the outcomes of steps between two reports. Each is looked at when the next step runs already.

    A step that was not applied gets a row in `bad_steps.jsonl`: what its loss and gradient were, and the ids of the
    records of its batch (those of this process).

    Attributes:
      bad_steps: how many steps of the run were not applied.

    Args:
      workdir: of the run.
      most: bad steps in a row that end the training.
      start: the step at which it goes on.
      saved: what `saved` gave at that step.
    """

    def __init__(self, workdir: pathlib.Path, most: int, start: int, saved: dict[str, Any] | None = None):
        name = BAD_STEPS_NAME
        if jax.process_index():
            name = name.replace(".", f"-{jax.process_index()}.", 1)
        self._path, self._most = workdir / name, most
        if is_main():  # also those of more processes than there are now
            for path in workdir.glob(BAD_STEPS_NAME.replace(".", "*.")):
                drop_rows_after(path, start)
        saved = saved or {}
        self.bad_steps: int = saved.get("bad_steps", 0)  # of the whole run
        self._losses: list[float] = saved.get("losses", [])
        self._counts: dict[str, int] = saved.get("counts", dict.fromkeys(_COUNTS, 0))  # since the last report
        if not is_main():
            self._counts[_SKIPPED] = 0  # what was saved is of all
        self._in_a_row: int = saved.get("in_a_row", 0)
        self._told: set[str] = set()
        self._waiting: tuple[int, Sequence[str], Outcome] | None = None

    def add(self, step: int, outcome: Outcome, ids: Sequence[str], skipped: Sequence[str] = ()) -> list[str]:
        """Takes the outcome of a step, whose batch held the records `ids`.

        Args:
          step: its number.
          outcome: what it gave.
          ids: of the records of its batch.
          skipped: what was wrong with the records that others stood in for.

        Returns:
          Of `skipped` what is new: lines to show.

        Raises:
          InputError: too many steps in a row, up to the one before, were not applied.
        """
        self._settle()
        self._waiting = step, ids, outcome
        self._counts[_SKIPPED] += len(skipped)
        new = [f"skipped: {reason}" for reason in dict.fromkeys(skipped) if reason not in self._told]
        self._told.update(skipped)
        return new

    def saved(self) -> dict[str, Any]:
        """What goes into a checkpoint, JSON values, for another `Outcomes` to go on with. All processes call it.

        Raises:
          InputError: as `add`, with the step that was added last.
        """
        self._settle()
        kept = {"losses": list(self._losses), "counts": self._counts_of_all(), "in_a_row": self._in_a_row}
        return kept | {"bad_steps": self.bad_steps}

    def report(self) -> tuple[float | None, dict[str, int]]:
        """Since the last report: the mean loss (None: no step was applied), and how many steps and records were bad.

        All processes call it at the same step; records are counted of all.

        Raises:
          InputError: as `saved`.
        """
        self._settle()
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        counts = self._counts_of_all()
        self._losses, self._counts = [], dict.fromkeys(_COUNTS, 0)
        return loss, counts

    def _counts_of_all(self) -> dict[str, int]:
        """Each process skips records of its own; what the steps gave, all see."""
        return self._counts | {_SKIPPED: int(all_reduce_sum(np.array([self._counts[_SKIPPED]], np.int64))[0])}

    def _settle(self) -> None:
        if self._waiting is None:
            return
        step, ids, outcome = self._waiting
        self._waiting = None
        loss, norm, applied = jax.device_get(outcome)
        if applied:
            self._losses.append(float(loss))
            self._in_a_row = 0
            return
        self.bad_steps += 1
        self._counts["bad_steps"] += 1
        self._in_a_row += 1
        numbers = {"loss": str(loss), "gradient_norm": str(norm)}  # JSON has no NaN
        append_row(self._path, {"step": step, **numbers, "ids": list(ids)})
        if self._in_a_row >= self._most:
            raise InputError(
                f"step {step} is number {self._in_a_row} in a row whose loss ({loss}), gradient (norm {norm}) or "
                f"update is not finite; none was applied, {self._path} names their records. In a new --workdir, lower "
                "config.optimizer.peak_rate, warm up longer, or set config.optimizer.clip_norm"
            )
