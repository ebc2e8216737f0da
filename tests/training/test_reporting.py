"""Reports of a run: rows of strict JSON, lines on the screen against arithmetic, TensorBoard's curves."""

import contextlib
import itertools
import pathlib
import re
import struct
import time
import types

import numpy as np
import psutil
import pytest
from tensorboardX.proto.event_pb2 import Event

from gun_jax import ConfusionMatrix
from gun_jax.errors import InputError
from gun_jax.runs.rows import read_rows
from gun_jax.training import reporting
from gun_jax.training.reporting import Reporter, SilentReporter


@pytest.fixture
def clock(monkeypatch):
    """A fake clock: `clock.now`."""
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(reporting, "time", types.SimpleNamespace(monotonic=lambda: clock.now, time=time.time))
    return clock


def lines_of(workdir):
    return (workdir / "metrics.jsonl").read_text().splitlines()


def scalars(workdir):
    """TensorBoard's values by (name, step), read from TFRecord's format: length, checksum, bytes, checksum."""
    found = {}
    for file in sorted((workdir / "curves").iterdir()):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            content = content[12 + length + 4 :]
    return found


def half_right():
    """Two classes of three occur; the first has IoU 2/4, the second 1/3."""
    return ConfusionMatrix(3).update(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]))


def test_a_training_row_is_strict_json_with_all_reported_values(tmp_path, strict_json, clock):
    with Reporter(tmp_path, 6, 0, 8) as reporter:
        clock.now += 4.0
        reporter.training(2, 0.66666, 1.25, 0.01)
    assert [strict_json(line) for line in lines_of(tmp_path)] == [
        {"step": 2, "epoch": 0.6667, "loss": 1.25, "learning_rate": 0.01, "images_per_second": 4.0, "waiting": 0.0}
    ]


def test_an_evaluation_row_has_null_for_a_class_that_does_not_occur(tmp_path, strict_json):
    with Reporter(tmp_path, 6, 0, 8) as reporter:
        reporter.evaluation(3, 1.0, "val", half_right(), ("road", "sky", "train"))
    (row,) = [strict_json(line) for line in lines_of(tmp_path)]
    assert row.pop("val/iou/train") is None
    expected = {"step": 3, "epoch": 1.0, "val/miou": 5 / 12, "val/accuracy": 3 / 5}
    assert row == pytest.approx(expected | {"val/iou/road": 1 / 2, "val/iou/sky": 1 / 3})


def test_an_evaluation_without_a_labelled_pixel_is_strict_json(tmp_path, strict_json):
    with Reporter(tmp_path, 6, 0, 8) as reporter:
        reporter.evaluation(3, 1.0, "val", ConfusionMatrix(1), ("road",))
    (row,) = [strict_json(line) for line in lines_of(tmp_path)]
    assert row == {"step": 3, "epoch": 1.0, "val/miou": None, "val/accuracy": None, "val/iou/road": None}


def test_the_curves_are_the_values_of_the_rows(tmp_path, strict_json, clock):
    with Reporter(tmp_path, 6, 0, 8) as reporter:
        clock.now += 2.0
        reporter.training(2, 0.5, 1.25, 0.01)
        reporter.evaluation(3, 1.0, "val", half_right(), ("road", "sky", "train"))
    rows = [strict_json(line) for line in lines_of(tmp_path)]
    values = {(name, row["step"]): value for row in rows for name, value in row.items() if value is not None}
    expected = {key: value for key, value in values.items() if key[0] not in ("step", "epoch")}
    assert scalars(tmp_path) == pytest.approx(expected, rel=1e-6)


def test_images_a_second_count_neither_compiling_nor_evaluating(tmp_path, clock):
    with Reporter(tmp_path, 100, 10, 8) as reporter:
        clock.now += 60.0
        reporter.first_step(11)
        clock.now += 2.0
        reporter.training(16, 1.0, 1.0, 0.1)
        clock.now += 30.0
        reporter.evaluation(16, 1.0, "val", half_right(), ("road", "sky", "train"))
        clock.now += 1.0
        reporter.training(20, 1.2, 1.0, 0.1)
    assert [row["images_per_second"] for row in read_rows(tmp_path / "metrics.jsonl") if "loss" in row] == [20.0, 32.0]


def test_waiting_is_the_share_of_the_time_since_the_last_report_in_which_there_was_no_batch(tmp_path, clock):
    with Reporter(tmp_path, 100, 0, 8) as reporter:
        reporter.waited(50.0)  # before the first step, while it compiled
        reporter.first_step(1)
        for waited, after in ((0.5, 4.0), (0.25, 4.0)):
            reporter.waited(waited)
            reporter.waited(waited)
            clock.now += after
            reporter.training(int(clock.now) - 90, 1.0, 1.0, 0.1)
    assert [row["waiting"] for row in read_rows(tmp_path / "metrics.jsonl")] == [0.25, 0.125]


