"""Evaluation of a trained network: scores on the screen and in a file, panels, boundaries and the report."""

import functools
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.data.sources import Source, load_source
from gun_jax.errors import InputError
from gun_jax.evaluation.per_image import PerImageScores
from gun_jax.evaluation.scoring import Each, Label, make_scorer, score_labels
from gun_jax.evaluation.screen import progress, say, show_scores
from gun_jax.evaluation.submission import check_folder, write_submission
from gun_jax.evaluation.views import ONE_VIEW, Views
from gun_jax.metrics.boundary_iou import BoundaryIoU
from gun_jax.metrics.cityscapes import InstanceCounts, cityscapes_scores
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.runs.checkpoints import saved_steps
from gun_jax.runs.loading import Trained, load_checkpoint, single_image_predictor
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import EVALUATION, METRICS, SAVED_NAME, saved_config
from gun_jax.system.distributed import all_reduce_sum, is_main
from gun_jax.system.files import atomic_write

RUNS = pathlib.Path("runs")


def newest_run(runs: pathlib.Path = RUNS) -> pathlib.Path:
    """The workdir in `runs` with a checkpoint whose configuration was written last.

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
    step: int | str | None = None,
    data_dir: str = "",
    partial: bool = False,
    trimap: bool = False,
    against: Sequence[pathlib.Path] = (),
    report: bool = False,
    report_images: int = 4,
    views: Views = ONE_VIEW,
    batch_size: int | None = None,
    boundary_share: float | None = None,
    each_image: bool = False,
) -> dict[str, Any]:
    """Scores a checkpoint on a split, prints the table, and writes `WORKDIR/evaluation/SPLIT.json`.

    Args:
      workdir: the run.
      split: split of its data set; by default its `data.eval_split`.
      panels: number of images to draw, evenly spaced in the split, as `WORKDIR/evaluation/SPLIT/*.png`; also draws the
        training curves, `WORKDIR/evaluation/curves.png`.
      step: step of the checkpoint, or "best"; by default the newest.
      data_dir: folder of the data; by default that of the run's configuration.
      partial: accept a split with missing images even if the run's configuration does not.
      trimap: draw the curves and crops of Figure 4 (see `gun_jax.evaluation.boundaries`).
      against: workdirs to compare with in Figure 4, each at its newest checkpoint.
      report: write the page `WORKDIR/evaluation/SPLIT-report.html` (see `gun_jax.evaluation.report`).
      report_images: number of worst images in the report, and of best ones.
      views: scales, mirror images and windows, over which the probabilities are averaged. Panels, trimap and the images
        of the report show a single view.
      batch_size: of the evaluation; by default that of the training.
      boundary_share: add "boundary_miou" and "boundary_iou", with bands of this width, as a share of the diagonal (see
        `gun_jax.metrics.boundary_iou`).
      each_image: write `WORKDIR/evaluation/SPLIT-images.json`, mIoU and accuracy of each image, and `SPLIT-images.npz`,
        their confusion matrices.

    Returns:
      The content of the file: "split", "step", "images", "miou" and "accuracy" (0 to 1), "iou" (by class name, 0 to 1;
      None for a class that neither occurs nor was predicted); for Cityscapes also those of
      `gun_jax.metrics.cityscapes.cityscapes_scores`.

    Raises:
      InputError: no such run, checkpoint or split, or data whose classes are not the run's.
    """
    if panels < 0:
        raise InputError(f"--panels is {panels}; expected 0 or more")
    if report_images < 0:
        raise InputError(f"--report_images is {report_images}; expected 0 or more")
    if against and not trimap:
        raise InputError("--against names the runs to compare in the trimap; add --trimap")
    trained = load_checkpoint(workdir, step)
    networks = [(workdir, trained), *((other, load_checkpoint(other)) for other in against)]
    for other, network in networks:
        if network.classes.names != trained.classes.names:
            raise InputError(f"{other} was trained on other classes than {workdir}")
    split = split or trained.config.data.eval_split
    source = _open(trained.config, split, data_dir, partial)
    _check_classes(source, trained.classes, workdir)
    rows = read_rows(workdir / METRICS) if panels or report else []  # a damaged file is an error before the work
    scorer = make_scorer(trained.model, batch_size or trained.config.batch_size, trained.config.data.threads, views)
    per_image = PerImageScores(len(trained.classes), trimap=report and not trimap) if report or each_image else None
    boundary = None if boundary_share is None else BoundaryIoU(len(trained.classes), boundary_share)
    score = functools.partial(scorer, trained.variables, source)

    def each(record: dict, prediction: np.ndarray) -> None:
        if per_image:
            per_image.add(record, prediction)
        if boundary:
            boundary.update(record["label"], prediction)

    scores = _scores(score, source, split, trained.step, each) | views.told()
    if boundary:
        scores |= boundary.scores(trained.classes.names)
    folder = workdir / EVALUATION
    _publish(scores, workdir, trained.config, folder / f"{split}.json")
    if per_image and each_image:
        files = per_image.write(folder / split, trained.classes.names, trained.step)
        say(f"wrote {', '.join(map(str, files))}")
    if trimap:
        from gun_jax.evaluation.boundaries import compare_boundaries  # here and below: Matplotlib and Jinja load slowly

        with progress("boundaries", len(source)) as advance:
            files = compare_boundaries(networks, source, split, folder, advance)
        say(f"wrote {', '.join(map(str, files))}")
    if panels and len(source):
        _draw_panels(trained, source, min(panels, len(source)), folder / split)
        if rows:
            from gun_jax.visualisation import curve_figure

            curve_figure(rows, folder / "curves.png")
            say(f"drew {folder / 'curves.png'}")
    if per_image and report:
        from gun_jax.evaluation.report.page import write_report

        page, curves = folder / f"{split}-report.html", folder / f"{split}-trimap.json" if trimap else None
        with progress("report", min(2 * report_images, len(per_image.images))) as advance:
            write_report(page, workdir, trained, source, scores, per_image, report_images, curves, advance)
        say(f"wrote {page}")
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
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Scores an exported network like `evaluate`, and writes `WORKDIR/evaluation/SPLIT-NAME.json`.

    Args:
      workdir: the run that was exported; it needs no checkpoint.
      exported: the JSON file of the export, NAME.json.
      label: function from images uint8 (B, H, W, 3) and a size (H', W') to labels int32 (B, H', W').
      classes: classes of the labels.
      step: step of the checkpoint that was exported.
      split, data_dir, partial, batch_size: see `evaluate`.

    Raises:
      InputError: see `evaluate`; also the errors of `label`.
    """
    config, _ = saved_config(workdir)
    split = split or config.data.eval_split
    source = _open(config, split, data_dir, partial)
    _check_classes(source, classes, exported)
    batch_size = batch_size or config.batch_size
    score = functools.partial(score_labels, label, len(classes), source, batch_size, config.data.threads)
    scores = _scores(score, source, split, step)
    _publish(scores, exported, config, workdir / EVALUATION / f"{split}-{exported.stem}.json")
    return scores


