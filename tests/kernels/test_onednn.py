"""oneDNN's calls against `jax.lax`'s convolution, its automatic gradients, and NumPy's products."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference_models import quick_jit

import gun_jax
from gun_jax import plain_ops
from gun_jax.export.stablehlo import stablehlo_network
from gun_jax.kernels import winograd
from gun_jax.kernels.onednn import use_onednn
from gun_jax.ops.convolution import convolve
from gun_jax.training.state import create_state
from gun_jax.training.step import batch_sharding, data_mesh, make_train_step, replicated

onednn = pytest.importorskip("gun_jax_onednn")  # make onednn
pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu" or jax.device_count() > 1, reason="oneDNN is for processes of one CPU device"
)

CASES = [  # height, width, channels in and out, kernel, stride, dilation
    (9, 11, 3, 16, 7, 1, 1),
    (8, 7, 5, 6, 3, 1, 2),
    (9, 12, 16, 32, 3, 2, 1),
    (9, 12, 16, 32, 1, 2, 1),
    (64, 128, 8, 16, 1, 2, 1),
    (6, 5, 40, 3, 1, 1, 1),
    (7, 6, 8, 2, 3, 3, 2),
    (1, 1, 32, 4, 3, 1, 2),
    (12, 15, 64, 64, 3, 1, 4),
]


plain = convolve.plain


@pytest.fixture(autouse=True)
def in_use():
    with use_onednn(True):
        yield


def example(height, width, into, out, size, stride, dilation):
    """Input, kernel, a gradient of the result, and what the convolution takes."""
    rng = np.random.default_rng(height * width)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(size, size, into, out)).astype(np.float32)
    geometry = {"stride": stride, "padding": size // 2 * dilation, "dilation": dilation}
    back = rng.normal(size=jax.eval_shape(lambda x: plain(x, kernel, **geometry), x).shape).astype(np.float32)
    return x, kernel, back, geometry


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def gradients(function, x, kernel, back, geometry):
    return jax.vjp(lambda x, kernel: function(x, kernel, *geometry.values()), x, kernel)[1](back)


def calls(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments)).count("ffi_call[")


@pytest.mark.parametrize("case", CASES)
def test_a_convolution_and_its_gradients_are_those_of_jax(case):
    x, kernel, back, geometry = example(*case)
    of_x, of_kernel = gradients(plain, x, kernel, back, geometry)
    close(onednn.convolve(x, kernel, **geometry), plain(x, kernel, **geometry))
    close(onednn.input_gradient(kernel, back, x.shape, **geometry), of_x)
    close(onednn.kernel_gradient(x, back, kernel.shape, **geometry), of_kernel)


@pytest.mark.parametrize("axes", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_it_multiplies_along_either_axis(axes):
    rng = np.random.default_rng(0)
    left = rng.normal(size=(5, 7, 3) if axes[0] == 1 else (5, 3, 7)).astype(np.float32)
    right = rng.normal(size=(5, 7, 4) if axes[1] == 1 else (5, 4, 7)).astype(np.float32)
    letters = ["nka" if axes[0] == 1 else "nak", "nkb" if axes[1] == 1 else "nbk"]
    close(onednn.multiply(left, right, *axes), np.einsum(f"{letters[0]},{letters[1]}->nab", left, right))
    close(winograd.multiply(left, right, *axes), np.einsum(f"{letters[0]},{letters[1]}->nab", left, right))


@pytest.mark.parametrize("case", [CASES[0], CASES[2], (12, 15, 128, 128, 3, 1, 4)])
def test_a_network_s_convolution_and_its_gradients_call_it(case):
    x, kernel, back, geometry = example(*case)

    def ours(x, kernel):
        return gradients(convolve, x, kernel, back, geometry)

    assert calls(lambda x, kernel: convolve(x, kernel, *geometry.values()), x, kernel) == 1
    assert calls(ours, x, kernel) >= 3
    found, expected = convolve(x, kernel, *geometry.values()), plain(x, kernel, **geometry)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)
    for found, expected in zip(quick_jit(ours)(x, kernel), gradients(plain, x, kernel, back, geometry), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def test_another_dtype_does_not_call_it_and_neither_does_a_program_without_it():
    x, kernel, back, geometry = example(*CASES[2])
    halves = [jnp.asarray(array, jnp.bfloat16) for array in (x, kernel, back)]
    assert not calls(lambda x, kernel, back: gradients(convolve, x, kernel, back, geometry), *halves)
    for without in (use_onednn(False), plain_ops()):
        with without:
            assert not calls(lambda x, kernel: gradients(convolve, x, kernel, back, geometry), x, kernel)


@pytest.fixture
def network(random_variables):
    """A network of which a few convolutions are wide enough for Winograd's form, with variables, and an image."""
    model = gun_jax.GUN(5, width=0.25)
    image = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    return model, random_variables(model), image


