"""The networks in PyTorch and in JAX give the same logits, gradients and labels."""

import jax
import numpy as np
import pytest

import gun_jax
from gun_jax.ops.losses import cross_entropy

torch = pytest.importorskip("torch")

from benchmarks.cases.torch_network import TorchGUN, state_of  # noqa: E402

SIZE = 64, 96


@pytest.fixture(scope="module", params=["fusion", None])
def pair(request, random_variables):
    """The same network in both libraries, and images for it."""
    model = gun_jax.GUN(19, input_subsampling=2, guidance=request.param)
    variables = random_variables(model)
    if request.param:  # offsets of a pixel or so: rounding that many pixels of offset would be larger in the logits
        variables["params"]["gum"]["guide"]["offsets"]["kernel"] *= 0.1
    peer = TorchGUN(19, guided=request.param is not None, antialias=True)
    missing, unexpected = peer.load_state_dict(state_of(variables), strict=False)
    assert not unexpected
    assert all("num_batches_tracked" in name for name in missing)
    images = np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype(np.float32)
    return model, variables, peer, images


def test_logits_are_the_same(pair):
    model, variables, peer, images = pair
    expected = np.asarray(jax.jit(model.apply)(variables, images))
    with torch.no_grad():
        logits = peer.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(logits, expected, atol=2e-4 * np.abs(expected).max())


def test_labels_are_the_argmax(pair):
    _, _, peer, images = pair
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = peer.eval()(batch)
        peer.labels = True
        labels = peer(batch)
        peer.labels = False
    assert torch.equal(labels, logits.argmax(1))


@pytest.mark.slow
def test_gradients_of_a_training_step_are_the_same(pair):
    model, variables, peer, images = pair
    labels = np.random.default_rng(1).integers(0, 19, (2, *SIZE)).astype(np.uint8)

    def loss(params):
        rest = variables | {"params": params}
        logits, _ = model.apply(rest, images, train=True, mutable=["batch_stats"])
        return cross_entropy(logits, labels)

    value, expected = jax.jit(jax.value_and_grad(loss))(variables["params"])
    peer.train().zero_grad()
    logits = peer(torch.from_numpy(images).permute(0, 3, 1, 2))
    found = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64)))
    found.backward()
    assert found.item() == pytest.approx(float(value), rel=1e-4)
    gradients = {name: parameter.grad for name, parameter in peer.named_parameters()}
    for name, gradient in state_of({"params": expected, "batch_stats": {}}).items():
        # Compared by the norm: rounding can move single inputs across the edge of a ReLU or of the sampler.
        assert (gradients[name] - gradient).norm() <= 0.01 * gradient.norm() + 1e-6, name
