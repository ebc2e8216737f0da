"""A disk that fills: a small file system of its own, in a mount namespace that ends with the program."""

import shutil
import subprocess

import pytest
from reference_faults import finish, place, start

from gun_jax.runs.checkpoints import saved_steps

# tmpfs takes a page for each small file and folder.
SMALL = """
mount -t tmpfs -o size={kilobytes}k tmpfs run && "$@"
status=$?
cp -a run kept
exit $status
"""


def namespace_works():
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not namespace_works(), reason="no mount namespaces here")
@pytest.mark.slow
@pytest.mark.fault("no space while saving or logging")
@pytest.mark.parametrize(
    ("kilobytes", "every", "what", "steps"), [(20, 0, "cannot write", []), (4000, 1.25, "cannot save", [5])]
)
def test_a_disk_that_fills_stops_the_training_in_a_line_and_what_was_saved_stays(
    tmp_path, kilobytes, every, what, steps
):
    place(tmp_path)
    (tmp_path / "run").mkdir()
    settings = ["--config.keep_checkpoints=20", "--config.log_every_steps=1"]
    settings += [f"--config.{event}_every_epochs={every}" for event in ("checkpoint", "eval")]
    small = ["unshare", "-rm", "sh", "-c", SMALL.format(kilobytes=kilobytes), "sh"]
    _, err = finish(start(tmp_path, *settings, before=small), 2)
    (line,) = err.splitlines()
    assert what in line and "No space left" in line and "free some space" in line
    # With space again, the command resumes from what was saved.
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "kept").rename(tmp_path / "run")
    assert saved_steps(tmp_path / "run") == steps
    out, err = finish(start(tmp_path, *settings))
    assert (f"resuming at step {steps[-1]} " in out) if steps else ("compiling" in out)
    assert not err
