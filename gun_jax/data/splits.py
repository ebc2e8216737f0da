"""The images of a split: their published number, by which half an archive is noticed, or a list of names."""

import pathlib

from gun_jax.errors import InputError

# www.cityscapes-dataset.com/examples: 5000 images with fine labels (those of test are kept back).
CITYSCAPES_COUNTS = {"train": 2975, "val": 500, "test": 1525}


def check_length(found: int, split: str, expected: int | None, where: str, remedy: str) -> None:
    """Raises an InputError unless a split has as many images as expected (None: not known)."""
    if expected is not None and found != expected:
        raise InputError(
            f"{where}: found {found} of the {expected} images of {split}; {remedy}, or accept a part of the "
            "split with --config.data.partial=True (evaluate.py: --partial)"
        )


def read_split_list(path: pathlib.Path) -> list[str]:
    """Reads the list of a split: one line for each image, its path below the images' folder without the ending.

    Raises:
      InputError: the list cannot be read.
    """
    try:
        content = path.read_bytes().decode(errors="surrogateescape")  # like file names
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"list of a split {path}: {reason}; expected a file with one image name a line") from error
    return [line for line in (line.removesuffix("\r") for line in content.split("\n")) if line.strip()]
