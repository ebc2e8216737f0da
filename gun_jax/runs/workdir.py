"""The workdir of a run: its configuration and classes."""

import json
import pathlib
from typing import Any

from gun_jax.configuration import ConfigDict, default_config
from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

SAVED_NAME = "config.json"


def save_config(
    workdir: pathlib.Path,
    config: ConfigDict,
    classes: ClassMap,
    parameters: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Writes into the workdir: the resolved configuration, the classes, and what is known of images and network.

    Args:
      workdir: of the run.
      config: of the run.
      classes: that it trains.
      parameters: how many the network has.
      image_size: (height, width) of an image that it is evaluated on.
    """
    saved: dict[str, Any] = {"config": config.to_dict()}
    saved |= {"classes": {"names": classes.names, "colors": classes.colors}}
    saved |= {"image_size": image_size, "parameters": parameters}
    atomic_write(workdir / SAVED_NAME, json.dumps(saved, indent=2) + "\n")


def saved_config(workdir: pathlib.Path) -> tuple[ConfigDict, ClassMap]:
    """The configuration of the run in a workdir, and its classes (of which train ids, not file values, are known).

    Raises:
      InputError: there is no run, or it was written by a version with other settings.
    """
    path = workdir / SAVED_NAME
    try:
        saved = json.loads(path.read_text())
        config = default_config()
        config.update(_settings(saved["config"]))
        names, colors = saved["classes"]["names"], saved["classes"]["colors"]
        return config, ClassMap(tuple(names), tuple(map(tuple, colors)))
    except FileNotFoundError as error:
        raise InputError(f"{workdir} holds no run: {path} is missing; train one with train.py --workdir") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not the configuration of a run of this version: {error}") from error


def saved_image_size(workdir: pathlib.Path) -> tuple[int, int] | None:
    """(height, width) of the first image that the run in a workdir was evaluated on; None where it is not known."""
    match json.loads((workdir / SAVED_NAME).read_text()):
        case {"image_size": [int(height), int(width)]} | {"picture_size": [int(height), int(width)]}:  # of 0.1
            return (height, width) if min(height, width) > 0 else None
    return None


def saved_parameters(workdir: pathlib.Path) -> int | None:
    """How many parameters the network of a run has, if it was written down; of a run that `saved_config` can read."""
    count = json.loads((workdir / SAVED_NAME).read_text()).get("parameters")
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _settings(value: Any) -> Any:
    """JSON knows no tuples: lists become tuples again."""
    if isinstance(value, dict):
        return {key: _settings(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value
