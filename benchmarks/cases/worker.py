"""One case of a comparison in a process of its own: each library has its threads and its memory to itself.

`python worker.py FOLDER MODULE CASE HEIGHT WIDTH BATCH` prepares a case of `CASES` in a module of the folder, and runs
it once. Then it answers every line on its standard input with a line of JSON, {"seconds": time of a run}, and the end
of the input with {"peak": bytes}.
"""

import importlib
import json
import os
import pathlib
import re
import resource
import sys
import time
from collections.abc import Callable

_RUNS = 3  # the fastest counts, after a run that does not
_LONG = 2.0  # seconds: longer runs need no such run, and the fastest of two counts


def main(folder: str, module: str, case: str, *numbers: str) -> None:
    with open(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # libraries, and the compilers that they start, write to standard output
        sys.path.insert(0, folder)
        height, width, batch = map(int, numbers)
        run = importlib.import_module(module).CASES[case]((height, width), batch)
        run()
        print(json.dumps({"ready": True}), file=answers)
        for _ in sys.stdin:
            first = _seconds(run)
            times = [first, _seconds(run)] if first > _LONG else [_seconds(run) for _ in range(_RUNS)]
            print(json.dumps({"seconds": min(times)}), file=answers)
        print(json.dumps({"peak": _peak()}), file=answers)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak() -> int:
    """The most memory that this process had resident, bytes."""
    status = pathlib.Path("/proc/self/status")
    # On Linux, getrusage counts the memory of the process that started this one.
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text() if status.exists() else "")
    if found:
        return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
