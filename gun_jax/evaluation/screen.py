"""What an evaluation shows on the screen: lines, a progress bar, the table of scores."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import rich.console
import rich.progress
import rich.table

from gun_jax.system.distributed import is_main

_CONSOLE = rich.console.Console(highlight=False, markup=False)


def say(line: str) -> None:
    """Shows a line, however long."""
    _CONSOLE.print(line, soft_wrap=True)


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal; gives the function that advances it by one."""
    columns = (
        "{task.description}",
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    hidden = not (_CONSOLE.is_terminal and is_main())
    with rich.progress.Progress(*columns, console=_CONSOLE, disable=hidden) as bars:
        yield functools.partial(bars.advance, bars.add_task(description, total=total))


def show_scores(scores: dict[str, Any]) -> None:
    """Shows a table of the scores that `gun_jax.evaluation.evaluate.evaluate` returns, in percent."""
    kinds = {"IoU %": "iou", "iIoU %": "iiou", "boundary IoU %": "boundary_iou"}
    kinds = {heading: kind for heading, kind in kinds.items() if kind in scores}
    table = rich.table.Table()
    table.add_column("class")
    for heading in kinds:
        table.add_column(heading, justify="right")

    def add(name: str, values: dict[str, float | None], style: str = "") -> None:
        table.add_row(name, *(_percent(values.get(kind)) for kind in kinds.values()), style=style)

    for name in scores["iou"]:
        add(name, {kind: scores[kind].get(name) for kind in kinds.values()})
    table.add_section()
    means = {"iou": "miou", "iiou": "miiou", "boundary_iou": "boundary_miou"}
    add("mean (mIoU)", {kind: scores.get(mean) for kind, mean in means.items()}, "bold")
    add("pixel accuracy", {"iou": scores["accuracy"]})
    if "category_iou" in scores:
        table.add_section()
        for name, value in scores["category_iou"].items():
            add(f"category {name}", {"iou": value, "iiou": scores.get("category_iiou", {}).get(name)})
        mean = {"iou": scores["category_miou"], "iiou": scores.get("category_miiou")}
        add("mean of categories (mIoU)", mean, "bold")
    _CONSOLE.print(table)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
