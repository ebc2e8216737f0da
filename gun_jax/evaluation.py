"""Evaluating a trained run: scores on the screen and in a file, and panels that show what guided upsampling does."""

import functools
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import rich.console
import rich.progress
import rich.table
from ml_collections import ConfigDict

from gun_jax.configuration import SAVED_NAME, saved_config
from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.data.pictures import normalise
from gun_jax.data.sources import Source, load_source
from gun_jax.errors import InputError
from gun_jax.files import write_whole
from gun_jax.inference import Trained, load_checkpoint
from gun_jax.metrics.cityscapes import InstanceCounts, cityscapes_scores
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.processes import is_first
from gun_jax.scoring import Each, Label, make_scorer, score_labels
from gun_jax.submission import check_folder, write_submission
from gun_jax.training.checkpoints import saved_steps

RUNS = pathlib.Path("runs")
FOLDER = "evaluation"  # in the workdir


def newest_run(runs: pathlib.Path = RUNS) -> pathlib.Path:
    """The workdir below `runs` that was written last, of those that have a checkpoint.

    Raises:
      InputError: there is none.
    """
    configs = sorted(runs.glob(f"*/{SAVED_NAME}"), key=lambda path: path.stat().st_mtime)
    trained = [config.parent for config in configs if saved_steps(config.parent)]
    if not trained:
        raise InputError(
            f"no run with a checkpoint in {runs.absolute()}; train one with train.py, or name it with --workdir=DIR"
        )
    return trained[-1]


def evaluate(
    workdir: pathlib.Path,
    split: str | None = None,
    panels: int = 0,
    step: int | None = None,
    data_dir: str = "",
    partial: bool = False,
    trimap: bool = False,
    against: Sequence[pathlib.Path] = (),
) -> dict[str, Any]:
    """Scores a checkpoint on a split, shows the table, and writes `WORKDIR/evaluation/SPLIT.json`.

    Args:
      workdir: of the run.
      split: of its data set; by default the one that it was evaluated on while training.
      panels: number of pictures to draw, spread evenly over the split: `WORKDIR/evaluation/SPLIT/*.png`, and with
        them the curves of the training: `WORKDIR/evaluation/curves.png`.
      step: of the checkpoint; by default the newest.
      data_dir: where the data lies, if no longer where the run found it.
      partial: take a split of which pictures are missing, also if the run does not.
      trimap: whether to measure and draw the curves and crops of Figure 4 (see `gun_jax.boundaries`).
      against: workdirs of the runs that the trimap compares with, at their newest checkpoints.

    Returns:
      What the file holds: "split", "step", "images", "miou" and "accuracy" (fractions), "iou" (class name to fraction,
      or None for a class that neither occurs nor was predicted); of Cityscapes also what
      `gun_jax.metrics.cityscapes.cityscapes_scores` has.

    Raises:
      InputError: no such run, checkpoint or split, or data of other classes than the run's.
    """
    if panels < 0:
        raise InputError(f"--panels is {panels}; expected 0 or more")
    if against and not trimap:
        raise InputError("--against is what the trimap compares with; add --trimap")
    trained = load_checkpoint(workdir, step)
    others = [(other, load_checkpoint(other)) for other in against]
    for other, network in others:
        if network.classes.names != trained.classes.names:
            raise InputError(f"{other} was trained on other classes than {workdir}")
    split = split or trained.config.data.eval_split
    source = _open(trained.config, split, data_dir, partial)
    _check_classes(source, trained.classes, workdir)
    console = rich.console.Console(highlight=False, markup=False)
    scorer = make_scorer(trained.model, trained.config.batch_size, trained.config.data.threads)
    score = functools.partial(scorer, trained.variables, source)
    report = _report(score, source, split, trained.step, console)
    folder = workdir / FOLDER
    _publish(report, workdir, trained.config, folder / f"{split}.json", console)
    if trimap:
        from gun_jax.boundaries import compare_boundaries  # here and below: Matplotlib and TensorBoard load slowly

        with _progress(console) as progress:
            bar = progress.add_task("boundaries", total=len(source))
            networks = [(workdir, trained), *others]
            files = compare_boundaries(networks, source, split, folder, lambda: progress.advance(bar))
        console.print(f"wrote {', '.join(map(str, files))}", soft_wrap=True)
    drawn = min(panels, len(source))
    if drawn:
        _draw_panels(trained, source, drawn, folder / split, console)
        console.print(f"drew {drawn} panels in {folder / split}/", soft_wrap=True)
        from gun_jax.training.reporting import METRICS_NAME
        from gun_jax.training.rows import read_rows
        from gun_jax.visualisation import curve_figure

        rows = read_rows(workdir / METRICS_NAME)
        if rows:
            curve_figure(rows, folder / "curves.png")
            console.print(f"drew {folder / 'curves.png'}", soft_wrap=True)
    return report


def evaluate_exported(
    workdir: pathlib.Path,
    exported: pathlib.Path,
    label: Label,
    classes: ClassMap,
    step: int,
    split: str | None = None,
    data_dir: str = "",
    partial: bool = False,
) -> dict[str, Any]:
    """As `evaluate`, of a network that was exported: writes `WORKDIR/evaluation/SPLIT-NAME.json`.

    Args:
      workdir: of the run that it was made of; a checkpoint need not be there any more.
      exported: the file that names it, NAME.json.
      label: images uint8 (B, H, W, 3) and a size (H', W') to labels int32 (B, H', W').
      classes: of the labels.
      step: of the checkpoint that it was made of.
      split, data_dir, partial: as of `evaluate`.

    Raises:
      InputError: as `evaluate`, and what `label` raises.
    """
    config, _ = saved_config(workdir)
    split = split or config.data.eval_split
    source = _open(config, split, data_dir, partial)
    _check_classes(source, classes, exported)
    console = rich.console.Console(highlight=False, markup=False)
    score = functools.partial(score_labels, label, len(classes), source, config.batch_size, config.data.threads)
    report = _report(score, source, split, step, console)
    _publish(report, exported, config, workdir / FOLDER / f"{split}-{exported.stem}.json", console)
    return report


