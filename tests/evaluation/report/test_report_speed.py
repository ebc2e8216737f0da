"""What is timed: which images, how often, and what is made of the seconds."""

import types

import numpy as np
import pytest

from gun_jax.evaluation.report import speed


@pytest.fixture
def measured(monkeypatch):
    """`measured(records, seconds)`: the speed if runs took so long, the sizes of the images, (images, rounds)."""

    def measure(records, seconds):
        sizes, rounds = [], []

        def apply(variables, images, output_size, method):
            assert method == "predict" and images.shape[1:3] == output_size
            sizes.append(output_size)
            return images[..., 0]

        def time_in_turn(runs, count):
            rounds.append((len(runs), count))
            for run in runs:
                run()
            return np.resize(seconds, (count, len(runs)))

        monkeypatch.setattr(speed, "fold_batch_norm", lambda variables: variables)
        monkeypatch.setattr(speed, "time_in_turn", time_in_turn)
        trained = types.SimpleNamespace(model=types.SimpleNamespace(apply=apply), variables={})
        return speed.measure_speed(trained, records), set(sizes), rounds

    return measure


def records(*sizes):
    return [{"image": np.zeros((*size, 3), np.uint8)} for size in sizes]


def test_the_speed_is_the_median_of_all_runs_with_the_lowest_and_the_highest(measured):
    found, _, _ = measured(records((4, 6)), [0.5, 0.1, 0.2, 0.4, 0.3, 0.9])
    assert (found.median, found.lowest, found.highest, found.runs) == (pytest.approx(0.35), 0.1, 0.9, 6)
    assert found.size == (4, 6) and found.device


def test_images_of_the_most_frequent_size_are_timed_at_most_four(measured):
    found, sizes, rounds = measured(records((4, 6), *[(8, 6)] * 5), [0.01])
    assert sizes == {(8, 6)} and {count for count, _ in rounds} == {4} and found.runs == 4 * rounds[-1][1]


@pytest.mark.parametrize(("seconds", "rounds"), [(0.001, 20), (0.25, 12), (5.0, 3)])
def test_it_is_measured_for_about_three_seconds_after_compiling_and_warming_up(measured, seconds, rounds):
    _, _, found = measured(records((4, 6)), [seconds])
    assert found == [(1, 1), (1, 1), (1, rounds)]
