"""Runs command lines of our programs, each in a fork of one process that has imported JAX, which takes seconds.

As a program: on stdin a JSON list of command lines, each a list of words, the first of which is a file of the
repository; on stdout a JSON list of [exit status, stdout, stderr].
"""

import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]


def run_programs(lines, cwd, imports=(), env=None):
    """Runs command lines one after the other: a `subprocess.CompletedProcess` for each.

    Args:
      lines: e.g. [["predict.py", "--batch=0", "street.jpg"]].
      cwd: folder to run them in.
      imports: modules that most of them need.
      env: environment variables; by default ours.
    """
    done = subprocess.run(
        [sys.executable, __file__, *imports],
        input=json.dumps([list(map(str, line)) for line in lines]),
        cwd=cwd,
        env=(os.environ if env is None else env) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = zip(lines, json.loads(done.stdout), strict=True)
    return [subprocess.CompletedProcess(line, *answer) for line, answer in answers]


def _run(line):
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                sys.argv[:] = line
                runpy.run_path(str(ROOT / line[0]), run_name="__main__")
                status = 0
            except SystemExit as stop:
                status = stop.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for file in (out, errors):
            file.seek(0)
        return status, out.read(), errors.read()


if __name__ == "__main__":
    for module in ("gun_jax.programs.command_line", *sys.argv[1:]):
        importlib.import_module(module)
    print(json.dumps([_run(line) for line in json.load(sys.stdin)]))
