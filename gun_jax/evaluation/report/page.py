"""The page of a report."""

import base64
import dataclasses
import datetime
import hashlib
import importlib.resources
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jinja2

from gun_jax.data.sources import Source
from gun_jax.evaluation.boundaries import upsampling_name
from gun_jax.evaluation.per_image import ImageScore, PerImageScores
from gun_jax.evaluation.report import images, origin, tables
from gun_jax.evaluation.report.charts import Chart, line_chart
from gun_jax.evaluation.report.speed import measure_speed
from gun_jax.runs.loading import Trained, single_image_predictor
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import METRICS
from gun_jax.system.files import atomic_write
from gun_jax.visualisation import wheel_key
from gun_jax.visualisation.curves import curve
from gun_jax.visualisation.palettes import VERDICTS

_WHEEL = 96  # pixels
_MAX_TIMED = 8  # images


@dataclasses.dataclass(frozen=True)
class Group:
    """Images under one heading."""

    title: str
    images: list[images.EncodedImage]


def write_report(
    path: pathlib.Path,
    workdir: pathlib.Path,
    trained: Trained,
    source: Source,
    scores: dict[str, Any],
    per_image: PerImageScores,
    count: int,
    trimap: pathlib.Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Writes the page.

    Args:
      path: path of the page.
      workdir: the run.
      trained: its network.
      source: the images that were scored.
      scores: the result of `gun_jax.evaluation.evaluate.evaluate`.
      per_image: scores of each image.
      count: number of worst images to show, and of best ones.
      trimap: JSON file of `gun_jax.evaluation.boundaries.compare_boundaries`; by default the trimap of `per_image`.
      progress: called after every image shown.

    Raises:
      InputError: the file cannot be written.
    """
    guided = trained.config.model.guidance != "none"
    groups, records = _groups(trained, source, per_image, count, guided, progress)
    classes = tables.class_rows(per_image.matrix, scores, trained.classes)
    script, style = (_template_file(name) for name in ("page.js", "page.css"))
    page = _environment().get_template("page.html").render(
        run=workdir.absolute().name,
        scores=scores,
        views=_views(scores),
        data=trained.config.data.source,
        classes=classes,
        weakest=tables.weakest(classes),
        categories=tables.category_rows(scores),
        confusion=tables.confusion_rows(per_image.matrix),
        confusions=tables.largest_confusions(per_image.matrix, trained.classes),
        groups=groups,
        layers=["image", "truth", "prediction", "errors", *(["offsets"] if guided else [])],
        verdicts={
            name: tables.hex_color(color)
            for name, color in (VERDICTS if guided else images.PALETTE_OF_ERRORS).items()
        },
        wheel=images.png_uri(wheel_key(_WHEEL)) if guided else None,
        trimap=_trimap_chart(trained, per_image, trimap),
        speed=measure_speed(trained, records or [source[0]]),
        training=_training_charts(workdir, trained.config.data.eval_split),
        settings=origin.settings(trained.config),
        versions=origin.versions(),
        date=datetime.date.today().isoformat(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
    )  # fmt: skip
    atomic_write(path, page)


def _groups(
    trained: Trained, source: Source, per_image: PerImageScores, count: int, guided: bool, progress: Callable[[], None]
) -> tuple[list[Group], list[dict]]:
    """The images to show, and some of their records."""
    worst, best = per_image.worst_and_best(count)
    predict = single_image_predictor(trained, "predict_with_offsets")
    max_pixels = images.pixels_each(len(worst) + len(best))
    records: list[dict] = []

    def layers(score: ImageScore) -> images.Layers:
        record = source[score.index]
        if len(records) < _MAX_TIMED:
            records.append(record)
        found = predict(record["image"], record["label"].shape)
        progress()
        return images.image_layers(record, found, trained.classes, guided, max_pixels)

    encoded = images.encode([layers(score) for score in [*worst, *best]])
    if not best:
        groups = [Group("All images, the worst first", encoded)]
    else:
        groups = [Group("Worst images", encoded[: len(worst)]), Group("Best images", encoded[len(worst) :])]
    return [group for group in groups if group.images], records


def _views(scores: dict[str, Any]) -> str:
    """The views that were averaged, e.g. "scales 0.75, 1 and mirror images"; "" for a single view."""
    if "scales" not in scores:
        return ""
    scales = [f"{scale:g}" for scale in scores["scales"]]
    parts = [f"scale{'s' if len(scales) > 1 else ''} {', '.join(scales)}"]
    parts += ["mirror images"] if scores["flip"] else []
    if "window" in scores:
        height, width = scores["window"]
        parts.append(f"windows of {height}x{width}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _trimap_chart(trained: Trained, per_image: PerImageScores, file: pathlib.Path | None) -> Chart | None:
    if file is not None:
        content = json.loads(file.read_text())
        distances, found = content["distances"], content["curves"]
    elif per_image.trimap is not None:
        distances = per_image.trimap.distances.tolist()
        found = [{"upsampling": upsampling_name(trained.config.model), "miou": per_image.trimap.miou()}]
    else:
        return None
    names = [one["upsampling"] for one in found]
    curves = {
        name if names.count(name) == 1 else f"{name}, {one['workdir']}": [
            (distance, None if value is None else 100 * value)
            for distance, value in zip(distances, one["miou"], strict=True)
        ]
        for name, one in zip(names, found, strict=True)
    }
    return line_chart("mIoU, %", "distance from the boundary, pixels (at most)", curves, log_x=distances)


def _training_charts(workdir: pathlib.Path, split: str) -> list[Chart]:
    """Loss, validation mIoU and learning rate, those that the run has logged."""
    rows = read_rows(workdir / METRICS)
    loss, miou, rate = (curve(rows, name).tolist() for name in ("loss", f"{split}/miou", "learning_rate"))
    charts = [
        line_chart("Training loss, nats per pixel", "epoch", {"loss": loss}),
        line_chart(f"mIoU on {split}, %", "epoch", {"mIoU": [(epoch, 100 * value) for epoch, value in miou]}),
        line_chart("Learning rate", "epoch", {"learning rate": rate}),
    ]
    return [chart for chart in charts if chart]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gun_jax.evaluation.report", "template"),
        autoescape=True,  # the user chooses the names of classes and files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "milliseconds": _milliseconds}
    return environment


def _template_file(name: str) -> str:
    return importlib.resources.files("gun_jax.evaluation.report").joinpath("template", name).read_text()


def _percent(fraction: float | None, digits: int = 1) -> str:
    return "–" if fraction is None else f"{100 * fraction:.{digits}f}"


def _milliseconds(seconds: float) -> str:
    """Three significant digits or more: "0.412", "41.0", "1234"."""
    return f"{1000 * seconds:.0f}" if seconds >= 0.1 else f"{1000 * seconds:#.3g}"
