"""Cases in processes of their own, in turn: their environment, their answers, and how they end."""

import importlib
import os
import re
import sys

import numpy as np
import pytest

from benchmarks import peers, scaling
from benchmarks.peers import ALLOCATOR, MODULES, Case, Comparison, alone, compare, compare_against, started
from benchmarks.scaling import Series
from gun_jax.errors import InputError

CASES = """
import os, signal

def once(what):
    runs = []
    return lambda size, batch: lambda: runs.append(1) if not runs else what()

def talk():
    os.write(1, b"not an answer\\n")
    print("nor this")

held = []
CASES = {
    "talks": lambda size, batch: talk,
    "holds 32 MiB": lambda size, batch: lambda: held or held.append(b"1" * 2**25),
    "exits": once(lambda: os._exit(3)),
    "is killed": once(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "fails": once(lambda: [][1]),
    "is not ready": lambda size, batch: __import__("no_such_package"),
    "tells": lambda size, batch: lambda: print(*(f"{k}={v}" for k, v in os.environ.items() if k.startswith("MALLOC_"))),
}
"""


@pytest.fixture
def cases(tmp_path, monkeypatch):
    """Cases of a worker that behave as their names say."""
    (tmp_path / "test_cases.py").write_text(CASES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("talks", "holds 32 MiB", "exits", "is killed", "fails", "is not ready", "tells"):
        monkeypatch.setitem(MODULES, name, "test_cases")


class FakeWorker:
    """A process whose runs take a known time, and which records each request."""

    seconds: dict = {"jax": 0.5, "torch": 1.0, "torch, same allocator": 0.8, "jax of other": 2.0}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def __init__(self, case, size, batch):
        self.case = str(case)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def measure(self):
        self.asked.append(self.case)
        return self.seconds[self.case] * (1 + self.asked.count(self.case))

    def finish(self):
        return {"jax": 2**30, "torch": 2**31, "jax of other": 2**29}[self.case]


@pytest.fixture
def asked(monkeypatch):
    """Replaces workers by fake ones; the requests that these got."""
    monkeypatch.setattr(peers, "started", FakeWorker)
    monkeypatch.setattr(FakeWorker, "asked", [])
    return FakeWorker.asked


def test_cases_of_a_group_run_once_in_every_round_in_changing_order(monkeypatch, asked):
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 64), 1), (Comparison("labels", "jax", "torch", 0.8),)))
    usual, same = compare("some", 8)
    rounds = [asked[i : i + 3] for i in range(0, 24, 3)]
    assert all(sorted(names) == ["jax", "torch", "torch, same allocator"] for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1
    np.testing.assert_allclose(usual.of / usual.by, 0.5)
    np.testing.assert_allclose(same.of / same.by, 0.5 / 0.8)


def test_the_goal_is_for_the_peer_with_our_allocator_settings(monkeypatch, asked):
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 64), 1), (Comparison("labels", "jax", "torch", 0.8),)))
    usual, same = compare("some", 1)
    assert [(str(one.cases[1]), one.comparison.limit) for one in (usual, same)] == [
        ("torch", None),
        ("torch, same allocator", 0.8),
    ]


def test_another_checkout_runs_beside_this_one_in_time_and_memory(monkeypatch, asked, tmp_path):
    other = tmp_path / "other"
    (other / "benchmarks" / "cases").mkdir(parents=True)
    (other / ".venv" / "bin").mkdir(parents=True)
    (other / ".venv" / "bin" / "python").touch()
    monkeypatch.setitem(peers.GROUPS, "labels", (((64, 64), 1), (Comparison("labels", "jax", "torch", 0.8),)))
    time, memory = compare_against(other, "labels", 3)
    assert sorted(asked) == ["jax"] * 4 + ["jax of other"] * 4  # three rounds, and the start for the memory
    np.testing.assert_allclose(time.of / time.by, 0.25)
    assert (memory.of / memory.by).tolist() == [2.0]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--against is .*; expected a checkout of this project"):
        compare_against(tmp_path, "labels", 1)


@pytest.mark.parametrize("folder", ["benchmarks/cases", "gun_jax/benchmark/cases"])
def test_another_checkout_runs_its_own_cases_by_its_own_python(folder, cases, tmp_path):
    other = tmp_path / "other"
    (other / folder).mkdir(parents=True)
    (other / ".venv" / "bin").mkdir(parents=True)
    (other / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (other / folder / "test_cases.py").write_text("CASES = {'talks': lambda size, batch: lambda: print(__file__)}")
    with started(Case("talks", checkout=other), (1, 1), 1) as worker:
        worker.finish()
        worker.complaints.seek(0)
        assert worker.complaints.read().decode().strip() == str(other / folder / "test_cases.py")


def test_memory_is_measured_in_a_separate_start_without_allocator_settings(monkeypatch, asked):
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 64), 1), (Comparison("memory", "jax", "torch", memory=True),)))
    (measured,) = compare("some", 1)
    assert (measured.of.tolist(), measured.by.tolist()) == ([2**30], [2**31])


