"""train.py and evaluate.py as they are typed: a good run on a folder of images, and one line for what is wrong."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
from reference_programs import run_program

import gun_jax
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.visualisation import curve_figure

ROOT = pathlib.Path(gun_jax.__file__).parents[1]

CONFIG = """
from gun_jax.configuration import default_config

def get_config():
    config = default_config()
    config.epochs, config.batch_size, config.eval_every_epochs, config.log_every_steps = 2.0, 2, 1.0, 1
    config.data.source, config.data.random_scale, config.data.threads = "folder", (), 2
    config.model.width, config.model.input_subsampling, config.optimizer.peak_rate = 0.1, 2, 0.05
    return config
"""


def without_data_dir(**variables):
    return {name: value for name, value in os.environ.items() if name != "GUN_DATA_DIR"} | variables


def run(program, *arguments, cwd, **variables):
    """Runs a program of the repository from another folder."""
    return run_program(program, *arguments, cwd=cwd, env=without_data_dir(**variables))


def run_python(program, *arguments, cwd):
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / program, *arguments],
        cwd=cwd, env=without_data_dir(PYTHONPATH=str(ROOT)), capture_output=True, text=True,
    )  # fmt: skip


def write_folder(root):
    """Six drawn scenes to train on and three to evaluate on, 64x128, as one's own images lie in folders."""
    for split, count, seed in (("train", 6, 0), ("val", 3, 1)):
        scenes = SyntheticScenes(count, (64, 128), seed=seed)
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(root / split / "images" / f"{i}.png"), scenes[i]["image"][..., ::-1])
            cv2.imwrite(str(root / split / "labels" / f"{i}.png"), scenes[i]["label"])
    classes = [{"name": f"my {name}", "color": CITYSCAPES.colors[i]} for i, name in enumerate(CITYSCAPES.names)]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data/ and tiny.py, as a user's own, away from the repository."""
    folder = tmp_path_factory.mktemp("place")
    write_folder(folder / "data")
    (folder / "tiny.py").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def trained(place):
    """The two lines of the README, typed there: what each of the programs said."""
    train = run_python("train.py", "--config=tiny.py", cwd=place)
    evaluate = run_python("evaluate.py", "--panels=2", "--report", "--report_images=1", cwd=place)
    return types.SimpleNamespace(train=train, evaluate=evaluate, workdir=place / "runs" / "tiny")


def refused(result, *words):
    """One line on stderr with these words, no traceback, status 2."""
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    for word in words:
        assert word in result.stderr


# A good run


def test_two_lines_train_and_evaluate_a_folder_of_images(trained):
    assert trained.train.returncode == 0, trained.train.stderr
    assert trained.evaluate.returncode == 0, trained.evaluate.stderr


def test_a_good_run_says_nothing_on_stderr(trained):
    assert (trained.train.stderr, trained.evaluate.stderr) == ("", "")


def test_the_workdir_is_named_after_the_config_file(trained):
    found = {path.name for path in trained.workdir.iterdir()}
    assert found == {"config.json", "checkpoints", "metrics.jsonl", "curves", "curves.png", "evaluation"}


def test_training_tells_its_progress(trained):
    for words in ("step 6/6", "loss", "images/s", "mIoU"):
        assert words in trained.train.stdout


def test_the_configuration_in_the_workdir_says_where_the_data_was_found(trained, place):
    saved = json.loads((trained.workdir / "config.json").read_text())
    assert saved["config"]["data"]["dir"] == str(place / "data")


def test_the_evaluation_is_that_of_the_last_step_in_the_names_of_the_class_map(trained, strict_json):
    report = strict_json((trained.workdir / "evaluation" / "val.json").read_text())
    assert (report["step"], report["images"], next(iter(report["iou"]))) == (6, 3, "my road")
    assert f"{100 * report['miou']:.1f}" in trained.evaluate.stdout


