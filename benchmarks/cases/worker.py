"""One case of a comparison in a process of its own: each library has its threads and its memory to itself.

`python worker.py MODULE CASE HEIGHT WIDTH BATCH` prepares a case of a module's `CASES` and runs it once. Then it
answers every line on its standard input by a line of JSON, {"seconds": time of a run}, and its end by {"peak": bytes}.
"""

import importlib
import json
import os
import pathlib
import re
import resource
import sys
import time

_RUNS = 3  # of which the fastest counts, after one that does not


def main(module: str, case: str, *numbers: str) -> None:
    with open(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # libraries, and the compilers that they start, talk on standard output
        height, width, batch = map(int, numbers)
        run = importlib.import_module(module).CASES[case]((height, width), batch)
        run()
        print(json.dumps({"ready": True}), file=answers)
        for _ in sys.stdin:
            times = []
            for _ in range(_RUNS + 1):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
            print(json.dumps({"seconds": min(times[1:])}), file=answers)
        print(json.dumps({"peak": _peak()}), file=answers)


def _peak() -> int:
    """The most that this process had resident, bytes."""
    status = pathlib.Path("/proc/self/status")
    # What getrusage says on Linux is at least what the process had that started this one.
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text() if status.exists() else "")
    if found:
        return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
