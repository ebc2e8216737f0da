"""`evaluate` against loops over one image at a time, and what it writes, draws, shows and refuses."""

import functools
import json
import os
import shutil
import types

import cv2
import jax
import numpy as np
import pytest

import gun_jax
import gun_jax.evaluation.boundaries
import gun_jax.evaluation.report.page
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.evaluation import evaluate as evaluation
from gun_jax.evaluation.evaluate import evaluate, newest_run
from gun_jax.evaluation.screen import show_scores
from gun_jax.metrics.boundary_iou import BoundaryIoU
from gun_jax.runs import loading
from gun_jax.runs.image_counts import read_image_counts


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """The evaluations of this module share what they compile."""
    predictors = {}

    def single_image_predictor(trained, method):
        return predictors.setdefault((trained.step, method), loading.single_image_predictor(trained, method))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "make_scorer", functools.cache(evaluation.make_scorer))
        patch.setattr(evaluation, "single_image_predictor", single_image_predictor)
        yield


@pytest.fixture(scope="module")
def evaluated(random_run, iou_by_loops, tmp_path_factory):
    """A copy of a run, its report, and what loops find: "iou", "miou", "accuracy" of the 5 validation scenes."""
    workdir = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(random_run.workdir, workdir)
    report = evaluate(workdir)
    scenes = SyntheticScenes(5, (64, 128), seed=2 * 7 + 1)  # the even seeds draw those to train on
    predict = jax.jit(
        lambda image: random_run.model.apply(
            random_run.variables, gun_jax.normalise(image[None]), output_size=(64, 128), method="predict"
        )[0]
    )
    labels = [scenes[i]["label"] for i in range(5)]
    predictions = [np.asarray(predict(scenes[i]["image"])) for i in range(5)]
    return types.SimpleNamespace(
        workdir=workdir,
        report=report,
        file=workdir / "evaluation" / "val.json",
        expected=iou_by_loops(labels, predictions, 19),
        labels=labels,
        predictions=predictions,
    )


# Scores


def test_the_file_is_strict_json_of_what_came_back(evaluated, strict_json):
    assert strict_json(evaluated.file.read_text()) == evaluated.report


def test_the_report_says_what_was_evaluated(evaluated):
    assert sorted(evaluated.report) == [
        "accuracy",
        "category_iou",
        "category_miou",
        "images",
        "iou",
        "miou",
        "split",
        "step",
    ]
    assert [evaluated.report[key] for key in ("split", "step", "images")] == ["val", 7, 5]


def test_the_iou_is_that_of_loops_and_null_for_a_class_that_does_not_occur(evaluated):
    iou = evaluated.report["iou"]
    assert not any(np.any(label == 4) for label in evaluated.labels)  # nor is it predicted: see random_run
    assert iou["fence"] is None and evaluated.expected[0][4] is None
    assert list(iou)[:4] == ["road", "sidewalk", "building", "wall"] and len(iou) == 19
    np.testing.assert_allclose(np.array(list(iou.values()), float), np.array(evaluated.expected[0], float), atol=1e-3)


def test_the_mean_is_over_the_classes_that_have_a_value(evaluated):
    found = [evaluated.report["miou"], evaluated.report["accuracy"]]
    np.testing.assert_allclose(found, evaluated.expected[1:], atol=1e-3)
    values = [value for value in evaluated.report["iou"].values() if value is not None]
    np.testing.assert_allclose(evaluated.report["miou"], sum(values) / len(values))


def test_the_screen_shows_every_class_in_percent(evaluated, capsys):
    report = evaluate(evaluated.workdir)
    shown = {}
    for line in capsys.readouterr().out.splitlines():
        cells = [cell.strip() for cell in line.strip("│┃| ").replace("┃", "│").split("│")]
        if len(cells) == 2:
            shown[cells[0]] = cells[1]
    expected = report["iou"] | {"mean (mIoU)": report["miou"], "pixel accuracy": report["accuracy"]}
    for name, fraction in expected.items():
        assert shown[name] == ("-" if fraction is None else f"{100 * fraction:.1f}")


def test_another_split_and_an_older_step_are_evaluated_on_request(evaluated, strict_json):
    evaluate(evaluated.workdir, split="train", step=3)
    report = strict_json((evaluated.workdir / "evaluation" / "train.json").read_text())
    assert (report["split"], report["step"], report["images"]) == ("train", 3, 6)
    assert strict_json(evaluated.file.read_text())["step"] == 7


# Boundary IoU, and each image by itself


@pytest.fixture(scope="module")
def more(evaluated, tmp_path_factory):
    """The scores with all measures, and the folder of their files."""
    workdir = tmp_path_factory.mktemp("more") / "run"
    shutil.copytree(evaluated.workdir, workdir, ignore=shutil.ignore_patterns("evaluation"))
    return evaluate(workdir, boundary_share=0.05, each_image=True, batch_size=5), workdir / "evaluation"


