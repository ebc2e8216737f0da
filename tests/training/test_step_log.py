"""The log of steps: means, bad steps, and a log that resumes from a checkpoint."""

import json

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.training.step import StepResult
from gun_jax.training.step_log import StepLog

pytestmark = pytest.mark.fault("a loss, a gradient or an update that is not finite")


def result(loss, norm=1.0):
    return StepResult(np.float32(loss), np.float32(norm), np.bool_(np.isfinite(loss) and np.isfinite(norm)))


def bad_rows(workdir):
    return [json.loads(line) for line in (workdir / "bad_steps.jsonl").read_text().splitlines()]


def test_a_report_is_the_mean_of_the_applied_steps_since_the_last_one(tmp_path):
    log = StepLog(tmp_path, 3, 0)
    for step, loss in enumerate([1.0, 2.0, np.nan, 6.0], 1):
        log.add(step, result(loss), [f"scene{step}"])
    assert log.report() == (3.0, {"bad_steps": 1, "skipped_records": 0})
    assert log.report() == (None, {"bad_steps": 0, "skipped_records": 0})
    assert log.bad_steps == 1


def test_a_bad_step_gets_a_row_with_its_numbers_and_records(tmp_path):
    log = StepLog(tmp_path, 3, 0)
    log.add(1, result(np.inf), ["a", "b"])
    log.add(2, result(0.5, np.nan), ["c"])
    log.report()
    assert bad_rows(tmp_path) == [
        {"step": 1, "loss": "inf", "gradient_norm": "1.0", "ids": ["a", "b"]},
        {"step": 2, "loss": "0.5", "gradient_norm": "nan", "ids": ["c"]},
    ]


def test_only_bad_steps_in_a_row_end_a_training(tmp_path):
    log = StepLog(tmp_path, 3, 0)
    for step in range(1, 9):  # 3 and 6 are good
        log.add(step, result(1.0 if step % 3 == 0 else np.nan), ["a"])
    resumed = StepLog(tmp_path, 3, 8, log.saved())
    resumed.add(9, result(np.nan), ["a"])
    with pytest.raises(InputError, match=r"^step 9 is number 3 in a row .* config.optimizer.peak_rate, .*clip_norm$"):
        resumed.report()


@pytest.mark.parametrize("broken", [2, 3, 5])
def test_a_resumed_log_reports_the_same_as_one_that_was_not_stopped(tmp_path, broken):
    steps = [(1, 1.0, []), (2, np.nan, ["x"]), (3, 2.5, []), (4, np.inf, ["y", "x"]), (5, np.nan, []), (6, 0.25, [])]

    def run(workdir, stop=None):
        log = StepLog(workdir, 9, 0)
        for step, loss, skipped in steps:
            log.add(step, result(loss), [f"s{step}"], skipped)
            if step == stop:
                saved = json.loads(json.dumps(log.saved()))
                log.add(step + 1, result(np.nan), ["lost"])
                log.report()
                log = StepLog(workdir, 9, step, saved)
        return log.report(), log.bad_steps, bad_rows(workdir)

    (tmp_path / "through").mkdir()
    (tmp_path / "broken").mkdir()
    assert run(tmp_path / "broken", broken) == run(tmp_path / "through")


def test_saved_values_do_not_change_while_they_are_written(tmp_path):
    log = StepLog(tmp_path, 3, 0)
    log.add(1, result(1.0), ["a"], ["x"])
    saved = log.saved()
    before = json.dumps(saved)
    log.add(2, result(2.0), ["a"], ["y"])
    log.report()
    assert json.dumps(saved) == before


def test_skipped_records_are_counted_each_time_and_reported_once(tmp_path):
    log = StepLog(tmp_path, 3, 0)
    assert log.add(1, result(1.0), ["a"], ["b is cut off", "b is cut off"]) == ["skipped: b is cut off"]
    assert log.add(2, result(1.0), ["a"], ["b is cut off", "c is empty"]) == ["skipped: c is empty"]
    assert log.report()[1]["skipped_records"] == 4
