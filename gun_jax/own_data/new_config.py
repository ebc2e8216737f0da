"""`train.py --new-config`: inspects a folder of images and labels, and writes the files that training on it needs."""

import functools
import os
import pathlib
import re
import shlex

import jax
import rich.console
import rich.progress
import rich.table

from gun_jax.data.classes import ClassMap, load_class_map
from gun_jax.data.folders import IMAGE_ENDINGS, FolderSource
from gun_jax.errors import InputError
from gun_jax.own_data.balance import balance_table, balance_warnings
from gun_jax.own_data.choices import Choice, Machine, choose
from gun_jax.own_data.class_map import propose_class_map
from gun_jax.own_data.config_file import config_text
from gun_jax.own_data.endings import is_lossy
from gun_jax.own_data.label_stats import LabelStats, count_labels, palette_of, shows_colors
from gun_jax.own_data.layout import OWN_LIST, Layout, find_layout
from gun_jax.system.files import atomic_write

CLASSES = "classes.json"
_SIZES_SHOWN = 3


def new_config(
    folder: pathlib.Path, output: pathlib.Path | None = None, overwrite: bool = False, program: str = "python {}.py"
) -> None:
    """Writes a configuration for the images and labels in a folder, and prints what it found and chose.

    If they are missing, it also writes a class map and, if the folder has no validation split, two lists of images into
    the folder. Nothing is written before all labels have been read.

    Args:
      folder: the data.
      output: the file to write; by default gun.py in the folder.
      overwrite: whether to replace an existing file.
      program: the command of a program, with {} for its name.

    Raises:
      InputError: there are no images with labels, a file cannot be used, or the configuration exists already.
    """
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    folder = folder.expanduser()
    output = output.expanduser() if output else folder / "gun.py"
    _check(folder, output, overwrite)
    layout = _find(folder)
    sources = [_source(folder, layout, split) for split in (layout.train_split, layout.eval_split)]
    labels = [source.paths(index)[1] for source in sources for index in range(len(source))]
    known = load_class_map(folder / CLASSES) if (folder / CLASSES).exists() else None
    by_color = known.by_color if known else shows_colors(labels)
    train, val = (_read_labels(console, source, by_color, known) for source in sources)

    written = [output]
    if known is None:
        palette = None if by_color else palette_of(labels)
        atomic_write(folder / CLASSES, propose_class_map(train + val, by_color, palette))
        written.insert(0, folder / CLASSES)
    classes = known or load_class_map(folder / CLASSES)
    if known is None:
        train, val = train.by_class(classes), val.by_class(classes)
    written[:0] = _write_lists(folder, layout)
    machine = Machine(jax.devices()[0].platform, jax.device_count(), _cores())
    choices = choose(layout, train, str(folder.absolute()), CLASSES, machine)
    commands = _commands(folder, output, program)
    about = [f"Data: {'; '.join(_splits(layout, train, val))}."]
    title = f"Images and labels of {folder.absolute()}. Written by train.py --new-config; edit it freely."
    atomic_write(output, config_text(title, commands, about, choices))

    for line in _found(folder, layout, by_color, train, val):
        console.print(line)
    if known is None:
        console.print(f"the classes in {folder / CLASSES} have made-up names: edit them")
    console.print(balance_table(classes, train, val))
    for line in [*layout.notes, *balance_warnings(classes, train, val)]:
        console.print(f"note: {line}")
    console.print(_choices_table(choices))
    console.print(f"wrote {', '.join(map(str, written))}. Next:")
    for command in commands:
        console.print(f"    {command}")


def _check(folder: pathlib.Path, output: pathlib.Path, overwrite: bool) -> None:
    if not folder.is_dir():
        raise InputError(f"--new-config: folder {folder} does not exist; expected a folder of images and labels")
    if ":" in str(output):
        raise InputError(f"{output} has a colon, after which --config expects a variant; set --output=FILE")
    if output.exists() and not overwrite:
        raise InputError(
            f"{output} exists already; replace it with --overwrite, or name another file with --output=FILE"
        )


def _find(folder: pathlib.Path) -> Layout:
    layout = find_layout(folder)
    if is_lossy(layout.label_ending):
        raise InputError(
            f"labels in {folder / layout.labels} end in {layout.label_ending}: JPEG changes numbers and colours; "
            "export them again as PNG"
        )
    return layout


def _source(folder: pathlib.Path, layout: Layout, split: str) -> FolderSource:
    """The images of a split, with a placeholder for the class map."""
    images, labels = layout.folders(folder, split)
    image_ending, any_classes = layout.image_ending or IMAGE_ENDINGS, ClassMap(("any",), ((0, 0, 0),))
    return FolderSource(images, labels, any_classes, image_ending, layout.label_ending, chosen=layout.names[split])


def _read_labels(
    console: rich.console.Console, source: FolderSource, by_color: bool, classes: ClassMap | None
) -> LabelStats:
    with rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading labels", total=len(source))
        return count_labels(source, by_color, classes, _cores(), functools.partial(progress.advance, bar))


def _write_lists(folder: pathlib.Path, layout: Layout) -> list[pathlib.Path]:
    """Writes the missing lists of new splits."""
    paths = {folder / OWN_LIST.replace("{split}", split): names for split, names in layout.names.items()}
    new = {path: names for path, names in paths.items() if layout.split_list == OWN_LIST and not path.exists()}
    for path, names in new.items():
        atomic_write(path, "".join(f"{name}\n" for name in names).encode(errors="surrogateescape"))
    return list(new)


def _found(folder: pathlib.Path, layout: Layout, by_color: bool, train: LabelStats, val: LabelStats) -> list[str]:
    images, labels = (folder / part for part in (layout.images, layout.labels))
    of_images = f", whose names end in {layout.image_ending}" if layout.image_ending else ""
    kind = "colours" if by_color else "numbers"
    return [
        f"images: {images}{of_images}",
        f"labels: {labels}, whose names end in {layout.label_ending}; they show classes by {kind}",
        *_splits(layout, train, val),
    ]


def _splits(layout: Layout, train: LabelStats, val: LabelStats) -> list[str]:
    """The number of images and their sizes, a line for each split."""
    lines = []
    for split, stats in ((layout.train_split, train), (layout.eval_split, val)):
        shown = [
            f"{width}x{height}" + (f" ({count})" if len(stats.sizes) > 1 else "")
            for (height, width), count in stats.sizes.most_common(_SIZES_SHOWN)
        ]
        others = len(stats.sizes) - len(shown)
        more = f" and {others} other sizes" if others > 0 else ""
        lines.append(f"{split}, {stats.images} images of {', '.join(shown)}{more} (width x height)")
    return lines


def _choices_table(choices: list[Choice]) -> rich.table.Table:
    table = rich.table.Table()
    for heading in ("setting", "value", "why"):
        table.add_column(heading)
    for choice in choices:
        if choice.reason:
            table.add_row(choice.name, str(choice.value), choice.reason)
    return table


def _commands(folder: pathlib.Path, output: pathlib.Path, program: str) -> list[str]:
    """Command lines for the next steps."""
    run = re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "mydata"
    config, workdir = shlex.quote(f"--config={output}"), f"--workdir=runs/{run}"
    return [
        f"{program.format('train')} {config} {workdir}",
        f"{program.format('evaluate')} {workdir} --panels=8",
        f"{program.format('predict')} {workdir} IMAGE",
        f"{program.format('export')} {workdir} --format=stablehlo",
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
