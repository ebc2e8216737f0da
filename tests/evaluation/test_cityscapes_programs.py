"""Cityscapes from start to end by the programs: the paper's recipe, the measures, a submission; and what is refused."""

import json
import os
import pathlib
import pickle
import re
import shutil
import sys
import zipfile

import cv2
import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from cityscapesscripts.helpers.labels import labels
from reference_cityscapes import SIZE, assert_official, write_cityscapes, zip_cityscapes
from reference_programs import run_program

import gun_jax
from gun_jax.configuration import default_config
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError
from gun_jax.evaluation import evaluate as evaluation
from gun_jax.evaluation.evaluate import submit

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
COUNTS = {"train": 3, "val": 2, "test": 1}
SMALL = ("--config.data.partial=True", "--config.model.width=0.05", "--config.batch_size=1", "--config.steps=2",
         "--config.data.crop=(64, 128)", "--config.data.threads=1", "--config.data.prefetch=1")  # fmt: skip


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """leftImg8bit/ and gtFine/, unpacked."""
    folder = tmp_path_factory.mktemp("cityscapes") / "raw"
    write_cityscapes(folder, COUNTS)
    return folder


@pytest.fixture(scope="module")
def archives(raw, tmp_path_factory):
    """The two zip files."""
    folder = tmp_path_factory.mktemp("cityscapes") / "zips"
    zip_cityscapes(raw, folder)
    return folder


def run(program, *arguments, cwd):
    env = {name: value for name, value in os.environ.items() if name != "GUN_DATA_DIR"}
    return run_program(program, *arguments, cwd=cwd, env=env)


def train(data, cwd, *changes):
    config = f"--config={ROOT / 'configs' / 'gun.py'}"
    return run("train.py", config, f"--config.data.dir={data}", "--workdir=run", *SMALL, *changes, cwd=cwd)


@pytest.fixture(scope="module")
def trained(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    result = train(raw, folder)
    assert result.returncode == 0
    assert re.fullmatch(r"train\.py: a learning rate of 0\.001 .*\n", result.stderr)  # from random weights
    return folder


def settings(folder, **changes):
    data = default_config().data
    data.dir, data.partial = str(folder), True
    data.update(changes)
    return data


def refused(result, *words):
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1 and "Traceback" not in result.stdout, result.stderr
    for word in words:
        assert word in result.stderr


# The way through


def official(folder, raw, monkeypatch):
    """The official results of the files in a folder, which it looks for itself."""
    scorer = evalPixelLevelSemanticLabeling
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)  # its name before NumPy 2.4
    monkeypatch.setenv("CITYSCAPES_RESULTS", str(folder))
    for name, value in {"quiet": True, "JSONOutput": False, "predictionPath": None, "predictionWalk": None}.items():
        monkeypatch.setattr(scorer.args, name, value, raising=False)
    truths = sorted(str(path) for path in raw.glob("gtFine/val/*/*_gtFine_labelIds.png"))
    return scorer.evaluateImgLists([scorer.getPrediction(scorer.args, path) for path in truths], truths, scorer.args)


def test_cityscapes_scores_are_those_that_the_official_scorer_gives_the_submitted_files(trained, raw, monkeypatch):
    for arguments in ([], ["--split=val", "--submission=val-files"]):
        result = run("evaluate.py", "--workdir=run", *arguments, cwd=trained)
        assert (result.returncode, result.stderr) == (0, "")
    ours = json.loads((trained / "run" / "evaluation" / "val.json").read_text())
    theirs = official(trained / "val-files", raw, monkeypatch)
    assert_official(ours, theirs)


def test_a_cityscapes_submission_is_what_the_server_takes(trained):
    result = run("evaluate.py", "--workdir=run", "--split=test", "--submission=out/test", cwd=trained)
    assert (result.returncode, result.stderr) == (0, "")
    name = "ulm_000000_000019_pred_labelIds.png"
    assert [path.name for path in (trained / "out" / "test").iterdir()] == [name]
    image = cv2.imread(str(trained / "out" / "test" / name), cv2.IMREAD_UNCHANGED)
    assert image.shape == SIZE and image.dtype == np.uint8
    assert set(np.unique(image)) <= {label.id for label in labels if not label.ignoreInEval}
    with zipfile.ZipFile(trained / "out" / "test.zip") as archive:
        assert archive.namelist() == [name] and archive.testzip() is None


def test_cityscapes_test_images_need_no_labels_for_a_submission(trained, raw, tmp_path):
    shutil.copytree(raw / "leftImg8bit" / "test", tmp_path / "data" / "leftImg8bit" / "test")
    place = f"--workdir={trained / 'run'}", f"--data_dir={tmp_path / 'data'}"
    result = run("evaluate.py", *place, "--split=test", "--submission=files", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "") and (tmp_path / "files.zip").exists()


# The source


