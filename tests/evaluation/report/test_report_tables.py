"""Rows of a report's tables, against loops over pixels."""

import numpy as np
import pytest

from gun_jax.data.classes import ClassMap
from gun_jax.evaluation.report import tables
from gun_jax.metrics.confusion import ConfusionMatrix

NAMES = ("road", "<b>sky", "car", "never", "only predicted")
CLASSES = ClassMap(NAMES, ((128, 64, 128), (0, 1, 255), (9, 9, 9), (1, 2, 3), (4, 5, 6)))


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(4)
    truth = rng.choice([0, 1, 2, 255], 3000, p=[0.6, 0.2, 0.1, 0.1])
    prediction = np.where(rng.random(3000) < 0.8, truth % 255, rng.choice([0, 1, 2, 4], 3000))
    return truth, prediction


@pytest.fixture(scope="module")
def matrix(maps):
    return ConfusionMatrix(len(NAMES)).update(*maps)


@pytest.fixture(scope="module")
def rows(matrix):
    return tables.class_rows(matrix, matrix.scores(NAMES), CLASSES)


def test_precision_recall_and_share_are_those_of_loops_over_pixels(maps, rows):
    pixels = [(t, p) for t, p in zip(*maps, strict=True) if t != 255]
    for c, row in enumerate(rows):
        of_class = [p for t, p in pixels if t == c]
        given = [t for t, p in pixels if p == c]
        assert row.share == pytest.approx(len(of_class) / len(pixels))
        assert row.recall == (pytest.approx(of_class.count(c) / len(of_class)) if of_class else None)
        assert row.precision == (pytest.approx(given.count(c) / len(given)) if given else None)


def test_a_class_without_a_pixel_has_no_scores_and_one_that_is_only_predicted_has_none_right(rows):
    assert (rows[3].iou, rows[3].precision, rows[3].recall, rows[3].share) == (None, None, None, 0)
    assert (rows[4].iou, rows[4].precision, rows[4].recall) == (0, 0, None)


def test_a_row_has_the_name_and_the_colour_of_the_class_map(rows):
    assert [(row.name, row.color) for row in rows[:3]] == [
        ("road", "#804080"), ("<b>sky", "#0001ff"), ("car", "#090909"),
    ]  # fmt: skip


def test_nothing_at_all_has_no_scores():
    empty = ConfusionMatrix(len(NAMES))
    rows = tables.class_rows(empty, empty.scores(NAMES), CLASSES)
    assert {(row.iou, row.precision, row.recall, row.share) for row in rows} == {(None, None, None, None)}
    assert tables.weakest(rows) == [] and tables.largest_confusions(empty, CLASSES) == []


def test_categories_have_their_weighted_iou_where_there_is_one():
    scores = {"category_iou": {"flat": 0.5, "human": None}, "category_iiou": {"flat": None, "human": 0.25}}
    found = [(row.name, row.iou, row.weighted_iou) for row in tables.category_rows(scores)]
    assert found == [("flat", 0.5, None), ("human", None, 0.25)] and tables.category_rows({}) == []


def test_the_weakest_classes_are_those_of_the_lowest_iou_that_occur(rows):
    expected = sorted((row.iou, row.name) for row in rows[:3])
    assert [row.name for row in tables.weakest(rows, 2)] == [name for _, name in expected[:2]]


def test_a_row_of_the_confusion_matrix_says_where_the_pixels_of_a_class_went(maps, matrix):
    cells = tables.confusion_rows(matrix)
    pixels = list(zip(*maps, strict=True))
    for t in range(3):
        for p in range(len(NAMES)):
            count, total = pixels.count((t, p)), sum(one == t for one, _ in pixels)
            cell = cells[t][p]
            if not count:
                assert cell is None
                continue
            assert (cell.pixels, cell.right) == (count, t == p)
            assert float(cell.percent) == pytest.approx(100 * count / total, abs=0.5)
            assert cell.strength == pytest.approx(100 * (count / total) ** 0.5, abs=0.5)
    assert cells[3] == [None] * len(NAMES)


def test_a_cell_below_half_a_percent_has_a_colour_but_no_number():
    matrix = ConfusionMatrix(2).update(np.zeros(10_000, int), np.arange(10_000) < 1)
    cell = tables.confusion_rows(matrix)[0][1]
    assert (cell.percent, cell.pixels) == ("", 1) and cell.strength >= 1


def test_the_largest_confusions_are_those_of_the_most_wrong_pixels(maps, matrix):
    pixels = [(t, p) for t, p in zip(*maps, strict=True) if t != 255]
    wrong = [pair for pair in pixels if pair[0] != pair[1]]
    expected = sorted(((wrong.count(pair), pair) for pair in set(wrong)), reverse=True)
    found = tables.largest_confusions(matrix, CLASSES, count=3)
    assert [one.pixels for one in found] == [count for count, _ in expected[:3]]
    for one in found:
        t, p = NAMES.index(one.truth), NAMES.index(one.prediction)
        assert one.pixels == wrong.count((t, p))
        assert one.of_class == pytest.approx(wrong.count((t, p)) / sum(truth == t for truth, _ in pixels))
        assert one.of_errors == pytest.approx(wrong.count((t, p)) / len(wrong))


def test_no_pair_of_classes_without_a_wrong_pixel_is_among_the_confusions():
    matrix = ConfusionMatrix(len(NAMES)).update(np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert [(one.truth, one.prediction) for one in tables.largest_confusions(matrix, CLASSES)] == [("road", "<b>sky")]