def submit(
    workdir: pathlib.Path,
    folder: pathlib.Path,
    split: str | None = None,
    step: int | str | None = None,
    data_dir: str = "",
    partial: bool = False,
    views: Views = ONE_VIEW,
) -> None:
    """Labels a split, "test" by default, for the Cityscapes server; the images need no labels.

    Args:
      workdir, split, step, data_dir, partial, views: see `evaluate`.
      folder: see `gun_jax.evaluation.submission.write_submission`.

    Raises:
      InputError: see `evaluate` and `write_submission`.
    """
    check_folder(folder)
    trained = load_checkpoint(workdir, step)
    split = split or "test"
    source = _open(trained.config, split, data_dir, partial, labelled=False)
    with progress(f"labelling {split} with step {trained.step}", len(source)) as advance:
        path = write_submission(trained, source, folder, advance, views)
    say(f"wrote {len(source)} images to {folder}/, and {path}")


def _open(config: ConfigDict, split: str, data_dir: str, partial: bool, labelled: bool = True) -> Source:
    data = config.data.copy_and_resolve_references()
    data.dir, data.partial = data_dir or data.dir, data.partial or partial
    return load_source(data, split, labelled=labelled, instances=labelled)


def _check_classes(source: Source, classes: ClassMap, network: pathlib.Path) -> None:
    if source.classes.names != classes.names:
        raise InputError(f"{source} has other classes than {network} was trained on: {', '.join(source.classes.names)}")


def _scores(
    score: Callable[[Each], ConfusionMatrix], source: Source, split: str, step: int, each: Each | None = None
) -> dict[str, Any]:
    """The scores that `evaluate` returns. `score` calls its argument with each record and its labels; so is `each`."""
    instances = InstanceCounts()
    with progress(f"evaluating step {step} on {split}", len(source)) as advance:

        def count(record: dict, prediction: np.ndarray) -> None:
            if "instances" in record:
                try:
                    instances.update(record["instances"], prediction)
                except InputError as error:
                    raise InputError(f"instances of {record['id']}: {error}") from error
            if each:
                each(record, prediction)
            advance()

        matrix = score(count)
    scores = {"split": split, "step": step, "images": len(source)} | matrix.scores(source.classes.names)
    if source.classes == CITYSCAPES:
        weighted = "instances" in source[0]
        if weighted:
            for counts in vars(instances).values():
                counts[:] = all_reduce_sum(counts)
        scores |= cityscapes_scores(matrix, instances if weighted else None)
    return scores


def _publish(scores: dict[str, Any], network: pathlib.Path, config: ConfigDict, file: pathlib.Path) -> None:
    """Prints the scores and writes them, in the main process."""
    if not is_main():
        return
    say(f"{network}, step {scores['step']}: {scores['images']} images of {scores['split']}")
    show_scores(scores)
    if config.data.source == "cityscapes" and "iiou" not in scores:
        say("no iIoU: the data set has no instance ids")
    atomic_write(file, json.dumps(scores, indent=2) + "\n")
    say(f"wrote {file}")


def _draw_panels(trained: Trained, source: Source, count: int, folder: pathlib.Path) -> None:
    from gun_jax.visualisation import panel, write_png

    predict = single_image_predictor(trained, "predict_with_offsets")
    shutil.rmtree(folder, ignore_errors=True)  # panels of another step, or of other images
    with progress("panels", count) as advance:
        for index in np.linspace(0, len(source) - 1, count).round().astype(int).tolist():
            record = source[index]
            image, truth, name = record["image"], record["label"], record["id"]
            found = predict(image, truth.shape)
            maps = found["bilinear_labels"], found["labels"], found["offsets"]
            write_png(folder / f"{name}.png", panel(image, truth, *maps, source.classes, title=name))
            advance()
    say(f"drew {count} panels in {folder}/")
