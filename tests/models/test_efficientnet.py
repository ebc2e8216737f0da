"""EfficientNet-Lite against its published sizes and against blocks in NumPy, and GUN with it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import convolved, filled, quick_jit, shapes_of, size_of

import gun_jax
from gun_jax.errors import InputError
from gun_jax.models.counting import multiply_adds
from gun_jax.models.decoder import Decoder
from gun_jax.models.efficientnet import EPSILON, EfficientNetLite, InvertedResidual, Stem
from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.convolution import same_padding

# Parameters of the published weights.
PUBLISHED = {"efficientnet_lite0": 4_652_008, "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072}
# Blocks, kernel, stride, expansion and channels of EfficientNet-B0's stages, which are Lite0's (Tan and Le, Table 1).
TABLE = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
         (1, 3, 1, 6, 320)]  # fmt: skip


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_has_as_many_parameters_as_its_published_weights(variant):
    assert size_of(shapes_of(EfficientNetLite(variant), (1, 64, 64, 3))["params"]) == PUBLISHED[variant]


def test_the_multiply_adds_of_lite0_are_those_of_the_table():
    side, channels = 112, 32
    total = side**2 * 9 * 3 * 32
    for blocks, kernel, stride, expansion, out in TABLE:
        for block in range(blocks):
            inner = channels * expansion
            total += side**2 * channels * inner * (expansion > 1)
            side //= stride if block == 0 else 1
            total += side**2 * inner * (kernel**2 + out)
            channels = out
    total += side**2 * 320 * 1280
    model = EfficientNetLite("efficientnet_lite0")
    variables = shapes_of(model, (1, 224, 224, 3))
    assert multiply_adds(model.apply, variables, jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)) == total


def test_the_maps_have_rounded_up_sizes_at_all_strides():
    variables = shapes_of(EfficientNetLite(num_classes=None), (1, 32, 32, 3))
    features = functools.partial(EfficientNetLite(num_classes=None).apply, method="features")
    maps = jax.eval_shape(features, variables, jax.ShapeDtypeStruct((2, 360, 480, 3), np.float32))
    assert {stride: level.shape for stride, level in maps.items()} == {
        2: (2, 180, 240, 16), 4: (2, 90, 120, 24), 8: (2, 45, 60, 40), 16: (2, 23, 30, 112), 32: (2, 12, 15, 320)
    }  # fmt: skip


def normalised(y, variables):
    """Batch norm by running statistics."""
    scale, bias = (np.asarray(variables["params"]["norm"][name], np.float64) for name in ("scale", "bias"))
    mean, var = (np.asarray(variables["batch_stats"]["norm"][name], np.float64) for name in ("mean", "var"))
    return (y - mean) / np.sqrt(var + EPSILON) * scale + bias


def framed(x, size, stride):
    """TensorFlow's SAME by its definition: ceil(side / stride) places; the odd pixel is below and to the right."""
    pads = []
    for side in x.shape[1:3]:
        total = max((int(np.ceil(side / stride)) - 1) * stride + size - side, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *pads, (0, 0)))


def of_part(variables, name):
    return {collection: tree[name] for collection, tree in variables.items()}


@pytest.mark.parametrize(("kernel", "stride", "expansion"), [(3, 1, 1), (5, 2, 6), (3, 2, 6), (5, 1, 6)])
def test_a_block_is_its_layers_in_numpy(kernel, stride, expansion):
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 4)).astype(np.float32)
    block = InvertedResidual(4, kernel, stride, expansion)
    variables = filled(block, x, train=False)
    y = x.astype(np.float64)
    if expansion > 1:
        expand = of_part(variables, "expand")
        y = np.clip(normalised(y @ expand["params"]["conv"]["kernel"][0, 0], expand), 0, 6)
    depthwise = of_part(variables, "depthwise")
    taps = np.asarray(depthwise["params"]["conv"]["kernel"])[:, :, 0]  # (k, k, C)
    source, height, width = framed(y, kernel, stride), -(-6 // stride), -(-7 // stride)
    sums = np.zeros((2, height, width, y.shape[-1]))
    for row in range(height):
        for column in range(width):
            window = source[:, row * stride :, column * stride :][:, :kernel, :kernel]
            sums[:, row, column] = (window * taps).sum((1, 2))
    project = of_part(variables, "project")
    y = normalised(np.clip(normalised(sums, depthwise), 0, 6) @ project["params"]["conv"]["kernel"][0, 0], project)
    expected = y + x if stride == 1 else y
    np.testing.assert_allclose(block.apply(variables, x, False), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (7, 10)])
def test_the_stem_pads_as_tensorflow_does(size):
    x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
    variables = filled(Stem(), x, train=False)
    full = convolved(framed(x, 3, 2), np.asarray(variables["params"]["conv"]["kernel"]), 1, 1)  # pads by one more
    expected = np.clip(normalised(full[:, 1:-1:2, 1:-1:2], variables), 0, 6)
    np.testing.assert_allclose(Stem().apply(variables, x, False), expected, atol=1e-4)


