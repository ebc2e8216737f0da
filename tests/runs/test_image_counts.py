"""The file of each image's confusion matrix: what is written comes back, and a damaged file is refused."""

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.runs.image_counts import ImageCounts, read_image_counts


def counts(ids=("a", "ü/b"), classes=("road", "sky"), seed=0):
    matrices = np.random.default_rng(seed).integers(0, 9, (len(ids), len(classes), len(classes)))
    return ImageCounts(list(ids), matrices, list(classes), 7)


@pytest.mark.parametrize("ids", [("a", "ü/b"), ()])
def test_what_is_written_comes_back(tmp_path, ids):
    written = counts(ids)
    written.write(tmp_path / "val-images.npz")
    found = read_image_counts(tmp_path / "val-images.npz")
    assert (found.ids, found.classes, found.step) == (written.ids, written.classes, 7)
    np.testing.assert_array_equal(found.counts, written.counts)


def test_a_missing_file_names_the_flag_that_writes_it(tmp_path):
    with pytest.raises(InputError, match=r"val-images\.npz is missing; write it with evaluate\.py --per_image$"):
        read_image_counts(tmp_path / "val-images.npz")


@pytest.mark.parametrize("damage", ["cut off", "no archive", "another archive", "other counts"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "val-images.npz"
    counts().write(path)
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "no archive":
        path.write_bytes(b"nothing")
    elif damage == "another archive":
        np.savez(path, a=np.zeros(3))
    else:
        np.savez(path, ids=[b"a"], classes=[b"b"], step=1, counts=np.zeros((2, 1, 1), np.int64))
    with pytest.raises(InputError, match=rf"^{path} holds no counts of images: .*; rerun evaluate\.py --per_image$"):
        read_image_counts(path)
