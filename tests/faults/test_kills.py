"""Runs that are killed end as one that was not: the same bits, and the same rows."""

import os
import random
import re
import signal
import time

import psutil
import pytest
from reference_faults import finish, kill, left, place, start, wait_for, writing

from gun_jax.runs.checkpoints import saved_steps
from gun_jax.runs.rows import read_rows

STEPS = 60
KILLS = 22
START = 8.0  # seconds from the start of the program to about its first step


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run ends with that nobody disturbs."""
    folder = place(tmp_path_factory.mktemp("undisturbed"), STEPS)
    finish(start(folder))
    return left(folder)


def same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == theirs


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.fault("kill -9 at random moments, some while a checkpoint is written", tried=KILLS)
def test_a_run_that_is_killed_again_and_again_ends_bit_by_bit_as_one_that_is_not(tmp_path, undisturbed):
    """A third of the kills comes while the program starts, a third after its first steps, a third while it saves."""
    place(tmp_path, STEPS)
    rows, moments, in_saving = tmp_path / "run" / "metrics.jsonl", random.Random(0), 0
    for number in range(KILLS):
        stale, since = writing(tmp_path), rows.stat().st_mtime_ns if rows.exists() else 0
        process = start(tmp_path)
        near_its_end = saved_steps(tmp_path / "run")[-1:] > [STEPS - 20]
        if number % 3 == 0 or near_its_end:
            time.sleep(moments.uniform(0, START))
        elif number % 3 == 1:
            wait_for(lambda since=since: rows.exists() and rows.stat().st_mtime_ns > since, process)
            time.sleep(moments.uniform(0, 1))
        else:
            wait_for(lambda stale=stale: writing(tmp_path) - stale, process)
            time.sleep(moments.uniform(0, 0.02))
        kill(process)
        process.communicate()
        assert process.returncode == -signal.SIGKILL  # and not at its end
        in_saving += bool(writing(tmp_path) - stale)
    finish(start(tmp_path))
    same(left(tmp_path), undisturbed)
    assert in_saving >= 3


@pytest.mark.slow
@pytest.mark.fault("signals while other processes read the images")
def test_processes_that_read_leave_signals_to_the_training_and_end_with_it(tmp_path):
    place(tmp_path, STEPS)
    rows = tmp_path / "run" / "metrics.jsonl"
    process = start(tmp_path, "--config.data.workers=1", start_new_session=True)
    wait_for(rows.exists, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = finish(process, 128 + signal.SIGINT)
    assert "train.py: stopped by SIGINT after step" in err
    since = rows.stat().st_mtime_ns
    process = start(tmp_path, "--config.data.workers=1")
    wait_for(lambda: rows.stat().st_mtime_ns > since and len(read_rows(rows)) > 3, process)
    readers = psutil.Process(process.pid).children(recursive=True)
    kill(process)
    process.communicate()
    _, alive = psutil.wait_procs(readers, timeout=10)
    assert readers and not alive


@pytest.mark.slow
@pytest.mark.fault("SIGTERM and Ctrl-C", tried=2)
def test_a_run_that_is_asked_to_stop_saves_says_so_and_resumes_as_if_it_had_not(tmp_path, undisturbed):
    place(tmp_path, STEPS)
    rows, step = tmp_path / "run" / "metrics.jsonl", 0
    for number in (signal.SIGTERM, signal.SIGINT):
        since = rows.stat().st_size if rows.exists() else 0
        process = start(tmp_path)
        wait_for(lambda since=since: rows.exists() and rows.stat().st_size > since, process)
        kill(process, number)
        _, err = finish(process, 128 + number)
        said = re.fullmatch(
            rf"train.py: stopped by {number.name} after step (\d+), which is saved; rerun the command to resume\n", err
        )
        assert step < int(said[1]) < STEPS
        step = left(tmp_path)[1][-1]
        assert step == int(said[1])
    finish(start(tmp_path))
    rows, _, position = left(tmp_path)
    assert (rows, position) == (undisturbed[0], undisturbed[2])
