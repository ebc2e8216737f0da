"""The learning rate against the paper's recipe and closed forms; SGD and AdamW against PyTorch's as loops."""

import jax
import numpy as np
import optax
import pytest

from gun_jax.configuration import build_model
from gun_jax.errors import InputError
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.parts import numbers_of_parts, of_parameter


def rates(optimizer, steps_per_epoch, total):
    """The rate of every step and the one after the last: float (total + 1,)."""
    return np.asarray(jax.vmap(learning_rate(optimizer, steps_per_epoch, total))(np.arange(total + 1)), np.float64)


@pytest.fixture
def optimizer(small_config):
    optimizer = small_config.optimizer
    optimizer.peak_rate, optimizer.step_epochs, optimizer.warmup_epochs = 0.001, 100.0, 0.0
    return optimizer


def test_the_paper_s_rate_is_a_thousandth_divided_by_10_every_100_epochs(optimizer):
    expected = [0.001 / 10 ** (step // 1000) for step in range(2501)]
    np.testing.assert_allclose(rates(optimizer, 10, 2500), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 1e-3), (99.99, 1e-3), (100.01, 1e-4), (199.99, 1e-4), (200.01, 1e-5), (249.99, 1e-5)]
)
def test_the_paper_s_rate_on_cityscapes_drops_at_its_epochs_though_they_are_no_whole_steps(optimizer, epoch, rate):
    steps_per_epoch = 2975 / 8
    schedule = learning_rate(optimizer, steps_per_epoch, round(250 * steps_per_epoch))
    np.testing.assert_allclose(schedule(round(epoch * steps_per_epoch)), rate, rtol=1e-5)


@pytest.mark.parametrize("power", [0.9, 2.0])
def test_poly_is_its_closed_form_and_ends_at_0(optimizer, power):
    optimizer.schedule, optimizer.poly_power = "poly", power
    expected = [0.001 * (1 - step / 40) ** power for step in range(41)]
    np.testing.assert_allclose(rates(optimizer, 4, 40), expected, rtol=1e-5, atol=1e-12)
    assert expected[-1] == 0


def test_cosine_is_its_closed_form_and_ends_at_0(optimizer):
    optimizer.schedule = "cosine"
    expected = [0.001 * (1 + np.cos(np.pi * step / 40)) / 2 for step in range(41)]
    np.testing.assert_allclose(rates(optimizer, 4, 40), expected, rtol=1e-5, atol=1e-10)


def test_constant_stays(optimizer):
    optimizer.schedule = "constant"
    np.testing.assert_allclose(rates(optimizer, 4, 40), 0.001, rtol=1e-6)


@pytest.mark.parametrize("schedule", ["step", "poly", "cosine", "constant"])
def test_the_warm_up_rises_in_equal_steps_to_the_peak(optimizer, schedule):
    optimizer.schedule, optimizer.warmup_epochs = schedule, 2.0
    warm = rates(optimizer, 4, 40)[:9]
    assert 0 < warm[0] <= 0.001 / 8 * 1.00001  # no step is lost at a rate of 0
    np.testing.assert_allclose(np.diff(warm), (0.001 - warm[0]) / 8, rtol=1e-4)
    np.testing.assert_allclose(warm[8], 0.001, rtol=1e-6)


def test_poly_begins_after_the_warm_up_and_still_ends_at_0(optimizer):
    optimizer.schedule, optimizer.warmup_epochs = "poly", 2.0
    expected = [0.001 * (1 - step / 32) ** 0.9 for step in range(33)]
    np.testing.assert_allclose(rates(optimizer, 4, 40)[8:], expected, rtol=1e-5, atol=1e-12)


