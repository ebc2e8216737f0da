"""The confusion matrix of each image of an evaluation, `WORKDIR/evaluation/SPLIT-images.npz`."""

import dataclasses
import io
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write


@dataclasses.dataclass(frozen=True)
class ImageCounts:
    """Confusion matrices of images.

    Attributes:
      ids: of the N images, in the order of the source.
      counts: int64 (N, C, C); row: true class, column: predicted class.
      classes: names of the C classes.
      step: of the checkpoint.
    """

    ids: Sequence[str]
    counts: np.ndarray
    classes: Sequence[str]
    step: int

    def write(self, path: pathlib.Path) -> None:
        """Writes the file; all arrays are plain, text is UTF-8.

        Raises:
          InputError: it cannot be written.
        """
        ids, classes = (np.array([one.encode() for one in texts], "S") for texts in (self.ids, self.classes))
        content = io.BytesIO()
        np.savez_compressed(content, counts=self.counts, step=np.int64(self.step), ids=ids, classes=classes)
        atomic_write(path, content.getvalue())


def read_image_counts(path: pathlib.Path) -> ImageCounts:
    """Reads the file.

    Raises:
      InputError: it is missing, or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            counts, step = file["counts"], int(file["step"])
            ids, classes = ([one.decode() for one in file[name].tolist()] for name in ("ids", "classes"))
        if counts.shape != (len(ids), len(classes), len(classes)) or counts.dtype != np.int64 or (counts < 0).any():
            raise ValueError(f"counts of shape {counts.shape}, {counts.dtype}")
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; write it with evaluate.py --per_image") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no counts of images: {error}; rerun evaluate.py --per_image") from error
    return ImageCounts(ids, counts, classes, step)
