"""The pretrained models that are included, each in a folder of its name with a MODEL_CARD.md."""

import pathlib

from gun_jax.errors import check_choice

MODELS = ("fast", "accurate", "camvid_narrow")
DEFAULT = "fast"


def folder_of(name: str = DEFAULT) -> pathlib.Path:
    """The folder of a pretrained model, which all programs take as a workdir.

    Raises:
      InputError: there is no such model.
    """
    check_choice("load_pretrained", "name", name, MODELS)
    return pathlib.Path(__file__).parent / name
