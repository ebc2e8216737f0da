"""The configuration of an experiment: every setting, what it means, and its default.

A file under `configs/` starts from `default_config()` and assigns; it says nothing that is not special to it.
"""

import difflib
import functools
import json
import math
import operator
import pathlib
from typing import Any

from ml_collections import ConfigDict

import gun_jax
from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.files import write_whole
from gun_jax.models import GUN

SAVED_NAME = "config.json"  # in the workdir
_DTYPES = ("float32", "bfloat16")


def default_config() -> ConfigDict:
    """Every setting with its default; no other keys are taken."""
    config = ConfigDict()
    config.seed = 0  # of parameters, order and augmentation
    # What the network starts from. A file of a published DRN, as drn_d_22-4bd2f8ea.pth: its encoder. The workdir of
    # another run: the parts that are the same. "": random numbers.
    config.init = ""
    config.epochs = 250.0
    config.steps = 0  # instead of epochs, if more than 0
    config.batch_size = 8  # of all devices together
    config.eval_every_epochs = 5.0  # also the last; 0: never before the end
    config.checkpoint_every_epochs = 1.0
    config.keep_checkpoints = 3
    config.log_every_steps = 20

    config.data = data = ConfigDict()
    data.source = "cityscapes"  # cityscapes, camvid, folder, synthetic
    data.dir = ""  # "": the environment variable GUN_DATA_DIR, or ./data
    data.partial = False  # take a data set of which pictures are missing
    data.train_split = "train"
    data.eval_split = "val"
    data.images = "{split}/images"  # of `folder`: where in dir the pictures of a split lie,
    data.labels = "{split}/labels"  # their labels,
    data.classes = "classes.json"  # and the class map (see gun_jax.data.classes.load_class_map)
    data.random_scale = (0.5, 2.0)  # log-uniform; (): none
    data.crop = ()  # (height, width); (): the size of the picture, whatever random_scale makes of it
    data.flip = True
    data.color_jitter = 0.0  # strength, 0 to 1: brightness, contrast and saturation change by up to this part
    data.lighting_jitter = 0.0  # sigma of the colour noise along the training set's principal components; 0: none
    data.synthetic_size = (160, 320)  # of `synthetic`: (height, width) of a scene,
    data.synthetic_train = 100_000  # scenes to train on,
    data.synthetic_val = 64  # and to evaluate on, from another seed
    data.synthetic_seed = 0
    data.workers = 0  # processes that read; 0: threads of this one
    data.threads = 4  # that read, a process
    data.prefetch = 32  # records that are read ahead

    config.model = model = ConfigDict()  # the attributes of gun_jax.GUN
    model.encoder = "enc24shared"
    model.fusion = "postproc_sum"
    model.guidance = "fusion"  # "none": bilinear upsampling, the paper's baseline
    model.method = "bilinear"
    model.input_subsampling = 1
    model.width = 1.0
    model.dtype = "float32"
    model.variant = "d22"
    model.branch_norm = "shared"

    config.optimizer = optimizer = ConfigDict()
    optimizer.peak_rate = 0.001
    optimizer.schedule = "step"  # step, poly, constant
    optimizer.warmup_epochs = 0.0  # the rate rises linearly from 0
    optimizer.step_epochs = 100.0  # of `step`: epochs between two drops,
    optimizer.step_factor = 0.1  # and by what the rate is multiplied
    optimizer.poly_power = 0.9
    optimizer.momentum = 0.9
    optimizer.weight_decay = 1e-4  # not on batch norm and biases
    return config.lock()


_POSITIVE = ("epochs", "batch_size", "keep_checkpoints", "log_every_steps", "model.width", "optimizer.peak_rate",
             "optimizer.step_epochs", "optimizer.step_factor", "data.threads", "data.prefetch")  # fmt: skip
_NOT_NEGATIVE = ("seed", "steps", "eval_every_epochs", "checkpoint_every_epochs", "data.workers",
                 "data.lighting_jitter", "optimizer.warmup_epochs", "optimizer.momentum", "optimizer.weight_decay",
                 "optimizer.poly_power")  # fmt: skip


def validate(config: ConfigDict) -> None:
    """Looks for values that no run can have.

    Raises:
      InputError: there is one: says which, and what was expected.
    """
    for name in _POSITIVE:
        if not 0 < setting(config, name) < math.inf:
            raise InputError(f"config.{name} is {setting(config, name)!r}; expected more than 0")
    for name in _NOT_NEGATIVE:
        if not 0 <= setting(config, name) < math.inf:
            raise InputError(f"config.{name} is {setting(config, name)!r}; expected 0 or more")
    crop, scale = config.data.crop, config.data.random_scale
    if crop and not (len(crop) == 2 and all(isinstance(side, int) and side > 0 for side in crop)):
        raise InputError(f"config.data.crop is {crop!r}; expected (height, width) in pixels, as (240, 320), or ()")
    numbers = len(scale) == 2 and all(isinstance(factor, int | float) for factor in scale)
    if scale and not (numbers and 1 / 16 <= scale[0] <= scale[1] <= 16):
        raise InputError(
            f"config.data.random_scale is {scale!r}; expected (smallest, largest) within 1/16 and 16, as (0.5, 2.0), "
            "or ()"
        )
    if not 0 <= config.data.color_jitter <= 1:
        raise InputError(f"config.data.color_jitter is {config.data.color_jitter!r}; expected 0 (none) to 1")
    if config.model.width > 16:
        raise InputError(
            f"config.model.width is {config.model.width!r}; expected at most 16 (1 is the paper's network)"
        )
    if config.model.dtype not in _DTYPES:
        raise InputError(f"config.model.dtype is {config.model.dtype!r}; expected {' or '.join(_DTYPES)}")


def build_model(model: ConfigDict, num_classes: int) -> GUN:
    """The network that the `model` section of a configuration describes."""
    attributes = dict(model)
    if attributes["guidance"] == "none":
        attributes["guidance"] = None
    return GUN(num_classes, **attributes)


def describe_network(model: ConfigDict, num_classes: int) -> dict[str, Any]:
    """What makes the network of `build_model` that one, in this version: JSON values, which a checkpoint keeps."""
    return {"version": gun_jax.__version__, "num_classes": num_classes, **model.to_dict()}


def save_config(workdir: pathlib.Path, config: ConfigDict, classes: ClassMap) -> None:
    """Writes the resolved configuration and the classes that it trains into the workdir."""
    saved = {"config": config.to_dict(), "classes": {"names": classes.names, "colors": classes.colors}}
    write_whole(workdir / SAVED_NAME, json.dumps(saved, indent=2) + "\n")


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


def nearest_setting(key: str) -> str | None:
    """The setting, "data.crop", whose name is nearest to a wrong one."""
    names = setting_names(default_config())
    close = difflib.get_close_matches(key, names, 1, cutoff=0.5)
    if not close:  # perhaps right but for its section
        last = [name for name in names if name.rsplit(".")[-1] == key.rsplit(".")[-1]]
        close = last[:1]
    return close[0] if close else None


def setting_names(config: ConfigDict, prefix: str = "") -> list[str]:
    """All settings with their sections: "seed", "data.crop" and so on."""
    names: list[str] = []
    for key, value in config.items():
        names += setting_names(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else [prefix + key]
    return names


def setting(config: ConfigDict, name: str) -> Any:
    """The value of the setting with this name, "data.crop"."""
    return functools.reduce(operator.getitem, name.split("."), config)


def _settings(value):
    """JSON knows no tuples: lists become tuples again."""
    if isinstance(value, dict):
        return {key: _settings(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value
