"""Several processes that train or evaluate together, through JAX's distributed runtime."""

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from gun_jax.errors import InputError

LOST = 3  # exit status when another process is gone
_HEARTBEAT = 20  # seconds without a heartbeat after which a process counts as gone
_START = 120  # seconds to wait for the other processes


def start(place: str, give_up: Callable[[str], None]) -> None:
    """Joins the other processes; call it before anything runs on a device.

    Args:
      place: RANK/COUNT@HOST:PORT, e.g. "0/4@localhost:1234", where HOST:PORT is the address of process 0. "auto": from
        SLURM, Open MPI or a cloud's TPUs. "": this is the only process.
      give_up: is called with a message, in another thread, if the others do not start in time; has to end the process,
        which JAX's runtime would abort.

    Raises:
      InputError: `place` has another form, or JAX finds no cluster.
    """
    if not place:
        return
    found = re.fullmatch(r"(\d+)/(\d+)@([^@/\s]+:\d+)", place)
    if place != "auto" and not (found and int(found[1]) < int(found[2])):
        raise InputError(f"--processes is {place!r}; expected RANK/COUNT@HOST:PORT, e.g. 0/4@localhost:1234, or auto")
    address, count, rank = (found[3], int(found[2]), int(found[1])) if found else (None, None, None)
    remedy = "start all with the same HOST:PORT, that of process 0, or in a cluster that JAX knows"
    late = threading.Timer(
        _START, give_up, [f"--processes={place}: the other processes did not start within {_START} s; {remedy}"]
    )
    late.start()
    try:
        jax.distributed.initialize(
            address,
            count,
            rank,
            # Otherwise a SLURM task with an explicit place would see only one GPU of its machine.
            cluster_detection_method="deactivate" if found else None,
            initialization_timeout=2 * _START,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_HEARTBEAT,
        )
    except Exception as error:  # JAX's client and its cluster detection raise all kinds
        reason = (str(error).splitlines() or [""])[0][:160]
        raise InputError(f"--processes={place}: the processes cannot connect ({reason}); {remedy}") from error
    finally:
        late.cancel()


def is_distributed() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def expect_one(what: str) -> None:
    """Checks that there are no other processes.

    Raises:
      InputError: there are; `what` names the flag that does not work with several.
    """
    if is_distributed():
        raise InputError(f"{what}: expected one process; leave --processes out")


def is_main() -> bool:
    """Whether this is process 0, which prints and writes files for all."""
    return jax.process_index() == 0


def all_reduce_sum(counts: np.ndarray) -> np.ndarray:
    """The sum of an array of 64-bit numbers over all processes, which all call it."""
    if jax.process_count() == 1:
        return counts
    # Gathered as 32-bit halves: JAX would truncate 64 bits.
    halves = multihost_utils.process_allgather(np.ascontiguousarray(counts).view(np.int32))
    return np.asarray(halves).view(counts.dtype).sum(0)


def broadcast_from_main(values: np.ndarray) -> np.ndarray:
    """The values of process 0: an array of 64-bit numbers, of the same shape in all processes, which all call it."""
    return all_reduce_sum(values if is_main() else np.zeros_like(values))


def all_of(answer: bool) -> bool:
    """Whether the answer is true in all processes, which all call it."""
    return bool(all_reduce_sum(np.array([not answer], np.int64))[0] == 0)


def wait_for_all(what: str) -> None:
    """Returns when all processes have called it, with the same `what`."""
    multihost_utils.sync_global_devices(what)


def means_that_others_are_gone(error: BaseException) -> bool:
    """Whether the cause of an error is that another process is gone."""
    # JAX has no exception type for it: Gloo raises a ValueError, NCCL and the coordination service a JaxRuntimeError.
    words = r"gloo|nccl|coordination|barrier|heartbeat|UNAVAILABLE|DEADLINE_EXCEEDED"
    return jax.process_count() > 1 and re.search(words, str(error), re.I) is not None


def end_if_others_are_gone(program: str, error: Exception) -> None:
    """Ends this process with a message if the cause of an error is that another process is gone."""
    if not means_that_others_are_gone(error):
        return
    reason = (str(error).splitlines() or [""])[0]
    line = f"{program}: another process is gone ({reason[:160]}); restart all to resume from the last checkpoint"
    print(line, file=sys.stderr, flush=True)
    leave(LOST)


def leave(status: int) -> NoReturn:
    """Exits without waiting for other processes."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        os._exit(status)  # a normal exit waits for the others, which may wait for this one
    sys.exit(status)
