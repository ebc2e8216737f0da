"""How many pixels each class has, in training and in validation, and what of it an IoU will suffer from."""

import rich.table

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.own_data.label_stats import LabelStats

_FEW = 0.001  # of the pixels to train on


def balance_table(classes: ClassMap, train: LabelStats, val: LabelStats) -> rich.table.Table:
    """Shares of all pixels, and in how many images a class occurs. The censuses are by class."""
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
    """A line for each class that cannot be learned or scored well, and for pixels that nothing is said of."""
    lines = []
    for train_id, name in enumerate(classes.names):
        share = _share(train, train_id)
        if not train.pixels[train_id] and not val.pixels[train_id]:
            lines.append(f"{name!r} is in no label: take it out of the class map")
        elif not train.pixels[train_id]:
            lines.append(f"{name!r} is in val alone: nothing can learn it, and its IoU will be 0")
        elif not val.pixels[train_id]:
            lines.append(f"{name!r} is not in val: its IoU says nothing there, and is 0 where it is found")
        if 0 < share < _FEW:
            lines.append(f"{name!r} has {100 * share:.2g} % of the pixels to train on: expect a low IoU")
    ignored = _share(train, IGNORE)
    if ignored > 0.5:
        lines.append(f"{100 * ignored:.0f} % of the pixels to train on are ignored: what lies there is not learned")
    return lines


def _share(stats: LabelStats, key: int) -> float:
    return stats.pixels[key] / max(1, stats.pixels.total())
