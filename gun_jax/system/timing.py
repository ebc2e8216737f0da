"""Interleaved timing, and the name of the machine."""

import os
import pathlib
import platform
import re
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np


def time_in_turn(
    runs: Sequence[Callable[[], object]],
    rounds: int,
    progress: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Times functions in turn, in a new random order every round.

    Args:
      runs: functions that return when their work is done.
      rounds: number of calls of each.
      progress: is called after each round.
      clock: returns seconds.

    Returns:
      Seconds, float64 (rounds, len(runs)).
    """
    orders = np.random.default_rng(0)
    seconds = np.zeros((rounds, len(runs)))
    for number in range(rounds):
        for index in orders.permutation(len(runs)):
            start = clock()
            runs[index]()
            seconds[number, index] = clock() - start
        progress()
    return seconds


def machine() -> str:
    """The CPU and its number of cores, e.g. "2 CPU cores (AMD EPYC)", or the name of the accelerator."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = pathlib.Path("/proc/cpuinfo")
    name = re.search(r"model name\s*: (.*)", info.read_text() if info.exists() else "")
    return f"{cores} CPU cores ({name[1].strip() if name else platform.machine()})"
