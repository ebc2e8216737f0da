"""Runs command lines of our programs, each in a fork of one process that has imported JAX, which takes seconds.

What a program prints, writes and exits with is the same as in a process of its own. Tests of imports and signals start
Python themselves.
"""

import atexit
import functools
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]


def run_program(program, *arguments, cwd, env=None):
    """Runs a program of the repository: a `subprocess.CompletedProcess` with its status, stdout and stderr.

    Args:
      program: e.g. "train.py".
      *arguments: its command line.
      cwd: folder to run it in.
      env: environment variables; by default ours.
    """
    line = [program, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("out", "err")]
        request = [line, str(cwd), dict(os.environ if env is None else env), *map(str, files)]
        server = _server()
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(line, status, *(file.read_text() for file in files))


@functools.cache
def _server():
    command = [sys.executable, __file__]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    atexit.register(server.communicate)  # it ends with its stdin
    return server


def _fork_for_each_request():
    """Serves requests; returns in each child, with its command line."""
    for text in sys.stdin:
        child = os.fork()
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        line, cwd, env, out, err = json.loads(text)
        for number, path in enumerate((os.devnull, out, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        return line
    sys.exit()


def _run(line):
    """Runs a command line as Python does, and ends the process without the second that taking JAX apart takes."""
    sys.argv[:] = line
    sys.path[0] = str(ROOT)
    status = 1
    try:
        runpy.run_path(str(ROOT / line[0]), run_name="__main__")
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    import cv2  # noqa: F401
    import matplotlib.pyplot  # noqa: F401

    import gun_jax.evaluation.evaluate
    import gun_jax.prediction.run
    import gun_jax.training.loop  # noqa: F401

    _run(_fork_for_each_request())
