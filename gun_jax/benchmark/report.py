"""`benchmark.py --peers`: everything that is claimed of speed, from one command, in one table."""

import datetime
import os
import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np
import rich.box
import rich.console
import rich.table

from gun_jax.benchmark.limits import limits
from gun_jax.benchmark.peers import GROUPS, LABELS, Measured, Worker, compare
from gun_jax.benchmark.pipeline import drawn_pictures, pipeline_ratio, waiting_share
from gun_jax.benchmark.scaling import BATCHES, LARGEST, PIXELS, grow
from gun_jax.benchmark.startup import start_up
from gun_jax.benchmark.tables import check_page
from gun_jax.benchmark.timing import machine
from gun_jax.benchmark.worker import CLASSES
from gun_jax.configuration import ConfigDict, default_config
from gun_jax.counting import multiply_adds
from gun_jax.data.folders import FolderSource
from gun_jax.data.sources import DATA_DIR_VARIABLE, find_data_dir, load_source
from gun_jax.errors import InputError, check_choice
from gun_jax.files import write_whole
from gun_jax.models import GUN

HEADINGS = ("", "ours", "other", "ratio: median (lowest to highest)", "at most")
_PICTURES = 24, (1024, 2048)
_SCALING_ROUNDS = 3

Row = tuple[str, ...]
Say = Callable[[str], None]


def report(
    root: pathlib.Path, parts: Sequence[str], rounds: int, markdown: pathlib.Path | None, command: str
) -> list[Row]:
    """Measures and shows parts of the comparison.

    Args:
      root: folder of the programs.
      parts: of `PARTS`.
      rounds: alternating rounds of a comparison.
      markdown: a file to write the table into.
      command: what to name there.

    Returns:
      The table's rows, see `HEADINGS`.

    Raises:
      InputError: there is no such part, a package that it needs is missing, or the file cannot be written.
    """
    for part in parts:
        check_choice("--peers", "part", part, PARTS)
    if rounds < 1:
        raise InputError(f"--rounds is {rounds}; expected 1 or more")
    if markdown:
        check_page(markdown)
    console = rich.console.Console(highlight=False)
    rows: list[Row] = []
    with console.status("") as status:

        def say(line: str) -> None:
            status.update(line)
            if not console.is_terminal:
                console.print(line, soft_wrap=True)

        for part in parts:
            rows += PARTS[part](root, rounds, say)
            if markdown:  # what is done stays, whatever the next part meets
                write_whole(markdown, _page(rows, rounds, command))
    console.print(_rich_table(rows))
    if markdown:
        console.print(f"wrote {markdown}", soft_wrap=True)
    return rows


def _group(name: str) -> Callable[[pathlib.Path, int, Say], list[Row]]:
    return lambda root, rounds, say: [_cells(name, one) for one in compare(name, rounds, say)]


def _cells(group: str, measured: Measured) -> Row:
    comparison = measured.comparison
    (height, width), batch = GROUPS[group][0]

    def amount(values: np.ndarray) -> str:
        return f"{values[0] / 2**30:.2f} GiB" if comparison.memory else f"{1000 * np.median(values):.0f} ms"

    return (
        f"{comparison.what}, {batch}x{height}x{width}",
        f"{comparison.of}: {amount(measured.of)}",
        f"{comparison.by}: {amount(measured.by)}",
        _spread(measured.of / measured.by),
        _limit(comparison.limit),
    )


def _scaling(root: pathlib.Path, rounds: int, say: Say) -> list[Row]:
    rows: list[Row] = []
    for what, sizes in (("pixels", PIXELS), ("batch", BATCHES)):
        series = grow(sizes, _SCALING_ROUNDS, say)
        times = ", ".join(f"{1000 * seconds:.0f}" for seconds in np.median(series.seconds, 0))
        names = ", ".join(f"{batch}x{height}x{width}" for (height, width), batch in sizes)
        rows.append((f"labels by {what}: {names}", f"{times} ms", "", f"exponent {series.exponent():.2f}", "1.05"))
    for size, batch in (PIXELS[2], LARGEST):
        say(f"scaling: {batch}x{size[0]}x{size[1]} alone")
        with Worker("jax", size, batch) as worker:
            seconds, peak = worker.measure(), worker.finish()
        rows.append((f"labels, {batch}x{size[0]}x{size[1]}", f"{seconds:.2f} s, {peak / 2**30:.1f} GiB", "", "", ""))
    return rows


