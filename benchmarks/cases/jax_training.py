"""A training step of the final network: forward, backward and SGD with momentum, as `train.py` compiles it."""

import functools
import os
from collections.abc import Callable

import jax
import numpy as np
import optax

import gun_jax
from gun_jax.system import runtime
from gun_jax.training.state import create_state
from gun_jax.training.step import batch_sharding, data_mesh, make_train_step, replicated


def training(size: tuple[int, int], batch: int, onednn: bool = False) -> Callable[[], object]:
    os.environ["GUN_ONEDNN"] = str(int(onednn))
    runtime.keep_memory()
    runtime.keep_compilations()
    model, optimizer = gun_jax.GUN(19, input_subsampling=2), optax.sgd(1e-3, 0.9)
    mesh = data_mesh()
    state = jax.device_put(create_state(model, optimizer, seed=0), replicated(mesh))
    step = make_train_step(model, optimizer, mesh, clear_caches=True)
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (batch, *size, 3), np.uint8)
    labels = numbers.integers(0, 19, (batch, *size), np.uint8)
    data = jax.device_put({"image": images, "label": labels}, batch_sharding(mesh))

    def run():
        nonlocal state
        state, outcome = step(state, data)
        jax.block_until_ready((state, outcome))

    return run


CASES = {"jax training": training, "jax training, oneDNN": functools.partial(training, onednn=True)}
