"""ONNX networks: labels by onnxruntime against those of `predict`."""

import collections
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from gun_jax.export.onnx_graph import Graph, convert  # noqa: E402
from gun_jax.export.onnx_network import onnx_network  # noqa: E402

NETWORKS = {
    "final": {},
    "final, full-size images": {"input_subsampling": 1},
    "baseline of one branch": {"encoder": "baseline", "guidance": None, "input_subsampling": 1},
    "large_rf, nearest": {"guidance": "large_rf", "method": "nearest"},
    "high_res, separate weights": {"guidance": "high_res", "encoder": "enc24"},
    "separate statistics": {"branch_norm": "separate", "fusion": "base_concat"},
    "corners on corners, zeros around": {"align_corners": True, "padding": "zeros"},
    "three branches": {"encoder": "enc124shared", "fusion": "postproc_concat", "input_subsampling": 1},
    "bottlenecks": {"variant": "d54"},
}
EFFICIENTNET = {"encoder": "efficientnet_lite0", "logits_stride": 4, "decoder_channels": 8}


def scenes(count, size):
    source = SyntheticScenes(count, size, seed=3)
    return np.stack([source[i]["image"] for i in range(count)])


def predicted(model, variables, images, size):
    def predict(variables, images):
        return model.apply(variables, gun_jax.normalise(images), output_size=size, method="predict")

    return np.asarray(jax.jit(predict)(variables, images))  # op by op, it would compile for longer


def run(network, images):
    session = onnxruntime.InferenceSession(network.SerializeToString())
    return session.run(["labels"], {"images": images})[0]


@pytest.fixture(scope="module")
def final(random_variables):
    model = gun_jax.GUN(19, width=0.1, input_subsampling=2)
    variables = random_variables(model)
    return types.SimpleNamespace(
        model=model, variables=variables, network=onnx_network(model, variables, *2 * [(64, 96)])
    )


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, (75, 101)) for name in ("final", "three branches")),  # which are resized by products
        *((name, (64, 96)) for name in list(NETWORKS)[1:-2]),  # which are halved by convolutions
        pytest.param("bottlenecks", (64, 96), marks=pytest.mark.slow),
    ],
)
def test_a_network_gives_the_labels_of_predict(name, size, random_variables):
    model = gun_jax.GUN(19, width=0.1, **({"input_subsampling": 2} | NETWORKS[name]))
    variables, images = random_variables(model), scenes(2, size)
    labels = run(onnx_network(model, variables, size, size), images)
    expected = predicted(model, variables, images, size)
    assert labels.dtype == np.int32
    assert len(np.unique(expected)) > 1
    assert np.mean(labels == expected) >= 0.999


def test_a_network_with_an_efficientnet_gives_the_labels_of_predict(random_variables):
    """Grouped convolutions, padding at one side, ReLU6, and the mean of a map; sides that are odd at every stride."""
    model, images = gun_jax.GUN(19, **EFFICIENTNET), scenes(2, (45, 70))
    variables = random_variables(model)
    labels = run(onnx_network(model, variables, (45, 70), (45, 70)), images)
    expected = predicted(model, variables, images, (45, 70))
    assert len(np.unique(expected)) > 1
    assert np.mean(labels == expected) >= 0.999


def test_offsets_matter_in_what_is_compared(final):
    images = scenes(1, (64, 96))
    plain = final.model.clone(guidance=None)
    kept = {name: {k: v for k, v in part.items() if k != "gum"} for name, part in final.variables.items()}
    assert np.mean(predicted(plain, kept, images, (64, 96)) == run(final.network, images)) < 0.99


def test_labels_may_have_another_size_than_images(final):
    images = scenes(1, (64, 96))
    network = onnx_network(final.model, final.variables, (64, 96), (128, 192))
    expected = predicted(final.model, final.variables, images, (128, 192))
    assert np.mean(run(network, images) == expected) >= 0.999


def test_a_network_takes_any_number_of_images(final):
    images = scenes(3, (64, 96))
    one_by_one = np.concatenate([run(final.network, image[None]) for image in images])
    np.testing.assert_array_equal(run(final.network, images), one_by_one)


def test_guided_upsampling_is_one_grid_sample_and_batch_norm_is_folded(final):
    kinds = collections.Counter(node.op_type for node in final.network.graph.node)
    assert kinds["GridSample"] == 1
    assert "BatchNormalization" not in kinds
    assert "Gather" not in kinds


def test_names_of_nodes_contain_the_module(final):
    names = [node.name for node in final.network.graph.node if node.op_type == "Conv"]
    assert any("levels_6" in name and "conv2" in name for name in names)


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (jnp.sin, "sin at the top is not supported"),
        (lambda x: jnp.broadcast_to(x, (3, 4, 4, 2)), "an array broadcast"),
        (
            lambda x: jax.lax.conv(x, np.ones((2, 4, 1, 1), np.float32), (1, 1), "SAME"),
            "a convolution with a grouped batch",
        ),
    ],
    ids=["sine", "repeated", "NCHW"],
)
def test_an_unsupported_operation_is_named(operation, named):
    with pytest.raises(InputError, match=named):
        convert(Graph(), operation, "x", jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32))


@pytest.mark.parametrize("operation", [jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum])
@pytest.mark.parametrize("constant", [np.float32([0.5, 2, -1]), np.float32(1), np.float32(0)], ids=["C", "1", "0"])
def test_arithmetic_with_constants_is_that_of_jax(operation, constant):
    if operation is jnp.divide:
        constant = constant + 3
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 3)).astype(np.float32)
    graph = Graph()
    moved = graph.add("Transpose", ["x"], perm=[0, 3, 1, 2])
    ((result, _),) = convert(graph, lambda x: operation(constant, operation(x, constant)), moved, x)
    graph.name_output(graph.add("Transpose", [result], perm=[0, 2, 3, 1]), "y")
    network = graph.finish({"x": (np.float32, x.shape)}, {"y": (np.float32, x.shape)})
    y = onnxruntime.InferenceSession(network.SerializeToString()).run(["y"], {"x": x})[0]
    np.testing.assert_allclose(y, operation(constant, operation(x, constant)), rtol=1e-6)
