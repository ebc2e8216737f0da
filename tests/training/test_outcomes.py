"""What steps gave: means by hand, and what a training that goes on from a checkpoint still knows."""

import json

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.training.outcomes import Outcomes
from gun_jax.training.step import Outcome

pytestmark = pytest.mark.fault("a loss, a gradient or an update that is not finite")


def gave(loss, norm=1.0):
    return Outcome(np.float32(loss), np.float32(norm), np.bool_(np.isfinite(loss) and np.isfinite(norm)))


def bad_rows(workdir):
    return [json.loads(line) for line in (workdir / "bad_steps.jsonl").read_text().splitlines()]


def test_a_report_is_the_mean_of_the_applied_steps_and_begins_anew(tmp_path):
    outcomes = Outcomes(tmp_path, 3, 0)
    for step, loss in enumerate([1.0, 2.0, np.nan, 6.0], 1):
        outcomes.add(step, gave(loss), [f"scene{step}"])
    assert outcomes.report() == (3.0, {"bad_steps": 1, "skipped_records": 0})
    assert outcomes.report() == (None, {"bad_steps": 0, "skipped_records": 0})
    assert outcomes.bad_steps == 1


def test_a_bad_step_is_written_down_with_its_numbers_and_records(tmp_path):
    outcomes = Outcomes(tmp_path, 3, 0)
    outcomes.add(1, gave(np.inf), ["a", "b"])
    outcomes.add(2, gave(0.5, np.nan), ["c"])
    outcomes.report()
    assert bad_rows(tmp_path) == [
        {"step": 1, "loss": "inf", "gradient_norm": "1.0", "ids": ["a", "b"]},
        {"step": 2, "loss": "0.5", "gradient_norm": "nan", "ids": ["c"]},
    ]


def test_only_bad_steps_in_a_row_end_a_training(tmp_path):
    outcomes = Outcomes(tmp_path, 3, 0)
    for step in range(1, 9):  # 3 and 6 are good
        outcomes.add(step, gave(1.0 if step % 3 == 0 else np.nan), ["a"])
    goes_on = Outcomes(tmp_path, 3, 8, outcomes.saved())
    goes_on.add(9, gave(np.nan), ["a"])
    with pytest.raises(InputError, match=r"^step 9 is number 3 in a row .* config.optimizer.peak_rate, .*clip_norm$"):
        goes_on.report()


@pytest.mark.parametrize("broken", [2, 3, 5])
def test_what_a_checkpoint_keeps_goes_on_as_if_nothing_had_been(tmp_path, broken):
    steps = [(1, 1.0, []), (2, np.nan, ["x"]), (3, 2.5, []), (4, np.inf, ["y", "x"]), (5, np.nan, []), (6, 0.25, [])]

    def run(workdir, stop=None):
        outcomes = Outcomes(workdir, 9, 0)
        for step, loss, skipped in steps:
            outcomes.add(step, gave(loss), [f"s{step}"], skipped)
            if step == stop:
                saved = json.loads(json.dumps(outcomes.saved()))
                outcomes.add(step + 1, gave(np.nan), ["lost"])
                outcomes.report()
                outcomes = Outcomes(workdir, 9, step, saved)
        return outcomes.report(), outcomes.bad_steps, bad_rows(workdir)

    (tmp_path / "through").mkdir()
    (tmp_path / "broken").mkdir()
    assert run(tmp_path / "broken", broken) == run(tmp_path / "through")


def test_what_a_checkpoint_keeps_does_not_change_while_it_is_written(tmp_path):
    outcomes = Outcomes(tmp_path, 3, 0)
    outcomes.add(1, gave(1.0), ["a"], ["x"])
    saved = outcomes.saved()
    before = json.dumps(saved)
    outcomes.add(2, gave(2.0), ["a"], ["y"])
    outcomes.report()
    assert json.dumps(saved) == before


def test_skipped_records_are_counted_each_time_and_told_once(tmp_path):
    outcomes = Outcomes(tmp_path, 3, 0)
    assert outcomes.add(1, gave(1.0), ["a"], ["b is cut off", "b is cut off"]) == ["skipped: b is cut off"]
    assert outcomes.add(2, gave(1.0), ["a"], ["b is cut off", "c is empty"]) == ["skipped: c is empty"]
    assert outcomes.report()[1]["skipped_records"] == 4