def _pipeline(root: pathlib.Path, rounds: int, say: Say) -> list[Row]:
    rows: list[Row] = []
    data = default_config().data
    data.source, data.crop = "camvid", (240, 320)
    if os.environ.get(DATA_DIR_VARIABLE):
        data.dir = str(find_data_dir(data))
        rows += _of_pictures("CamVid, crops of 240x320", data, "configs/camvid.py", root, rounds, say)
    else:
        say(f"pipeline: CamVid is left out; {DATA_DIR_VARIABLE} names no folder")
    say("pipeline: drawing PNGs of 2048x1024")
    data.source, data.crop = "folder", (256, 512)
    with drawn_pictures(*_PICTURES) as folder:
        data.dir = str(folder)
        rows += _of_pictures("PNGs of 2048x1024, crops of 256x512", data, "configs/folder.py", root, rounds, say)
    return rows


def _of_pictures(what: str, data: ConfigDict, config: str, root: pathlib.Path, rounds: int, say: Say) -> list[Row]:
    say(f"pipeline: {what}")
    source = load_source(data, "train")
    assert isinstance(source, FolderSource)
    ours, bare = pipeline_ratio(source, data, rounds)
    say(f"pipeline: training on {what}")
    shares = 100 * waiting_share(root, f"--config={config}", f"--config.data.dir={data.dir}")
    return [
        (
            f"decoded and augmented: {what}",
            f"{np.median(ours):.0f} images/s",
            f"cv2.imread: {np.median(bare):.0f} images/s",
            _spread(ours / bare),
            "0.80 at least",
        ),
        (
            f"training's waiting for batches: {what}",
            f"{np.median(shares):.2f} % ({shares.min():.2f} to {shares.max():.2f})",
            *("", ""),
            "2 %",
        ),
    ]


def _start_up(root: pathlib.Path, rounds: int, say: Say) -> list[Row]:
    say("start-up: train.py and evaluate.py, twice")
    rows: list[Row] = []
    for what, (first, second) in start_up(root).items():
        limit = 0.5 if what == "evaluate.py" else None
        rows.append(
            (
                f"second start: {what}",
                f"{second:.1f} s",
                f"first start: {first:.1f} s",
                f"{second / first:.2f}",
                _limit(limit),
            )
        )
    return rows


def _limits(root: pathlib.Path, rounds: int, say: Say) -> list[Row]:
    say("limits")
    operations, traffic = limits()
    size, batch = LABELS
    model = GUN(CLASSES, input_subsampling=2)
    image = jax.ShapeDtypeStruct((batch, *size, 3), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    needed = 2 * multiply_adds(lambda variables, image: model.apply(variables, image), variables, image)
    with Worker("jax", size, batch) as worker:
        seconds = min(worker.measure() for _ in range(rounds))
    return [
        ("matrix product of 3072x3072, float32", f"{operations / 1e9:.0f} GFLOP/s", "", "", ""),
        ("memory read and written", f"{traffic / 1e9:.0f} GB/s", "", "", ""),
        (
            f"labels, {batch}x{size[0]}x{size[1]}: {needed / 1e9:.0f} GFLOP as plain convolutions",
            f"{1000 * seconds:.0f} ms",
            f"at the matrix product's speed: {1000 * needed / operations:.0f} ms",
            f"{seconds * operations / needed:.2f}",
            "",
        ),
    ]


PARTS: dict[str, Callable[[pathlib.Path, int, Say], list[Row]]] = {
    **{name: _group(name) for name in GROUPS},
    "scaling": _scaling,
    "pipeline": _pipeline,
    "start-up": _start_up,
    "limits": _limits,
}


def _spread(ratios: np.ndarray) -> str:
    low, middle, high = np.min(ratios), np.median(ratios), np.max(ratios)
    return f"{middle:.2f}" + (f" ({low:.2f} to {high:.2f})" if len(ratios) > 1 else "")


def _limit(limit: float | None) -> str:
    return "" if limit is None else f"{limit:.2f}"


def _rich_table(rows: Sequence[Row]) -> rich.table.Table:
    shown = rich.table.Table(*HEADINGS, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    return shown


_EXPLAINED = """Final network, 19 classes, float32; sizes are batch x height x width of what the medium branch sees.
Every case is a process of its own; the cases of a part run in turn, {rounds} rounds of the fastest of 3 runs each,
after compiling. Memory is the most that a process had resident in a second start, which finds its programs compiled.
`jax` is this project, `torch` PyTorch's eager mode, `openvino` its network as OpenVINO converts it, `export` ours as
export.py writes it."""


def _page(rows: Sequence[Row], rounds: int, command: str) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (HEADINGS, ("---",) * len(HEADINGS), *rows)]
    parts = [
        "# The network beside its peers",
        f"Written by the command; {datetime.date.today()}, {machine()}, JAX {jax.__version__}.",
        f"```\npython {command}\n```",
        _EXPLAINED.format(rounds=rounds),
        "\n".join(lines),
    ]
    return "\n\n".join(parts) + "\n"
