"""A training whose steps learn nothing, for tests of all that is around them."""

import types

import jax.numpy as jnp
import pytest
from reference_runs import outcome, rows_of

import gun_jax
from gun_jax.training import loop
from gun_jax.training.loop import train


@pytest.fixture
def bookkeeping(monkeypatch, small_config):
    """`bookkeeping(workdir)`: trains with a step that learns nothing and whose loss is the number of the step."""
    state = types.SimpleNamespace(params={"kernel": jnp.zeros(2)}, batch_stats={"mean": jnp.zeros(2)})

    def first(_, optimizer, seed, start_from):
        return loop.TrainState(jnp.int32(0), state.params, state.batch_stats, optimizer.init(state.params))

    def step(state, batch):
        return state.replace(step=state.step + 1), outcome(state.step + 1)

    monkeypatch.setattr(loop, "create_state", first)
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    monkeypatch.setattr(loop, "make_scorer", lambda *_: lambda variables, source: gun_jax.ConfusionMatrix(19))

    def run(workdir):
        train(small_config, workdir)
        return rows_of(workdir)

    return run
