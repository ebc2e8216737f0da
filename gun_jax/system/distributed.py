"""Several processes that work as one, by JAX's distributed runtime."""

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

LOST = 3  # exit status of a process whose others have gone
_HEARTBEAT = 20  # seconds without a sign of life after which a process counts as gone
_START = 120  # seconds to wait for the others


def start(place: str, give_up: Callable[[str], None]) -> None:
    """Joins the others; call it before anything runs.

    Args:
      place: RANK/COUNT@HOST:PORT, as "0/4@localhost:1234": the address of process 0. "auto": as SLURM, Open MPI or a
        cloud's TPUs tell it. "": this is the only process.
      give_up: is called with a line, in another thread, if the others do not come; has to end the process. (JAX's
        runtime, which waits for them, would abort it.)

    Raises:
      InputError: it is of another form, or names no cluster.
    """
    if not place:
        return
    found = re.fullmatch(r"(\d+)/(\d+)@([^@/\s]+:\d+)", place)
    if place != "auto" and not (found and int(found[1]) < int(found[2])):
        raise InputError(f"--processes is {place!r}; expected RANK/COUNT@HOST:PORT, as 0/4@localhost:1234, or auto")
    address, count, rank = (found[3], int(found[2]), int(found[1])) if found else (None, None, None)
    remedy = "start them all with the same HOST:PORT, that of process 0, or within a cluster that JAX knows"
    late = threading.Timer(_START, give_up, [f"--processes={place}: the others have not come in {_START} s; {remedy}"])
    late.start()
    try:
        jax.distributed.initialize(
            address,
            count,
            rank,
            # Else a SLURM task with a place of its own would see one GPU of its machine only.
            cluster_detection_method="deactivate" if found else None,
            initialization_timeout=2 * _START,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_HEARTBEAT,
        )
    except Exception as error:  # whatever JAX's client raises, and the packages by which it looks for clusters
        reason = (str(error).splitlines() or [""])[0][:160]
        raise InputError(f"--processes={place}: the processes do not come together ({reason}); {remedy}") from error
    finally:
        late.cancel()


def is_distributed() -> bool:
    """Whether this is one process of several."""
    return jax.process_count() > 1


def expect_one(what: str) -> None:
    """Refuses to do in several processes what one has to do.

    Raises:
      InputError: this is one of several.
    """
    if is_distributed():
        raise InputError(f"{what}: expected one process; leave --processes out")


def is_main() -> bool:
    """Whether this is the process that speaks and writes for all."""
    return jax.process_index() == 0


def all_reduce_sum(counts: np.ndarray) -> np.ndarray:
    """The sum over all processes of an array of 64-bit numbers, which each calls with its own."""
    if jax.process_count() == 1:
        return counts
    # As halves: JAX would cut 64 bits to 32.
    halves = multihost_utils.process_allgather(np.ascontiguousarray(counts).view(np.int32))
    return np.asarray(halves).view(counts.dtype).sum(0)


def broadcast_from_main(values: np.ndarray) -> np.ndarray:
    """What process 0 calls with: an array of 64-bit numbers, whose shape is the same in all."""
    return all_reduce_sum(values if is_main() else np.zeros_like(values))


def all_of(answer: bool) -> bool:
    """Whether all processes, which each call, say yes."""
    return bool(all_reduce_sum(np.array([not answer], np.int64))[0] == 0)


def wait_for_all(what: str) -> None:
    """Comes back when all processes have called with the same words."""
    multihost_utils.sync_global_devices(what)


def means_that_others_are_gone(error: BaseException) -> bool:
    """Whether an error comes of another process that is gone."""
    # JAX has no type of error for it: a ValueError of Gloo, or its own of NCCL or of its coordination.
    words = r"gloo|nccl|coordination|barrier|heartbeat|UNAVAILABLE|DEADLINE_EXCEEDED"
    return jax.process_count() > 1 and re.search(words, str(error), re.I) is not None


def end_if_others_are_gone(program: str, error: Exception) -> None:
    """Ends this process with a line if an error comes of another process that is gone; else comes back."""
    if not means_that_others_are_gone(error):
        return
    reason = (str(error).splitlines() or [""])[0]
    line = f"{program}: another process is gone ({reason[:160]}); start all again, to go on from the last checkpoint"
    print(line, file=sys.stderr, flush=True)
    leave(LOST)


def leave(status: int) -> NoReturn:
    """Ends this process, whatever the others do."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        os._exit(status)  # the usual way waits for the others, who may wait for this one
    sys.exit(status)
