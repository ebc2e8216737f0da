"""The network that comes with the package, and where it lies: `camvid/MODEL_CARD.md` says what it can do."""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from gun_jax.runs.loading import load_run
from gun_jax.models import GUN

FOLDER = pathlib.Path(__file__).parent / "camvid"  # as a workdir: all programs take it


def load_pretrained() -> tuple[GUN, dict[str, Any], ConfigDict]:
    """Loads the network that comes with the package: narrow, for street scenes, of CamVid's 11 classes.

    Returns:
      As `gun_jax.load_run`.
    """
    return load_run(FOLDER)
