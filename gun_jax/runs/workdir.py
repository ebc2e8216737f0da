"""The workdir of a run: the names of its files, and its configuration and classes."""

import json
import pathlib
from typing import Any

from gun_jax.configuration import ConfigDict, default_config
from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

SAVED_NAME = "config.json"
METRICS = "metrics.jsonl"
CURVES = "curves"  # for TensorBoard
CHECKPOINTS, EVALUATION, EXPORT = "checkpoints", "evaluation", "export"


def save_config(
    workdir: pathlib.Path,
    config: ConfigDict,
    classes: ClassMap,
    parameters: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Writes `config.json`: the resolved configuration, the classes, and facts about the network and the images.

    Args:
      workdir: folder of the run.
      config: its configuration.
      classes: the classes that it learns.
      parameters: number of parameters of the network.
      image_size: (height, width) of an evaluation image.
    """
    saved: dict[str, Any] = {"config": config.to_dict()}
    saved |= {"classes": {"names": classes.names, "colors": classes.colors}}
    saved |= {"image_size": image_size, "parameters": parameters}
    atomic_write(workdir / SAVED_NAME, json.dumps(saved, indent=2) + "\n")


def saved_config(workdir: pathlib.Path) -> tuple[ConfigDict, ClassMap]:
    """The configuration and the classes of a run. The classes have train ids, but not the values in label files.

    Raises:
      InputError: the folder holds no run, or one of a version with other settings.
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
    """(height, width) of the first evaluation image of a run; None if it is not recorded."""
    match json.loads((workdir / SAVED_NAME).read_text()):
        case {"image_size": [int(height), int(width)]} | {"picture_size": [int(height), int(width)]}:  # of 0.1
            return (height, width) if min(height, width) > 0 else None
    return None


def saved_parameters(workdir: pathlib.Path) -> int | None:
    """Number of parameters of a run's network; None if it is not recorded. Call `saved_config` first."""
    count = json.loads((workdir / SAVED_NAME).read_text()).get("parameters")
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _settings(value: Any) -> Any:
    """Turns lists into tuples, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _settings(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value