def test_cityscapes_records_have_instances_where_there_are_files_of_them(raw, tmp_path):
    record = load_source(settings(raw), "val", instances=True)[0]
    path = next((raw / "gtFine" / "val").rglob(f"{record['id'].rpartition('/')[2]}_gtFine_instanceIds.png"))
    np.testing.assert_array_equal(record["instances"], cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    assert record["instances"].dtype == np.int32 and record["instances"].max() > 24000
    assert "instances" not in load_source(settings(raw), "val")[0]
    shutil.copytree(raw, tmp_path / "raw", ignore=shutil.ignore_patterns("*instanceIds*"))
    assert "instances" not in load_source(settings(tmp_path / "raw"), "val", instances=True)[0]


@pytest.mark.parametrize(("split", "expected"), [("train", 2975), ("val", 500), ("test", 1525)])
def test_a_cityscapes_split_with_images_missing_is_refused_by_its_count(raw, split, expected):
    with pytest.raises(InputError, match=f"found {COUNTS[split]} of the {expected} images of {split}; .*partial"):
        load_source(settings(raw, partial=False), split)


# Bad input


@pytest.fixture
def data(raw, tmp_path):
    """A copy to damage."""
    return shutil.copytree(raw, tmp_path / "data")


def test_missing_cityscapes_images_are_refused_in_a_line_and_nothing_is_written(data, tmp_path):
    refused(train(data, tmp_path, "--config.data.partial=False"), "found 3 of the 2975 images of train", str(data))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_class_id_that_cityscapes_has_not_is_refused_by_file_and_place(trained, data, tmp_path):
    path = next((data / "gtFine" / "val").rglob("*_gtFine_labelIds.png"))
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    label[7, 9] = 77
    cv2.imwrite(str(path), label)
    place = f"--workdir={trained / 'run'}", f"--data_dir={data}"
    before = {path: path.stat().st_mtime for path in (trained / "run").rglob("*")}
    refused(run("evaluate.py", *place, cwd=tmp_path), str(path), "holds 77 at row 7, column 9")
    assert {path: path.stat().st_mtime for path in (trained / "run").rglob("*")} == before


def test_a_cityscapes_image_of_another_size_cannot_be_submitted(trained, data, tmp_path):
    path = next((data / "leftImg8bit" / "test").rglob("*.png"))
    cv2.imwrite(str(path), np.zeros((512, 1024, 3), np.uint8))
    with pytest.raises(InputError, match="is 1024x512; expected 2048x1024"):
        submit(trained / "run", tmp_path / "files", data_dir=str(data))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_cityscapes_submission_into_a_folder_of_other_files_is_refused(trained, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        submit(trained / "run", tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [(".", "holds"), ("/", "expected a new folder"), ("run/config.json", "a file; expected a new folder")],
)
def test_an_impossible_cityscapes_submission_is_refused_before_anything_is_loaded(trained, monkeypatch, folder, words):
    monkeypatch.chdir(trained)
    monkeypatch.setattr(evaluation, "load_checkpoint", None)
    with pytest.raises(InputError, match=words):
        submit(pathlib.Path("run"), pathlib.Path(folder))


def test_a_cityscapes_submission_draws_nothing(trained):
    arguments = "--workdir=run", "--submission=new", "--panels=2"
    refused(run("evaluate.py", *arguments, cwd=trained), "leave out --panels")
    assert not (trained / "new").exists()


@pytest.mark.slow
def test_a_partial_cityscapes_split_is_taken_by_a_flag(trained, tmp_path):
    run_dir = shutil.copytree(trained / "run", tmp_path / "run")
    saved = json.loads((run_dir / "config.json").read_text())
    saved["config"]["data"]["partial"] = False
    (run_dir / "config.json").write_text(json.dumps(saved))
    refused(run("evaluate.py", "--workdir=run", cwd=tmp_path), "found 2 of the 500 images of val", "--partial")
    result = run("evaluate.py", "--workdir=run", "--partial", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_network_of_other_classes_cannot_be_submitted_to_cityscapes(random_run, raw, tmp_path):
    run_dir = shutil.copytree(random_run.workdir, tmp_path / "run")
    saved = json.loads((run_dir / "config.json").read_text())
    saved["classes"]["names"][0] = "my road"
    saved["config"]["data"] |= {"source": "cityscapes", "dir": str(raw), "partial": True}
    (run_dir / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match="needs a network of Cityscapes' 19 classes"):
        submit(run_dir, tmp_path / "files")


# TensorFlow Datasets


def test_a_truncated_cityscapes_archive_is_refused_in_a_line_and_nothing_is_written(archives, tmp_path):
    data = shutil.copytree(archives, tmp_path / "data")
    content = (data / "leftImg8bit_trainvaltest.zip").read_bytes()
    (data / "leftImg8bit_trainvaltest.zip").write_bytes(content[: len(content) // 2])
    refused(train(data, tmp_path), "leftImg8bit_trainvaltest.zip is not a whole zip archive", "download it again")
    assert sorted(path.name for path in data.iterdir()) == sorted(path.name for path in archives.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_cityscapes_archives_without_the_extra_are_refused_in_a_line(archives, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"needs TensorFlow .*gun_jax\[tfds\]"):
        load_source(settings(archives), "train")


@pytest.mark.slow
def test_cityscapes_archives_train_and_evaluate_as_the_raw_folders(archives, raw, trained, tmp_path):
    pytest.importorskip("tensorflow")
    data = shutil.copytree(archives, tmp_path / "data")
    result = train(data, tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in data.iterdir() if not path.name.endswith(".zip")) == ["cityscapes"]
    result = run("evaluate.py", f"--workdir={trained / 'run'}", f"--data_dir={data}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for split in COUNTS:
        source, expected = (load_source(settings(folder), split) for folder in (data, raw))
        ours, theirs = ({one[i]["id"]: one[i] for i in range(len(one))} for one in (source, expected))
        assert set(ours) == set(theirs) and len(source) == COUNTS[split]
        for name, record in theirs.items():
            np.testing.assert_array_equal(ours[name]["image"], record["image"])
            np.testing.assert_array_equal(ours[name]["label"], record["label"])
        copy = pickle.loads(pickle.dumps(source))
        assert copy.identity == source.identity and copy[0]["id"] == source[0]["id"]
    for path in data.glob("*.zip"):  # prepared once, it does not need them again
        path.unlink()
    assert load_source(settings(data), "val")[1]["image"].shape == (*SIZE, 3)
