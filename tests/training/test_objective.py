"""The objective: class weights against their formulas, frozen parts and statistics, moving averages against a loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference_models import filled, quick_jit

import gun_jax
from gun_jax.configuration import build_model
from gun_jax.errors import InputError
from gun_jax.ops.losses import cross_entropy
from gun_jax.training.objective import Objective, class_weights, make_objective
from gun_jax.training.state import TrainState, create_state, moved
from gun_jax.training.step import train_step


class Labels(list):
    """A source of label images alone."""

    identity = "labels"

    def __init__(self, *labels, count=3):
        super().__init__({"label": np.array(label, np.uint8)} for label in labels)
        self.classes = range(count)


SOURCE = Labels([[0, 0], [0, 1]], [[0, 255], [255, 2]], [[0, 0], [0, 0]])  # of 10 pixels: 8, 1 and 1


def test_log_weights_are_enet_s():
    expected = [1 / np.log(1.10 + share) for share in (0.8, 0.1, 0.1)]
    np.testing.assert_allclose(class_weights("log", SOURCE), expected)


def test_median_frequency_counts_only_the_images_that_show_a_class():
    frequencies = [8 / 10, 1 / 4, 1 / 2]
    np.testing.assert_allclose(class_weights("median_frequency", SOURCE), [0.5 / one for one in frequencies])


def test_a_class_without_a_pixel_has_no_weight_of_infinity():
    weights = class_weights("median_frequency", Labels([[0, 1]], count=3))
    assert weights[2] == 0 and np.isfinite(class_weights("log", Labels([[0, 1]], count=3))).all()


def test_of_many_images_a_thousand_are_counted_from_the_first_to_the_last():
    read = []

    class Many(Labels):
        def __len__(self):
            return 5000

        def __getitem__(self, index):
            read.append(index)
            return {"label": np.array([[0, 1, 2]], np.uint8)}

    np.testing.assert_allclose(class_weights("log", Many()), 1 / np.log(1.10 + 1 / 3))
    assert len(read) == 1000 and (read[0], read[-1]) == (0, 4999)


@pytest.mark.parametrize("action", ["skip", "stop"])
def test_an_unreadable_record_does_what_the_setting_says(small_config, action):
    class Damaged(Labels):
        def __getitem__(self, index):
            if index == 1:
                raise InputError("label 1 is damaged")
            return super().__getitem__(index)

    small_config.loss.class_weights, small_config.data.on_bad_record = "log", action
    source = Damaged([[0, 1]], [[2, 2]], [[0, 2]])
    if action == "stop":
        with pytest.raises(InputError, match="label 1 is damaged"):
            make_objective(small_config, source, {})
    else:
        assert all(np.isfinite(make_objective(small_config, source, {}).class_weights))


def test_weights_can_be_given():
    assert class_weights("1,2.5,0", SOURCE) == (1, 2.5, 0) and class_weights("", SOURCE) is None


def test_another_number_of_weights_than_of_classes_is_refused():
    with pytest.raises(InputError, match=r"^config.loss.class_weights has 2 numbers; expected 3, one for each class$"):
        class_weights("1,2", SOURCE)


@pytest.mark.parametrize("setting", ["rates", "decays", "frozen_statistics"])
def test_a_part_that_no_network_has_is_refused_with_those_that_exist(small_config, setting):
    small_config.optimizer[setting] = "encoder" if setting == "frozen_statistics" else "encoder=0.1"
    expected = rf"^config.optimizer.{setting} names the part 'encoder'; expected one of encode, gum, or a part inside"
    with pytest.raises(InputError, match=expected):
        make_objective(small_config, SOURCE, {"encode": {"kernel": 0}, "gum": {"bias": 0}})


def test_the_moving_average_is_the_recurrence_with_a_warm_up():
    values, average = np.random.default_rng(0).normal(size=30), 2.0
    found = {"w": jnp.float32(2.0)}
    for step, value in enumerate(values):
        keep = min(0.7, (1 + step) / (10 + step))
        average = keep * average + (1 - keep) * value
        found = moved(found, {"w": jnp.float32(value)}, 0.7, jnp.int32(step))
    np.testing.assert_allclose(found["w"], average, rtol=1e-5)


@pytest.fixture(scope="module")
def steps(new_small_config):
    """A state before and after a step with a frozen encoder, whose batch norm uses running statistics."""
    config = new_small_config()
    model = build_model(config.model, 5)
    optimizer = optax.chain(optax.sgd(0.1))
    before = create_state(model, optimizer, 0, averaged=True)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (2, 32, 48, 3), np.uint8),
        "label": rng.integers(0, 5, (2, 32, 48)).astype(np.uint8),
    }
    objective = Objective(frozen=("encode",), frozen_statistics=("encode", "gum/guide/expand_high"), average_decay=0.9)
    after, _ = quick_jit(train_step(model, optimizer, objective))(before, batch)
    return before, after, model, batch


def moves(before, after):
    return {
        path[0].key: not np.array_equal(old, new)
        for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
    }


def test_a_frozen_part_stays_and_the_others_learn(steps):
    before, after, *_ = steps
    assert moves(before.params, after.params) == {"classifier": True, "encode": False, "fusion1": True, "gum": True}


def test_frozen_statistics_stay_and_the_others_follow_the_batch(steps):
    before, after, *_ = steps
    old, new = before.batch_stats, after.batch_stats
    assert not moves(old["encode"], new["encode"])["drn"]
    assert not any(moves(old["gum"]["guide"]["expand_high"], new["gum"]["guide"]["expand_high"]).values())
    assert all(moves(old["gum"]["guide"]["expand_low"], new["gum"]["guide"]["expand_low"]).values())


def test_the_state_evaluates_its_averages(steps):
    before, after, *_ = steps
    expected = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, before.trained, after.trained)
    jax.tree.map(lambda ours, one: np.testing.assert_allclose(ours, one, atol=1e-6), after.variables, expected)


def test_a_state_with_averages_comes_back_from_its_two_halves(steps):
    _, after, *_ = steps
    blank = jax.tree.map(jnp.zeros_like, after)
    jax.tree.map(np.testing.assert_array_equal, blank.restored(after.step, after.variables, after.progress), after)


def test_a_state_without_averages_keeps_its_form_in_checkpoints():
    state = TrainState(jnp.int32(3), {"w": jnp.ones(2)}, {"mean": jnp.ones(1)}, {"trace": jnp.ones(2)})
    assert state.progress is state.opt_state and state.variables == state.trained


@pytest.fixture(scope="module")
def both_logits():
    """`both_logits(separate)`: gradients of the guided and of the bilinear loss, and all logits."""
    model = gun_jax.GUN(5, encoder="enc24shared", width=0.1, input_subsampling=2, auxiliary=True)
    images = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 5, (2, 32, 48))
    variables = filled(model, images)

    @functools.cache
    def run(separate):
        def loss(params, name):
            logits, _ = model.apply(
                variables | {"params": params}, images, (32, 48), separate, method="training_logits",
                mutable=["batch_stats"],
            )  # fmt: skip
            return cross_entropy(logits[name], labels), logits

        def all_of(params):
            return {name: jax.grad(loss, has_aux=True)(params, name) for name in ("guided", "bilinear", "auxiliary")}

        return quick_jit(all_of)(variables["params"])

    called, _ = quick_jit(lambda: model.apply(variables, images, True, (32, 48), mutable=["batch_stats"]))()
    return run, called


def learning(gradients):
    """The parts with a gradient."""
    return {part for part, tree in gradients.items() if any(np.any(leaf) for leaf in jax.tree.leaves(tree))}


def test_guided_logits_are_those_of_a_call(both_logits):
    run, called = both_logits
    np.testing.assert_allclose(run(False)["guided"][1]["guided"], called, atol=1e-4)


def test_each_loss_trains_the_parts_that_it_depends_on(both_logits):
    run, _ = both_logits
    gradients = {name: gradient for name, (gradient, _) in run(False).items()}
    assert learning(gradients["guided"]) == {"classifier", "encode", "fusion1", "gum"}
    assert learning(gradients["bilinear"]) == {"classifier", "encode", "fusion1"}
    assert learning(gradients["auxiliary"]) == {"auxiliary_classifier", "encode"}


def test_separate_losses_train_the_guidance_by_the_guided_one_alone(both_logits):
    run, _ = both_logits
    gradients = {name: gradient for name, (gradient, _) in run(True).items()}
    assert learning(gradients["guided"]) == {"gum"}
    assert learning(gradients["bilinear"]) == {"classifier", "encode", "fusion1"}
    together = run(False)["guided"][0]["gum"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), gradients["guided"]["gum"], together)
