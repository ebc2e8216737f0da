"""Tables of runs on the terminal, split where they are too wide."""

from collections.abc import Iterator, Sequence

import rich.console
import rich.table

from gun_jax.runs.comparison import Column

_BORDERS = 3  # characters between two columns


def show(console: rich.console.Console, names: Sequence[str], columns: Sequence[Column]) -> None:
    """Shows one column for each run; if that is too wide, one row for each run, in several tables."""
    width = console.width
    grid = [["", *names], *([column.heading, *column.shown()] for column in columns)]
    if _width(list(zip(*grid, strict=True))) <= width:
        console.print(_table(grid))
        return
    for part in _parts(names, columns, width):
        texts = [["run", *names], *([column.heading, *column.shown()] for column in part)]
        console.print(_table(list(zip(*texts, strict=True))))


def _parts(names: Sequence[str], columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Groups of columns that fit beside the names."""
    part: list[Column] = []
    for column in columns:
        texts = [["run", *names], *([one.heading, *one.shown()] for one in [*part, column])]
        if part and _width(texts) > width:
            yield part
            part = []
        part.append(column)
    yield part


def _width(columns: Sequence[Sequence[str]]) -> int:
    """Width of a table with these columns."""
    return 1 + sum(max(map(len, column)) + _BORDERS for column in columns)


def _table(rows: Sequence[Sequence[str]]) -> rich.table.Table:
    table = rich.table.Table()
    for place, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if place else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    return table
