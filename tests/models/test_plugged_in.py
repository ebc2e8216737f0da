"""The module in someone else's network: against loops in NumPy, and under the transformations of JAX and Flax."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference_gun import close
from reference_models import conv_norm, convolved, filled, images, quick_jit, relu, shapes_of
from reference_sampling import paper_sum

from gun_jax import GuidedUpsampling

SIZE = (8, 12)  # of the images, and of the output
# Of both signs, but mostly positive, so that the weighted sum of the output does not cancel to nearly nothing.
WEIGHTS = np.random.default_rng(1).normal(1, 1, (2, *SIZE, 3)).astype(np.float32)


class Network(nn.Module):
    """Three convolutions, the map of the last upsampled by 4."""

    remat: bool = False

    @nn.compact
    def __call__(self, x, train=False):  # (B, 8, 12, 3)
        early = nn.relu(nn.Conv(4, (3, 3), strides=2, padding=1, use_bias=False, name="early")(x))  # (B, 4, 6, 4)
        deep = nn.relu(nn.Conv(5, (3, 3), strides=2, padding=1, use_bias=False, name="deep")(early))  # (B, 2, 3, 5)
        low = nn.Conv(3, (1, 1), use_bias=False, name="classify")(deep)
        upsampling = nn.remat(GuidedUpsampling, static_argnums=(4, 5)) if self.remat else GuidedUpsampling
        return upsampling(width=0.25, name="gum")(low, deep, early, x.shape[1:3], train)


@functools.cache
def trained():
    """Random variables, and two images."""
    x = images(2, *SIZE)
    return filled(Network(), x), x


def loss(params, variables, x, train=False, remat=False):
    """A weighted sum of the output; statistics and output."""
    out, after = Network(remat).apply({**variables, "params": params}, x, train, mutable=["batch_stats"])
    return jnp.sum(out * WEIGHTS), (after["batch_stats"], out)


def passes(train=False, remat=False):
    """A function of variables and images: a weighted sum of the output, its gradients, statistics and output."""

    def run(variables, x):
        run_and_back = jax.value_and_grad(loss, has_aux=True)
        (value, others), gradients = run_and_back(variables["params"], variables, x, train, remat)
        return value, gradients, *others

    return run


@functools.cache
def compiled(train=False, remat=False):
    return quick_jit(passes(train, remat))


@functools.cache
def results(train=False):
    return compiled(train)(*trained())


def assert_same(ours, expected, part=1e-5):
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    jax.tree.map(functools.partial(close, part=part), ours, expected)


# Gradients


def reference_network(variables, x):
    """`Network` in evaluation, in NumPy's float64, each upsampling a sum over the map."""
    kernels = {name: variables["params"][name]["kernel"] for name in ("early", "deep", "classify")}
    early = relu(convolved(x, kernels["early"], stride=2))
    deep = relu(convolved(early, kernels["deep"], stride=2))

    def sample(values, offsets):
        return paper_sum(values, offsets, "bilinear", "border", False)

    reduced = sample(conv_norm(deep, variables, "gum/guide/expand_low"), np.zeros((2, *early.shape[1:3], 2)))
    guide = relu(conv_norm(early, variables, "gum/guide/expand_high") + reduced)
    last = variables["params"]["gum"]["guide"]["offsets"]
    table = sample(guide @ np.float64(last["kernel"][0, 0]) + last["bias"], np.zeros((2, *SIZE, 2)))
    return sample(deep @ np.float64(kernels["classify"][0, 0]), table)


def test_the_output_is_that_of_the_loops():
    close(results()[3], reference_network(*trained()), 1e-5)


PATHS = sorted(
    jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(shapes_of(Network(), (2, *SIZE, 3))["params"])
)


