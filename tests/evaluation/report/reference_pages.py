"""Report pages of runs with known predictions, without a network."""

import json
import types

import numpy as np
import pytest
from reference_cityscapes import instances_of

from gun_jax.configuration import default_config
from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.evaluation.per_image import PerImageScores
from gun_jax.evaluation.report import page as report_page
from gun_jax.evaluation.report.page import write_report
from gun_jax.evaluation.report.speed import Speed
from gun_jax.metrics.cityscapes import InstanceCounts, cityscapes_scores
from gun_jax.runs.loading import Trained

MALICIOUS_CLASS, MALICIOUS_IMAGE = "<script>alert(1)</script>", "<img src=x onerror=alert(1)>"
CONFIG = default_config()
CONFIG.model.width, CONFIG.data.source = 0.1, "synthetic"
SIZES = [(64, 128), (96, 64), (64, 128)]
ROWS = [{"step": step, "epoch": step / 4, "loss": 3.0 / step, "learning_rate": 0.1} for step in (1, 2, 3)]
CURVES = [
    {"upsampling": "fusion", "workdir": "runs/a", "miou": [0.25, 0.5, None]},
    {"upsampling": "fusion", "workdir": "runs/<b>", "miou": [0.125, 0.25, 0.375]},
    {"upsampling": "baseline", "workdir": "runs/c", "miou": [0.1, 0.2, 0.3]},
]


def written_of_a_run(workdir):
    """The page of five scenes without fences, with half of the pixels right; the name of "road" is malicious."""
    rng = np.random.default_rng(0)
    classes = ClassMap((MALICIOUS_CLASS, *CITYSCAPES.names[1:]), CITYSCAPES.colors)
    source = [SyntheticScenes(5, (64, 128))[index] | {"id": f"{MALICIOUS_IMAGE}{index}"} for index in range(5)]
    per_image, predictions = PerImageScores(19), {}
    for index, record in enumerate(source):
        record["label"][record["label"] == 4] = 255
        random = rng.choice([0, 2, 8, 13], (64, 128))
        prediction = np.where((rng.random((64, 128)) < 0.5) | (record["label"] == 255), random, record["label"])
        predictions[id(record["image"])] = prediction
        per_image.add(record | {"index": index}, prediction)
    scores = {"split": "val", "step": 7, "images": 5} | per_image.matrix.scores(classes.names)

    def predict_with_offsets(image, size):
        labels = predictions[id(image)]
        return {"labels": labels, "bilinear_labels": np.roll(labels, 1), "offsets": rng.normal(size=(*size, 2))}

    workdir.mkdir()
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    trained = Trained(None, {}, CONFIG, classes, 7)
    return write(workdir / "run.html", trained, source, scores, per_image, predict_with_offsets, count=2)


def written(path, count, guidance, trimap=None):
    """The page of `count` scenes of two sizes with instances, labelled at random."""
    rng = np.random.default_rng(0)
    scenes = [SyntheticScenes(1, size, seed=seed)[0] for seed, size in enumerate(SIZES[:count])]
    config = CONFIG.copy_and_resolve_references()
    config.model.guidance = guidance
    label_ids = np.array(
        [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33] + [0] * 237, np.uint8
    )
    per_image, instances = PerImageScores(19), InstanceCounts()
    for index, scene in enumerate(scenes):
        prediction = rng.integers(0, 19, scene["label"].shape, np.int32)
        per_image.add(scene | {"index": index}, prediction)
        instances.update(instances_of(label_ids[scene["label"]]), prediction)
    scores = {"split": "val", "step": 7, "images": count} | per_image.matrix.scores(CITYSCAPES.names)
    scores |= cityscapes_scores(per_image.matrix, instances)

    def predict_with_offsets(image, size):
        labels, bilinear = rng.integers(0, 19, (2, *size), np.int32)
        return {"labels": labels, "bilinear_labels": bilinear, "offsets": rng.normal(size=(*size, 2))}

    trained = Trained(None, {}, config, CITYSCAPES, 7)
    return write(path, trained, scenes, scores, per_image, predict_with_offsets, trimap)


def written_of_many_classes(path, count=150):
    """The page of an image of many classes with long names, a third of them wrong."""
    rng = np.random.default_rng(1)
    names = tuple(f"{'long name of a ' * (index % 3)}class {index}" for index in range(count))
    classes = ClassMap(names, tuple(map(tuple, rng.integers(0, 256, (count, 3)).tolist())))
    label, wrong = (np.kron(rng.integers(0, count, (16, 24)), np.ones((4, 4), int)) for _ in range(2))
    prediction = np.where(wrong % 3, label, wrong)
    record = {"image": np.zeros((64, 96, 3), np.uint8), "label": label.astype(np.uint8), "id": "blocks", "index": 0}
    per_image = PerImageScores(count)
    per_image.add(record, prediction)
    scores = {"split": "val", "step": 7, "images": 1} | per_image.matrix.scores(names)
    output = {"labels": prediction, "bilinear_labels": label, "offsets": np.zeros((64, 96, 2))}
    trained = Trained(None, {}, CONFIG, classes, 7)
    return write(path, trained, [record], scores, per_image, lambda image, size: output)


def write(path, trained, source, scores, per_image, predict_with_offsets, trimap=None, count=1):
    """Writes a page without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_page, "single_image_predictor", lambda trained, method: predict_with_offsets)
        patch.setattr(report_page, "measure_speed", lambda *_: Speed(0.041, 0.04, 0.05, 9, (64, 128), "a device"))
        write_report(path, path.parent, trained, source, scores, per_image, count, trimap)
    return types.SimpleNamespace(path=path, scores=scores)