def test_a_network_that_calls_it_gives_the_logits_that_it_gives_without(network):
    model, variables, image = network
    folded = gun_jax.fold_batch_norm(variables)

    def logits(image):
        images = gun_jax.normalise(image)
        return (
            model.apply(variables, images),
            model.apply(folded, images),
            model.apply(folded, images, method="predict"),
        )

    assert calls(logits, image) > 60
    run = quick_jit(logits)
    found = run(image)
    with use_onednn(False):
        expected = run(image)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)
    assert np.mean(found[2] == expected[2]) > 0.999


def test_an_exported_network_does_not_call_it(network):
    model, variables, _ = network
    assert "gun_jax_onednn" not in jax.export.deserialize(stablehlo_network(model, variables)).mlir_module()


def test_a_network_written_as_onnx_does_not_call_it(network):
    onnx_network = pytest.importorskip("gun_jax.export.onnx_network").onnx_network
    model, variables, _ = network
    kinds = {node.op_type for node in onnx_network(model, variables, (48, 64), (48, 64)).graph.node}
    assert "Conv" in kinds and all(kind[0].isupper() for kind in kinds)


def test_gradients_under_vmap_are_those_of_a_loop():
    x, kernel, back, geometry = example(*CASES[2])
    kernels = np.stack([kernel, -0.5 * kernel])
    several = jax.vmap(lambda kernel: gradients(convolve, x, kernel, back, geometry))(kernels)
    for index, one in enumerate(kernels):
        for found, expected in zip(several, gradients(plain, x, one, back, geometry), strict=True):
            close(found[index], expected)


@pytest.mark.parametrize("case", [CASES[2], (5, 6, 128, 128, 3, 1, 1)])
def test_gradients_can_be_differentiated_again(case):
    x, kernel, back, geometry = example(*case)

    def steepness(x, kernel):
        of_x, of_kernel = gradients(convolve, x, kernel, back, geometry)
        return jnp.square(of_x).mean() + jnp.square(of_kernel).mean()

    run = quick_jit(jax.grad(steepness, (0, 1)))
    twice = run(x, kernel)
    with plain_ops():
        without = run(x, kernel)
    for found, expected in zip(twice, without, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max() + 1e-12, rtol=0)


@pytest.mark.parametrize("axes", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_products_have_the_gradients_of_jax(axes):
    rng = np.random.default_rng(0)
    left = rng.normal(size=(5, 7, 3) if axes[0] == 1 else (5, 3, 7)).astype(np.float32)
    right = rng.normal(size=(5, 7, 4) if axes[1] == 1 else (5, 4, 7)).astype(np.float32)
    back = rng.normal(size=(5, 3, 4)).astype(np.float32)
    found, expected = (
        jax.vjp(lambda a, b, multiply=multiply: multiply(a, b, *axes), left, right)[1](back)
        for multiply in (onednn.multiply, winograd.multiply)
    )
    jax.tree.map(close, found, expected)


def test_shapes_that_do_not_fit_are_refused_by_name():
    x, _, _, geometry = example(*CASES[2])
    with pytest.raises(ValueError, match="multiply"):
        onednn.multiply(np.zeros((2, 3, 4), np.float32), np.zeros((2, 5, 4), np.float32), 2, 1)
    with pytest.raises(ValueError, match=r"16.*17"):
        onednn.convolve(x, np.zeros((3, 3, 17, 4), np.float32), **geometry)


@pytest.mark.slow
def test_a_step_of_training_is_the_same_with_it_and_without():
    network, optimizer, mesh = gun_jax.GUN(3, width=0.2), optax.sgd(0.1), data_mesh()
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (2, 48, 64, 3), np.uint8),
        "label": rng.integers(0, 3, (2, 48, 64), np.uint8),
    }

    def step():
        state = jax.device_put(create_state(network, optimizer, seed=0), replicated(mesh))
        return make_train_step(network, optimizer, mesh)(state, jax.device_put(batch, batch_sharding(mesh)))

    (with_it, outcome) = step()
    with use_onednn(False):
        (without, expected) = step()
    np.testing.assert_allclose(outcome.loss, expected.loss, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(with_it.params), jax.tree.leaves(without.params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
