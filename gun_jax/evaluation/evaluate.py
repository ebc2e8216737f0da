"""Evaluating a trained run: scores on the screen and in a file, and panels that show what guided upsampling does."""

import functools
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import rich.console
import rich.progress
from ml_collections import ConfigDict

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.data.sources import Source, load_source
from gun_jax.errors import InputError
from gun_jax.evaluation.score_table import score_table
from gun_jax.evaluation.scoring import Each, Label, make_scorer, score_labels
from gun_jax.evaluation.submission import check_folder, write_submission
from gun_jax.metrics.cityscapes import InstanceCounts, cityscapes_scores
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.runs.checkpoints import saved_steps
from gun_jax.runs.loading import Trained, load_checkpoint, on_one_image
from gun_jax.runs.rows import METRICS_NAME, read_rows
from gun_jax.runs.workdir import SAVED_NAME, saved_config
from gun_jax.system.distributed import is_main
from gun_jax.system.files import atomic_write

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
    report: bool = False,
    report_images: int = 4,
) -> dict[str, Any]:
    """Scores a checkpoint on a split, shows the table, and writes `WORKDIR/evaluation/SPLIT.json`.

    Args:
      workdir: of the run.
      split: of its data set; by default the one that it was evaluated on while training.
      panels: number of images to draw, spread evenly over the split: `WORKDIR/evaluation/SPLIT/*.png`, and with
        them the curves of the training: `WORKDIR/evaluation/curves.png`.
      step: of the checkpoint; by default the newest.
      data_dir: where the data lies, if no longer where the run found it.
      partial: take a split of which images are missing, also if the run does not.
      trimap: whether to measure and draw the curves and crops of Figure 4 (see `gun_jax.evaluation.boundaries`).
      against: workdirs of the runs that the trimap compares with, at their newest checkpoints.
      report: whether to write the page `WORKDIR/evaluation/SPLIT-report.html` (see `gun_jax.evaluation.report`).
      report_images: how many of the worst images, and of the best, it shall show.

    Returns:
      What the file holds: "split", "step", "images", "miou" and "accuracy" (fractions), "iou" (class name to fraction,
      or None for a class that neither occurs nor was predicted); of Cityscapes also what
      `gun_jax.metrics.cityscapes.cityscapes_scores` has.

    Raises:
      InputError: no such run, checkpoint or split, or data of other classes than the run's.
    """
    if panels < 0:
        raise InputError(f"--panels is {panels}; expected 0 or more")
    if report_images < 0:
        raise InputError(f"--report_images is {report_images}; expected 0 or more")
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
    rows = read_rows(workdir / METRICS_NAME) if panels or report else []  # what is damaged is told before the work
    console = rich.console.Console(highlight=False, markup=False)
    scorer = make_scorer(trained.model, trained.config.batch_size, trained.config.data.threads)
    score = functools.partial(scorer, trained.variables, source)
    per_image = None
    if report:
        from gun_jax.evaluation.report import (
            PerImageScores,  # here and below: Jinja2, Matplotlib and TensorBoard load slowly
        )

        per_image = PerImageScores(len(trained.classes), trimap=not trimap)
    scores = _scores(score, source, split, trained.step, console, per_image.add if per_image else None)
    folder = workdir / FOLDER
    _publish(scores, workdir, trained.config, folder / f"{split}.json", console)
    if trimap:
        from gun_jax.evaluation.boundaries import compare_boundaries

        with _progress(console) as progress:
            bar = progress.add_task("boundaries", total=len(source))
            networks = [(workdir, trained), *others]
            files = compare_boundaries(networks, source, split, folder, lambda: progress.advance(bar))
        console.print(f"wrote {', '.join(map(str, files))}", soft_wrap=True)
    drawn = min(panels, len(source))
    if drawn:
        _draw_panels(trained, source, drawn, folder / split, console)
        console.print(f"drew {drawn} panels in {folder / split}/", soft_wrap=True)
        if rows:
            from gun_jax.visualisation import curve_figure

            curve_figure(rows, folder / "curves.png")
            console.print(f"drew {folder / 'curves.png'}", soft_wrap=True)
    if per_image:
        from gun_jax.evaluation.report import write_report

        page, curves = folder / f"{split}-report.html", folder / f"{split}-trimap.json" if trimap else None
        with _progress(console) as progress:
            bar = progress.add_task("report", total=min(2 * report_images, len(per_image.images)))
            advance = functools.partial(progress.advance, bar)
            write_report(page, workdir, trained, source, scores, per_image, report_images, curves, advance)
        console.print(f"wrote {page}", soft_wrap=True)
    return scores


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
    scores = _scores(score, source, split, step, console)
    _publish(scores, exported, config, workdir / FOLDER / f"{split}-{exported.stem}.json", console)
    return scores


def _scores(
    score: Callable[[Each], ConfusionMatrix],
    source: Source,
    split: str,
    step: int,
    console: rich.console.Console,
    each: Each | None = None,
) -> dict[str, Any]:
    """What `evaluate` gives back; `score` calls what it is given with every record and its labels, and so is `each`."""
    instances = InstanceCounts()
    with _progress(console) as progress:
        bar = progress.add_task(f"evaluating step {step} on {split}", total=len(source))

        def count(record: dict, prediction: np.ndarray) -> None:
            if "instances" in record:
                try:
                    instances.update(record["instances"], prediction)
                except InputError as error:
                    raise InputError(f"instances of {record['id']}: {error}") from error
            if each:
                each(record, prediction)
            progress.advance(bar)

        matrix = score(count)
    scores = {"split": split, "step": step, "images": len(source)} | matrix.scores(source.classes.names)
    if source.classes == CITYSCAPES:
        scores |= cityscapes_scores(matrix, instances.total() if "instances" in source[0] else None)
    return scores


def _publish(
    scores: dict[str, Any], network: pathlib.Path, config: ConfigDict, file: pathlib.Path, console: rich.console.Console
) -> None:
    """Shows scores and writes them, in the first process."""
    if not is_main():
        return
    console.print(f"{network}, step {scores['step']}: {scores['images']} images of {scores['split']}", soft_wrap=True)
    console.print(score_table(scores))
    if config.data.source == "cityscapes" and "iiou" not in scores:
        console.print("iIoU is left out: the data have no instance ids")
    atomic_write(file, json.dumps(scores, indent=2) + "\n")
    console.print(f"wrote {file}", soft_wrap=True)


def submit(
    workdir: pathlib.Path,
    folder: pathlib.Path,
    split: str | None = None,
    step: int | None = None,
    data_dir: str = "",
    partial: bool = False,
) -> None:
    """Labels a split, "test" by default, for the Cityscapes server; the images need no labels.

    Args:
      workdir, split, step, data_dir, partial: as of `evaluate`.
      folder: see `gun_jax.evaluation.submission.write_submission`.

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
    console.print(f"wrote {len(source)} images into {folder}/, and {path}", soft_wrap=True)


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

    explain = on_one_image(trained, "predict_with_offsets")
    shutil.rmtree(folder, ignore_errors=True)  # images of another step, or of other images
    with _progress(console) as progress:
        for index in progress.track(np.linspace(0, len(source) - 1, count).round().astype(int), description="panels"):
            record = source[int(index)]
            seen = explain(record["image"], record["label"].shape)
            image = panel(
                record["image"],
                record["label"],
                seen["bilinear_labels"],
                seen["labels"],
                seen["offsets"],
                source.classes,
                title=record["id"],
            )
            write_png(folder / f"{record['id']}.png", image)


def _progress(console: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        "{task.description}",
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not (console.is_terminal and is_main()),
    )
