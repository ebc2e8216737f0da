"""What the tests of augmentations transform."""

import numpy as np

COVARIANCE = ((0.08, 0.06, 0.05), (0.06, 0.07, 0.06), (0.05, 0.06, 0.09))  # of colours from 0 to 1


def record(height, width):
    """A record whose pixels say their place: red the row, green the column, blue and label both in one number."""
    rows, columns = np.mgrid[:height, :width]
    place = (16 * rows + columns) % 251
    return {"image": np.stack([rows, columns, place], -1).astype(np.uint8), "label": place.astype(np.uint8), "id": "x"}


def drawn(transform, record, count, seed=0):
    rng = np.random.default_rng(seed)
    return [transform.random_map(record, rng) for _ in range(count)]
