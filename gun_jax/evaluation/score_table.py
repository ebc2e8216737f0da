"""The table of scores on the screen."""

from typing import Any

import rich.table


def score_table(scores: dict[str, Any]) -> rich.table.Table:
    """A table of the scores that `gun_jax.evaluation.evaluate.evaluate` returns, in percent."""
    weighted = "iiou" in scores
    table = rich.table.Table()
    table.add_column("class")
    table.add_column("IoU %", justify="right")
    if weighted:
        table.add_column("iIoU %", justify="right")

    def add(name: str, *values: float | None, style: str = "") -> None:
        table.add_row(name, *map(_percent, values[: 1 + weighted]), style=style)

    for name, value in scores["iou"].items():
        add(name, value, scores.get("iiou", {}).get(name))
    table.add_section()
    add("mean (mIoU)", scores["miou"], scores.get("miiou"), style="bold")
    add("pixel accuracy", scores["accuracy"], None)
    if "category_iou" in scores:
        table.add_section()
        for name, value in scores["category_iou"].items():
            add(f"category {name}", value, scores.get("category_iiou", {}).get(name))
        add("mean of categories (mIoU)", scores["category_miou"], scores.get("category_miiou"), style="bold")
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
