"""Trimap curves against the metric, crops against loops, and bad arguments."""

import dataclasses
import pathlib
import shutil

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gun_jax
from gun_jax.configuration import default_config
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError
from gun_jax.evaluation.boundaries import SAME_LOGITS, compare_boundaries, upsampling_name
from gun_jax.evaluation.evaluate import evaluate
from gun_jax.metrics.trimap import DISTANCES
from gun_jax.runs.loading import load_checkpoint
from gun_jax.visualisation import best_crop, crop_figure, trimap_figure


@pytest.fixture(scope="module")
def report(random_run, tmp_path_factory, strict_json):
    """A trimap evaluation of the random run of step 7 against its own step 3 as another run."""
    folder = tmp_path_factory.mktemp("boundaries")
    for name in ("one", "other"):
        shutil.copytree(random_run.workdir, folder / name)
    shutil.rmtree(folder / "other" / "checkpoints" / "7")
    evaluate(folder / "one", trimap=True, against=[folder / "other"])
    evaluation = folder / "one" / "evaluation"
    return folder, strict_json((evaluation / "val-trimap.json").read_text())


def predictions(workdir, method):
    model, variables, config = gun_jax.load_run(workdir)
    source = load_source(config.data, "val")
    size = source[0]["label"].shape
    predict = jax.jit(lambda images: model.apply(variables, images, output_size=size, method=method))
    for record in (source[i] for i in range(len(source))):
        yield record, predict(gun_jax.normalise(record["image"][None]))


def test_the_trimap_s_curves_are_those_of_the_networks_and_of_bilinear_upsampling(report):
    folder, content = report
    assert [curve["upsampling"] for curve in content["curves"]] == ["fusion", "fusion", SAME_LOGITS]
    assert [pathlib.Path(curve["workdir"]).name for curve in content["curves"]] == ["one", "other", "one"]
    assert content["distances"] == list(DISTANCES)
    assert (content["split"], content["baseline"]) == ("val", SAME_LOGITS)
    ours = list(predictions(folder / "one", "predict_with_offsets"))
    theirs = [np.asarray(seen[0]) for _, seen in predictions(folder / "other", "predict")]
    truth = [record["label"] for record, _ in ours]
    labels, bilinear = ([np.asarray(seen[key][0]) for _, seen in ours] for key in ("labels", "bilinear_labels"))
    for curve, maps in zip(content["curves"], (labels, theirs, bilinear), strict=True):
        np.testing.assert_allclose(curve["miou"], gun_jax.trimap_curve(truth, maps, 19), rtol=1e-12)


def test_the_trimap_has_a_line_for_every_class_and_none_where_there_is_no_value(report):
    _, content = report
    by_class = content["curves"][0]["iou"]
    assert list(by_class) == list(CITYSCAPES.names)
    for values in zip(*by_class.values(), strict=True):
        known = [value for value in values if value is not None]
        assert known and all(0 <= value <= 1 for value in known)


def test_the_trimap_s_images_are_drawn(report):
    folder, _ = report
    for name in ("val-trimap.png", "val-boundaries.png"):
        image = cv2.imread(str(folder / "one" / "evaluation" / name))
        assert image.shape[0] > 300 and image.shape[1] > 200


def test_a_network_with_bilinear_upsampling_among_the_others_is_the_baseline(random_run, tmp_path, strict_json):
    trained = load_checkpoint(random_run.workdir)
    source = load_source(trained.config.data, "val")
    plain = load_checkpoint(random_run.workdir)
    plain.config.model.guidance = "none"
    plain = dataclasses.replace(plain, model=plain.model.clone(guidance=None))
    networks = [(random_run.workdir, trained), (random_run.workdir, plain)]
    files = compare_boundaries(networks, source, "val", tmp_path, lambda: None)
    content = strict_json(files[0].read_text())
    assert content["baseline"] == "baseline"
    assert [curve["upsampling"] for curve in content["curves"]] == ["fusion", "baseline"]
    bilinear = [
        np.asarray(seen["bilinear_labels"][0]) for _, seen in predictions(random_run.workdir, "predict_with_offsets")
    ]
    truth = [source[i]["label"] for i in range(len(source))]
    np.testing.assert_allclose(content["curves"][1]["miou"], gun_jax.trimap_curve(truth, bilinear, 19), rtol=1e-12)


