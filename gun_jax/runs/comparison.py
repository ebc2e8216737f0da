"""Runs side by side: the settings that differ, and the scores."""

import csv
import dataclasses
import io
import os
from collections.abc import Sequence
from typing import Any

from gun_jax.errors import InputError, one_of
from gun_jax.runs.reading import Run

# Sort keys of runs, and whether the largest value comes first.
SORTS = {"name": False, "miou": True, "accuracy": True, "loss": False, "step": True, "parameters": False, "speed": True}


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
      heading: its name.
      values: one value for each run; None where it is unknown.
      digits: number of decimals.
    """

    heading: str
    values: list[Any]
    digits: int = 0

    def shown(self) -> list[str]:
        """The values as text."""
        return [self._shown(value) for value in self.values]

    def plain(self) -> list["Column"]:
        """The same values as columns of single numbers, for CSV files."""
        return [self]

    def _shown(self, value: Any) -> str:
        if value is None:
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:.{self.digits}f}" if self.digits and isinstance(value, float) else str(value)


def names_of(runs: Sequence[Run]) -> list[str]:
    """Names of runs: their workdirs, relative to the folder that holds them all."""
    paths = [str(run.workdir) for run in runs]
    if len(paths) < 2:
        return paths
    common = os.path.commonpath([os.path.abspath(path) for path in paths])
    return [os.path.relpath(os.path.abspath(path), common) for path in paths]


def sort_runs(runs: Sequence[Run], by: str) -> list[Run]:
    """Sorts runs, the best first and unknown values last. "name" keeps their order.

    Raises:
      InputError: `by` is no sort key.
    """
    if by not in SORTS:
        raise InputError(f"--sort is {by!r}; expected {one_of(by, SORTS)}")
    return sorted(runs, key=lambda run: sort_key(run, by))


def sort_key(run: Run, by: str) -> tuple[bool, float]:
    """Smaller for a run that comes first; equal for all by "name"."""
    if by == "name":
        return False, 0.0
    value = {
        "loss": run.loss,
        "step": run.step,
        "parameters": run.parameters,
        "speed": run.images_per_second,
    }.get(by, run.scores.get(by))
    return value is None, (-1 if SORTS[by] else 1) * (value or 0)


def compare(runs: Sequence[Run], classes: bool = False) -> list[Column]:
    """The settings that differ, then the scores; with `classes`, also the IoU of each class."""
    names = [name for name in runs[0].settings if len({repr(run.settings[name]) for run in runs}) > 1]
    columns = [Column(name, [run.settings[name] for run in runs]) for name in names]
    columns += [
        Column("step", [run.step for run in runs]),
        Column("epoch", [float(run.epoch) for run in runs], 1),
        Column("finished", [run.finished for run in runs]),
        Column("mIoU %", [percent(run.scores.get("miou")) for run in runs], 1),
        Column("accuracy %", [percent(run.scores.get("accuracy")) for run in runs], 1),
        Column("loss", [run.loss for run in runs], 3),
    ]
    if classes:
        every = dict.fromkeys(name for run in runs for name in run.classes)
        columns += [Column(f"{name} %", [percent(run.scores.get(f"iou/{name}")) for run in runs], 1) for name in every]
    for file in dict.fromkeys(name for run in runs for name in run.evaluations):
        reports = [run.evaluations.get(file, {}) for run in runs]
        columns.append(Column(f"evaluation/{file} mIoU %", [percent(report.get("miou")) for report in reports], 1))
        columns.append(Column(f"evaluation/{file} accuracy %", [percent(one.get("accuracy")) for one in reports], 1))
        if any(report and report["step"] != run.step for report, run in zip(reports, runs, strict=True)):
            columns.append(Column(f"evaluation/{file} step", [report.get("step") for report in reports]))
    columns.append(Column("parameters, millions", [run.parameters / 1e6 for run in runs], 2))
    columns.append(Column("images/s, median", [run.images_per_second for run in runs], 2))
    return columns


def as_csv(names: Sequence[str], columns: Sequence[Column]) -> str:
    """One row for each run: numbers with all their digits; empty where a value is unknown."""
    columns = [plain for column in columns for plain in column.plain()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *(column.heading for column in columns)])
    for name, *values in zip(names, *(column.values for column in columns), strict=True):
        writer.writerow([name, *values])
    return text.getvalue()


def as_markdown(names: Sequence[str], columns: Sequence[Column]) -> str:
    """One row for each run, formatted as on the screen."""
    rows = zip(names, *(column.shown() for column in columns), strict=True)
    lines = [["run", *(column.heading for column in columns)], ["---", *("---:" for _ in columns)], *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def percent(fraction: float | None) -> float | None:
    """100 times a fraction; None stays."""
    return None if fraction is None else 100 * fraction
