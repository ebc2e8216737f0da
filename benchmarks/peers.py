"""The network beside its peers, or beside another checkout of this project: processes that run in turn, as ratios.

A peer runs twice: as people run it, and with the allocator settings that this project's programs choose for themselves
(`gun_jax.system.runtime.keep_memory`). Where page faults are dear these decide much of the time, so goals hold for the
second.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import numpy as np

from gun_jax.errors import InputError

LABELS = (512, 1024), 1
SMALL, LARGE = ((180, 240), 8), ((360, 480), 8)
ROOT = pathlib.Path(__file__).parents[1]
# What `keep_memory` sets, in the environment: large buffers come from the heap, and the heap stays in the process.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
}
AGAINST_LIMIT = 1.03  # of the other checkout's time and memory


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A row of the table: the time or the memory of a case, divided by that of another case.

    Attributes:
      what: name of the row.
      of, by: names of the cases, see `MODULES`.
      limit: the goal, a ratio of at most this.
      memory: whether the peak memory is compared in place of the time.
    """

    what: str
    of: str
    by: str
    limit: float | None = None
    memory: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    """A case as a process runs it.

    Attributes:
      name: of `MODULES`.
      allocator: whether it gets the settings of `ALLOCATOR`.
      checkout: folder of the code of this project that it runs.
    """

    name: str
    allocator: bool = False
    checkout: pathlib.Path = ROOT

    def __str__(self) -> str:
        if self.checkout != ROOT:
            return f"{self.name} of {self.checkout.name}"
        return f"{self.name}, same allocator" if self.allocator and not _is_ours(self.name) else self.name


@dataclasses.dataclass(frozen=True)
class Measured:
    """What two cases took: seconds of each round, float64 (rounds,), or bytes (1,).

    Attributes:
      comparison: the row.
      cases: the two cases.
      of, by: the figures of the first and of the second case.
    """

    comparison: Comparison
    cases: tuple[Case, Case]
    of: np.ndarray
    by: np.ndarray


_LABELS = ("jax", "jax, oneDNN")
_TRAINING = (
    Comparison("training step", "jax training", "torch training"),
    Comparison("training step, oneDNN", "jax training, oneDNN", "torch training", 0.90),
    Comparison("memory of training", "jax training", "torch training", memory=True),
    Comparison("memory of training, oneDNN", "jax training, oneDNN", "torch training", 1.00, memory=True),
)

# Groups of comparisons at one size (height, width) and batch; the cases of a group run in turn.
GROUPS: dict[str, tuple[tuple[tuple[int, int], int], tuple[Comparison, ...]]] = {
    "labels": (
        LABELS,
        (
            Comparison("labels", "jax", "torch.compile", 0.80),
            Comparison("labels", "jax, oneDNN", "torch.compile", 0.60),
            *(Comparison("labels", name, "torch") for name in _LABELS),
            *(Comparison("labels", name, "openvino", 1.00) for name in _LABELS),
            *(Comparison("memory of labels", name, "torch.compile", 1.00, memory=True) for name in _LABELS),
            *(Comparison("memory of labels", name, "torch", 1.00, memory=True) for name in _LABELS),
        ),
    ),
    "gum": (
        LABELS,
        (
            Comparison("guided by bilinear upsampling", "jax", "jax baseline", 1.06),
            Comparison("the same, method nearest", "jax nearest", "jax baseline", 1.00),
            Comparison("guided by bilinear upsampling", "jax, oneDNN", "jax baseline, oneDNN", 1.06),
            Comparison("the same, method nearest", "jax nearest, oneDNN", "jax baseline, oneDNN", 1.00),
        ),
    ),
    "export": (
        LABELS,
        (
            Comparison("exported network", "export", "openvino", 1.05),
            Comparison("exported network, 8 bits", "export int8", "openvino int8", 1.10),
            Comparison("8 by 32 bits", "export int8", "export"),
        ),
    ),
    "training": (SMALL, _TRAINING),
    "training-large": (LARGE, _TRAINING),
}
AGAINST_GROUPS = ("labels", "gum", "training", "training-large")

