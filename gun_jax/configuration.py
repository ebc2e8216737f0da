"""The configuration of an experiment: every setting, what it means, and its default.

A file under `configs/` starts from `default_config()` and assigns; it says nothing that is not special to it.
"""

import difflib
import functools
import math
import operator
from typing import Any

from ml_collections import ConfigDict as ConfigDict  # config files take it from here

from gun_jax.data.images import MAX_PIXELS
from gun_jax.errors import InputError, one_of
from gun_jax.models import GUN
from gun_jax.version import __version__

MAX_STEPS = 2**31 - 1  # the number of a step has 32 bits
_CHOICES = {
    "data.on_bad_record": ("stop", "skip"),
    "data.random_scale_distribution": ("log_uniform", "uniform"),
    "model.dtype": ("float32", "bfloat16"),
}


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
    config.max_bad_steps = 10  # steps in a row whose loss or gradient is not finite, which end the training

    config.data = data = ConfigDict()
    data.source = "cityscapes"  # cityscapes, camvid, folder, synthetic
    data.dir = ""  # "": the environment variable GUN_DATA_DIR, or ./data
    data.partial = False  # take a data set of which images are missing
    data.train_split = "train"
    data.eval_split = "val"
    data.images = "{split}/images"  # of `folder`: where in dir the images of a split lie,
    data.labels = "{split}/labels"  # their labels,
    data.classes = "classes.json"  # and the class map (see gun_jax.data.classes.load_class_map);
    data.image_ending = ""  # how the names of images end, as "_image.png"; "": as images do
    data.label_ending = ".png"  # and those of labels: an image and its label have the same name less these;
    data.split_list = ""  # file in dir of the names (less endings) of a split, as "{split}.txt"; "": all that are there
    data.random_scale = (0.5, 2.0)  # smallest and largest factor; (): none
    data.random_scale_distribution = "log_uniform"  # or "uniform", as in the code of the DRNs
    data.crop = ()  # (height, width); (): the size of the image, whatever random_scale makes of it
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
    data.on_bad_record = "stop"  # or "skip": train on the one after it instead, and count it

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
    optimizer.clip_norm = 0.0  # the gradient's Euclidean norm is at most this; 0: whatever it is
    return config.lock()


_POSITIVE = ("epochs", "batch_size", "keep_checkpoints", "log_every_steps", "max_bad_steps", "model.width",
             "optimizer.peak_rate", "optimizer.step_epochs", "optimizer.step_factor", "data.threads",
             "data.prefetch")  # fmt: skip
_NOT_NEGATIVE = ("seed", "steps", "eval_every_epochs", "checkpoint_every_epochs", "data.workers",
                 "data.color_jitter", "data.lighting_jitter", "optimizer.warmup_epochs", "optimizer.momentum",
                 "optimizer.weight_decay", "optimizer.poly_power", "optimizer.clip_norm")  # fmt: skip
# Beyond these no machine, or no counter, follows.
_MAX = {"seed": MAX_STEPS, "steps": MAX_STEPS, "batch_size": 2**16, "data.threads": 1024, "data.workers": 1024,
         "data.prefetch": 2**16, "data.color_jitter": 1, "data.synthetic_seed": 2**30,
         "data.synthetic_train": MAX_STEPS, "data.synthetic_val": MAX_STEPS, "model.width": 16}  # fmt: skip


def validate(config: ConfigDict) -> None:
    """Looks for values that no run can have.

    Raises:
      InputError: there is one: says which, and what was expected.
    """
    _check_types(config)
    for name in _POSITIVE:
        if not 0 < setting(config, name) < math.inf:
            raise InputError(f"config.{name} is {setting(config, name)!r}; expected more than 0")
    for name in _NOT_NEGATIVE:
        if not 0 <= setting(config, name) < math.inf:
            raise InputError(f"config.{name} is {setting(config, name)!r}; expected 0 or more")
    for name, most in _MAX.items():
        if setting(config, name) > most:
            raise InputError(f"config.{name} is {setting(config, name)!r}; expected at most {most}")
    crop, scale = config.data.crop, config.data.random_scale
    if crop and not (len(crop) == 2 and all(_is_whole(side) and side > 0 for side in crop)):
        raise InputError(f"config.data.crop is {crop!r}; expected (height, width) in pixels, as (240, 320), or ()")
    if math.prod(crop) > MAX_PIXELS:
        raise InputError(f"config.data.crop is {crop!r}; expected at most {MAX_PIXELS} pixels")
    numbers = len(scale) == 2 and all(isinstance(factor, int | float) for factor in scale)
    if scale and not (numbers and 1 / 16 <= scale[0] <= scale[1] <= 16):
        raise InputError(
            f"config.data.random_scale is {scale!r}; expected (smallest, largest) within 1/16 and 16, as (0.5, 2.0), "
            "or ()"
        )
    if not config.data.label_ending:
        raise InputError("config.data.label_ending is ''; expected how the names of labels end, as '.png'")
    for name, choices in _CHOICES.items():
        if (value := setting(config, name)) not in choices:
            raise InputError(f"config.{name} is {value!r}; expected {one_of(value, choices)}")


def _check_types(config: ConfigDict) -> None:
    defaults = default_config()
    for name in setting_names(config):
        value, default = setting(config, name), setting(defaults, name)
        # A config file can assign None to anything, and an int to a float.
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
            raise InputError(f"config.{name} is {value!r}; expected {type(default).__name__}, as {default!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def build_model(model: ConfigDict, num_classes: int) -> GUN:
    """The network that the `model` section of a configuration describes."""
    attributes = dict(model)
    if attributes["guidance"] == "none":
        attributes["guidance"] = None
    return GUN(num_classes, **attributes)


def describe_network(model: ConfigDict, num_classes: int) -> dict[str, Any]:
    """What makes the network of `build_model` that one, in this version: JSON values, which a checkpoint keeps."""
    return {"version": __version__, "num_classes": num_classes, **model.to_dict()}


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
