"""How many pictures a published split has, so that half an unpacked archive is not taken for the whole."""

from gun_jax.errors import InputError

# www.cityscapes-dataset.com/examples: 5000 pictures with fine labels (those of test are kept back).
CITYSCAPES_COUNTS = {"train": 2975, "val": 500, "test": 1525}


def check_length(found: int, split: str, expected: int | None, where: str, remedy: str) -> None:
    """Raises an InputError unless a split has as many pictures as expected (None: not known)."""
    if expected is not None and found != expected:
        raise InputError(
            f"{where}: found {found} of the {expected} pictures of {split}; {remedy}, or take what is there with "
            "--config.data.partial=True (evaluate.py: --partial)"
        )
