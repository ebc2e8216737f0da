"""The networks of the paper's tables, timed in turn on this machine."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import rich.box
import rich.console
import rich.progress
import rich.table

from benchmarks.pages import check_page, markdown_table, origin
from benchmarks.variables import random_variables
from gun_jax import paper
from gun_jax.configuration import ConfigDict, build_model, default_config
from gun_jax.errors import InputError
from gun_jax.models import GUN
from gun_jax.models.counting import multiply_adds, parameters, receptive_fields
from gun_jax.models.encoder import ENCODERS
from gun_jax.system.files import atomic_write
from gun_jax.system.timing import time_in_turn

FINAL = "table4=fusion"
_TITLE = "# The networks of the paper's tables"
_CLASSES = 19
_MEDIUM = 2  # the subsampling of the branch to which --size applies
_MIN_SIDE = 64  # pixels
_TIMED_TABLES = tuple(table for table in paper.TABLES if any(column.fps for column in paper.TABLES[table].values()))


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is ready to be timed.

    Attributes:
      parameters: number of parameters.
      multiply_adds: number of multiply-adds for one image.
      receptive_fields: those of logits and offsets, see `gun_jax.models.counting.receptive_fields`.
      label: labels one image and waits for the result.
    """

    parameters: int
    multiply_adds: int
    receptive_fields: tuple[int, int | None]
    label: Callable[[], jax.Array]


def benchmark(
    tables: Sequence[int],
    size: tuple[int, int] = (512, 1024),
    rounds: int = 9,
    width: float = 1.0,
    dtype: str = "float32",
    markdown: pathlib.Path | None = None,
    command: str = "benchmark.py",
) -> dict[str, np.ndarray]:
    """Times labels of one image by the networks of all columns, in turn, and shows and writes a table for each table.

    Args:
      tables: tables of the paper that have speeds: 1, 2, 4.
      size: (height, width) of the medium branch's input, and of the labels. Columns with a branch at full resolution
        get an image of twice that size, all others one of that size.
      rounds: number of runs of each network, after it was compiled and has run once.
      width, dtype: settings of the networks.
      markdown: a file to write the tables into.
      command: the command to name there.

    Returns:
      Seconds by experiment ("table4=fusion"), float64 (rounds,) each.

    Raises:
      InputError: there is no such table, or it has no speeds; or an impossible size, number of rounds or file.
    """
    _check(tables, size, rounds, markdown)
    console = rich.console.Console(highlight=False)
    experiments = [f"table{table}={name}" for table in tables for name in paper.TABLES[table]]
    configs = {experiment: _model_config(experiment, width, dtype) for experiment in (*experiments, FINAL)}
    with rich.progress.Progress(console=console, disable=not console.is_terminal) as progress:
        networks: dict[str, Network] = {}  # columns with the same network share one
        bar = progress.add_task("compiling", total=len(configs))
        for experiment, config in configs.items():
            progress.update(bar, description=f"compiling {experiment}")
            if config.to_json() not in networks:
                networks[config.to_json()] = make_network(build_model(config, _CLASSES), size)
            progress.advance(bar)
        bar = progress.add_task("timing", total=rounds)
        seconds = time_in_turn([one.label for one in networks.values()], rounds, lambda: progress.advance(bar))
    times = dict(zip(networks, seconds.T, strict=True))
    measured = {experiment: times[config.to_json()] for experiment, config in configs.items()}
    counts = {experiment: networks[config.to_json()] for experiment, config in configs.items()}
    rows = {table: table_rows(table, counts, measured) for table in tables}
    for table in tables:
        console.print(_rich_table(table, rows[table]))
    if markdown:
        atomic_write(markdown, _page(rows, size, rounds, width, dtype, command))
        console.print(f"wrote {markdown}", soft_wrap=True)
    return measured


def _check(tables: Sequence[int], size: tuple[int, int], rounds: int, markdown: pathlib.Path | None) -> None:
    for table in tables:
        if table not in _TIMED_TABLES:
            raise InputError(f"--tables has {table}; expected some of {', '.join(map(str, _TIMED_TABLES))}: the tables "
                             "of the paper with speeds")  # fmt: skip
    if not tables:
        raise InputError("--tables is empty; expected numbers, e.g. 1,2,4")
    if min(size) < _MIN_SIDE:
        raise InputError(f"--size is {size[0]}x{size[1]}; expected {_MIN_SIDE} pixels or more on each side")
    if rounds < 1:
        raise InputError(f"--rounds is {rounds}; expected 1 or more")
    if markdown:
        check_page(markdown, _TITLE)


