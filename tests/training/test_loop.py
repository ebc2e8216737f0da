"""Whole runs: one that is stopped anywhere and resumed ends as one that is not; files it writes; errors."""

import shutil
import types

import jax
import numpy as np
import pytest
from reference_runs import draw_folder, rows_of, write_classes

from gun_jax import configuration
from gun_jax.errors import InputError
from gun_jax.evaluation.scoring import make_scorer
from gun_jax.runs.checkpoints import Checkpoints, restore_variables, saved_steps
from gun_jax.runs.workdir import saved_config
from gun_jax.training import loop
from gun_jax.training.loop import train
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.state import create_state
from gun_jax.training.step import data_mesh, make_train_step


class StoppedError(Exception):
    """Stands for a kill."""


def same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def content(workdir):
    """All files of a run but TensorBoard's, with their bytes."""
    files = (path for path in workdir.rglob("*") if path.is_file() and "curves" not in path.parts)
    return {str(path.relative_to(workdir)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def compiled(new_small_config):
    """The real step, scorer and first state of `small_config`, compiled once for all runs of this module."""
    config = new_small_config()
    model = configuration.build_model(config.model, 19)
    optimizer = make_optimizer(config.optimizer, learning_rate(config.optimizer, 3, 6))
    return types.SimpleNamespace(
        step=make_train_step(model, optimizer, data_mesh()),
        score=make_scorer(model, 2, 2),
        state=jax.tree.map(np.array, create_state(model, optimizer, config.seed)),
    )


@pytest.fixture
def run(compiled, monkeypatch, small_config):
    """`run(workdir, stop=n)`: trains, with the compiled programs; stops when it is about to take step n."""
    monkeypatch.setattr(loop, "create_state", lambda *_: jax.tree.map(np.copy, compiled.state))

    def train_until(workdir, stop=None):
        def step(state, batch):
            if int(state.step) + 1 == stop:
                raise StoppedError
            return compiled.step(state, batch)

        monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
        if stop is None:
            return jax.device_get(train(small_config, workdir, lambda *_: compiled.score))
        with pytest.raises(StoppedError):
            train(small_config, workdir, lambda *_: compiled.score)
        return None

    return train_until


@pytest.fixture(scope="module")
def unbroken(compiled, new_small_config, tmp_path_factory):
    """A run that was not stopped: its workdir, its last state and its rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_state", lambda *_: jax.tree.map(np.copy, compiled.state))
        patch.setattr(loop, "make_train_step", lambda *_: compiled.step)
        workdir = tmp_path_factory.mktemp("runs") / "unbroken"
        state = jax.device_get(train(new_small_config(), workdir, lambda *_: compiled.score))
    return types.SimpleNamespace(workdir=workdir, state=state, rows=rows_of(workdir))


# Stopping and resuming


@pytest.mark.parametrize("stop", [1, *(pytest.param(stop, marks=pytest.mark.slow) for stop in range(2, 7))])
def test_a_run_stopped_after_any_checkpoint_ends_as_one_that_was_not(run, unbroken, tmp_path, stop):
    run(tmp_path, stop)
    assert saved_steps(tmp_path) == list(range(1, stop))
    same_bits(run(tmp_path), unbroken.state)
    assert rows_of(tmp_path) == unbroken.rows


def test_a_run_stopped_at_every_step_in_turn_ends_as_one_that_was_not(run, unbroken, tmp_path):
    for stop in range(1, 7):
        run(tmp_path, stop)
    same_bits(run(tmp_path), unbroken.state)
    assert rows_of(tmp_path) == unbroken.rows


def test_a_run_stopped_between_two_checkpoints_takes_the_lost_steps_again(run, unbroken, tmp_path, small_config):
    small_config.checkpoint_every_epochs = 2 / 3
    run(tmp_path, 5)
    assert saved_steps(tmp_path) == [2, 3, 4]  # 3 for its evaluation
    shutil.rmtree(tmp_path / "checkpoints" / "4")
    same_bits(run(tmp_path), unbroken.state)
    assert rows_of(tmp_path) == unbroken.rows
    assert saved_steps(tmp_path) == [2, 3, 4, 6]


@pytest.mark.parametrize("lost", [3, 6])
def test_rows_whose_checkpoint_was_not_saved_are_written_once(run, unbroken, tmp_path, monkeypatch, lost):
    def save(self, state, position):
        if int(state.step) == lost:
            raise StoppedError
        real(self, state, position)

    real = Checkpoints.save
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(Checkpoints, "save", save)
        run(tmp_path)
    assert rows_of(tmp_path)[-1]["step"] == lost
    same_bits(run(tmp_path), unbroken.state)
    assert rows_of(tmp_path) == unbroken.rows


def test_settings_that_do_not_affect_learning_may_change_when_a_run_resumes(run, unbroken, tmp_path, small_config):
    run(tmp_path, 4)
    small_config.log_every_steps, small_config.keep_checkpoints, small_config.eval_every_epochs = 5, 1, 0.0
    small_config.data.threads, small_config.data.prefetch = 1, 1
    same_bits(run(tmp_path), unbroken.state)
    assert saved_steps(tmp_path) == [3, 6]  # when 6 was saved, 3 was the best


def test_running_a_finished_run_again_changes_nothing(run, unbroken, monkeypatch):
    before = content(unbroken.workdir)
    same_bits(run(unbroken.workdir, None), unbroken.state)
    assert content(unbroken.workdir) == before


# Results and files


def test_the_checkpoint_of_the_last_step_holds_the_state_that_came_back(unbroken, small_config):
    network = configuration.describe_network(small_config.model, 19)
    variables, step = restore_variables(unbroken.workdir, network, lambda: {})
    assert step == 6 == unbroken.state.step
    same_bits(variables, unbroken.state.variables)


def test_every_parameter_has_a_momentum(unbroken):
    # In six steps some scales of 1 move by less than a float32 can tell.
    leaves = jax.tree.leaves(unbroken.state.opt_state)
    assert len(leaves) > len(jax.tree.leaves(unbroken.state.params))
    assert all(np.any(leaf) for leaf in leaves)


def test_the_rows_have_the_rate_of_their_step_in_the_paper_s_schedule(unbroken):
    rates = [row["learning_rate"] for row in unbroken.rows if "loss" in row]
    np.testing.assert_allclose(rates, [0.05, 0.05, 0.05, 0.005, 0.005, 0.005], rtol=1e-5)


def test_every_epoch_was_evaluated_on_the_validation_split(unbroken):
    scored = [row for row in unbroken.rows if "val/miou" in row]
    assert [(row["step"], row["epoch"]) for row in scored] == [(3, 1.0), (6, 2.0)]


def test_metrics_are_lines_of_strict_json_by_step(unbroken, strict_json):
    rows = [strict_json(line) for line in (unbroken.workdir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 3, 4, 5, 6, 6]


def test_the_workdir_holds_the_resolved_configuration(unbroken, small_config):
    config, classes = saved_config(unbroken.workdir)
    assert config.to_dict() == small_config.to_dict()
    assert classes.names[:3] == ("road", "sidewalk", "building") and len(classes) == 19


def test_a_row_has_the_mean_loss_since_the_last_row(bookkeeping, small_config, tmp_path):
    small_config.log_every_steps, small_config.eval_every_epochs, small_config.checkpoint_every_epochs = 4, 0.0, 0.0
    small_config.epochs = 3.0
    losses = [(row["step"], row["loss"]) for row in bookkeeping(tmp_path) if "loss" in row]
    assert losses == [(4, 2.5), (8, 6.5), (9, 9.0)]


def test_epochs_that_are_no_whole_steps_are_evaluated_with_the_step_that_completes_them(
    bookkeeping, small_config, tmp_path
):
    small_config.data.synthetic_train, small_config.epochs = 7, 3.0  # 3.5 steps an epoch
    small_config.checkpoint_every_epochs, small_config.log_every_steps = 2.0, 100
    rows = bookkeeping(tmp_path)
    assert [row["step"] for row in rows if "val/miou" in row] == [4, 7, 10]  # 10.5 is rounded to 10
    assert saved_steps(tmp_path) == [4, 7, 10]


def test_a_run_always_evaluates_and_saves_at_its_end(bookkeeping, small_config, tmp_path):
    small_config.eval_every_epochs, small_config.checkpoint_every_epochs, small_config.log_every_steps = 0.0, 0.0, 100
    rows = bookkeeping(tmp_path)
    assert [row["step"] for row in rows if "val/miou" in row] == [6]
    assert saved_steps(tmp_path) == [6]


# Errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("epochs", 3.0),
        ("batch_size", 3),
        ("data.crop", (32, 64)),
        ("data.flip", False),
        ("data.synthetic_train", 8),
        ("model.width", 0.2),
        ("model.guidance", "none"),
        ("optimizer.peak_rate", 0.1),
        ("optimizer.schedule", "poly"),
    ],
)
def test_the_workdir_of_another_run_is_refused_by_the_name_of_the_setting(unbroken, small_config, name, value):
    before = content(unbroken.workdir)
    small_config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError, match=rf"^.*holds another run: config\.{name} is .* there and .* here; .*$"):
        train(small_config, unbroken.workdir, make_scorer)
    assert content(unbroken.workdir) == before


def test_a_run_without_a_whole_step_is_refused_in_a_line(small_config, tmp_path):
    small_config.epochs = 0.1
    with pytest.raises(InputError, match=r"^config\.epochs is 0\.1 of 3\.0 steps each; .*$"):
        train(small_config, tmp_path, make_scorer)


@pytest.mark.parametrize(("name", "bad"), [("optimizer.schedule", "linear"), ("model.encoder", "enc42")])
def test_impossible_settings_leave_nothing_behind(small_config, tmp_path, name, bad):
    small_config.update_from_flattened_dict({name: bad})
    with pytest.raises(InputError):
        train(small_config, tmp_path / "run", make_scorer)
    assert not (tmp_path / "run").exists()


def test_a_workdir_without_a_checkpoint_is_free_for_other_settings(run, small_config, tmp_path):
    run(tmp_path, stop=1)
    small_config.optimizer.peak_rate = 0.02
    run(tmp_path, stop=2)
    assert saved_config(tmp_path)[0].optimizer.peak_rate == 0.02


@pytest.mark.parametrize("change", ["an image less", "another name", "other values"])
def test_a_run_does_not_resume_with_other_data(run, small_config, tmp_path, change):
    draw_folder(tmp_path / "data")
    small_config.data.source, small_config.data.dir = "folder", str(tmp_path / "data")
    run(tmp_path / "run", stop=3)
    image, label = (tmp_path / "data" / "train" / part / "5.png" for part in ("images", "labels"))
    if change == "an image less":
        image.unlink()
        small_config.epochs = 2.4  # as many steps
    elif change == "another name":
        image.rename(image.with_name("4a.png"))
        label.rename(label.with_name("4a.png"))
    else:
        write_classes(tmp_path / "data", shift=1)
    with pytest.raises(InputError, match=r"other (data|settings|run).* there and .* here"):
        train(small_config, tmp_path / "run", make_scorer)
    assert saved_steps(tmp_path / "run") == [1, 2]


def test_checkpoints_without_their_configuration_are_refused(run, small_config, tmp_path):
    run(tmp_path, stop=2)
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        train(small_config, tmp_path, make_scorer)


@pytest.mark.parametrize("name", ["w[red]z", "w*", "w?"])
def test_a_workdir_that_orbax_cannot_read_back_is_refused(small_config, tmp_path, name):
    with pytest.raises(InputError, match=r"^workdir .* has one of \[ \] \* \? in it, .*$"):
        train(small_config, tmp_path / name, make_scorer)
    assert not (tmp_path / name).exists()
