"""The time that programs take to start: with an empty compilation cache, and with a filled one."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

from gun_jax.errors import InputError

_SETTINGS = (
    "--config=configs/synthetic.py",
    "--config.model.width=1.0",
    "--config.steps=2",
    "--config.optimizer.warmup_epochs=0.0",
    "--config.data.synthetic_val=8",  # one batch: the time to draw scenes is not start-up
)
_FIRST_STEP = re.compile(r"([\d.]+) s after the start of the program")


def start_up(root: pathlib.Path) -> dict[str, np.ndarray]:
    """Seconds of a start with an empty cache folder, and of a second one with the cache that the first filled.

    Args:
      root: folder of train.py and evaluate.py.

    Returns:
      float64 (2,) each, for the final network on the demo's scenes: "first training step", from the start of `train.py`
      to the end of its first step, and "evaluate.py", from its start to its end, on 8 scenes.

    Raises:
      InputError: a program fails.
    """
    training, evaluation = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            run, cache = f"--workdir={folder}/run{number}", f"--compilation_cache={folder}/for-train"
            told, _ = run_program(root, "train.py", *_SETTINGS, run, cache)
            found = _FIRST_STEP.search(told)
            assert found
            training.append(float(found[1]))
        for _ in range(2):
            cache = f"--compilation_cache={folder}/for-evaluate"
            evaluation.append(run_program(root, "evaluate.py", run, cache)[1])
    return {"first training step": np.asarray(training), "evaluate.py": np.asarray(evaluation)}


def run_program(root: pathlib.Path, program: str, *arguments: str) -> tuple[str, float]:
    """Runs a program of the folder `root`: its output, and its time in seconds.

    Raises:
      InputError: it fails.
    """
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, str(root / program), *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=kept, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise InputError(f"{program} ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout, seconds