def test_the_evaluation_is_that_of_the_end_of_the_training(trained, strict_json):
    report = strict_json((trained.workdir / "evaluation" / "val.json").read_text())
    last = strict_json((trained.workdir / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 6
    np.testing.assert_allclose([last["val/miou"], last["val/accuracy"]], [report["miou"], report["accuracy"]])


def test_the_curves_are_drawn_when_the_training_ends(trained, tmp_path):
    rows = [json.loads(line) for line in (trained.workdir / "metrics.jsonl").read_text().splitlines()]
    curve_figure(rows, tmp_path / "curves.png")
    assert (trained.workdir / "curves.png").read_bytes() == (tmp_path / "curves.png").read_bytes()


def test_the_panels_are_drawn(trained):
    assert sorted(path.name for path in (trained.workdir / "evaluation" / "val").iterdir()) == ["0.png", "2.png"]
    assert (trained.workdir / "evaluation" / "curves.png").exists()


def test_the_report_is_one_file_with_the_worst_and_the_best_image(trained):
    page = (trained.workdir / "evaluation" / "val-report.html").read_text()
    assert page.count('<figure class="image">') == 2 and page.count("<svg ") == 4
    scores = json.loads((trained.workdir / "evaluation" / "val.json").read_text())
    assert f"<dt>mIoU</dt><dd>{100 * scores['miou']:.1f}<" in page and "images per second" in page.lower()
    assert "evaluation/val-report.html" in trained.evaluate.stdout


def test_without_a_report_nothing_of_it_is_loaded(place):
    code = "import sys, gun_jax.programs.evaluate, gun_jax.evaluation.evaluate; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "" and "gun_jax.evaluation.scoring" in done.stdout.split()
    assert not {"jinja2", "gun_jax.evaluation.report"} & set(done.stdout.split())


def test_the_same_line_again_has_nothing_to_do(trained, place):
    before = (trained.workdir / "metrics.jsonl").read_bytes()
    again = run("train.py", "--config=tiny.py", cwd=place)
    assert (again.returncode, again.stderr) == (0, "")
    assert "is already trained: all 6 steps are done" in again.stdout
    assert (trained.workdir / "metrics.jsonl").read_bytes() == before


# Bad lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["train.py: no configuration", "--config="]),
        (["--config=configs/nothing.py"], ["configs/nothing.py does not exist"]),
        (["--config", "configs/nothing.py"], ["configs/nothing.py"]),
        (["--config=tiny.py", "--config.model.widht=0.2"], ["config.model.widht", "--config.model.width?"]),
        (["--config=tiny.py", "--config.crop=(8, 8)"], ["config.crop", "--config.data.crop?"]),
        (["--config=tiny.py", "--config.batch_size=many"], ["batch_size", "many"]),
        (["--config=tiny.py", "--config.batch_size=0"], ["config.batch_size is 0", "more than 0"]),
        (["--config=tiny.py", "--wrokdir=x"], ["wrokdir"]),
        (["--config=tiny.py", "runs/x"], ["runs/x"]),
        (["--config=tiny.py:large"], ["tiny.py"]),
        (["--config=broken.py"], ["broken.py", "SyntaxError"]),
        (["--config=tiny.py", "--config.data.source=kitti"], ["'kitti'", "synthetic", "cityscapes"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_a_bad_line_is_refused_in_one(place, arguments, words):
    (place / "broken.py").write_text("def get_config(:\n")
    refused(run("train.py", *arguments, cwd=place), *words)
    assert not (place / "runs" / "x").exists()


def test_without_cityscapes_the_paper_s_config_says_where_it_looked_and_what_to_do(tmp_path):
    result = run("train.py", f"--config={ROOT / 'configs' / 'gun.py'}", cwd=tmp_path)
    looked, remedy = str(tmp_path / "data"), ("leftImg8bit_trainvaltest.zip", "GUN_DATA_DIR")
    refused(result, "Cityscapes is missing", looked, *remedy)
    assert not list(tmp_path.iterdir())


def test_the_workdir_of_another_model_is_refused_by_the_name_of_the_setting(trained, place):
    result = run("train.py", "--config=tiny.py", "--config.model.width=0.2", cwd=place)
    refused(result, str(trained.workdir.relative_to(place)), "config.model.width is 0.1 there and 0.2 here")


# Bad data


@pytest.fixture
def data(place, tmp_path):
    """A copy of the data, to be spoiled."""
    return shutil.copytree(place / "data", tmp_path / "data")


def train_on(data, place):
    return run("train.py", "--config=tiny.py", f"--workdir={data.parent / 'run'}", cwd=place, GUN_DATA_DIR=str(data))


def test_an_image_without_a_label_is_refused_by_name(data, place):
    (data / "train" / "labels" / "3.png").unlink()
    refused(train_on(data, place), str(data / "train" / "images" / "3.png"), "has no label")


@pytest.mark.slow
def test_an_image_and_a_label_of_two_sizes_are_refused_by_name(data, place, trained):
    for i in range(6):
        cv2.imwrite(str(data / "train" / "labels" / f"{i}.png"), np.zeros((64, 127), np.uint8))
    refused(train_on(data, place), str(data / "train" / "labels"), "127x64", "128x64")


@pytest.mark.slow
def test_a_label_value_outside_the_class_map_is_refused_by_name_and_place(data, place, trained):
    path = data / "val" / "labels" / "1.png"
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    label[5, 7] = 77
    cv2.imwrite(str(path), label)
    refused(train_on(data, place), str(path), "holds 77 at row 5, column 7")


# Bad evaluations


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--report_images=3"], ["--report_images", "add --report"]),
        (["--report", "--report_images=-1"], ["--report_images is -1", "0 or more"]),
        (["--report", "--submission=new"], ["--submission only writes files", "--report"]),
        (["--flip", "--exported=onnx.json"], ["--exported only scores; leave out --flip"]),
        (["--overlap=0.5"], ["--overlap needs --window; add --window"]),
        (["--boundary_share=0.01"], ["--boundary_share needs --boundary_iou"]),
        (["--window=512"], ["--window is '512'; expected HEIGHTxWIDTH"]),
    ],
)
def test_an_impossible_evaluation_is_refused(place, arguments, words):
    refused(run("evaluate.py", "--workdir=nowhere", *arguments, cwd=place), *words)


def test_evaluating_without_any_run_is_refused(tmp_path):
    refused(
        run("evaluate.py", cwd=tmp_path), "evaluate.py: no run with a checkpoint in", str(tmp_path / "runs"), "train.py"
    )


def test_evaluating_a_split_that_is_not_there_is_refused_by_the_folder_that_is_missing(trained, place):
    refused(run("evaluate.py", "--split=nonsense", cwd=place), "nonsense/images", str(place / "data"))


def test_evaluating_data_that_has_moved_is_refused_and_works_by_its_new_folder(trained, place, tmp_path):
    shutil.copytree(trained.workdir, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    saved["config"]["data"]["dir"] = str(tmp_path / "gone")
    (tmp_path / "run" / "config.json").write_text(json.dumps(saved))
    refused(run("evaluate.py", f"--workdir={tmp_path / 'run'}", cwd=place), "is missing", str(tmp_path / "gone"))
    found = run("evaluate.py", f"--workdir={tmp_path / 'run'}", f"--data_dir={place / 'data'}", cwd=place)
    assert (found.returncode, found.stderr) == (0, "")
