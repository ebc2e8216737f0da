"""Intervals for the difference of two networks on the same images, by resampling blocks of neighbouring images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ratio

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Difference:
    """Scores of two networks, fractions, and the interval of their difference, first minus second.

    Attributes:
      first, second: float64 (1 + C,): mIoU, then the IoU of each class; NaN without a value.
      low, high: float64 (1 + C,): the 95 % percentile interval of the difference.
    """

    first: np.ndarray
    second: np.ndarray
    low: np.ndarray
    high: np.ndarray


def paired_bootstrap(
    folds: Sequence[tuple[np.ndarray, np.ndarray]], block: int = 10, resamples: int = 2000, seed: int = 0
) -> Difference:
    """Compares two networks, each trained once or several times, on the same images.

    A score is the mean over folds of the mean over the trainings of a fold. Each resample draws, for both networks
    the same, as many images of a fold as it has, in circular blocks (Politis and Romano, 1992): the frames of a video
    are alike. The interval holds for other images of this kind, not for other trainings.

    Args:
      folds: for each fold the confusion matrices of both networks: int64 (S, N, C, C) of S trainings and N images, in
        their order; S may differ.
      block: number of neighbouring images that are drawn together.
      resamples: their number.
      seed: of the draws.

    Raises:
      InputError: no fold, a fold without images, other images, or an impossible number.
    """
    if block < 1 or resamples < 1:
        raise InputError(f"bootstrap: blocks of {block} images and {resamples} resamples; expected 1 or more")
    if not folds or any(first.shape[1:] != second.shape[1:] or 0 in first.shape[:2] for first, second in folds):
        raise InputError("bootstrap: expected counts (S, N, C, C) of the same images, one or more, from both networks")
    rng = np.random.default_rng(seed)
    scores: list[tuple[np.ndarray, np.ndarray]] = []
    for first, second in folds:
        times = np.concatenate([np.ones((1, first.shape[1]), np.int64), _draws(first.shape[1], block, resamples, rng)])
        scores.append((_scores(first, times), _scores(second, times)))
    first, second = (_mean(np.stack(of_folds)) for of_folds in zip(*scores, strict=True))  # (1 + R, 1 + C)
    differences = np.sort(first[1:] - second[1:], axis=0)
    low, high = np.nanquantile(_known(differences), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    unknown = np.isnan(differences).all(0)
    low[unknown] = high[unknown] = np.nan
    return Difference(first[0], second[0], low, high)


def _draws(count: int, block: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each image is drawn: int64 (R, N)."""
    block = min(block, count)
    starts = rng.integers(0, count, (resamples, -(-count // block)))
    drawn = ((starts[..., None] + np.arange(block)) % count).reshape(resamples, -1)[:, :count]
    times = np.zeros((resamples, count), np.int64)
    np.add.at(times, (np.arange(resamples)[:, None], drawn), 1)
    return times


def _scores(counts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """mIoU and IoU by class, means over the trainings, of images that count `times` (R, N): float64 (R, 1 + C)."""
    trainings, images, classes, _ = counts.shape
    # int64 products are slow; these sums are exact in float64.
    flat = counts.reshape(trainings, images, -1).astype(np.float64)
    matrices = (times.astype(np.float64) @ flat).reshape(trainings, len(times), classes, classes)
    hits = np.diagonal(matrices, axis1=2, axis2=3)
    iou = ratio(hits, matrices.sum(2) + matrices.sum(3) - hits)  # (S, R, C)
    return _mean(np.concatenate([_mean(iou, axis=-1)[..., None], iou], axis=-1))


def _mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of those that are not NaN; NaN if all are."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis), known.sum(axis))


def _known(values: np.ndarray) -> np.ndarray:
    """The values (R, K), with 0 in columns of NaN alone, of which NumPy would warn."""
    return np.where(np.isnan(values).all(0), 0.0, values)
