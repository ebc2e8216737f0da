"""Two groups of runs on the same images: the table, and what is refused."""

import numpy as np
import pytest
from reference_workdirs import write_run

from gun_jax.errors import InputError
from gun_jax.runs.groups import group_runs
from gun_jax.runs.image_counts import ImageCounts
from gun_jax.runs.paired import compare_paired
from gun_jax.runs.reading import read_run

IMAGES = {"A": 12, "B": 20}


def fold(workdir, drive, width, right, seed=0, images=None):
    """A run with images of 100 pixels of road, of which some are right, and as many of sky that all are."""
    splits = {"data.train_split": f"train@-{drive}", "data.eval_split": f"train@{drive}"}
    write_run(workdir, split=f"train@{drive}", seed=seed, **splits, **{"model.width": width})
    ids = [f"{drive}_{number:02}" for number in range(images or IMAGES[drive])]
    counts = np.tile(np.array([[right, 100 - right], [0, 100]]), (len(ids), 1, 1))
    (workdir / "evaluation").mkdir()
    ImageCounts(ids, counts, ("road", "sky"), 16).write(workdir / "evaluation" / f"train@{drive}-images.npz")
    return read_run(workdir)


@pytest.fixture
def runs(tmp_path):
    """Road is right to 60 and 70 percent by the first recipe, with another seed for 80, and to 50 by the second."""
    return [
        fold(tmp_path / "a-A", "A", 1.0, 60),
        fold(tmp_path / "a-B", "B", 1.0, 70),
        fold(tmp_path / "a-B-1", "B", 1.0, 80, seed=1),
        fold(tmp_path / "b-A", "A", 0.5, 50),
        fold(tmp_path / "b-B", "B", 0.5, 50),
    ]


def test_scores_difference_and_interval_are_those_of_the_folds(runs):
    rows, columns, line = compare_paired(group_runs(runs), True, 5)
    assert rows == ["mIoU %", "road %", "sky %"] and line == "32 images in 2 folds; blocks of 5 images"
    values = {column.heading: column.values for column in columns}
    assert list(values) == ["a-*", "b-*", "difference", "95 % interval, from", "to"]
    assert values["a-*"][1] == pytest.approx((60 + 75) / 2) and values["b-*"][1] == pytest.approx(50)
    for heading in ("difference", "95 % interval, from", "to"):  # all images are alike
        assert values[heading][1] == pytest.approx(17.5)
    assert values["b-*"][0] == pytest.approx((50 + 100 * 100 / 150) / 2)


def test_without_classes_there_is_one_row(runs):
    assert compare_paired(group_runs(runs), False, 5)[0] == ["mIoU %"]


def test_another_number_of_groups_is_refused(runs):
    with pytest.raises(
        InputError, match=r"^--paired compares two groups of runs; found 1 \(a-\*\): name their folders$"
    ):
        compare_paired(group_runs(runs[:3]), False, 5)


def test_folds_of_one_group_alone_are_refused(runs):
    with pytest.raises(InputError, match=r"^--paired compares the same folds; only one group has A$"):
        compare_paired(group_runs([*runs[:3], runs[4]]), False, 5)


def test_other_images_are_refused(runs, tmp_path):
    other = fold(tmp_path / "b-A-1", "A", 0.5, 50, seed=1, images=11)
    with pytest.raises(InputError, match=r"b-A-1 was evaluated on other images or classes than a-\*$"):
        compare_paired(group_runs([*runs, other]), False, 5)


def test_a_run_without_counts_names_the_command_that_writes_them(runs):
    (runs[3].workdir / "evaluation" / "train@A-images.npz").unlink()
    with pytest.raises(InputError, match=r"train@A-images\.npz is missing; write it with evaluate\.py --per_image$"):
        compare_paired(group_runs(runs), False, 5)
