"""The network beside itself in PyTorch and OpenVINO: in processes of their own, in turn, as ratios."""

import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable

import numpy as np

from gun_jax.errors import InputError

LABELS = (512, 1024), 1
SMALL, LARGE = ((180, 240), 8), ((360, 480), 8)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A row of the table: a case of `gun_jax.benchmark.worker` by another one.

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


# Groups of comparisons at one size (height, width) and batch; the cases of a group run in turn.
GROUPS: dict[str, tuple[tuple[tuple[int, int], int], tuple[Comparison, ...]]] = {
    "labels": (
        LABELS,
        (
            Comparison("labels", "jax", "torch.compile", 0.80),
            Comparison("labels", "jax", "torch"),
            Comparison("labels", "jax", "openvino", 1.00),
            Comparison("memory of labels", "jax", "torch.compile", 1.00, memory=True),
            Comparison("memory of labels", "jax", "torch", 1.00, memory=True),
        ),
    ),
    "gum": (
        LABELS,
        (
            Comparison("guided by bilinear upsampling", "jax", "jax baseline", 1.06),
            Comparison("the same, method nearest", "jax nearest", "jax baseline", 1.00),
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
        (
            Comparison("training step", "jax training", "torch training", 0.90),
            Comparison("memory of training", "jax training", "torch training", 1.00, memory=True),
        ),
    ),
    "training-large": (
        LARGE,
        (
            Comparison("training step", "jax training", "torch training", 0.90),
            Comparison("memory of training", "jax training", "torch training", 1.00, memory=True),
        ),
    ),
}


class Worker:
    """A process of `gun_jax.benchmark.worker`; use it as a context."""

    def __init__(self, case: str, size: tuple[int, int], batch: int):
        self.case = case
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        command = [sys.executable, "-m", "gun_jax.benchmark.worker", case, *map(str, (*size, batch))]
        self._process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints
        )
        assert self._process.stdin and self._process.stdout
        self._asked, self._answered = self._process.stdin, self._process.stdout
        self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._asked, self._answered, self._complaints):
            file.close()

    def measure(self) -> float:
        """Seconds of a run."""
        self._asked.write("\n")
        self._asked.flush()
        return self._answer()["seconds"]

    def finish(self) -> int:
        """Ends the process: its peak memory, bytes."""
        self._asked.close()
        return self._answer()["peak"]

    def _answer(self) -> dict:
        line = self._answered.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._complaints.seek(0)
        told = self._complaints.read().strip().splitlines() or ["nothing"]
        missing = ": it needs the `parity` and `export` extras, make install EXTRAS=test,export,parity"
        raise InputError(f"{self.case} ended with {told[-1]!r}{missing * ('ModuleNotFound' in told[-1])}")


def compare(group: str, rounds: int, say: Callable[[str], None] = lambda line: None) -> list[Measured]:
    """Measures a group: every case starts and compiles, and then each runs once in every round, in a new order.

    Args:
      group: of `GROUPS`.
      rounds: how many.
      say: is told what is going on.

    Raises:
      InputError: a case failed, as for want of a package.
    """
    (size, batch), comparisons = GROUPS[group]
    names = list(dict.fromkeys(name for one in comparisons for name in (one.of, one.by)))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            say(f"{group}: starting {name}")
            workers[name] = stack.enter_context(Worker(name, size, batch))
        orders = np.random.default_rng(0)
        for number in range(rounds):
            say(f"{group}: round {number + 1} of {rounds}")
            for index in orders.permutation(len(names)):
                seconds[names[index]].append(workers[names[index]].measure())
    peaks: dict[str, float] = {}
    for name in dict.fromkeys(name for one in comparisons if one.memory for name in (one.of, one.by)):
        say(f"{group}: memory of {name}")
        # Of a start of its own, which finds compiled what the first one left: compiling takes more than running.
        with Worker(name, size, batch) as worker:
            worker.measure()
            peaks[name] = worker.finish()
    measured = []
    for one in comparisons:
        of, by = ([peaks[name]] if one.memory else seconds[name] for name in (one.of, one.by))
        measured.append(Measured(one, np.asarray(of), np.asarray(by)))
    return measured
