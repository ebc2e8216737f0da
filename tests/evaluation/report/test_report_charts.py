"""Charts of a report: the points are read back from the SVG, by the ticks that its axes print."""

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from gun_jax.evaluation.report.charts import line_chart

SVG = "{http://www.w3.org/2000/svg}"


def elements(chart, tag, color):
    """Elements in one of the page's colours."""
    found = ElementTree.fromstring(chart.svg).iter(SVG + tag)
    return [element for element in found if f"stroke: var(--{color})" in element.get("style", "")]


def path(element):
    """The points of a path: (N, 2)."""
    return np.array(re.findall(r"[ML] (\S+) (\S+)", element.get("d")), float)


def ticks(chart):
    """(text, place) of the ticks of either axis."""
    texts = [text for text in ElementTree.fromstring(chart.svg).iter(SVG + "text") if text.text != chart.x_label]
    across = [(text.text, float(text.get("x"))) for text in texts if "middle" in text.get("style")]
    labels = [text.text for text in texts if "end" in text.get("style")]
    heights = [path(line)[0, 1] for line in elements(chart, "path", "line")]
    return across, list(zip(labels, heights, strict=True))


def values(chart, places, scale=float):
    """The values at places in the SVG, by the first and the last tick of each axis."""
    columns = []
    for column, axis in enumerate(ticks(chart)):
        (first, start), (last, end) = axis[0], axis[-1]
        kind = scale if column == 0 else float
        one, other = kind(float(first.replace("\N{MINUS SIGN}", "-"))), kind(float(last))
        columns.append(one + (places[:, column] - start) / (end - start) * (other - one))
    return np.stack(columns, 1)


def drawn(chart, line=0, scale=float):
    """The (x, y) of a line's path."""
    (element,) = elements(chart, "path", f"line{line}")[:1]  # the next one is the shape of its markers
    return values(chart, path(element), scale)


def test_a_line_goes_through_its_points_and_each_has_a_marker_and_a_title():
    points = [(0, -20), (5, 25), (7.5, 30), (10, 100)]
    chart = line_chart("loss", "epoch", {"a": points})
    np.testing.assert_allclose(drawn(chart), points, atol=0.01)
    markers = elements(chart, "use", "line0")
    places = np.array([(marker.get("x"), marker.get("y")) for marker in markers], float)
    np.testing.assert_allclose(values(chart, places), points, atol=0.01)
    assert [marker[0].text for marker in markers] == ["0: -20", "5: 25", "7.5: 30", "10: 100"]


def test_a_logarithmic_axis_has_the_ticks_it_is_given_and_equal_steps_for_equal_factors():
    points = [(1, 0), (2, 4), (10, 5), (100, 10)]
    chart = line_chart("mIoU", "pixels", {"a": points}, log_x=[1, 10, 100])
    across, _ = ticks(chart)
    assert [text for text, _ in across] == ["1", "10", "100"]
    assert across[1][1] == pytest.approx((across[0][1] + across[2][1]) / 2)
    found = drawn(chart, scale=math.log)
    np.testing.assert_allclose(np.stack([np.exp(found[:, 0]), found[:, 1]], 1), points, rtol=1e-3, atol=0.01)


def test_a_linear_axis_begins_at_zero():
    across, _ = ticks(line_chart("loss", "epoch", {"a": [(5, 0), (10, 100)]}))
    assert across[0][0] == "0"


def test_points_without_a_value_are_left_out():
    chart = line_chart("mIoU", "pixels", {"a": [(0, 0), (1, None), (2, math.nan), (4, 4)]})
    np.testing.assert_allclose(drawn(chart), [(0, 0), (4, 4)], atol=0.01)
    assert line_chart("mIoU", "pixels", {"a": [(1, None)]}) is None and line_chart("mIoU", "pixels", {}) is None


def test_several_curves_share_the_axes_and_have_their_colours_in_the_legend():
    chart = line_chart("mIoU", "pixels", {"<a>": [(0, 0), (1, 1)], "b": [(0, 10), (1, 5)]})
    assert chart.legend == [("<a>", "var(--line0)"), ("b", "var(--line1)")] and "<a>" not in chart.svg
    np.testing.assert_allclose(drawn(chart, 1), [(0, 10), (1, 5)], atol=0.01)


def test_a_single_point_is_a_marker():
    (marker,) = elements(line_chart("mIoU", "epoch", {"a": [(3, 0.5)]}), "use", "line0")
    assert marker[0].text == "3: 0.5" and "fill: var(--line0)" in marker.get("style")


def test_a_long_curve_is_drawn_as_the_means_of_neighbours_without_markers():
    values = np.random.default_rng(0).uniform(0, 100, 1000)
    chart = line_chart("loss", "step", {"a": list(enumerate(values))})
    heights = [part.mean() for part in np.array_split(values, 400)]
    assert elements(chart, "use", "line0") == []
    found = drawn(chart)
    np.testing.assert_allclose(found[[0, -1], 1], [heights[0], heights[-1]], atol=0.1)
    assert np.max(found[:, 1]) == pytest.approx(max(heights), abs=0.1) and len(found) > 300


def test_equal_charts_have_equal_bytes_and_nothing_that_reaches_into_the_page():
    one, other = (line_chart("loss", "epoch", {"a": [(0, 1), (1, 2)]}) for _ in range(2))
    assert one == other and one.svg.startswith("<svg ")
    assert not any(word in one.svg for word in ("<style", "<metadata", "<!DOCTYPE", "#0000f", 'id="figure'))
