"""Boundaries (section 5, Figure 4): trimap curves of networks, and crops in which guided upsampling helps most."""

import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from gun_jax.data.classes import ClassMap
from gun_jax.data.sources import Source
from gun_jax.errors import InputError
from gun_jax.metrics.confusion import none_for_nan
from gun_jax.metrics.trimap import Trimap
from gun_jax.runs.loading import Trained, single_image_predictor
from gun_jax.system.files import atomic_write
from gun_jax.visualisation import Crop, best_crop, crop_figure, trimap_figure, write_png

BASELINE = "baseline"
SAME_LOGITS = "bilinear upsampling of the same logits"
_CROPS = 6


def upsampling_name(model: ConfigDict) -> str:
    """The name of a network in Figure 4: "baseline", "large-rf", "fusion, nearest"."""
    if model.guidance == "none":
        return BASELINE
    return model.guidance.replace("_", "-") + ("" if model.method == "bilinear" else f", {model.method}")


def compare_boundaries(
    networks: Sequence[tuple[pathlib.Path, Trained]],
    source: Source,
    split: str,
    folder: pathlib.Path,
    progress: Callable[[], None],
) -> list[pathlib.Path]:
    """Measures and draws the trimap curves of networks, and crops in which the first one gains most on boundaries.

    The baseline is the first other network that upsamples bilinearly (the paper's baseline), or else bilinear
    upsampling of the first network's own logits. The crops are the best of each sixth of the images.

    Args:
      networks: workdir and network; the first one is under evaluation.
      source: the images.
      split: their split.
      folder: folder for `SPLIT-trimap.json`, `SPLIT-trimap.png` and `SPLIT-boundaries.png`.
      progress: called after every image.

    Returns:
      The files written; without the last one if no crop has a gain.

    Raises:
      InputError: a network of other classes, an unreadable image, or a file that cannot be written.
    """
    classes = source.classes
    for workdir, trained in networks:
        if trained.classes.names != classes.names:
            raise InputError(f"{workdir} was trained on other classes; expected {', '.join(classes.names)}")
    names = [upsampling_name(trained.config.model) for _, trained in networks]
    compared = names.index(BASELINE, 1) if BASELINE in names[1:] else len(names)
    runs = list(networks)
    if compared == len(names):
        names.append(SAME_LOGITS)
        runs.append(networks[0])
    trimaps = [Trimap(len(classes)) for _ in names]
    labels_of = [
        single_image_predictor(trained, "predict_with_offsets" if index == 0 else "predict")
        for index, (_, trained) in enumerate(networks)
    ]
    crops: dict[int, Crop] = {}  # the best by part of the split: neighbours in a video are alike
    for index in range(len(source)):
        record = source[index]
        image, truth = record["image"], record["label"]
        first, *others = (labels(image, truth.shape) for labels in labels_of)
        predictions = [first["labels"], *others, first["bilinear_labels"]][: len(names)]
        for trimap, prediction in zip(trimaps, predictions, strict=True):
            trimap.update(truth, prediction)
        crop = best_crop(image, truth, predictions[compared], predictions[0])
        part = index * _CROPS // len(source)
        if crop.gain > (crops[part].gain if part in crops else 0):
            crops[part] = crop
        progress()
    written = _write_curves(names, runs, trimaps, names[compared], split, folder, classes)
    if crops:
        path = folder / f"{split}-boundaries.png"
        write_png(path, crop_figure(list(crops.values()), names[compared], names[0], classes))
        written.append(path)
    return written


def _write_curves(
    names: list[str],
    runs: list[tuple[pathlib.Path, Trained]],
    trimaps: list[Trimap],
    baseline: str,
    split: str,
    folder: pathlib.Path,
    classes: ClassMap,
) -> list[pathlib.Path]:
    distances = trimaps[0].distances.tolist()
    curves = []
    by_seed: dict[str, dict[int, np.ndarray]] = {}
    for name, (workdir, trained), trimap in zip(names, runs, trimaps, strict=True):
        seed = trained.config.seed
        line = name if seed not in by_seed.get(name, {}) else f"{name}, {workdir}"  # two runs of one seed
        by_seed.setdefault(line, {})[seed] = trimap.miou()
        iou = zip(classes.names, trimap.iou().T, strict=True)
        curves.append(
            {
                "upsampling": name,
                "workdir": str(workdir),
                "step": trained.step,
                "seed": seed,
                "miou": list(map(none_for_nan, trimap.miou())),
                "iou": {class_name: list(map(none_for_nan, values)) for class_name, values in iou},
            }
        )
    content = {"split": split, "distances": distances, "baseline": baseline, "curves": curves}
    paths = [folder / f"{split}-trimap.json", folder / f"{split}-trimap.png"]
    atomic_write(paths[0], json.dumps(content, indent=2) + "\n")
    write_png(paths[1], trimap_figure(distances, by_seed, baseline))
    return paths
