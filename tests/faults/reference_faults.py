"""train.py in a folder of its own: started, killed, started again; and what is left."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import gun_jax
from gun_jax.runs.checkpoints import saved_steps
from gun_jax.runs.rows import read_rows

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
CONFIG = """
from gun_jax.configuration import default_config

def get_config():
    config = default_config()
    config.steps, config.batch_size, config.log_every_steps = {steps}, 4, 3
    config.eval_every_epochs, config.checkpoint_every_epochs, config.keep_checkpoints = 3.0, 1.25, 2
    config.data.source, config.data.synthetic_size, config.data.threads = "synthetic", (64, 96), 1
    config.data.synthetic_train, config.data.synthetic_val, config.data.random_scale = 16, 3, ()
    config.model.width, config.model.encoder, config.model.guidance = 0.1, "enc4", "high_res"
    config.optimizer.peak_rate = 0.05
    return config
"""
TIMES = ("images_per_second", "waiting")


def place(folder, steps=40):
    """A folder with tiny.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.py").write_text(CONFIG.format(steps=steps))
    return folder


def start(folder, *arguments, program="train.py", before=(), **options):
    """Starts a program there; `before` is what starts it."""
    what = ["--config=tiny.py"] if program == "train.py" else []
    return subprocess.Popen(
        [*before, sys.executable, str(ROOT / program), *what, "--workdir=run", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )


def finish(process, status=0, timeout=300):
    """Waits for its end: what it said, and on standard error."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == status, (process.returncode, out, err)
    return out, err


def wait_for(condition, process, timeout=120):
    """Waits until a condition holds, or the process ends."""
    end = time.monotonic() + timeout
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def writing(folder):
    """The checkpoints that are being written there, or whose writing was cut short: their names and numbers on disk."""
    found = set()
    for path in (folder / "run" / "checkpoints").glob("*.orbax-checkpoint-tmp*"):
        with contextlib.suppress(FileNotFoundError):  # now it is whole
            found.add((path.name, path.stat().st_ino))
    return found


def kill(process, number=signal.SIGKILL):
    process.send_signal(number)


def left(folder):
    """What a run ends with: rows without times, steps, and the digests of all arrays of the last checkpoint."""
    path = folder / "run"
    assert not list(path.glob("checkpoints/*.damaged"))
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in read_rows(path / "metrics.jsonl")]
    steps = saved_steps(path)
    position = json.loads((path / "checkpoints" / str(steps[-1]) / "position" / "metadata").read_text())
    return rows, steps, position