@pytest.mark.parametrize("path", PATHS)
def test_gradients_are_the_slope_of_the_loops(path):
    variables, x = trained()
    found = {jax.tree_util.keystr(place): leaf for place, leaf in jax.tree.leaves_with_path(results()[1])}[path]
    way = np.random.default_rng(2).normal(size=found.shape)

    def moved(step):
        def move(place, leaf):
            return (
                np.float64(leaf) + step * way * (jax.tree_util.keystr(place) == path)
                if leaf.shape == way.shape
                else leaf
            )

        params = jax.tree.map_with_path(move, variables["params"])
        return np.sum(reference_network({**variables, "params": params}, x) * WEIGHTS)

    expected = (moved(1e-6) - moved(-1e-6)) / 2e-6
    np.testing.assert_allclose(np.sum(found * way), expected, rtol=1e-3, atol=1e-3 * np.abs(found).max())


# Transformations


def test_vmap_over_networks_is_a_loop_over_them():
    _, x = trained()
    several = [filled(Network(), x, seed=seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *several)
    mapped = quick_jit(jax.vmap(passes(), (0, None)))(stacked, x)
    assert_same(mapped, jax.tree.map(lambda *leaves: np.stack(leaves), *(compiled()(v, x) for v in several)))


def test_remat_changes_neither_values_nor_gradients_nor_statistics():
    assert_same(compiled(train=True, remat=True)(*trained()), results(train=True))


def test_scan_over_time_is_a_loop_over_frames():
    variables, _ = trained()
    video = images(3, 2, *SIZE)

    def total(params):
        def step(carry, x):
            return carry + loss(params, variables, x)[0], None

        return jax.lax.scan(step, 0.0, video)[0]

    frames = [compiled()(variables, x)[:2] for x in video]
    assert_same(
        quick_jit(jax.value_and_grad(total))(variables["params"]), jax.tree.map(lambda *leaves: sum(leaves), *frames)
    )


def test_flax_s_scan_carries_the_statistics_from_frame_to_frame():
    variables, _ = trained()
    video = images(3, 2, *SIZE)

    class Frame(nn.Module):
        @nn.compact
        def __call__(self, carry, x):
            return carry, Network(name="network")(x, train=True)

    over_time = nn.scan(Frame, variable_broadcast="params", variable_carry="batch_stats", split_rngs={"params": False})
    nested = {name: {"network": tree} for name, tree in variables.items()}
    (_, outputs), after = quick_jit(lambda v: over_time().apply(v, (), video, mutable=["batch_stats"]))(nested)
    for x, output in zip(video, outputs, strict=True):
        *_, statistics, expected = compiled(train=True)(variables, x)
        close(output, expected, 1e-5)
        variables = {**variables, "batch_stats": statistics}
    assert_same(after["batch_stats"]["network"], variables["batch_stats"])


# Flax NNX


@pytest.fixture(scope="module")
def bridged():
    """`Network` in NNX, with the variables of `trained`; its output in evaluation; then those of a pass of training.

    That is value and gradients; the statistics are those after it.
    """
    variables, x = trained()
    model = nnx.jit(lambda: nnx.bridge.ToNNX(Network(), rngs=nnx.Rngs(0)).lazy_init(x))()
    for kind, name in ((nnx.Param, "params"), (nnx.BatchStat, "batch_stats")):
        state = nnx.state(model, kind)
        nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, variables[name]))
        nnx.update(model, state)

    @nnx.jit
    def run(model, x):
        def loss(model):
            return jnp.sum(model(x, train=True, mutable=["batch_stats"]) * WEIGHTS)

        before = model(x), nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        value, gradients = nnx.value_and_grad(loss)(model)
        return before, (value, nnx.to_pure_dict(gradients))

    before, pass_of_training = run(model, x)
    return before, (*pass_of_training, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))


def test_in_nnx_evaluation_gives_the_same_output_and_leaves_the_statistics(bridged):
    output, statistics = bridged[0]
    close(output, results()[3], 1e-5)
    assert_same(statistics, trained()[0]["batch_stats"], 0)


def test_in_nnx_training_has_the_same_gradients_and_moves_the_same_statistics(bridged):
    assert_same(bridged[1], results(train=True)[:3])


# Mixed precision