# The module in `benchmarks.cases` of each case.
MODULES = {
    **{f"{name}{by}": "jax_labels" for name in ("jax", "jax nearest", "jax baseline") for by in ("", ", oneDNN")},
    **dict.fromkeys(("jax training", "jax training, oneDNN"), "jax_training"),
    **dict.fromkeys(("matrix product", "memory traffic"), "jax_limits"),
    **dict.fromkeys(("torch", "torch.compile", "torch training"), "torch_cases"),
    **dict.fromkeys(("openvino", "openvino int8", "export", "export int8"), "openvino_cases"),
}

_WORKER = pathlib.Path(__file__).with_name("cases") / "worker.py"

Input = tuple[Case, tuple[int, int], int]
Say = Callable[[str], None]


def _is_ours(name: str) -> bool:
    return name.startswith("jax")


def _python_and_cases(checkout: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The interpreter of a checkout, and the folder of its case modules; 0.1 kept them in the package.

    Raises:
      InputError: it is no checkout of this project, or has no environment.
    """
    if checkout == ROOT:
        return pathlib.Path(sys.executable), _WORKER.parent
    python = checkout / ".venv" / "bin" / "python"
    for folder in (checkout / "benchmarks" / "cases", checkout / "gun_jax" / "benchmark" / "cases"):
        if folder.is_dir() and python.exists():
            return python, folder
    raise InputError(
        f"--against is {checkout}; expected a checkout of this project in which `make install` and `make onednn` ran"
    )


@contextlib.contextmanager
def started(case: Case, size: tuple[int, int], batch: int) -> Iterator["Worker"]:
    """Runs a case in a process of its own, prepared and compiled; the process ends with the context.

    Raises:
      InputError: the process ended, e.g. because a package is missing.
    """
    python, cases = _python_and_cases(case.checkout)
    command = list(map(str, (python, _WORKER, cases, MODULES[case.name], case.name, *size, batch)))
    environment = {name: value for name, value in os.environ.items() if name not in ALLOCATOR}
    path = os.pathsep.join([str(case.checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            bufsize=0,  # nothing is left to be written when the process has ended
            env=environment | {"PYTHONPATH": path} | (ALLOCATOR if case.allocator else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        try:
            worker = Worker(case, process, complaints)
            worker.answer()
            yield worker
        finally:
            process.kill()


@dataclasses.dataclass(frozen=True)
class Worker:
    """A process of `benchmarks.cases.worker`, and the file of its messages."""

    case: Case
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]

    def measure(self) -> float:
        """Seconds of a run."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended: `answer` says how
            self.process.stdin.write(b"\n")
        return self.answer()["seconds"]

    def finish(self) -> int:
        """Ends the process: its peak memory, bytes."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.answer()["peak"]

    def answer(self) -> dict:
        """The next line of the process.

        Raises:
          InputError: it ended.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line.endswith(b"\n"):
            return json.loads(line)
        status = self.process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        memory = " (the system ends processes so when memory is short)" if status == -signal.SIGKILL else ""
        self.complaints.seek(0)
        told = self.complaints.read().decode(errors="replace").strip().splitlines() or ["nothing"]
        missing = [line for line in told if line.startswith("ModuleNotFoundError")]
        extras = ": it needs the `parity` and `export` extras, make install EXTRAS=test,export,parity"
        raise InputError(
            f"{self.case} ended with {how}{memory} and said {(missing or told)[-1]!r}{extras if missing else ''}"
        )


def in_turn(part: str, inputs: Sequence[Input], rounds: int, say: Say = lambda line: None) -> np.ndarray:
    """Starts and compiles every case, and then runs each once in every round, in a new order.

    Args:
      part: name of the measurement, for `say`.
      inputs: case, size and batch of each.
      rounds: how many.
      say: called with a line of progress.

    Returns:
      Seconds, float64 (rounds, inputs).

    Raises:
      InputError: a case failed, e.g. because a package is missing or memory is short.
    """
    seconds = np.zeros((rounds, len(inputs)))
    with contextlib.ExitStack() as stack:
        workers = []
        for case, (height, width), batch in inputs:
            say(f"{part}: starting {case}, {batch}x{height}x{width}")
            workers.append(stack.enter_context(started(case, (height, width), batch)))
        orders = np.random.default_rng(0)
        for number in range(rounds):
            say(f"{part}: round {number + 1} of {rounds}")
            for index in orders.permutation(len(inputs)):
                seconds[number, index] = workers[index].measure()
    return seconds


def alone(case: Case, size: tuple[int, int], batch: int) -> tuple[float, int]:
    """Seconds of a run, and the peak memory of its process, bytes.

    Start the case before: compiling takes more memory than running, and this start finds the compiled program.
    """
    with started(case, size, batch) as worker:
        return worker.measure(), worker.finish()


def _has_onednn() -> bool:
    return importlib.util.find_spec("gun_jax_onednn") is not None


def fastest() -> Case:
    """Labels as this environment computes them: with oneDNN where it is installed."""
    return Case(_LABELS[_has_onednn()], allocator=True)


def compare(group: str, rounds: int, say: Say = lambda line: None) -> list[Measured]:
    """Measures a group: the time of all its cases in turn, and the memory where that is compared.

    Memory is that of processes as people run them: the allocator settings keep more of it. Cases with oneDNN are left
    out where that is not installed.

    Args:
      group: of `GROUPS`.
      rounds: how many.
      say: called with a line of progress.

    Raises:
      InputError: a case failed.
    """
    rows = []
    for one in _installed(group):
        ours = _is_ours(one.of)
        if ours and not one.memory and not _is_ours(one.by):
            rows.append((dataclasses.replace(one, limit=None), Case(one.of, True), Case(one.by)))
        allocator = ours and not one.memory
        rows.append((one, Case(one.of, allocator), Case(one.by, allocator)))
    return _measure(group, rows, rounds, say)


def compare_against(checkout: pathlib.Path, group: str, rounds: int, say: Say = lambda line: None) -> list[Measured]:
    """Measures our cases of a group beside those of another checkout, in turn: their time and their memory.

    Args:
      checkout: its folder; its own environment and its own case modules run.
      group: of `AGAINST_GROUPS`.
      rounds: how many.
      say: called with a line of progress.

    Raises:
      InputError: a case failed, or the folder is no checkout.
    """
    _python_and_cases(checkout)
    names = dict.fromkeys(name for one in _installed(group) for name in (one.of, one.by) if _is_ours(name))
    rows = [
        (Comparison(what, name, name, AGAINST_LIMIT, memory), Case(name, not memory), Case(name, not memory, checkout))
        for what, memory in ((group, False), (f"memory, {group}", True))
        for name in names
    ]
    return _measure(group, rows, rounds, say)


def _installed(group: str) -> list[Comparison]:
    return [one for one in GROUPS[group][1] if _has_onednn() or "oneDNN" not in one.of]


def _measure(group: str, rows: Sequence[tuple[Comparison, Case, Case]], rounds: int, say: Say) -> list[Measured]:
    size, batch = GROUPS[group][0]
    timed = list(dict.fromkeys(case for one, *cases in rows if not one.memory for case in cases))
    seconds = dict(zip(timed, in_turn(group, [(case, size, batch) for case in timed], rounds, say).T, strict=True))
    peaks: dict[Case, np.ndarray] = {}
    for case in dict.fromkeys(case for one, *cases in rows if one.memory for case in cases):
        say(f"{group}: memory of {case}")
        peaks[case] = np.asarray([alone(case, size, batch)[1]], float)
    return [
        Measured(one, (of, by), *((peaks if one.memory else seconds)[case] for case in (of, by)))
        for one, of, by in rows
    ]
