"""The configuration of an experiment: every setting with its default, its meaning and its possible values.

A file under `configs/` starts from `default_config()` and assigns only what differs. A new setting is one entry of
`SETTINGS`: its checks, its flag in `train.py --help` and its row in docs/settings.md are made from it.
"""

import dataclasses
import difflib
import functools
import math
import operator
from collections.abc import Callable, Collection
from typing import Any

from ml_collections import ConfigDict as ConfigDict  # config files import it from here

from gun_jax.data.images import MAX_PIXELS
from gun_jax.data.sources import SOURCES
from gun_jax.errors import InputError, one_of
from gun_jax.models import GUN
from gun_jax.models.drn import VARIANTS
from gun_jax.models.efficientnet import VARIANTS as EFFICIENTNETS
from gun_jax.models.encoder import BRANCH_NORMS, ENCODERS
from gun_jax.models.fusion import FUSIONS
from gun_jax.models.guidance import GUIDANCES
from gun_jax.models.gun import LOGITS_STRIDES
from gun_jax.ops.sampling import METHODS, PADDINGS
from gun_jax.version import __version__

MAX_STEPS = 2**31 - 1  # the step counter has 32 bits
CLASS_WEIGHTS = ("log", "median_frequency")  # rules by which `loss.class_weights` counts pixels


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting. Its values have the type of its default; numbers are finite.

    Attributes:
      default: the value where a configuration assigns none.
      meaning: the words for `--help` and the docs.
      above: values are greater than this.
      minimum: the smallest value.
      maximum: the largest value.
      choices: all possible values; empty where there are others.
      form: the possible values in words, where `accepts` decides.
      accepts: whether a value has that form.
    """

    default: Any
    meaning: str
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: Collection[str] = ()
    form: str = ""
    accepts: Callable[[Any], bool] = lambda value: True

    @property
    def values(self) -> str:
        """The possible values in words; "" where the type says it all."""
        bounds = {"more than": self.above, "at least": self.minimum, "at most": self.maximum}
        ranges = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
        return self.form or ", ".join(self.choices or ranges)

    def check(self, name: str, value: Any) -> None:
        """Raises an InputError unless `value` is possible."""
        kind = type(self.default)
        kinds = (int, float) if kind is float else (kind,)  # a config file can assign an int, or None
        if not isinstance(value, kinds) or isinstance(value, bool) != (kind is bool):
            expected = f"{kind.__name__}, e.g. {self.default!r}"
        elif self.choices and value not in self.choices:
            expected = one_of(value, self.choices)
        elif not self.accepts(value) or (kind in (int, float) and not self._in_range(value)):
            expected = self.values
        else:
            return
        raise InputError(f"config.{name} is {value!r}; expected {expected}")

    def _in_range(self, value: float) -> bool:
        above, least, most = self.above, self.minimum, self.maximum
        bounded = (above is None or value > above) and (least is None or value >= least)
        return bounded and value < math.inf and (most is None or value <= most)


def _is_size(value: tuple) -> bool:
    return len(value) == 2 and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in value)


def _is_crop(value: tuple) -> bool:
    return not value or (_is_size(value) and math.prod(value) <= MAX_PIXELS)


def _is_scale(value: tuple) -> bool:
    numbers = len(value) == 2 and all(isinstance(factor, int | float) for factor in value)
    return not value or (numbers and 1 / 16 <= value[0] <= value[1] <= 16)


def _is_class_weights(value: str) -> bool:
    return value in ("", *CLASS_WEIGHTS) or all(map(_is_factor, value.split(",")))


def _is_numbers_of_parts(value: str) -> bool:
    entries = [entry.partition("=") for entry in value.split(",")]
    return not value or all(part.strip() and _is_factor(number) for part, _, number in entries)


def _is_factor(text: str) -> bool:
    """Whether a text is a finite number, at least 0."""
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


_PARTS = "parts and factors, e.g. 'encode=0.25,gum=10'; or ''"

# fmt: off
SETTINGS = {
    "seed": Setting(0, "seed of parameters, order of images and augmentation", minimum=0, maximum=MAX_STEPS),
    "init": Setting("", "initial weights: 'imagenet' for an EfficientNet; the file of a published DRN, e.g. "
                    "drn_d_22-4bd2f8ea.pth, for its encoder; a pretrained model's name, or the workdir of another run, "
                    "for all parts of equal shapes; '': random numbers"),
    "epochs": Setting(250.0, "length of the training", above=0),
    "steps": Setting(0, "length of the training in steps; 0: `epochs` decides", minimum=0, maximum=MAX_STEPS),
    "batch_size": Setting(8, "images in a batch, over all devices", above=0, maximum=2**16),
    "eval_every_epochs": Setting(5.0, "epochs between evaluations; 0: only after the last step", minimum=0),
    "checkpoint_every_epochs": Setting(1.0, "epochs between checkpoints; 0: only with evaluations", minimum=0),
    "keep_checkpoints": Setting(3, "number of newest checkpoints to keep, beside the best", above=0),
    "log_every_steps": Setting(20, "steps between reports of the loss", above=0),
    "max_bad_steps": Setting(10, "successive steps without a finite loss and gradient that end the training", above=0),

    "data.source": Setting("cityscapes", "data set", choices=SOURCES),
    "data.dir": Setting("", "folder of the data set; '': the environment variable GUN_DATA_DIR, or ./data"),
    "data.partial": Setting(False, "accept a data set with missing images"),
    "data.train_split": Setting("train", "split to train on"),
    "data.eval_split": Setting("val", "split to evaluate on"),
    "data.images": Setting("{split}/images", "`folder` source: folder of a split's images, in `data.dir`"),
    "data.labels": Setting("{split}/labels", "`folder` source: folder of a split's labels"),
    "data.classes": Setting("classes.json", "`folder` source: file of the class map (docs/own_data.md)"),
    "data.image_ending": Setting("", "`folder` source: ending of the images' names, e.g. '_image.png'; '': any image"),
    "data.label_ending": Setting(".png", "`folder` source: ending of the labels' names; an image and its label have "
                                 "the same name before their endings", accepts=bool,
                                 form="an ending of file names, e.g. '.png'"),
    "data.split_list": Setting("", "`folder` source: file with the names of a split, without endings, e.g. "
                               "'{split}.txt'; '': all files"),
    "data.random_scale": Setting((0.5, 2.0), "random scale: smallest and largest factor; (): off", accepts=_is_scale,
                                 form="(smallest, largest) within 1/16 and 16, e.g. (0.5, 2.0), or ()"),
    "data.random_scale_distribution": Setting("log_uniform", "distribution of the random scale; uniform: as DRN's code",
                                              choices=("log_uniform", "uniform")),
    "data.crop": Setting((), "random crop: height and width; (): the image's size before the random scale",
                         accepts=_is_crop,
                         form=f"(height, width), e.g. (240, 320), at most {MAX_PIXELS} pixels; or ()"),
    "data.flip": Setting(True, "flip every other image horizontally"),
    "data.color_jitter": Setting(0.0, "largest relative change of brightness, contrast and saturation; 0: off",
                                 minimum=0, maximum=1),
    "data.lighting_jitter": Setting(0.0, "sigma of the colour noise along the data's principal components; 0: off",
                                    minimum=0),
    "data.gamma_jitter": Setting(0.0, "largest relative change of the exponent of grey levels; 0: off", minimum=0),
    "data.blur": Setting(0.0, "largest deviation of a Gaussian blur in pixels, of every other image; 0: off",
                         minimum=0, maximum=32),
    "data.noise": Setting(0.0, "largest deviation of Gaussian noise in grey levels, of every other image; 0: off",
                          minimum=0, maximum=255),
    "data.grey": Setting(0.0, "share of the images that lose their colours", minimum=0, maximum=1),
    "data.jpeg_quality": Setting(0, "lowest quality of JPEG artefacts, of every other image; 0: off", minimum=0,
                                 maximum=100),
    "data.rare_crops": Setting(0.0, "share of the crops that hold a pixel of a class, which is drawn evenly from the "
                               "classes of the image", minimum=0, maximum=1),
    "data.synthetic_size": Setting((160, 320), "`synthetic` source: height and width of a scene", accepts=_is_size,
                                   form="(height, width) in pixels, e.g. (160, 320)"),
    "data.synthetic_train": Setting(100_000, "`synthetic` source: scenes to train on", above=0, maximum=MAX_STEPS),
    "data.synthetic_val": Setting(64, "`synthetic` source: scenes to evaluate on", above=0, maximum=MAX_STEPS),
    "data.synthetic_seed": Setting(0, "`synthetic` source: seed of the scenes", minimum=0, maximum=2**30),
    "data.workers": Setting(0, "number of reader processes; 0: threads of the main process", minimum=0, maximum=1024),
    "data.threads": Setting(4, "number of reader threads in a process", above=0, maximum=1024),
    "data.prefetch": Setting(32, "number of records to read ahead", above=0, maximum=2**16),
    "data.on_bad_record": Setting("stop", "action on an unreadable record: stop, or skip it and count it",
                                  choices=("stop", "skip")),

    "model.encoder": Setting("enc24shared", "encoder: of Table 1, or an EfficientNet-Lite",
                             choices=(*ENCODERS, *EFFICIENTNETS)),
    "model.fusion": Setting("postproc_sum", "fusion module (Table 2)", choices=FUSIONS),
    "model.guidance": Setting("fusion", "guidance module (Table 4); none: bilinear upsampling, the paper's baseline",
                              choices=("none", *GUIDANCES)),
    "model.method": Setting("bilinear", "sampling: bilinear (equation 4) or nearest (equation 2)", choices=METHODS),
    "model.align_corners": Setting(False, "sampling: align the corner pixels of the grids instead of their borders"),
    "model.padding": Setting("border", "sampling outside of the map: the nearest pixel, or 0", choices=PADDINGS),
    "model.input_subsampling": Setting(1, "factor by which the images are already subsampled", above=0),
    "model.width": Setting(1.0, "factor on the number of channels", above=0, maximum=16),
    "model.dtype": Setting("float32", "dtype of convolutions and activations", choices=("float32", "bfloat16")),
    "model.variant": Setting("d22", "variant of the DRN", choices=VARIANTS),
    "model.branch_norm": Setting("shared", "running statistics of batch norm where branches share parameters: one set, "
                                 "or one per branch", choices=BRANCH_NORMS),
    "model.logits_stride": Setting(0, "side of a logit in pixels of the image that the finest branch sees; 0: 8",
                                   accepts=lambda value: value in (0, *LOGITS_STRIDES),
                                   form="0, 2, 4 or 8; with an EfficientNet also 16 or 32"),
    "model.auxiliary": Setting(False, "add a classifier of the coarsest signal, for `loss.auxiliary`"),
    "model.decoder_channels": Setting(64, "channels of the decoder of an EfficientNet, or of logits at strides below 8",
                                      above=0, maximum=1024),

    "loss.class_weights": Setting("", "weights of the classes: 1 / ln(1.10 + share of the pixels) as ENet, median "
                                  "frequency, or the numbers; '': none", accepts=_is_class_weights,
                                  form="'', log, median_frequency, or a number for each class, e.g. '1,2.5,1'"),
    "loss.label_smoothing": Setting(0.0, "share of the target that is spread over all classes", minimum=0, maximum=1),
    "loss.hard_threshold": Setting(1.0, "OHEM: only pixels whose class has a smaller probability count; 1: all",
                                   above=0, maximum=1),
    "loss.hard_share": Setting(0.0625, "OHEM: least share of the labelled pixels that count", minimum=0, maximum=1),
    "loss.bilinear": Setting(0.0, "weight of the loss of bilinear upsampling, beside that of guided upsampling",
                             minimum=0),
    "loss.separate": Setting(False, "the guided loss trains the guidance module alone, the bilinear one the rest"),
    "loss.auxiliary": Setting(0.0, "weight of the loss of the coarsest signal's classifier, e.g. 0.4", minimum=0),

    "optimizer.name": Setting("sgd", "SGD with momentum, or AdamW", choices=("sgd", "adamw")),
    "optimizer.peak_rate": Setting(0.001, "largest learning rate", above=0),
    "optimizer.schedule": Setting("step", "learning rate after the warm-up: drops, polynomial or cosine decay to 0, or "
                                  "constant", choices=("step", "poly", "cosine", "constant")),
    "optimizer.warmup_epochs": Setting(0.0, "epochs in which the learning rate rises linearly from 0", minimum=0),
    "optimizer.step_epochs": Setting(100.0, "`step` schedule: epochs between drops", above=0),
    "optimizer.step_factor": Setting(0.1, "`step` schedule: factor on the learning rate at a drop", above=0),
    "optimizer.poly_power": Setting(0.9, "`poly` schedule: exponent", minimum=0),
    "optimizer.momentum": Setting(0.9, "momentum of SGD; beta1 of AdamW", minimum=0),
    "optimizer.weight_decay": Setting(1e-4, "weight decay of the convolutions' kernels", minimum=0),
    "optimizer.clip_norm": Setting(0.0, "largest Euclidean norm of the gradient; 0: no limit", minimum=0),
    "optimizer.accumulate": Setting(1, "steps whose mean gradient makes one update", above=0, maximum=2**16),
    "optimizer.rates": Setting("", "factors on the learning rate of parts of the network; 0: the part is frozen",
                               accepts=_is_numbers_of_parts, form=_PARTS),
    "optimizer.decays": Setting("", "factors on the weight decay of parts of the network",
                                accepts=_is_numbers_of_parts, form=_PARTS),
    "optimizer.frozen_statistics": Setting("", "parts, e.g. 'encode', whose batch norm uses its running statistics and "
                                           "does not change them"),
    "optimizer.average_decay": Setting(0.0, "decay of the moving average of the weights, which is evaluated and "
                                       "exported, e.g. 0.999; 0: off", minimum=0, maximum=1),
}
# fmt: on

# None of them decides what is learned.
FREE_SETTINGS = (
    "eval_every_epochs",
    "checkpoint_every_epochs",
    "keep_checkpoints",
    "log_every_steps",
    "data.dir",
    "data.partial",
    "data.workers",
    "data.threads",
    "data.prefetch",
    "data.on_bad_record",  # a run that a bad record did not stop has met none
    "max_bad_steps",
)


def leave_out(config: ConfigDict, fold: str) -> None:
    """Trains on the training split without one drive, and evaluates on that drive.

    Args:
      config: is changed.
      fold: "fold=0006R0", or "" for no change.

    Raises:
      InputError: another form.
    """
    name, _, drive = fold.partition("=")
    if fold and (name != "fold" or not drive):
        raise InputError(f"variant {fold!r}; expected fold=DRIVE, e.g. fold=0006R0")
    if drive:
        config.data.train_split, config.data.eval_split = f"train@-{drive}", f"train@{drive}"


def default_config() -> ConfigDict:
    """Every setting with its default; unknown keys are errors."""
    nested: dict[str, Any] = {}
    for name, one in SETTINGS.items():
        section, _, key = name.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[key] = one.default
    return ConfigDict(nested).lock()


def validate(config: ConfigDict) -> None:
    """Checks all values.

    Raises:
      InputError: names the first impossible value, and what was expected.
    """
    for name, one in SETTINGS.items():
        one.check(name, setting(config, name))


def build_model(model: ConfigDict, num_classes: int) -> GUN:
    """The network that the `model` section of a configuration describes."""
    attributes = dict(model)
    if attributes["guidance"] == "none":
        attributes["guidance"] = None
    return GUN(num_classes, **attributes)


def describe_network(model: ConfigDict, num_classes: int) -> dict[str, Any]:
    """What defines the network of `build_model`, in this version: JSON values, which a checkpoint keeps."""
    return {"version": __version__, "num_classes": num_classes, **model.to_dict()}


def same_network(saved: dict[str, Any] | None, network: dict[str, Any]) -> bool:
    """Whether two `describe_network` are equal; the saved one may lack settings that are new since then."""
    return saved == network or (saved is not None and with_new_settings(saved) == with_new_settings(network))


def with_new_settings(network: dict[str, Any]) -> dict[str, Any]:
    """A `describe_network` that was saved before some settings existed, with their defaults."""
    return default_config().model.to_dict() | network


def nearest_setting(key: str) -> str | None:
    """The setting whose name is nearest to a wrong one: "data.crop" for "data.corp", and for "crop"."""
    close = difflib.get_close_matches(key, SETTINGS, 1, cutoff=0.5)
    if not close:  # perhaps only its section is wrong
        close = [name for name in SETTINGS if name.rsplit(".")[-1] == key.rsplit(".")[-1]]
    return close[0] if close else None


def setting_names(config: ConfigDict, prefix: str = "") -> list[str]:
    """All settings with their sections: "seed", "data.crop" and so on."""
    names: list[str] = []
    for key, value in config.items():
        names += setting_names(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else [prefix + key]
    return names


def setting(config: ConfigDict, name: str) -> Any:
    """The value of the setting with this name, e.g. "data.crop"."""
    return functools.reduce(operator.getitem, name.split("."), config)
