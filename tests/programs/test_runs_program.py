"""runs.py as it is typed: tables, files, a figure, what it skips, and how fast it starts."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from reference_programs import run_program

import gun_jax
from gun_jax.configuration import default_config
from gun_jax.data.classes import CAMVID
from gun_jax.runs.image_counts import ImageCounts
from gun_jax.runs.workdir import save_config

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def run(*arguments, cwd):
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return run_program("runs.py", *arguments, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """runs/ with three runs, of which one is damaged."""
    folder = tmp_path_factory.mktemp("place")
    for name, rate, miou in (("slow", 0.01, 0.25), ("fast", 0.1, 0.5)):
        config = default_config()
        config.epochs, config.optimizer.peak_rate = 2.0, rate
        save_config(folder / "runs" / name, config, CAMVID, 1000)
        rows = [{"step": 1, "epoch": 1.0, "loss": 2.0, "images_per_second": 3.0}]
        rows.append({"step": 2, "epoch": 2.0, "val/miou": miou, "val/accuracy": 0.75})
        (folder / "runs" / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copytree(folder / "runs/slow", folder / "runs/broken")
    (folder / "runs/broken/config.json").write_text("{")
    return folder


def test_all_runs_are_tabled_and_the_damaged_one_is_reported_and_skipped(place):
    result = run("--sort=miou", cwd=place)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("runs.py: runs/broken is skipped: runs/broken/config.json")
    rows = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    table = {row[1].strip(): [cell.strip() for cell in row[2:-1]] for row in rows}
    assert table["optimizer.peak_rate"] == ["0.1", "0.01"] and table["mIoU %"] == ["50.0", "25.0"]
    assert table["finished"] == ["yes", "yes"] and "seed" not in table


def test_named_runs_alone_and_their_files(place, tmp_path):
    files = [f"--csv={tmp_path}/runs.csv", f"--markdown={tmp_path}/runs.md", f"--curves={tmp_path}/curves.png"]
    result = run("runs/fast", "runs/slow", *files, cwd=place)
    assert (result.returncode, result.stderr) == (0, "")
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    assert [(row["run"], row["mIoU %"]) for row in rows] == [("fast", "50.0"), ("slow", "25.0")]
    assert (tmp_path / "runs.md").read_text().splitlines()[2].startswith("| fast |")
    assert cv2.imread(str(tmp_path / "curves.png")).shape[2] == 3


def test_the_mean_shows_a_row_for_each_recipe(place, tmp_path):
    result = run("runs/fast", "runs/slow", "--mean", "--sort=miou", f"--csv={tmp_path}/runs.csv", cwd=place)
    assert (result.returncode, result.stderr) == (0, "")
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    assert [(row["run"], row["runs"], row["mIoU %"]) for row in rows] == [("fast", "1", "50.0"), ("slow", "1", "25.0")]


def test_two_recipes_on_the_same_images_have_a_difference_with_an_interval(place):
    for name, right in (("fast", 90), ("slow", 80)):
        counts = np.tile(np.eye(11, dtype=np.int64) * right, (12, 1, 1))
        counts[:, 0, 1] = 100 - right
        folder = place / "runs" / name / "evaluation"
        folder.mkdir()
        ImageCounts([str(number) for number in range(12)], counts, CAMVID.names, 2).write(folder / "val-images.npz")
    result = run("runs/fast", "runs/slow", "--paired", "--block=4", cwd=place)
    assert (result.returncode, result.stderr) == (0, "")
    table = dict([cell.strip() for cell in line.split("│")[1:3]] for line in result.stdout.splitlines() if "│" in line)
    assert table["difference"] == table["to"] == table["95 % interval, from"] == "1.8"
    assert result.stdout.splitlines()[-1] == "12 images in 1 fold; blocks of 4 images"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--block=4"], "--block needs --paired; add --paired"),
        (["--mean", "--paired"], "--mean and --paired are two tables; give one of them"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(place, flags, line):
    result = run(*flags, cwd=place)
    assert (result.returncode, result.stderr) == (2, f"runs.py: {line}\n")


def test_without_any_run_it_says_where_it_looked(tmp_path):
    result = run(cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "runs.py: runs is not a folder; expected a folder that train.py has written, or one of such folders\n"
    )


def test_it_needs_neither_orbax_nor_tensorboard_nor_a_device(place):
    code = (
        "import sys; sys.argv = ['runs.py', 'runs/fast', 'runs/slow']\n"
        "from gun_jax.programs.runs import run\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code\n"
        "import jax._src.xla_bridge as bridge\n"
        "loaded = [name for name in ('orbax', 'tensorboardX', 'matplotlib', 'grain', 'optax') if name in sys.modules]\n"
        "print(loaded, bridge.backends_are_initialized(), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.stderr == "[] False\n"
