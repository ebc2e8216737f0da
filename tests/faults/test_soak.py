"""Half an hour of training: memory, open files, threads and speed stay what they are."""

import os
import time

import numpy as np
import psutil
import pytest
from reference_faults import kill, place, start, wait_for

from gun_jax.runs.rows import read_rows

MINUTES = float(os.environ.get("GUN_SOAK_MINUTES", "30"))
WARM_UP = 1 / 6  # of the time


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 300)
@pytest.mark.fault("half an hour of training")
def test_a_long_training_needs_no_more_with_time(tmp_path):
    place(tmp_path, steps=10_000_000)
    flags = ("--config.eval_every_epochs=40.0", "--config.checkpoint_every_epochs=40.0")
    rows = tmp_path / "run" / "metrics.jsonl"
    samples = []
    with (tmp_path / "screen").open("w") as screen:  # a pipe that nobody reads would fill, and the training wait
        process = start(tmp_path, *flags, stdout=screen, stderr=screen)
        watched = psutil.Process(process.pid)
        wait_for(rows.exists, process)
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < 60 * MINUTES:
                time.sleep(max(0.5, MINUTES / 6))
                assert process.poll() is None
                minutes, step = (time.monotonic() - begin) / 60, read_rows(rows)[-1]["step"]
                memory = watched.memory_info().rss / 2**20
                samples.append((minutes, step, memory, watched.num_fds(), watched.num_threads()))
        finally:
            kill(process)
            process.wait()
    minutes, step, memory, files, threads = np.array([row for row in samples if row[0] > WARM_UP * MINUTES]).T
    slope = np.polyfit(minutes, memory, 1)[0]
    parts = [np.polyfit(minutes[part], step[part], 1)[0] for part in np.array_split(np.arange(len(minutes)), 3)]
    print(
        f"{slope:.3f} MiB a minute at {memory.mean():.0f} MiB, {files.min():.0f} to {files.max():.0f} files, "
        f"{threads.min():.0f} to {threads.max():.0f} threads, {np.round(parts)} steps a minute"
    )
    assert slope < 1
    assert np.median(files[-5:]) <= np.median(files[:5]) + 1
    assert np.median(threads[-5:]) <= np.median(threads[:5]) + 1
    assert parts[2] > 0.9 * parts[0]
