"""A training whose steps learn nothing, for tests of everything around them."""

import types

import jax.numpy as jnp
import pytest
from reference_runs import no_scorer, result, rows_of

from gun_jax.training import loop
from gun_jax.training.loop import train


@pytest.fixture
def bookkeeping(monkeypatch, small_config):
    """`bookkeeping(workdir)`: trains with a step that learns nothing; its loss is its number."""
    state = types.SimpleNamespace(params={"kernel": jnp.zeros(2)}, batch_stats={"mean": jnp.zeros(2)})

    def first(_, optimizer, seed, start_from, averaged):
        return loop.TrainState(jnp.int32(0), state.params, state.batch_stats, optimizer.init(state.params))

    def step(state, batch):
        return state.replace(step=state.step + 1), result(state.step + 1)

    monkeypatch.setattr(loop, "create_state", first)
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)

    def run(workdir):
        train(small_config, workdir, no_scorer)
        return rows_of(workdir)

    return run