def test_in_bfloat16_the_table_stays_float32_and_the_output_near():
    rng = np.random.default_rng(3)
    low, deep, early = (rng.normal(size=(2, *shape)).astype(np.float32) for shape in ((3, 4, 3), (3, 4, 5), (6, 8, 4)))
    variables = filled(GuidedUpsampling(width=0.25), low, deep, early)
    half = GuidedUpsampling(width=0.25, dtype=jnp.bfloat16)
    inputs = [jnp.asarray(x, jnp.bfloat16) for x in (low, deep, early)]
    table = quick_jit(functools.partial(half.apply, method="offsets"))(variables, *inputs[1:])
    exact = quick_jit(functools.partial(GuidedUpsampling(width=0.25).apply, method="offsets"))(variables, deep, early)
    assert table.dtype == jnp.float32
    close(table, exact, 0.03)
    output = quick_jit(half.apply)(variables, *inputs)
    assert output.dtype == jnp.bfloat16
    exact = quick_jit(GuidedUpsampling(width=0.25).apply)(variables, low, deep, early)
    assert np.abs(output - exact).mean() < 0.02 * exact.std()  # offsets that differ a little read places that do


# What has to be handed in


SHAPES = {"fused": (2, 3, 4, 5), "high_resolution": (2, 6, 8, 4)}


@pytest.mark.parametrize(("guidance", "unread"), [("large_rf", "high_resolution"), ("high_res", "fused")])
def test_a_map_that_the_guidance_does_not_read_can_be_left_out(guidance, unread):
    rng = np.random.default_rng(4)
    maps = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    module = GuidedUpsampling(guidance)
    low = maps["fused"]
    variables = filled(module, low, output_size=SIZE, **maps)
    read = {name: value for name, value in maps.items() if name != unread}
    run = quick_jit(functools.partial(module.apply, output_size=SIZE))
    np.testing.assert_array_equal(run(variables, low, **read), run(variables, low, **maps))


def test_without_a_size_the_output_has_that_of_the_early_map():
    variables = shapes_of(GuidedUpsampling(), (2, 3, 4, 7), *SHAPES.values())
    early = jax.ShapeDtypeStruct(SHAPES["high_resolution"], np.float32)
    deep = jax.ShapeDtypeStruct(SHAPES["fused"], np.float32)
    assert jax.eval_shape(GuidedUpsampling().apply, variables, deep, deep, early).shape == (2, 6, 8, 5)


@pytest.mark.parametrize(
    ("guidance", "shapes", "words"),
    [
        ("fusion", ((2, 3, 4, 5), None), "high_resolution is missing; guidance 'fusion' reads it"),
        ("high_res", ((2, 3, 4, 5), None), "high_resolution is missing; guidance 'high_res' reads it"),
        ("large_rf", (None, (2, 6, 8, 4)), "fused is missing; guidance 'large_rf' reads it"),
        ("large_rf", ((3, 4, 5), (2, 6, 8, 4)), r"fused is of shape \(3, 4, 5\); guidance 'large_rf' reads it"),
        (
            "fusion",
            ((1, 3, 4, 5), (2, 6, 8, 4)),
            r"fused \(1, 3, 4, 5\) and .*\(2, 6, 8, 4\); expected maps of the same",
        ),
        ("large_rf", ((2, 3, 4, 5), None), "no output_size"),
    ],
)
def test_maps_that_are_missing_or_do_not_fit_are_named_on_one_line(guidance, shapes, words):
    maps = [shape and np.zeros(shape, np.float32) for shape in shapes]
    with pytest.raises(ValueError, match=words) as error:
        GuidedUpsampling(guidance).init(jax.random.key(0), np.zeros((2, 3, 4, 5), np.float32), *maps)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("guidance", ["large_rf", "high_res", "fusion"])
def test_the_layer_that_predicts_the_table_is_named_offsets(guidance):
    params = shapes_of(GuidedUpsampling(guidance), (2, 3, 4, 5), *SHAPES.values(), output_size=SIZE)["params"]
    assert params["guide"]["offsets"]["kernel"].shape[-1] == 2