def test_without_offsets_nothing_is_fixed_and_no_crop_is_drawn(random_run, tmp_path, strict_json):
    trained = load_checkpoint(random_run.workdir)
    source = load_source(trained.config.data, "val")
    params = trained.variables["params"]
    params["gum"] = jax.tree.map(jnp.zeros_like, params["gum"])
    files = compare_boundaries([(random_run.workdir, trained)], source, "val", tmp_path, lambda: None)
    assert [path.name for path in files] == ["val-trimap.json", "val-trimap.png"]
    content = strict_json(files[0].read_text())
    assert content["curves"][0]["miou"] == content["curves"][1]["miou"]


@pytest.mark.parametrize(
    ("guidance", "method", "name"),
    [("none", "bilinear", "baseline"), ("none", "nearest", "baseline"), ("large_rf", "bilinear", "large-rf"),
     ("fusion", "nearest", "fusion, nearest")],
)  # fmt: skip
def test_a_network_is_called_by_its_guidance_module(guidance, method, name):
    model = default_config().model
    model.guidance, model.method = guidance, method
    assert upsampling_name(model) == name


def test_a_run_to_compare_with_that_is_none_is_refused_before_anything_is_scored(random_run, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        evaluate(random_run.workdir, trimap=True, against=[tmp_path])
    with pytest.raises(InputError, match="add --trimap"):
        evaluate(random_run.workdir, against=[random_run.workdir])


# Crops


def labellings(seed, size=(40, 52)):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (5, 7)).repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]
    truth[rng.random(size) < 0.05] = 255
    baseline, labels = (np.where(rng.random(size) < 0.3, rng.integers(0, 3, size), truth % 3) for _ in range(2))
    return rng.integers(0, 256, (*size, 3)).astype(np.uint8), truth, baseline, labels


def gain_by_loops(truth, baseline, labels, top, left, side, reach):
    """Fixed pixels less new errors in a square, within `reach` of a pixel that differs from its neighbour."""
    height, width = truth.shape
    edges = [
        (y, x)
        for y in range(height)
        for x in range(width)
        for v, u in ((y, x + 1), (y + 1, x))
        if v < height and u < width and truth[y, x] != truth[v, u] and 255 not in (truth[y, x], truth[v, u])
    ]
    gain = 0
    for y in range(top, top + side):
        for x in range(left, left + side):
            near = any((y - v) ** 2 + (x - u) ** 2 <= reach**2 for v, u in edges)
            if truth[y, x] != 255 and near:
                gain += int(labels[y, x] == truth[y, x]) - int(baseline[y, x] == truth[y, x])
    return gain


def test_the_best_crop_has_the_largest_gain_of_all_squares():
    image, truth, baseline, labels = labellings(0, (24, 30))
    crop = best_crop(image, truth, baseline, labels, reach=1, part=0.25)
    gains = {
        (top, left): gain_by_loops(truth, baseline, labels, top, left, 6, 1)
        for top in range(24 - 6 + 1)
        for left in range(30 - 6 + 1)
    }
    best = max(gains.values())
    assert crop.gain == best > 0
    assert crop.image.shape == (6, 6, 3)
    equal = [place for place, gain in gains.items() if gain == best]
    assert any(np.array_equal(crop.image, image[t : t + 6, x : x + 6]) for t, x in equal)


def test_a_crop_is_the_same_place_of_image_truth_and_labellings():
    _, truth, baseline, labels = labellings(1)
    place = np.arange(truth.size).reshape(truth.shape)
    marked = np.stack([place % 256, place // 256, 0 * place], -1).astype(np.uint8)
    crop = best_crop(marked, truth, baseline, labels)
    top, left = divmod(int(crop.image[0, 0, 0]) + 256 * int(crop.image[0, 0, 1]), truth.shape[1])
    square = np.s_[top : top + 10, left : left + 10]
    for ours, whole in ((crop.truth, truth), (crop.baseline, baseline), (crop.labels, labels)):
        np.testing.assert_array_equal(ours, whole[square])


def test_a_crop_figure_grows_with_its_crops():
    crops = [best_crop(*labellings(seed)) for seed in range(3)]
    widths = [crop_figure(crops[:count], "baseline", "fusion", CITYSCAPES).shape[1] for count in (1, 2, 3)]
    assert widths[0] < widths[1] < widths[2]


def test_a_trimap_figure_is_drawn_with_a_band_for_several_seeds():
    curve = np.array([0.1, 0.2, 0.3])
    one = trimap_figure((1, 2, 4), {"baseline": {0: curve}, "fusion": {0: curve + 0.1}}, "baseline")
    several = trimap_figure((1, 2, 4), {"baseline": {0: curve}, "fusion": {0: curve + 0.1, 1: curve + 0.2}}, "baseline")
    assert one.dtype == np.uint8 and one.shape == several.shape and (one != several).any()
