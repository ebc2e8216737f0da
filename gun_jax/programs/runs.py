"""Compares runs: the settings that differ, scores, parameters, speed.

    python runs.py [runs/a runs/b ...] [--sort=miou] [--classes]
    python runs.py --mean [--classes]
    python runs.py runs/a-* runs/b-* --paired
    python runs.py --curves=curves.png --csv=runs.csv --markdown=runs.md

Installed, the command is gun-runs. By default it compares all runs in runs/. Unreadable runs are reported and skipped;
the exit status is then 2.
"""

import os
import pathlib
import sys

import rich.console
from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line
from gun_jax.runs.comparison import SORTS

_RUNS = "runs"
_PIPED = 160  # characters in a line that goes to a file or another program

_SORT = flags.DEFINE_enum("sort", "name", list(SORTS), "Criterion of the order; the best run comes first.")
_CLASSES = flags.DEFINE_bool("classes", False, "Show the IoU of each class.")
_MEAN = flags.DEFINE_bool(
    "mean", False, "Show runs that differ only in their seed and in the drive left out as one: mean and spread."
)
_PAIRED = flags.DEFINE_bool(
    "paired", False, "Compare two such groups on the same images, after evaluate.py --per_image: a 95 % interval."
)
_BLOCK = flags.DEFINE_integer("block", 10, "Number of neighbouring images that --paired draws together.", lower_bound=1)
_CSV = flags.DEFINE_string("csv", None, "CSV file for the table, with one row per run or group.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Markdown file for the table, with one row per run or group.")
_CURVES = flags.DEFINE_string("curves", None, "PNG file for the learning curves of all runs.")


def main(*folders: str) -> None:
    from gun_jax.runs.comparison import as_csv, as_markdown, compare, names_of, sort_runs
    from gun_jax.runs.groups import compare_groups, group_runs
    from gun_jax.runs.paired import compare_paired
    from gun_jax.runs.reading import find_workdirs, read_run
    from gun_jax.runs.screen import show
    from gun_jax.system.files import atomic_write

    if _PAIRED.value and _MEAN.value:
        raise InputError("--mean and --paired are two tables; give one of them")
    if _BLOCK.present and not _PAIRED.value:
        raise InputError("--block needs --paired; add --paired")
    workdirs, problems = find_workdirs([pathlib.Path(folder) for folder in folders or [_RUNS]])
    runs = []
    for workdir in workdirs:
        try:
            runs.append(read_run(workdir))
        except InputError as error:
            problems.append(f"{workdir} is skipped: {error}")
    for problem in problems:
        print(f"{command_line.program()}: {problem}", file=sys.stderr)
    if runs:
        runs = sort_runs(runs, _SORT.value)
        line = ""
        if _PAIRED.value:
            rows, columns, line = compare_paired(group_runs(runs), _CLASSES.value, _BLOCK.value)
        elif _MEAN.value:
            groups = group_runs(runs, _SORT.value)
            rows, columns = [group.name for group in groups], compare_groups(groups, _CLASSES.value)
        else:
            rows, columns = names_of(runs), compare(runs, _CLASSES.value)
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED
        console = rich.console.Console(highlight=False, markup=False, width=width)
        show(console, rows, columns)
        if line:
            console.print(line)
        for file, text in ((_CSV.value, as_csv), (_MARKDOWN.value, as_markdown)):
            if file:
                atomic_write(file, text(rows, columns))
        if _CURVES.value:
            from gun_jax.visualisation import comparison_figure  # Matplotlib loads slowly

            comparison_figure({name: run.rows for name, run in zip(names_of(runs), runs, strict=True)}, _CURVES.value)
    if problems:
        sys.exit(command_line.BAD_INPUT)


def run() -> None:
    """The program."""
    command_line.run(main, "runs")
