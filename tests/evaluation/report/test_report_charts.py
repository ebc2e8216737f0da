"""Places of curves in a chart, worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gun_jax.evaluation.report.charts import BOTTOM, LEFT, RIGHT, TOP, line_chart, round_ticks

numbers = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)


def places(chart, line=0):
    return [tuple(map(float, pair.split(","))) for pair in chart.lines[line].path.split()]


def test_a_curve_goes_from_the_lower_left_to_the_upper_right_of_the_plot():
    chart = line_chart("loss", "epoch", {"a": [(0, 0), (5, 25), (10, 100)]})
    middle = (LEFT + RIGHT) / 2
    assert places(chart) == [(LEFT, BOTTOM), (middle, BOTTOM - (BOTTOM - TOP) / 4), (RIGHT, TOP)]


def test_ticks_are_where_their_values_are():
    chart = line_chart("loss", "epoch", {"a": [(0, 0), (10, 100)]})
    height, width = BOTTOM - TOP, RIGHT - LEFT
    assert [text for _, text in chart.y_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [text for _, text in chart.x_ticks] == ["0", "2", "4", "6", "8", "10"]
    assert [y for y, _ in chart.y_ticks] == pytest.approx([BOTTOM - height * part / 5 for part in range(6)], abs=0.01)
    assert [x for x, _ in chart.x_ticks] == pytest.approx([LEFT + width * part / 5 for part in range(6)], abs=0.01)


def test_on_a_logarithmic_axis_equal_factors_are_equal_steps():
    chart = line_chart("mIoU", "pixels", {"a": [(1, 0), (10, 5), (100, 10)]}, log_x=[1, 10, 100])
    assert [x for x, _ in places(chart)] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    assert [text for _, text in chart.x_ticks] == ["1", "10", "100"]


def test_a_linear_axis_begins_at_zero():
    chart = line_chart("loss", "epoch", {"a": [(5, 0), (10, 100)]})
    assert places(chart) == [((LEFT + RIGHT) / 2, BOTTOM), (RIGHT, TOP)] and chart.x_ticks[0] == (LEFT, "0")


def test_what_has_no_value_is_left_out():
    chart = line_chart("mIoU", "pixels", {"a": [(0, 0), (1, None), (2, math.nan), (4, 4)]})
    assert places(chart) == [(LEFT, BOTTOM), (RIGHT, TOP)]
    assert line_chart("mIoU", "pixels", {"a": [(1, None)]}) is None and line_chart("mIoU", "pixels", {}) is None


def test_several_curves_share_the_axes_and_keep_their_names():
    chart = line_chart("mIoU", "pixels", {"a": [(0, 0), (1, 1)], "b": [(0, 10), (1, 5)]})
    assert [line.name for line in chart.lines] == ["a", "b"]
    assert places(chart, 1) == [(LEFT, TOP), (RIGHT, (TOP + BOTTOM) / 2)]


def test_a_single_point_is_drawn_inside_the_plot():
    chart = line_chart("mIoU", "epoch", {"a": [(3, 0.5)]})
    ((x, y, text),) = chart.lines[0].dots
    assert LEFT <= x <= RIGHT and TOP < y < BOTTOM and text == "3: 0.5"


def test_of_a_long_curve_means_of_neighbours_are_drawn():
    values = np.random.default_rng(0).uniform(0, 100, 1000)
    values[[0, 500]] = 0, 100  # so that the axis ends there
    chart = line_chart("loss", "step", {"a": list(enumerate(values))})
    shown = places(chart)
    assert len(shown) == 334 and chart.lines[0].dots == []
    ticks = [float(text) for _, text in chart.y_ticks]
    height = (shown[1][1] - BOTTOM) / (TOP - BOTTOM) * (ticks[-1] - ticks[0]) + ticks[0]
    assert height == pytest.approx(values[3:6].mean(), abs=0.1)


@given(numbers, numbers)
def test_ticks_are_round_evenly_spaced_and_reach_around_the_values(one, other):
    lowest, highest = sorted((one, other))
    if highest - lowest < 1e-9 * max(abs(lowest), abs(highest)):
        return
    ticks = round_ticks(lowest, highest)
    steps = np.diff(ticks)
    assert 2 <= len(ticks) <= 9
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert ticks[0] <= lowest + 1e-8 * steps[0] and ticks[-1] >= highest - 1e-8 * steps[0]
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0] * (1 + 1e-9)))
    assert min(abs(mantissa - digit) for digit in (1, 2, 5)) < 1e-6


def test_a_constant_curve_has_ticks_around_it():
    for value in (0.0, 5.0, -3.0):
        ticks = round_ticks(value, value)
        assert ticks[0] < value < ticks[-1]
