"""Labels of the final network, batch norm folded, as a pipeline would compile `predict`."""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gun_jax
from benchmarks.variables import random_variables
from gun_jax.system import runtime


def labels(size: tuple[int, int], batch: int, onednn: bool = False, **network) -> Callable[[], object]:
    os.environ["GUN_ONEDNN"] = str(int(onednn))
    runtime.keep_memory()
    runtime.keep_compilations()
    model = gun_jax.GUN(19, input_subsampling=2, **network)
    variables = jax.device_put(gun_jax.fold_batch_norm(random_variables(model)))
    numbers = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)
    images = gun_jax.normalise(jnp.asarray(numbers))
    label = jax.jit(lambda variables, images: model.apply(variables, images, method="predict"))
    runtime.give_back_memory()
    predict = label.lower(variables, images).compile()
    runtime.give_back_memory()
    return lambda: predict(variables, images).block_until_ready()


_NETWORKS: dict[str, dict[str, Any]] = {
    "jax": {},
    "jax nearest": {"method": "nearest"},
    "jax baseline": {"guidance": None},
}
CASES = {
    f"{name}, oneDNN" if onednn else name: functools.partial(labels, onednn=onednn, **network)
    for name, network in _NETWORKS.items()
    for onednn in (False, True)
}
