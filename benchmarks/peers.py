"""The network beside itself in PyTorch and OpenVINO: in processes of their own, in turn, as ratios."""

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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A row of the table: a case of `MODULES` by another one.

    Attributes:
      what: is compared.
      of, by: the cases.
      limit: the ratio that we are after, at most.
      memory: whether their peak memory is compared in place of their time.
    """

    what: str
    of: str
    by: str
    limit: float | None = None
    memory: bool = False


@dataclasses.dataclass(frozen=True)
class Measured:
    """What two cases took: seconds of each round, float64 (rounds,), or bytes (1,)."""

    comparison: Comparison
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
            *(Comparison("labels", name, "torch.compile", 0.80) for name in _LABELS),
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
    "training": (
        SMALL,
        _TRAINING,
    ),
    "training-large": (
        LARGE,
        _TRAINING,
    ),
}


# The module in `benchmarks.cases` of each case.
MODULES = {
    **{f"{name}{by}": "jax_labels" for name in ("jax", "jax nearest", "jax baseline") for by in ("", ", oneDNN")},
    **dict.fromkeys(("jax training", "jax training, oneDNN"), "jax_training"),
    **dict.fromkeys(("matrix product", "memory traffic"), "jax_limits"),
    **dict.fromkeys(("torch", "torch.compile", "torch training"), "torch_cases"),
    **dict.fromkeys(("openvino", "openvino int8", "export", "export int8"), "openvino_cases"),
}

_WORKER = pathlib.Path(__file__).with_name("cases") / "worker.py"
_ROOT = pathlib.Path(__file__).parents[2]  # where `gun_jax` is found, installed or not

Input = tuple[str, tuple[int, int], int]
Say = Callable[[str], None]


@contextlib.contextmanager
def started(case: str, size: tuple[int, int], batch: int) -> Iterator["Worker"]:
    """A case of `MODULES` in a process of its own, prepared and compiled; it ends with the context.

    Raises:
      InputError: the process ended, as for want of a package.
    """
    command = [sys.executable, str(_WORKER), MODULES[case], case, *map(str, (*size, batch))]
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            bufsize=0,  # nothing is left to be written when the process has ended
            env=os.environ | {"PYTHONPATH": path},
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
    """A process of `benchmarks.cases.worker`, and the file of what it says beside its answers."""

    case: str
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
        memory = " (as the system ends processes for want of memory)" if status == -signal.SIGKILL else ""
        self.complaints.seek(0)
        told = self.complaints.read().decode(errors="replace").strip().splitlines() or ["nothing"]
        missing = [line for line in told if line.startswith("ModuleNotFoundError")]
        extras = ": it needs the `parity` and `export` extras, make install EXTRAS=test,export,parity"
        raise InputError(
            f"{self.case} ended with {how}{memory} and said {(missing or told)[-1]!r}{extras if missing else ''}"
        )


def in_turn(part: str, inputs: Sequence[Input], rounds: int, say: Say = lambda line: None) -> np.ndarray:
    """Every case starts and compiles, and then each runs once in every round, in a new order.

    Args:
      part: what to name to `say`.
      inputs: case, size and batch of each.
      rounds: how many.
      say: is told what is going on.

    Returns:
      Seconds, float64 (rounds, inputs).

    Raises:
      InputError: a case failed, as for want of a package or of memory.
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


def alone(case: str, size: tuple[int, int], batch: int) -> tuple[float, int]:
    """Seconds of a run, and the peak memory of its process, bytes.

    Start the case before: compiling takes more memory than running, and this finds compiled what that start left.
    """
    with started(case, size, batch) as worker:
        return worker.measure(), worker.finish()


def fastest() -> str:
    """The case of labels as they are computed in this environment: with oneDNN, where it is installed."""
    return _LABELS[importlib.util.find_spec("gun_jax_onednn") is not None]


def compare(group: str, rounds: int, say: Say = lambda line: None) -> list[Measured]:
    """Measures a group: the time of all its cases in turn, and the memory of each that is compared by it.

    Cases with oneDNN are left out where that is not installed.

    Args:
      group: of `GROUPS`.
      rounds: how many.
      say: is told what is going on.

    Raises:
      InputError: a case failed.
    """
    (size, batch), comparisons = GROUPS[group]
    if "oneDNN" not in fastest():
        comparisons = tuple(one for one in comparisons if "oneDNN" not in one.of)
    names = list(dict.fromkeys(name for one in comparisons for name in (one.of, one.by)))
    times = in_turn(group, [(name, size, batch) for name in names], rounds, say).T
    seconds = dict(zip(names, times, strict=True))
    peaks: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(name for one in comparisons if one.memory for name in (one.of, one.by)):
        say(f"{group}: memory of {name}")
        peaks[name] = np.asarray([alone(name, size, batch)[1]], float)
    return [
        Measured(one, *((peaks if one.memory else seconds)[name] for name in (one.of, one.by))) for one in comparisons
    ]