def _model_config(experiment: str, width: float, dtype: str) -> ConfigDict:
    config = default_config()
    paper.set_column(config, experiment)
    config.model.width, config.model.dtype = width, dtype
    config.model.input_subsampling = min(_MEDIUM, ENCODERS[config.model.encoder].factors[0])
    return config.model


def make_network(model: GUN, size: tuple[int, int]) -> Network:
    """A network with random parameters and an image for a medium branch of `size`; compiled, and run once."""
    enlarged = _MEDIUM // model.input_subsampling
    image = jax.random.normal(jax.random.key(0), (1, size[0] * enlarged, size[1] * enlarged, 3))
    variables = random_variables(model)
    abstract = jax.eval_shape(lambda: variables)
    variables = jax.device_put(variables)

    def predict(variables, image: jax.Array):
        return model.apply(variables, image, output_size=size, method="predict")

    compiled = jax.jit(predict).lower(variables, image).compile()
    compiled(variables, image).block_until_ready()
    return Network(
        parameters(abstract["params"]),
        multiply_adds(predict, abstract, image),
        receptive_fields(model),
        lambda: compiled(variables, image).block_until_ready(),
    )


def table_rows(table: int, networks: Mapping[str, Network], measured: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The cells of a table, see `HEADINGS`; each row is a column of the paper's table.

    Args:
      table: number of the paper's table.
      networks, measured: by experiment; all columns of the table, and "table4=fusion".
    """
    final, final_fps = np.median(measured[FINAL]), paper.find_column(FINAL).fps
    rows = []
    for name, column in paper.TABLES[table].items():
        network, seconds = networks[f"table{table}={name}"], measured[f"table{table}={name}"]
        assert column.fps and final_fps  # `_check` refuses tables without speeds
        ms = 1000 * np.array([np.median(seconds), seconds.min(), seconds.max()])
        of_logits, of_offsets = network.receptive_fields
        rows.append([
            f"**{column.title}**" if column.chosen else column.title,
            f"{network.parameters / 1e6:.2f}",
            f"{network.multiply_adds / 1e9:.1f}",
            f"{of_logits}" + (f" / {of_offsets}" if of_offsets else ""),
            "{:.{digits}f} ({:.{digits}f} to {:.{digits}f})".format(*ms, digits=0 if ms[0] >= 100 else 1),
            f"{final / np.median(seconds):.2f}",
            f"{column.fps / final_fps:.2f}",
            str(column.fps),
            str(column.miou),
        ])  # fmt: skip
    return rows


HEADINGS = (
    "",
    "parameters, M",
    "multiply-adds, G",
    "receptive field of logits / offsets, px",
    "labels, ms: median (lowest to highest)",
    "relative speed",
    "paper: relative speed",
    "paper: frames/s",
    "paper: mIoU %",
)
_ON_SCREEN = (0, 1, 2, 4, 5, 6, 8)  # columns of the narrower table on the screen


def _rich_table(table: int, rows: list[list[str]]) -> rich.table.Table:
    shown = rich.table.Table(title=f"Table {table}", box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in zip(_ON_SCREEN, ("", "params M", "GMAC", "ms", "speed", "paper's", "mIoU"), strict=True):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        cells = [row[number].strip("*") for number in _ON_SCREEN]
        shown.add_row(*cells, style="bold" if row[0].startswith("**") else "")
    return shown


def _page(
    rows: Mapping[int, list[list[str]]], size: tuple[int, int], rounds: int, width: float, dtype: str, command: str
) -> str:
    """The tables as a page of Markdown."""
    parts = [
        _TITLE,
        origin(command),
        f"Time for the labels of one image, batch 1, {dtype}, {_CLASSES} classes, width {width:g}: median of {rounds} "
        "rounds after compiling, all networks in turn in every round. The medium branch's input and the labels have "
        f"{size[0]}x{size[1]} pixels (height x width). Speed is relative to the final network, Table 4's fusion. The "
        "paper's frames/s are those of a Titan Xp, its mIoU that on Cityscapes val. Multiply-adds are those of the "
        "convolutions. Receptive fields are in pixels of the full-size image. Bold: the paper's choice.",
    ]
    for table, of_table in rows.items():
        parts += [f"## Table {table}", markdown_table(HEADINGS, of_table)]
    return "\n\n".join(parts) + "\n"
