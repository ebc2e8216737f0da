"""A run that starts from another one: parts that fit are copied, the encoder has to fit, the rest starts new."""

import jax
import numpy as np
import pytest

from gun_jax import configuration
from gun_jax.errors import InputError, InputWarning
from gun_jax.evaluation.scoring import make_scorer
from gun_jax.training.loop import train
from gun_jax.training.optimizer import make_optimizer
from gun_jax.training.start import starting_point, warn_of_slow_start
from gun_jax.training.state import create_state


def first_state(config, classes=19):
    model = configuration.build_model(config.model, classes)
    optimizer = make_optimizer(config.optimizer, lambda step: 0.1)
    return create_state(model, optimizer, config.seed, starting_point(config) if config.init else None)


def same(ours, theirs):
    return jax.tree.all(jax.tree.map(np.array_equal, ours, theirs))


@pytest.fixture
def config(random_run):
    """The random run's network, to start from the random run; with another seed."""
    config = random_run.config.copy_and_resolve_references()
    config.init, config.seed = str(random_run.workdir), 5
    return config


def test_the_same_network_starts_with_all_of_the_other_run(config, random_run):
    assert same(dict(first_state(config).variables), random_run.variables)


def test_another_guidance_module_starts_new_and_the_rest_is_copied(config, random_run):
    config.model.guidance = "large_rf"
    state = first_state(config)
    config.init = ""
    anew = first_state(config)
    assert same(state.params["gum"], anew.params["gum"])
    for part in ("encode", "fusion1", "classifier"):
        assert same(state.params[part], random_run.variables["params"][part])
        assert not same(state.params[part], anew.params[part])
    assert same(state.batch_stats["encode"], random_run.variables["batch_stats"]["encode"])


def test_a_network_of_other_classes_starts_with_a_new_classifier(config, random_run):
    state = first_state(config, classes=5)
    assert state.params["classifier"]["bias"].shape == (5,)
    assert same(state.params["encode"], random_run.variables["params"]["encode"])


@pytest.mark.parametrize(("name", "value"), [("width", 0.2), ("encoder", "enc24"), ("variant", "c26")])
def test_a_network_of_another_encoder_is_refused_in_a_line(config, name, value):
    config.model[name] = value
    with pytest.raises(InputError, match=r"config\.init: the (encoder|variant) in .* (differs|is ')") as error:
        first_state(config)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_run_is_refused_before_anything_is_written(config, tmp_path):
    config.init = str(tmp_path)
    with pytest.raises(InputError, match="holds no run"):
        train(config, tmp_path / "run", make_scorer)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("error")
def test_random_weights_at_the_rate_of_the_paper_are_warned_of_and_nothing_else_is():
    config = configuration.default_config()
    with pytest.warns(
        InputWarning, match=r"^a learning rate of 0\.001 .* --config\.init=drn_d_22-4bd2f8ea\.pth, or .*$"
    ):
        warn_of_slow_start(config)
    for name, value in (("init", "drn.pth"), ("optimizer.peak_rate", 0.05), ("data.source", "synthetic")):
        other = config.copy_and_resolve_references()
        other.update_from_flattened_dict({name: value})
        warn_of_slow_start(other)
