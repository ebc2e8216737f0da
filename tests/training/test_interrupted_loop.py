"""Faults while a run trains: bad steps, signals, images that vanish."""

import json
import os
import signal

import jax.numpy as jnp
import pytest
from reference_runs import draw_folder, result

from gun_jax.errors import InputError
from gun_jax.runs.checkpoints import saved_steps
from gun_jax.training import loop
from gun_jax.training.interruption import InterruptedTrainingError


@pytest.mark.fault("a loss, a gradient or an update that is not finite")
def test_bad_steps_in_a_row_end_a_run_at_its_last_good_checkpoint(bookkeeping, small_config, tmp_path, monkeypatch):
    def step(state, batch):
        good = state.step < 3
        return state.replace(step=state.step + 1), result(jnp.where(good, 1.0, jnp.nan), good)

    small_config.max_bad_steps, small_config.checkpoint_every_epochs = 2, 1.0
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    with pytest.raises(InputError, match=r"^step 5 is number 2 in a row whose loss \(nan\), .*peak_rate.*$"):
        bookkeeping(tmp_path)
    assert saved_steps(tmp_path) == [3]
    rows = [json.loads(line) for line in (tmp_path / "bad_steps.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 5] and all(len(row["ids"]) == 2 for row in rows)


@pytest.mark.fault("a loss, a gradient or an update that is not finite")
def test_single_bad_steps_are_counted_and_left_out_of_the_mean(bookkeeping, small_config, tmp_path, monkeypatch):
    def step(state, batch):
        bad = state.step == 1
        return state.replace(step=state.step + 1), result(jnp.where(bad, jnp.inf, state.step + 1.0), ~bad)

    small_config.log_every_steps, small_config.checkpoint_every_epochs = 3, 1.0
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    rows = [row for row in bookkeeping(tmp_path) if "loss" in row]
    assert [(row["step"], row["loss"], row["bad_steps"]) for row in rows] == [(3, 2.0, 1), (6, 5.0, 0)]


@pytest.mark.fault("SIGTERM and Ctrl-C")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_at_the_next_step_with_a_checkpoint(
    bookkeeping, small_config, tmp_path, monkeypatch, number
):
    def step(state, batch):
        if int(state.step) == 2:
            os.kill(os.getpid(), number)
        return state.replace(step=state.step + 1), result(state.step + 1)

    small_config.checkpoint_every_epochs, handler = 2.0, signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "make_train_step", lambda *_: step)
        with pytest.raises(InterruptedTrainingError, match=f"^stopped by {number.name} after step 3, which is saved"):
            bookkeeping(tmp_path / "stopped")
    assert saved_steps(tmp_path / "stopped") == [3]
    assert signal.getsignal(number) == handler
    # The resumed run makes up for the evaluation that was due.
    assert bookkeeping(tmp_path / "stopped") == bookkeeping(tmp_path / "undisturbed")


@pytest.mark.fault("SIGTERM and Ctrl-C")
def test_a_second_signal_ends_a_run_unsaved(bookkeeping, small_config, tmp_path, monkeypatch):
    def step(state, batch):
        if int(state.step) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return state.replace(step=state.step + 1), result(1)

    small_config.checkpoint_every_epochs = 2.0
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    with pytest.raises(KeyboardInterrupt):
        bookkeeping(tmp_path)
    assert saved_steps(tmp_path) == []


@pytest.fixture
def fading(bookkeeping, small_config, tmp_path, monkeypatch):
    """`fading(workdir, policy)`: a run of 30 steps on six images, of which one vanishes after the second step."""
    draw_folder(tmp_path / "own")
    small_config.data.source, small_config.data.dir, small_config.epochs = "folder", str(tmp_path / "own"), 10.0

    def step(state, batch):
        if int(state.step) == 2:
            (tmp_path / "own/train/images/4.png").unlink()
        return state.replace(step=state.step + 1), result(1)

    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)

    def run(workdir, policy):
        small_config.data.on_bad_record = policy
        return bookkeeping(workdir)

    return run


@pytest.mark.fault("an image that vanishes while training")
def test_an_image_that_vanishes_stops_the_training_by_its_name(fading, tmp_path):
    with pytest.raises(InputError) as caught:
        fading(tmp_path / "run", "stop")
    assert str(caught.value).endswith("own/train/images/4.png cannot be read: No such file or directory")
    assert saved_steps(tmp_path / "run")[0] == 1


@pytest.mark.fault("an image that vanishes while training")
def test_an_image_that_vanishes_is_skipped_reported_and_counted(fading, tmp_path, capsys):
    rows = [row for row in fading(tmp_path / "run", "skip") if "loss" in row]
    assert len(rows) == 30 and sum(row["skipped_records"] for row in rows) >= 3
    assert capsys.readouterr().out.count("skipped: image") == 1
