"""predict.py on the command line."""

import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from reference_programs import run_program
from reference_videos import read_video, scenes, write_image, write_video

import gun_jax
from gun_jax.errors import InputError
from gun_jax.prediction.segmenter import Segmenter
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights.pretrained import MODELS, folder_of

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
LABELLED = "--write=overlay,train_ids", "--output=out", "street.jpg", "shots", "drive.mp4", "gone.png"
BAD_INPUT = {
    (): "nothing to label",
    ("--batch=0", "street.jpg"): "--batch is 0; expected 1 or more",
    ("--camera=-1",): "--camera is -1; expected 0 or more",
    ("--size=12", "street.jpg"): "--size is '12'; expected HEIGHTxWIDTH",
    ("--write=", "street.jpg"): "nothing to write and nothing to show",
    ("--write=labels", "street.jpg"): "--write 'labels'; expected one of overlay",
    ("--write=label_ids", "street.jpg"): "use train_ids",
    ("--workdir=gone", "street.jpg"): "gone holds no run",
    ("--workdir=gone", "--model=fast", "street.jpg"): "--workdir=gone and --model=fast name two networks",
    ("--step=last", "street.jpg"): "--step is 'last'; expected the number of a step, or best",
    ("--opacity=2", "street.jpg"): "--opacity is 2.0",
    ("--show", "street.jpg"): "--show needs",
    ("gone.jpg",): "1 of 1 inputs were unreadable",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images of several kinds, a video, and files that are neither."""
    place = tmp_path_factory.mktemp("place")
    images = scenes(6)
    write_image(place / "street.jpg", images[0])
    write_image(place / "shots" / "a.png", images[1])
    Image.fromarray(images[2]).convert("L").save(place / "shots" / "grey.png")
    Image.fromarray(np.dstack([images[3], np.full(images[3].shape[:2], 99, np.uint8)])).save(
        place / "shots" / "alpha.png"
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(images[4]).save(place / "shots" / "turned.png", exif=exif)
    (place / "shots" / "broken.png").write_bytes((place / "shots" / "a.png").read_bytes()[:-50])
    write_video(place / "drive.mp4", images)
    return place


@pytest.fixture(scope="module")
def done(place, random_run):
    """The outcomes of command lines, by their flags."""
    workdir = f"--workdir={random_run.workdir}"
    lines = {
        LABELLED: [workdir, *LABELLED],
        "pretrained": ["street.jpg"],
        "batches": [workdir, "--write=train_ids", "--output=batches", "--batch=4", "drive.mp4"],
        **{flags: [*flags, "--output=bad"] for flags in BAD_INPUT},
    }
    env = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    return {flags: run_program("predict.py", *line, cwd=place, env=env) for flags, line in lines.items()}


@pytest.fixture(scope="module")
def segmenter(random_run):
    return Segmenter(load_checkpoint(random_run.workdir))


@pytest.fixture
def labelled(done):
    return done[LABELLED]


def test_every_readable_input_is_labelled(labelled, place):
    found = {str(path.relative_to(place / "out")) for path in (place / "out").rglob("*") if path.is_file()}
    names = ["street", "a", "grey", "alpha", "turned"]
    frames = {f"drive_train_ids/{i:06}.png" for i in range(6)} | {"drive_overlay.mp4"}
    assert found == {f"{name}_{kind}" for name in names for kind in ("overlay.jpg", "train_ids.png")} | frames


def test_each_unreadable_input_is_reported_in_a_line_and_the_status_is_2(labelled):
    assert labelled.returncode == 2
    assert re.search(r"^gone.png: no such file", labelled.stdout, re.M)
    assert re.search(r"^image shots/broken.png is cut off", labelled.stdout, re.M)
    assert labelled.stderr == "predict.py: 2 of 8 inputs were unreadable or cut off; see above\n"


def test_labels_are_the_network_s(labelled, place, segmenter):
    for name in ("a", "alpha"):
        image = np.asarray(Image.open(place / "shots" / f"{name}.png"))[..., :3]
        found = np.asarray(Image.open(place / "out" / f"{name}_train_ids.png"))
        np.testing.assert_array_equal(found, segmenter(image[None])[0])


def test_results_stand_upright(labelled, place):
    assert Image.open(place / "out" / "turned_overlay.jpg").size == (64, 128)  # (width, height)


def test_the_labels_of_a_video_are_those_of_its_frames(labelled, place, segmenter):
    frames = np.ascontiguousarray(read_video(place / "drive.mp4")[0])
    expected = [segmenter(frame[None])[0] for frame in frames]
    found = [np.asarray(Image.open(path)) for path in sorted((place / "out" / "drive_train_ids").iterdir())]
    np.testing.assert_array_equal(found, expected)


def test_the_summary_counts_images_and_names_the_results(labelled):
    summary = r"^labelled 11 images \([\d.]+ images/s after the first batch\); wrote overlay, train_ids to out/"
    assert re.search(summary, labelled.stdout, re.M)
    assert re.search(r"^street.jpg: [a-z ]+ \d+ %", labelled.stdout, re.M)


def test_the_pretrained_model_is_the_default_and_is_named(place, done):
    result = done["pretrained"]
    assert result.returncode == 0, result.stderr
    assert "using the pretrained model fast (11 CamVid classes)" in result.stdout
    assert sorted(path.name for path in (place / "predictions").iterdir()) == ["street_overlay.jpg"]


def test_batches_give_the_same_labels(place, done):
    assert done["batches"].returncode == 0
    paths = sorted((place / "batches" / "drive_train_ids").iterdir())
    assert len(paths) == 6
    for path in paths:
        expected = np.asarray(Image.open(place / "out" / "drive_train_ids" / path.name))
        assert np.mean(np.asarray(Image.open(path)) == expected) > 0.999


@pytest.mark.parametrize("flags", BAD_INPUT, ids=" ".join)
def test_bad_input_is_a_line_and_status_2(flags, done, place):
    result = done[flags]
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert BAD_INPUT[flags] in result.stderr
    assert not (place / "bad").exists()


def test_ctrl_c_keeps_the_video_so_far(place, tmp_path, random_run):
    write_video(tmp_path / "long.mp4", np.tile(scenes(6), (300, 1, 1, 1)))
    line = [sys.executable, ROOT / "predict.py", f"--workdir={random_run.workdir}", "--output=out", "long.mp4"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / ".long_overlay.unfinished.mp4").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "predict.py: stopped by Ctrl-C\n" and process.returncode == 130
    assert 0 < len(read_video(tmp_path / "out" / "long_overlay.mp4")[0]) < 1800


@pytest.mark.parametrize("name", MODELS)
def test_a_pretrained_model_is_small_and_has_a_card(name):
    assert sum(path.stat().st_size for path in folder_of(name).iterdir()) < 8e6
    assert f"`{name}`" in (folder_of(name) / "MODEL_CARD.md").read_text()


def test_an_unknown_pretrained_model_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match=r"^load_pretrained: name 'best'; expected .*fast, accurate, camvid_narrow"):
        gun_jax.load_pretrained("best")


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no virtual screen: install Xvfb")
@pytest.mark.skipif(importlib.util.find_spec("_tkinter") is None, reason="this Python has no Tk: install python3-tk")
def test_a_window_shows_the_frames_and_closes_with_the_video(place, tmp_path, random_run):
    flags = f"--workdir={random_run.workdir}", f"--output={tmp_path}", "--show", "drive.mp4"
    line = ["xvfb-run", "-a", sys.executable, ROOT / "predict.py", *flags]
    result = subprocess.run(line, cwd=place, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