def test_boundary_iou_is_that_of_the_images_one_by_one(evaluated, more):
    expected = BoundaryIoU(19, 0.05)
    for label, prediction in zip(evaluated.labels, evaluated.predictions, strict=True):
        expected.update(label, prediction)
    assert more[0]["boundary_miou"] == pytest.approx(expected.miou(), abs=1e-3)
    found = np.array(list(more[0]["boundary_iou"].values()), float)
    np.testing.assert_allclose(found, expected.iou(), atol=5e-3)
    assert more[0]["boundary_share"] == 0.05 and more[0]["miou"] == pytest.approx(evaluated.report["miou"], abs=1e-3)


def test_boundary_iou_is_shown_beside_iou(more, capsys):
    show_scores(more[0] | {"boundary_miou": 0.321})
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "mean (mIoU)" in line]
    assert [cell.strip() for cell in line.split("│")[2:4]] == [f"{100 * more[0]['miou']:.1f}", "32.1"]


def test_the_counts_of_each_image_are_written(evaluated, more):
    found = read_image_counts(more[1] / "val-images.npz")
    assert (found.step, list(found.classes)) == (7, list(evaluated.report["iou"]))
    rows = json.loads((more[1] / "val-images.json").read_text())
    assert list(found.ids) == [row["id"] for row in rows] == [f"synthetic-15-{number:06d}" for number in range(5)]
    for counts, label, prediction in zip(found.counts, evaluated.labels, evaluated.predictions, strict=True):
        expected = np.zeros((19, 19), int)
        np.add.at(expected, (label[label != 255], prediction[label != 255]), 1)
        assert np.abs(counts - expected).sum() <= 4  # a pixel may fall to the other side of a tie


# Images


@pytest.mark.parametrize(("panels", "numbers"), [(2, [0, 4]), (3, [0, 2, 4]), (9, [0, 1, 2, 3, 4])])
def test_panels_are_spread_over_the_split_and_named_after_their_images(evaluated, panels, numbers):
    folder = evaluated.workdir / "evaluation" / "val"
    evaluate(evaluated.workdir, panels=panels)
    assert sorted(path.name for path in folder.iterdir()) == [f"synthetic-15-{number:06d}.png" for number in numbers]
    image = cv2.imread(str(folder / "synthetic-15-000000.png"))
    assert image.shape[1] > 3 * 320 and image.std() > 20


def test_without_panels_no_image_is_drawn(random_run, tmp_path):
    shutil.copytree(random_run.workdir, tmp_path / "run")
    evaluate(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "evaluation").iterdir()] == ["val.json"]


def test_panels_come_with_the_curves_of_the_training(evaluated):
    curves = evaluated.workdir / "evaluation" / "curves.png"
    metrics = evaluated.workdir / "metrics.jsonl"
    metrics.write_text('{"step": 1, "epoch": 0.5, "loss": 2.0, "learning_rate": 0.1, "images_per_second": null}\n')
    evaluate(evaluated.workdir, panels=1)
    metrics.unlink()
    assert cv2.imread(str(curves)).size


def test_a_report_after_a_trimap_takes_its_curves(evaluated, monkeypatch):
    made = []
    monkeypatch.setattr(gun_jax.evaluation.boundaries, "compare_boundaries", lambda *arguments: [])
    monkeypatch.setattr(gun_jax.evaluation.report.page, "write_report", lambda *arguments: made.append(arguments))
    scores = evaluate(evaluated.workdir, trimap=True, report=True, report_images=3)
    page, workdir, trained, source, shown, per_image, count, curves, _ = made[0]
    folder = evaluated.workdir / "evaluation"
    assert (page, curves, workdir) == (folder / "val-report.html", folder / "val-trimap.json", evaluated.workdir)
    assert (trained.step, len(source), count, shown) == (7, 5, 3, scores)
    assert per_image.trimap is None and per_image.matrix.miou() == pytest.approx(scores["miou"])


# Which run, and what is refused


def test_the_newest_run_is_the_one_with_a_checkpoint_that_was_written_last(tmp_path):
    for name, age in (("a", 30), ("b", 10), ("c", 20), ("d", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        os.utime(tmp_path / name / "config.json", (1e9 - age, 1e9 - age))
        if name != "d":
            (tmp_path / name / "checkpoints" / "3").mkdir(parents=True)
    (tmp_path / "no run").mkdir()
    assert newest_run(tmp_path) == tmp_path / "b"


@pytest.mark.parametrize("folder", ["", "missing"])
def test_no_run_at_all_is_refused_in_a_line(tmp_path, folder):
    with pytest.raises(
        InputError, match=rf"^no run with a checkpoint in {tmp_path}.*; train one with train\.py, or .*$"
    ):
        newest_run(tmp_path / folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "nonsense"}, r"^synthetic scenes have no split 'nonsense'; expected train or val$"),
        ({"panels": -1}, r"^--panels is -1; expected 0 or more$"),
        ({"step": 5}, r"^.* has no checkpoint of step 5; it has 3, 7$"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_line(evaluated, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(evaluated.workdir, **options)


def test_data_of_other_classes_is_refused_in_a_line_that_names_them(evaluated, monkeypatch):
    monkeypatch.setattr(SyntheticScenes, "classes", gun_jax.data.classes.CAMVID)
    with pytest.raises(InputError, match=r"^.* has other classes than .* was trained on: sky, building, pole, .*$"):
        evaluate(evaluated.workdir)
