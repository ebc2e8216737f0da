"""Shared by tests of trainings: results of steps, a scorer, rows without times, drawn scenes as a folder."""

import json

import jax.numpy as jnp
from PIL import Image

from gun_jax import ConfusionMatrix
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.training.step import StepResult
from gun_jax.visualisation import write_png


def result(loss, applied=True):
    return StepResult(jnp.float32(loss), jnp.float32(1), jnp.bool_(applied))


def no_scorer(*_):
    """A `make_scorer` whose scorer looks at nothing."""
    return lambda variables, source: ConfusionMatrix(19)


def rows_of(workdir):
    """The rows of metrics.jsonl without times."""
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in ("images_per_second", "waiting")} for row in rows]


def write_classes(root, shift=0):
    """A class map in which the numbers of the labels are train ids plus `shift`."""
    classes = [
        {"name": name, "color": color, "values": [i + shift]}
        for i, (name, color) in enumerate(zip(CITYSCAPES.names, CITYSCAPES.colors, strict=True))
    ]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))


def draw_folder(root, train=6, size=(64, 128)):
    """Drawn scenes, by default those of `small_config`, as one's own images."""
    for split, count, seed in (("train", train, 0), ("val", 3, 1)):
        scenes = SyntheticScenes(count, size, seed)
        for i in range(count):
            write_png(root / split / "images" / f"{i}.png", scenes[i]["image"])
            (root / split / "labels").mkdir(exist_ok=True)
            Image.fromarray(scenes[i]["label"]).save(root / split / "labels" / f"{i}.png")
    write_classes(root)
