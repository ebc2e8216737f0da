"""`benchmark.py --peers` and `--against`: every claim about speed, measured by one command, on one page."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
import rich.box
import rich.console
import rich.table

from benchmarks.pages import check_page, markdown_table, origin
from benchmarks.peers import (
    AGAINST_GROUPS,
    GROUPS,
    LABELS,
    Case,
    Measured,
    Say,
    alone,
    compare,
    compare_against,
    fastest,
    in_turn,
    started,
)
from benchmarks.pipeline import drawn_images, pipeline_ratio, waiting_share
from benchmarks.scaling import BATCHES, LARGEST, PIXELS, grow
from benchmarks.startup import start_up
from gun_jax.configuration import ConfigDict, default_config
from gun_jax.data.folders import FolderSource
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError, check_choice
from gun_jax.models import GUN
from gun_jax.models.counting import multiply_adds
from gun_jax.system.files import atomic_write

HEADINGS = ("", "ours", "other", "ratio: median (lowest to highest)", "at most")
_IMAGES = 24, (1024, 2048)
_CAMVID = "CamVid, crops of 240x320"
_SCALING_ROUNDS = _STARTS = 3
_FASTEST = (
    "{rounds} rounds of the fastest of 3 runs each, or of 2 where a run takes longer than 2 seconds, after compiling"
)
_SQUARE, _LONG = (3072, 3072), (8192, 8192)  # of numbers: 36 and 256 MiB

Row = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """Some rows of the comparison.

    Attributes:
      rows: yields each row as soon as it is measured; takes the folder of the programs, a number of rounds, and a
        function that it calls with lines of progress.
      method: how the rows are measured; `{rounds}` stands for the number.
    """

    rows: Callable[[pathlib.Path, int, Say], Iterator[Row]]
    method: str


def report(
    root: pathlib.Path, parts: Sequence[str], rounds: int, markdown: pathlib.Path | None, command: str
) -> list[Row]:
    """Measures parts of the comparison with peers, and shows them; after an error, the rows before it.

    Args:
      root: folder of the programs.
      parts: of `PARTS`.
      rounds: alternating rounds of a comparison.
      markdown: a page to write the parts into; its other parts stay.
      command: the command to name on the page.

    Returns:
      The table's rows, see `HEADINGS`.

    Raises:
      InputError: there is no such part, a package that it needs is missing, or the file cannot be written.
    """
    for part in parts:
        check_choice("--peers", "part", part, PARTS)
    if rounds < 1:
        raise InputError(f"--rounds is {rounds}; expected 1 or more")
    sections = _sections(check_page(markdown, f"{_HEAD}\n\n## ")) if markdown else {}
    console = rich.console.Console(highlight=False)
    if "pipeline" in parts and (reason := _missing_camvid()):
        console.print(f"pipeline: CamVid will be left out. {reason}", soft_wrap=True)
    rows: dict[str, list[Row]] = {}
    try:
        with console.status("") as status:

            def say(line: str) -> None:
                status.update(line)
                if not console.is_terminal:
                    console.print(line, soft_wrap=True)

            for part in dict.fromkeys(parts):
                for row in PARTS[part].rows(root, rounds, say):
                    rows.setdefault(part, []).append(row)
                    sections[part] = _section(part, rows[part], rounds, command)
                    if markdown:
                        atomic_write(markdown, _page(sections))
    finally:
        measured = [row for of_part in rows.values() for row in of_part]
        if measured:
            console.print(_rich_table(measured))
            if markdown:
                console.print(f"wrote {markdown}", soft_wrap=True)
    return measured


def _group(name: str) -> Part:
    def rows(root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
        return (_cells(name, one) for one in compare(name, rounds, say))

    method = f"The cases run in turn, {_FASTEST}."
    if any("torch" in one.by for one in GROUPS[name][1]):
        method += (
            " A peer runs twice: as people run it, and with the same allocator settings as ours. Memory is the most "
            "that a process had resident in a second start, which finds its programs compiled; peers have their own "
            "settings there, which take less."
        )
    return Part(rows, method)


def _cells(group: str, measured: Measured) -> Row:
    comparison, (of, by) = measured.comparison, measured.cases
    (height, width), batch = GROUPS[group][0]

    def amount(values: np.ndarray) -> str:
        return f"{values[0] / 2**30:.2f} GiB" if comparison.memory else f"{1000 * np.median(values):.0f} ms"

    return (
        f"{comparison.what}, {batch}x{height}x{width}",
        f"{of}: {amount(measured.of)}",
        f"{by}: {amount(measured.by)}",
        _spread(measured.of / measured.by),
        "" if comparison.limit is None else f"{comparison.limit:.2f}",
    )


def _scaling(root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
    for what, sizes in (("pixels", PIXELS), ("batch", BATCHES)):
        series = grow(sizes, _SCALING_ROUNDS, say)
        times = ", ".join(f"{1000 * seconds:.0f}" for seconds in np.median(series.seconds, 0))
        names = ", ".join(f"{batch}x{height}x{width}" for (height, width), batch in sizes)
        exponents = f"exponent {series.exponent():.2f}, of the largest two {series.exponent(2):.2f}"
        yield f"labels by {what}: {names}", f"{times} ms", "", exponents, "1.05"
    for size, batch in (PIXELS[2], LARGEST):
        name = f"{batch}x{size[0]}x{size[1]}"
        say(f"scaling: {name} alone")
        with started(fastest(), size, batch):
            pass  # compiled, for the start that counts
        seconds, peak = alone(fastest(), size, batch)
        yield f"labels, {name}", f"{seconds:.2f} s, {peak / 2**30:.1f} GiB", "", "", ""


def _pipeline(root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
    if _missing_camvid():
        yield f"decoded and augmented: {_CAMVID}", "left out: CamVid is missing", "", "", ""
    else:
        yield from _of_images(_CAMVID, _camvid(), "configs/camvid.py", root, rounds, say)
    say("pipeline: drawing PNGs of 2048x1024")
    data = default_config().data
    data.source, data.crop = "folder", (256, 512)
    with drawn_images(*_IMAGES) as folder:
        data.dir = str(folder)
        yield from _of_images("PNGs of 2048x1024, crops of 256x512", data, "configs/folder.py", root, rounds, say)


def _camvid() -> ConfigDict:
    data = default_config().data
    data.source, data.crop = "camvid", (240, 320)
    return data


def _missing_camvid() -> str:
    """Why there is no CamVid to train on; "" when there is."""
    try:
        for split in ("train", "val"):
            load_source(_camvid(), split)
    except InputError as error:
        return str(error)
    return ""


def _of_images(what: str, data: ConfigDict, config: str, root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
    say(f"pipeline: {what}")
    source = load_source(data, "train")
    assert isinstance(source, FolderSource)
    ours, bare = pipeline_ratio(source, data, rounds)
    speeds = f"{np.median(ours):.0f} images/s", f"cv2.imread: {np.median(bare):.0f} images/s"
    yield f"decoded and augmented: {what}", *speeds, _spread(ours / bare), "0.80 at least"
    say(f"pipeline: training on {what}")
    folder = [f"--config.data.dir={data.dir}"] if data.dir else []
    shares = 100 * waiting_share(root, f"--config={config}", *folder)
    yield f"training's waiting for batches: {what}", f"{_spread(shares)} %", "", "", "2 %"


def _start_up(root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
    pairs = []
    for number in range(_STARTS):
        say(f"start-up: train.py and evaluate.py, twice, {number + 1} of {_STARTS}")
        pairs.append(start_up(root))
    for what, limit in (("first training step", ""), ("evaluate.py", "0.50")):
        first, second = np.stack([pair[what] for pair in pairs], 1)
        times = f"{np.median(second):.1f} s", f"first start: {np.median(first):.1f} s"
        yield f"second start: {what}", *times, _spread(second / first), limit


def _limits(root: pathlib.Path, rounds: int, say: Say) -> Iterator[Row]:
    size, batch = LABELS
    model = GUN(19, input_subsampling=2)
    image = jax.ShapeDtypeStruct((batch, *size, 3), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    needed = 2 * multiply_adds(lambda variables, image: model.apply(variables, image), variables, image)
    cases = (
        (fastest(), size, batch),
        (Case("matrix product", allocator=True), _SQUARE, 1),
        (Case("memory traffic", allocator=True), _LONG, 1),
    )
    labels, products, passes = in_turn("limits", cases, rounds, say).T
    operations = 2 * _SQUARE[0] ** 2 * _SQUARE[1] / products  # a second; a multiply-add is two
    traffic = 2 * 4 * np.prod(_LONG) / passes  # bytes a second
    yield "matrix product of 3072x3072, float32", f"{_spread(operations / 1e9, 0)} GFLOP/s", "", "", ""
    yield "memory read and written", f"{_spread(traffic / 1e9, 0)} GB/s", "", "", ""
    yield (
        f"labels, {fastest()}, {batch}x{size[0]}x{size[1]}: {needed / 1e9:.0f} GFLOP as plain convolutions",
        f"{1000 * np.median(labels):.0f} ms",
        f"at the matrix product's speed: {1000 * np.median(needed / operations):.0f} ms",
        _spread(labels * operations / needed),
        "",
    )


PARTS: dict[str, Part] = {
    **{name: _group(name) for name in GROUPS},
    "scaling": Part(
        _scaling,
        f"Sizes in turn, medians of {_FASTEST.format(rounds=_SCALING_ROUNDS)}; the exponent is the slope of a line "
        "through all sizes, or the largest two, on logarithmic axes. Single sizes: the fastest run and the peak memory "
        "of one process, in a second start, which finds its program compiled.",
    ),
    "pipeline": Part(
        _pipeline,
        "The pipeline and bare decoding in turn, {rounds} rounds. Waiting is a share of the time: of steps 6 to 10, 11 "
        "to 15 and 16 to 20 of one training.",
    ),
    "start-up": Part(
        _start_up,
        f"{_STARTS} pairs of starts: with an empty compilation cache, and with the cache that the first start filled. "
        "The final network on drawn scenes; evaluate.py scores 8 of them.",
    ),
    "limits": Part(_limits, f"The three in turn, medians of {_FASTEST}."),
}


def _spread(values: np.ndarray, digits: int = 2) -> str:
    low, middle, high = (f"{value:.{digits}f}" for value in (np.min(values), np.median(values), np.max(values)))
    return middle + (f" ({low} to {high})" if len(values) > 1 else "")


def report_against(checkout: pathlib.Path, groups: Sequence[str], rounds: int) -> list[Row]:
    """Measures our cases beside those of another checkout, and shows them.

    Args:
      checkout: its folder, with an environment of its own in .venv.
      groups: of `AGAINST_GROUPS`.
      rounds: alternating rounds.

    Returns:
      The table's rows, see `HEADINGS`.

    Raises:
      InputError: there is no such group, or the folder is no checkout with an environment.
    """
    for group in groups:
        check_choice("--against", "part", group, AGAINST_GROUPS)
    console, rows = rich.console.Console(highlight=False), []
    try:
        for group in dict.fromkeys(groups):
            rows += [_cells(group, one) for one in compare_against(checkout.resolve(), group, rounds, console.print)]
    finally:
        if rows:
            console.print(_rich_table(rows))
    return rows


def _rich_table(rows: Sequence[Row]) -> rich.table.Table:
    shown = rich.table.Table(*HEADINGS, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    return shown


_HEAD = """# The network beside its peers

Final network, 19 classes, float32; sizes are batch x height x width of the medium branch's input. Every case has a
process of its own. `jax` is this project, by XLA alone where oneDNN is not named; `torch` is PyTorch's eager mode;
`openvino` is PyTorch's network, converted by OpenVINO; `export` is ours, written by export.py. "Same allocator": the
peer has the allocator settings that our programs choose, and goals hold for that; without these words it runs as people
run it. A ratio is ours divided by the other's. Each command that measures a part replaces it here."""


def _page(sections: Mapping[str, str]) -> str:
    return "".join([_HEAD, *(f"\n\n## {part}\n\n{sections[part]}" for part in PARTS if part in sections), "\n"])


def _sections(page: str) -> dict[str, str]:
    """The parts of a page that was written before, by name."""
    parts = (section.partition("\n\n") for section in page.split("\n\n## ")[1:])
    return {part: content.rstrip("\n") for part, _, content in parts}


def _section(part: str, rows: Sequence[Row], rounds: int, command: str) -> str:
    return "\n\n".join([origin(command), PARTS[part].method.format(rounds=rounds), markdown_table(HEADINGS, rows)])
