"""benchmark.py: networks run in turn, rows have the paper's figures, and wrong commands are refused in one line."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import gun_jax
from benchmarks.tables import FINAL, Network, benchmark, table_rows
from gun_jax.errors import InputError
from gun_jax.paper import TABLES
from gun_jax.system.timing import time_in_turn

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def test_networks_run_in_turn_and_the_clock_is_read_around_each():
    now, calls = [0.0], []

    def run(index, seconds):
        def call():
            calls.append(index)
            now[0] += seconds

        return call

    reports = []
    runs = [run(index, seconds) for index, seconds in enumerate((1.0, 20.0, 300.0))]
    seconds = time_in_turn(runs, 5, lambda: reports.append(len(calls)), lambda: now[0])
    np.testing.assert_array_equal(seconds, [[1.0, 20.0, 300.0]] * 5)
    rounds = [tuple(calls[start : start + 3]) for start in range(0, 15, 3)]
    assert all(sorted(one) == [0, 1, 2] for one in rounds) and len(set(rounds)) > 1
    assert reports == [3, 6, 9, 12, 15]


def rows(table):
    """Cells for invented times: the baseline of Table 4 takes 80 ms, all others 100 ms and more."""
    names = [f"table{number}={name}" for number, columns in TABLES.items() for name in columns]
    network = Network(16_500_000, 101_230_000_000, (2140, None), lambda: None)
    times = {name: np.array([0.09, 0.1, 0.15]) for name in names} | {"table4=baseline": np.array([0.08] * 3)}
    return table_rows(table, dict.fromkeys(names, network), times)


def test_a_row_has_counts_times_and_the_paper_s_figures():
    baseline, _, high_res, fusion = rows(4)
    assert baseline == ["baseline", "16.50", "101.2", "2140", "80.0 (80.0 to 80.0)", "1.25", "1.12", "37.3", "67.5"]
    assert high_res == ["high-res", "16.50", "101.2", "2140", "100 (90 to 150)", "1.00", "1.05", "34.8", "69.29"]
    assert fusion[0] == "**fusion**" and fusion[5:] == ["1.00", "1.00", "33.3", "69.64"]


@pytest.mark.parametrize(
    ("table", "relative"),
    [(1, ["0.20", "1.52", "1.16", "1.16", "0.75"]), (2, ["1.16", "1.14", "1.12", "1.09"]),
     (4, ["1.12", "0.79", "1.05", "1.00"])],
)  # fmt: skip
def test_the_paper_s_relative_speeds_are_its_frames_per_second_divided_by_33_3(table, relative):
    assert [row[6] for row in rows(table)] == relative


def run(*arguments):
    return subprocess.run([sys.executable, ROOT / "benchmark.py", *arguments], capture_output=True, text=True, cwd=ROOT)


def test_the_program_writes_a_page_with_a_row_for_each_column(tmp_path):
    page = tmp_path / "new" / "tables.md"
    result = run("--tables=4", "--size=64x128", "--width=0.05", "--rounds=2", f"--markdown={page}")
    assert (result.returncode, result.stderr) == (0, "")
    text = page.read_text()
    assert f"python benchmark.py --tables=4 --size=64x128 --width=0.05 --rounds=2 --markdown={page}" in text
    found = re.findall(
        r"^\| (\S+) \| [\d.]+ \| [\d.]+ \| [^|]+ \| [\d.]+ \([\d.]+ to [\d.]+\) \| ([\d.]+) \|", text, re.M
    )
    assert [name for name, _ in found] == ["baseline", "large-rf", "high-res", "**fusion**"]
    assert found[-1][1] == "1.00"
    assert "large-rf" in result.stdout


def test_the_same_network_in_two_tables_is_timed_once(monkeypatch):
    made = []

    def fake(model, size):
        made.append(model)
        return Network(1, 1, (1, None), lambda: None)

    monkeypatch.setattr("benchmarks.tables.make_network", fake)
    seconds = benchmark([1, 2, 4], rounds=2)
    assert len(made) == len({repr(model) for model in made}) == 11  # of 13 columns
    assert len(seconds) == 13 and FINAL in seconds
    assert {model.input_subsampling for model in made if model.encoder in ("baseline", "enc124shared")} == {1}
    assert {model.input_subsampling for model in made if model.encoder not in ("baseline", "enc124shared")} == {2}


def test_an_empty_list_of_tables_is_refused():
    with pytest.raises(InputError, match="--tables is empty"):
        benchmark([])
