"""The scores that a page has only where they were computed, in its text; no browser is needed."""

import html
import re

import numpy as np
import pytest
from reference_pages import CONFIG, write

from gun_jax.data.classes import CAMVID
from gun_jax.evaluation.per_image import PerImageScores
from gun_jax.metrics.boundary_iou import BoundaryIoU
from gun_jax.runs.loading import Trained


def page(path, **more):
    """The text of the page of one image, with further scores."""
    label = np.kron(np.random.default_rng(0).integers(0, 3, (2, 3)), np.ones((8, 8), int))
    prediction = np.roll(label, 2, 1)
    record = {"image": np.zeros((16, 24, 3), np.uint8), "label": label.astype(np.uint8), "id": "a", "index": 0}
    per_image, boundary = PerImageScores(11), BoundaryIoU(11, 0.05)
    per_image.add(record, prediction)
    scores = {"split": "val", "step": 7, "images": 1} | per_image.matrix.scores(CAMVID.names) | more
    if more.pop("boundary_iou", None):
        scores |= boundary.update(label, prediction).scores(CAMVID.names)
    output = {"labels": prediction, "bilinear_labels": prediction, "offsets": np.zeros((16, 24, 2))}
    trained = Trained(None, {}, CONFIG, CAMVID, 7)
    made = write(path / "page.html", trained, [record], scores, per_image, lambda image, size: output)
    return html.unescape(re.sub(r"\s+", " ", made.path.read_text())), made.scores


def test_boundary_iou_is_a_column_and_in_the_headline(tmp_path):
    text, scores = page(tmp_path, boundary_iou=True)
    assert f"<dt>Boundary mIoU</dt><dd>{100 * scores['boundary_miou']:.1f}<" in text
    rows = re.findall(r"<span>(\w+)</span></th>(.*?)</tr>", text[text.index("Boundary IoU %") :])
    shown = {name: re.findall(r'<td class="number"[^>]*>(.*?)</td>', cells)[1] for name, cells in rows[:11]}
    percent = {name: "–" if value is None else f"{100 * value:.1f}" for name, value in scores["boundary_iou"].items()}
    assert shown == percent and "5.0 % of the image's diagonal" in text


@pytest.mark.parametrize(
    ("views", "told"),
    [
        ({"scales": [1.0], "flip": True}, "scale 1 and mirror images"),
        ({"scales": [0.75, 1.0], "flip": False}, "scales 0.75, 1"),
        ({"scales": [1.0, 2.0], "flip": True, "window": [64, 96]}, "scales 1, 2, mirror images and windows of 64x96"),
    ],
)
def test_the_views_are_told(tmp_path, views, told):
    text, _ = page(tmp_path, **views)
    assert f"Scores are of averaged probabilities: {told}. The images" in text


def test_without_them_neither_is_there(tmp_path):
    text, _ = page(tmp_path)
    assert "averaged probabilities" not in text and "Boundary IoU" not in text and "Boundary mIoU" not in text
