"""docs/own_data.md, followed to the letter: its blocks are run in their order, and what it says is written is there."""

import json
import os
import pathlib
import re
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest

import gun_jax
from gun_jax.data.classes import load_class_map
from gun_jax.data.synthetic import SyntheticScenes

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "own_data.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT, re.M | re.S)
LINES = [line for language, block in BLOCKS if not language for line in block.splitlines()]
MAPS = [block for language, block in BLOCKS if language == "json"]
COUNT, SIZE = 10, (64, 96)
PROGRAMS = ("train", "evaluate", "predict", "export", "runs")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A folder with mydata/, in which a shell ran the lines of the document: what each of them said."""
    place = tmp_path_factory.mktemp("place")
    scenes = SyntheticScenes(COUNT, SIZE, seed=5)
    for part in ("images", "labels"):
        (place / "mydata" / part).mkdir(parents=True)
    for number in range(COUNT):
        cv2.imwrite(str(place / f"mydata/images/{number}.jpg"), scenes[number]["image"][..., ::-1])
        cv2.imwrite(str(place / f"mydata/labels/{number}.png"), scenes[number]["label"])
    cv2.imwrite(str(place / "image.jpg"), SyntheticScenes(1, SIZE, seed=6)[0]["image"][..., ::-1])
    for name in PROGRAMS:
        if (ROOT / f"{name}.py").exists():
            (place / f"{name}.py").symlink_to(ROOT / f"{name}.py")
    # `python` of the document is this one.
    (place / "bin").mkdir()
    (place / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (place / "bin" / "python").chmod(0o755)
    variables = {key: value for key, value in os.environ.items() if key != "GUN_DATA_DIR"}
    variables |= {"PYTHONPATH": str(ROOT), "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    said = {}
    for line in LINES:
        said[line] = subprocess.run(["bash", "-c", line], cwd=place, env=variables, capture_output=True, text=True)
    return types.SimpleNamespace(place=place, said=said, labels=[scenes[number]["label"] for number in range(COUNT)])


def said(followed, words):
    """What the line with these words said."""
    (result,) = [result for line, result in followed.said.items() if words in line]
    return result.stdout


def test_every_line_of_the_document_works(followed):
    assert len(LINES) == 7
    for line, result in followed.said.items():
        assert (result.returncode, result.stderr) == (0, ""), line


WRITTEN = (
    "mydata/classes.json", "mydata/gun-train.txt", "mydata/gun-val.txt", "mydata/gun.py", "runs/mydata/metrics.jsonl",
    "runs/mydata/curves.png", "runs/curves.png", "runs/mydata/evaluation/val.json", "runs/mydata/export/",
    "predictions/image_overlay.jpg",
)  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_the_document_says_is_written_is_there(followed, name):
    assert f"{name}`" in DOCUMENT or f"={name}\n" in DOCUMENT
    path = followed.place / name
    assert path.stat().st_size and (path.is_file() or any(path.iterdir()))


def test_a_fifth_of_the_images_is_for_validation(followed):
    train, val = ((followed.place / f"mydata/gun-{split}.txt").read_text().split() for split in ("train", "val"))
    assert (len(train), len(val)) == (8, 2) and sorted(train + val) == sorted(map(str, range(COUNT)))


def test_the_class_map_has_a_class_for_each_number_in_the_labels(followed):
    numbers = np.unique(np.stack(followed.labels)).tolist()
    classes = load_class_map(followed.place / "mydata/classes.json")
    assert sorted(classes.values) == numbers and 255 in numbers
    assert classes.names == tuple(f"class {number}" for number in numbers if number != 255)


def test_the_balance_that_is_shown_is_that_of_the_labels(followed):
    shown = said(followed, "--new-config")
    for split in ("train", "val"):
        names = (followed.place / f"mydata/gun-{split}.txt").read_text().split()
        road = np.mean([followed.labels[int(name)] == 0 for name in names])
        assert re.search(rf"class 0 .*\b{100 * road:.2f}\b", shown)


def test_all_records_were_looked_at(followed):
    shown = said(followed, "--check-data")
    assert "train: 8 of 8 records can be used" in shown and "val: 2 of 2" in shown


def test_the_training_went_five_times_through_the_images(followed):
    last = json.loads((followed.place / "runs/mydata/metrics.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["epoch"]) == (5, 5.0) and "val/miou" in last


def test_the_run_is_tabled_with_what_the_evaluation_found(followed):
    report = json.loads((followed.place / "runs/mydata/evaluation/val.json").read_text())
    assert f"{100 * report['miou']:.1f}" in said(followed, "runs.py") and report["images"] == 2


def test_the_panels_are_as_many_as_the_document_says_or_as_there_are_images(followed):
    assert "--panels=4" in DOCUMENT
    assert len(list((followed.place / "runs/mydata/evaluation/val").glob("*.png"))) == 2


# The class maps that it shows


def test_the_class_map_of_numbers_is_read_as_the_document_says(tmp_path):
    (tmp_path / "classes.json").write_text(MAPS[0])
    classes = load_class_map(tmp_path / "classes.json")
    assert classes.values == {7: 0, 26: 1, 255: 255} and not classes.by_color


def test_the_class_map_of_colours_is_read_as_the_document_says(tmp_path):
    (tmp_path / "classes.json").write_text(MAPS[1])
    classes = load_class_map(tmp_path / "classes.json")
    pixels = np.array([[(128, 64, 128), (0, 0, 142), (0, 0, 70), (0, 0, 0)]], np.uint8)
    assert classes.train_ids(pixels, "").tolist() == [[0, 1, 1, 255]] and len(MAPS) == 2
