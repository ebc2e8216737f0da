"""A run read from its workdir: against what was written there, and damaged in every way that a file can be."""

import json

import pytest
from reference_workdirs import write_evaluation, write_run

from gun_jax.errors import InputError
from gun_jax.models.counting import parameters
from gun_jax.runs.reading import find_workdirs, read_run
from gun_jax.runs.workdir import save_config, saved_config


@pytest.fixture
def workdir(tmp_path):
    return write_run(tmp_path / "runs" / "one", seed=3)


def test_a_run_is_what_its_files_say(workdir):
    write_evaluation(workdir)
    run = read_run(workdir)
    assert (run.step, run.epoch, run.parameters, run.classes) == (16, 4.0, 1234567, ("road", "sky"))
    assert run.settings["seed"] == 3 and run.settings["data.crop"] == ()
    assert run.scores == {"miou": 0.5, "accuracy": 0.9, "iou/road": 0.5, "iou/sky": None}
    assert run.loss == 2.0 and run.evaluations["val"]["miou"] == 0.25


def test_the_speed_is_the_median_of_what_was_reported(workdir):
    assert read_run(workdir).images_per_second == sorted(step**2 for step in range(4, 17, 2))[3]


def test_without_a_speed_there_is_none(tmp_path):
    workdir = write_run(tmp_path / "one")
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    (workdir / "metrics.jsonl").write_text(lines[0] + "\n")
    run = read_run(workdir)
    assert run.images_per_second is None and run.scores == {} and not run.finished


@pytest.mark.parametrize(
    ("trained", "settings", "finished"),
    [
        (4, {}, True),
        (3, {}, False),
        (4, {"epochs": 3.9}, True),  # 15.6 steps are 16
        (4, {"epochs": 4.2}, False),
        (4, {"steps": 16}, True),
        (4, {"steps": 17}, False),
    ],
)
def test_a_run_is_finished_at_the_last_step_of_its_schedule(tmp_path, trained, settings, finished):
    assert read_run(write_run(tmp_path / "one", trained=trained, **settings)).finished == finished


def test_a_run_whose_last_evaluation_is_missing_is_not_finished(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    (workdir / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    assert not read_run(workdir).finished


def test_steps_that_are_no_whole_epochs_do_not_hide_the_end(tmp_path):
    """367 images in batches of 8: 42 epochs are 1926.75 steps, "epoch" is rounded to four digits."""
    workdir = write_run(tmp_path / "one")
    config, classes = saved_config(workdir)
    config.epochs = 42.0
    save_config(workdir, config, classes, 1)
    for step, finished in ((1927, True), (1926, False)):
        row = {"step": step, "epoch": round(step * 8 / 367, 4), "val/miou": 0.5}
        (workdir / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        assert read_run(workdir).finished == finished


def test_a_short_training_of_long_epochs_ends_whatever_its_epoch_is_rounded_to(tmp_path):
    """30000 steps an epoch, of which 0.33335 are 10000."""
    workdir = write_run(tmp_path / "one", epochs=0.33335)
    (workdir / "metrics.jsonl").write_text('{"step": 10000, "epoch": 0.3333, "val/miou": 0.5}\n')
    assert read_run(workdir).finished


def test_the_first_step_of_a_very_long_epoch_is_of_epoch_nought(tmp_path):
    workdir = write_run(tmp_path / "one")
    (workdir / "metrics.jsonl").write_text('{"step": 1, "epoch": 0.0, "loss": 2.0}\n')
    assert read_run(workdir).epoch == 0 and not read_run(workdir).finished


def test_parameters_that_were_not_written_down_are_counted(random_run, tmp_path):
    workdir = write_run(tmp_path / "one", parameters=None)
    saved = json.loads((random_run.workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps(saved))
    assert read_run(workdir).parameters == parameters(random_run.variables["params"])


def test_a_line_that_is_being_written_does_not_count(workdir):
    before = read_run(workdir)
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 18, "epo')
    assert read_run(workdir) == before


DAMAGES = {
    "no configuration": lambda workdir: (workdir / "config.json").unlink(),
    "half a configuration": lambda workdir: (workdir / "config.json").write_text('{"config": {'),
    "no metrics": lambda workdir: (workdir / "metrics.jsonl").unlink(),
    "empty metrics": lambda workdir: (workdir / "metrics.jsonl").write_text(""),
    "half a first row": lambda workdir: (workdir / "metrics.jsonl").write_text('{"step": 2, "ep'),
    "a damaged row": lambda workdir: (workdir / "metrics.jsonl").write_text('{"step": 2\n{"step": 4, "epoch": 1}\n'),
    "step 0": lambda workdir: (workdir / "metrics.jsonl").write_text('{"step": 0, "epoch": 0.0}\n'),
    "a list": lambda workdir: (workdir / "metrics.jsonl").write_text("[1, 2]\n"),
    "a row without step": lambda workdir: (workdir / "metrics.jsonl").write_text('{"epoch": 2, "loss": 1}\n'),
    "a loss in words": lambda workdir: (workdir / "metrics.jsonl").write_text('{"step": 2, "epoch": 2, "loss": "x"}\n'),
    "bytes": lambda workdir: (workdir / "metrics.jsonl").write_bytes(b"\xff\xfe\x00"),
    "a folder": lambda workdir: ((workdir / "metrics.jsonl").unlink(), (workdir / "metrics.jsonl").mkdir()),
    "half an evaluation": lambda workdir: (workdir / "evaluation" / "val.json").write_text('{"miou": '),
    "a score in words": lambda workdir: (workdir / "evaluation" / "val.json").write_text(
        '{"miou": "x", "accuracy": 1, "step": 1}'
    ),
    "an evaluation that is a number": lambda workdir: (workdir / "evaluation" / "val.json").write_text("3"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_unfinished_workdir_is_refused_in_a_line(workdir, damage):
    write_evaluation(workdir)
    DAMAGES[damage](workdir)
    with pytest.raises(InputError) as caught:
        read_run(workdir)
    assert str(workdir) in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_trimap_wrote_is_no_evaluation(workdir):
    write_evaluation(workdir)
    (workdir / "evaluation" / "val-trimap.json").write_text('{"curves": []}')
    assert set(read_run(workdir).evaluations) == {"val"}


# Finding them


def test_runs_are_found_at_any_depth_and_nothing_inside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b", "a", "group/c"):
        write_run(tmp_path / "runs" / name)
    (tmp_path / "runs/a/checkpoints/5/checkpoints").mkdir(parents=True)
    (tmp_path / "runs/notes").mkdir()
    found, problems = find_workdirs([tmp_path / "runs"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["runs/a", "runs/b", "runs/group/c"]
    assert not problems


def test_named_runs_come_in_their_order_and_once(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    assert find_workdirs([b, a, tmp_path, tmp_path / "a" / ".." / "b"]) == ([b, a], [])


def test_names_without_a_run_are_told(tmp_path):
    (tmp_path / "empty").mkdir()
    found, problems = find_workdirs([tmp_path / "empty", tmp_path / "nowhere"])
    assert not found and len(problems) == 2
    assert "empty holds no run" in problems[0] and "nowhere is not a folder" in problems[1]