def test_every_case_of_a_group_exists_in_its_module(monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("openvino")
    monkeypatch.syspath_prepend(peers._WORKER.parent)
    named = {name for _, comparisons in peers.GROUPS.values() for one in comparisons for name in (one.of, one.by)}
    assert named <= set(MODULES)
    assert all(name in importlib.import_module(module).CASES for name, module in MODULES.items())


@pytest.mark.parametrize(
    ("case", "package"), [("torch", "torch"), ("torch training", "torch"), ("openvino", "openvino")]
)
def test_a_peer_s_process_loads_nothing_of_ours(case, package, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip(package)
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # the interpreter then says what it imports
    with started(Case(case), (64, 64), 1) as worker:
        assert worker.measure() > 0
        worker.finish()
        worker.complaints.seek(0)
        loaded = set(re.findall(r"^import time:.*\| +(\w+)$", worker.complaints.read().decode(), re.M))
    assert package in loaded
    assert not loaded & {"jax", "jaxlib", "flax", "optax", "cv2", "gun_jax"}


def test_openvino_has_the_options_of_exported_networks():
    pytest.importorskip("openvino")
    from benchmarks.cases import openvino_cases
    from gun_jax.export.exported import OPENVINO_OPTIONS

    assert openvino_cases.OPTIONS == OPENVINO_OPTIONS


@pytest.mark.slow
def test_a_worker_reports_the_time_of_a_run_and_its_peak_memory():
    with started(Case("jax"), (64, 64), 1) as worker:
        seconds, peak = worker.measure(), worker.finish()
    assert 0 < seconds < 10
    assert 2**26 < peak < 2**34


@pytest.mark.parametrize("allocator", [True, False])
def test_a_process_has_the_allocator_settings_only_where_its_case_asks_for_them(allocator, cases, monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")  # of the shell that started us
    with started(Case("tells", allocator), (1, 1), 1) as worker:
        worker.finish()
        worker.complaints.seek(0)
        told = worker.complaints.read().decode().split()
    assert sorted(told) == sorted(f"{name}={value}" for name, value in ALLOCATOR.items() if allocator)


def test_memory_is_that_of_the_process_and_not_of_its_parent(cases):
    here = np.ones(2**25)  # 256 MiB
    _, peak = alone(Case("holds 32 MiB"), (1, 1), 1)
    assert 2**25 < peak < 2**26 < here.nbytes


def test_output_of_libraries_is_not_taken_for_an_answer(cases):
    with started(Case("talks"), (1, 1), 1) as worker:
        assert worker.measure() >= 0
        assert worker.finish() > 0


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("exits", "exits ended with status 3 and said 'nothing'"),
        ("is killed", r"is killed ended with signal SIGKILL \(the system ends .* memory is short\) and said"),
        ("fails", "fails ended with status 1 and said 'IndexError: list index out of range'"),
    ],
)
def test_a_case_that_dies_while_it_runs_is_reported_with_its_status(case, line, cases):
    with pytest.raises(InputError, match=line), started(Case(case), (1, 1), 1) as worker:
        worker.measure()


def test_a_worker_that_died_before_a_request_is_reported(cases):
    with (
        pytest.raises(InputError, match="talks ended with signal SIGKILL"),
        started(Case("talks"), (1, 1), 1) as worker,
    ):
        worker.process.kill()
        worker.process.wait()
        worker.measure()


def test_a_case_that_does_not_start_is_reported_with_its_missing_package_and_leaves_no_file_open(cases):
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(InputError, match=r"ModuleNotFoundError.*no_such_package.*EXTRAS"):
        alone(Case("is not ready"), (1, 1), 1)
    assert sorted(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_the_exponent_of_a_power_law_is_its_power(power):
    sizes = tuple(((64 * 2**k, 128), batch) for k, batch in enumerate((1, 2, 1)))
    pixels = np.array([height * width * batch for (height, width), batch in sizes])
    series = Series(sizes, np.stack([pixels**power * scale for scale in (0.9, 1.0, 1.2)]))
    assert series.exponent() == pytest.approx(power)


def test_the_exponent_of_the_largest_two_ignores_the_others():
    sizes = (((1, 1), 1), ((1, 2), 1), ((1, 4), 1))
    assert Series(sizes, np.array([[1.0, 1.0, 4.0]])).exponent(2) == pytest.approx(2)


def test_scaling_measures_every_input_in_every_round(asked, monkeypatch):
    monkeypatch.setattr(scaling, "fastest", lambda: Case("jax"))
    series = scaling.grow((((64, 64), 1), ((64, 128), 1)), 3, lambda line: None)
    assert series.seconds.shape == (3, 2)
    assert asked == ["jax"] * 6
