"""SIGTERM and Ctrl-C: the training saves a checkpoint after the running step, and ends."""

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
    """A signal ended a training; its checkpoint is saved.

    Attributes:
      step: of the checkpoint.
      signal: number of the signal.
    """

    def __init__(self, step: int, number: int):
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} after step {step}, which is saved; rerun the command to resume")
        self.step, self.signal = step, number


class Interruption:
    """The signal that asked the training to stop. A second one (with several processes: a second Ctrl-C) kills it.

    Attributes:
      signal: its number; 0: there was none.
    """

    def __init__(self) -> None:
        self.signal: int = 0

    def due(self, step: int) -> int:
        """The signal that ends the training after this step, or 0; the same (SIGTERM) in all processes."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self.signal = signal.SIGTERM
        return self.signal


@contextlib.contextmanager
def listening() -> Iterator[Interruption]:
    """Handles SIGTERM and SIGINT within a `with` block.

    With several processes JAX's runtime handles SIGTERM, and SIGINT is turned into it. Outside the main thread, where
    Python allows no handlers, signals keep their effect.
    """
    interruption = Interruption()

    def handle(number: int, _: FrameType | None) -> None:
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
                before[one] = signal.signal(one, handle)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
