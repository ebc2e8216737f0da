"""Counts of every column of the paper's tables against a hand count: layers in a list, and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gun_jax import configuration
from gun_jax.errors import InputError
from gun_jax.models import DRN, GUN, counting
from gun_jax.paper import TABLES, set_column

CLASSES = 19
HEIGHT, WIDTH = 1024, 2048  # the whole image; the medium branch sees half of it

# DRN-D-22 (Yu et al. 2017): level, channels, stride of its first convolution, dilation, and what it is made of: "plain"
# convolutions or basic "blocks", and how many.
D22 = [
    (0, 16, 1, 1, "plain", 1),
    (1, 16, 1, 1, "plain", 1),
    (2, 32, 2, 1, "plain", 1),
    (3, 64, 2, 1, "block", 2),
    (4, 128, 2, 1, "block", 2),
    (5, 256, 1, 2, "block", 2),
    (6, 512, 1, 4, "block", 2),
    (7, 512, 1, 2, "plain", 1),
    (8, 512, 1, 1, "plain", 1),
]
EXPERIMENTS = [f"table{table}={name}" for table, columns in TABLES.items() for name in columns]


def reference_drn(last_level):
    """Convolutions on the way through D-22: (kernel, inputs, outputs, stride, dilation, on the main path)."""
    layers, inputs = [], 3
    for level, channels, stride, dilation, kind, count in D22[: last_level + 1]:
        for number in range(count):
            stride_here = stride if number == 0 else 1
            if kind == "plain":
                layers.append((7 if level == 0 else 3, inputs, channels, stride_here, dilation, True))
            else:
                if stride_here != 1 or inputs != channels:
                    layers.append((1, inputs, channels, stride_here, 1, False))
                layers.append((3, inputs, channels, stride_here, dilation, True))
                layers.append((3, channels, channels, 1, dilation, True))
            inputs = channels
    return layers


def reference_run(layers, height, width):
    """(parameters with scale and bias of batch norm, multiply-adds, receptive field) of layers on an image."""
    parameters = multiply_adds = 0
    field = step = 1
    for kernel, inputs, outputs, stride, dilation, main in layers:
        parameters += kernel * kernel * inputs * outputs + 2 * outputs
        # A skip sees the image before the block's first convolution, whose stride is its own.
        rows, columns = height // step // stride, width // step // stride
        multiply_adds += kernel * kernel * inputs * outputs * rows * columns
        if main:
            field += (kernel - 1) * dilation * step
            step *= stride
    return parameters, multiply_adds, field


def reference_column(experiment):
    """(parameters, multiply-adds, receptive field of logits, of offsets) of a column, by the texts of the paper."""
    table, name = experiment.split("=")
    encoder = name if table == "table1" else "enc24shared"
    shared = "shared" in encoder
    factors = {"baseline": (1,), "enc4": (4,), "enc124shared": (1, 2, 4)}.get(encoder, (2, 4))
    fusion = {"table1": "base_sum", "table2": name}.get(table, "postproc_sum")
    guidance = name if table == "table4" and name != "baseline" else None

    parameters = multiply_adds = field = 0
    for factor in factors:
        layers = reference_drn(8 if factor == factors[-1] else 4)
        own, work, seen = reference_run(layers, HEIGHT // factor, WIDTH // factor)
        # Shared: the finer branches use the levels that the coarsest has anyway.
        parameters += own if not shared or factor == factors[-1] else 0
        multiply_adds += work
        field = max(field, factor * seen)
    channels = 512  # out of the coarsest branch
    for factor in reversed(factors[:-1]):  # the branches that are fused in, coarse to fine
        pixels = (HEIGHT // factor // 8) * (WIDTH // factor // 8)
        expanded = channels  # 128 to as many channels as the first branch has
        parameters += 128 * expanded + 2 * expanded
        multiply_adds += 128 * expanded * pixels
        merged = expanded + channels if "concat" in fusion else channels
        channels = merged
        if "postproc" in fusion:
            parameters += 9 * merged * 128 + 2 * 128
            multiply_adds += 9 * merged * 128 * pixels
            channels = 128
            field += 2 * 8 * factor
    finest = factors[0]
    rows, columns = HEIGHT // finest // 8, WIDTH // finest // 8
    parameters += channels * CLASSES + CLASSES
    multiply_adds += channels * CLASSES * rows * columns

    early = finest * reference_run(reference_drn(2), 8, 8)[2]
    of_offsets = None
    if guidance == "high_res":  # 64 parameters, at half the size of what the branch sees
        parameters, multiply_adds, of_offsets = parameters + 64, multiply_adds + 64 * 16 * rows * columns, early
    elif guidance == "fusion":  # two convolutions with batch norm, on either map; 1x1 to 2 with bias
        parameters += (32 * 32 + 2 * 32) + (128 * 32 + 2 * 32) + (32 * 2 + 2)
        multiply_adds += (128 * 32 + 16 * (32 * 32 + 32 * 2)) * rows * columns
        of_offsets = max(field, early)
    elif guidance == "large_rf":  # three times twice the size, 3x3 to half the channels
        of_offsets = field
        for inputs, enlarged in ((128, 2), (64, 4), (32, 8)):
            parameters += 9 * inputs * (inputs // 2) + 2 * (inputs // 2)
            multiply_adds += 9 * inputs * (inputs // 2) * enlarged**2 * rows * columns
            of_offsets += 2 * 8 * finest // enlarged
        parameters, multiply_adds = parameters + 16 * 2 + 2, multiply_adds + 16 * 2 * 64 * rows * columns
    return parameters, multiply_adds, field, of_offsets


def column(experiment):
    config = configuration.default_config()
    set_column(config, experiment)
    return configuration.build_model(config.model, CLASSES)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_column_of_the_paper_has_the_counts_of_a_hand_count(experiment):
    model = column(experiment)
    images = jax.ShapeDtypeStruct((1, HEIGHT, WIDTH, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    work = counting.multiply_adds(model.apply, variables, images)
    ours = counting.parameters(variables["params"]), work, *counting.receptive_fields(model)
    assert ours == reference_column(experiment)


def test_high_res_adds_64_parameters_to_the_baseline_of_the_paper():
    counts = {}
    for name in ("baseline", "high_res"):
        variables = jax.eval_shape(column(f"table4={name}").init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        counts[name] = counting.parameters(variables["params"])
    assert counts["high_res"] - counts["baseline"] == 64


def test_the_hand_count_of_d22_is_the_published_one_with_its_head():
    assert reference_run(reference_drn(8), 8, 8)[0] + 512 * 1000 + 1000 == 16_393_752


def test_multiply_adds_of_a_training_step_s_forward_pass_are_those_of_the_prediction():
    model = column("table4=fusion").clone(width=0.1)
    images = jax.ShapeDtypeStruct((1, 64, 128, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    train = counting.multiply_adds(
        lambda v, x: model.apply(v, x, train=True, mutable=["batch_stats"]), variables, images
    )
    assert train == counting.multiply_adds(model.apply, variables, images) > 0


def test_multiply_adds_look_into_inner_functions_and_strides():
    def inner(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (2, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    x, kernel = jnp.zeros((2, 9, 8, 3)), jnp.zeros((3, 1, 3, 5))
    outputs = 2 * 4 * 8 * 5
    assert counting.multiply_adds(lambda: jax.jit(jax.checkpoint(inner))(x, kernel)) == outputs * 3 * 1 * 3


@pytest.mark.parametrize(
    ("variant", "last_level"), [("d22", 2), ("d22", 4), ("d22", 8), ("d38", 8), ("d54", 8), ("c26", 8)]
)
def test_the_receptive_field_is_how_far_a_change_of_the_input_reaches(variant, last_level):
    # All kernels are positive, so that nothing cancels and no ReLU is dead: which inputs does one output depend on?
    model = DRN(variant, num_classes=None, width=0.07)
    field = counting.receptive_field(variant, last_level)
    x = jnp.ones((1, 1, 2 * field + 65, 3))

    def positive(path, leaf):
        if path[-1].key == "kernel":
            return jnp.full(leaf.shape, 1 / np.prod(leaf.shape[1:-1]))  # a mean over the one row that there is
        return jnp.full(leaf.shape, float(path[-1].key in ("scale", "var")))

    variables = jax.tree.map_with_path(positive, jax.eval_shape(model.init, jax.random.key(0), x))

    @jax.jit
    def slopes(x):
        def middle(x):
            features = model.apply(variables, x, False, last_level, method="features")[-1]
            return features[0, 0, features.shape[2] // 2].sum()

        return jax.grad(middle)(x).sum((0, 1, 3))

    reached = np.flatnonzero(slopes(x))
    assert reached[-1] - reached[0] + 1 == field


@pytest.mark.parametrize(("variant", "level"), [("d21", 8), ("d22", 9), ("d22", -1)])
def test_a_receptive_field_of_what_there_is_not_is_refused(variant, level):
    with pytest.raises(InputError, match="receptive_field"):
        counting.receptive_field(variant, level)


@pytest.mark.parametrize("attributes", [{"encoder": "efficientnet_lite0"}, {"logits_stride": 4}])
def test_receptive_fields_of_networks_beside_the_paper_s_are_refused(attributes):
    with pytest.raises(InputError, match=r"^receptive_fields: .*expected"):
        counting.receptive_fields(GUN(19, **attributes))
