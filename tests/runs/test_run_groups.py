"""Runs of one recipe as one: which belong together, and mean and spread against the formulas."""

import csv
import io
import statistics

import pytest
from reference_workdirs import write_evaluation, write_run

from gun_jax.runs.comparison import as_csv, as_markdown
from gun_jax.runs.groups import compare_groups, group_runs
from gun_jax.runs.reading import read_run


def fold(workdir, drive, miou, **settings):
    splits = {"data.train_split": f"train@-{drive}", "data.eval_split": f"train@{drive}"}
    write_run(workdir, miou, split=f"train@{drive}", **splits, **settings)
    return read_run(workdir)


@pytest.fixture
def runs(tmp_path):
    """A recipe with three folds, of which two have two seeds, and another recipe with two folds."""
    place = tmp_path / "runs"
    return [
        fold(place / "a-fold=A", "A", 0.5),
        fold(place / "a-fold=A-seed1", "A", 0.6, seed=1),
        fold(place / "b-fold=A", "A", 0.9, **{"model.width": 0.5, "init": "runs/a-fold=A"}),
        fold(place / "a-fold=B", "B", 0.7, **{"data.threads": 3}),
        fold(place / "a-fold=B-seed1", "B", 0.74, seed=1),
        fold(place / "a-fold=C", "C", 0.2, trained=3),
        fold(place / "b-fold=B", "B", 0.8, **{"model.width": 0.5, "init": "runs/a-fold=B"}),
    ]


def told(groups, **options):
    return {column.heading: column for column in compare_groups(groups, **options)}


def test_runs_that_differ_in_seed_fold_and_threads_are_one_group(runs):
    groups = group_runs(runs)
    assert [(group.name, len(group.runs)) for group in groups] == [("a-fold=*", 5), ("b-fold=*", 2)]


def test_a_run_on_all_drives_is_no_fold(runs, tmp_path):
    whole = read_run(write_run(tmp_path / "runs/whole", 0.1))
    assert [len(group.runs) for group in group_runs([*runs, whole])] == [5, 2, 1]


def test_the_mean_is_that_of_the_folds_and_the_spreads_are_of_folds_and_of_seeds(runs):
    value = told(group_runs(runs))["mIoU %"].values[0]
    assert value.mean == pytest.approx((55 + 72 + 20) / 3)  # not that of the five runs, 54.8
    assert value.folds == pytest.approx(statistics.stdev([55, 72, 20]))
    assert value.seeds == pytest.approx(((10**2 / 2 + 4**2 / 2) / 2) ** 0.5)


def test_one_run_has_no_spread(runs):
    column = told(group_runs(runs[:1]))["mIoU %"]
    assert (column.values[0].folds, column.values[0].seeds, column.shown()) == (None, None, ["50.0"])


def test_the_table_tells_the_recipes_apart_and_counts_their_runs(runs):
    columns = told(group_runs(runs))
    assert columns["model.width"].values == [1.0, 0.5] and "seed" not in columns and "data.eval_split" not in columns
    assert [columns[name].values for name in ("runs", "folds", "finished")] == [[5, 2], [3, 2], [4, 2]]


def test_scores_by_evaluate_and_of_classes_are_averaged_too(runs):
    for run, miou in ((runs[2], 0.4), (runs[6], 0.6)):
        write_evaluation(run.workdir, run.settings["data.eval_split"], miou=miou)
        write_evaluation(run.workdir, "val", miou=0.3)
    columns = told(group_runs([read_run(run.workdir) for run in runs]), classes=True)
    assert columns["evaluation mIoU %"].shown() == ["-", "50.0 (folds ±14.1)"]
    assert columns["evaluation/val road %"].shown() == ["-", "15.0 (folds ±0.0)"]
    assert columns["road %"].values[1].mean == pytest.approx(85)
    assert "sky %" not in columns  # it has no IoU in any run


@pytest.mark.parametrize(("by", "order"), [("name", "ab"), ("miou", "ba"), ("step", "ba")])
def test_the_best_group_comes_first(runs, by, order):
    assert [group.name[0] for group in group_runs(runs, by)] == list(order)


def test_the_csv_has_a_column_for_each_number_and_the_markdown_has_one_for_all(runs):
    groups = group_runs(runs)
    names, columns = [group.name for group in groups], compare_groups(groups)
    first, second = csv.DictReader(io.StringIO(as_csv(names, columns)))
    assert (first["run"], float(first["mIoU %"])) == ("a-fold=*", pytest.approx(49))
    assert float(first["mIoU %, sd of folds"]) == pytest.approx(statistics.stdev([55, 72, 20]))
    assert second["mIoU %, sd of seeds"] == ""
    assert "| 49.0 (folds ±26.5, seeds ±5.4) |" in as_markdown(names, columns)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["r/one", "r/two"], "one, two"),
        (["r/a-fold=A-s0", "r/a-fold=A-s1", "r/a-fold=B-s0"], "a-fold=*"),
        (["r/a1-wide", "r/a2-wide"], "a*-wide"),
    ],
)
def test_a_group_is_called_by_what_its_names_have_in_common(tmp_path, names, shown):
    runs = [read_run(write_run(tmp_path / name, seed=seed)) for seed, name in enumerate(names)]
    assert [group.name for group in group_runs(runs)] == [shown]
