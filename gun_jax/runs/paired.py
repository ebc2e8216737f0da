"""Two groups of runs on the same images: the difference of their scores, with an interval."""

from collections.abc import Sequence

import numpy as np

from gun_jax.errors import InputError
from gun_jax.metrics.bootstrap import LEVEL, Difference, paired_bootstrap
from gun_jax.metrics.confusion import none_for_nan
from gun_jax.runs.comparison import Column, percent
from gun_jax.runs.groups import Group
from gun_jax.runs.image_counts import ImageCounts, read_image_counts
from gun_jax.runs.reading import Run
from gun_jax.runs.workdir import EVALUATION


def compare_paired(groups: Sequence[Group], classes: bool, block: int) -> tuple[list[str], list[Column], str]:
    """The scores of two groups, their difference, first minus second, and its interval (see `paired_bootstrap`).

    Each run needs `evaluation/SPLIT-images.npz` of its own `data.eval_split`, which `evaluate.py --per_image` writes.

    Args:
      groups: two.
      classes: whether to compare the IoU of each class, too.
      block: number of neighbouring images that are drawn together.

    Returns:
      The names of the rows, the columns, and a line about them.

    Raises:
      InputError: another number of groups, folds of only one group, or a file that is missing or of other images.
    """
    if len(groups) != 2:
        found = ", ".join(group.name for group in groups)
        raise InputError(f"--paired compares two groups of runs; found {len(groups)} ({found}): name their folders")
    folds = [group.by_fold() for group in groups]
    single = set(folds[0]) ^ set(folds[1])
    if single:
        raise InputError(f"--paired compares the same folds; only one group has {', '.join(sorted(single))}")
    counts = {run.workdir: _counts(run) for group in groups for run in group.runs}
    like = {fold: counts[runs[0].workdir] for fold, runs in folds[0].items()}
    names = next(iter(like.values())).classes
    for of_group in folds:
        for fold, runs in of_group.items():
            for run in runs:
                if (counts[run.workdir].ids, counts[run.workdir].classes) != (like[fold].ids, names):
                    raise InputError(f"{run.workdir} was evaluated on other images or classes than {groups[0].name}")
    first, second = (
        [np.stack([counts[run.workdir].counts for run in of_group[fold]]) for fold in like] for of_group in folds
    )
    difference = paired_bootstrap(list(zip(first, second, strict=True)), block)
    rows = ["mIoU", *names][: None if classes else 1]
    images = sum(len(one.ids) for one in like.values())
    line = f"{images} images in {len(like)} fold{'s' if len(like) > 1 else ''}; blocks of {block} images"
    return [f"{name} %" for name in rows], _columns(groups, difference, len(rows)), line


def _columns(groups: Sequence[Group], found: Difference, count: int) -> list[Column]:
    values = {
        groups[0].name: found.first,
        groups[1].name: found.second,
        "difference": found.first - found.second,
        f"{100 * LEVEL:.0f} % interval, from": found.low,
        "to": found.high,
    }
    return [
        Column(heading, [percent(none_for_nan(value)) for value in these[:count]], 1)
        for heading, these in values.items()
    ]


def _counts(run: Run) -> ImageCounts:
    return read_image_counts(run.workdir / EVALUATION / f"{run.settings['data.eval_split']}-images.npz")