def _report(
    score: Callable[[Each], ConfusionMatrix], source: Source, split: str, step: int, console: rich.console.Console
) -> dict[str, Any]:
    """What `evaluate` gives back; `score` calls what it is given with every record and its labels."""
    instances = InstanceCounts()
    with _progress(console) as progress:
        bar = progress.add_task(f"evaluating step {step} on {split}", total=len(source))

        def count(record: dict, prediction: np.ndarray) -> None:
            if "instances" in record:
                try:
                    instances.update(record["instances"], prediction)
                except InputError as error:
                    raise InputError(f"instances of {record['id']}: {error}") from error
            progress.advance(bar)

        matrix = score(count)
    report = {"split": split, "step": step, "images": len(source)} | matrix.scores(source.classes.names)
    if source.classes == CITYSCAPES:
        report |= cityscapes_scores(matrix, instances.total() if "instances" in source[0] else None)
    return report


def _publish(
    report: dict[str, Any], network: pathlib.Path, config: ConfigDict, file: pathlib.Path, console: rich.console.Console
) -> None:
    """Shows a report and writes it, in the first process."""
    if not is_first():
        return
    console.print(f"{network}, step {report['step']}: {report['images']} images of {report['split']}", soft_wrap=True)
    console.print(_table(report))
    if config.data.source == "cityscapes" and "iiou" not in report:
        console.print("iIoU is left out: the data have no instance ids")
    write_whole(file, json.dumps(report, indent=2) + "\n")
    console.print(f"wrote {file}", soft_wrap=True)


def submit(
    workdir: pathlib.Path,
    folder: pathlib.Path,
    split: str | None = None,
    step: int | None = None,
    data_dir: str = "",
    partial: bool = False,
) -> None:
    """Labels a split, "test" by default, for the Cityscapes server; the pictures need no labels.

    Args:
      workdir, split, step, data_dir, partial: as of `evaluate`.
      folder: see `gun_jax.submission.write_submission`.

    Raises:
      InputError: as `evaluate` and `write_submission`.
    """
    check_folder(folder)
    trained = load_checkpoint(workdir, step)
    source = _open(trained.config, split or "test", data_dir, partial, labelled=False)
    console = rich.console.Console(highlight=False, markup=False)
    with _progress(console) as progress:
        bar = progress.add_task(f"labelling {split or 'test'} by step {trained.step}", total=len(source))
        path = write_submission(trained, source, folder, lambda: progress.advance(bar))
    console.print(f"wrote {len(source)} pictures into {folder}/, and {path}", soft_wrap=True)


def _open(config: ConfigDict, split: str, data_dir: str, partial: bool, labelled: bool = True) -> Source:
    data = config.data.copy_and_resolve_references()
    data.dir, data.partial = data_dir or data.dir, data.partial or partial
    return load_source(data, split, labelled=labelled, instances=labelled)


def _check_classes(source: Source, classes: ClassMap, network: pathlib.Path) -> None:
    if source.classes.names != classes.names:
        raise InputError(f"{source} has other classes than {network} was trained on: {', '.join(source.classes.names)}")


def _draw_panels(
    trained: Trained, source: Source, count: int, folder: pathlib.Path, console: rich.console.Console
) -> None:
    from gun_jax.visualisation import panel, write_png

    @functools.partial(jax.jit, static_argnums=2)
    def explain(variables: dict[str, Any], image: jax.Array, size: tuple[int, int]) -> Any:
        return trained.model.apply(variables, normalise(image[None]), output_size=size, method="explain")

    shutil.rmtree(folder, ignore_errors=True)  # pictures of another step, or of other images
    with _progress(console) as progress:
        for index in progress.track(np.linspace(0, len(source) - 1, count).round().astype(int), description="panels"):
            record = source[int(index)]
            seen = explain(trained.variables, record["image"], record["label"].shape)
            shown = {key: np.asarray(value[0]) for key, value in seen.items()}
            picture = panel(
                record["image"],
                record["label"],
                shown["bilinear_labels"],
                shown["labels"],
                shown["offsets"],
                source.classes,
                title=record["id"],
            )
            write_png(folder / f"{record['id']}.png", picture)


def _progress(console: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        "{task.description}",
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not (console.is_terminal and is_first()),
    )


def _table(report: dict[str, Any]) -> rich.table.Table:
    weighted = "iiou" in report
    table = rich.table.Table()
    table.add_column("class")
    table.add_column("IoU %", justify="right")
    if weighted:
        table.add_column("iIoU %", justify="right")

    def add(name: str, *values: float | None, style: str = "") -> None:
        table.add_row(name, *map(_percent, values[: 1 + weighted]), style=style)

    for name, value in report["iou"].items():
        add(name, value, report.get("iiou", {}).get(name))
    table.add_section()
    add("mean (mIoU)", report["miou"], report.get("miiou"), style="bold")
    add("pixel accuracy", report["accuracy"], None)
    if "category_iou" in report:
        table.add_section()
        for name, value in report["category_iou"].items():
            add(f"category {name}", value, report.get("category_iiou", {}).get(name))
        add("mean of categories", report["category_miou"], report.get("category_miiou"), style="bold")
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
