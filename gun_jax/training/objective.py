"""What a training step minimises: the loss, and the parts of the network that it does not change."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gun_jax.configuration import CLASS_WEIGHTS
from gun_jax.data.classes import IGNORE
from gun_jax.data.skip_bad import SkippingSource
from gun_jax.data.sources import Source
from gun_jax.errors import InputError
from gun_jax.models import GUN
from gun_jax.models.drn import BatchNorm
from gun_jax.ops.losses import cross_entropy
from gun_jax.training.parts import belongs, check_parts, map_parts, names_of_parts, numbers_of_parts

_COUNTED = 1000  # images for class weights, at most


@dataclasses.dataclass(frozen=True)
class Objective:
    """Loss and frozen parts.

    Attributes:
      class_weights: of a pixel by its label, one for each class; None: 1.
      label_smoothing, hard: see `gun_jax.ops.losses.cross_entropy`.
      bilinear: weight of the loss of the bilinearly upsampled logits, beside that of the guided ones.
      separate: whether the guided loss trains the guidance module alone, and the bilinear one the rest.
      auxiliary: weight of the loss of the coarsest signal's classifier.
      frozen: parts whose parameters stay.
      frozen_statistics: parts whose batch norm uses its running statistics, which stay, in place of the batch's.
      average_decay: of the moving average of the weights.
    """

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    hard: tuple[float, float] | None = None
    bilinear: float = 0.0
    separate: bool = False
    auxiliary: float = 0.0
    frozen: tuple[str, ...] = ()
    frozen_statistics: tuple[str, ...] = ()
    average_decay: float = 0.0

    def loss(self, model: GUN, variables: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        """The loss (), and the batch statistics after normalised images (B, H, W, 3) with labels (B, H', W')."""
        several = self.bilinear or self.separate or self.auxiliary
        how = {"method": "training_logits", "separate": self.separate} if several else {"train": True}
        with nn.intercept_methods(self._with_frozen_statistics):
            logits, updates = model.apply(
                variables, images, output_size=labels.shape[1:3], mutable=["batch_stats"], **how
            )
        if not several:
            return self._loss_of(logits, labels), updates["batch_stats"]
        weights = {"guided": 1.0, "bilinear": self.bilinear, "auxiliary": self.auxiliary}
        losses = [weights[name] * self._loss_of(one, labels) for name, one in logits.items() if weights[name]]
        return sum(losses, jnp.zeros(())), updates["batch_stats"]

    def _loss_of(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
        weights = None if self.class_weights is None else jnp.asarray(self.class_weights, jnp.float32)
        return cross_entropy(logits, labels, IGNORE, weights, self.label_smoothing, self.hard)

    def without_frozen(self, params: Any) -> Any:
        """The parameters; no gradient is computed for those of frozen parts."""
        if not self.frozen:
            return params
        factors = dict.fromkeys(self.frozen, 0.0)
        return map_parts(lambda factor, leaf: leaf if factor else jax.lax.stop_gradient(leaf), factors, params)

    def _with_frozen_statistics(
        self, call: Callable, arguments: tuple, named: dict[str, Any], context: nn.module.InterceptorContext
    ) -> Any:
        module = context.module
        if isinstance(module, BatchNorm) and context.method_name == "__call__":
            path = "/".join(module.path)
            if any(belongs(path, part) for part in self.frozen_statistics):
                x, _, *rest = arguments
                arguments = (x, False, *rest)
        return call(*arguments, **named)


PAPERS_OBJECTIVE = Objective()


def make_objective(config: ConfigDict, source: Source, params: Any) -> Objective:
    """The objective that a configuration describes.

    Args:
      config: of the run.
      source: the training split, whose labels are counted for class weights.
      params: of the network.

    Raises:
      InputError: a setting names a part that the network does not have, or another number of weights than of classes.
    """
    optimizer = config.optimizer
    rates = numbers_of_parts(optimizer.rates)
    statistics = names_of_parts(optimizer.frozen_statistics)
    for name, parts in (
        ("rates", rates),
        ("decays", numbers_of_parts(optimizer.decays)),
        ("frozen_statistics", statistics),
    ):
        check_parts(f"optimizer.{name}", parts, params)
    loss = config.loss
    if loss.auxiliary and not config.model.auxiliary:
        raise InputError("config.loss.auxiliary needs the classifier of config.model.auxiliary=True")
    if loss.separate and (not loss.bilinear or config.model.guidance == "none"):
        raise InputError(
            "config.loss.separate needs a guidance module, and a weight of the bilinear loss: config.loss.bilinear=1"
        )
    return Objective(
        class_weights=class_weights(
            loss.class_weights, SkippingSource(source) if config.data.on_bad_record == "skip" else source
        ),
        label_smoothing=loss.label_smoothing,
        hard=(loss.hard_threshold, loss.hard_share) if loss.hard_threshold < 1 else None,
        bilinear=loss.bilinear,
        separate=loss.separate,
        auxiliary=loss.auxiliary,
        frozen=tuple(part for part, rate in rates.items() if rate == 0),
        frozen_statistics=statistics,
        average_decay=optimizer.average_decay,
    )


def class_weights(rule: str, source: Source) -> tuple[float, ...] | None:
    """Weights of the classes by a rule.

    Args:
      rule: "" for none; "log": 1 / ln(1.10 + share of the labelled pixels) (ENet: Paszke et al., 2016);
        "median_frequency": the median of the frequencies over that of the class (Eigen and Fergus, ICCV 2015), where a
        frequency is the class's share of the labelled pixels of the images that show it; a class without a pixel has
        the weight 0; or the numbers themselves, "1,2.5,1".
      source: the training split; of more than 1000 images, 1000 are counted, spread evenly.

    Raises:
      InputError: another number of weights than of classes.
    """
    if not rule:
        return None
    count = len(source.classes)
    if rule not in CLASS_WEIGHTS:
        given = tuple(map(float, rule.split(",")))
        if len(given) != count:
            raise InputError(
                f"config.loss.class_weights has {len(given)} numbers; expected {count}, one for each class"
            )
        return given
    counted = np.unique(np.linspace(0, len(source) - 1, _COUNTED).round().astype(int)).tolist()
    labels = (source[index]["label"] for index in counted)
    pixels = np.stack([np.bincount(label[label != IGNORE], minlength=count) for label in labels])  # (images, classes)
    total = pixels.sum(0)
    if rule == "log":
        return tuple((1 / np.log(1.10 + total / max(total.sum(), 1))).tolist())
    shown = ((pixels > 0) * pixels.sum(1, keepdims=True)).sum(0)
    frequency = total / np.maximum(shown, 1)
    weights = np.median(frequency[total > 0]) / np.where(total > 0, frequency, np.inf) if total.any() else total
    return tuple(weights.tolist())
