"""train.py --new-config as it is typed, with folders whose names would be code elsewhere."""

import pathlib
import shlex
import subprocess
import sys

import cv2
import numpy as np
import pytest

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def typed(line, cwd):
    """Runs a line of a shell there, in which `python` is this one and the programs are the repository's."""
    line = line.replace("python train.py", f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'train.py'))}", 1)
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True)


def draw(folder):
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((32, 48, 3), 80 * number, np.uint8))
        cv2.imwrite(str(folder / "labels" / f"{number}.png"), np.eye(32, 48, dtype=np.uint8))


@pytest.mark.parametrize("name", ["it\"s $(touch hacked) 'quoted' \\n {split}", '""";import os;os.mkdir("hacked")#'])
def test_the_line_that_it_shows_loads_what_it_wrote_whatever_the_folder_is_called(tmp_path, name):
    draw(tmp_path / name)
    made = typed(f"python train.py --new-config {shlex.quote(name)}", tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    (line,) = [line.strip() for line in made.stdout.splitlines() if "train.py" in line]
    checked = typed(f"{line} --check-data", tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "train: 2 of 2 records can be used" in checked.stdout and "val: 1 of 1" in checked.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_of_new_config_alone_is_refused_without_it(tmp_path):
    result = typed("python train.py --config=configs/synthetic.py --overwrite", tmp_path)
    assert result.returncode == 2 and "--new-config" in result.stderr and len(result.stderr.splitlines()) == 1
