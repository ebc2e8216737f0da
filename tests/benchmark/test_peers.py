"""`benchmark.py --peers`: processes that answer, cases in turn, and one line for what is wrong."""

import collections
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import gun_jax
from gun_jax.benchmark import peers, pipeline, report, scaling
from gun_jax.benchmark.limits import limits
from gun_jax.benchmark.peers import Comparison, Worker, compare
from gun_jax.benchmark.pipeline import drawn_pictures, pipeline_ratio
from gun_jax.benchmark.scaling import Series
from gun_jax.configuration import default_config
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


class FakeWorker:
    """A process whose runs take a known time, which says when it is asked."""

    seconds: dict = {"jax": 0.5, "torch": 1.0}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def __init__(self, case, size, batch):
        self.case = case

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def measure(self):
        self.asked.append(self.case)
        return self.seconds[self.case] * (1 + self.asked.count(self.case))

    def finish(self):
        return {"jax": 2**30, "torch": 2**31}[self.case]


def test_cases_of_a_group_run_once_in_every_round_in_changing_order(monkeypatch):
    monkeypatch.setattr(peers, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "asked", [])
    group = ((64, 64), 1), (Comparison("labels", "jax", "torch"),)
    monkeypatch.setitem(peers.GROUPS, "some", group)
    (measured,) = compare("some", 8)
    rounds = [FakeWorker.asked[i : i + 2] for i in range(0, 16, 2)]
    assert all(sorted(names) == ["jax", "torch"] for names in rounds)
    assert len({tuple(names) for names in rounds}) == 2
    np.testing.assert_allclose(measured.of / measured.by, 0.5)


def test_memory_is_compared_by_what_processes_of_a_start_of_their_own_say(monkeypatch):
    monkeypatch.setattr(peers, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "asked", [])
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 64), 1), (Comparison("memory", "jax", "torch", memory=True),)))
    (measured,) = compare("some", 1)
    assert (measured.of.tolist(), measured.by.tolist()) == ([2**30], [2**31])


def test_a_row_shows_medians_their_ratio_and_its_limit(monkeypatch):
    measured = peers.Measured(Comparison("labels", "jax", "torch", 0.8), np.array([0.1, 0.2, 0.3]), np.array([0.2] * 3))
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 96), 2), ()))
    cells = report._cells("some", measured)
    assert cells == ("labels, 2x64x96", "jax: 200 ms", "torch: 200 ms", "1.00 (0.50 to 1.50)", "0.80")


def test_a_worker_says_how_long_a_run_takes_and_what_memory_it_needs():
    with Worker("jax", (64, 64), 1) as worker:
        seconds, peak = worker.measure(), worker.finish()
    assert 0 < seconds < 10
    assert 2**26 < peak < 2**34


def test_a_case_that_fails_is_named_with_what_it_said():
    with pytest.raises(InputError, match=r"no such case ended with .*KeyError.*no such case"):
        Worker("no such case", (64, 64), 1)


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_the_exponent_is_that_of_times_that_grow_by_a_power(power):
    sizes = tuple(((64 * 2**k, 128), batch) for k, batch in enumerate((1, 2, 1)))
    pixels = np.array([height * width * batch for (height, width), batch in sizes])
    series = Series(sizes, np.stack([pixels**power * scale for scale in (0.9, 1.0, 1.2)]))
    assert series.exponent() == pytest.approx(power)


def test_scaling_asks_a_worker_for_every_input(monkeypatch):
    monkeypatch.setattr(scaling, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "asked", [])
    series = scaling.grow((((64, 64), 1), ((64, 128), 1)), 3, lambda line: None)
    assert series.seconds.shape == (3, 2)
    assert FakeWorker.asked == ["jax"] * 6


def test_the_pipeline_and_bare_decoding_read_the_same_files(monkeypatch):
    read = collections.Counter()
    with drawn_pictures(3, (48, 64)) as folder:
        data = default_config().data
        data.source, data.dir = "folder", str(folder)
        source = load_source(data, "train")
        assert len(load_source(data, "val")) == 1
        assert [path.suffix for path in source.paths(2)] == [".png", ".png"]
        assert source[1]["image"].shape == (48, 64, 3)
        monkeypatch.setattr(pipeline, "_read", lambda paths: read.update(map(str, paths)))
        ours, bare = pipeline_ratio(source, data, 2)
    assert ours.shape == bare.shape == (2,)
    assert (ours > 0).all()
    assert len(read) == 6
    assert set(read.values()) == {2 * 12 * 8 // 3}


def test_the_limits_are_of_a_size_that_machines_have():
    operations, traffic = limits()
    assert 1e9 < operations < 1e16
    assert 1e8 < traffic < 1e14


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match="part 'speed'; expected one of labels, gum"):
        report.report(ROOT, ["speed"], 1, None, "")


def test_the_program_writes_a_page(tmp_path):
    page = tmp_path / "peers.md"
    command = [sys.executable, ROOT / "benchmark.py", "--peers", "--parts=limits", "--rounds=1", f"--markdown={page}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "| matrix product of 3072x3072, float32 |" in page.read_text()


def test_waiting_is_what_training_wrote_of_all_but_its_first_steps():
    settings = ("--config=configs/synthetic.py", "--config.model.width=0.05", "--config.data.synthetic_val=2")
    shares = pipeline.waiting_share(ROOT, *settings)
    assert shares.shape == (3,)
    assert ((shares >= 0) & (shares < 1)).all()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--parts=labels"], "--parts is of --peers"),
        (["--peers", "--parts=x"], "part 'x'"),
        (["--peers", "--parts=limits", "--markdown=."], "--markdown is ., which cannot be written"),
    ],
)
def test_the_program_refuses_in_one_line(arguments, line):
    done = subprocess.run([sys.executable, ROOT / "benchmark.py", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
