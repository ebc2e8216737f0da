"""Loading trained networks from workdirs."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gun_jax import configuration
from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.models import GUN
from gun_jax.ops.normalisation import normalise
from gun_jax.runs.workdir import saved_config, saved_image_size
from gun_jax.weights import npz as weights
from gun_jax.weights import pretrained


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
      model: the network.
      variables: "params" and "batch_stats", float32, on the first device.
      config: configuration of the run.
      classes: names and colours of the classes.
      step: step of the checkpoint.
      image_size: (height, width) of an evaluation image; None if it is not recorded.
    """

    model: GUN
    variables: dict[str, Any]
    config: ConfigDict
    classes: ClassMap
    step: int
    image_size: tuple[int, int] | None = None


def load_run(workdir: str | os.PathLike, step: int | str | None = None) -> tuple[GUN, dict[str, Any], ConfigDict]:
    """Loads a network that `train.py` has trained.

    Args:
      workdir: folder of the run, or of `export.py --format=weights`.
      step: step of the checkpoint, or "best" for the best mIoU of the training's evaluations; by default the newest.

    Returns:
      The network, its variables ("params" and "batch_stats", float32, on the first device) and the run's
      configuration. `jax.jit(lambda images: model.apply(variables, images, method="predict"))` labels normalised
      images (see `gun_jax.normalise`).

    Raises:
      InputError: a `ValueError`; the folder holds no run or no such checkpoint, or one of another network.
    """
    trained = load_checkpoint(pathlib.Path(workdir), step)
    return trained.model, trained.variables, trained.config


def load_pretrained(name: str = pretrained.DEFAULT) -> tuple[GUN, dict[str, Any], ConfigDict]:
    """Loads an included pretrained model for street scenes: the 11 classes of CamVid.

    Args:
      name: "fast", "accurate", or "camvid_narrow" (the paper's network, narrow and from random weights).

    Returns:
      The same as `load_run`.

    Raises:
      InputError: a `ValueError`; there is no such model.
    """
    return load_run(pretrained.folder_of(name))


def load_checkpoint(workdir: pathlib.Path, step: int | str | None = None) -> Trained:
    """The same as `load_run`, with all recorded facts."""
    config, classes = saved_config(workdir)
    image_size = saved_image_size(workdir)
    model = configuration.build_model(config.model, len(classes))
    network = configuration.describe_network(config.model, len(classes))
    if (workdir / weights.NAME).exists():
        variables, saved_step = weights.read_weights(workdir / weights.NAME, network)
        if step not in (None, "best", saved_step):
            raise InputError(f"{workdir} holds only the weights of step {saved_step}, not of step {step}")
        return Trained(model, variables, config, classes, saved_step, image_size)
    # Late, since Orbax loads slowly.
    from gun_jax.runs.checkpoints import best_step, restore_variables

    def like() -> Any:
        return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))

    number = best_step(workdir) if isinstance(step, str) else step
    variables, step = restore_variables(workdir, network, like, number)
    return Trained(model, variables, config, classes, step, image_size)


def single_image_predictor(trained: Trained, method: str) -> Callable[[np.ndarray, tuple[int, int]], Any]:
    """A method of the network, "predict" or "predict_with_offsets", for single images.

    Returns:
      A function of an image, uint8 (H, W, 3), and a size (H', W'). It returns the method's result as NumPy arrays
      without the batch axis, and compiles once for each size.
    """

    @functools.partial(jax.jit, static_argnums=2)
    def run(variables: dict[str, Any], image: jax.Array, size: tuple[int, int]) -> Any:
        seen = trained.model.apply(variables, normalise(image[None]), output_size=size, method=method)
        return jax.tree.map(lambda array: array[0], seen)

    return lambda image, size: jax.tree.map(np.asarray, run(trained.variables, image, size))
