"""What a training step minimises: the loss, and the parts of the network that it does not change."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gun_jax.data.classes import IGNORE
from gun_jax.data.sources import Source
from gun_jax.models import GUN
from gun_jax.models.drn import BatchNorm
from gun_jax.ops.losses import cross_entropy
from gun_jax.training.parts import belongs, check_parts, map_parts, names_of_parts, numbers_of_parts


@dataclasses.dataclass(frozen=True)
class Objective:
    """Loss and frozen parts.

    Attributes:
      class_weights: of a pixel by its label, one for each class; None: 1.
      frozen: parts whose parameters stay.
      frozen_statistics: parts whose batch norm uses its running statistics, which stay, in place of the batch's.
      average_decay: of the moving average of the weights.
    """

    class_weights: tuple[float, ...] | None = None
    frozen: tuple[str, ...] = ()
    frozen_statistics: tuple[str, ...] = ()
    average_decay: float = 0.0

    def loss(self, model: GUN, variables: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        """The loss (), and the batch statistics after normalised images (B, H, W, 3) with labels (B, H', W')."""
        with nn.intercept_methods(self._with_frozen_statistics):
            logits, updates = model.apply(
                variables, images, train=True, output_size=labels.shape[1:3], mutable=["batch_stats"]
            )
        weights = None if self.class_weights is None else jnp.asarray(self.class_weights, jnp.float32)
        return cross_entropy(logits, labels, IGNORE, weights), updates["batch_stats"]

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
    return Objective(
        class_weights=class_weights(config.loss.class_weights, source),
        frozen=tuple(part for part, rate in rates.items() if rate == 0),
        frozen_statistics=statistics,
        average_decay=optimizer.average_decay,
    )


def class_weights(rule: str, source: Source) -> tuple[float, ...] | None:
    """Weights of the classes by a rule.

    Args:
      rule: "" for none; "log": 1 / ln(1.10 + share of the labelled pixels) (ENet: Paszke et al., 2016);
        "median_frequency": the median over the classes of the frequency, over that of the class, where a frequency is the
        class's share of the labelled pixels of the images that show it (Eigen and Fergus, ICCV 2015); a class without
        a pixel has the weight 0; or the numbers themselves, "1,2.5,1".
      source: the training split; all its labels are read.

    Raises:
      InputError: another number of weights than of classes.
    """
    from gun_jax.errors import InputError

    if not rule:
        return None
    count = len(source.classes)
    if rule not in CLASS_WEIGHT_RULES:
        given = tuple(map(float, rule.split(",")))
        if len(given) != count:
            raise InputError(
                f"config.loss.class_weights has {len(given)} numbers; expected {count}, one for each class"
            )
        return given
    pixels = np.zeros((len(source), count))
    for index in range(len(source)):
        label = source[index]["label"]
        pixels[index] = np.bincount(label[label != IGNORE], minlength=count)[:count]
    total = pixels.sum(0)
    if rule == "log":
        return tuple((1 / np.log(1.10 + total / max(total.sum(), 1))).tolist())
    shown = ((pixels > 0) * pixels.sum(1, keepdims=True)).sum(0)
    frequency = total / np.maximum(shown, 1)
    weights = np.median(frequency[total > 0]) / np.where(total > 0, frequency, np.inf) if total.any() else total
    return tuple(weights.tolist())


CLASS_WEIGHT_RULES = ("log", "median_frequency")
