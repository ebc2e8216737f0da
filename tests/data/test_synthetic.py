"""Drawn street scenes: repeatable, well formed, and with every class often enough to be learnt."""

import functools
import hashlib
import itertools
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import gun_jax
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError


def digest(record):
    return hashlib.sha256(record["image"].tobytes() + record["label"].tobytes() + record["id"].encode()).hexdigest()


@functools.cache
def class_counts():
    """Pixels by label value of the first 200 scenes: int (200, 256)."""
    source = SyntheticScenes(200, (160, 320), seed=0)
    return np.stack([np.bincount(source[i]["label"].ravel(), minlength=256) for i in range(200)])


def test_a_fresh_process_draws_the_same_bytes():
    source = SyntheticScenes(50, (96, 192), seed=11)
    for i in (3, 0, 17):  # another order than the other process, which starts with 17
        source[i]
    program = (
        "import hashlib; from gun_jax.data.synthetic import SyntheticScenes\n"
        "record = SyntheticScenes(50, (96, 192), seed=11)[17]\n"
        "content = record['image'].tobytes() + record['label'].tobytes() + record['id'].encode()\n"
        "print(hashlib.sha256(content).hexdigest())"
    )
    root = pathlib.Path(gun_jax.__file__).parents[1]
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert other.stdout.strip() == digest(source[17])


def test_scenes_differ_between_indices_and_between_seeds():
    digests = {
        hashlib.sha256(SyntheticScenes(20, (64, 128), seed)[i]["label"].tobytes()).hexdigest()
        for seed in (0, 1, 2)
        for i in range(20)
    }
    assert len(digests) == 60


def test_a_pickled_source_draws_the_same_scene():
    source = SyntheticScenes(5, (64, 128), seed=4)
    assert digest(pickle.loads(pickle.dumps(source))[2]) == digest(source[2])


@pytest.mark.parametrize("size", [(64, 128), (96, 96), (101, 257), (160, 320), (512, 300), (1024, 2048)])
def test_a_record_has_the_asked_size_as_bytes(size):
    record = SyntheticScenes(3, size, seed=2)[1]
    assert record["image"].shape == (*size, 3) and record["image"].dtype == np.uint8
    assert record["label"].shape == size and record["label"].dtype == np.uint8
    assert record["image"].flags.c_contiguous and record["label"].flags.c_contiguous
    assert record["image"].std() > 10  # an image, not a plane
    assert record["id"] == "synthetic-2-000001"


def test_labels_are_train_ids_and_little_is_ignored():
    counts = class_counts()
    assert counts[:, 19:255].sum() == 0
    assert (counts[:, 255] / counts.sum(1)).max() < 0.10


def test_each_class_is_in_three_scenes_of_ten():
    presence = (class_counts()[:, :19] > 0).mean(0)
    rare = {name: share for name, share in zip(CITYSCAPES.names, presence, strict=True) if share < 0.30}
    assert not rare


def test_each_class_covers_enough_pixels_to_be_learnt():
    counts = class_counts()[:, :19].sum(0)
    share = counts / counts.sum()
    rare = {name: part for name, part in zip(CITYSCAPES.names, share, strict=True) if part < 0.003}
    assert not rare


def test_the_sky_is_above_the_road():
    source = SyntheticScenes(12, (96, 192), seed=5)
    names = CITYSCAPES.names
    for record in map(source.__getitem__, range(12)):
        rows = [np.nonzero(record["label"] == names.index(name))[0] for name in ("sky", "road")]
        assert rows[0].max() < rows[1].min() + 96 // 8  # the horizon, with what may stand above it
        assert np.median(rows[0]) < np.median(rows[1])


def test_label_edges_are_edges_of_the_image():
    # Independent of the painter: brightness changes more across label borders than inside of regions.
    source = SyntheticScenes(8, (160, 320), seed=6)
    for record in map(source.__getitem__, range(8)):
        gray, label = record["image"].mean(-1), record["label"]
        step = np.abs(np.diff(gray, axis=1))
        border = label[:, 1:] != label[:, :-1]
        shifted = np.roll(border, 6, axis=1)
        assert step[border].mean() > 1.5 * step[shifted & ~border].mean()


def test_there_is_no_scene_past_the_end():
    source = SyntheticScenes(3, (64, 128))
    assert len(source) == 3 and len(list(itertools.islice(source, 5))) == 3
    for index in (3, -4):
        with pytest.raises(IndexError):
            source[index]


@pytest.mark.parametrize(
    "arguments",
    [
        {"length": 0},
        {"length": -3},
        {"length": 2.5},
        {"length": True},
        {"length": 3, "size": (64,)},
        {"length": 3, "size": (0, 128)},
        {"length": 3, "size": (64, 12.5)},
        {"length": 3, "size": (64, 100_000)},
        {"length": 3, "size": 64},
        {"length": 3, "seed": -1},
    ],
)
def test_impossible_arguments_stop_with_one_line(arguments):
    with pytest.raises(InputError) as error:
        SyntheticScenes(**arguments)
    assert "\n" not in str(error.value) and "expected" in str(error.value)


def test_the_classes_are_those_of_cityscapes():
    assert SyntheticScenes(1).classes is CITYSCAPES
