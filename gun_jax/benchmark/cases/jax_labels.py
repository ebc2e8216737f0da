"""Labels of the final network, batch norm folded, as a pipeline would compile `predict`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import gun_jax
from gun_jax import runtime
from gun_jax.benchmark.variables import random_variables


def labels(size: tuple[int, int], batch: int, **network) -> Callable[[], object]:
    runtime.keep_memory()
    runtime.keep_compilations()
    model = gun_jax.GUN(19, input_subsampling=2, **network)
    variables = jax.device_put(gun_jax.fold_batch_norm(random_variables(model)))
    pictures = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)
    images = gun_jax.normalise(jnp.asarray(pictures))
    runtime.give_back_memory()
    predict = jax.jit(lambda variables, images: model.apply(variables, images, method="predict"))
    predict(variables, images).block_until_ready()
    runtime.give_back_memory()
    return lambda: predict(variables, images).block_until_ready()


CASES = {
    "jax": labels,
    "jax nearest": functools.partial(labels, method="nearest"),
    "jax baseline": functools.partial(labels, guidance=None),
}
