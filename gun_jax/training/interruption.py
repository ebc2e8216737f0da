"""SIGTERM and Ctrl-C: a training ends with a checkpoint, at the next step."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedTrainingError(Exception):
    """A signal ended a training, whose state is saved.

    Attributes:
      step: at which it stands.
      signal: the signal's number.
    """

    def __init__(self, step: int, number: int):
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} after step {step}, which is saved; the same line goes on")
        self.step, self.signal = step, number


class Interruption:
    """Which signal has come. A second one (of several processes: a second Ctrl-C) ends the process unsaved.

    Attributes:
      signal: its number, or 0.
    """

    def __init__(self) -> None:
        self.signal: int = 0

    def due(self, step: int) -> int:
        """The signal after which to stop at this step, or 0. All of several processes are told the same: SIGTERM."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self.signal = signal.SIGTERM
        return self.signal


@contextlib.contextmanager
def listening() -> Iterator[Interruption]:
    """Listens for signals; of several processes, JAX's runtime listens for SIGTERM, and Ctrl-C becomes that.

    Outside the main thread, where Python hears no signals, nothing is listened for.
    """
    interruption = Interruption()

    def heard(number: int, _: FrameType | None) -> None:
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            interruption.signal = number
        for one, handler in before.items():
            signal.signal(one, handler)

    before: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not the main thread
            for one in _SIGNALS if jax.process_count() == 1 else (signal.SIGINT,):
                before[one] = signal.signal(one, heard)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
