"""The images of a split: their published number, by which half an archive is noticed, a list of names, or a part."""

import pathlib
import re
from collections.abc import Sequence

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


def name_and_part(split: str) -> tuple[str, str]:
    """The name of a split and the part of it: "train@0006R0" is ("train", "0006R0"), "train" is ("train", "")."""
    name, _, part = split.partition("@")
    return name, part


def left_out(train_split: str, eval_split: str) -> str:
    """The part that is left out of the training and evaluated on: "0006R0" of "train@-0006R0" and "train@0006R0".

    "" if the splits are not of this form.
    """
    (train, rest), (evaluated, part) = name_and_part(train_split), name_and_part(eval_split)
    return part if train == evaluated and part and rest == f"-{part}" else ""


def in_part(names: Sequence[str], part: str, folder: pathlib.Path) -> list[str]:
    """The images of a part of a split, e.g. of one drive, or of all others: for leaving one drive out.

    Args:
      names: of the images, in the form "drive_frame" or "drive/frame".
      part: a drive; "-" and a drive for all others; "" for all.
      folder: of the images, for the error.

    Raises:
      InputError: no image is of that drive, or all are.
    """
    drives = {name: re.split(r"[_/]", name, maxsplit=1)[0] for name in names}
    drive = part.removeprefix("-")
    found = [name for name in names if not part or (drives[name] == drive) != part.startswith("-")]
    if part and len(found) in (0, len(names)):
        raise InputError(
            f"folder {folder} has no part {part!r}; expected one of {', '.join(sorted(set(drives.values())))}, "
            "or one with - before it for all others"
        )
    return found
