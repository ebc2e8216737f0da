"""Runs that differ only in their seed and in the drive that is left out, as one: mean and spread of their scores."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Callable, Sequence

from gun_jax.configuration import FREE_SETTINGS
from gun_jax.data.splits import left_out
from gun_jax.runs.comparison import Column, names_of, percent, sort_key
from gun_jax.runs.reading import Run

_SPLITS = "data.train_split", "data.eval_split"


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of one recipe.

    Attributes:
      name: the common beginning and end of the runs' names, with * for what differs.
      runs: at least one.
    """

    name: str
    runs: list[Run]

    def by_fold(self) -> dict[str, list[Run]]:
        """The runs by the drive that they leave out; "" for none."""
        folds: dict[str, list[Run]] = {}
        for run in self.runs:
            folds.setdefault(fold_of(run), []).append(run)
        return folds


@dataclasses.dataclass(frozen=True)
class Spread:
    """The mean of a score, and how much it varies.

    Attributes:
      mean: over folds, of the mean over the seeds of a fold.
      folds: sample standard deviation of the folds' means; None for a single fold.
      seeds: standard deviation between seeds of one fold: the root of the mean variance; None without such seeds.
    """

    mean: float
    folds: float | None
    seeds: float | None


class SpreadColumn(Column):
    """A column whose values are `Spread`, e.g. "64.1 (folds ±6.2, seeds ±0.4)"."""

    def _shown(self, value: Spread | None) -> str:
        if value is None:
            return "-"
        parts = [
            f"{name} ±{deviation:.{self.digits}f}"
            for name, deviation in (("folds", value.folds), ("seeds", value.seeds))
            if deviation is not None
        ]
        return f"{value.mean:.{self.digits}f}" + (f" ({', '.join(parts)})" if parts else "")

    def plain(self) -> list[Column]:
        """The mean, and both standard deviations."""
        parts = {"mean": "", "folds": ", sd of folds", "seeds": ", sd of seeds"}
        return [
            Column(self.heading + ending, [value and getattr(value, part) for value in self.values], self.digits)
            for part, ending in parts.items()
        ]


def fold_of(run: Run) -> str:
    """The drive that a run leaves out; "" if it leaves none out."""
    return left_out(*(run.settings[name] for name in _SPLITS))


def group_runs(runs: Sequence[Run], sort: str = "name") -> list[Group]:
    """The runs with equal settings, apart from seed, fold, and settings that do not decide what is learned.

    Args:
      runs: at least one.
      sort: one of `SORTS`, for the means over the runs of a group; "name" keeps the order of the runs.
    """
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(repr(recipe(run)), []).append(index)
    names = names_of(runs)
    found = [
        Group(_pattern([names[index] for index in members]), [runs[index] for index in members])
        for members in groups.values()
    ]

    def key(group: Group) -> tuple[bool, float]:
        keys = [sort_key(run, sort) for run in group.runs]
        known = [value for unknown, value in keys if not unknown]
        return not known, statistics.fmean(known or [0.0])

    return sorted(found, key=key)


def recipe(run: Run) -> dict:
    """The settings that the runs of a group have in common."""
    fold = fold_of(run)
    kept = {name: value for name, value in run.settings.items() if name not in ("seed", *FREE_SETTINGS)}
    if fold:  # the start may be another run of the fold
        kept |= dict.fromkeys(_SPLITS, "fold") | {"init": kept["init"].replace(fold, "*")}
    return kept


def spread(group: Group, score: Callable[[Run], float | None]) -> Spread | None:
    """Mean and spread of a score over the runs that have it; None if none has."""
    folds = [
        values
        for runs in group.by_fold().values()
        if (values := [value for run in runs if (value := score(run)) is not None])
    ]
    if not folds:
        return None
    means = [statistics.fmean(values) for values in folds]
    variances = [statistics.variance(values) for values in folds if len(values) > 1]
    return Spread(
        statistics.fmean(means),
        statistics.stdev(means) if len(means) > 1 else None,
        math.sqrt(statistics.fmean(variances)) if variances else None,
    )


def compare_groups(groups: Sequence[Group], classes: bool = False) -> list[Column]:
    """The settings that differ, the numbers of runs, then the scores; with `classes`, also the IoU of each class."""
    recipes = [recipe(group.runs[0]) for group in groups]
    names = [name for name in recipes[0] if len({repr(one[name]) for one in recipes}) > 1]
    columns = [Column(name, [one[name] for one in recipes]) for name in names]
    columns += [
        Column("runs", [len(group.runs) for group in groups]),
        Column("folds", [len(group.by_fold()) for group in groups]),
        Column("finished", [sum(run.finished for run in group.runs) for group in groups]),
    ]

    scores = {run.workdir: _scores(run, classes) for group in groups for run in group.runs}
    for heading in dict.fromkeys(heading for of_run in scores.values() for heading in of_run):
        values = [spread(group, lambda run, of=heading: scores[run.workdir].get(of)) for group in groups]  # type: ignore[misc]
        if any(values):
            columns.append(SpreadColumn(f"{heading} %", values, 1))
    return columns


def _scores(run: Run, classes: bool) -> dict[str, float | None]:
    """All scores in percent: those of the training, then those by evaluate.py, on the run's own split or another."""
    found = {"mIoU": run.scores.get("miou"), "accuracy": run.scores.get("accuracy")}
    found |= {name: run.scores.get(f"iou/{name}") for name in run.classes if classes}
    for file, scores in run.evaluations.items():
        where = "evaluation" if file == run.settings["data.eval_split"] else f"evaluation/{file}"
        titles = {"mIoU": "miou", "boundary mIoU": "boundary_miou", "accuracy": "accuracy"}
        found |= {f"{where} {title}": scores.get(key) for title, key in titles.items()}
        found |= {f"{where} {name}": scores.get("iou", {}).get(name) for name in run.classes if classes}
    return {heading: percent(value) for heading, value in found.items()}


def _pattern(names: Sequence[str]) -> str:
    """ "a-fold=*" for "a-fold=x" and "a-fold=y"; all names if they have nothing in common."""
    if len(names) == 1:
        return names[0]
    start = _common_start(names)
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end}" if start or end else ", ".join(names)


def _common_start(texts: Sequence[str]) -> str:
    letters = itertools.takewhile(lambda these: len(set(these)) == 1, zip(*texts, strict=False))
    return "".join(these[0] for these in letters)