def test_normalised_images_reach_the_stem_as_the_weights_expect_them(monkeypatch):
    seen = []
    monkeypatch.setattr(InvertedResidual, "__call__", lambda self, x, train: x)
    monkeypatch.setattr(Stem, "__call__", lambda self, x, train: seen.append(x) or jnp.zeros((1, 4, 4, 32)))
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    EfficientNetLite(num_classes=None).init(jax.random.key(0), gun_jax.normalise(jnp.asarray(image)))
    np.testing.assert_allclose(seen[0], (image.astype(np.float64) - 127) / 128, atol=1e-5)


def test_same_padding_is_the_least_that_makes_the_size():
    for side in range(1, 12):
        for size in (1, 3, 5):
            for stride in (1, 2, 3):
                before, after = same_padding(side, size, stride)
                places = (side + before + after - size) // stride + 1
                assert places == -(-side // stride) and after - before in (0, 1)


# GUN with an EfficientNet


@pytest.fixture(scope="module")
def network():
    """A GUN with logits at 1/4, random variables, images, and labels, logits and the labels of folded variables."""
    model = gun_jax.GUN(5, encoder="efficientnet_lite0", logits_stride=4, decoder_channels=16)
    images = np.random.default_rng(0).normal(size=(1, 33, 47, 3)).astype(np.float32)
    variables = filled(model, images)

    def run(variables, folded):
        apply = functools.partial(model.apply, images=images)
        return apply(variables, method="predict"), apply(variables), apply(folded)

    return model, variables, quick_jit(run)(variables, fold_batch_norm(variables))


def test_labels_are_the_argmax_of_the_logits_at_the_size_of_the_images(network):
    _, _, (labels, logits, _) = network
    assert logits.shape == (1, 33, 47, 5) and len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels, logits.argmax(-1))


def test_folding_batch_norm_keeps_the_logits(network):
    _, _, (_, logits, folded) = network
    np.testing.assert_allclose(folded, logits, atol=2e-3 * np.abs(logits).max())


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_the_logits_have_the_stride_of_the_setting(stride):
    model = gun_jax.GUN(5, encoder="efficientnet_lite1", logits_stride=stride)
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), np.float32)
    variables = shapes_of(model, images)
    low, _, _ = jax.eval_shape(functools.partial(model.apply, method="logits_and_offsets"), variables, images)
    assert low.shape == (1, 64 // stride, 96 // stride, 5)


@pytest.mark.parametrize(("stride", "expected"), [(0, 8), (8, 8), (4, 4), (2, 2)])
def test_a_drn_can_have_finer_logits(stride, expected):
    model = gun_jax.GUN(5, input_subsampling=2, width=0.25, logits_stride=stride)
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), np.float32)
    variables = shapes_of(model, images)
    low, _, _ = jax.eval_shape(functools.partial(model.apply, method="logits_and_offsets"), variables, images)
    assert low.shape == (1, 64 // expected, 96 // expected, 5)
    assert any(name.startswith("refine") for name in variables["params"]) == (expected < 8)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"logits_stride": 3}, r"logits_stride of 3; expected 0 or one of \(2, 4, 8, 16, 32\)"),
        ({"encoder": "enc24", "logits_stride": 16}, r"logits_stride of 16; expected 0 or one of \(2, 4, 8\)"),
        ({"width": 0.5}, r"width 0.5 and input_subsampling 1 .* expected 1 and 1"),
        ({"input_subsampling": 2}, r"width 1 and input_subsampling 2 .* expected 1 and 1"),
        ({"decoder_channels": 0}, "decoder_channels"),
        ({"encoder": "efficientnet_lite9"}, "efficientnet_lite0"),
    ],
)
def test_attributes_that_no_network_has_are_refused(attributes, message):
    model = gun_jax.GUN(5, **{"encoder": "efficientnet_lite0"} | attributes)
    with pytest.raises(InputError, match=message):
        shapes_of(model, (1, 32, 32, 3))


def test_the_decoder_is_its_layers_in_numpy():
    rng = np.random.default_rng(0)
    fine, coarse = (rng.normal(size=shape).astype(np.float32) for shape in ((1, 4, 6, 3), (1, 2, 3, 5)))
    decoder = Decoder(4)
    variables = filled(decoder, [fine, coarse])
    # A coarse map that is constant resizes to itself, and its mean is itself.
    coarse = np.broadcast_to(coarse[:, :1, :1], coarse.shape)

    def layer(variables, x):
        y = convolved(x, np.asarray(variables["params"]["conv"]["kernel"]), 1, 1)
        scale, bias = (np.asarray(variables["params"]["norm"][name]) for name in ("scale", "bias"))
        mean, var = (np.asarray(variables["batch_stats"]["norm"][name]) for name in ("mean", "var"))
        return np.maximum((y - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)

    context = variables["params"]["context"]
    x = layer(of_part(variables, "lateral"), coarse)
    x = x + x @ np.asarray(context["kernel"])[0, 0] + np.asarray(context["bias"])
    refine = of_part(variables, "refine1")
    merged = layer(of_part(refine, "lateral"), fine) + x[:, :1, :1]
    expected = layer(of_part(refine, "blend"), merged)
    np.testing.assert_allclose(decoder.apply(variables, [fine, coarse]), expected, atol=1e-4 * np.abs(expected).max())
