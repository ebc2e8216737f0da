"""Several processes that train and evaluate as one, on the CPUs of this machine."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from reference_faults import finish, kill, place, start, wait_for
from reference_runs import draw_folder

from gun_jax.runs.checkpoints import saved_steps
from gun_jax.runs.rows import read_rows

STEPS = 12
# What differs by rounding grows while a network learns: to a thousandth of the loss in six steps at the rate of 0.05.
SLOWLY = ("--config.optimizer.peak_rate=0.0001", "--config.log_every_steps=1")


def together(folder, count, *arguments, program="train.py"):
    """Starts the processes of one run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    places = [f"--processes={rank}/{count}@localhost:{port}" for rank in range(count)]
    return [start(folder, place, *arguments, program=program) for place in places]


def trained(folder, count=1):
    """Trains in so many processes."""
    place(folder, STEPS)
    for process in [start(folder, *SLOWLY)] if count == 1 else together(folder, count, *SLOWLY):
        finish(process)
    return folder


def losses(folder):
    return [row["loss"] for row in read_rows(folder / "run" / "metrics.jsonl") if "loss" in row]


def evaluation(folder):
    return json.loads((folder / "run" / "evaluation" / "val.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder in which one process has trained and evaluated."""
    folder = trained(tmp_path_factory.mktemp("alone"))
    finish(start(folder, program="evaluate.py"))
    return folder


@pytest.mark.slow
@pytest.mark.fault("several processes instead of one")
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_train_and_evaluate_as_one(tmp_path, alone, count):
    trained(tmp_path, count)
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=1e-5)
    shutil.rmtree(tmp_path / "run")
    shutil.copytree(alone / "run", tmp_path / "run")
    (tmp_path / "run" / "evaluation" / "val.json").unlink()
    for process in together(tmp_path, count, program="evaluate.py"):
        finish(process)
    assert evaluation(tmp_path) == evaluation(alone)


@pytest.mark.slow
def test_losses_tell_such_trainings_apart(tmp_path, alone):
    place(tmp_path, STEPS)
    finish(start(tmp_path, *SLOWLY, "--config.optimizer.peak_rate=0.0002"))
    difference = np.abs(np.array(losses(tmp_path)) / losses(alone) - 1)
    assert difference[0] == 0 and difference[4:].min() > 3e-5


@pytest.mark.slow
@pytest.mark.fault("several processes stop by Ctrl-C")
def test_ctrl_c_stops_several_processes_together(tmp_path):
    place(tmp_path, STEPS)
    processes = together(tmp_path, 2, *SLOWLY)
    wait_for((tmp_path / "run" / "config.json").exists, processes[0])
    kill(processes[0], signal.SIGINT)
    for process in processes:
        _, err = finish(process, 128 + signal.SIGTERM)
        assert "train.py: stopped by SIGTERM after step" in err
    assert 0 < saved_steps(tmp_path / "run")[-1] < STEPS


@pytest.mark.slow
@pytest.mark.fault("several processes stop by SIGTERM, and another number resumes")
def test_processes_that_are_asked_to_stop_save_together_and_another_number_resumes(tmp_path, alone):
    place(tmp_path, STEPS)
    processes = together(tmp_path, 2, *SLOWLY)
    wait_for((tmp_path / "run" / "config.json").exists, processes[0])  # all are there, and compile the first step
    kill(processes[1], signal.SIGTERM)
    for process in processes:
        _, err = finish(process, 128 + signal.SIGTERM)
        assert "train.py: stopped by SIGTERM after step" in err
    assert 0 < saved_steps(tmp_path / "run")[-1] < STEPS
    trained(tmp_path, 4)
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=1e-5)


def own_images(folder):
    """Eight scenes to train on, of which one is cut off, in files: the flags that name them."""
    draw_folder(folder / "own", train=8, size=(64, 96))
    cut = folder / "own" / "train" / "images" / "5.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    return ["--config.data.source=folder", "--config.data.dir=own", "--config.log_every_steps=1"]