def test_the_first_step_reports_the_time_since_the_program_started(tmp_path, capsys):
    with Reporter(tmp_path, 100, 0, 8) as reporter:
        reporter.first_step(1)
    alive = time.time() - psutil.Process().create_time()
    told = float(
        re.search(r"first step after [\d.]+ s, ([\d.]+) s after the start of the program", capsys.readouterr().out)[1]
    )
    assert 0 < told <= alive + 0.1
    assert told > alive - 5


def test_a_report_right_after_the_first_step_has_no_speed(tmp_path):
    with Reporter(tmp_path, 100, 0, 8) as reporter:
        reporter.first_step(1)
        reporter.training(1, 0.1, 1.0, 0.1)
    assert read_rows(tmp_path / "metrics.jsonl")[0]["images_per_second"] is None


def test_a_line_a_report_says_step_loss_rate_speed_and_time_left(tmp_path, clock, capsys):
    with Reporter(tmp_path, 90, 0, 8) as reporter:
        clock.now += 10.0
        reporter.training(30, 1.5, 0.98765, 0.025)
    assert capsys.readouterr().out.split() == (
        ["step", "30/90", "epoch", "1.5", "loss", "0.988", "rate", "0.025", "24.0", "images/s", "0:00:20", "left"]
    )


def test_an_evaluation_says_its_scores_in_percent(tmp_path, capsys):
    with Reporter(tmp_path, 90, 0, 8) as reporter:
        reporter.evaluation(30, 1.5, "val", half_right(), ("road", "sky", "train"))
    assert "val: mIoU 41.67%, accuracy 60.00%" in capsys.readouterr().out


@pytest.mark.parametrize("start", [0, 2, 3, 9])
def test_resuming_drops_the_rows_of_later_steps_and_appends(tmp_path, start):
    with Reporter(tmp_path, 9, 0, 8) as reporter:
        for step in (1, 2, 3, 4):
            reporter.training(step, step / 3, float(step), 0.1)
    before = lines_of(tmp_path)
    with Reporter(tmp_path, 9, start, 8) as reporter:
        reporter.training(9, 3.0, 9.0, 0.1)
    after = lines_of(tmp_path)
    assert after[:-1] == before[:start]
    assert read_rows(tmp_path / "metrics.jsonl")[-1]["step"] == 9


def test_a_line_cut_off_at_any_byte_is_dropped(tmp_path, strict_json):
    with Reporter(tmp_path, 9, 0, 8) as reporter:
        for step in (1, 2):
            reporter.training(step, step / 3, float(step), 0.1)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_text()
    first = whole.index("\n") + 1
    for cut in itertools.chain(range(first, first + 4), range(first + 20, len(whole) - 2, 17), [len(whole) - 2]):
        path.write_text(whole[:cut])
        assert [row["step"] for row in read_rows(path)] == [1]
    path.write_text(whole[:-10])
    with Reporter(tmp_path, 9, 2, 8) as reporter:
        reporter.training(3, 1.0, 3.0, 0.1)
    assert [strict_json(line)["step"] for line in lines_of(tmp_path)] == [1, 3]


@pytest.mark.parametrize(
    "line", [b'{"st', b"\xff\xfe\x00", b"null", b"[1]", b'{"loss": 3}', b'{"step": "2"}', b""], ids=repr
)
@pytest.mark.parametrize("after", [b"", b'{"step": 3}\n'], ids=["last", "followed"])
def test_a_damaged_line_is_reported_rather_than_lost_with_those_after_it(tmp_path, line, after):
    path = tmp_path / "metrics.jsonl"
    content = b'{"step": 1}\n' + line + b"\n" + after
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2, is damaged.*restore or remove the file"):
        Reporter(tmp_path, 9, 3, 8)
    assert path.read_bytes() == content


def test_a_run_without_metrics_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.jsonl") == []


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no file that is always full here")
def test_a_screen_that_is_a_file_on_a_full_disk_is_reported_in_a_line(tmp_path, monkeypatch):
    reporter, told = Reporter(tmp_path, 3, 0, 2), ""
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:  # which fails again when it is closed
        monkeypatch.setattr("sys.stdout", full)
        try:
            reporter.say("a line")
        except InputError as error:
            told = str(error)
    assert told.startswith("cannot write to the screen: No space left on device; free some space, ")


def test_the_other_processes_write_nothing(tmp_path, capsys):
    with SilentReporter() as reporter:
        reporter.say("something")
        reporter.first_step(1)
        reporter.training(1, 0.1, 1.0, 0.1)
        reporter.evaluation(1, 0.1, "val", half_right(), ("road", "sky", "train"))
    assert not capsys.readouterr().out and not list(tmp_path.iterdir())