def test_the_steps_count_from_the_end_of_the_warm_up(optimizer):
    optimizer.warmup_epochs, optimizer.step_epochs = 2.0, 3.0
    expected = [0.001 / 10 ** (step // 12) for step in range(33)]
    np.testing.assert_allclose(rates(optimizer, 4, 40)[8:], expected, rtol=1e-5)


def test_an_unknown_schedule_is_refused_in_one_line_that_lists_the_known(optimizer):
    optimizer.schedule = "linear"
    with pytest.raises(InputError, match=r"^config\.optimizer\.schedule is 'linear'.*step, poly, cosine, constant$"):
        learning_rate(optimizer, 4, 40)


@pytest.mark.parametrize("epochs", [10.0, 11.0])
def test_a_warm_up_as_long_as_the_training_is_refused_in_one_line(optimizer, epochs):
    optimizer.warmup_epochs = epochs
    with pytest.raises(InputError, match=rf"^config\.optimizer\.warmup_epochs of {epochs} .*$"):
        learning_rate(optimizer, 4, 40)


# The optimiser


def test_sgd_is_pytorch_s_update_step_by_step(optimizer):
    """torch.optim.SGD: g += wd * p; buffer = momentum * buffer + g; p -= lr * buffer, with StepLR's rates."""
    optimizer.peak_rate, optimizer.step_epochs = 0.1, 1.0
    optimizer.momentum, optimizer.weight_decay = 0.8, 0.05
    rng = np.random.default_rng(0)
    start = {"conv": {"kernel": rng.normal(size=(3, 3, 2, 4)).astype(np.float32)}}
    gradients = rng.normal(size=(7, 3, 3, 2, 4)).astype(np.float32)

    transform = make_optimizer(optimizer, learning_rate(optimizer, 2, 7))
    params, state = start, transform.init(start)
    parameter, buffer = start["conv"]["kernel"].astype(np.float64), 0.0
    for step, gradient in enumerate(gradients):
        updates, state = transform.update({"conv": {"kernel": gradient}}, state, params)
        params = optax.apply_updates(params, updates)
        buffer = 0.8 * buffer + (gradient + 0.05 * parameter)
        parameter = parameter - 0.1 * 0.1 ** (step // 2) * buffer
        np.testing.assert_allclose(params["conv"]["kernel"], parameter, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("guidance", ["fusion", "large_rf", "high_res"])
def test_weight_decay_pulls_at_all_convolutions_and_at_nothing_else(
    optimizer, random_variables, small_config, guidance
):
    small_config.model.guidance = guidance
    optimizer.peak_rate, optimizer.weight_decay = 0.1, 0.05
    before = random_variables(build_model(small_config.model, 19))["params"]
    transform = make_optimizer(optimizer, learning_rate(optimizer, 2, 7))
    no_gradient = jax.tree.map(np.zeros_like, before)
    after = optax.apply_updates(before, transform.update(no_gradient, transform.init(before), before)[0])
    # A convolution has four axes; biases and all that belongs to batch norm have one.
    factors = {leaf.ndim: 1.0 for leaf in jax.tree.leaves(before)} | {4: 1 - 0.1 * 0.05}
    assert sorted(factors) == [1, 4]
    jax.tree.map(lambda old, new: np.testing.assert_allclose(new, old * factors[old.ndim], rtol=1e-6), before, after)


def test_adamw_is_pytorch_s_update_step_by_step(optimizer):
    """torch.optim.AdamW: p -= lr * wd * p; then p -= lr * m / (sqrt(v) + eps), both moments without their bias."""
    optimizer.name, optimizer.schedule, optimizer.peak_rate, optimizer.weight_decay = "adamw", "constant", 0.01, 0.1
    rng = np.random.default_rng(0)
    start = {"conv": {"kernel": rng.normal(size=(3, 3, 2, 4)).astype(np.float32)}}
    gradients = rng.normal(size=(7, 3, 3, 2, 4)).astype(np.float32)
    transform = make_optimizer(optimizer, learning_rate(optimizer, 2, 7))
    params, state = start, transform.init(start)
    parameter, first, second = start["conv"]["kernel"].astype(np.float64), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        updates, state = transform.update({"conv": {"kernel": gradient}}, state, params)
        params = optax.apply_updates(params, updates)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient.astype(np.float64) ** 2
        moments = first / (1 - 0.9**step), second / (1 - 0.999**step)
        parameter = parameter - 0.01 * 0.1 * parameter - 0.01 * moments[0] / (np.sqrt(moments[1]) + 1e-8)
        np.testing.assert_allclose(params["conv"]["kernel"], parameter, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_rates_and_decays_of_parts_are_those_of_networks_of_their_own(optimizer, name):
    """Each part moves as it would alone at its rate and its decay."""
    optimizer.name, optimizer.schedule, optimizer.weight_decay = name, "constant", 0.1
    rng = np.random.default_rng(0)
    parts = {"encode": (0.25, 1.0), "gum": (10.0, 0.0), "classifier": (1.0, 1.0)}  # factors on rate and decay
    params = {part: {"kernel": rng.normal(size=(2, 3)).astype(np.float32)} for part in parts}
    gradients = {part: {"kernel": rng.normal(size=(2, 3)).astype(np.float32)} for part in parts}

    def after_two(params, gradients):
        transform = make_optimizer(optimizer, learning_rate(optimizer, 2, 7))
        state = transform.init(params)
        for _ in range(2):
            updates, state = transform.update(gradients, state, params)
            params = optax.apply_updates(params, updates)
        return params

    optimizer.rates, optimizer.decays = "encode=0.25, gum=10", "gum=0"
    together = after_two(params, gradients)
    optimizer.rates = optimizer.decays = ""
    rate, decay = optimizer.peak_rate, optimizer.weight_decay
    for part, (of_rate, of_decay) in parts.items():
        optimizer.peak_rate, optimizer.weight_decay = rate * of_rate, decay * of_decay
        alone = after_two({part: params[part]}, {part: gradients[part]})
        np.testing.assert_allclose(together[part]["kernel"], alone[part]["kernel"], rtol=1e-5)


def test_the_longest_part_decides():
    numbers = numbers_of_parts("gum=10, gum/guide/offsets=2")
    assert of_parameter("gum/guide/offsets/kernel", numbers) == 2
    assert of_parameter("gum/guide/expand_low/conv/kernel", numbers) == 10
    assert of_parameter("gumption/kernel", numbers) == 1


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_accumulated_steps_are_one_step_with_their_mean_gradient(optimizer, name):
    optimizer.name, optimizer.schedule = name, "poly"
    rng = np.random.default_rng(0)
    start = {"conv": {"kernel": rng.normal(size=(2, 3)).astype(np.float32)}}
    gradients = rng.normal(size=(6, 2, 3)).astype(np.float32)

    def after(gradients, every, total):
        optimizer.accumulate = every
        transform = make_optimizer(optimizer, learning_rate(optimizer, 2, total))
        params, state = start, transform.init(start)
        for gradient in gradients:
            updates, state = transform.update({"conv": {"kernel": gradient}}, state, params)
            params = optax.apply_updates(params, updates)
        return params["conv"]["kernel"]

    means = gradients.reshape(2, 3, 2, 3).mean(1)
    np.testing.assert_allclose(after(gradients, 3, 6), after(means, 1, 2), rtol=1e-5)
    np.testing.assert_array_equal(after(gradients[:2], 3, 6), start["conv"]["kernel"])