@pytest.mark.slow
@pytest.mark.fault("a bad record in one process of several")
def test_a_bad_record_of_one_process_ends_all(tmp_path):
    flags = own_images(place(tmp_path, steps=6))
    ends = [(*process.communicate(timeout=120), process.returncode) for process in together(tmp_path, 2, *flags)]
    assert {status for *_, status in ends} <= {2, 3, -signal.SIGABRT}
    assert any("own/train/images/5.png is cut off" in err.splitlines()[-1] for _, err, status in ends if status == 2)


@pytest.mark.slow
@pytest.mark.fault("a bad record in one process of several")
def test_several_processes_count_what_they_skip_and_go_back_together_from_a_damaged_checkpoint(tmp_path):
    flags = [*own_images(place(tmp_path, steps=6)), "--config.data.on_bad_record=skip"]
    said = [finish(process)[0] for process in together(tmp_path, 2, *flags)]
    rows = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert sum(row["skipped_records"] for row in rows) == 3  # in 24 records of 8 images
    assert any("skipped: image" in out for out in said)
    for path in (tmp_path / "run/checkpoints/6/variables").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for process in together(tmp_path, 2, *flags):
        _, err = finish(process)
        assert "checkpoints/6 is damaged" in err and "using that of step 5" in err
    assert saved_steps(tmp_path / "run")[-1] == 6 and (tmp_path / "run/checkpoints/6.damaged").is_dir()
    again = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert [row["loss"] for row in again] == [row["loss"] for row in rows]


@pytest.mark.slow
@pytest.mark.fault("processes that cannot connect")
@pytest.mark.parametrize("where", ["auto", "2/2@localhost:1234", "0/2", "1@localhost:1234", "x"])
def test_processes_that_cannot_connect_are_refused_in_a_line(tmp_path, where):
    _, err = finish(start(place(tmp_path), f"--processes={where}"), 2)
    (line,) = err.splitlines()
    assert line.startswith("train.py: --processes") and where in line


@pytest.mark.slow
@pytest.mark.fault("processes that cannot connect")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_whose_others_do_not_start_says_so(rank):
    program = (
        "import sys; from gun_jax.programs import command_line; from gun_jax.system import distributed; "
        "distributed._START = 3; "
        f"sys.argv = ['train.py', '--processes={rank}/2@localhost:12399']; command_line.define_processes(); "
        "command_line.run(lambda: None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert (
        "the other processes did not start within 3 s; start all" in done.stderr and len(done.stderr.splitlines()) == 1
    )


@pytest.mark.slow
@pytest.mark.fault("options that need a single process")
def test_what_only_one_process_can_do_is_refused_to_several(tmp_path, alone):
    shutil.copytree(alone / "run", tmp_path / "run")
    for process in together(tmp_path, 2, "--panels=1", program="evaluate.py"):
        _, err = finish(process, 2)
        (line,) = err.splitlines()
        assert line.startswith("evaluate.py: --panels") and "expected one process; leave --processes out" in line


@pytest.mark.slow
@pytest.mark.fault("a process of several is killed or hangs")
@pytest.mark.parametrize(
    ("victim", "how"), [(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGSTOP)], ids=["first", "other", "still"]
)
def test_a_lost_process_ends_the_others_with_a_line_within_a_minute(tmp_path, victim, how):
    place(tmp_path, steps=4000)
    processes = together(tmp_path, 2)
    lost, left = processes[victim], processes[1 - victim]
    wait_for(lambda: saved_steps(tmp_path / "run"), processes[0])
    kill(lost, how)
    begin = time.monotonic()
    _, err = left.communicate(timeout=90)
    assert time.monotonic() - begin < 60
    kill(lost)
    lost.communicate()
    if left.returncode == -signal.SIGABRT:  # JAX's runtime was faster
        assert "another task died" in err and (victim == 0 or how == signal.SIGSTOP)
    else:
        assert left.returncode == 3 and "another process is gone" in err.splitlines()[-1]
