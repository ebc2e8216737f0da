"""Boundary IoU against the definition by loops over pixels."""

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.metrics.boundary_iou import BoundaryIoU


def near_contour(mask, ignored, width, row, column):
    """Whether a pixel beyond the mask, or beyond the image, is at most `width` rows and columns away."""
    height, length = mask.shape
    for y in range(row - width, row + width + 1):
        for x in range(column - width, column + width + 1):
            inside = 0 <= y < height and 0 <= x < length
            if not inside or not (mask[y, x] or ignored[y, x]):
                return True
    return False


def by_loops(label, prediction, classes, width):
    ignored = label == 255
    scores = []
    for class_id in range(classes):
        bands = []
        for there in (label, prediction):
            mask = there == class_id
            bands.append(
                {
                    (row, column)
                    for row, column in zip(*np.nonzero(mask & ~ignored), strict=True)
                    if near_contour(mask, ignored, width, row, column)
                }
            )
        either = bands[0] | bands[1]
        scores.append(len(bands[0] & bands[1]) / len(either) if either else np.nan)
    return scores


def maps(seed, height=24, width=30):
    """A truth of rectangles with some ignored pixels, and a prediction that is a shifted truth."""
    rng = np.random.default_rng(seed)
    label = np.zeros((height, width), np.uint8)
    for class_id in (1, 2, 3, 255):
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        label[top : top + rng.integers(4, 14), left : left + rng.integers(4, 14)] = class_id
    prediction = np.roll(label, (1, 2), (0, 1))
    return label, np.where(prediction == 255, 0, prediction)


@pytest.mark.parametrize("share", [0.02, 0.06, 0.1])  # of a diagonal of 38.4 pixels: 1, 2 and 4 pixels
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_iou_of_the_pixels_near_contours(share, seed):
    label, prediction = maps(seed)
    found = BoundaryIoU(5, share).update(label, prediction)
    expected = by_loops(label, prediction, 5, max(1, round(share * np.hypot(24, 30))))
    np.testing.assert_allclose(found.iou(), expected)
    assert found.miou() == pytest.approx(np.nanmean(expected))


def test_a_wide_band_is_the_whole_mask_and_a_perfect_map_has_1():
    label, prediction = maps(0)
    counted = label != 255
    found = BoundaryIoU(5, 1.0).update(label, prediction).iou()
    for class_id in range(4):
        both = counted & (label == class_id) & (prediction == class_id)
        either = counted & ((label == class_id) | (prediction == class_id))
        assert found[class_id] == both.sum() / either.sum()
    assert BoundaryIoU(5).update(label, label).miou() == 1


def test_images_add_up():
    (first, first_found), (second, second_found) = maps(0), maps(1)
    both = BoundaryIoU(5).update(first, first_found).update(second, second_found)
    single = [BoundaryIoU(5).update(*pair) for pair in ((first, first_found), (second, second_found))]
    np.testing.assert_array_equal(both.union, single[0].union + single[1].union)


def test_maps_of_other_shapes_and_impossible_bands_are_refused():
    with pytest.raises(
        InputError, match=r"^boundary IoU of label \(2, 3\) and prediction \(3, 2\); expected \(H, W\)$"
    ):
        BoundaryIoU(5).update(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(InputError, match="bands of 0 of the diagonal"):
        BoundaryIoU(5, 0)
