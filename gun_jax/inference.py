"""A trained network from its workdir, for someone else's pipeline."""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gun_jax import configuration, weights
from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.models import GUN


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
      model: the network.
      variables: "params" and "batch_stats", float32, on the first device.
      config: of the run.
      classes: names and colours of what it predicts.
      step: of the checkpoint.
      picture_size: (height, width) of a picture that it was evaluated on; None if that is not known.
    """

    model: GUN
    variables: dict[str, Any]
    config: ConfigDict
    classes: ClassMap
    step: int
    picture_size: tuple[int, int] | None = None


def load_run(workdir: str | os.PathLike, step: int | None = None) -> tuple[GUN, dict[str, Any], ConfigDict]:
    """Loads a network that `train.py` has trained.

    Args:
      workdir: of the run, or a folder that `export.py --format=weights` has written.
      step: of the checkpoint; by default the newest.

    Returns:
      The network, its variables ("params" and "batch_stats", float32, on the first device) and the run's
      configuration. `jax.jit(lambda images: model.apply(variables, images, method="predict"))` labels normalised
      images (see `gun_jax.normalise`).

    Raises:
      InputError: a `ValueError`; the folder holds no run, no such checkpoint, or one of another network.
    """
    trained = load_checkpoint(pathlib.Path(workdir), step)
    return trained.model, trained.variables, trained.config


def load_checkpoint(workdir: pathlib.Path, step: int | None = None) -> Trained:
    """As `load_run`, with all that is known."""
    config, classes = configuration.saved_config(workdir)
    picture_size = configuration.saved_picture_size(workdir)
    model = configuration.build_model(config.model, len(classes))
    network = configuration.describe_network(config.model, len(classes))
    if (workdir / weights.NAME).exists():
        variables, saved_step = weights.read_weights(workdir / weights.NAME, network)
        if step not in (None, saved_step):
            raise InputError(f"{workdir} holds the weights of step {saved_step} alone, not of step {step}")
        return Trained(model, variables, config, classes, saved_step, picture_size)
    # Not every `import gun_jax` shall wait for Orbax.
    from gun_jax.training.checkpoints import restore_variables

    def like() -> Any:
        return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))

    variables, step = restore_variables(workdir, network, like, step)
    return Trained(model, variables, config, classes, step, picture_size)
