"""The share of each class in training and validation, and warnings where an IoU will suffer from it."""

import rich.table

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.own_data.label_stats import LabelStats

_FEW = 0.001  # share of the training pixels


def balance_table(classes: ClassMap, train: LabelStats, val: LabelStats) -> rich.table.Table:
    """A table of each class's share of the pixels and number of images. The statistics are by class."""
    table = rich.table.Table()
    table.add_column("class")
    for heading in ("train %", "val %", "images of train", "of val"):
        table.add_column(heading, justify="right")

    def add(name: str, key: int) -> None:
        shares = (f"{100 * _share(stats, key):.2f}" for stats in (train, val))
        table.add_row(name, *shares, str(train.occurs[key]), str(val.occurs[key]))

    for train_id, name in enumerate(classes.names):
        add(name, train_id)
    if train.pixels[IGNORE] or val.pixels[IGNORE]:
        table.add_section()
        add("(ignored)", IGNORE)
    return table


def balance_warnings(classes: ClassMap, train: LabelStats, val: LabelStats) -> list[str]:
    """A line for each class that cannot be learned or scored well, and one if most pixels are ignored."""
    lines = []
    for train_id, name in enumerate(classes.names):
        share = _share(train, train_id)
        if not train.pixels[train_id] and not val.pixels[train_id]:
            lines.append(f"{name!r} is in no label: remove it from the class map")
        elif not train.pixels[train_id]:
            lines.append(f"{name!r} is only in val: it cannot be learned, and its IoU will be 0")
        elif not val.pixels[train_id]:
            lines.append(f"{name!r} is not in val: its IoU is undefined, or 0 where it is predicted")
        if 0 < share < _FEW:
            lines.append(f"{name!r} has {100 * share:.2g} % of the training pixels: expect a low IoU")
    ignored = _share(train, IGNORE)
    if ignored > 0.5:
        lines.append(f"{100 * ignored:.0f} % of the training pixels are ignored: nothing is learned from them")
    return lines


def _share(stats: LabelStats, key: int) -> float:
    return stats.pixels[key] / max(1, stats.pixels.total())
