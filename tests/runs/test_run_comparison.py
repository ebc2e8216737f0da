"""Runs side by side: what is told of them, in which order, and that no table is wider than the screen."""

import csv
import io

import pytest
import rich.console
from reference_workdirs import write_evaluation, write_run

from gun_jax.errors import InputError
from gun_jax.runs.comparison import as_csv, as_markdown, compare, names_of, sort_runs
from gun_jax.runs.reading import read_run
from gun_jax.runs.screen import show


@pytest.fixture
def runs(tmp_path):
    """Three runs: a and c are evaluated, b is not."""
    a = write_run(tmp_path / "runs/a", miou=0.5, **{"model.width": 0.25})
    b = write_run(tmp_path / "runs/b", miou=0.75, trained=3, parameters=10, losses=(1.0, 1.25))
    c = write_run(tmp_path / "runs/x|c", miou=0.25, **{"data.crop": (32, 64)})
    write_evaluation(a)
    write_evaluation(c, step=12)
    return [read_run(workdir) for workdir in (a, b, c)]


def told(runs, **options):
    return {column.heading: column.values for column in compare(runs, **options)}


def test_of_the_settings_those_that_differ_are_told(runs):
    columns = told(runs)
    assert columns["model.width"] == [0.25, 1.0, 1.0] and columns["data.crop"] == [(), (), (32, 64)]
    assert not {"seed", "epochs", "batch_size"} & set(columns)
    assert "model.width" not in told(runs[1:])


def test_what_came_of_the_runs_is_told(runs):
    columns = told(runs)
    assert columns["step"] == [16, 12, 16] and columns["finished"] == [True, False, True]
    assert columns["mIoU %"] == [50.0, 75.0, 25.0] and columns["accuracy %"] == [90.0] * 3
    assert columns["loss"] == [2.0, 1.0, 2.0]
    assert columns["parameters, millions"] == [1.234567, 1e-5, 1.234567]
    assert columns["images/s, median"] == [100, 64, 100]


def test_evaluations_are_told_and_of_which_step_where_it_is_another(runs):
    columns = told(runs)
    assert columns["evaluation/val mIoU %"] == [25.0, None, 25.0]
    assert columns["evaluation/val step"] == [16, None, 12]
    assert "evaluation/val step" not in told(runs[:1])


def test_classes_are_told_where_that_is_asked_for(runs):
    assert not {"road %", "sky %"} & set(told(runs))
    columns = told(runs, classes=True)
    assert columns["road %"] == [50.0, 75.0, 25.0] and columns["sky %"] == [None] * 3


@pytest.mark.parametrize(
    ("by", "order"),
    [("name", "abc"), ("miou", "bac"), ("loss", "bac"), ("parameters", "bac"), ("step", "acb"), ("speed", "acb")],
)
def test_the_best_comes_first(runs, by, order):
    assert [run.workdir.name[-1] for run in sort_runs(runs, by)] == list(order)


@pytest.mark.parametrize("by", ["miou", "loss", "speed"])
def test_what_is_not_known_comes_last(runs, tmp_path, by):
    workdir = write_run(tmp_path / "d")
    (workdir / "metrics.jsonl").write_text('{"step": 2, "epoch": 0.5, "loss": null}\n')
    unknown = read_run(workdir)
    assert sort_runs([unknown, *runs], by)[-1] == unknown


def test_an_order_that_there_is_not_is_refused(runs):
    with pytest.raises(InputError, match="--sort is 'iou'"):
        sort_runs(runs, "iou")


def test_runs_are_called_by_their_folders_below_the_common_one(runs):
    assert names_of(runs) == ["a", "b", "x|c"] and names_of(runs[:1]) == [str(runs[0].workdir)]


# Files


def test_the_csv_has_all_digits_and_nothing_for_what_is_not_known(runs):
    rows = list(csv.DictReader(io.StringIO(as_csv(names_of(runs), compare(runs)))))
    assert [row["run"] for row in rows] == ["a", "b", "x|c"]
    assert [row["parameters, millions"] for row in rows] == ["1.234567", "1e-05", "1.234567"]
    assert [row["evaluation/val mIoU %"] for row in rows] == ["25.0", "", "25.0"]
    assert rows[2]["data.crop"] == "(32, 64)"


def test_the_markdown_has_a_row_a_run_and_as_many_cells(runs):
    lines = as_markdown(names_of(runs), compare(runs)).splitlines()
    cells = [line.replace(r"\|", "/").strip("|").split("|") for line in lines]
    assert len(lines) == 5 and len({len(line) for line in cells}) == 1
    assert [line[0].strip() for line in cells] == ["run", "---", "a", "b", "x/c"]
    assert " 50.0 " in lines[2] and " - " in lines[3]


# The screen


def shown(runs, width, names=None):
    text = io.StringIO()
    console = rich.console.Console(file=text, width=width, highlight=False, markup=False)
    show(console, names or names_of(runs), compare(runs, classes=True))
    return text.getvalue().splitlines()


def cells(line):
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def test_a_few_runs_have_a_column_each(runs):
    lines = shown(runs, 100)
    table = {cells(line)[0]: cells(line)[1:] for line in lines if "│" in line or "┃" in line}
    assert table[""] == ["a", "b", "x|c"]
    assert table["mIoU %"] == ["50.0", "75.0", "25.0"] and table["finished"] == ["yes", "no", "yes"]
    assert table["evaluation/val step"] == ["16", "-", "12"] and table["data.crop"] == ["()", "()", "(32, 64)"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_many_runs_have_a_row_each_and_no_line_is_wider_than_the_screen(runs, width):
    many = [runs[number % 3] for number in range(30)]
    names = [f"run-{number:02}" for number in range(30)]
    lines = shown(many, width, names)
    assert max(map(len, lines)) <= width
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        if "┃" in line:
            headings = cells(line)
        elif "│" in line:
            found.setdefault(cells(line)[0], {}).update(zip(headings, cells(line), strict=True))
    assert list(found) == names
    for number, row in enumerate(found.values()):
        assert row["mIoU %"] == ["50.0", "75.0", "25.0"][number % 3]
        assert set(row) == {"run", *(column.heading for column in compare(runs, classes=True))}


def test_a_screen_that_is_narrower_than_one_column_still_shows_all(runs):
    joined = "".join("".join(cells(line)) for line in shown(runs, 24))
    assert "75.0" in joined
